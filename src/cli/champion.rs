//! `podium history` and `podium rollback`.

use super::Failure;
use super::place::{Place, Where};
use super::progress::table;
use super::run::runtime;
use crate::local::ports::LocalPorts;
use crate::ports::{ModelRegistry as _, Ports};
use clap::Args;
use podium_api::ModelRegistry;
use podium_api::champion_policy::{ChampionPolicySpec, ChampionPolicyStatus, HistoryStatus};
use podium_core::champion::words;
use std::path::Path;
use std::process::ExitCode;

/// Show every change of a champion, newest first: when, why, by whom, and what became of it.
///
/// Examples:
///   podium history fraud -d examples/fraud
///   podium history fraud -n team-a
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct History {
    #[command(flatten)]
    place: Place,
}

/// Bring an earlier champion back, by a `pin`.
///
/// In a cluster the pin is applied under a field manager of its own, `podium-rollback`, and stays until somebody removes it. In a
/// directory the manifest is its owner's file, so nothing is changed: add what is printed and run again.
///
/// Examples:
///   podium rollback fraud --reason "too many alerts" -n team-a
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

pub(super) fn history(arguments: &History) -> Result<ExitCode, Failure> {
    let place = &arguments.place;
    let policy = place.find()?.policy(&place.policy)?;
    let status = policy.status.unwrap_or_default();
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
    let name = &arguments.place.policy;
    let found = arguments.place.find()?;
    let policy = found.policy(name)?;
    let status = policy.status.unwrap_or_default();
    let current = status.champion.as_ref();
    let current = current.map(|champion| champion.version.clone());
    if arguments.reason.trim().is_empty() {
        return Err("--reason must say why".into());
    }
    let wanted = wanted(arguments, &status)?;
    let target = match &found {
        Where::Directory(directory) => {
            let versions = versions_of(directory, &policy.spec)?;
            let target = existing(&wanted, &versions)?;
            must_differ(&target, current.as_deref())?;
            print_pin(name, directory, &target, &arguments.reason)?;
            target
        }
        Where::Cluster(cluster) => {
            let wanted = as_numbered(&wanted);
            must_differ(&wanted, current.as_deref())?;
            cluster.pin(name, &wanted, &arguments.reason)?;
            println!(
                "pinned {} in the ChampionPolicy `{name}` of the namespace {}",
                words::version(&wanted),
                cluster.namespace
            );
            wanted
        }
    };
    println!(
        "{}",
        consequence(&policy.spec.model, &target, current.as_deref())
    );
    if let Where::Cluster(cluster) = &found {
        println!(
            "The pin stays until it is removed: kubectl patch championpolicy {name} -n {} --type=json -p '[{{\"op\": \"remove\", \"path\": \"/spec/pin\"}}]'",
            cluster.namespace
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn print_pin(name: &str, directory: &Path, target: &str, reason: &str) -> Result<(), Failure> {
    let pin = serde_json::json!({"spec": {"pin": {"version": target, "reason": reason}}});
    let directory = directory.display();
    println!("Add this to the ChampionPolicy `{name}`, and call `podium run {directory}`:\n");
    println!("{}", serde_saphyr::to_string(&pin)?);
    Ok(())
}

/// What a pin does.
fn consequence(model: &str, target: &str, current: Option<&str>) -> String {
    let to = words::version(target);
    match current {
        Some(current) => format!(
            "It makes {to} champion of {model} in place of {from}, also when the policy is suspended or held. {from} is then refused: it is \
             not proposed again on the holdout that it won on, also when the pin is removed, unless `spec.reconsider` names it.",
            from = words::version(current),
        ),
        None => format!("It makes {to} champion of {model}, which has none now."),
    }
}

/// The versions of the policy's model in its registry.
fn versions_of(directory: &Path, spec: &ChampionPolicySpec) -> Result<Vec<String>, Failure> {
    let directory = std::path::absolute(directory)?;
    let ports = LocalPorts::new(&directory, std::env::current_exe()?);
    let name = &spec.registry_ref.name;
    let registry = ports.cluster().shared::<ModelRegistry>(name)?;
    let registry = registry.ok_or_else(|| format!("there is no ModelRegistry `{name}`"))?;
    let view = runtime()?.block_on(async {
        let registry = ports.registry(&registry).await?;
        registry.view(&spec.model).await
    })?;
    let view = view.ok_or_else(|| format!("the registered model {} does not exist", spec.model))?;
    Ok(view.versions.into_keys().collect())
}

/// The version to go back to, as it was asked for or stands in the status.
fn wanted(arguments: &Rollback, status: &ChampionPolicyStatus) -> Result<String, Failure> {
    let wanted = arguments.to.clone().or_else(|| status.previous.clone());
    let wanted = wanted
        .ok_or("no earlier champion is on record that was not refused; name one with --to")?;
    Ok(wanted)
}

/// The version as the registry calls it; `v2` is how version 2 is shown.
fn existing(wanted: &str, versions: &[String]) -> Result<String, Failure> {
    let is_meant = |version: &&String| *version == wanted || words::version(version) == wanted;
    let exact = versions.iter().find(|version| *version == wanted);
    let found = exact.or_else(|| versions.iter().find(is_meant));
    found.cloned().ok_or_else(|| {
        let known = versions.join(", ");
        format!("version {wanted} does not exist; the registry has {known}").into()
    })
}

/// MLflow numbers its versions; `v2` is how version 2 is shown.
fn as_numbered(wanted: &str) -> String {
    let number = wanted.strip_prefix('v');
    let number = number.filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    number
        .filter(|number| !number.is_empty())
        .unwrap_or(wanted)
        .to_string()
}

fn must_differ(target: &str, current: Option<&str>) -> Result<(), Failure> {
    if current == Some(target) {
        return Err(format!("{} is champion already", words::version(target)).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_named_as_it_is_shown_or_as_it_is_numbered() {
        let cases = [
            ("2", "2"),
            ("v2", "2"),
            ("v", "v"),
            ("v2a", "v2a"),
            ("best", "best"),
        ];
        for (wanted, version) in cases {
            assert_eq!(as_numbered(wanted), version);
        }
    }
}
