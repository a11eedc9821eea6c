//! What people type: the README's way from an empty cluster to a finished search, an upgrade and an uninstall by Helm, and an install
//! without Helm. Runs first, on a cluster that has never seen Podium.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

#[path = "../bed/mod.rs"]
mod bed;
mod whole_loop;

use bed::{cluster_is_there, helm, kubectl, run};
use std::io::Write;

/// Lines of the README's shell block under this heading.
fn commands(heading: &str) -> Vec<String> {
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = readme
        .split(&format!("## {heading}\n"))
        .nth(1)
        .expect("the README has this section");
    let block = section
        .split("```")
        .nth(1)
        .expect("the section has a block of commands");
    block
        .lines()
        .map(|line| line.split(" #").next().unwrap().trim().to_string())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Names of what carries the release's label and is no CRD.
fn leftovers(namespace: &str) -> String {
    let kinds = "deployments,replicasets,pods,services,serviceaccounts,roles,rolebindings,leases,networkpolicies,poddisruptionbudgets,configmaps,secrets";
    let label = "-lapp.kubernetes.io/instance=podium";
    let labelled = kubectl(&["get", kinds, "-n", namespace, "-o", "name", label], None).unwrap();
    let leases = kubectl(&["get", "leases", "-n", namespace, "-o", "name"], None).unwrap();
    let cluster = kubectl(
        &[
            "get",
            "clusterroles,clusterrolebindings",
            "-o",
            "name",
            label,
        ],
        None,
    )
    .unwrap();
    let helm = kubectl(
        &[
            "get",
            "secrets",
            "-n",
            namespace,
            "-o",
            "name",
            "-lowner=helm",
        ],
        None,
    )
    .unwrap();
    [labelled, leases, cluster, helm]
        .join("\n")
        .trim()
        .to_string()
}

fn eventually(seconds: u64, what: &str, mut holds: impl FnMut() -> bool) {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    while !holds() {
        assert!(
            std::time::Instant::now() < patience,
            "waited {seconds} s in vain until {what}"
        );
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

fn phase_of(namespace: &str, search: &str) -> String {
    let phase = [
        "get",
        "tj",
        search,
        "-n",
        namespace,
        "-o",
        "jsonpath={.status.phase}",
    ];
    kubectl(&phase, None).unwrap()
}

#[test]
fn people_install_use_upgrade_and_uninstall_it() {
    if !cluster_is_there() {
        return;
    }
    as_the_readme_says();
    upgraded_from_a_package();
    uninstalled();
    serving_other_namespaces();
    without_helm();
}

/// Each command as it stands there; the first one makes the cluster, which is there already.
fn as_the_readme_says() {
    let commands = commands("In a cluster");
    assert!(commands.len() <= 5, "{commands:?}");
    assert!(
        commands[0].contains("make testbed") || commands[0].contains("make -s testbed"),
        "{commands:?}"
    );
    let done = |command: &String| {
        let done = run("sh", &["-ec", command], None);
        done.unwrap_or_else(|error| panic!("{command}: {error}"))
    };
    done(&commands[1]);
    whole_loop::takes_names_of_other_clusters();
    if !whole_loop::can_be_tried() {
        return;
    }
    whole_loop::names_the_test_bed();
    let printed: Vec<String> = commands[2..].iter().map(done).collect();
    let shown = printed.last().unwrap();
    for part in [
        "fraud-detection",
        "Superior",
        "v2 raises ROC AUC by",
        "Promoted.",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    whole_loop::moved_the_alias();
    whole_loop::published_the_champion();
    let story = kubectl(&["describe", "tuningjobs"], None).unwrap();
    for part in ["TrialsRunning", "MaxTrialsReached"] {
        assert!(story.contains(part), "{part}\n{story}");
    }
    let metrics = metrics_of_the_operator();
    let succeeded = "podium_trials_total{outcome=\"succeeded\"} ";
    let count = metrics
        .lines()
        .find_map(|line| line.strip_prefix(succeeded));
    let count = count.map(|count| count.parse::<u32>().unwrap());
    assert!(count.is_some_and(|count| count > 15), "{metrics}");
}

/// The operator serves its metrics inside of the cluster.
fn metrics_of_the_operator() -> String {
    let metrics = "/api/v1/namespaces/default/services/podium-metrics:metrics/proxy/metrics";
    if let Ok(text) = kubectl(&["get", "--raw", metrics], None) {
        return text;
    }
    let pod = kubectl(
        &[
            "get",
            "pods",
            "-lapp.kubernetes.io/name=podium",
            "-o",
            "jsonpath={.items[0].metadata.name}",
        ],
        None,
    )
    .unwrap();
    let metrics = format!("/api/v1/namespaces/default/pods/{pod}:8080/proxy/metrics");
    kubectl(&["get", "--raw", &metrics], None).unwrap()
}

/// An upgrade from the packaged chart, to two operators of which one acts, while a search runs.
fn upgraded_from_a_package() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().display().to_string();
    helm(&["package", "charts/podium", "--destination", &directory]).unwrap();
    let package = std::fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    for example in ["examples/python-script", "examples/fraud-on-kubernetes"] {
        kubectl(&["apply", "-f", example], None).unwrap();
    }
    helm(&[
        "upgrade",
        "podium",
        &package.display().to_string(),
        "--set=replicaCount=2,logFormat=text,maxConcurrentReconciles=2",
        "--wait",
        "--timeout=120s",
    ])
    .unwrap();
    for search in ["quadratic", "fraud-forest"] {
        let finished = ["wait", "--for=condition=Finished", "--timeout=300s"];
        let named = format!("tj/{search}");
        kubectl(&[&finished[..], &[named.as_str()]].concat(), None).unwrap();
        assert_eq!(phase_of("default", search), "Succeeded");
    }
    // The one before may still be ending.
    eventually(60, "two operators are left", || {
        let of_podium = "-lapp.kubernetes.io/name=podium";
        let pods = kubectl(&["get", "pods", of_podium, "-o", "name"], None).unwrap();
        pods.lines().count() == 2
    });
}

fn uninstalled() {
    helm(&["uninstall", "podium", "--wait"]).unwrap();
    eventually(60, "nothing of the release is left", || {
        leftovers("default").is_empty()
    });
    let crds = kubectl(&["get", "crd", "-o", "name"], None).unwrap();
    assert_eq!(
        crds.lines()
            .filter(|name| name.ends_with(".podium.dev"))
            .count(),
        6,
        "{crds}"
    );
    assert_eq!(
        phase_of("default", "fraud-forest"),
        "Succeeded",
        "people's searches stay"
    );
    let example = ["delete", "-f", "examples/fraud-champion"];
    let gone = ["--ignore-not-found", "--timeout=60s"];
    kubectl(&[&example[..], &gone].concat(), None).unwrap();
    kubectl(&["delete", "tj", "--all", "--timeout=60s"], None).unwrap();
    eventually(60, "trials, Jobs and pods went with their owners", || {
        kubectl(&["get", "trials,jobs,pods", "-o", "name"], None)
            .unwrap()
            .is_empty()
    });
}

/// Installed again, where the CRDs of the release before are: first for all namespaces, then for two of them and without a lease.
fn serving_other_namespaces() {
    for namespace in ["team-a", "team-b", "team-c"] {
        kubectl(&["create", "namespace", namespace], None).unwrap();
    }
    let operator = |verb: &str, more: &[&str]| {
        let mut arguments = vec![verb, "podium", "charts/podium", "--wait", "--timeout=90s"];
        arguments.push("--namespace=podium-system");
        arguments.extend(more);
        helm(&arguments)
    };
    let everywhere = ["--create-namespace", "--set=clusterWide=true"];
    let refused = operator("install", &everywhere).unwrap_err();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    operator(
        "install",
        &[&everywhere[..], &["--take-ownership"]].concat(),
    )
    .unwrap();
    for namespace in ["team-a", "team-c"] {
        searched(namespace, "first");
    }
    operator(
        "upgrade",
        &["--set=clusterWide=false,namespaces={team-a,team-b},leaderElection.enabled=false"],
    )
    .unwrap();
    apply_search("team-c", "unseen");
    for namespace in ["team-a", "team-b"] {
        searched(namespace, "second");
    }
    // That of the namespace which is not served any more came before these and has not even been looked at.
    assert_eq!(phase_of("team-c", "unseen"), "");
    helm(&["uninstall", "podium", "--namespace=podium-system", "--wait"]).unwrap();
    let namespaces = ["podium-system", "team-a", "team-b", "team-c"];
    eventually(60, "nothing of the release is left", || {
        namespaces.map(leftovers).concat().is_empty()
    });
    kubectl(
        &[&["delete", "namespace", "--timeout=120s"], &namespaces[..]].concat(),
        None,
    )
    .unwrap();
}

fn apply_search(namespace: &str, name: &str) {
    let search = bed::manifests::search(name, 2, 2, bed::manifests::REPORT).to_string();
    kubectl(&["apply", "-n", namespace, "-f", "-"], Some(&search)).unwrap();
}

/// A small search runs to its end there.
fn searched(namespace: &str, name: &str) {
    apply_search(namespace, name);
    let search = format!("tj/{name}");
    let finished = [
        "wait",
        "-n",
        namespace,
        "--for=condition=Finished",
        &search,
        "--timeout=90s",
    ];
    kubectl(&finished, None).unwrap();
    assert_eq!(phase_of(namespace, name), "Succeeded");
}

/// `kubectl apply -f deploy/podium.yaml`, as people do who have no Helm.
fn without_helm() {
    kubectl(&["apply", "-f", "deploy/podium.yaml"], None).unwrap();
    let rollout = [
        "rollout",
        "status",
        "deployment/podium",
        "-n",
        "podium-system",
        "--timeout=90s",
    ];
    kubectl(&rollout, None).unwrap();
    kubectl(
        &[
            "apply",
            "-n",
            "podium-system",
            "-f",
            "examples/python-script",
        ],
        None,
    )
    .unwrap();
    let finished = [
        "wait",
        "-n",
        "podium-system",
        "--for=condition=Finished",
        "tj/quadratic",
        "--timeout=180s",
    ];
    kubectl(&finished, None).unwrap();
    assert_eq!(phase_of("podium-system", "quadratic"), "Succeeded");
    names_are_resolved();
    let again = kubectl(&["apply", "-f", "deploy/podium.yaml"], None).unwrap();
    let changed: Vec<&str> = again
        .lines()
        .filter(|line| !line.ends_with("unchanged"))
        .collect();
    assert_eq!(
        changed,
        Vec::<&str>::new(),
        "applied again, nothing changes"
    );
    kubectl(
        &["delete", "namespace", "podium-system", "--timeout=120s"],
        None,
    )
    .unwrap();
}

/// The program of the image, which has no libraries beside it, finds a server by its name: MLflow answers that it does not know the name.
fn names_are_resolved() {
    let Ok(mlflow) = std::env::var("MLFLOW_IN_PODS") else {
        let must = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!must, "MLFLOW_IN_PODS must say where pods reach an MLflow");
        let _ = writeln!(std::io::stderr(), "SKIPPED: MLFLOW_IN_PODS names no MLflow");
        return;
    };
    let (host, port) = mlflow
        .trim_start_matches("http://")
        .rsplit_once(':')
        .unwrap();
    let name = "mlflow.podium.test";
    let template = serde_json::json!({"spec": {"template": {"spec": {"hostAliases": [{"ip": host, "hostnames": [name]}]}}}});
    let patch = format!("--patch={template}");
    let of_podium = ["-n", "podium-system", "deployment/podium"];
    kubectl(&[&["patch"], &of_podium[..], &[&patch]].concat(), None).unwrap();
    let rollout = [&["rollout", "status"], &of_podium[..], &["--timeout=180s"]];
    kubectl(&rollout.concat(), None).unwrap();
    let mut registry = bed::manifests::model_registry(&format!("http://{name}:{port}"));
    registry["metadata"]["namespace"] = "podium-system".into();
    kubectl(&["apply", "-f", "-"], Some(&registry.to_string())).unwrap();
    let told = [
        "wait",
        "-n",
        "podium-system",
        "modelregistry/mlflow",
        "--for=jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}=HostRejected",
        "--timeout=180s",
    ];
    if let Err(error) = kubectl(&told, None) {
        let status = ["get", "mreg", "mlflow", "-n", "podium-system", "-o", "yaml"];
        panic!("{error}: {}", kubectl(&status, None).unwrap());
    }
}
