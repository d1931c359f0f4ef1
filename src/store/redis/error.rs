//! Why a command has no answer.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a command has no answer. Texts name neither keys nor values, which the texts of Redis may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The settings make no address; nothing can ever be sent.
    #[error("the settings of Redis cannot be used")]
    Settings,
    /// Redis is not connected; the command was not sent.
    #[error("Redis is not connected")]
    Down,
    /// Too many commands are under way; this one was not sent.
    #[error("too many commands to Redis are under way")]
    Overloaded,
    /// No answer in time; the command may have been, or may yet be, carried out.
    #[error("Redis did not answer in time")]
    Timeout,
    /// The connection broke; the command may have been carried out.
    #[error("the connection to Redis broke")]
    Broken,
    /// Redis has no memory left and evicts nothing; nothing was written.
    #[error("Redis has no memory left")]
    Full,
    /// The server may not write: a replica, or a master that cannot reach its own.
    #[error("Redis does not take writes")]
    ReadOnly,
    /// Redis refused the command, or answered what the command has no use for.
    #[error("Redis refused the command ({0})")]
    Refused(&'static str),
}

impl LinkError {
    /// The word for metrics.
    #[must_use]
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Settings | Self::Refused(_) => "refused",
            Self::Down => "down",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Full => "full",
            Self::ReadOnly => "read_only",
        }
    }

    /// Whether the server behind the connection is the wrong one, or none: another has to be found.
    pub(super) const fn is_of_the_connection(self) -> bool {
        match self {
            Self::Broken | Self::ReadOnly => true,
            Self::Settings
            | Self::Down
            | Self::Overloaded
            | Self::Timeout
            | Self::Full
            | Self::Refused(_) => false,
        }
    }
}

impl From<&RedisError> for LinkError {
    fn from(error: &RedisError) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        match (error.kind(), error.code()) {
            (_, Some("ERR")) => wrapped(error.detail().unwrap_or_default()),
            (ErrorKind::Io | ErrorKind::ClusterConnectionNotFound | ErrorKind::Parse, _) => Self::Broken,
            (_, Some("OOM")) => Self::Full,
            (_, Some("READONLY" | "MASTERDOWN" | "LOADING" | "NOREPLICAS" | "MISCONF")) => Self::ReadOnly,
            (ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::BusyLoading), _) => {
                Self::ReadOnly
            }
            (ErrorKind::Server(ServerErrorKind::MasterDown), _) => Self::ReadOnly,
            (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => {
                Self::Refused("login")
            }
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) => Self::Refused("permission"),
            (ErrorKind::UnexpectedReturnType, _) => Self::Refused("answer"),
            (ErrorKind::InvalidClientConfig, _) => Self::Settings,
            _ => Self::Refused("command"),
        }
    }
}

/// Before Redis 7 an error in a script has its code in the text.
fn wrapped(text: &str) -> LinkError {
    if text.contains("OOM command not allowed") {
        LinkError::Full
    } else if text.contains("READONLY You can't write") {
        LinkError::ReadOnly
    } else {
        LinkError::Refused("command")
    }
}

impl From<RedisError> for LinkError {
    fn from(error: RedisError) -> Self {
        Self::from(&error)
    }
}

#[cfg(test)]
mod tests {
    use redis::make_extension_error;

    use super::*;

    #[test]
    fn what_the_server_says_has_one_meaning() {
        for (code, expected) in [
            ("OOM", LinkError::Full),
            ("READONLY", LinkError::ReadOnly),
            ("MISCONF", LinkError::ReadOnly),
            ("NOREPLICAS", LinkError::ReadOnly),
            ("WRONGTYPE", LinkError::Refused("command")),
            ("NOAUTH", LinkError::Refused("login")),
        ] {
            let error = make_extension_error(code.to_owned(), Some("portcullis:secret-key".to_owned()));
            let ours = LinkError::from(&error);
            assert_eq!(ours, expected, "{code}");
            assert!(!format!("{ours} {ours:?}").contains("secret-key"));
        }
    }

    #[test]
    fn what_an_older_server_says_of_a_script_is_unwrapped() {
        for (text, expected) in [
            (
                "Error running script (call to f_1): @user_script:7: @user_script: 7: -OOM command not allowed when used memory > 'maxmemory'.",
                LinkError::Full,
            ),
            (
                "Error running script: @user_script:7: -READONLY You can't write against a read only replica.",
                LinkError::ReadOnly,
            ),
            ("Error compiling script", LinkError::Refused("command")),
        ] {
            let error = make_extension_error("ERR".to_owned(), Some(text.to_owned()));
            assert_eq!(LinkError::from(&error), expected, "{text}");
        }
    }

    #[test]
    fn late_and_broken_are_told_apart() {
        let of = |kind| LinkError::from(RedisError::from(std::io::Error::from(kind)));
        assert_eq!(of(std::io::ErrorKind::TimedOut), LinkError::Timeout);
        assert_eq!(of(std::io::ErrorKind::BrokenPipe), LinkError::Broken);
        assert!(LinkError::Broken.is_of_the_connection() && !LinkError::Timeout.is_of_the_connection());
    }
}
