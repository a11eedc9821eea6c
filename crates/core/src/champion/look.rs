//! One look at a holdout for the comparisons that wait for a verdict.

use super::cause::digest;
use super::input::{ChampionInput, ComparedEvidence, EvaluationState, EvaluationView};
use super::ledger::{Ledger, Look, look_register, sketch_registers};
use super::plan::{Action, LookTaken, Plan};
use super::proposal::age;
use super::reason::Reason;
use super::words;
use crate::comparison::{Measurement, MetricOutcome, Statistics};
use crate::looks::holm;
use crate::time::Timestamp;

/// A comparison that waits for a verdict, and what it found.
pub(super) type Waiting<'a> = (&'a EvaluationView<'a>, &'a ComparedEvidence<'a>);

/// One look for all comparisons that wait for a verdict: it is claimed first, and judged once the ledger holds it.
pub(super) fn look(
    input: &ChampionInput<'_>,
    waiting: Vec<Waiting<'_>>,
    now: Timestamp,
) -> Option<Plan> {
    let refused = waiting
        .iter()
        .filter(|(_, compared)| cannot_be_judged(compared));
    let without_look: Vec<Action> = refused
        .map(|(evaluation, _)| Action::Judge {
            evaluation: evaluation.name.clone(),
            look: None,
        })
        .collect();
    if !without_look.is_empty() {
        let message = "a comparison that the holdout cannot answer costs no look";
        return Some(
            Plan::say(input.memory, Reason::Comparing, message).with_actions(without_look),
        );
    }
    let first = waiting.first()?.1;
    // The comparisons of one batch are of one holdout; another holdout is another look.
    let batch: Vec<_> = waiting
        .into_iter()
        .filter(|(_, compared)| compared.holdout == first.holdout)
        .collect();
    let ledger = input.ledger.ok()?;
    match claimed(input, ledger, &batch) {
        Some((number, whole)) => Some(judge(input, ledger, number, &whole)),
        None => Some(claim_look(input, ledger, &batch, now)),
    }
}

/// The look that was claimed for these comparisons, with those that were judged at it already: a process may die between two verdicts of a
/// batch.
fn claimed<'a>(
    input: &ChampionInput<'a>,
    ledger: &Ledger,
    batch: &[Waiting<'a>],
) -> Option<(u64, Vec<Waiting<'a>>)> {
    let name = batch_name(batch);
    if let Some((number, _)) = ledger.looks.iter().find(|(_, look)| look.batch == name) {
        return Some((*number, batch.to_vec()));
    }
    ledger.looks.iter().find_map(|(number, look)| {
        let all = input.evaluations.iter();
        let judged =
            all.filter_map(|evaluation| Some((evaluation, judged_at(*number, evaluation)?)));
        let mut whole: Vec<Waiting<'a>> = batch.iter().copied().chain(judged).collect();
        // Among equals Holm goes by the order.
        whole.sort_by(|(left, _), (right, _)| age(&left.challenger).cmp(&age(&right.challenger)));
        (look.batch == batch_name(&whole)).then_some((*number, whole))
    })
}

/// A comparison that was judged at this look.
fn judged_at<'a>(
    number: u64,
    evaluation: &'a EvaluationView<'a>,
) -> Option<&'a ComparedEvidence<'a>> {
    let compared: &ComparedEvidence<'_> = match &evaluation.state {
        EvaluationState::Compared(compared) => compared,
        _ => return None,
    };
    let look = compared.judged.as_ref()?.look.as_ref()?;
    (look.number == number).then_some(compared)
}

/// Whether the holdout or a measurement cannot answer, whatever error is allowed.
fn cannot_be_judged(compared: &ComparedEvidence<'_>) -> bool {
    let undefined = |measurement: &Measurement| measurement.outcome() == MetricOutcome::Undefined;
    compared.statistics.obstacle.is_some() || compared.measurements.iter().any(undefined)
}

/// The same comparisons on the same evidence are one look, however often they are planned.
fn batch_name(batch: &[Waiting<'_>]) -> String {
    let mut parts: Vec<&str> = batch
        .iter()
        .flat_map(|(evaluation, compared)| [evaluation.name.as_str(), compared.digest.as_str()])
        .collect();
    parts.sort_unstable();
    digest(&parts)
}

fn claim_look(
    input: &ChampionInput<'_>,
    ledger: &Ledger,
    batch: &[Waiting<'_>],
    now: Timestamp,
) -> Plan {
    let (evaluation, compared) = batch[0];
    let number = ledger.next_look();
    let ordinal = ledger.ordinal(number, &compared.holdout, &compared.sketch);
    let most = input.policy.reuse.max_evaluations;
    if let Some(most) = most.filter(|most| ordinal > *most) {
        let message = format!(
            "{} was not judged: the holdout, or one that shares most of its rows, has been looked at {} times and `holdout.maxEvaluations` is {most}; use a fresh holdout. Held.",
            words::version(&evaluation.challenger),
            ordinal - 1,
        );
        return Plan::say(input.memory, Reason::HoldoutUsedUp, message);
    }
    let look = Look {
        batch: batch_name(batch),
        holdout: compared.holdout.clone(),
        challengers: u32::try_from(batch.len()).unwrap_or(u32::MAX),
        at: now,
    };
    let kept = ledger.sketch(&compared.holdout).is_some();
    let sketch = sketch_registers(&compared.holdout, &compared.sketch);
    let registers = sketch.into_iter().filter(|_| !kept);
    let actions = registers
        .chain([look_register(number, &look)])
        .map(Action::Write)
        .collect();
    let message = format!("look {ordinal} at the holdout is being claimed");
    Plan::say(input.memory, Reason::Comparing, message).with_actions(actions)
}

fn judge(input: &ChampionInput<'_>, ledger: &Ledger, number: u64, batch: &[Waiting<'_>]) -> Plan {
    let first = batch[0].1;
    let ordinal = ledger.ordinal(number, &first.holdout, &first.sketch);
    let statistics: Vec<&Statistics> = batch.iter().map(|(_, c)| c.statistics).collect();
    let measurements: Vec<Vec<Measurement>> =
        batch.iter().map(|(_, c)| c.measurements.clone()).collect();
    let allowed = holm(
        &statistics,
        &measurements,
        input.policy.reuse.error_at(ordinal),
    );
    let actions = batch
        .iter()
        .zip(allowed)
        .filter(|((_, compared), _)| compared.judged.is_none())
        .map(|((evaluation, _), allowed_error)| Action::Judge {
            evaluation: evaluation.name.clone(),
            look: Some(LookTaken {
                number,
                ordinal,
                challengers: u32::try_from(batch.len()).unwrap_or(u32::MAX),
                allowed_error,
            }),
        })
        .collect();
    let message = format!("look {ordinal} at the holdout is being judged");
    Plan::say(input.memory, Reason::Comparing, message).with_actions(actions)
}
