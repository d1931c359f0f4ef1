//! The rows behind cached facts, read again by their primary keys, many a statement.
//!
//! They come from where is written: a replica that lags behind must not bear out what is over. What a row says is made a print
//! here, so that no row is kept. A row that makes no sense says what an absent one does: what it proved is proven no more.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use super::{
    columns::{Columns, Row},
    connection::{Link, On},
    lookup::{token_columns, token_owners},
    mapper,
    statement::query,
    store::SqlStore,
};
use crate::store::{
    StoreError,
    evidence::{Print, Prints, Source},
};

/// Where the ids go.
const IDS: &str = "#ids";

const TOKENS: &str = concat!(
    r#"SELECT t.entity_id AS "row.id", t.token AS "oauth_token.token", "#,
    token_columns!(),
    " FROM {oauth_token} AS t ",
    token_owners!(),
    " WHERE t.entity_id IN (#ids)"
);

const CONSUMERS: &str = r#"SELECT o.entity_id AS "row.id", o."key" AS "oauth_consumer.key",
    o.entity_id AS "oauth_consumer.entity_id", o.secret AS "oauth_consumer.secret",
    [[q.secret|NULL]] AS "portcullis_older_secret.secret", [[q.ends_at|NULL]] AS "portcullis_older_secret.ends_at"
    FROM {oauth_consumer} AS o [[LEFT JOIN {portcullis_older_secret} AS q ON q.consumer_id = o.entity_id]]
    WHERE o.entity_id IN (#ids)"#;

const ADMINS: &str = r#"SELECT a.user_id AS "row.id", a.user_id AS "admin_user.user_id",
    a.is_active AS "admin_user.is_active", r.revoke_before AS "jwt_auth_revoked.revoke_before"
    FROM {admin_user} AS a
    LEFT JOIN {jwt_auth_revoked} AS r ON r.user_type_id = 2 AND r.user_id = a.user_id
    WHERE a.user_id IN (#ids)"#;

const CUSTOMERS: &str = r#"SELECT c.entity_id AS "row.id", c.entity_id AS "customer_entity.entity_id",
    c.is_active AS "customer_entity.is_active", c.website_id AS "customer_entity.website_id",
    r.revoke_before AS "jwt_auth_revoked.revoke_before"
    FROM {customer_entity} AS c
    LEFT JOIN {jwt_auth_revoked} AS r ON r.user_type_id = 3 AND r.user_id = c.entity_id
    WHERE c.entity_id IN (#ids)"#;

const SESSION_CUSTOMERS: &str = r#"SELECT c.entity_id AS "row.id", c.entity_id AS "customer_entity.entity_id",
    c.is_active AS "customer_entity.is_active", c.website_id AS "customer_entity.website_id",
    NULL AS "jwt_auth_revoked.revoke_before", c.session_cutoff AS "customer_entity.session_cutoff",
    NULL AS "customer_visitor.created_at"
    FROM {customer_entity} AS c WHERE c.entity_id IN (#ids)"#;

const VISITORS: &str = r#"SELECT v.visitor_id AS "row.id", v.created_at AS "customer_visitor.created_at"
    FROM {customer_visitor} AS v WHERE v.visitor_id IN (#ids)"#;

const SESSION_ADMINS: &str = r#"SELECT a.user_id AS "row.id", a.user_id AS "admin_user.user_id",
    a.is_active AS "admin_user.is_active", NULL AS "jwt_auth_revoked.revoke_before"
    FROM {admin_user} AS a WHERE a.user_id IN (#ids)"#;

const LOGINS: &str = r#"SELECT s.id AS "row.id", s.user_id AS "admin_user_session.user_id",
    s.status AS "admin_user_session.status"
    FROM {admin_user_session} AS s WHERE s.id IN (#ids)"#;

// What a NULL says is told apart from what a text says.
const TABLES: &str = r#"
    SELECT count(*) AS "t.rows", cast(coalesce(sum(crc32(concat_ws(',', role_id, parent_id, tree_level, role_type,
        user_id, quote(user_type), quote(role_name)))), 0) AS signed) AS "t.sum" FROM {authorization_role}
    UNION ALL
    SELECT count(*), cast(coalesce(sum(crc32(concat_ws(',', rule_id, role_id, quote(resource_id), quote(privileges),
        quote(permission)))), 0) AS signed) FROM {authorization_rule}
    UNION ALL
    SELECT count(*), cast(coalesce(sum(crc32(concat_ws(',', config_id, scope, scope_id, path, quote(value)))), 0) AS signed)
    FROM {core_config_data}
    WHERE path LIKE 'oauth/%' OR path LIKE 'webapi/%' OR path LIKE 'customer/%' OR path LIKE 'admin/security/%'"#;

/// What the tables of roles, rules and settings add up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablesMark(Vec<(i64, i64)>);

impl SqlStore {
    /// What the rows of these ids say now; those that are not there are not among them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub(in crate::store) async fn prints_now(
        &self,
        prints: &Prints,
        source: Source,
        ids: &[u64],
    ) -> Result<HashMap<u64, Print>, StoreError> {
        let rows = self.rows_of(statement(source), ids).await?;
        let mut now = HashMap::with_capacity(rows.len());
        for row in &rows {
            let row = Columns(row);
            let id = row.number("row.id")?;
            now.insert(id, print(prints, source, &row).unwrap_or(Prints::absent()));
        }
        Ok(now)
    }

    /// What the tables of roles, rules and settings of a Magento's database add up to.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] on an outage.
    pub async fn tables_mark(&self) -> Result<TablesMark, StoreError> {
        let rows = query(TABLES).fetch_all(&self.pool).await?;
        let sums = rows.iter().map(|row| {
            let row = Columns(row);
            Ok((row.number("t.rows")?, row.number("t.sum")?))
        });
        sums.collect::<Result<_, StoreError>>().map(TablesMark)
    }

    async fn rows_of(&self, statement: &'static str, ids: &[u64]) -> Result<Vec<Row>, StoreError> {
        let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
        let text = self.pool.texts.of(statement).sql.replace(IDS, &ids.join(","));
        let mut opened = On::from(&self.pool).open().await?;
        // Each text is another one: none is worth keeping prepared.
        let found = match opened.begin_statement() {
            Link::Sqlite(link) => {
                let rows = sqlx::query(AssertSqlSafe(text)).persistent(false).fetch_all(link).await;
                rows.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
            Link::MySql(link) => {
                let rows = sqlx::query(AssertSqlSafe(text)).persistent(false).fetch_all(link).await;
                rows.map(|rows| rows.into_iter().map(Row::MySql).collect())
            }
            Link::Postgres(link) => {
                let rows = sqlx::query(AssertSqlSafe(text)).persistent(false).fetch_all(link).await;
                rows.map(|rows| rows.into_iter().map(Row::Postgres).collect())
            }
        };
        opened.end_statement();
        Ok(found?)
    }
}

const fn statement(source: Source) -> &'static str {
    match source {
        Source::Token => TOKENS,
        Source::Consumer => CONSUMERS,
        Source::Admin => ADMINS,
        Source::Customer => CUSTOMERS,
        Source::SessionCustomer => SESSION_CUSTOMERS,
        Source::Visitor => VISITORS,
        Source::SessionAdmin => SESSION_ADMINS,
        Source::Login => LOGINS,
    }
}

/// What a row says.
fn print(prints: &Prints, source: Source, row: &Columns<'_>) -> Result<Print, StoreError> {
    let print = match source {
        Source::Token => {
            let token = row.text("oauth_token.token")?;
            mapper::token(row)?.map(|row| prints.token(token.as_bytes(), &row))
        }
        Source::Consumer => {
            let key = row.text("oauth_consumer.key")?;
            mapper::consumer(row)?.map(|row| prints.consumer(key.as_bytes(), &row))
        }
        Source::Admin | Source::SessionAdmin => mapper::admin(row)?.map(|row| prints.user(&row)),
        Source::Customer => mapper::customer(row)?.map(|row| prints.user(&row)),
        Source::SessionCustomer => mapper::session_customer(row)?.map(|row| prints.session_customer(&row)),
        Source::Visitor => Some(prints.visitor(row.time("customer_visitor.created_at")?)),
        Source::Login => {
            let admin = row.optional_number("admin_user_session.user_id")?;
            let status = row.optional_number("admin_user_session.status")?;
            Some(prints.login(admin.zip(status)))
        }
    };
    Ok(print.unwrap_or(Prints::absent()))
}
