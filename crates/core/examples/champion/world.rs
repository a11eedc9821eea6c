//! A small world around the function that plans: a registry without compare-and-set, a ledger, a status, and a process that
//! carries plans out step by step and may die between any two of them.

use super::wishes::{Files, Wishes};
use podium_core::champion::ledger::{Ledger, Register};
use podium_core::champion::memory::MovePhase;
use podium_core::champion::{
    Action, ApprovalView, ChampionInput, ComparedEvidence, EvaluationState, EvaluationView,
    GateTable, Identity, Judged, JudgedLook, Memory, Plan, Predictions, RegistryView, VersionView,
    WindowView, plan_by,
};
use podium_core::comparison::{Holdout, Settings, Statistics, Verdict, judge, measure};
use podium_core::looks::Sketch;
use podium_core::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The alias that policies move.
pub const CHAMPION: &str = "champion";
/// The alias of the version that wants to be champion.
pub const CHALLENGER: &str = "challenger";
/// The alias of the champion before.
pub const PREVIOUS: &str = "previous-champion";
/// The policy as an owner.
pub const OWNER: &str = "cluster/default/fraud";
/// One step of time: two of them are more than an hour.
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

/// Statistics of a challenger that is better, and of one that is worse.
///
/// They are computed by a pool of their own: those who wait for them may be all threads of rayon's common pool, which then would compute
/// nothing for ever.
static STATISTICS: LazyLock<[Statistics; 2]> = LazyLock::new(|| {
    std::thread::spawn(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let compute = || [mk_statistics([0.1, 0.9]), mk_statistics([0.9, 0.1])];
        pool.expect("a thread can be started").install(compute)
    })
    .join()
    .expect("the rows are fine")
});

fn mk_statistics(signal: [f64; 2]) -> Statistics {
    let mut holdout = Holdout::default();
    for row in 0..400_u32 {
        let label = row % 2;
        let noise = |step: u32| f64::from(row * step % 97) / 97.0;
        holdout.labels.push(u8::from(label == 1));
        holdout
            .champion
            .push(signal[0] * f64::from(label) + noise(31));
        holdout
            .challenger
            .push(signal[1] * f64::from(label) + noise(53));
    }
    let settings = Settings {
        resamples: 200,
        ..Settings::default()
    };
    measure(&holdout, &settings, 1, &mut |_, _| {}).expect("the rows are fine")
}

/// Of two versions the one with the higher number is better.
fn statistics(champion: &str, challenger: &str) -> &'static Statistics {
    &STATISTICS[usize::from(challenger < champion)]
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
        Timestamp(1_000_000_000).plus_seconds(u64::from(self.time) * STEP_SECONDS)
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

    /// Digest of the evidence for a pair.
    pub fn digest(&self, champion: &str, challenger: &str) -> String {
        format!("{champion}-{challenger}-{:?}", self.files)
    }

    /// The ledger as it can be read.
    pub fn ledger(&self) -> Ledger {
        Ledger::read(&self.registers, &self.wishes.policy().aliases)
            .expect("only Podium writes the ledger")
    }

    fn evaluations(&self, lens: &Lens) -> Vec<EvaluationView<'static>> {
        let Some(champion) = self.alias(CHAMPION) else {
            return Vec::new();
        };
        let others = self.registry.versions.keys().filter(|v| *v != champion);
        others
            .map(|challenger| self.evaluation(champion, challenger, lens))
            .collect()
    }

    fn evaluation(&self, champion: &str, challenger: &str, lens: &Lens) -> EvaluationView<'static> {
        let statistics = statistics(champion, challenger);
        let key = (champion.to_string(), challenger.to_string(), self.files);
        let judged = self.verdicts.get(&key).map(|(number, error)| {
            let allowed_error = f64::from_bits(*error);
            let comparison = judge(statistics, &[], allowed_error);
            Judged {
                lower_bound: comparison.least_improvement(),
                verdict: comparison.verdict,
                look: Some(JudgedLook {
                    number: *number,
                    allowed_error,
                }),
                sentence: format!("v{challenger} is as found."),
            }
        });
        let in_flight = self
            .memory
            .in_flight
            .as_ref()
            .and_then(|f| f.evidence.as_ref());
        let believed = in_flight.filter(|_| lens.believes_evidence);
        EvaluationView {
            name: format!("{champion}-{challenger}-{:?}", self.files),
            champion: champion.to_string(),
            challenger: challenger.to_string(),
            state: EvaluationState::Compared(Box::new(ComparedEvidence {
                digest: believed
                    .map_or_else(|| self.digest(champion, challenger), |e| e.digest.clone()),
                holdout: believed.map_or_else(
                    || self.files.fingerprint().to_string(),
                    |evidence| evidence.holdout.clone(),
                ),
                sketch: match (lens.every_holdout_is_new, self.files) {
                    _ if believed.is_some() => Files::First.sketch(),
                    (true, Files::OneRowChanged) => Sketch::of(200..210),
                    (_, files) => files.sketch(),
                },
                statistics,
                measurements: Vec::new(),
                judged: match believed {
                    Some(_) => Some(Judged {
                        verdict: Verdict::Superior,
                        look: self.any_look(champion, challenger),
                        lower_bound: 0.1,
                        sentence: String::new(),
                    }),
                    None => judged,
                },
            })),
        }
    }

    /// The look of a verdict on this pair, whatever files lay there.
    fn any_look(&self, champion: &str, challenger: &str) -> Option<JudgedLook> {
        let mut of_pair = self
            .verdicts
            .iter()
            .filter(|((from, to, _), _)| from == champion && to == challenger);
        let (_, (number, error)) = of_pair.next()?;
        Some(JudgedLook {
            number: *number,
            allowed_error: f64::from_bits(*error),
        })
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
            Step::Do(
                Action::Score { .. }
                | Action::Evaluate { .. }
                | Action::LookAgain { .. }
                | Action::TagVersion { .. },
            ) => {}
        }
    }

    /// Writes a register unless it was written before; whether it holds this text.
    pub fn write(&mut self, register: Register) -> bool {
        let held = self.registers.entry(register.key);
        *held.or_insert_with(|| register.text.clone()) == register.text
    }

    fn judge(&mut self, evaluation: &str, look: Option<&podium_core::champion::LookTaken>) {
        let mut parts = evaluation.split('-');
        if let (Some(champion), Some(challenger), Some(look)) = (parts.next(), parts.next(), look) {
            // A comparison of other files was asked before; the name says of which.
            if parts.next() == Some(format!("{:?}", self.files).as_str()) {
                let key = (champion.to_string(), challenger.to_string(), self.files);
                self.verdicts
                    .insert(key, (look.number, look.allowed_error.to_bits()));
            }
        }
    }

    /// Plans and does everything at once until nothing changes; the number of plans, or `None` after `most`.
    pub fn settle(&mut self, lens: &Lens, most: usize) -> Option<(usize, Plan)> {
        while !self.doing.is_empty() {
            self.step();
        }
        for number in 0..=most {
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
