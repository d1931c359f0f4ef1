//! What a cached fact was built from: the rows, by their primary keys, and what they said.
//!
//! Magento's own tables tell nobody that they changed, and a deleted row leaves no trace. So the rows behind a cached fact are
//! read again from time to time and compared (`recheck`). Kept is a number a row and not the row: a keyed hash of everything
//! that the judge reads, and of the credential itself.

use std::hash::{BuildHasher as _, DefaultHasher, Hash, Hasher as _, RandomState};

use super::rows::{ConsumerRow, OauthRows, SessionAdminRow, SessionCustomerRow, TokenRow, UserRow};
use crate::auth::{identity::UserType, session::AdminLogin, time::UnixTime};

/// A table, and what of its rows counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// `oauth_token` with its owner: user, revocation, integration.
    Token,
    /// `oauth_consumer`.
    Consumer,
    /// `admin_user` with its revocation.
    Admin,
    /// `customer_entity` with its revocation.
    Customer,
    /// `customer_entity` with the end of its older sessions.
    SessionCustomer,
    /// `customer_visitor`.
    Visitor,
    /// `admin_user` alone.
    SessionAdmin,
    /// `admin_user_session`.
    Login,
}

impl Source {
    /// Every source; its place is its number.
    pub(super) const ALL: [Self; 8] = [
        Self::Token,
        Self::Consumer,
        Self::Admin,
        Self::Customer,
        Self::SessionCustomer,
        Self::Visitor,
        Self::SessionAdmin,
        Self::Login,
    ];
}

/// What a row said; all rows that are not there say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print(u64);

/// A row, by its primary key, and what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) source: Source,
    pub(super) id: u64,
    pub(super) print: Print,
}

/// The rows behind a fact: none, one or two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Evidence([Option<Piece>; 2]);

impl Evidence {
    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece> {
        self.0.into_iter().flatten()
    }
}

/// Makes prints: with a key of this process, so that nobody can write a row that looks like another.
#[derive(Debug, Default)]
pub(super) struct Prints(RandomState);

impl Prints {
    /// The evidence of an opaque token's fact.
    pub(super) fn of_token(&self, token: &[u8], row: &TokenRow) -> Evidence {
        Evidence([Some(self.token_piece(token, row)), None])
    }

    /// The evidence of an OAuth pair's fact.
    pub(super) fn of_oauth(&self, consumer_key: &[u8], token: &[u8], rows: &OauthRows) -> Evidence {
        let OauthRows { consumer, token: row } = rows;
        let consumer = consumer.as_ref().map(|consumer| Piece {
            source: Source::Consumer,
            id: consumer.id.into(),
            print: self.consumer(consumer_key, consumer),
        });
        Evidence([row.as_ref().map(|row| self.token_piece(token, row)), consumer])
    }

    /// The evidence of a JWT's fact.
    pub(super) fn of_user(&self, user_type: UserType, row: &UserRow) -> Evidence {
        let source = match user_type {
            UserType::Admin => Source::Admin,
            UserType::Customer => Source::Customer,
            UserType::Integration | UserType::Guest => return Evidence::default(),
        };
        Evidence([Some(Piece { source, id: row.id.into(), print: self.user(row) }), None])
    }

    /// The evidence of a customer's session's fact.
    pub(super) fn of_session_customer(&self, visitor_id: Option<u64>, row: &SessionCustomerRow) -> Evidence {
        let customer = Piece {
            source: Source::SessionCustomer,
            id: row.user.id.into(),
            print: self.session_customer(row),
        };
        let visitor =
            visitor_id.map(|id| Piece { source: Source::Visitor, id, print: self.visitor(row.began_at) });
        Evidence([Some(customer), visitor])
    }

    /// The evidence of an admin's session's fact.
    pub(super) fn of_session_admin(&self, login: AdminLogin, row: &SessionAdminRow) -> Evidence {
        let SessionAdminRow { user, status } = row;
        let admin = Piece { source: Source::SessionAdmin, id: user.id.into(), print: self.user(user) };
        let login = login.session_row.map(|id| Piece {
            source: Source::Login,
            id: id.into(),
            print: self.login(status.map(|status| (user.id, status))),
        });
        Evidence([Some(admin), login])
    }

    /// What no row says.
    pub(super) const fn absent() -> Print {
        Print(0)
    }

    pub(super) fn token(&self, token: &[u8], row: &TokenRow) -> Print {
        let TokenRow {
            id,
            token_type,
            user_type,
            consumer_id,
            secret,
            is_revoked,
            created_at,
            user,
            integration,
            ends_at,
        } = row;
        self.print(|hasher| {
            (token, id, token_type, user_type, consumer_id, secret.expose()).hash(hasher);
            (is_revoked, created_at, user, integration, ends_at).hash(hasher);
        })
    }

    pub(super) fn consumer(&self, key: &[u8], row: &ConsumerRow) -> Print {
        let ConsumerRow { id, secret, older_secret } = row;
        let older = older_secret.as_ref().map(|(secret, ends_at)| (secret.expose(), *ends_at));
        self.print(|hasher| (key, id, secret.expose(), older).hash(hasher))
    }

    pub(super) fn user(&self, row: &UserRow) -> Print {
        self.print(|hasher| row.hash(hasher))
    }

    pub(super) fn session_customer(&self, row: &SessionCustomerRow) -> Print {
        // The visitor's row has a print of its own.
        let SessionCustomerRow { user, cutoff, began_at: _ } = row;
        self.print(|hasher| (user, cutoff).hash(hasher))
    }

    pub(super) fn visitor(&self, began_at: Option<UnixTime>) -> Print {
        began_at.map_or(Self::absent(), |began_at| self.print(|hasher| began_at.hash(hasher)))
    }

    /// A login of this admin with this status; another admin's is none.
    pub(super) fn login(&self, login: Option<(u32, i64)>) -> Print {
        login.map_or(Self::absent(), |login| self.print(|hasher| login.hash(hasher)))
    }

    fn token_piece(&self, token: &[u8], row: &TokenRow) -> Piece {
        Piece { source: Source::Token, id: row.id.into(), print: self.token(token, row) }
    }

    fn print(&self, fields: impl FnOnce(&mut DefaultHasher)) -> Print {
        let mut hasher = self.0.build_hasher();
        fields(&mut hasher);
        // Zero is what no row says.
        Print(hasher.finish() | 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::secret::Secret,
        store::rows::{IntegrationRow, TokenType},
    };

    fn row() -> TokenRow {
        TokenRow {
            id: 1,
            token_type: TokenType::Access,
            user_type: Some(1),
            consumer_id: Some(4),
            secret: Secret::new("sealed".to_owned()),
            is_revoked: false,
            created_at: Some(UnixTime::from_seconds(1)),
            user: None,
            integration: Some(IntegrationRow { id: 2, name: "erp".to_owned(), is_active: true }),
            ends_at: None,
        }
    }

    #[test]
    fn whatever_the_judge_reads_makes_another_print() {
        let prints = Prints::default();
        let print = |row: &TokenRow| prints.token(b"t", row);
        assert_eq!(print(&row()), print(&row()));
        let user = UserRow { id: 1, is_active: true, website_id: None, revoke_before: None };
        let integration =
            |name: &str, is_active| Some(IntegrationRow { id: 2, name: name.to_owned(), is_active });
        for changed in [
            TokenRow { id: 2, ..row() },
            TokenRow { token_type: TokenType::Request, ..row() },
            TokenRow { user_type: None, ..row() },
            TokenRow { consumer_id: None, ..row() },
            TokenRow { secret: Secret::new("other".to_owned()), ..row() },
            TokenRow { is_revoked: true, ..row() },
            TokenRow { created_at: None, ..row() },
            TokenRow { user: Some(user), ..row() },
            TokenRow { integration: None, ..row() },
            TokenRow { integration: integration("erp", false), ..row() },
            TokenRow { integration: integration("crm", true), ..row() },
            TokenRow { ends_at: Some(UnixTime::from_seconds(1)), ..row() },
        ] {
            assert_ne!(print(&changed), print(&row()), "{changed:?}");
        }
        assert_ne!(prints.token(b"T", &row()), print(&row()));
        assert_ne!(print(&row()), Prints::absent());
    }

    #[test]
    fn evidence_is_small() {
        assert!(size_of::<Evidence>() <= 56, "{}", size_of::<Evidence>());
    }
}
