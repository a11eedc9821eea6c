//! A cluster from its start to its end.

use crate::component::Component;
use crate::control_plane::ControlPlane;
use crate::directory::{Claim, RECORD, clear, must_be_empty};
use crate::extent::Extent;
use crate::mlflow::{self, MLFLOW};
use crate::node::{Node, check_machine};
use crate::parts::{self, Parts, output_of};
use crate::ports::{Ports, health, is_healthy};
use crate::processes::{Processes, wait_until};
use crate::s3;
use crate::{TestbedError, at};
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that a cluster gives its users, as far as it has them.
const TOOLS: [&str; 3] = ["kubectl", "helm", "kubeconform"];

/// Links to the programs that a cluster was started with, whatever a later test bed would build.
const PROGRAMS: &str = "programs";

/// What another program must know of a cluster.
#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    ports: Ports,
    #[serde(default)]
    extent: Extent,
}

/// A cluster with one node or none whose files lie in one directory.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    parts: Parts,
    processes: Processes,
    control_plane: ControlPlane,
    node: Option<Node>,
    ports: Ports,
}

impl Cluster {
    /// Builds what is missing and starts a cluster in `directory`, unless one of that extent runs there with all its parts: then it is that
    /// one. What else an earlier one left there is ended and removed first. Who starts or ends one there meanwhile is waited for.
    ///
    /// # Errors
    /// See [`TestbedError`]; what was started until then is ended.
    pub fn start(
        directory: &Path,
        extent: Extent,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self, TestbedError> {
        if extent == Extent::Full {
            check_machine()?;
        }
        let programs = parts::ready(extent, say)?;
        let _claim = Claim::of_new(directory, say)?;
        if let Some(earlier) = Self::found(directory)? {
            if earlier.extent() == extent && earlier.is_whole() {
                say("taking the test bed that runs already");
                return Ok(earlier);
            }
            earlier.stop_processes()?;
            clear(directory)?;
        }
        must_be_empty(directory)?;
        // containerd and the kubelet want absolute paths.
        let directory = at(directory, directory.canonicalize())?;
        let ports = Ports::free()?;
        let path = directory.join(RECORD);
        let record = serde_json::to_string(&Record { ports, extent }).unwrap_or_default();
        at(&path, fs::write(&path, record))?;
        let parts = Parts::link(&directory.join(PROGRAMS), &programs)?;
        let cluster = Self::new(directory, parts, ports, extent)?;
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

    /// Ends what a cluster that was started in `directory` left, even when its starter is gone, and removes the directory. Who starts or
    /// ends one there meanwhile is waited for.
    ///
    /// # Errors
    /// The directory cannot be removed.
    pub fn clean_up(directory: &Path) -> Result<(), TestbedError> {
        let Some(_claim) = Claim::of(directory, &mut |_| {})? else {
            return Ok(());
        };
        let Some(cluster) = Self::found(directory)? else {
            return Ok(());
        };
        cluster.stop_processes()?;
        clear(&cluster.directory)?;
        at(&cluster.directory, fs::remove_dir(&cluster.directory))
    }

    fn found(directory: &Path) -> Result<Option<Self>, TestbedError> {
        let Ok(directory) = directory.canonicalize() else {
            return Ok(None);
        };
        let record = fs::read_to_string(directory.join(RECORD)).ok();
        let Some(Record { ports, extent }) =
            record.and_then(|text| serde_json::from_str(&text).ok())
        else {
            return Ok(None);
        };
        let parts = Parts::in_directory(&directory.join(PROGRAMS));
        Self::new(directory, parts, ports, extent).map(Some)
    }

    fn new(
        directory: PathBuf,
        parts: Parts,
        ports: Ports,
        extent: Extent,
    ) -> Result<Self, TestbedError> {
        let node = || Node::new(&directory, parts.clone(), ports);
        Ok(Self {
            processes: Processes::in_directory(&directory)?,
            control_plane: ControlPlane::new(&directory, parts.clone(), ports),
            node: (extent == Extent::Full).then(node),
            parts,
            ports,
            directory,
        })
    }

    /// How much of Kubernetes it has.
    #[must_use]
    pub fn extent(&self) -> Extent {
        match self.node {
            Some(_) => Extent::Full,
            None => Extent::ApiServerOnly,
        }
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

    /// A folder with those of kubectl, helm and kubeconform that it has and nothing else, to be put into `PATH`.
    #[must_use]
    pub fn tools(&self) -> PathBuf {
        self.directory.join("bin")
    }

    /// The path of one of its programs, such as `kubelet`, if it has it.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        self.parts.has(name).then(|| self.parts.program(name))
    }

    /// The node, to give it images.
    ///
    /// # Errors
    /// There is none.
    pub fn node(&self) -> Result<&Node, TestbedError> {
        self.node.as_ref().ok_or_else(|| {
            TestbedError::Needs("a node, and was started with --api-server-only".to_string())
        })
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
        Self::clean_up(&self.directory)
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
        if self.processes.runs(component.name()) {
            return Ok(());
        }
        Err(TestbedError::Needs(format!(
            "{component} to run before it can be {to_be}"
        )))
    }

    /// Starts a process that was ended, at its old address and with its old data, and waits until it answers.
    ///
    /// # Errors
    /// It runs already, or does not answer, or the cluster was started without it.
    pub fn start_component(&self, component: Component) -> Result<(), TestbedError> {
        if !self.parts.has(component.name()) {
            return Err(TestbedError::Needs(format!(
                "{component}, and was started without it"
            )));
        }
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
            Component::Kubelet => self.node()?.kubelet(),
            Component::S3 => self.s3(),
            Component::Mlflow => self.mlflow(),
        };
        self.processes.start(component.name(), command)?;
        let seconds = component.seconds_to_answer();
        let log = self.processes.log(component.name());
        wait_until(&format!("{component} answers"), seconds, &log, || {
            self.answers(component, old.as_deref())
        })
    }

    /// Starts a model registry beside the cluster, unless it runs already, and waits until it answers; its address.
    ///
    /// # Errors
    /// It cannot be installed, or does not answer.
    pub fn start_mlflow(&self) -> Result<String, TestbedError> {
        let name = Component::Mlflow.name();
        if !self.parts.has(name) {
            let program = mlflow::environment(MLFLOW)?.join("bin").join(name);
            Parts::link(self.parts.directory(), &[(name.to_string(), program)])?;
        }
        if !self.processes.runs(name) {
            self.start_component(Component::Mlflow)?;
        }
        Ok(format!("http://127.0.0.1:{}", self.ports.mlflow))
    }

    fn mlflow(&self) -> Command {
        let program = self.parts.program(Component::Mlflow.name());
        let data = self.directory.join("mlflow");
        mlflow::command(&program, &data, self.ports.mlflow, None)
    }

    /// Where the object store is, if there is one: a cluster with a node has it from its start.
    #[must_use]
    pub fn s3_url(&self) -> Option<String> {
        let url = || format!("http://127.0.0.1:{}", self.ports.s3);
        self.parts.has(Component::S3.name()).then(url)
    }

    fn s3(&self) -> Command {
        let program = self.parts.program(Component::S3.name());
        s3::command(&program, &self.s3_data(), self.ports.s3)
    }

    fn s3_data(&self) -> PathBuf {
        self.directory.join("s3")
    }

    /// Whether every part of it runs and answers.
    fn is_whole(&self) -> bool {
        let runs = |name| self.processes.runs(name);
        let mut parts = Component::ALL
            .into_iter()
            .filter(|component| self.parts.has(component.name()));
        (self.node.is_none() || runs("containerd"))
            && parts.all(|component| runs(component.name()) && self.answers(component, None))
    }

    fn answers(&self, component: Component, old_report: Option<&str>) -> bool {
        let listens = |port: u16| TcpStream::connect(("127.0.0.1", port)).is_ok();
        match component {
            Component::Etcd => {
                health(self.ports.etcd).is_ok_and(|answer| answer.contains(r#""health":"true""#))
            }
            Component::ApiServer => {
                // A connection costs less than a kubectl.
                listens(self.ports.api_server) && self.kubectl(&["get", "--raw", "/readyz"]).is_ok()
            }
            Component::ControllerManager => self.is_healthy(self.ports.controller_manager),
            Component::Scheduler => self.is_healthy(self.ports.scheduler),
            Component::Kubelet => self.node_report().is_some_and(|report| {
                report.starts_with("True") && old_report != Some(report.as_str())
            }),
            Component::S3 => is_healthy(self.ports.s3),
            Component::Mlflow => is_healthy(self.ports.mlflow),
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
        if let Some(node) = &self.node {
            node.stop(&self.processes)?;
        }
        for component in Component::ALL.iter().rev() {
            // Nothing that they would save is kept.
            let program = self.parts.program(component.name()).display().to_string();
            self.processes.kill_surely(component.name(), &[&program])?;
        }
        Ok(())
    }

    fn start_all(&self, say: &mut dyn FnMut(&str)) -> Result<(), TestbedError> {
        self.link_tools()?;
        self.control_plane.write_files()?;
        say("starting etcd and the API server");
        // On a busy machine it may take longer to begin than the API server waits for it, which is twenty seconds.
        self.start_component(Component::Etcd)?;
        self.processes
            .start("kube-apiserver", self.control_plane.api_server())?;
        if let Some(node) = &self.node {
            // The API server takes a while; containerd does not need it.
            node.write_files()?;
            node.start_containerd(&self.processes)?;
            s3::prepare(&self.s3_data())?;
            self.start_component(Component::S3)?;
        }
        let log = self.processes.log("kube-apiserver");
        wait_until("the API server is ready", 90, &log, || {
            self.answers(Component::ApiServer, None)
        })?;
        let has_manager = self.parts.has("kube-controller-manager");
        if has_manager {
            say("starting the controller manager");
            let manager = self.control_plane.controller_manager();
            self.processes.start("kube-controller-manager", manager)?;
        }
        if let Some(node) = &self.node {
            say("starting the scheduler and the kubelet");
            self.processes
                .start("kube-scheduler", self.control_plane.scheduler())?;
            self.processes.start("kubelet", node.kubelet())?;
            let log = self.processes.log("kubelet");
            wait_until("the node is ready", 90, &log, || {
                self.answers(Component::Kubelet, None)
            })?;
        }
        say("waiting for what there is in every cluster");
        let (needed, log) = if has_manager {
            let log = self.processes.log("kube-controller-manager");
            ("service/kubernetes serviceaccount/default", log)
        } else {
            ("service/kubernetes", log)
        };
        let arguments: Vec<&str> = ["get"].into_iter().chain(needed.split(' ')).collect();
        wait_until(&format!("{needed} can be had"), 60, &log, || {
            self.kubectl(&arguments).is_ok()
        })
    }

    fn link_tools(&self) -> Result<(), TestbedError> {
        let folder = self.tools();
        at(&folder, fs::create_dir_all(&folder))?;
        for tool in TOOLS {
            if let Some(program) = self.program(tool) {
                let link = folder.join(tool);
                at(&link, symlink(program, &link))?;
            }
        }
        Ok(())
    }
}
