//! What every command of an operator begins and ends with: configuration, log, services, actor; and how refusals read.

use std::{fs, time::Duration};

use super::super::{ConfigArgs, Failure, load, printable, runtime, say, serve::start_log, with_causes};
use crate::{
    auth::rejection::{Message, Parameters},
    server::{AnnounceError, App, Operator},
    service::{Origin, ServiceError},
};

/// Runs what an operator asked for, and closes the store whatever came of it.
pub(super) fn operate<T>(
    config: &ConfigArgs,
    work: impl AsyncFnOnce(&Operator, &Origin) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let config = load(config)?;
    start_log(&config)?;
    let origin = Origin::local(format!("cli:{}", user_name()));
    runtime()?.block_on(async {
        let operator = App::operator(&config).await.map_err(Failure::config)?;
        let outcome = work(&operator, &origin).await;
        // Also where it failed half-way: what was done is done.
        tell(&operator).await;
        operator.close().await;
        outcome
    })
}

/// Tells running replicas, where they can be told; they notice by themselves otherwise.
async fn tell(operator: &Operator) {
    match operator.announce().await {
        Ok(_) | Err(AnnounceError::NotShared) => {}
        Err(error) => {
            let within = duration(operator.noticed_within);
            tracing::warn!(error = %error, within, "running gates are not told; they notice by themselves");
        }
    }
}

/// Says when what was done is in force everywhere.
pub(super) fn say_noticed(operator: &Operator) -> Result<(), Failure> {
    say(&format!("running gates notice within {}", duration(operator.noticed_within)))
}

/// A duration as the configuration writes it.
pub(super) fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// A service's refusal, in its own words with what they are about.
pub(super) fn refusal(error: ServiceError) -> Failure {
    match error {
        ServiceError::Input(message)
        | ServiceError::Authentication(message)
        | ServiceError::Refused(message) => Failure::Runtime(sentence(&message)),
        ServiceError::Misconfigured(_) => Failure::Config(error.to_string()),
        ServiceError::Busy { .. } | ServiceError::Audit(_) | ServiceError::Store(_) => {
            Failure::Runtime(with_causes(&error))
        }
    }
}

/// Magento leaves filling in the placeholders to the client; here the client is a person.
fn sentence(message: &Message) -> String {
    let mut text = match &message.parameters {
        Parameters::None => message.text.to_owned(),
        Parameters::Named(name, value) => message.text.replace(&format!("%{name}"), &printable(value)),
        Parameters::Positional(value) | Parameters::Rendered(value) => {
            message.text.replace("%1", &printable(value))
        }
    };
    for error in &message.errors {
        text.push_str("\n  ");
        text.push_str(&sentence(error));
    }
    text
}

/// Who runs this command, by the system's own account of it: the environment could say anything.
fn user_name() -> String {
    let uid = rustix::process::getuid().as_raw();
    let name = fs::read_to_string("/etc/passwd").ok().and_then(|accounts| name_of(uid, &accounts));
    name.unwrap_or_else(|| uid.to_string())
}

/// The name of a user id in the text of `/etc/passwd` (`passwd(5)`).
fn name_of(uid: u32, accounts: &str) -> Option<String> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| printable(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_third_field() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1000:0:Ada:/home/ada:/bin/sh\n";
        for (uid, name) in [(0, Some("root")), (1000, Some("ada")), (7, None)] {
            assert_eq!(name_of(uid, accounts).as_deref(), name);
        }
    }

    #[test]
    fn placeholders_are_filled_in_and_cannot_steer_the_terminal() {
        let about = |text, parameters| Message { text, errors: Vec::new(), parameters };
        for (message, expected) in [
            (Message::plain("No."), "No."),
            (about("\"%1\" is bad", Parameters::Positional("a\u{1b}b".to_owned())), "\"a\u{fffd}b\" is bad"),
            (
                about("\"%fieldName\" is required.", Parameters::Named("fieldName", "email".to_owned())),
                "\"email\" is required.",
            ),
        ] {
            assert_eq!(sentence(&message), expected);
        }
        let several = Message {
            errors: vec![Message::plain("One."), Message::plain("Two.")],
            ..Message::plain("Both.")
        };
        assert_eq!(sentence(&several), "Both.\n  One.\n  Two.");
    }
}
