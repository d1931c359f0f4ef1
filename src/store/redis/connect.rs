//! Making a connection: one server, the master that sentinels name, or a cluster.
//!
//! A server counts only if it says that it is a master: right after a failover an address may still lead to what is now a
//! replica. Certificates are always verified, names included.

use std::time::Duration;

use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisResult, TlsCertificates, Value,
    aio::{MultiplexedConnection, PubSub},
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
};

use super::{
    error::LinkError,
    settings::{LinkHome, LinkSettings},
};

/// How long one server may take to answer while a connection is made; TLS and the login need several round trips.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Ways to Redis, checked but not connected.
pub(super) enum Route {
    /// To one server.
    Single(Client),
    /// To the master that one of these names.
    Sentinel { sentinels: Vec<Client>, master: String, settings: Box<LinkSettings> },
    /// To a cluster; the clients lead to its nodes one by one, for subscriptions.
    Cluster { cluster: Box<ClusterClient>, nodes: Vec<Client> },
}

/// A connection and where it leads, where that can change.
pub(super) struct Connected {
    pub(super) wire: Wire,
    /// The master's address, as the sentinels gave it.
    pub(super) master: Option<(String, u16)>,
}

/// A connection that many use at once.
#[derive(Clone)]
pub(super) enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Wire {
    /// Sends a command once.
    pub(super) async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}

impl Route {
    /// Checks the settings; nothing is connected yet.
    pub(super) fn new(settings: &LinkSettings) -> Result<Self, LinkError> {
        Ok(match &settings.home {
            LinkHome::Single(url) => {
                let info = url.expose().as_str().into_connection_info()?;
                let login = login(settings, info.redis_settings().clone());
                Self::Single(client(info.set_redis_settings(login), settings)?)
            }
            LinkHome::Sentinel { nodes, master } => Self::Sentinel {
                // Sentinels have a login of their own, which is rarely set.
                sentinels: clients(nodes, settings, &RedisConnectionInfo::default())?,
                master: master.clone(),
                settings: Box::new(settings.clone()),
            },
            LinkHome::Cluster { nodes } => {
                let login = login(settings, RedisConnectionInfo::default());
                Self::Cluster {
                    cluster: Box::new(cluster(nodes, settings, &login)?),
                    nodes: clients(nodes, settings, &login)?,
                }
            }
        })
    }

    /// A connection to the server that takes writes.
    pub(super) async fn connect(&self) -> Result<Connected, LinkError> {
        match self {
            Self::Single(client) => Ok(Connected { wire: to_master(client).await?, master: None }),
            Self::Sentinel { settings, .. } => {
                let master = self.master().await?;
                let client = master_client(&master, settings)?;
                Ok(Connected { wire: to_master(&client).await?, master: Some(master) })
            }
            Self::Cluster { cluster, .. } => {
                let connection = cluster.get_async_connection().await?;
                Ok(Connected { wire: Wire::Cluster(connection), master: None })
            }
        }
    }

    /// The master's address, from the first sentinel that answers.
    pub(super) async fn master(&self) -> Result<(String, u16), LinkError> {
        let Self::Sentinel { sentinels, master, .. } = self else { return Err(LinkError::Settings) };
        let mut last = LinkError::Down;
        for sentinel in sentinels {
            match ask_sentinel(sentinel, master).await {
                Ok(address) => return Ok(address),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A connection for subscriptions. In a cluster any node hears what is published on any other.
    pub(super) async fn subscriber(&self) -> Result<PubSub, LinkError> {
        match self {
            Self::Single(client) => Ok(client.get_async_pubsub().await?),
            Self::Sentinel { settings, .. } => {
                Ok(master_client(&self.master().await?, settings)?.get_async_pubsub().await?)
            }
            Self::Cluster { nodes, .. } => {
                let mut last = LinkError::Down;
                for node in nodes {
                    match tokio::time::timeout(CONNECT_TIMEOUT, node.get_async_pubsub()).await {
                        Ok(Ok(connection)) => return Ok(connection),
                        Ok(Err(error)) => last = error.into(),
                        Err(_late) => last = LinkError::Timeout,
                    }
                }
                Err(last)
            }
        }
    }
}

/// Connects, and makes sure that it is a master: anything else takes no writes.
async fn to_master(client: &Client) -> Result<Wire, LinkError> {
    let mut connection = connection(client).await?;
    let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
    let name = role.first().map(String::from_redis_value_ref);
    match name {
        Some(Ok(name)) if name == "master" => Ok(Wire::One(connection)),
        Some(Ok(_)) => Err(LinkError::ReadOnly),
        Some(Err(_)) | None => Err(LinkError::Refused("answer")),
    }
}

async fn connection(client: &Client) -> Result<MultiplexedConnection, LinkError> {
    // Each command has a limit of its own, where it is sent.
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(CONNECT_TIMEOUT));
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

async fn ask_sentinel(sentinel: &Client, master: &str) -> Result<(String, u16), LinkError> {
    let mut connection = connection(sentinel).await?;
    let mut command = redis::cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
    let address: Option<(String, u16)> = command.query_async(&mut connection).await?;
    address.ok_or(LinkError::Refused("master's name"))
}

fn master_client(node: &(String, u16), settings: &LinkSettings) -> Result<Client, LinkError> {
    let login = login(settings, RedisConnectionInfo::default());
    client(info(node, settings.tls, login)?, settings)
}

fn clients(
    nodes: &[(String, u16)],
    settings: &LinkSettings,
    login: &RedisConnectionInfo,
) -> Result<Vec<Client>, LinkError> {
    nodes.iter().map(|node| client(info(node, settings.tls, login.clone())?, settings)).collect()
}

fn info(
    (host, port): &(String, u16),
    tls: bool,
    login: RedisConnectionInfo,
) -> Result<ConnectionInfo, LinkError> {
    let address = if tls {
        ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host.clone(), *port)
    };
    Ok(address.into_connection_info()?.set_redis_settings(login))
}

fn client(info: ConnectionInfo, settings: &LinkSettings) -> Result<Client, LinkError> {
    match (info.addr(), certificates(settings)) {
        (ConnectionAddr::TcpTls { .. }, Some(certificates)) => {
            Ok(Client::build_with_tls(info, certificates)?)
        }
        _ => Ok(Client::open(info)?),
    }
}

fn cluster(
    nodes: &[(String, u16)],
    settings: &LinkSettings,
    login: &RedisConnectionInfo,
) -> Result<ClusterClient, LinkError> {
    let nodes = nodes.iter().map(|node| info(node, settings.tls, login.clone()));
    // A command that the cluster moved elsewhere was not carried out; following it is no repetition.
    let mut builder = ClusterClientBuilder::new(nodes.collect::<Result<Vec<_>, _>>()?)
        .retries(2)
        .min_retry_wait(5)
        .max_retry_wait(20)
        .connection_timeout(CONNECT_TIMEOUT)
        .response_timeout(settings.timeout);
    if let (true, Some(certificates)) = (settings.tls, certificates(settings)) {
        builder = builder.certs(certificates);
    }
    Ok(builder.build()?)
}

fn login(settings: &LinkSettings, mut login: RedisConnectionInfo) -> RedisConnectionInfo {
    if let Some(user) = &settings.user {
        login = login.set_username(user);
    }
    if let Some(password) = &settings.password {
        login = login.set_password(password.expose());
    }
    login.set_lib_name("portcullis", env!("CARGO_PKG_VERSION"))
}

fn certificates(settings: &LinkSettings) -> Option<TlsCertificates> {
    let root_cert = settings.ca.as_ref()?.clone().into_bytes();
    Some(TlsCertificates { client_tls: None, root_cert: Some(root_cert) })
}
