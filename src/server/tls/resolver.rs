//! Which certificate a client is shown: the one that bears the name it asks for, else the first.
//!
//! A name stands for itself before a wildcard does, and a wildcard for one label (RFC 6125 section 6.4.3). Where two
//! certificates bear a name the earlier one is shown.

use std::{collections::HashMap, sync::Arc};

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// Certificates by name.
#[derive(Debug)]
pub(super) struct Resolver {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
}

impl Resolver {
    /// Shows these; `strict` shows nobody a certificate that was not asked for.
    pub(super) fn new(certificates: Vec<(Vec<String>, Arc<CertifiedKey>)>, strict: bool) -> Self {
        let first = certificates.first().filter(|_| !strict).map(|(_, key)| Arc::clone(key));
        let mut by_name = HashMap::new();
        for (names, key) in certificates {
            for name in names {
                by_name.entry(name).or_insert_with(|| Arc::clone(&key));
            }
        }
        Self { by_name, first }
    }

    fn named(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let wildcard = || self.by_name.get(&format!("*.{}", name.split_once('.')?.1));
        self.by_name.get(&name).or_else(wildcard)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.named(name));
        named.or(self.first.as_ref()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::sign::any_supported_type;

    use super::*;

    fn key() -> Arc<CertifiedKey> {
        let pair = rcgen::KeyPair::generate().unwrap();
        let key = any_supported_type(&pair.serialize_der().try_into().unwrap()).unwrap();
        Arc::new(CertifiedKey::new(Vec::new(), key))
    }

    #[test]
    fn a_name_stands_before_a_wildcard_and_a_wildcard_for_one_label() {
        let (wide, exact, late) = (key(), key(), key());
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let resolver = Resolver::new(
            vec![
                (names(&["*.shop.test", "shop.test"]), Arc::clone(&wide)),
                (names(&["api.shop.test"]), Arc::clone(&exact)),
                (names(&["shop.test"]), late),
            ],
            false,
        );
        for (name, expected) in [
            ("api.shop.test", Some(&exact)),
            ("API.Shop.test", Some(&exact)),
            ("www.shop.test", Some(&wide)),
            ("shop.test", Some(&wide)),
            ("a.b.shop.test", None),
            ("test", None),
            ("evil.test", None),
        ] {
            let found = resolver.named(name);
            assert_eq!(found.map(Arc::as_ptr), expected.map(Arc::as_ptr), "{name}");
        }
        assert!(resolver.first.is_some());
        assert!(Resolver::new(vec![(Vec::new(), key())], true).first.is_none());
    }
}
