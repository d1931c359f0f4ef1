//! What PHP stored under a session id, and the cookie that names it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::auth::session::{SessionContent, SessionId, session_cookie};

fuzz_target!(|bytes: &[u8]| {
    for namespace in ["customer_base", "customer"] {
        let first = SessionContent::read(bytes, namespace);
        let second = SessionContent::read(bytes, namespace);
        assert_eq!(format!("{first:?}"), format!("{second:?}"));
        if let Ok(content) = &first {
            assert_ne!(content.customer_id, Some(0), "0 is nobody");
        }
    }
    if let Some(id) = SessionId::parse(bytes) {
        assert!(id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b",-".contains(&byte)));
    }
    let _ = session_cookie(&mut bytes.split(|byte| *byte == b'\n'), "PHPSESSID");
});
