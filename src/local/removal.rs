//! Removes an object with what belongs to it: what runs is ended first, and nothing of it is taken for that of a later object of its name.

use super::ports::LocalPorts;
use super::state::{StateDirectory, is_owned_by};
use crate::ports::{PortError, Ports, RunId, TrialRunner};
use crate::trials::process::ProcessRunner;
use podium_core::tuning::trial::Run;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    what: String,
    /// Objects that belonged to it, by plural.
    with: BTreeMap<String, usize>,
    /// Runs that went on and were ended.
    ended: usize,
}

impl fmt::Display for Removed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} deleted", self.what)?;
        let counted: Vec<String> = self
            .with
            .iter()
            .map(|(plural, count)| match (count, plural.strip_suffix('s')) {
                (1, Some(singular)) => format!("1 {singular}"),
                _ => format!("{count} {plural}"),
            })
            .collect();
        if !counted.is_empty() {
            write!(formatter, ", with {}", counted.join(", "))?;
        }
        match self.ended {
            0 => Ok(()),
            1 => formatter.write_str("; 1 run of it was ended first"),
            ended => write!(formatter, "; {ended} runs of it were ended first"),
        }
    }
}

/// A stored object.
struct Stored {
    plural: String,
    name: String,
    uid: String,
}

/// Removes an object and what belongs to it. Versions that it registered and files that its runs wrote are left alone.
///
/// # Errors
/// A run cannot be ended or a file cannot be removed; what is left can be removed again.
pub async fn remove(
    ports: &LocalPorts,
    plural: &str,
    object: &Value,
) -> Result<Removed, PortError> {
    let state = ports.cluster();
    let family = family_of(state, plural, object)?;
    let mut removed = Removed {
        what: described(plural, object),
        ..Removed::default()
    };
    removed.ended = remove_runs(ports.runner(), &family).await?;
    // Children first, so that a removal that is cut short can be done again.
    for stored in family.iter().rev() {
        state.remove_file(&stored.plural, &stored.name)?;
    }
    for child in family.iter().skip(1) {
        *removed.with.entry(child.plural.clone()).or_default() += 1;
    }
    Ok(removed)
}

fn described(plural: &str, object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind").map_or_else(|| plural.to_string(), str::to_lowercase);
    let name = text("/metadata/name").unwrap_or_default();
    format!("{kind}.{} \"{name}\"", podium_api::GROUP)
}

/// The object, then what it owns, then what that owns.
fn family_of(
    state: &StateDirectory,
    plural: &str,
    object: &Value,
) -> Result<Vec<Stored>, PortError> {
    let mut others = state.everything()?;
    let mut family = vec![Stored::of(plural, object)];
    let mut next = 0;
    while let Some(owner) = family.get(next).map(|owner| owner.uid.clone()) {
        let (owned, rest) = others
            .into_iter()
            .partition(|(_, other)| is_owned_by(other, &owner));
        others = rest;
        let owned: Vec<(String, Value)> = owned;
        family.extend(
            owned
                .iter()
                .map(|(plural, child)| Stored::of(plural, child)),
        );
        next += 1;
    }
    Ok(family)
}

impl Stored {
    fn of(plural: &str, object: &Value) -> Self {
        let text = |pointer| {
            let text = object.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_string()
        };
        Self {
            plural: plural.to_string(),
            name: text("/metadata/name"),
            uid: text("/metadata/uid"),
        }
    }
}

/// Ends and removes the runs of these objects; returns how many went on.
async fn remove_runs(runner: &ProcessRunner, family: &[Stored]) -> Result<usize, PortError> {
    let uids: BTreeSet<&str> = family.iter().map(|stored| stored.uid.as_str()).collect();
    let trials = family.iter().filter(|stored| stored.plural == "trials");
    let trials: BTreeSet<&str> = trials.map(|stored| stored.name.as_str()).collect();
    let mut ended = 0;
    for name in names_in(runner.runs())? {
        let mut belongs = trials.contains(name.as_str());
        let attempts = names_in(&runner.runs().join(&name))?;
        let attempts: Vec<u32> = attempts
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        for attempt in &attempts {
            let request = runner.directory(&name, *attempt).found_request();
            let owner = request.ok().flatten().and_then(|request| request.owner);
            belongs |= owner.is_some_and(|owner| uids.contains(owner.as_str()));
        }
        if belongs {
            for attempt in attempts {
                ended += usize::from(end(runner, &name, attempt).await?);
            }
            let path = runner.runs().join(&name);
            fs::remove_dir_all(&path).map_err(|error| {
                PortError::Permanent(format!("cannot remove {}: {error}", path.display()))
            })?;
        }
    }
    Ok(ended)
}

/// Ends a run; whether it went on.
async fn end(runner: &ProcessRunner, name: &str, attempt: u32) -> Result<bool, PortError> {
    let run = RunId {
        name,
        attempt,
        owner: None,
    };
    let goes_on = matches!(
        runner.observe(run).await?,
        Run::Running { .. } | Run::Queued { .. }
    );
    if goes_on {
        runner.stop(run).await?;
    }
    Ok(goes_on)
}

fn names_in(directory: &Path) -> Result<Vec<String>, PortError> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(entries
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(PortError::Permanent(format!(
            "cannot read {}: {error}",
            directory.display()
        ))),
    }
}
