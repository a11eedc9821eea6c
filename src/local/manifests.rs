//! Reads the manifests of a directory: `*.yaml`, `*.yml` and `*.json`, several documents a file, and the items of lists.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A document and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Where it stands, such as `search.yaml, document 2`.
    pub place: String,
    /// What it says.
    pub object: Value,
}

impl Manifest {
    /// The kind and the name of its object, as far as it has them.
    #[must_use]
    pub fn key(&self) -> Option<(String, String)> {
        let text = |pointer| Some(self.object.pointer(pointer)?.as_str()?.to_string());
        Some((text("/kind")?, text("/metadata/name")?))
    }

    /// Place, kind and name, for a message about it.
    #[must_use]
    pub fn described(&self) -> String {
        let text = |pointer| self.object.pointer(pointer).and_then(Value::as_str);
        let kind = text("/kind").unwrap_or("?");
        let name = text("/metadata/name").unwrap_or("?");
        format!("{}: {kind} \"{name}\"", self.place)
    }
}

/// What a directory holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifests {
    /// What can be read, by file name and position.
    pub manifests: Vec<Manifest>,
    /// What cannot be read, each with its place and why.
    pub unreadable: Vec<String>,
}

/// Why a directory's manifests cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The directory cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// There is nothing to run.
    #[error(
        "{0} holds no manifest; it must hold at least one TuningJob or ChampionPolicy in a .yaml file"
    )]
    Empty(PathBuf),
}

/// All documents of the manifests directly in `directory`, by file name. A file that cannot be read does not hide the others.
///
/// # Errors
/// The directory cannot be read, or there is no manifest in it.
pub fn read(directory: &Path) -> Result<Manifests, ManifestError> {
    let unreadable = |error| ManifestError::Unreadable {
        path: directory.to_path_buf(),
        error,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if is_named_as_a_manifest(&path) && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    let mut found = Manifests::default();
    for file in files {
        let name = file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        match text_of(&file) {
            Ok(text) => add_documents(&name, &text, &mut found),
            Err(why) => found.unreadable.push(format!("{name} {why}")),
        }
    }
    if found == Manifests::default() {
        return Err(ManifestError::Empty(directory.to_path_buf()));
    }
    Ok(found)
}

/// Objects of one kind and name, of which nobody can say which is meant: their places, by kind and name.
#[must_use]
pub fn duplicates(manifests: &[Manifest]) -> BTreeMap<(String, String), Vec<&str>> {
    let mut places: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for manifest in manifests {
        if let Some(key) = manifest.key() {
            places.entry(key).or_default().push(&manifest.place);
        }
    }
    places.retain(|_, places| places.len() > 1);
    places
}

fn is_named_as_a_manifest(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default();
    let known = ["yaml", "yml", "json"];
    !name.starts_with('.')
        && known
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
}

fn text_of(file: &Path) -> Result<String, String> {
    let metadata = fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?;
    if !metadata.is_file() {
        return Err("must be a file".to_string());
    }
    let bytes = fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|error| {
        let bytes = error.as_bytes();
        let valid = bytes
            .get(..error.utf8_error().valid_up_to())
            .unwrap_or_default();
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        let found = match bytes {
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "it is UTF-16".to_string(),
            _ => format!("line {line} holds other bytes"),
        };
        format!("must be text in UTF-8: {found}")
    })
}

fn add_documents(file: &str, text: &str, found: &mut Manifests) {
    let mut documents = Vec::new();
    for part in parts(text) {
        let lines_before = text[..part.start].matches('\n').count();
        match crate::yaml::manifests(&text[part.clone()]) {
            Ok(read) => documents.extend(read),
            Err(error) => {
                // Read again with the lines before it, so that the message counts lines as an editor does.
                let whole = format!("{}{}", "\n".repeat(lines_before), &text[part]);
                let error = crate::yaml::manifests(&whole).err().unwrap_or(error);
                let message = format!("{file} must hold YAML documents: {error}");
                found.unreadable.push(message);
                documents.push(Value::Null);
            }
        }
    }
    let several = documents.len() > 1;
    for (position, object) in documents.into_iter().enumerate() {
        let place = if several {
            format!("{file}, document {}", position + 1)
        } else {
            file.to_string()
        };
        add_objects(place, object, found);
    }
}

/// Where documents begin and end: each is read on its own, so that one which is no YAML does not hide the others.
fn parts(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut holds_something, mut at) = (0, false, 0);
    for line in text.split_inclusive('\n') {
        let marker = line.strip_prefix("---");
        let marks =
            marker.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if marks && holds_something {
            parts.push(start..at);
            start = at;
            holds_something = false;
        }
        let content = marker.filter(|_| marks).unwrap_or(line).trim();
        holds_something |= !content.is_empty() && !content.starts_with(['#', '%']);
        at += line.len();
    }
    parts.push(start..text.len());
    parts
}

/// A list stands for its items, as `kubectl get -o yaml` and `podium get -o yaml` write it.
fn add_objects(place: String, object: Value, found: &mut Manifests) {
    let is_list = object
        .get("kind")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.ends_with("List"));
    match (object, is_list) {
        (Value::Null, _) => {}
        (Value::Object(mut fields), true) if fields.get("items").is_some_and(Value::is_array) => {
            if let Some(Value::Array(items)) = fields.remove("items") {
                for (position, item) in items.into_iter().enumerate() {
                    add_objects(format!("{place}, item {}", position + 1), item, found);
                }
            }
        }
        (Value::Object(fields), _) if !fields.contains_key("kind") => {
            found.unreadable.push(format!(
                "{place} must be an object with `apiVersion` and `kind`"
            ));
        }
        (object @ Value::Object(_), _) => found.manifests.push(Manifest { place, object }),
        _ => found.unreadable.push(format!(
            "{place} must be an object with `apiVersion`, `kind`, `metadata` and `spec`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_files(files: &[(&str, &[u8])]) -> Manifests {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(directory.path().join(name), bytes).unwrap();
        }
        read(directory.path()).unwrap()
    }

    fn described(found: &Manifests) -> Vec<String> {
        found.manifests.iter().map(Manifest::described).collect()
    }

    const TWO: &str = "# first\n---\nkind: A\nmetadata: {name: a}\n--- # second\nkind: B\nmetadata: {name: b}\n---\n";

    #[test]
    fn each_document_has_its_place() {
        let list = "kind: List\nitems:\n- {kind: C, metadata: {name: c}}\n- {kind: D}\n";
        let json = "{\"kind\": \"E\", \"metadata\": {\"name\": \"e\"}}";
        let found = read_files(&[
            ("a.yml", TWO.as_bytes()),
            ("b.YAML", list.as_bytes()),
            ("c.json", json.as_bytes()),
            (".hidden.yaml", b"kind: F"),
            ("notes.txt", b"kind: G"),
        ]);
        let expected = [
            "a.yml, document 1: A \"a\"",
            "a.yml, document 2: B \"b\"",
            "b.YAML, item 1: C \"c\"",
            "b.YAML, item 2: D \"?\"",
            "c.json: E \"e\"",
        ];
        assert_eq!(described(&found), expected);
        assert_eq!(found.unreadable, Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_read_is_told_and_hides_nothing() {
        let broken = format!("{TWO}kind: [\n---\nkind: C\nmetadata: {{name: c}}\n");
        let found = read_files(&[
            ("a.yaml", broken.as_bytes()),
            ("b.yaml", b"kind: A\nmetadata: {name: caf\xe9}\n"),
            ("c.yaml", b"\xff\xfek\x00"),
            ("d.yaml", b"kind: A\nkind: B\n"),
            ("e.yaml", b"just text"),
        ]);
        let expected = [
            "a.yaml, document 1: A \"a\"",
            "a.yaml, document 2: B \"b\"",
            "a.yaml, document 4: C \"c\"",
        ];
        assert_eq!(described(&found), expected);
        let said = [
            "a.yaml must hold YAML documents: ",
            "b.yaml must be text in UTF-8: line 2 holds other bytes",
            "c.yaml must be text in UTF-8: it is UTF-16",
            "d.yaml must hold YAML documents: ",
            "e.yaml must be an object with `apiVersion`",
        ];
        assert_eq!(found.unreadable.len(), said.len(), "{:?}", found.unreadable);
        for (message, said) in found.unreadable.iter().zip(said) {
            assert!(message.starts_with(said), "{message}");
        }
        assert!(
            found.unreadable[0].contains("line 9") || found.unreadable[0].contains("9:"),
            "{}",
            found.unreadable[0]
        );
        assert!(
            found.unreadable[3].contains("kind"),
            "the key is named: {}",
            found.unreadable[3]
        );
    }

    #[test]
    fn two_of_one_kind_and_name_are_found_with_their_places() {
        let found = read_files(&[
            ("a.yaml", TWO.as_bytes()),
            ("z.yaml", b"kind: B\nmetadata: {name: b}\n"),
        ]);
        let duplicates = duplicates(&found.manifests);
        let places = &duplicates[&("B".to_string(), "b".to_string())];
        assert_eq!(places, &["a.yaml, document 2", "z.yaml"]);
        assert_eq!(duplicates.len(), 1);
    }
}
