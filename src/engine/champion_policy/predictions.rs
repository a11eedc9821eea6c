//! Whether the predictions of a version are there: as far as they can be seen from here, as its comparison found, and as its scorer ended.

use super::loaded_evaluation::LoadedEvaluation;
use super::scoring::{Round, ScorerSight};
use crate::engine::Engine;
use crate::ports::{EndedRun, ObjectStore, PortError, Ports, Run, Sight};
use crate::runs::expansion::expand;
use podium_api::champion_policy::EvidenceSpec;
use podium_api::convert::{PolicySettings, World, to_time};
use podium_core::champion::{Memory, Predictions, WaitingFor, words};
use podium_core::evaluation::MOST_LOST;
use podium_core::report::Distinct;
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{Exit, Reason};
use serde::Deserialize;
use std::collections::BTreeMap;

/// An Evaluation has no room for larger ones.
const LARGEST_MEASUREMENT: f64 = 1e18;
/// Other challengers wait for so long for a scorer that cannot start, so that those that come together share one look.
const PATIENCE_SECONDS: u64 = 600;

/// What is known of the predictions of a version.
pub(super) struct Scored {
    pub(super) predictions: Predictions,
    /// Numbers that its scorer left.
    pub(super) measurements: BTreeMap<String, f64>,
}

impl Scored {
    fn plain(predictions: Predictions) -> Self {
        Self {
            predictions,
            measurements: BTreeMap::new(),
        }
    }
}

/// What can be seen of the predictions of a version and of its scorer, whatever its comparison found.
pub(super) struct Sighted {
    version: String,
    pub(super) uri: String,
    /// An error says why nobody can look.
    found: Result<Sight, String>,
    scorer: Option<ScorerSight>,
}

impl Sighted {
    /// Digest of the inputs of its scorer, where it has one.
    pub(super) fn inputs(&self) -> Option<&str> {
        self.scorer.as_ref().map(|scorer| scorer.inputs.as_str())
    }

    /// The run of its scorer that ended well, by the name of its Job.
    pub(super) fn ended_run(&self) -> Option<String> {
        self.scorer.as_ref().and_then(ScorerSight::ended_run)
    }

    /// Whether this is the name of a Job of its scorer.
    pub(super) fn has_run(&self, job: &str) -> bool {
        let scorer = self.scorer.as_ref();
        scorer.is_some_and(|scorer| scorer.has_run(job))
    }

    /// Whether only the run of a comparison can tell whether they are there.
    pub(super) fn is_seen_by_runs_only(&self) -> bool {
        self.found == Ok(Sight::OnlyByRuns)
    }

    /// Whether it has a scorer of which nothing is left.
    pub(super) fn lacks_a_result(&self) -> bool {
        let scorer = self.scorer.as_ref();
        scorer.is_some_and(|scorer| scorer.attempts.left_nothing())
    }

    /// Whether they are there; what only runs can see is taken to be there until one of them has missed it.
    fn are_there(&self, comparison: Option<&LoadedEvaluation>) -> Result<bool, String> {
        match &self.found {
            Ok(Sight::Present(_)) => Ok(true),
            Ok(Sight::Missing) => Ok(false),
            Ok(Sight::OnlyByRuns) => Ok(!comparison.is_some_and(|it| it.misses(&self.uri))),
            Err(why) => Err(why.clone()),
        }
    }
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    measurements: BTreeMap<String, f64>,
}

impl<P: Ports> Engine<P> {
    /// What can be seen of the predictions of a version.
    pub(super) async fn sighted(
        &self,
        round: &Round<'_>,
        version: &str,
    ) -> Result<Sighted, PortError> {
        let evidence = &round.object.spec.evidence;
        let uri = predictions_uri(evidence, version);
        let found = match self.ports.store().look(&uri).await {
            Ok(sight) => Ok(sight),
            Err(error) if !error.is_transient() => Err(error.message),
            Err(transient) => return Err(transient),
        };
        // No scorer makes predictions that nobody can read.
        let is_in_vain = found.is_err() && self.ports.world() == World::Cluster;
        let scorer = match &evidence.scorer {
            Some(scorer) if !is_in_vain => Some(self.scorer_sight(round, scorer, version).await?),
            _ => None,
        };
        Ok(Sighted {
            version: version.to_string(),
            uri,
            found,
            scorer,
        })
    }

    /// Whether the predictions of a version are there, for this round; `measured` is what its scorer measured for it before, and `comparison`
    /// is that of the round, as far as they are known.
    pub(super) fn scored(
        &self,
        round: &Round<'_>,
        memory: &Memory,
        sighted: &Sighted,
        measured: Option<&BTreeMap<String, f64>>,
        comparison: Option<&LoadedEvaluation>,
    ) -> Scored {
        let Sighted { version, uri, .. } = sighted;
        let Some(scorer) = &sighted.scorer else {
            return without_scorer(round.settings, sighted);
        };
        let inputs = scorer.inputs.clone();
        let there = sighted.are_there(comparison);
        let by_runs = sighted.is_seen_by_runs_only();
        let measures = round.measures();
        let was_scored = self.scored_before(round, version);
        let known = memory.scored.get(version);
        // Predictions of which nothing was recorded were made by hand, and are taken as they are. A scorer that changes its own inputs
        // does not run for ever.
        let up_to_date = known.is_none_or(|known| *known == inputs) || was_scored;
        // A pod goes with its node, and what it measured stands.
        if let Some(measured) = measured.filter(|_| scorer.attempts.left_nothing()) {
            return match comparison.is_some_and(|it| it.misses(uri)) {
                true => wrote_nothing(version, uri),
                false => Scored {
                    predictions: Predictions::Present,
                    measurements: measured.clone(),
                },
            };
        }
        match &scorer.attempts.state {
            // A scorer that changes its own inputs would otherwise run for ever.
            Run::Absent if measures && was_scored && !by_runs => unavailable(format!(
                "the scorer of {} changes its own inputs, so its measurement cannot be told from others",
                words::version(version)
            )),
            Run::Absent if there == Ok(true) && up_to_date && !measures => {
                Scored::plain(Predictions::Present)
            }
            Run::Absent
                if comparison.is_some_and(|it| it.misses(uri) && it.followed_any(scorer)) =>
            {
                wrote_nothing(version, uri)
            }
            Run::Absent => after_a_loss(version, scorer, self.now())
                .unwrap_or_else(|| Scored::plain(Predictions::Missing { inputs })),
            Run::Queued { since, reason, why } => queued(version, *since, *reason, why, self.now()),
            Run::Running {
                overdue: Some(overdue),
                ..
            } if self.now() >= overdue.at => awaited(waits(version, &overdue.why), None),
            Run::Running { .. } => Scored::plain(Predictions::InProgress(None)),
            // What lies there now was made from other inputs since.
            Run::Ended(_) if !up_to_date => Scored::plain(Predictions::Missing { inputs }),
            Run::Ended(ended) if by_runs && ended.exit == Exit::Code(0) && there == Ok(false) => {
                missed_by_a_run(round, sighted, scorer, ended, comparison)
            }
            Run::Ended(ended) => self.after_scoring(round.settings, sighted, &there, ended, inputs),
        }
    }

    fn after_scoring(
        &self,
        settings: &PolicySettings,
        sighted: &Sighted,
        there: &Result<bool, String>,
        ended: &EndedRun,
        inputs: String,
    ) -> Scored {
        let failure = match (&ended.exit, there) {
            (Exit::Code(0), Ok(true)) => match measurements_of(&settings.measurements, ended) {
                Ok(measurements) => {
                    return Scored {
                        predictions: Predictions::Present,
                        measurements,
                    };
                }
                Err(why) => why,
            },
            (Exit::Code(0), Ok(false)) => format!("left no predictions at {}", sighted.uri),
            (Exit::Code(0), Err(why)) => format!("left no predictions: {why}"),
            (Exit::Infrastructure(how), _) => {
                let runs = MOST_LOST + 1;
                format!("was lost {runs} times in a row; the last time: {how}")
            }
            (exit, _) => format!("failed: {exit}; its last lines: {}", ended.log_tail.trim()),
        };
        // A failure of an earlier run of Podium is tried once more: its cause may be gone.
        if ended.ended < self.started {
            return Scored::plain(Predictions::Missing { inputs });
        }
        let name = words::version(&sighted.version);
        unavailable(format!("the scorer of {name} {failure}"))
    }
}

/// A comparison missed what a scorer should have written, which ended well.
fn missed_by_a_run(
    round: &Round<'_>,
    sighted: &Sighted,
    scorer: &ScorerSight,
    ended: &EndedRun,
    comparison: Option<&LoadedEvaluation>,
) -> Scored {
    let run = scorer.ended_run().unwrap_or_default();
    let followed = comparison.is_some_and(|it| it.followed(&run));
    let before = comparison.is_some_and(|it| it.was_asked_after(&run));
    match (round.measures(), followed, before) {
        // It was measured right before it was compared.
        (true, ..) | (_, true, _) => wrote_nothing(&sighted.version, &sighted.uri),
        // What it wrote then is gone since.
        (false, false, true) => Scored::plain(Predictions::Missing {
            inputs: scorer.inputs.clone(),
        }),
        // The files are looked for once more now.
        (false, false, false) => Scored {
            predictions: Predictions::Present,
            measurements: measurements_of(&round.settings.measurements, ended).unwrap_or_default(),
        },
    }
}

/// A scorer that is not started again yet, since the machine took its last run away.
fn after_a_loss(version: &str, scorer: &ScorerSight, now: Timestamp) -> Option<Scored> {
    let (until, how) = scorer.attempts.pause.as_ref()?;
    let words = format!(
        "the scorer of {} was lost: {how}; it is started again at {}",
        words::version(version),
        to_time(*until).0
    );
    (now < *until).then(|| awaited(words, Some(*until)))
}

/// A scorer that was started and waits for something.
fn queued(version: &str, since: Timestamp, reason: Reason, why: &str, now: Timestamp) -> Scored {
    let words = waits(version, why);
    match reason {
        // That a pod is about to start is no news.
        Reason::Starting => Scored::plain(Predictions::InProgress(None)),
        _ if now < since.plus_seconds(PATIENCE_SECONDS) => {
            Scored::plain(Predictions::InProgress(Some(words)))
        }
        _ => awaited(words, None),
    }
}

fn waits(version: &str, why: &str) -> String {
    format!("the scorer of {} waits: {why}", words::version(version))
}

fn awaited(words: String, next: Option<Timestamp>) -> Scored {
    Scored::plain(Predictions::Awaited(WaitingFor {
        words,
        next,
        made: false,
    }))
}

fn unavailable(why: String) -> Scored {
    Scored::plain(Predictions::Unavailable(why))
}

fn wrote_nothing(version: &str, uri: &str) -> Scored {
    let name = words::version(version);
    unavailable(format!(
        "the scorer of {name} ended and wrote nothing to {uri}"
    ))
}

fn without_scorer(settings: &PolicySettings, sighted: &Sighted) -> Scored {
    let name = words::version(&sighted.version);
    let found = match &sighted.found {
        Err(why) => return unavailable(why.clone()),
        Ok(found) => found,
    };
    if let Some(measurement) = settings.measurements.keys().next() {
        return unavailable(format!(
            "a guardrail names the measurement `{measurement}`, and there is no `evidence.scorer` to take it"
        ));
    }
    match found {
        Sight::Present(_) | Sight::OnlyByRuns => Scored::plain(Predictions::Present),
        Sight::Missing => unavailable(format!(
            "there are no predictions of {name} at {}, and no `evidence.scorer` to make them",
            sighted.uri
        )),
    }
}

/// The numbers of a scorer's termination message that guardrails name, which are `wanted`; all of them must be there.
fn measurements_of(
    wanted: &BTreeMap<String, f64>,
    ended: &EndedRun,
) -> Result<BTreeMap<String, f64>, String> {
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let message = ended.message.text.as_deref().unwrap_or_default();
    let unreadable = |error: serde_json::Error| {
        format!(
            "must leave {{\"measurements\": {{\"NAME\": NUMBER}}}} in its termination message, since a guardrail names one: {error}"
        )
    };
    let read: Distinct = serde_json::from_str(message).map_err(unreadable)?;
    if let Some(place) = read.repeated.first() {
        return Err(format!(
            "must name each thing once in its termination message; `{}` stands in it twice",
            place.join(".")
        ));
    }
    let found: Message = serde_json::from_value(read.value).map_err(unreadable)?;
    let measured = wanted.keys().map(|name| match found.measurements.get(name) {
        None => Err(format!(
            "left no measurement `{name}` in its termination message, which a guardrail names"
        )),
        Some(number) if number.abs() > LARGEST_MEASUREMENT => Err(format!(
            "left {number:e} as the measurement `{name}` in its termination message, which must be from -1e18 to 1e18"
        )),
        // Zero has one sign: it loses the other one where it is stored.
        Some(number) => Ok((name.clone(), number + 0.0)),
    });
    measured.collect()
}

/// Where the predictions of a version lie.
pub(super) fn predictions_uri(evidence: &EvidenceSpec, version: &str) -> String {
    let uri = &evidence.predictions.uri;
    let is_file_uri = uri
        .get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:"));
    let version = if is_file_uri {
        escaped(version)
    } else {
        version.to_string()
    };
    expand(uri, &BTreeMap::from([("version".to_string(), version)]))
}

/// A name with escapes for what has a meaning in a URI.
fn escaped(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '%' | '?' | '#' => escaped.push_str(&format!("%{:02X}", u32::from(character))),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_core::report::TerminationMessage;

    #[test]
    fn a_scorer_that_cannot_start_is_told_of_and_not_waited_for_by_others_for_ever() {
        let since = Timestamp(1_764_000_000_000);
        let after = |seconds, reason| {
            let now = since.plus_seconds(seconds);
            queued("2", since, reason, "ErrImagePull", now).predictions
        };
        let words = "the scorer of v2 waits: ErrImagePull".to_string();
        assert_eq!(
            after(9_999, Reason::Starting),
            Predictions::InProgress(None)
        );
        assert_eq!(
            after(599, Reason::ImagePullFailed),
            Predictions::InProgress(Some(words.clone()))
        );
        let awaited = Predictions::Awaited(WaitingFor {
            words,
            next: None,
            made: false,
        });
        assert_eq!(after(600, Reason::ImagePullFailed), awaited);
    }

    #[test]
    fn a_measurement_that_no_comparison_can_hold_is_refused_by_name() {
        let wanted = BTreeMap::from([("latency".to_string(), 10.0)]);
        let found = |message: &str| {
            let time = Timestamp(1_764_000_000_000);
            let mut ended = EndedRun::without_a_trace(Exit::Code(0), time, time);
            ended.message = TerminationMessage {
                text: Some(message.to_string()),
                ..TerminationMessage::default()
            };
            measurements_of(&wanted, &ended)
        };
        let said = |number: &str| found(&format!(r#"{{"measurements": {{"latency": {number}}}}}"#));
        let one = |number: f64| Ok::<_, String>(BTreeMap::from([("latency".to_string(), number)]));
        assert_eq!(said("12.5"), one(12.5));
        assert_eq!(said("-1e18"), one(-1e18));
        let zero = said("-0.0").unwrap();
        assert!(zero.values().all(|zero| zero.is_sign_positive()));
        for number in ["1e300", "-1.1e18"] {
            let why = said(number).unwrap_err();
            assert!(why.contains("`latency`") && why.contains("1e18"), "{why}");
        }
        assert!(found(r#"{"measurements": {"size": 1e300}}"#).is_err());
        let beside = r#"{"measurements": {"latency": 1, "size": 1e300}}"#;
        assert_eq!(found(beside), one(1.0), "nobody names the other one");
    }

    #[test]
    fn a_version_is_a_name_in_a_uri() {
        let lies_at = |uri: &str, version: &str| {
            let evidence = serde_json::json!({"predictions": {"uri": uri, "columns": {"id": "id", "label": "y"}}});
            predictions_uri(&serde_json::from_value(evidence).unwrap(), version)
        };
        assert_eq!(
            lies_at("file://p/$(version)", "50%#1?"),
            "file://p/50%25%231%3F"
        );
        assert_eq!(lies_at("p/$(version).csv", "50%#1"), "p/50%#1.csv");
        assert_eq!(lies_at("s3://b/$(version)", "a b"), "s3://b/a b");
    }
}
