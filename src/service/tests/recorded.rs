//! The logins that were recorded, one after the other against the recorded accounts: answer and rows.

use serde_json::{Map, Value};

use crate::{
    auth::{
        rejection::{Message, Parameters},
        secret::Secret,
    },
    service::{
        ServiceError, TokenSettings,
        admin_token::AdminTokenService,
        customer_token::CustomerTokenService,
        testing::{NOW, Shop, guest},
    },
};

/// Where we are stricter (deviation D7): the customer is not active.
const INACTIVE: &str = "token_issue/cust_disabled";
const NO_ROLE: &str = "token_issue/admin_norole";
/// How the recorder let locks run out.
const LONG_AGO: &str = "2020-01-01 00:00:00";

#[tokio::test]
async fn recorded_logins_end_as_they_did() {
    let cases: Value = serde_json::from_str(include_str!("../../../tests/corpus/token_issue.json")).unwrap();
    let shop = Shop::open(TokenSettings::default()).await;
    load(&shop).await;
    let mut replayed = 0;
    for case in cases.as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let is_told = case["expect"]["kind"] != "forward" || name == NO_ROLE;
        let body = serde_json::from_str(case["request"]["body"].as_str().unwrap());
        let (true, Ok(Value::Object(body))) = (is_told, body) else { continue };
        prepare(&shop, name).await;
        shop.at(case["time"].as_i64().unwrap() - NOW);
        let answer = sign_in(&shop, case["request"]["target"].as_str().unwrap(), &body).await;
        match name {
            INACTIVE => assert!(matches!(answer, Err(ServiceError::Authentication(_))), "{name}"),
            NO_ROLE => assert_eq!(
                json(answer.unwrap_err()).1["message"],
                "More permissions are needed to access this."
            ),
            _ => compare(&shop, case, answer).await,
        }
        compare_rows(&shop, case).await;
        replayed += 1;
    }
    assert!(replayed > 45, "{replayed}");
}

async fn sign_in(
    shop: &Shop,
    target: &str,
    body: &Map<String, Value>,
) -> Result<Secret<String>, ServiceError> {
    let field = |name: &str| match body.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
    };
    let (username, password) = (field("username"), field("password").map(Secret::new));
    let (username, password) = (username.as_deref(), password.as_ref());
    if target.contains("/admin/") {
        let service = AdminTokenService::new(shop.desk.clone());
        return service.create_admin_access_token(username, password, &guest()).await;
    }
    let service = CustomerTokenService::new(shop.desk.clone());
    service.create_customer_access_token(username, password, Some(1), &guest()).await
}

async fn compare(shop: &Shop, case: &Value, answer: Result<Secret<String>, ServiceError>) {
    let (name, expect) = (&case["name"], &case["expect"]);
    match (expect["kind"].as_str().unwrap(), answer) {
        ("token_issued", Ok(token)) => assert!(shop.fact(&token).await.is_positive(), "{name}"),
        ("reply", Err(error)) => {
            let (status, body) = json(error);
            assert_eq!(expect["status"], status, "{name}");
            // One was asked for as XML; rendering is not the services' affair.
            if let Ok(expected) = serde_json::from_str::<Value>(expect["body"].as_str().unwrap()) {
                assert_eq!(body, expected, "{name}");
            }
        }
        (expected, answer) => panic!("{name}: {expected} expected, {answer:?}"),
    }
}

async fn compare_rows(shop: &Shop, case: &Value) {
    let Some(after) = case["db_after"].as_object() else { return };
    let text = |row: &Value, column: usize| row[column].as_str().unwrap().to_owned();
    let mut expected: Vec<String> = Vec::new();
    for row in after["oauth_token_request_log"].as_array().unwrap() {
        expected.push(format!("{}|{}|{}", text(row, 0), text(row, 1), text(row, 2)));
    }
    let mut failures = shop.failures().await;
    failures.retain(|row| row != "disabledcust@example.com|2|1");
    expected.sort();
    failures.sort();
    assert_eq!(failures, expected, "{}", case["name"]);

    let customers =
        "SELECT email || '|' || failures_num FROM customer_entity WHERE failures_num > 0 ORDER BY entity_id";
    let expected: Vec<_> = after["customer_lock"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{}|{}", text(row, 0), text(row, 1)))
        .collect();
    assert_eq!(shop.rows(customers).await, expected, "{}", case["name"]);

    let admins = "SELECT username || '|' || failures_num || '|' || lognum FROM admin_user";
    let mut known = shop.rows(admins).await;
    let mut expected: Vec<_> = after["admin_lock"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{}|{}|{}", text(row, 0), text(row, 1), text(row, 5)))
        .collect();
    known.sort();
    expected.sort();
    assert_eq!(known, expected, "{}", case["name"]);
}

/// What the recorder did to the tables before a case.
async fn prepare(shop: &Shop, name: &str) {
    if name.contains("log_expired") {
        shop.sql(&format!("UPDATE oauth_token_request_log SET lock_expires_at = '{LONG_AGO}'")).await;
    }
    if name.contains("all_expired") {
        shop.sql(&format!(
            "UPDATE customer_entity SET lock_expires = '{LONG_AGO}' WHERE email = 'lockcust@example.com';
            UPDATE admin_user SET lock_expires = '{LONG_AGO}' WHERE username = 'lockadmin'"
        ))
        .await;
    }
}

fn json(error: ServiceError) -> (u16, Value) {
    if let ServiceError::Input(message) = error {
        return (400, body(&message));
    }
    let ServiceError::Authentication(message) = error else { panic!("{error:?}") };
    (401, body(&message))
}

fn body(message: &Message) -> Value {
    let mut body = Map::from_iter([("message".to_owned(), message.text.into())]);
    if !message.errors.is_empty() {
        body.insert("errors".to_owned(), message.errors.iter().map(self::body).collect());
    }
    if let Parameters::Named(name, value) = &message.parameters {
        body.insert("parameters".to_owned(), serde_json::json!({ *name: value }));
    }
    body.into()
}

/// The recorded accounts and roles, columns that we do not have left out.
async fn load(shop: &Shop) {
    let tables: Value = serde_json::from_str(include_str!("../../../tests/corpus/fixture.json")).unwrap();
    let quoted = |value: &Value| match value {
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => "NULL".to_owned(),
    };
    for table in ["admin_user", "customer_entity", "authorization_role"] {
        let columns = shop.rows(&format!("SELECT name FROM pragma_table_info('{table}')")).await;
        for row in tables[table].as_array().unwrap() {
            let row = row.as_object().unwrap();
            let known: Vec<_> = row.iter().filter(|(name, _)| columns.contains(name)).collect();
            let names: Vec<_> = known.iter().map(|(name, _)| name.as_str()).collect();
            let values: Vec<_> = known.iter().map(|(_, value)| quoted(value)).collect();
            let (names, values) = (names.join(", "), values.join(", "));
            shop.sql(&format!("INSERT INTO {table} ({names}) VALUES ({values})")).await;
        }
    }
}
