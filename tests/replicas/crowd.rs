//! Ten thousand who ask at once for what the gate does not know.

use std::time::Duration;

use http::Request;

use crate::{
    shop::{PROTECTED, Shop, figure, new_database, numbered, within},
    support::{
        fault_proxy::{Fault, FaultProxy},
        servers::mariadb::{MariaDb, url_at},
    },
};

const CONNECTIONS: usize = 100;
const STREAMS: usize = 100;

/// Sends a request on each stream of each connection; how many got each status.
async fn ask_all(gate: std::net::SocketAddr, token: &str) -> Vec<u16> {
    let mut answers = Vec::new();
    for _ in 0..CONNECTIONS {
        let socket = tokio::net::TcpStream::connect(gate).await.unwrap();
        let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        for _ in 0..STREAMS {
            client = client.ready().await.unwrap();
            let request = Request::get(format!("http://shop.test{PROTECTED}"))
                .header("authorization", format!("Bearer {token}"))
                .body(())
                .unwrap();
            let (answer, _) = client.send_request(request, true).unwrap();
            answers.push(tokio::spawn(async move { answer.await.unwrap().status().as_u16() }));
        }
    }
    let mut statuses = Vec::new();
    for answer in answers {
        statuses.push(answer.await.unwrap());
    }
    statuses
}

/// A customer's token where a permission is needed: the answer is the gate's own, and no upstream slows them down.
#[test]
#[ignore = "needs mariadbd and redis-server; run tests/all"]
fn ten_thousand_misses_of_one_token_are_one_query_to_mariadb() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("statements");
    let server = MariaDb::start(&[
        "--general-log",
        "--log-output=FILE",
        &format!("--general-log-file={}", log.display()),
    ]);
    let network = FaultProxy::before(([127, 0, 0, 1], server.port()).into());
    let database = new_database(&server);
    let store = format!(
        "url = \"{}\"\nattached = false\nlookup_timeout = \"30s\"",
        url_at(network.address.port(), &database)
    );
    let listen = "h2c = true\nmax_connections = 1000";
    let shop = Shop::over(&server.url(&database), &[("store", &store), ("listen", listen)]);
    shop.fill(&server, &database, 10);
    let gate = shop.serve();
    let token = numbered(3);
    assert_eq!(crate::shop::ask(&gate, PROTECTED, &numbered(1)).status(), 401);
    let proxy = gate.proxy;
    let statuses = std::thread::scope(|scope| {
        network.set(Fault::Freeze);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let token = token.clone();
        let asking = scope.spawn(move || runtime.block_on(ask_all(proxy, &token)));
        within(Duration::from_secs(25), "all wait", || {
            figure(&gate, "store_lookups_waiting") > (CONNECTIONS * STREAMS) as f64 - 1.5
        });
        assert!((figure(&gate, "store_lookups_under_way") - 1.0).abs() < 0.1);
        network.set(Fault::Pass);
        asking.join().unwrap()
    });
    assert_eq!(statuses.len(), CONNECTIONS * STREAMS);
    assert!(
        statuses.iter().all(|status| *status == 401),
        "{:?}",
        statuses.iter().find(|status| **status != 401)
    );
    // A token stands in the log where a statement is carried out with it, and nowhere else; maybe more than once.
    let asked = |of: &str| {
        let log = std::fs::read(&log).unwrap();
        let log = String::from_utf8_lossy(&log);
        log.split(" Execute\t").filter(|statement| statement.contains(of)).count()
    };
    // The log is written in order: once a later query stands in it, all earlier ones do.
    assert_eq!(crate::shop::ask(&gate, PROTECTED, &numbered(5)).status(), 401);
    within(Duration::from_secs(10), "a query is counted", || asked(&numbered(5)) == 1);
    println!("{} misses of one token: {} query", statuses.len(), asked(&token));
    assert_eq!(asked(&token), 1);
}
