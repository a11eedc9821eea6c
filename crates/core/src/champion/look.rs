//! One look at a holdout for the comparisons that wait for a verdict.

use super::cause::digest;
use super::input::{ChampionInput, ComparedEvidence, EvaluationView};
use super::ledger::{Ledger, Look, look_register, sketch_registers};
use super::plan::{Action, LookTaken, Plan};
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
    let name = batch_name(&batch);
    let claimed = ledger.looks.iter().find(|(_, look)| look.batch == name);
    match claimed {
        Some((number, _)) => Some(judge(input, ledger, *number, &batch)),
        None => Some(claim_look(input, ledger, name, &batch, now)),
    }
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
    name: String,
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
        batch: name,
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
