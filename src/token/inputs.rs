//! From a request's body (and, by setting, its query) to a user name and a password, with Magento's refusals on the way.
//!
//! The media type decides how a body is read (`MAGENTO_AUTH` section 6.2); an empty one is read as nothing, whatever its
//! type. What is missing is named before what is empty, because Magento's REST layer looks before its service does.

use http::HeaderValue;

use super::{
    given::{Given, Parameters as Asked},
    query, xml,
};
use crate::auth::{
    rejection::{Message, Parameters, Rejection},
    secret::Secret,
};

/// A user name and a password; neither is known to be right.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) password: Secret<String>,
}

/// Reads a body that nothing is asked of.
///
/// # Errors
/// [`Rejection::InvalidInput`] where it cannot be read.
pub(super) fn check(content_type: Option<&HeaderValue>, body: &[u8]) -> Result<(), Rejection> {
    read(content_type, body).map(drop)
}

/// Reads a login from a body, and from a query if that counts: what stands there wins, as for Magento.
///
/// # Errors
/// [`Rejection::InvalidInput`] where it cannot be read, or something is missing.
pub(super) fn login(
    content_type: Option<&HeaderValue>,
    body: &[u8],
    query: Option<&str>,
) -> Result<Login, Rejection> {
    let mut given = read(content_type, body)?;
    if let Some(query) = query {
        query::read(query, &mut given);
    }
    let Asked { username, password } = given;
    let missing: Vec<_> = [("username", &username), ("password", &password)]
        .into_iter()
        .filter_map(|(name, value)| matches!(value, Given::Nothing).then_some(name))
        .collect();
    // Magento converts one parameter after the other: a structure is told before what is missing behind it.
    match (username, password) {
        (Given::Structure, _) => Err(not_text()),
        (_, Given::Structure) => Err(not_text()),
        (Given::Text(username), Given::Text(password)) => {
            Ok(Login { username: username.expose().clone(), password })
        }
        (Given::Nothing, _) | (_, Given::Nothing) => Err(required(&missing)),
    }
}

/// `"%fieldName" is required`, one or several.
pub(super) fn required(names: &[&'static str]) -> Rejection {
    let one = |name: &&'static str| Message {
        text: "\"%fieldName\" is required. Enter and try again.",
        errors: Vec::new(),
        parameters: Parameters::Named("fieldName", (*name).to_owned()),
    };
    let mut errors: Vec<_> = names.iter().map(one).collect();
    Rejection::InvalidInput(match (errors.pop(), errors.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            errors.extend(last);
            Message { errors, ..Message::plain("One or more input exceptions have occurred.") }
        }
    })
}

fn read(content_type: Option<&HeaderValue>, body: &[u8]) -> Result<Asked, Rejection> {
    // PHP's falsehood: an empty text, and `0`.
    if body.is_empty() || body == b"0" {
        return Ok(Asked::default());
    }
    let text = || std::str::from_utf8(body).map_err(|_| undecodable());
    match media_type(content_type)? {
        "application/json" => serde_json::from_slice(body).map_err(|_| undecodable()),
        "application/xml" | "application/xhtml+xml" | "text/xml" => {
            xml::read(text()?).map_err(|xml::NotXml| undecodable())
        }
        other => Err(Rejection::InvalidInput(Message {
            text: "Server cannot understand Content-Type HTTP header media type %1",
            errors: Vec::new(),
            parameters: Parameters::Rendered(other.to_owned()),
        })),
    }
}

/// The media type, by the expression that Magento reads it with: `^([a-z\d/\-+.]+)(?:; *charset=(.+))?$`, any case.
fn media_type(value: Option<&HeaderValue>) -> Result<&str, Rejection> {
    let refused = |text| Err(Rejection::InvalidInput(Message::plain(text)));
    let Some(value) = value.filter(|value| !value.is_empty() && *value != "0") else {
        return refused("Content-Type header is empty.");
    };
    let value = value.to_str().unwrap_or_default();
    let (media_type, charset) = match value.split_once(';') {
        None => (value, None),
        Some((media_type, parameter)) => (media_type, Some(charset(parameter))),
    };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"/-+.".contains(&byte);
    match charset {
        _ if media_type.is_empty() || !media_type.bytes().all(is_token) => {
            refused("Content-Type header is invalid.")
        }
        Some(None | Some("")) => refused("Content-Type header is invalid."),
        Some(Some(charset)) if !charset.eq_ignore_ascii_case("utf-8") => {
            refused("UTF-8 is the only supported charset.")
        }
        Some(Some(_)) | None => Ok(media_type),
    }
}

fn charset(parameter: &str) -> Option<&str> {
    let parameter = parameter.trim_start_matches(' ');
    let (name, value) = parameter.split_at_checked("charset=".len())?;
    name.eq_ignore_ascii_case("charset=").then_some(value)
}

fn undecodable() -> Rejection {
    Rejection::InvalidInput(Message::plain("Decoding error."))
}

/// `TypeProcessor` names the kind of value, not the value.
fn not_text() -> Rejection {
    Rejection::InvalidInput(Message::plain(
        "The \"array\" value's type is invalid. The \"string\" type was expected. Verify and try again.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(content_type: Option<&'static str>, body: &str) -> Result<(String, String), String> {
        let content_type = content_type.map(HeaderValue::from_static);
        let login = login(content_type.as_ref(), body.as_bytes(), None);
        login.map(|login| (login.username, login.password.expose().clone())).map_err(|rejection| {
            assert_eq!(rejection.status(), 400);
            let message = rejection.message();
            let fields = |message: &Message| match &message.parameters {
                Parameters::Named(_, field) => format!("[{field}]"),
                Parameters::None | Parameters::Positional(_) | Parameters::Rendered(_) => String::new(),
            };
            let errors: String = message.errors.iter().map(fields).collect();
            format!("{}{}{errors}", message.rendered_text(), fields(&message))
        })
    }

    const REQUIRED: &str = "\"%fieldName\" is required. Enter and try again.";
    const SEVERAL: &str = "One or more input exceptions have occurred.";
    const TYPE: &str =
        "The \"array\" value's type is invalid. The \"string\" type was expected. Verify and try again.";

    #[test]
    fn json_gives_what_magento_takes_from_it() {
        let json = Some("application/json");
        let login = |name: &str, password: &str| Ok((name.to_owned(), password.to_owned()));
        for (body, expected) in [
            (r#"{"username":"a","password":"b"}"#, login("a", "b")),
            (r#"{"username":"a","password":"b","x":{"y":[1]}}"#, login("a", "b")),
            (r#"{"username":"a","username":"c","password":"b"}"#, login("c", "b")),
            (r#"{"username":1,"password":2.5}"#, login("1", "2.5")),
            (r#"{"username":true,"password":false}"#, login("1", "")),
            (r#"{"username":"","password":""}"#, login("", "")),
            ("{}", Err(format!("{SEVERAL}[username][password]"))),
            ("[]", Err(format!("{SEVERAL}[username][password]"))),
            ("\"text\"", Err(format!("{SEVERAL}[username][password]"))),
            ("7", Err(format!("{SEVERAL}[username][password]"))),
            ("null", Err(format!("{SEVERAL}[username][password]"))),
            ("", Err(format!("{SEVERAL}[username][password]"))),
            ("0", Err(format!("{SEVERAL}[username][password]"))),
            (r#"{"username":null,"password":null}"#, Err(format!("{SEVERAL}[username][password]"))),
            (r#"{"username":"a"}"#, Err(format!("{REQUIRED}[password]"))),
            (r#"{"password":"a"}"#, Err(format!("{REQUIRED}[username]"))),
            (r#"{"username":["a"],"password":"b"}"#, Err(TYPE.to_owned())),
            (r#"{"username":"a","password":{}}"#, Err(TYPE.to_owned())),
            (r#"{"username":"#, Err("Decoding error.".to_owned())),
            (r#"{"username":"a","password":"b"} x"#, Err("Decoding error.".to_owned())),
        ] {
            assert_eq!(told(json, body), expected, "{body}");
        }
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(told(json, &deep), Err("Decoding error.".to_owned()));
    }

    #[test]
    fn the_media_type_is_held_to_magentos_expression() {
        let body = r#"{"username":"a","password":"b"}"#;
        let unknown = "Server cannot understand Content-Type HTTP header media type";
        for (content_type, expected) in [
            (Some("application/json"), Ok(())),
            (Some("application/json; charset=utf-8"), Ok(())),
            (Some("application/json;charset=UTF-8"), Ok(())),
            (Some("application/json;  CHARSET=utf-8"), Ok(())),
            (None, Err("Content-Type header is empty.".to_owned())),
            (Some(""), Err("Content-Type header is empty.".to_owned())),
            (Some("application/json ; charset=utf-8"), Err("Content-Type header is invalid.".to_owned())),
            (Some("application/json; boundary=x"), Err("Content-Type header is invalid.".to_owned())),
            (Some("application/json;"), Err("Content-Type header is invalid.".to_owned())),
            (Some("*/*"), Err("Content-Type header is invalid.".to_owned())),
            (
                Some("application/json; charset=iso-8859-1"),
                Err("UTF-8 is the only supported charset.".to_owned()),
            ),
            (
                Some("application/json; charset=\"utf-8\""),
                Err("UTF-8 is the only supported charset.".to_owned()),
            ),
            (Some("Application/JSON"), Err(format!("{unknown} Application/JSON"))),
            (
                Some("application/x-www-form-urlencoded"),
                Err(format!("{unknown} application/x-www-form-urlencoded")),
            ),
        ] {
            assert_eq!(told(content_type, body).map(drop), expected, "{content_type:?}");
        }
        for xml in ["application/xml", "text/xml", "application/xhtml+xml"] {
            assert_eq!(told(Some(xml), body), Err("Decoding error.".to_owned()));
            let body = "<r><username>a</username><password>b</password></r>";
            assert_eq!(told(Some(xml), body), Ok(("a".to_owned(), "b".to_owned())));
        }
    }
}
