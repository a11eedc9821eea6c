//! Predictions of the champion that changed although its scorer did not run. The scorers of all versions write under one account, and each of
//! them runs what its version brought.

use super::loaded_evaluation::SCORER_RUNS;
use super::predictions::Sighted;
use super::scoring::Round;
use crate::engine::Engine;
use crate::engine::evaluation::{COMPARED, FINISHED};
use crate::ports::{Cluster, PortError, Ports};
use kube::ResourceExt;
use podium_api::Evaluation;
use podium_api::convert::from_time;
use podium_api::evaluation::{EvaluationStatus, FileStatus};
use podium_core::champion::words;
use std::sync::Arc;

impl<P: Ports> Engine<P> {
    /// Why a comparison is not judged that read other predictions of the champion than the last one that was. Where there is no scorer, or
    /// somebody asks for it, they are taken as they are.
    pub(super) async fn overwritten(
        &self,
        round: &Round<'_>,
        champion: &Sighted,
        asked: &Evaluation,
    ) -> Result<Option<String>, PortError> {
        let version = round.pair[0];
        let reconsidered = &round.settings.policy.reconsider;
        let is_taken = reconsidered.iter().any(|taken| taken == version);
        let has_scorer = champion.inputs().is_some();
        if is_taken || !has_scorer || !champion.is_seen_by_runs_only() {
            return Ok(None);
        }
        let owner = round.object.uid().unwrap_or_default();
        let all = self.ports.cluster().owned::<Evaluation>(&owner).await?;
        let ended = champion.ended_run();
        let before = read_otherwise(asked, &all, ended.as_deref(), |run| champion.has_run(run));
        Ok(before.map(|before| {
            let version = words::version(version);
            format!(
                "the predictions of the champion {version} changed since the Evaluation {} was made, and its scorer has not run since; have them made anew by another `evidence.scorer`, or take them as they are by `spec.reconsider`",
                before.name_any()
            )
        }))
    }
}

/// The comparison that was judged last of those that read the file of this one's champion, if that was another content and no run of the
/// champion's scorer has ended since.
fn read_otherwise<'a>(
    asked: &Evaluation,
    all: &'a [Arc<Evaluation>],
    ended: Option<&str>,
    is_of_champion: impl Fn(&str) -> bool,
) -> Option<&'a Evaluation> {
    let status = asked.status.as_ref().filter(|it| is_in(it, COMPARED))?;
    let read = &status.evidence.as_ref()?.champion;
    let judged = all.iter().map(|other| &**other).filter(|other| {
        let status = other.status.as_ref();
        status.is_some_and(|it| is_in(it, FINISHED)) && other.spec.store == asked.spec.store
    });
    let of_file = judged.filter_map(|other| Some((other, file_of(other, &read.uri)?)));
    let (before, file) = of_file.max_by_key(|(other, _)| {
        let created = other.creation_timestamp();
        created.as_ref().map(from_time)
    })?;
    let known = runs_of(before);
    let is_new = |run: &str| is_of_champion(run) && !known.contains(&run);
    let has_run = runs_of(asked).into_iter().chain(ended).any(is_new);
    (file.sha256 != read.sha256 && !has_run).then_some(before)
}

fn is_in(status: &EvaluationStatus, phase: &str) -> bool {
    status.phase.as_deref() == Some(phase)
}

/// What a comparison read at this address.
fn file_of<'a>(evaluation: &'a Evaluation, uri: &str) -> Option<&'a FileStatus> {
    let evidence = evaluation.status.as_ref()?.evidence.as_ref()?;
    let mut files = [&evidence.champion, &evidence.challenger].into_iter();
    files.find(|file| file.uri == uri)
}

/// The runs of scorers that a comparison knows of.
fn runs_of(evaluation: &Evaluation) -> Vec<&str> {
    let before = evaluation.annotations().get(SCORER_RUNS);
    let before = before.into_iter().flat_map(|runs| runs.split(' '));
    let status = evaluation.status.iter();
    let since = status.flat_map(|status| status.scorer_runs.iter().map(String::as_str));
    before.chain(since).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A comparison of these versions, whose files had these digests, made on this day, that knows this run.
    fn compared(
        [champion, challenger]: [(&str, &str); 2],
        phase: &str,
        day: u32,
        run: &str,
    ) -> Evaluation {
        let uri = |version: &str| format!("s3://b/{version}");
        let file = |(version, digest): (&str, &str)| json!({"uri": uri(version), "sha256": digest, "size": 1, "rows": 1});
        let asked = |version: &str| json!({"version": version, "predictions": uri(version)});
        serde_json::from_value(json!({
            "metadata": {
                "name": format!("{}-{}", champion.0, challenger.0),
                "creationTimestamp": format!("2026-01-{day:02}T00:00:00Z"),
            },
            "spec": {
                "policyRef": {"name": "fraud"}, "model": "fraud",
                "champion": asked(champion.0), "challenger": asked(challenger.0),
                "columns": {"id": "id", "label": "y"}, "test": {"primary": {"metric": "rocAuc"}}, "rowsNoun": "rows",
            },
            "status": {
                "phase": phase, "scorerRuns": [run],
                "evidence": {
                    "champion": file(champion), "challenger": file(challenger), "fingerprint": "f", "sketch": "",
                },
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_champion_whose_predictions_changed_without_its_scorer_is_told() {
        let became = compared([("0", "a"), ("1", "b")], FINISHED, 2, "score-1-x-1");
        let older = compared([("1", "z"), ("9", "y")], FINISHED, 1, "score-1-x-1");
        let all = [Arc::new(became), Arc::new(older)];
        let told = |read: &str, phase: &str, run: &str, ended: Option<&str>| {
            let asked = compared([("1", read), ("2", "c")], phase, 3, run);
            let of_champion = |run: &str| run.starts_with("score-1-");
            let before = read_otherwise(&asked, &all, ended, of_champion);
            before.map(|before| before.name_any())
        };
        let known = Some("score-1-x-1");
        let became = Some("0-1".to_string());
        assert_eq!(told("noise", COMPARED, "score-2-x-1", known), became);
        assert_eq!(told("noise", COMPARED, "score-2-x-1", None), became);
        assert_eq!(told("b", COMPARED, "score-2-x-1", known), None);
        let again = Some("score-1-x-2");
        assert_eq!(told("noise", COMPARED, "score-2-x-1", again), None);
        assert_eq!(told("noise", COMPARED, "score-1-y-1", None), None);
        // What was judged was taken as it is.
        assert_eq!(told("noise", FINISHED, "score-2-x-1", known), None);
    }
}
