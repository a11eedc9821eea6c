//! What must never happen, restated without the code that decides: each plan that moves the alias is held against what people did.

use super::wishes::Files;
use super::world::{CHALLENGER, CHAMPION, ONE_STEP, Step, TOTAL_ERROR, World};
use podium_core::champion::{
    Action, Cause, EpochCause, EpochOutcome, Exclusivity, FirstChampion, HistoryEntry, InFlight,
    Mode, OnExternalChange, Phase, Plan, Reason,
};
use podium_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// How epochs are counted, and the number of one.
type Numbered = (Exclusivity, u64);

/// Whether the process hears the answer to what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It does.
    Yes,
    /// The answer is lost.
    No,
}

/// What happened, as an auditor remembers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Audit {
    /// Versions that people moved away from or rejected, with the files that lay there.
    pub refused: BTreeSet<(String, Files)>,
    /// Versions that were refused when `spec.reconsider` named them.
    pub reconsidered: BTreeSet<(String, Files)>,
    /// On which files a version last won.
    pub won_on: BTreeMap<String, Files>,
    /// Where the alias was moved in each epoch, with claims and without.
    pub moved: BTreeMap<Numbered, String>,
    /// Which aliases were set in which epoch, and the process knows it.
    pub set: BTreeSet<(String, Numbered)>,
    /// The epoch in which the policy itself set the champion alias to where it points.
    pub set_by: Option<Numbered>,
    /// When a move by somebody else was undone.
    pub reverts: Vec<u32>,
    /// Whether there ever was a champion.
    pub had_champion: bool,
    /// When files of evidence were last taken away, where nobody but a Job would see it.
    pub taken_away: BTreeMap<Files, u32>,
    /// The error that each verdict was allowed, as bits: by whether the holdout is a new one, look and comparison.
    pub spent: BTreeMap<(bool, u64, String), u64>,
    /// What went wrong.
    pub violation: Option<&'static str>,
}

impl Audit {
    fn fail(&mut self, what: &'static str) {
        self.violation.get_or_insert(what);
    }

    fn is_refused(&self, version: &str, files: Files) -> bool {
        self.refused
            .iter()
            .filter(|(v, f)| v == version && f.shares_most_rows(files))
            .any(|key| !self.reconsidered.contains(key))
    }

    /// Somebody moves the alias away from where it points. Nobody can know of a champion that came and went unseen.
    pub fn somebody_moves(&mut self, world: &World, to: Option<&str>) {
        let recorded = world.memory.champion.as_ref().map(|c| c.version.as_str());
        let asked = world.memory.in_flight.as_ref().filter(|f| f.attempts > 0);
        let seen = [recorded, asked.map(|f| f.to.as_str())];
        if seen.contains(&world.alias(CHAMPION)) {
            self.moved_away(world);
        }
        self.set_by = None;
        self.somebody_wants(to);
    }

    /// The process does the next thing of its plan.
    pub fn does(&mut self, world: &World, heard: Heard) {
        let memory = &world.memory;
        let in_flight = memory.in_flight.as_ref();
        let moving = in_flight.map_or(memory.epoch, |move_| move_.epoch);
        match world.doing.first() {
            Some(Step::Do(Action::MoveAlias {
                alias,
                to,
                in_flight,
                ..
            })) if world.alias(alias) != to.as_deref() => {
                let epoch = if *in_flight { moving } else { memory.epoch };
                self.sets(alias, (memory.exclusivity(), epoch), heard);
            }
            Some(Step::RecordApplied) => {
                let epoch = (memory.exclusivity(), moving);
                self.set.insert((CHAMPION.to_string(), epoch));
            }
            _ => {}
        }
    }

    /// The registry sets an alias and tells everybody who listens, so it does that once for each alias and epoch. Of the champion's the
    /// process knows once that was recorded: until then it may die and ask again, and cannot tell whether somebody moved it back.
    fn sets(&mut self, alias: &str, epoch: Numbered, heard: Heard) {
        let set = (alias.to_string(), epoch);
        if self.set.contains(&set) {
            self.fail("an alias is set twice in one epoch");
        }
        if alias == CHAMPION {
            self.set_by = Some(epoch);
        } else if heard == Heard::Yes {
            self.set.insert(set);
        }
    }

    /// A write arrives that the registry took before. Nobody can tell it from a move by somebody else.
    pub fn late_write(&mut self, before: &World) {
        let Some(Action::MoveAlias { alias, to, .. }) = &before.late else {
            return;
        };
        if before.alias(alias) == to.as_deref() {
            return;
        }
        if alias == CHAMPION {
            self.set_by = None;
        } else {
            self.must_set_again(alias);
        }
    }

    /// What was known of an alias does not hold any more.
    pub fn must_set_again(&mut self, alias: &str) {
        self.set.retain(|(set, _)| set != alias);
    }

    /// What somebody makes champion by hand is not refused any more.
    fn somebody_wants(&mut self, version: Option<&str>) {
        self.refused.retain(|(v, _)| Some(v.as_str()) != version);
    }

    /// A version is refused on the files that it had won on, or on all of them where none are known.
    fn moved_away(&mut self, world: &World) {
        let Some(from) = world.alias(CHAMPION) else {
            return;
        };
        let known = self.won_on.get(from).copied();
        for files in Files::ALL {
            if known.is_none_or(|known| known == files) {
                let refused = (from.to_string(), files);
                self.reconsidered.remove(&refused);
                self.refused.insert(refused);
            }
        }
    }

    /// The process stores a plan and begins to carry it out.
    pub fn planned(&mut self, before: &World, plan: &Plan) {
        self.had_champion |= plan.memory.champion.is_some();
        for action in &plan.actions {
            match action {
                Action::MoveAlias {
                    in_flight: true, ..
                } => {
                    if let Some(in_flight) = &plan.memory.in_flight {
                        self.moves(before, in_flight, plan.memory.exclusivity());
                    }
                }
                Action::MoveAlias { alias, .. } if alias == CHAMPION => {
                    self.fail("the champion alias moves without a decision");
                }
                Action::Judge {
                    look: Some(look),
                    evaluation,
                } => {
                    let new = Files::of_digest(evaluation) == Some(Files::NewHoldout);
                    let verdict = (new, look.number, evaluation.clone());
                    self.spends(verdict, look.allowed_error);
                }
                Action::Confirm { evaluation, .. } => self.looks_at_files(before, evaluation),
                _ => {}
            }
        }
        let known = &before.memory.history;
        let new = plan.memory.history.iter();
        for entry in new.filter(|entry| !known.contains(entry)) {
            self.records(plan.memory.exclusivity(), entry);
        }
        self.says(plan);
    }

    /// What the policy did is not taken for undone, and not for the deed of somebody else.
    fn records(&mut self, counted: Exclusivity, entry: &HistoryEntry) {
        let Some(set_by) = self.set_by.filter(|(by, _)| *by == counted) else {
            return;
        };
        if set_by.1 == entry.epoch && entry.outcome != EpochOutcome::Promoted {
            self.fail("a move that was made is recorded as one that was not");
        }
        if entry.outcome == EpochOutcome::External {
            self.fail("a move of the policy is recorded as one by somebody else");
        }
    }

    fn spends(&mut self, verdict: (bool, u64, String), error: f64) {
        let new = verdict.0;
        self.spent.insert(verdict, error.to_bits());
        let of_holdout = self.spent.iter().filter(|((of, ..), _)| *of == new);
        let sum: f64 = of_holdout.map(|(_, bits)| f64::from_bits(*bits)).sum();
        if sum > TOTAL_ERROR {
            self.fail("looks at one holdout use more than the error of all looks together");
        }
    }

    /// A look at files costs a Job.
    fn looks_at_files(&mut self, world: &World, evaluation: &str) {
        let wishes = &world.wishes;
        let is_held = wishes.suspend || wishes.pin.is_some() || wishes.mode == Mode::DryRun;
        let lacks_consent = wishes.mode == Mode::Approval && world.approvals.is_empty();
        if is_held || lacks_consent || !world.window || !world.leads || world.older {
            self.fail("files are looked at for a move that something else holds");
        }
        if world.awaits_look(evaluation) {
            self.fail("files are to be looked at that are being looked at");
        }
    }

    /// Somebody puts other files in the place of those that lie there.
    pub fn replaced(&mut self, world: &World) {
        if world.comparisons.is_some() {
            self.taken_away.insert(world.files, world.time);
        }
    }

    /// An alias moves on files that were seen within ten minutes, which are less than a step of time.
    fn on_files(&mut self, world: &World, move_: &InFlight) {
        let evidence = move_.evidence.as_ref();
        let Some(judged) = evidence.and_then(|of| Files::of_digest(&of.digest)) else {
            return;
        };
        let taken_away = self.taken_away.get(&judged);
        let long_ago = taken_away.is_some_and(|at| *at < world.time);
        if judged != world.files && long_ago {
            self.fail("a version is promoted on files that changed more than ten minutes before");
        }
    }

    fn says(&mut self, plan: &Plan) {
        let Some(conclusion) = &plan.conclusion else {
            return;
        };
        let champion = plan.memory.champion.as_ref().map(|c| c.version.as_str());
        let verified =
            champion == Some(conclusion.challenger.as_str()) && plan.memory.in_flight.is_none();
        if conclusion.sentence.contains("Promoted.") && !verified {
            self.fail("`Promoted.` is said before the deed");
        }
    }

    /// The registry is asked to move the alias.
    fn moves(&mut self, world: &World, move_: &InFlight, counted: Exclusivity) {
        self.always(world, move_, counted);
        self.on_files(world, move_);
        // Asking once more in the same epoch is the same move: its answer was lost.
        let first = self.moved.insert((counted, move_.epoch), move_.to.clone());
        match first {
            Some(to) if to != move_.to => self.fail("two moves in one epoch"),
            Some(_) => return,
            None => {}
        }
        match move_.cause {
            Cause::Promotion => self.promotion(world, move_),
            Cause::First => self.first(world, move_),
            Cause::Pin => {
                if world.wishes.pin.as_deref() != Some(&move_.to) {
                    self.fail("a version is pinned that nobody pins");
                }
                self.moved_away(world);
                self.somebody_wants(Some(&move_.to));
            }
            Cause::Revert => self.revert(world),
        }
    }

    fn always(&mut self, world: &World, move_: &InFlight, counted: Exclusivity) {
        if !world.leads {
            self.fail("a process that does not lead moves the alias");
        }
        if world.alias(CHAMPION) != move_.from.as_deref() {
            self.fail("the alias is not where it was read");
        }
        if !world.registry.versions.contains_key(&move_.to) {
            self.fail("the alias moves to a version that does not exist");
        }
        if world.older {
            self.fail("the younger of two policies moves the alias");
        }
        if world.wishes.mode == Mode::DryRun {
            self.fail("a dry run moves the alias");
        }
        if world.wishes.suspend && move_.cause != Cause::Pin {
            self.fail("a suspended policy moves the alias");
        }
        if world.wishes.pin.is_some() && move_.cause != Cause::Pin {
            self.fail("something moves the alias although a version is pinned");
        }
        let claim = world
            .ledger()
            .epochs
            .get(&move_.epoch)
            .map(|e| e.claim.decision.clone());
        let claims = counted == Exclusivity::Ledger;
        if claims && claim.as_ref() != Some(&move_.decision) {
            self.fail("the alias moves without a claim of its epoch");
        }
    }

    fn challenger(&mut self, world: &World, move_: &InFlight) {
        if world.alias(CHALLENGER) != Some(&move_.to) {
            self.fail("a challenger that was withdrawn becomes champion");
        }
        if !world.window {
            self.fail("the champion changes outside of a window");
        }
        let held = world.wishes.external == OnExternalChange::Hold
            && world
                .memory
                .history
                .iter()
                .find(|entry| entry.outcome.moved())
                .is_some_and(|last| {
                    last.cause == EpochCause::External
                        && last.epoch > 1
                        && world.wishes.acknowledged < last.epoch
                });
        if held {
            self.fail("the champion changes while a hold is open");
        }
    }

    fn consent(&mut self, world: &World, move_: &InFlight, needed: bool) {
        let digest = move_
            .evidence
            .as_ref()
            .map_or("none", |e| e.digest.as_str());
        let about = world
            .approvals
            .iter()
            .filter(|a| a.decision == move_.decision && a.evidence == digest);
        let fresh = |at: Timestamp| world.now() < at.plus_seconds(ONE_STEP);
        let people: BTreeSet<String> = about
            .clone()
            .filter(|a| a.approves && fresh(a.at))
            .map(|a| a.approver.to_lowercase())
            .collect();
        if needed && people.len() < world.wishes.required as usize {
            self.fail("the champion changes without enough people's consent");
        }
        if about.clone().any(|a| !a.approves) {
            self.fail("a rejected decision is carried out");
        }
    }

    fn promotion(&mut self, world: &World, move_: &InFlight) {
        self.challenger(world, move_);
        self.consent(world, move_, world.wishes.mode == Mode::Approval);
        let from = move_.from.clone().unwrap_or_default();
        let digest = move_.evidence.as_ref().map(|e| e.digest.clone());
        if digest != Some(world.digest(&from, &move_.to)) || move_.to <= from {
            self.fail("a version is promoted on evidence that is not what was judged");
        }
        let files = world.files_read(&from, &move_.to);
        self.won_on.insert(move_.to.clone(), files);
        let verdict = world.verdicts.get(&(from, move_.to.clone(), files));
        let paid = verdict.is_some_and(|(number, _)| world.ledger().looks.contains_key(number));
        if !paid {
            self.fail("a verdict is carried out that no look was paid for");
        }
        if self.is_refused(&move_.to, files) {
            self.fail("a refused version is promoted on the same evidence");
        }
        let since = world.memory.champion.as_ref().map(|c| c.since);
        let cooling = since.is_some_and(|since| world.now() < since.plus_seconds(ONE_STEP));
        if world.wishes.cooldown && cooling {
            self.fail("the champion changes during its cooldown");
        }
    }

    fn first(&mut self, world: &World, move_: &InFlight) {
        self.challenger(world, move_);
        let needed =
            world.wishes.mode == Mode::Approval || world.wishes.first == FirstChampion::Approval;
        self.consent(world, move_, needed);
        if self.had_champion || world.wishes.first == FirstChampion::Never {
            self.fail("a first champion is made although there was one");
        }
        if Files::ALL
            .into_iter()
            .any(|files| self.is_refused(&move_.to, files))
        {
            self.fail("a refused version becomes the first champion");
        }
    }

    fn revert(&mut self, world: &World) {
        if world.wishes.external != OnExternalChange::Revert {
            self.fail("a move is undone that the policy adopts");
        }
        // Two steps of time are more than an hour.
        if self.reverts.iter().any(|before| world.time < before + 2) {
            self.fail("moves by somebody else are undone twice within an hour");
        }
        self.reverts.push(world.time);
        self.moved_away(world);
    }

    /// The world is held still and planning has come to rest.
    pub fn at_rest(&mut self, world: &World, plan: &Plan) {
        let wishes = &world.wishes;
        let may_pin = wishes.mode != Mode::DryRun && !world.older && world.leads;
        if let Some(pin) = wishes.pin.as_ref().filter(|_| may_pin)
            && world.registry.versions.contains_key(pin)
            && world.alias(CHAMPION) != Some(pin)
        {
            self.fail("a pin does not win");
        }
        if plan.phase == Phase::AwaitingApproval && plan.pending.is_none() {
            self.fail("something waits for consent, and there is no decision to consent to");
        }
        // Whatever was asked for is done by now.
        if plan.reason == Reason::ConfirmingEvidence {
            self.fail("files are to be looked at, and nobody is asked to");
        }
        let follows = wishes.mode != Mode::DryRun && !wishes.suspend && world.leads && !world.older;
        let names_champion = world.alias(CHAMPION).is_some()
            && world.alias(super::world::PREVIOUS) == world.alias(CHAMPION);
        if follows && names_champion {
            self.fail("the alias of the previous champion names the champion");
        }
        let last = plan.memory.history.first();
        let champion = plan.memory.champion.as_ref().map(|c| c.version.as_str());
        let promoted = last.filter(|h| h.outcome == EpochOutcome::Promoted);
        if promoted.is_some_and(|h| h.to.as_deref() != champion) {
            self.fail("the history says otherwise than the status");
        }
    }
}
