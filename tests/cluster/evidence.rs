//! What tests of evidence share: predictions on the object store of the test bed, a policy that names them, and an operator whose comparisons
//! run the image under test.

use crate::bed::manifests::{model_registry, script_job};
use crate::bed::mlflow::Mlflow;
use crate::bed::operator::Operator;
use crate::bed::{Bed, on_bed};
use crate::policies::{champion, operator_with, policy, ready, until};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use kube::api::ListParams;
use podium_api::evaluation::EvaluationStatus;
use podium_api::{ChampionPolicy, Evaluation};
use podium_operator::adapters::s3::{Access, Credentials, PutMode, S3Store};
use serde_json::{Value, json};
use std::path::Path;

/// The Secret with the account of the object store.
pub const SECRET: &str = "store";

/// Version 1 of a model is champion, version 2 wants to be.
pub struct Scene {
    pub mlflow: Mlflow,
    pub model: String,
    pub operator: Operator,
    /// Below it lies what this test stores.
    folder: String,
}

/// Runs a test of evidence in a namespace of its own.
pub fn on_scene(name: &str, test: impl AsyncFnOnce(&Bed, &Scene)) {
    on_bed(name, async |bed| {
        let scene = Scene::of(&bed).await;
        test(&bed, &scene).await;
    });
}

/// A variable that tells where the object store of the test bed is.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} names the object store of the test bed"))
}

impl Scene {
    async fn of(bed: &Bed) -> Self {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 2);
        mlflow.point(&model, "champion", "1");
        mlflow.point(&model, "challenger", "2");
        bed.apply(&model_registry(&mlflow.url));
        bed.apply(&account(SECRET));
        let image = format!("podium:{}", env!("CARGO_PKG_VERSION"));
        Self {
            mlflow,
            model,
            operator: operator_with(bed, &[("PODIUM_IMAGE", &image)]).await,
            folder: bed.namespace.clone(),
        }
    }

    /// The address of what is stored under a name.
    pub fn uri(&self, name: &str) -> String {
        format!("s3://{}/{}/{name}.csv", variable("S3_BUCKET"), self.folder)
    }

    /// Stores a file under a name.
    pub fn put(&self, name: &str, content: String) {
        let address = self.uri(name);
        let access = Access {
            endpoint: Some(variable("AWS_ENDPOINT_URL_S3")),
            region: Some(variable("AWS_REGION")),
            path_style: true,
            credentials: Some(Credentials::new(
                variable("AWS_ACCESS_KEY_ID"),
                variable("AWS_SECRET_ACCESS_KEY"),
                None,
                None,
                "test",
            )),
            ..Access::default()
        };
        // The store waits, which a thread that drives tasks must not.
        let stored = std::thread::spawn(move || {
            let store = S3Store::open(&access).unwrap();
            let stored = store.put(Path::new(&address), content.into_bytes(), PutMode::Replace);
            stored.unwrap()
        });
        stored.join().unwrap();
    }

    /// Stores the predictions of version 1, and those of version 2, which are much better.
    pub fn put_both(&self) {
        self.put("1", predictions(0.1, 900));
        self.put("2", predictions(0.4, 900));
    }

    /// A policy that judges by these files, with pods that a small node has room for.
    pub fn policy(&self) -> Value {
        let mut policy = policy(&self.model);
        let spec = &mut policy["spec"];
        spec["promotion"] = json!({"cooldownSeconds": 0});
        spec["evidence"] = json!({
            "predictions": {
                "uri": self.uri("$(version)"),
                "columns": {"id": "id", "label": "label", "score": "score"},
            },
            "store": {
                "endpoint": variable("S3_IN_PODS"), "region": variable("AWS_REGION"), "pathStyle": true,
                "credentialsSecretRef": {"name": SECRET},
            },
            "evaluator": {"podTemplate": {"spec": {"containers": [
                {"name": "evaluator", "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}}},
            ]}}},
        });
        policy
    }

    /// A scorer whose script copies the file `made` to where its predictions are to be.
    pub fn copying_scorer(&self) -> Value {
        let curl = format!(
            "curl --fail --silent --show-error --aws-sigv4 aws:amz:{}:s3 --user {}:{} --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD'",
            variable("AWS_REGION"),
            variable("AWS_ACCESS_KEY_ID"),
            variable("AWS_SECRET_ACCESS_KEY"),
        );
        let store = variable("S3_IN_PODS");
        let made = self.uri("made").replacen("s3://", &format!("{store}/"), 1);
        let script = format!(
            "{curl} {made} | {curl} --request PUT --data-binary @- {store}/${{OUTPUT_URI#s3://}}"
        );
        json!({"job": script_job(&script)})
    }

    /// Waits until version 2 has become champion, as MLflow itself says, too.
    pub async fn until_promoted(&self, bed: &Bed) {
        until(bed, "has version 2 as champion", |policy| {
            champion(policy) == Some("2") && ready(policy) == Some(("True", "UpToDate"))
        })
        .await;
        assert_eq!(self.mlflow.alias(&self.model, "champion"), "2");
    }
}

/// A Secret with the account of the object store.
pub fn account(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "stringData": {
            "AWS_ACCESS_KEY_ID": variable("AWS_ACCESS_KEY_ID"),
            "AWS_SECRET_ACCESS_KEY": variable("AWS_SECRET_ACCESS_KEY"),
        },
    })
}

/// Predictions that tell the labels apart as well as `signal` says.
pub fn predictions(signal: f64, rows: u32) -> String {
    let step = if signal < 0.2 { 31 } else { 53 };
    let lines = (0..rows).map(|row| {
        let (label, noise) = (u32::from(row % 3 == 0), f64::from(row * step % 97) / 97.0);
        let score = signal * f64::from(label) + (1.0 - signal) * noise;
        format!("{row},{label},{score}\n")
    });
    format!("id,label,score\n{}", lines.collect::<String>())
}

/// The container of a policy's comparisons.
pub fn evaluator(policy: &mut Value) -> &mut Value {
    &mut pod(policy)["containers"][0]
}

/// The pod of a policy's comparisons.
pub fn pod(policy: &mut Value) -> &mut Value {
    &mut policy["spec"]["evidence"]["evaluator"]["podTemplate"]["spec"]
}

/// The only comparison of the namespace.
pub async fn comparison(bed: &Bed) -> Option<Evaluation> {
    let found = bed.api::<Evaluation>().list(&ListParams::default()).await;
    let mut found = found.unwrap().items;
    assert!(found.len() < 2, "{found:#?}");
    found.pop()
}

/// Waits until the only comparison says so, and returns its status.
pub async fn until_comparison(
    bed: &Bed,
    what: &str,
    holds: impl Fn(&EvaluationStatus) -> bool,
) -> EvaluationStatus {
    let mut last = None;
    bed.wait(180, &format!("the comparison {what}"), async || {
        let status = comparison(bed).await.and_then(|found| found.status);
        if let Some(status) = status {
            last = Some(status);
        }
        last.as_ref().is_some_and(&holds)
    })
    .await;
    last.unwrap()
}

/// The Jobs that belong to an object, by name.
pub async fn jobs_of(bed: &Bed, uid: &str) -> Vec<Job> {
    let jobs = bed.api::<Job>().list(&ListParams::default()).await;
    let mut jobs = jobs.unwrap().items;
    jobs.retain(|job| job.owner_references().iter().any(|owner| owner.uid == uid));
    jobs.sort_by_key(ResourceExt::name_any);
    jobs
}

/// What the condition Ready of a policy says in words.
pub fn words(policy: &ChampionPolicy) -> &str {
    let conditions = policy.status.iter().flat_map(|status| &status.conditions);
    let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
    ready.next().map_or("", |ready| ready.message.as_str())
}

/// Waits until the policy gives this reason with these words, and returns all it says.
pub async fn until_policy(bed: &Bed, reason: &str, part: &str) -> String {
    let what = format!("says {reason} with `{part}`");
    let policy = until(bed, &what, |policy| {
        ready(policy).is_some_and(|(_, said)| said == reason) && words(policy).contains(part)
    })
    .await;
    words(&policy).to_string()
}
