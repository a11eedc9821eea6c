//! How etcd, the API server, the controller manager and the scheduler are started, and their certificates.

use crate::parts::Parts;
use crate::pki::{Authority, service_account_key};
use crate::ports::{API_SERVER_SERVICE, Ports, SERVICES};
use crate::{TestbedError, at, kubeconfig};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How many requests a second a component may send, and how many at once: enough for 40 Jobs that start together.
const REQUESTS: [&str; 2] = ["--kube-api-qps=200", "--kube-api-burst=400"];

/// Files and commands of the control plane of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct ControlPlane {
    directory: PathBuf,
    parts: Parts,
    ports: Ports,
}

impl ControlPlane {
    pub(crate) fn new(directory: &Path, parts: Parts, ports: Ports) -> Self {
        Self {
            directory: directory.to_path_buf(),
            parts,
            ports,
        }
    }

    /// Where the API server writes what it was asked.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.directory.join("audit.log")
    }

    /// Writes certificates, kubeconfigs and the audit policy.
    pub(crate) fn write_files(&self) -> Result<(), TestbedError> {
        let pki = self.directory.join("pki");
        let authority = Authority::new(&pki)?;
        authority.server(
            "api-server",
            &[
                "127.0.0.1",
                API_SERVER_SERVICE,
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
        let policy = self.audit_policy();
        at(&policy, fs::write(&policy, audit_rules().to_string()))
    }

    pub(crate) fn etcd(&self) -> Command {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let (clients, peers) = (url(self.ports.etcd), url(self.ports.etcd_peer));
        let mut etcd = Command::new(self.parts.program("etcd"));
        etcd.arg("--data-dir").arg(self.directory.join("etcd"));
        etcd.args(["--listen-client-urls", &clients]);
        etcd.args(["--advertise-client-urls", &clients]);
        etcd.args(["--listen-peer-urls", &peers]);
        etcd.args(["--initial-advertise-peer-urls", &peers]);
        etcd.args(["--initial-cluster", &format!("default={peers}")]);
        // Tests outlive no power failure.
        etcd.args(["--unsafe-no-fsync", "--log-level", "warn"]);
        etcd
    }

    pub(crate) fn api_server(&self) -> Command {
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
            format!("--service-cluster-ip-range={SERVICES}"),
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
            format!("--audit-policy-file={}", self.audit_policy().display()),
            format!("--audit-log-path={}", self.audit_log().display()),
            // A line is in the log before its answer is sent.
            "--audit-log-mode=blocking".to_string(),
            // 0 would mean 100 MiB; tests want one whole log.
            "--audit-log-maxsize=1000000".to_string(),
            // Pods of a lost node go soon.
            "--default-not-ready-toleration-seconds=5".to_string(),
            "--default-unreachable-toleration-seconds=5".to_string(),
        ]);
        if !self.parts.has("kube-controller-manager") {
            // Nobody makes the service accounts without which it would refuse pods.
            server.arg("--disable-admission-plugins=ServiceAccount");
        }
        server
    }

    pub(crate) fn controller_manager(&self) -> Command {
        let mut manager = Command::new(self.parts.program("kube-controller-manager"));
        manager
            .arg("--kubeconfig")
            .arg(self.directory.join("controller-manager.kubeconfig"));
        manager.args(REQUESTS).args([
            "--leader-elect=false".to_string(),
            "--use-service-account-credentials".to_string(),
            "--bind-address=127.0.0.1".to_string(),
            format!("--secure-port={}", self.ports.controller_manager),
            format!("--root-ca-file={}", self.pki("ca.crt")),
            format!(
                "--service-account-private-key-file={}",
                self.pki("service-account.key")
            ),
            // Six reports of the kubelet may fail.
            "--node-monitor-grace-period=12s".to_string(),
            "--node-monitor-period=2s".to_string(),
        ]);
        manager
    }

    pub(crate) fn scheduler(&self) -> Command {
        let mut scheduler = Command::new(self.parts.program("kube-scheduler"));
        scheduler
            .arg("--kubeconfig")
            .arg(self.directory.join("scheduler.kubeconfig"));
        scheduler.args(REQUESTS).args([
            "--leader-elect=false".to_string(),
            "--bind-address=127.0.0.1".to_string(),
            format!("--secure-port={}", self.ports.scheduler),
        ]);
        scheduler
    }

    fn pki(&self, name: &str) -> String {
        self.directory.join("pki").join(name).display().to_string()
    }

    fn audit_policy(&self) -> PathBuf {
        self.directory.join("audit-policy.json")
    }
}

/// What the API server logs; of its rules the first that fits a request counts. Changes of this project's objects come whole, whoever
/// makes them; of what a service account or a test asks, only that it was asked; of what Kubernetes itself does, nothing but the
/// creation of a Job's pods.
fn audit_rules() -> serde_json::Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {
                "level": "Metadata",
                "users": ["system:serviceaccount:kube-system:job-controller"],
                "verbs": ["create"],
                "resources": [{"group": "", "resources": ["pods"]}],
            },
            {
                "level": "RequestResponse",
                "verbs": ["create", "update", "patch", "delete", "deletecollection"],
                "resources": [{"group": "podium.dev"}],
            },
            {
                "level": "None",
                "users": ["system:kube-controller-manager", "system:kube-scheduler", "system:apiserver"],
            },
            {"level": "None", "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
            {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
            {
                "level": "Metadata",
                "resources": [
                    {"group": "podium.dev"},
                    {"group": "batch", "resources": ["jobs", "jobs/*"]},
                    {"group": "", "resources": ["pods", "pods/*", "events"]},
                    {"group": "events.k8s.io", "resources": ["events"]},
                    {"group": "coordination.k8s.io", "resources": ["leases"]},
                ],
            },
            {"level": "None"},
        ],
    })
}
