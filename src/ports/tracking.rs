//! A tracking server: experiments with runs, into which searches and their trials are logged.

use super::PortError;
use podium_core::time::Timestamp;
use podium_core::tuning::tracking::{RunContent, RunLog, RunStatus};
use std::collections::BTreeMap;
use std::future::Future;

/// A run to start.
#[derive(Clone, Debug)]
pub struct NewRun<'a> {
    /// Id of the experiment that it belongs to.
    pub experiment: &'a str,
    /// Its name, for people.
    pub name: &'a str,
    /// The tag that tells it from all others, and its value. Starting twice under one key starts one run.
    pub key: (&'static str, &'a str),
    /// Id of the run that it hangs under, if it does.
    pub parent: Option<&'a str>,
    /// What it is a run of, for people.
    pub source: &'a str,
    /// Its other tags.
    pub tags: BTreeMap<String, String>,
    /// When it begins.
    pub start: Timestamp,
    /// Whether it may have been started before; otherwise it is not looked for.
    pub may_exist: bool,
}

/// A run that was started, now or before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedRun {
    /// Its id.
    pub id: String,
    /// Whether it is known to be new, and goes on.
    pub is_new: bool,
}

/// What became of something that was to be written into a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunWrite {
    /// It stands there.
    Done,
    /// The run does not exist, or somebody has deleted it.
    Gone,
    /// The server does not take it, in its words.
    Refused(String),
}

/// A run that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRun {
    /// Its id.
    pub id: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// Which of the runs that go on.
#[derive(Clone, Copy, Debug)]
pub enum OpenRuns<'a> {
    /// Those of this experiment whose parent is this run.
    Below {
        /// Id of the experiment.
        experiment: &'a str,
        /// Id of the parent.
        parent: &'a str,
    },
    /// Those of all experiments that Podium has started runs in, with this tag.
    Tagged {
        /// Its name.
        tag: &'static str,
        /// Its value.
        value: &'a str,
    },
}

/// A tracking server.
pub trait Tracking: Send + Sync {
    /// The id of the experiment with this name, which is made where there is none.
    fn experiment(&self, name: &str) -> impl Future<Output = Result<String, PortError>> + Send;
    /// Starts a run, or finds the one that was started under its key. Of several the oldest counts, and the others are ended.
    fn start_run(
        &self,
        new: NewRun<'_>,
    ) -> impl Future<Output = Result<StartedRun, PortError>> + Send;
    /// What stands in a run; `None` when it does not exist or was deleted.
    fn content(
        &self,
        run: &str,
    ) -> impl Future<Output = Result<Option<RunContent>, PortError>> + Send;
    /// Writes into a run.
    fn log(
        &self,
        run: &str,
        log: &RunLog,
    ) -> impl Future<Output = Result<RunWrite, PortError>> + Send;
    /// Says where a run is, and when it ended if it has.
    fn set_status(
        &self,
        run: &str,
        status: RunStatus,
        end: Option<Timestamp>,
    ) -> impl Future<Output = Result<RunWrite, PortError>> + Send;
    /// The runs that go on, a thousand at most.
    fn open_runs(
        &self,
        which: OpenRuns<'_>,
    ) -> impl Future<Output = Result<Vec<OpenRun>, PortError>> + Send;
}

/// How the containers of a run reach the tracking server, beside what stands among their variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackingAccess {
    /// Name of the Secret with their account; `None` for none.
    pub credentials_secret: Option<String>,
    /// Name of the ConfigMap with the certificates that they trust; `None` for the usual ones.
    pub ca_bundle_config_map: Option<String>,
}
