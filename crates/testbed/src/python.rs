//! An image with this machine's Python, for examples whose programs are a few lines of it.

use crate::image::{Image, ImageFile};
use crate::parts::output_of;
use crate::{TestbedError, at};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Asks the interpreter where its parts are. `sys.executable` is the interpreter also where `python3` is a script that chooses one.
const QUESTION: &str = "import json, os, sys
print(json.dumps({
    'executable': os.path.realpath(sys.executable),
    'library': os.path.dirname(os.__file__),
    'name': f'{sys.platlibdir}/python{sys.version_info[0]}.{sys.version_info[1]}',
}))";

/// What no program of an example needs, wherever it is in the library.
const SKIPPED: [&str; 11] = [
    "__pycache__",
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
    "venv",
];

/// Where the loader finds libraries that are in no common folder.
const LOADER_CACHE: &str = "/etc/ld.so.cache";

#[derive(Debug, Deserialize)]
struct Python {
    executable: PathBuf,
    library: PathBuf,
    /// The library's path below the folder above the interpreter's, such as `lib/python3.11`; that is where it looks.
    name: String,
}

/// An image named `name` with this machine's python3 at `/usr/bin/python3`, its standard library, and the shared libraries that both need
/// at the paths that they have here. It runs as any user and writes nothing.
///
/// # Errors
/// There is no python3, or a file of it cannot be read.
pub fn python_image(name: &str) -> Result<Image, TestbedError> {
    let mut ask = Command::new("python3");
    // Without the user's own modules and settings.
    ask.args(["-I", "-c", QUESTION]);
    let answer = output_of(&mut ask, "asking python3 where its parts are")?;
    let python: Python = serde_json::from_str(&answer).map_err(|error| TestbedError::Program {
        what: "asking python3 where its parts are".to_string(),
        output: format!("{error}: {answer}"),
    })?;
    let mut files = vec![ImageFile {
        source: python.executable.clone(),
        path: "usr/bin/python3".to_string(),
    }];
    library(&python.library, &format!("usr/{}", python.name), &mut files)?;
    let sources = files.iter().map(|file| file.source.clone());
    let is_module = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "so");
    let programs = sources.filter(|path| *path == python.executable || is_module(path));
    let mut shared = shared_libraries(&programs.collect::<Vec<_>>())?;
    let cache = Path::new(LOADER_CACHE);
    shared.extend(cache.is_file().then(|| cache.to_path_buf()));
    files.extend(shared.into_iter().map(|source| ImageFile {
        path: source.display().to_string(),
        source,
    }));
    Ok(Image {
        name: name.to_string(),
        user: "65532:65532".to_string(),
        entrypoint: vec!["/usr/bin/python3".to_string()],
        working_directory: None,
        files,
    })
}

/// The files of the library below `folder`, at `path` in the image.
fn library(folder: &Path, path: &str, files: &mut Vec<ImageFile>) -> Result<(), TestbedError> {
    for entry in at(folder, fs::read_dir(folder))? {
        let source = at(folder, entry)?.path();
        let Some(name) = source.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let path = format!("{path}/{name}");
        if source.is_dir() {
            if !SKIPPED.contains(&name) && !name.starts_with("config-") {
                library(&source, &path, files)?;
            }
        // A link may lead nowhere, and these are for the tests and for windows.
        } else if source.is_file()
            && !["_test", "_ctypes_test", "_tkinter", "_xx"]
                .iter()
                .any(|start| name.starts_with(start))
        {
            files.push(ImageFile { source, path });
        }
    }
    Ok(())
}

/// What the loader would load for some programs, and the loader itself; what it does not find, no program here has either.
fn shared_libraries(programs: &[PathBuf]) -> Result<Vec<PathBuf>, TestbedError> {
    let mut ldd = Command::new("ldd");
    ldd.args(programs);
    let said = output_of(&mut ldd, "asking for the libraries of python3")?;
    let mut found: Vec<PathBuf> = said.lines().filter_map(loaded).map(PathBuf::from).collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// The path in `NAME => PATH (ADDRESS)` or `PATH (ADDRESS)`, of which the second is the loader.
fn loaded(line: &str) -> Option<&str> {
    let (line, _) = line.trim().rsplit_once(" (0x")?;
    let path = line.rsplit_once(" => ").map_or(line, |(_, path)| path);
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_names_paths() {
        for (line, path) in [
            ("\tlinux-vdso.so.1 (0x00007f666e3c1000)", None),
            (
                "\tlibm.so.6 => /lib/libm.so.6 (0x00007f3e2d10e000)",
                Some("/lib/libm.so.6"),
            ),
            (
                "\t/lib64/ld-linux-x86-64.so.2 (0x00007f3e2d201000)",
                Some("/lib64/ld-linux-x86-64.so.2"),
            ),
            ("\tlibtk8.6.so => not found", None),
            ("/usr/bin/python3.11:", None),
            ("\tstatically linked", None),
        ] {
            assert_eq!(loaded(line), path, "{line}");
        }
    }
}
