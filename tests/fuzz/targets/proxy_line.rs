//! The first bytes of a connection behind a load balancer: read within bounds, and the same however they arrive.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::proxy::proxy_line::{MAX_V1, MAX_V2, Progress, read};

fuzz_target!(|bytes: &[u8]| {
    let whole = read(bytes);
    let is_v2 = bytes.first() == Some(&b'\r');
    match whole {
        Progress::Read(_, length) => {
            assert!(length <= bytes.len() && length <= if is_v2 { MAX_V2 } else { MAX_V1 });
            assert_eq!(read(&bytes[..length]), whole, "what follows the line says nothing about it");
        }
        Progress::Incomplete => assert!(bytes.len() < MAX_V2, "more is waited for than may come"),
        Progress::Malformed => {}
    }
    // Piece by piece a reader comes to the same end, and never sees a line in half of it.
    for end in 0..bytes.len().min(MAX_V2 + 1) {
        match read(&bytes[..end]) {
            Progress::Incomplete => {}
            early => {
                assert_eq!(early, whole);
                break;
            }
        }
    }
});
