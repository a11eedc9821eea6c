//! A trial is a process of this machine, under a supervisor that outlives podium.

use super::log_tail::last_lines;
use super::run_directory::{HowEnded, Request, RunDirectory};
use super::run_inputs;
use super::supervised::{ENDING, State, Supervised, SupervisedRuns, ending, kill, longest, within};
use super::template::{Process, process_of};
use crate::adapters::clock::SystemClock;
use crate::adapters::directory::file_digests::FileDigests;
use crate::ports::{Clock, EndedRun, PortError, Run, RunId, RunRequest, StartOutcome, TrialRunner};
use crate::regular_file::read_end;
use podium_core::report::KEPT_BYTES;
use podium_core::report::TerminationMessage;
use podium_core::time::Timestamp;
use podium_core::tuning::trial::{Exit, Reason};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// As much of the log's end as fits into a message.
const LOG_TAIL_BYTES: u64 = 2048;

/// Runs trials as processes.
#[derive(Clone, Debug)]
pub struct ProcessRunner {
    runs: PathBuf,
    working_directory: PathBuf,
    podium: PathBuf,
    supervised: SupervisedRuns,
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
            supervised: SupervisedRuns::default(),
            digests: FileDigests::default(),
        }
    }

    /// The names of the runs, started or watched here, that ended since the last call; waits until there is one.
    pub async fn changed(&self) -> Vec<String> {
        self.supervised.changed().await
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

    /// Lets [`Self::changed`] tell the end of a run that an earlier podium started. One that outlives its deadline is ended.
    fn watch(&self, name: &str, attempt: u32) {
        if !self.supervised.begin_watching(name, attempt) {
            return;
        }
        let directory = self.directory(name, attempt);
        let (supervised, name) = (self.supervised.clone(), name.to_string());
        tokio::spawn(async move {
            // A request that cannot be read has no deadline, and its run is found lost.
            let request = directory.found_request().ok().flatten();
            let longest = request.as_ref().and_then(longest);
            let ended = unsupervised(directory.clone());
            if within(longest, ended).await.is_none() {
                end_supervisor(&directory);
            }
            supervised.found_ended(&name, attempt);
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
        match self.supervised.of(run.name, run.attempt) {
            Some(supervised) => {
                let found = observe_supervised(&directory, &supervised);
                // From here on its directory tells.
                if let (Run::Ended(_), Ok(Some(_))) = (&found, directory.ended()) {
                    self.supervised.forget(run.name, run.attempt);
                }
                Ok(found)
            }
            None => {
                // What cannot be read of a run will not be told by a later look either.
                let found = observe_found(&directory)
                    .unwrap_or_else(|error| unreadable_run(error.to_string(), SystemClock.now()));
                if let Run::Queued { .. } | Run::Running { .. } = found {
                    self.watch(run.name, run.attempt);
                }
                Ok(found)
            }
        }
    }

    async fn dry_run(&self, request: &RunRequest<'_>) -> Result<Option<String>, PortError> {
        Ok(process_of(request).err().map(|error| error.to_string()))
    }

    async fn start(&self, request: &RunRequest<'_>) -> Result<StartOutcome, PortError> {
        let directory = self.directory(&request.name, request.attempt);
        // It may have been taken before, by a podium that asked less.
        let process = match process_of(request) {
            Ok(process) => process,
            Err(error) => return Ok(StartOutcome::Rejected(error.to_string())),
        };
        if self.supervised.of(&request.name, request.attempt).is_some() {
            return Ok(StartOutcome::AlreadyStarted);
        }
        let owner = request.owner.as_ref().map(|owner| owner.uid.clone());
        let asked = self.request_of(process, owner);
        directory.write_request(&asked)?;
        let Some(lock) = directory.lock()? else {
            return Ok(StartOutcome::AlreadyStarted);
        };
        if directory.started()?.is_some() {
            return Ok(StartOutcome::AlreadyStarted);
        }
        let errors = File::options()
            .create(true)
            .append(true)
            .open(directory.path().join("supervisor.log"))?;
        let since = SystemClock.now();
        let child = tokio::process::Command::new(&self.podium)
            .arg("supervise")
            .arg(directory.path())
            .stdin(Stdio::from(lock))
            .stdout(Stdio::null())
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|error| {
                PortError::refused(format!("cannot start {}: {error}", self.podium.display()))
            })?;
        let run = (request.name.as_str(), request.attempt);
        self.supervised.follow(run, child, since, &asked);
        Ok(StartOutcome::Started)
    }

    async fn inputs(&self, request: &RunRequest<'_>) -> Result<String, PortError> {
        let process = process_of(request).map_err(|error| PortError::invalid(error.to_string()))?;
        let directory = match &process.working_directory {
            Some(directory) => self.working_directory.join(directory),
            None => self.working_directory.clone(),
        };
        let inputs = run_inputs::digest_of(&process, &request.variables, &directory, &self.digests);
        Ok(inputs?)
    }

    async fn stop(&self, run: RunId<'_>) -> Result<(), PortError> {
        let directory = self.directory(run.name, run.attempt);
        if let Some(mut supervised) = self.supervised.of(run.name, run.attempt) {
            if supervised.state() == State::GoesOn {
                terminate(supervised.supervisor);
                let limit = supervised.ending;
                if within(Some(limit), supervised.ended()).await.is_none() {
                    kill(supervised.supervisor);
                    end_leftovers(&directory);
                }
            }
            return Ok(());
        }
        if !directory.path().is_dir() || directory.lock()?.is_some() {
            return Ok(());
        }
        let supervisor = directory.started()?;
        terminate(supervisor.and_then(|s| Pid::from_raw(s.supervisor)));
        let ended = unsupervised(directory.clone());
        let request = directory.found_request().ok().flatten();
        let limit = request.as_ref().map_or(ENDING, ending);
        if within(Some(limit), ended).await.is_none() {
            end_supervisor(&directory);
        }
        Ok(())
    }

    /// What a run left on this machine is kept until its manifest goes.
    async fn remove(&self, _: RunId<'_>) -> Result<(), PortError> {
        Ok(())
    }

    /// A supervisor ends what its program left when that ends.
    async fn end_leftovers(&self, _: RunId<'_>) -> Result<(), PortError> {
        Ok(())
    }
}

/// Returns once nobody supervises the run any more. The thread that waits keeps no program from ending.
async fn unsupervised(directory: RunDirectory) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // A lock that cannot be waited for is held by nobody who could still tell an end.
        let _ = directory.wait_until_unsupervised();
        // Nobody waits any more: what is told is not needed.
        let _ = sender.send(());
    });
    let _ = receiver.await;
}

/// Ends a supervisor that holds the lock of its run although it should have ended, and what it supervises.
fn end_supervisor(directory: &RunDirectory) {
    let holds_lock = matches!(directory.lock(), Ok(None));
    let started = directory.started().ok().flatten();
    if holds_lock && let Some(started) = started {
        kill(Pid::from_raw(started.supervisor));
    }
    end_leftovers(directory);
}

/// Asks a process to end; one that ended since is what is wanted.
fn terminate(process: Option<Pid>) {
    if let Some(process) = process {
        let _ = kill_process(process, Signal::TERM);
    }
}

/// A run whose supervisor this process started.
fn observe_supervised(directory: &RunDirectory, supervised: &Supervised) -> Run {
    if supervised.state() == State::GoesOn {
        return Run::Running {
            since: supervised.since,
            pod: None,
            overdue: None,
        };
    }
    let why = match (ended_run(directory), directory.path().is_dir()) {
        (Ok(Some(run)), _) => return run,
        (Ok(None), true) => {
            end_leftovers(directory);
            if supervised.state() == State::Ended {
                return lost_run(directory, supervised.since);
            }
            format!(
                "it had not ended {} s after its deadline, although it was told to, and was killed",
                supervised.ending.as_secs()
            )
        }
        (Ok(None), false) => format!(
            "its run directory {} was removed or replaced while it ran, so its result is lost",
            directory.path().display()
        ),
        (Err(error), _) => format!("its result is lost: {error}"),
    };
    unreadable_run(why, supervised.since)
}

/// A run of which only its directory tells.
fn observe_found(directory: &RunDirectory) -> io::Result<Run> {
    if let Some(run) = ended_run(directory)? {
        return Ok(run);
    }
    if !directory.path().is_dir() {
        return Ok(Run::Absent);
    }
    let supervised = directory.lock()?.is_none();
    Ok(match (directory.started()?, supervised) {
        (None, true) => Run::Queued {
            since: SystemClock.now(),
            reason: Reason::Starting,
            why: "it is being started".to_string(),
        },
        (None, false) => Run::Absent,
        (Some(started), true) => Run::Running {
            since: Timestamp(started.time),
            pod: None,
            overdue: None,
        },
        // Its end may have been written between the two looks.
        (Some(started), false) => match ended_run(directory)? {
            Some(run) => run,
            None => {
                end_leftovers(directory);
                lost_run(directory, Timestamp(started.time))
            }
        },
    })
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
    let mut exit = Exit::from(how);
    let termination_message = match termination_message(&directory.termination_message()) {
        Ok(message) => message,
        Err(why) => {
            // Why a program failed says more than that its report is none.
            if exit == Exit::Code(0) {
                exit = Exit::ResultUnreadable(format!("its termination message {why}"));
            }
            None
        }
    };
    // The log explains a failure; one that cannot be read changes nothing.
    let log = read_end(&directory.log(), LOG_TAIL_BYTES).unwrap_or_default();
    let log = log.map(|(text, _)| String::from_utf8_lossy(&text).into_owned());
    Ok(Run::Ended(EndedRun {
        exit,
        started,
        ended,
        message: TerminationMessage {
            text: termination_message,
            kept_bytes: KEPT_BYTES,
        },
        log_tail: last_lines(&log.unwrap_or_default()),
        pod: None,
    }))
}

/// The message that a program left, or why it cannot be read, to follow "its termination message".
fn termination_message(path: &Path) -> Result<Option<String>, String> {
    let read = read_end(path, KEPT_BYTES as u64).map_err(|error| error.to_string())?;
    let Some((bytes, is_cut)) = read else {
        return Ok(None);
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        // Its first character may have been cut in two.
        Err(error) if is_cut => Ok(Some(String::from_utf8_lossy(error.as_bytes()).into_owned())),
        Err(error) => Err(format!(
            "{} must be text in UTF-8, but is not after byte {}",
            path.display(),
            error.utf8_error().valid_up_to()
        )),
    }
}

/// Nothing of how the run ended can be read.
fn unreadable_run(why: String, started: Timestamp) -> Run {
    let exit = Exit::ResultUnreadable(why);
    Run::Ended(EndedRun::without_a_trace(exit, started, SystemClock.now()))
}

/// The supervisor itself was killed, by hand or with the machine: nobody knows how the program ended.
fn lost_run(directory: &RunDirectory, started: Timestamp) -> Run {
    let message = format!(
        "the supervisor of {} was killed before the run ended",
        directory.path().display()
    );
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
