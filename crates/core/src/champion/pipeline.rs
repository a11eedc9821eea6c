//! From challengers to a proposal: predictions, comparisons, one look for those that were not judged yet, the best of those that won.

use super::cause::{Cause, Move, digest};
use super::checks::{compared, exists};
use super::gates::{Closed, GateTable};
use super::input::{
    ChampionInput, ComparedEvidence, EvaluationState, EvaluationView, Judged, Predictions,
};
use super::ledger::{Ledger, Look, look_register, sketch_registers};
use super::memory::Evidence;
use super::plan::{Action, Conclusion, LookTaken, Plan};
use super::proposal::{challengers, next_move, no_challenger, propose};
use super::reason::Reason;
use super::words;
use crate::comparison::{Measurement, MetricOutcome, Statistics, Verdict};
use crate::looks::{best, holm};
use crate::time::Timestamp;

/// How far the evidence for one challenger is.
enum Standing<'a> {
    /// A gate is closed that holds back even the making of evidence.
    Closed(Closed),
    /// A version cannot be scored; why.
    Unavailable(String),
    /// Something is to be made, or is being made.
    Unfinished(Vec<Action>, Reason),
    /// An object of the comparison's name is not the policy's.
    Foreign(&'a EvaluationView<'a>, &'a str),
    /// The comparison failed; why.
    Failed(&'a str),
    /// The statistics wait for a look.
    Compared(&'a EvaluationView<'a>, &'a ComparedEvidence<'a>),
    /// A verdict was taken.
    Judged(&'a EvaluationView<'a>, &'a Judged),
}

/// Plans the promotion of a challenger over `champion`.
pub(super) fn promotion(
    table: &GateTable,
    input: &ChampionInput<'_>,
    champion: &str,
    now: Timestamp,
) -> Plan {
    let policy = input.policy;
    if !exists(input, champion) {
        let message = format!(
            "The alias `{}` points at version {champion}, which does not exist; point it at one of {}, or set `spec.pin`.",
            policy.aliases.champion,
            words::existing(input.registry)
        );
        return Plan::say(input.memory, Reason::VersionNotFound, message);
    }
    let wanted = challengers(input);
    if wanted.is_empty() {
        let is_champion = input.registry.is_some_and(|view| {
            view.aliases
                .get(&policy.aliases.challenger)
                .map(String::as_str)
                == Some(champion)
        });
        let message = format!(
            "{} is champion; there is no other challenger",
            words::version(champion)
        );
        return match is_champion {
            true => Plan::say(input.memory, Reason::UpToDate, message),
            false => no_challenger(input),
        };
    }
    let standings: Vec<(String, Standing<'_>)> = wanted
        .into_iter()
        .map(|challenger| {
            let standing = standing(table, input, champion, &challenger, now);
            (challenger, standing)
        })
        .collect();
    unfinished(input, champion, &standings)
        .or_else(|| look(input, &standings, now))
        .or_else(|| winner(table, input, &standings, now))
        .unwrap_or_else(|| held(input, champion, &standings))
}

fn standing<'a>(
    table: &GateTable,
    input: &ChampionInput<'a>,
    champion: &str,
    challenger: &str,
    now: Timestamp,
) -> Standing<'a> {
    let wanted = next_move(input, Cause::Promotion, challenger.to_string());
    if let Some(closed) = table.first_closed_before_evidence(input, &wanted, now) {
        return Standing::Closed(closed);
    }
    let mut scores = Vec::new();
    let mut in_progress = false;
    let of_pair = input.predictions.get(challenger);
    for (place, version) in [champion, challenger].into_iter().enumerate() {
        match of_pair.map(|pair| &pair[place]) {
            Some(Predictions::Present) => {}
            Some(Predictions::Unavailable(why)) => return Standing::Unavailable(why.clone()),
            Some(Predictions::Missing { inputs }) => {
                scores.push(score(input, version, challenger, inputs));
            }
            // What was not looked at yet is looked at by the next plan.
            Some(Predictions::InProgress) | None => in_progress = true,
        }
    }
    if in_progress || !scores.is_empty() {
        return Standing::Unfinished(scores, Reason::Scoring);
    }
    let of_pair = input
        .evaluations
        .iter()
        .find(|e| e.champion == champion && e.challenger == challenger);
    let Some(evaluation) = of_pair else {
        let evaluate = Action::Evaluate {
            champion: champion.to_string(),
            challenger: challenger.to_string(),
        };
        return Standing::Unfinished(vec![evaluate], Reason::Comparing);
    };
    match &evaluation.state {
        EvaluationState::Foreign(field) => Standing::Foreign(evaluation, field),
        EvaluationState::Pending => Standing::Unfinished(Vec::new(), Reason::Comparing),
        EvaluationState::Failed(why) => Standing::Failed(why),
        EvaluationState::Compared(compared) => match &compared.judged {
            None => Standing::Compared(evaluation, compared),
            Some(judged) => Standing::Judged(evaluation, judged),
        },
    }
}

fn score(input: &ChampionInput<'_>, version: &str, challenger: &str, inputs: &str) -> Action {
    let source = input.registry.and_then(|view| view.versions.get(version));
    Action::Score {
        version: version.to_string(),
        challenger: challenger.to_string(),
        source: source
            .map(|version| version.source.clone())
            .unwrap_or_default(),
        inputs: inputs.to_string(),
    }
}

/// Waits for the evidence of every challenger, so that those that come together share one look.
fn unfinished(
    input: &ChampionInput<'_>,
    champion: &str,
    standings: &[(String, Standing<'_>)],
) -> Option<Plan> {
    let mut actions: Vec<Action> = Vec::new();
    let mut waiting: Vec<(&str, Reason)> = Vec::new();
    for (challenger, standing) in standings {
        if let Standing::Unfinished(wanted, reason) = standing {
            waiting.push((challenger, *reason));
            actions.extend(wanted.iter().cloned());
        }
    }
    let reason = waiting.first()?.1;
    let names: Vec<String> = waiting
        .iter()
        .map(|(version, _)| words::version(version))
        .collect();
    let (names, champion) = (names.join(", "), words::version(champion));
    let message = match reason {
        Reason::Scoring => format!("{names} and {champion} are being scored on the holdout"),
        _ => format!("{names} is being compared with {champion}"),
    };
    let mut memory = input.memory.clone();
    for action in &actions {
        if let Action::Score {
            version, inputs, ..
        } = action
        {
            memory.scored.insert(version.clone(), inputs.clone());
        }
    }
    Some(Plan::say(&memory, reason, message).with_actions(actions))
}

/// One look for all comparisons that wait for a verdict: it is claimed first, and judged once the ledger holds it.
fn look(
    input: &ChampionInput<'_>,
    standings: &[(String, Standing<'_>)],
    now: Timestamp,
) -> Option<Plan> {
    let waiting: Vec<(&EvaluationView<'_>, &ComparedEvidence<'_>)> = standings
        .iter()
        .filter_map(|(_, standing)| match standing {
            Standing::Compared(evaluation, compared) => Some((*evaluation, *compared)),
            _ => None,
        })
        .collect();
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
fn batch_name(batch: &[(&EvaluationView<'_>, &ComparedEvidence<'_>)]) -> String {
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
    batch: &[(&EvaluationView<'_>, &ComparedEvidence<'_>)],
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

fn judge(
    input: &ChampionInput<'_>,
    ledger: &Ledger,
    number: u64,
    batch: &[(&EvaluationView<'_>, &ComparedEvidence<'_>)],
) -> Plan {
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

/// Proposes the challenger with the highest lower bound among those that won.
fn winner(
    table: &GateTable,
    input: &ChampionInput<'_>,
    standings: &[(String, Standing<'_>)],
    now: Timestamp,
) -> Option<Plan> {
    let judged: Vec<(&String, &EvaluationView<'_>, &Judged)> = standings
        .iter()
        .filter_map(|(challenger, standing)| match standing {
            Standing::Judged(evaluation, judged) => Some((challenger, *evaluation, *judged)),
            _ => None,
        })
        .collect();
    let outcomes = judged
        .iter()
        .map(|(_, _, judged)| (&judged.verdict, judged.lower_bound));
    let (challenger, evaluation, judged) = judged.get(best(outcomes)?)?;
    let mut wanted = next_move(input, Cause::Promotion, challenger.to_string());
    wanted.evidence = evidence_of(input, &wanted);
    let finding = judged.sentence.clone();
    Some(propose(
        table,
        input,
        wanted,
        finding,
        Some(&evaluation.name),
        now,
    ))
}

/// What was judged for the pair of a move.
pub(super) fn evidence_of(input: &ChampionInput<'_>, wanted: &Move) -> Option<Evidence> {
    compared(input, wanted).map(|compared| Evidence {
        digest: compared.digest.clone(),
        holdout: compared.holdout.clone(),
    })
}

/// Says why no challenger is proposed: of the newest one whose evidence went furthest.
fn held(input: &ChampionInput<'_>, champion: &str, standings: &[(String, Standing<'_>)]) -> Plan {
    let furthest = standings.iter().max_by_key(|(_, standing)| rank(standing));
    let Some((challenger, standing)) = furthest else {
        return no_challenger(input);
    };
    let mut plan = held_by(input, champion, challenger, standing);
    let others = standings.len() - 1;
    if others > 0 {
        let more = format!(" None of the {} challengers is better.", others + 1);
        plan.message.push_str(&more);
        if let Some(conclusion) = &mut plan.conclusion {
            conclusion.sentence.push_str(&more);
        }
    }
    plan
}

fn rank(standing: &Standing<'_>) -> u8 {
    match standing {
        Standing::Judged(..) => 4,
        Standing::Compared(..) | Standing::Unfinished(..) => 3,
        Standing::Failed(..) | Standing::Foreign(..) => 2,
        Standing::Unavailable(_) => 1,
        Standing::Closed(_) => 0,
    }
}

fn held_by(
    input: &ChampionInput<'_>,
    champion: &str,
    challenger: &str,
    standing: &Standing<'_>,
) -> Plan {
    let memory = input.memory;
    let (name, against) = (words::version(challenger), words::version(champion));
    match standing {
        Standing::Closed(closed) => {
            let message = format!("{name} is not compared with {against}. {}", closed.why);
            Plan::closed_by(memory, closed, message)
        }
        Standing::Unavailable(why) => {
            let message = format!("{name} cannot be compared with {against}: {why}. Held.");
            Plan::say(memory, Reason::EvidenceMissing, message)
        }
        Standing::Foreign(evaluation, field) => {
            let message = format!(
                "{name} was not compared with {against}: `{field}` of the Evaluation {} is not what this policy asks; delete that object. Held.",
                evaluation.name
            );
            Plan::say(memory, Reason::EvaluationNotOurs, message)
        }
        Standing::Failed(why) => {
            let message = format!("{name} could not be compared with {against}: {why}. Held.");
            Plan::say(memory, Reason::EvaluationFailed, message)
        }
        Standing::Judged(evaluation, judged) => {
            let reason = match judged.verdict {
                Verdict::Superior | Verdict::Inconclusive => Reason::Inconclusive,
                Verdict::Inferior => Reason::Inferior,
                Verdict::NotComparable { .. } => Reason::NotComparable,
            };
            let sentence = format!("{} Held.", judged.sentence);
            let mut plan = Plan::say(memory, reason, sentence.clone());
            plan.conclusion = Some(Conclusion {
                challenger: challenger.to_string(),
                evaluation: Some(evaluation.name.clone()),
                verdict: Some(judged.verdict.name()),
                sentence,
            });
            plan
        }
        // Both are acted on before anything is held.
        Standing::Unfinished(..) | Standing::Compared(..) => Plan::say(
            memory,
            Reason::Comparing,
            format!("{name} is being compared with {against}"),
        ),
    }
}
