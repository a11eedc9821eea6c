//! What was read of models, kept for as long as nobody needs it newer.
//!
//! A policy that has nothing to do costs its server two requests a poll at most: one for the aliases, which many policies share as a list of
//! all models, and one by turns for the versions and for the ledger.

use super::answer::RequestError;
use super::registry::{MlflowRegistry, VERSIONS_PER_PAGE};
use crate::ports::{PortError, RegistryLook};
use podium_core::champion::{Freshness, RECENT_SECONDS, RegistryView, VersionView};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const RECENT: Duration = Duration::from_secs(RECENT_SECONDS);
/// How long a list of all models serves.
const LIST_SERVES: Duration = Duration::from_secs(5);
/// A page of the list costs the server about as much as the aliases of so many models.
const MODELS_A_PAGE_IS_WORTH: usize = 20;

/// Versions by their aliases.
pub(super) type Aliases = BTreeMap<String, String>;

/// Something that was read.
#[derive(Clone, Debug)]
struct Read<T> {
    /// Before it was asked for.
    at: Instant,
    what: T,
}

impl<T> Read<T> {
    fn is_recent(&self) -> bool {
        self.at.elapsed() < RECENT
    }
}

/// What is known of a model.
#[derive(Clone, Debug, Default)]
struct Known {
    /// `None` in it: there is no such model.
    aliases: Option<Read<Option<Aliases>>>,
    versions: Option<Read<BTreeMap<String, VersionView>>>,
    registers: Option<Read<BTreeMap<String, String>>>,
}

/// The aliases of all models of the server.
#[derive(Debug)]
struct List {
    read: Read<HashMap<String, Aliases>>,
    pages: usize,
}

/// What is known of the models of a server.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// Whoever finds it too old reads it, and all others wait for that.
    list: tokio::sync::Mutex<Option<List>>,
    models: Mutex<HashMap<String, Known>>,
}

impl Looks {
    /// Takes down what was asked for at that time.
    pub(super) fn saw_aliases(&self, model: &str, at: Instant, aliases: Option<&Aliases>) {
        let what = aliases.cloned();
        self.update(model, |known| known.aliases = Some(Read { at, what }));
    }

    pub(super) fn saw_versions(
        &self,
        model: &str,
        at: Instant,
        versions: &BTreeMap<String, VersionView>,
    ) {
        let what = versions.clone();
        self.update(model, |known| known.versions = Some(Read { at, what }));
    }

    pub(super) fn saw_registers(
        &self,
        model: &str,
        at: Instant,
        registers: &BTreeMap<String, String>,
    ) {
        let what = registers.clone();
        self.update(model, |known| known.registers = Some(Read { at, what }));
    }

    /// This process wrote a register.
    pub(super) fn wrote_register(&self, model: &str, key: &str, text: &str) {
        self.update(model, |known| {
            if let Some(registers) = &mut known.registers {
                registers.what.insert(key.to_string(), text.to_string());
            }
        });
    }

    /// This process tagged a version.
    pub(super) fn tagged(&self, model: &str, version: &str, tags: &BTreeMap<String, String>) {
        self.update(model, |known| {
            let versions = known.versions.as_mut().map(|versions| &mut versions.what);
            if let Some(version) = versions.and_then(|versions| versions.get_mut(version)) {
                version.tags.extend(tags.clone());
            }
        });
    }

    /// Nothing is known of a model any more.
    pub(super) fn forget(&self, model: &str) {
        self.models().remove(model);
    }

    fn update(&self, model: &str, change: impl FnOnce(&mut Known)) {
        change(self.models().entry(model.to_string()).or_default());
    }

    fn known(&self, model: &str) -> Known {
        self.models().get(model).cloned().unwrap_or_default()
    }

    fn models(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct ModelsAnswer {
    #[serde(default)]
    registered_models: Vec<ListedModel>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
struct ListedModel {
    name: String,
    #[serde(default)]
    aliases: Vec<super::registry::Alias>,
}

impl MlflowRegistry {
    /// See [`crate::ports::ModelRegistry::look`].
    pub(super) async fn look_at(
        &self,
        model: &str,
        freshness: Freshness,
    ) -> Result<RegistryLook, PortError> {
        if freshness == Freshness::Now {
            return Ok(RegistryLook {
                view: self.read_view(model).await?,
                registers: self.read_registers(model).await?,
                freshness,
            });
        }
        let aliases = self.known_aliases(model).await?;
        let known = self.looks.known(model);
        let (versions, registers) = match (known.versions, known.registers) {
            (Some(versions), Some(registers)) => self.refreshed(model, versions, registers).await?,
            (versions, registers) => {
                let at = Instant::now();
                let versions = match versions {
                    Some(versions) => versions,
                    None => Read {
                        at,
                        what: self.read_versions(model).await?,
                    },
                };
                let at = Instant::now();
                let registers = match registers {
                    Some(registers) => registers,
                    None => Read {
                        at,
                        what: self.read_registers(model).await?,
                    },
                };
                (versions, registers)
            }
        };
        let is_recent = aliases.is_recent() && versions.is_recent() && registers.is_recent();
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

    /// The same, with the older one of the two read again unless both are recent.
    async fn refreshed(
        &self,
        model: &str,
        versions: Read<BTreeMap<String, VersionView>>,
        registers: Read<BTreeMap<String, String>>,
    ) -> Result<
        (
            Read<BTreeMap<String, VersionView>>,
            Read<BTreeMap<String, String>>,
        ),
        PortError,
    > {
        let at = Instant::now();
        if versions.is_recent() && registers.is_recent() {
            Ok((versions, registers))
        } else if versions.at <= registers.at {
            let what = self.read_versions(model).await?;
            Ok((Read { at, what }, registers))
        } else {
            let what = self.read_registers(model).await?;
            Ok((versions, Read { at, what }))
        }
    }

    /// The aliases of a model, as old as a list serves.
    async fn known_aliases(&self, model: &str) -> Result<Read<Option<Aliases>>, RequestError> {
        let mut list = self.looks.list.lock().await;
        let listed_at = list.as_ref().map(|list| list.read.at);
        let known = self.looks.known(model).aliases;
        let newer = known.filter(|known| listed_at.is_none_or(|listed| known.at >= listed));
        if let Some(known) = newer.filter(|known| known.at.elapsed() < LIST_SERVES) {
            return Ok(known);
        }
        let serves = listed_at.is_some_and(|at| at.elapsed() < LIST_SERVES);
        let pages = list.as_ref().map_or(1, |list| list.pages);
        let is_worth_it = self.looks.models().len() >= pages * MODELS_A_PAGE_IS_WORTH;
        if !serves && is_worth_it {
            *list = Some(self.read_list().await?);
        }
        if let Some(list) = list.as_ref().filter(|_| serves || is_worth_it)
            && let Some(aliases) = list.read.what.get(model)
        {
            return Ok(Read {
                at: list.read.at,
                what: Some(aliases.clone()),
            });
        }
        drop(list);
        let at = Instant::now();
        let what = self.aliases(model).await?;
        Ok(Read { at, what })
    }

    async fn read_list(&self) -> Result<List, RequestError> {
        let (at, mut what, mut pages) = (Instant::now(), HashMap::new(), 0);
        let mut token = String::new();
        loop {
            let mut query = vec![("max_results", VERSIONS_PER_PAGE)];
            if !token.is_empty() {
                query.push(("page_token", &token));
            }
            let page: ModelsAnswer = self
                .server()
                .get("registered-models/search", &query)
                .await?;
            pages += 1;
            let models = page.registered_models.into_iter();
            what.extend(models.map(|model| (model.name, super::registry::by_alias(model.aliases))));
            if page.next_page_token.is_empty() || page.next_page_token == token {
                let read = Read { at, what };
                return Ok(List { read, pages });
            }
            token = page.next_page_token;
        }
    }
}
