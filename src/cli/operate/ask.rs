//! What is asked of the person at the terminal, or read from standard input where there is none.
//!
//! Secrets are never arguments: those stand in the process list and the shell's history. At a terminal they are typed
//! without echo; else standard input's first line is the secret.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::super::Failure;
use crate::auth::secret::Secret;

/// Longer than any token or password.
const LONGEST: u64 = 16 * 1024;

/// Reads a secret; `name` says what it is.
pub(super) fn secret(name: &str) -> Result<Secret<String>, Failure> {
    if !io::stdin().is_terminal() {
        return line();
    }
    let _echo = EchoOff::begin().map_err(Failure::runtime)?;
    prompt(&format!("{name}: "))?;
    let typed = line();
    prompt("\n")?;
    typed
}

/// Reads a new secret; at a terminal twice, because what is typed cannot be seen.
pub(super) fn new_secret(name: &str) -> Result<Secret<String>, Failure> {
    let first = secret(name)?;
    if io::stdin().is_terminal() && !secret(&format!("{name} again"))?.equals(first.expose().as_bytes()) {
        return Err(Failure::runtime("the two differ; nothing is done"));
    }
    Ok(first)
}

/// Has a person agree to what cannot be undone.
pub(super) fn confirm(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("nobody can be asked here; add --yes to do it without".to_owned()));
    }
    prompt(&format!("{question} [y/N] "))?;
    let answer = line()?;
    match answer.expose().trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::runtime("nothing is done")),
    }
}

/// Questions go to standard error: standard output is the answer's.
fn prompt(text: &str) -> Result<(), Failure> {
    let mut stderr = io::stderr();
    stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush()).map_err(Failure::runtime)
}

/// Standard input's next line, without its end.
fn line() -> Result<Secret<String>, Failure> {
    // Never grows, so that no copy of a secret is left behind.
    let mut text = String::with_capacity(usize::try_from(LONGEST).unwrap_or_default() + 1);
    let read = io::stdin().lock().take(LONGEST + 1).read_line(&mut text);
    let text = Secret::new(text);
    read.map_err(Failure::runtime)?;
    if text.expose().len() as u64 > LONGEST {
        return Err(Failure::runtime("the line on standard input is longer than 16 KiB"));
    }
    Ok(Secret::new(text.expose().trim_end_matches(['\r', '\n']).to_owned()))
}

/// A terminal that does not show what is typed, until this is dropped.
struct EchoOff(Termios);

impl EchoOff {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO;
        // What was typed ahead was seen, and is no secret.
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        // Nothing is left to do where the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
