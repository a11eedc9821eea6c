//! A directory of manifests in which tests start `podium`.

use podium_operator::yaml;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Says on the real standard error, which the test harness does not swallow, what was not tested; `make test` counts these lines.
pub fn skipped(why: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// The program under test.
pub fn podium() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podium"));
    command.stdin(Stdio::null());
    command
}

/// What a finished command left.
pub struct Finished {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `podium` with these arguments to its end.
pub fn ended(arguments: &[&str]) -> Finished {
    podium().args(arguments).output().unwrap().into()
}

/// A directory that goes away with the test.
pub struct Project(pub TempDir);

impl Project {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// A copy of a directory of the repository, without what runs left in it.
    pub fn copy_of(example: &str) -> Self {
        let project = Self::new();
        copy(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(example),
            project.path(),
        );
        project
    }

    /// A search of `trials` trials that runs `script` in a shell; it reads the parameters `x` and `kind`.
    pub fn with_search(trials: u32, script: &str) -> Self {
        let project = Self::new();
        project.write("search.yaml", &search(trials, script));
        project
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes `new` for `old` in a file that holds it.
    pub fn replace(&self, name: &str, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.path().join(name)).unwrap();
        assert!(text.contains(old), "{old} is not in {text}");
        self.write(name, &text.replace(old, new));
    }

    pub fn run(&self) -> Finished {
        self.run_with(&[])
    }

    pub fn run_with(&self, arguments: &[&str]) -> Finished {
        podium()
            .arg("run")
            .arg(self.path())
            .args(arguments)
            .output()
            .unwrap()
            .into()
    }

    /// The objects of a kind, by name.
    pub fn objects(&self, plural: &str) -> Vec<Value> {
        let folder = self.path().join(".podium/state").join(plural);
        let mut files: Vec<PathBuf> = match fs::read_dir(folder) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => return Vec::new(),
        };
        files.retain(|file| {
            file.extension()
                .is_some_and(|extension| extension == "yaml")
        });
        files.sort();
        files
            .iter()
            .map(|file| yaml::document(&fs::read_to_string(file).unwrap()).unwrap())
            .collect()
    }

    pub fn only(&self, plural: &str) -> Value {
        let mut objects = self.objects(plural);
        assert_eq!(objects.len(), 1, "{plural}");
        objects.remove(0)
    }

    /// Every file below the directory with its bytes, but for locks and logs.
    pub fn everything(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        collect(self.path(), &mut files);
        files.sort();
        files
            .into_iter()
            .map(|file| (file.clone(), fs::read(file).unwrap()))
            .collect()
    }

    /// Processes that still work in this directory.
    pub fn processes(&self) -> Vec<String> {
        let here = self.path().canonicalize().unwrap().display().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            if command.contains(&here) {
                found.push(command);
            }
        }
        found
    }
}

/// A TuningJob whose trials run `script`.
pub fn search(trials: u32, script: &str) -> String {
    let script = serde_json::to_string(script).unwrap();
    format!(
        r#"apiVersion: podium.dev/v1alpha1
kind: TuningJob
metadata: {{name: toy}}
spec:
  seed: 7
  maxTrials: {trials}
  parallelism: 1
  maxFailedTrials: 2
  objective: {{direction: Minimize, metric: loss}}
  parameters:
    - {{name: x, real: {{min: -1, max: 1}}}}
    - {{name: kind, categorical: {{values: [a, b]}}}}
  trial:
    activeDeadlineSeconds: 60
    job: {{template: {{spec: {{containers: [{{name: train, image: none, command: [sh, -c, {script}]}}]}}}}}}
"#
    )
}

/// A trial that reports `x` squared.
pub const SQUARE: &str = r#"awk "BEGIN { printf \"{\\\"metrics\\\":{\\\"loss\\\":%.9f}}\", $x * $x }" > "$PODIUM_TERMINATION_MESSAGE_PATH""#;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name == ".podium" {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::write(to.join(name), fs::read(&path).unwrap()).unwrap();
        }
    }
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, files);
        } else if name != "lock" && name != "log" {
            files.push(path);
        }
    }
}
