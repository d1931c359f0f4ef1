//! A request to be explained, however it was written down.
//!
//! Three spellings are told apart by their first characters: a HAR file or entry (`{`), a curl command line, and a raw HTTP
//! request. Each becomes the head and body that a gate would receive. What had to be guessed or left out is kept as a note,
//! because an explanation of another request than the one sent explains nothing. No message repeats what was read: it may be
//! a credential.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
    request::Parts,
};

use super::{curl, har, raw};
use crate::auth::oauth1::Scheme;

/// A request to be explained.
#[derive(Debug)]
pub struct Inquiry {
    /// The head as a gate receives it.
    pub head: Parts,
    /// The body, whole.
    pub body: Vec<u8>,
    /// Scheme and authority that the client called, where the source says so.
    pub called: Option<(Scheme, String)>,
    /// What was guessed, left out or repaired.
    pub notes: Vec<String>,
}

/// Why there is nothing to explain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InquiryError {
    /// Nothing was read.
    #[error(
        "no request on standard input; pipe a raw HTTP request, a curl command line or a HAR entry into it"
    )]
    Empty,
    /// The request line is not `METHOD target`.
    #[error("line 1 is not a request line such as \"GET /rest/V1/store/websites HTTP/1.1\"")]
    RequestLine,
    /// The method is none.
    #[error("the method is not a word that HTTP allows")]
    Method,
    /// The target cannot be read.
    #[error("the target is not a path or URL that HTTP allows; the gate would answer 400")]
    Target,
    /// A target with a fragment, which is a client's own (RFC 9112 section 3.2).
    #[error("the target holds a '#': a fragment is never sent, and the gate answers 400")]
    Fragment,
    /// A header line cannot be read.
    #[error("header line {0} is not \"Name: value\"; the gate would answer 400")]
    Header(usize),
    /// The command line names no URL.
    #[error("the curl command line names no URL")]
    NoUrl,
    /// A quote is not closed.
    #[error("the command line ends inside quotes")]
    OpenQuote,
    /// The JSON is none.
    #[error("the input begins like JSON but is none: line {line}, column {column}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// The JSON is no HAR.
    #[error(
        "the JSON is neither a HAR file, nor one of its entries, nor a request with method, url and headers"
    )]
    NotHar,
    /// The HAR has several entries and none was chosen, or there is no such entry.
    #[error("the HAR file has {entries} entries; choose one with --entry 1 to --entry {entries}")]
    Entry {
        /// How many there are.
        entries: usize,
    },
}

impl Inquiry {
    /// Reads a request; `entry` chooses from a HAR file, counted from 1.
    ///
    /// # Errors
    /// Whatever keeps the text from being a request.
    pub fn read(text: &[u8], entry: Option<usize>) -> Result<Self, InquiryError> {
        let start = text.trim_ascii_start();
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        match start {
            [] => Err(InquiryError::Empty),
            [b'{' | b'[', ..] => har::read(start, entry),
            _ if curl::is_command(start) => curl::read(&String::from_utf8_lossy(start)),
            _ => raw::read(start),
        }
    }
}

/// A request while it is put together.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) method: String,
    pub(super) target: Vec<u8>,
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) called: Option<(Scheme, String)>,
    pub(super) notes: Vec<String>,
}

impl Draft {
    /// Whether a header of this name is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Adds a header.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        self.headers.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    }

    /// Keeps scheme and authority of the URL that was called, and makes its path and query the target.
    pub(super) fn call(&mut self, url: &str) -> Result<(), InquiryError> {
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some(_) => return Err(InquiryError::Target),
            None => (Scheme::Http, url),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let authority = match authority.rsplit_once('@') {
            Some((_, host)) => {
                self.notes
                    .push("the user and password in the URL are ignored: the gate knows no Basic".into());
                host
            }
            None => authority,
        };
        self.target = if target.starts_with('/') { String::new() } else { String::from("/") }.into_bytes();
        self.target.extend_from_slice(target.as_bytes());
        self.called = Some((scheme, authority.to_owned()));
        Ok(())
    }

    /// Builds what a gate receives.
    pub(super) fn finish(mut self) -> Result<Inquiry, InquiryError> {
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| InquiryError::Method)?;
        let uri = Uri::try_from(self.target.as_slice()).map_err(|_| InquiryError::Target)?;
        let (mut head, ()) = Request::new(()).into_parts();
        (head.method, head.uri) = (method, uri);
        for (number, (name, value)) in self.headers.iter().enumerate() {
            let refused = |()| InquiryError::Header(number + 1);
            let name = HeaderName::from_bytes(name).map_err(|_| refused(()))?;
            let value = HeaderValue::from_bytes(value.trim_ascii()).map_err(|_| refused(()))?;
            head.headers.append(name, value);
        }
        if let (Some((_, authority)), false) = (&self.called, head.headers.contains_key(HOST)) {
            let value = HeaderValue::from_str(authority).map_err(|_| InquiryError::Target)?;
            head.headers.insert(HOST, value);
        }
        fit_body(&mut head.headers, &mut self.body, &mut self.notes);
        Ok(Inquiry { head, body: self.body, called: self.called, notes: self.notes })
    }
}

/// Makes body and announced length agree: the length that was announced wins where there is more.
fn fit_body(headers: &mut HeaderMap, body: &mut Vec<u8>, notes: &mut Vec<String>) {
    if headers.contains_key(TRANSFER_ENCODING) {
        notes.push("the body is taken as it stands: chunks are not decoded".into());
        return;
    }
    let announced = headers.get(CONTENT_LENGTH).map(|value| value.to_str().ok()?.parse::<usize>().ok());
    match announced {
        // What is no number is for the gate to refuse.
        Some(None) => {}
        Some(Some(length)) if length < body.len() => {
            if !body.get(length..).unwrap_or_default().trim_ascii().is_empty() {
                let extra = body.len() - length;
                notes.push(format!("{extra} bytes after the body of Content-Length {length} are left out"));
            }
            body.truncate(length);
        }
        Some(Some(length)) if length > body.len() => {
            notes.push(format!("Content-Length is {length}, but only {} bytes of body are here", body.len()));
        }
        Some(Some(_)) => {}
        None if body.is_empty() => {}
        None => {
            notes.push("Content-Length was missing and is taken from the body".into());
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
    }
}
