//! What is to be compared, and how.

use super::EvaluateError;
use podium_core::comparison::{Guardrail, Method, Settings};
use std::path::PathBuf;

/// Where the scores of both models are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file per model, joined by id.
    TwoFiles {
        /// Predictions of the model in production.
        champion: PathBuf,
        /// Predictions of the model that wants to replace it.
        challenger: PathBuf,
        /// The column of scores in both.
        score: String,
    },
    /// One file with a column of scores per model.
    OneFile {
        /// The file.
        predictions: PathBuf,
        /// Scores of the model in production.
        champion_score: String,
        /// Scores of the model that wants to replace it.
        challenger_score: String,
    },
}

/// The file that labels, weights, clusters and slices are read from, so that whoever writes the predictions cannot change them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldoutFile {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 that its bytes must have, 64 hexadecimal digits.
    pub sha256: Option<String>,
}

/// What must have made a file of predictions whose metadata say what made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The version of the model.
    pub version: Option<String>,
    /// The directory of the model, or its file. The model in it, where there is one, must be the file that made the predictions.
    pub model: Option<PathBuf>,
}

/// Rows whose `column` says `equals`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The name that guardrails use.
    pub name: String,
    /// A column of the holdout's file, or of the champion's predictions when there is none.
    pub column: String,
    /// Its value as text.
    pub equals: String,
}

/// What is to be compared, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Where the scores are.
    pub source: Source,
    /// Where everything else of the rows is; in the predictions of the champion when absent.
    pub holdout: Option<HoldoutFile>,
    /// What must have made the champion's predictions.
    pub champion: Expected,
    /// What must have made the challenger's predictions.
    pub challenger: Expected,
    /// Names a row; needed to join files.
    pub id: Option<String>,
    /// 0 or 1.
    pub label: String,
    /// What a row weighs; all the same when absent.
    pub weight: Option<String>,
    /// Rows with the same value belong together.
    pub cluster: Option<String>,
    /// Parts of the holdout that guardrails may name.
    pub slices: Vec<Slice>,
    /// Compare on this share of the rows only: those that are set aside to confirm what was found on the others.
    pub confirm_fraction: Option<f64>,
    /// How they are compared.
    pub settings: Settings,
    /// Seed of the resamples; derived from the files that were read when absent.
    pub seed: Option<u64>,
}

impl Request {
    /// What can be said before any file is read.
    pub(super) fn check(&self) -> Result<(), EvaluateError> {
        let refused = |message: String| Err(EvaluateError::Request(message));
        if let Some(name) = repeated(self.slices.iter().map(|slice| &slice.name)) {
            return refused(format!(
                "a slice must be given once; `{name}` is given twice"
            ));
        }
        let guardrails = &self.settings.guardrails;
        if let Some((metric, slice)) = repeated(guardrails.iter().map(asked)) {
            let scope = slice.map_or_else(String::new, |slice| format!(" on the slice `{slice}`"));
            return refused(format!(
                "a guardrail must be given once; `{metric}`{scope} is given twice"
            ));
        }
        let is_given = |name: &str| self.slices.iter().any(|slice| slice.name == name);
        for (metric, slice) in guardrails.iter().map(asked) {
            if let Some(name) = slice.filter(|name| !is_given(name)) {
                return refused(format!(
                    "a guardrail on `{metric}` must name a slice that is given; got `{name}`"
                ));
            }
        }
        if let Method::SeparateIntervals(_) = self.settings.method {
            let unread = [
                ("guardrails", !guardrails.is_empty()),
                ("observed metrics", !self.settings.observed.is_empty()),
            ];
            if let Some((what, _)) = unread.iter().find(|(_, given)| *given) {
                return refused(format!(
                    "separate intervals must have no {what}: they do not read them"
                ));
            }
        }
        if let Some(fraction) = self.confirm_fraction {
            // Written so that a fraction that is no number is refused, too.
            if !(fraction > 0.0 && fraction <= 1.0) {
                return refused(format!(
                    "the share of rows to confirm on must be above 0 and at most 1; got {fraction}"
                ));
            }
            if self.id.is_none() && self.cluster.is_none() {
                return refused(
                    "a column of ids or of clusters must be given to choose the rows to confirm on"
                        .to_string(),
                );
            }
        }
        Ok(())
    }
}

fn asked(guardrail: &Guardrail) -> (podium_core::metrics::Metric, Option<&str>) {
    (guardrail.metric, guardrail.slice.as_deref())
}

/// The first value that was there already.
fn repeated<T: PartialEq>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = Vec::new();
    for value in values {
        if seen.contains(&value) {
            return Some(value);
        }
        seen.push(value);
    }
    None
}
