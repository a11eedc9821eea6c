//! A second operator that takes the lease over, with a cache of its own, and writes that are carried out when nobody waits for them.

use super::world::{CHAMPION, Status, Step, World};
use podium_core::champion::Action;
use podium_core::champion::ledger::Register;

impl World {
    /// This world with an operator that waits for the lease.
    pub fn with_standby(mut self) -> World {
        self.standby = Some(self.status());
        self
    }

    /// The status that is stored.
    pub fn status(&self) -> Status {
        Status {
            memory: self.memory.clone(),
            shown: self.shown.clone(),
        }
    }

    /// Stores a status. Whoever waits has not seen it yet.
    pub fn set_status(&mut self, status: Status) {
        let before = self.status();
        if let Some(standby) = self.standby.as_mut().filter(|known| **known != status) {
            *standby = before;
        }
        self.memory = status.memory;
        self.shown = status.shown;
    }

    /// The lease goes to the operator that waits for it. What was on its way to the registry may arrive later; nothing else of what the
    /// other one was doing is done. Its cache may be behind by one write.
    pub fn take_over(&self, is_behind: bool) -> Option<World> {
        let standby = self.standby.clone()?;
        if is_behind && standby == self.status() {
            return None;
        }
        let mut world = self.clone();
        if let (None, Some(Step::Do(write))) = (&self.late, self.doing.first()) {
            let arrives = matches!(write, Action::Write(_) | Action::MoveAlias { .. });
            world.late = arrives.then(|| write.clone());
        }
        world.doing.clear();
        world.cached = is_behind.then_some(standby);
        world.standby = Some(self.status());
        Some(world)
    }

    /// The registry takes the next write, answers nothing, and carries it out later: a move of the champion alias and, where there are
    /// two operators, what the ledger is to say of an epoch or a rejection. Other registers come late by a takeover only, which keeps
    /// the world small.
    pub fn delay_write(&self) -> Option<World> {
        let Some(Step::Do(write)) = self.doing.first() else {
            return None;
        };
        let may_be_late = match write {
            Action::MoveAlias { alias, .. } => alias == CHAMPION,
            Action::Write(register) => self.standby.is_some() && tells_of_an_epoch(register),
            _ => false,
        };
        (may_be_late && self.late.is_none()).then(|| {
            let mut world = self.clone();
            world.late = Some(write.clone());
            world.doing.clear();
            world
        })
    }

    /// Whether registry or ledger hold something else than those of another world.
    pub fn differs(&self, other: &World) -> bool {
        self.registry != other.registry || self.registers != other.registers
    }

    /// The registry carries out what it delayed. A register that was written meanwhile stays what it is. To people it is a move that
    /// nobody asked for now, so it refuses nothing.
    pub fn late_write(&self) -> Option<World> {
        let mut world = self.clone();
        match world.late.take()? {
            Action::MoveAlias { alias, to, .. } => world.point(&alias, to.as_deref()),
            // Whoever waited for the answer is gone.
            Action::Write(register) => drop(world.write(register)),
            _ => {}
        }
        Some(world)
    }
}

fn tells_of_an_epoch(register: &Register) -> bool {
    let kinds = ["claim/", "outcome/", "refused/"];
    kinds.iter().any(|kind| register.key.starts_with(kind))
}
