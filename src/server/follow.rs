//! When a changed configuration is looked for: on SIGHUP, and when a file that it was read from changes.
//!
//! Files are looked at every 400 ms by their metadata, following links. A watch of the kernel's would be told of the
//! inode, and configurations are replaced by renaming, by mounting, and by swapping a link to their folder. A change counts
//! once it has stood still for a look, so that a file that is being written is not read half-way.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::MissedTickBehavior,
};

use super::{manager, reload::Reloader};
use crate::config::{Config, ConfigErrors};

/// How often files are looked at: two looks, and a new certificate is in force within a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(400);

impl Reloader {
    /// Loads and takes up the configuration on SIGHUP and, where `reload.watch` says so, when its files change. Runs until
    /// it is dropped. `files` are as they were when the running configuration was loaded. SIGHUP counts from this call on: a
    /// process that does not watch for it is ended by it. To be called on a runtime.
    pub fn follow(
        self,
        files: FileWatch,
        load: impl Fn() -> Result<Config, ConfigErrors>,
    ) -> impl Future<Output = ()> {
        let hangup = signal(SignalKind::hangup());
        if let Err(error) = &hangup {
            tracing::error!(error = %error, "SIGHUP cannot be watched; only file changes are taken up");
        }
        self.follow_from_now(hangup, files, load)
    }

    async fn follow_from_now(
        self,
        mut hangup: std::io::Result<Signal>,
        mut files: FileWatch,
        load: impl Fn() -> Result<Config, ConfigErrors>,
    ) {
        let watches = self.running().await.reload.watch;
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = hung_up(&mut hangup) => {}
                _ = looks.tick(), if watches => {
                    if !files.have_changed() {
                        continue;
                    }
                }
            }
            manager::reloading();
            // Looked at before they are read: a change meanwhile is one more.
            let before = FileWatch::at(files.paths.clone());
            let loaded = load();
            if let Ok(config) = &loaded {
                files = FileWatch::of(config).since(&before);
            }
            // Log and figures have heard of it.
            // As large as a whole configuration, several times over: on the heap.
            let _ = Box::pin(self.take_up(loaded)).await;
            manager::reloaded();
        }
    }
}

async fn hung_up(hangup: &mut std::io::Result<Signal>) {
    let Ok(signal) = hangup else { return std::future::pending().await };
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// What a file looked like: enough to see that it is another one, or was written.
type Look = Option<(SystemTime, u64, u64)>;

/// The files of a configuration and what they looked like when they were read.
#[derive(Debug)]
pub struct FileWatch {
    paths: Vec<PathBuf>,
    read: Vec<Look>,
    last: Vec<Look>,
}

impl FileWatch {
    /// A watch from now on: begin as soon as the configuration is loaded, lest a change after it is missed.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self::at(config.files().to_vec())
    }

    fn at(paths: Vec<PathBuf>) -> Self {
        let read = look(&paths);
        Self { paths, last: read.clone(), read }
    }

    /// The same watch, where what was looked at earlier counts as read.
    fn since(mut self, earlier: &Self) -> Self {
        for (path, read) in self.paths.iter().zip(&mut self.read) {
            if let Some((_, look)) = earlier.paths.iter().zip(&earlier.read).find(|(known, _)| *known == path)
            {
                *read = *look;
            }
        }
        self
    }

    /// Whether they differ from what was read and look as they did the time before.
    fn have_changed(&mut self) -> bool {
        let now = look(&self.paths);
        let has_settled = now == self.last;
        let have_changed = has_settled && now != self.read;
        if have_changed {
            self.read.clone_from(&now);
        }
        self.last = now;
        have_changed
    }
}

fn look(paths: &[PathBuf]) -> Vec<Look> {
    use std::os::unix::fs::MetadataExt as _;
    let look = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
    };
    paths.iter().map(look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_and_when_it_stands_still() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acl.json");
        fs::write(&path, "one").unwrap();
        let mut files = FileWatch::at(vec![path.clone()]);
        assert!(!files.have_changed());
        fs::write(&path, "two, half").unwrap();
        assert!(!files.have_changed(), "it may still be written");
        fs::write(&path, "two, whole").unwrap();
        assert!(!files.have_changed(), "it was");
        assert!(files.have_changed());
        assert!(!files.have_changed(), "it was told");
    }

    #[test]
    fn a_link_that_is_swapped_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| folder.path().join(name);
        for name in ["one", "two"] {
            fs::create_dir(of(name)).unwrap();
            fs::write(of(name).join("acl.json"), "same").unwrap();
        }
        std::os::unix::fs::symlink(of("one"), of("current")).unwrap();
        let mut files = FileWatch::at(vec![of("current").join("acl.json")]);
        std::os::unix::fs::symlink(of("two"), of("next")).unwrap();
        fs::rename(of("next"), of("current")).unwrap();
        assert!(!files.have_changed());
        assert!(files.have_changed());
    }
}
