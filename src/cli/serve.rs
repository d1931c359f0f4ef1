//! `portcullis serve`.

use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigArgs, Failure, load, runtime};
use crate::{
    clock::Clock,
    config::{self, Config},
    logging::{self, EventFormat},
    server::{App, FileWatch},
};

/// Serves until SIGTERM or SIGINT; takes up changes on SIGHUP and when files change.
pub(super) fn serve(args: &ConfigArgs) -> Result<(), Failure> {
    let config = load(args)?;
    let files = FileWatch::of(&config);
    start_log(&config)?;
    runtime()?.block_on(async {
        let app = App::build(config, Clock::system()).await.map_err(|error| Failure::build(&error))?;
        let path = args.config.clone();
        let load = move || Config::load(path.as_deref(), config::environment());
        tokio::spawn(app.reloader().clone().follow(files, load));
        app.run(stopped()).await.map_err(Failure::runtime)
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

/// Completes on the first SIGTERM or SIGINT.
pub(super) async fn stopped() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be watched; stop the process with SIGKILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
