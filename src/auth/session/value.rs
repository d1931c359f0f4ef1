//! Values as PHP's `serialize()` writes them, read without building anything of PHP's.
//!
//! Text is borrowed, lengths are bytes. An object is read as an array of its properties under their mangled names
//! (`\0*\0_data`); its class is skipped, so no class can matter. References, enumeration cases and objects with a
//! serializer of their own are stepped over and mean nothing. One pass; depth and number of elements are bounded, and the
//! caller bounds the length.

use super::UnreadableSession;

/// Deeper nesting than Magento's admin session has by far.
const MAX_DEPTH: u8 = 32;
/// More values than this are no session; each takes some sixty bytes while it is read.
const MAX_ELEMENTS: usize = 32_768;
/// A number takes fewer characters.
const MAX_NUMBER: usize = 64;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a [u8]),
    /// An array, or the properties of an object.
    Map(Vec<(Key<'a>, Self)>),
    /// What is stepped over.
    Opaque,
}

/// The key of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key<'a> {
    Index(i64),
    Name(&'a [u8]),
}

impl Value<'_> {
    /// The element of that name; of several the last, as in PHP.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(elements) = self else { return None };
        let found = elements.iter().rev().find(|(key, _)| *key == Key::Name(name.as_bytes()));
        found.map(|(_, value)| value)
    }

    /// A whole number, or text of digits alone: what comes from a database is text.
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Self::Int(number) => u64::try_from(*number).ok(),
            Self::Text(text) if text.iter().all(u8::is_ascii_digit) => {
                std::str::from_utf8(text).ok()?.parse().ok()
            }
            Self::Null | Self::Bool(_) | Self::Float(_) | Self::Text(_) | Self::Map(_) | Self::Opaque => None,
        }
    }

    /// What PHP's `if ($value)` says; what is stepped over counts as true.
    pub(super) fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !matches!(*text, b"" | b"0"),
            Self::Map(elements) => !elements.is_empty(),
            Self::Opaque => true,
        }
    }
}

/// Reads values from the front of a text.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { rest: text, left: MAX_ELEMENTS }
    }

    /// What stands before the next `delimiter`, which is consumed; `None` if there is none.
    pub(super) fn name(&mut self, delimiter: u8) -> Option<&'a [u8]> {
        let at = self.rest.iter().position(|byte| *byte == delimiter)?;
        let name = self.take(at).ok()?;
        self.expect(delimiter).ok()?;
        Some(name)
    }

    /// The next value.
    pub(super) fn value(&mut self) -> Result<Value<'a>, UnreadableSession> {
        self.nested(MAX_DEPTH)
    }

    fn nested(&mut self, depth: u8) -> Result<Value<'a>, UnreadableSession> {
        let depth = depth.checked_sub(1).ok_or(UnreadableSession::TooDeep)?;
        self.left = self.left.checked_sub(1).ok_or(UnreadableSession::TooManyElements)?;
        let kind = self.byte()?;
        if kind == b'N' {
            self.expect(b';')?;
            return Ok(Value::Null);
        }
        self.expect(b':')?;
        match kind {
            b'b' => self.boolean(),
            b'i' => Ok(Value::Int(self.number(b';')?)),
            b'd' => self.float(),
            b's' => Ok(Value::Text(self.text(b';')?)),
            b'a' => self.map(depth),
            b'O' => {
                self.text(b':')?;
                self.map(depth)
            }
            b'C' => self.own_serialization(),
            b'E' => self.text(b';').map(|_case| Value::Opaque),
            b'r' | b'R' => self.number::<u64>(b';').map(|_target| Value::Opaque),
            _ => Err(UnreadableSession::Malformed),
        }
    }

    fn boolean(&mut self) -> Result<Value<'a>, UnreadableSession> {
        match self.number::<u8>(b';')? {
            0 => Ok(Value::Bool(false)),
            1 => Ok(Value::Bool(true)),
            _ => Err(UnreadableSession::Malformed),
        }
    }

    fn float(&mut self) -> Result<Value<'a>, UnreadableSession> {
        let text = self.until(b';')?;
        let number = match text {
            "INF" => f64::INFINITY,
            "-INF" => f64::NEG_INFINITY,
            "NAN" => f64::NAN,
            // Rust would also take `inf`, `infinity` and the like.
            _ if text.contains(|other: char| other.is_ascii_alphabetic() && other != 'E') => {
                return Err(UnreadableSession::Malformed);
            }
            _ => text.parse().map_err(|_| UnreadableSession::Malformed)?,
        };
        Ok(Value::Float(number))
    }

    /// `<count>:{<key><value>…}`.
    fn map(&mut self, depth: u8) -> Result<Value<'a>, UnreadableSession> {
        let count: usize = self.number(b':')?;
        self.expect(b'{')?;
        // The count is a claim: memory grows with what is really there.
        let mut elements = Vec::new();
        for _ in 0..count {
            let key = self.key()?;
            elements.push((key, self.nested(depth)?));
        }
        self.expect(b'}')?;
        Ok(Value::Map(elements))
    }

    fn key(&mut self) -> Result<Key<'a>, UnreadableSession> {
        let kind = self.byte()?;
        self.expect(b':')?;
        match kind {
            b'i' => Ok(Key::Index(self.number(b';')?)),
            b's' => Ok(Key::Name(self.text(b';')?)),
            _ => Err(UnreadableSession::Malformed),
        }
    }

    /// `<length>:"<class>":<length>:{<bytes>}`: only the class itself could read the bytes.
    fn own_serialization(&mut self) -> Result<Value<'a>, UnreadableSession> {
        self.text(b':')?;
        let length = self.number(b':')?;
        self.expect(b'{')?;
        self.take(length)?;
        self.expect(b'}')?;
        Ok(Value::Opaque)
    }

    /// `<length>:"<bytes>"` and what ends it.
    fn text(&mut self, end: u8) -> Result<&'a [u8], UnreadableSession> {
        let length = self.number(b':')?;
        self.expect(b'"')?;
        let text = self.take(length)?;
        self.expect(b'"')?;
        self.expect(end)?;
        Ok(text)
    }

    fn number<N: std::str::FromStr>(&mut self, end: u8) -> Result<N, UnreadableSession> {
        self.until(end)?.parse().map_err(|_| UnreadableSession::Malformed)
    }

    /// A number's characters; never looks further than a number is long.
    fn until(&mut self, end: u8) -> Result<&'a str, UnreadableSession> {
        let near = self.rest.get(..MAX_NUMBER).unwrap_or(self.rest);
        let length = near.iter().position(|byte| *byte == end).ok_or(UnreadableSession::Malformed)?;
        let text = self.take(length)?;
        self.expect(end)?;
        std::str::from_utf8(text).map_err(|_| UnreadableSession::Malformed)
    }

    fn byte(&mut self) -> Result<u8, UnreadableSession> {
        let (first, rest) = self.rest.split_first().ok_or(UnreadableSession::Malformed)?;
        self.rest = rest;
        Ok(*first)
    }

    fn expect(&mut self, byte: u8) -> Result<(), UnreadableSession> {
        if self.byte()? == byte { Ok(()) } else { Err(UnreadableSession::Malformed) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], UnreadableSession> {
        let (text, rest) = self.rest.split_at_checked(length).ok_or(UnreadableSession::Malformed)?;
        self.rest = rest;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Value<'_>, UnreadableSession> {
        Reader::new(text).value()
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let cases: [(&[u8], Value<'_>); 17] = [
            (b"N;", Value::Null),
            (b"b:0;", Value::Bool(false)),
            (b"b:1;", Value::Bool(true)),
            (b"i:-5;", Value::Int(-5)),
            (b"i:9223372036854775807;", Value::Int(i64::MAX)),
            (b"d:0.5;", Value::Float(0.5)),
            (b"d:1.0E+25;", Value::Float(1e25)),
            (b"d:-INF;", Value::Float(f64::NEG_INFINITY)),
            (b"s:0:\"\";", Value::Text(b"")),
            (b"s:2:\"\xc3\xa9\";", Value::Text(b"\xc3\xa9")),
            (b"s:4:\"a\";b\";", Value::Text(b"a\";b")),
            (b"a:0:{}", Value::Map(vec![])),
            (b"a:1:{i:0;s:1:\"x\";}", Value::Map(vec![(Key::Index(0), Value::Text(b"x"))])),
            (b"O:1:\"A\":1:{s:4:\"\0*\0d\";N;}", Value::Map(vec![(Key::Name(b"\0*\0d"), Value::Null)])),
            (b"C:1:\"A\":3:{x}y}", Value::Opaque),
            (b"E:3:\"A:B\";", Value::Opaque),
            (b"a:2:{i:0;r:1;i:1;R:2;}", {
                Value::Map(vec![(Key::Index(0), Value::Opaque), (Key::Index(1), Value::Opaque)])
            }),
        ];
        for (text, value) in cases {
            assert_eq!(read(text), Ok(value), "{}", text.escape_ascii());
        }
        assert_eq!(read(b"d:INF;"), Ok(Value::Float(f64::INFINITY)));
        assert!(matches!(read(b"d:NAN;"), Ok(Value::Float(number)) if number.is_nan()));
    }

    #[test]
    fn what_php_would_not_write_is_malformed() {
        let cases: [&[u8]; 27] = [
            b"",
            b"N",
            b"x:1;",
            b"n;",
            b"b:2;",
            b"i:;",
            b"i:1",
            b"i:1.5;",
            b"i:9223372036854775808;",
            b"d:x;",
            b"d:inf;",
            b"d:-infinity;",
            b"d:nan;",
            b"s:3:\"ab\";",
            b"s:1:\"ab\";",
            b"s:-1:\"\";",
            b"s:18446744073709551616:\"\";",
            b"s:99999999:\"a\";",
            b"S:1:\"\\61\";",
            b"a:1:{}",
            b"a:0:{i:0;N;}",
            b"a:1:{N;N;}",
            b"a:1:{b:1;N;}",
            b"a:-1:{}",
            b"a:99999999999999999999:{}",
            b"O:1:\"A\":1:{}",
            b"C:1:\"A\":9:{x}",
        ];
        for text in cases {
            assert_eq!(read(text), Err(UnreadableSession::Malformed), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn depth_and_number_of_elements_are_bounded() {
        let nested = |depth: usize| [b"a:1:{i:0;".repeat(depth), b"N;".to_vec(), b"}".repeat(depth)].concat();
        assert!(read(&nested(31)).is_ok());
        assert_eq!(read(&nested(32)), Err(UnreadableSession::TooDeep));
        assert_eq!(read(&b"a:1:{i:0;".repeat(20_000)), Err(UnreadableSession::TooDeep));
        let flat = |count: usize| {
            [format!("a:{count}:{{").into_bytes(), b"i:0;N;".repeat(count), b"}".to_vec()].concat()
        };
        assert!(read(&flat(32_767)).is_ok());
        assert_eq!(read(&flat(32_768)), Err(UnreadableSession::TooManyElements));
    }

    #[test]
    fn the_last_of_equal_names_counts() {
        let value = read(b"a:2:{s:1:\"a\";i:1;s:1:\"a\";i:2;}").unwrap();
        assert_eq!(value.get("a"), Some(&Value::Int(2)));
        assert_eq!(value.get("b"), None);
        assert_eq!(Value::Null.get("a"), None);
    }

    #[test]
    fn truth_is_as_php_has_it() {
        for (value, is_truthy) in [
            (Value::Null, false),
            (Value::Bool(true), true),
            (Value::Bool(false), false),
            (Value::Int(-1), true),
            (Value::Int(0), false),
            (Value::Float(0.5), true),
            (Value::Float(-0.0), false),
            (Value::Text(b""), false),
            (Value::Text(b"0"), false),
            (Value::Text(b"00"), true),
            (Value::Map(vec![]), false),
            (Value::Map(vec![(Key::Index(0), Value::Null)]), true),
            (Value::Opaque, true),
        ] {
            assert_eq!(value.is_truthy(), is_truthy, "{value:?}");
        }
    }

    #[test]
    fn numbers_are_whole_and_positive() {
        for (value, number) in [
            (Value::Int(5), Some(5)),
            (Value::Text(b"05"), Some(5)),
            (Value::Int(-5), None),
            (Value::Text(b""), None),
            (Value::Text(b"+5"), None),
            (Value::Text(b"5 "), None),
            (Value::Text(b"99999999999999999999"), None),
            (Value::Float(5.0), None),
            (Value::Bool(true), None),
            (Value::Opaque, None),
        ] {
            assert_eq!(value.number(), number, "{value:?}");
        }
    }
}
