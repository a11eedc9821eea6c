//! Evidence in a cluster: Jobs compare files and look again whether they changed, and what they saw is heard of later.

use super::comparisons::digest_of;
use super::wishes::Files;
use super::world::World;
use podium_core::champion::{Confirmation, ConfirmationAnswer};
use podium_core::time::Timestamp;
use std::collections::BTreeMap;

/// The comparisons that are stored, by champion and challenger.
pub type Comparisons = BTreeMap<(String, String), Comparison>;

/// What a Job read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Comparison {
    /// The files.
    pub files: Files,
    /// At which step of time.
    pub read: u32,
    /// The last look at whether they changed.
    pub look: Option<FileLook>,
}

/// A look at whether files changed. Times are steps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileLook {
    /// Which one it is.
    pub number: u32,
    /// When it was asked for.
    pub requested: u32,
    /// What its Job found, and when.
    pub found: Option<(Finding, u32)>,
    /// When the status came to say so.
    pub heard: Option<u32>,
}

/// What a Job finds when it looks at files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// They are what was read.
    Unchanged,
    /// They are not.
    Changed,
    /// It was killed.
    Nothing,
}

impl FileLook {
    /// What the status says that was found, and when it was found.
    fn answer(&self) -> Option<(Finding, u32)> {
        self.found.filter(|_| self.heard.is_some())
    }
}

impl Comparison {
    fn answer(&self) -> Option<(Finding, u32)> {
        self.look.as_ref().and_then(FileLook::answer)
    }

    /// Whether it is known to be one of other files; then it answers nothing, and is made anew.
    fn is_outdated(&self) -> bool {
        matches!(self.answer(), Some((Finding::Changed, _)))
    }

    /// At which step of time its files were last known to be what was read.
    fn seen(&self) -> u32 {
        match self.answer() {
            Some((Finding::Unchanged, found)) => found,
            _ => self.read,
        }
    }

    fn confirmation(&self) -> Option<Confirmation> {
        let look = self.look.as_ref()?;
        let answer = look.answer().map(|(finding, _)| match finding {
            Finding::Unchanged => ConfirmationAnswer::Unchanged,
            Finding::Changed => ConfirmationAnswer::Changed("a file".to_string()),
            Finding::Nothing => ConfirmationAnswer::Failed("the Job was killed".to_string()),
        });
        Some(Confirmation {
            number: look.number,
            requested: World::at(look.requested),
            answer,
        })
    }
}

impl World {
    /// This world as one in which only Jobs read files.
    pub fn in_cluster(mut self) -> World {
        self.comparisons = Some(Comparisons::new());
        self
    }

    fn comparison(&self, champion: &str, challenger: &str) -> Option<&Comparison> {
        let pair = (champion.to_string(), challenger.to_string());
        self.comparisons.as_ref()?.get(&pair)
    }

    /// The files that the comparison of a pair is made of.
    pub fn files_read(&self, champion: &str, challenger: &str) -> Files {
        let comparison = self.comparison(champion, challenger);
        comparison.map_or(self.files, |comparison| comparison.files)
    }

    /// Whether there is a comparison of a pair that answers something.
    pub fn is_compared(&self, champion: &str, challenger: &str) -> bool {
        let comparison = self.comparison(champion, challenger);
        self.comparisons.is_none() || comparison.is_some_and(|known| !known.is_outdated())
    }

    /// When the files of a comparison were last known to be what was read, and the last look at whether they are. Where every look reads
    /// them it is now.
    pub fn seen(&self, champion: &str, challenger: &str) -> (Timestamp, Option<Confirmation>) {
        match self.comparison(champion, challenger) {
            None => (self.now(), None),
            Some(comparison) => (Self::at(comparison.seen()), comparison.confirmation()),
        }
    }

    /// A Job compares a pair on the files that are there, unless there is a comparison that answers something.
    pub fn compare(&mut self, champion: &str, challenger: &str) {
        if self.is_compared(champion, challenger) {
            return;
        }
        let comparison = Comparison {
            files: self.files,
            read: self.time,
            look: None,
        };
        if let Some(stored) = &mut self.comparisons {
            let pair = (champion.to_string(), challenger.to_string());
            stored.insert(pair, comparison);
        }
    }

    fn named(&mut self, evaluation: &str) -> Option<&mut Comparison> {
        let mut all = self.comparisons.as_mut()?.iter_mut();
        let named = all.find(|((champion, challenger), comparison)| {
            digest_of(champion, challenger, comparison.files) == evaluation
        });
        named.map(|(_, comparison)| comparison)
    }

    /// Somebody asks for a look at the files of a comparison. A status that is not the one that was read is not replaced.
    pub fn ask_for_look(&mut self, evaluation: &str, number: u32) {
        let requested = self.time;
        let Some(comparison) = self.named(evaluation) else {
            return;
        };
        let is_next = match &comparison.look {
            None => number == 1,
            Some(last) => last.heard.is_some() && number == last.number + 1,
        };
        if is_next {
            comparison.look = Some(FileLook {
                number,
                requested,
                found: None,
                heard: None,
            });
        }
    }

    /// Whether a look at the files of a comparison was asked for and is not answered.
    pub fn awaits_look(&self, evaluation: &str) -> bool {
        let mut all = self.comparisons.iter().flatten();
        let named = all.find(|((champion, challenger), comparison)| {
            digest_of(champion, challenger, comparison.files) == evaluation
        });
        let look = named.and_then(|(_, comparison)| comparison.look.as_ref());
        look.is_some_and(|look| look.heard.is_none())
    }

    /// The world after something happened to the first look of which `concerns` holds; `change` is told the files that were read.
    fn with_look(
        &self,
        concerns: fn(&FileLook) -> bool,
        change: impl FnOnce(&mut FileLook, Files),
    ) -> Option<World> {
        let stored = self.comparisons.as_ref()?.values();
        let mut looks = stored.filter_map(|comparison| comparison.look.as_ref());
        if !looks.any(concerns) {
            return None;
        }
        let mut world = self.clone();
        for comparison in world.comparisons.as_mut()?.values_mut() {
            if let Some(look) = comparison.look.as_mut().filter(|look| concerns(look)) {
                change(look, comparison.files);
                break;
            }
        }
        Some(world)
    }

    /// A Job that was asked to looks at files.
    pub fn job_looks(&self) -> Option<World> {
        self.with_look(
            |look| look.found.is_none(),
            |look, read| {
                let finding = match self.files == read {
                    true => Finding::Unchanged,
                    false => Finding::Changed,
                };
                look.found = Some((finding, self.time));
            },
        )
    }

    /// It is killed instead.
    pub fn job_dies(&self) -> Option<World> {
        let is_under_way = |look: &FileLook| look.found.is_none();
        self.with_look(is_under_way, |look, _| {
            look.found = Some((Finding::Nothing, self.time));
        })
    }

    /// What a Job found comes to be known.
    pub fn job_is_heard(&self) -> Option<World> {
        let is_unheard = |look: &FileLook| look.found.is_some() && look.heard.is_none();
        self.with_look(is_unheard, |look, _| look.heard = Some(self.time))
    }

    /// All Jobs do what they were asked to, and it is known.
    pub fn jobs_end(&mut self) {
        while let Some(next) = self.job_looks().or_else(|| self.job_is_heard()) {
            *self = next;
        }
    }
}
