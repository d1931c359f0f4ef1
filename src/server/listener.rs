//! The listeners: bound here, the proxy's port once per worker, or handed over by the service manager.
//!
//! What is handed over is shared by all workers: it is one queue of connections, which outlives the process.

use std::{io, net::SocketAddr};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::error::BuildError;
use crate::{config::Config, proxy::engine::Backlog};

/// Connections that the kernel holds while workers are busy.
const BACKLOG: i32 = 4096;

/// File descriptors that clients leave to the rest of the process.
const RESERVE: usize = 192;

/// A listener a worker, what becomes of those who wait there at the end, and where they listen.
pub(super) fn open_proxy(
    config: &Config,
    handed: Option<std::net::TcpListener>,
) -> Result<((Vec<std::net::TcpListener>, Backlog), SocketAddr), BuildError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = config.listen.workers.map_or(cores, usize::from);
    let (what, address) = ("listen.proxy", config.listen.proxy);
    let (opened, backlog) = match handed {
        Some(listener) => (share(&listener, count), Backlog::Leave),
        None => (bind(address, count), Backlog::Serve),
    };
    let listeners = opened.map_err(|source| BuildError::Bind { what, address, source })?;
    let bound = listeners.first().map_or(Ok(address), std::net::TcpListener::local_addr)?;
    tell_difference(what, address, bound);
    Ok(((listeners, backlog), bound))
}

/// The operators' listener, and where it listens. To be called on a runtime.
pub(super) fn open_admin(
    config: &Config,
    handed: Option<std::net::TcpListener>,
) -> Result<(TcpListener, SocketAddr), BuildError> {
    let (what, address) = ("listen.admin", config.listen.admin);
    let opened = handed.map_or_else(|| bind_alone(address), Ok).and_then(adopt);
    let listener = opened.map_err(|source| BuildError::Bind { what, address, source })?;
    let bound = listener.local_addr()?;
    // The configuration was held to it, and the socket is not the configuration's.
    if !bound.ip().is_loopback() && config.listen.admin_tls.is_none() {
        let source = io::Error::other("an admin listener off loopback needs TLS ([listen.admin_tls])");
        return Err(BuildError::Bind { what, address: bound, source });
    }
    tell_difference(what, address, bound);
    Ok((listener, bound))
}

/// What is handed over may be elsewhere; `portcullis health` and people believe the configuration.
fn tell_difference(what: &'static str, configured: SocketAddr, bound: SocketAddr) {
    if configured != bound && configured.port() != 0 {
        tracing::warn!(setting = what, %configured, %bound, "the socket that was handed over is another one");
    }
}

/// The same listener for each worker.
fn share(listener: &std::net::TcpListener, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    (0..count).map(|_| listener.try_clone()).collect()
}

fn bind_alone(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Binds `count` listeners to one address, spread by the kernel (`SO_REUSEPORT`). Port 0 is chosen once.
///
/// # Errors
/// When the address cannot be bound.
fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
    refuse_shared(address)?;
    let first = bind_one(address)?;
    let chosen = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..count {
        listeners.push(bind_one(chosen)?);
    }
    Ok(listeners)
}

/// Hands a bound listener to the current runtime.
///
/// # Errors
/// When the runtime cannot watch it.
pub(super) fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(listener)
}

/// How many connections there can be, of those that there may be: each takes a file descriptor and so may its upstream
/// connection, and the store, the logs and the listeners need some whatever clients do. The process's limit is raised as
/// far as it may be first.
pub(super) fn room(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { limit.maximum } else { limit.current };
    let Some(descriptors) = current.and_then(|current| usize::try_from(current).ok()) else {
        return wanted;
    };
    let room = (descriptors.saturating_sub(RESERVE) / 2).max(1);
    if room < wanted {
        tracing::warn!(
            descriptors,
            connections = room,
            "listen.max_connections is more than the file descriptors allow; raise the limit (LimitNOFILE)"
        );
    }
    wanted.min(room)
}

/// Workers share the port, and the kernel would let another process of the same user share it too: half of the clients
/// would meet a gate with other settings. A socket that shares with nobody tells.
fn refuse_shared(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

fn bind_one(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
