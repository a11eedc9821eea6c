//! What tests on a real cluster share: a namespace each, an operator process under the chart's own rights, and a way through which
//! every request of it goes.
//!
//! `USE_EXISTING_CLUSTER=true` with `KUBECONFIG` says which cluster; `scripts/on-testbed` makes one.

#![allow(dead_code)] // Each test binary uses a part.

pub mod announcements;
pub mod cuts;
pub mod forests;
pub mod gates;
pub mod http_proxy;
pub mod manifests;
pub mod mlflow;
pub mod mlflow_proxy;
pub mod mlflow_way;
pub mod object_store;
pub mod operator;
pub mod oracle;
pub mod tls;
pub mod way;
pub mod webhook;

use k8s_openapi::NamespaceResourceScope;
use kube::api::ListParams;
use kube::{Api, Client, Config, Resource, ResourceExt};
use operator::Operator;
use podium_api::{TUNING_JOB_LABEL, Trial, TuningJob};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// One test's namespace.
pub struct Bed {
    pub namespace: String,
    pub client: Client,
    directory: tempfile::TempDir,
}

/// Runs a test on a bed of its own, or skips it loudly where there is no cluster.
pub fn on_bed<T>(name: &str, test: impl AsyncFnOnce(Bed) -> T) {
    if !cluster_is_there() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bed = Bed::new(name).await;
        test(bed).await;
    });
}

/// Whether tests may use a cluster. With `CI=true` a missing one is a failure.
pub fn cluster_is_there() -> bool {
    let asked = std::env::var("USE_EXISTING_CLUSTER").is_ok_and(|value| value == "true");
    if !asked {
        let why = "without USE_EXISTING_CLUSTER=true nothing was tried on a real cluster";
        let must = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!must, "{why}, and CI=true makes that a failure");
        let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
    }
    asked
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn program(variable: &str, name: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| name.to_string())
}

/// Runs a program to its end: what it prints, or what it complains about.
pub fn run(program: &str, arguments: &[&str], input: Option<&str>) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(input.unwrap_or_default().as_bytes())
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Runs kubectl as somebody who may do everything.
pub fn kubectl(arguments: &[&str], input: Option<&str>) -> Result<String, String> {
    run(&program("KUBECTL", "kubectl"), arguments, input)
}

/// Runs helm.
pub fn helm(arguments: &[&str]) -> Result<String, String> {
    run(&program("HELM", "helm"), arguments, None)
}

/// A part of the test bed, such as `etcd`, that is away until this is dropped.
pub struct Away(&'static str);

impl Away {
    /// Ends it as an administrator would.
    pub fn stopped(part: &'static str) -> Self {
        Self::by("stop", part)
    }

    /// Ends it as a crash would.
    pub fn killed(part: &'static str) -> Self {
        Self::by("kill", part)
    }

    fn by(verb: &str, part: &'static str) -> Self {
        testbed(&[verb, part]).unwrap();
        Self(part)
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let back = testbed(&["start", self.0]);
        assert!(back.is_ok() || std::thread::panicking(), "{back:?}");
    }
}

fn testbed(arguments: &[&str]) -> Result<String, String> {
    let testbed = program("PODIUM_TESTBED", "podium-testbed");
    run(&testbed, arguments, None)
}

/// Gives the cluster the CRDs, once per test binary.
pub fn install_crds() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let apply = ["apply", "--server-side", "--force-conflicts", "-f", "crds"];
        kubectl(&apply, None).unwrap();
        let crds = "tuningjobs trials modelregistries championpolicies evaluations approvals";
        let names: Vec<String> = crds
            .split(' ')
            .map(|plural| format!("crd/{plural}.podium.dev"))
            .collect();
        // Conditions are null at first, and waiting for one of them fails on that.
        for state in [
            "jsonpath={.status.conditions[0].type}",
            "condition=Established",
        ] {
            let state = format!("--for={state}");
            let mut wait = vec!["wait", &state, "--timeout=60s"];
            wait.extend(names.iter().map(String::as_str));
            kubectl(&wait, None).unwrap();
        }
    });
}

impl Bed {
    async fn new(name: &str) -> Self {
        install_crds();
        static BEDS: AtomicUsize = AtomicUsize::new(1);
        let number = BEDS.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("{name}-{}-{number}", std::process::id());
        kubectl(&["create", "namespace", &namespace], None).unwrap();
        // The very rights that the chart gives, and nothing else of the chart.
        let rights = helm(&[
            "template",
            "podium",
            "charts/podium",
            "--namespace",
            &namespace,
            "--show-only=templates/serviceaccount.yaml",
            "--show-only=templates/role.yaml",
            "--show-only=templates/rolebinding.yaml",
        ])
        .unwrap();
        kubectl(&["apply", "-n", &namespace, "-f", "-"], Some(&rights)).unwrap();
        let config = Config::infer().await.unwrap();
        Self {
            namespace,
            client: Client::try_from(config).unwrap(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A folder for logs and configurations of this test.
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_path_buf()
    }

    /// Runs kubectl in this namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut all = vec!["-n", self.namespace.as_str()];
        all.extend_from_slice(arguments);
        kubectl(&all, None)
    }

    /// Creates or changes an object of this namespace.
    pub fn apply(&self, object: &Value) {
        let arguments = ["apply", "-n", &self.namespace, "-f", "-"];
        kubectl(&arguments, Some(&object.to_string())).unwrap();
    }

    /// Starts an operator for this namespace, with its own rights.
    pub async fn operator(&self, name: &str) -> Operator {
        let operator = self.dead_operator(name).await;
        operator.start_again();
        operator
    }

    /// An operator that is to be started later, when its way is cut as it should be.
    pub async fn dead_operator(&self, name: &str) -> Operator {
        Operator::prepare(self, name).await
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The object of that name, `None` when there is none or the API server is away.
    pub async fn find<K>(&self, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        self.api::<K>().get_opt(name).await.ok().flatten()
    }

    pub async fn search(&self, name: &str) -> Option<TuningJob> {
        self.find(name).await
    }

    /// The trials of a search, by index; none when the API server is away.
    pub async fn trials(&self, search: &str) -> Vec<Trial> {
        let of_search = ListParams::default().labels(&format!("{TUNING_JOB_LABEL}={search}"));
        let mut trials = match self.api::<Trial>().list(&of_search).await {
            Ok(list) => list.items,
            Err(_) => Vec::new(),
        };
        trials.sort_by_key(|trial| trial.spec.index);
        trials
    }

    /// Waits until a search says so; its whole state is in the message if it never does.
    pub async fn until(
        &self,
        search: &str,
        seconds: u64,
        what: &str,
        holds: impl Fn(&TuningJob) -> bool,
    ) -> TuningJob {
        let mut last = None;
        let patience = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < patience {
            if let Some(job) = self.search(search).await {
                if holds(&job) {
                    return job;
                }
                last = Some(job);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let trials = self.kubectl(&["get", "trials", "-o", "wide"]);
        let pods = self.kubectl(&["get", "jobs,pods", "-o", "wide"]);
        panic!(
            "waited {seconds} s in vain until {search} {what}\n{:#?}\n{}\n{}",
            last.map(|job| job.status),
            trials.unwrap_or_default(),
            pods.unwrap_or_default(),
        );
    }

    /// Waits until a search has finished.
    pub async fn until_finished(&self, search: &str, seconds: u64) -> TuningJob {
        let finished = |job: &TuningJob| condition(job, "Finished") == Some("True");
        self.until(search, seconds, "has finished", finished).await
    }

    /// Waits until a trial is in a phase.
    pub async fn until_trial(&self, search: &str, index: i32, phase: &str) {
        let reached = async || {
            let trials = self.trials(search).await;
            let mut trials = trials.iter().filter(|trial| trial.spec.index == index);
            trials.any(|trial| trial_phase(trial) == phase)
        };
        let what = format!("trial {index} of {search} is {phase}");
        self.wait(60, &what, reached).await;
    }

    /// Waits until `holds`.
    pub async fn wait(&self, seconds: u64, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let patience = Instant::now() + Duration::from_secs(seconds);
        while !holds().await {
            assert!(
                Instant::now() < patience,
                "waited {seconds} s in vain until {what}\n{}",
                self.kubectl(&["get", "tj,trials,jobs,pods", "-o", "wide"])
                    .unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let delete = ["delete", "namespace", &self.namespace, "--wait=false"];
        let _ = kubectl(&delete, None);
    }
}

/// `status` of a condition of a search.
pub fn condition<'a>(job: &'a TuningJob, kind: &str) -> Option<&'a str> {
    let conditions = &job.status.as_ref()?.conditions;
    let found = conditions
        .iter()
        .find(|condition| condition.type_ == kind)?;
    Some(&found.status)
}

/// `reason` of the condition Ready.
pub fn reason(job: &TuningJob) -> Option<&str> {
    let conditions = &job.status.as_ref()?.conditions;
    let ready = conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")?;
    Some(&ready.reason)
}

pub fn phase(job: &TuningJob) -> Option<&str> {
    job.status.as_ref()?.phase.as_deref()
}

/// Phase of a trial; empty before its first status.
pub fn trial_phase(trial: &Trial) -> &str {
    let status = trial.status.as_ref();
    status
        .and_then(|status| status.phase.as_deref())
        .unwrap_or_default()
}

/// Name and phase of each trial.
pub fn phases(trials: &[Trial]) -> Vec<(String, String)> {
    trials
        .iter()
        .map(|trial| (trial.name_any(), trial_phase(trial).to_string()))
        .collect()
}
