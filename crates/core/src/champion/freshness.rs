//! How new that must be which a plan is made of.
//!
//! | a plan that | must be made of what was read |
//! |---|---|
//! | does nothing, and changes nothing of the status: what it waits for is seen within two polls | by the last polls |
//! | comes to be blocked, or to miss its model: parts of different ages may not fit together | within [`RECENT_SECONDS`] |
//! | changes the status, or does anything but move an alias: registers are written once, so that a look that was too old loses | within [`RECENT_SECONDS`] |
//! | moves an alias | for this plan |

use super::memory::Memory;
use super::plan::{Action, Plan};
use super::reason::{Phase, Reason};

/// How old a recent look may be.
pub const RECENT_SECONDS: u64 = 1;

/// How new a look at a registry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Freshness {
    /// Parts of it are as old as the last polls.
    Polled,
    /// All of it was read, or written by this process, within [`RECENT_SECONDS`].
    Recent,
    /// It was made for this plan.
    Now,
}

impl Plan {
    /// How new the look must be that this plan was made of, for the plan to be carried out; `memory` and the reason `said` are what the
    /// status says by now.
    #[must_use]
    pub fn demanded_freshness(&self, memory: &Memory, said: Option<&str>) -> Freshness {
        let moves = |action: &Action| matches!(action, Action::MoveAlias { .. });
        let is_stuck = self.phase == Phase::Blocked || self.reason == Reason::ModelNotFound;
        let gets_stuck = is_stuck && said != Some(self.reason.name());
        if self.actions.iter().any(moves) {
            Freshness::Now
        } else if !self.actions.is_empty() || self.memory != *memory || gets_stuck {
            Freshness::Recent
        } else {
            Freshness::Polled
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::champion::ledger::Register;

    #[test]
    fn what_a_plan_does_decides_how_new_its_look_must_be() {
        let memory = Memory::default();
        let plan = |reason| Plan::say(&memory, reason, "");
        let write = Action::Write(Register {
            key: "look/00000001".to_string(),
            text: "{}".to_string(),
        });
        let move_alias = Action::MoveAlias {
            alias: "champion".to_string(),
            from: None,
            to: Some("1".to_string()),
            in_flight: true,
        };
        let mut remembers = plan(Reason::UpToDate);
        remembers.memory.epoch = 1;
        let cases = [
            (plan(Reason::UpToDate), Freshness::Polled),
            (plan(Reason::EvidenceMissing), Freshness::Polled),
            (plan(Reason::VersionNotFound), Freshness::Recent),
            (plan(Reason::ModelNotFound), Freshness::Recent),
            (remembers, Freshness::Recent),
            (
                plan(Reason::MovingAlias).with_actions(vec![write.clone()]),
                Freshness::Recent,
            ),
            (
                plan(Reason::MovingAlias).with_actions(vec![write, move_alias]),
                Freshness::Now,
            ),
        ];
        for (plan, demanded) in cases {
            let found = plan.demanded_freshness(&memory, None);
            assert_eq!(found, demanded, "{plan:?}");
        }
        for stuck in [Reason::VersionNotFound, Reason::ModelNotFound] {
            let found = plan(stuck).demanded_freshness(&memory, Some(stuck.name()));
            assert_eq!(found, Freshness::Polled, "{stuck:?}");
        }
    }
}
