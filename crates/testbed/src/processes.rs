//! Processes that are started, remembered across restarts of the test bed, and ended without ever ending a stranger.

use crate::{TestbedError, at};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A started process, named by its id and the moment it began, since ids are used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// What it is, such as `etcd`.
    pub name: String,
    /// Its id, which is also its group's.
    pub id: i32,
    /// When it began, in ticks since the machine did.
    began: u64,
}

/// The processes of one test bed; their list is a file, so that a later test bed can clean up.
#[derive(Debug)]
pub struct Processes {
    directory: PathBuf,
    started: Vec<Process>,
}

impl Processes {
    /// The processes remembered in `directory`, if any.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn in_directory(directory: &Path) -> Result<Self, TestbedError> {
        let logs = directory.join("logs");
        at(&logs, fs::create_dir_all(&logs))?;
        let list = fs::read_to_string(directory.join("processes.json")).unwrap_or_default();
        Ok(Self {
            directory: directory.to_path_buf(),
            started: serde_json::from_str(&list).unwrap_or_default(),
        })
    }

    /// Starts a program in a group of its own, with its output in `logs/NAME`.
    ///
    /// # Errors
    /// It cannot be started or remembered.
    pub fn start(&mut self, name: &str, mut command: Command) -> Result<(), TestbedError> {
        let log_path = self.log(name);
        let log = at(&log_path, File::create(&log_path))?;
        let errors = at(&log_path, log.try_clone())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(|error| TestbedError::Program {
                what: format!("starting {name}"),
                output: error.to_string(),
            })?;
        let id = i32::try_from(child.id()).unwrap_or(i32::MAX);
        self.started.push(Process {
            name: name.to_string(),
            id,
            began: began(id).unwrap_or(0),
        });
        self.remember()
    }

    /// The log of a process.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.directory.join("logs").join(name)
    }

    /// The process of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Process> {
        self.started
            .iter()
            .rev()
            .find(|process| process.name == name)
    }

    /// Ends the process of that name: asks, waits, then forces.
    ///
    /// # Errors
    /// The list cannot be written.
    pub fn end(&mut self, name: &str) -> Result<(), TestbedError> {
        for process in self.started.iter().filter(|process| process.name == name) {
            process.end();
        }
        self.started.retain(|process| process.name != name);
        self.remember()
    }

    fn remember(&self) -> Result<(), TestbedError> {
        let path = self.directory.join("processes.json");
        let list = serde_json::to_string(&self.started).unwrap_or_default();
        at(&path, fs::write(&path, list))
    }
}

impl Process {
    /// Whether it runs and is not a stranger with its id.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        began(self.id) == Some(self.began)
    }

    fn end(&self) {
        let Some(id) = Pid::from_raw(self.id) else {
            return;
        };
        if !self.is_alive() {
            return;
        }
        let _ = kill_process(id, Signal::TERM);
        let patience = Instant::now() + Duration::from_secs(10);
        while self.is_alive() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = kill_process_group(id, Signal::KILL);
        while self.is_alive() && Instant::now() < patience + Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// When the process began, in ticks; nothing for one that is gone or only waits to be collected.
fn began(id: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if fields.first() == Some(&"Z") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// Waits until `holds`, and says with the end of a log what did not come about.
///
/// # Errors
/// It did not hold in `seconds`.
pub fn wait_until(
    what: &str,
    seconds: u64,
    log: &Path,
    mut holds: impl FnMut() -> bool,
) -> Result<(), TestbedError> {
    let patience = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        if Instant::now() > patience {
            let text = fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            return Err(TestbedError::TooLate {
                what: what.to_string(),
                seconds,
                log: lines[lines.len().saturating_sub(20)..].join("\n"),
            });
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
