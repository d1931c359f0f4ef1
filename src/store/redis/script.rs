//! A script in Lua, sent by its digest.

use hex::encode;
use redis::Cmd;
use sha1::{Digest as _, Sha1};

/// A script; Redis carries it out as one step.
#[derive(Debug)]
pub struct LinkScript {
    text: &'static str,
    digest: String,
}

impl LinkScript {
    /// A script by its text; what it works on comes as `KEYS` and `ARGV`.
    #[must_use]
    pub fn new(text: &'static str) -> Self {
        Self { text, digest: encode(Sha1::digest(text.as_bytes())) }
    }

    /// The call by digest: 40 bytes instead of the text.
    pub(super) fn by_digest(&self, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
        Self::call("EVALSHA", &self.digest, keys, arguments)
    }

    /// The call with the text, which the server then knows.
    pub(super) fn by_text(&self, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
        Self::call("EVAL", self.text, keys, arguments)
    }

    fn call(name: &str, script: &str, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(keys.len());
        for part in keys.iter().chain(arguments) {
            command.arg(*part);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_counted_and_come_before_arguments() {
        let script = LinkScript::new("return 1");
        let packed = script.by_text(&[b"k1", b"k2"], &[b"a"]).get_packed_command();
        let expected = "*6\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n2\r\n$2\r\nk1\r\n$2\r\nk2\r\n$1\r\na\r\n";
        assert_eq!(String::from_utf8(packed).unwrap(), expected);
        let packed = String::from_utf8(script.by_digest(&[], &[]).get_packed_command()).unwrap();
        // The digest that redis-cli prints for SCRIPT LOAD "return 1".
        assert!(packed.contains("e0e1f9fabfc9d4800c877a703b823ac0578ff8db"), "{packed}");
    }
}
