//! An operator as a process of this machine, with the rights of its service account, that can be killed at any request.

use super::way::{Way, Witnessed};
use super::{Bed, kubectl};
use podium_testbed::ports::free_port;
use serde_json::json;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A running operator, or one that was killed and can be started again.
pub struct Operator {
    pub name: String,
    namespace: String,
    kubeconfig: PathBuf,
    log: PathBuf,
    environment: Vec<(&'static str, String)>,
    health: u16,
    /// Its way to the API server.
    pub way: Way,
    child: Arc<Mutex<Option<Child>>>,
}

impl Operator {
    /// An operator that was not started yet.
    pub(super) async fn prepare(bed: &Bed, name: &str) -> Self {
        let child = Arc::new(Mutex::new(None));
        let way = Way::open(Arc::clone(&child)).await;
        let operator = Self {
            name: name.to_string(),
            namespace: bed.namespace.clone(),
            kubeconfig: bed.directory().join(format!("{name}.kubeconfig")),
            log: bed.directory().join(format!("{name}.log")),
            environment: Vec::new(),
            health: free_port().unwrap(),
            way,
            child,
        };
        operator.write_kubeconfig();
        operator
    }

    /// The token of the chart's service account, through this operator's own way.
    fn write_kubeconfig(&self) {
        let token = kubectl(
            &[
                "create",
                "token",
                "podium",
                "-n",
                &self.namespace,
                "--duration=2h",
            ],
            None,
        )
        .unwrap();
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "way", "cluster": {"server": format!("http://127.0.0.1:{}", self.way.port)}}],
            "users": [{"name": "podium", "user": {"token": token}}],
            "contexts": [{"name": "podium", "context": {"cluster": "way", "user": "podium", "namespace": self.namespace}}],
            "current-context": "podium",
        });
        std::fs::write(&self.kubeconfig, config.to_string()).unwrap();
    }

    /// The same, to be started with a variable.
    #[allow(dead_code)] // Not every kind of test needs it.
    pub fn with(mut self, variable: &'static str, value: &str) -> Self {
        self.environment.push((variable, value.to_string()));
        self
    }

    /// Starts the process; the one before must have ended.
    pub fn start_again(&self) {
        let mut child = self.child.lock().unwrap();
        assert!(child.is_none(), "{} runs already", self.name);
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let started = Command::new(program())
            .arg("operator")
            .arg(format!("--health-address=127.0.0.1:{}", self.health))
            .arg(format!("--metrics-address=127.0.0.1:{}", self.health))
            .env("KUBECONFIG", &self.kubeconfig)
            .env("POD_NAME", &self.name)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("POD_NAMESPACE", &self.namespace)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        *child = Some(started);
    }

    /// Its process, for whoever may kill it.
    pub fn child(&self) -> Arc<Mutex<Option<Child>>> {
        Arc::clone(&self.child)
    }

    /// Its process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.lock().unwrap().as_ref().map(Child::id)
    }

    /// Sends a signal such as `STOP`.
    pub fn signal(&self, signal: &str) {
        let id = self.id().expect("the operator runs").to_string();
        assert!(
            Command::new("kill")
                .args(["-s", signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Kills it on the spot.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end, and waits until it has.
    pub async fn terminate(&self) -> ExitStatus {
        self.signal("TERM");
        self.ended(30).await
    }

    /// Waits until the process has ended by itself or by somebody else's hand.
    pub async fn ended(&self, seconds: u64) -> ExitStatus {
        for _ in 0..seconds * 20 {
            if let Some(status) = self.try_ended() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} did not end in {seconds} s\n{}", self.name, self.log());
    }

    fn try_ended(&self) -> Option<ExitStatus> {
        let mut child = self.child.lock().unwrap();
        let status = child.as_mut()?.try_wait().unwrap()?;
        *child = None;
        Some(status)
    }

    /// Starts it again whenever it has ended, as a kubelet would, until `work` is done.
    pub async fn kept_alive<T>(&self, work: impl Future<Output = T>) -> T {
        let restarts = async {
            loop {
                self.try_ended();
                if self.id().is_none() {
                    self.start_again();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            done = work => done,
            () = restarts => unreachable!("it never ends"),
        }
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Body of a GET on its own server, such as `readyz` or `metrics`; `None` when it does not answer 200.
    pub async fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://127.0.0.1:{}/{path}", self.health);
        let arguments = ["-sf", "--max-time", "5", &url];
        super::run("curl", &arguments, None).ok()
    }

    /// What it says of whether it is ready, in either case.
    #[allow(dead_code)] // Not every kind of test needs it.
    pub async fn readiness(&self) -> String {
        let url = format!("http://127.0.0.1:{}/readyz", self.health);
        let arguments = ["-s", "--max-time", "5", &url];
        super::run("curl", &arguments, None).unwrap_or_default()
    }

    /// Waits until it says that it is ready.
    pub async fn until_ready(&self, seconds: u64) {
        for _ in 0..seconds * 20 {
            if self.get("readyz").await.is_some_and(|text| text == "ok") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "{} is not ready after {seconds} s\n{}",
            self.name,
            self.log()
        );
    }

    /// Its writes so far; those of its lease and those that store nothing are left out.
    pub fn writes(&self) -> Vec<Witnessed> {
        let mut writes = self.way.witnessed();
        writes.retain(Witnessed::is_write);
        writes
    }
}

/// Of a log, shown where a test fails.
const LAST_LINES: usize = 500;

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(LAST_LINES);
            eprintln!(
                "--- log of {}, its end\n{}",
                self.name,
                lines[last..].join("\n")
            );
        }
    }
}

/// The program under test; figures are measured with the one of the image.
pub fn program() -> String {
    let given = std::env::var("PODIUM_PROGRAM");
    given.unwrap_or_else(|_| env!("CARGO_BIN_EXE_podium").to_string())
}
