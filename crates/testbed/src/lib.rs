//! A one-node Kubernetes on 127.0.0.1: etcd, API server, controller manager, scheduler, containerd and kubelet, all built from source
//! and cached, started as processes of this machine, and ended with everything they started. Or no more of it than an API server.

pub mod cluster;
pub mod component;
mod control_plane;
mod directory;
pub mod extent;
pub mod image;
pub mod kubeconfig;
pub mod mlflow;
pub mod node;
mod outside;
pub mod parts;
pub mod pki;
pub mod ports;
pub mod processes;
pub mod python;
pub mod s3;

use std::path::{Path, PathBuf};

/// Why the test bed cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A program could not be run or ended badly.
    #[error("{what} failed: {output}")]
    Program {
        /// What it was to do.
        what: String,
        /// What it said.
        output: String,
    },
    /// Something did not come about in time.
    #[error("waited {seconds} s in vain until {what}; the log ends with:\n{log}")]
    TooLate {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
        /// The end of the log of the program that was to bring it about.
        log: String,
    },
    /// Certificates cannot be made.
    #[error("certificates cannot be made: {0}")]
    Certificates(#[from] rcgen::Error),
    /// What the test bed needs of the machine.
    #[error("the test bed needs {0}")]
    Needs(String),
}

/// Names the file in an error.
pub(crate) fn at<T>(path: &Path, result: std::io::Result<T>) -> Result<T, TestbedError> {
    result.map_err(|error| TestbedError::File {
        path: path.to_path_buf(),
        error,
    })
}
