//! What the node's programs make outside of the test bed's directory, whatever they are told, and its removal.

use crate::{TestbedError, at};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Folders that the kubelet and containerd make; below the first ones the last ones, so that each is empty when its turn comes.
const FOLDERS: [&str; 9] = [
    "/var/log/containers",
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet",
    "/run/containerd/io.containerd.runtime.v2.task",
    "/run/containerd/runc",
    "/run/containerd/s",
    "/run/containerd",
];

/// The control group that holds the pods of one test bed. A kubelet ends what it does not know below its group, so no two may share one.
#[derive(Clone, Debug)]
pub(crate) struct ControlGroup {
    /// Its path below every hierarchy, such as `/podium123`.
    pub(crate) path: String,
}

impl ControlGroup {
    /// Makes it, since the kubelet wants to find it.
    pub(crate) fn make(&self) -> Result<(), TestbedError> {
        for (root, is_unified) in hierarchies() {
            if is_unified {
                // Below a group there are only the controllers that it hands down. Where it may not, the kubelet says what it lacks.
                let known = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
                for controller in known.split_whitespace() {
                    let control = root.join("cgroup.subtree_control");
                    let _ = fs::write(control, format!("+{controller}"));
                }
            }
            let group = self.below(&root);
            at(&group, fs::create_dir_all(&group))?;
        }
        Ok(())
    }

    /// Kills what is in it and removes it.
    pub(crate) fn remove(&self) {
        let roots = hierarchies();
        // A killed process leaves its group after a moment.
        for _ in 0..50 {
            let groups = roots.iter().map(|(root, _)| self.below(root));
            let left = groups.filter(|group| group.is_dir() && !removed(group));
            if left.count() == 0 {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn below(&self, root: &Path) -> PathBuf {
        root.join(self.path.trim_start_matches('/'))
    }
}

/// Where the hierarchies are mounted, and whether one is of the second version.
fn hierarchies() -> Vec<(PathBuf, bool)> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (path, kind) = (fields.next()?, fields.next()?);
            (kind == "cgroup" || kind == "cgroup2")
                .then(|| (PathBuf::from(path), kind == "cgroup2"))
        })
        .collect()
}

/// Whether a group and those below it could be removed; what they hold is killed.
fn removed(group: &Path) -> bool {
    let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for id in processes.lines().filter_map(|line| line.parse().ok()) {
        if let Some(id) = Pid::from_raw(id) {
            let _ = kill_process(id, Signal::KILL);
        }
    }
    let below = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.path().is_dir()) {
        removed(&entry.path());
    }
    fs::remove_dir(group).is_ok()
}

/// Removes the kubelet's links to logs in `logs`, what the network remembers of `containers`, a socket that nobody listens at, and the
/// folders that are empty then. What cannot be removed belongs to somebody else.
pub(crate) fn remove_files(logs: &Path, containers: &[String]) {
    let links = fs::read_dir(FOLDERS[0]).into_iter().flatten().flatten();
    for link in links.map(|entry| entry.path()) {
        if fs::read_link(&link).is_ok_and(|target| target.starts_with(logs)) {
            let _ = fs::remove_file(link);
        }
    }
    for container in containers {
        for name in [
            format!("podium-{container}-eth0"),
            format!("cni-loopback-{container}-lo"),
        ] {
            let _ = fs::remove_file(Path::new(FOLDERS[1]).join(name));
        }
    }
    let socket = Path::new(FOLDERS[3]).join("kubelet.sock");
    if UnixStream::connect(&socket).is_err() {
        let _ = fs::remove_file(&socket);
    }
    for folder in FOLDERS {
        let _ = fs::remove_dir(folder);
    }
}
