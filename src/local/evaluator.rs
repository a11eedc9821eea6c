//! Compares two versions in process.

use crate::ports::{Compared, Evaluator, PortError};
use crate::workload::evaluate::{self, Request, Source};
use podium_api::convert::comparison_settings;
use podium_api::evaluation::EvaluationSpec;
use std::path::PathBuf;

/// Compares on this machine, with the code of `podium evaluate`.
#[derive(Clone, Debug)]
pub struct LocalEvaluator {
    directory: PathBuf,
}

impl LocalEvaluator {
    /// Relative paths are taken from `directory`.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }
}

impl Evaluator for LocalEvaluator {
    async fn evaluate(&self, _name: &str, spec: &EvaluationSpec) -> Result<Compared, PortError> {
        let path = |uri: &str| crate::adapters::directory::store::path_of(&self.directory, uri);
        let columns = &spec.columns;
        let request = Request {
            source: Source::TwoFiles {
                champion: path(&spec.champion.predictions)?,
                challenger: path(&spec.challenger.predictions)?,
                score: columns.score.clone(),
            },
            id: Some(columns.id.clone()),
            label: columns.label.clone(),
            weight: columns.weight.clone(),
            cluster: columns.cluster.clone(),
            slices: spec
                .slices
                .iter()
                .map(|s| evaluate::Slice {
                    name: s.name.clone(),
                    column: s.column.clone(),
                    equals: s.equals.clone(),
                })
                .collect(),
            settings: comparison_settings(&spec.test),
            seed: u64::try_from(spec.seed).unwrap_or(0),
        };
        // The comparison uses every core for seconds: it must not hold up the watching of trials.
        let compared = tokio::task::spawn_blocking(move || evaluate::evaluate(&request))
            .await
            .map_err(|error| PortError::Transient(error.to_string()))?;
        Ok(match compared {
            Ok(comparison) => Compared::Finished(Box::new(comparison)),
            Err(error) => Compared::Refused(error.to_string()),
        })
    }
}
