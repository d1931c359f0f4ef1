//! `portcullis demo`: everything on one machine, nothing to install.
//!
//! A SQLite store in a temporary folder with one caller of each kind, Magento's own resource tree and routes, a small shop
//! API that answers with the headers it got, and curl lines to paste. Ctrl-C ends it and removes the folder.

mod callers;
mod upstream;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use clap::Args;
use tokio::net::TcpListener;

use super::{Failure, runtime, say, serve};
use crate::{clock::Clock, config::Config, server::App, store::sql::SqlStore};
use callers::Callers;

/// Magento Open Source 2.4.6's merged tree and routes, as `config/magento` has them.
const TREE: &str = include_str!("../../../config/magento/acl.json");
const ROUTES: &str = include_str!("../../../config/magento/webapi_routes.json");

/// Where the demo listens.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// The proxy's port on 127.0.0.1; 0 takes any free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The operator's port on 127.0.0.1; 0 takes any free one
    #[arg(long, default_value_t = 9090)]
    admin_port: u16,
}

/// Runs the demo until it is interrupted.
pub(super) fn demo(args: &DemoArgs) -> Result<(), Failure> {
    let folder = Folder::create()?;
    runtime()?.block_on(run(args, &folder.0))
}

async fn run(args: &DemoArgs, folder: &Path) -> Result<(), Failure> {
    let clock = Clock::system();
    let shop = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Failure::runtime)?;
    let shop_address = shop.local_addr().map_err(Failure::runtime)?;
    let config = config(args, folder, shop_address)?;
    serve::start_log(&config)?;
    SqlStore::migrate(&config.store).await.map_err(Failure::runtime)?;
    let store = SqlStore::open(&config.store).await.map_err(Failure::runtime)?;
    let callers = Callers::create(&store, &clock).await?;
    store.close().await;

    let shop = tokio::spawn(upstream::serve(shop));
    let app = App::build(config, clock).await.map_err(Failure::config)?;
    say(&callers.welcome(app.proxy_address(), app.admin_address())?)?;
    let served = app.run(serve::stopped(serve::stop_signals(), 1)).await.map_err(Failure::runtime);
    shop.abort();
    served
}

/// The configuration of the demo, in the form that a user would write.
fn config(args: &DemoArgs, folder: &Path, shop: SocketAddr) -> Result<Config, Failure> {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).map_err(Failure::runtime);
    write("acl.json", TREE)?;
    write("webapi_routes.json", ROUTES)?;
    let text = format!(
        r#"
        [listen]
        proxy = "127.0.0.1:{}"
        admin = "127.0.0.1:{}"
        workers = 1
        [upstream]
        url = "http://{shop}"
        credentials = "strip"
        [store]
        url = "sqlite://portcullis.db"
        [magento]
        crypt_key = "{}"
        [acl]
        tree = "acl.json"
        routes = "webapi_routes.json"
        [log]
        level = "warn"
        format = "text"
        "#,
        args.port,
        args.admin_port,
        callers::CRYPT_KEY
    );
    Ok(Config::from_toml(&text, folder)?)
}

/// A folder of our own that goes when we go.
struct Folder(std::path::PathBuf);

impl Folder {
    fn create() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("portcullis-demo-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(Failure::runtime)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is a temporary folder all the same.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
