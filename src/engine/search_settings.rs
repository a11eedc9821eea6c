//! What a search asks for, converted once per generation: an expression is parsed once and not at every event.

use super::Engine;
use crate::ports::{PortError, Ports};
use kube::ResourceExt;
use podium_api::TuningJob;
use podium_api::convert::{TrialSettings, trial_settings, tuning_settings};
use podium_core::problem::SpecProblem;
use podium_core::tuning::Settings;
use std::sync::{Arc, PoisonError};

/// A search that can be carried out.
#[derive(Debug)]
pub(super) struct SearchSettings {
    pub(super) search: Settings,
    pub(super) trials: TrialSettings,
}

/// The settings of a search, or everything that is wrong with its specification.
pub(super) type Converted = Result<Arc<SearchSettings>, Arc<Vec<SpecProblem>>>;

/// The conversion of a search as it was last seen.
#[derive(Debug)]
pub(super) struct CachedSettings {
    uid: Option<String>,
    generation: Option<i64>,
    converted: Converted,
}

impl<P: Ports> Engine<P> {
    /// The settings of a search.
    ///
    /// # Errors
    /// The conversion was given up because the process ends.
    pub(super) async fn settings_of(&self, job: &TuningJob) -> Result<Converted, PortError> {
        let name = job.name_any();
        let (uid, generation) = (job.uid(), job.metadata.generation);
        {
            let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
            let cached = settings.get(&name);
            let current = cached.filter(|cached| {
                generation.is_some() && (&cached.uid, cached.generation) == (&uid, generation)
            });
            if let Some(current) = current {
                return Ok(current.converted.clone());
            }
        }
        let job = job.clone();
        let converted = self.ports.compute(move || convert(&job)).await?;
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = CachedSettings {
            uid,
            generation,
            converted: converted.clone(),
        };
        settings.insert(name, cached);
        Ok(converted)
    }
}

/// The settings of a search, without a look at what is kept. Pure.
pub(super) fn convert(job: &TuningJob) -> Converted {
    match (tuning_settings(job), trial_settings(&job.spec)) {
        (Ok(search), Ok(trials)) => Ok(Arc::new(SearchSettings { search, trials })),
        (search, trials) => {
            let problems = [search.err(), trials.err()].into_iter().flatten();
            Err(Arc::new(problems.flatten().collect()))
        }
    }
}
