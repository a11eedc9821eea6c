//! A small world in which a retraining loop is carried out step by step, and may die between any two.

use super::{MINUTE, mk_retraining};
use crate::retraining::{
    Cause, Concurrency, Due, Input, Memory, Occasion, Plan, Retraining, Search, SearchState, plan,
};
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// When the policy was created.
const CREATED: i64 = 1;

/// What somebody asks for by the specification of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wishes {
    pub suspended: [bool; 2],
    /// Every minute, or every second one.
    pub every: i64,
    /// When that was asked for.
    pub edited: i64,
    pub run_now: Option<&'static str>,
}

/// Everything that there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub minute: i64,
    pub wishes: Wishes,
    pub stored: Memory,
    pub searches: Vec<Search>,
    /// Every occasion for which a search was ever created.
    pub started: BTreeSet<Occasion>,
}

/// What does not change.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub concurrency: Concurrency,
    pub deadline: Option<u64>,
}

impl Rules {
    pub fn all() -> impl Iterator<Item = Self> {
        let all = [
            Concurrency::Allow,
            Concurrency::Forbid,
            Concurrency::Replace,
        ];
        all.into_iter().flat_map(|concurrency| {
            [None, Some(30)].map(|deadline| Self {
                concurrency,
                deadline,
            })
        })
    }
}

impl World {
    pub fn new() -> Self {
        Self {
            minute: CREATED,
            wishes: Wishes {
                suspended: [false, false],
                every: 1,
                edited: CREATED,
                run_now: None,
            },
            stored: Memory::default(),
            searches: Vec::new(),
            started: BTreeSet::new(),
        }
    }

    fn retraining(&self, rules: Rules) -> Retraining {
        let [policy_suspended, schedule_suspended] = self.wishes.suspended;
        Retraining {
            policy_suspended,
            schedule_suspended,
            schedule: format!("*/{} * * * *", self.wishes.every),
            starting_deadline_seconds: rules.deadline,
            ..mk_retraining(rules.concurrency)
        }
    }

    pub fn plan(&self, rules: Rules) -> Plan {
        let every = self.wishes.every * MINUTE;
        let now = Timestamp(self.minute * MINUTE + 1);
        let last = now.0 / every * every;
        let input = Input {
            policy: "p",
            created: Timestamp(CREATED * MINUTE),
            is_as_created: self.wishes.edited == CREATED,
            retraining: &self.retraining(rules),
            due: Due {
                last: Some(Timestamp(last)),
                next: Some(Timestamp(last + every)),
            },
            run_now: self.wishes.run_now,
            unusable: None,
            searches: &self.searches,
            memory: &self.stored,
        };
        plan(&input, now)
    }

    /// Carries out the first `steps` steps of a plan; whether that was all of it.
    pub fn carry_out(&mut self, plan: &Plan, rules: Rules, steps: usize) -> bool {
        let mut left = steps;
        let mut next = || {
            let goes_on = left > 0;
            left = left.saturating_sub(1);
            goes_on
        };
        if !next() {
            return false;
        }
        self.stored = plan.memory.clone();
        for deletion in &plan.delete {
            if !next() {
                return false;
            }
            self.searches.retain(|search| search.name != deletion.name);
        }
        for start in &plan.start {
            if !next() {
                return false;
            }
            self.create(&start.name, &start.occasion, rules);
        }
        true
    }

    fn create(&mut self, name: &str, occasion: &Occasion, rules: Rules) {
        if self.searches.iter().any(|search| search.name == name) {
            return;
        }
        self.may_start(occasion, rules);
        assert!(self.started.insert(occasion.clone()), "twice: {occasion:?}");
        self.searches.push(Search {
            name: name.to_string(),
            occasion: Some(occasion.clone()),
            state: SearchState::Active,
            created: Timestamp(self.minute * MINUTE),
            deleting: false,
        });
    }

    /// What must hold whenever a search is created.
    fn may_start(&self, occasion: &Occasion, rules: Rules) {
        let [policy, schedule] = self.wishes.suspended;
        assert!(!policy, "{self:#?}");
        if let Occasion::Schedule(time) = occasion {
            assert!(!schedule, "{self:#?}");
            let since = CREATED.max(self.wishes.edited) * MINUTE;
            assert!(time.0 > since, "before the schedule: {self:#?}");
            assert_eq!(time.0 % (self.wishes.every * MINUTE), 0);
            let late = self.minute * MINUTE + 1 - time.0;
            let seconds = rules.deadline.and_then(|d| i64::try_from(d).ok());
            assert!(seconds.is_none_or(|d| late <= d * 1000), "{self:#?}");
        }
        if rules.concurrency != Concurrency::Allow {
            assert_eq!(self.active(), 0, "{self:#?}");
        }
    }

    pub fn active(&self) -> usize {
        let active = self.searches.iter();
        active.filter(|s| s.state == SearchState::Active).count()
    }

    /// Plans and carries out until nothing is left to do, and says what must hold then.
    pub fn settle(&mut self, rules: Rules) {
        for _ in 0..10 {
            let plan = self.plan(rules);
            if !plan.acts() && plan.memory == self.stored {
                self.is_settled(&plan, rules);
                return;
            }
            let replaced = plan.delete.iter().any(|d| d.cause == Cause::Replaced);
            assert!(
                !replaced || rules.concurrency == Concurrency::Replace,
                "{self:#?}"
            );
            assert!(self.carry_out(&plan, rules, usize::MAX));
        }
        panic!("it does not settle: {self:#?}");
    }

    fn is_settled(&self, plan: &Plan, rules: Rules) {
        let ended = |succeeded: bool| {
            let those = self.searches.iter().filter(|search| match search.state {
                SearchState::Active => false,
                SearchState::Succeeded(_) => succeeded,
                SearchState::Failed => !succeeded,
            });
            those.count()
        };
        assert!(ended(true) <= 1 && ended(false) <= 1, "{self:#?}");
        let every = self.wishes.every * MINUTE;
        let last = Timestamp((self.minute * MINUTE + 1) / every * every);
        let is_new = last.0 > CREATED.max(self.wishes.edited) * MINUTE;
        let has_room = rules.concurrency != Concurrency::Forbid || self.active() == 0;
        let runs = self.wishes.suspended == [false, false];
        if is_new && has_room && runs {
            let known = [plan.memory.last_schedule, plan.memory.last_missed];
            let seen_later = plan.memory.schedule.as_ref().map(|seen| seen.since) >= Some(last);
            assert!(known.contains(&Some(last)) || seen_later, "{self:#?}");
        }
        if let Some(asked) = self.wishes.run_now
            && has_room
            && !self.wishes.suspended[0]
        {
            assert!(plan.memory.answered.iter().any(|value| value == asked));
        }
    }
}
