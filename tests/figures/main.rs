//! The operator's figures, measured on a real cluster and printed as `docs/benchmarks.md` states them; `make bench` runs it. Nothing here is
//! asserted: PODIUM_PROGRAM names the program, which should be the one of the image.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

#[path = "../bed/mod.rs"]
mod bed;
mod chain;
mod comparisons;
mod evaluation;
mod filled;
#[path = "../fixtures/ledger_of_model.rs"]
mod ledger_of_model;
#[path = "../fixtures/mlflow_registry.rs"]
mod mlflow_registry;
mod process;
mod registry;
mod scale;
mod stub_kubelet;

use bed::manifests::{REPORT, search};
use bed::operator::Operator;
use bed::{Bed, on_bed, trial_phase};
use kube::ResourceExt;
use std::time::{Duration, Instant};

fn figure(what: &str, value: &str) {
    println!("FIGURE {what}: {value}");
}

#[test]
fn writes_per_trial() {
    on_bed("figures-writes", async |bed| {
        let operator = bed.operator("a").await;
        for seconds in [1, 8, 15] {
            let name = &format!("of-{seconds}-s");
            let script = format!("sleep {seconds}; {REPORT}");
            operator.way.forget();
            bed.apply(&search(name, 40, 8, &script));
            bed.until_finished(name, 400).await;
            // The last event follows the last status.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let writes = operator.writes();
            let events = writes
                .iter()
                .filter(|write| write.resource == "events")
                .count();
            let mut kinds = std::collections::BTreeMap::<String, usize>::new();
            for write in &writes {
                *kinds
                    .entry(format!("{} {}", write.method, write.resource))
                    .or_default() += 1;
            }
            let per_trial = |count: usize| count as f64 / 40.0;
            figure(
                &format!("API writes per trial, 40 trials of {seconds} s, 8 at once"),
                &format!(
                    "{:.2} plus {:.2} events {kinds:?}",
                    per_trial(writes.len() - events),
                    per_trial(events)
                ),
            );
        }
    });
}

#[test]
fn from_apply_to_the_first_job() {
    on_bed("figures-start", async |bed| {
        let operator = bed.operator("a").await;
        operator.until_ready(30).await;
        // Right after its kinds were installed the API server itself takes seconds for a first answer.
        bed.apply(&search("before", 1, 1, REPORT));
        bed.until_finished("before", 60).await;
        let mut times = Vec::new();
        for round in 0..10 {
            let name = format!("round-{round}");
            let job: podium_api::TuningJob =
                serde_json::from_value(search(&name, 1, 1, REPORT)).unwrap();
            let began = Instant::now();
            bed.api()
                .create(&kube::api::PostParams::default(), &job)
                .await
                .unwrap();
            let job_name = format!("{name}-1-1");
            let created = wait_for(&operator, began, |write| {
                write.method == "POST"
                    && write.resource == "jobs"
                    && write.name == job_name
                    && write.code == Some(201)
            });
            times.push(created.await);
            bed.until_finished(&name, 60).await;
        }
        times.sort();
        figure(
            "from apply to the first trial's Job, 10 rounds",
            &format!(
                "median {} ms, worst {} ms",
                times[5].as_millis(),
                times[9].as_millis()
            ),
        );
    });
}

/// How long after `began` the operator made such a write.
async fn wait_for(
    operator: &Operator,
    began: Instant,
    is: impl Fn(&bed::way::Witnessed) -> bool,
) -> Duration {
    loop {
        if let Some(write) = operator.writes().iter().find(|write| is(write)) {
            return write.at.duration_since(began);
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no such write");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn resident_mib(operator: &Operator) -> f64 {
    memory_mib(operator, "VmRSS")
}

/// What a field of proc(5) says of the operator's memory.
fn memory_mib(operator: &Operator, field: &str) -> f64 {
    process::mib(operator.id().unwrap(), field).unwrap()
}

#[test]
fn memory_and_status_size() {
    on_bed("figures-memory", async |bed| {
        let operator = bed.operator("a").await;
        operator.until_ready(30).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        figure(
            "resident memory, idle",
            &format!("{:.1} MiB", resident_mib(&operator)),
        );
        operator.kill();
        filled::search_with_finished_trials(&bed, "big", 1000, 1000, 1, "true").await;
        operator.start_again();
        let job = bed.until_finished("big", 120).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        figure(
            "resident memory, 1,000 finished trials with their Jobs and pods in cache",
            &format!("{:.1} MiB", resident_mib(&operator)),
        );
        let status = serde_json::to_vec(&job.status).unwrap().len();
        figure(
            "status of a TuningJob with 1,000 trials",
            &format!("{:.1} KiB", status as f64 / 1024.0),
        );
        operator.way.forget();
        tokio::time::sleep(Duration::from_secs(20)).await;
        let writes = operator.writes();
        let mut kinds = std::collections::BTreeMap::<String, usize>::new();
        for write in &writes {
            *kinds
                .entry(format!("{} {}", write.method, write.resource))
                .or_default() += 1;
        }
        figure(
            "writes in 20 idle seconds, the lease left out",
            &format!("{} {kinds:?}", writes.len()),
        );
    });
}

#[test]
fn ten_thousand_finished_trials() {
    on_bed("figures-many", async |bed| {
        let operator = bed.dead_operator("a").await;
        filled::search_with_finished_trials(&bed, "many", 10_000, 10_000, 1, REPORT).await;
        operator.start_again();
        let job = bed.until_finished("many", 300).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        figure(
            "resident memory, 10,000 finished trials with their Jobs and pods in cache",
            &format!("{:.1} MiB", resident_mib(&operator)),
        );
        let status = serde_json::to_vec(&job.status).unwrap().len();
        figure(
            "status of a TuningJob with 10,000 trials",
            &format!("{:.1} KiB", status as f64 / 1024.0),
        );
        // Each further trial is planned with all others in mind.
        operator.way.forget();
        let began = Instant::now();
        let patch = serde_json::json!({"spec": {"maxTrials": 10_003}}).to_string();
        bed.kubectl(&["patch", "tj", "many", "--type=merge", "-p", &patch])
            .unwrap();
        let next = wait_for(&operator, began, |write| {
            write.method == "POST" && write.resource == "trials" && write.name == "many-10001"
        });
        let next = next.await;
        bed.wait(300, "three further trials have ended", async || {
            bed.search("many").await.is_some_and(|job| {
                let status = job.status.unwrap_or_default();
                status
                    .trials
                    .is_some_and(|counts| counts.succeeded == 10_003)
            })
        })
        .await;
        let metrics = operator.get("metrics").await.unwrap();
        let value = |name: &str| {
            let line = metrics.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .unwrap_or(f64::NAN)
        };
        figure(
            "the next trial of a search with 10,000",
            &format!(
                "created {} ms after the change; a plan takes {:.0} ms",
                next.as_millis(),
                1e3 * value("podium_suggestion_duration_seconds_sum")
                    / value("podium_suggestion_duration_seconds_count")
            ),
        );
    });
}

#[test]
fn a_thousand_ends_at_once() {
    on_bed("figures-ends", async |bed| {
        let operator = bed.operator("a").await;
        bed.apply(&stub_kubelet::search("ends", 1000, 1000));
        let mut pods = Vec::new();
        bed.wait(600, "a thousand pods wait", async || {
            tokio::time::sleep(Duration::from_secs(2)).await;
            pods = stub_kubelet::waiting_pods(&bed, "ends").await;
            pods.len() == 1000
        })
        .await;
        operator.way.forget();
        let began = Instant::now();
        stub_kubelet::end(&bed, pods).await;
        let ended = began.elapsed();
        bed.until_finished("ends", 300).await;
        let recorded = began.elapsed();
        let writes = operator.writes();
        let mut ends = std::collections::BTreeMap::<String, usize>::new();
        let (mut others, mut refused) = (0, 0);
        for write in writes.iter().filter(|w| w.resource == "trials/status") {
            match (write.text("/status/phase"), write.code) {
                ("Succeeded", Some(200)) => *ends.entry(write.name.clone()).or_default() += 1,
                (_, Some(200)) => others += 1,
                _ => refused += 1,
            }
        }
        figure(
            "1,000 pods that end at once",
            &format!(
                "they end within {:.1} s; all are recorded after {:.1} s, {} of {} once; {others} writes of states before, {refused} refused",
                ended.as_secs_f64(),
                recorded.as_secs_f64(),
                ends.values().filter(|writes| **writes == 1).count(),
                ends.len(),
            ),
        );
        assert!(ends.len() == 1000 && ends.values().all(|writes| *writes == 1));
        figure(
            "resident memory with 1,000 trials that run at once",
            &format!("{:.1} MiB", resident_mib(&operator)),
        );
    });
}

#[test]
fn restart_with_work_in_progress() {
    on_bed("figures-restart", async |bed| {
        // The first of the running trials ends while the operator is away; that it runs is recorded after ten seconds.
        let script = format!(
            "if [ $PODIUM_TRIAL_INDEX = 201 ]; then sleep 30; else sleep 600; fi; {REPORT}"
        );
        filled::search_with_finished_trials(&bed, "half", 200, 220, 8, &script).await;
        bed.apply(&serde_json::json!({
            "apiVersion": "podium.dev/v1alpha1", "kind": "TuningJob", "metadata": {"name": "half"},
            "spec": filled::spec(220, 8, &script),
        }));
        let operator = bed.operator("a").await;
        bed.wait(120, "eight trials run", async || running(&bed).await == 8)
            .await;
        operator.kill();
        bed.wait(60, "the pod of trial 201 has ended", async || {
            let phase = [
                "get",
                "pods",
                "-lpodium.dev/trial=half-201",
                "-o",
                "jsonpath={.items[*].status.phase}",
            ];
            bed.kubectl(&phase).is_ok_and(|phase| phase == "Succeeded")
        })
        .await;
        operator.way.forget();
        let began = Instant::now();
        operator.start_again();
        let recorded = wait_for(&operator, began, |write| {
            write.resource == "trials/status" && write.name == "half-201"
        });
        let recorded = recorded.await;
        let created = wait_for(&operator, began, |write| {
            write.method == "POST" && write.resource == "trials" && write.name == "half-209"
        });
        figure(
            "restart with 200 finished and 8 running trials",
            &format!(
                "the result that was missed is recorded after {} ms, the next trial is created after {} ms",
                recorded.as_millis(),
                created.await.as_millis()
            ),
        );
    });
}

async fn running(bed: &Bed) -> usize {
    let trials = bed.trials("half").await;
    trials
        .iter()
        .filter(|trial| trial_phase(trial) == "Running" && trial.name_any().as_str() > "half-200")
        .count()
}
