//! Floods: the flooder's connection ends or is held back, memory stays, and another client is served meanwhile.
//!
//! Each runs against the real binary, so that its memory is its own.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    certificates::{OUTSIDE, gate},
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Outcome, PING, PRIORITY, RST_STREAM, Raw,
        SETTINGS, WINDOW_UPDATE, block, frame, get, pseudo, setting,
    },
    support::{
        process::Process,
        upstream::Upstream,
        wire::{request, try_exchange},
    },
};

/// What a flood may cost.
const MEMORY: u64 = 64 * 1024;

/// What a flooder sends at most, if nobody stops it.
const MOST: usize = 24 * 1024 * 1024;

/// A flood: what opens it, and what is repeated; told how many times so far.
struct Flood {
    what: &'static str,
    settings: Vec<u8>,
    opening: Vec<u8>,
    again: Box<dyn Fn(u32) -> Vec<u8> + Sync>,
    /// Whether the connection has to be ended; where not, it is enough that nothing piles up.
    must_end: bool,
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn floods() -> Vec<Flood> {
    let flood = |what, opening: Vec<u8>, again: Box<dyn Fn(u32) -> Vec<u8> + Sync>, must_end| Flood {
        what,
        settings: Vec::new(),
        opening,
        again,
        must_end,
    };
    let cancel = 8_u32.to_be_bytes();
    let post = frame(HEADERS, END_HEADERS, 1, &block(&pseudo("POST", "/hold")));
    let half = frame(HEADERS, END_STREAM, 1, &block(&pseudo("GET", OUTSIDE)));
    vec![
        flood(
            "resets",
            Vec::new(),
            Box::new(move |round| {
                let stream = round * 2 + 1;
                [get(stream, "/hold"), frame(RST_STREAM, 0, stream, &cancel)].concat()
            }),
            true,
        ),
        flood(
            "resets that we are made to send",
            Vec::new(),
            Box::new(|round| {
                let stream = round * 2 + 1;
                [get(stream, "/hold"), frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
            }),
            true,
        ),
        flood(
            "continuations",
            half.clone(),
            Box::new(|_| frame(CONTINUATION, 0, 1, &block(&[("x-more", "1")]))),
            true,
        ),
        flood("empty continuations", half, Box::new(|_| frame(CONTINUATION, 0, 1, &[])), true),
        flood(
            "settings",
            Vec::new(),
            Box::new(|round| frame(SETTINGS, 0, 0, &setting(4, 65_535 + round % 2))),
            true,
        ),
        flood(
            "pings",
            Vec::new(),
            Box::new(|round| frame(PING, 0, 0, &u64::from(round).to_be_bytes())),
            true,
        ),
        flood("empty data", post.clone(), Box::new(|_| frame(DATA, 0, 1, &[])), true),
        flood(
            "priorities",
            Vec::new(),
            Box::new(|round| frame(PRIORITY, 0, round * 2 + 1, &[0, 0, 0, 0, 1])),
            true,
        ),
        flood("room", post, Box::new(|_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])), true),
        flood("unknown frames", Vec::new(), Box::new(|_| frame(0x77, 0, 0, &[7; 100])), true),
        Flood {
            what: "streams without room for an answer",
            settings: setting(4, 0),
            opening: Vec::new(),
            again: Box::new(|round| if round < 100 { get(round * 2 + 1, "/large") } else { Vec::new() }),
            must_end: false,
        },
    ]
}

fn upstream() -> Upstream {
    Upstream::answering(|request, socket| {
        use std::io::Write as _;
        if request.target() == "/hold" {
            thread::sleep(Duration::from_millis(300));
        }
        let length = if request.target() == "/large" { 8 << 20 } else { 2 };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        socket.write_all(head.as_bytes()).is_ok() && socket.write_all(&vec![b'x'; length]).is_ok()
    })
}

/// Sends until the gate ends it or the flood is as large as it gets; how it ended.
fn send(flood: &Flood, raw: &mut Raw) -> Outcome {
    let mut reader = raw.again();
    reader.patience(Duration::from_secs(2));
    let reading = thread::spawn(move || {
        loop {
            match reader.outcome() {
                Outcome::Reset(_) | Outcome::Answered(_) => {}
                ended @ (Outcome::GoAway(_) | Outcome::Closed | Outcome::Silent) => return ended,
            }
        }
    });
    raw.send(&flood.opening);
    let (mut sent, mut round) = (0, 0);
    while sent < MOST && !reading.is_finished() {
        let piece: Vec<u8> = (round..round + 50).flat_map(|round| (flood.again)(round)).collect();
        if piece.is_empty() || raw.try_send(&piece).is_err() {
            break;
        }
        sent += piece.len();
        round += 50;
    }
    reading.join().unwrap()
}

#[test]
fn a_flood_ends_costs_little_and_keeps_nobody_waiting() {
    let upstream = upstream();
    for flood in floods() {
        let folder = tempfile::tempdir().unwrap();
        let setup = gate(&upstream)
            .with("listen", "h2c = true\nworkers = 1\nwrite_timeout = \"1s\"")
            .with("log", "level = \"info\"");
        let process = Process::serve(&setup.prepare(folder.path()));
        let ask =
            || try_exchange(process.proxy, &request("GET", OUTSIDE, &[], b"")).map(|answer| answer.status());
        assert_eq!(ask().unwrap(), 200);
        let before = process.resident();
        let mut raw = Raw::open_with(process.proxy, &flood.settings);
        let (outcome, most) = thread::scope(|scope| {
            let flooding = scope.spawn(|| send(&flood, &mut raw));
            let mut most = before;
            while !flooding.is_finished() {
                let began = Instant::now();
                assert_eq!(ask().unwrap(), 200, "{}", flood.what);
                assert!(began.elapsed() < Duration::from_secs(3), "{}: {:?}", flood.what, began.elapsed());
                most = most.max(process.resident());
                thread::sleep(Duration::from_millis(10));
            }
            (flooding.join().unwrap(), most)
        });
        if flood.must_end {
            assert!(matches!(outcome, Outcome::GoAway(_) | Outcome::Closed), "{}: {outcome:?}", flood.what);
        }
        let grown = most.saturating_sub(before);
        assert!(grown < MEMORY, "{}: {grown} KiB", flood.what);
        process.terminate();
        assert_eq!(process.wait().code, Some(0), "{}", flood.what);
    }
}

#[test]
fn who_takes_back_most_of_what_it_asks_for_is_sent_away() {
    // One at a time and looked at each time, so that no limit on open streams or on unread resets holds.
    let upstream = upstream();
    let gate = gate(&upstream).with("listen", "h2c = true").start();
    let cancel = |stream| frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    let mut patient = Raw::open(gate.proxy);
    let mut reader = patient.again();
    let reading = thread::spawn(move || {
        loop {
            match reader.outcome() {
                Outcome::Reset(_) | Outcome::Answered(_) => {}
                ended @ (Outcome::GoAway(_) | Outcome::Closed | Outcome::Silent) => return ended,
            }
        }
    });
    let mut stream = 1;
    while !reading.is_finished() && stream < 1200 {
        patient.send(&get(stream, "/hold"));
        thread::sleep(Duration::from_millis(2));
        patient.send(&cancel(stream));
        stream += 2;
    }
    assert!(matches!(reading.join().unwrap(), Outcome::GoAway(_) | Outcome::Closed), "after {stream}");
    assert!(stream > 300, "not before it is too much: {stream}");

    // Who changes its mind now and then stays.
    let mut fickle = Raw::open(gate.proxy);
    for number in 0..300 {
        let stream = number * 4 + 1;
        fickle.send(&[get(stream, "/hold"), get(stream + 2, OUTSIDE)].concat());
        assert_eq!(fickle.outcome(), Outcome::Answered(200), "{number}");
        fickle.send(&cancel(stream));
    }
    fickle.send(&get(2001, OUTSIDE));
    assert_eq!(fickle.outcome(), Outcome::Answered(200));
}

#[test]
fn pings_keep_no_connection_without_requests() {
    let upstream = upstream();
    let gate = gate(&upstream)
        .with("listen", "h2c = true\nheader_timeout = \"500ms\"\nidle_timeout = \"1s\"")
        .start();
    for is_used in [false, true] {
        let mut raw = Raw::open(gate.proxy);
        if is_used {
            raw.send(&get(1, OUTSIDE));
            assert_eq!(raw.outcome(), Outcome::Answered(200));
        }
        let began = Instant::now();
        let mut sender = raw.again();
        let pinging = thread::spawn(move || {
            while sender.try_send(&frame(PING, 0, 0, &[7; 8])).is_ok()
                && began.elapsed() < Duration::from_secs(8)
            {
                thread::sleep(Duration::from_millis(50));
            }
        });
        assert_eq!(raw.outcome(), Outcome::GoAway(0), "used: {is_used}");
        let lived = began.elapsed();
        assert!(lived > Duration::from_millis(300) && lived < Duration::from_secs(4), "{is_used}: {lived:?}");
        drop(raw);
        pinging.join().unwrap();
    }
}
