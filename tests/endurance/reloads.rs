//! A million requests while the configuration is exchanged a hundred times, and now and then is none.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    shop::{Asked, Kind, RESOURCES, echo, fill, setup},
    support::{
        process::{Process, free},
        routes::routes,
        waiting::{until, until_within},
        wire::{Client, Message, exchange, request},
    },
    times::{count, distribution},
};

/// Threads that ask, and the connections that each of them has.
const CLIENTS: usize = 16;
const CONNECTIONS: usize = 16;
/// Every so many reloads one is of a file that cannot be used.
const BROKEN: usize = 7;

/// What is asked until there were enough requests.
struct Load {
    total: usize,
    begun: AtomicUsize,
    ended: AtomicUsize,
    problems: Mutex<Vec<String>>,
}

impl Load {
    /// Asks on each connection in turn; the time that each answer took.
    fn run(&self, proxy: SocketAddr) -> Vec<Duration> {
        let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| Client::connect(proxy)).collect();
        let (mut times, mut replay) = (Vec::new(), None::<Asked>);
        loop {
            let number = self.begun.fetch_add(1, Ordering::SeqCst);
            if number >= self.total {
                return times;
            }
            let place = times.len() % CONNECTIONS;
            let client = &mut clients[place];
            if let Some(used) = replay.take_if(|_| number.is_multiple_of(20)) {
                let answer = ask(client, &used.bytes, &mut times);
                self.note(
                    answer.filter(|answer| !Asked::is_replay(answer)).map(|answer| {
                        format!("a nonce is taken twice: {} {}", answer.status(), answer.text())
                    }),
                );
                continue;
            }
            let asked = Asked::new(Kind::of(number as u64));
            match ask(client, &asked.bytes, &mut times) {
                Some(answer) => self.note(asked.problem(&answer)),
                None => {
                    self.note(Some(format!("{:?} {}: no answer", asked.kind, asked.target)));
                    return times;
                }
            }
            replay = (asked.kind == Kind::Signed).then_some(asked).or(replay);
        }
    }

    fn note(&self, problem: Option<String>) {
        self.ended.fetch_add(1, Ordering::SeqCst);
        self.problems.lock().unwrap().extend(problem);
    }
}

fn ask(client: &mut Client, bytes: &[u8], times: &mut Vec<Duration>) -> Option<Message> {
    let began = Instant::now();
    client.try_send(bytes).ok()?;
    let answer = client.try_receive().ok()??;
    times.push(began.elapsed());
    Some(answer)
}

#[test]
#[ignore = "takes minutes; run tests/long"]
fn a_million_requests_over_a_hundred_reloads() {
    let (total, reloads) =
        (count("PORTCULLIS_LONG_REQUESTS", 1_000_000), count("PORTCULLIS_LONG_RELOADS", 100));
    let (upstream, folder) = (echo(None, Duration::ZERO), tempfile::tempdir().unwrap());
    let proxy = free();
    let configurations = RESOURCES.map(|resource| {
        let folder = folder.path().join(resource.replace(':', "_"));
        fs::create_dir(&folder).unwrap();
        setup(&upstream, proxy)
            .with("acl", &format!("routes = \"{}\"", routes(&folder, resource).display()))
            .toml()
    });
    let config = setup(&upstream, proxy).prepare(folder.path());
    fs::write(&config, &configurations[0]).unwrap();
    fill(folder.path(), 1000);
    let process = Process::serve(&config);
    let load =
        Load { total, begun: AtomicUsize::new(0), ended: AtomicUsize::new(0), problems: Mutex::default() };
    let began = Instant::now();
    let (times, broken) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| load.run(proxy))).collect();
        let broken = reload(&load, &process, (&config, &configurations), reloads);
        let times: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        (times, broken)
    });
    let (took, answers) = (began.elapsed(), times.len());
    let problems = load.problems.into_inner().unwrap();
    println!(
        "{answers} answers to {total} requests on {} connections in {took:.1?}: {:.0} a second; {} reloads, {broken} of \
         them refused; {}; resident {} MiB",
        CLIENTS * CONNECTIONS,
        answers as f64 / took.as_secs_f64(),
        reloads,
        distribution(times),
        process.resident() / 1024,
    );
    assert!(problems.is_empty(), "{} problems: {:#?}", problems.len(), &problems[..problems.len().min(20)]);
    assert_eq!(answers, total);
    process.terminate();
    let ended = process.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// Reloads evenly over the load, and answers how many of the files could not be used.
fn reload(
    load: &Load,
    process: &Process,
    (config, configurations): (&Path, &[String; 2]),
    reloads: usize,
) -> usize {
    let mut broken = 0;
    for number in 1..=reloads {
        let due = load.total * number / (reloads + 1);
        until_within(Duration::from_secs(3600), "the load goes on", || {
            load.ended.load(Ordering::SeqCst) >= due
        });
        let is_broken = number.is_multiple_of(BROKEN);
        broken += usize::from(is_broken);
        fs::write(config, if is_broken { "[listen" } else { &configurations[number % 2] }).unwrap();
        process.hang_up();
        let (result, times) = if is_broken { ("refused", broken) } else { ("taken_up", number - broken) };
        let line = format!("portcullis_config_reloads_total{{result=\"{result}\"}} {times}\n");
        let figures = request("GET", "/metrics", &[("Connection", "close")], b"");
        until("the reload is told", || exchange(process.admin, &figures).text().contains(&line));
    }
    broken
}
