//! Clusters of one namespace: their objects stand in memory, their registry is a real MLflow.

use super::api_server::client_of;
use super::mlflow_registry::mlflow_registry_as;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use podium_api::convert::World;
use podium_api::{ChampionPolicy, Evaluation, ModelRegistry, ModelRegistrySpec, TuningJobSpec};
use podium_core::problem::SpecProblem;
use podium_operator::adapters::clock::SystemClock;
use podium_operator::adapters::directory::store::DirectoryStore;
use podium_operator::adapters::kubernetes::registries::Registries;
use podium_operator::adapters::mlflow::credentials::Credentials;
use podium_operator::adapters::mlflow::hosts::AllowedHosts;
use podium_operator::adapters::mlflow::registry::MlflowRegistry;
use podium_operator::adapters::mlflow::tracking::MlflowTracking;
use podium_operator::adapters::write_lease::{FORBIDDEN, Write, WriteLease};
use podium_operator::engine::{Engine, WritePolicy};
use podium_operator::local::evaluator::LocalEvaluator;
use podium_operator::local::ports::{NoAnnouncer, NoEvents};
use podium_operator::ports::{
    Cluster, ConfirmationState, Created, EvaluationRun, EvaluationState, Evaluator, Object,
    ObjectStore, PortError, PortErrorKind, Ports, Sight,
};
use podium_operator::runs::process::ProcessRunner;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The name of the only policy and of the only registry.
pub const NAME: &str = "fraud";

/// Kind and name.
type Key = (String, String);

/// The objects of a cluster, as an API server keeps them. Everybody who shares them is in one cluster.
#[derive(Clone, Debug, Default)]
pub struct Objects(Arc<Mutex<BTreeMap<Key, Value>>>);

impl Objects {
    /// Creates an object, or gives it another specification.
    pub fn apply(&self, object: &Value) {
        let key = |field: &Value| field.as_str().unwrap().to_string();
        let key = (key(&object["kind"]), key(&object["metadata"]["name"]));
        let mut objects = self.0.lock().unwrap();
        let before = objects.get(&key).cloned();
        let number = |field: &str| {
            let before = before
                .as_ref()
                .and_then(|b| b["metadata"][field].as_str()?.parse::<i64>().ok());
            before.unwrap_or(0) + 1
        };
        let mut stored = object.clone();
        let version = number("resourceVersion");
        stored["metadata"]["resourceVersion"] = json!(version.to_string());
        stored["metadata"]["generation"] = json!(version);
        stored["metadata"]["namespace"] = json!("team");
        let uid = before.as_ref().map_or_else(
            || json!(uuid::Uuid::new_v4().to_string()),
            |b| b["metadata"]["uid"].clone(),
        );
        stored["metadata"]["uid"] = uid;
        let created = before.as_ref().map_or_else(
            || {
                json!(
                    jiff::Timestamp::now()
                        .round(jiff::Unit::Second)
                        .unwrap()
                        .to_string()
                )
            },
            |b| b["metadata"]["creationTimestamp"].clone(),
        );
        stored["metadata"]["creationTimestamp"] = created;
        if let Some(status) = before.as_ref().map(|b| b["status"].clone()) {
            stored["status"] = status;
        }
        objects.insert(key, stored);
    }

    /// The objects as they are now, whatever becomes of them.
    pub fn snapshot(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().unwrap().clone())))
    }

    /// The object of this kind and name.
    pub fn named(&self, kind: &str, name: &str) -> Option<Value> {
        let objects = self.0.lock().unwrap();
        objects.get(&(kind.to_string(), name.to_string())).cloned()
    }

    /// The names of all objects of a kind.
    pub fn names(&self, kind: &str) -> Vec<String> {
        let objects = self.0.lock().unwrap();
        let of_kind = objects.keys().filter(|(found, _)| found == kind);
        of_kind.map(|(_, name)| name.clone()).collect()
    }

    pub fn registry(&self) -> ModelRegistry {
        typed(&self.named("ModelRegistry", NAME).unwrap())
    }

    pub fn policy(&self) -> ChampionPolicy {
        typed(&self.named("ChampionPolicy", NAME).unwrap())
    }

    /// For a process that reads them as they are.
    fn held(&self, permission: &WriteLease) -> Held {
        Held {
            objects: self.clone(),
            cache: self.clone(),
            permission: permission.clone(),
        }
    }
}

/// The objects, for one process: it writes as long as it leads.
#[derive(Debug)]
pub struct Held {
    objects: Objects,
    /// What it reads: the objects, or what a cache that is behind has of them.
    cache: Objects,
    permission: WriteLease,
}

impl Held {
    fn begin_write(&self) -> Result<Write, PortError> {
        let writing = self.permission.begin_write();
        writing.ok_or_else(|| PortError::unavailable(FORBIDDEN))
    }
}

fn key_of<K: Object>(name: &str) -> Key {
    (K::kind(&()).into_owned(), name.to_string())
}

fn typed<K: Object>(value: &Value) -> K {
    serde_json::from_value(value.clone()).unwrap()
}

impl Cluster for Held {
    async fn get<K: Object>(&self, name: &str) -> Result<Option<K>, PortError> {
        let objects = self.cache.0.lock().unwrap();
        Ok(objects.get(&key_of::<K>(name)).map(typed))
    }

    async fn list<K: Object>(&self) -> Result<Vec<K>, PortError> {
        let objects = self.cache.0.lock().unwrap();
        let of_kind = objects
            .iter()
            .filter(|((kind, _), _)| *kind == K::kind(&()));
        Ok(of_kind.map(|(_, object)| typed(object)).collect())
    }

    async fn owned<K: Object>(&self, _: &str) -> Result<Arc<Vec<Arc<K>>>, PortError> {
        Ok(Arc::default())
    }

    async fn create<K: Object>(&self, object: &K) -> Result<Created, PortError> {
        let _writing = self.begin_write()?;
        let found = self.objects.named(&K::kind(&()), &object.name_any());
        if found.is_some() {
            return Ok(Created::Existed);
        }
        self.objects.apply(&serde_json::to_value(object).unwrap());
        Ok(Created::New)
    }

    async fn write_status<K: Object>(&self, object: &K) -> Result<(), PortError> {
        let _writing = self.begin_write()?;
        let status = serde_json::to_value(object).unwrap()["status"].clone();
        let mut objects = self.objects.0.lock().unwrap();
        let stored = objects.get_mut(&key_of::<K>(&object.name_any()));
        let conflict = || PortError::new(PortErrorKind::Conflict, "the object has been modified");
        let stored = stored.ok_or_else(conflict)?;
        if stored["status"] == status {
            return Ok(());
        }
        let version = object.resource_version().unwrap_or_default();
        if stored["metadata"]["resourceVersion"] != json!(version) {
            return Err(conflict());
        }
        let next = version.parse::<i64>().unwrap() + 1;
        stored["metadata"]["resourceVersion"] = json!(next.to_string());
        stored["status"] = status;
        Ok(())
    }

    async fn replace_status<K: Object>(&self, object: &K) -> Result<(), PortError> {
        self.write_status(object).await
    }

    async fn confirm<K: Object>(&self, object: &K) -> Result<(), PortError> {
        let objects = self.objects.0.lock().unwrap();
        let stored: Option<K> = objects.get(&key_of::<K>(&object.name_any())).map(typed);
        PortError::unless_as_read(stored.as_ref(), object)
    }

    async fn delete<K: Object>(&self, _: &K) -> Result<(), PortError> {
        Err(PortError::refused("nothing is deleted here"))
    }
}

/// How a process reaches MLflow.
enum Reach {
    /// By a way of its own, whatever the registry's object says.
    OwnWay(MlflowRegistry),
    /// As the object says.
    Object(Box<Registries>),
}

/// The bucket that is a directory of this machine.
pub const BUCKET: &str = "s3://predictions/";

/// The file of this machine that a policy of a cluster names as an object.
fn file_uri(uri: &str) -> String {
    match uri.strip_prefix(BUCKET) {
        Some(name) => format!("file://{name}"),
        None => uri.to_string(),
    }
}

/// Predictions in that bucket, which this operator can see.
pub struct Predictions(DirectoryStore);

impl ObjectStore for Predictions {
    async fn look(&self, uri: &str) -> Result<Sight, PortError> {
        self.0.look(&file_uri(uri)).await
    }
}

/// Compares predictions in that bucket, of models that lie elsewhere.
pub struct PredictionsOnly(LocalEvaluator);

impl PredictionsOnly {
    fn on_this_machine(run: &EvaluationRun<'_>) -> Evaluation {
        let mut evaluation = run.evaluation.clone();
        let spec = &mut evaluation.spec;
        for version in [&mut spec.champion, &mut spec.challenger] {
            version.source = None;
            version.predictions = file_uri(&version.predictions);
        }
        evaluation
    }
}

impl Evaluator for PredictionsOnly {
    async fn evaluate(&self, run: &EvaluationRun<'_>) -> Result<EvaluationState, PortError> {
        let evaluation = &Self::on_this_machine(run);
        self.0.evaluate(&EvaluationRun { evaluation, ..*run }).await
    }

    async fn confirm(&self, run: &EvaluationRun<'_>) -> Result<ConfirmationState, PortError> {
        let evaluation = &Self::on_this_machine(run);
        self.0.confirm(&EvaluationRun { evaluation, ..*run }).await
    }
}

/// What one process sees: the objects of its cluster, and MLflow by a way of its own or by the one that the registry's object names.
pub struct Process {
    cluster: String,
    objects: Held,
    reach: Reach,
    store: Predictions,
    runner: ProcessRunner,
    evaluator: PredictionsOnly,
}

/// An operator of the cluster of this name that has just started. It writes as long as `permission` lasts.
pub fn operator(
    cluster: &str,
    objects: &Objects,
    url: &str,
    permission: &WriteLease,
) -> Engine<Process> {
    operator_as(Credentials::Anonymous, cluster, objects, url, permission)
}

/// The same with a cache that does not follow the objects.
pub fn operator_behind(
    cluster: &str,
    objects: &Objects,
    cache: Objects,
    url: &str,
) -> Engine<Process> {
    let held = Held {
        objects: objects.clone(),
        cache,
        permission: WriteLease::always(),
    };
    let reach = own_way(Credentials::Anonymous, url, &held.permission);
    engine(held, reach, cluster, &nowhere())
}

/// The same with an account of the registry.
pub fn operator_as(
    credentials: Credentials,
    cluster: &str,
    objects: &Objects,
    url: &str,
    permission: &WriteLease,
) -> Engine<Process> {
    let reach = own_way(credentials, url, permission);
    let held = objects.held(permission);
    engine(held, reach, cluster, &nowhere())
}

/// One that reaches MLflow as the registry's object says, with the Secret and the ConfigMap that it names.
pub async fn operator_by_object(objects: &Objects) -> Engine<Process> {
    let hosts = AllowedHosts::parse(["*=127.0.0.1", "*=localhost"]).unwrap();
    let always = WriteLease::always();
    let registries = Registries::new(client_of(objects).await, hosts, always.clone());
    let reach = Reach::Object(Box::new(registries));
    engine(objects.held(&always), reach, "a", &nowhere())
}

/// One that finds predictions in a directory, and compares them.
pub fn operator_with_predictions(objects: &Objects, url: &str, files: &Path) -> Engine<Process> {
    let always = WriteLease::always();
    let reach = own_way(Credentials::Anonymous, url, &always);
    engine(objects.held(&always), reach, "a", files)
}

fn own_way(credentials: Credentials, url: &str, permission: &WriteLease) -> Reach {
    Reach::OwnWay(mlflow_registry_as(credentials, url, permission.clone()))
}

/// Nothing lies there.
fn nowhere() -> PathBuf {
    PathBuf::from("/dev/null")
}

fn engine(held: Held, reach: Reach, cluster: &str, files: &Path) -> Engine<Process> {
    let process = Process {
        cluster: cluster.to_string(),
        objects: held,
        reach,
        store: Predictions(DirectoryStore::new(files.to_path_buf())),
        // Nothing runs here.
        runner: ProcessRunner::new(nowhere(), nowhere(), nowhere()),
        evaluator: PredictionsOnly(LocalEvaluator::new(files.to_path_buf())),
    };
    Engine::new(process, WritePolicy::CLUSTER)
}

impl Ports for Process {
    type Cluster = Held;
    type Registry = MlflowRegistry;
    type Tracking = MlflowTracking;
    type Store = Predictions;
    type Runner = ProcessRunner;
    type Evaluator = PredictionsOnly;
    type Events = NoEvents;
    type Announcer = NoAnnouncer;
    type Clock = SystemClock;

    fn cluster(&self) -> &Held {
        &self.objects
    }

    async fn registry(&self, object: &ModelRegistry) -> Result<MlflowRegistry, PortError> {
        match &self.reach {
            Reach::OwnWay(registry) => Ok(registry.clone()),
            Reach::Object(registries) => registries.open(object).await,
        }
    }

    async fn tracking(&self, object: &ModelRegistry) -> Result<MlflowTracking, PortError> {
        let registry = self.registry(object).await?;
        Ok(MlflowTracking::new(Arc::clone(registry.server())))
    }

    fn store(&self) -> &Predictions {
        &self.store
    }

    fn runner(&self) -> &ProcessRunner {
        &self.runner
    }

    fn evaluator(&self) -> &PredictionsOnly {
        &self.evaluator
    }

    fn events(&self) -> &NoEvents {
        &NoEvents
    }

    fn announcer(&self) -> &NoAnnouncer {
        &NoAnnouncer
    }

    fn world(&self) -> World {
        World::Cluster
    }

    fn location(&self, _: &ModelRegistrySpec) -> String {
        format!("{}/team", self.cluster)
    }

    fn approvers_are_verified(&self) -> bool {
        true
    }

    fn unsupported(&self, _: &TuningJobSpec) -> Vec<SpecProblem> {
        Vec::new()
    }

    async fn compute<T: Send + 'static>(
        &self,
        computation: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PortError> {
        Ok(computation())
    }

    fn clock(&self) -> &SystemClock {
        &SystemClock
    }
}

/// The objects of a cluster with a policy for `model`, changed as a test likes.
pub fn cluster_with_policy(model: &str, change: impl FnOnce(&mut Value)) -> Objects {
    let objects = Objects::default();
    objects.apply(&model_registry(&json!({"url": "http://127.0.0.1"})));
    objects.apply(&policy(model, change));
    objects
}

/// A registry at an MLflow server.
pub fn model_registry(mlflow: &Value) -> Value {
    json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "ModelRegistry", "metadata": {"name": NAME},
        "spec": {"mlflow": mlflow},
    })
}

pub fn policy(model: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut policy = json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "ChampionPolicy", "metadata": {"name": NAME},
        "spec": {
            "registryRef": {"name": NAME}, "model": model,
            "evidence": {"predictions": {
                "uri": "s3://evaluation/$(version)/predictions.parquet",
                "columns": {"id": "id", "label": "label", "score": "score"},
            }},
            "test": {"primary": {"metric": "rocAuc"}},
        },
    });
    change(&mut policy);
    policy
}

/// Pins a version.
pub fn pin(policy: &mut Value, version: &str) {
    policy["spec"]["pin"] = json!({"version": version, "reason": "by a test"});
}

/// The policy's condition `Ready`.
pub fn ready(policy: &ChampionPolicy) -> Option<&Condition> {
    let conditions = &policy.status.as_ref()?.conditions;
    conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
}

/// Reason of that condition.
pub fn reason(policy: &ChampionPolicy) -> String {
    ready(policy).map_or_else(String::new, |ready| ready.reason.clone())
}
