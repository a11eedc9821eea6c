//! The file of one stored object: its name, and what stands in it.

use crate::ports::{Object, PortError};
use crate::regular_file;
use podium_api::convert;
use podium_core::champion::cause::digest;
use serde_json::Value;
use std::path::Path;

pub(super) fn name_of(object: &Value) -> Result<String, PortError> {
    let name = object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    // A name is a file name here; the same rule as in a cluster keeps it inside the directory.
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
    if name.is_empty() || name.starts_with('.') || !plain {
        return Err(PortError::refused(format!(
            "metadata.name must consist of lower-case letters, digits, `-` and `.`, not `{name}`"
        )));
    }
    Ok(name.to_string())
}

/// An object's name may have 253 characters, and a file's 255 together with what is added while it is written. `~` is in no object's name.
pub(super) fn file_name(name: &str) -> String {
    const LONGEST: usize = 200;
    match name.get(..LONGEST) {
        Some(start) if name.len() > LONGEST => format!("{start}~{}.yaml", digest(&[name])),
        _ => format!("{name}.yaml"),
    }
}

pub(super) fn hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|n| n.to_string_lossy().starts_with('.'))
}

pub(super) fn read_object(path: &Path) -> Result<Option<Value>, PortError> {
    let Some(text) = regular_file::read_text(path)? else {
        return Ok(None);
    };
    let read: Result<Value, String> = match text.starts_with('{') {
        true => serde_json::from_str(&text).map_err(|e| e.to_string()),
        false => crate::yaml::document(&text).map_err(|e| e.to_string()),
    };
    let stored = read.and_then(|value| match name_of(&value) {
        Ok(_) => Ok(value),
        Err(_) => Err("it holds no object with a name".to_string()),
    });
    stored.map(Some).map_err(|e| {
        PortError::refused(format!("{} is not what podium writes: {e}", path.display()))
    })
}

pub(super) fn typed<K: Object>(path: &Path, value: Value) -> Result<K, PortError> {
    convert::read_object(&value).map_err(|e| {
        PortError::refused(format!("{} is not what podium writes: {e}", path.display()))
    })
}
