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

/// The processes of one test bed. Their list is a file and nothing else, since several programs may start and end processes of a test bed.
#[derive(Debug)]
pub struct Processes {
    directory: PathBuf,
}

impl Processes {
    /// The processes remembered in `directory`, if any.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn in_directory(directory: &Path) -> Result<Self, TestbedError> {
        let logs = directory.join("logs");
        at(&logs, fs::create_dir_all(&logs))?;
        Ok(Self {
            directory: directory.to_path_buf(),
        })
    }

    /// Starts a program in a group of its own, with its output at the end of `logs/NAME`.
    ///
    /// # Errors
    /// One of that name runs, or it cannot be started or remembered.
    pub fn start(&self, name: &str, mut command: Command) -> Result<(), TestbedError> {
        if self.runs(name) {
            return Err(TestbedError::Needs(format!(
                "{name} to be stopped before it is started"
            )));
        }
        let log_path = self.log(name);
        let log = File::options().create(true).append(true).open(&log_path);
        let log = at(&log_path, log)?;
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
        let process = Process {
            name: name.to_string(),
            id,
            began: began(id).unwrap_or(0),
        };
        self.change(|list| {
            list.retain(|other| other.name != name);
            list.push(process);
        })
    }

    /// The log of a process.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.directory.join("logs").join(name)
    }

    /// The process of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Process> {
        self.list().into_iter().find(|process| process.name == name)
    }

    /// Whether the process of that name is there and has not ended.
    #[must_use]
    pub fn runs(&self, name: &str) -> bool {
        self.get(name).is_some_and(|process| process.is_alive())
    }

    /// Ends the process of that name, if there is one: asks, waits, then forces.
    ///
    /// # Errors
    /// The list cannot be written.
    pub fn end(&self, name: &str) -> Result<(), TestbedError> {
        self.end_by(name, Process::end)
    }

    /// Kills the process of that name, if there is one, without asking.
    ///
    /// # Errors
    /// The list cannot be written.
    pub fn kill(&self, name: &str) -> Result<(), TestbedError> {
        self.end_by(name, Process::kill)
    }

    /// Kills the process of that name, also one whose starter was killed before it could remember it: what has `words` one after the
    /// other in its command line. They name the test bed's directory, so that it is no stranger.
    ///
    /// # Errors
    /// The list cannot be written.
    pub(crate) fn kill_surely(&self, name: &str, words: &[&str]) -> Result<(), TestbedError> {
        self.kill(name)?;
        kill_by_command_line(words);
        Ok(())
    }

    fn end_by(&self, name: &str, end: fn(&Process)) -> Result<(), TestbedError> {
        let Some(process) = self.get(name) else {
            return Ok(());
        };
        end(&process);
        self.change(|list| list.retain(|other| *other != process))
    }

    fn list(&self) -> Vec<Process> {
        let list = fs::read_to_string(self.path()).unwrap_or_default();
        serde_json::from_str(&list).unwrap_or_default()
    }

    fn path(&self) -> PathBuf {
        self.directory.join("processes.json")
    }

    /// Changes the list, one program after the other; who reads it meanwhile sees the old or the new one.
    fn change(&self, change: impl FnOnce(&mut Vec<Process>)) -> Result<(), TestbedError> {
        let lock_path = self.directory.join("processes.lock");
        let lock = at(&lock_path, File::create(&lock_path))?;
        at(&lock_path, lock.lock())?;
        let mut list = self.list();
        change(&mut list);
        let unfinished = self.directory.join("processes.unfinished");
        let text = serde_json::to_string(&list).unwrap_or_default();
        at(&unfinished, fs::write(&unfinished, text))?;
        at(&unfinished, fs::rename(&unfinished, self.path()))
    }
}

impl Process {
    /// Whether it runs and is not a stranger with its id.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        began(self.id) == Some(self.began)
    }

    fn end(&self) {
        if let Some(id) = Pid::from_raw(self.id).filter(|_| self.is_alive()) {
            let _ = kill_process(id, Signal::TERM);
            self.wait(Duration::from_secs(10));
            // What it started and did not end is in its group still.
            let _ = kill_process_group(id, Signal::KILL);
            self.wait(Duration::from_secs(5));
        }
    }

    fn kill(&self) {
        if let Some(id) = Pid::from_raw(self.id).filter(|_| self.is_alive()) {
            let _ = kill_process_group(id, Signal::KILL);
            self.wait(Duration::from_secs(5));
        }
    }

    fn wait(&self, patience: Duration) {
        let until = Instant::now() + patience;
        while self.is_alive() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Kills every process whose command line has these words one after the other, and waits until they are gone. For processes that no
/// list holds, since the test bed did not start them itself; the words name the test bed's directory, so they are no strangers.
pub(crate) fn kill_by_command_line(words: &[&str]) {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let found: Vec<Process> = entries
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            let line: Vec<&str> = line.split('\0').collect();
            let fits = line.windows(words.len()).any(|part| part == words);
            fits.then(|| began(id).map(|began| (id, began)))?
        })
        .map(|(id, began)| Process {
            name: String::new(),
            id,
            began,
        })
        .collect();
    found.iter().for_each(Process::kill);
}

/// When the process began, in ticks; nothing for one that is gone or only waits to be collected. Its first thread may wait for that while
/// others still end and hold its ports.
fn began(id: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let threads: usize = fields.get(17)?.parse().ok()?;
    if fields.first() == Some(&"Z") && threads < 2 {
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
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
