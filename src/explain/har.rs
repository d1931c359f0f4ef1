//! A HAR file, one of its entries, or the request of one, as browsers and proxies save them.
//!
//! Only the request is read. Pseudo headers of HTTP/2 (`:authority` and its like) say nothing that the URL does not.

use serde::Deserialize;
use serde_json::Value;

use super::{
    inquiry::{Draft, Inquiry, InquiryError},
    percent,
};

#[derive(Deserialize)]
struct RequestJson {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Pair>,
    #[serde(rename = "postData")]
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    #[serde(rename = "mimeType", default)]
    mime_type: String,
    text: Option<String>,
    #[serde(default)]
    params: Vec<Pair>,
}

/// Reads HAR JSON; `entry` is counted from 1.
pub(super) fn read(text: &[u8], entry: Option<usize>) -> Result<Inquiry, InquiryError> {
    let json: Value = serde_json::from_slice(text)
        .map_err(|error| InquiryError::Json { line: error.line(), column: error.column() })?;
    let mut draft = Draft::default();
    let entries = json.pointer("/log/entries").or_else(|| json.get("entries")).unwrap_or(&json);
    let chosen = match entries.as_array() {
        Some(entries) => choose(entries, entry)?,
        None => &json,
    };
    if let Some(started) = chosen.get("startedDateTime").and_then(Value::as_str)
        && let Ok(time) = humantime::parse_rfc3339_weak(started.get(..19).unwrap_or(started))
        && let Ok(since) = time.duration_since(std::time::UNIX_EPOCH)
    {
        let seconds = since.as_secs();
        draft.notes.push(format!(
            "recorded at about {seconds} (if its time is UTC); --at {seconds} judges it as of then"
        ));
    }
    let request = chosen.get("request").unwrap_or(chosen);
    let request = RequestJson::deserialize(request).map_err(|_| InquiryError::NotHar)?;
    build(draft, request)
}

fn choose(entries: &[Value], entry: Option<usize>) -> Result<&Value, InquiryError> {
    let at = match (entry, entries) {
        (Some(number), _) => number.checked_sub(1),
        (None, [_]) => Some(0),
        (None, _) => None,
    };
    at.and_then(|at| entries.get(at)).ok_or(InquiryError::Entry { entries: entries.len() })
}

fn build(mut draft: Draft, request: RequestJson) -> Result<Inquiry, InquiryError> {
    let RequestJson { method, url, headers, post_data } = request;
    draft.method = method;
    draft.call(&url)?;
    for Pair { name, value } in headers {
        if !name.starts_with(':') {
            draft.push(&name, &value);
        }
    }
    if let Some(PostData { mime_type, text, params }) = post_data {
        let from_params = || {
            let encode = |pair: &Pair| {
                format!(
                    "{}={}",
                    percent::encode(pair.name.as_bytes()),
                    percent::encode(pair.value.as_bytes())
                )
            };
            params.iter().map(encode).collect::<Vec<_>>().join("&")
        };
        let is_rebuilt = text.is_none() && !params.is_empty();
        draft.body = text.unwrap_or_else(from_params).into_bytes();
        if is_rebuilt {
            draft.notes.push("the body is rebuilt from the recorded parameters".into());
        }
        if !draft.has("content-type") && !mime_type.is_empty() {
            draft.push("Content-Type", &mime_type);
        }
    }
    draft.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::oauth1::Scheme;

    const REQUEST: &str = r#"{"method":"POST","url":"https://shop.test/rest/V1/x?a=1","httpVersion":"h2",
        "headers":[{"name":":authority","value":"shop.test"},{"name":"X-A","value":"b"}],
        "postData":{"mimeType":"application/json","text":"{}"}}"#;

    #[test]
    fn a_request_an_entry_and_a_file_are_the_same() {
        let entry = format!(r#"{{"startedDateTime":"2026-11-21T12:00:00.123Z","request":{REQUEST}}}"#);
        let file = format!(r#"{{"log":{{"entries":[{{"request":null}},{entry}]}}}}"#);
        let alone = format!(r#"{{"log":{{"entries":[{entry}]}}}}"#);
        for (text, number) in [(REQUEST, None), (&entry, None), (&file, Some(2)), (&alone, None)] {
            let read = Inquiry::read(text.as_bytes(), number).unwrap();
            assert_eq!(read.head.method, "POST");
            assert_eq!(read.head.uri, "/rest/V1/x?a=1");
            assert_eq!(read.head.headers["host"], "shop.test");
            assert_eq!(read.head.headers["x-a"], "b");
            assert_eq!(read.head.headers["content-type"], "application/json");
            assert_eq!(read.body, b"{}");
            assert_eq!(read.called, Some((Scheme::Https, "shop.test".to_owned())));
        }
        let note = Inquiry::read(entry.as_bytes(), None).unwrap().notes.concat();
        assert!(note.contains("--at 1795262400"), "{note}");
    }

    #[test]
    fn a_form_without_text_is_rebuilt() {
        let text = r#"{"method":"POST","url":"http://h/","headers":[],
            "postData":{"mimeType":"application/x-www-form-urlencoded","params":[{"name":"a b","value":"c&"}]}}"#;
        assert_eq!(Inquiry::read(text.as_bytes(), None).unwrap().body, b"a%20b=c%26");
    }

    #[test]
    fn what_is_no_har_says_so() {
        let many = r#"{"log":{"entries":[{},{}]}}"#;
        for (text, number, error) in [
            ("{", None, InquiryError::Json { line: 1, column: 1 }),
            ("{}", None, InquiryError::NotHar),
            ("[]", None, InquiryError::Entry { entries: 0 }),
            (many, None, InquiryError::Entry { entries: 2 }),
            (many, Some(0), InquiryError::Entry { entries: 2 }),
            (many, Some(3), InquiryError::Entry { entries: 2 }),
            (many, Some(1), InquiryError::NotHar),
        ] {
            assert_eq!(Inquiry::read(text.as_bytes(), number).err(), Some(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_json_panics(url in "\\PC{0,40}", method in "\\PC{0,8}", name in "\\PC{0,12}", value in "\\PC{0,12}") {
            let pair = serde_json::json!({"name": name, "value": value});
            let request = serde_json::json!({
                "method": method, "url": url, "headers": [pair], "postData": {"params": [pair]},
            });
            let _ = Inquiry::read(request.to_string().as_bytes(), None);
        }

        #[test]
        fn no_bytes_panic(text: Vec<u8>, entry in 0_usize..3) {
            let _ = Inquiry::read(&text, Some(entry));
        }
    }
}
