//! Bytes of an error body, exactly as PHP writes them.
//!
//! JSON is `json_encode` without flags: `/` is escaped and everything outside ASCII becomes `\uXXXX`. XML is what
//! Magento's renderer makes of the same structure, indented by two blanks.

use std::fmt::Write as _;

use super::Value;
use crate::auth::rejection::{Message, Parameters, Rejection};

/// Magento's JSON error body.
pub(super) fn json(message: &Message) -> String {
    let mut out = String::with_capacity(128);
    json_object(&mut out, message);
    out
}

/// Magento's XML error body.
pub(super) fn xml(message: &Message) -> String {
    let mut out = String::from("<?xml version=\"1.0\"?>\n<response>\n");
    xml_members(&mut out, message, 1);
    out.push_str("</response>\n");
    out
}

/// A value alone, in JSON.
pub(super) fn json_value(value: Value<'_>) -> String {
    match value {
        Value::True => "true".to_owned(),
        Value::Text(text) => {
            let mut out = String::with_capacity(text.len() + 2);
            json_string(&mut out, text);
            out
        }
    }
}

/// A value alone, in XML.
pub(super) fn xml_value(value: Value<'_>) -> String {
    let text = match value {
        Value::True => "true",
        Value::Text(text) => text,
    };
    let mut out = String::from("<?xml version=\"1.0\"?>\n");
    xml_leaf(&mut out, "response", text, 0);
    out
}

/// An RFC 9457 problem document.
pub(super) fn problem(rejection: &Rejection) -> String {
    let mut out = String::from("{\"type\":\"about:blank\",\"title\":");
    json_string(&mut out, &rejection.message().rendered_text());
    let _ = write!(out, ",\"status\":{},\"reason\":", rejection.status());
    json_string(&mut out, rejection.reason());
    out.push('}');
    out
}

/// Members in Magento's order: `message`, `errors`, `parameters`.
fn json_object(out: &mut String, message: &Message) {
    out.push_str("{\"message\":");
    json_string(out, &message.rendered_text());
    if !message.errors.is_empty() {
        out.push_str(",\"errors\":[");
        for (index, error) in message.errors.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            json_object(out, error);
        }
        out.push(']');
    }
    match &message.parameters {
        Parameters::None | Parameters::Rendered(_) => {}
        Parameters::Named(name, value) => {
            let _ = write!(out, ",\"parameters\":{{\"{name}\":");
            json_string(out, value);
            out.push('}');
        }
        Parameters::Positional(value) => {
            out.push_str(",\"parameters\":[");
            json_string(out, value);
            out.push(']');
        }
    }
    out.push('}');
}

fn json_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='\u{7f}' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

fn xml_members(out: &mut String, message: &Message, depth: usize) {
    xml_leaf(out, "message", &message.rendered_text(), depth);
    if !message.errors.is_empty() {
        xml_node(out, "errors", depth, |out| {
            for error in &message.errors {
                xml_node(out, "item", depth + 1, |out| xml_members(out, error, depth + 2));
            }
        });
    }
    match &message.parameters {
        Parameters::None | Parameters::Rendered(_) => {}
        Parameters::Named(name, value) => {
            xml_node(out, "parameters", depth, |out| xml_leaf(out, name, value, depth + 1));
        }
        Parameters::Positional(value) => {
            xml_node(out, "parameters", depth, |out| xml_leaf(out, "item", value, depth + 1));
        }
    }
}

fn xml_node(out: &mut String, name: &str, depth: usize, children: impl FnOnce(&mut String)) {
    indent(out, depth);
    let _ = writeln!(out, "<{name}>");
    children(out);
    indent(out, depth);
    let _ = writeln!(out, "</{name}>");
}

fn xml_leaf(out: &mut String, name: &str, text: &str, depth: usize) {
    indent(out, depth);
    let _ = write!(out, "<{name}>");
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' | ' '.. => out.push(character),
            // XML 1.0 section 2.2 has no spelling for other control characters.
            _ => out.push('\u{fffd}'),
        }
    }
    let _ = writeln!(out, "</{name}>");
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::oauth1::problem::OauthProblem;

    #[test]
    fn one_missing_parameter_stands_alone() {
        let message = OauthProblem::ParametersMissing(vec!["oauth_token"]).message();
        assert_eq!(
            json(&message),
            r#"{"message":"\"%fieldName\" is required. Enter and try again.","parameters":{"fieldName":"oauth_token"}}"#
        );
    }

    #[test]
    fn several_missing_parameters_are_listed() {
        let message = OauthProblem::ParametersMissing(vec!["a", "b"]).message();
        assert_eq!(
            json(&message),
            "{\"message\":\"One or more input exceptions have occurred.\",\"errors\":[\
             {\"message\":\"\\\"%fieldName\\\" is required. Enter and try again.\",\"parameters\":{\"fieldName\":\"a\"}},\
             {\"message\":\"\\\"%fieldName\\\" is required. Enter and try again.\",\"parameters\":{\"fieldName\":\"b\"}}]}"
        );
        assert!(xml(&message).contains("  <errors>\n    <item>\n      <message>"));
    }

    #[test]
    fn json_escapes_as_php_does() {
        let message = OauthProblem::SignatureMethodRejected("a/b \"ü\" \u{1F600}\n".to_owned()).message();
        assert_eq!(
            json(&message),
            "{\"message\":\"Signature method %1 is not supported\",\
             \"parameters\":[\"a\\/b \\\"\\u00fc\\\" \\ud83d\\ude00\\n\"]}"
        );
    }

    #[test]
    fn an_empty_parameter_has_both_tags() {
        let message = OauthProblem::VersionRejected(String::new()).message();
        assert!(
            xml(&message).contains("    <item></item>\n"),
            "recorded: Magento writes no empty-element tag"
        );
    }

    #[test]
    fn xml_is_indented_and_escaped() {
        let message = OauthProblem::SignatureMethodRejected("<&\u{0}>".to_owned()).message();
        assert_eq!(
            xml(&message),
            "<?xml version=\"1.0\"?>\n<response>\n  <message>Signature method %1 is not supported</message>\n  \
             <parameters>\n    <item>&lt;&amp;\u{fffd}&gt;</item>\n  </parameters>\n</response>\n"
        );
    }
}
