//! A cluster from its start to its end.

use crate::node::{Node, check_machine};
use crate::parts::{Parts, output_of};
use crate::pki::{Authority, service_account_key};
use crate::processes::{Processes, wait_until};
use crate::{TestbedError, at, kubeconfig};
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A one-node cluster whose files lie in one directory.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    parts: Parts,
    processes: Processes,
    node: Node,
    ports: Ports,
}

/// Free ports of 127.0.0.1, chosen once per cluster, so that clusters live side by side.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Ports {
    etcd: u16,
    etcd_peer: u16,
    api_server: u16,
    controller_manager: u16,
    scheduler: u16,
    kubelet: u16,
    kubelet_health: u16,
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
        let ports_path = directory.join("ports.json");
        at(
            &ports_path,
            fs::write(
                &ports_path,
                serde_json::to_string(&ports).unwrap_or_default(),
            ),
        )?;
        let mut cluster = Self {
            processes: Processes::in_directory(&directory)?,
            node: Node::new(&directory, parts.clone(), ports.kubelet),
            parts,
            ports,
            directory,
        };
        match cluster.start_all(say) {
            Ok(()) => Ok(cluster),
            Err(error) => {
                // The first error is the one to tell.
                let _ = cluster.stop_processes();
                Err(error)
            }
        }
    }

    /// The kubeconfig of a user who may do everything.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.join("admin.kubeconfig")
    }

    /// The node, to give it images.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The programs.
    #[must_use]
    pub fn parts(&self) -> &Parts {
        &self.parts
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
    pub fn stop(mut self) -> Result<(), TestbedError> {
        self.stop_processes()?;
        at(&self.directory, fs::remove_dir_all(&self.directory))
    }

    /// Ends what a cluster that was started in `directory` left, even when its starter is gone, and removes the directory.
    ///
    /// # Errors
    /// The directory cannot be removed.
    pub fn clean_up(directory: &Path) -> Result<(), TestbedError> {
        let Ok(directory) = directory.canonicalize() else {
            return Ok(());
        };
        let ports = fs::read_to_string(directory.join("ports.json")).ok();
        let Some(ports) = ports.and_then(|text| serde_json::from_str::<Ports>(&text).ok()) else {
            return Ok(());
        };
        let parts = Parts::ready(&mut |_| {})?;
        Self {
            processes: Processes::in_directory(&directory)?,
            node: Node::new(&directory, parts.clone(), ports.kubelet),
            parts,
            ports,
            directory,
        }
        .stop()
    }

    fn stop_processes(&mut self) -> Result<(), TestbedError> {
        self.node.stop(&mut self.processes)?;
        for name in [
            "kube-scheduler",
            "kube-controller-manager",
            "kube-apiserver",
            "etcd",
        ] {
            self.processes.end(name)?;
        }
        Ok(())
    }

    fn start_all(&mut self, say: &mut dyn FnMut(&str)) -> Result<(), TestbedError> {
        self.write_certificates()?;
        say("starting the API server");
        self.processes.start("etcd", self.etcd())?;
        self.processes.start("kube-apiserver", self.api_server())?;
        let log = self.processes.log("kube-apiserver");
        wait_until("the API server is ready", 90, &log, || {
            self.kubectl(&["get", "--raw", "/readyz"]).is_ok()
        })?;
        self.processes
            .start("kube-controller-manager", self.controller_manager())?;
        self.processes.start("kube-scheduler", self.scheduler())?;
        say("starting the node");
        self.node.start_containerd(&mut self.processes)?;
        let kubeconfig = self.directory.join("kubelet.kubeconfig");
        let ports = [self.ports.kubelet, self.ports.kubelet_health];
        self.node
            .start_kubelet(&mut self.processes, &kubeconfig, ports)?;
        let log = self.processes.log("kubelet");
        let ready = [
            "wait",
            "--for=condition=Ready",
            "node/localhost",
            "--timeout=1s",
        ];
        wait_until("the node is ready", 90, &log, || {
            self.kubectl(&ready).is_ok()
        })?;
        let log = self.processes.log("kube-controller-manager");
        let account = ["get", "serviceaccount", "default"];
        wait_until("the default service account exists", 60, &log, || {
            self.kubectl(&account).is_ok()
        })
    }

    fn pki(&self, name: &str) -> String {
        self.directory.join("pki").join(name).display().to_string()
    }

    fn write_certificates(&self) -> Result<(), TestbedError> {
        let pki = self.directory.join("pki");
        let authority = Authority::new(&pki)?;
        authority.server(
            "api-server",
            &[
                "localhost",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
            ],
        )?;
        service_account_key(&pki)?;
        let clients = [
            ("admin", "admin", "system:masters"),
            ("api-server-to-kubelet", "kube-apiserver", "system:masters"),
            (
                "controller-manager",
                "system:kube-controller-manager",
                "podium",
            ),
            ("scheduler", "system:kube-scheduler", "podium"),
            ("kubelet", "system:node:localhost", "system:nodes"),
        ];
        let server = format!("https://127.0.0.1:{}", self.ports.api_server);
        for (name, user, group) in clients {
            authority.client(name, user, group)?;
            kubeconfig::write(
                &self.directory.join(format!("{name}.kubeconfig")),
                &server,
                &pki,
                name,
            )?;
        }
        Ok(())
    }

    fn etcd(&self) -> Command {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let (clients, peers) = (url(self.ports.etcd), url(self.ports.etcd_peer));
        let mut etcd = Command::new(self.parts.program("etcd"));
        etcd.arg("--data-dir").arg(self.directory.join("etcd"));
        etcd.args([
            "--listen-client-urls",
            &clients,
            "--advertise-client-urls",
            &clients,
        ]);
        etcd.args([
            "--listen-peer-urls",
            &peers,
            "--initial-advertise-peer-urls",
            &peers,
        ]);
        // Tests outlive no power failure.
        etcd.args([
            "--initial-cluster",
            &format!("default={peers}"),
            "--unsafe-no-fsync",
            "--log-level",
            "warn",
        ]);
        etcd
    }

    fn api_server(&self) -> Command {
        let mut server = Command::new(self.parts.program("kube-apiserver"));
        server.args([
            format!("--etcd-servers=http://127.0.0.1:{}", self.ports.etcd),
            "--bind-address=127.0.0.1".to_string(),
            format!("--secure-port={}", self.ports.api_server),
            // A loopback address is refused as an endpoint otherwise.
            "--endpoint-reconciler-type=none".to_string(),
            format!("--client-ca-file={}", self.pki("ca.crt")),
            format!("--tls-cert-file={}", self.pki("api-server.crt")),
            format!("--tls-private-key-file={}", self.pki("api-server.key")),
            "--authorization-mode=Node,RBAC".to_string(),
            "--service-account-issuer=https://kubernetes.default.svc".to_string(),
            format!(
                "--service-account-key-file={}",
                self.pki("service-account.pub")
            ),
            format!(
                "--service-account-signing-key-file={}",
                self.pki("service-account.key")
            ),
            "--service-cluster-ip-range=10.123.0.0/24".to_string(),
            "--kubelet-preferred-address-types=Hostname".to_string(),
            format!(
                "--kubelet-client-certificate={}",
                self.pki("api-server-to-kubelet.crt")
            ),
            format!(
                "--kubelet-client-key={}",
                self.pki("api-server-to-kubelet.key")
            ),
            "--allow-privileged=true".to_string(),
        ]);
        server
    }

    fn controller_manager(&self) -> Command {
        let mut manager = Command::new(self.parts.program("kube-controller-manager"));
        manager
            .arg("--kubeconfig")
            .arg(self.directory.join("controller-manager.kubeconfig"));
        manager.args([
            "--leader-elect=false".to_string(),
            "--use-service-account-credentials".to_string(),
            "--bind-address=127.0.0.1".to_string(),
            format!("--secure-port={}", self.ports.controller_manager),
            format!("--root-ca-file={}", self.pki("ca.crt")),
            format!(
                "--service-account-private-key-file={}",
                self.pki("service-account.key")
            ),
        ]);
        manager
    }

    fn scheduler(&self) -> Command {
        let mut scheduler = Command::new(self.parts.program("kube-scheduler"));
        scheduler
            .arg("--kubeconfig")
            .arg(self.directory.join("scheduler.kubeconfig"));
        scheduler.args([
            "--leader-elect=false".to_string(),
            "--bind-address=127.0.0.1".to_string(),
            format!("--secure-port={}", self.ports.scheduler),
        ]);
        scheduler
    }
}

impl Ports {
    fn free() -> Result<Self, TestbedError> {
        // All are held at once, so that they differ.
        let held: Vec<TcpListener> = (0..7)
            .map(|_| at(Path::new("127.0.0.1"), TcpListener::bind(("127.0.0.1", 0))))
            .collect::<Result<_, _>>()?;
        let mut ports = held
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .map(|address| address.port());
        let mut next = || {
            ports
                .next()
                .ok_or_else(|| TestbedError::Needs("free ports on 127.0.0.1".to_string()))
        };
        Ok(Self {
            etcd: next()?,
            etcd_peer: next()?,
            api_server: next()?,
            controller_manager: next()?,
            scheduler: next()?,
            kubelet: next()?,
            kubelet_health: next()?,
        })
    }
}
