//! Stores: which one a REST path is for, and which customers may act there.
//!
//! The first segment after `/rest` is a store code if it equals one, byte for byte, or the word `all`, which means the
//! admin store; otherwise it belongs to the route (`MAGENTO_AUTH` section 11.5, FACT 26). Inactive store views count. The
//! admin store's own code does not.

use hashbrown::HashMap;

use crate::auth::route::Segments;

/// The number of the admin store.
const ADMIN_STORE: u16 = 0;

/// A row of `store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreView {
    /// `store_id`; 0 is the admin store.
    pub id: u16,
    /// `code`.
    pub code: String,
    /// `website_id`.
    pub website_id: u16,
}

/// Where a customer account counts: `customer/account_share/scope`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountShare {
    /// In the stores of the website that it was made in; Magento's default.
    PerWebsite,
    /// In all stores.
    Global,
}

/// The stores of an installation.
#[derive(Debug, Clone)]
pub struct StoreScope {
    by_code: HashMap<String, StoreView>,
    default: Option<StoreView>,
    account_share: AccountShare,
    /// `customer_<website code>` by website, or `customer` where accounts are shared.
    session_namespaces: HashMap<u16, String>,
}

impl StoreScope {
    /// Takes the rows of `store` and the id of the store that a path without a code means.
    #[must_use]
    pub fn new(
        stores: impl IntoIterator<Item = StoreView>,
        default_store_id: Option<u16>,
        account_share: AccountShare,
    ) -> Self {
        let mut admin = StoreView { id: ADMIN_STORE, code: "admin".to_owned(), website_id: 0 };
        let mut default = None;
        let mut by_code = HashMap::new();
        for store in stores {
            if Some(store.id) == default_store_id {
                default = Some(store.clone());
            }
            if store.id == ADMIN_STORE {
                admin = store;
            } else {
                by_code.insert(store.code.clone(), store);
            }
        }
        // A store view that is really called `all` goes first, as in Magento's PathProcessor.
        by_code.entry("all".to_owned()).or_insert(admin);
        Self { by_code, default, account_share, session_namespaces: HashMap::new() }
    }

    /// Takes the rows of `store_website`: number and code.
    #[must_use]
    pub fn with_websites<Code: AsRef<str>>(
        mut self,
        websites: impl IntoIterator<Item = (u16, Code)>,
    ) -> Self {
        self.session_namespaces = websites
            .into_iter()
            .map(|(id, code)| match self.account_share {
                AccountShare::Global => (id, "customer".to_owned()),
                AccountShare::PerWebsite => (id, format!("customer_{}", code.as_ref())),
            })
            .collect();
        self
    }

    /// Where in a session the customer of this store is to be found (FACT 51); `None` if the rows do not say.
    #[must_use]
    pub fn session_namespace(&self, store: &StoreView) -> Option<&str> {
        self.session_namespaces.get(&store.website_id).map(String::as_str)
    }

    /// The store of a path's first segment, or of any other place that names one the way a path does.
    #[must_use]
    pub fn store(&self, code: &str) -> Option<&StoreView> {
        self.by_code.get(code)
    }

    /// Every code that a path may name a store by, in no order.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.by_code.keys().map(String::as_str)
    }

    /// The store of a path without a code; `None` if the rows do not say.
    #[must_use]
    pub const fn default_store(&self) -> Option<&StoreView> {
        self.default.as_ref()
    }

    /// Whether a customer may use `self` routes in this store: it is one of the stores that share his account (FACT 22).
    ///
    /// Stricter than Magento in two places: a customer without a website has no store at all (there the current
    /// website stands in for it, `MAGENTO_AUTH` section 11.3), and the admin store is nobody's.
    #[must_use]
    pub fn customer_may_act(&self, website_id: Option<u16>, store: Option<&StoreView>) -> bool {
        let Some(store) = store.filter(|store| store.id != ADMIN_STORE) else { return false };
        match self.account_share {
            AccountShare::Global => website_id.is_some(),
            AccountShare::PerWebsite => website_id == Some(store.website_id),
        }
    }

    /// Takes a store code off the front of a path.
    pub(super) fn enter<'a>(&self, path: &'a str) -> (Option<&StoreView>, &'a str) {
        let mut segments = Segments::collapsed(path);
        match segments.next().and_then(|code| self.store(code)) {
            Some(store) => (Some(store), segments.remainder()),
            None => (None, path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recorded stores: two of the main website, one of a second, one inactive.
    fn stores() -> Vec<StoreView> {
        [(0, "admin", 0), (1, "default", 1), (2, "de", 1), (3, "w2", 2), (4, "inact", 1)]
            .map(|(id, code, website_id)| StoreView { id, code: code.to_owned(), website_id })
            .to_vec()
    }

    #[test]
    fn a_customer_is_sought_in_the_namespace_of_the_stores_website() {
        let websites = [(0, "admin"), (1, "base"), (2, "second")];
        let per_website =
            StoreScope::new(stores(), Some(1), AccountShare::PerWebsite).with_websites(websites);
        let global = StoreScope::new(stores(), Some(1), AccountShare::Global).with_websites(websites);
        for (code, namespace) in [
            ("default", Some("customer_base")),
            ("de", Some("customer_base")),
            ("w2", Some("customer_second")),
            ("all", Some("customer_admin")),
        ] {
            let store = per_website.store(code).unwrap();
            assert_eq!(per_website.session_namespace(store), namespace, "{code}");
            assert_eq!(global.session_namespace(store), Some("customer"), "{code}");
        }
        let unknown = StoreScope::new(stores(), Some(1), AccountShare::PerWebsite);
        assert_eq!(unknown.session_namespace(unknown.default_store().unwrap()), None);
    }

    #[test]
    fn every_code_of_a_path_is_listed() {
        let scope = StoreScope::new(stores(), Some(1), AccountShare::PerWebsite);
        let mut codes: Vec<_> = scope.codes().collect();
        codes.sort_unstable();
        assert_eq!(codes, ["all", "de", "default", "inact", "w2"]);
    }

    #[test]
    fn only_exact_codes_and_all_name_a_store() {
        let scope = StoreScope::new(stores(), Some(1), AccountShare::PerWebsite);
        let cases = [
            ("default/V1/x", Some(1), "V1/x"),
            ("de//V1/x", Some(2), "V1/x"),
            ("w2", Some(3), ""),
            ("inact/V1/x", Some(4), "V1/x"),
            ("all/V1/x", Some(0), "V1/x"),
            ("admin/V1/x", None, "admin/V1/x"),
            ("DEFAULT/V1/x", None, "DEFAULT/V1/x"),
            ("xx/V1/x", None, "xx/V1/x"),
            ("V1/x", None, "V1/x"),
            ("", None, ""),
        ];
        for (path, store, rest) in cases {
            let (found, left) = scope.enter(path);
            assert_eq!((found.map(|store| store.id), left), (store, rest), "{path}");
        }
        assert_eq!(scope.default_store().map(|store| store.id), Some(1));
        assert_eq!(StoreScope::new(stores(), Some(9), AccountShare::Global).default_store(), None);
    }

    #[test]
    fn a_store_called_all_is_itself() {
        let called_all = StoreView { id: 7, code: "all".to_owned(), website_id: 1 };
        let scope = StoreScope::new([called_all], None, AccountShare::PerWebsite);
        assert_eq!(scope.store("all").map(|store| store.id), Some(7));
    }

    #[test]
    fn customers_act_in_the_stores_that_share_their_account() {
        let websites = [Some(0), Some(1), Some(2), None];
        let codes = ["default", "de", "w2", "inact", "all"];
        let cases = [
            (
                AccountShare::PerWebsite,
                [
                    [false; 5],
                    [true, true, false, true, false],
                    [false, false, true, false, false],
                    [false; 5],
                ],
            ),
            (
                AccountShare::Global,
                [
                    [true, true, true, true, false],
                    [true, true, true, true, false],
                    [true, true, true, true, false],
                    [false; 5],
                ],
            ),
        ];
        for (share, expected) in cases {
            let scope = StoreScope::new(stores(), Some(1), share);
            for (website, expected) in websites.iter().zip(expected) {
                let may = codes.map(|code| scope.customer_may_act(*website, scope.store(code)));
                assert_eq!(may, expected, "{share:?} {website:?}");
                assert!(!scope.customer_may_act(*website, None));
            }
        }
    }
}
