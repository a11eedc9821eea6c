//! A second operator that takes the lease over, with a cache of its own, and writes that are carried out when nobody waits for them.

use super::world::{CHAMPION, Status, Step, World};
use podium_core::champion::Action;

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

    /// The registry takes the next write of the champion alias, answers nothing, and carries it out later.
    pub fn delay_write(&self) -> Option<World> {
        match self.doing.first() {
            Some(Step::Do(write @ Action::MoveAlias { alias, .. }))
                if alias == CHAMPION && self.late.is_none() =>
            {
                let mut world = self.clone();
                world.late = Some(write.clone());
                world.doing.clear();
                Some(world)
            }
            _ => None,
        }
    }

    /// The registry carries out what it delayed. To people it is a move that nobody asked for now, so it refuses nothing.
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
