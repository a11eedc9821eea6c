//! Where predictions go, and that nothing is lost by it.

use super::WriteError;
use crate::atomic_file;
use crate::table::LocalFiles;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The format of a file, as its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// `.parquet`, `.pq`, or a name without an extension.
    Parquet,
    /// `.csv` and `.tsv`, and these with `.gz`.
    Csv {
        /// What stands between cells.
        separator: u8,
        /// Whether the text is compressed by gzip.
        gzip: bool,
    },
}

impl OutputFormat {
    /// The format of the file at `path`.
    ///
    /// # Errors
    /// The name ends in another way.
    pub fn of(path: &Path) -> Result<Self, WriteError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_lowercase();
        let (stem, gzip) = match name.strip_suffix(".gz") {
            Some(stem) => (stem, true),
            None => (name.as_str(), false),
        };
        let separator = match stem.rsplit_once('.') {
            None | Some((_, "parquet" | "pq")) if !gzip => return Ok(Self::Parquet),
            Some((_, "csv")) => b',',
            Some((_, "tsv")) => b'\t',
            _ => {
                return Err(refused(
                    path,
                    "the name must end with .parquet, .csv, .tsv, .csv.gz or .tsv.gz, which says the format",
                ));
            }
        };
        Ok(Self::Csv { separator, gzip })
    }
}

/// Writes the files that addresses name: paths of this machine, or whatever else somebody writes to who knows it.
pub trait FileSink {
    /// Refuses an output by which an input would be lost.
    ///
    /// # Errors
    /// It is one of the inputs, or lies in one.
    fn check(&self, output: &Path, inputs: &[&Path]) -> Result<(), WriteError>;

    /// Writes a file whole or not at all: whoever reads it meanwhile gets the old one or the new one.
    ///
    /// # Errors
    /// It cannot be written.
    fn write(&self, output: &Path, bytes: Vec<u8>) -> Result<(), WriteError>;
}

impl FileSink for LocalFiles {
    fn check(&self, output: &Path, inputs: &[&Path]) -> Result<(), WriteError> {
        check_inputs(output, inputs.iter().copied())
    }

    fn write(&self, output: &Path, bytes: Vec<u8>) -> Result<(), WriteError> {
        let failed = |error: std::io::Error| refused(output, &error.to_string());
        if let Some(parent) = output.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        // A link stays a link, and what it leads to is replaced.
        let target = output.canonicalize();
        let target = target.unwrap_or_else(|_| output.to_path_buf());
        atomic_file::write(&target, &bytes).map_err(failed)
    }
}

/// The output must be none of the inputs, by whatever name, and lie in no directory that is one.
///
/// # Errors
/// It is or does, or it is no regular file.
pub fn check_inputs<'a>(
    output: &Path,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<(), WriteError> {
    let target = fs::metadata(output).ok();
    if target.as_ref().is_some_and(|target| !target.is_file()) {
        return Err(refused(output, "it is there already and no regular file"));
    }
    let absolute = std::path::absolute(output).unwrap_or_else(|_| output.to_path_buf());
    let below = absolute
        .ancestors()
        .skip(1)
        .filter_map(|parent| fs::metadata(parent).ok());
    let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let target = target.map(place);
    let below: Vec<(u64, u64)> = below.map(place).collect();
    for input in inputs {
        let Ok(metadata) = fs::metadata(input) else {
            continue;
        };
        let (input, place) = (input.display(), place(metadata));
        if target == Some(place) {
            let message = format!("{input} is an input and would be overwritten");
            return Err(refused(output, &message));
        }
        if below.contains(&place) {
            let message = format!("it would lie in {input}, which is an input");
            return Err(refused(output, &message));
        }
    }
    Ok(())
}

fn refused(path: &Path, message: &str) -> WriteError {
    WriteError::Unwritable {
        path: path.to_path_buf(),
        message: message.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_the_format() {
        let of = |name: &str| OutputFormat::of(Path::new(name)).ok();
        let csv = |separator, gzip| Some(OutputFormat::Csv { separator, gzip });
        for name in [
            "a.parquet",
            "A.PARQUET",
            "a.snappy.parquet",
            "a.pq",
            "a",
            "d.csv/a",
        ] {
            assert_eq!(of(name), Some(OutputFormat::Parquet), "{name}");
        }
        assert_eq!(of("a.csv"), csv(b',', false));
        assert_eq!(of("a.b.CSV.gz"), csv(b',', true));
        assert_eq!(of("a.tsv"), csv(b'\t', false));
        for name in [
            "a.json",
            "a.gz",
            "a.parquet.gz",
            "a.xlsx",
            "a.txt",
            "a.csv.zst",
        ] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn an_output_that_is_an_input_is_refused_by_any_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("parts")).unwrap();
        fs::write(path("parts/a"), "a").unwrap();
        fs::write(path("rows"), "rows").unwrap();
        fs::hard_link(path("rows"), path("hard")).unwrap();
        std::os::unix::fs::symlink("rows", path("soft")).unwrap();
        std::os::unix::fs::symlink("parts", path("linked")).unwrap();
        let check = |output: &str, input: &str| {
            check_inputs(&path(output), [path(input).as_path()]).is_ok()
        };
        for (output, input) in [
            ("rows", "rows"),
            ("soft", "rows"),
            ("rows", "soft"),
            ("hard", "rows"),
            ("parts/../rows", "rows"),
            ("parts/new", "parts"),
            ("linked/new", "parts"),
            ("parts/a", "rows"),
            ("parts", "rows"),
        ] {
            let allowed = (output, input) == ("parts/a", "rows");
            assert_eq!(check(output, input), allowed, "{output} from {input}");
        }
        assert!(check("new", "rows"));
        let refusal = |output: &str, input: &str| {
            let refusal = check_inputs(&path(output), [path(input).as_path()]).unwrap_err();
            refusal
                .to_string()
                .replace(&format!("{}/", directory.path().display()), "")
        };
        assert_eq!(
            refusal("linked/new", "parts"),
            "cannot write linked/new: it would lie in parts, which is an input"
        );
        assert_eq!(
            refusal("soft", "rows"),
            "cannot write soft: rows is an input and would be overwritten"
        );
    }
}
