//! What happens before the first pass of a run: the directory is locked, its manifests are admitted and stored.

use super::admission::{self, Cause};
use super::manifests::{self, Manifest, Manifests};
use super::owners;
use super::ports::LocalPorts;
use super::removal::{self, Removed};
use super::requests::{self, Requests};
use super::scope::Scope;
use super::session::{Session, SessionError};
use super::state::{StateDirectory, bump_resource_version, is_owned_by};
use super::state_root;
use crate::ports::{PortError, Ports};
use kube::ResourceExt;
use podium_api::TuningJob;
use podium_api::convert::{World, admissible};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// What became of the manifests of a directory and of what is stored of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intake {
    /// Manifests that were not taken in, each with its place and its problems.
    pub refused: Vec<String>,
    /// Stored objects that the run leaves alone, each with the reason and the way out.
    pub left_alone: Vec<String>,
    /// Objects that were removed: without a manifest, or without their owner.
    pub pruned: Vec<Removed>,
}

/// Plural and object.
type Admitted = (String, Value);

impl Session {
    /// Locks `directory`, admits its manifests and stores those that are admitted. Objects without a manifest are left alone, or
    /// removed when `prune` is set.
    ///
    /// # Errors
    /// See [`SessionError`]; nothing is stored when no manifest is admitted.
    pub async fn begin(
        directory: &Path,
        podium: PathBuf,
        prune: bool,
    ) -> Result<(Self, Intake), SessionError> {
        let found = manifests::read(directory)?;
        let lock = lock(directory)?;
        let ports = LocalPorts::new(directory, podium);
        let asked = Asked {
            found: &found,
            requests: &Requests::new(),
            prune,
            before: None,
        };
        let (intake, scope) = take_in(&ports, asked).await?;
        let session = Self::new(ports, scope, lock)?;
        Ok((session, intake))
    }
}

/// What is to be taken in.
pub(super) struct Asked<'a> {
    pub(super) found: &'a Manifests,
    pub(super) requests: &'a Requests,
    pub(super) prune: bool,
    /// What the run takes care of by now, if it goes on: whose manifest is not taken in goes on as it is stored.
    pub(super) before: Option<&'a Scope>,
}

/// Admits manifests, stores those that are admitted, with the requests that wait, and says what the run takes care of from here on.
///
/// # Errors
/// As [`Session::begin`].
pub(super) async fn take_in(
    ports: &LocalPorts,
    asked: Asked<'_>,
) -> Result<(Intake, Scope), SessionError> {
    let Asked {
        found,
        requests,
        prune,
        before,
    } = asked;
    let (directory, state) = (ports.directory(), ports.cluster());
    let mut intake = Intake::default();
    let mut admitted = admit_all(directory, found, state, &mut intake)?;
    requests::put_on(&mut admitted, requests);
    let now = jiff::Timestamp::now().to_string();
    for (plural, object) in &admitted {
        apply(state, plural, object, &now)?;
    }
    if let Some(orphans) = removal::remove_orphans(ports).await? {
        intake.pruned.push(orphans);
    }
    let mut uids = Vec::new();
    for (plural, object) in without_admitted_manifest(&admitted, state)? {
        let named = is_named_in(found, &object);
        // It may stand in a file that cannot be read.
        let may_be_meant = named || !found.unreadable.is_empty();
        let uid = text(&object, "/metadata/uid").unwrap_or_default();
        if prune && !may_be_meant {
            let removed = removal::remove(ports, &plural, &object).await?;
            intake.pruned.push(removed);
        } else if may_be_meant && before.is_some_and(|scope| scope.covers_uid(uid)) {
            intake.left_alone.push(goes_on(&object));
        } else {
            intake
                .left_alone
                .push(why_left_alone(directory, &object, named));
            uids.push(uid.to_string());
        }
    }
    if prune && !found.unreadable.is_empty() {
        let message = "nothing is pruned, since a manifest may stand in a file that cannot be read";
        intake.left_alone.push(message.to_string());
    }
    let searches = searches_of(state, &uids)?;
    Ok((intake, Scope::without(uids.into_iter().chain(searches))))
}

/// The searches of policies with these uids: what belongs to a search names the search alone.
fn searches_of(state: &StateDirectory, policies: &[String]) -> Result<Vec<String>, PortError> {
    let searches = state.shared_list::<TuningJob>()?;
    let owned = searches.iter().filter(|search| {
        let mut owners = search.owner_references().iter();
        owners.any(|owner| policies.contains(&owner.uid))
    });
    Ok(owned.filter_map(|search| search.uid()).collect())
}

/// The lock of the run that works on `directory`.
///
/// # Errors
/// Another run holds it, or the directory cannot be written.
pub fn lock(directory: &Path) -> Result<File, SessionError> {
    let root = state_root(directory);
    let path = root.join("lock");
    let unwritable = |path: &Path, error| SessionError::Unwritable {
        path: path.to_path_buf(),
        error,
    };
    fs::create_dir_all(&root).map_err(|error| unwritable(&root, error))?;
    let file = File::create(&path).map_err(|error| unwritable(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SessionError::Busy(directory.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(unwritable(&path, error)),
    }
}

/// Admits each manifest on its own; fails only when none is admitted.
fn admit_all(
    directory: &Path,
    found: &Manifests,
    state: &StateDirectory,
    intake: &mut Intake,
) -> Result<Vec<Admitted>, SessionError> {
    intake.refused.clone_from(&found.unreadable);
    let duplicates = manifests::duplicates(&found.manifests);
    for ((kind, name), places) in &duplicates {
        intake.refused.push(format!(
            "{}: {kind} \"{name}\" stands there {} times; each must have a name of its own, so none of them is taken in",
            places.join(" and "),
            places.len()
        ));
    }
    let mut admitted = Vec::new();
    for manifest in &found.manifests {
        if manifest
            .key()
            .is_some_and(|key| duplicates.contains_key(&key))
        {
            continue;
        }
        match admit_one(directory, &manifest.object, state) {
            Ok(object) => admitted.push(object),
            Err(causes) => {
                let what = manifest.described();
                let causes = causes.iter().map(|cause| format!("{what}: {cause}"));
                intake.refused.extend(causes);
            }
        }
    }
    if admitted.is_empty() {
        return Err(SessionError::Refused(intake.refused.clone()));
    }
    Ok(admitted)
}

fn admit_one(
    directory: &Path,
    object: &Value,
    state: &StateDirectory,
) -> Result<Admitted, Vec<Cause>> {
    let plural = plural_of(object).unwrap_or_default();
    let name = text(object, "/metadata/name").unwrap_or_default();
    let failed = |error: PortError| vec![Cause::whole(error.to_string())];
    // Whatever else is wrong with a name, it leads nowhere.
    let known = !plural.is_empty() && !name.is_empty() && !name.contains('/');
    let old = if known {
        state.read(&plural, name).map_err(failed)?
    } else {
        None
    };
    let owner = old.as_ref().map(|old| owners::policy_of(state, old));
    if let Some(owner) = owner.transpose().map_err(failed)?.flatten() {
        return Err(vec![Cause::whole(format!(
            "metadata.name: must be another one: the object of this name was made by the ChampionPolicy \"{owner}\""
        ))]);
    }
    let mut admitted = match admission::admit(object, old.as_ref()) {
        Ok(admitted) => admitted,
        Err(causes) => admitted_anew(state, directory, object, &plural, old.as_ref(), causes)?,
    };
    // An owner that a manifest names is one of the cluster that it was taken from.
    if let Some(metadata) = admitted.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("ownerReferences");
    }
    let problems = admissible(&admitted, World::Local);
    if problems.is_empty() {
        Ok((plural, admitted))
    } else {
        Err(problems.iter().map(Cause::from).collect())
    }
}

/// Takes in what only contradicts the stored object, unless something was made of that by now; `causes` is what stands against it.
fn admitted_anew(
    state: &StateDirectory,
    directory: &Path,
    object: &Value,
    plural: &str,
    old: Option<&Value>,
    mut causes: Vec<Cause>,
) -> Result<Value, Vec<Cause>> {
    let (Some(old), Ok(admitted)) = (old, admission::admit(object, None)) else {
        return Err(causes);
    };
    match what_ran(state, plural, old) {
        Ok(None) => Ok(admitted),
        Ok(Some(ran)) => {
            causes.push(way_out_of(directory, object, &ran));
            Err(causes)
        }
        Err(error) => Err(vec![Cause::whole(error.to_string())]),
    }
}

/// What was made of a stored object that its specification may not contradict; `None` while nothing was.
fn what_ran(
    state: &StateDirectory,
    plural: &str,
    stored: &Value,
) -> Result<Option<String>, PortError> {
    let uid = text(stored, "/metadata/uid").unwrap_or_default();
    let owned = |children: &str| -> Result<usize, PortError> {
        let children = state.list_values(children)?;
        Ok(children
            .iter()
            .filter(|child| is_owned_by(child, uid))
            .count())
    };
    let counted = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what} of it exists")),
        count => Some(format!("{count} {what}s of it exist")),
    };
    Ok(match plural {
        "tuningjobs" => counted(owned("trials")?, "trial"),
        "championpolicies" => {
            let epoch = stored.pointer("/status/epoch").and_then(Value::as_i64);
            let watches = epoch.is_some_and(|epoch| epoch > 0);
            let watches = watches.then(|| "it watches its alias".to_string());
            counted(owned("evaluations")?, "comparison").or(watches)
        }
        "modelregistries" => None,
        _ => Some("it is taken in".to_string()),
    })
}

fn way_out_of(directory: &Path, object: &Value, ran: &str) -> Cause {
    let kind = text(object, "/kind").unwrap_or_default().to_lowercase();
    let name = text(object, "/metadata/name").unwrap_or_default();
    Cause::whole(format!(
        "{ran} by now: undo the change, give the object another name, or remove it with `podium delete {kind} {name} -d {}`, after which the next run begins anew",
        directory.display()
    ))
}

/// Stored objects of which no manifest was admitted, and that belong to no other object.
fn without_admitted_manifest(
    admitted: &[Admitted],
    state: &StateDirectory,
) -> Result<Vec<Admitted>, PortError> {
    let name_of = |object: &Value| text(object, "/metadata/name").map(str::to_string);
    let taken: BTreeSet<(&str, Option<String>)> = admitted
        .iter()
        .map(|(plural, object)| (plural.as_str(), name_of(object)))
        .collect();
    // A trial has no manifest of its own, and there may be thousands. What cannot be read is told when the session looks at it.
    let mut left = state.readable_but(&["trials"])?;
    left.retain(|(plural, object)| {
        object.pointer("/metadata/ownerReferences").is_none()
            && !taken.contains(&(plural.as_str(), name_of(object)))
    });
    Ok(left)
}

fn goes_on(object: &Value) -> String {
    let kind = text(object, "/kind").unwrap_or_default();
    let name = text(object, "/metadata/name").unwrap_or_default();
    format!("{kind} \"{name}\" goes on as it is stored, since its manifest is not taken in")
}

fn why_left_alone(directory: &Path, object: &Value, named: bool) -> String {
    let kind = text(object, "/kind").unwrap_or_default();
    let name = text(object, "/metadata/name").unwrap_or_default();
    if named {
        return format!(
            "{kind} \"{name}\" is left alone as it is stored, since its manifest is not taken in"
        );
    }
    let directory = directory.display();
    format!(
        "{kind} \"{name}\" has no manifest any more and is left alone; `podium run {directory} --prune` or `podium delete {} {name} -d {directory}` removes it",
        kind.to_lowercase()
    )
}

fn is_named_in(found: &Manifests, object: &Value) -> bool {
    let key = Manifest {
        place: String::new(),
        object: object.clone(),
    }
    .key();
    key.is_some() && found.manifests.iter().any(|manifest| manifest.key() == key)
}

fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

fn plural_of(object: &Value) -> Option<String> {
    let crd = podium_api::crd_of(object.get("kind")?.as_str()?)?;
    let plural = crd.pointer("/spec/names/plural")?;
    plural.as_str().map(str::to_string)
}

/// Stores a manifest as `kubectl apply` would: a changed specification is a new generation.
fn apply(state: &StateDirectory, plural: &str, object: &Value, now: &str) -> Result<(), PortError> {
    let name = object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Some(mut stored) = state.read(plural, name)? else {
        return state.create_value(plural, object.clone(), now).map(drop);
    };
    let kept = |of: &Value, field: &str| of.pointer(&format!("/metadata/{field}")).cloned();
    let fields = ["labels", "annotations"];
    let same_metadata = fields
        .iter()
        .all(|field| kept(&stored, field) == kept(object, field));
    let same_spec = stored.get("spec") == object.get("spec");
    // Of an owner that is there no manifest is taken in for what it made.
    let had_owner = stored.pointer("/metadata/ownerReferences").is_some();
    if same_spec && same_metadata && !had_owner {
        return Ok(());
    }
    bump_resource_version(&mut stored);
    let generation = stored
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    if let Some(metadata) = stored.get_mut("metadata").and_then(Value::as_object_mut) {
        if !same_spec {
            metadata.insert("generation".into(), json!(generation + 1));
        }
        metadata.remove("ownerReferences");
        for field in fields {
            match kept(object, field) {
                Some(value) => drop(metadata.insert(field.into(), value)),
                None => drop(metadata.remove(field)),
            }
        }
    }
    if let (Some(map), Some(spec)) = (stored.as_object_mut(), object.get("spec")) {
        map.insert("spec".into(), spec.clone());
    }
    state.write(plural, &stored)
}
