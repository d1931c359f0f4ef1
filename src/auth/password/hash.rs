//! A stored password hash: `digest:salt:versions`, or the keyed digest of old installations.
//!
//! The versions are a history, oldest first: a hash that was upgraded without knowing the password went through all of
//! them, `…:0:1` is `sha256(salt . md5(salt . password))`. Whatever is not of that form is compared with the password's
//! HMAC-SHA-256 under the crypt key, as Magento does; anything with a colon can never equal that.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::step::{Cost, Step, StepProblem, Workspace};
use crate::auth::secret::Secret;

/// `Encryptor::getLatestHashVersion` with its parameters.
const CURRENT_VERSION: &str = "3_32_2_67108864";
/// A chain that went through every version once.
const STEPS_MAX: usize = 4;

/// What is stored of a password.
#[derive(Debug, Clone)]
pub struct PasswordHash {
    digest: Secret<String>,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Chain { salt: String, steps: Vec<Step>, is_current: bool },
    Keyed,
}

/// A stored hash asks for more memory or time than any that Magento makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the password hash asks for more than is granted")]
pub struct TooCostly;

impl PasswordHash {
    /// Reads `admin_user.password` or `customer_entity.password_hash`.
    ///
    /// # Errors
    /// [`TooCostly`] above 64 MiB, four passes, 64 bytes of output or four versions.
    pub fn parse(stored: &str) -> Result<Self, TooCostly> {
        let keyed = || Self { digest: Secret::new(stored.to_owned()), form: Form::Keyed };
        let mut parts = stored.splitn(3, ':');
        let (Some(digest), Some(salt), Some(versions)) = (parts.next(), parts.next(), parts.next()) else {
            return Ok(keyed());
        };
        let mut steps = Vec::new();
        for version in versions.split(':') {
            if steps.len() == STEPS_MAX {
                return Err(TooCostly);
            }
            match Step::parse(version) {
                Ok(step) => steps.push(step),
                Err(StepProblem::Unknown) => return Ok(keyed()),
                Err(StepProblem::TooCostly) => return Err(TooCostly),
            }
        }
        let is_current = steps.len() == 1 && versions.starts_with("3_");
        let form = Form::Chain { salt: salt.to_owned(), steps, is_current };
        Ok(Self { digest: Secret::new(digest.to_owned()), form })
    }

    /// Whether a password is the one that was stored. `crypt_key` is the newest key of `crypt/key`.
    #[must_use]
    pub fn verifies(&self, password: &[u8], crypt_key: &[u8], workspace: &mut Workspace) -> bool {
        let recreated = match &self.form {
            Form::Chain { salt, steps, .. } => chain(password, salt, steps, workspace),
            Form::Keyed => Some(keyed(password, crypt_key)),
        };
        recreated.is_some_and(|recreated| self.digest.equals(recreated.as_bytes()))
    }

    /// Whether checking it costs at least what checking a new hash costs: what costs less tells how old an account is.
    #[must_use]
    pub fn is_dear(&self) -> bool {
        match &self.form {
            Form::Chain { salt, steps, .. } => !salt.is_empty() && steps.iter().any(|step| step.is_dear()),
            Form::Keyed => false,
        }
    }

    /// Whether Magento would hash the password anew once it knows it. The keyed form counts as valid there, and stays.
    #[must_use]
    pub const fn needs_upgrade(&self) -> bool {
        match &self.form {
            Form::Chain { is_current, .. } => !*is_current,
            Form::Keyed => false,
        }
    }

    /// Hashes a new password as Magento does today; `None` on an empty salt. Its own salts are 32 of `0-9a-zA-Z`.
    #[must_use]
    pub fn make(password: &[u8], salt: &str, workspace: &mut Workspace) -> Option<Secret<String>> {
        let digest = Step::Argon2id(Cost::CURRENT).run(password, salt, workspace)?;
        Some(Secret::new(format!("{}:{salt}:{CURRENT_VERSION}", *digest)))
    }
}

fn chain(
    password: &[u8],
    salt: &str,
    steps: &[Step],
    workspace: &mut Workspace,
) -> Option<Zeroizing<String>> {
    let (first, later) = steps.split_first()?;
    let first = first.run(password, salt, workspace)?;
    later.iter().try_fold(first, |input, step| step.run(input.as_bytes(), salt, workspace))
}

fn keyed(password: &[u8], crypt_key: &[u8]) -> Zeroizing<String> {
    let mac = Hmac::<Sha256>::new_from_slice(crypt_key).expect("HMAC takes keys of any length");
    Zeroizing::new(hex::encode(mac.chain_update(password).finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn key() -> String {
        let jwt: Value = serde_json::from_str(include_str!("../../../tests/vectors/jwt.json")).unwrap();
        jwt["key_derivation"]["env_crypt_key"].as_str().unwrap().to_owned()
    }

    #[test]
    fn recorded_hashes_verify_as_in_magento() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../tests/vectors/password_hashes.json")).unwrap();
        let (key, mut workspace) = (key(), Workspace::default());
        let mut checked = 0;
        for vector in vectors.as_array().unwrap().iter().filter(|vector| vector["hash"].is_string()) {
            let hash = PasswordHash::parse(vector["hash"].as_str().unwrap()).unwrap();
            let password = vector["password"].as_str().unwrap();
            let verifies = hash.verifies(password.as_bytes(), key.as_bytes(), &mut workspace);
            assert_eq!(verifies, vector["valid"].as_bool().unwrap(), "{vector}");
            if let Some(is_latest) = vector["is_latest"].as_bool() {
                assert_eq!(!hash.needs_upgrade(), is_latest, "{vector}");
                let wrong = format!("{password}x");
                assert!(!hash.verifies(wrong.as_bytes(), key.as_bytes(), &mut workspace), "{vector}");
            }
            checked += 1;
        }
        assert!(checked > 20, "{checked}");
    }

    #[test]
    fn published_hashes_verify() {
        let mut workspace = Workspace::default();
        for stored in [
            "78798f051357a59e2ca4f4de2a43780e992d28b3bdebb5ad8c7d97ab642cc8f3:aa:1",
            "a4383d17c440a6fb97868c84cdc7453c:aa:0",
            "7b5dc35d36733b810f8430237e0222f9540f213ff752111396832cd168ee4438:aa:0:1",
            "7bc2cdb7e66360af835ba0f23c189e063c315b19fc5cb1f9dbc80f4acce1e07d:saltsaltsaltsaltsaltsaltsaltsalt:3_32_2_67108864",
        ] {
            let hash = PasswordHash::parse(stored).unwrap();
            assert!(hash.verifies(b"Password1", b"", &mut workspace), "{stored}");
            assert!(!hash.verifies(b"password1", b"", &mut workspace), "{stored}");
        }
    }

    #[test]
    fn a_new_hash_is_current_and_verifies() {
        let mut workspace = Workspace::default();
        let salt = "0123456789abcdefghijABCDEFGHIJ01";
        let stored = PasswordHash::make("pässword 1".as_bytes(), salt, &mut workspace).unwrap();
        assert!(stored.expose().ends_with(":0123456789abcdefghijABCDEFGHIJ01:3_32_2_67108864"));
        let hash = PasswordHash::parse(stored.expose()).unwrap();
        assert!(!hash.needs_upgrade() && hash.is_dear());
        assert!(hash.verifies("pässword 1".as_bytes(), b"", &mut workspace));
    }

    #[test]
    fn what_a_hash_costs_and_whether_it_is_old() {
        for (versions, needs_upgrade, is_dear) in [
            ("0", true, false),
            ("1", true, false),
            ("2", true, true),
            ("0:1", true, false),
            ("0:1:2", true, true),
            ("1:3_32_2_67108864", true, true),
            ("3_32_2_67108864", false, true),
            ("3_32_1_67108864", false, false),
            ("3_32_2_1048576", false, false),
        ] {
            let hash = PasswordHash::parse(&format!("00:salt:{versions}")).unwrap();
            assert_eq!((hash.needs_upgrade(), hash.is_dear()), (needs_upgrade, is_dear), "{versions}");
        }
        assert!(!PasswordHash::parse("00").unwrap().needs_upgrade());
    }

    #[test]
    fn too_much_is_refused_and_nonsense_verifies_nothing() {
        for versions in ["3_32_2_4294967296", "1:3_32_9_67108864", "0:0:0:0:0"] {
            assert_eq!(
                PasswordHash::parse(&format!("00:s:{versions}")).unwrap_err(),
                TooCostly,
                "{versions}"
            );
        }
        let mut workspace = Workspace::default();
        for stored in ["", ":", "::", ":::", "::0", "00::2", "a:b:c", "a:b:1:x", "a:b:"] {
            let hash = PasswordHash::parse(stored).unwrap();
            assert!(!hash.verifies(b"", b"key", &mut workspace), "{stored}");
        }
    }
}
