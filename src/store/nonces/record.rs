//! The records of a journal file: how a nonce is written, and how many are read back through damage.
//!
//! Sixteen bytes: fingerprint, second within the bucket, checksum. Sixteen divides a page, so none crosses one. The
//! checksum covers the bucket's start and is keyed with the seed. A reader that meets bytes that are no record looks
//! for the next one byte by byte, so the stump of a failed write hides nothing behind it.

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use crate::auth::time::UnixTime;

use super::fingerprint::{Fingerprint, Keys};

/// Bytes of a record.
pub(super) const RECORD: usize = 16;

/// How much is read at once.
pub(super) const CHUNK: usize = 1 << 18;

/// What reading a segment met besides records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// Records that could not be read.
    pub(super) corrupt: usize,
    /// The file ended within a record.
    pub(super) is_torn: bool,
}

/// The bytes of a record.
pub(super) fn encode(fingerprint: Fingerprint, second: u32, start: UnixTime, keys: &Keys) -> [u8; RECORD] {
    let check = check(fingerprint, second, start, keys);
    (u128::from(check) << 96 | u128::from(second) << 64 | u128::from(fingerprint.0)).to_le_bytes()
}

fn decode(record: [u8; RECORD], start: UnixTime, keys: &Keys) -> Option<(Fingerprint, u32)> {
    let (fingerprint, rest) = record.split_first_chunk::<8>()?;
    let (second, rest) = rest.split_first_chunk::<4>()?;
    let fingerprint = Fingerprint(u64::from_le_bytes(*fingerprint));
    let second = u32::from_le_bytes(*second);
    (rest == check(fingerprint, second, start, keys).to_le_bytes()).then_some((fingerprint, second))
}

/// The upper half of the checksum.
fn check(fingerprint: Fingerprint, second: u32, start: UnixTime, keys: &Keys) -> u32 {
    let checksum = keys.checksum(&[start.seconds().cast_unsigned(), fingerprint.0, u64::from(second)]);
    u32::try_from(checksum >> 32).unwrap_or_default()
}

/// Reads records, stepping over what is none.
pub(super) struct Reader<F> {
    keys: Keys,
    start: UnixTime,
    width: u32,
    each: F,
    damage: Damage,
    /// Bytes up to the end of the last whole record.
    whole: u64,
}

impl<F: FnMut(Fingerprint, UnixTime)> Reader<F> {
    /// A reader that hands each record of a bucket over.
    pub(super) fn new(keys: &Keys, start: UnixTime, width: u32, each: F) -> Self {
        Self { keys: *keys, start, width, each, damage: Damage::default(), whole: 0 }
    }

    /// Reads from here to the end of the file; how many bytes to keep, and what was no record.
    pub(super) fn read(mut self, file: &mut File) -> io::Result<(u64, Damage)> {
        let mut buffer = Vec::with_capacity(CHUNK + RECORD);
        let mut skipped = 0;
        loop {
            let read = file.take(CHUNK as u64).read_to_end(&mut buffer)?;
            if read == 0 {
                break;
            }
            let rest = self.take_records(&buffer, &mut skipped).len();
            buffer.drain(..buffer.len() - rest);
        }
        // What is left is shorter than a record: with what was skipped before it, the torn or corrupt end.
        let stump = skipped + buffer.len();
        self.damage.corrupt += stump / RECORD;
        self.damage.is_torn = stump % RECORD != 0;
        Ok((self.whole, self.damage))
    }

    /// Hands over every record in the bytes; returns the end that is shorter than one.
    fn take_records<'a>(&mut self, mut bytes: &'a [u8], skipped: &mut usize) -> &'a [u8] {
        while let Some((record, after)) = bytes.split_first_chunk::<RECORD>() {
            let known = decode(*record, self.start, &self.keys).filter(|(_, second)| *second < self.width);
            if let Some((fingerprint, second)) = known {
                (self.each)(fingerprint, self.start.plus(Duration::from_secs(u64::from(second))));
                self.damage.corrupt += skipped.div_ceil(RECORD);
                self.whole += (*skipped + RECORD) as u64;
                *skipped = 0;
                bytes = after;
            } else {
                *skipped += 1;
                bytes = bytes.split_first().map_or(&[], |(_, rest)| rest);
            }
        }
        bytes
    }
}
