//! Removes an object with what belongs to it: what runs is ended first, and nothing of it is taken for that of a later object of its name.

use super::owners::Owners;
use super::ports::LocalPorts;
use super::state::{StateDirectory, is_owned_by};
use crate::ports::{Object, PortError, Ports, Run, RunId, TrialRunner};
use crate::runs::process::ProcessRunner;
use kube::{Resource, ResourceExt};
use podium_api::{ChampionPolicy, Evaluation, Trial, TuningJob};
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
#[derive(Debug)]
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
    let root = Stored::of(plural, object);
    let stored = ports.cluster().readable_but(&[])?;
    let mut children = children_of(stored, vec![root.uid.clone()]);
    children.extend(damaged_trials_of(ports.cluster(), &root)?);
    let what = described(plural, &root.name);
    remove_all(ports, what, Some(root), children).await
}

/// Removes an object whose file cannot be read, and what belongs to it by its name.
///
/// # Errors
/// As [`remove`].
pub async fn remove_unreadable(
    ports: &LocalPorts,
    plural: &str,
    name: &str,
) -> Result<Removed, PortError> {
    let root = Stored {
        plural: plural.to_string(),
        name: name.to_string(),
        uid: String::new(),
    };
    let stored = ports.cluster().readable_but(&[])?;
    let uids = uids_of_owner(&stored, &root);
    let mut children = children_of(stored, uids);
    children.extend(damaged_trials_of(ports.cluster(), &root)?);
    let what = described(plural, name) + ", whose file could not be read,";
    remove_all(ports, what, Some(root), children).await
}

/// Removes searches, trials and comparisons whose owner is gone, as a garbage collector would: nobody goes on with them, and they take the
/// names of those of a new owner. What belongs to an owner that cannot be read stays.
///
/// # Errors
/// As [`remove`].
pub async fn remove_orphans(ports: &LocalPorts) -> Result<Option<Removed>, PortError> {
    let state = ports.cluster();
    let mut orphans = orphans_of::<TuningJob, ChampionPolicy>(state)?;
    if !orphans.is_empty() {
        let searches = orphans.iter().map(|search| search.uid.clone()).collect();
        orphans.extend(children_of(state.readable_but(&[])?, searches));
    }
    orphans.extend(orphans_of::<Trial, TuningJob>(state)?);
    orphans.extend(orphans_of::<Evaluation, ChampionPolicy>(state)?);
    if orphans.is_empty() {
        return Ok(None);
    }
    let what = "what belonged to objects that are gone".to_string();
    remove_all(ports, what, None, orphans).await.map(Some)
}

fn orphans_of<K: Object, Owner: Object>(state: &StateDirectory) -> Result<Vec<Stored>, PortError> {
    let there = Owners::of::<Owner>(state)?;
    let mut found = Vec::new();
    for object in state.shared_list::<K>()? {
        let owners = object.owner_references().iter();
        let owners: Vec<_> = owners
            .filter(|owner| owner.kind == Owner::kind(&()))
            .collect();
        if !owners.is_empty() && !owners.into_iter().any(|owner| there.have(owner)) {
            found.push(Stored {
                plural: K::plural(&()).into_owned(),
                name: object.name_any(),
                uid: object.uid().unwrap_or_default(),
            });
        }
    }
    Ok(found)
}

/// Removes an object, unless it is gone already, and what belongs to it.
async fn remove_all(
    ports: &LocalPorts,
    what: String,
    root: Option<Stored>,
    children: Vec<Stored>,
) -> Result<Removed, PortError> {
    let mut removed = Removed {
        what,
        ..Removed::default()
    };
    for child in &children {
        *removed.with.entry(child.plural.clone()).or_default() += 1;
    }
    let family: Vec<Stored> = root.into_iter().chain(children).collect();
    removed.ended = remove_runs(ports.runner(), &family).await?;
    // Children first, so that a removal that is cut short can be done again.
    for stored in family.iter().rev() {
        ports.cluster().remove_file(&stored.plural, &stored.name)?;
    }
    Ok(removed)
}

fn described(plural: &str, name: &str) -> String {
    format!("{}.{} \"{name}\"", singular_of(plural), podium_api::GROUP)
}

/// A kind's name in lower case, as its CRD has it.
fn singular_of(plural: &str) -> String {
    let crds = podium_api::crds();
    let crd = crds
        .iter()
        .find(|crd| text(crd, "/spec/names/plural") == plural);
    crd.map_or(plural, |crd| text(crd, "/spec/names/singular"))
        .to_string()
}

/// The uids by which others name an owner of this kind and name.
fn uids_of_owner(stored: &[(String, Value)], owner: &Stored) -> Vec<String> {
    let singular = singular_of(&owner.plural);
    let owners = stored.iter().flat_map(|(_, object)| {
        let owners = object.pointer("/metadata/ownerReferences");
        owners.and_then(Value::as_array).into_iter().flatten()
    });
    let of_name = owners.filter(|found| {
        text(found, "/name") == owner.name && text(found, "/kind").to_lowercase() == singular
    });
    let uids: BTreeSet<&str> = of_name.map(|found| text(found, "/uid")).collect();
    uids.into_iter().map(str::to_string).collect()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

/// What these owners have, and what that has in turn; each after its owner.
fn children_of(stored: Vec<(String, Value)>, mut owners: Vec<String>) -> Vec<Stored> {
    let mut others = stored;
    let mut children = Vec::new();
    while let Some(owner) = owners.pop() {
        let (owned, rest): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|(_, other)| is_owned_by(other, &owner));
        others = rest;
        for (plural, child) in owned {
            let child = Stored::of(&plural, &child);
            owners.push(child.uid.clone());
            children.push(child);
        }
    }
    children
}

/// The trials of a search that cannot be read, by their names.
fn damaged_trials_of(state: &StateDirectory, search: &Stored) -> Result<Vec<Stored>, PortError> {
    if search.plural != TuningJob::plural(&()) {
        return Ok(Vec::new());
    }
    let trials = Trial::plural(&()).into_owned();
    let mut damaged = state.unreadable_names(&trials)?;
    damaged.retain(|name| {
        let rest = name.strip_prefix(search.name.as_str());
        let index = rest.and_then(|rest| rest.strip_prefix('-'));
        index.is_some_and(|index| index.bytes().all(|b| b.is_ascii_digit()))
    });
    let stored = damaged.into_iter().map(|name| Stored {
        plural: trials.clone(),
        name,
        uid: String::new(),
    });
    Ok(stored.collect())
}

impl Stored {
    fn of(plural: &str, object: &Value) -> Self {
        Self {
            plural: plural.to_string(),
            name: text(object, "/metadata/name").to_string(),
            uid: text(object, "/metadata/uid").to_string(),
        }
    }
}

/// Ends and removes the runs of these objects; returns how many went on.
async fn remove_runs(runner: &ProcessRunner, family: &[Stored]) -> Result<usize, PortError> {
    let uids = family.iter().map(|stored| stored.uid.as_str());
    let uids: BTreeSet<&str> = uids.filter(|uid| !uid.is_empty()).collect();
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
                PortError::refused(format!("cannot remove {}: {error}", path.display()))
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
        // From here on nothing is known of it, so that another one of its name may be started.
        runner.observe(run).await?;
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
        Err(error) => Err(PortError::refused(format!(
            "cannot read {}: {error}",
            directory.display()
        ))),
    }
}
