//! The session cookie of a request, read as PHP reads it.
//!
//! PHP splits at `;`, drops blanks before a name, keeps the name as it stands and the first of several equal ones
//! (recorded: `session/two_cookies__self`). Other readers keep the last. A request with two of them could mean two callers,
//! so it names none here and is refused by whoever asked.

use super::SessionId;

/// Why a request's session cookie names no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSessionCookie {
    /// It cannot be an id.
    #[error("the session cookie holds no session id")]
    Illegal,
    /// There is more than one.
    #[error("there is more than one session cookie")]
    Ambiguous,
}

/// Finds the id in the cookie called `name` among all `Cookie` headers of a request; `None` where there is no such cookie.
///
/// # Errors
/// [`BadSessionCookie`] for a cookie that names no session, or for two.
pub fn session_cookie(
    headers: &mut dyn Iterator<Item = &[u8]>,
    name: &str,
) -> Result<Option<SessionId>, BadSessionCookie> {
    let mut found =
        headers.flat_map(|value| value.split(|byte| *byte == b';')).filter_map(|pair| value_of(pair, name));
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(BadSessionCookie::Ambiguous),
        (Some(value), None) => SessionId::from_cookie(value).map(Some).ok_or(BadSessionCookie::Illegal),
    }
}

/// The value of a pair that PHP files under `name`. `name[x]=…` makes an array of that name; a name alone is empty.
fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let rest = pair.trim_ascii_start().strip_prefix(name.as_bytes())?;
    match rest.split_first() {
        None => Some(b""),
        Some((b'=', value)) => Some(value),
        Some((b'[', _)) => Some(rest),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(headers: &[&str]) -> String {
        match session_cookie(&mut headers.iter().map(|value| value.as_bytes()), "PHPSESSID") {
            Ok(None) => "absent".to_owned(),
            Ok(Some(id)) => id.as_str().to_owned(),
            Err(BadSessionCookie::Illegal) => "illegal".to_owned(),
            Err(BadSessionCookie::Ambiguous) => "ambiguous".to_owned(),
        }
    }

    #[test]
    fn one_cookie_of_the_name_counts() {
        let cases: [(&[&str], &str); 19] = [
            (&[], "absent"),
            (&[""], "absent"),
            (&["PHPSESSID=abc"], "abc"),
            (&["a=1; PHPSESSID=abc; b=2"], "abc"),
            (&["a=1;PHPSESSID=abc;b=2"], "abc"),
            (&["a=1", "\t PHPSESSID=abc"], "abc"),
            (&["PHPSESSID=abc ; a=1"], "illegal"),
            (&["phpsessid=abc"], "absent"),
            (&["XPHPSESSID=abc; PHPSESSID2=x; PHPSESSID =y"], "absent"),
            (&["%50HPSESSID=abc"], "absent"),
            (&["a=1, PHPSESSID=abc"], "absent"),
            (&["PHPSESSID="], "illegal"),
            (&["PHPSESSID"], "illegal"),
            (&["PHPSESSID=../../x"], "illegal"),
            (&["PHPSESSID=a=b"], "illegal"),
            (&["PHPSESSID[x]=abc"], "illegal"),
            (&["PHPSESSID=bogus; PHPSESSID=abc"], "ambiguous"),
            (&["PHPSESSID=abc", "PHPSESSID=abc"], "ambiguous"),
            (&["PHPSESSID; PHPSESSID[]=abc"], "ambiguous"),
        ];
        for (headers, expected) in cases {
            assert_eq!(word(headers), expected, "{headers:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(value: Vec<u8>) {
            let _ = session_cookie(&mut std::iter::once(value.as_slice()), "PHPSESSID");
        }
    }
}
