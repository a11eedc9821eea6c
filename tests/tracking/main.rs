//! What operators tell an MLflow that fails, hangs, or answers when the world has changed. The one here is in memory; real ones are asked by
//! the tests of registries and of the cluster.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

mod mlflow;
mod world;

use futures::future::join_all;
use kube::ResourceExt;
use mlflow::{LoggedRun, REFUSED};
use podium_api::TuningJob;
use podium_operator::ports::{Clock, Cluster, PortError, PortErrorKind};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use world::{REGISTRY, World, create, search};

/// What a trial reports that reaches every target here.
const REPORT: Option<&str> = Some(r#"{"metrics": {"auc": 0.75}}"#);

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// The statuses of all runs by their names, in the order in which they were started.
fn statuses(world: &World) -> String {
    let runs = world.mlflow.statuses().into_iter();
    let runs = runs.map(|(name, status)| format!("{name} {status}"));
    runs.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_search_that_begins_while_mlflow_is_asked_keeps_its_run() {
    run(async {
        let world = World::new();
        let gone = LoggedRun::of_search("gone", "somebody deleted it");
        world.mlflow.add(gone);
        let (objects, mlflow) = (world.objects.clone(), world.mlflow.clone());
        world.mlflow.decide(move |what, _| {
            if what == "open" {
                create::<TuningJob>(&objects, &search("new", 1));
                let search = objects.shared::<TuningJob>("new").unwrap().unwrap();
                mlflow.add(LoggedRun::of_search("new", &search.uid().unwrap()));
            }
            Ok(())
        });
        let operator = world.operator();
        operator.reconcile_model_registry(REGISTRY).await.unwrap();
        assert_eq!(statuses(&world), "gone KILLED, new RUNNING");
    });
}

#[test]
fn a_run_that_was_started_late_is_ended_some_time_after_its_search() {
    run(async {
        let world = World::new();
        let operator = world.operator();
        operator.reconcile_model_registry(REGISTRY).await.unwrap();
        create::<TuningJob>(&world.objects, &search("forest", 1));
        operator.reconcile_tuning_job("forest").await.unwrap();
        operator.reconcile_trial("forest-1").await.unwrap();
        world.jobs.end("forest-1", REPORT);
        for _ in 0..2 {
            operator.reconcile_trial("forest-1").await.unwrap();
        }
        for _ in 0..2 {
            operator.reconcile_tuning_job("forest").await.unwrap();
        }
        let uid = world.search("forest").uid().unwrap();
        let trial = world.trial("forest-1").uid().unwrap();
        world.mlflow.add(LoggedRun::of_search("late", &uid));
        let tags = [
            ("podium.dev/owner-uid", uid.as_str()),
            ("podium.dev/trial-uid", trial.as_str()),
        ];
        world.mlflow.add(LoggedRun::open("late-1", tags));
        let left = operator.reconcile_model_registry(REGISTRY).await.unwrap();
        assert_eq!(left.at, Some(world.time.now().plus_seconds(120)));
        world.time.pass(120);
        operator.reconcile_model_registry(REGISTRY).await.unwrap();
        assert_eq!(
            statuses(&world),
            "forest FINISHED, forest-1 FINISHED, late KILLED, late-1 KILLED"
        );
        let late = world.mlflow.run("late");
        assert_eq!(
            late.tags["podium.dev/ended-because"],
            "its object has ended and does not name it"
        );
    });
}

#[test]
fn a_search_that_an_earlier_operator_logged_leaves_no_run_when_it_is_deleted() {
    run(async {
        let world = World::new();
        create::<TuningJob>(&world.objects, &search("forest", 1));
        let earlier = world.operator();
        earlier.reconcile_tuning_job("forest").await.unwrap();
        let operator = world.operator();
        operator.reconcile_model_registry(REGISTRY).await.unwrap();
        assert_eq!(statuses(&world), "forest RUNNING");
        let search = world.search("forest");
        world.objects.delete(search.as_ref()).await.unwrap();
        operator.reconcile_model_registry(REGISTRY).await.unwrap();
        assert_eq!(statuses(&world), "forest KILLED");
    });
}

#[test]
fn a_run_that_may_not_be_ended_keeps_no_other_from_its_end() {
    run(async {
        let world = World::new();
        for name in ["theirs", "ours"] {
            world.mlflow.add(LoggedRun::of_search(name, name));
        }
        world.mlflow.decide(|_, run| match run {
            "theirs" => Err(PortError::new(PortErrorKind::Forbidden, "needs EDIT")),
            _ => Ok(()),
        });
        let operator = world.operator();
        for looks in [1, 0] {
            operator.reconcile_model_registry(REGISTRY).await.unwrap();
            assert_eq!(statuses(&world), "theirs RUNNING, ours KILLED");
            assert_eq!(
                world.mlflow.take_asked("open"),
                looks,
                "not again and again"
            );
        }
    });
}

#[test]
fn a_trial_that_is_stopped_while_its_run_is_started_leaves_none_that_goes_on() {
    run(async {
        let world = World::new();
        let operator = world.operator();
        let mut forest = search("forest", 2);
        forest["spec"]["objective"]["target"] = json!(0.7);
        create::<TuningJob>(&world.objects, &forest);
        operator.reconcile_tuning_job("forest").await.unwrap();
        operator.reconcile_trial("forest-1").await.unwrap();
        world.jobs.end("forest-1", REPORT);
        for _ in 0..2 {
            operator.reconcile_trial("forest-1").await.unwrap();
        }
        world.mlflow.hold("start", "forest-2");
        let search = async {
            for _ in 0..4 {
                operator.reconcile_tuning_job("forest").await.unwrap();
            }
            let told = "forest FINISHED, forest-1 FINISHED";
            assert_eq!(statuses(&world), told, "the search waits for no request");
            world.mlflow.let_go();
        };
        let (started, ()) = tokio::join!(operator.reconcile_trial("forest-2"), search);
        started.unwrap();
        operator.reconcile_trial("forest-2").await.unwrap();
        assert_eq!(
            statuses(&world),
            "forest FINISHED, forest-1 FINISHED, forest-2 KILLED"
        );
        let trial = world.trial("forest-2");
        let status = trial.status.as_ref().unwrap();
        assert_eq!(status.phase.as_deref(), Some("StoppedEarly"));
        assert_eq!(status.mlflow_run_status.as_deref(), Some("KILLED"));
    });
}

#[test]
fn an_end_that_mlflow_does_not_take_holds_up_nobody_else() {
    run(async {
        let world = World::new();
        let operator = world.operator();
        for name in ["bad", "good"] {
            create::<TuningJob>(&world.objects, &search(name, 1));
            operator.reconcile_tuning_job(name).await.unwrap();
        }
        operator.reconcile_trial("bad-1").await.unwrap();
        world.jobs.end("bad-1", REPORT);
        operator.reconcile_trial("bad-1").await.unwrap();
        world.mlflow.decide(|what, run| match (what, run) {
            ("log", "bad-1") => Err(PortError::unavailable(
                "500: a character that it cannot store",
            )),
            _ => Ok(()),
        });
        let tries = async || {
            world.mlflow.take_asked("log");
            operator.reconcile_trial("bad-1").await.unwrap();
            world.mlflow.take_asked("log")
        };
        assert_eq!(tries().await, 1);
        operator.reconcile_trial("good-1").await.unwrap();
        assert_eq!(
            statuses(&world),
            "bad RUNNING, good RUNNING, bad-1 RUNNING, good-1 RUNNING"
        );
        // Its pauses grow whatever else goes well.
        for (seconds, expected) in [(0, 0), (1, 1), (1, 0), (1, 1)] {
            world.time.pass(seconds);
            assert_eq!(tries().await, expected);
        }
        for _ in 0..2 {
            operator.reconcile_tuning_job("bad").await.unwrap();
        }
        world.time.pass(4);
        assert_eq!(tries().await, 1);
        operator.reconcile_tuning_job("bad").await.unwrap();
        let search = world.search("bad");
        let tracking = search.status.as_ref().unwrap().tracking.as_ref().unwrap();
        let message = tracking.message.as_deref().unwrap();
        let words = "the ends of 1 trials are not logged: 500: a character";
        assert!(message.starts_with(words), "{message}");
    });
}

#[test]
fn a_parameter_that_is_refused_takes_no_metrics_with_it() {
    run(async {
        let world = World::new();
        let operator = world.operator();
        let mut forest = search("forest", 1);
        forest["spec"]["parameters"][0]["name"] = json!(REFUSED);
        create::<TuningJob>(&world.objects, &forest);
        operator.reconcile_tuning_job("forest").await.unwrap();
        operator.reconcile_trial("forest-1").await.unwrap();
        world.jobs.end("forest-1", REPORT);
        for _ in 0..2 {
            operator.reconcile_trial("forest-1").await.unwrap();
        }
        assert_eq!(statuses(&world), "forest RUNNING, forest-1 FINISHED");
        let run = world.mlflow.run("forest-1");
        assert!(run.content.params.is_empty());
        assert_eq!(run.content.metrics["auc"].value, 0.75);
        assert_eq!(run.tags["podium.dev/not-logged"], "no such parameter");
        assert_eq!(run.tags["podium.dev/phase"], "Succeeded");
    });
}

#[test]
fn a_trial_that_is_made_anew_does_not_wait_for_metrics_as_long_as_the_one_before() {
    run(async {
        let world = World::new();
        let operator = world.operator();
        let mut forest = search("forest", 1);
        forest["spec"]["metrics"] = json!({"sources": [{"mlflow": {}}], "deadlineSeconds": 300});
        let begin = async || {
            create::<TuningJob>(&world.objects, &forest);
            operator.reconcile_tuning_job("forest").await.unwrap();
            operator.reconcile_trial("forest-1").await.unwrap();
            world.jobs.end("forest-1", None);
        };
        begin().await;
        for _ in 0..6 {
            operator.reconcile_trial("forest-1").await.unwrap();
            world.time.pass(30);
        }
        assert_eq!(world.mlflow.take_asked("content"), 6);
        operator.reconcile_trial("forest-1").await.unwrap();
        let search = world.search("forest");
        world.objects.delete(search.as_ref()).await.unwrap();
        operator.reconcile_trial("forest-1").await.unwrap();
        operator.reconcile_tuning_job("forest").await.unwrap();

        begin().await;
        let status = world.trial("forest-1").status.clone().unwrap();
        let id = status.mlflow_run_id.unwrap();
        world.mlflow.log_metric(&id, "auc", 0.9, world.time.now());
        operator.reconcile_trial("forest-1").await.unwrap();
        let status = world.trial("forest-1").status.clone().unwrap();
        assert_eq!(status.objective, Some(0.9));
    });
}

#[test]
fn a_server_that_is_away_is_asked_by_one_trial_at_a_time() {
    run(async {
        let world = World::new();
        let operator = world.operator();
        create::<TuningJob>(&world.objects, &search("forest", 8));
        operator.reconcile_tuning_job("forest").await.unwrap();
        let is_away = Arc::new(AtomicBool::new(true));
        let away = Arc::clone(&is_away);
        world
            .mlflow
            .decide(move |_, _| match away.load(Ordering::SeqCst) {
                true => Err(PortError::unavailable("no answer in 10 seconds")),
                false => Ok(()),
            });
        // How many of the trials that are reconciled together ask.
        let asking = async || {
            world.mlflow.take_asked("start");
            let names: Vec<String> = (1..=8).map(|n| format!("forest-{n}")).collect();
            let steps = names.iter().map(|name| operator.reconcile_trial(name));
            for step in join_all(steps).await {
                step.unwrap();
            }
            world.mlflow.take_asked("start")
        };
        assert_eq!(asking().await, 8, "nothing is known of the server yet");
        for pause in [1, 2, 4] {
            assert_eq!(asking().await, 0, "{pause}");
            world.time.pass(pause);
            assert_eq!(asking().await, 1, "after {pause} seconds");
        }
        is_away.store(false, Ordering::SeqCst);
        world.time.pass(8);
        assert_eq!(asking().await, 1);
        world.time.pass(5);
        assert_eq!(asking().await, 7);
        let runs = world.mlflow.statuses();
        assert_eq!(runs.len(), 9, "{runs:?}");
    });
}
