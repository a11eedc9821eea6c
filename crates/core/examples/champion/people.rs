//! What happens to the world beside the process that plans: people, the registry, time, the process's death.

use super::oracle::Audit;
use super::wishes::Files;
use super::world::{CHALLENGER, CHAMPION, PREVIOUS, Step, World};
use podium_core::champion::{Action, ApprovalView, Exclusivity, Mode, OnExternalChange};

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Somebody moves the champion alias, or removes it.
    MoveChampion(Option<&'static str>),
    /// Somebody points the challenger alias elsewhere, or removes it.
    MoveChallenger(Option<&'static str>),
    /// Somebody approves the decision that is shown.
    Approve(&'static str),
    /// Somebody rejects the decision that is shown, or the one in flight.
    Reject,
    /// Somebody pins a version, or removes the pin.
    Pin(Option<&'static str>),
    /// Somebody suspends or resumes the policy.
    Suspend(bool),
    /// Somebody changes the mode.
    Mode(Mode),
    /// Somebody changes what happens after a move by somebody else.
    External(OnExternalChange),
    /// Somebody changes how two writers are kept apart.
    Exclusivity(Exclusivity),
    /// Somebody acknowledges the last epoch that the status shows.
    Acknowledge,
    /// Somebody lists a version in `spec.reconsider`.
    Reconsider(&'static str),
    /// Somebody deletes a version.
    Delete(&'static str),
    /// Somebody replaces the files of evidence.
    Replace(Files),
    /// Somebody writes a verdict into the status of a comparison.
    ForgeVerdict,
    /// A window opens or closes.
    Window(bool),
    /// The process begins to lead, or stops.
    Lead(bool),
    /// An older policy on the same alias appears.
    OlderPolicy,
    /// Time passes.
    Time,
}

impl Event {
    /// Whether it would change anything.
    fn matters(&self, world: &World) -> bool {
        let wishes = &world.wishes;
        match self {
            Self::MoveChampion(to) => world.alias(CHAMPION) != *to && exists(world, *to),
            Self::MoveChallenger(to) => world.alias(CHALLENGER) != *to && exists(world, *to),
            Self::Approve(_) => world.shown.is_some(),
            Self::Reject => world.shown.is_some() || world.memory.in_flight.is_some(),
            Self::Pin(pin) => wishes.pin.as_deref() != *pin,
            Self::Suspend(suspend) => wishes.suspend != *suspend,
            Self::Mode(mode) => wishes.mode != *mode,
            Self::External(external) => wishes.external != *external,
            Self::Exclusivity(exclusivity) => wishes.exclusivity != *exclusivity,
            Self::Acknowledge => wishes.acknowledged != world.memory.epoch,
            Self::Reconsider(version) => !wishes.reconsider.iter().any(|v| v == version),
            Self::Delete(version) => {
                world.registry.versions.contains_key(*version)
                    && world.alias(CHAMPION) != Some(version)
            }
            Self::Replace(files) => world.files != *files,
            Self::ForgeVerdict => world.alias(CHAMPION) == Some("1") && world.verdicts.is_empty(),
            Self::Window(open) => world.window != *open,
            Self::Lead(leads) => world.leads != *leads,
            Self::OlderPolicy => !world.older,
            Self::Time => world.time < 3,
        }
    }

    /// Lets it happen.
    fn happen(&self, world: &mut World, audit: &mut Audit) {
        match self {
            Self::MoveChampion(to) => {
                audit.somebody_moves(world, *to);
                world.point(CHAMPION, *to);
            }
            Self::MoveChallenger(to) => world.point(CHALLENGER, *to),
            Self::Approve(name) => world.consent(name, true),
            Self::Reject => {
                // A decision is void once the alias is elsewhere, and so is its rejection.
                let recorded = world.memory.champion.as_ref().map(|c| c.version.as_str());
                let stands = world.alias(CHAMPION) == recorded;
                if let Some((_, digest, to)) = world.decision_at_hand().filter(|_| stands) {
                    let files = Files::of_digest(&digest);
                    let refused = (to, files.unwrap_or(world.files));
                    audit.reconsidered.remove(&refused);
                    audit.refused.insert(refused);
                }
                world.consent("carol", false);
            }
            Self::Pin(pin) => world.wishes.pin = pin.map(str::to_string),
            Self::Suspend(suspend) => world.wishes.suspend = *suspend,
            Self::Mode(mode) => world.wishes.mode = *mode,
            Self::External(external) => world.wishes.external = *external,
            Self::Exclusivity(exclusivity) => {
                // Epochs have other numbers from then on.
                audit.must_set_again(PREVIOUS);
                world.wishes.exclusivity = *exclusivity;
            }
            Self::Acknowledge => world.wishes.acknowledged = world.memory.epoch,
            Self::Reconsider(version) => {
                world.wishes.reconsider.push((*version).to_string());
                let lifted = audit.refused.iter().filter(|(v, _)| v == version);
                audit.reconsidered = lifted.cloned().collect();
            }
            Self::Delete(version) => drop(world.registry.versions.remove(*version)),
            Self::Replace(files) => {
                audit.replaced(world);
                world.files = *files;
            }
            Self::ForgeVerdict => {
                let key = ("1".to_string(), "2".to_string(), world.files);
                world.verdicts.insert(key, (7, 0.001_f64.to_bits()));
            }
            Self::Window(open) => world.window = *open,
            Self::Lead(leads) => world.leads = *leads,
            Self::OlderPolicy => world.older = true,
            Self::Time => world.time += 1,
        }
    }

    /// The world after it, if it matters.
    pub fn after(&self, world: &World, audit: &Audit) -> Option<(World, Audit)> {
        self.matters(world).then(|| {
            let (mut world, mut audit) = (world.clone(), audit.clone());
            self.happen(&mut world, &mut audit);
            (world, audit)
        })
    }
}

fn exists(world: &World, version: Option<&str>) -> bool {
    version.is_none_or(|version| world.registry.versions.contains_key(version))
}

impl World {
    /// Id, evidence and target of the decision that is shown, or of the move that was begun.
    fn decision_at_hand(&self) -> Option<(String, String, String)> {
        let shown = self
            .shown
            .as_ref()
            .map(|s| (s.id.clone(), s.digest.clone(), s.to.clone()));
        shown.or_else(|| {
            let move_ = self.memory.in_flight.as_ref()?;
            let digest = move_
                .evidence
                .as_ref()
                .map_or("none", |e| e.digest.as_str());
            Some((move_.decision.clone(), digest.to_string(), move_.to.clone()))
        })
    }

    fn consent(&mut self, approver: &str, approves: bool) {
        let Some((decision, evidence, _)) = self.decision_at_hand() else {
            return;
        };
        self.approvals.push(ApprovalView {
            decision,
            evidence,
            approves,
            approver: approver.to_string(),
            comment: None,
            at: self.now(),
        });
    }

    /// The registry carries the next alias write out and its answer is lost: the process ends what it was doing.
    pub fn lose_answer(&self) -> Option<World> {
        let mut world = self.clone();
        match world.doing.first() {
            Some(Step::Do(Action::MoveAlias { .. })) => {
                world.step();
                world.doing.clear();
                Some(world)
            }
            _ => None,
        }
    }

    /// The process dies: what it was doing is not done.
    pub fn die(&self) -> Option<World> {
        (!self.doing.is_empty()).then(|| {
            let mut world = self.clone();
            world.doing.clear();
            world
        })
    }
}
