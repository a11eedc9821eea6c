//! A small world around the function that plans: a registry without compare-and-set, a ledger, a status, and a process that
//! carries plans out step by step and may die between any two of them.

use super::jobs::Comparisons;
use super::wishes::{Files, Wishes};
use podium_core::champion::ledger::{Ledger, Register};
use podium_core::champion::memory::MovePhase;
use podium_core::champion::{
    Action, ApprovalView, ChampionInput, GateTable, Identity, Memory, Plan, Predictions,
    RegistryView, VersionView, WindowView, plan_by,
};
use podium_core::time::Timestamp;
use std::collections::BTreeMap;

/// The alias that policies move.
pub const CHAMPION: &str = "champion";
/// The alias of the version that wants to be champion.
pub const CHALLENGER: &str = "challenger";
/// The alias of the champion before.
pub const PREVIOUS: &str = "previous-champion";
/// The policy as an owner.
pub const OWNER: &str = "cluster/default/fraud";
/// One step of time: two of them are more than an hour, and one is longer than evidence counts without a look at its files.
pub const STEP_SECONDS: u64 = 40 * 60;
/// Approvals and cooldowns last for one step.
pub const ONE_STEP: u64 = STEP_SECONDS;
/// The one-sided error of all looks together.
pub const TOTAL_ERROR: f64 = 0.025;

/// Something of a plan that is still to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// An action.
    Do(Action),
    /// The registry confirmed the move; the status does not say so yet.
    RecordApplied,
}

/// A decision that waits for consent, as the status shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// Its evidence.
    pub digest: String,
    /// Who would become champion.
    pub to: String,
}

/// A verdict that was taken: by pair and files, with the look and the error that it was allowed.
pub type Verdicts = BTreeMap<(String, String, Files), (u64, u64)>;

/// The whole state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// What people ask for.
    pub wishes: Wishes,
    /// The registry.
    pub registry: RegistryView,
    /// The ledger.
    pub registers: BTreeMap<String, String>,
    /// The status.
    pub memory: Memory,
    /// The decision that the status shows.
    pub shown: Option<Shown>,
    /// Verdicts that were taken.
    pub verdicts: Verdicts,
    /// The files of evidence.
    pub files: Files,
    /// What Jobs read of them, where nobody else reads files.
    pub comparisons: Option<Comparisons>,
    /// Consent and rejections.
    pub approvals: Vec<ApprovalView>,
    /// Steps of time.
    pub time: u32,
    /// Whether a window is open.
    pub window: bool,
    /// Whether this process leads.
    pub leads: bool,
    /// Whether nothing can be written to the ledger.
    pub ledger_denied: bool,
    /// Whether an older policy writes the same alias.
    pub older: bool,
    /// What of a plan is still to be done.
    pub doing: Vec<Step>,
    /// A write that the registry took and did not carry out yet.
    pub late: Option<Action>,
    /// Another operator that waits for the lease, where there is one: the status as its cache has it.
    pub standby: Option<Status>,
    /// The status as the cache of this process has it, while that is older than what is stored.
    pub cached: Option<Status>,
}

/// What of a status decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Status {
    /// What it remembers.
    pub memory: Memory,
    /// The decision that it shows.
    pub shown: Option<Shown>,
}

/// What a seeded fault does to what the planning function is told and to what it answers.
#[derive(Clone, Copy)]
pub struct Lens {
    /// The table of gates that is asked.
    pub table: fn(&World) -> GateTable,
    /// Changes the world that the function is shown.
    pub shows: fn(&mut World),
    /// Changes the plan that it answers.
    pub answers: fn(&mut Plan),
    /// Whether one changed row makes another holdout.
    pub every_holdout_is_new: bool,
    /// Whether the evidence always looks like what was judged.
    pub believes_evidence: bool,
    /// Whether a status is stored over one that was not read.
    pub overwrites_status: bool,
    /// Whether what changes nothing of the status is done without asking whether the status is still the one that was read.
    pub acts_unconfirmed: bool,
}

impl Lens {
    /// No fault.
    pub const CLEAR: Self = Self {
        table: |_| podium_core::champion::GATES,
        shows: |_| {},
        answers: |_| {},
        every_holdout_is_new: false,
        believes_evidence: false,
        overwrites_status: false,
        acts_unconfirmed: false,
    };
}

impl World {
    /// A world with these versions and aliases.
    pub fn new(
        wishes: Wishes,
        versions: &[&str],
        champion: Option<&str>,
        challenger: Option<&str>,
    ) -> Self {
        let mut registry = RegistryView::default();
        for version in versions {
            registry
                .versions
                .insert((*version).to_string(), VersionView::default());
        }
        for (alias, version) in [(CHAMPION, champion), (CHALLENGER, challenger)] {
            registry
                .aliases
                .extend(version.map(|v| (alias.to_string(), v.to_string())));
        }
        Self {
            wishes,
            registry,
            registers: BTreeMap::new(),
            memory: Memory::default(),
            shown: None,
            verdicts: Verdicts::new(),
            files: Files::First,
            comparisons: None,
            approvals: Vec::new(),
            time: 0,
            window: true,
            leads: true,
            ledger_denied: false,
            older: false,
            doing: Vec::new(),
            late: None,
            standby: None,
            cached: None,
        }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        Self::at(self.time)
    }

    /// The time at a step.
    pub fn at(step: u32) -> Timestamp {
        Timestamp(1_000_000_000).plus_seconds(u64::from(step) * STEP_SECONDS)
    }

    /// The ledger as it can be read.
    pub fn ledger(&self) -> Ledger {
        Ledger::read(&self.registers, &self.wishes.policy().aliases)
            .expect("only Podium writes the ledger")
    }

    /// Where an alias points.
    pub fn alias(&self, alias: &str) -> Option<&str> {
        self.registry.aliases.get(alias).map(String::as_str)
    }

    /// Points an alias somewhere, or removes it.
    pub fn point(&mut self, alias: &str, to: Option<&str>) {
        match to {
            Some(to) => drop(
                self.registry
                    .aliases
                    .insert(alias.to_string(), to.to_string()),
            ),
            None => drop(self.registry.aliases.remove(alias)),
        }
    }

    /// What the planning function answers now.
    pub fn plan(&self, lens: &Lens) -> Plan {
        let mut shown = self.clone();
        if let Some(cached) = &self.cached {
            shown.memory = cached.memory.clone();
        }
        (lens.shows)(&mut shown);
        let table = (lens.table)(&shown);
        let policy = shown.wishes.policy();
        let ledger = shown.ledger();
        let evaluations = shown.evaluations(lens);
        let predictions = shown
            .registry
            .versions
            .keys()
            .map(|version| {
                (
                    version.clone(),
                    [Predictions::Present, Predictions::Present],
                )
            })
            .collect();
        let identity = Identity {
            uid: "uid".to_string(),
            owner: OWNER.to_string(),
            take_over: None,
            older: shown.older.then(|| "older".to_string()),
        };
        let input = ChampionInput {
            policy: &policy,
            identity: &identity,
            leads: shown.leads,
            registry: Some(&shown.registry),
            ledger: Ok(&ledger),
            ledger_denied: shown.ledger_denied.then_some("it has no right to"),
            previous_denied: false,
            memory: &shown.memory,
            registered: &[],
            predictions: &predictions,
            evaluations: &evaluations,
            approvals: &shown.approvals,
            window: WindowView {
                open: shown.window,
                changes_at: None,
            },
        };
        let mut plan = plan_by(&table, &input, self.now());
        (lens.answers)(&mut plan);
        plan
    }

    /// Stores what a plan remembers and shows; its actions are still to be done. Whether it could: a status that changed since it was read
    /// is read again, and nothing of the plan is done.
    pub fn store(&mut self, plan: &Plan, lens: &Lens) -> bool {
        let status = Status {
            memory: plan.memory.clone(),
            shown: plan.pending.as_ref().map(|pending| Shown {
                id: pending.id.clone(),
                digest: pending.wanted.evidence_digest().to_string(),
                to: pending.wanted.to.clone(),
            }),
        };
        // What says what the cache says is not written at all, and confirmed before anything is done.
        let is_written = self.cached.as_ref() != Some(&status);
        let is_confirmed = !plan.actions.is_empty() && !lens.acts_unconfirmed;
        let is_compared = is_written || is_confirmed;
        if is_compared && self.cached.take().is_some() && !lens.overwrites_status {
            return false;
        }
        if is_written {
            self.set_status(status);
        }
        self.doing = plan.actions.iter().cloned().map(Step::Do).collect();
        true
    }

    /// Whether storing a plan would change anything or it has something to do.
    pub fn changes(&self, plan: &Plan, lens: &Lens) -> bool {
        let mut after = self.clone();
        after.store(plan, lens);
        after != *self
    }

    /// Does the next thing of the plan at hand.
    pub fn step(&mut self) {
        if self.doing.is_empty() {
            return;
        }
        match self.doing.remove(0) {
            Step::RecordApplied => {
                if let Some(in_flight) = &mut self.memory.in_flight {
                    in_flight.phase = MovePhase::Applied;
                }
            }
            Step::Do(Action::Write(register)) => {
                if !self.write(register) {
                    self.doing.clear();
                }
            }
            Step::Do(Action::MoveAlias {
                alias,
                to,
                in_flight,
                ..
            }) => {
                self.point(&alias, to.as_deref());
                if in_flight {
                    self.doing.insert(0, Step::RecordApplied);
                }
            }
            Step::Do(Action::Judge { evaluation, look }) => self.judge(&evaluation, look.as_ref()),
            Step::Do(Action::Evaluate {
                champion,
                challenger,
            }) => self.compare(&champion, &challenger),
            Step::Do(Action::Confirm { evaluation, number }) => {
                self.ask_for_look(&evaluation, number);
            }
            Step::Do(
                Action::Score { .. } | Action::LookAgain { .. } | Action::TagVersion { .. },
            ) => {}
        }
    }

    /// Writes a register unless it was written before; whether it holds this text.
    pub fn write(&mut self, register: Register) -> bool {
        let held = self.registers.entry(register.key);
        *held.or_insert_with(|| register.text.clone()) == register.text
    }

    /// Plans and does everything at once, Jobs included, until nothing changes; the number of plans, or `None` after `most`.
    pub fn settle(&mut self, lens: &Lens, most: usize) -> Option<(usize, Plan)> {
        while !self.doing.is_empty() {
            self.step();
        }
        for number in 0..=most {
            self.jobs_end();
            let plan = self.plan(lens);
            if !self.changes(&plan, lens) {
                return Some((number, plan));
            }
            self.store(&plan, lens);
            while !self.doing.is_empty() {
                self.step();
            }
        }
        None
    }
}
