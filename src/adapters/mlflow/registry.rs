//! Registered models of an MLflow server, by the registry of which there is no compare-and-set: an alias goes to whoever wrote last.
//!
//! What is asked for is therefore read right before a write and read back right after it; between these two somebody else may move the
//! alias unseen, which only an account that alone may edit the model rules out.

use super::answer::{RequestError, RequestErrorKind};
use super::ledger::LedgerRuns;
use super::looks::{Aliases, Looks, Read, Registers, Versions};
use super::server::{Repeat, Server};
use crate::ports::{
    AliasUpdate, ModelRegistry, NewVersion, PortError, PortErrorKind, Preflight, RegisterWrite,
    RegistryLook,
};
use podium_core::champion::ledger::Register;
use podium_core::champion::{Freshness, RegistryView, VersionView};
use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Versions of a page; the server gives up to 200,000.
pub(super) const VERSIONS_PER_PAGE: &str = "1000";
/// Pages of versions that are read of a model: a server that names ever another page must not be listened to for ever.
const MOST_PAGES: usize = 200;
/// The tag by which a version that was registered is found again.
const KEY_TAG: &str = "podium.dev/key";
/// A version that can be loaded.
const READY: &str = "READY";

/// The registry of an MLflow server.
#[derive(Clone, Debug)]
pub struct MlflowRegistry {
    server: Arc<Server>,
    pub(super) ledgers: Arc<LedgerRuns>,
    pub(super) looks: Arc<Looks>,
}

#[derive(Deserialize)]
struct ModelAnswer {
    registered_model: Model,
}

/// Lists that are empty are left out of answers.
#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    aliases: Vec<Alias>,
}

#[derive(Deserialize)]
pub(super) struct Alias {
    alias: String,
    version: String,
}

#[derive(Deserialize)]
struct VersionsAnswer {
    #[serde(default)]
    model_versions: Vec<Version>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
struct VersionAnswer {
    model_version: Version,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    status_message: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// A tag or a parameter.
#[derive(Deserialize)]
pub(super) struct Tag {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: String,
}

impl MlflowRegistry {
    /// The registry of this server.
    #[must_use]
    pub fn new(server: Arc<Server>) -> Self {
        Self {
            ledgers: Arc::new(LedgerRuns::new(Arc::clone(&server))),
            looks: Arc::default(),
            server,
        }
    }

    /// Its server.
    #[must_use]
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Aliases of a model; `None` when there is no such model.
    ///
    /// Of all ways to ask for an alias this is the only one that tells a missing alias, one whose version was deleted, and a missing model
    /// apart on every version of MLflow.
    pub(super) async fn read_aliases(
        &self,
        model: &str,
    ) -> Result<Read<Option<Aliases>>, RequestError> {
        let at = Instant::now();
        let found: Result<ModelAnswer, _> = self
            .server
            .get("registered-models/get", &[("name", model)])
            .await;
        let found = existing(found)?;
        let what = found.map(|found| by_alias(found.registered_model.aliases));
        let read = Read { at, what };
        self.looks.saw(model, |known| &mut known.aliases, &read);
        Ok(read)
    }

    /// The versions of a model.
    pub(super) async fn read_versions(&self, model: &str) -> Result<Read<Versions>, RequestError> {
        let at = Instant::now();
        let filter = format!("name={}", quoted("the name of a model", model)?);
        let versions = self.search(&filter).await?;
        let what = versions.into_iter().map(|version| {
            let (name, mut view) = version.view();
            view.unready = view.unready.map(|why| self.server.mask(&why));
            (name, view)
        });
        let what = what.collect();
        let read = Read { at, what };
        self.looks.saw(model, |known| &mut known.versions, &read);
        Ok(read)
    }

    /// The aliases and versions of a model.
    pub(super) async fn read_view(
        &self,
        model: &str,
    ) -> Result<Option<RegistryView>, RequestError> {
        let Some(aliases) = self.read_aliases(model).await?.what else {
            return Ok(None);
        };
        Ok(Some(RegistryView {
            aliases,
            versions: self.read_versions(model).await?.what,
        }))
    }

    /// The registers of a model's ledger.
    pub(super) async fn read_registers(
        &self,
        model: &str,
    ) -> Result<Read<Registers>, RequestError> {
        let at = Instant::now();
        let what = self.ledgers.read(model).await?;
        let read = Read { at, what };
        self.looks.saw(model, |known| &mut known.registers, &read);
        Ok(read)
    }

    /// The versions that a filter selects, in all pages.
    async fn search(&self, filter: &str) -> Result<Vec<Version>, RequestError> {
        let mut versions = Vec::new();
        let mut token = String::new();
        for _ in 0..MOST_PAGES {
            let mut query = vec![("filter", filter), ("max_results", VERSIONS_PER_PAGE)];
            if !token.is_empty() {
                query.push(("page_token", &token));
            }
            let page: VersionsAnswer = self.server.get("model-versions/search", &query).await?;
            versions.extend(page.model_versions);
            if page.next_page_token.is_empty() || page.next_page_token == token {
                return Ok(versions);
            }
            token = page.next_page_token;
        }
        let message = format!("it lists more than {MOST_PAGES} pages of versions for {filter}");
        Err(RequestError::new(RequestErrorKind::Refused, message))
    }

    async fn create_model(&self, model: &str) -> Result<(), RequestError> {
        let body = json!({"name": model});
        match self.server.post("registered-models/create", &body).await {
            Err(error) if error.kind != RequestErrorKind::Exists => Err(error),
            _ => Ok(()),
        }
    }

    async fn point(&self, model: &str, alias: &str, to: Option<&str>) -> Result<(), RequestError> {
        let (method, body) = match to {
            Some(to) => (
                Method::POST,
                json!({"name": model, "alias": alias, "version": to}),
            ),
            None => (Method::DELETE, json!({"name": model, "alias": alias})),
        };
        // Once: a second attempt that arrives late could undo what somebody did in between.
        let moved: Result<IgnoredAny, _> = self
            .server
            .write(method, "registered-models/alias", &body, Repeat::Never)
            .await;
        moved.map(drop)
    }
}

pub(super) fn by_alias(aliases: Vec<Alias>) -> Aliases {
    let aliases = aliases.into_iter();
    aliases.map(|a| (a.alias, a.version)).collect()
}

/// The account may move an alias, and may not remove it.
fn not_removed(alias: &str, error: &RequestError) -> PortError {
    let message = format!(
        "MLflow denies the registry's account the removal of the alias `{alias}`, which takes MANAGE on the registered model: {}",
        error.message
    );
    PortError::new(PortErrorKind::Forbidden, message)
}

/// What was found, or nothing where it does not exist.
pub(super) fn existing<T>(found: Result<T, RequestError>) -> Result<Option<T>, RequestError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind == RequestErrorKind::Missing => Ok(None),
        Err(error) => Err(error),
    }
}

/// A text in a filter, which has no way to write a quote in it.
pub(super) fn quoted(what: &str, text: &str) -> Result<String, RequestError> {
    if text.contains(['\'', '"', '\\']) {
        let message = format!("{what} must hold neither quotes nor backslashes: {text}");
        return Err(RequestError::new(RequestErrorKind::Refused, message));
    }
    Ok(format!("'{text}'"))
}

impl Version {
    fn view(self) -> (String, VersionView) {
        // Servers before 2.0 leave it out.
        let is_ready = self.status.is_empty() || self.status == READY;
        let unready = (!is_ready).then(|| {
            let why = self.status_message.trim();
            if why.is_empty() {
                format!("its status is {}", self.status)
            } else {
                format!("its status is {}: {why}", self.status)
            }
        });
        // The key is no fact about the version.
        let tags = self.tags.into_iter().filter(|tag| tag.key != KEY_TAG);
        let view = VersionView {
            source: self.source,
            tags: tags.map(|tag| (tag.key, tag.value)).collect(),
            unready,
        };
        (self.version, view)
    }
}

impl ModelRegistry for MlflowRegistry {
    async fn view(&self, model: &str) -> Result<Option<RegistryView>, PortError> {
        Ok(self.read_view(model).await?)
    }

    async fn look(&self, model: &str, freshness: Freshness) -> Result<RegistryLook, PortError> {
        self.look_at(model, freshness).await
    }

    /// Creating a version is not idempotent, so it is looked for by the tag that it is created with.
    async fn register(&self, new: NewVersion<'_>) -> Result<String, PortError> {
        self.looks.forget(new.model);
        self.create_model(new.model).await?;
        let name = quoted("the name of a model", new.model)?;
        let key = quoted("the key of a version", new.key)?;
        let registered = self
            .search(&format!("name={name} AND tag.`{KEY_TAG}`={key}"))
            .await?;
        let oldest = registered.into_iter().map(|found| found.version);
        if let Some(oldest) = oldest.min_by_key(|version| version.parse::<u64>().ok()) {
            return Ok(oldest);
        }
        let mut tags = new.tags;
        tags.insert(KEY_TAG.to_string(), new.key.to_string());
        let tags = tags
            .into_iter()
            .map(|(key, value)| json!({"key": key, "value": value}));
        let mut body = json!({
            "name": new.model, "source": new.source, "tags": tags.collect::<Vec<_>>(),
        });
        if let Some(run) = new.run {
            body["run_id"] = json!(run);
        }
        let created: VersionAnswer = self
            .server
            .write(Method::POST, "model-versions/create", &body, Repeat::Never)
            .await?;
        Ok(created.model_version.version)
    }

    async fn move_alias(
        &self,
        model: &str,
        alias: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<AliasUpdate, PortError> {
        let look = async || {
            let aliases = self.read_aliases(model).await?.what;
            let aliases = aliases.ok_or_else(|| {
                PortError::missing(format!("the registered model `{model}` does not exist"))
            })?;
            Ok::<_, PortError>(aliases.get(alias).cloned())
        };
        let found = look().await?;
        if found.as_deref() == to {
            return Ok(AliasUpdate::Done);
        }
        if found.as_deref() != from {
            return Ok(AliasUpdate::Contended { found });
        }
        let moved = self.point(model, alias, to).await;
        match moved {
            Err(error) if error.kind == RequestErrorKind::Forbidden && to.is_none() => {
                return Err(not_removed(alias, &error));
            }
            Err(error) if !error.leaves_open() => return Err(error.into()),
            _ => {}
        }
        let found = look().await?;
        match moved {
            _ if found.as_deref() == to => Ok(AliasUpdate::Done),
            Ok(()) => Ok(AliasUpdate::MovedOn { found }),
            // It may still arrive.
            Err(error) if found.as_deref() == from => Err(error.into()),
            Err(_) => Ok(AliasUpdate::Contended { found }),
        }
    }

    async fn tag(
        &self,
        model: &str,
        version: &str,
        tags: BTreeMap<String, String>,
    ) -> Result<(), PortError> {
        if tags.is_empty() {
            let query = [("name", model), ("version", version)];
            let _: VersionAnswer = self.server.get("model-versions/get", &query).await?;
        }
        for (key, value) in &tags {
            let body = json!({"name": model, "version": version, "key": key, "value": value});
            let path = "model-versions/set-tag";
            self.server.post(path, &body).await?;
        }
        self.looks.tagged(model, version, &tags);
        Ok(())
    }

    async fn registers(&self, model: &str) -> Result<BTreeMap<String, String>, PortError> {
        Ok(self.read_registers(model).await?.what)
    }

    async fn write_register(
        &self,
        model: &str,
        register: &Register,
    ) -> Result<RegisterWrite, PortError> {
        let written = self.ledgers.write(model, register).await?;
        match written {
            RegisterWrite::Holds => {
                self.looks
                    .wrote_register(model, &register.key, &register.text);
            }
            // Somebody else was first, of whom nothing is known yet.
            RegisterWrite::Taken => self.looks.forget(model),
        }
        Ok(written)
    }

    async fn preflight(&self) -> Preflight {
        self.examined().await
    }

    fn identity(&self) -> String {
        self.server.address().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_not_ready_says_why() {
        let view = |status: &str, message: &str| {
            let version = json!({"version": "1", "status": status, "status_message": message});
            let version: Version = serde_json::from_value(version).unwrap();
            version.view().1.unready
        };
        assert_eq!(view("READY", ""), None);
        let failed = view("FAILED_REGISTRATION", "no space left");
        assert_eq!(
            failed.as_deref(),
            Some("its status is FAILED_REGISTRATION: no space left")
        );
        let pending = view("PENDING_REGISTRATION", "");
        assert_eq!(
            pending.as_deref(),
            Some("its status is PENDING_REGISTRATION")
        );
    }

    #[test]
    fn a_filter_cannot_be_left() {
        assert_eq!(quoted("it", "fraud/eu").unwrap(), "'fraud/eu'");
        assert!(quoted("it", "x' OR name LIKE '%").is_err());
    }
}
