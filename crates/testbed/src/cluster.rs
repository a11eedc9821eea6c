//! A cluster from its start to its end.

use crate::component::Component;
use crate::control_plane::ControlPlane;
use crate::node::{Node, check_machine};
use crate::parts::{Parts, output_of};
use crate::ports::Ports;
use crate::processes::{Processes, wait_until};
use crate::{TestbedError, at};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that a cluster gives its users.
const TOOLS: [&str; 3] = ["kubectl", "helm", "kubeconform"];

/// A link to the programs that a cluster was started with, whatever a later test bed would build.
const PROGRAMS: &str = "programs";

/// A one-node cluster whose files lie in one directory.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    parts: Parts,
    processes: Processes,
    control_plane: ControlPlane,
    node: Node,
    ports: Ports,
}

impl Cluster {
    /// Builds what is missing and starts a cluster in `directory`; what an earlier one left there is ended and removed first.
    ///
    /// # Errors
    /// See [`TestbedError`]; what was started until then is ended.
    pub fn start(directory: &Path, say: &mut dyn FnMut(&str)) -> Result<Self, TestbedError> {
        check_machine()?;
        let parts = Parts::ready(say)?;
        Self::clean_up(directory)?;
        at(directory, fs::create_dir_all(directory))?;
        // containerd and the kubelet want absolute paths.
        let directory = at(directory, directory.canonicalize())?;
        let ports = Ports::free()?;
        let path = directory.join("ports.json");
        let text = serde_json::to_string(&ports).unwrap_or_default();
        at(&path, fs::write(&path, text))?;
        let link = directory.join(PROGRAMS);
        at(&link, symlink(parts.directory(), &link))?;
        let cluster = Self::new(directory, parts, ports)?;
        match cluster.start_all(say) {
            Ok(()) => Ok(cluster),
            Err(error) => {
                // The first error is the one to tell.
                let _ = cluster.stop_processes();
                Err(error)
            }
        }
    }

    /// The cluster that was started in `directory`, perhaps by another program.
    ///
    /// # Errors
    /// There is none.
    pub fn attach(directory: &Path) -> Result<Self, TestbedError> {
        Self::found(directory)?.ok_or_else(|| {
            let directory = directory.display();
            TestbedError::Needs(format!("a cluster in {directory}; `up` starts one"))
        })
    }

    /// Ends what a cluster that was started in `directory` left, even when its starter is gone, and removes the directory.
    ///
    /// # Errors
    /// The directory cannot be removed.
    pub fn clean_up(directory: &Path) -> Result<(), TestbedError> {
        Self::found(directory)?.map_or(Ok(()), Self::stop)
    }

    fn found(directory: &Path) -> Result<Option<Self>, TestbedError> {
        let Ok(directory) = directory.canonicalize() else {
            return Ok(None);
        };
        let ports = fs::read_to_string(directory.join("ports.json")).ok();
        let Some(ports) = ports.and_then(|text| serde_json::from_str(&text).ok()) else {
            return Ok(None);
        };
        let parts = Parts::built(&directory.join(PROGRAMS));
        Self::new(directory, parts, ports).map(Some)
    }

    fn new(directory: PathBuf, parts: Parts, ports: Ports) -> Result<Self, TestbedError> {
        Ok(Self {
            processes: Processes::in_directory(&directory)?,
            control_plane: ControlPlane::new(&directory, parts.clone(), ports),
            node: Node::new(&directory, parts.clone(), ports),
            parts,
            ports,
            directory,
        })
    }

    /// The directory of all its files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The kubeconfig of a user who may do everything.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.join("admin.kubeconfig")
    }

    /// The API server's log of what it was asked, one JSON object a line.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.control_plane.audit_log()
    }

    /// A folder with kubectl, helm and kubeconform and nothing else, to be put into `PATH`.
    #[must_use]
    pub fn tools(&self) -> PathBuf {
        self.directory.join("bin")
    }

    /// The path of one of its programs, such as `kubelet`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.parts.program(name)
    }

    /// The node, to give it images.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Runs kubectl and returns what it prints.
    ///
    /// # Errors
    /// kubectl ends badly.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, TestbedError> {
        let mut kubectl = Command::new(self.parts.program("kubectl"));
        kubectl.env("KUBECONFIG", self.kubeconfig()).args(arguments);
        output_of(&mut kubectl, &format!("kubectl {}", arguments.join(" ")))
    }

    /// Ends everything and removes the directory.
    ///
    /// # Errors
    /// The directory cannot be removed.
    pub fn stop(self) -> Result<(), TestbedError> {
        self.stop_processes()?;
        at(&self.directory, fs::remove_dir_all(&self.directory))
    }

    /// Ends one process of the running cluster as an administrator would: it may finish what it does.
    ///
    /// # Errors
    /// It does not run.
    pub fn stop_component(&self, component: Component) -> Result<(), TestbedError> {
        self.must_run(component, "stopped")?;
        self.processes.end(component.name())
    }

    /// Kills one process of the running cluster, as a crash would.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill_component(&self, component: Component) -> Result<(), TestbedError> {
        self.must_run(component, "killed")?;
        self.processes.kill(component.name())
    }

    fn must_run(&self, component: Component, to_be: &str) -> Result<(), TestbedError> {
        match self.processes.get(component.name()) {
            Some(process) if process.is_alive() => Ok(()),
            _ => Err(TestbedError::Needs(format!(
                "{component} to run before it can be {to_be}"
            ))),
        }
    }

    /// Starts a process that was ended, at its old address and with its old data, and waits until it answers.
    ///
    /// # Errors
    /// It runs already, or does not answer.
    pub fn start_component(&self, component: Component) -> Result<(), TestbedError> {
        // Whatever the API server says of the node until the kubelet reports again is old.
        let old = match component {
            Component::Kubelet => self.node_report(),
            _ => None,
        };
        let command = match component {
            Component::Etcd => self.control_plane.etcd(),
            Component::ApiServer => self.control_plane.api_server(),
            Component::ControllerManager => self.control_plane.controller_manager(),
            Component::Scheduler => self.control_plane.scheduler(),
            Component::Kubelet => self.node.kubelet(),
        };
        self.processes.start(component.name(), command)?;
        let log = self.processes.log(component.name());
        wait_until(&format!("{component} answers"), 90, &log, || {
            self.answers(component, old.as_deref())
        })
    }

    fn answers(&self, component: Component, old_report: Option<&str>) -> bool {
        let listens = |port: u16| TcpStream::connect(("127.0.0.1", port)).is_ok();
        match component {
            Component::Etcd => etcd_is_healthy(self.ports.etcd).unwrap_or(false),
            Component::ApiServer => {
                // A connection costs less than a kubectl.
                listens(self.ports.api_server) && self.kubectl(&["get", "--raw", "/readyz"]).is_ok()
            }
            Component::ControllerManager => self.is_healthy(self.ports.controller_manager),
            Component::Scheduler => self.is_healthy(self.ports.scheduler),
            Component::Kubelet => self.node_report().is_some_and(|report| {
                report.starts_with("True") && old_report != Some(report.as_str())
            }),
        }
    }

    /// Whether the node is ready, and when the kubelet said so.
    fn node_report(&self) -> Option<String> {
        let ready = r#"jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status}{.lastHeartbeatTime}{end}"#;
        // Without a store the API server would let it wait for a minute.
        let patience = "--request-timeout=5s";
        self.kubectl(&["get", "node/localhost", "-o", ready, patience])
            .ok()
    }

    /// Whether a component with a certificate of its own making says that it is well.
    fn is_healthy(&self, port: u16) -> bool {
        let pki = |name: &str| self.directory.join("pki").join(name);
        let mut kubectl = Command::new(self.parts.program("kubectl"));
        kubectl.env("KUBECONFIG", "/dev/null").args([
            format!("--server=https://127.0.0.1:{port}"),
            "--insecure-skip-tls-verify".to_string(),
            // Everybody may ask, but a kubectl without a certificate asks for a user's name.
            format!("--client-certificate={}", pki("admin.crt").display()),
            format!("--client-key={}", pki("admin.key").display()),
        ]);
        kubectl.args(["get", "--raw", "/healthz"]);
        output_of(&mut kubectl, "asking for health").is_ok()
    }

    fn stop_processes(&self) -> Result<(), TestbedError> {
        self.node.stop(&self.processes)?;
        for component in Component::ALL.iter().rev() {
            // Nothing that they would save is kept.
            self.processes.kill(component.name())?;
        }
        Ok(())
    }

    fn start_all(&self, say: &mut dyn FnMut(&str)) -> Result<(), TestbedError> {
        self.link_tools()?;
        self.control_plane.write_files()?;
        self.node.write_files()?;
        say("starting etcd and the API server");
        self.processes.start("etcd", self.control_plane.etcd())?;
        self.processes
            .start("kube-apiserver", self.control_plane.api_server())?;
        // The API server takes a while; containerd does not need it.
        self.node.start_containerd(&self.processes)?;
        let log = self.processes.log("kube-apiserver");
        wait_until("the API server is ready", 90, &log, || {
            self.answers(Component::ApiServer, None)
        })?;
        say("starting the controller manager, the scheduler and the kubelet");
        self.processes.start(
            "kube-controller-manager",
            self.control_plane.controller_manager(),
        )?;
        self.processes
            .start("kube-scheduler", self.control_plane.scheduler())?;
        self.processes.start("kubelet", self.node.kubelet())?;
        let log = self.processes.log("kubelet");
        wait_until("the node is ready", 90, &log, || {
            self.answers(Component::Kubelet, None)
        })?;
        say("waiting for what a pod needs");
        let log = self.processes.log("kube-controller-manager");
        let needed = ["get", "serviceaccount/default", "service/kubernetes"];
        wait_until(
            "the default service account and the service kubernetes exist",
            60,
            &log,
            || self.kubectl(&needed).is_ok(),
        )
    }

    fn link_tools(&self) -> Result<(), TestbedError> {
        let folder = self.tools();
        at(&folder, fs::create_dir_all(&folder))?;
        for tool in TOOLS {
            let link = folder.join(tool);
            at(&link, symlink(self.parts.program(tool), &link))?;
        }
        Ok(())
    }
}

fn etcd_is_healthy(port: u16) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.write_all(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer.contains(r#""health":"true""#))
}
