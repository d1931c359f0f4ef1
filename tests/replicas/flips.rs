//! A network that turns bits over and cuts packets between the gate and its database.
//!
//! MySQL's protocol has no checksum: in the clear a bit that TCP let through is a fact like any other, so bits are turned over in
//! TLS, which tells them. Packets are cut in both.

use std::{thread, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    shop::{RECOVERY, SELF, SLACK, Shop, ask, new_database, numbered, owner, within},
    support::{
        fault_proxy::{Fault, FaultProxy, Way},
        process::Process,
        servers::mariadb::{MariaDb, url_at},
    },
};

/// Sets the seed, to see a run again as far as the machine lets it.
const SEED: &str = "FLIPS_SEED";

/// Faults of a run, and how many ask during each.
const ROUNDS: usize = 100;
const CLIENTS: usize = 4;

fn random() -> StdRng {
    let given = std::env::vars().find(|(name, _)| name == SEED).and_then(|(_, seed)| seed.parse().ok());
    let seed: u64 = given.unwrap_or_else(rand::random);
    println!("{SEED}={seed}");
    StdRng::seed_from_u64(seed)
}

/// Asks by tokens that nobody has used, each of another customer, through one fault after the other.
fn suffer(what: &str, gate: &Process, network: &FaultProxy, mut fault: impl FnMut() -> Fault) {
    let (mut served, mut away, mut next, mut back) = (0, 0, 0, Duration::ZERO);
    for _ in 0..ROUNDS {
        // Otherwise the breaker opens, and nobody meets a fault.
        network.set(Fault::Pass);
        back = back.max(within(RECOVERY + SLACK, "back", || {
            next += 1;
            ask(gate, SELF, &numbered(next - 1)).status() == 200
        }));
        let fault = fault();
        network.set(fault);
        let answers: Vec<(usize, u16, String)> = thread::scope(|scope| {
            let asked: Vec<_> = (next..next + CLIENTS)
                .map(|number| {
                    scope.spawn(move || {
                        let answer = ask(gate, SELF, &numbered(number));
                        (number, answer.status(), answer.text())
                    })
                })
                .collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        next += CLIENTS;
        for (number, status, body) in answers {
            match status {
                200 => assert_eq!(body, owner(number), "{what}: {fault:?} made somebody of somebody else"),
                503 => away += 1,
                other => panic!("{what}: {fault:?} made {other} of a valid token: {body}"),
            }
            served += usize::from(status == 200);
        }
    }
    network.set(Fault::Pass);
    println!("{what}: {ROUNDS} faults, {served} served, {away} sent away, back after {back:?} at most");
    assert!(served > 0 && away > 0, "{what}: faults were met, and survived");
    within(RECOVERY, "back", || ask(gate, SELF, &numbered(next)).status() == 200);
    for number in 0..next {
        let answer = ask(gate, SELF, &numbered(number));
        assert_eq!(
            (answer.status(), answer.text()),
            (200, owner(number)),
            "{what}: nothing wrong is remembered"
        );
    }
}

fn way(random: &mut StdRng) -> Way {
    if random.random_bool(0.5) { Way::Up } else { Way::Down }
}

/// A gate whose way to the database is this proxy.
fn start(server: &MariaDb, network: &FaultProxy, options: &str) -> (Shop, Process) {
    let database = new_database(server);
    let shop = Shop::over(&format!("{}{options}", url_at(network.address.port(), &database)), &[]);
    shop.fill(server, &database, 20_000);
    let gate = shop.serve();
    (shop, gate)
}

#[test]
#[ignore = "needs mariadbd and redis-server; run tests/all"]
fn cut_packets_make_nobody_of_somebody() {
    let (server, mut random) = (MariaDb::shared(), random());
    let network = FaultProxy::before(([127, 0, 0, 1], server.port()).into());
    let (_shop, gate) = start(server, &network, "");
    suffer("cut", &gate, &network, || Fault::CutAfter(way(&mut random), random.random_range(0..4000)));
}

#[test]
#[ignore = "needs mariadbd and redis-server; run tests/all"]
fn flipped_bits_and_cut_packets_in_tls_make_nobody_of_somebody() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("server.pem"), folder.path().join("server.key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let options = [("cert", &certificate), ("key", &key)]
        .map(|(name, file)| format!("--ssl-{name}={}", file.display()));
    let server = MariaDb::start(&[&options[0], &options[1]]);
    let network = FaultProxy::before(([127, 0, 0, 1], server.port()).into());
    let options = format!("?ssl-mode=VERIFY_IDENTITY&ssl-ca={}", certificate.display());
    let (_shop, gate) = start(&server, &network, &options);
    let mut random = random();
    suffer("flipped or cut in TLS", &gate, &network, || {
        // Some hit a look-up on an open connection, others the greeting of a new one.
        let (way, after) = (way(&mut random), random.random_range(0..4000));
        if random.random_bool(0.75) { Fault::FlipAfter(way, after) } else { Fault::CutAfter(way, after) }
    });
}
