//! Listeners that the service manager opened and hands over (`sd_listen_fds(3)`), so that they outlive the process.
//!
//! Two names are known: `proxy` and `admin`. Whatever else is handed over is an error: a listener that nobody serves would
//! let clients wait for ever.

use std::{env, io, net::TcpListener};

use listenfd::ListenFd;
use socket2::SockRef;

/// Why what was handed over cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HandedError {
    /// A name that says nothing here, or says it twice.
    #[error(
        "LISTEN_FDNAMES: \"{0}\" is not known here, or is there twice; name sockets \"proxy\" and \"admin\""
    )]
    Name(String),
    /// No TCP socket that listens.
    #[error("the socket \"{name}\" cannot be listened on: {source}")]
    Socket {
        /// Its name.
        name: String,
        /// The reason.
        source: io::Error,
    },
}

/// What was handed over.
#[derive(Debug, Default)]
pub struct Handed {
    pub(super) proxy: Option<TcpListener>,
    pub(super) admin: Option<TcpListener>,
}

impl Handed {
    /// Takes what the environment names, once. To be called before the process has threads.
    ///
    /// # Errors
    /// [`HandedError`]: it is not what this program can serve.
    pub fn from_environment() -> Result<Self, HandedError> {
        // Without a process they are for nobody.
        if env::var_os("LISTEN_PID").is_none() {
            return Ok(Self::default());
        }
        let names = env::var_os("LISTEN_FDNAMES").unwrap_or_default();
        let names = names.to_string_lossy();
        let mut sockets = ListenFd::from_env();
        let mut names = names.split(':');
        let mut handed = Self::default();
        for number in 0..sockets.len() {
            let name = names.next().unwrap_or_default();
            let place = handed.place(name).ok_or_else(|| HandedError::Name(name.to_owned()))?;
            let listener = sockets.take_tcp_listener(number).and_then(listening);
            *place = Some(listener.map_err(|source| HandedError::Socket { name: name.to_owned(), source })?);
        }
        Ok(handed)
    }

    /// Where a socket of this name goes, unless one is there.
    fn place(&mut self, name: &str) -> Option<&mut Option<TcpListener>> {
        let place = match name {
            "proxy" => &mut self.proxy,
            "admin" => &mut self.admin,
            _ => return None,
        };
        place.is_none().then_some(place)
    }
}

fn listening(socket: Option<TcpListener>) -> io::Result<TcpListener> {
    let listener = socket.ok_or_else(|| io::Error::other("it was taken already"))?;
    if !SockRef::from(&listener).is_listener()? {
        return Err(io::Error::other("it does not listen"));
    }
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_one_of_two_names_and_no_namesake() {
        let listener = || Some(TcpListener::bind("127.0.0.1:0").unwrap());
        let mut handed = Handed { proxy: listener(), admin: None };
        assert!(handed.place("admin").is_some());
        for name in ["proxy", "", "Admin", "unknown"] {
            assert!(handed.place(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_socket_that_does_not_listen_is_refused() {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        assert!(listening(Some(socket.into())).is_err());
        assert!(listening(Some(TcpListener::bind("127.0.0.1:0").unwrap())).is_ok());
        assert!(listening(None).is_err());
    }
}
