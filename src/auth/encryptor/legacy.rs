//! Ciphers 0 to 2, as Magento's `Mcrypt` adapter used them before 2.3; read only.
//!
//! None of them is authenticated, so a wrong key gives noise instead of an error. mcrypt fills the last block with
//! NULs and never says how many; the caller's trim takes them off again.

use aes::cipher::{Block, BlockCipherDecrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use blowfish::Blowfish;
use zeroize::Zeroizing;

use super::error::DecryptError;
use super::rijndael256::{BLOCK_LENGTH, Rijndael256};

/// Blowfish in ECB mode.
pub(super) fn decrypt_blowfish(key: &[u8], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    decrypt_ecb::<Blowfish>(key, data)
}

/// AES in ECB mode, the key's length choosing the variant.
pub(super) fn decrypt_rijndael128(key: &[u8], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    match key.len() {
        16 => decrypt_ecb::<Aes128>(key, data),
        24 => decrypt_ecb::<Aes192>(key, data),
        32 => decrypt_ecb::<Aes256>(key, data),
        _ => Err(DecryptError::KeyLength),
    }
}

/// Rijndael-256 in CBC mode; without a vector it is all zeros.
pub(super) fn decrypt_rijndael256(
    key: &[u8],
    init_vector: Option<&[u8]>,
    data: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let cipher = Rijndael256::new(key).ok_or(DecryptError::KeyLength)?;
    let mut previous = match init_vector {
        Some(vector) => vector.try_into().map_err(|_| DecryptError::InitVectorLength)?,
        None => [0; BLOCK_LENGTH],
    };
    let mut buffer = fill_last_block(data, BLOCK_LENGTH)?;
    let (blocks, _) = buffer.as_chunks_mut::<BLOCK_LENGTH>();
    for block in blocks {
        let ciphertext = *block;
        *block = cipher.decrypt_block(&ciphertext);
        for (byte, mask) in block.iter_mut().zip(previous) {
            *byte ^= mask;
        }
        previous = ciphertext;
    }
    Ok(buffer)
}

fn decrypt_ecb<C: BlockCipherDecrypt + KeyInit>(
    key: &[u8],
    data: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    let cipher = C::new_from_slice(key).map_err(|_| DecryptError::KeyLength)?;
    let mut buffer = fill_last_block(data, C::block_size())?;
    let (blocks, _) = Block::<C>::slice_as_chunks_mut(&mut buffer);
    cipher.decrypt_blocks(blocks);
    Ok(buffer)
}

/// Copies the data and fills it with NULs up to whole blocks, as mcrypt does even when decrypting.
fn fill_last_block(data: &[u8], block_length: usize) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
    if data.is_empty() {
        return Err(DecryptError::Empty);
    }
    let mut buffer = Zeroizing::new(Vec::with_capacity(data.len().saturating_add(block_length)));
    buffer.extend_from_slice(data);
    buffer.resize(data.len().next_multiple_of(block_length), 0);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197 appendix C.
    #[test]
    fn the_length_of_the_key_chooses_the_variant_of_aes() {
        let key: Vec<u8> = (0..32).collect();
        let plaintext: Vec<u8> = (0..16).map(|byte| byte * 0x11).collect();
        for (length, ciphertext) in [
            (16, "69c4e0d86a7b0430d8cdb78070b4c55a"),
            (24, "dda97ca4864cdfe06eaf70a0ec0d7191"),
            (32, "8ea2b7ca516745bfeafc49904b496089"),
        ] {
            let decrypted = decrypt_rijndael128(&key[..length], &hex::decode(ciphertext).unwrap());
            assert_eq!(decrypted.as_deref(), Ok(&plaintext), "{length}");
        }
        for length in [0, 15, 17, 31] {
            assert_eq!(decrypt_rijndael128(&key[..length], &plaintext), Err(DecryptError::KeyLength));
        }
    }

    #[test]
    fn the_last_block_is_filled_and_nothing_is_no_block() {
        for (length, filled) in [(1, 16), (15, 16), (16, 16), (17, 32), (32, 32)] {
            let buffer = fill_last_block(&vec![7; length], 16).unwrap();
            assert_eq!(buffer.len(), filled);
            assert!(buffer[..length].iter().all(|byte| *byte == 7));
            assert!(buffer[length..].iter().all(|byte| *byte == 0));
        }
        assert_eq!(fill_last_block(&[], 16), Err(DecryptError::Empty));
    }
}
