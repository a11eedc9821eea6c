//! The node: containerd with its network, and the kubelet.

use crate::image::{ImageFile, write_archive};
use crate::parts::{Parts, output_of, succeed};
use crate::processes::{Processes, wait_until};
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
    /// Name of the bridge that pods hang on; a few characters, as the kernel allows.
    bridge: String,
    subnet: u8,
}

impl Node {
    /// A node in `directory` whose bridge is named after `number`.
    #[must_use]
    pub fn new(directory: &Path, parts: Parts, number: u16) -> Self {
        Self {
            directory: directory.to_path_buf(),
            parts,
            bridge: format!("podium{number}"),
            subnet: (number % 200) as u8,
        }
    }

    /// containerd's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.join("containerd.sock")
    }

    /// Starts containerd and gives it the pause image.
    ///
    /// # Errors
    /// A file cannot be written, or containerd does not answer.
    pub fn start_containerd(&self, processes: &mut Processes) -> Result<(), TestbedError> {
        self.write("containerd.toml", &self.containerd_config())?;
        let network = self.directory.join("cni");
        at(&network, fs::create_dir_all(&network))?;
        self.write("cni/10-podium.conflist", &self.network_config())?;
        let mut containerd = Command::new(self.parts.program("containerd"));
        containerd
            .arg("--config")
            .arg(self.directory.join("containerd.toml"))
            .env("PATH", self.path());
        processes.start("containerd", containerd)?;
        let log = processes.log("containerd");
        wait_until("containerd answers", 30, &log, || {
            self.ctr(&["version"]).is_ok()
        })?;
        let archive = self.directory.join("pause.tar");
        let pause = self.parts.program("pause");
        let files = [ImageFile {
            path: "pause",
            source: &pause,
        }];
        write_archive(&archive, PAUSE, &files, &["/pause"], "65535")?;
        self.import(&archive)
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

    /// Starts the kubelet, which registers the node `localhost`.
    ///
    /// # Errors
    /// A file cannot be written or the kubelet cannot be started.
    pub fn start_kubelet(
        &self,
        processes: &mut Processes,
        kubeconfig: &Path,
        ports: [u16; 2],
    ) -> Result<(), TestbedError> {
        self.write("kubelet.json", &self.kubelet_config(ports))?;
        let mut kubelet = Command::new("sh");
        // The kubelet wants more open files than a shell has by default.
        kubelet
            .args(["-c", "ulimit -n 20000; exec \"$0\" \"$@\""])
            .arg(self.parts.program("kubelet"));
        kubelet
            .arg("--config")
            .arg(self.directory.join("kubelet.json"));
        kubelet.arg("--kubeconfig").arg(kubeconfig);
        kubelet
            .arg("--root-dir")
            .arg(self.directory.join("kubelet"));
        kubelet
            .arg("--hostname-override=localhost")
            .env("PATH", self.path());
        processes.start("kubelet", kubelet)
    }

    /// Ends every container, then containerd, and removes mounts and the bridge.
    ///
    /// # Errors
    /// The list of processes cannot be written.
    pub fn stop(&self, processes: &mut Processes) -> Result<(), TestbedError> {
        processes.end("kubelet")?;
        let tasks = self
            .ctr(&["-n", "k8s.io", "tasks", "ls", "-q"])
            .unwrap_or_default();
        for task in tasks.lines() {
            let _ = self.ctr(&["-n", "k8s.io", "tasks", "kill", "-s", "9", task]);
        }
        for task in tasks.lines() {
            let _ = self.ctr(&["-n", "k8s.io", "tasks", "rm", "-f", task]);
        }
        processes.end("containerd")?;
        self.unmount();
        let _ = Command::new("ip")
            .args(["link", "delete", &self.bridge])
            .output();
        Ok(())
    }

    fn unmount(&self) {
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let below = self.directory.display().to_string();
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

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{parts}"]
conf_dir = "{directory}/cni"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{parts}/runc"
SystemdCgroup = false

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"
"#
        )
    }

    fn network_config(&self) -> String {
        let subnet = format!("10.88.{}.0/24", self.subnet);
        json!({
            "cniVersion": "1.0.0",
            "name": "podium",
            "plugins": [{
                "type": "bridge",
                "bridge": self.bridge,
                "isGateway": true,
                "ipam": {"type": "host-local", "dataDir": self.directory.join("ipam"), "ranges": [[{"subnet": subnet}]]},
            }],
        })
        .to_string()
    }

    fn kubelet_config(&self, [port, health_port]: [u16; 2]) -> String {
        let file = |name: &str| self.directory.join(name);
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "127.0.0.1",
            "port": port,
            "readOnlyPort": 0,
            "healthzBindAddress": "127.0.0.1",
            "healthzPort": health_port,
            "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": false}, "x509": {"clientCAFile": file("pki/ca.crt")}},
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": format!("unix://{}", self.socket().display()),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": "/",
            "failSwapOn": false,
            "resolvConf": "",
            "maxOpenFiles": 20000,
            "maxPods": 110,
            "podLogsDir": file("pod-logs"),
            "clusterDNS": ["10.123.0.10"],
            "clusterDomain": "cluster.local",
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
            "imageGCHighThresholdPercent": 100,
            "serializeImagePulls": false,
            "nodeStatusUpdateFrequency": "2s",
            "syncFrequency": "5s",
        })
        .to_string()
    }
}

/// Whether this process may start containers.
///
/// # Errors
/// It is not root, or programs that Debian has are missing.
pub fn check_machine() -> Result<(), TestbedError> {
    if !rustix::process::geteuid().is_root() {
        return Err(TestbedError::Needs(
            "to run as root, since it starts containers".to_string(),
        ));
    }
    let mut go = Command::new("go");
    go.arg("version");
    succeed(go, "finding Go").map_err(|_| TestbedError::Needs("Go".to_string()))
}
