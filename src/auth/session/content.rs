//! What a stored session says about its owner.
//!
//! The text is a row of `name|value`; the names that matter are Magento's namespaces (`MAGENTO_AUTH` section 10.4, FACT
//! 51). A session whose id was changed says which id came after it; it speaks for its owner only as long as the later
//! one still says the same, so that an id planted before a login, or left behind by a logout, is worth nothing.

use super::{
    SessionId,
    value::{Reader, Value},
};
use crate::auth::time::UnixTime;

/// Longer sessions read as empty (`system/security/max_session_size_storefront`).
pub const MAX_SESSION_BYTES: usize = 256_000;

/// Why a stored session cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableSession {
    /// It is longer than [`MAX_SESSION_BYTES`].
    #[error("the session is too long")]
    TooLong,
    /// It is not what PHP writes.
    #[error("the session is malformed")]
    Malformed,
    /// Its values are nested too deep.
    #[error("the session is nested too deep")]
    TooDeep,
    /// It holds too many values.
    #[error("the session holds too many values")]
    TooManyElements,
}

impl UnreadableSession {
    /// The word for the log.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "session_too_long",
            Self::Malformed => "session_malformed",
            Self::TooDeep => "session_too_deep",
            Self::TooManyElements => "session_too_many_values",
        }
    }
}

/// What a session says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionContent {
    /// The customer who is logged in.
    pub customer_id: Option<u32>,
    /// The row of `customer_visitor` that says when the session began.
    pub visitor_id: Option<u64>,
    /// The admin who is logged in.
    pub admin: Option<AdminLogin>,
    /// The id that came after this one.
    pub successor: Option<SessionId>,
    /// When the id was given up; it is honored for a lifetime more.
    pub destroyed: Option<UnixTime>,
}

/// An admin who is logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminLogin {
    /// `admin_user.user_id`.
    pub user_id: u32,
    /// `admin_user_session.id`; absent where Magento's Security module is off.
    pub session_row: Option<u32>,
}

impl SessionContent {
    /// Reads a session; `namespace` is the customer's, `customer_<website code>` or `customer`.
    ///
    /// # Errors
    /// [`UnreadableSession`] for what PHP would not have written, or not at this size.
    pub fn read(text: &[u8], namespace: &str) -> Result<Self, UnreadableSession> {
        if text.len() > MAX_SESSION_BYTES {
            return Err(UnreadableSession::TooLong);
        }
        let mut content = Self::default();
        let mut reader = Reader::new(text);
        // What follows the last delimiter is dropped, as by PHP; of equal names the last one counts.
        while let Some(name) = reader.name(b'|') {
            let value = reader.value()?;
            match name {
                b"default" => content.visitor_id = visitor_id(&value),
                b"admin" => content.admin = admin(&value),
                b"new_session_id" => content.successor = optional(&value, session_id)?,
                b"destroyed" => content.destroyed = optional(&value, time)?,
                name if name == namespace.as_bytes() => content.customer_id = customer_id(&value),
                _ => {}
            }
        }
        Ok(content)
    }

    /// What this session still says after its id was changed, given what the later one says; `None` if the later one was
    /// given up as well: one step is followed, no chain.
    #[must_use]
    pub fn confirmed_by(self, later: &Self) -> Option<Self> {
        let Self { customer_id, visitor_id, admin, successor: _, destroyed } = self;
        if later.successor.is_some() {
            return None;
        }
        Some(Self {
            customer_id: customer_id.filter(|_| customer_id == later.customer_id),
            visitor_id,
            admin: admin.filter(|_| admin == later.admin),
            successor: None,
            destroyed: [destroyed, later.destroyed].into_iter().flatten().min(),
        })
    }
}

/// A customer whom the persistent cookie merely recognized is not logged in (`is_customer_emulated`).
fn customer_id(namespace: &Value<'_>) -> Option<u32> {
    if namespace.get("is_customer_emulated").is_some_and(Value::is_truthy) {
        return None;
    }
    id(namespace.get("customer_id")?)
}

fn visitor_id(namespace: &Value<'_>) -> Option<u64> {
    namespace.get("visitor_data")?.get("visitor_id")?.number()
}

/// The user is an object of some class; its fields lie in the protected property `_data`.
fn admin(namespace: &Value<'_>) -> Option<AdminLogin> {
    let user_id = id(namespace.get("user")?.get("\0*\0_data")?.get("user_id")?)?;
    Some(AdminLogin { user_id, session_row: namespace.get("admin_session_info_id").and_then(id) })
}

fn id(value: &Value<'_>) -> Option<u32> {
    value.number().and_then(|number| u32::try_from(number).ok()).filter(|id| *id > 0)
}

fn session_id(value: &Value<'_>) -> Option<SessionId> {
    if let Value::Text(text) = value { SessionId::parse(text) } else { None }
}

fn time(value: &Value<'_>) -> Option<UnixTime> {
    i64::try_from(value.number()?).ok().map(UnixTime::from_seconds)
}

/// A mark that ends a session must be understood or the session is not.
fn optional<T>(
    value: &Value<'_>,
    read: impl Fn(&Value<'_>) -> Option<T>,
) -> Result<Option<T>, UnreadableSession> {
    if *value == Value::Null {
        return Ok(None);
    }
    read(value).map(Some).ok_or(UnreadableSession::Malformed)
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;

    const CUSTOMER: &[u8] = include_bytes!("../../../tests/vectors/session_customer_files.bin");
    const ADMIN: &[u8] = include_bytes!("../../../tests/vectors/session_admin_files.bin");
    const FILES: &str = include_str!("../../../tests/vectors/session_files.json");
    const REDIS: &str = include_str!("../../../tests/vectors/session_redis.json");

    fn read(text: &str) -> Result<SessionContent, UnreadableSession> {
        SessionContent::read(text.as_bytes(), "customer_base")
    }

    fn decoded(text: &Json) -> Vec<u8> {
        STANDARD.decode(text.as_str().unwrap()).unwrap()
    }

    /// Every recorded session: files, and what Redis held once decompressed.
    fn recorded() -> Vec<Vec<u8>> {
        let files: Vec<Json> = serde_json::from_str(FILES).unwrap();
        let redis: Vec<Json> = serde_json::from_str(REDIS).unwrap();
        let files = files.iter().map(|file| decoded(&file["payload_b64"]));
        let redis = redis.iter().map(|hash| {
            let data = hash.get("data_decompressed_b64");
            decoded(data.unwrap_or_else(|| &hash["fields"]["data"]))
        });
        files.chain(redis).collect()
    }

    #[test]
    fn each_way_to_be_unreadable_has_a_word() {
        for (problem, word) in [
            (UnreadableSession::TooLong, "session_too_long"),
            (UnreadableSession::Malformed, "session_malformed"),
            (UnreadableSession::TooDeep, "session_too_deep"),
            (UnreadableSession::TooManyElements, "session_too_many_values"),
        ] {
            assert_eq!(problem.reason(), word);
        }
    }

    #[test]
    fn recorded_files_are_read() {
        let files: Vec<Json> = serde_json::from_str(FILES).unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!([decoded(&files[0]["payload_b64"]), decoded(&files[1]["payload_b64"])], [CUSTOMER, ADMIN]);
        for file in files {
            let content = SessionContent::read(&decoded(&file["payload_b64"]), "customer_base").unwrap();
            let expect = &file["expect"];
            assert_eq!(content.customer_id.map(Json::from).unwrap_or_default(), expect["customer_id"]);
            let admin = content.admin.map(|admin| Json::from(admin.user_id));
            assert_eq!(admin.unwrap_or_default(), expect["user_id"]);
        }
        let customer = SessionContent::read(CUSTOMER, "customer_base").unwrap();
        assert_eq!(customer.visitor_id, Some(44));
        let admin = SessionContent::read(ADMIN, "customer_base").unwrap().admin;
        assert_eq!(admin, Some(AdminLogin { user_id: 1, session_row: Some(1) }));
    }

    #[test]
    fn recorded_redis_sessions_are_read() {
        let said: Vec<_> = recorded()
            .iter()
            .skip(2)
            .map(|data| SessionContent::read(data, "customer_base").unwrap())
            .map(|content| (content.customer_id, content.admin))
            .collect();
        let admin = |session_row| Some(AdminLogin { user_id: 1, session_row });
        assert_eq!(said, [(None, admin(None)), (None, admin(Some(2))), (Some(1), None), (None, None)]);
    }

    #[test]
    fn a_customer_is_one_in_the_namespace_of_the_website() {
        for (namespace, customer) in
            [("customer_base", Some(1)), ("customer", None), ("customer_second", None), ("", None)]
        {
            let content = SessionContent::read(CUSTOMER, namespace).unwrap();
            assert_eq!(content.customer_id, customer, "{namespace}");
        }
        let shared = b"customer|a:1:{s:11:\"customer_id\";i:7;}";
        assert_eq!(SessionContent::read(shared, "customer").unwrap().customer_id, Some(7));
    }

    #[test]
    fn nobody_is_logged_in_by_an_odd_id() {
        for id in [
            "N;",
            "i:0;",
            "i:-1;",
            "s:1:\"0\";",
            "s:2:\"1 \";",
            "d:1;",
            "b:1;",
            "a:0:{}",
            "R:1;",
            "i:4294967296;",
        ] {
            let text = format!("customer_base|a:1:{{s:11:\"customer_id\";{id}}}");
            assert_eq!(read(&text).unwrap().customer_id, None, "{id}");
        }
        let emulated = "customer_base|a:2:{s:11:\"customer_id\";i:1;s:20:\"is_customer_emulated\";b:1;}";
        assert_eq!(read(emulated).unwrap().customer_id, None);
        assert_eq!(read("customer_base|i:1;").unwrap().customer_id, None);
        // A later namespace of the same name replaces the earlier one.
        let twice = "customer_base|a:1:{s:11:\"customer_id\";i:1;}customer_base|a:0:{}";
        assert_eq!(read(twice).unwrap().customer_id, None);
    }

    #[test]
    fn marks_of_the_end_are_understood_or_nothing_is() {
        let given_up = read("destroyed|i:1795248000;new_session_id|s:3:\"abc\";").unwrap();
        assert_eq!(given_up.destroyed, Some(UnixTime::from_seconds(1_795_248_000)));
        assert_eq!(given_up.successor, SessionId::parse(b"abc"));
        assert_eq!(read("destroyed|N;new_session_id|N;"), Ok(SessionContent::default()));
        for text in
            ["destroyed|b:1;", "destroyed|i:-1;", "new_session_id|s:4:\"../x\";", "new_session_id|i:1;"]
        {
            assert_eq!(read(text), Err(UnreadableSession::Malformed), "{text}");
        }
    }

    #[test]
    fn a_session_that_was_given_up_speaks_only_with_its_successor() {
        let alice = SessionContent { customer_id: Some(1), visitor_id: Some(4), ..SessionContent::default() };
        let nobody = SessionContent::default();
        let at = |seconds| Some(UnixTime::from_seconds(seconds));
        let given_up = |content: &SessionContent, seconds| SessionContent {
            successor: SessionId::parse(b"later"),
            destroyed: at(seconds),
            ..content.clone()
        };
        let confirmed = given_up(&alice, 5).confirmed_by(&alice).unwrap();
        assert_eq!(
            (confirmed.customer_id, confirmed.visitor_id, confirmed.destroyed),
            (Some(1), Some(4), at(5))
        );
        // An id from before the login must not become the customer's, nor outlive the logout.
        assert_eq!(given_up(&nobody, 5).confirmed_by(&alice).unwrap().customer_id, None);
        assert_eq!(given_up(&alice, 5).confirmed_by(&nobody).unwrap().customer_id, None);
        assert_eq!(given_up(&alice, 5).confirmed_by(&given_up(&alice, 6)), None);
    }

    #[test]
    fn what_is_no_session_is_refused_or_empty() {
        assert_eq!(read(""), Ok(SessionContent::default()));
        assert_eq!(read("no delimiter"), Ok(SessionContent::default()));
        assert_eq!(read("customer_base|"), Err(UnreadableSession::Malformed));
        assert_eq!(read("a|i:1;b|x"), Err(UnreadableSession::Malformed));
        let long = format!("a|s:256000:\"{}\";", "x".repeat(256_000));
        assert_eq!(read(&long), Err(UnreadableSession::TooLong));
        let text = "x".repeat(MAX_SESSION_BYTES - r#"a|s:255986:"";"#.len());
        let longest = format!("a|s:{}:\"{text}\";", text.len());
        assert_eq!((longest.len(), read(&longest)), (MAX_SESSION_BYTES, Ok(SessionContent::default())));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text: Vec<u8>) {
            let _ = SessionContent::read(&text, "customer_base");
        }

        #[test]
        fn no_mutated_session_makes_it_panic(
            which in 0..6_usize,
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..8),
        ) {
            let mut text = recorded().swap_remove(which);
            for (at, byte, edit) in edits {
                let at = at.index(text.len());
                match edit {
                    0 => text[at] = byte,
                    1 => text.insert(at, byte),
                    _ => text.truncate(at.max(1)),
                }
            }
            let _ = SessionContent::read(&text, "customer_base");
        }

        #[test]
        fn no_text_of_its_own_characters_makes_it_panic(text in "[aOsiNbdCrRE|:;{}\"0-9]{0,200}") {
            let _ = SessionContent::read(text.as_bytes(), "customer_base");
        }
    }
}
