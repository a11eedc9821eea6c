//! Small searches that between them come to every write point. What must happen in a certain order waits for it.

use crate::bed::manifests::{REPORT, search};
use crate::bed::{Bed, trial_phase};
use podium_api::TuningJob;
use serde_json::{Value, json};
use std::path::Path;

/// The name of every search.
pub const SEARCH: &str = "forest";

/// A search, and what is done to it from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Workload {
    /// Three trials, two at a time.
    Plain,
    /// Two trials that run until their running, and the end of the first one, was recorded.
    Slow,
    /// One trial whose Job is suspended until its waiting was recorded.
    Queued,
    /// The first trial reaches the target while the second one runs.
    Target,
    /// The first run of the first trial is lost with its pod.
    Lost,
    /// One trial; the search is deleted a second after its end.
    Expiring,
}

impl Workload {
    pub const ALL: [Self; 6] = [
        Self::Plain,
        Self::Slow,
        Self::Queued,
        Self::Target,
        Self::Lost,
        Self::Expiring,
    ];

    /// Whether nothing is left of the search in the end.
    pub fn is_deleted(self) -> bool {
        self == Self::Expiring
    }

    pub fn manifest(self, gates: &Path) -> Value {
        let gated = format!(
            r#"until [ -e /gates/$PODIUM_TRIAL_INDEX ] || [ -e /gates/all ]; do sleep 0.1; done; {REPORT}"#
        );
        let (trials, parallelism, script) = match self {
            Self::Plain => (3, 2, REPORT),
            Self::Slow | Self::Target | Self::Lost => (2, 2, gated.as_str()),
            Self::Queued | Self::Expiring => (1, 1, REPORT),
        };
        let mut search = search(SEARCH, trials, parallelism, script);
        let spec = &mut search["spec"];
        match self {
            Self::Queued => spec["trial"]["job"]["suspend"] = json!(true),
            Self::Target => spec["objective"]["target"] = json!(0.0),
            Self::Expiring => spec["ttlSecondsAfterFinished"] = json!(1),
            Self::Plain | Self::Slow | Self::Lost => {}
        }
        let pod = &mut spec["trial"]["job"]["template"]["spec"];
        let gates = json!({"name": "gates", "hostPath": {"path": gates}});
        pod["volumes"].as_array_mut().unwrap().push(gates);
        let mount = json!({"name": "gates", "mountPath": "/gates"});
        let mounts = &mut pod["containers"][0]["volumeMounts"];
        mounts.as_array_mut().unwrap().push(mount);
        search
    }

    /// Does what is to be done to the search, and waits until it has ended, or is gone where it expires.
    pub async fn drive(self, bed: &Bed) {
        let open = |gate: &str| std::fs::write(bed.directory().join(gate), "").unwrap();
        match self {
            Self::Plain | Self::Expiring => {}
            Self::Slow => {
                until_trial(bed, 1, "Running").await;
                open("1");
                let counted = |job: &TuningJob| {
                    let counts = job.status.as_ref().and_then(|status| status.trials);
                    counts.is_some_and(|counts| counts.succeeded == 1)
                };
                bed.until(SEARCH, 60, "counts its first trial", counted)
                    .await;
                open("2");
            }
            Self::Queued => {
                until_trial(bed, 1, "Queued").await;
                let patch = r#"{"spec": {"suspend": false}}"#;
                bed.kubectl(&["patch", "job", "forest-1-1", "--type=merge", "-p", patch])
                    .unwrap();
            }
            Self::Target => {
                until_trial(bed, 2, "Running").await;
                open("1");
            }
            Self::Lost => {
                until_trial(bed, 1, "Running").await;
                let of_first = "podium.dev/trial=forest-1,podium.dev/attempt=1";
                bed.kubectl(&["delete", "pod", "-l", of_first, "--timeout=60s"])
                    .unwrap();
                open("all");
            }
        }
        if self.is_deleted() {
            let gone = async || matches!(bed.api::<TuningJob>().get_opt(SEARCH).await, Ok(None));
            bed.wait(60, "the search is deleted", gone).await;
        } else {
            bed.until_finished(SEARCH, 90).await;
        }
    }
}

async fn until_trial(bed: &Bed, index: i32, phase: &str) {
    let reached = async || {
        let trials = bed.trials(SEARCH).await;
        let mut trials = trials.iter().filter(|trial| trial.spec.index == index);
        trials.any(|trial| trial_phase(trial) == phase)
    };
    bed.wait(60, &format!("trial {index} is {phase}"), reached)
        .await;
}
