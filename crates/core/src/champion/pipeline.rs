//! From challengers to a proposal: predictions, comparisons, a look for those that were not judged yet, the best of those that won.

use super::cause::{Cause, Move};
use super::checks::{compared, exists};
use super::gates::{Closed, GateTable};
use super::input::{
    ChampionInput, ComparedEvidence, EvaluationState, EvaluationView, Judged, Predictions,
    WaitingFor,
};
use super::look::{Waiting, look};
use super::memory::Evidence;
use super::plan::{Action, Conclusion, Plan};
use super::proposal::{challengers, next_move, no_challenger, propose};
use super::reason::Reason;
use super::words;
use crate::comparison::Verdict;
use crate::looks::best;
use crate::time::Timestamp;

/// How far the evidence for one challenger is.
enum Standing<'a> {
    /// A gate is closed that holds back even the making of evidence.
    Closed(Closed),
    /// A version cannot be scored; why.
    Unavailable(String),
    /// Something is to be made, or is being made; what holds that up, where that is known.
    Unfinished(Vec<Action>, Reason, Option<&'a str>),
    /// Files are missing and are waited for, or their scorer is.
    Waiting(&'a WaitingFor),
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
    let mut plan = unfinished(input, champion, &standings)
        .or_else(|| look(input, waiting_for_a_look(&standings), now))
        .or_else(|| winner(table, input, &standings, now))
        .unwrap_or_else(|| held(input, champion, &standings));
    // Whatever becomes of the others: files that are missing are looked for at their time.
    let looks = standings.iter().filter_map(|(_, standing)| match standing {
        Standing::Waiting(waiting) => waiting.next,
        _ => None,
    });
    plan.look_again_at = looks.chain(plan.look_again_at).min();
    plan
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
    let (mut in_progress, mut waits) = (false, None);
    let of_pair = input.predictions.get(challenger);
    for (place, version) in [champion, challenger].into_iter().enumerate() {
        match of_pair.map(|pair| &pair[place]) {
            Some(Predictions::Present) => {}
            Some(Predictions::Unavailable(why)) => return Standing::Unavailable(why.clone()),
            Some(Predictions::Awaited(waiting)) => return Standing::Waiting(waiting),
            Some(Predictions::Missing { inputs }) => {
                scores.push(score(input, version, challenger, inputs));
            }
            // What was not looked at yet is looked at by the next plan.
            None => in_progress = true,
            Some(Predictions::InProgress(why)) => {
                in_progress = true;
                waits = waits.or(why.as_deref());
            }
        }
    }
    if in_progress || !scores.is_empty() {
        return Standing::Unfinished(scores, Reason::Scoring, waits);
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
        return Standing::Unfinished(vec![evaluate], Reason::Comparing, None);
    };
    match &evaluation.state {
        EvaluationState::Foreign(field) => Standing::Foreign(evaluation, field),
        EvaluationState::Pending(waits) => {
            Standing::Unfinished(Vec::new(), Reason::Comparing, waits.as_deref())
        }
        EvaluationState::Waiting(waiting) if waiting.is_due(now) => {
            let again = Action::LookAgain {
                evaluation: evaluation.name.clone(),
            };
            Standing::Unfinished(
                vec![again],
                Reason::AwaitingPredictions,
                Some(&waiting.words),
            )
        }
        EvaluationState::Waiting(waiting) => Standing::Waiting(waiting),
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
    let mut waiting: Vec<(&str, Reason, Option<&str>)> = Vec::new();
    for (challenger, standing) in standings {
        if let Standing::Unfinished(wanted, reason, waits) = standing {
            waiting.push((challenger, *reason, *waits));
            actions.extend(wanted.iter().cloned());
        }
    }
    let (_, reason, waits) = *waiting.first()?;
    let names: Vec<String> = waiting
        .iter()
        .map(|(version, ..)| words::version(version))
        .collect();
    let (names, champion) = (names.join(", "), words::version(champion));
    let message = match (reason, waits) {
        (Reason::Scoring, None) => {
            format!("{names} and {champion} are being scored on the holdout")
        }
        (Reason::Scoring, Some(waits)) => {
            format!("{names} and {champion} are being scored on the holdout: {waits}")
        }
        (Reason::AwaitingPredictions, Some(waits)) => awaiting(&names, &champion, waits),
        (_, Some(waits)) => {
            format!("{names} is being compared with {champion}, and waits: {waits}")
        }
        (_, None) => format!("{names} is being compared with {champion}"),
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

/// Names with what they wait for.
fn awaiting(names: &str, champion: &str, waits: &str) -> String {
    format!("{names} is not compared with {champion} yet: {waits}")
}

/// The comparisons that wait for a verdict.
fn waiting_for_a_look<'a>(standings: &[(String, Standing<'a>)]) -> Vec<Waiting<'a>> {
    standings
        .iter()
        .filter_map(|(_, standing)| match standing {
            Standing::Compared(evaluation, compared) => Some((*evaluation, *compared)),
            _ => None,
        })
        .collect()
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
    plan.held_back = Some(challenger.clone());
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
        Standing::Compared(..) | Standing::Unfinished(..) | Standing::Waiting(_) => 3,
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
        Standing::Waiting(waiting) => {
            let message = awaiting(&name, &against, &waiting.words);
            Plan::say(memory, Reason::AwaitingPredictions, message)
        }
        // Both are acted on before anything is held.
        Standing::Unfinished(..) | Standing::Compared(..) => Plan::say(
            memory,
            Reason::Comparing,
            format!("{name} is being compared with {against}"),
        ),
    }
}
