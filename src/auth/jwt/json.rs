//! JSON as this module trusts it: no object may name a member twice, at any depth.
//!
//! With equal names two readers see two tokens (RFC 8725 §2.4); `serde_json` and PHP both quietly keep the last. Depth
//! is bounded by `serde_json` (128) and size by the length of a token.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::refusal::JwtRefusal;

/// The members of an object by name.
pub(super) type Members = BTreeMap<String, Json>;

/// A JSON value, as far as a token's rules tell values apart.
#[derive(Debug, PartialEq)]
pub(super) enum Json {
    Boolean(bool),
    /// A number written without fraction and exponent that fits 64 bits.
    Integer(i64),
    Text(String),
    List(Vec<Self>),
    Object(Members),
    /// Null and every other number.
    Other,
}

/// Reads an object; for anything else the caller names the refusal.
pub(super) fn parse_object(text: &[u8], otherwise: JwtRefusal) -> Result<Members, JwtRefusal> {
    match serde_json::from_slice(text) {
        Ok(Json::Object(members)) => Ok(members),
        Ok(Json::Boolean(_) | Json::Integer(_) | Json::Text(_) | Json::List(_) | Json::Other) => {
            Err(otherwise)
        }
        // Any value is welcome here, so the only complaint about data is the one about equal names below.
        Err(error) if error.is_data() => Err(JwtRefusal::DuplicateMember),
        Err(_) => Err(otherwise),
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Other, Json::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut members = Members::new();
        while let Some((name, value)) = entries.next_entry()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member is named twice"));
            }
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<Members, JwtRefusal> {
        parse_object(text, JwtRefusal::Malformed)
    }

    #[test]
    fn only_plain_integers_are_integers() {
        let text = br#"{"a":1,"b":-1,"c":1.0,"d":1e3,"e":-0,"f":9223372036854775808,"g":9223372036854775807,"h":null}"#;
        let members = parse(text).unwrap();
        let mut integers = Vec::new();
        for (name, value) in &members {
            if let Json::Integer(integer) = value {
                integers.push((name.as_str(), *integer));
            }
        }
        assert_eq!(integers, [("a", 1), ("b", -1), ("g", i64::MAX)]);
    }

    #[test]
    fn each_kind_of_value_keeps_its_kind() {
        let members = parse(br#"{"a":true,"b":"x","c":[1,"\n"],"d":{"e":false},"f":1.5,"g":null}"#).unwrap();
        let expected = [
            ("a", Json::Boolean(true)),
            ("b", Json::Text("x".to_owned())),
            ("c", Json::List(vec![Json::Integer(1), Json::Text("\n".to_owned())])),
            ("d", Json::Object([("e".to_owned(), Json::Boolean(false))].into())),
            ("f", Json::Other),
            ("g", Json::Other),
        ];
        assert_eq!(members, expected.map(|(name, value)| (name.to_owned(), value)).into());
    }

    #[test]
    fn equal_names_are_found_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":1}"#, r#"{"x":[{"a":1,"b":2,"a":3}]}"#] {
            assert_eq!(parse(text.as_bytes()), Err(JwtRefusal::DuplicateMember), "{text}");
        }
        assert!(parse(br#"{"a":1,"A":1,"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn whatever_is_no_object_is_malformed() {
        let deep = "[".repeat(4000);
        let deep_object = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        for text in
            ["", "1", "[1,2]", "null", "\"a\"", "{", "{\"a\"}", "{\"a\":1}x", "{a:1}", &deep, &deep_object]
        {
            assert_eq!(parse(text.as_bytes()), Err(JwtRefusal::Malformed), "{text}");
        }
        assert_eq!(parse(b"{\"a\":\"\xff\"}"), Err(JwtRefusal::Malformed));
    }
}
