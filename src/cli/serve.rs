//! `portcullis serve`.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{ConfigArgs, Failure, load, runtime};
use crate::{
    clock::Clock,
    config::{self, Config},
    logging::{self, EventFormat},
    server::{App, FileWatch, Handed},
};

/// Serves until SIGTERM or SIGINT, the second of which ends the delay before the drain; takes up changes on SIGHUP and when files change.
pub(super) fn serve(args: &ConfigArgs) -> Result<(), Failure> {
    // Before there are threads: it takes them out of the environment.
    let handed = Handed::from_environment().map_err(Failure::runtime)?;
    let config = load(args)?;
    let files = FileWatch::of(&config);
    start_log(&config)?;
    runtime()?.block_on(async {
        let app =
            App::build_on(handed, config, Clock::system()).await.map_err(|error| Failure::build(&error))?;
        let path = args.config.clone();
        let load = move || Config::load(path.as_deref(), config::environment());
        let signals = stop_signals();
        tokio::spawn(app.reloader().clone().follow(files, load));
        app.run_hurried(stopped(signals.clone(), 1), stopped(signals, 2)).await.map_err(Failure::runtime)
    })
}

/// Starts the log as the configuration says.
pub(super) fn start_log(config: &Config) -> Result<(), Failure> {
    let format = match config.log.format {
        config::LogFormat::Json => EventFormat::Json,
        config::LogFormat::Text => EventFormat::Text,
    };
    logging::start(&config.log.level, format).map_err(Failure::config)
}

/// Counts SIGTERM and SIGINT from now on. To be called on a runtime.
pub(super) fn stop_signals() -> watch::Receiver<usize> {
    let (count, counted) = watch::channel(0);
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be watched; stop the process with SIGKILL");
        return counted;
    };
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            count.send_modify(|number| *number += 1);
        }
    });
    counted
}

/// Completes with the signal of this number. Where signals cannot be watched it never does.
pub(super) async fn stopped(mut signals: watch::Receiver<usize>, number: usize) {
    if signals.wait_for(|count| *count >= number).await.is_err() {
        std::future::pending::<()>().await;
    }
}
