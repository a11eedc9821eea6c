//! The champion as a state machine that stateright explores: the very function that plans, in all states of a small world.

use super::oracle::{Audit, Heard};
use super::people::Event;
use super::world::{Lens, World};
use stateright::{Model, Property};
use std::fmt;

/// Plans after which nothing may change any more while the world is held still.
pub const FIXED_POINT: usize = 12;
/// Further ones after a write that came late, which may have made an epoch of its own.
const AFTER_LATE_WRITE: usize = 4;
/// Further ones where Jobs compare files and look at them again, which may void a move and begin another one.
const WITH_JOBS: usize = 8;

/// Plans after which nothing may change any more while this world is held still.
pub fn fixed_point(world: &World) -> usize {
    match world.comparisons {
        None => FIXED_POINT,
        Some(_) => FIXED_POINT + WITH_JOBS,
    }
}

/// How much may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Events beside the process.
    pub events: u8,
    /// Deaths of the process, answers that are lost, writes that come late and leases that are taken over, together.
    pub faults: u8,
}

/// Where the exploration begins and what may happen.
#[derive(Clone)]
pub struct Scenario {
    /// What it is about.
    pub name: &'static str,
    /// The world at first.
    pub world: World,
    /// What may happen beside the process.
    pub events: Vec<Event>,
    /// How much of it.
    pub bounds: Bounds,
    /// What is done to the planning function.
    pub lens: Lens,
    /// Whether plans must come to rest after each event; otherwise whoever follows the states sees to it.
    pub rests: bool,
}

/// A state: the world, what an auditor remembers, and what may still happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The world.
    pub world: World,
    /// The auditor.
    pub audit: Audit,
    /// What may still happen.
    pub left: Bounds,
}

/// What leads from one state to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Transition {
    /// The process plans and stores the plan.
    Plan,
    /// The process does the next thing of its plan.
    Do,
    /// The process dies.
    Die,
    /// An alias write is carried out and its answer is lost.
    LoseAnswer,
    /// A write of an alias or of a register is taken and carried out later; nobody hears an answer.
    DelayWrite,
    /// The cache of the process catches up with what is stored.
    CatchUp,
    /// Another operator takes the lease over, with a cache that is behind or is not.
    TakeOver {
        /// Whether it has not seen the last write of the status.
        is_behind: bool,
    },
    /// It is carried out.
    LateWrite,
    /// A Job that was asked to looks whether files changed.
    JobLooks,
    /// It is killed instead.
    JobDies,
    /// What a Job found comes to be known.
    JobIsHeard,
    /// Something happens beside the process.
    Event(Event),
}

impl Scenario {
    fn plan(&self, state: &State) -> Option<State> {
        let plan = state.world.plan(&self.lens);
        if !state.world.changes(&plan, &self.lens) {
            return None;
        }
        let mut next = state.clone();
        if next.world.store(&plan, &self.lens) {
            next.audit.planned(&state.world, &plan);
        }
        Some(next)
    }

    fn spend_fault(state: &State, world: Option<World>) -> Option<State> {
        let faults = state.left.faults.checked_sub(1)?;
        let mut next = state.clone();
        next.world = world?;
        next.left.faults = faults;
        Some(next)
    }

    fn with_world(state: &State, world: Option<World>) -> Option<State> {
        let world = world?;
        let mut next = state.clone();
        next.world = world;
        Some(next)
    }

    fn happen(state: &State, event: &Event) -> Option<State> {
        let events = state.left.events.checked_sub(1)?;
        let (world, audit) = event.after(&state.world, &state.audit)?;
        let left = Bounds {
            events,
            ..state.left
        };
        Some(State { world, audit, left })
    }

    /// With the world held still, caches catch up and plans come to rest, and what they come to rest at is right.
    fn comes_to_rest(&self, state: &State, most: usize) -> Audit {
        let mut still = state.world.clone();
        still.cached = None;
        let mut audit = state.audit.clone();
        match still.settle(&self.lens, most) {
            Some((_, plan)) => audit.at_rest(&still, &plan),
            None => {
                audit.violation.get_or_insert("plans do not come to rest");
            }
        }
        audit
    }
}

impl Model for Scenario {
    type State = State;
    type Action = Transition;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            world: self.world.clone(),
            audit: Audit::default(),
            left: self.bounds,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Transition>) {
        if state.audit.violation.is_some() {
            return;
        }
        if state.world.doing.is_empty() {
            actions.push(Transition::Plan);
        } else {
            actions.extend([Transition::Do, Transition::Die]);
            actions.extend([Transition::LoseAnswer, Transition::DelayWrite]);
        }
        actions.push(Transition::LateWrite);
        if state.world.cached.is_some() {
            actions.push(Transition::CatchUp);
        }
        if state.world.comparisons.is_some() {
            actions.extend([Transition::JobLooks, Transition::JobIsHeard]);
            actions.push(Transition::JobDies);
        }
        if state.world.standby.is_some() {
            actions.extend([true, false].map(|is_behind| Transition::TakeOver { is_behind }));
        }
        actions.extend(self.events.iter().cloned().map(Transition::Event));
    }

    fn next_state(&self, state: &State, transition: Transition) -> Option<State> {
        let world = &state.world;
        let is_late = transition == Transition::LateWrite;
        let mut next = match transition {
            Transition::Plan => self.plan(state)?,
            Transition::Do => {
                let mut next = state.clone();
                next.audit.does(world, Heard::Yes);
                next.world.step();
                next
            }
            Transition::Die => Self::spend_fault(state, world.die())?,
            Transition::LoseAnswer => {
                let mut next = Self::spend_fault(state, world.lose_answer())?;
                next.audit.does(world, Heard::No);
                next
            }
            Transition::DelayWrite => Self::spend_fault(state, world.delay_write())?,
            Transition::TakeOver { is_behind } => {
                Self::spend_fault(state, world.take_over(is_behind))?
            }
            Transition::CatchUp => {
                let mut next = state.clone();
                next.world.cached.take()?;
                next
            }
            Transition::LateWrite => {
                let mut next = state.clone();
                next.world = world.late_write()?;
                next.audit.late_write(world);
                next
            }
            Transition::JobLooks => Self::with_world(state, world.job_looks())?,
            Transition::JobDies => Self::spend_fault(state, world.job_dies())?,
            Transition::JobIsHeard => Self::with_world(state, world.job_is_heard())?,
            Transition::Event(event) => Self::happen(state, &event)?,
        };
        // A change from outside is what a rest may depend on; what the process does itself leads to the same rest.
        let (further, outside) = match is_late {
            true => (AFTER_LATE_WRITE, next.world.differs(world)),
            false => (0, next.left != state.left),
        };
        let most = fixed_point(&next.world) + further;
        let may_rest = self.rests && outside && next.world.doing.is_empty();
        if may_rest && next.audit.violation.is_none() {
            next.audit.violation = self.comes_to_rest(&next, most).violation;
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(
            "nothing happens that must not",
            |_, state: &State| state.audit.violation.is_none(),
        )]
    }

    fn format_action(&self, action: &Transition) -> String {
        format!("{action:?}")
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}
