//! Runs one program to its end and writes down how it ended, whatever becomes of podium itself.
//!
//! It is a process of its own (`podium supervise`), in a process group of its own: when `podium run` is
//! killed, its trials go on, and the next `podium run` finds their ends.

use super::run_directory::{Ended, HowEnded, Request, RunDirectory, Started};
use crate::adapters::clock::SystemClock;
use crate::ports::Clock;
use crate::signals::shutdown_signal;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// Supervises the run in `directory`. The caller holds its lock, inherited as standard input.
///
/// # Errors
/// The files of the run cannot be read or written.
pub async fn supervise(directory: &RunDirectory) -> io::Result<()> {
    // Before anybody can know of this process, and before the program that must not outlive it.
    let shutdown_signal = shutdown_signal()?;
    let Some(request) = directory.request()? else {
        let message = format!("{} holds no request.json", directory.path().display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    };
    if directory.ended()?.is_some() {
        return Ok(());
    }
    let supervisor = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    directory.write_started(&Started {
        time: SystemClock.now().0,
        supervisor,
    })?;
    let how = run_until_it_succeeds(directory, &request, shutdown_signal).await?;
    directory.write_ended(&Ended {
        time: SystemClock.now().0,
        how,
    })
}

/// Runs the program, and again as often as is asked while it fails by itself; the last end counts.
async fn run_until_it_succeeds(
    directory: &RunDirectory,
    request: &Request,
    shutdown_signal: impl Future<Output = ()>,
) -> io::Result<HowEnded> {
    let deadline = async {
        match request.deadline_seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(deadline, shutdown_signal);
    let grace = request.grace();
    let log = File::create(directory.log())?;
    let mut left = request.retries;
    loop {
        let how = match spawn(directory, request, &log) {
            Ok(child) => wait(child, &mut deadline, &mut shutdown_signal, grace).await?,
            Err(error) => return Ok(HowEnded::CannotStart(cannot_start(request, &error))),
        };
        let failed = match how {
            HowEnded::Code(code) => code != 0,
            HowEnded::Signal(_) => true,
            HowEnded::Deadline | HowEnded::Stopped | HowEnded::CannotStart(_) => false,
        };
        if !failed || left == 0 {
            return Ok(how);
        }
        left -= 1;
        // What a failed start reported is not the next one's.
        remove_whatever(&directory.termination_message())?;
    }
}

/// Removes what a program left at a path, which need not be a file.
fn remove_whatever(path: &Path) -> io::Result<()> {
    let removed = match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => fs::remove_dir_all(path),
        removed => removed,
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn spawn(directory: &RunDirectory, request: &Request, log: &File) -> io::Result<Child> {
    let (program, arguments) = request
        .command
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"))?;
    Command::new(program)
        .args(arguments)
        .envs(&request.environment)
        .env(
            "PODIUM_TERMINATION_MESSAGE_PATH",
            directory.termination_message(),
        )
        .current_dir(&request.working_directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .process_group(0)
        .spawn()
}

fn cannot_start(request: &Request, error: &io::Error) -> String {
    let program = request.command.first().map_or("", String::as_str);
    if !request.working_directory.is_dir() {
        return format!(
            "its working directory {} does not exist",
            request.working_directory.display()
        );
    }
    format!("the program `{program}` could not be started: {error}")
}

async fn wait(
    mut child: Child,
    deadline: impl Future<Output = ()>,
    shutdown_signal: impl Future<Output = ()>,
    grace: Duration,
) -> io::Result<HowEnded> {
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    let early = tokio::select! {
        status = child.wait() => {
            end_group(group, Signal::KILL);
            return status.map(how_ended);
        }
        () = deadline => HowEnded::Deadline,
        () = shutdown_signal => HowEnded::Stopped,
    };
    end_group(group, Signal::TERM);
    if tokio::time::timeout(grace, child.wait()).await.is_err() {
        end_group(group, Signal::KILL);
        child.wait().await?;
    }
    // What the program left behind in its group ends with it, as in a container.
    end_group(group, Signal::KILL);
    Ok(early)
}

/// A group that is gone already is what is wanted.
fn end_group(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        let _ = kill_process_group(group, signal);
    }
}

fn how_ended(status: ExitStatus) -> HowEnded {
    match (status.code(), status.signal()) {
        (Some(code), _) => HowEnded::Code(code),
        (None, Some(signal)) => HowEnded::Signal(signal),
        (None, None) => HowEnded::Code(-1),
    }
}
