//! A trial is a process of this machine, under a supervisor that outlives podium.

use super::log_tail::last_lines;
use super::run_directory::{HowEnded, Request, RunDirectory, Started};
use super::run_inputs;
use super::template::{Process, process_of};
use crate::adapters::clock::SystemClock;
use crate::adapters::directory::file_digests::FileDigests;
use crate::ports::{Clock, PortError, RunId, RunRequest, Started as StartOutcome, TrialRunner};
use podium_core::report::KEPT_BYTES;
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{EndedRun, Exit, Reason, Run};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::sync::Notify;

/// As much of the log's end as fits into a message.
const LOG_TAIL_BYTES: u64 = 2048;

/// Runs trials as processes.
#[derive(Clone, Debug)]
pub struct ProcessRunner {
    runs: PathBuf,
    working_directory: PathBuf,
    podium: PathBuf,
    changed: Arc<Notify>,
    digests: FileDigests,
}

impl ProcessRunner {
    /// Keeps runs under `runs/NAME/ATTEMPT`; programs run in `working_directory`.
    /// `podium` is the program whose `supervise` verb supervises runs.
    #[must_use]
    pub fn new(runs: PathBuf, working_directory: PathBuf, podium: PathBuf) -> Self {
        Self {
            runs,
            working_directory,
            podium,
            changed: Arc::new(Notify::new()),
            digests: FileDigests::default(),
        }
    }

    /// Returns once a run that was started or found running has ended.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Where the runs are kept.
    #[must_use]
    pub fn runs(&self) -> &Path {
        &self.runs
    }

    /// The directory of a run.
    #[must_use]
    pub fn directory(&self, name: &str, attempt: u32) -> RunDirectory {
        RunDirectory::at(self.runs.join(name).join(attempt.to_string()))
    }

    /// Wakes [`Self::changed`] when nobody supervises the run any more.
    pub fn watch(&self, name: &str, attempt: u32) {
        let directory = self.directory(name, attempt);
        let changed = Arc::clone(&self.changed);
        tokio::task::spawn_blocking(move || {
            // A lock that cannot be waited for is looked at again with the next change of another run.
            let _ = directory.wait_until_unsupervised();
            changed.notify_one();
        });
    }

    fn request_of(&self, process: Process, owner: Option<String>) -> Request {
        let mut environment = process.environment;
        environment
            .entry("PATH".to_string())
            .or_insert_with(|| self.path_with_podium());
        Request {
            command: process.command,
            environment,
            working_directory: match &process.working_directory {
                Some(directory) => self.working_directory.join(directory),
                None => self.working_directory.clone(),
            },
            deadline_seconds: process.deadline_seconds,
            retries: process.retries,
            grace_seconds: process.grace_seconds,
            owner,
        }
    }

    /// So that `command: [podium, train]` finds the podium that runs it.
    fn path_with_podium(&self) -> String {
        let own = self.podium.parent().map(Path::to_path_buf);
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let all = own.into_iter().chain(std::env::split_paths(&inherited));
        std::env::join_paths(all).map_or_else(
            |_| inherited.to_string_lossy().into_owned(),
            |p| p.to_string_lossy().into_owned(),
        )
    }
}

impl TrialRunner for ProcessRunner {
    async fn observe(&self, run: RunId<'_>) -> Result<Run, PortError> {
        let directory = self.directory(run.name, run.attempt);
        if let Some(run) = ended_run(&directory)? {
            return Ok(run);
        }
        if !directory.path().is_dir() {
            return Ok(Run::Absent);
        }
        let supervised = directory.lock()?.is_none();
        match (directory.started()?, supervised) {
            (None, true) => Ok(Run::Queued {
                since: SystemClock.now(),
                reason: Reason::Starting,
                why: "it is being started".to_string(),
            }),
            (None, false) => Ok(Run::Absent),
            (Some(started), true) => Ok(Run::Running {
                since: Timestamp(started.time),
                pod: None,
                overdue: None,
            }),
            // Its end may have been written between the two looks.
            (Some(started), false) => match ended_run(&directory)? {
                Some(run) => Ok(run),
                None => {
                    end_leftovers(&directory);
                    Ok(lost_run(&directory, started))
                }
            },
        }
    }

    async fn refusal(&self, request: &RunRequest<'_>) -> Result<Option<String>, PortError> {
        Ok(process_of(request).err().map(|error| error.to_string()))
    }

    async fn start(&self, request: &RunRequest<'_>) -> Result<StartOutcome, PortError> {
        let directory = self.directory(&request.name, request.attempt);
        // It may have been taken before, by a podium that asked less.
        let process = match process_of(request) {
            Ok(process) => process,
            Err(error) => return Ok(StartOutcome::Refused(error.to_string())),
        };
        let owner = request.owner.as_ref().map(|owner| owner.uid.clone());
        directory.write_request(&self.request_of(process, owner))?;
        let Some(lock) = directory.lock()? else {
            return Ok(StartOutcome::Already);
        };
        if directory.started()?.is_some() {
            return Ok(StartOutcome::Already);
        }
        let errors = File::options()
            .create(true)
            .append(true)
            .open(directory.path().join("supervisor.log"))?;
        tokio::process::Command::new(&self.podium)
            .arg("supervise")
            .arg(directory.path())
            .stdin(Stdio::from(lock))
            .stdout(Stdio::null())
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|error| {
                PortError::Permanent(format!("cannot start {}: {error}", self.podium.display()))
            })?;
        self.watch(&request.name, request.attempt);
        Ok(StartOutcome::Now)
    }

    async fn inputs(&self, request: &RunRequest<'_>) -> Result<String, PortError> {
        let process =
            process_of(request).map_err(|error| PortError::Permanent(error.to_string()))?;
        let directory = match &process.working_directory {
            Some(directory) => self.working_directory.join(directory),
            None => self.working_directory.clone(),
        };
        let inputs = run_inputs::digest_of(&process, &request.variables, &directory, &self.digests);
        Ok(inputs?)
    }

    async fn stop(&self, run: RunId<'_>) -> Result<(), PortError> {
        let directory = self.directory(run.name, run.attempt);
        let supervised = directory.path().is_dir() && directory.lock()?.is_none();
        let supervisor = directory
            .started()?
            .and_then(|s| Pid::from_raw(s.supervisor));
        if let (true, Some(supervisor)) = (supervised, supervisor) {
            // One that ended since is what is wanted.
            let _ = kill_process(supervisor, Signal::TERM);
            let waiting = directory.clone();
            tokio::task::spawn_blocking(move || waiting.wait_until_unsupervised())
                .await
                .map_err(|error| PortError::Transient(error.to_string()))??;
        }
        Ok(())
    }
}

fn ended_run(directory: &RunDirectory) -> io::Result<Option<Run>> {
    let Some(ended) = directory.ended()? else {
        return Ok(None);
    };
    let started = directory.started()?.map_or(ended.time, |s| s.time);
    Ok(Some(ended_with(
        directory,
        ended.how,
        Timestamp(started),
        Timestamp(ended.time),
    )?))
}

fn ended_with(
    directory: &RunDirectory,
    how: HowEnded,
    started: Timestamp,
    ended: Timestamp,
) -> io::Result<Run> {
    Ok(Run::Ended(EndedRun {
        exit: Exit::from(how),
        started,
        ended,
        termination_message: read_tail(&directory.termination_message(), KEPT_BYTES as u64)?,
        kept_bytes: KEPT_BYTES,
        log_tail: last_lines(&read_tail(&directory.log(), LOG_TAIL_BYTES)?.unwrap_or_default()),
        pod: None,
    }))
}

/// The supervisor itself was killed, by hand or with the machine: nobody knows how the program ended.
fn lost_run(directory: &RunDirectory, started: Started) -> Run {
    let message = format!(
        "the supervisor of {} was killed before the run ended",
        directory.path().display()
    );
    let started = Timestamp(started.time);
    Run::Ended(EndedRun::without_a_trace(
        Exit::Infrastructure(message),
        started,
        started,
    ))
}

/// Ends what a killed supervisor left running, so that the next attempt does not run beside it. The processes are known by the
/// path of their termination message, which no others have.
fn end_leftovers(directory: &RunDirectory) {
    let mut mark = b"PODIUM_TERMINATION_MESSAGE_PATH=".to_vec();
    mark.extend_from_slice(
        directory
            .termination_message()
            .as_os_str()
            .as_encoded_bytes(),
    );
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let id = entry.file_name().to_string_lossy().parse().ok();
        let Some(id) = id.and_then(Pid::from_raw) else {
            continue;
        };
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark)
        {
            // One that ended since is what is wanted.
            let _ = kill_process(id, Signal::KILL);
        }
    }
}

fn read_tail(path: &Path, bytes: u64) -> io::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = fs::metadata(path)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut text = Vec::new();
    file.take(bytes).read_to_end(&mut text)?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}
