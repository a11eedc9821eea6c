//! `podium delete`: objects of a local run, with what belongs to them.

use super::Failure;
use super::get::{crd_of, state_in, text};
use super::run::runtime;
use crate::local::intake::lock;
use crate::local::ports::LocalPorts;
use crate::local::removal;
use clap::Args;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

/// Remove objects of a local run, each with what belongs to it.
///
/// Trials that run are ended first. A search goes with its trials and their logs, a policy with its comparisons. What trials wrote
/// elsewhere and what was registered stays. An object whose manifest still stands in the directory is made anew by the next run.
///
/// Examples:
///   podium delete tuningjob fraud-forest -d examples/fraud
///   podium delete tj old-search older-search -d examples/fraud
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// tuningjobs, trials, championpolicies, evaluations, modelregistries or approvals; also singular and short names.
    #[arg(value_name = "KIND")]
    kind: String,
    /// Which objects.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// The directory that `podium run` was given.
    #[arg(long, short, default_value = ".")]
    directory: PathBuf,
}

pub(super) fn delete(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let plural = text(&crd_of(&arguments.kind)?, "/spec/names/plural");
    let state = state_in(&arguments.directory)?;
    let directory = std::path::absolute(&arguments.directory)?;
    let _lock = lock(&directory)?;
    let names: BTreeSet<&String> = arguments.names.iter().collect();
    let mut objects = Vec::new();
    for name in names {
        // One that cannot be read is removed by its name.
        let found = state.read(&plural, name).unwrap_or(Some(Value::Null));
        objects.push((
            name,
            found.ok_or_else(|| format!("{plural} \"{name}\" not found"))?,
        ));
    }
    let ports = LocalPorts::new(&directory, std::env::current_exe()?);
    runtime()?.block_on(async {
        for (name, object) in &objects {
            let removed = match object {
                Value::Null => removal::remove_unreadable(&ports, &plural, name).await,
                object => removal::remove(&ports, &plural, object).await,
            };
            println!("{}", removed?);
        }
        Ok(ExitCode::SUCCESS)
    })
}
