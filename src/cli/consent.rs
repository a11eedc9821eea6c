//! `podium approve` and `podium reject`: they write the manifest that a person would write.

use super::Failure;
use super::place::{Place, Where};
use clap::Args;
use podium_api::approval::{ApprovalSpec, ApprovalVerdict};
use podium_api::champion_policy::PendingDecisionStatus;
use podium_api::schema::LocalReference;
use podium_api::{Approval, ChampionPolicy};
use podium_core::champion::cause::digest;
use podium_core::champion::ledger::bounded;
use podium_core::champion::words;
use podium_workload::atomic_file;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Consent to the decision that a policy waits with.
///
/// In a cluster it creates an Approval. In a directory it writes one as a manifest, which the next `podium run` takes in.
///
/// Examples:
///   podium approve fraud -n team-a
///   podium approve fraud --as alice -d examples/fraud
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Approve {
    #[command(flatten)]
    consent: Consent,
}

/// Reject the decision that a policy waits with.
///
/// Creates an Approval with the verdict `Reject`, or writes one as a manifest into the directory, which the next `podium run` takes in. A
/// rejection does not expire: the version is not proposed again on the same holdout unless `spec.reconsider` names it.
///
/// Example:
///   podium reject fraud --as bob --comment "the night shift sees more alerts" -d examples/fraud
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Reject {
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, Args)]
struct Consent {
    #[command(flatten)]
    place: Place,
    /// Who consents; in a cluster the user of the kubeconfig when absent.
    #[arg(long = "as", value_name = "NAME")]
    approver: Option<String>,
    /// Why.
    #[arg(long)]
    comment: Option<String>,
}

pub(super) fn approve(arguments: &Approve) -> Result<ExitCode, Failure> {
    consent(&arguments.consent, ApprovalVerdict::Approve)
}

pub(super) fn reject(arguments: &Reject) -> Result<ExitCode, Failure> {
    consent(&arguments.consent, ApprovalVerdict::Reject)
}

fn consent(arguments: &Consent, verdict: ApprovalVerdict) -> Result<ExitCode, Failure> {
    let found = arguments.place.find()?;
    let approver = match (&arguments.approver, &found) {
        (Some(approver), _) => approver.trim().to_string(),
        (None, Where::Cluster(cluster)) => cluster.user()?,
        (None, Where::Directory(_)) => String::new(),
    };
    if approver.is_empty() || approver.chars().count() > 253 {
        return Err("--as must name who consents, in at most 253 characters".into());
    }
    let approver = approver.as_str();
    let policy = found.policy(&arguments.place.policy)?;
    let pending = policy
        .status
        .as_ref()
        .and_then(|s| s.pending_decision.as_ref());
    let Some(pending) = pending else {
        return Err(format!(
            "the ChampionPolicy `{}` has no decision that waits for consent; see `{}`",
            arguments.place.policy,
            found.get_policies()
        )
        .into());
    };
    let approval = approval_of(arguments, approver, verdict, pending);
    let said = outcome(&policy, approver, verdict, pending);
    match &found {
        Where::Directory(directory) => {
            println!("wrote {}", write(directory, &approval)?.display());
            println!("{said}");
            println!("`podium run {}` takes it in.", directory.display());
        }
        Where::Cluster(cluster) => {
            cluster.create(&approval)?;
            let name = approval.metadata.name.as_deref().unwrap_or_default();
            println!("created the Approval `{name}` in {}", cluster.namespace);
            println!("{said}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn approval_of(
    arguments: &Consent,
    approver: &str,
    verdict: ApprovalVerdict,
    pending: &PendingDecisionStatus,
) -> Approval {
    let spec = ApprovalSpec {
        policy_ref: LocalReference {
            name: arguments.place.policy.clone(),
        },
        decision_id: pending.id.clone(),
        evidence_digest: pending.evidence_digest.clone(),
        verdict,
        approver: approver.to_string(),
        comment: arguments.comment.clone(),
    };
    // People may be called what an object may not, and two of them alike.
    let person = digest(&[approver]);
    let name = format!(
        "{}-{}-{person}",
        bounded(&arguments.place.policy, 150),
        pending.id
    );
    Approval::new(&name, spec)
}

/// Writes the manifest; one that is there already was written by this person for this decision, and stays.
fn write(directory: &Path, approval: &Approval) -> Result<PathBuf, Failure> {
    let name = approval.metadata.name.clone().unwrap_or_default();
    let path = directory.join(format!("approval-{name}.yaml"));
    if path.exists() {
        return Err(format!(
            "{} is there already; remove it to decide again",
            path.display()
        )
        .into());
    }
    atomic_file::write(&path, serde_saphyr::to_string(approval)?.as_bytes())?;
    Ok(path)
}

fn outcome(
    policy: &ChampionPolicy,
    approver: &str,
    verdict: ApprovalVerdict,
    pending: &PendingDecisionStatus,
) -> String {
    let to = words::version(&pending.to);
    let place = match &pending.from {
        Some(from) => format!("in place of {}", words::version(from)),
        None => "as the first champion".to_string(),
    };
    let model = &policy.spec.model;
    match verdict {
        ApprovalVerdict::Approve => format!(
            "{approver} approves that {to} becomes champion of {model} {place}: {} of {} approvals so far were counted before.",
            pending.approvals, pending.required
        ),
        ApprovalVerdict::Reject => {
            format!("{approver} rejects that {to} becomes champion of {model} {place}.")
        }
    }
}
