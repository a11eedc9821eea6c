//! What was read of models, kept for as long as nobody needs it newer.
//!
//! A policy that has nothing to do costs its server two requests a poll at most: one for the aliases, which many policies share as a list of
//! all models, and one by turns for the versions and for the ledger.

use super::model_list::ModelList;
use super::registry::MlflowRegistry;
use crate::ports::{PortError, RegistryLook};
use podium_core::champion::{Freshness, RECENT_SECONDS, RegistryView, VersionView};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const RECENT: Duration = Duration::from_secs(RECENT_SECONDS);
/// What nobody has asked for in this time is dropped. It is longer than any `pollSeconds`, so that no policy finds its model gone.
const KEPT: Duration = Duration::from_secs(2 * 86_400);

/// Versions by their aliases.
pub(super) type Aliases = BTreeMap<String, String>;
/// Versions by their names.
pub(super) type Versions = BTreeMap<String, VersionView>;
/// Write-once registers by their keys.
pub(super) type Registers = BTreeMap<String, String>;

/// Something that was read.
#[derive(Clone, Debug)]
pub(super) struct Read<T> {
    /// Before it was asked for.
    pub(super) at: Instant,
    pub(super) what: T,
}

impl<T> Read<T> {
    fn is_recent(&self, now: Instant) -> bool {
        now.duration_since(self.at) < RECENT
    }
}

/// What is known of a model.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// When somebody asked for it last.
    asked: Instant,
    /// When this process changed it, or found that somebody else did: what was asked for earlier is out of date.
    changed: Option<Instant>,
    /// `None` in it: there is no such model.
    pub(super) aliases: Option<Read<Option<Aliases>>>,
    pub(super) versions: Option<Read<Versions>>,
    pub(super) registers: Option<Read<Registers>>,
}

impl Known {
    fn nothing(asked: Instant) -> Self {
        Self {
            asked,
            changed: None,
            aliases: None,
            versions: None,
            registers: None,
        }
    }
}

/// What is known of the models of a server.
#[derive(Debug, Default)]
pub(super) struct Looks {
    models: Mutex<HashMap<String, Known>>,
    pub(super) list: ModelList,
}

impl Looks {
    /// Somebody asks for a model. Those that nobody has asked for in a long time are dropped; their names are returned.
    pub(super) fn asked(&self, model: &str, now: Instant) -> Vec<String> {
        let mut models = self.models();
        let known = models.entry(model.to_string());
        known.or_insert_with(|| Known::nothing(now)).asked = now;
        let dropped = models.extract_if(|_, known| now.duration_since(known.asked) >= KEPT);
        dropped.map(|(model, _)| model).collect()
    }

    /// Takes down a part of what was read of a model. Of two reads at once the one that was asked for later stays.
    pub(super) fn saw<T: Clone>(
        &self,
        model: &str,
        part: impl FnOnce(&mut Known) -> &mut Option<Read<T>>,
        read: &Read<T>,
    ) {
        self.update(model, |known| {
            let is_outdated = known.changed.is_some_and(|changed| read.at < changed);
            let part = part(known);
            let is_newer = part.as_ref().is_none_or(|known| known.at <= read.at);
            if is_newer && !is_outdated {
                *part = Some(read.clone());
            }
        });
    }

    /// This process wrote a register.
    pub(super) fn wrote_register(&self, model: &str, key: &str, text: &str) {
        self.update(model, |known| {
            known.changed = Some(Instant::now());
            if let Some(registers) = &mut known.registers {
                registers.what.insert(key.to_string(), text.to_string());
            }
        });
    }

    /// This process tagged a version.
    pub(super) fn tagged(&self, model: &str, version: &str, tags: &BTreeMap<String, String>) {
        self.update(model, |known| {
            known.changed = Some(Instant::now());
            let versions = known.versions.as_mut().map(|versions| &mut versions.what);
            if let Some(version) = versions.and_then(|versions| versions.get_mut(version)) {
                version.tags.extend(tags.clone());
            }
        });
    }

    /// Nothing is known of a model any more, and what is on its way is out of date.
    pub(super) fn forget(&self, model: &str) {
        self.update(model, |known| {
            *known = Known {
                changed: Some(Instant::now()),
                ..Known::nothing(known.asked)
            };
        });
    }

    /// What was last read of the aliases of a model by itself.
    pub(super) fn aliases(&self, model: &str) -> Option<Read<Option<Aliases>>> {
        let models = self.models();
        models.get(model).and_then(|known| known.aliases.clone())
    }

    /// Whether somebody asks for this model.
    pub(super) fn knows(&self, model: &str) -> bool {
        self.models().contains_key(model)
    }

    /// How many models somebody asks for.
    pub(super) fn count(&self) -> usize {
        self.models().len()
    }

    fn update(&self, model: &str, change: impl FnOnce(&mut Known)) {
        let mut models = self.models();
        let known = models.entry(model.to_string());
        change(known.or_insert_with(|| Known::nothing(Instant::now())));
    }

    fn known(&self, model: &str) -> Known {
        let known = self.models().get(model).cloned();
        known.unwrap_or_else(|| Known::nothing(Instant::now()))
    }

    fn models(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether versions and registers are read again, by when each was read: for a recent look each that is not, and of what may be as old as
/// the last polls the older one.
fn read_again(freshness: Freshness, read: [Option<Instant>; 2], now: Instant) -> [bool; 2] {
    let is_old = |at: Option<Instant>| at.is_none_or(|at| now.duration_since(at) >= RECENT);
    match (freshness, read) {
        (Freshness::Now, _) => [true, true],
        (Freshness::Polled, [Some(versions), Some(registers)]) => {
            let is_any_old = read.into_iter().any(is_old);
            let versions_first = versions <= registers;
            [is_any_old && versions_first, is_any_old && !versions_first]
        }
        (Freshness::Polled, _) => read.map(|at| at.is_none()),
        (Freshness::Recent, _) => read.map(is_old),
    }
}

impl MlflowRegistry {
    /// See [`crate::ports::ModelRegistry::look`].
    pub(super) async fn look_at(
        &self,
        model: &str,
        freshness: Freshness,
    ) -> Result<RegistryLook, PortError> {
        for dropped in self.looks.asked(model, Instant::now()) {
            self.ledgers.forget(&dropped);
        }
        if freshness == Freshness::Now {
            return Ok(RegistryLook {
                view: self.read_view(model).await?,
                registers: self.read_registers(model).await?.what,
                freshness,
            });
        }
        // What is read for this look is new enough for it, however long that takes.
        let begun = Instant::now();
        let aliases = match self.looks.aliases(model) {
            Some(aliases) if aliases.is_recent(begun) => aliases,
            _ if freshness == Freshness::Recent => self.read_aliases(model).await?,
            _ => self.known_aliases(model).await?,
        };
        let known = self.looks.known(model);
        let read = [
            known.versions.as_ref().map(|versions| versions.at),
            known.registers.as_ref().map(|registers| registers.at),
        ];
        let [versions_again, registers_again] = read_again(freshness, read, begun);
        let versions = match known.versions.filter(|_| !versions_again) {
            Some(versions) => versions,
            None => self.read_versions(model).await?,
        };
        let registers = match known.registers.filter(|_| !registers_again) {
            Some(registers) => registers,
            None => self.read_registers(model).await?,
        };
        let is_recent =
            aliases.is_recent(begun) && versions.is_recent(begun) && registers.is_recent(begun);
        Ok(RegistryLook {
            view: aliases.what.map(|aliases| RegistryView {
                aliases,
                versions: versions.what,
            }),
            registers: registers.what,
            freshness: match is_recent {
                true => Freshness::Recent,
                false => Freshness::Polled,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = "fraud";
    const SECOND: Duration = Duration::from_secs(1);

    fn registers(at: Instant, key: &str) -> Read<Registers> {
        let what = BTreeMap::from([(key.to_string(), "text".to_string())]);
        Read { at, what }
    }

    fn see(looks: &Looks, read: &Read<Registers>) {
        looks.saw(MODEL, |known| &mut known.registers, read);
    }

    fn seen(looks: &Looks) -> Vec<String> {
        let registers = looks.known(MODEL).registers;
        registers.map_or_else(Vec::new, |read| read.what.into_keys().collect())
    }

    #[test]
    fn what_was_asked_for_later_stays_whenever_the_answers_come() {
        let now = Instant::now();
        let looks = Looks::default();
        see(&looks, &registers(now + SECOND, "newer"));
        see(&looks, &registers(now, "older"));
        assert_eq!(seen(&looks), ["newer"]);
        see(&looks, &registers(now + 2 * SECOND, "newest"));
        assert_eq!(seen(&looks), ["newest"]);
    }

    #[test]
    fn an_answer_to_a_question_from_before_a_write_does_not_undo_it() {
        let before = Instant::now();
        let looks = Looks::default();
        see(&looks, &registers(before, "first"));
        looks.wrote_register(MODEL, "written", "text");
        see(&looks, &registers(before, "first"));
        assert_eq!(seen(&looks), ["first", "written"]);
        looks.forget(MODEL);
        see(&looks, &registers(before, "first"));
        assert!(seen(&looks).is_empty());
        see(&looks, &registers(Instant::now() + SECOND, "later"));
        assert_eq!(seen(&looks), ["later"]);
    }

    #[test]
    fn what_nobody_asks_for_is_dropped_and_nothing_else() {
        let now = Instant::now();
        let looks = Looks::default();
        assert!(looks.asked(MODEL, now).is_empty());
        assert!(looks.asked("other", now + SECOND).is_empty());
        assert_eq!(looks.asked("other", now + KEPT), [MODEL]);
        assert!(looks.knows("other") && !looks.knows(MODEL));
        assert_eq!(looks.count(), 1);
    }

    #[test]
    fn an_idle_poll_reads_versions_and_registers_by_turns() {
        let now = Instant::now() + 100 * SECOND;
        let [old, older] = [now - 10 * SECOND, now - 20 * SECOND];
        let cases = [
            (Freshness::Polled, [Some(old), Some(older)], [false, true]),
            (Freshness::Polled, [Some(older), Some(old)], [true, false]),
            (Freshness::Polled, [Some(older), Some(older)], [true, false]),
            (Freshness::Polled, [Some(now), Some(older)], [false, true]),
            (Freshness::Polled, [Some(now), Some(now)], [false, false]),
            (Freshness::Polled, [None, Some(older)], [true, false]),
            (Freshness::Polled, [None, None], [true, true]),
            (Freshness::Recent, [Some(old), Some(older)], [true, true]),
            (Freshness::Recent, [Some(now), Some(old)], [false, true]),
            (Freshness::Recent, [None, Some(now)], [true, false]),
            (Freshness::Now, [Some(now), Some(now)], [true, true]),
        ];
        for (freshness, read, expected) in cases {
            let found = read_again(freshness, read, now);
            assert_eq!(found, expected, "{freshness:?}");
        }
    }
}
