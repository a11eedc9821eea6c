//! An object store that is slow, busy, broken or changed while it is read: each read is of one content, and ends in time.

use super::http_proxy::{self, Call, Fate, Said};
use super::object_store::{access, address, digest, put, store};
use podium_operator::adapters::s3::{Patience, S3Store};
use podium_testbed::s3::S3Server;
use podium_workload::table::{FileSource, sha256_hex};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;

/// More than a connection holds at once.
const BYTES: usize = 3_000_000;
/// Bytes of an answer before it breaks.
const CUT: usize = 100_000;

/// A content of many bytes, which is another one for each `variant`.
fn content(variant: usize) -> String {
    let line = format!("{variant}: all of this is of one content\n");
    line.repeat(BYTES / line.len())
}

/// A server with proxies in front of it, which need a runtime of their own: reads wait on the thread of the test.
struct Bed {
    runtime: Runtime,
    server: S3Server,
    direct: Arc<S3Store>,
}

impl Bed {
    fn start(directory: &Path) -> Self {
        let server = S3Server::start(directory).unwrap();
        let direct = Arc::new(store(&server.url()));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        Self {
            runtime,
            server,
            direct,
        }
    }

    /// The store by way of a proxy, for somebody with little patience.
    fn through(&self, decide: impl Fn(&Call) -> Fate + Send + Sync + 'static) -> S3Store {
        let url = self.server.url();
        let open = http_proxy::open_to_objects(&url, decide);
        let mut access = access(&self.runtime.block_on(open));
        access.patience = Patience {
            silence: Duration::from_secs(2),
            window: Duration::from_millis(500),
            pause: Duration::from_millis(10),
            attempts: 3,
            ..Patience::default()
        };
        S3Store::open(&access).unwrap()
    }

    /// What passes a request on once another content was stored under a name.
    fn replaced(&self, name: &'static str) -> Box<dyn Fn(usize) -> Fate + Send + Sync> {
        let direct = Arc::clone(&self.direct);
        Box::new(move |variant| {
            let direct = Arc::clone(&direct);
            Fate::PassAfter(Box::pin(async move {
                let stored =
                    tokio::task::spawn_blocking(move || put(&direct, name, &content(variant)));
                stored.await.unwrap();
            }))
        })
    }
}

/// What a store says of an error.
fn says(status: u16, code: &str) -> Said {
    Said {
        kind: "application/xml",
        body: format!("<Error><Code>{code}</Code><Message>a canary</Message></Error>"),
        ..Said::html(status)
    }
}

fn refusal(store: &S3Store, name: &str) -> String {
    let error = store.read(&address(name)).unwrap_err();
    assert!(!error.is_missing(), "{error}");
    let text = error.to_string();
    let named = text.starts_with(&format!("cannot read {}: ", address(name).display()));
    assert!(named && !text.contains("canary"), "{text}");
    text
}

fn a_busy_store_is_asked_again_and_not_for_ever(bed: &Bed) {
    put(&bed.direct, "busy.csv", "id\n1\n");
    let counted = |busy: usize| {
        let asked = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&asked);
        let store = bed.through(move |_| match counts.fetch_add(1, Ordering::SeqCst) {
            nth if nth < busy => Fate::Answer(says(503, "SlowDown")),
            _ => Fate::Pass,
        });
        (store, asked)
    };
    let (store, asked) = counted(2);
    assert_eq!(digest(&store, "busy.csv"), sha256_hex(b"id\n1\n"));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let (store, asked) = counted(usize::MAX);
    let text = refusal(&store, "busy.csv");
    assert!(text.contains("`SlowDown` with status 503"), "{text}");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

fn what_is_no_object_store_is_told(bed: &Bed) {
    let page = bed.through(|_| Fate::Answer(Said::html(200)));
    let text = refusal(&page, "page.csv");
    assert!(text.contains("is no object store"), "{text}");
    let elsewhere = bed.through(|_| Fate::Answer(Said::html(404)));
    let text = refusal(&elsewhere, "page.csv");
    assert!(text.contains("not as an object store does"), "{text}");
}

fn a_silent_store_is_given_up(bed: &Bed) {
    put(&bed.direct, "silent.csv", "id\n1\n");
    let silent = bed.through(|_| Fate::PassAfter(Box::pin(std::future::pending::<()>())));
    let text = refusal(&silent, "silent.csv");
    assert!(text.contains("does not answer in time"), "{text}");
    // One that thinks for a while is waited for.
    let slow =
        bed.through(|_| Fate::PassAfter(Box::pin(tokio::time::sleep(Duration::from_millis(200)))));
    assert_eq!(digest(&slow, "silent.csv"), sha256_hex(b"id\n1\n"));
}

fn a_trickle_is_given_up(bed: &Bed) {
    put(&bed.direct, "trickle.csv", &content(0));
    let trickle = bed.through(|_| Fate::Trickle(10, Duration::from_millis(50)));
    let text = refusal(&trickle, "trickle.csv");
    assert!(
        text.contains("less than 65536 bytes came in 500ms"),
        "{text}"
    );
}

/// The later requests ask for what is still missing.
fn what_was_cut_goes_on(bed: &Bed) {
    put(&bed.direct, "cut.csv", &content(0));
    let ranges = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ranges);
    let store = bed.through(move |call| {
        let mut seen = seen.lock().unwrap();
        seen.push(call.has_range());
        match seen.len() {
            1 | 2 => Fate::CutAfter(CUT),
            _ => Fate::Pass,
        }
    });
    assert_eq!(digest(&store, "cut.csv"), sha256_hex(content(0).as_bytes()));
    assert_eq!(*ranges.lock().unwrap(), [false, true, true]);

    let never_whole = bed.through(|_| Fate::CutAfter(CUT));
    let text = refusal(&never_whole, "cut.csv");
    assert!(text.contains("was cut 6 times in a row"), "{text}");
}

fn what_is_replaced_while_it_is_read_is_never_mixed(bed: &Bed) {
    put(&bed.direct, "replaced.csv", &content(0));
    let replace = bed.replaced("replaced.csv");
    let asked = AtomicUsize::new(0);
    let store = bed.through(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Fate::CutAfter(CUT),
        1 => replace(1),
        _ => Fate::Pass,
    });
    let read = digest(&store, "replaced.csv");
    assert_eq!(read, sha256_hex(content(1).as_bytes()));

    // Whoever writes it all the time is to be waited for.
    let replace = bed.replaced("replaced.csv");
    let asked = AtomicUsize::new(2);
    let store = bed.through(move |call| match call.has_range() {
        false => Fate::CutAfter(CUT),
        true => replace(asked.fetch_add(1, Ordering::SeqCst)),
    });
    let text = refusal(&store, "replaced.csv");
    assert!(
        text.contains("replaced or damaged on its way each of the 3 times"),
        "{text}"
    );
}

/// A part that appears, or is another one than the list showed, while others are read.
fn a_table_is_read_as_it_was_at_one_time(bed: &Bed) {
    let header = |rows: &str| format!("id,y\n{rows}");
    for (name, rows) in [("t/p-0.csv", "1,0\n"), ("t/p-1.csv", "2,0\n")] {
        put(&bed.direct, name, &header(rows));
    }
    let before = digest(&bed.direct, "t");
    for changed in ["t/p-1.csv", "t/p-2.csv"] {
        let (direct, text) = (Arc::clone(&bed.direct), header("3,1\n"));
        let asked = AtomicUsize::new(0);
        let store = bed.through(move |call| {
            if !call.path.ends_with("/t/p-0.csv") || asked.fetch_add(1, Ordering::SeqCst) > 0 {
                return Fate::Pass;
            }
            let (direct, text) = (Arc::clone(&direct), text.clone());
            Fate::PassAfter(Box::pin(async move {
                let stored = tokio::task::spawn_blocking(move || put(&direct, changed, &text));
                stored.await.unwrap();
            }))
        });
        let read = digest(&store, "t");
        assert_ne!(read, before);
        assert_eq!(read, digest(&bed.direct, "t"), "{changed}");
    }
}

#[test]
fn a_store_at_its_worst_is_read_right_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let bed = Bed::start(directory.path());
    a_busy_store_is_asked_again_and_not_for_ever(&bed);
    what_is_no_object_store_is_told(&bed);
    a_silent_store_is_given_up(&bed);
    a_trickle_is_given_up(&bed);
    what_was_cut_goes_on(&bed);
    what_is_replaced_while_it_is_read_is_never_mixed(&bed);
    a_table_is_read_as_it_was_at_one_time(&bed);
}
