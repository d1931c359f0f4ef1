//! HTTP/1.1 framing read from a whole stream at once: to the letter of RFC 9112, and as forgiving readers take it.
//!
//! Nothing here is fast or keeps state between reads: each step looks at all bytes and takes its part.

/// What a stream consists of, up to its end or to the first byte that RFC 9112 does not let stand there.
#[derive(Debug, PartialEq, Eq)]
pub struct Stream {
    /// Where each complete request ends.
    pub ends: Vec<usize>,
    /// The offending byte, and whether a body had begun.
    pub broken: Option<(usize, bool)>,
    /// The length of the longest head, chunk line or trailers, the unfinished one included.
    pub longest: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    None,
    Length(u64),
    Chunked,
}

/// Why reading stopped.
enum Stop {
    /// The stream ends here.
    Unfinished,
    Broken(usize, bool),
}

/// Reads to the letter of RFC 9112 sections 2 to 7.
pub fn to_the_letter(bytes: &[u8]) -> Stream {
    let mut stream = Stream { ends: Vec::new(), broken: None, longest: 0 };
    let mut at = 0;
    loop {
        match request(bytes, at, &mut stream.longest) {
            Ok(end) => stream.ends.push(end),
            Err(Stop::Unfinished) => return stream,
            Err(Stop::Broken(at, is_in_body)) => {
                stream.broken = Some((at, is_in_body));
                return stream;
            }
        }
        at = stream.ends.last().copied().unwrap_or(bytes.len());
    }
}

/// The end of the request that starts here.
fn request(bytes: &[u8], start: usize, longest: &mut usize) -> Result<usize, Stop> {
    let (mut first, mut at) = line(bytes, start, start, false, longest)?;
    if first.is_empty() {
        (first, at) = line(bytes, at, start, false, longest)?;
    }
    let words: Vec<&str> = first.split(' ').collect();
    let is_request = words.len() == 3
        && is_token(words[0])
        && !words[1].is_empty()
        && !words[1].contains(['#', '\t'])
        && ["HTTP/1.0", "HTTP/1.1"].contains(&words[2]);
    if !is_request {
        return Err(Stop::Broken(at - 1, false));
    }
    let mut body = Body::None;
    loop {
        let (field, next) = line(bytes, at, start, false, longest)?;
        at = next;
        if field.is_empty() {
            break;
        }
        let says = says(&field).filter(|says| *says == Body::None || body == Body::None);
        match says {
            Some(Body::None) => {}
            Some(Body::Chunked) if words[2] == "HTTP/1.0" => return Err(Stop::Broken(at - 1, false)),
            Some(said) => body = said,
            None => return Err(Stop::Broken(at - 1, false)),
        }
    }
    match body {
        Body::None => Ok(at),
        Body::Length(length) => match usize::try_from(length) {
            Ok(length) if length <= bytes.len() - at => Ok(at + length),
            _ => Err(Stop::Unfinished),
        },
        Body::Chunked => chunks(bytes, at, longest),
    }
}

fn chunks(bytes: &[u8], mut at: usize, longest: &mut usize) -> Result<usize, Stop> {
    loop {
        let (text, next) = line(bytes, at, at, true, longest)?;
        at = next;
        let digits = text.split(';').next().unwrap_or_default();
        let is_number =
            (1..=16).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        // With its CRLF a chunk must still be countable in 64 bits.
        let size = u64::from_str_radix(digits, 16).ok().filter(|size| is_number && *size <= u64::MAX - 2);
        let Some(size) = size else { return Err(Stop::Broken(at - 1, true)) };
        if size == 0 {
            break;
        }
        let Some(size) = usize::try_from(size).ok().filter(|size| *size <= bytes.len() - at) else {
            return Err(Stop::Unfinished);
        };
        at += size;
        for expected in [b'\r', b'\n'] {
            match bytes.get(at) {
                None => return Err(Stop::Unfinished),
                Some(byte) if *byte != expected => return Err(Stop::Broken(at, true)),
                Some(_) => at += 1,
            }
        }
    }
    let start = at;
    loop {
        let (field, next) = line(bytes, at, start, true, longest)?;
        at = next;
        if field.is_empty() {
            return Ok(at);
        }
        if says(&field) != Some(Body::None) {
            return Err(Stop::Broken(at - 1, true));
        }
    }
}

/// A line without its CRLF, a character for each byte, and where the next one starts.
fn line(
    bytes: &[u8],
    at: usize,
    section: usize,
    is_in_body: bool,
    longest: &mut usize,
) -> Result<(String, usize), Stop> {
    let Some(length) = bytes[at..].iter().position(|byte| *byte == b'\n') else {
        *longest = (*longest).max(bytes.len() - section);
        return Err(Stop::Unfinished);
    };
    let end = at + length;
    *longest = (*longest).max(end + 1 - section);
    let text: String = bytes[at..end].iter().map(|byte| char::from(*byte)).collect();
    match text.strip_suffix('\r') {
        Some(line) if !line.chars().any(|one| one != '\t' && (one < ' ' || one == '\x7f')) => {
            Ok((line.to_owned(), end + 1))
        }
        _ => Err(Stop::Broken(end, is_in_body)),
    }
}

/// What a field line says of the body; `None` for no field, and for a length that is open to doubt.
fn says(line: &str) -> Option<Body> {
    let (name, value) = line.split_once(':')?;
    let value = value.trim_matches([' ', '\t']);
    if !is_token(name) {
        return None;
    }
    let name = name.to_ascii_lowercase();
    match name.replace('_', "-").as_str() {
        "content-length" | "transfer-encoding" if name.contains('_') => None,
        "content-length" if value.bytes().all(|digit| digit.is_ascii_digit()) => {
            value.parse().ok().map(Body::Length)
        }
        "content-length" => None,
        "transfer-encoding" => value.eq_ignore_ascii_case("chunked").then_some(Body::Chunked),
        _ => Some(Body::None),
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|one| one.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(one))
}

/// How a forgiving reader settles what RFC 9112 leaves no room for.
#[derive(Debug, Clone, Copy)]
pub struct Taste {
    /// Of several lengths the last counts, not the first.
    pub last_length: bool,
    /// A length counts where a coding stands beside it.
    pub length_beats_coding: bool,
    /// A coding counts in HTTP/1.0 too.
    pub codes_http10: bool,
    /// CR alone ends a line.
    pub cr_ends_lines: bool,
}

impl Taste {
    /// Every reader there is.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..16_u8).map(|bits| Self {
            last_length: bits & 1 != 0,
            length_beats_coding: bits & 2 != 0,
            codes_http10: bits & 4 != 0,
            cr_ends_lines: bits & 8 != 0,
        })
    }

    /// Where each complete request ends for this reader.
    pub fn ends(self, bytes: &[u8]) -> Vec<usize> {
        let mut ends = Vec::new();
        let mut at = 0;
        while let Some(end) = self.request(bytes, at) {
            ends.push(end);
            at = end;
        }
        ends
    }

    fn request(self, bytes: &[u8], mut at: usize) -> Option<usize> {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let (line, next) = self.line(bytes, at)?;
            at = next;
            match lines.last_mut() {
                None if line.is_empty() => {}
                Some(_) if line.is_empty() => break,
                Some(last) if line.starts_with([' ', '\t']) => last.push_str(&line),
                _ => lines.push(line),
            }
        }
        let fields: Vec<(String, String)> = lines[1..]
            .iter()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_lowercase().replace('_', "-"), value.trim().to_lowercase()))
            .collect();
        let is_chunked = (self.codes_http10 || !lines[0].ends_with(" HTTP/1.0"))
            && fields.iter().any(|(name, value)| name == "transfer-encoding" && value.contains("chunked"));
        let mut lengths = fields.iter().filter(|(name, _)| name == "content-length");
        let length = if self.last_length { lengths.next_back() } else { lengths.next() };
        match length {
            Some((_, text)) if self.length_beats_coding || !is_chunked => {
                let end = at.checked_add(usize::try_from(leading(text, 10)).ok()?)?;
                (end <= bytes.len()).then_some(end)
            }
            _ if is_chunked => self.chunks(bytes, at),
            _ => Some(at),
        }
    }

    fn chunks(self, bytes: &[u8], mut at: usize) -> Option<usize> {
        loop {
            let (line, next) = self.line(bytes, at)?;
            let size = usize::try_from(leading(line.trim(), 16)).ok()?;
            if size == 0 {
                at = next;
                break;
            }
            at = next.checked_add(size).filter(|end| *end <= bytes.len())?;
            // Whatever stands up to the end of the line.
            (_, at) = self.line(bytes, at)?;
        }
        loop {
            let (line, next) = self.line(bytes, at)?;
            at = next;
            if line.is_empty() {
                return Some(at);
            }
        }
    }

    fn line(self, bytes: &[u8], at: usize) -> Option<(String, usize)> {
        let rest = &bytes[at..];
        let end = rest.iter().position(|byte| *byte == b'\n' || (self.cr_ends_lines && *byte == b'\r'))?;
        let text: String = rest[..end].iter().map(|byte| char::from(*byte)).collect();
        let length = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        // A CR without its LF yet is half a line end.
        if rest[end..] == *b"\r" {
            return None;
        }
        Some((text.trim_end_matches('\r').to_owned(), at + end + length))
    }
}

/// The number that a text begins with, as `strtoull` reads it.
fn leading(text: &str, radix: u32) -> u64 {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let digits = digits.strip_prefix("0x").filter(|_| radix == 16).unwrap_or(digits);
    digits
        .chars()
        .map_while(|digit| digit.to_digit(radix))
        .fold(0_u64, |number, digit| number.saturating_mul(u64::from(radix)).saturating_add(u64::from(digit)))
}
