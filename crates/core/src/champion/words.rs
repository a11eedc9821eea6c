//! The sentences of policies.

use super::cause::EpochCause;
use super::input::RegistryView;
use super::ledger::EpochOutcome;
use super::memory::{ClosedEpoch, InFlight, Refusal};

/// A version as sentences name it: `v7`, or its own name where that is no number.
#[must_use]
pub fn version(version: &str) -> String {
    if version.starts_with(|first: char| first.is_ascii_digit()) {
        format!("v{version}")
    } else {
        version.to_string()
    }
}

pub(super) fn version_or_nothing(of: Option<&str>) -> String {
    of.map_or_else(|| "nothing".to_string(), version)
}

/// The versions of a registry as they must be written.
pub(super) fn existing(registry: Option<&RegistryView>) -> String {
    let names: Vec<String> = registry
        .iter()
        .flat_map(|view| view.versions.keys())
        .map(|name| format!("`{name}`"))
        .collect();
    if names.is_empty() {
        "no version".to_string()
    } else {
        names.join(", ")
    }
}

/// `epoch` is the ledger's last one, where the alias can be taken over.
pub(super) fn owned_by(alias: &str, owner: &str, epoch: Option<u64>) -> String {
    let blocked = format!(
        "the alias `{alias}` is owned by the policy {owner}; this one moves nothing. Delete one of the two, or give it another alias"
    );
    match epoch {
        Some(epoch) => format!(
            "{blocked}; to take the alias over from a cluster that is gone, set the annotation `podium.dev/take-over` to \"{epoch}\", the last epoch of the ledger."
        ),
        None => format!("{blocked}."),
    }
}

/// A person with the reason that was given, if there is one.
pub(super) fn with_comment(person: &str, comment: Option<&str>) -> String {
    match comment.map(str::trim).filter(|comment| !comment.is_empty()) {
        Some(comment) => format!("{person} ({})", comment.trim_end_matches('.')),
        None => person.to_string(),
    }
}

/// A finding with who approved that it is acted on.
pub(super) fn with_consent(finding: &str, people: &[String]) -> String {
    match people {
        [] => finding.to_string(),
        _ => format!("{finding} Approved by {}.", people.join(", ")),
    }
}

pub(super) fn refused(refusal: &Refusal) -> String {
    let where_ = match &refusal.evidence {
        Some(_) => "on this holdout",
        None => "without evidence on record",
    };
    format!(
        "Held: {} was refused {where_} by {} in epoch {}; add \"{}\" to `spec.reconsider` to propose it again.",
        version(&refusal.version),
        with_comment(&refusal.by, refusal.comment.as_deref()),
        refusal.epoch,
        refusal.version
    )
}

pub(super) fn consent_needed(required: u32, given: u32) -> String {
    match required {
        1 => "It becomes champion once somebody approves.".to_string(),
        _ => format!("It becomes champion once {required} people approve; {given} did so far."),
    }
}

/// What happened in an epoch that ended; `own` is what is remembered of the move.
pub(super) fn of_epoch(epoch: &ClosedEpoch<'_>, own: Option<&InFlight>) -> String {
    let claim = epoch.claim;
    let from = version_or_nothing(claim.from.as_deref());
    let to = version_or_nothing(claim.to.as_deref());
    let finding = own
        .map(|own| format!("{} ", own.sentence))
        .unwrap_or_default();
    match (epoch.outcome, claim.cause) {
        (EpochOutcome::Promoted, EpochCause::Promotion) => {
            format!(
                "{}Promoted.",
                or_else(finding, || format!("{to} replaced {from}. "))
            )
        }
        (EpochOutcome::Promoted, EpochCause::First) => format!("{to} became the first champion."),
        (EpochOutcome::Promoted, EpochCause::Pin) => {
            format!(
                "{to} became champion in place of {from}: it is pinned.{}",
                trailing(&finding)
            )
        }
        (EpochOutcome::Promoted, _) => {
            format!("{to} became champion again: the move to {from} by somebody else was undone.")
        }
        (EpochOutcome::External, _) => match (&claim.from, &claim.to) {
            (None, _) => format!("{to} carried the alias and was adopted as champion."),
            (_, None) => format!("Somebody else removed the alias from {from}."),
            _ => format!("Somebody else moved the alias from {from} to {to}; {from} is refused."),
        },
        (EpochOutcome::AbortedExternal, _) => format!(
            "{to} was about to replace {from}, but somebody else moved the alias; the move was given up."
        ),
        (EpochOutcome::Contended, _) => {
            format!("{to} replaced {from}, and somebody else moved the alias away at once.")
        }
        (EpochOutcome::Void(gate), _) => void(claim.to.as_deref(), gate.name().as_str()),
    }
}

pub(super) fn void(to: Option<&str>, gate: &str) -> String {
    format!(
        "{} was about to become champion, but the gate {gate} closed before the alias was moved; it was not moved.",
        version_or_nothing(to)
    )
}

fn or_else(text: String, other: impl FnOnce() -> String) -> String {
    if text.is_empty() { other() } else { text }
}

fn trailing(finding: &str) -> String {
    if finding.is_empty() {
        String::new()
    } else {
        format!(" {}", finding.trim_end())
    }
}
