//! `podium run-now`: asks a policy that retrains for a search at once.

use super::Failure;
use super::place::{Place, Where};
use super::progress::condition;
use crate::local::requests;
use clap::Args;
use kube::ResourceExt;
use podium_api::ChampionPolicy;
use podium_api::champion_policy::ConcurrencyPolicySpec;
use podium_api::convert::request_of;
use podium_core::retraining::{Occasion, search_name};
use std::process::ExitCode;

/// Start a search of a policy that retrains, without waiting for its schedule.
///
/// In a cluster it gives the policy a new value of the annotation `podium.dev/run-now`. In a directory it leaves a request, which the
/// `podium run --watch` that works there takes in. The schedule may be suspended; the concurrency policy counts.
///
/// Examples:
///   podium run-now fraud -n team-a
///   podium run-now fraud -d examples/fraud
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct RunNow {
    #[command(flatten)]
    place: Place,
}

pub(super) fn run_now(arguments: &RunNow) -> Result<ExitCode, Failure> {
    let found = arguments.place.find()?;
    let policy = found.policy(&arguments.place.policy)?;
    let name = policy.name_any();
    if policy.spec.retrain.is_none() {
        let message = format!(
            "the ChampionPolicy `{name}` has no `spec.retrain`, so it has no template of a search"
        );
        return Err(message.into());
    }
    // No two requests are alike.
    let value = jiff::Timestamp::now().to_string();
    let search = search_name(&name, &Occasion::RunNow(request_of(&value)));
    match &found {
        Where::Directory(directory) => {
            requests::leave(directory, &name, &value)?;
            println!("asked for the search `{search}`");
            println!("`podium run --watch {}` takes it in.", directory.display());
        }
        Where::Cluster(cluster) => {
            cluster.ask_for_a_search(&name, &value)?;
            println!(
                "asked for the search `{search}` in the namespace {}",
                cluster.namespace
            );
        }
    }
    if let Some(why) = waits_for(&policy) {
        println!("{why}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What the search waits for, as far as it is known.
fn waits_for(policy: &ChampionPolicy) -> Option<String> {
    if policy.spec.suspend {
        return Some("It is started once `spec.suspend` is not set any more.".to_string());
    }
    let status = policy.status.as_ref()?;
    if let Some(ready) = condition(&status.conditions, "RetrainReady")
        && ready.status == "False"
    {
        return Some(format!("It waits, since {}", ready.message));
    }
    let active = status.retrain.as_ref()?.active.first()?;
    let retrain = policy.spec.retrain.as_ref()?;
    match retrain.concurrency_policy {
        ConcurrencyPolicySpec::Allow => None,
        ConcurrencyPolicySpec::Forbid => Some(format!("It is started once `{active}` has ended.")),
        ConcurrencyPolicySpec::Replace => Some(format!("It replaces `{active}`.")),
    }
}
