//! Small searches that between them come to every write point. What must happen in a certain order waits for it.

use crate::bed::Bed;
use crate::bed::gates::{gated, open};
use crate::bed::manifests::{REPORT, search};
use podium_api::TuningJob;
use serde_json::{Value, json};

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

    pub fn manifest(self, bed: &Bed) -> Value {
        let mut search = match self {
            Self::Plain => search(SEARCH, 3, 2, REPORT),
            Self::Slow | Self::Target | Self::Lost => gated(bed, SEARCH, 2, 2),
            Self::Queued | Self::Expiring => search(SEARCH, 1, 1, REPORT),
        };
        let spec = &mut search["spec"];
        match self {
            Self::Queued => spec["trial"]["job"]["suspend"] = json!(true),
            Self::Target => spec["objective"]["target"] = json!(0.0),
            Self::Expiring => spec["ttlSecondsAfterFinished"] = json!(1),
            Self::Plain | Self::Slow | Self::Lost => {}
        }
        search
    }

    /// Does what is to be done to the search, and waits until it has ended, or is gone where it expires.
    pub async fn drive(self, bed: &Bed) {
        match self {
            Self::Plain | Self::Expiring => {}
            Self::Slow => {
                bed.until_trial(SEARCH, 1, "Running").await;
                open(bed, "1");
                let counted = |job: &TuningJob| {
                    let counts = job.status.as_ref().and_then(|status| status.trials);
                    counts.is_some_and(|counts| counts.succeeded == 1)
                };
                bed.until(SEARCH, 60, "counts its first trial", counted)
                    .await;
                open(bed, "2");
            }
            Self::Queued => {
                bed.until_trial(SEARCH, 1, "Queued").await;
                let patch = r#"{"spec": {"suspend": false}}"#;
                bed.kubectl(&["patch", "job", "forest-1-1", "--type=merge", "-p", patch])
                    .unwrap();
            }
            Self::Target => {
                bed.until_trial(SEARCH, 2, "Running").await;
                open(bed, "1");
            }
            Self::Lost => {
                bed.until_trial(SEARCH, 1, "Running").await;
                let of_first = "podium.dev/trial=forest-1,podium.dev/attempt=1";
                bed.kubectl(&["delete", "pod", "-l", of_first, "--timeout=60s"])
                    .unwrap();
                open(bed, "all");
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
