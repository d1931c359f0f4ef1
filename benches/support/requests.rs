//! The requests that are measured: eleven headers each, as an app or a service sends them.

use portcullis::auth::time::UnixTime;

use super::callers::{CUSTOMER_TOKEN, Integration, customer_jwt};

pub(crate) const HOST: &str = "shop.example.com";

const PRODUCTS: &str = "/rest/default/V1/products";

/// A product search: five parameters, so a signature covers twelve.
const SEARCH: &str = "searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bfield%5D=name\
    &searchCriteria%5Bfilter_groups%5D%5B0%5D%5Bfilters%5D%5B0%5D%5Bvalue%5D=Plain\
    &searchCriteria%5BcurrentPage%5D=1&searchCriteria%5BpageSize%5D=20&fields=items";

/// What every client sends; Host and one header of the caller make it eleven.
const COMMON: [(&str, &str); 9] = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "application/json, text/plain, */*"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br"),
    ("cache-control", "no-cache"),
    ("pragma", "no-cache"),
    ("origin", "https://shop.example.com"),
    ("referer", "https://shop.example.com/catalog/product/view/id/42"),
    ("x-requested-with", "XMLHttpRequest"),
];

/// Who asks, and by which proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Nobody, on a route that is open to all.
    Guest,
    /// Nobody, on a route that needs somebody.
    Refused,
    /// A customer with an opaque token.
    Bearer,
    /// The same customer with a JWT.
    Jwt,
    /// An integration that signs.
    Oauth,
}

/// A request's head.
pub(crate) struct Head {
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Caller {
    pub(crate) const ALL: [Self; 5] = [Self::Guest, Self::Refused, Self::Bearer, Self::Jwt, Self::Oauth];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Refused => "refused",
            Self::Bearer => "bearer",
            Self::Jwt => "jwt",
            Self::Oauth => "oauth",
        }
    }

    pub(crate) fn target(self) -> String {
        match self {
            Self::Guest => "/rest/default/V1/directory/currency".to_owned(),
            Self::Refused => "/rest/default/V1/store/websites".to_owned(),
            Self::Bearer | Self::Jwt => "/rest/default/V1/customers/me".to_owned(),
            Self::Oauth => format!("{PRODUCTS}?{SEARCH}"),
        }
    }

    /// The header that only this caller sends; a guest sends another one instead of a credential.
    pub(crate) fn own_header(self, now: UnixTime) -> (&'static str, String) {
        let credential = match self {
            Self::Guest | Self::Refused => return ("dnt", "1".to_owned()),
            Self::Bearer => format!("Bearer {CUSTOMER_TOKEN}"),
            Self::Jwt => format!("Bearer {}", customer_jwt(now)),
            Self::Oauth => signature(&mut Integration::new(), now),
        };
        ("authorization", credential)
    }

    pub(crate) fn head(self, now: UnixTime) -> Head {
        let mut headers = vec![("host", HOST.to_owned()), self.own_header(now)];
        headers.extend(COMMON.map(|(name, value)| (name, value.to_owned())));
        Head { target: self.target(), headers }
    }
}

/// A fresh signature of [`Caller::Oauth`]'s request.
pub(crate) fn signature(integration: &mut Integration, now: UnixTime) -> String {
    integration.sign(HOST, PRODUCTS, SEARCH, now)
}

impl Head {
    /// The head for hyper's types.
    pub(crate) fn parts(&self) -> http::request::Parts {
        let mut request = http::Request::get(&self.target);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(()).expect("the request is valid").into_parts().0
    }

    /// The same head with another value of a header that it has.
    pub(crate) fn with(mut self, name: &str, value: impl Fn(&str) -> String) -> Self {
        for (own, text) in &mut self.headers {
            if *own == name {
                *text = value(text);
            }
        }
        self
    }

    /// The head as bytes.
    pub(crate) fn text(&self) -> String {
        let lines = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        format!("GET {} HTTP/1.1\r\n{}\r\n", self.target, lines.collect::<String>())
    }
}
