//! The functions that Magento hashes passwords with, one at a time.
//!
//! Argon2's memory is lent by the caller and used again. What a row may ask for is bounded by the cost of Magento's own
//! hashes: whoever can write a row must not be able to ask for gigabytes or minutes.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use md5::{Digest as _, Md5};
use sha2::Sha256;
use zeroize::Zeroizing;

/// libsodium's, which Magento uses.
const SALT_LENGTH: usize = 16;
const OUTPUT_MIN: usize = 16;
const OUTPUT_MAX: usize = 64;
const MEMORY_MIN: u32 = 8;
/// 64 MiB, in Argon2's blocks of 1 KiB: `SODIUM_CRYPTO_PWHASH_MEMLIMIT_INTERACTIVE`.
const MEMORY_MAX: u32 = 64 * 1024;
/// Twice what Magento asks for.
const PASSES_MAX: u32 = 4;

/// One function of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Version 0: MD5 of salt and input.
    Md5,
    /// Version 1: SHA-256 of salt and input.
    Sha256,
    /// Versions 2 and `3_…`: Argon2id.
    Argon2id(Cost),
}

/// What Argon2id is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    /// Bytes.
    output: usize,
    passes: u32,
    /// KiB.
    memory: u32,
}

/// Why a version names no step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StepProblem {
    /// Magento would fail on it.
    Unknown,
    /// Magento would work on it, longer than we want to.
    TooCostly,
}

/// Memory for one hash at a time: nothing until it is used, then 64 MiB at most.
#[derive(Default)]
pub struct Workspace(Vec<Block>);

#[cfg(test)]
impl Workspace {
    /// What the largest hash so far needed.
    pub(crate) fn kibibytes(&self) -> usize {
        self.0.len()
    }
}

impl Step {
    /// Reads one version of a stored hash. Magento casts it to a number, `1x` to 1; here it is read exactly.
    pub(super) fn parse(version: &str) -> Result<Self, StepProblem> {
        match version {
            "0" => return Ok(Self::Md5),
            "1" => return Ok(Self::Sha256),
            "2" => return Ok(Self::Argon2id(Cost::CURRENT)),
            _ => {}
        }
        let numbers = version.strip_prefix("3_").ok_or(StepProblem::Unknown)?;
        let mut numbers = numbers.split('_').map(decimal);
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(output), Some(passes), Some(bytes), None) => Cost::new(output?, passes?, bytes?),
            _ => Err(StepProblem::Unknown),
        }
        .map(Self::Argon2id)
    }

    /// Whether the step costs at least what a hash of today costs.
    pub(super) fn is_dear(self) -> bool {
        match self {
            Self::Md5 | Self::Sha256 => false,
            Self::Argon2id(cost) => {
                cost.memory >= Cost::CURRENT.memory && cost.passes >= Cost::CURRENT.passes
            }
        }
    }

    /// Runs the step: lower-case hexadecimal, `None` where libsodium would fail.
    pub(super) fn run(
        self,
        input: &[u8],
        salt: &str,
        workspace: &mut Workspace,
    ) -> Option<Zeroizing<String>> {
        match self {
            Self::Md5 => Some(hexadecimal(Md5::new().chain_update(salt).chain_update(input).finalize())),
            Self::Sha256 => {
                Some(hexadecimal(Sha256::new().chain_update(salt).chain_update(input).finalize()))
            }
            Self::Argon2id(cost) => cost.run(input, salt, workspace),
        }
    }
}

impl Cost {
    /// What Magento asks for: `SODIUM_CRYPTO_PWHASH_*_INTERACTIVE`.
    pub(super) const CURRENT: Self = Self { output: 32, passes: 2, memory: MEMORY_MAX };

    fn new(output: u64, passes: u64, bytes: u64) -> Result<Self, StepProblem> {
        let output = usize::try_from(output).map_err(|_| StepProblem::TooCostly)?;
        let passes = u32::try_from(passes).map_err(|_| StepProblem::TooCostly)?;
        let memory = u32::try_from(bytes / 1024).map_err(|_| StepProblem::TooCostly)?;
        if output > OUTPUT_MAX || passes > PASSES_MAX || memory > MEMORY_MAX {
            return Err(StepProblem::TooCostly);
        }
        if output < OUTPUT_MIN || passes == 0 || memory < MEMORY_MIN {
            return Err(StepProblem::Unknown);
        }
        Ok(Self { output, passes, memory })
    }

    fn run(self, input: &[u8], salt: &str, workspace: &mut Workspace) -> Option<Zeroizing<String>> {
        if salt.is_empty() {
            return None;
        }
        // Cut or repeated to what libsodium takes.
        let salt: Vec<u8> = salt.bytes().cycle().take(SALT_LENGTH).collect();
        let params = Params::new(self.memory, self.passes, 1, Some(self.output)).ok()?;
        let blocks = workspace.blocks(params.block_count());
        let mut output = Zeroizing::new(vec![0; self.output]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(input, &salt, &mut output, blocks)
            .ok()?;
        Some(hexadecimal(&*output))
    }
}

impl Workspace {
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            self.0.resize(count, Block::new());
        }
        &mut self.0
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").field("blocks", &self.0.len()).finish_non_exhaustive()
    }
}

fn decimal(text: &str) -> Result<u64, StepProblem> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(StepProblem::Unknown);
    }
    text.parse().map_err(|_| StepProblem::TooCostly)
}

fn hexadecimal(bytes: impl AsRef<[u8]>) -> Zeroizing<String> {
    Zeroizing::new(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_cannot_ask_for_more_than_twice_the_work_of_today() {
        for (version, expected) in [
            ("3_32_2_67108864", Ok(Step::Argon2id(Cost::CURRENT))),
            ("3_32_4_67108864", Ok(Step::Argon2id(Cost { passes: 4, ..Cost::CURRENT }))),
            ("3_32_5_67108864", Err(StepProblem::TooCostly)),
            ("3_32_2_67109888", Err(StepProblem::TooCostly)),
            ("3_32_2_4294967296", Err(StepProblem::TooCostly)),
            ("3_32_2_99999999999999999999", Err(StepProblem::TooCostly)),
            ("3_65_2_67108864", Err(StepProblem::TooCostly)),
            ("3_99999999999_2_67108864", Err(StepProblem::TooCostly)),
            ("3_15_2_67108864", Err(StepProblem::Unknown)),
            ("3_32_0_67108864", Err(StepProblem::Unknown)),
            ("3_32_2_8191", Err(StepProblem::Unknown)),
            ("3_32_2", Err(StepProblem::Unknown)),
            ("3_32_2_67108864_1", Err(StepProblem::Unknown)),
            ("3_32_+2_67108864", Err(StepProblem::Unknown)),
            ("3", Err(StepProblem::Unknown)),
            ("9", Err(StepProblem::Unknown)),
            ("", Err(StepProblem::Unknown)),
            ("1x", Err(StepProblem::Unknown)),
        ] {
            assert_eq!(Step::parse(version), expected, "{version}");
        }
    }

    #[test]
    fn a_workspace_grows_to_what_is_asked_and_is_used_again() {
        let mut workspace = Workspace::default();
        let cost = Cost { output: 32, passes: 1, memory: 8 };
        let first = cost.run(b"secret", "salt", &mut workspace).unwrap();
        assert_eq!(workspace.0.len(), 8);
        assert_eq!(cost.run(b"secret", "salt", &mut workspace).unwrap(), first);
        assert_eq!(workspace.0.len(), 8);
        assert!(cost.run(b"secret", "", &mut workspace).is_none(), "libsodium takes no empty salt");
        assert_eq!(format!("{workspace:?}"), "Workspace { blocks: 8, .. }", "how much, and nothing of what");
    }
}
