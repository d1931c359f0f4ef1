//! Which of Magento's entrances a path is for.
//!
//! Each entrance has its own order of user contexts (`MAGENTO_AUTH` section 1.2), and paths outside of them are not
//! authenticated at all. The words are case-sensitive and matched as sent (FACT 26); a path that becomes an entrance
//! only by decoding is refused, for an upstream that decodes first would let in what nobody has checked.

use crate::auth::{
    rejection::Malformation,
    route::{
        CanonicalPath, Segments,
        percent::{Decode, decode},
    },
};

/// An entrance of Magento.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door<'a> {
    /// `/rest`, and what follows it.
    Rest(RestPath<'a>),
    /// `/graphql`.
    Graphql,
    /// `/soap`.
    Soap,
    /// `/oauth/token`, the handshake, and which of its steps.
    OauthToken(Option<HandshakeStep>),
    /// None of them.
    Elsewhere,
}

/// A step of the handshake, by the third segment. Magento reads further segments as names and values of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandshakeStep {
    /// `/oauth/token/request`.
    Request,
    /// `/oauth/token/access`.
    Access,
}

/// What follows `/rest`: store code, then route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestPath<'a>(pub(super) &'a str);

impl<'a> CanonicalPath<'a> {
    /// The entrance: `rest`, `graphql`, `soap` or `oauth/token`, after an optional `pub` and an optional `index.php`.
    ///
    /// # Errors
    /// [`Malformation::DisguisedRoute`] if only the decoded path is an entrance.
    pub fn door(self) -> Result<Door<'a>, Malformation> {
        let door = door_of(self.segments());
        let is_vague = matches!(door, Door::Elsewhere | Door::OauthToken(None));
        let is_disguised = is_vague
            && self.as_str().contains('%')
            && door_of(Segments::collapsed(&decode(self.as_str(), Decode::All))) != door;
        if is_disguised { Err(Malformation::DisguisedRoute) } else { Ok(door) }
    }
}

fn door_of(mut segments: Segments<'_>) -> Door<'_> {
    let mut word = segments.next();
    for entry in ["pub", "index.php"] {
        if word == Some(entry) {
            word = segments.next();
        }
    }
    match word {
        Some("rest") => Door::Rest(RestPath(segments.remainder())),
        Some("graphql") => Door::Graphql,
        Some("soap") => Door::Soap,
        Some("oauth") if segments.next() == Some("token") => Door::OauthToken(match segments.next() {
            Some("request") => Some(HandshakeStep::Request),
            Some("access") => Some(HandshakeStep::Access),
            Some(_) | None => None,
        }),
        _ => Door::Elsewhere,
    }
}

impl<'a> RestPath<'a> {
    /// What follows `/rest`, as received, without leading slashes.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether Magento would cut this path, or this query, at a second `/rest`.
    ///
    /// `Framework\Webapi\Request` removes everything up to `/rest` by a replacement that is not anchored, repeats, and
    /// runs before the query is cut. So Magento reads both `/rest/V1/x/rest/V1/orders` and
    /// `/rest/V1/x?y=/rest/V1/orders` as `/V1/orders`, and no SKU that starts with `rest` can be read from it. Where the
    /// upstream is a Magento that trusts our headers, such a request must not be forwarded.
    #[must_use]
    pub fn names_rest_again(self, query: Option<&str>) -> bool {
        self.0.starts_with("rest")
            || [self.0, query.unwrap_or_default()].iter().any(|text| text.contains("/rest"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(path: &str) -> Result<Door<'_>, Malformation> {
        CanonicalPath::parse(path).unwrap().door()
    }

    #[test]
    fn doors_open_by_every_path_form() {
        for (path, expected) in [
            ("/rest", Door::Rest(RestPath(""))),
            ("/rest/", Door::Rest(RestPath(""))),
            ("/rest/V1/orders/", Door::Rest(RestPath("V1/orders/"))),
            ("//rest//V1//orders", Door::Rest(RestPath("V1//orders"))),
            ("/index.php/rest/V1", Door::Rest(RestPath("V1"))),
            ("/pub/rest/V1", Door::Rest(RestPath("V1"))),
            ("/pub/index.php/rest/all/V1", Door::Rest(RestPath("all/V1"))),
            ("/rest/V1/products/A%2FB", Door::Rest(RestPath("V1/products/A%2FB"))),
            ("/graphql", Door::Graphql),
            ("/index.php/graphql/x", Door::Graphql),
            ("/soap/default", Door::Soap),
            ("/oauth/token/request", Door::OauthToken(Some(HandshakeStep::Request))),
            ("/oauth/token/request/x/1", Door::OauthToken(Some(HandshakeStep::Request))),
            ("/oauth/token", Door::OauthToken(None)),
            ("/oauth/token/Request", Door::OauthToken(None)),
            ("/pub/oauth//token/access", Door::OauthToken(Some(HandshakeStep::Access))),
            ("/oauth/tokens", Door::Elsewhere),
            ("/oauth", Door::Elsewhere),
            ("/", Door::Elsewhere),
            ("/REST/V1", Door::Elsewhere),
            ("/restV1", Door::Elsewhere),
            ("/rest;x/V1", Door::Elsewhere),
            ("/shop/rest/V1", Door::Elsewhere),
            ("/index.php/index.php/rest", Door::Elsewhere),
            ("/catalog/a%2Fb%20c", Door::Elsewhere),
        ] {
            assert_eq!(door(path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn an_encoded_door_is_refused() {
        for path in [
            "/%72est/V1",
            "/r%65st",
            "/rest%2FV1/orders",
            "%2Frest/V1",
            "/%2Frest/V1",
            "/%70ub/rest/V1",
            "/pub%2frest",
            "/index%2Ephp/rest/V1",
            "/graph%71l",
            "/%73oap",
            "/oauth%2Ftoken",
            "/oauth/t%6Fken/request",
            "/oauth/token/%72equest",
            "/oauth/token%2Faccess",
            "/%6Fauth/token",
        ] {
            if let Ok(path) = CanonicalPath::parse(path) {
                assert_eq!(path.door(), Err(Malformation::DisguisedRoute), "{path:?}");
            }
        }
    }

    #[test]
    fn a_second_rest_is_seen_in_path_and_query() {
        let cases = [
            ("/rest/V1/orders", None, false),
            ("/rest/V1/forest/interest", Some("a=rest&b=forest"), false),
            ("/rest/V1/x/rest/V1/orders", None, true),
            ("/rest/rest/V1/orders", None, true),
            ("/rest/V1/products/restless", None, true),
            ("/rest/V1/directory/currency", Some("x=/rest/V1/orders"), true),
            ("/rest/V1/directory/currency", Some("x=%2Frest/V1/orders"), false),
        ];
        for (path, query, expected) in cases {
            let Ok(Door::Rest(rest)) = door(path) else { panic!("{path}") };
            assert_eq!(rest.names_rest_again(query), expected, "{path} {query:?}");
        }
    }
}
