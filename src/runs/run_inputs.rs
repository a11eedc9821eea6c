//! What a process depends on, as far as it can be seen from outside: its command and variables, the files that they name, and the files
//! of the model in `MODEL_URI`.

use super::template::Process;
use crate::adapters::directory::file_digests::FileDigests;
use crate::adapters::directory::store::path_of;
use podium_core::champion::cause::digest;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Variables that name what a run writes or where its model lies, and no file that it depends on.
const OUTPUT: &str = "OUTPUT_URI";
const MODEL: &str = "MODEL_URI";

/// Digest of the command, the variables, the files that they name and the model's files. Paths are taken from `directory`.
///
/// # Errors
/// A file cannot be read.
pub(super) fn digest_of(
    process: &Process,
    variables: &BTreeMap<String, String>,
    directory: &Path,
    digests: &FileDigests,
) -> io::Result<String> {
    let mut texts: Vec<String> = process.command.clone();
    for (name, value) in &process.environment {
        texts.push(format!("{name}={value}"));
    }
    let output = variables
        .get(OUTPUT)
        .and_then(|uri| path_of(directory, uri).ok());
    let mut files: Vec<PathBuf> = texts
        .iter()
        .flat_map(|text| words(text))
        .filter_map(|word| path_of(directory, word).ok())
        .filter(|path| {
            output
                .as_ref()
                .is_none_or(|output| !output.starts_with(path))
        })
        .collect();
    let model = variables.get(MODEL);
    if let Some(model) = model.and_then(|uri| path_of(directory, uri).ok()) {
        files_below(&model, &mut files)?;
    }
    files.sort();
    files.dedup();
    for file in files {
        // A directory that holds no table, such as one of programs, is no input of rows.
        let found = match file.is_file() {
            true => digests.of(&file)?,
            false => digests.of_table(&file).ok().flatten(),
        };
        if let Some(found) = found {
            texts.push(format!("{} {found}", file.display()));
        }
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Ok(digest(&texts))
}

/// The parts of an argument that may be a path: `--data=FILE` and `FILE` alike.
fn words(argument: &str) -> impl Iterator<Item = &str> {
    let value = argument.split_once('=').map(|(_, value)| value);
    [Some(argument), value]
        .into_iter()
        .flatten()
        .filter(|word| !word.is_empty())
}

fn files_below(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_file() {
        files.push(path.to_path_buf());
    } else if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            files_below(&entry?.path(), files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_in(directory: &Path, command: &[&str]) -> String {
        let process = Process {
            command: command.iter().map(ToString::to_string).collect(),
            ..Process::default()
        };
        let variables = BTreeMap::from([
            (OUTPUT.to_string(), "file://out.csv".to_string()),
            (MODEL.to_string(), "model".to_string()),
        ]);
        // Each look is that of another start of Podium.
        digest_of(&process, &variables, directory, &FileDigests::default()).unwrap()
    }

    #[test]
    fn whatever_the_command_names_counts_and_its_output_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let write = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
        std::fs::create_dir(path.join("model")).unwrap();
        for name in [
            "holdout.csv",
            "score.sh",
            "model/weights",
            "other.csv",
            "out.csv",
        ] {
            write(name, "1");
        }
        let command = ["sh", "score.sh", "--data=holdout.csv", "--out=out.csv"];
        let before = digest_in(path, &command);
        write("other.csv", "2");
        write("out.csv", "2");
        assert_eq!(
            digest_in(path, &command),
            before,
            "none of them is an input"
        );
        for name in ["holdout.csv", "score.sh", "model/weights"] {
            write(name, "2");
            assert_ne!(digest_in(path, &command), before, "{name}");
            write(name, "1");
            assert_eq!(digest_in(path, &command), before, "{name} is as it was");
        }
        assert_ne!(digest_in(path, &["sh", "-x", "score.sh"]), before);
    }
}
