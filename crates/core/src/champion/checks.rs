//! What each gate looks at. The order and the causes stand in the table of `gates`.

use super::cause::{Cause, Move};
use super::confirmation;
use super::gates::Shut;
use super::input::{
    ApprovalView, ChampionInput, ComparedEvidence, EvaluationState, EvaluationView, Exclusivity,
    FirstChampion, Mode, OnExternalChange,
};
use super::ledger::Ledger;
use super::memory::{ExternalChange, MovePhase, Refusal};
use super::proposal::challengers;
use super::reason::Reason;
use super::words;
use crate::comparison::Verdict;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// Seconds for which a move by somebody else is not undone after another one was.
pub(super) const REVERT_PAUSE_SECONDS: u64 = 3600;

/// Bytes that the name of a version may have: a claim names two of them.
const VERSION_BYTES: usize = 63;

type Check = Result<(), Shut>;

fn unless(shut: bool, reason: Reason, why: impl FnOnce() -> String) -> Check {
    if shut {
        Err(Shut::new(reason, why()))
    } else {
        Ok(())
    }
}

/// Where the champion alias points.
pub(super) fn alias<'a>(input: &ChampionInput<'a>) -> Option<&'a String> {
    input.registry?.aliases.get(&input.policy.aliases.champion)
}

/// Whether the registry has this version; what nobody looked at is taken to be there.
pub(super) fn exists(input: &ChampionInput<'_>, version: &str) -> bool {
    let registry = input.registry;
    registry.is_none_or(|view| view.versions.contains_key(version))
}

pub(super) fn authority(input: &ChampionInput<'_>, wanted: &Move) -> Check {
    unless(!input.leads, Reason::NotInAuthority, || {
        "Held: another process of Podium leads.".to_string()
    })?;
    unless(
        alias(input) != wanted.from.as_ref(),
        Reason::NotInAuthority,
        || {
            format!(
                "Held: the alias `{}` is not where it was read.",
                input.policy.aliases.champion
            )
        },
    )?;
    let claimed = input.memory.in_flight.as_ref().filter(|move_| {
        move_.phase >= MovePhase::Claimed && input.policy.exclusivity == Exclusivity::Ledger
    });
    let foreign = claimed.is_some_and(|move_| {
        let epoch = input.ledger.ok().and_then(|l| l.epochs.get(&move_.epoch));
        epoch.is_none_or(|epoch| epoch.claim.decision != move_.decision)
    });
    unless(foreign, Reason::NotInAuthority, || {
        "Held: the claim of this epoch is somebody else's.".to_string()
    })
}

pub(super) fn wanted(input: &ChampionInput<'_>, wanted: &Move) -> Check {
    let policy = input.policy;
    let still = match wanted.cause {
        Cause::Promotion | Cause::First => {
            policy.pin.is_none() && challengers(input).contains(&wanted.to)
        }
        Cause::Pin => policy
            .pin
            .as_ref()
            .is_some_and(|pin| pin.version == wanted.to),
        Cause::Revert => {
            policy.pin.is_none() && policy.on_external_change == OnExternalChange::Revert
        }
    };
    unless(!still, Reason::Withdrawn, || {
        format!(
            "Held: nobody asks for {} any more.",
            words::version(&wanted.to)
        )
    })
}

pub(super) fn target(input: &ChampionInput<'_>, wanted: &Move) -> Check {
    let found = input
        .registry
        .and_then(|view| view.versions.get(&wanted.to));
    let Some(version) = found else {
        let why = format!(
            "Held: version {} does not exist; the registry has {}.",
            wanted.to,
            words::existing(input.registry)
        );
        return Err(Shut::new(Reason::VersionNotFound, why));
    };
    if wanted.to.len() > VERSION_BYTES {
        let why = format!(
            "Held: the name of version {} must have at most {VERSION_BYTES} bytes to be claimed in the ledger.",
            wanted.to
        );
        return Err(Shut::new(Reason::VersionNotFound, why));
    }
    match &version.unready {
        None => Ok(()),
        Some(unready) => {
            let why = format!("Held: version {} cannot be used: {unready}.", wanted.to);
            Err(Shut::new(Reason::VersionNotFound, why))
        }
    }
}

pub(super) fn owner(input: &ChampionInput<'_>) -> Check {
    match other_owner(input) {
        None => Ok(()),
        Some(other) => Err(Shut::new(Reason::AliasOwnedByOther, other.words(input))),
    }
}

/// Another policy that owns an alias which this one writes.
pub(super) struct OtherOwner<'a> {
    pub(super) alias: &'a str,
    pub(super) policy: String,
}

impl OtherOwner<'_> {
    /// What holds this policy, and how the alias can be had. From an older policy beside this one it cannot be taken over.
    pub(super) fn words(&self, input: &ChampionInput<'_>) -> String {
        let ledger = input.ledger.ok().filter(|_| input.identity.older.is_none());
        words::owned_by(self.alias, &self.policy, ledger.map(Ledger::last_epoch))
    }
}

/// Who owns one of the aliases that this policy writes, if it is not this policy.
pub(super) fn other_owner<'a>(input: &ChampionInput<'a>) -> Option<OtherOwner<'a>> {
    let aliases = &input.policy.aliases;
    if let Some(older) = &input.identity.older {
        return Some(OtherOwner {
            alias: &aliases.champion,
            policy: older.clone(),
        });
    }
    if input.policy.exclusivity == Exclusivity::Guarded {
        return None;
    }
    aliases
        .written()
        .into_iter()
        .find_map(|alias| owned_by_other(input, alias).map(|policy| OtherOwner { alias, policy }))
}

/// The policy that owns an alias by the ledger, if it is not this one.
pub(super) fn owned_by_other(input: &ChampionInput<'_>, alias: &str) -> Option<String> {
    let owner = &input.ledger.ok()?.owner_of(alias)?.policy;
    let own = super::ledger::bounded(&input.identity.owner, 160);
    (*owner != own).then(|| owner.clone())
}

pub(super) fn not_dry_run(input: &ChampionInput<'_>) -> Check {
    unless(input.policy.mode == Mode::DryRun, Reason::DryRun, || {
        "Held: `promotion.mode` is DryRun.".to_string()
    })
}

pub(super) fn not_suspended(input: &ChampionInput<'_>) -> Check {
    unless(input.policy.suspend, Reason::SuspendedByUser, || {
        "Held: `spec.suspend` is set.".to_string()
    })
}

pub(super) fn not_refused(input: &ChampionInput<'_>, wanted: &Move) -> Check {
    match standing_refusal(input, wanted) {
        None => Ok(()),
        Some(refusal) => Err(Shut::new(Reason::Refused, words::refused(refusal))),
    }
}

/// The refusal of a version that stands: on the holdout at hand, or on one that shares most of its rows. Without evidence at hand any
/// refusal of a first champion stands, and of a challenger those that name no evidence.
fn standing_refusal<'a>(input: &ChampionInput<'a>, wanted: &Move) -> Option<&'a Refusal> {
    let evidence = compared(input, wanted);
    let stands = |refusal: &&Refusal| match (&refusal.evidence, evidence) {
        (None, _) => true,
        (Some(_), None) => wanted.cause == Cause::First,
        (Some(earlier), Some(at_hand)) => input.ledger.map_or(true, |ledger| {
            ledger.is_same_holdout(&at_hand.holdout, &at_hand.sketch, earlier)
        }),
    };
    let of_version = input
        .memory
        .refused
        .iter()
        .filter(|r| r.version == wanted.to);
    of_version
        .filter(|refusal| !input.memory.is_lifted(refusal))
        .find(stands)
}

/// What was found when the versions of `wanted` were compared.
pub(super) fn compared<'a>(
    input: &ChampionInput<'a>,
    wanted: &Move,
) -> Option<&'a ComparedEvidence<'a>> {
    comparison(input, wanted).map(|(_, compared)| compared)
}

/// The same with the comparison that found it.
fn comparison<'a>(
    input: &ChampionInput<'a>,
    wanted: &Move,
) -> Option<(&'a EvaluationView<'a>, &'a ComparedEvidence<'a>)> {
    let mut of_pair = input.evaluations.iter().filter(|evaluation| {
        Some(&evaluation.champion) == wanted.from.as_ref() && evaluation.challenger == wanted.to
    });
    of_pair.find_map(|evaluation| match &evaluation.state {
        EvaluationState::Compared(compared) => Some((evaluation, &**compared)),
        _ => None,
    })
}

pub(super) fn no_hold(input: &ChampionInput<'_>, now: Timestamp) -> Check {
    let (change, until) = match input.policy.on_external_change {
        OnExternalChange::Adopt => (None, None),
        // A move that was followed by another one holds nothing any more.
        OnExternalChange::Hold => (input.memory.last_move_by_others(), None),
        OnExternalChange::Revert => {
            let change = input.memory.external.as_ref();
            let until = change.map(|change| change.at.plus_seconds(REVERT_PAUSE_SECONDS));
            let holds = soon_after_revert(input) && until.is_some_and(|until| now < until);
            (change.filter(|_| holds), until)
        }
    };
    // The alias that was there when the policy first looked is nobody's intervention.
    let first_sight = |change: &ExternalChange| change.epoch == 1 && change.from.is_none();
    let Some(change) =
        change.filter(|change| !is_acknowledged(input, change) && !first_sight(change))
    else {
        return Ok(());
    };
    let why = format!(
        "Held: the alias `{}` was moved from {} to {} by somebody else in epoch {epoch}; set `spec.acknowledgedEpoch` to {epoch} to go on.",
        input.policy.aliases.champion,
        words::version_or_nothing(change.from.as_deref()),
        words::version_or_nothing(change.to.as_deref()),
        epoch = change.epoch,
    );
    Err(Shut::new(Reason::ExternalChangeHeld, why).until(until))
}

/// Whether somebody accepted a move by somebody else. Nobody can acknowledge what has not happened yet.
pub(super) fn is_acknowledged(input: &ChampionInput<'_>, change: &ExternalChange) -> bool {
    let last = input.memory.epoch.max(change.epoch);
    (change.epoch..=last).contains(&input.policy.acknowledged_epoch)
}

/// Whether the last move by somebody else followed less than an hour after one was undone.
fn soon_after_revert(input: &ChampionInput<'_>) -> bool {
    let memory = input.memory;
    memory
        .external
        .as_ref()
        .zip(memory.last_revert)
        .is_some_and(|(change, revert)| change.at < revert.plus_seconds(REVERT_PAUSE_SECONDS))
}

pub(super) fn once(input: &ChampionInput<'_>, _now: Timestamp) -> Check {
    unless(soon_after_revert(input), Reason::RevertedRecently, || {
        "Held: a move by somebody else was undone less than an hour before; this one stays."
            .to_string()
    })
}

pub(super) fn evidence(input: &ChampionInput<'_>, wanted: &Move, now: Timestamp) -> Check {
    let judged_on = comparison(input, wanted).filter(|(_, compared)| {
        let superior = compared
            .judged
            .as_ref()
            .is_some_and(|judged| judged.verdict == Verdict::Superior);
        superior && compared.digest == wanted.evidence_digest()
    });
    match judged_on {
        Some((evaluation, compared)) => confirmation::check(evaluation, compared, now),
        None => {
            let why = "Held: the evidence is not what was judged any more.";
            Err(Shut::new(Reason::EvidenceChanged, why))
        }
    }
}

pub(super) fn look(input: &ChampionInput<'_>, wanted: &Move) -> Check {
    let paid = compared(input, wanted).is_some_and(|compared| {
        let look = compared.judged.as_ref().and_then(|judged| judged.look);
        look.is_some_and(|look| is_paid(input, compared, look.number, look.allowed_error))
    });
    unless(!paid, Reason::LookNotPaid, || {
        "Held: the ledger holds no look at the holdout for this verdict.".to_string()
    })
}

/// Whether the ledger holds this look at this holdout, and it allows this error.
fn is_paid(
    input: &ChampionInput<'_>,
    compared: &ComparedEvidence<'_>,
    number: u64,
    error: f64,
) -> bool {
    input.ledger.is_ok_and(|ledger| {
        let of_holdout = ledger.looks.get(&number);
        let ordinal = ledger.ordinal(number, &compared.holdout, &compared.sketch);
        of_holdout.is_some_and(|look| look.holdout == compared.holdout)
            && error <= input.policy.reuse.error_at(ordinal)
    })
}

/// Consent to one decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// Whether the decision needs any.
    pub needed: bool,
    /// Different people who approve, each as the sentences name them.
    pub people: Vec<String>,
    /// How many they are.
    pub given: u32,
    /// When the first approval that counts expires.
    pub expires_at: Option<Timestamp>,
}

/// The approvals that count for a decision: to it, on its evidence, not expired, each person once.
pub(super) fn consent_to(input: &ChampionInput<'_>, wanted: &Move, now: Timestamp) -> Consent {
    let policy = input.policy;
    let needed = match wanted.cause {
        Cause::Promotion => policy.mode == Mode::Approval,
        Cause::First => {
            policy.mode == Mode::Approval || policy.first_champion == FirstChampion::Approval
        }
        Cause::Pin | Cause::Revert => false,
    };
    let expires =
        |approval: &ApprovalView| approval.at.plus_seconds(policy.approvals_expire_seconds);
    let counted: Vec<&ApprovalView> = about(input, wanted)
        .filter(|approval| approval.approves && now < expires(approval))
        .collect();
    let mut people = BTreeMap::new();
    for approval in &counted {
        let named = || words::with_comment(approval.approver.trim(), approval.comment.as_deref());
        people
            .entry(person(&approval.approver))
            .or_insert_with(named);
    }
    Consent {
        needed,
        given: u32::try_from(people.len()).unwrap_or(u32::MAX),
        people: people.into_values().collect(),
        expires_at: counted.iter().map(|approval| expires(approval)).min(),
    }
}

/// One person however the name is written.
fn person(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Approvals and rejections of this very decision on this evidence.
pub(super) fn about<'a>(
    input: &ChampionInput<'a>,
    wanted: &Move,
) -> impl Iterator<Item = &'a ApprovalView> {
    let decision = wanted.decision(&input.identity.uid);
    let evidence = wanted.evidence_digest().to_string();
    input
        .approvals
        .iter()
        .filter(move |approval| approval.decision == decision && approval.evidence == evidence)
}

pub(super) fn consent(input: &ChampionInput<'_>, wanted: &Move, now: Timestamp) -> Check {
    if let Some(rejection) = about(input, wanted).find(|approval| !approval.approves) {
        let by = words::with_comment(&rejection.approver, rejection.comment.as_deref());
        let why = format!("Held: rejected by {by}.");
        return Err(Shut::new(Reason::Rejected, why));
    }
    let consent = consent_to(input, wanted, now);
    let required = input.policy.approvals_required.max(1);
    unless(
        consent.needed && consent.given < required,
        Reason::ApprovalNeeded,
        || words::consent_needed(required, consent.given),
    )
    .map_err(|shut| shut.until(consent.expires_at))
}

pub(super) fn cooldown(input: &ChampionInput<'_>, now: Timestamp) -> Check {
    let seconds = input.policy.cooldown_seconds;
    let Some(champion) = input.memory.champion.as_ref().filter(|_| seconds > 0) else {
        return Ok(());
    };
    let until = champion.since.plus_seconds(seconds);
    unless(now < until, Reason::CoolingDown, || {
        format!("Held: the champion changed less than `promotion.cooldownSeconds` {seconds} ago.")
    })
    .map_err(|shut| shut.until(Some(until)))
}

pub(super) fn window(input: &ChampionInput<'_>) -> Check {
    unless(!input.window.open, Reason::OutsideWindow, || {
        "Held: none of `promotion.windows` is open.".to_string()
    })
    .map_err(|shut| shut.until(input.window.changes_at))
}
