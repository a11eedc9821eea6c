//! The object store beside a cluster: an S3 server whose objects are files of its directory.

use crate::{TestbedError, at};
use std::fs;
use std::path::Path;
use std::process::Command;

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
