//! A model registry in a directory that people can read and edit.
//!
//! ```text
//! MODEL/aliases/ALIAS              one line: the version
//! MODEL/versions/VERSION/version.yaml   source, tags
//! MODEL/versions/VERSION/files/    the files of the model
//! MODEL/ledger/KEY                 write-once registers: see `podium_core::champion::ledger`
//! ```
//! Writers take `MODEL/lock` first, so moving an alias compares and sets in one step. A register is made by create-exclusive, so it
//! is written once whoever holds what lock.

use super::ledger;
use super::store::path_of;
use super::version_files;
use crate::ports::{AliasUpdate, ModelRegistry, NewVersion, PortError, Preflight, RegisterWrite};
use crate::regular_file;
use podium_api::convert::read_object;
use podium_core::champion::ledger::Register;
use podium_core::champion::{RegistryView, VersionView};
use podium_workload::atomic_file;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// What stands in `version.yaml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VersionFile {
    /// Where the files came from, for people.
    source: String,
    /// Registering twice under one key gives one version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
}

/// A registry in a directory.
#[derive(Clone, Debug)]
pub struct DirectoryRegistry {
    root: PathBuf,
    base: PathBuf,
}

impl DirectoryRegistry {
    /// The registry under `root`; sources that are relative are taken from `base`.
    #[must_use]
    pub fn new(root: PathBuf, base: PathBuf) -> Self {
        Self { root, base }
    }

    fn model(&self, model: &str) -> Result<PathBuf, PortError> {
        Ok(self.root.join(path_segment("a model", model)?))
    }

    fn lock(&self, model: &Path) -> Result<File, PortError> {
        fs::create_dir_all(model).map_err(|e| cannot("write", model, &e))?;
        let path = model.join("lock");
        let file = File::create(&path).map_err(|e| cannot("write", &path, &e))?;
        file.lock().map_err(|e| cannot("lock", &path, &e))?;
        Ok(file)
    }

    fn copy_into_version(
        &self,
        model: &Path,
        new: &NewVersion<'_>,
        version: &str,
    ) -> Result<(), PortError> {
        let source = path_of(&self.base, new.source)?;
        let versions = model.join("versions");
        let unfinished = versions.join(".unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(|e| cannot("remove", &unfinished, &e))?;
        }
        version_files::copy(&source, &unfinished.join("files"))?;
        let file = VersionFile {
            source: new.source.to_string(),
            key: Some(new.key.to_string()),
            tags: new.tags.clone(),
        };
        write_version_file(&unfinished.join("version.yaml"), &file)?;
        let finished = versions.join(version);
        fs::rename(&unfinished, &finished).map_err(|e| cannot("write", &finished, &e))
    }
}

impl ModelRegistry for DirectoryRegistry {
    async fn view(&self, model: &str) -> Result<Option<RegistryView>, PortError> {
        let model = self.model(model)?;
        if !model.join("versions").is_dir() {
            return Ok(None);
        }
        let mut view = RegistryView::default();
        for version in entries(&model.join("versions"))? {
            let directory = model.join("versions").join(&version);
            let path = directory.join("version.yaml");
            if path.exists() {
                let found = VersionView {
                    source: directory.join("files").display().to_string(),
                    tags: read_version_file(&path)?.tags,
                    unready: (!directory.join("files").is_dir())
                        .then(|| "its directory `files` is missing".to_string()),
                };
                view.versions.insert(version, found);
            }
        }
        for alias in entries(&model.join("aliases"))? {
            if let Some(version) = read_alias(&model, &alias)? {
                view.aliases.insert(alias, version);
            }
        }
        Ok(Some(view))
    }

    async fn register(&self, new: NewVersion<'_>) -> Result<String, PortError> {
        let model = self.model(new.model)?;
        let _lock = self.lock(&model)?;
        let versions = model.join("versions");
        let mut newest = 0_u64;
        for version in entries(&versions)? {
            let path = versions.join(&version).join("version.yaml");
            if path.exists() && read_version_file(&path)?.key.as_deref() == Some(new.key) {
                return Ok(version);
            }
            newest = newest.max(version.parse().unwrap_or(0));
        }
        let version = (newest + 1).to_string();
        self.copy_into_version(&model, &new, &version)?;
        Ok(version)
    }

    async fn move_alias(
        &self,
        model: &str,
        alias: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<AliasUpdate, PortError> {
        let model = self.model(model)?;
        let alias = path_segment("an alias", alias)?;
        let _lock = self.lock(&model)?;
        let found = read_alias(&model, alias)?;
        if found.as_deref() == to {
            return Ok(AliasUpdate::Done);
        }
        if found.as_deref() != from {
            return Ok(AliasUpdate::Contended { found });
        }
        let path = model.join("aliases").join(alias);
        match to {
            Some(to) => point(&model, &path, to)?,
            None => fs::remove_file(&path).map_err(|e| cannot("remove", &path, &e))?,
        }
        Ok(AliasUpdate::Done)
    }

    async fn tag(
        &self,
        model: &str,
        version: &str,
        tags: BTreeMap<String, String>,
    ) -> Result<(), PortError> {
        let model = self.model(model)?;
        let _lock = self.lock(&model)?;
        let path = model
            .join("versions")
            .join(path_segment("a version", version)?)
            .join("version.yaml");
        let mut file = read_version_file(&path)?;
        let before = file.clone();
        file.tags.extend(tags);
        if file == before {
            return Ok(());
        }
        write_version_file(&path, &file)
    }

    async fn registers(&self, model: &str) -> Result<BTreeMap<String, String>, PortError> {
        ledger::read(&self.model(model)?.join("ledger"))
    }

    async fn write_register(
        &self,
        model: &str,
        register: &Register,
    ) -> Result<RegisterWrite, PortError> {
        ledger::write(&self.model(model)?.join("ledger"), register)
    }

    /// A directory that is not there yet is made with the first model.
    async fn preflight(&self) -> Preflight {
        Preflight::default()
    }

    fn identity(&self) -> String {
        let root = self.root.canonicalize();
        root.unwrap_or_else(|_| self.root.clone())
            .display()
            .to_string()
    }
}

fn point(model: &Path, alias: &Path, to: &str) -> Result<(), PortError> {
    let version = model.join("versions").join(path_segment("a version", to)?);
    if !version.join("version.yaml").is_file() {
        return Err(PortError::refused(format!(
            "{} does not exist",
            version.display()
        )));
    }
    if let Some(parent) = alias.parent() {
        fs::create_dir_all(parent).map_err(|e| cannot("write", parent, &e))?;
    }
    Ok(atomic_file::write(alias, format!("{to}\n").as_bytes())?)
}

/// Names come from users' manifests and must not lead out of the registry.
pub(super) fn path_segment<'a>(what: &str, name: &'a str) -> Result<&'a str, PortError> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    plain.then_some(name).ok_or_else(|| {
        PortError::refused(format!(
            "the name of {what} must not be empty, start with a dot or hold a slash: `{name}`"
        ))
    })
}

pub(super) fn cannot(what: &str, path: &Path, error: &io::Error) -> PortError {
    PortError::refused(format!("cannot {what} {}: {error}", path.display()))
}

/// Names in a directory, without hidden ones; none when there is no such directory.
pub(super) fn entries(directory: &Path) -> Result<Vec<String>, PortError> {
    let listed = match fs::read_dir(directory) {
        Ok(listed) => listed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot("read", directory, &error)),
    };
    let mut names = Vec::new();
    for entry in listed {
        let name = entry
            .map_err(|e| cannot("read", directory, &e))?
            .file_name();
        names.extend(name.into_string().ok().filter(|n| !n.starts_with('.')));
    }
    names.sort();
    Ok(names)
}

fn read_alias(model: &Path, alias: &str) -> Result<Option<String>, PortError> {
    let path = model.join("aliases").join(alias);
    let Some(text) = regular_file::read_text(&path)? else {
        return Ok(None);
    };
    let version = text.trim();
    if version.is_empty() || version.contains('\n') {
        return Err(PortError::refused(format!(
            "{} must hold one line, the name of a version; remove the file to remove the alias",
            path.display()
        )));
    }
    Ok(Some(version.to_string()))
}

fn read_version_file(path: &Path) -> Result<VersionFile, PortError> {
    let text = regular_file::read_text(path)?
        .ok_or_else(|| PortError::missing(format!("{} does not exist", path.display())))?;
    let unreadable = |why: String| {
        PortError::refused(format!(
            "{} must hold `source` and `tags`: {why}",
            path.display()
        ))
    };
    let document = crate::yaml::document(&text).map_err(|error| unreadable(error.to_string()))?;
    read_object(&document).map_err(|problem| unreadable(problem.to_string()))
}

fn write_version_file(path: &Path, file: &VersionFile) -> Result<(), PortError> {
    let text =
        serde_saphyr::to_string(file).map_err(|error| PortError::invalid(error.to_string()))?;
    Ok(atomic_file::write(path, text.as_bytes())?)
}
