//! PostgreSQL: sessions as we need them, the lock of a change, and values as they come.

use sqlx::{
    ConnectOptions as _, Decode, Encode, PgConnection, PgPool, Postgres, Row as _, Type, TypeInfo as _,
    ValueRef as _,
    encode::IsNull,
    error::BoxDynError,
    postgres::{
        PgArgumentBuffer, PgConnectOptions, PgRow, PgTypeInfo, PgValueFormat, PgValueRef, types::Oid,
    },
};

use super::{address::Address, connection::server_pool, timestamp};
use crate::{auth::time::UnixTime, store::StoreError};

/// More than there are statements, so that none is prepared twice on a connection.
const STATEMENTS: usize = 256;
/// What a session is set to: the server ends a statement that nobody waits for any longer, or that waits for a lock in vain.
const SESSION: [(&str, &str); 3] =
    [("statement_timeout", "10s"), ("lock_timeout", "5s"), ("idle_in_transaction_session_timeout", "30s")];
/// `timestamp`, <https://www.postgresql.org/docs/current/catalog-pg-type.html>.
const TIMESTAMP: Oid = Oid(1114);
/// Of the key of our advisory locks in a database: a number of ours, the schema's hash beside it.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1886548, hashtext(current_schema()))";
/// Seconds from 1970 to 2000, where PostgreSQL's times begin.
const EPOCH: i64 = 946_684_800;
const MICROSECONDS: i64 = 1_000_000;

/// Connections that are made when they are needed.
///
/// # Errors
///
/// [`StoreError::Url`].
pub(super) fn pool(address: &Address, url: &str) -> Result<PgPool, StoreError> {
    let options: PgConnectOptions = url.parse().map_err(|_| StoreError::Url("is not a URL of PostgreSQL"))?;
    let options = options
        .application_name("portcullis")
        .options(SESSION)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    Ok(server_pool::<Postgres>(address).connect_lazy_with(options))
}

/// Takes the lock that one change at a time has, and everybody who writes to the feed, until the transaction ends.
///
/// # Errors
///
/// When another one does not come to an end.
pub(super) async fn lock_changes(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(LOCK).execute(connection).await.map(drop)
}

/// A whole number or a truth.
pub(super) fn number(row: &PgRow, column: &str) -> Result<Option<i128>, sqlx::Error> {
    let type_info = row.try_get_raw(column)?.type_info().into_owned();
    Ok(match type_info.name() {
        "BOOL" => row.try_get::<Option<bool>, _>(column)?.map(i128::from),
        "INT2" => row.try_get::<Option<i16>, _>(column)?.map(i128::from),
        "INT4" => row.try_get::<Option<i32>, _>(column)?.map(i128::from),
        _ => row.try_get::<Option<i64>, _>(column)?.map(i128::from),
    })
}

/// A time as text, without a second's parts.
pub(super) fn time(row: &PgRow, column: &str) -> Result<Option<String>, sqlx::Error> {
    let value = row.try_get_raw(column)?;
    if value.type_info().name() == "TEXT" {
        return row.try_get(column);
    }
    let time: Option<PgTime> = row.try_get(column)?;
    // One that cannot be written, such as `infinity`, is no time.
    Ok(time.map(|time| timestamp::format(time.time()).unwrap_or_default()))
}

/// A `timestamp` without a time zone, in UTC: microseconds since 2000.
#[derive(Debug)]
pub(super) struct PgTime(i64);

impl PgTime {
    pub(super) fn of(time: UnixTime) -> Self {
        Self(time.seconds().saturating_sub(EPOCH).saturating_mul(MICROSECONDS))
    }

    fn time(&self) -> UnixTime {
        UnixTime::from_seconds(self.0.div_euclid(MICROSECONDS).saturating_add(EPOCH))
    }
}

impl Type<Postgres> for PgTime {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMP)
    }

    fn compatible(type_info: &PgTypeInfo) -> bool {
        type_info.name() == "TIMESTAMP"
    }
}

impl Encode<'_, Postgres> for PgTime {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend(&self.0.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Postgres> for PgTime {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => Ok(Self(i64::from_be_bytes(value.as_bytes()?.try_into()?))),
            PgValueFormat::Text => Err("a timestamp in text".into()),
        }
    }
}
