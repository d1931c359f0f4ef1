//! Takes every secret out of what an explanation says.
//!
//! The steps do not print secrets in the first place. This is the second lock: whatever came with the request as a credential,
//! and whatever the store holds for it, is replaced wherever it turns up, plain or percent-encoded up to twice (a client
//! may have put its token into the path, or a base string holds it). What could drive a terminal is shown as an escape.

use http::{
    HeaderMap,
    header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION},
};
use zeroize::Zeroizing;

use super::percent;
use crate::auth::oauth1::ProtocolParameters;

/// Shorter values are everyday words, and nothing that could be guarded.
const SHORTEST: usize = 6;

/// Longer texts are cut: an explanation is for people.
const LONGEST_TEXT: usize = 8 * 1024;

/// Parts of names whose values are nobody's business.
const SENSITIVE: [&str; 6] = ["token", "secret", "passw", "signature", "session", "credential"];

/// Replaces secrets.
#[derive(Default)]
pub(super) struct Scrubber {
    /// What to look for, longest first, and what stands there instead.
    needles: Vec<(Zeroizing<String>, &'static str)>,
}

impl Scrubber {
    /// A scrubber that knows every credential of a request. A signature is no secret where the operator asked to see it.
    pub(super) fn of_request(
        headers: &HeaderMap,
        query: Option<&str>,
        form: Option<&[u8]>,
        shows_signatures: bool,
    ) -> Self {
        let mut scrubber = Self::default();
        for value in headers.get_all(AUTHORIZATION) {
            scrubber.take_authorization(value.as_bytes(), shows_signatures);
        }
        for value in headers.get_all(PROXY_AUTHORIZATION) {
            value
                .as_bytes()
                .split(u8::is_ascii_whitespace)
                .for_each(|word| scrubber.hide(word, "[credential]"));
        }
        for value in headers.get_all(COOKIE) {
            for cookie in value.as_bytes().split(|byte| *byte == b';') {
                let value = cookie.splitn(2, |byte| *byte == b'=').last().unwrap_or_default();
                scrubber.hide(value.trim_ascii(), "[cookie]");
            }
        }
        scrubber.take_pairs(query.unwrap_or_default(), shows_signatures);
        scrubber.take_pairs(&String::from_utf8_lossy(form.unwrap_or_default()), shows_signatures);
        scrubber
    }

    /// Hides a value from now on, in each of its spellings.
    pub(super) fn hide(&mut self, value: &[u8], instead: &'static str) {
        if value.len() < SHORTEST {
            return;
        }
        let plain = String::from_utf8_lossy(value).into_owned();
        let once = percent::encode(value);
        let twice = percent::encode(once.as_bytes());
        let lower = once.to_ascii_lowercase();
        for text in [plain, once, twice, lower] {
            if !self.needles.iter().any(|(known, _)| **known == text) {
                self.needles.push((Zeroizing::new(text), instead));
            }
        }
        self.needles.sort_by_key(|(needle, _)| std::cmp::Reverse(needle.len()));
    }

    /// The text without secrets, control characters and direction marks, and of a bearable length.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (needle, instead) in &self.needles {
            if text.contains(needle.as_str()) {
                text = text.replace(needle.as_str(), instead);
            }
        }
        if text.len() > LONGEST_TEXT {
            let length = text.len();
            text.truncate(text.floor_char_boundary(LONGEST_TEXT));
            text.push_str(&format!("… ({length} bytes)"));
        }
        text.chars().fold(String::with_capacity(text.len()), |mut out, character| {
            if character.is_control() || is_direction_mark(character) {
                out.extend(character.escape_unicode());
            } else {
                out.push(character);
            }
            out
        })
    }

    fn take_authorization(&mut self, value: &[u8], shows_signatures: bool) {
        let text = String::from_utf8_lossy(value);
        let mut words = text.split_ascii_whitespace().peekable();
        let is_bearer = words.peek().is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"));
        for word in words.skip(1) {
            self.hide_token(word, is_bearer);
        }
        let is_scheme =
            ["bearer", "oauth", "basic"].iter().any(|scheme| scheme.eq_ignore_ascii_case(text.trim()));
        if text.split_ascii_whitespace().nth(1).is_none() && !is_scheme {
            self.hide(text.trim().as_bytes(), "[token]");
        }
        let after_scheme = text.trim_start().split_once(' ').map_or(&*text, |(_, rest)| rest);
        for (name, value) in ProtocolParameters::parse(after_scheme).entries() {
            if let Some(label) = label_of(&String::from_utf8_lossy(name), shows_signatures) {
                self.hide(value, label);
            }
        }
        self.take_assignments(after_scheme, shows_signatures);
    }

    /// Whatever looks like `name="value"`, however broken the header around it is.
    fn take_assignments(&mut self, text: &str, shows_signatures: bool) {
        const ENDS: [char; 7] = [',', ';', '"', '\'', ' ', '\t', '&'];
        for (at, _) in text.match_indices('=') {
            let (before, after) = text.split_at(at);
            let name = before.trim_end_matches(ENDS).rsplit(ENDS).next().unwrap_or_default();
            let value =
                after.trim_start_matches('=').trim_start_matches(ENDS).split(ENDS).next().unwrap_or_default();
            if let Some(label) = label_of(name, shows_signatures) {
                self.hide(value.as_bytes(), label);
                self.hide(&percent::decode(value), label);
            }
        }
    }

    /// A bearer value; of a JWT the signature alone as well. Words with `=` are parameters.
    fn hide_token(&mut self, word: &str, is_bearer: bool) {
        if !is_bearer && word.trim_end_matches('=').contains('=') {
            return;
        }
        self.hide(word.as_bytes(), "[token]");
        if let [_, _, signature] = word.split('.').collect::<Vec<_>>()[..] {
            self.hide(signature.as_bytes(), "[token]");
        }
    }

    fn take_pairs(&mut self, text: &str, shows_signatures: bool) {
        for (name, value) in text.split('&').filter_map(|piece| piece.split_once('=')) {
            let name = String::from_utf8_lossy(&percent::decode(name)).into_owned();
            if let Some(label) = label_of(&name, shows_signatures) {
                self.hide(value.as_bytes(), label);
                self.hide(&percent::decode(&value.replace('+', " ")), label);
            }
        }
    }
}

/// What stands for the value of a parameter of this name; `None` where it may be shown.
fn label_of(name: &str, shows_signatures: bool) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "oauth_token" => Some("[oauth_token]"),
        "oauth_signature_method" => None,
        "oauth_signature" => (!shows_signatures).then_some("[oauth_signature]"),
        _ => SENSITIVE.iter().any(|part| name.contains(part)).then_some("[hidden]"),
    }
}

/// Characters that turn the direction of a terminal's text (Unicode TR36 §3.3).
const fn is_direction_mark(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn scrubber(authorization: &str) -> Scrubber {
        let headers = [(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap())].into_iter().collect();
        Scrubber::of_request(
            &headers,
            Some("password=hun%20ter2&x=harmless"),
            Some(b"my_secret=form+value"),
            false,
        )
    }

    #[test]
    fn every_spelling_of_a_credential_is_replaced() {
        let bearer = scrubber("Bearer abc/def.123456.sig+nature");
        for text in
            ["abc/def.123456.sig+nature", "abc%2Fdef.123456.sig%2Bnature", "sig+nature", "sig%252Bnature"]
        {
            let clean = bearer.clean(&format!("a {text} b"));
            assert_eq!(clean, "a [token] b", "{text}");
        }
        assert_eq!(bearer.clean("x hun ter2 hun%20ter2 harmless"), "x [hidden] [hidden] harmless");
        assert_eq!(bearer.clean("form value"), "[hidden]");
        let oauth = scrubber(
            "OAuth oauth_token=\"tokentoken\", oauth_signature=\"c2ln%2Bbg%3D\", oauth_nonce=\"nonce1\"",
        );
        assert_eq!(oauth.clean("tokentoken c2ln+bg= nonce1"), "[oauth_token] [oauth_signature] nonce1");
    }

    #[test]
    fn nothing_drives_the_terminal() {
        assert_eq!(Scrubber::default().clean("a\u{1b}[2J\u{202e}b\n"), "a\\u{1b}[2J\\u{202e}b\\u{a}");
        assert!(Scrubber::default().clean(&"ü".repeat(LONGEST_TEXT)).len() < LONGEST_TEXT + 40);
    }
}
