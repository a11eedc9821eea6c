//! The node: containerd with its network, and the kubelet.

use crate::image::{Image, ImageFile, write_archive};
use crate::outside::{ControlGroup, remove_files};
use crate::parts::{Parts, output_of};
use crate::ports::{API_SERVER_SERVICE, MLFLOW_SERVICE, Ports, S3_SERVICE};
use crate::processes::{Processes, kill_by_command_line, wait_until};
use crate::{TestbedError, at};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The image that holds a pod's namespaces.
const PAUSE: &str = "podium.dev/testbed/pause:1";

/// Files and addresses of the node.
#[derive(Clone, Debug)]
pub struct Node {
    directory: PathBuf,
    parts: Parts,
    ports: Ports,
}

impl Node {
    /// A node in `directory`.
    #[must_use]
    pub fn new(directory: &Path, parts: Parts, ports: Ports) -> Self {
        Self {
            directory: directory.to_path_buf(),
            parts,
            ports,
        }
    }

    /// containerd's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.join("containerd.sock")
    }

    /// Writes the configurations of containerd, of the network and of the kubelet, and makes the pods' control group.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_files(&self) -> Result<(), TestbedError> {
        self.control_group().make()?;
        let network = self.directory.join("cni");
        at(&network, fs::create_dir_all(&network))?;
        self.write("containerd.toml", &self.containerd_config())?;
        self.write("cni/10-podium.conflist", &self.network_config())?;
        self.write("kubelet.json", &self.kubelet_config())
    }

    /// Starts containerd and gives it the pause image.
    ///
    /// # Errors
    /// containerd does not answer.
    pub fn start_containerd(&self, processes: &Processes) -> Result<(), TestbedError> {
        self.run_containerd(processes)?;
        let archive = self.directory.join("pause.tar");
        let image = Image {
            name: PAUSE.to_string(),
            user: "65535".to_string(),
            entrypoint: vec!["/pause".to_string()],
            working_directory: None,
            files: vec![ImageFile {
                source: self.parts.program("pause"),
                path: "/pause".to_string(),
            }],
        };
        write_archive(&archive, &image)?;
        self.import(&archive)
    }

    fn run_containerd(&self, processes: &Processes) -> Result<(), TestbedError> {
        let mut containerd = Command::new(self.parts.program("containerd"));
        containerd
            .arg("--config")
            .arg(self.directory.join("containerd.toml"))
            .env("PATH", self.path());
        processes.start("containerd", containerd)?;
        let log = processes.log("containerd");
        wait_until("containerd answers", 30, &log, || {
            self.ctr(&["version"]).is_ok()
        })
    }

    /// Gives the node the images of an archive.
    ///
    /// # Errors
    /// containerd refuses the archive.
    pub fn import(&self, archive: &Path) -> Result<(), TestbedError> {
        self.ctr(&[
            "-n",
            "k8s.io",
            "images",
            "import",
            &archive.display().to_string(),
        ])
        .map(drop)
    }

    /// The kubelet, which registers the node `localhost`.
    #[must_use]
    pub fn kubelet(&self) -> Command {
        let mut kubelet = Command::new("sh");
        // The kubelet wants more open files than a shell has by default.
        kubelet
            .args(["-c", "ulimit -n 20000; exec \"$0\" \"$@\""])
            .arg(self.parts.program("kubelet"));
        kubelet
            .arg("--config")
            .arg(self.directory.join("kubelet.json"));
        kubelet
            .arg("--kubeconfig")
            .arg(self.directory.join("kubelet.kubeconfig"));
        kubelet
            .arg("--root-dir")
            .arg(self.directory.join("kubelet"));
        kubelet
            .arg("--cert-dir")
            .arg(self.directory.join("kubelet/pki"));
        kubelet
            .arg("--hostname-override=localhost")
            .env("PATH", self.path());
        kubelet
    }

    /// Ends every container, then containerd and the forwarders, and removes what they made outside of the directory.
    ///
    /// # Errors
    /// The list of processes cannot be written.
    pub fn stop(&self, processes: &Processes) -> Result<(), TestbedError> {
        let program = |name| self.parts.program(name).display().to_string();
        processes.kill_surely("kubelet", &[&program("kubelet")])?;
        if processes
            .get("containerd")
            .is_some_and(|containerd| !containerd.is_alive())
        {
            // After a crash only a new containerd knows the containers, which outlive the old one.
            let _ = self.run_containerd(processes);
        }
        self.end_tasks();
        // Its path alone would fit the shims too, which it ends itself where it can.
        processes.kill_surely("containerd", &[&program("containerd"), "--config"])?;
        self.control_group().remove();
        // A shim that was not told to end waits for a containerd forever; a forwarder holds the network namespace of its pod.
        kill_by_command_line(&["-address", &self.socket().display().to_string()]);
        kill_by_command_line(&["serve", &self.forwarders()]);
        self.unmount();
        let _ = Command::new("ip")
            .args(["link", "delete", &self.bridge()])
            .output();
        let forwarders = fs::read_dir(self.forwarders()).into_iter().flatten();
        let names = forwarders.flatten().map(|entry| entry.file_name());
        let containers: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
        remove_files(&self.logs(), &containers);
        Ok(())
    }

    fn end_tasks(&self) {
        let tasks = self.ctr(&["-n", "k8s.io", "tasks", "ls", "-q"]);
        let tasks = tasks.unwrap_or_default();
        // The sandboxes last: with the end of its sandbox a shim ends, unless it has containers still.
        for kind in ["container", "sandbox"] {
            let filter = format!("labels.\"io.cri-containerd.kind\"=={kind}");
            let of_kind = self.ctr(&["-n", "k8s.io", "containers", "ls", "-q", &filter]);
            let of_kind = of_kind.unwrap_or_default();
            let of_kind: Vec<&str> = of_kind.lines().collect();
            let running: Vec<&str> = tasks.lines().filter(|id| of_kind.contains(id)).collect();
            if !running.is_empty() {
                let remove = ["-n", "k8s.io", "tasks", "rm", "-f"];
                let _ = self.ctr(&[&remove, running.as_slice()].concat());
            }
        }
    }

    fn unmount(&self) {
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let below = format!("{}/", self.directory.display());
        let mut paths: Vec<&str> = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|path| path.starts_with(&below))
            .collect();
        paths.sort_unstable_by_key(|path| std::cmp::Reverse(path.len()));
        for path in paths {
            let _ = rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH);
        }
    }

    /// Name of the bridge that pods hang on; a few characters, as the kernel allows.
    fn bridge(&self) -> String {
        format!("podium{}", self.ports.kubelet)
    }

    fn control_group(&self) -> ControlGroup {
        ControlGroup {
            path: format!("/{}", self.bridge()),
        }
    }

    /// The logs of pods.
    fn logs(&self) -> PathBuf {
        self.directory.join("pod-logs")
    }

    /// Where the network plugin remembers what it started.
    fn forwarders(&self) -> String {
        self.directory.join("forwarders").display().to_string()
    }

    fn ctr(&self, arguments: &[&str]) -> Result<String, TestbedError> {
        let mut ctr = Command::new(self.parts.program("ctr"));
        ctr.arg("-a").arg(self.socket()).args(arguments);
        output_of(&mut ctr, &format!("ctr {}", arguments.join(" ")))
    }

    fn path(&self) -> String {
        let inherited = std::env::var("PATH").unwrap_or_default();
        format!(
            "{}:/usr/sbin:/sbin:{inherited}",
            self.parts.directory().display()
        )
    }

    fn write(&self, name: &str, text: &str) -> Result<(), TestbedError> {
        let path = self.directory.join(name);
        at(&path, fs::write(&path, text))
    }

    fn containerd_config(&self) -> String {
        let directory = self.directory.display();
        let parts = self.parts.directory().display();
        format!(
            r#"version = 3
root = "{directory}/containerd/root"
state = "{directory}/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.blockfile", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
address = "{directory}/containerd.sock"

[ttrpc]
address = "{directory}/containerd.sock.ttrpc"

[plugins."io.containerd.internal.v1.opt"]
path = "{directory}/containerd/opt"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{parts}"]
conf_dir = "{directory}/cni"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{parts}/runc"
Root = "{directory}/containerd/runc"
SystemdCgroup = false

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"
"#
        )
    }

    fn network_config(&self) -> String {
        let subnet = format!("10.88.{}.0/24", self.ports.subnet);
        json!({
            "cniVersion": "1.0.0",
            "name": "podium",
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": self.bridge(),
                    "isGateway": true,
                    "ipam": {"type": "host-local", "dataDir": self.directory.join("ipam"), "ranges": [[{"subnet": subnet}]]},
                },
                {
                    "type": "forward",
                    "forwards": [
                        {"listen": format!("{API_SERVER_SERVICE}:443"), "to": format!("127.0.0.1:{}", self.ports.api_server)},
                        {"listen": MLFLOW_SERVICE, "to": format!("127.0.0.1:{}", self.ports.mlflow)},
                        {"listen": S3_SERVICE, "to": format!("127.0.0.1:{}", self.ports.s3)},
                    ],
                    "directory": self.forwarders(),
                },
            ],
        })
        .to_string()
    }

    fn kubelet_config(&self) -> String {
        let file = |name: &str| self.directory.join(name);
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "127.0.0.1",
            "port": self.ports.kubelet,
            "readOnlyPort": 0,
            "healthzBindAddress": "127.0.0.1",
            "healthzPort": self.ports.kubelet_health,
            "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": false}, "x509": {"clientCAFile": file("pki/ca.crt")}},
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": format!("unix://{}", self.socket().display()),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self.control_group().path,
            "failSwapOn": false,
            "resolvConf": "",
            "maxOpenFiles": 20000,
            "maxPods": 110,
            "podLogsDir": self.logs(),
            "clusterDNS": ["10.123.0.10"],
            "clusterDomain": "cluster.local",
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
            "imageGCHighThresholdPercent": 100,
            "serializeImagePulls": false,
            // The controller manager gives up on the node after 12 s without one of both.
            "nodeStatusUpdateFrequency": "2s",
            "nodeLeaseDurationSeconds": 8,
            // Enough for 40 Jobs that start together.
            "kubeAPIQPS": 200,
            "kubeAPIBurst": 400,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            "syncFrequency": "5s",
        })
        .to_string()
    }
}

/// Whether this process may start containers.
///
/// # Errors
/// It is not root.
pub fn check_machine() -> Result<(), TestbedError> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(TestbedError::Needs(
        "to run as root, since it starts containers; with --api-server-only it starts none"
            .to_string(),
    ))
}
