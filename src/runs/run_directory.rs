//! The directory of one run on this machine: what is asked, whether it runs, how it ended.
//!
//! `request.json` is written before anything starts, `started.json` before the program starts,
//! `exit.json` when it has ended. The file `lock` is locked as long as the run's supervisor lives, so
//! whether a run goes on needs no process id, which could be somebody else's by now.

use crate::regular_file;
use podium_core::tuning::trial::Exit;
use podium_workload::atomic_file;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const REQUEST: &str = "request.json";

/// The grace period of a program for which none was asked.
const USUAL_GRACE: Duration = Duration::from_secs(5);

/// More than any of the files here holds.
const LONGEST_FILE_BYTES: u64 = 16 << 20;

/// What a supervisor is asked to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The program with its arguments.
    pub command: Vec<String>,
    /// Variables on top of the supervisor's own.
    pub environment: BTreeMap<String, String>,
    /// Where the program runs.
    pub working_directory: PathBuf,
    /// Running time in seconds after which the program is ended.
    pub deadline_seconds: Option<u64>,
    /// How often it is started again after it failed, within the same deadline.
    #[serde(default)]
    pub retries: u32,
    /// Seconds between asking the program to end and ending it.
    #[serde(default)]
    pub grace_seconds: Option<u64>,
    /// Uid of the object that the run belongs to.
    #[serde(default)]
    pub owner: Option<String>,
}

impl Request {
    /// Between asking the program to end and ending it.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.grace_seconds.map_or(USUAL_GRACE, Duration::from_secs)
    }
}

/// Written before the program starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// Milliseconds since 1970.
    pub time: i64,
    /// The supervisor, which a signal ends together with the program.
    pub supervisor: i32,
}

/// Written when the program has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// Milliseconds since 1970.
    pub time: i64,
    /// How it ended.
    pub how: HowEnded,
}

/// How a program ended, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HowEnded {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Ended by the supervisor at its deadline.
    Deadline,
    /// Ended because podium was asked to stop.
    Stopped,
    /// It could not be started; why.
    CannotStart(String),
}

impl From<HowEnded> for Exit {
    fn from(how: HowEnded) -> Self {
        match how {
            HowEnded::Code(code) => Self::Code(code),
            HowEnded::Signal(signal) => Self::Signal(signal),
            HowEnded::Deadline => Self::DeadlineExceeded,
            HowEnded::Stopped => {
                Self::Infrastructure("it was stopped together with podium".to_string())
            }
            HowEnded::CannotStart(why) => Self::CannotStart(why),
        }
    }
}

/// The directory of one run.
#[derive(Clone, Debug)]
pub struct RunDirectory(PathBuf);

impl RunDirectory {
    /// The run directory at `path`, which need not exist.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the program writes to standard output and standard error.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Where the program leaves its report.
    #[must_use]
    pub fn termination_message(&self) -> PathBuf {
        self.0.join("termination-message")
    }

    fn lock_path(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Takes the lock of a run that nobody supervises; `None` when somebody does.
    ///
    /// # Errors
    /// The lock file cannot be opened or locked.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(self.lock_path())?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Waits until nobody supervises the run any more.
    ///
    /// # Errors
    /// The lock file cannot be opened or locked.
    pub fn wait_until_unsupervised(&self) -> io::Result<()> {
        File::open(self.lock_path())?.lock_shared()
    }

    /// What is asked, for the supervisor: it reads before any program of the run could put something else there.
    ///
    /// # Errors
    /// The file cannot be read or is not what podium writes.
    pub fn request(&self) -> io::Result<Option<Request>> {
        let path = self.0.join(REQUEST);
        match fs::read(&path) {
            Ok(bytes) => parsed(&path, &bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io::Error::new(
                error.kind(),
                format!("cannot read {}: {error}", path.display()),
            )),
        }
    }

    /// What was asked of a run that was found.
    ///
    /// # Errors
    /// The file cannot be read or is not what podium writes.
    pub fn found_request(&self) -> io::Result<Option<Request>> {
        self.read(REQUEST)
    }

    /// Stores what is asked.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_request(&self, request: &Request) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        self.write(REQUEST, request)
    }

    /// When the run began.
    ///
    /// # Errors
    /// The file cannot be read or is not what podium writes.
    pub fn started(&self) -> io::Result<Option<Started>> {
        self.read("started.json")
    }

    /// Stores when the run began.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_started(&self, started: &Started) -> io::Result<()> {
        self.write("started.json", started)
    }

    /// How the run ended.
    ///
    /// # Errors
    /// The file cannot be read or is not what podium writes.
    pub fn ended(&self) -> io::Result<Option<Ended>> {
        self.read("exit.json")
    }

    /// Stores how the run ended.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_ended(&self, ended: &Ended) -> io::Result<()> {
        self.write("exit.json", ended)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let path = self.0.join(name);
        let Some(bytes) = regular_file::read_whole(&path, LONGEST_FILE_BYTES)? else {
            return Ok(None);
        };
        parsed(&path, &bytes).map(Some)
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        atomic_file::write(&self.0.join(name), &serde_json::to_vec_pretty(value)?)
    }
}

fn parsed<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} is not what podium writes: {error}", path.display()),
        )
    })
}
