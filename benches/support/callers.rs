//! One caller of each kind, in a store that `portcullis` serves from.

use std::time::Duration;

use portcullis::{
    auth::{
        acl::AclTree,
        crypt_keys::CryptKeys,
        encryptor::Encryptor,
        identity::UserType,
        jwt::{Claims, JwtAlgorithm, JwtVerifier},
        oauth1::{Reading, Scheme, SignatureMethod, SignedRequest, Signer, SigningKey},
        secret::Secret,
        time::UnixTime,
    },
    store::sql::{
        IntegrationStatus, NewAccessToken, NewConsumer, NewCustomer, NewIntegration, NewRole, RoleOwner,
        SqlStore, TokenOwner,
    },
};

pub(crate) const TREE: &str = include_str!("../../config/magento/acl.json");
pub(crate) const ROUTES: &str = include_str!("../../config/magento/webapi_routes.json");
pub(crate) const CRYPT_KEY: &str = "portcullis-bench-portcullis-bnch";
pub(crate) const CUSTOMER_TOKEN: &str = "n4v1i8bq4bm0zf0o6o2g5srsc2rl5gqx";

pub(crate) const CONSUMER_KEY: &str = "2lc1qdbsdd28ay4q20rbrtjl9qufi83n";
pub(crate) const CONSUMER_SECRET: &str = "rujat3m7nqb7sl263ybba0y7i4wcer0v";
const ACCESS_TOKEN: &str = "rcnp1r0ttgql8dyfay14d83fjc7k5q78";
pub(crate) const TOKEN_SECRET: &str = "g88pmtkf7gcreq3c44dn132wmfz1qhqi";

/// The first customer of an empty store.
const CUSTOMER: u32 = 1;

/// What the integration may do: a warehouse that reads products and orders. The branches that these stand on are named as
/// well, as Magento's own form does: a denial covers what is below it.
const ALLOWED: [&str; 9] = [
    "Magento_Backend::admin",
    "Magento_Sales::sales",
    "Magento_Sales::sales_operation",
    "Magento_Sales::sales_order",
    "Magento_Sales::actions",
    "Magento_Sales::actions_view",
    "Magento_Catalog::catalog",
    "Magento_Catalog::catalog_inventory",
    "Magento_Catalog::products",
];

/// A caller as a service without a store knows it.
pub(crate) struct Known {
    pub(crate) token: &'static str,
    pub(crate) user_type: &'static str,
    /// The first of its kind in an empty store.
    pub(crate) user_id: &'static str,
    pub(crate) acl: String,
}

/// Who shows [`CUSTOMER_TOKEN`].
pub(crate) const fn customer() -> Known {
    Known { token: CUSTOMER_TOKEN, user_type: "customer", user_id: "1", acl: String::new() }
}

/// Who signs, and what it may do in the form of `X-Auth-Acl`.
pub(crate) fn integration() -> Known {
    let acl = ALLOWED.map(|resource| format!("={resource}")).join(",");
    Known { token: ACCESS_TOKEN, user_type: "integration", user_id: "1", acl }
}

/// Writes the callers into an empty store.
pub(crate) async fn seed(store: &SqlStore, now: UnixTime) {
    let customer = NewCustomer {
        email: "alice@example.com",
        firstname: "Alice",
        lastname: "Example",
        website_id: 1,
        password_hash: None,
    };
    let customer = store.insert_customer(&customer, now).await.expect("the store takes a customer");
    assert_eq!(customer, CUSTOMER, "the store was empty");
    access(store, TokenOwner::Customer(customer), (CUSTOMER_TOKEN, TOKEN_SECRET), now).await;

    let consumer =
        NewConsumer { name: "Warehouse", key: CONSUMER_KEY, encrypted_secret: &encrypted(CONSUMER_SECRET) };
    let consumer_id = store.insert_consumer(&consumer, now).await.expect("the store takes a consumer");
    let integration = NewIntegration {
        name: "Warehouse",
        email: "warehouse@example.com",
        consumer_id,
        status: IntegrationStatus::Active,
    };
    let id = store.insert_integration(&integration, now).await.expect("the store takes an integration");
    let tree = AclTree::from_json(TREE).expect("the shipped tree is valid");
    let all = tree.indices().filter_map(|index| tree.id(index));
    let denied: Vec<&str> = all.filter(|resource| !ALLOWED.contains(resource)).collect();
    let role = NewRole { owner: RoleOwner::Integration(id), allowed: &ALLOWED, denied: &denied };
    store.insert_role(&role).await.expect("the store takes a role");
    access(store, TokenOwner::Consumer(consumer_id), (ACCESS_TOKEN, TOKEN_SECRET), now).await;
}

async fn access(store: &SqlStore, owner: TokenOwner, (token, secret): (&str, &str), now: UnixTime) {
    let token = Secret::new(token.to_owned());
    let access = NewAccessToken { owner, token: &token, encrypted_secret: &encrypted(secret) };
    store.insert_access_token(&access, now).await.expect("the store takes a token");
}

fn keys() -> CryptKeys {
    CryptKeys::parse(CRYPT_KEY).expect("the key has 32 bytes")
}

fn encrypted(secret: &str) -> Secret<String> {
    let encryptor = Encryptor::new(&keys()).expect("the key fits the cipher");
    Secret::new(encryptor.encrypt(secret, [7; 12]))
}

/// What verifies the customer's JWT.
pub(crate) fn jwt_verifier() -> JwtVerifier {
    JwtVerifier::new(&keys(), JwtAlgorithm::Hs256)
}

/// A JWT of the customer.
pub(crate) fn customer_jwt(now: UnixTime) -> String {
    let expires_at = now.plus(Duration::from_secs(3600));
    let claims = Claims { user_type: UserType::Customer, user_id: CUSTOMER, issued_at: now, expires_at };
    jwt_verifier().sign(&claims)
}

/// Signs the integration's requests, each with a nonce that no other process or request uses.
pub(crate) struct Integration {
    key: SigningKey,
    prefix: u64,
    signed: u64,
}

impl Integration {
    pub(crate) fn new() -> Self {
        let key = SigningKey::new(CONSUMER_SECRET.as_bytes(), TOKEN_SECRET.as_bytes());
        Self { key: key.expect("neither secret is empty"), prefix: rand::random(), signed: 0 }
    }

    /// The value of `Authorization` for a GET.
    pub(crate) fn sign(&mut self, host: &str, path: &str, query: &str, now: UnixTime) -> String {
        let signer = Signer {
            consumer_key: CONSUMER_KEY,
            token: ACCESS_TOKEN,
            key: &self.key,
            method: SignatureMethod::HmacSha256,
            reading: Reading::Rfc5849,
        };
        let query = Some(query);
        let request = SignedRequest { method: "GET", scheme: Scheme::Http, host, path, query, form: None };
        self.signed += 1;
        let nonce = format!("{:016x}{:016x}", self.prefix, self.signed);
        signer.authorization(&request, &now.seconds().to_string(), &nonce)
    }
}
