//! Binding the proxy's port once per worker.

use std::{io, net::SocketAddr};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that the kernel holds while workers are busy.
const BACKLOG: i32 = 4096;

/// File descriptors that clients leave to the rest of the process.
const RESERVE: usize = 192;

/// Binds `count` listeners to one address, spread by the kernel (`SO_REUSEPORT`). Port 0 is chosen once.
///
/// # Errors
/// When the address cannot be bound.
pub(super) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
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
