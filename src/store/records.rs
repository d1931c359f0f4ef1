//! Whole rows, for those who create and change integrations and their credentials.
//!
//! A request needs less ([`super::rows`]): these carry what a person edits and what the handshake turns into something
//! else. Names are Magento's columns; secrets are as stored.

use super::rows::TokenType;
use crate::auth::{secret::Secret, time::UnixTime};

/// A row of `oauth_consumer`.
#[derive(Debug, Clone)]
pub struct ConsumerRecord {
    /// `entity_id`.
    pub id: u32,
    /// `name`.
    pub name: String,
    /// `key`: public, it travels in clear.
    pub key: String,
    /// `secret`, encrypted.
    pub secret: Secret<String>,
    /// `callback_url`.
    pub callback_url: Option<String>,
    /// `rejected_callback_url`.
    pub rejected_callback_url: String,
    /// `updated_at`: when the consumer was last posted to; `None` for never.
    pub updated_at: Option<UnixTime>,
    /// The secret before the current one, encrypted, and when it ends.
    pub older_secret: Option<(Secret<String>, UnixTime)>,
}

/// A row of `oauth_token` that belongs to a consumer, or to nobody.
#[derive(Debug, Clone)]
pub struct TokenRecord {
    /// `entity_id`.
    pub id: u32,
    /// `consumer_id`.
    pub consumer_id: Option<u32>,
    /// `type`.
    pub token_type: TokenType,
    /// `token`.
    pub token: Secret<String>,
    /// `secret`: encrypted for access tokens, in clear for the others.
    pub secret: Secret<String>,
    /// `verifier`.
    pub verifier: Option<Secret<String>>,
    /// `created_at`.
    pub created_at: Option<UnixTime>,
    /// When the token ends, if it was rotated out.
    pub ends_at: Option<UnixTime>,
}

/// A row of `integration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegrationRecord {
    /// `integration_id`.
    pub id: u32,
    /// `name`.
    pub name: String,
    /// `email`.
    pub email: String,
    /// `endpoint`: where the verifier is posted.
    pub endpoint: Option<String>,
    /// `identity_link_url`: where a person signs in at the third party.
    pub identity_link_url: Option<String>,
    /// `status`.
    pub status: IntegrationStatus,
    /// `consumer_id`.
    pub consumer_id: Option<u32>,
    /// `setup_type`.
    pub setup_type: SetupType,
}

/// `integration.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegrationStatus {
    /// Not usable.
    Inactive = 0,
    /// Usable.
    Active = 1,
    /// Changed in its configuration file and waiting to be activated again.
    Recreated = 2,
}

impl IntegrationStatus {
    /// The status of a number; what Magento does not write is not usable.
    #[must_use]
    pub const fn from_magento(number: i64) -> Self {
        match number {
            1 => Self::Active,
            2 => Self::Recreated,
            _ => Self::Inactive,
        }
    }
}

/// `integration.setup_type`: who made an integration, and so who may change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SetupType {
    /// A person.
    #[default]
    Manual = 0,
    /// A module's configuration file; its fields are locked (`MAGENTO_AUTH` 12.4).
    Config = 1,
}

/// What a person edits of an integration.
#[derive(Debug, Clone, Copy)]
pub struct IntegrationColumns<'a> {
    /// `name`.
    pub name: &'a str,
    /// `email`.
    pub email: &'a str,
    /// `endpoint`.
    pub endpoint: Option<&'a str>,
    /// `identity_link_url`.
    pub identity_link_url: Option<&'a str>,
    /// `setup_type`.
    pub setup_type: SetupType,
}
