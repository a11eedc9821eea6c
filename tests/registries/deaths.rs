//! An operator that dies at one write of a promotion that a comparison decided, the look at the holdout among them.

use super::faults::{AT_ONCE, Passed, moves, way};
use super::gates::{comparing, point, write_predictions};
use super::ledger_of_model::{champion, make_model, tells_of_one_promotion};
use super::mlflow_proxy::{Call, Fate, Said};
use super::mlflow_registry::mlflow_registry;
use super::promotion::until_settled;
use super::run;
use super::world::{cluster_with_policy, operator_with_predictions};
use futures::StreamExt;
use podium_operator::ports::ModelRegistry;
use podium_testbed::mlflow::{MLFLOW, MlflowServer};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// When an operator dies, seen from its write.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// The server never sees it.
    Before,
    /// It is carried out, and nobody hears of it.
    During,
    /// Its answer has come.
    After,
}

const MOMENTS: [Moment; 3] = [Moment::Before, Moment::During, Moment::After];

impl Moment {
    fn fate(self, dies: &Arc<Notify>) -> Fate {
        let dies = Arc::clone(dies);
        let die = move || dies.notify_one();
        match self {
            Self::Before => {
                die();
                Fate::Answer(Said::json(502, "{}"))
            }
            Self::During => Fate::BreakThen(Box::new(die)),
            Self::After => Fate::PassThen(Box::new(die)),
        }
    }
}

/// A promotion whose operator dies at this write, if there are so many, and is started again; what came to MLflow.
async fn promoted(server: &str, files: &Path, death: Option<(usize, Moment)>) -> Passed {
    let registry = mlflow_registry(server);
    let model = death.map_or("lives".to_string(), |(nth, moment)| {
        format!("dies at {nth} {moment:?}")
    });
    make_model(&registry, &model, 2, true).await;
    point(&registry, &model, "challenger", "2").await;
    let objects = cluster_with_policy(&model, |policy| *policy = comparing(&model, 0));
    let dies = Arc::new(Notify::new());
    let signal = Arc::clone(&dies);
    let writes = AtomicUsize::new(0);
    let (url, passed) = way(server, move |_, call: &Call| {
        let number = match call.is_write() {
            true => writes.fetch_add(1, Ordering::Relaxed) + 1,
            false => return Fate::Pass,
        };
        match death {
            Some((nth, moment)) if nth == number => moment.fate(&signal),
            _ => Fate::Pass,
        }
    })
    .await;
    let first = operator_with_predictions(&objects, &url, files);
    let ends = &["UpToDate"];
    tokio::select! {
        () = until_settled(&first, &objects, ends) => {}
        () = dies.notified() => {}
    }
    drop(first);
    let second = operator_with_predictions(&objects, &url, files);
    until_settled(&second, &objects, ends).await;

    assert_eq!(champion(&registry, &model).await.as_deref(), Some("2"));
    assert_eq!(moves(&passed), 1, "{model}");
    tells_of_one_promotion(&registry, &model).await;
    let registers = registry.registers(&model).await.unwrap();
    let looks = registers.keys().filter(|key| key.starts_with("look/"));
    assert_eq!(looks.count(), 1, "{model}: {registers:#?}");
    passed
}

#[test]
fn an_operator_that_dies_at_any_write_promotes_once_and_looks_once() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW, None).unwrap();
    let url = server.url();
    let files = tempfile::tempdir().unwrap();
    write_predictions(files.path());
    run(async {
        let undisturbed = promoted(&url, files.path(), None).await;
        let passed = undisturbed.lock().unwrap().clone();
        let is_look = |call: &Call| {
            let key = call.body["key"].as_str().unwrap_or_default();
            call.is_write() && key.starts_with("look/")
        };
        assert!(passed.iter().any(is_look), "{passed:#?}");
        let writes = passed.iter().filter(|call| call.is_write()).count();
        let deaths = (1..=writes).flat_map(|nth| MOMENTS.map(|moment| (nth, moment)));
        futures::stream::iter(deaths)
            .map(|death| promoted(&url, files.path(), Some(death)))
            .buffer_unordered(AT_ONCE)
            .for_each(|_| std::future::ready(()))
            .await;
    });
}
