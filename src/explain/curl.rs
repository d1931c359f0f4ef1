//! A curl command line: the request that curl would send.
//!
//! Only what shapes the request is understood; what moves output, checks certificates or follows redirects is skipped. Files
//! that an option names are not read: a body from a file is missing here, and a note says so.

use super::{
    inquiry::{Draft, Inquiry, InquiryError},
    percent, shell,
};

/// Options with a value that do not shape the request; their value must not be taken for the URL.
const SKIPPED: [&str; 40] = [
    "-o",
    "--output",
    "-w",
    "--write-out",
    "-m",
    "--max-time",
    "--connect-timeout",
    "--retry",
    "--retry-delay",
    "--retry-max-time",
    "--resolve",
    "--connect-to",
    "-x",
    "--proxy",
    "-U",
    "--proxy-user",
    "--cacert",
    "--capath",
    "-E",
    "--cert",
    "--key",
    "--cert-type",
    "--key-type",
    "--pass",
    "--ciphers",
    "--tls-max",
    "--interface",
    "--limit-rate",
    "-Y",
    "--speed-limit",
    "-y",
    "--speed-time",
    "-D",
    "--dump-header",
    "-c",
    "--cookie-jar",
    "--max-redirs",
    "--stderr",
    "--trace",
    "--trace-ascii",
];

/// Short options with a value: what follows in the same word is theirs.
const SHORT_WITH_VALUE: &str = "XHdFuAebowmxUEYyDcTKr";

/// Whether the text is a curl command, a prompt before it or not.
pub(super) fn is_command(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"$ ").unwrap_or(text);
    let word = text.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    matches!(word, b"curl" | b"curl.exe")
}

/// Reads a command line.
pub(super) fn read(text: &str) -> Result<Inquiry, InquiryError> {
    let shell::Words { words, expands } = shell::split(text.strip_prefix("$ ").unwrap_or(text))?;
    let mut command = Command::default();
    if expands {
        command.note("the shell would expand a $ or a backtick here; it is taken as it stands");
    }
    let mut words = words.into_iter().skip(1);
    while let Some(word) = words.next() {
        if word == "--next" {
            command.note("only the request before --next is read");
            break;
        }
        command.take(&word, &mut words);
    }
    command.finish()
}

/// What the options said so far.
#[derive(Default)]
struct Command {
    draft: Draft,
    url: Option<String>,
    method: Option<String>,
    data: Option<Vec<u8>>,
    is_json: bool,
    data_goes_to_query: bool,
    is_head: bool,
    removed: Vec<String>,
}

impl Command {
    fn note(&mut self, text: &str) {
        self.draft.notes.push(text.to_owned());
    }

    /// One word: an option, possibly with a value of its own, or the URL.
    fn take(&mut self, word: &str, rest: &mut impl Iterator<Item = String>) {
        if word.starts_with("--") {
            return self.option(word, &mut || rest.next().unwrap_or_default());
        }
        let Some(flags) = word.strip_prefix('-').filter(|flags| !flags.is_empty()) else {
            return self.set_url(word);
        };
        for (at, flag) in flags.char_indices() {
            let option = format!("-{flag}");
            if !SHORT_WITH_VALUE.contains(flag) {
                self.option(&option, &mut String::new);
                continue;
            }
            let joined = flags.get(at + flag.len_utf8()..).unwrap_or_default();
            return self.option(&option, &mut || {
                if joined.is_empty() { rest.next().unwrap_or_default() } else { joined.to_owned() }
            });
        }
    }

    fn option(&mut self, option: &str, value: &mut dyn FnMut() -> String) {
        match option {
            "-X" | "--request" => self.method = Some(value()),
            "-H" | "--header" => self.header(&value()),
            "-d" | "--data" | "--data-ascii" => self.data(&value(), Data::Lines),
            "--data-binary" => self.data(&value(), Data::Bytes),
            "--data-raw" => self.data(&value(), Data::Literal),
            "--data-urlencode" => self.urlencode(&value()),
            "--json" => {
                self.is_json = true;
                self.data(&value(), Data::Bytes);
            }
            "-G" | "--get" => self.data_goes_to_query = true,
            "-I" | "--head" => self.is_head = true,
            "--url" => self.set_url(&value()),
            "-b" | "--cookie" => self.cookie(&value()),
            "-A" | "--user-agent" => self.draft.push("User-Agent", &value()),
            "-e" | "--referer" => self.draft.push("Referer", &value()),
            "--oauth2-bearer" => self.draft.push("Authorization", &format!("Bearer {}", value())),
            "-u" | "--user" => {
                value();
                self.note("-u is ignored: the gate knows no Basic credentials");
            }
            "-F" | "--form" | "--form-string" => {
                value();
                self.note("a multipart body (-F) is not built; no signature covers it");
                self.method.get_or_insert_with(|| "POST".to_owned());
            }
            "-T" | "--upload-file" | "-K" | "--config" => {
                value();
                self.note("a file that the command line names is not read");
            }
            skipped if SKIPPED.contains(&skipped) => {
                value();
            }
            _ => {}
        }
    }

    fn set_url(&mut self, url: &str) {
        if self.url.is_some() {
            self.note("only the first URL is explained");
        } else {
            self.url = Some(url.to_owned());
        }
    }

    /// `Name: value`; `Name:` takes curl's own header away, `Name;` sends it empty.
    fn header(&mut self, line: &str) {
        if line.starts_with('@') {
            return self.note("a file that the command line names is not read");
        }
        match line.split_once(':') {
            Some((name, value)) if value.trim().is_empty() => self.removed.push(name.to_ascii_lowercase()),
            Some((name, value)) => self.draft.push(name, value.trim()),
            None => match line.strip_suffix(';') {
                Some(name) => self.draft.push(name, ""),
                None => self.note("a header without a colon is not sent"),
            },
        }
    }

    fn cookie(&mut self, value: &str) {
        if value.contains('=') {
            self.draft.push("Cookie", value);
        } else {
            self.note("a file that the command line names is not read");
        }
    }

    fn data(&mut self, value: &str, kind: Data) {
        if kind != Data::Literal && value.starts_with('@') {
            self.data.get_or_insert_default();
            return self.note("the body comes from a file, which is not read: a signed form cannot verify");
        }
        // `--json` pieces follow each other; the others are joined as a form.
        let (data, separator) = (self.data.take(), if self.is_json { &b""[..] } else { b"&" });
        let mut joined = data.map_or_else(Vec::new, |data| [data.as_slice(), separator].concat());
        joined.extend_from_slice(value.as_bytes());
        self.data = Some(joined);
    }

    /// `content`, `=content`, `name=content`; the content is encoded.
    fn urlencode(&mut self, value: &str) {
        let (name, content) = match value.split_once('=') {
            Some((name, content)) => (name, content),
            None if value.contains('@') => {
                return self
                    .note("the body comes from a file, which is not read: a signed form cannot verify");
            }
            None => ("", value),
        };
        let equals = if name.is_empty() { "" } else { "=" };
        self.data(&format!("{name}{equals}{}", percent::encode(content.as_bytes())), Data::Literal);
    }

    fn finish(mut self) -> Result<Inquiry, InquiryError> {
        let url = self.url.take().ok_or(InquiryError::NoUrl)?;
        self.draft.call(&url)?;
        let data = self.data.take();
        let method = match (self.is_head, self.data_goes_to_query, &data) {
            (true, _, _) => "HEAD",
            (false, false, Some(_)) => "POST",
            (false, _, _) => "GET",
        };
        self.draft.method = self.method.take().unwrap_or_else(|| method.to_owned());
        match data {
            Some(data) if self.data_goes_to_query || self.is_head => {
                let joint = if self.draft.target.contains(&b'?') { b'&' } else { b'?' };
                self.draft.target.push(joint);
                self.draft.target.extend_from_slice(&data);
            }
            Some(data) => self.body(data),
            None => {}
        }
        self.add_default("Accept", "*/*");
        self.draft.finish()
    }

    fn body(&mut self, data: Vec<u8>) {
        let length = data.len().to_string();
        self.draft.body = data;
        self.add_default("Content-Length", &length);
        if self.is_json {
            self.add_default("Content-Type", "application/json");
            self.add_default("Accept", "application/json");
        }
        self.add_default("Content-Type", "application/x-www-form-urlencoded");
    }

    /// What curl adds by itself unless told otherwise.
    fn add_default(&mut self, name: &str, value: &str) {
        if !self.draft.has(name) && !self.removed.contains(&name.to_ascii_lowercase()) {
            self.draft.push(name, value);
        }
    }
}

/// How an option's value becomes a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    /// `-d`: a file loses its line ends.
    Lines,
    /// `--data-binary`.
    Bytes,
    /// `--data-raw`: `@` means itself.
    Literal,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::oauth1::Scheme;

    fn read(text: &str) -> Inquiry {
        Inquiry::read(text.as_bytes(), None).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn the_request_is_the_one_that_curl_sends() {
        for (text, method, target, body) in [
            ("curl http://shop.test", "GET", "/", ""),
            ("curl shop.test?x=1", "GET", "/?x=1", ""),
            ("$ curl 'https://shop.test/a?b[0]=c#d'", "GET", "/a?b[0]=c", ""),
            ("curl -XDELETE http://shop.test/a", "DELETE", "/a", ""),
            ("curl -sSX PUT --url http://shop.test/a -d '{}'", "PUT", "/a", "{}"),
            ("curl http://shop.test/a -d a=1 --data b=2", "POST", "/a", "a=1&b=2"),
            ("curl http://shop.test/a -da=1", "POST", "/a", "a=1"),
            ("curl http://shop.test/a --data-raw '@x'", "POST", "/a", "@x"),
            ("curl http://shop.test/a --data-urlencode 'a=b c&'", "POST", "/a", "a=b%20c%26"),
            ("curl -G http://shop.test/a -d a=1", "GET", "/a?a=1", ""),
            ("curl -G 'http://shop.test/a?x=1' -d a=1", "GET", "/a?x=1&a=1", ""),
            ("curl -I http://shop.test/a", "HEAD", "/a", ""),
            ("curl --json '{\"a\":1}' http://shop.test/a", "POST", "/a", "{\"a\":1}"),
            ("curl -o /dev/null -m 5 http://shop.test/a | jq .", "GET", "/a", ""),
            ("curl --compressed \\\n  -k --location \\\n  http://shop.test/a", "GET", "/a", ""),
            ("curl http://shop.test/a --data-raw $'a=\\u00fc'", "POST", "/a", "a=ü"),
        ] {
            let read = read(text);
            assert_eq!(read.head.method, method, "{text}");
            assert_eq!(read.head.uri.to_string(), target, "{text}");
            assert_eq!(String::from_utf8(read.body).unwrap(), body, "{text}");
            assert_eq!(read.head.headers["host"], "shop.test", "{text}");
        }
    }

    #[test]
    fn headers_are_curls_own_unless_the_command_says_otherwise() {
        let form =
            read("curl https://shop.test:8443/a -d a=1 -H 'Host: other.test' -H 'X-Empty;' -b PHPSESSID=1");
        assert_eq!(form.head.headers["host"], "other.test");
        assert_eq!(form.head.headers["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(form.head.headers["content-length"], "3");
        assert_eq!(form.head.headers["x-empty"], "");
        assert_eq!(form.head.headers["cookie"], "PHPSESSID=1");
        assert_eq!(form.called, Some((Scheme::Https, "shop.test:8443".to_owned())));
        let bare = read("curl http://shop.test/a -d a=1 -H 'Content-Type:' -H 'accept: application/xml'");
        assert!(!bare.head.headers.contains_key("content-type"));
        assert_eq!(bare.head.headers.get_all("accept").iter().count(), 1);
        let json = read("curl http://shop.test/a --json '{}'");
        assert_eq!(json.head.headers["content-type"], "application/json");
        let bearer = read("curl --oauth2-bearer abc http://shop.test/a");
        assert_eq!(bearer.head.headers["authorization"], "Bearer abc");
    }

    #[test]
    fn what_is_left_out_is_noted() {
        for text in [
            "curl -u me:hunter2 http://shop.test/a",
            "curl http://me:hunter2@shop.test/a",
            "curl http://shop.test/a -d @hunter2",
            "curl http://shop.test/a -H @hunter2",
            "curl http://shop.test/a -F 'a=hunter2'",
            "curl http://shop.test/a http://shop.test/hunter2",
            "curl http://shop.test/a --next http://shop.test/hunter2",
            "curl http://shop.test/a -H \"X: $hunter2\"",
        ] {
            let read = read(text);
            assert_eq!(read.notes.len(), 1, "{text}");
            assert!(!read.notes.concat().contains("hunter2"), "{text}");
            assert_eq!(read.head.headers["host"], "shop.test", "{text}");
        }
    }

    #[test]
    fn a_command_without_a_url_is_an_error() {
        for text in ["curl", "curl -H 'a: b'", "curl -X"] {
            assert_eq!(Inquiry::read(text.as_bytes(), None).err(), Some(InquiryError::NoUrl), "{text}");
        }
        assert_eq!(Inquiry::read(b"curl 'x", None).err(), Some(InquiryError::OpenQuote));
        assert_eq!(Inquiry::read(b"curl ftp://x/", None).err(), Some(InquiryError::Target));
    }

    proptest! {
        #[test]
        fn no_command_line_panics(text in "curl (\\PC{0,60}|(-[XHdFuGIb]| |'|\"|https?://|@|=|:|a|--data|--json|--url){0,20})") {
            let _ = Inquiry::read(text.as_bytes(), None);
        }
    }
}
