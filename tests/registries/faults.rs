//! A promotion while the way to MLflow is bad and while somebody else moves the alias, at each of its requests; a database that was set
//! back, and a server that is down.

use super::ledger_of_model::{champion, make_model, outcomes, tells_of_one_promotion};
use super::mlflow_proxy::{self, Before, Call, Fate, Said};
use super::mlflow_registry::mlflow_registry;
use super::promotion::{is_settled, until_in_sync, until_settled};
use super::world::{NAME, Objects, cluster_with_policy, operator, pin, policy};
use super::{run, witness};
use futures::StreamExt;
use podium_operator::adapters::mlflow::registry::MlflowRegistry;
use podium_operator::adapters::write_lease::WriteLease;
use podium_operator::ports::ModelRegistry;
use podium_testbed::mlflow::{MLFLOW, MlflowServer};
use serde_json::json;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

/// Promotions that run at once.
pub const AT_ONCE: usize = 6;
/// So many requests in a row meet a fault: more than one is repeated.
const IN_A_ROW: usize = 3;
/// A slow answer comes after so long, within the time that the operator gives it.
const SLOW: Duration = Duration::from_secs(3);
/// How long a server is down; `make check-registry` takes its time.
static DOWN: LazyLock<Duration> = LazyLock::new(|| {
    let all = std::env::var("PODIUM_CHECK_REGISTRY").is_ok_and(|value| value == "true");
    Duration::from_secs(if all { 600 } else { 60 })
});
/// More requests than a promotion has.
const MOST_REQUESTS: usize = 120;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Busy, and nothing was done.
    Busy,
    /// Too many requests, and nothing was done.
    TooMany,
    /// An error of its own, after it was done.
    Broken,
    /// It was done, and the connection broke.
    ReplyLost,
    /// It was done, and a page of somebody else was answered.
    PageInstead,
    /// A login page, and nothing was done.
    LoginPage,
    /// It was done, and the answer takes some seconds.
    Slow,
    /// It was done, and the answer takes longer than the operator waits.
    TooSlow,
}

impl Fault {
    fn fate(self) -> Fate {
        match self {
            Self::Busy => Fate::Answer(Said::json(503, "{}")),
            Self::TooMany => Fate::Answer(Said {
                retry_after: Some("0"),
                ..Said::json(429, "{}")
            }),
            Self::Broken => Fate::PassAndAnswer(Said::json(
                500,
                r#"{"error_code": "INTERNAL_ERROR", "message": "by a test"}"#,
            )),
            Self::ReplyLost => Fate::BreakThen(Box::new(|| {})),
            Self::PageInstead => Fate::PassAndAnswer(Said::html(200)),
            Self::LoginPage => Fate::Answer(Said::html(200)),
            Self::Slow => Fate::PassAndWait(Box::pin(tokio::time::sleep(SLOW))),
            Self::TooSlow => Fate::PassAndWait(Box::pin(std::future::pending::<()>())),
        }
    }

    /// How many requests in a row meet it.
    fn in_a_row(self) -> usize {
        match self {
            Self::Slow | Self::TooSlow => 1,
            _ => IN_A_ROW,
        }
    }
}

/// What came to MLflow.
pub type Passed = Arc<Mutex<Vec<Call>>>;

/// A way to `server` on which `decide` sees each request with its number, from 1.
pub async fn way(
    server: &str,
    decide: impl Fn(usize, &Call) -> Fate + Send + Sync + 'static,
) -> (String, Passed) {
    let passed = Passed::default();
    let seen = Arc::clone(&passed);
    let came = Mutex::new(0);
    let url = mlflow_proxy::open(server, move |call| {
        let number = {
            let mut came = came.lock().unwrap();
            *came += 1;
            *came
        };
        let fate = decide(number, call);
        if !matches!(fate, Fate::Answer(_) | Fate::Endless(..)) {
            seen.lock().unwrap().push(call.clone());
        }
        fate
    })
    .await;
    (url, passed)
}

/// How often MLflow was asked to move the alias `champion`.
pub fn moves(passed: &Passed) -> usize {
    let passed = passed.lock().unwrap();
    passed.iter().filter(|call| call.moves("champion")).count()
}

/// A policy that pins version 2.
pub fn pinned(model: &str) -> Objects {
    cluster_with_policy(model, |policy| pin(policy, "2"))
}

/// Whether each of a promotion's requests is a write.
pub async fn requests(server: &str) -> Vec<bool> {
    let registry = mlflow_registry(server);
    make_model(&registry, "undisturbed", 2, true).await;
    let (url, passed) = way(server, |_, _| Fate::Pass).await;
    let objects = pinned("undisturbed");
    let engine = operator("a", &objects, &url, &WriteLease::always());
    until_settled(&engine, &objects, &["Pinned"]).await;
    let requests: Vec<bool> = passed.lock().unwrap().iter().map(Call::is_write).collect();
    assert!(requests.len() < MOST_REQUESTS);
    requests
}

async fn promotes_in_spite_of(server: &str, fault: Fault, at: usize) {
    let registry = mlflow_registry(server);
    let model = format!("{fault:?} at {at}");
    make_model(&registry, &model, 2, true).await;
    let (url, passed) = way(server, move |number, _| {
        let is_met = (at..at + fault.in_a_row()).contains(&number);
        if is_met { fault.fate() } else { Fate::Pass }
    })
    .await;
    let objects = pinned(&model);
    let engine = operator("a", &objects, &url, &WriteLease::always());
    until_settled(&engine, &objects, &["Pinned"]).await;
    let alias = champion(&registry, &model).await;
    assert_eq!(alias.as_deref(), Some("2"), "{model}");
    assert_eq!(
        moves(&passed),
        1,
        "{model}: MLflow was asked to move it once"
    );
    tells_of_one_promotion(&registry, &model).await;
}

#[test]
fn a_promotion_gets_over_a_bad_way_to_mlflow_at_each_request() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW, None).unwrap();
    let url = server.url();
    run(async {
        let requests = requests(&url).await;
        let at_writes = [
            Fault::Busy,
            Fault::TooMany,
            Fault::Broken,
            Fault::ReplyLost,
            Fault::PageInstead,
        ];
        let at_reads = [Fault::Busy, Fault::LoginPage];
        let plans = requests.iter().enumerate().flat_map(|(index, is_write)| {
            let faults = if *is_write {
                &at_writes[..]
            } else {
                &at_reads[..]
            };
            faults.iter().map(move |fault| (*fault, index + 1))
        });
        let plans: Vec<_> = plans.collect();
        let writes = (1..).zip(&requests).filter(|(_, is_write)| **is_write);
        let slow_plans = writes.flat_map(|(at, _)| [(Fault::Slow, at), (Fault::TooSlow, at)]);
        let slow_plans: Vec<_> = slow_plans.collect();
        eprintln!(
            "{} requests, {} plans, {} slow ones",
            requests.len(),
            plans.len(),
            slow_plans.len()
        );
        // The slow ones do nothing for most of their time.
        let url = url.as_str();
        let all_of = |plans: Vec<(Fault, usize)>, at_once: usize| {
            futures::stream::iter(plans).for_each_concurrent(at_once, move |(fault, at)| {
                promotes_in_spite_of(url, fault, at)
            })
        };
        tokio::join!(all_of(plans, AT_ONCE), all_of(slow_plans, 2 * AT_ONCE));
    });
}

/// Does something to the server right before the request with this number is passed on.
pub async fn way_with(
    server: &str,
    at: usize,
    act: impl Fn(MlflowRegistry) -> Before + Send + Sync + 'static,
) -> (String, Passed) {
    let registry = mlflow_registry(server);
    way(server, move |number, _| {
        if number == at {
            Fate::PassAfter(act(registry.clone()))
        } else {
            Fate::Pass
        }
    })
    .await
}

/// Moves the alias as a person does, who asks nobody.
fn by_hand(registry: MlflowRegistry, model: String, to: &'static str) -> Before {
    Box::pin(async move {
        let from = champion(&registry, &model).await;
        let moved = registry.move_alias(&model, "champion", from.as_deref(), Some(to));
        moved.await.unwrap();
    })
}

/// What a person does right before a request of a first promotion holds, unless that request moves the alias; whether there is such a
/// request. Which number the one that moves it has may differ: on a busy machine a look gets old, and is repeated.
async fn is_heard(server: &str, at: usize) -> bool {
    let registry = mlflow_registry(server);
    let model = format!("by hand at {at}");
    make_model(&registry, &model, 2, false).await;
    let challenger = registry.move_alias(&model, "challenger", None, Some("1"));
    challenger.await.unwrap();
    let name = model.clone();
    let (url, passed) = way_with(server, at, move |registry| {
        by_hand(registry, name.clone(), "2")
    })
    .await;
    let objects = cluster_with_policy(&model, |policy| {
        policy["spec"]["challengers"] = json!({"alias": {}});
        policy["spec"]["promotion"] = json!({"firstChampion": "Automatic"});
    });
    let engine = operator("a", &objects, &url, &WriteLease::always());
    let at_rest = ["UpToDate", "EvidenceMissing", "NoChallenger", "Refused"];
    until_settled(&engine, &objects, &at_rest).await;
    let calls = passed.lock().unwrap().clone();
    if calls.len() < at {
        return false;
    }
    until_in_sync(&engine, &objects, &registry, &model).await;
    let alias = champion(&registry, &model).await;
    outcomes(&registry, &model).await;
    let is_the_move = calls[at - 1].is_write() && calls[at - 1].path == "registered-models/alias";
    let is_heard = alias.as_deref() == Some("2");
    // Between the last look and the move nothing can be seen on MLflow.
    assert!(is_heard || is_the_move, "{model}: {:?}", calls[at - 1]);
    true
}

#[test]
fn a_person_who_moves_the_alias_at_any_step_but_the_last_is_heard() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW, None).unwrap();
    let url = server.url();
    let steps = run(async {
        futures::stream::iter(1..MOST_REQUESTS)
            .map(|at| is_heard(&url, at))
            .buffered(AT_ONCE)
            .take_while(|is_one| std::future::ready(*is_one))
            .count()
            .await
    });
    assert!(steps > 10, "{steps}");
}

/// Copies a live sqlite database into another one.
fn copy_database(server: &MlflowServer, from: &std::path::Path, to: &std::path::Path) {
    let script = format!(
        "import sqlite3\nsource, target = sqlite3.connect('{}'), sqlite3.connect('{}')\nsource.backup(target)\ntarget.close()",
        from.display(),
        to.display()
    );
    witness(server, &script);
}

#[test]
fn a_database_that_was_set_back_holds_the_champion_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW, None).unwrap();
    let registry = mlflow_registry(&server.url());
    let model = "set back";
    let (live, copy) = (
        directory.path().join("mlflow.db"),
        directory.path().join("copy.db"),
    );
    let objects = pinned(model);
    let engine = operator("a", &objects, &server.url(), &WriteLease::always());
    run(async {
        make_model(&registry, model, 3, true).await;
        until_settled(&engine, &objects, &["Pinned"]).await;
    });
    copy_database(&server, &live, &copy);
    objects.apply(&policy(model, |policy| pin(policy, "3")));
    run(until_settled(&engine, &objects, &["Pinned"]));
    copy_database(&server, &copy, &live);
    run(async {
        until_settled(&engine, &objects, &["RegistrySetBack"]).await;
        // Whoever set it back decides.
        assert_eq!(champion(&registry, model).await.as_deref(), Some("2"));
    });
}

#[test]
fn a_server_that_is_down_is_said_and_the_promotion_goes_on_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW, None).unwrap();
    let down = Arc::new(Mutex::new(false));
    let is_down = Arc::clone(&down);
    run(async {
        let registry = mlflow_registry(&server.url());
        let model = "down";
        make_model(&registry, model, 2, true).await;
        let (url, _) = way(&server.url(), move |_, _| {
            if *is_down.lock().unwrap() {
                Fate::Answer(Said::json(502, "{}"))
            } else {
                Fate::Pass
            }
        })
        .await;
        let objects = pinned(model);
        let engine = operator("a", &objects, &url, &WriteLease::always());
        // The first step is done before it goes down.
        let _ = engine.reconcile_champion_policy(NAME).await;
        *down.lock().unwrap() = true;
        let began = Instant::now();
        let mut tries = 0;
        while tries < 3 || began.elapsed() < *DOWN {
            let _ = engine.reconcile_champion_policy(NAME).await;
            assert!(!is_settled(&objects, &["Pinned"]));
            tries += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        eprintln!("down for {:?}, {tries} tries", began.elapsed());
        let status = objects.policy().status.unwrap();
        assert!(
            status.conditions.iter().any(|c| c.message.contains("502")),
            "{:#?}",
            status.conditions
        );
        *down.lock().unwrap() = false;
        until_settled(&engine, &objects, &["Pinned"]).await;
        tells_of_one_promotion(&registry, model).await;
    });
}
