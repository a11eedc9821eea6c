//! Removes an object with what belongs to it: what runs is ended first, and nothing of it is taken for that of a later object of its name.

use super::ports::LocalPorts;
use super::state::{StateDirectory, is_owned_by};
use crate::ports::{Object, PortError, Ports, RunId, TrialRunner};
use crate::trials::process::ProcessRunner;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use podium_api::{ChampionPolicy, Evaluation, Trial, TuningJob};
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
#[derive(Debug, Default)]
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
    let family = family_of(ports.cluster(), Stored::of(plural, object))?;
    remove_family(
        ports,
        described(plural, text(object, "/metadata/name")),
        &family,
    )
    .await
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
    let uids = uids_of_owner(ports.cluster(), plural, name)?;
    let mut family = Vec::new();
    for uid in uids.into_iter().chain([String::new()]) {
        let root = Stored {
            plural: plural.to_string(),
            name: name.to_string(),
            uid,
        };
        let found = family_of(ports.cluster(), root)?;
        let further = usize::from(!family.is_empty());
        family.extend(found.into_iter().skip(further));
    }
    let what = described(plural, name) + ", whose file could not be read,";
    remove_family(ports, what, &family).await
}

/// Removes trials and comparisons whose owner is gone, as a garbage collector would: nobody goes on with them, and they take the names of
/// those of a new owner. What belongs to an owner that cannot be read stays.
///
/// # Errors
/// As [`remove`].
pub async fn remove_orphans(ports: &LocalPorts) -> Result<Option<Removed>, PortError> {
    let state = ports.cluster();
    let mut orphans = orphans_of::<Trial, TuningJob>(state)?;
    orphans.extend(orphans_of::<Evaluation, ChampionPolicy>(state)?);
    if orphans.is_empty() {
        return Ok(None);
    }
    let root = Stored::default();
    let family: Vec<Stored> = std::iter::once(root).chain(orphans).collect();
    let what = "what belonged to objects that are gone".to_string();
    remove_family(ports, what, &family).await.map(Some)
}

fn orphans_of<K: Object, Owner: Object>(state: &StateDirectory) -> Result<Vec<Stored>, PortError> {
    let owners = state.shared_list::<Owner>()?;
    let uids: BTreeSet<String> = owners.iter().filter_map(|owner| owner.uid()).collect();
    let unreadable = state.unreadable::<Owner>()?;
    let unreadable: BTreeSet<&str> = unreadable.iter().map(|(name, _)| name.as_str()).collect();
    let is_there = |owner: &OwnerReference| {
        uids.contains(&owner.uid) || unreadable.contains(owner.name.as_str())
    };
    let mut found = Vec::new();
    for object in state.shared_list::<K>()? {
        let owners = object.owner_references();
        if !owners.is_empty() && !owners.iter().any(is_there) {
            found.push(Stored {
                plural: K::plural(&()).into_owned(),
                name: object.name_any(),
                uid: object.uid().unwrap_or_default(),
            });
        }
    }
    Ok(found)
}

/// The first of the family is what is described, the others belong to it.
async fn remove_family(
    ports: &LocalPorts,
    what: String,
    family: &[Stored],
) -> Result<Removed, PortError> {
    let mut removed = Removed {
        what,
        ..Removed::default()
    };
    removed.ended = remove_runs(ports.runner(), family).await?;
    // Children first, so that a removal that is cut short can be done again.
    for stored in family.iter().rev().filter(|stored| !stored.name.is_empty()) {
        ports.cluster().remove_file(&stored.plural, &stored.name)?;
    }
    for child in family.iter().skip(1) {
        *removed.with.entry(child.plural.clone()).or_default() += 1;
    }
    Ok(removed)
}

fn described(plural: &str, name: &str) -> String {
    let kind = plural.strip_suffix("ies").map(|stem| format!("{stem}y"));
    let kind = kind.or_else(|| plural.strip_suffix('s').map(str::to_string));
    let kind = kind.unwrap_or_else(|| plural.to_string());
    format!("{kind}.{} \"{name}\"", podium_api::GROUP)
}

/// The uids by which others name the owner of that kind and name.
fn uids_of_owner(
    state: &StateDirectory,
    plural: &str,
    name: &str,
) -> Result<BTreeSet<String>, PortError> {
    let owners = state
        .readable_but(&[])?
        .into_iter()
        .flat_map(|(_, object)| {
            let owners = object.pointer("/metadata/ownerReferences").cloned();
            owners
                .as_ref()
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        });
    let of_name = owners.filter(|owner| {
        let kind = text(owner, "/kind").to_lowercase();
        text(owner, "/name") == name && described(plural, "").starts_with(&format!("{kind}."))
    });
    Ok(of_name
        .map(|owner| text(&owner, "/uid").to_string())
        .collect())
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

/// The object, then what it owns, then what that owns.
fn family_of(state: &StateDirectory, root: Stored) -> Result<Vec<Stored>, PortError> {
    let mut others = state.readable_but(&[])?;
    let damaged = damaged_trials_of(state, &root)?;
    let mut family = vec![root];
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
    family.extend(damaged);
    Ok(family)
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
