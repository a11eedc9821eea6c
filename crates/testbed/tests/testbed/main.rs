//! A cluster is started, runs pods that reach its API server, outlives the end of its parts, and is ended without a trace. The same for an
//! API server without a node. Needs root and builds for minutes at its first time, so it runs with `PODIUM_TESTBED_TEST=true`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

mod api_server;

use podium_testbed::cluster::Cluster;
use podium_testbed::component::Component;
use podium_testbed::extent::Extent;
use podium_testbed::image::{Image, ImageFile, write_archive};
use podium_testbed::ports::S3_SERVICE;
use podium_testbed::python::python_image;
use podium_testbed::s3;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Where a pod finds its account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The specification of a pod that runs the machine's own programs, so that no image but `pause` is needed.
fn pod(command: &[&str]) -> Value {
    let folders = ["usr", "lib", "lib64"];
    json!({
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "containers": [{
            "name": "main",
            "image": "podium.dev/testbed/pause:1",
            "imagePullPolicy": "IfNotPresent",
            "command": command,
            "volumeMounts": folders.map(|name| json!({"name": name, "mountPath": format!("/{name}")})),
        }],
        "volumes": folders.map(|name| json!({"name": name, "hostPath": {"path": format!("/{name}")}})),
    })
}

fn job(name: &str, script: &str) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod(&["/usr/bin/sh", "-c", script])}},
    })
}

fn apply(cluster: &Cluster, object: &Value) {
    let path = cluster.directory().join("applied.json");
    fs::write(&path, object.to_string()).unwrap();
    cluster
        .kubectl(&["apply", "-f", &path.display().to_string()])
        .unwrap();
}

/// Runs a Job to its end and returns what its container wrote as its last word.
fn run(cluster: &Cluster, name: &str, script: &str) -> String {
    apply(cluster, &job(name, script));
    wait_for(cluster, name);
    let message = "jsonpath={.items[0].status.containerStatuses[0].state.terminated.message}";
    let label = format!("job-name={name}");
    cluster
        .kubectl(&["get", "pods", "-l", &label, "-o", message])
        .unwrap()
}

fn wait_for(cluster: &Cluster, name: &str) {
    let done = format!("job/{name}");
    let wait = ["wait", "--for=condition=Complete", &done, "--timeout=60s"];
    if let Err(error) = cluster.kubectl(&wait) {
        let logs = cluster.kubectl(&["logs", &done]);
        let pods = cluster.kubectl(&["describe", "pods"]);
        panic!("{error}\n{logs:?}\n{}", pods.unwrap_or_default());
    }
}

fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    // Another test may build parts of Kubernetes beside it.
    let patience = Instant::now() + Duration::from_secs(180);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < patience, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn audit_lines(cluster: &Cluster) -> Vec<Value> {
    let log = fs::read_to_string(cluster.audit_log()).unwrap();
    // The last line may be half written.
    log.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Command lines that name the directory.
fn processes_below(directory: &Path) -> Vec<String> {
    let marker = directory.display().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let commands = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let commands = commands.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "));
    commands
        .filter(|command| command.contains(&marker))
        .collect()
}

/// What this test bed made outside of its directory and is there still: links of the network, control groups, files of the kubelet, of
/// containerd and of the network. Other test beds may run beside it.
fn traces(directory: &Path, bridge: &str) -> Vec<String> {
    let script = format!(
        "ip -brief link | grep -w {bridge}
         find /sys/fs/cgroup -maxdepth 2 -type d -name {bridge}
         find /var/log/containers -lname '{directory}/*'
         grep -rl -e {bridge} -e {directory} /var/lib/cni /var/lib/kubelet /run/containerd /opt/containerd",
        directory = directory.display()
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(str::to_string).collect()
}

/// Ends the cluster of a test that fails.
struct Guard(PathBuf);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = Cluster::clean_up(&self.0);
    }
}

/// Whether the tests here may run; where they are meant to run, they must.
fn may_run() -> bool {
    let is_true = |name: &str| std::env::var(name).is_ok_and(|value| value == "true");
    let is_root = fs::metadata("/proc/self").is_ok_and(|this| {
        use std::os::unix::fs::MetadataExt;
        this.uid() == 0
    });
    let why = match (is_true("PODIUM_TESTBED_TEST"), is_root) {
        (true, true) => return true,
        (true, false) => "without root no cluster was started",
        (false, _) => "without PODIUM_TESTBED_TEST=true no cluster was started",
    };
    assert!(!is_true("CI"), "with CI=true this test must run, but {why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
    false
}

#[test]
fn pods_run_and_nothing_is_left_behind() {
    if !may_run() {
        return;
    }
    let directory = std::env::temp_dir().join(format!("podium-testbed-{}", std::process::id()));
    let began = Instant::now();
    let mut step = |step: &str| eprintln!("[{:4.1} s] {step}", began.elapsed().as_secs_f64());
    let cluster = Cluster::start(&directory, Extent::Full, &mut step).unwrap();
    let guard = Guard(directory.clone());
    step("ready");

    assert_eq!(
        run(
            &cluster,
            "hello",
            "echo hello from the pod; echo done > /dev/termination-log"
        ),
        "done\n"
    );
    assert_eq!(
        cluster.kubectl(&["logs", "job/hello"]).unwrap(),
        "hello from the pod\n"
    );
    step("a pod has run");
    a_pod_reaches_the_api_server(&cluster, "before");
    step("a pod has reached the API server");
    the_api_server_reaches_a_pod(&cluster);
    step("the API server has reached a pod");
    the_audit_log_says_who_asked(&cluster);
    an_image_is_loaded(&cluster);
    step("an image has run");
    a_pod_reaches_the_object_store(&cluster);
    step("a pod has reached the object store");
    python_runs(&cluster);
    step("python has run");
    parts_end_and_start(&cluster);
    step("parts have ended and started");
    a_pod_reaches_the_api_server(&cluster, "after");

    // As after a crash: another process cleans up what it finds in the directory, and a pod runs still.
    assert!(
        processes_below(&directory)
            .iter()
            .any(|line| line.contains("forward serve"))
    );
    let ports = fs::read_to_string(directory.join("ports.json")).unwrap();
    let ports: Value = serde_json::from_str(&ports).unwrap();
    let bridge = format!("podium{}", ports["kubelet"]);
    assert!(!traces(&directory, &bridge).is_empty());
    drop(cluster);
    // Also what a killed starter had not noted is ended.
    fs::remove_file(directory.join("processes.json")).unwrap();
    Cluster::clean_up(&directory).unwrap();
    step("ended");
    std::mem::forget(guard);
    assert!(!directory.exists());
    assert_eq!(processes_below(&directory), Vec::<String>::new());
    assert!(
        !fs::read_to_string("/proc/mounts")
            .unwrap()
            .contains(&directory.display().to_string())
    );
    assert_eq!(traces(&directory, &bridge), Vec::<String>::new());
}

fn a_pod_reaches_the_api_server(cluster: &Cluster, name: &str) {
    let address = "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/version";
    let script = format!(
        "curl --fail --silent --show-error --cacert {ACCOUNT}/ca.crt \
         --header \"Authorization: Bearer $(cat {ACCOUNT}/token)\" {address} > /dev/termination-log"
    );
    let answer = run(cluster, &format!("asks-{name}"), &script);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let version = answer["gitVersion"].as_str().unwrap();
    assert!(version.starts_with("v1."), "{version}");
}

fn a_pod_reaches_the_object_store(cluster: &Cluster) {
    let signed = format!(
        "curl --fail --silent --show-error --aws-sigv4 aws:amz:{}:s3 --user {}:{} \
         --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD'",
        s3::REGION,
        s3::ACCESS_KEY,
        s3::SECRET_KEY
    );
    let object = format!("http://{S3_SERVICE}/{}/of/a/pod.txt", s3::BUCKET);
    let script = format!(
        "{signed} --request PUT --data-binary 'from a pod' {object} && {signed} {object} > /dev/termination-log"
    );
    assert_eq!(run(cluster, "stores", &script), "from a pod");
}

/// Leaves a pod that runs.
fn the_api_server_reaches_a_pod(cluster: &Cluster) {
    let server = "import http.server as h\nclass H(h.BaseHTTPRequestHandler):\n \
                  def do_GET(s): s.send_response(200); s.end_headers(); s.wfile.write(s.path.encode())\n\
                  h.HTTPServer(('', 8080), H).serve_forever()";
    apply(
        cluster,
        &json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "server"},
            "spec": pod(&["/usr/bin/python3", "-c", server]),
        }),
    );
    let path = "/api/v1/namespaces/default/pods/server:8080/proxy/a/b?c=d";
    let answer = eventually("the pod answers", || {
        cluster.kubectl(&["get", "--raw", path]).ok()
    });
    assert_eq!(answer, "/a/b?c=d");
}

fn the_audit_log_says_who_asked(cluster: &Cluster) {
    let lines = audit_lines(cluster);
    let user = |line: &Value| line["user"]["username"].as_str().unwrap().to_string();
    let found = |name: &str, verb: &str, part: &str| {
        lines.iter().any(|line| {
            user(line) == name
                && line["verb"] == verb
                && line["requestURI"].as_str().unwrap().contains(part)
                && line["level"] == "Metadata"
        })
    };
    assert!(found(
        "system:serviceaccount:default:default",
        "get",
        "/version"
    ));
    assert!(found(
        "system:serviceaccount:kube-system:job-controller",
        "create",
        "/pods"
    ));
    assert!(found("admin", "get", "/jobs/"));
    let noise: Vec<&Value> = lines
        .iter()
        .filter(|line| {
            let user = user(line);
            user.starts_with("system:") && !user.starts_with("system:serviceaccount:default:")
        })
        .filter(|line| !user(line).ends_with(":job-controller") || line["verb"] != "create")
        .collect();
    assert!(noise.is_empty(), "{noise:?}");
    assert!(lines.iter().all(|line| line["stage"] != "RequestReceived"));
}

/// The image is the crate's own `pause` below a directory of its own, under a name that says no registry.
fn an_image_is_loaded(cluster: &Cluster) {
    let archive = cluster.directory().join("image.tar");
    let image = Image {
        name: "test:1".to_string(),
        user: "65532".to_string(),
        entrypoint: vec!["/opt/waits/pause".to_string()],
        working_directory: Some("/opt/waits".to_string()),
        files: vec![ImageFile {
            source: cluster.program("pause").unwrap(),
            path: "/opt/waits/pause".to_string(),
        }],
    };
    write_archive(&archive, &image).unwrap();
    cluster.node().unwrap().import(&archive).unwrap();
    let container = json!({
        "name": "main",
        "image": image.name,
        "imagePullPolicy": "Never",
        "securityContext": {"runAsNonRoot": true},
    });
    apply(
        cluster,
        &json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "image"},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
        }),
    );
    let wait = [
        "wait",
        "--for=condition=Ready",
        "pod/image",
        "--timeout=60s",
    ];
    cluster.kubectl(&wait).unwrap();
}

fn python_runs(cluster: &Cluster) {
    let archive = cluster.directory().join("python.tar");
    let image = python_image("python:1").unwrap();
    write_archive(&archive, &image).unwrap();
    let size = fs::metadata(&archive).unwrap().len();
    eprintln!("the image of python has {} MB", size / 1_000_000);
    assert!(size < 100_000_000);
    cluster.node().unwrap().import(&archive).unwrap();
    let program =
        "import json, math, os, random, hashlib, sqlite3, ssl, subprocess; print(os.getuid())";
    let container = json!({
        "name": "main",
        "image": "python:1",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", program],
        "securityContext": {
            "runAsNonRoot": true,
            "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    });
    let specification = json!({"restartPolicy": "Never", "containers": [container]});
    let mut job = job("python", "");
    job["spec"]["template"]["spec"] = specification;
    apply(cluster, &job);
    wait_for(cluster, "python");
    let said = cluster.kubectl(&["logs", "job/python"]).unwrap();
    assert_eq!(said, "65532\n");
}

fn parts_end_and_start(cluster: &Cluster) {
    let began = Instant::now();
    cluster.stop_component(Component::ApiServer).unwrap();
    eprintln!("stopped after {:?}", began.elapsed());
    assert!(cluster.kubectl(&["get", "--raw", "/readyz"]).is_err());
    let error = cluster.stop_component(Component::ApiServer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the test bed needs kube-apiserver to run before it can be stopped"
    );
    // A second view of the cluster, as another program has it.
    let other = Cluster::attach(cluster.directory()).unwrap();
    other.start_component(Component::ApiServer).unwrap();
    eprintln!("there again after {:?}", began.elapsed());
    assert!(cluster.kubectl(&["get", "job/hello"]).is_ok());
    let error = cluster.start_component(Component::ApiServer).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the test bed needs kube-apiserver to be stopped before it is started"
    );
    cluster.start_mlflow().unwrap();
    for component in Component::ALL {
        let began = Instant::now();
        cluster.kill_component(component).unwrap();
        let killed = began.elapsed();
        cluster.start_component(component).unwrap();
        eprintln!(
            "{component} was gone after {killed:?} and there again after {:?}",
            began.elapsed()
        );
    }
}

#[test]
fn no_cluster_is_no_error_for_down_and_one_for_others() {
    let nowhere = PathBuf::from("/nonexistent/testbed");
    Cluster::clean_up(&nowhere).unwrap();
    assert_eq!(
        Cluster::attach(&nowhere).unwrap_err().to_string(),
        "the test bed needs a cluster in /nonexistent/testbed; `up` starts one"
    );
}
