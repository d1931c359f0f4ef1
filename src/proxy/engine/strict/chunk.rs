//! The line before a chunk: its size, and extensions that nobody reads.

use super::Violation;

/// Sixteen hexadecimal digits are 64 bits.
const MAX_DIGITS: usize = 16;

/// Reads `1*HEXDIG [ ";" extensions ]` (RFC 9112 section 7.1), without the blanks that some readers let pass.
pub(super) fn size(line: &[u8]) -> Result<u64, Violation> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return Err(Violation::Chunk);
    }
    let value = |digit: u8| char::from(digit).to_digit(16).map(u64::from).ok_or(Violation::Chunk);
    digits.iter().try_fold(0_u64, |size, digit| Ok(size << 4 | value(*digit)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_hexadecimal_and_fits() {
        for (line, expected) in [
            ("0", Ok(0)),
            ("000", Ok(0)),
            ("1aF", Ok(0x1af)),
            ("5;name=\"value\"", Ok(5)),
            ("ffffffffffffffff", Ok(u64::MAX)),
            ("", Err(Violation::Chunk)),
            (";x", Err(Violation::Chunk)),
            ("5 ", Err(Violation::Chunk)),
            (" 5", Err(Violation::Chunk)),
            ("+5", Err(Violation::Chunk)),
            ("0x5", Err(Violation::Chunk)),
            ("g", Err(Violation::Chunk)),
            ("00000000000000005", Err(Violation::Chunk)),
        ] {
            assert_eq!(size(line.as_bytes()), expected, "{line:?}");
        }
    }
}
