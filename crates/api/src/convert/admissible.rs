//! What must hold of an object before it is stored without an API server: it can be read back, and somebody will answer it.

use super::{World, registry};
use crate::{Approval, ChampionPolicy, Evaluation, ModelRegistry, Trial, TuningJob};
use podium_core::problem::SpecProblem;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The problems of an object that its schema let pass, with their paths from its root; none when it may be stored.
#[must_use]
pub fn admissible(object: &Value, world: World) -> Vec<SpecProblem> {
    match object.get("kind").and_then(Value::as_str) {
        Some("TuningJob") => read::<TuningJob>(object).err().into_iter().collect(),
        Some("ChampionPolicy") => read::<ChampionPolicy>(object).err().into_iter().collect(),
        Some("Evaluation") => read::<Evaluation>(object).err().into_iter().collect(),
        Some("Approval") => read::<Approval>(object).err().into_iter().collect(),
        // Nobody looks at one until it is used.
        Some("ModelRegistry") => match read::<ModelRegistry>(object) {
            Ok(found) => registry(&found.spec, world).err().unwrap_or_default(),
            Err(problem) => vec![problem],
        },
        Some("Trial") => match (read::<Trial>(object), world) {
            (Err(problem), _) => vec![problem],
            (Ok(_), World::Cluster) => Vec::new(),
            (Ok(_), World::Local) => vec![SpecProblem::new(
                "kind",
                "must not be Trial here: the trials of a search are made by it; name configurations to try in `initialTrials` of the TuningJob",
            )],
        },
        _ => vec![SpecProblem::new(
            "kind",
            "must be one of podium.dev/v1alpha1",
        )],
    }
}

fn read<K: DeserializeOwned>(object: &Value) -> Result<K, SpecProblem> {
    read_object(object).map_err(|SpecProblem { path, message }| {
        SpecProblem::new(path, format!("cannot be read: {message}"))
    })
}

/// Reads an object of one of the kinds.
///
/// # Errors
/// The first field that cannot be read, and why.
pub fn read_object<K: DeserializeOwned>(object: &Value) -> Result<K, SpecProblem> {
    serde_path_to_error::deserialize(object)
        .map_err(|error| SpecProblem::new(error.path().to_string(), error.inner().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn search(parameters: Value, initial: Value) -> Value {
        json!({"apiVersion": "podium.dev/v1alpha1", "kind": "TuningJob", "metadata": {"name": "a"}, "spec": {
            "maxTrials": 1, "objective": {"direction": "Maximize", "metric": "auc"}, "parameters": parameters,
            "initialTrials": initial, "trial": {"job": {"template": {}}}}})
    }

    #[test]
    fn what_could_not_be_read_back_is_not_stored() {
        let said = |object: &Value| -> Vec<String> {
            let problems = admissible(object, World::Local);
            problems.iter().map(ToString::to_string).collect()
        };
        let integer = |max: Value| json!([{"name": "x", "integer": {"min": 1, "max": max}}]);
        assert_eq!(
            said(&search(integer(json!(1000)), json!([{"x": 1}]))),
            Vec::<String>::new()
        );
        let float = said(&search(integer(json!(1000.0)), json!([])));
        assert!(
            float[0].starts_with("spec.parameters[0].integer.max: cannot be read"),
            "{float:?}"
        );
        let truth = said(&search(integer(json!(5)), json!([{"x": true}])));
        assert!(
            truth[0].starts_with("spec.initialTrials[0].x: cannot be read"),
            "{truth:?}"
        );
        let nested = said(&search(integer(json!(5)), json!([{"x": [1]}])));
        assert!(
            nested[0].starts_with("spec.initialTrials[0].x"),
            "{nested:?}"
        );
    }

    #[test]
    fn what_nobody_would_answer_is_refused() {
        let registry = json!({"apiVersion": "podium.dev/v1alpha1", "kind": "ModelRegistry", "metadata": {"name": "a"},
            "spec": {"mlflow": {"url": "https://mlflow.example.com"}}});
        let problems = admissible(&registry, World::Local);
        assert_eq!(problems[0].path, "spec.mlflow");
        let trial = json!({"apiVersion": "podium.dev/v1alpha1", "kind": "Trial", "metadata": {"name": "a"},
            "spec": {"index": 1, "parameters": {}, "seed": 1, "origin": "Random"}});
        assert_eq!(admissible(&trial, World::Local)[0].path, "kind");
        assert_eq!(admissible(&trial, World::Cluster), Vec::new());
    }
}
