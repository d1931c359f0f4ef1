//! Rijndael with a block of 256 bits, decryption only: what mcrypt calls `rijndael-256`.
//!
//! This is not AES-256. AES fixed Rijndael's block at 128 bits; the original cipher (Daemen and Rijmen, "AES
//! Proposal: Rijndael", 1999) also has blocks of 192 and 256. A block of 256 bits is a square of 4 rows and 8
//! columns, always takes 14 rounds, and its rows shift by 0, 1, 3 and 4 (proposal, table 2).
//!
//! Written to be read: field arithmetic instead of tables, so there is no lookup whose timing depends on a secret
//! either. It runs once for a stored secret, never on a request.

use crate::auth::secret::Secret;

/// Bytes in a block.
pub(super) const BLOCK_LENGTH: usize = 32;

const COLUMNS: usize = 8;
const ROUNDS: usize = 14;
const ROW_SHIFTS: [usize; 4] = [0, 1, 3, 4];

/// A block as its four rows; byte `4 * column + row` of the input stands in that row and column.
type State = [[u8; COLUMNS]; 4];

/// The cipher with an expanded key.
pub(super) struct Rijndael256 {
    round_keys: Secret<Vec<u8>>,
}

impl Rijndael256 {
    /// Expands a key of 16, 24 or 32 bytes; `None` for any other length.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        matches!(key.len(), 16 | 24 | 32).then(|| Self { round_keys: Secret::new(expand_key(key)) })
    }

    /// Decrypts one block: the rounds of encryption backwards, each step inverted.
    pub(super) fn decrypt_block(&self, block: &[u8; BLOCK_LENGTH]) -> [u8; BLOCK_LENGTH] {
        let (round_keys, _) = self.round_keys.expose().as_chunks::<BLOCK_LENGTH>();
        let mut state = into_rows(block);
        for (round, round_key) in round_keys.iter().enumerate().rev() {
            if round < ROUNDS {
                unshift_rows(&mut state);
                unsubstitute(&mut state);
            }
            add_round_key(&mut state, round_key);
            if (1..ROUNDS).contains(&round) {
                unmix_columns(&mut state);
            }
        }
        into_block(&state)
    }
}

/// The key schedule (proposal, section 4.3): each run of words as long as the key follows from the run before it.
fn expand_key(key: &[u8]) -> Vec<u8> {
    let expanded_length = BLOCK_LENGTH * (ROUNDS + 1);
    let (words, _) = key.as_chunks::<4>();
    let mut run = words.to_vec();
    let mut last = words.last().copied().unwrap_or_default();
    let mut round_constant = 1;
    let mut expanded = Vec::with_capacity(expanded_length + key.len());
    expanded.extend_from_slice(key);
    while expanded.len() < expanded_length {
        last.rotate_left(1);
        last = last.map(substitute_byte);
        last[0] ^= round_constant;
        round_constant = multiply(round_constant, 2);
        for (index, word) in run.iter_mut().enumerate() {
            // Only keys longer than six words have this extra substitution in the middle of a run.
            if words.len() > 6 && index == 4 {
                last = last.map(substitute_byte);
            }
            for (byte, before) in word.iter_mut().zip(last) {
                *byte ^= before;
            }
            last = *word;
            expanded.extend_from_slice(word);
        }
    }
    expanded.truncate(expanded_length);
    expanded
}

fn into_rows(block: &[u8; BLOCK_LENGTH]) -> State {
    let mut state = State::default();
    for (row_index, row) in state.iter_mut().enumerate() {
        for (cell, byte) in row.iter_mut().zip(block.iter().skip(row_index).step_by(4)) {
            *cell = *byte;
        }
    }
    state
}

fn into_block(state: &State) -> [u8; BLOCK_LENGTH] {
    let mut block = [0; BLOCK_LENGTH];
    for (row_index, row) in state.iter().enumerate() {
        for (byte, cell) in block.iter_mut().skip(row_index).step_by(4).zip(row) {
            *byte = *cell;
        }
    }
    block
}

fn add_round_key(state: &mut State, round_key: &[u8; BLOCK_LENGTH]) {
    for (row, key_row) in state.iter_mut().zip(into_rows(round_key)) {
        for (cell, key_cell) in row.iter_mut().zip(key_row) {
            *cell ^= key_cell;
        }
    }
}

fn unshift_rows(state: &mut State) {
    for (row, shift) in state.iter_mut().zip(ROW_SHIFTS) {
        row.rotate_right(shift);
    }
}

fn unsubstitute(state: &mut State) {
    for cell in state.as_flattened_mut() {
        *cell = unsubstitute_byte(*cell);
    }
}

/// Multiplies every column by the inverse of the mixing polynomial, `0b x³ + 0d x² + 09 x + 0e`.
fn unmix_columns(state: &mut State) {
    let [first, second, third, fourth] = state;
    for (((a, b), c), d) in first.iter_mut().zip(second).zip(third).zip(fourth) {
        let product = |w: u8, x: u8, y: u8, z: u8| {
            multiply(w, 0x0e) ^ multiply(x, 0x0b) ^ multiply(y, 0x0d) ^ multiply(z, 0x09)
        };
        (*a, *b, *c, *d) = (
            product(*a, *b, *c, *d),
            product(*b, *c, *d, *a),
            product(*c, *d, *a, *b),
            product(*d, *a, *b, *c),
        );
    }
}

/// The S-box: the inverse in the field, then an affine map over the bits.
fn substitute_byte(byte: u8) -> u8 {
    let inverse = invert(byte);
    inverse
        ^ inverse.rotate_left(1)
        ^ inverse.rotate_left(2)
        ^ inverse.rotate_left(3)
        ^ inverse.rotate_left(4)
        ^ 0x63
}

/// The inverse S-box: the affine map undone, then the inverse in the field.
fn unsubstitute_byte(byte: u8) -> u8 {
    invert(byte.rotate_left(1) ^ byte.rotate_left(3) ^ byte.rotate_left(6) ^ 0x05)
}

/// The multiplicative inverse, 0 for 0: the 254th power, as the product of the powers 2, 4, … 128.
fn invert(byte: u8) -> u8 {
    let (mut power, mut product) = (byte, 1);
    for _ in 0..7 {
        power = multiply(power, power);
        product = multiply(product, power);
    }
    product
}

/// The product in GF(2⁸) modulo `x⁸ + x⁴ + x³ + x + 1`, without a branch on the factors.
fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    for _ in 0..8 {
        product ^= a & 0_u8.wrapping_sub(b & 1);
        a = (a << 1) ^ (0x1b & 0_u8.wrapping_sub(a >> 7));
        b >>= 1;
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substitution_is_that_of_aes() {
        // FIPS 197, figure 7: corners of the S-box.
        for (byte, substitute) in [(0x00, 0x63), (0x01, 0x7c), (0x53, 0xed), (0x9a, 0xb8), (0xff, 0x16)] {
            assert_eq!(substitute_byte(byte), substitute);
        }
        for byte in 0..=255 {
            assert_eq!(unsubstitute_byte(substitute_byte(byte)), byte);
        }
    }

    #[test]
    fn published_blocks_decrypt_with_every_key_length() {
        // Test values of Brian Gladman's Rijndael for a block of 256 bits.
        let plaintext = "3243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c8";
        let cases = [
            (
                "2b7e151628aed2a6abf7158809cf4f3c",
                "7d15479076b69a46ffb3b3beae97ad8313f622f67fedb487de9f06b9ed9c8f19",
            ),
            (
                "2b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da5",
                "5d7101727bb25781bf6715b0e6955282b9610e23a43c2eb062699f0ebf5887b2",
            ),
            (
                "2b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfe",
                "a49406115dfb30a40418aafa4869b7c6a886ff31602a7dd19c889dc64f7e4e7a",
            ),
        ];
        for (key, ciphertext) in cases {
            let cipher = Rijndael256::new(&hex::decode(key).unwrap()).unwrap();
            let block = hex::decode(ciphertext).unwrap().try_into().unwrap();
            assert_eq!(hex::encode(cipher.decrypt_block(&block)), plaintext, "{}", key.len() / 2);
        }
    }

    #[test]
    fn other_key_lengths_are_refused() {
        for length in [0, 1, 15, 17, 31, 33, 64] {
            assert!(Rijndael256::new(&vec![0; length]).is_none(), "{length}");
        }
    }
}
