//! The head check in front of hyper: one verdict however the bytes arrive, nothing passes that two readers take for
//! different requests, and no head grows without an end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::proxy::engine::strict::{Follower, Violation};
use portcullis_fuzz::framing::{Taste, to_the_letter};

/// More than an input has.
const ROOMY: usize = 1 << 20;
const NARROW: usize = 64;

/// What becomes of bytes in pieces of these sizes, over and over: everything passes, or where and why it ends.
fn followed(bytes: &[u8], sizes: &[u8], limit: usize) -> Result<(), (usize, Violation, bool)> {
    let mut follower = Follower::new(limit);
    let mut at = 0;
    for size in sizes.iter().cycle() {
        let end = bytes.len().min(at + usize::from(*size).max(1));
        let Some(piece) = bytes.get(at..end).filter(|piece| !piece.is_empty()) else { break };
        if let Err(broken) = follower.follow(piece) {
            assert!(broken.at < piece.len());
            return Err((at + broken.at, broken.violation, broken.is_in_body));
        }
        at = end;
    }
    Ok(())
}

fuzz_target!(|input: &[u8]| {
    // The sizes of the pieces, then what arrives.
    let Some((sizes, bytes)) = input.split_at_checked(4) else { return };
    let verdict = followed(bytes, sizes, ROOMY);
    assert_eq!(followed(bytes, &[1], ROOMY), verdict, "byte by byte");
    assert_eq!(followed(bytes, &[u8::MAX], ROOMY), verdict, "in large pieces");

    let stream = to_the_letter(bytes);
    assert_eq!(verdict.map_err(|(at, _, is_in_body)| (at, is_in_body)).err(), stream.broken);
    let complete = &bytes[..stream.ends.last().copied().unwrap_or_default()];
    for taste in Taste::all() {
        assert_eq!(taste.ends(complete), stream.ends, "{taste:?}");
    }

    let piece = usize::from(*sizes.iter().max().unwrap_or(&1)).max(1);
    match followed(bytes, sizes, NARROW) {
        Err((_, Violation::Endless, _)) => assert!(stream.longest > NARROW, "nothing is that long"),
        bounded => {
            assert_eq!(bounded, verdict);
            assert!(stream.longest <= NARROW + piece, "{} bytes were kept", stream.longest);
        }
    }
});
