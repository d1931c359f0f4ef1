//! The store that a request chooses beside its path: the parameter `___store`, else the cookie `store`.
//!
//! Magento asks them on REST where the path names no store (MAGENTO_FACTS 26; a `Store` header counts on GraphQL alone). A
//! code that is no store view's is as good as none. Whoever chooses a store by cookie gains nothing: the choice decides
//! in which store a customer may act for himself, and the upstream reads the same cookie.

use crate::auth::route::{StoreScope, StoreView, percent::decode_form};

const PARAMETER: &str = "___store";
const COOKIE: &[u8] = b"store";

impl StoreScope {
    /// The store that query and cookies choose, if they name one. `cookies` are the values of `Cookie`.
    #[must_use]
    #[expect(single_use_lifetimes, reason = "an iterator argument cannot leave its items' lifetime out yet")]
    pub fn chosen<'a>(
        &self,
        query: Option<&str>,
        cookies: impl Iterator<Item = &'a [u8]>,
    ) -> Option<&StoreView> {
        let code = query.and_then(parameter).or_else(|| cookie(cookies))?;
        // `all` is a word of the path, not a store's code.
        if code == "all" { None } else { self.store(&code) }
    }
}

/// The last parameter of the name counts, as in PHP.
fn parameter(query: &str) -> Option<String> {
    if !query.contains("store") {
        return None;
    }
    let mut pairs = query.split('&').rev().filter_map(|piece| piece.split_once('='));
    let (_, value) = pairs.find(|(name, _)| decode_form(name) == PARAMETER)?;
    Some(decode_form(value)).filter(|code| !code.is_empty())
}

/// The first cookie of the name counts, as in PHP.
#[expect(single_use_lifetimes, reason = "an iterator argument cannot leave its items' lifetime out yet")]
fn cookie<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut pairs = values.flat_map(|value| value.split(|byte| *byte == b';'));
    let code = pairs.find_map(|pair| pair.trim_ascii().strip_prefix(COOKIE)?.strip_prefix(b"="))?;
    std::str::from_utf8(code).ok().map(decode_form).filter(|code| !code.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::route::AccountShare;

    fn chosen(query: Option<&str>, cookies: &[&str]) -> Option<u16> {
        let views = [(0, "admin", 0), (1, "default", 1), (3, "w2", 2)]
            .map(|(id, code, website_id)| StoreView { id, code: code.to_owned(), website_id });
        let scope = StoreScope::new(views, Some(1), AccountShare::PerWebsite);
        scope.chosen(query, cookies.iter().map(|value| value.as_bytes())).map(|store| store.id)
    }

    #[test]
    fn the_parameter_outranks_the_cookie() {
        assert_eq!(chosen(Some("a=1&___store=w2"), &["store=default"]), Some(3));
        assert_eq!(chosen(Some("a=1"), &["a=b; store=w2"]), Some(3));
        assert_eq!(chosen(Some("%5F__store=w2"), &[]), Some(3));
        assert_eq!(chosen(Some("___store=default&___store=w2"), &[]), Some(3));
        assert_eq!(chosen(None, &["store=w2; store=default"]), Some(3));
    }

    #[test]
    fn what_is_no_store_code_chooses_nothing() {
        for (query, cookies) in [
            (None, &[][..]),
            (Some("___store=nope"), &[]),
            (Some("___store=all"), &[]),
            (Some("___store=admin"), &[]),
            (Some("___store="), &[]),
            (Some("store=w2"), &[]),
            (None, &["mystore=w2"]),
            (None, &["store"]),
        ] {
            assert_eq!(chosen(query, cookies), None, "{query:?} {cookies:?}");
        }
    }
}
