//! The three things that we want to know of a certificate: its names, from when and until when it is valid.
//!
//! rustls reads certificates too, and keeps these to itself. A reader of DER (X.690) that knows just the way there (RFC 5280
//! section 4.1); what is not as expected is no answer, never a wrong one.

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// The DNS names of its subject, lower case; wildcards as written.
    pub(super) names: Vec<String>,
    /// Seconds since 1970.
    pub(super) not_before: i64,
    /// Seconds since 1970.
    pub(super) not_after: i64,
}

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;

/// `id-ce-subjectAltName`, 2.5.29.17.
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

/// Reads a certificate.
pub(super) fn read(certificate: &[u8]) -> Option<Said> {
    let signed = Reader(certificate).take(SEQUENCE)?;
    let mut fields = Reader(Reader(signed).take(SEQUENCE)?);
    let _version = fields.take(VERSION);
    fields.take(INTEGER)?;
    let (_algorithm, _issuer) = (fields.take(SEQUENCE)?, fields.take(SEQUENCE)?);
    let mut validity = Reader(fields.take(SEQUENCE)?);
    let (not_before, not_after) = (time(validity.any()?)?, time(validity.any()?)?);
    let (_subject, _key) = (fields.take(SEQUENCE)?, fields.take(SEQUENCE)?);
    let mut names = Vec::new();
    while let Some((tag, content)) = fields.any() {
        if tag == EXTENSIONS {
            names = alternative_names(content)?;
        }
    }
    Some(Said { names, not_before, not_after })
}

fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    let mut extensions = Reader(Reader(extensions).take(SEQUENCE)?);
    while let Some(extension) = extensions.take(SEQUENCE) {
        let mut extension = Reader(extension);
        if extension.take(OBJECT)? == SUBJECT_ALT_NAME {
            let (tag, content) = extension.any()?;
            // A flag may stand before the value.
            let value = if tag == OCTETS { content } else { extension.take(OCTETS)? };
            return Some(dns_names(Reader(Reader(value).take(SEQUENCE)?)));
        }
    }
    Some(Vec::new())
}

fn dns_names(mut general: Reader<'_>) -> Vec<String> {
    let mut names = Vec::new();
    while let Some((tag, content)) = general.any() {
        if let (DNS_NAME, Ok(name)) = (tag, std::str::from_utf8(content)) {
            names.push(name.to_ascii_lowercase());
        }
    }
    names
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ` (RFC 5280 section 4.1.2.5).
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let digits = text.strip_suffix(b"Z")?;
    let number = |digits: &[u8]| -> Option<i64> {
        digits.iter().all(u8::is_ascii_digit).then_some(())?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year = number(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let [month, day, hour, minute, second] = rest.as_chunks::<2>().0 else { return None };
    let (month, day) = (number(month)?, number(day)?);
    let is_sound = rest.len() == 10 && (1..=12).contains(&month) && (1..=31).contains(&day);
    let of_day = number(hour)? * 3600 + number(minute)? * 60 + number(second)?;
    is_sound.then(|| days(year, month, day) * 86_400 + of_day)
}

/// Days from 1970 to a date of the Gregorian calendar, counted in years that begin in March.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year - year.div_euclid(400) * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next element's content, if it is of this kind.
    fn take(&mut self, expected: u8) -> Option<&'a [u8]> {
        let (tag, content, rest) = element(self.0)?;
        (tag == expected).then(|| {
            self.0 = rest;
            content
        })
    }

    /// The next element, whatever it is.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, content, rest) = element(self.0)?;
        self.0 = rest;
        Some((tag, content))
    }
}

/// An element's tag, its content and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn certificate(names: &[&str]) -> Vec<u8> {
        let mut params =
            rcgen::CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.not_before = rcgen::date_time_ymd(2024, 2, 29);
        params.not_after = rcgen::date_time_ymd(2051, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_tells_its_names_and_times() {
        let said = read(&certificate(&["Shop.test", "*.shop.test", "127.0.0.1"])).unwrap();
        assert_eq!(said.names, ["shop.test", "*.shop.test"]);
        assert_eq!((said.not_before, said.not_after), (1_709_164_800, 2_561_241_600));
        assert!(read(&certificate(&[])).unwrap().names.is_empty());
    }

    #[test]
    fn times_are_read_as_written_or_not_at_all() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (TIME, "20500101000000Z", Some(2_524_608_000)),
            (TIME, "20240229120000Z", Some(1_709_208_000)),
            (UTC_TIME, "7001010000Z", None),
            (UTC_TIME, "700101000000", None),
            (UTC_TIME, "701301000000Z", None),
            (UTC_TIME, "70010100000xZ", None),
            (UTC_TIME, "7001010000000Z", None),
            (SEQUENCE, "700101000000Z", None),
        ] {
            assert_eq!(time((tag, text.as_bytes())), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
            let mut bytes = certificate(&["shop.test"]);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let _ = read(&bytes);
            let _ = read(bytes.get(..cut).unwrap_or(&bytes));
        }
    }
}
