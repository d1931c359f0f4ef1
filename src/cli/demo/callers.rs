//! One caller of each kind, and the curl lines that they would type.

use std::{fmt::Write as _, iter, net::SocketAddr, time::Duration};

use super::super::Failure;
use crate::{
    auth::{
        acl::{AclTree, ROOT_RESOURCE, ResourceIndex},
        crypt_keys::CryptKeys,
        encryptor::Encryptor,
        identity::UserType,
        jwt::{Claims, JwtAlgorithm, JwtVerifier},
        secret::Secret,
    },
    clock::Clock,
    service::random,
    store::sql::{
        IntegrationStatus, NewAccessToken, NewAdmin, NewConsumer, NewCustomer, NewIntegration, NewRole,
        RoleOwner, SqlStore, TokenOwner,
    },
};

/// Anybody may know it: the demo's store lives for a minute and holds nobody's secrets.
pub(super) const CRYPT_KEY: &str = "portcullis-demo-portcullis-demo-";

/// How long the demo's tokens live.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The demo's credentials.
pub(super) struct Callers {
    customer_token: String,
    customer_jwt: String,
    admin_jwt: String,
    clerk_token: String,
    consumer_key: String,
    consumer_secret: String,
    token: String,
    token_secret: String,
}

impl Callers {
    /// Writes them into an empty store.
    pub(super) async fn create(store: &SqlStore, clock: &Clock) -> Result<Self, Failure> {
        let keys = CryptKeys::parse(CRYPT_KEY).map_err(Failure::runtime)?;
        let encryptor = Encryptor::new(&keys).map_err(Failure::runtime)?;
        let jwt = JwtVerifier::new(&keys, JwtAlgorithm::Hs256);
        let tree = AclTree::from_json(super::TREE).map_err(Failure::runtime)?;
        let seeding = Seeding { store, clock, encryptor, tree };
        let customer = seeding.customer().await?;
        let admin = seeding.admin("admin", "Administrators", &["Magento_Backend::all"]).await?;
        let clerk = seeding.admin("clerk", "Catalog clerks", &["Magento_Catalog::products"]).await?;
        let (consumer_key, consumer_secret, token, token_secret) = seeding.integration().await?;
        let issue = |user_type, user_id| {
            let now = clock.now();
            jwt.sign(&Claims { user_type, user_id, issued_at: now, expires_at: now.plus(LIFETIME) })
        };
        Ok(Self {
            customer_token: seeding.token(TokenOwner::Customer(customer)).await?,
            customer_jwt: issue(UserType::Customer, customer),
            admin_jwt: issue(UserType::Admin, admin),
            clerk_token: seeding.token(TokenOwner::Admin(clerk)).await?,
            consumer_key,
            consumer_secret,
            token,
            token_secret,
        })
    }

    /// What to paste.
    pub(super) fn welcome(&self, proxy: SocketAddr, admin: SocketAddr) -> Result<String, Failure> {
        let program = std::env::current_exe().map_err(Failure::runtime)?;
        let program = program.display();
        let bearer = |token: &str| format!("-H 'Authorization: Bearer {token}' ");
        let lines = [
            ("A guest reads what is open to all", String::new(), "directory/currency"),
            ("... and is refused elsewhere, in Magento's words", String::new(), "store/websites"),
            (
                "A customer with an opaque token reads his own account",
                bearer(&self.customer_token),
                "customers/me",
            ),
            ("... with a JWT the same, but no shop settings", bearer(&self.customer_jwt), "store/websites"),
            ("An admin with a JWT may do everything", bearer(&self.admin_jwt), "store/websites"),
            (
                "A clerk may read products, '%2F' in the SKU included",
                bearer(&self.clerk_token),
                "products/24%2FMB01",
            ),
            (
                "A guest who lies about who he is stays a guest",
                "-H 'X-Auth-User-Type: admin' -H 'x_auth_user_id: 1' ".to_owned(),
                "directory/currency",
            ),
        ];
        let mut text =
            format!("Portcullis demo: proxy on http://{proxy}, figures on http://{admin}/metrics\n");
        for (what, arguments, path) in lines {
            write!(text, "\n# {what}\ncurl -si {arguments}http://{proxy}/rest/V1/{path}\n")
                .map_err(Failure::runtime)?;
        }
        write!(
            text,
            "\n# An integration signs with OAuth 1.0a (HMAC-SHA256)\n\
             export PORTCULLIS_CONSUMER_KEY={} PORTCULLIS_CONSUMER_SECRET={}\n\
             export PORTCULLIS_TOKEN={} PORTCULLIS_TOKEN_SECRET={}\n\
             url='http://{proxy}/rest/V1/products?searchCriteria%5BpageSize%5D=1'\n\
             signed=\"$({program} sign \"$url\")\"; curl -si -H \"$signed\" \"$url\"\n\
             \n# ... and the same signature a second time is a replay\n\
             curl -si -H \"$signed\" \"$url\"\n\
             \nEvery request is one JSON line below. Ctrl-C ends the demo.\n",
            self.consumer_key, self.consumer_secret, self.token, self.token_secret
        )
        .map_err(Failure::runtime)?;
        Ok(text)
    }
}

struct Seeding<'a> {
    store: &'a SqlStore,
    clock: &'a Clock,
    encryptor: Encryptor,
    tree: AclTree,
}

impl Seeding<'_> {
    async fn customer(&self) -> Result<u32, Failure> {
        let customer = NewCustomer {
            email: "alice@example.com",
            firstname: "Alice",
            lastname: "Example",
            website_id: 1,
            password_hash: None,
        };
        self.store.insert_customer(&customer, self.clock.now()).await.map_err(Failure::runtime)
    }

    async fn admin(&self, username: &str, group: &str, allowed: &[&str]) -> Result<u32, Failure> {
        let allowed = &self.with_what_is_above(allowed);
        let denied = self.everything_but(allowed);
        let role = NewRole { owner: RoleOwner::AdminGroup(group), allowed, denied: &denied };
        let group_id = self.store.insert_role(&role).await.map_err(Failure::runtime)?;
        let admin = NewAdmin {
            username,
            email: &format!("{username}@example.com"),
            firstname: username,
            lastname: "Example",
            password_hash: &Secret::new(String::new()),
            group_id: Some(group_id),
        };
        self.store.insert_admin(&admin, self.clock.now()).await.map_err(Failure::runtime)
    }

    async fn integration(&self) -> Result<(String, String, String, String), Failure> {
        let (key, secret) = (random_word()?, random_word()?);
        let (token, token_secret) = (random_word()?, random_word()?);
        let now = self.clock.now();
        let encrypted_secret = &self.encrypted(&secret)?;
        let consumer = NewConsumer { name: "Warehouse", key: &key, encrypted_secret };
        let consumer_id = self.store.insert_consumer(&consumer, now).await.map_err(Failure::runtime)?;
        let integration = NewIntegration {
            name: "Warehouse",
            email: "warehouse@example.com",
            consumer_id,
            status: IntegrationStatus::Active,
        };
        let id = self.store.insert_integration(&integration, now).await.map_err(Failure::runtime)?;
        let allowed = &self.with_what_is_above(&["Magento_Catalog::products", "Magento_Sales::actions_view"]);
        let denied = self.everything_but(allowed);
        let role = NewRole { owner: RoleOwner::Integration(id), allowed, denied: &denied };
        self.store.insert_role(&role).await.map_err(Failure::runtime)?;
        let access = NewAccessToken {
            owner: TokenOwner::Consumer(consumer_id),
            token: &Secret::new(token.clone()),
            encrypted_secret: &self.encrypted(&token_secret)?,
        };
        self.store.insert_access_token(&access, now).await.map_err(Failure::runtime)?;
        Ok((key, secret, token, token_secret))
    }

    async fn token(&self, owner: TokenOwner) -> Result<String, Failure> {
        let token = random_word()?;
        let access = NewAccessToken {
            owner,
            token: &Secret::new(token.clone()),
            encrypted_secret: &self.encrypted(&random_word()?)?,
        };
        self.store.insert_access_token(&access, self.clock.now()).await.map_err(Failure::runtime)?;
        Ok(token)
    }

    /// Magento's form ticks what lies above a resource along with it, and a rule holds for everything below: were the
    /// resources above denied, so would be the resource itself.
    fn with_what_is_above(&self, allowed: &[&str]) -> Vec<&str> {
        let parent = |index: &ResourceIndex| self.tree.parent(*index);
        let chosen = allowed.iter().filter_map(|id| self.tree.find(id));
        let above: Vec<_> = chosen.flat_map(|index| iter::successors(Some(index), parent)).collect();
        let in_tree_order = self.tree.indices().filter(|index| above.contains(index));
        in_tree_order.filter_map(|index| self.tree.id(index)).collect()
    }

    /// Magento writes one rule a resource: whoever is not allowed everything is denied the rest by name.
    fn everything_but(&self, allowed: &[&str]) -> Vec<&str> {
        if allowed.contains(&ROOT_RESOURCE) {
            return Vec::new();
        }
        let all = self.tree.indices().filter_map(|index| self.tree.id(index));
        all.filter(|resource| !allowed.contains(resource)).collect()
    }

    fn encrypted(&self, secret: &str) -> Result<Secret<String>, Failure> {
        let nonce = random::bytes().map_err(Failure::runtime)?;
        Ok(Secret::new(self.encryptor.encrypt(secret, nonce)))
    }
}

fn random_word() -> Result<String, Failure> {
    random::token().map(|word| word.expose().clone()).map_err(Failure::runtime)
}
