//! The files of a version: exactly what a trial wrote, or nothing and the name of what stands in the way.

use super::registry::cannot;
use crate::ports::PortError;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Copies the output at `source`, a file or a directory, into the new directory `target`.
pub(super) fn copy(source: &Path, target: &Path) -> Result<(), PortError> {
    let output = source.canonicalize().map_err(|error| {
        PortError::refused(format!(
            "the output {} cannot be registered: {error}",
            source.display()
        ))
    })?;
    fs::create_dir_all(target).map_err(|e| cannot("write", target, &e))?;
    let resolved = target
        .canonicalize()
        .map_err(|e| cannot("read", target, &e))?;
    if resolved.starts_with(&output) {
        return Err(refused(source, "the registry lies inside of it"));
    }
    if output.is_dir() {
        copy_directory(&output, &output, target)
    } else {
        let name = source.file_name().unwrap_or(output.as_os_str());
        copy_entry(&output, &output, &target.join(name))
    }
}

fn copy_directory(output: &Path, from: &Path, to: &Path) -> Result<(), PortError> {
    for entry in fs::read_dir(from).map_err(|e| cannot("read", from, &e))? {
        let name = entry.map_err(|e| cannot("read", from, &e))?.file_name();
        copy_entry(output, &from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

fn copy_entry(output: &Path, from: &Path, to: &Path) -> Result<(), PortError> {
    let kind = fs::symlink_metadata(from).map_err(|e| cannot("read", from, &e))?;
    if kind.is_dir() {
        fs::create_dir(to).map_err(|e| cannot("write", to, &e))?;
        copy_directory(output, from, to)
    } else if kind.is_symlink() {
        copy_link(output, from, to)
    } else if kind.is_file() {
        fs::copy(from, to)
            .map(drop)
            .map_err(|e| cannot("copy", from, &e))
    } else {
        Err(refused(
            from,
            "it is neither a file nor a directory nor a link",
        ))
    }
}

/// A link within the output stays one. Another would show what lies elsewhere, which may change or go.
fn copy_link(output: &Path, from: &Path, to: &Path) -> Result<(), PortError> {
    let target = fs::read_link(from).map_err(|e| cannot("read", from, &e))?;
    let leads = from.parent().unwrap_or(output).join(&target);
    if target.is_absolute() || !stays_below(output, &leads) {
        let why = format!(
            "it is a link to {}; only a relative link within the output can be kept, so copy the file there",
            target.display()
        );
        return Err(refused(from, &why));
    }
    if !leads.exists() {
        let why = format!("it is a link to {}, which does not exist", target.display());
        return Err(refused(from, &why));
    }
    std::os::unix::fs::symlink(&target, to).map_err(|e| cannot("write", to, &e))
}

/// Whether a path stays below `output`, both by its names and by where links on its way lead.
fn stays_below(output: &Path, path: &Path) -> bool {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
        if matches!(component, Component::ParentDir) && !plain.starts_with(output) {
            return false;
        }
    }
    let resolved = path.canonicalize().unwrap_or(plain.clone());
    plain.starts_with(output) && resolved.starts_with(output)
}

fn refused(path: &Path, why: &str) -> PortError {
    PortError::refused(format!("{} cannot be registered: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use tempfile::TempDir;

    struct Output(TempDir);

    impl Output {
        fn new() -> Self {
            let output = Self(tempfile::tempdir().unwrap());
            fs::create_dir(output.path()).unwrap();
            fs::write(output.path().join("model.bin"), "weights").unwrap();
            output
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("out")
        }

        fn target(&self) -> PathBuf {
            self.0.path().join("version/files")
        }

        fn refusal(&self) -> String {
            copy(&self.path(), &self.target()).unwrap_err().to_string()
        }
    }

    #[test]
    fn everything_is_there_whatever_its_name() {
        let output = Output::new();
        let (out, copied) = (output.path(), output.target());
        let odd = OsStr::from_bytes(b"caf\xe9");
        for folder in ["vocab", ".cache/deep", "empty"] {
            fs::create_dir_all(out.join(folder)).unwrap();
        }
        for file in [".config.json", "vocab/.merges", ".cache/deep/.x"] {
            fs::write(out.join(file), file).unwrap();
        }
        fs::write(out.join(odd), "odd").unwrap();
        fs::set_permissions(out.join("model.bin"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("../model.bin", out.join("vocab/latest")).unwrap();
        symlink("vocab", out.join("words")).unwrap();
        copy(&out, &copied).unwrap();
        for file in [".config.json", "vocab/.merges", ".cache/deep/.x"] {
            assert_eq!(fs::read_to_string(copied.join(file)).unwrap(), file);
        }
        assert_eq!(fs::read_to_string(copied.join(odd)).unwrap(), "odd");
        assert!(copied.join("empty").is_dir());
        let mode = fs::metadata(copied.join("model.bin"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755);
        let link = fs::read_link(copied.join("vocab/latest")).unwrap();
        assert_eq!(link, Path::new("../model.bin"));
        assert_eq!(
            fs::read_to_string(copied.join("words/latest")).unwrap(),
            "weights"
        );
    }

    #[test]
    fn one_file_is_an_output_too() {
        let output = Output::new();
        copy(&output.path().join("model.bin"), &output.target()).unwrap();
        let copied = output.target().join("model.bin");
        assert_eq!(fs::read_to_string(copied).unwrap(), "weights");
    }

    #[test]
    fn what_cannot_be_kept_is_named() {
        for (target, said) in [
            ("/etc/hostname", "is a link to /etc/hostname"),
            ("../elsewhere", "is a link to ../elsewhere"),
            ("../../out/model.bin", "is a link to"),
            ("nothing", "which does not exist"),
        ] {
            let output = Output::new();
            fs::write(output.0.path().join("elsewhere"), "").unwrap();
            symlink(target, output.path().join("link")).unwrap();
            let refusal = output.refusal();
            assert!(
                refusal.contains("out/link cannot be registered") && refusal.contains(said),
                "{target}: {refusal}"
            );
        }
        let output = Output::new();
        let socket = output.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(output.refusal().contains("out/socket cannot be registered"));
        let output = Output::new();
        let inside = output.path().join("registry/files");
        let refusal = copy(&output.path(), &inside).unwrap_err().to_string();
        assert!(
            refusal.contains("the registry lies inside of it"),
            "{refusal}"
        );
        let refusal = copy(&output.path().join("none"), &output.target()).unwrap_err();
        assert!(
            refusal
                .to_string()
                .contains("out/none cannot be registered")
        );
    }
}
