//! An MLflow in memory, of which each request may fail, wait, or find another world when it is answered.

use podium_core::time::Timestamp;
use podium_core::tuning::tracking::{RunContent, RunLog, RunMetric, RunStatus};
use podium_operator::ports::{
    NewRun, OpenRun, OpenRuns, PortError, RunWrite, StartedRun, Tracking,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The cluster and the namespace that runs are logged from.
pub const LOCATION: &str = "cluster/team";
/// A parameter that is refused, with all that is to be logged with it.
pub const REFUSED: &str = "refused";
/// The id of the only experiment.
const EXPERIMENT: &str = "7";

/// What becomes of a request, by what is asked and by the name of its run.
type Fate = dyn Fn(&str, &str) -> Result<(), PortError> + Send + Sync;

/// A run as it stands there.
#[derive(Clone, Debug)]
pub struct LoggedRun {
    pub name: String,
    pub parent: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub content: RunContent,
    pub status: RunStatus,
}

impl LoggedRun {
    /// One that goes on, with these tags beside that of the place.
    pub fn open<const N: usize>(name: &str, tags: [(&str, &str); N]) -> Self {
        let tags = tags.into_iter().chain([("podium.dev/location", LOCATION)]);
        let tags = tags.map(|(tag, value)| (tag.to_string(), value.to_string()));
        Self {
            name: name.to_string(),
            parent: None,
            tags: tags.collect(),
            content: RunContent::default(),
            status: RunStatus::Running,
        }
    }

    /// The run of the search with this uid.
    pub fn of_search(name: &str, uid: &str) -> Self {
        Self::open(name, [("podium.dev/tuning-job-uid", uid)])
    }
}

#[derive(Default)]
struct Server {
    /// By id; a later one has a greater one.
    runs: BTreeMap<String, LoggedRun>,
    asked: Vec<(&'static str, String)>,
    held: Option<(&'static str, String)>,
    fate: Option<Arc<Fate>>,
}

/// The server; clones are the same one.
#[derive(Clone, Default)]
pub struct Mlflow(Arc<Mutex<Server>>);

impl Mlflow {
    /// From now on this decides what becomes of each request, and may change the world before it is carried out.
    pub fn decide(
        &self,
        fate: impl Fn(&str, &str) -> Result<(), PortError> + Send + Sync + 'static,
    ) {
        self.0.lock().unwrap().fate = Some(Arc::new(fate));
    }

    /// Requests of this kind for this run wait until they are let go.
    pub fn hold(&self, what: &'static str, run: &str) {
        self.0.lock().unwrap().held = Some((what, run.to_string()));
    }

    pub fn let_go(&self) {
        self.0.lock().unwrap().held = None;
    }

    /// How often this was asked since the last time.
    pub fn take_asked(&self, what: &str) -> usize {
        let asked = std::mem::take(&mut self.0.lock().unwrap().asked);
        asked.iter().filter(|(asked, _)| *asked == what).count()
    }

    /// Another run, started by whomever; its id.
    pub fn add(&self, run: LoggedRun) -> String {
        let mut server = self.0.lock().unwrap();
        let id = format!("{:04}", server.runs.len());
        server.runs.insert(id.clone(), run);
        id
    }

    /// The first run of this name.
    pub fn run(&self, name: &str) -> LoggedRun {
        let server = self.0.lock().unwrap();
        let mut runs = server.runs.values();
        runs.find(|run| run.name == name).unwrap().clone()
    }

    /// The program of a run logs a metric.
    pub fn log_metric(&self, id: &str, metric: &str, value: f64, at: Timestamp) {
        let mut server = self.0.lock().unwrap();
        let run = server.runs.get_mut(id).unwrap();
        let logged = RunMetric { value, at };
        run.content.metrics.insert(metric.to_string(), logged);
    }

    /// The statuses of all runs in the order in which they were started, with their names.
    pub fn statuses(&self) -> Vec<(String, &'static str)> {
        let server = self.0.lock().unwrap();
        let runs = server.runs.values();
        runs.map(|run| (run.name.clone(), run.status.as_str()))
            .collect()
    }

    /// A request comes in, and others with it.
    async fn request(&self, what: &'static str, run: &str) -> Result<(), PortError> {
        let asked = (what, run.to_string());
        self.0.lock().unwrap().asked.push(asked.clone());
        tokio::task::yield_now().await;
        while self.0.lock().unwrap().held.as_ref() == Some(&asked) {
            tokio::task::yield_now().await;
        }
        let fate = self.0.lock().unwrap().fate.clone();
        fate.map_or(Ok(()), |fate| fate(what, run))
    }

    /// The name of the run with this id.
    fn name(&self, id: &str) -> String {
        let server = self.0.lock().unwrap();
        let run = server.runs.get(id);
        run.map(|run| run.name.clone()).unwrap_or_default()
    }
}

impl Tracking for Mlflow {
    async fn experiment(&self, name: &str) -> Result<String, PortError> {
        self.request("experiment", name).await?;
        Ok(EXPERIMENT.to_string())
    }

    async fn start_run(&self, new: NewRun<'_>) -> Result<StartedRun, PortError> {
        self.request("start", new.name).await?;
        let (key, value) = new.key;
        let is_this = |run: &LoggedRun| run.tags.get(key).is_some_and(|found| found == value);
        let found = {
            let server = self.0.lock().unwrap();
            let mut runs = server.runs.iter();
            runs.find(|(_, run)| is_this(run)).map(|(id, _)| id.clone())
        };
        if let Some(id) = found {
            return Ok(StartedRun { id, is_new: false });
        }
        let mut tags = new.tags.clone();
        tags.insert(key.to_string(), value.to_string());
        let id = self.add(LoggedRun {
            name: new.name.to_string(),
            parent: new.parent.map(str::to_string),
            tags,
            content: RunContent::default(),
            status: RunStatus::Running,
        });
        Ok(StartedRun { id, is_new: true })
    }

    async fn content(&self, run: &str) -> Result<Option<RunContent>, PortError> {
        self.request("content", &self.name(run)).await?;
        let server = self.0.lock().unwrap();
        Ok(server.runs.get(run).map(|run| run.content.clone()))
    }

    async fn log(&self, run: &str, log: &RunLog) -> Result<RunWrite, PortError> {
        self.request("log", &self.name(run)).await?;
        let mut server = self.0.lock().unwrap();
        let Some(run) = server.runs.get_mut(run) else {
            return Ok(RunWrite::Gone);
        };
        if log.params.contains_key(REFUSED) {
            return Ok(RunWrite::Refused("no such parameter".to_string()));
        }
        let metrics = log.metrics.iter().map(|(name, value)| {
            let logged = RunMetric {
                value: *value,
                at: log.at,
            };
            (name.clone(), logged)
        });
        run.content.metrics.extend(metrics);
        run.content.params.extend(log.params.clone());
        run.tags.extend(log.tags.clone());
        Ok(RunWrite::Done)
    }

    async fn set_status(
        &self,
        run: &str,
        status: RunStatus,
        _: Option<Timestamp>,
    ) -> Result<RunWrite, PortError> {
        self.request("status", &self.name(run)).await?;
        let mut server = self.0.lock().unwrap();
        let Some(run) = server.runs.get_mut(run) else {
            return Ok(RunWrite::Gone);
        };
        run.status = status;
        Ok(RunWrite::Done)
    }

    async fn open_runs(&self, which: OpenRuns<'_>) -> Result<Vec<OpenRun>, PortError> {
        self.request("open", "").await?;
        let is_asked_for = |run: &LoggedRun| match which {
            OpenRuns::Below { parent, .. } => run.parent.as_deref() == Some(parent),
            OpenRuns::Tagged { tag, value } => {
                run.tags.get(tag).is_some_and(|found| found == value)
            }
        };
        let server = self.0.lock().unwrap();
        let open = server
            .runs
            .iter()
            .filter(|(_, run)| run.status == RunStatus::Running && is_asked_for(run));
        let open = open.map(|(id, run)| OpenRun {
            id: id.clone(),
            tags: run.tags.clone(),
        });
        Ok(open.collect())
    }
}
