//! What people ask for, and which files of evidence lie in the store.

use super::world::{CHALLENGER, CHAMPION, ONE_STEP, PREVIOUS, TOTAL_ERROR};
use podium_core::champion::{
    Aliases, Challengers, Exclusivity, FirstChampion, Mode, OnExternalChange, Pin, Policy, Reuse,
};
use podium_core::looks::{Sketch, Spending};

/// Files of evidence that may lie in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Files {
    /// Those that lie there first.
    First,
    /// The same holdout with one changed row.
    OneRowChanged,
    /// A holdout of other rows.
    NewHoldout,
}

impl Files {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::First, Self::OneRowChanged, Self::NewHoldout];

    /// Those that evidence with this digest was made of.
    pub fn of_digest(digest: &str) -> Option<Self> {
        let made_of = |files: &Self| digest.ends_with(&format!("-{files:?}"));
        Self::ALL.into_iter().find(made_of)
    }

    /// Fingerprint of the holdout.
    pub fn fingerprint(self) -> &'static str {
        match self {
            Self::First => "aaaa",
            Self::OneRowChanged => "abab",
            Self::NewHoldout => "bbbb",
        }
    }

    /// Whether most rows are those of `other`.
    pub fn shares_most_rows(self, other: Self) -> bool {
        (self == Self::NewHoldout) == (other == Self::NewHoldout)
    }

    /// Its sketch.
    pub fn sketch(self) -> Sketch {
        let rows = match self {
            Self::First => 0..10,
            Self::OneRowChanged => 1..11,
            Self::NewHoldout => 100..110,
        };
        Sketch::of(rows)
    }
}

/// What people ask for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wishes {
    /// `spec.suspend`.
    pub suspend: bool,
    /// `promotion.mode`.
    pub mode: Mode,
    /// `promotion.firstChampion`.
    pub first: FirstChampion,
    /// `promotion.approval.required`.
    pub required: u32,
    /// Whether there is a cooldown of one step.
    pub cooldown: bool,
    /// `promotion.exclusivity`.
    pub exclusivity: Exclusivity,
    /// `promotion.onExternalChange`.
    pub external: OnExternalChange,
    /// `spec.pin`.
    pub pin: Option<String>,
    /// `spec.reconsider`.
    pub reconsider: Vec<String>,
    /// `spec.acknowledgedEpoch`.
    pub acknowledged: u64,
}

impl Wishes {
    /// A policy that promotes by itself.
    pub fn automatic() -> Self {
        Self {
            suspend: false,
            mode: Mode::Automatic,
            first: FirstChampion::Automatic,
            required: 1,
            cooldown: false,
            exclusivity: Exclusivity::Ledger,
            external: OnExternalChange::Adopt,
            pin: None,
            reconsider: Vec::new(),
            acknowledged: 0,
        }
    }

    /// The policy that says so.
    pub fn policy(&self) -> Policy {
        Policy {
            model: "fraud".to_string(),
            aliases: Aliases {
                champion: CHAMPION.to_string(),
                challenger: CHALLENGER.to_string(),
                previous: PREVIOUS.to_string(),
            },
            suspend: self.suspend,
            challengers: Challengers::Alias,
            mode: self.mode,
            first_champion: self.first,
            approvals_required: self.required,
            approvals_expire_seconds: ONE_STEP,
            cooldown_seconds: if self.cooldown { ONE_STEP } else { 0 },
            exclusivity: self.exclusivity,
            on_external_change: self.external,
            pin: self.pin.clone().map(|version| Pin {
                version,
                reason: "asked for".to_string(),
            }),
            reconsider: self.reconsider.clone(),
            acknowledged_epoch: self.acknowledged,
            reuse: Reuse {
                spending: Spending::Harmonic,
                total_error: TOTAL_ERROR,
                max_evaluations: None,
            },
        }
    }
}
