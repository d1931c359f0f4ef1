//! Sealed words: how the heads and states of the journal are laid out.
//!
//! Everything but the records is a few little-endian 64-bit words, the last of them a checksum of the others.

use super::fingerprint::Keys;

/// The words as bytes, the last word replaced by the checksum of those before it.
pub(super) fn seal<const N: usize>(keys: &Keys, mut words: [u64; N]) -> Vec<u8> {
    if let Some((checksum, content)) = words.split_last_mut() {
        *checksum = keys.checksum(content);
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The words at the start of some bytes, if they are all there and the checksum holds.
pub(super) fn unseal<const N: usize>(keys: &Keys, bytes: &[u8]) -> Option<[u64; N]> {
    let words: [u64; N] = read(bytes)?;
    let (checksum, content) = words.split_last()?;
    (*checksum == keys.checksum(content)).then_some(words)
}

/// The words at the start of some bytes, unchecked: to tell a foreign file from a damaged one.
pub(super) fn read<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let (chunks, _) = bytes.as_chunks::<8>();
    let words: Vec<u64> = chunks.iter().take(N).map(|chunk| u64::from_le_bytes(*chunk)).collect();
    words.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint::Seed;
    use super::*;

    #[test]
    fn sealed_words_come_back() {
        let keys = Keys::new(Seed([1, 2]));
        let bytes = seal(&keys, [7, 8, 0]);
        assert_eq!(unseal(&keys, &bytes).map(|[a, b, _]: [u64; 3]| (a, b)), Some((7, 8)));
    }

    #[test]
    fn a_flipped_bit_a_cut_or_another_seed_breaks_the_seal() {
        let keys = Keys::new(Seed([1, 2]));
        let bytes = seal(&keys, [7, 8, 0]);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal::<3>(&keys, &flipped), None, "bit {bit}");
        }
        assert_eq!(unseal::<3>(&keys, &bytes[..23]), None);
        assert_eq!(unseal::<3>(&Keys::unkeyed(), &bytes), None);
    }
}
