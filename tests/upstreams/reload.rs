//! Endpoints that come, go and change their weight while requests are served.

use std::{thread, time::Duration};

use crate::{
    peer::{Peer, answer, before, figure, get, many, until, weighted},
    support::wire::Client,
};

#[test]
fn a_removed_endpoint_ends_what_it_has_and_gets_nothing_more() {
    let leaving = Peer::answering("leaving", |_, socket| {
        thread::sleep(Duration::from_millis(600));
        answer(socket, "leaving")
    });
    let (staying, coming) = (Peer::start("staying"), Peer::start("coming"));
    let gate = before(&[&leaving]).start();
    let mut client = Client::connect(gate.proxy);
    client.send(&get("/media/x"));
    until("it has the request", || leaving.connections() == 1);
    gate.reload(&before(&[&staying, &coming])).unwrap();
    assert!(many(&gate, 40).iter().all(|status| *status == 200));
    assert_eq!(client.receive().unwrap().text(), "leaving", "it is not cut off");
    assert_eq!(leaving.count(), 1);
    assert!(staying.count() > 5 && coming.count() > 5);
    let gone = "portcullis_upstream_requests_total{endpoint=\"leaving\",outcome=\"answered\"}";
    assert_eq!(figure(&gate, gone), None, "its figures go with it");
}

#[test]
fn a_new_weight_holds_from_the_next_request_on_and_connections_stay() {
    let (one, other) = (Peer::start("one"), Peer::start("other"));
    let setup = |weight| weighted(&[(&one, 1), (&other, weight)]).with("listen", "workers = 1");
    let gate = setup(1).start();
    let mut client = Client::connect(gate.proxy);
    let mut ask = |count: usize| {
        for _ in 0..count {
            client.send(&get("/media/x"));
            assert_eq!(client.receive().unwrap().status(), 200);
        }
    };
    ask(100);
    assert!(one.count() > 20 && other.count() > 20);
    gate.reload(&setup(30)).unwrap();
    ask(200);
    assert!(one.count() < 30 && other.count() > 170);
    assert_eq!((one.connections(), other.connections()), (1, 1));
}

#[test]
fn a_reload_that_names_no_endpoint_leaves_everything_as_it_is() {
    let peer = Peer::start("only");
    let gate = before(&[&peer]).start();
    for wrong in [
        "endpoint = []",
        "endpoint = [{ url = \"http://a/b\" }]",
        "endpoint = [{ url = \"http://a\", wieght = 1 }]",
    ] {
        assert!(gate.reload(&before(&[&peer]).with("upstream", wrong)).is_err(), "{wrong}");
        assert_eq!(many(&gate, 2), [200, 200]);
    }
    assert_eq!(peer.count(), 6);
}
