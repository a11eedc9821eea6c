//! The object store beside a cluster, or alone: an S3 server whose objects are files of its directory.

use crate::parts::ready_program;
use crate::ports::free_port;
use crate::processes::{Processes, wait_until};
use crate::{TestbedError, at};
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

const NAME: &str = "versitygw";
/// It starts in a moment.
const SECONDS_TO_ANSWER: u64 = 60;

/// The bucket that it has from its start.
pub const BUCKET: &str = "podium";
/// The account that may do everything.
pub const ACCESS_KEY: &str = "podium";
/// What the account signs its requests with.
pub const SECRET_KEY: &str = "of-a-test-bed";
/// What its clients must name.
pub const REGION: &str = "us-east-1";

/// Makes the directories that the server needs below `directory`.
pub(crate) fn prepare(directory: &Path) -> Result<(), TestbedError> {
    for each in [directory.join("objects").join(BUCKET), facts(directory)] {
        at(&each, fs::create_dir_all(&each))?;
    }
    Ok(())
}

/// The command that serves on this port, with its data in `directory`.
pub(crate) fn command(program: &Path, directory: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--port", &format!("127.0.0.1:{port}"), "--quiet"])
        .args(["--health", "/health", "--region", REGION])
        .env("ROOT_ACCESS_KEY", ACCESS_KEY)
        .env("ROOT_SECRET_KEY", SECRET_KEY)
        .arg("posix")
        // Not every file system that has room for temporary files has attributes for them.
        .arg("--sidecar")
        .arg(facts(directory))
        .arg(directory.join("objects"));
    command
}

/// Where what is known of objects is kept.
fn facts(directory: &Path) -> std::path::PathBuf {
    directory.join("facts")
}

/// A server that ends with this.
#[derive(Debug)]
pub struct S3Server {
    processes: Processes,
    port: u16,
    scheme: &'static str,
}

impl S3Server {
    /// Starts one with its data in `directory`, which must be empty, and waits until it answers.
    ///
    /// # Errors
    /// It cannot be built, or does not answer.
    pub fn start(directory: &Path) -> Result<Self, TestbedError> {
        Self::serve(directory, None)
    }

    /// The same behind TLS, with the certificate `server.crt` and the key `server.key` of another directory.
    ///
    /// # Errors
    /// It cannot be built, or does not answer.
    pub fn start_with_certificate(
        directory: &Path,
        certificates: &Path,
    ) -> Result<Self, TestbedError> {
        Self::serve(directory, Some(certificates))
    }

    fn serve(directory: &Path, certificates: Option<&Path>) -> Result<Self, TestbedError> {
        let program = ready_program(NAME)?;
        prepare(directory)?;
        let server = Self {
            processes: Processes::in_directory(directory)?,
            port: free_port()?,
            scheme: if certificates.is_some() {
                "https"
            } else {
                "http"
            },
        };
        let mut command = command(&program, directory, server.port);
        if let Some(certificates) = certificates {
            command
                .env("VGW_CERT", certificates.join("server.crt"))
                .env("VGW_KEY", certificates.join("server.key"));
        }
        server.processes.start(NAME, command)?;
        let log = server.processes.log(NAME);
        // Its health is told in TLS too.
        let answers = || TcpStream::connect(("127.0.0.1", server.port)).is_ok();
        wait_until("versitygw answers", SECONDS_TO_ANSWER, &log, answers)?;
        Ok(server)
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.processes.kill(NAME);
    }
}
