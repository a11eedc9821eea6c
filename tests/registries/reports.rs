//! Reports on a real object store, written by the command that the pods of comparisons run: a store that does not take one costs no verdict,
//! and the account that wrote it stands nowhere in it.

use super::gates::write_predictions;
use super::http_proxy::{self, Call, Fate, Said};
use super::object_store::{access, address, podium, put, store, succeeds};
use http::{Method, header};
use podium_api::EvaluationSpec;
use podium_operator::adapters::s3::{Patience, PutMode, S3Store};
use podium_operator::ports::ReportState;
use podium_operator::runs::evaluation_message::{Outcome, decode};
use podium_operator::runs::evaluation_runner::{NAME_VARIABLE, QUESTION_VARIABLE, question_of};
use podium_testbed::s3::{BUCKET, REGION, S3Server, SECRET_KEY};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A store with the predictions of both versions, and a comparison that asks for them.
struct Bed {
    server: S3Server,
    // It goes once nothing is written into it any more.
    directory: TempDir,
}

impl Bed {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = S3Server::start(&directory.path().join("s3")).unwrap();
        write_predictions(directory.path());
        let store = store(&server.url());
        for name in ["1.csv", "2.csv"] {
            let text = fs::read_to_string(directory.path().join(name)).unwrap();
            put(&store, name, &text);
        }
        Self { server, directory }
    }

    /// What the pod of a comparison is asked, with the store at this address.
    fn spec(&self, url: &str) -> EvaluationSpec {
        serde_json::from_value(json!({
            "policyRef": {"name": "fraud"}, "model": "fraud-detection",
            "champion": {"version": "1", "predictions": address("1.csv")},
            "challenger": {"version": "2", "predictions": address("2.csv")},
            "store": {"endpoint": url, "region": REGION, "pathStyle": true},
            "columns": {"id": "id", "label": "label", "score": "score"},
            "test": {"primary": {"metric": "rocAuc"}, "guardrails": [{"metric": "f1", "maxRegression": 0.01}]},
            "rowsNoun": "transactions",
        }))
        .unwrap()
    }

    /// What the pod says of the report that it is to write to this address.
    fn reported(&self, url: &str, page: &str) -> ReportState {
        let spec = self.spec(url);
        let question = question_of(&spec).unwrap();
        let message = self.directory.path().join("message");
        let mut command = podium(url);
        command
            .args(["evaluate", "--from-environment", "--report", page])
            .env(QUESTION_VARIABLE, &question)
            .env(NAME_VARIABLE, "fraud-1-2")
            .env("PODIUM_TERMINATION_MESSAGE_PATH", &message);
        succeeds(&mut command);
        let message = fs::read_to_string(message).unwrap();
        let Ok(Outcome::Compared(result)) = decode(&question, &spec, Some(&message)) else {
            panic!("it was not compared: {message}");
        };
        assert_eq!((result.statistics.rows, result.left_out.len()), (900, 0));
        result.report.unwrap()
    }

    /// An object as it lies on the disk of the store.
    fn object(&self, name: &str) -> PathBuf {
        let objects = self.directory.path().join("s3/objects").join(BUCKET);
        objects.join(name)
    }
}

/// The address of a proxy in front of the store.
fn through(
    runtime: &Runtime,
    url: &str,
    decide: impl Fn(&Call) -> Fate + Send + Sync + 'static,
) -> String {
    runtime.block_on(http_proxy::open_to_objects(url, decide))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn text_of(address: &Path) -> String {
    address.display().to_string()
}

#[test]
fn a_report_lies_on_the_store_and_its_repetition_is_the_same_object() {
    let (bed, runtime) = (Bed::start(), runtime());
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&kinds);
    let url = through(&runtime, &bed.server.url(), move |call| {
        if call.method == Method::PUT {
            let kind = call.headers.get(header::CONTENT_TYPE);
            let kind = kind.map(|kind| kind.to_str().unwrap().to_string());
            seen.lock().unwrap().push(kind.unwrap_or_default());
        }
        Fate::Pass
    });
    let name = "a folder/$(HOME)/fraud/fraud-1-2";
    let page = text_of(&address(&format!("{name}.html")));
    let files = [".json", ".html"].map(|ending| bed.object(&format!("{name}{ending}")));
    let mut versions = Vec::new();
    for _ in 0..2 {
        assert_eq!(bed.reported(&url, &page), ReportState::of(&page, Ok(())));
        versions.push(
            files
                .each_ref()
                .map(|file| fs::read_to_string(file).unwrap()),
        );
    }
    assert_eq!(versions[0], versions[1]);
    let expected = ["application/json", "text/html; charset=utf-8"];
    assert_eq!(*kinds.lock().unwrap(), [expected, expected].concat());

    let [document, page] = &versions[0];
    let document: Value = serde_json::from_str(document).unwrap();
    assert_eq!(document["evaluation"], "fraud-1-2");
    assert_eq!(
        document["evidence"]["champion"]["uri"],
        json!(address("1.csv"))
    );
    assert!(page.contains("fraud-detection: v2 against v1"), "{page}");
    for text in [page, &document.to_string()] {
        for secret in [SECRET_KEY, "X-Amz-", "AWS4-HMAC"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[test]
fn a_store_that_does_not_take_a_report_costs_no_verdict() {
    let (bed, runtime) = (Bed::start(), runtime());
    let url = bed.server.url();
    let refused = |url: &str, page: &str| match bed.reported(url, page) {
        ReportState::NotWritten(why) => {
            assert!(
                !why.contains("canary") && !why.contains(SECRET_KEY),
                "{why}"
            );
            why
        }
        ReportState::Written(_) => panic!("{page} was written"),
    };
    let nowhere = refused(&url, "s3://nowhere/fraud/fraud-1-2.html");
    assert!(nowhere.contains("no bucket `nowhere`"), "{nowhere}");
    let among = refused(&url, &text_of(&address("1.csv/fraud-1-2.html")));
    assert!(among.contains("which is an input"), "{among}");

    let denies = through(&runtime, &url, |call| match call.method {
        Method::PUT => Fate::Answer(Said {
            kind: "application/xml",
            body: "<Error><Code>AccessDenied</Code><Message>a canary</Message></Error>".to_string(),
            ..Said::html(403)
        }),
        _ => Fate::Pass,
    });
    let page = text_of(&address("reports/fraud/fraud-1-2.html"));
    let denied = refused(&denies, &page);
    assert!(denied.starts_with("cannot write s3://"), "{denied}");
    assert!(denied.contains("`s3:PutObject`"), "{denied}");
    assert!(!bed.object("reports").exists());
}

/// Whoever waits for a pod waits for its report too.
#[test]
fn a_silent_store_is_not_written_to_for_ever() {
    let (bed, runtime) = (Bed::start(), runtime());
    let silent = through(&runtime, &bed.server.url(), |_| {
        Fate::PassAfter(Box::pin(std::future::pending::<()>()))
    });
    let mut access = access(&silent);
    access.patience = Patience {
        silence: Duration::from_millis(500),
        connection: Duration::from_millis(500),
        attempts: 2,
        ..access.patience
    };
    let began = Instant::now();
    let store = S3Store::open(&access).unwrap();
    let refused = store.put(&address("a.html"), b"page".to_vec(), PutMode::Replace);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("does not answer in time"), "{refused}");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}
