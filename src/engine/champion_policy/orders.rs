//! What a policy orders of its comparisons: that one is made, and that one which lacks files looks for them again. Only what was ordered
//! runs, since everybody who may create an Evaluation could otherwise have files read with the account of the policy.

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
        let status = stored.status.as_ref();
        if status.is_some_and(|status| status.phase.is_some()) {
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
