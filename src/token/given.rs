//! What a request gives for user name and password, before anybody says that it is enough.
//!
//! Magento converts scalars to text and refuses the rest (`ServiceInputProcessor`); what is `null` counts as not given.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::auth::secret::Secret;

/// A value that was given for a parameter. Whatever it is, it may be a password: nothing of it is shown.
#[derive(Debug, Default)]
pub(super) enum Given {
    /// Not given, or `null`.
    #[default]
    Nothing,
    /// A scalar, as text.
    Text(Secret<String>),
    /// A list or an object.
    Structure,
}

/// The parameters of a login.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pub(super) username: Given,
    pub(super) password: Given,
}

impl Parameters {
    /// Takes a value, if it is for a parameter that is known here; a later one counts.
    pub(super) fn set(&mut self, name: &str, value: Given) {
        match name {
            "username" => self.username = value,
            "password" => self.password = value,
            _ => {}
        }
    }
}

impl Given {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(Secret::new(text.into()))
    }
}

/// Any JSON document; only the members of an object can be parameters.
impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Document;

        impl<'de> Visitor<'de> for Document {
            type Value = Parameters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut parameters = Parameters::default();
                while let Some(name) = members.next_key::<String>()? {
                    parameters.set(&name, members.next_value()?);
                }
                Ok(parameters)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Parameters::default())
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Parameters::default())
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Parameters::default())
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Parameters::default())
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Parameters::default())
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Parameters::default())
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Parameters::default())
            }
        }

        deserializer.deserialize_any(Document)
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;

        impl<'de> Visitor<'de> for Value {
            type Value = Given;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Given, E> {
                Ok(Given::Nothing)
            }

            /// PHP's text of `true` is `1`, of `false` nothing.
            fn visit_bool<E>(self, value: bool) -> Result<Given, E> {
                Ok(Given::text(if value { "1" } else { "" }))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Given, E> {
                Ok(Given::text(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Given, E> {
                Ok(Given::text(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Given, E> {
                Ok(Given::text(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Given, E> {
                Ok(Given::text(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Given, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Given::Structure)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Given, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Given::Structure)
            }
        }

        deserializer.deserialize_any(Value)
    }
}
