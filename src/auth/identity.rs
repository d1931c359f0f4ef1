//! Who is calling: the four user contexts and how each was proven.
//!
//! The numbers are Magento's (`UserContextInterface`): 1 integration, 2 admin, 3 customer, 4 guest. The throttle log
//! numbers them otherwise (2 customer, 3 admin); that is the token module's affair, never this one's.

/// The kind of caller, with Magento's numbers as stored in `oauth_token.user_type` and the JWT claim `utypid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserType {
    /// A third party that signs with OAuth 1.0a, or shows its access token as bearer.
    Integration = 1,
    /// A back-office user.
    Admin = 2,
    /// A customer of the shop.
    Customer = 3,
    /// Nobody in particular.
    Guest = 4,
}

impl UserType {
    /// The type that Magento's number stands for; `None` for any other number.
    #[must_use]
    pub const fn from_magento(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Integration),
            2 => Some(Self::Admin),
            3 => Some(Self::Customer),
            4 => Some(Self::Guest),
            _ => None,
        }
    }

    /// The word for headers, logs and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Integration => "integration",
            Self::Admin => "admin",
            Self::Customer => "customer",
            Self::Guest => "guest",
        }
    }
}

/// How the caller proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// No proof was asked for or given.
    None,
    /// An opaque token of `oauth_token`.
    Bearer,
    /// A JWT issued by Magento or by us.
    Jwt,
    /// An OAuth 1.0a signature.
    Oauth1,
    /// A PHP session, named by a cookie.
    Session,
}

impl AuthMethod {
    /// The word for headers, logs and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bearer => "bearer",
            Self::Jwt => "jwt",
            Self::Oauth1 => "oauth1",
            Self::Session => "session",
        }
    }
}

/// A proven caller. Guests are the absence of proof and carry nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserContext {
    /// Nobody in particular.
    Guest,
    /// A customer of the shop.
    Customer(Customer),
    /// A back-office user, `admin_user.user_id`.
    Admin {
        /// `admin_user.user_id`.
        id: u32,
    },
    /// An integration in state active.
    Integration(Integration),
}

/// A customer who exists and is active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// `customer_entity.entity_id`.
    pub id: u32,
    /// `customer_entity.website_id`; `None` where the account belongs to no website.
    pub website_id: Option<u16>,
}

/// An integration and the consumer whose credentials it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integration {
    /// `integration.integration_id`.
    pub id: u32,
    /// `integration.name`, as stored.
    pub name: String,
    /// `oauth_consumer.entity_id`.
    pub consumer_id: u32,
}

impl UserContext {
    /// The kind of caller.
    #[must_use]
    pub const fn user_type(&self) -> UserType {
        match self {
            Self::Guest => UserType::Guest,
            Self::Customer(_) => UserType::Customer,
            Self::Admin { .. } => UserType::Admin,
            Self::Integration(_) => UserType::Integration,
        }
    }

    /// The caller's id within its kind; `None` for guests.
    #[must_use]
    pub const fn user_id(&self) -> Option<u32> {
        match self {
            Self::Guest => None,
            Self::Customer(customer) => Some(customer.id),
            Self::Admin { id } => Some(*id),
            Self::Integration(integration) => Some(integration.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_caller_has_magentos_number_a_word_and_an_id_of_its_own() {
        let integration = Integration { id: 7, name: "ERP".to_owned(), consumer_id: 9 };
        let customer = Customer { id: 5, website_id: Some(1) };
        for (context, number, word, id) in [
            (UserContext::Integration(integration), 1, "integration", Some(7)),
            (UserContext::Admin { id: 6 }, 2, "admin", Some(6)),
            (UserContext::Customer(customer), 3, "customer", Some(5)),
            (UserContext::Guest, 4, "guest", None),
        ] {
            assert_eq!(Some(context.user_type()), UserType::from_magento(number), "{word}");
            assert_eq!(context.user_type().as_str(), word);
            assert_eq!(context.user_id(), id, "{word}");
        }
        for number in [i64::MIN, -1, 0, 5, i64::MAX] {
            assert_eq!(UserType::from_magento(number), None, "{number}");
        }
    }

    #[test]
    fn each_proof_has_a_word() {
        let words = [
            (AuthMethod::None, "none"),
            (AuthMethod::Bearer, "bearer"),
            (AuthMethod::Jwt, "jwt"),
            (AuthMethod::Oauth1, "oauth1"),
            (AuthMethod::Session, "session"),
        ];
        for (method, word) in words {
            assert_eq!(method.as_str(), word);
        }
    }
}
