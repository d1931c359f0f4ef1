//! Counting the GraphQL mutations that issue or revoke customer tokens, in a body as it passes.
//!
//! The body is neither parsed nor kept: a parser would have to agree with the upstream's on every byte, and a prefix would
//! leave the rest of a long body unseen. A field cannot be asked for without its name, so the name is counted wherever it
//! stands as a whole word, with the escapes undone that could hide it (JSON's `\u0067`, a query's `%67`). That may count
//! too many (a comment, an operation of the same name), never too few: one document may hold the field a hundred times
//! under aliases, and each is a password checked.

const NAMES: [&[u8]; 2] = [b"generateCustomerToken", b"revokeCustomerToken"];

/// A count under way; the text may come in any pieces.
#[derive(Debug, Default)]
pub struct TokenMutations {
    unescaping: Unescaping,
    /// How much of each name stands before the next character.
    matched: [usize; NAMES.len()],
    /// The last characters were a whole name, if the next one ends the word.
    is_name: bool,
    /// The last character belongs to a word.
    is_in_word: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum Unescaping {
    #[default]
    Plain,
    Backslash,
    /// Hexadecimal digits still to come, and the value so far.
    Digits(u8, u32),
}

impl TokenMutations {
    /// Counts the mutations whose name ends in this piece.
    pub fn count(&mut self, piece: &[u8]) -> u32 {
        piece.iter().fold(0, |count: u32, byte| count.saturating_add(u32::from(self.raw(*byte))))
    }

    /// Counts those of a whole text.
    #[must_use]
    pub fn in_text(text: &str) -> u32 {
        let mut counter = Self::default();
        counter.count(text.as_bytes()).saturating_add(counter.count(b" "))
    }

    /// Whether this byte, as it stands in the text, completes a name.
    fn raw(&mut self, byte: u8) -> bool {
        let digit = char::from(byte).to_digit(16);
        match (self.unescaping, byte, digit) {
            (Unescaping::Plain, b'\\', _) => self.await_more(Unescaping::Backslash),
            (Unescaping::Plain, b'%', _) => self.await_more(Unescaping::Digits(2, 0)),
            (Unescaping::Backslash, b'u', _) => self.await_more(Unescaping::Digits(4, 0)),
            (Unescaping::Backslash, _, _) => {
                self.unescaping = Unescaping::Plain;
                self.character(b'\\')
            }
            (Unescaping::Digits(1, value), _, Some(digit)) => {
                self.unescaping = Unescaping::Plain;
                self.character(u8::try_from(value << 4 | digit).unwrap_or(b'?'))
            }
            (Unescaping::Digits(left, value), _, Some(digit)) => {
                self.await_more(Unescaping::Digits(left - 1, value << 4 | digit))
            }
            // No escape after all.
            (Unescaping::Digits(..), _, None) => {
                self.unescaping = Unescaping::Plain;
                self.character(b'?') | self.raw(byte)
            }
            (Unescaping::Plain, _, _) => self.character(byte),
        }
    }

    const fn await_more(&mut self, unescaping: Unescaping) -> bool {
        self.unescaping = unescaping;
        false
    }

    /// Whether this character ends a name. After a field's name no document goes on with a quotation mark: that is the end
    /// of a JSON string, the name of an operation.
    fn character(&mut self, character: u8) -> bool {
        let is_word = character.is_ascii_alphanumeric() || character == b'_';
        let ends_name = self.is_name && !is_word && character != b'"';
        self.is_name = false;
        for (matched, name) in self.matched.iter_mut().zip(NAMES) {
            let may_begin = *matched > 0 || !self.is_in_word;
            let fits = may_begin && name.get(*matched) == Some(&character);
            *matched = if fits { *matched + 1 } else { 0 };
            if *matched == name.len() {
                self.is_name = true;
                *matched = 0;
            }
        }
        self.is_in_word = is_word;
        ends_name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_however_it_is_written() {
        for (text, expected) in [
            (r#"{"query":"mutation{generateCustomerToken(email:\"a\",password:\"b\"){token}}"}"#, 1),
            (r#"{"query":"mutation{\n generateCustomerToken (email:\"a\"){token}}"}"#, 1),
            (r#"{"query":"mutation{\u0067enerateCustomer\u0054oken#\n(email:\"a\"){token}}"}"#, 1),
            (r#"{"query":"mutation{\ngenerateCustomerToken(e:1){token}}"}"#, 1),
            (
                r#"{"query":"mutation{a:generateCustomerToken(e:1){token} b:generateCustomerToken(e:2){token}}"}"#,
                2,
            ),
            ("query=mutation%7BgenerateCustomer%54oken(email:1)%7Btoken%7D%7D", 1),
            ("query=mutation+%7B+%67enerateCustomerToken%20(", 1),
            (r#"{"query":"mutation{revokeCustomerToken{result}}"}"#, 1),
            (r#"{"operationName":"generateCustomerToken","query":"query Q{cart{id}}"}"#, 0),
            (r#"{"query":"mutation{generateCustomerTokenAsAdmin(input:{})}"}"#, 0),
            (r#"{"query":"mutation{regenerateCustomerToken(a:1)}"}"#, 0),
            (r#"{"query":"{products(search:\"100% generate\"){items{sku}}}"}"#, 0),
            ("%%generateCustomerToken(", 1),
            (r"\\u0067generateCustomerToken(", 0),
            (r"\u00generateCustomerToken(", 1),
            ("", 0),
        ] {
            assert_eq!(TokenMutations::in_text(text), expected, "{text}");
        }
    }

    #[test]
    fn pieces_make_no_difference() {
        let text =
            br#"{"query":"mutation{a:generateCustomerToken(e:1){token} b:\u0067enerateCustomerToken(e:2)}"}"#;
        for size in 1..text.len() {
            let mut counter = TokenMutations::default();
            let count: u32 = text.chunks(size).map(|piece| counter.count(piece)).sum();
            assert_eq!(count, 2, "pieces of {size}");
        }
    }
}
