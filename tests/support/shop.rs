//! A store with a configuration: commands are run on it, and gates serve from it.

use std::{cell::Cell, path::PathBuf};

use portcullis::clock::Clock;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    gate::{Gate, Setup},
    process::{Ended, run_with},
    signing::Credentials,
    upstream::Upstream,
    wire::{Message, exchange, request},
};

/// A store, a configuration and an upstream.
pub(crate) struct Shop {
    folder: TempDir,
    config: PathBuf,
    pub(crate) upstream: Upstream,
    sections: Vec<(&'static str, String)>,
    /// What no command may print.
    unsaid: Option<&'static str>,
    nonces: Cell<u32>,
}

impl Shop {
    /// Over a SQLite store with the recorded rows.
    pub(crate) fn open(sections: &[(&'static str, &str)]) -> Self {
        let shop = Self::new(sections, None);
        shop.setup().prepare(shop.folder.path());
        shop
    }

    /// Over whatever the sections name, left as it is; its password must not be printed.
    pub(crate) fn over(sections: &[(&'static str, &str)], password: &'static str) -> Self {
        Self::new(sections, Some(password))
    }

    fn new(sections: &[(&'static str, &str)], unsaid: Option<&'static str>) -> Self {
        let (folder, upstream) = (tempfile::tempdir().unwrap(), Upstream::start());
        let sections = sections.iter().map(|(name, lines)| (*name, (*lines).to_owned())).collect();
        let config = folder.path().join("portcullis.toml");
        let shop = Self { folder, config, upstream, sections, unsaid, nonces: Cell::new(0) };
        shop.setup().write(shop.folder.path());
        shop
    }

    fn setup(&self) -> Setup {
        let setup = Setup::before(self.upstream.address);
        self.sections.iter().fold(setup, |setup, (name, lines)| setup.with(name, lines))
    }

    /// A gate on the same store, at the machine's time of now.
    pub(crate) fn gate(&self) -> Gate {
        self.setup().in_folder(self.folder.path()).at(Clock::system().now().seconds()).start()
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, "")
    }

    /// The same with something to read.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ended {
        let config = ["--config", self.config.to_str().unwrap()];
        let ended = run_with(&[arguments, &config].concat(), input);
        let has_said = |secret: &str| format!("{ended:?}").contains(secret);
        assert!(!self.unsaid.is_some_and(has_said), "{ended:?}");
        ended
    }

    /// The output of a command that succeeds.
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        self.says_to(arguments, "")
    }

    /// The same with something to read.
    pub(crate) fn says_to(&self, arguments: &[&str], input: &str) -> String {
        let ended = self.run_with(arguments, input);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    /// The same for scripts.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// Makes an integration and activates it.
    pub(crate) fn integration(&self, name: &str, resources: &[&str]) -> Credentials {
        let granted: Vec<&str> = resources.iter().flat_map(|resource| ["--resource", resource]).collect();
        self.json(&[&["integration", "create", "--name", name][..], &granted].concat());
        let made = self.json(&["integration", "activate", name]);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        assert_eq!(made["outcome"], "active");
        Credentials {
            key: text("consumer_key"),
            secret: text("consumer_secret"),
            token: text("access_token"),
            token_secret: text("access_token_secret"),
        }
    }

    /// What a gate answers to a signed GET.
    pub(crate) fn signed(&self, gate: &Gate, credentials: &Credentials, path: &str, at: i64) -> Message {
        self.nonces.set(self.nonces.get() + 1);
        let nonce = format!("nonce{}", self.nonces.get());
        get(gate, path, &credentials.authorization(path, at, &nonce))
    }
}

/// What a gate answers to a GET by this `Authorization`.
pub(crate) fn get(gate: &Gate, path: &str, authorization: &str) -> Message {
    exchange(gate.proxy, &request("GET", path, &[("Authorization", authorization)], b""))
}
