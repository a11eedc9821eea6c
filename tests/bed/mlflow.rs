//! The test bed's MLflow, seen by its own Python client.

use super::run;
use serde_json::Value;

pub struct Mlflow {
    pub url: String,
    python: String,
}

impl Mlflow {
    /// The one that `scripts/on-testbed` started.
    pub fn of_testbed() -> Self {
        let variable = |name: &str| {
            std::env::var(name)
                .unwrap_or_else(|_| panic!("{name} names the MLflow of the test bed"))
        };
        Self {
            url: variable("MLFLOW_TRACKING_URI"),
            python: variable("MLFLOW_PYTHON"),
        }
    }

    /// What a script prints that has a `client`.
    pub fn python(&self, script: &str) -> String {
        let script = format!("from mlflow import MlflowClient\nclient = MlflowClient()\n{script}");
        run(&self.python, &["-c", &script], None).unwrap()
    }

    /// The runs of an experiment by their names.
    pub fn runs(&self, experiment: &str) -> Value {
        let printed = self.python(&format!(
            "import json
found = client.get_experiment_by_name('{experiment}')
runs = client.search_runs([found.experiment_id]) if found else []
of = lambda run: {{'id': run.info.run_id, 'status': run.info.status, **{{k: dict(getattr(run.data, k)) for k in ('params', 'metrics', 'tags')}}}}
print(json.dumps({{run.info.run_name: of(run) for run in runs}}))"
        ));
        serde_json::from_str(&printed).unwrap()
    }

    /// A model of this name with so many versions; its name.
    pub fn model_with_versions(&self, name: &str, versions: usize) -> String {
        self.python(&format!(
            "client.create_registered_model('{name}')\nfor n in range({versions}): client.create_model_version('{name}', f's3://models/{{n}}')"
        ));
        name.to_string()
    }

    /// Points an alias of a model at a version, as people do who ask nobody.
    pub fn point(&self, model: &str, alias: &str, version: &str) {
        self.python(&format!(
            "client.set_registered_model_alias('{model}', '{alias}', '{version}')"
        ));
    }

    /// The version that carries an alias; empty for none.
    pub fn alias(&self, model: &str, alias: &str) -> String {
        self.python(&format!(
            "print(client.get_registered_model('{model}').aliases.get('{alias}', ''))"
        ))
    }
}
