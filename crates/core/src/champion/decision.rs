//! One decision with one sentence: the verdict, then the gates in their order.

use super::gates::{self, FirstChampion};
use super::{ChampionInput, Mode};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a comparison found, as far as the decision is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Better on the primary metric, no guardrail hurt.
    Superior,
    /// Worse on the primary metric, or a guardrail hurt.
    Inferior,
    /// The evidence allows neither.
    Inconclusive,
    /// There is no evidence that could be compared.
    NotComparable,
}

/// What follows from the evidence and the gates.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The challenger becomes champion.
    Promote {
        /// Why, in plain words, ending with `Promoted.`
        sentence: String,
    },
    /// It would, once somebody consents.
    AwaitApproval {
        /// Why, in plain words.
        sentence: String,
    },
    /// The champion stays.
    Hold {
        /// From the closed list of reasons.
        reason: &'static str,
        /// Why, in plain words, ending with `Held` and what holds it.
        sentence: String,
    },
}

impl Decision {
    /// The sentence of the decision.
    #[must_use]
    pub fn sentence(&self) -> &str {
        match self {
            Self::Promote { sentence }
            | Self::AwaitApproval { sentence }
            | Self::Hold { sentence, .. } => sentence,
        }
    }
}

/// Decides on a finished comparison. Anything but `Superior` holds the champion.
pub fn decide(
    input: &ChampionInput<'_>,
    outcome: Outcome,
    finding: &str,
    now: Timestamp,
) -> Decision {
    let held = |reason: &'static str, why: &str| Decision::Hold {
        reason,
        sentence: format!("{finding} {why}"),
    };
    match outcome {
        Outcome::Superior => {}
        Outcome::Inferior => return held("Inferior", "Held."),
        Outcome::Inconclusive => return held("Inconclusive", "Held."),
        Outcome::NotComparable => return held("NotComparable", "Held."),
    }
    match gates::first_closed(input, now) {
        None => Decision::Promote {
            sentence: format!("{finding} Promoted."),
        },
        Some(gate) if gate.awaits_approval => Decision::AwaitApproval {
            sentence: format!("{finding} {}", gate.why),
        },
        Some(gate) => held(gate.reason, &gate.why),
    }
}

/// Decides on a challenger while there is no champion to compare it with.
pub fn first(input: &ChampionInput<'_>, challenger: &str) -> Decision {
    let alias = &input.policy.aliases.champion;
    let finding = format!(
        "No version carries the alias `{alias}` yet, so v{challenger} has nothing to be compared with."
    );
    let approved = input.approvals.given >= input.policy.approvals_required.max(1)
        && !input.approvals.rejected;
    match input.policy.first_champion {
        FirstChampion::Never => Decision::Hold {
            reason: "FirstChampionNever",
            sentence: format!("{finding} Held: `promotion.firstChampion` is Never."),
        },
        _ if input.policy.mode == Mode::DryRun => Decision::Hold {
            reason: "DryRun",
            sentence: format!("{finding} Held: `promotion.mode` is DryRun."),
        },
        FirstChampion::Approval if input.approvals.rejected => Decision::Hold {
            reason: "Rejected",
            sentence: format!("{finding} Held: an approver rejected it."),
        },
        FirstChampion::Approval if !approved => Decision::AwaitApproval {
            sentence: format!(
                "{finding} It becomes champion once somebody consents: `promotion.firstChampion` is Approval."
            ),
        },
        FirstChampion::Approval | FirstChampion::Automatic => Decision::Promote {
            sentence: format!("{finding} Promoted as the first champion."),
        },
    }
}
