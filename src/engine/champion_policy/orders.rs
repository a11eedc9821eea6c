//! What a policy orders of its comparisons: that one is made, and that one which lacks files looks for them again. Only what was ordered
//! runs, since everybody who may create an Evaluation could otherwise have files read with the account of the policy.

use super::comparisons::difference;
use super::loaded_evaluation::LoadedEvaluation;
use super::observe::AskedQuestion;
use crate::engine::Engine;
use crate::engine::evaluation::{ordered_status, runs_of, told_lack};
use crate::ports::{Cluster, PortError, Ports};
use kube::ResourceExt;
use podium_api::{ChampionPolicy, Evaluation};
use podium_core::evaluation::Runs;

impl<P: Ports> Engine<P> {
    /// Asks for a comparison, and orders its first run. One that was created and whose run was not ordered yet is ordered now.
    pub(super) async fn ask(
        &self,
        policy: &ChampionPolicy,
        asked: &AskedQuestion,
    ) -> Result<(), PortError> {
        let wanted = asked.question.asked_after(&asked.scorer_runs);
        let cluster = self.ports.cluster();
        cluster.create(&wanted).await?;
        let Some(stored) = cluster.get::<Evaluation>(&wanted.name_any()).await? else {
            return Ok(());
        };
        if !awaits_its_order(&wanted, &stored)? {
            return Ok(());
        }
        let first = Runs {
            begun: 1,
            ..Runs::default()
        };
        let generation = policy.metadata.generation;
        let status = ordered_status(&stored, &first, None, generation, self.now());
        let ordered = Evaluation {
            status: Some(status),
            ..stored
        };
        cluster.replace_status(&ordered).await
    }

    /// Orders a comparison to look again for the files that it lacks.
    pub(super) async fn look_again(
        &self,
        policy: &ChampionPolicy,
        loaded: &LoadedEvaluation,
    ) -> Result<(), PortError> {
        let runs = runs_of(&loaded.object);
        let next = match loaded.made {
            true => runs.with_new_files(),
            false => runs.with_next_run(),
        };
        let lack = told_lack(&loaded.object).filter(|_| !loaded.made);
        let generation = policy.metadata.generation;
        let mut status = ordered_status(&loaded.object, &next, lack, generation, self.now());
        if loaded.made {
            status.scorer_runs.clone_from(&loaded.scorer_runs);
        }
        let ordered = Evaluation {
            status: Some(status),
            ..loaded.object.clone()
        };
        self.ports.cluster().replace_status(&ordered).await
    }
}

/// Whether what stands there is what was asked for, and was not ordered yet. Somebody may have taken the name since it was looked for, to have
/// other files read; the next look says so.
fn awaits_its_order(wanted: &Evaluation, stored: &Evaluation) -> Result<bool, PortError> {
    let status = stored.status.as_ref();
    let is_ordered = status.is_some_and(|status| status.phase.is_some());
    Ok(!is_ordered && difference(wanted, stored)?.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn comparison(change: impl FnOnce(&mut Value)) -> Evaluation {
        let mut evaluation = json!({
            "metadata": {
                "name": "fraud-1-2",
                "ownerReferences": [
                    {"apiVersion": "podium.dev/v1alpha1", "kind": "ChampionPolicy", "name": "fraud", "uid": "a", "controller": true},
                ],
            },
            "spec": {
                "policyRef": {"name": "fraud"}, "model": "fraud",
                "champion": {"version": "1", "predictions": "s3://b/1"},
                "challenger": {"version": "2", "predictions": "s3://b/2"},
                "columns": {"id": "id", "label": "y"}, "test": {"primary": {"metric": "rocAuc"}}, "rowsNoun": "rows",
            },
        });
        change(&mut evaluation);
        serde_json::from_value(evaluation).unwrap()
    }

    /// Whoever makes an Evaluation under the name and with the owner that a policy will ask for has nothing read by that.
    #[test]
    fn nothing_is_ordered_of_what_somebody_else_asks_under_the_same_name() {
        let wanted = comparison(|_| {});
        let is_ordered = |change: fn(&mut Value)| {
            let stored = comparison(change);
            awaits_its_order(&wanted, &stored).unwrap()
        };
        assert!(is_ordered(|_| {}));
        assert!(is_ordered(|it| it["status"] = json!({"conditions": []})));
        assert!(!is_ordered(|it| it["status"] = json!({"phase": "Pending"})));
        assert!(!is_ordered(
            |it| it["metadata"]["ownerReferences"][0]["uid"] = json!("b")
        ));
        assert!(!is_ordered(
            |it| it["spec"]["challenger"]["predictions"] = json!("s3://secret/2")
        ));
        assert!(!is_ordered(
            |it| it["spec"]["store"] = json!({"endpoint": "https://example.com"})
        ));
    }
}
