//! `podium history` and `podium rollback`.

use super::Failure;
use super::progress::table;
use super::run::runtime;
use crate::local::ports::LocalPorts;
use crate::local::state::StateDirectory;
use crate::local::state_root;
use crate::ports::{ModelRegistry as _, Ports};
use clap::Args;
use podium_api::champion_policy::{ChampionPolicySpec, ChampionPolicyStatus, HistoryStatus};
use podium_api::{ChampionPolicy, ModelRegistry};
use podium_core::champion::words;
use std::path::PathBuf;
use std::process::ExitCode;

/// A policy of a directory.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Name of the ChampionPolicy.
    #[arg(value_name = "POLICY")]
    pub(super) policy: String,
    /// The directory with the manifests.
    #[arg(long, short, default_value = ".")]
    pub(super) directory: PathBuf,
}

/// Show every change of a champion, newest first: when, why, by whom, and what became of it.
///
/// Example:
///   podium history fraud -d examples/fraud
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct History {
    #[command(flatten)]
    place: Place,
}

/// Print the `pin` that brings an earlier champion back, and what it will do.
///
/// The manifest is its owner's file, so nothing is changed: add what is printed and run again.
///
/// Example:
///   podium rollback fraud --reason "too many alerts" -d examples/fraud
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Rollback {
    #[command(flatten)]
    place: Place,
    /// The version to go back to; the last champion that was not refused when absent.
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Why, for the history.
    #[arg(long)]
    reason: String,
}

/// The policy as the last run left it.
pub(super) fn policy_in(place: &Place) -> Result<ChampionPolicy, Failure> {
    let state = StateDirectory::new(state_root(&place.directory).join("state"));
    let found = state
        .read("championpolicies", &place.policy)?
        .ok_or_else(|| {
            format!(
                "there is no ChampionPolicy `{}` in {}; `podium run {}` must have seen it once",
                place.policy,
                place.directory.display(),
                place.directory.display()
            )
        })?;
    Ok(serde_json::from_value(found)?)
}

pub(super) fn history(arguments: &History) -> Result<ExitCode, Failure> {
    let status = policy_in(&arguments.place)?.status.unwrap_or_default();
    let mut lines = table(&[
        "EPOCH",
        "TIME",
        "CAUSE",
        "OUTCOME",
        "FROM",
        "TO",
        "WHAT HAPPENED",
    ]);
    for entry in &status.history {
        lines.add_row(row(entry));
    }
    println!("{lines}");
    for refused in &status.refused {
        println!(
            "refused: {} by {} in epoch {}",
            words::version(&refused.version),
            refused.by,
            refused.epoch
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn row(entry: &HistoryStatus) -> Vec<String> {
    let version = |of: &Option<String>| {
        of.as_deref()
            .map_or_else(|| "-".to_string(), words::version)
    };
    vec![
        entry.epoch.to_string(),
        entry.time.0.to_string(),
        entry.cause.clone(),
        entry.outcome.clone(),
        version(&entry.from),
        version(&entry.to),
        entry.sentence.clone(),
    ]
}

pub(super) fn rollback(arguments: &Rollback) -> Result<ExitCode, Failure> {
    let policy = policy_in(&arguments.place)?;
    let status = policy.status.unwrap_or_default();
    let current = status
        .champion
        .as_ref()
        .map(|champion| champion.version.clone());
    let versions = versions_of(&arguments.place, &policy.spec)?;
    let target = target(arguments, &status, current.as_deref(), &versions)?;
    if arguments.reason.trim().is_empty() {
        return Err("--reason must say why".into());
    }
    let pin = serde_json::json!({"spec": {"pin": {"version": target, "reason": arguments.reason}}});
    let (name, directory) = (&arguments.place.policy, arguments.place.directory.display());
    println!("Add this to the ChampionPolicy `{name}`, and call `podium run {directory}`:\n");
    println!("{}", serde_saphyr::to_string(&pin)?);
    let to = words::version(&target);
    match &current {
        Some(current) => println!(
            "It makes {to} champion of {} in place of {from}, also when the policy is suspended or held. {from} is then refused: it is \
             not proposed again on the holdout that it won on, also when the pin is removed, unless `spec.reconsider` names it.",
            policy.spec.model,
            from = words::version(current),
        ),
        None => println!(
            "It makes {to} champion of {}, which has none now.",
            policy.spec.model
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// The versions of the policy's model in its registry.
fn versions_of(place: &Place, spec: &ChampionPolicySpec) -> Result<Vec<String>, Failure> {
    let directory = std::path::absolute(&place.directory)?;
    let ports = LocalPorts::new(&directory, std::env::current_exe()?);
    let name = &spec.registry_ref.name;
    let registry = ports.cluster().shared::<ModelRegistry>(name)?;
    let registry = registry.ok_or_else(|| format!("there is no ModelRegistry `{name}`"))?;
    let registry = ports.registry(&registry.spec)?;
    let view = runtime()?.block_on(registry.view(&spec.model))?;
    let view = view.ok_or_else(|| format!("the registered model {} does not exist", spec.model))?;
    Ok(view.versions.into_keys().collect())
}

/// The version to go back to, as the registry calls it.
fn target(
    arguments: &Rollback,
    status: &ChampionPolicyStatus,
    current: Option<&str>,
    versions: &[String],
) -> Result<String, Failure> {
    let wanted = arguments.to.clone().or_else(|| status.previous.clone());
    let wanted = wanted
        .ok_or("no earlier champion is on record that was not refused; name one with --to")?;
    // `v2` is how version 2 is shown.
    let is_meant = |version: &&String| **version == wanted || words::version(version) == wanted;
    let exact = versions.iter().find(|version| **version == wanted);
    let Some(target) = exact.or_else(|| versions.iter().find(is_meant)) else {
        return Err(format!(
            "version {wanted} does not exist; the registry has {}",
            versions.join(", ")
        )
        .into());
    };
    if Some(target.as_str()) == current {
        return Err(format!("{} is champion already", words::version(target)).into());
    }
    Ok(target.clone())
}
