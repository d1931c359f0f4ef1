//! Which passwords may be chosen, and in which order Magento complains.
//!
//! Admins: `User\Model\UserValidationRules`. Customers: `Customer\Model\AccountManagement::checkPasswordStrength`, whose
//! two numbers are settings.

const ADMIN_LENGTH: usize = 7;
const CUSTOMER_LENGTH_MAX: usize = 256;

/// The rules for one kind of user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordRules {
    /// Seven characters, a Latin letter and a digit among them.
    Admin,
    /// What the settings say.
    Customer {
        /// `customer/password/minimum_password_length`.
        length: u32,
        /// `customer/password/required_character_classes_number`: of lower case, upper case, digits, anything else.
        classes: u32,
    },
}

/// Why a password may not be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordProblem {
    /// There is none.
    Missing,
    /// It has fewer characters than this.
    Short(usize),
    /// It has more characters than this.
    Long(usize),
    /// It begins or ends with a space.
    Spaced,
    /// It lacks letters or digits.
    LettersAndDigits,
    /// It has fewer kinds of characters than this.
    Classes(u32),
}

impl PasswordRules {
    /// Checks a new password.
    ///
    /// # Errors
    /// The first [`PasswordProblem`].
    pub fn check(self, password: &str) -> Result<(), PasswordProblem> {
        match self {
            Self::Admin => check_admin(password),
            Self::Customer { length, classes } => {
                check_customer(password, usize::try_from(length).unwrap_or(usize::MAX), classes)
            }
        }
    }
}

fn check_admin(password: &str) -> Result<(), PasswordProblem> {
    if password.is_empty() {
        return Err(PasswordProblem::Missing);
    }
    if password.chars().count() < ADMIN_LENGTH {
        return Err(PasswordProblem::Short(ADMIN_LENGTH));
    }
    let has_letter = password.contains(|character: char| character.is_ascii_alphabetic());
    let has_digit = password.contains(|character: char| character.is_ascii_digit());
    if has_letter && has_digit { Ok(()) } else { Err(PasswordProblem::LettersAndDigits) }
}

fn check_customer(password: &str, length: usize, classes: u32) -> Result<(), PasswordProblem> {
    let characters = password.chars().count();
    if characters > CUSTOMER_LENGTH_MAX {
        return Err(PasswordProblem::Long(CUSTOMER_LENGTH_MAX));
    }
    if characters < length.max(1) {
        return Err(PasswordProblem::Short(length.max(1)));
    }
    if password.starts_with(is_trimmed) || password.ends_with(is_trimmed) {
        return Err(PasswordProblem::Spaced);
    }
    let kinds: [fn(char) -> bool; 4] = [
        |character| character.is_ascii_lowercase(),
        |character| character.is_ascii_uppercase(),
        |character| character.is_ascii_digit(),
        |character| !character.is_ascii_alphanumeric(),
    ];
    let found: u32 = kinds.into_iter().map(|kind| u32::from(password.contains(kind))).sum();
    if found < classes { Err(PasswordProblem::Classes(classes)) } else { Ok(()) }
}

/// What PHP's `trim` takes away.
const fn is_trimmed(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admins_need_seven_characters_with_letters_and_digits() {
        for (password, expected) in [
            ("", Err(PasswordProblem::Missing)),
            ("abc123", Err(PasswordProblem::Short(7))),
            ("abcdefg", Err(PasswordProblem::LettersAndDigits)),
            ("1234567", Err(PasswordProblem::LettersAndDigits)),
            ("äöüäöü1", Err(PasswordProblem::LettersAndDigits)),
            ("abcdef1", Ok(())),
            ("1 bcdef", Ok(())),
        ] {
            assert_eq!(PasswordRules::Admin.check(password), expected, "{password}");
        }
    }

    #[test]
    fn customers_need_what_the_settings_say() {
        let rules = PasswordRules::Customer { length: 8, classes: 3 };
        let long = "aB1".repeat(86);
        let longest = &long[..256];
        for (password, expected) in [
            ("", Err(PasswordProblem::Short(8))),
            ("aB1aB1a", Err(PasswordProblem::Short(8))),
            ("aB1aB1aB", Ok(())),
            ("abcdefg1", Err(PasswordProblem::Classes(3))),
            ("abcdef 1", Ok(())),
            (" aB1aB1a", Err(PasswordProblem::Spaced)),
            ("aB1aB1a\t", Err(PasswordProblem::Spaced)),
            (longest, Ok(())),
            (long.as_str(), Err(PasswordProblem::Long(256))),
        ] {
            assert_eq!(rules.check(password), expected, "{password}");
        }
        let none = PasswordRules::Customer { length: 0, classes: 0 };
        assert_eq!(none.check(""), Err(PasswordProblem::Short(1)));
        assert_eq!(none.check("a"), Ok(()));
    }
}
