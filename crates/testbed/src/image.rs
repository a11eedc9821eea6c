//! Archives of container images, made of files of this machine without a builder.

use crate::{TestbedError, at};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// An image with one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name with a tag, such as `podium.dev/podium:1`.
    pub name: String,
    /// The number of the user that its program runs as, perhaps with `:GROUP`.
    pub user: String,
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// Where the program starts; `/` if nothing is said.
    pub working_directory: Option<String>,
    /// Its files.
    pub files: Vec<ImageFile>,
}

/// A file of an image and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// The file on this machine; the image's may be executed when this one may.
    pub source: PathBuf,
    /// The path inside, such as `/usr/bin/podium`.
    pub path: String,
}

/// Writes a docker archive. The same image of the same files is the same archive, byte for byte.
///
/// # Errors
/// A file cannot be read or the archive cannot be written.
pub fn write_archive(archive: &Path, image: &Image) -> Result<(), TestbedError> {
    let layer = layer(archive, &image.files)?;
    let mut config = json!({
        "User": image.user,
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Entrypoint": image.entrypoint,
    });
    if let Some(directory) = &image.working_directory {
        config["WorkingDir"] = json!(directory);
    }
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex(&Sha256::digest(&layer)))]},
    })
    .to_string();
    let manifest =
        json!([{"Config": "config.json", "RepoTags": [image.name], "Layers": ["layer.tar"]}])
            .to_string();
    let mut whole = tar::Builder::new(Vec::new());
    for (path, bytes) in [
        ("config.json", config.as_bytes()),
        ("layer.tar", &layer),
        ("manifest.json", manifest.as_bytes()),
    ] {
        at(archive, append(&mut whole, path, Some(bytes), 0o644))?;
    }
    let whole = at(archive, whole.into_inner())?;
    at(archive, fs::write(archive, whole))
}

/// The files and the directories that hold them, ordered by path, so that a directory comes before what it holds.
fn layer(archive: &Path, files: &[ImageFile]) -> Result<Vec<u8>, TestbedError> {
    let mut entries: BTreeMap<String, Option<&Path>> = BTreeMap::new();
    for file in files {
        let path = file.path.trim_matches('/');
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        entries.extend(parents.map(|parent| (parent.to_string(), None)));
        entries.insert(path.to_string(), Some(&file.source));
    }
    let mut layer = tar::Builder::new(Vec::new());
    for (path, source) in &entries {
        let appended = match source {
            None => append(&mut layer, path, None, 0o755),
            Some(source) => {
                let bytes = at(source, fs::read(source))?;
                let mode = at(source, fs::metadata(source))?.permissions().mode();
                let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
                append(&mut layer, path, Some(&bytes), mode)
            }
        };
        at(archive, appended)?;
    }
    at(archive, layer.into_inner())
}

/// Appends a file, or a directory for no bytes, that belongs to root and has no age.
fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &str,
    bytes: Option<&[u8]>,
    mode: u32,
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    if bytes.is_none() {
        header.set_entry_type(tar::EntryType::Directory);
    }
    let bytes = bytes.unwrap_or_default();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    archive.append_data(&mut header, path, bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn an_archive_keeps_the_executable_bit_makes_directories_and_is_the_same_twice() {
        let directory = std::env::temp_dir().join(format!("podium-image-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = |name: &str, mode: u32, path: &str| {
            let source = directory.join(name);
            fs::write(&source, name).unwrap();
            fs::set_permissions(&source, fs::Permissions::from_mode(mode)).unwrap();
            let path = path.to_string();
            ImageFile { source, path }
        };
        let image = Image {
            name: "podium.dev/test:1".to_string(),
            user: "65532".to_string(),
            entrypoint: vec!["/usr/bin/program".to_string()],
            working_directory: Some("/data".to_string()),
            files: vec![
                file("program", 0o700, "/usr/bin/program"),
                file("text", 0o600, "data/a/text"),
            ],
        };
        let mut turned = image.clone();
        turned.files.reverse();
        let archives = [("one", &image), ("other", &turned)].map(|(name, image)| {
            let archive = directory.join(name);
            write_archive(&archive, image).unwrap();
            fs::read(archive).unwrap()
        });
        assert!(archives[0] == archives[1]);

        let mut whole = tar::Archive::new(archives[0].as_slice());
        let mut layer = Vec::new();
        let mut config = String::new();
        for entry in whole.entries().unwrap() {
            let mut entry = entry.unwrap();
            match entry.path().unwrap().to_str() {
                Some("layer.tar") => drop(entry.read_to_end(&mut layer).unwrap()),
                Some("config.json") => drop(entry.read_to_string(&mut config).unwrap()),
                _ => {}
            }
        }
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        assert_eq!(
            config["config"]["Entrypoint"][0].as_str(),
            Some("/usr/bin/program")
        );
        assert_eq!(config["config"]["WorkingDir"].as_str(), Some("/data"));
        let mut layer = tar::Archive::new(layer.as_slice());
        let entries: Vec<(String, u32)> = layer
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                (path, entry.header().mode().unwrap())
            })
            .collect();
        let expected = [
            ("data", 0o755),
            ("data/a", 0o755),
            ("data/a/text", 0o644),
            ("usr", 0o755),
            ("usr/bin", 0o755),
            ("usr/bin/program", 0o755),
        ];
        assert_eq!(
            entries,
            expected.map(|(path, mode)| (path.to_string(), mode))
        );
        fs::remove_dir_all(&directory).unwrap();
    }
}
