//! A cluster is started, runs a Job's pod, and is ended without a trace. Needs root and builds for minutes at its first time, so it
//! runs with `PODIUM_TESTBED=true`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

use podium_testbed::cluster::Cluster;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// A pod that runs the machine's own shell, so that no image but `pause` is needed.
const JOB: &str = r#"
apiVersion: batch/v1
kind: Job
metadata: {name: hello}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: train
          image: podium.dev/testbed/pause:1
          imagePullPolicy: IfNotPresent
          command: [/usr/bin/sh, -c, "echo hello from the pod; echo done > /dev/termination-log"]
          volumeMounts: [{name: usr, mountPath: /usr}, {name: lib, mountPath: /lib}, {name: lib64, mountPath: /lib64}]
      volumes:
        - {name: usr, hostPath: {path: /usr}}
        - {name: lib, hostPath: {path: /lib}}
        - {name: lib64, hostPath: {path: /lib64}}
"#;

fn processes_below(directory: &Path) -> Vec<String> {
    let marker = directory.display().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let commands = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let commands = commands.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "));
    commands
        .filter(|command| command.contains(&marker))
        .collect()
}

#[test]
fn a_pod_runs_and_nothing_is_left_behind() {
    if std::env::var_os("PODIUM_TESTBED").is_none() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: without PODIUM_TESTBED=true no cluster was started"
        );
        return;
    }
    let parent = std::env::temp_dir().join(format!("podium-testbed-{}", std::process::id()));
    let links_before = network_links();
    let cluster = Cluster::start(&parent, &mut |step| eprintln!("{step}")).unwrap();
    let job = parent.join("job.yaml");
    fs::write(&job, JOB).unwrap();
    cluster
        .kubectl(&["apply", "-f", &job.display().to_string()])
        .unwrap();
    cluster
        .kubectl(&[
            "wait",
            "--for=condition=Complete",
            "job/hello",
            "--timeout=60s",
        ])
        .unwrap();
    assert_eq!(
        cluster.kubectl(&["logs", "job/hello"]).unwrap(),
        "hello from the pod\n"
    );
    let message = "jsonpath={.items[0].status.containerStatuses[0].state.terminated.message}";
    assert_eq!(
        cluster.kubectl(&["get", "pods", "-o", message]).unwrap(),
        "done\n"
    );

    // As after a crash: another process cleans up what it finds in the directory.
    drop(cluster);
    Cluster::clean_up(&parent).unwrap();
    assert!(!parent.exists());
    assert_eq!(processes_below(&parent), Vec::<String>::new());
    assert!(
        !fs::read_to_string("/proc/mounts")
            .unwrap()
            .contains(&parent.display().to_string())
    );
    assert_eq!(network_links(), links_before);
}

fn network_links() -> Vec<String> {
    let output = Command::new("ip")
        .args(["-brief", "link"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_string)
        .collect()
}
