//! An API server without a node, by the program that people call.

use crate::{eventually, may_run, processes_below};
use podium_testbed::extent::Extent;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// The user `nobody`.
const NOBODY: u32 = 65534;

/// The test bed's program as one user calls it, with one directory.
struct User {
    program: PathBuf,
    id: Option<u32>,
    folder: PathBuf,
    assets: Option<PathBuf>,
}

impl User {
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("PODIUM_TESTBED_DIRECTORY", self.cluster())
            .env_remove("KUBEBUILDER_ASSETS");
        if let Some(assets) = &self.assets {
            command.env("KUBEBUILDER_ASSETS", assets);
        }
        if let Some(id) = self.id {
            // Somebody without Go and without a cache.
            command.uid(id).gid(id).env("PATH", "/usr/bin:/bin");
            command.env("HOME", &self.folder);
            command.env_remove("PODIUM_TESTBED_CACHE");
            command.env_remove("XDG_CACHE_HOME");
        }
        command
    }

    fn cluster(&self) -> PathBuf {
        self.folder.join("cluster")
    }

    fn testbed(&self, arguments: &[&str]) -> Output {
        self.command(&self.program, arguments).output().unwrap()
    }

    fn must(&self, arguments: &[&str]) -> String {
        said(&self.testbed(arguments))
    }

    fn begin(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(&self.program, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// A start that says that it starts its first parts.
    fn begin_up(&self) -> Child {
        let mut up = self.begin(&["up", "--api-server-only"]);
        let said = BufReader::new(up.stderr.as_mut().unwrap());
        let mut lines = said.lines().map(Result::unwrap);
        assert!(lines.any(|line| line.contains("starting etcd")));
        up
    }

    /// Brings up a cluster and returns the variables that it prints.
    fn up(&self) -> BTreeMap<String, String> {
        exports(&self.must(&["up", "--api-server-only"]))
    }

    fn kubectl(&self, variables: &BTreeMap<String, String>, arguments: &[&str]) -> Output {
        let kubectl = Path::new(&variables["KUBECTL"]);
        let mut command = self.command(kubectl, arguments);
        command.env("KUBECONFIG", &variables["KUBECONFIG"]);
        command.output().unwrap()
    }
}

/// Ends the cluster of a test that fails.
impl Drop for User {
    fn drop(&mut self) {
        let _ = self.command(&self.program, &["down"]).output();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn said(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn exports(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .map(|line| {
            line.strip_prefix("export ")
                .unwrap()
                .split_once('=')
                .unwrap()
        })
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("podium-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The parts of an API server, built for minutes where nobody has yet: what follows starts in seconds.
fn built() -> Vec<(String, PathBuf)> {
    let mut step = |step: &str| eprintln!("{step}");
    let parts = podium_testbed::parts::ready(Extent::ApiServerOnly, &mut step);
    parts.unwrap()
}

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_podium-testbed"))
}

#[test]
fn an_api_server_alone_has_its_controllers_and_ups_and_downs_wait_for_each_other() {
    if !may_run() {
        return;
    }
    let user = User {
        program: program(),
        id: None,
        folder: folder("api-server"),
        assets: None,
    };
    // Whoever is second waits for the first, and takes what it started.
    let ups = [(); 2].map(|()| user.begin(&["up", "--api-server-only"]));
    for up in ups {
        let output = up.wait_with_output().unwrap();
        assert_eq!(exports(&said(&output))["PODIUM_TESTBED_PODS"], "false");
    }
    let variables = user.up();
    for tool in ["KUBECTL", "HELM", "KUBECONFORM"] {
        assert!(Path::new(&variables[tool]).is_file());
    }
    for part in ["etcd", "kube-apiserver", "kube-controller-manager"] {
        let lines = processes_below(&user.cluster());
        let of_part = lines
            .iter()
            .filter(|line| line.contains(&format!("/{part} ")));
        assert_eq!(of_part.count(), 1, "{part}: {lines:?}");
    }
    // Who deletes a namespace waits for the controller manager.
    said(&user.kubectl(&variables, &["create", "namespace", "short"]));
    said(&user.kubectl(&variables, &["create", "configmap", "-n", "short", "a"]));
    said(&user.kubectl(
        &variables,
        &["delete", "namespace", "short", "--timeout=60s"],
    ));
    user.must(&["kill", "kube-controller-manager"]);
    user.must(&["start", "kube-controller-manager"]);
    let error = refused(&user.testbed(&["start", "kubelet"]));
    assert!(
        error.contains("needs kubelet, and was started without it"),
        "{error}"
    );
    let error = refused(&user.testbed(&["load", "a.tar"]));
    assert!(error.contains("needs a node"), "{error}");
    // Whoever comes later finds everything as it is, also with a part that was started again; what lost a part is begun anew.
    said(&user.kubectl(&variables, &["create", "configmap", "kept"]));
    assert_eq!(user.up(), variables);
    said(&user.kubectl(&variables, &["get", "configmap", "kept"]));
    user.must(&["kill", "kube-controller-manager"]);
    let anew = user.up();
    let error = refused(&user.kubectl(&anew, &["get", "configmap", "kept"]));
    assert!(error.contains("not found"), "{error}");
    user.must(&["down"]);
    // An end during a start waits, and then ends what was started.
    let up = user.begin_up();
    user.must(&["down"]);
    said(&up.wait_with_output().unwrap());
    assert!(!user.cluster().exists());
    // A start that dies leaves processes, and the next one ends them.
    let mut up = user.begin_up();
    eventually("a part runs", || {
        (!processes_below(&user.cluster()).is_empty()).then_some(())
    });
    up.kill().unwrap();
    up.wait().unwrap();
    assert!(!processes_below(&user.cluster()).is_empty());
    // It may die after it has started a part and before it has noted it.
    let _ = fs::remove_file(user.cluster().join("processes.json"));
    user.up();
    user.must(&["down"]);
    assert!(!user.cluster().exists());
    assert_eq!(processes_below(&user.cluster()), Vec::<String>::new());
}

#[test]
fn an_api_server_of_other_programs_needs_no_root() {
    if !may_run() {
        return;
    }
    // Where programs come from when people have none.
    let assets = built();
    let folder = folder("nobody");
    let bin = folder.join("assets");
    fs::create_dir_all(&bin).unwrap();
    // The user cannot read where they are.
    for (name, path) in assets {
        if ["etcd", "kube-apiserver", "kubectl"].contains(&name.as_str()) {
            fs::copy(path, bin.join(name)).unwrap();
        }
    }
    let copy = folder.join("podium-testbed");
    fs::copy(program(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
    let user = User {
        program: copy,
        id: Some(NOBODY),
        folder,
        assets: Some(bin.clone()),
    };
    let variables = user.up();
    assert_eq!(variables["PODIUM_TESTBED_PODS"], "false");
    assert_eq!(variables.get("HELM"), None);
    assert_eq!(variables.get("KUBECONFORM"), None);
    said(&user.kubectl(&variables, &["create", "configmap", "kept"]));
    said(&user.kubectl(&variables, &["run", "waits-for-ever", "--image=none:1"]));
    for part in ["etcd", "kube-apiserver"] {
        user.must(&["stop", part]);
        user.must(&["start", part]);
        user.must(&["kill", part]);
        user.must(&["start", part]);
    }
    said(&user.kubectl(&variables, &["get", "configmap", "kept"]));
    let error = refused(&user.testbed(&["start", "kube-controller-manager"]));
    assert!(error.contains("was started without it"), "{error}");
    assert!(refused(&user.testbed(&["up"])).contains("to run as root"));
    user.must(&["down"]);
    assert!(!user.cluster().exists());
    assert_eq!(processes_below(&user.cluster()), Vec::<String>::new());
    fs::remove_file(bin.join("etcd")).unwrap();
    let error = refused(&user.testbed(&["up", "--api-server-only"]));
    assert!(
        error.contains("assets/etcd, since KUBEBUILDER_ASSETS is set"),
        "{error}"
    );
}

#[test]
fn whoever_lacks_nothing_does_not_wait_for_somebody_who_builds() {
    if !may_run() {
        return;
    }
    let parts = built();
    let lock = File::create(parts[0].1.with_file_name("lock")).unwrap();
    // If this fails, somebody else does what is wanted here.
    let _ = lock.try_lock();
    let (done, is_done) = channel();
    std::thread::spawn(move || done.send(built()));
    let again = is_done.recv_timeout(Duration::from_secs(30));
    assert_eq!(again, Ok(parts), "it waits for the lock");
}

/// Ends a process that the test did not start itself.
struct Worker(String);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(&self.0).status();
    }
}

#[test]
fn what_a_killed_run_leaves_is_ended_by_the_next_one() {
    if !may_run() {
        return;
    }
    let folder = folder("killed-run");
    let _guard = User {
        program: program(),
        id: None,
        folder: folder.clone(),
        assets: None,
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/on-testbed");
    let on_testbed = |arguments: &[&str]| {
        let mut run = Command::new(&script);
        run.arg("--api-server-only").args(arguments);
        run.env("TMPDIR", &folder).env_remove("KUBEBUILDER_ASSETS");
        run
    };
    // Whatever the script and its test bed lack, cargo's part of it too, is built by a run that takes as long as it takes.
    said(&on_testbed(&["true"]).output().unwrap());
    let id = folder.join("id");
    let work = format!("echo $$ > {}; exec sleep 600", id.display());
    let mut killed = on_testbed(&["sh", "-c", &work]).spawn().unwrap();
    let _worker = Worker(eventually("the run has begun", || {
        let id = fs::read_to_string(&id).ok()?;
        id.ends_with('\n').then(|| id.trim().to_string())
    }));
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!processes_below(&folder).is_empty());
    let next = on_testbed(&["true"]).output().unwrap();
    said(&next);
    let told = String::from_utf8_lossy(&next.stderr);
    assert!(told.contains("a killed run left"), "{told}");
    assert_eq!(processes_below(&folder), Vec::<String>::new());
    let left: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .collect();
    assert_eq!(left, [id]);
}
