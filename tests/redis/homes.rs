//! Every kind of Redis: TLS, a socket, sentinels, a cluster.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::shop::{BEGIN, FLOOR, Shop, assert_unavailable, gauge, nonce, sign, signed};
use crate::support::{
    servers::redis::{Cluster, RedisServer, free_address},
    waiting::until,
    wire::exchange,
};

/// A certificate for this machine, and who signed it.
struct Tls {
    folder: tempfile::TempDir,
}

impl Tls {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("ca.pem", issuer.pem());
        write("cert.pem", leaf.pem());
        write("key.pem", key.serialize_pem());
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_certificate_counts_by_who_signed_it_and_by_its_name() {
    let (tls, port) = (Tls::new(), free_address().port());
    let (cert, key, ca) = (tls.path("cert.pem"), tls.path("key.pem"), tls.path("ca.pem"));
    let secure = port.to_string();
    let _redis = RedisServer::open_with(&[
        "--tls-port",
        &secure,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ]);
    let shop = Shop::settled(2, &format!("url = \"rediss://localhost:{port}/\"\nca_file = \"{ca}\""));
    let (now, used) = (BEGIN + FLOOR + 1, nonce());
    assert_eq!(exchange(shop.gates[0].proxy, &signed(now, &used)).status(), 200);
    assert_eq!(exchange(shop.gates[1].proxy, &signed(now, &used)).status(), 401);

    let strangers = Tls::new().path("cert.pem");
    for refused in [
        format!("url = \"rediss://localhost:{port}/\""),
        format!("url = \"rediss://127.0.0.1:{port}/\"\nca_file = \"{ca}\""),
        format!("url = \"redis://localhost:{port}/\"\nca_file = \"{ca}\""),
    ] {
        let shop = Shop::start(1, &refused);
        std::thread::sleep(std::time::Duration::from_millis(700));
        assert_unavailable(&sign(&shop.gates[0], BEGIN));
        assert_eq!(gauge(&shop.gates[0], "redis_connected"), 0, "{refused} {strangers}");
    }
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_socket_is_a_home() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock").display().to_string();
    let _redis = RedisServer::open_with(&["--unixsocket", &socket]);
    let shop = Shop::settled(1, &format!("url = \"unix://{socket}\""));
    assert_eq!(sign(&shop.gates[0], BEGIN + FLOOR + 1).status(), 200);
}

#[test]
#[ignore = "needs redis-server; run tests/all"]
fn a_cluster_keeps_nonces_of_all_groups() {
    let cluster = Cluster::start();
    let lines = format!("mode = \"cluster\"\nnodes = [{}]\ntimeout = \"1s\"", cluster.nodes());
    let shop = Shop::start(2, &lines);
    until("every group has its marker", || {
        let markers = cluster.0.iter().map(|node| node.run::<Vec<String>>("KEYS *:marker").len());
        markers.sum::<usize>() == 16
    });
    let now = shop.settle_first();
    let used: Vec<Vec<u8>> = (0..40).map(|_| signed(now, &nonce())).collect();
    for request in &used {
        until("every group's quarantine is over", || {
            let status = exchange(shop.gates[0].proxy, request).status();
            assert!([200, 503].contains(&status), "{status}");
            status == 200
        });
    }
    for request in &used {
        assert_eq!(exchange(shop.gates[1].proxy, request).status(), 401);
    }
    let held: Vec<usize> = cluster.0.iter().map(|node| node.run("DBSIZE")).collect();
    assert!(held.iter().all(|count| *count > 1), "every node holds some: {held:?}");
}
