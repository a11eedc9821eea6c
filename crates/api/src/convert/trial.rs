//! `Trial` to the variables that its container gets.

use crate::TrialSpec;
use podium_core::tuning::REFIT_ORIGIN;
use std::collections::BTreeMap;

/// The variables of a trial's container that follow from its specification; parameters stand under their own names.
#[must_use]
pub fn trial_variables(spec: &TrialSpec) -> BTreeMap<String, String> {
    // Every field is named, so that a new one does not compile until it is carried out.
    let TrialSpec {
        index,
        parameters,
        seed,
        origin,
    } = spec;
    let mut variables: BTreeMap<String, String> = parameters
        .iter()
        .map(|(name, value)| (name.clone(), value.to_string()))
        .collect();
    let given = [
        ("PODIUM_TRIAL_INDEX", Some(index.to_string())),
        ("PODIUM_SEED", Some(seed.to_string())),
        ("PODIUM_PARAMETERS", serde_json::to_string(parameters).ok()),
        (
            "PODIUM_REFIT",
            (origin == REFIT_ORIGIN).then(|| "true".to_string()),
        ),
    ];
    let given = given.into_iter();
    variables.extend(given.filter_map(|(name, value)| Some((name.to_string(), value?))));
    variables
}
