//! A login in the query, for clients that put it there (`compat.query_credentials`).
//!
//! PHP's reading of the two names that matter: pieces at `&`, `+` is a blank, brackets make a structure, a later value
//! replaces an earlier one.

use super::given::{Given, Parameters};

/// Takes what the query gives.
pub(super) fn read(query: &str, parameters: &mut Parameters) {
    for piece in query.split('&') {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let name = decoded(name);
        match name.split_once('[') {
            Some((name, _)) => parameters.set(name, Given::Structure),
            None => parameters.set(&name, Given::text(decoded(value))),
        }
    }
}

/// Percent-decoded; what is no escape stands for itself, what is no UTF-8 is replaced and matches nobody.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let (byte, left) = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                (u8::try_from(high << 4 | low).unwrap_or(b'?'), after.get(2..).unwrap_or_default())
            }
            (b'+', _, _) => (b' ', after),
            (byte, _, _) => (*byte, after),
        };
        bytes.push(byte);
        rest = left;
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded_as_php_does() {
        for (query, username, password) in [
            ("username=alice%40example.com&password=a+b%21", Some("alice@example.com"), Some("a b!")),
            ("username=a&username=b&x=1", Some("b"), None),
            ("user%6Eame=a", Some("a"), None),
            ("username&password=%zz%", Some(""), Some("%zz%")),
            ("username[]=a&password[x]=b", None, None),
            ("", None, None),
        ] {
            let mut parameters = Parameters::default();
            read(query, &mut parameters);
            let text = |given: &Given| match given {
                Given::Text(text) => Some(text.expose().clone()),
                Given::Nothing | Given::Structure => None,
            };
            let expected = (username.map(str::to_owned), password.map(str::to_owned));
            assert_eq!((text(&parameters.username), text(&parameters.password)), expected, "{query}");
        }
    }
}
