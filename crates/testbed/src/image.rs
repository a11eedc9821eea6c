//! Archives of container images, made of files of this machine without a builder.

use crate::{TestbedError, at};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

/// A file of an image and where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct ImageFile<'a> {
    /// The path inside, such as `usr/bin/podium`.
    pub path: &'a str,
    /// The file on this machine.
    pub source: &'a Path,
}

/// Writes a docker archive with one layer of executable files, run as `user`.
///
/// # Errors
/// A file cannot be read or the archive cannot be written.
pub fn write_archive(
    archive: &Path,
    name: &str,
    files: &[ImageFile<'_>],
    entrypoint: &[&str],
    user: &str,
) -> Result<(), TestbedError> {
    let mut layer = tar::Builder::new(Vec::new());
    for file in files {
        let bytes = at(file.source, fs::read(file.source))?;
        at(archive, append(&mut layer, file.path, &bytes, 0o755))?;
    }
    let layer = at(archive, layer.into_inner())?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": entrypoint, "User": user, "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex(&Sha256::digest(&layer)))]},
    })
    .to_string();
    let manifest =
        json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).to_string();
    let mut whole = tar::Builder::new(Vec::new());
    for (path, bytes) in [
        ("config.json", config.as_bytes()),
        ("layer.tar", &layer),
        ("manifest.json", manifest.as_bytes()),
    ] {
        at(archive, append(&mut whole, path, bytes, 0o644))?;
    }
    let whole = at(archive, whole.into_inner())?;
    at(archive, fs::write(archive, whole))
}

fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &str,
    bytes: &[u8],
    mode: u32,
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_cksum();
    archive.append_data(&mut header, path, bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
