//! Words of a command line as a POSIX shell and bash read them, without expanding anything.
//!
//! Single and double quotes, `$'…'` with its escapes (what browsers write for "Copy as cURL"), backslashes, and lines
//! continued with a backslash. The command ends at the first unquoted `|`, `;`, `&`, `<`, `>` or line end. Variables and
//! command substitutions are not run; whether some stood there is reported, because then the text is not what was sent.

use std::{iter::Peekable, str::Chars};

use super::inquiry::InquiryError;

/// A command line taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// The words, quotes removed.
    pub(super) words: Vec<String>,
    /// Whether a `$` or a backtick would have been expanded.
    pub(super) expands: bool,
}

/// Splits a command line.
pub(super) fn split(text: &str) -> Result<Words, InquiryError> {
    let mut splitter = Splitter { rest: text.chars().peekable(), found: Words::default(), word: None };
    splitter.run()?;
    Ok(splitter.found)
}

struct Splitter<'a> {
    rest: Peekable<Chars<'a>>,
    found: Words,
    /// The word under way; an empty pair of quotes makes an empty word.
    word: Option<String>,
}

impl Splitter<'_> {
    fn run(&mut self) -> Result<(), InquiryError> {
        while let Some(character) = self.rest.next() {
            match character {
                ' ' | '\t' => self.end_word(),
                '\n' | '\r' | '|' | ';' | '&' | '<' | '>' => break,
                '\'' => self.single_quoted()?,
                '"' => self.double_quoted()?,
                '\\' => self.escaped(),
                '$' => self.dollar()?,
                '`' => {
                    self.found.expands = true;
                    self.push('`');
                }
                other => self.push(other),
            }
        }
        self.end_word();
        Ok(())
    }

    fn push(&mut self, character: char) {
        self.word.get_or_insert_default().push(character);
    }

    fn end_word(&mut self) {
        self.found.words.extend(self.word.take());
    }

    /// Outside quotes: the next character as it is; a line end is nothing.
    fn escaped(&mut self) {
        match self.rest.next() {
            Some('\n') | None => {}
            Some('\r') => {
                self.rest.next_if_eq(&'\n');
            }
            Some(other) => self.push(other),
        }
    }

    fn single_quoted(&mut self) -> Result<(), InquiryError> {
        self.word.get_or_insert_default();
        loop {
            match self.rest.next().ok_or(InquiryError::OpenQuote)? {
                '\'' => return Ok(()),
                other => self.push(other),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<(), InquiryError> {
        self.word.get_or_insert_default();
        loop {
            match self.rest.next().ok_or(InquiryError::OpenQuote)? {
                '"' => return Ok(()),
                '\\' => match self.rest.next().ok_or(InquiryError::OpenQuote)? {
                    '\n' => {}
                    kept @ ('"' | '\\' | '$' | '`') => self.push(kept),
                    other => {
                        self.push('\\');
                        self.push(other);
                    }
                },
                expanded @ ('$' | '`') => {
                    self.found.expands = true;
                    self.push(expanded);
                }
                other => self.push(other),
            }
        }
    }

    /// `$'…'`, or something that a shell would expand.
    fn dollar(&mut self) -> Result<(), InquiryError> {
        if self.rest.next_if_eq(&'\'').is_none() {
            self.found.expands |=
                self.rest.peek().is_some_and(|next| next.is_alphanumeric() || "_{(".contains(*next));
            self.push('$');
            return Ok(());
        }
        self.word.get_or_insert_default();
        // `\xHH` and octal escapes name bytes, several of which may make one character.
        let mut bytes = Vec::new();
        loop {
            match self.rest.next().ok_or(InquiryError::OpenQuote)? {
                '\'' => break,
                '\\' => self.ansi_escape(&mut bytes)?,
                other => push_character(&mut bytes, other),
            }
        }
        self.word.get_or_insert_default().push_str(&String::from_utf8_lossy(&bytes));
        Ok(())
    }

    fn ansi_escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), InquiryError> {
        let escape = self.rest.next().ok_or(InquiryError::OpenQuote)?;
        let plain = match escape {
            'n' => b'\n',
            't' => b'\t',
            'r' => b'\r',
            'a' => 7,
            'b' => 8,
            'e' | 'E' => 27,
            'f' => 12,
            'v' => 11,
            '0'..='7' => {
                let first = escape.to_digit(8).unwrap_or_default();
                let number = self.digits(8, 2, first);
                u8::try_from(number & 0xff).unwrap_or_default()
            }
            'x' => u8::try_from(self.digits(16, 2, 0)).unwrap_or_default(),
            'u' | 'U' => {
                let number = self.digits(16, if escape == 'u' { 4 } else { 8 }, 0);
                push_character(bytes, char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER));
                return Ok(());
            }
            other => {
                if !matches!(other, '\'' | '"' | '\\' | '?') {
                    bytes.push(b'\\');
                }
                push_character(bytes, other);
                return Ok(());
            }
        };
        bytes.push(plain);
        Ok(())
    }

    /// Up to `most` more digits of a number.
    fn digits(&mut self, radix: u32, most: usize, first: u32) -> u32 {
        let mut number = first;
        for _ in 0..most {
            let Some(digit) = self.rest.next_if(|next| next.is_digit(radix)) else { break };
            number = number.wrapping_mul(radix).wrapping_add(digit.to_digit(radix).unwrap_or_default());
        }
        number
    }
}

fn push_character(bytes: &mut Vec<u8>, character: char) {
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        split(text).unwrap().words
    }

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        for (text, expected) in [
            ("", &[][..]),
            ("a  b\tc", &["a", "b", "c"]),
            ("'a b' \"c d\" e\\ f", &["a b", "c d", "e f"]),
            ("a'b'\"c\"d", &["abcd"]),
            ("'' \"\"", &["", ""]),
            ("'a\\'b", &["a\\b"]),
            ("'it'\\''s'", &["it's"]),
            ("\"a\\\"b\\\\c\\d\"", &["a\"b\\c\\d"]),
            ("a \\\n b \\\r\n c", &["a", "b", "c"]),
            ("$'a\\'b\\n\\x41\\u00fc\\303\\274\\q'", &["a'b\nAüü\\q"]),
            ("$'\\xC3\\xBC' $'\\U0001F600'", &["ü", "\u{1f600}"]),
            ("a | b", &["a"]),
            ("a > f", &["a"]),
            ("a\nb", &["a"]),
            ("'a;b' ; c", &["a;b"]),
            ("a$", &["a$"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn what_a_shell_would_expand_is_noticed_where_it_would() {
        for (text, expands) in [
            ("$HOME", true),
            ("\"$HOME\"", true),
            ("${x}", true),
            ("$(id)", true),
            ("`id`", true),
            ("'$HOME'", false),
            ("\\$HOME", false),
            ("\"\\$HOME\"", false),
            ("a$", false),
            ("$'x'", false),
        ] {
            assert_eq!(split(text).unwrap().expands, expands, "{text}");
        }
    }

    #[test]
    fn an_open_quote_is_an_error() {
        for text in ["'a", "\"a", "\"a\\", "$'a", "$'a\\"] {
            assert_eq!(split(text), Err(InquiryError::OpenQuote), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}|[\\\\'\"$xuU0-9a \n]{0,40}") {
            let _ = split(&text);
        }

        #[test]
        fn quoted_words_come_back(words in prop::collection::vec("\\PC{0,20}", 0..6)) {
            let line: Vec<String> =
                words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
            prop_assert_eq!(split(&line.join(" ")).unwrap().words, words);
        }
    }
}
