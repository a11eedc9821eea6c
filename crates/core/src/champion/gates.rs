//! What must hold before the champion alias moves: one table of gates by cause. It is asked when a move is decided and again right
//! before the registry is asked to carry it out.

use super::cause::{Cause, Move};
use super::checks;
use super::input::ChampionInput;
use super::plan::Action;
use super::reason::Reason;
use crate::time::Timestamp;

/// Something that must hold before the champion alias moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gate {
    /// We lead, the epoch's claim is ours, the alias is where it was read.
    Authority,
    /// The move is still asked for.
    Wanted,
    /// The target version exists and is ready.
    Target,
    /// We own the alias.
    Owner,
    /// The policy is not a dry run.
    DryRun,
    /// The policy is not suspended.
    Suspended,
    /// Version and evidence are not refused.
    NotRefused,
    /// Enough different people consent, and nobody rejects.
    Consent,
    /// The champion did not change too recently.
    Cooldown,
    /// A window is open.
    Window,
    /// The evidence is what was judged, and was seen recently.
    Evidence,
    /// The look was paid for.
    Look,
    /// No hold is open.
    Hold,
    /// A move by somebody else is undone once, then held for an hour.
    Once,
}

/// One row of the table: which causes ask a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The gate.
    pub gate: Gate,
    /// Whether each cause asks it, in the order of [`Cause::ALL`].
    pub asked: [bool; 4],
    /// What must hold, as the documentation says it.
    pub must_hold: &'static str,
}

const fn row(gate: Gate, asked: [bool; 4], must_hold: &'static str) -> Row {
    Row {
        gate,
        asked,
        must_hold,
    }
}

/// The table, by cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateTable(pub [Row; 14]);

const X: bool = true;
const O: bool = false;

/// The table that Podium keeps. `ARCHITECTURE.md` shows it.
#[rustfmt::skip]
pub const GATES: GateTable = GateTable([
    //                    Promotion, First, Pin, Revert
    row(Gate::Authority,  [X, X, X, X], "we lead, the epoch's claim is ours, the alias is where it was read"),
    row(Gate::Wanted,     [X, X, X, X], "the move is still asked for (still a challenger and nothing pinned; still pinned; still `Revert`)"),
    row(Gate::Target,     [X, X, X, X], "the target version exists and is ready"),
    row(Gate::Owner,      [X, X, X, X], "we own the alias (the older of two policies does)"),
    row(Gate::DryRun,     [X, X, X, X], "not DryRun"),
    row(Gate::Suspended,  [X, X, O, X], "not suspended"),
    row(Gate::NotRefused, [X, X, O, O], "version and evidence not refused (`spec.reconsider: [version]` lifts it)"),
    row(Gate::Hold,       [X, X, O, X], "no Hold open (`spec.acknowledgedEpoch` lifts it)"),
    row(Gate::Once,       [O, O, O, X], "once per external change, then Hold for an hour"),
    row(Gate::Evidence,   [X, O, O, O], "evidence is what was judged (digests), and its files were last seen unchanged at most ten minutes ago"),
    row(Gate::Look,       [X, O, O, O], "look paid for"),
    row(Gate::Consent,    [X, X, O, O], "consent: `mode: Approval`, `firstChampion: Approval`; distinct approvers; consent expires, a refusal stands"),
    row(Gate::Cooldown,   [X, O, O, O], "cooldown"),
    row(Gate::Window,     [X, X, O, O], "window"),
]);

/// A gate that is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Which.
    pub gate: Gate,
    /// What closes it.
    pub reason: Reason,
    /// A sentence that follows the finding and says what holds the champion.
    pub why: String,
    /// When it opens by itself, if it does.
    pub opens_at: Option<Timestamp>,
    /// What it waits for.
    pub awaits: Awaits,
}

/// What a closed gate waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// A change of what it asks about, or its time.
    Change,
    /// A look at the files of the evidence, with the action that asks for it unless somebody did.
    Confirmation(Option<Box<Action>>),
}

impl Awaits {
    /// Whether it is a look at the files of the evidence.
    #[must_use]
    pub fn is_confirmation(&self) -> bool {
        matches!(self, Self::Confirmation(_))
    }

    /// What is done for it.
    #[must_use]
    pub fn action(&self) -> Option<&Action> {
        match self {
            Self::Change => None,
            Self::Confirmation(action) => action.as_deref(),
        }
    }
}

/// What a gate finds, before it is known as one.
pub(super) struct Shut {
    pub(super) reason: Reason,
    pub(super) why: String,
    pub(super) opens_at: Option<Timestamp>,
    pub(super) awaits: Awaits,
}

impl Shut {
    pub(super) fn new(reason: Reason, why: impl Into<String>) -> Self {
        Self {
            reason,
            why: why.into(),
            opens_at: None,
            awaits: Awaits::Change,
        }
    }

    pub(super) fn until(self, opens_at: Option<Timestamp>) -> Self {
        Self { opens_at, ..self }
    }

    pub(super) fn awaiting(self, awaits: Awaits) -> Self {
        Self { awaits, ..self }
    }

    fn at(self, gate: Gate) -> Closed {
        let Self {
            reason,
            why,
            opens_at,
            awaits,
        } = self;
        Closed {
            gate,
            reason,
            why,
            opens_at,
            awaits,
        }
    }
}

impl Gate {
    /// All gates, in the order of the table.
    pub const ALL: [Self; 14] = {
        let mut all = [Self::Authority; 14];
        let mut index = 0;
        while index < 14 {
            all[index] = GATES.0[index].gate;
            index += 1;
        }
        all
    };

    /// Its name, as an outcome and a history show it.
    #[must_use]
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    fn check(self, input: &ChampionInput<'_>, wanted: &Move, now: Timestamp) -> Result<(), Shut> {
        match self {
            Self::Authority => checks::authority(input, wanted),
            Self::Wanted => checks::wanted(input, wanted),
            Self::Target => checks::target(input, wanted),
            Self::Owner => checks::owner(input),
            Self::DryRun => checks::not_dry_run(input),
            Self::Suspended => checks::not_suspended(input),
            Self::NotRefused => checks::not_refused(input, wanted),
            Self::Hold => checks::no_hold(input, now),
            Self::Once => checks::once(input, now),
            Self::Evidence => checks::evidence(input, wanted, now),
            Self::Look => checks::look(input, wanted),
            Self::Consent => checks::consent(input, wanted, now),
            Self::Cooldown => checks::cooldown(input, now),
            Self::Window => checks::window(input),
        }
    }
}

impl GateTable {
    /// The first gate that `wanted` must pass and that is closed. One that a look at files may open comes after all others: nobody looks
    /// at the files of a move that something else holds.
    #[must_use]
    pub fn first_closed(
        &self,
        input: &ChampionInput<'_>,
        wanted: &Move,
        now: Timestamp,
    ) -> Option<Closed> {
        self.closed(input, wanted, now, |_| true)
    }

    /// The same of the gates that hold back even the making of evidence.
    #[must_use]
    pub fn first_closed_before_evidence(
        &self,
        input: &ChampionInput<'_>,
        wanted: &Move,
        now: Timestamp,
    ) -> Option<Closed> {
        self.closed(input, wanted, now, Gate::precedes_evidence)
    }

    fn closed(
        &self,
        input: &ChampionInput<'_>,
        wanted: &Move,
        now: Timestamp,
        concerns: impl Fn(Gate) -> bool,
    ) -> Option<Closed> {
        let asked = self
            .0
            .iter()
            .filter(|row| row.asked[wanted.cause as usize] && concerns(row.gate));
        let closed = asked.filter_map(|row| {
            let shut = row.gate.check(input, wanted, now).err()?;
            Some(shut.at(row.gate))
        });
        // The first one of those with the lowest key.
        closed.min_by_key(|closed| closed.awaits.is_confirmation())
    }

    /// The table with one entry changed; for tests that show that each entry matters.
    #[must_use]
    pub fn without(mut self, gate: Gate, cause: Cause) -> Self {
        for row in self.0.iter_mut().filter(|row| row.gate == gate) {
            row.asked[cause as usize] = false;
        }
        self
    }
}

impl Gate {
    /// A comparison that could not be followed by a move costs a look for nothing; one that waits for consent, cooldown or a window
    /// does not, and a dry run is there to show it.
    fn precedes_evidence(self) -> bool {
        matches!(
            self,
            Self::Wanted
                | Self::Target
                | Self::Owner
                | Self::Suspended
                | Self::NotRefused
                | Self::Hold
        )
    }
}
