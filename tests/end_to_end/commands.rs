//! The other commands, as a person types them.

use crate::data::{both, evaluate};
use crate::fraud::undisturbed;
use crate::project::{Project, SQUARE, ended, podium};
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;

#[test]
fn get_shows_the_columns_of_the_crds_and_whole_objects() {
    let project = Project::with_search(3, SQUARE);
    assert_eq!(project.run().code, Some(0));
    let directory = project.path().display().to_string();
    let get = |arguments: &[&str]| {
        let finished = ended(&[&["get"], arguments, &["-d", &directory]].concat());
        assert_eq!(finished.code, Some(0), "{}", finished.err);
        finished.out
    };
    let trials = get(&["trials"]);
    let lines: Vec<&str> = trials.lines().collect();
    assert!(
        lines[0].starts_with("NAME    PHASE       OBJECTIVE"),
        "{trials}"
    );
    assert_eq!(lines.len(), 4);
    assert!(lines[1].starts_with("toy-1   Succeeded"), "{trials}");
    assert!(lines[1].contains("kind="), "{trials}");
    assert!(
        get(&["tj", "-o", "wide"])
            .lines()
            .next()
            .unwrap()
            .contains("ALGORITHM")
    );
    let whole: Value = serde_json::from_str(&get(&["tuningjob", "toy", "-o", "json"])).unwrap();
    assert_eq!(whole["spec"]["algorithm"]["name"], "Auto");
    let list: Value = podium_operator::yaml::document(&get(&["trials", "-o", "yaml"])).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    assert_eq!(list["items"][0]["apiVersion"], "podium.dev/v1alpha1");
    let unknown = ended(&["get", "pods", "-d", &directory]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown
            .err
            .contains("there is no kind `pods`; it must be one of championpolicies"),
        "{}",
        unknown.err
    );
    let missing = ended(&["get", "trials", "toy-9", "-d", &directory]);
    assert_eq!(missing.err, "error: trials \"toy-9\" not found\n");
    let nowhere = ended(&["get", "trials", "-d", "/nonexistent"]);
    assert_eq!(
        nowhere.err,
        "error: /nonexistent holds no run; `podium run` makes one\n"
    );
}

#[test]
fn each_flag_of_the_operator_has_its_variable() {
    let twins = [
        ("PODIUM_NAMESPACES", "team-a,team-b"),
        ("PODIUM_LEADER_ELECTION", "false"),
        ("PODIUM_METRICS_ADDRESS", "127.0.0.1:1"),
        ("PODIUM_HEALTH_ADDRESS", "127.0.0.1:2"),
        ("PODIUM_LOG_FORMAT", "json"),
        ("PODIUM_LOG_LEVEL", "debug"),
        ("PODIUM_MAX_CONCURRENT_RECONCILES", "3"),
    ];
    let help = podium()
        .args(["operator", "--help"])
        .envs(twins)
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for (name, value) in twins {
        assert!(help.contains(&format!("[env: {name}={value}]")), "{help}");
    }
    for (name, _) in twins.into_iter().skip(1) {
        let refused = podium().arg("operator").env(name, "x y").output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{name}");
        let said = String::from_utf8(refused.stderr).unwrap();
        let flag = name
            .replace("PODIUM_", "--")
            .replace('_', "-")
            .to_lowercase();
        assert!(said.contains("'x y'") && said.contains(&flag), "{said}");
    }
}

#[test]
fn crds_are_those_in_the_repository() {
    let printed = ended(&["crds"]).out;
    let documents: Vec<Value> = podium_operator::yaml::documents(&printed).unwrap();
    assert_eq!(documents, podium_api::crds());
    assert_eq!(documents.len(), 6);
}

#[test]
fn help_has_examples_and_wrong_usage_exits_with_2() {
    for command in [
        vec!["--help"],
        vec!["run", "--help"],
        vec!["train", "--help"],
        vec!["score", "--help"],
        vec!["evaluate", "--help"],
        vec!["get", "--help"],
        vec!["delete", "--help"],
        vec!["approve", "--help"],
        vec!["reject", "--help"],
        vec!["history", "--help"],
        vec!["rollback", "--help"],
    ] {
        let help = ended(&command);
        assert_eq!(help.code, Some(0));
        assert!(help.out.contains("Example"), "{command:?} has no example");
        assert!(!help.out.contains("supervise "), "{}", help.out);
    }
    assert_eq!(ended(&["run"]).code, Some(2));
    assert_eq!(ended(&["evaluate", "--label", "y"]).code, Some(2));
    assert_eq!(
        ended(&[
            "evaluate",
            "--predictions",
            "a",
            "--label",
            "y",
            "--guardrail",
            "f2:1"
        ])
        .code,
        Some(2)
    );
}

#[test]
fn evaluate_gives_the_verdict_of_the_run_and_everything_as_json() {
    let (project, _) = undisturbed();
    let predictions = |version: u32| {
        project
            .path()
            .join(format!(".podium/predictions/v{version}.parquet"))
            .display()
            .to_string()
    };
    let (champion, challenger) = (predictions(1), predictions(2));
    let arguments = [
        "evaluate",
        "--champion",
        &champion,
        "--challenger",
        &challenger,
        "--id",
        "transaction_id",
        "--label",
        "tx_fraud",
        "--cluster",
        "customer_id",
        "--guardrail",
        "weightedF1:0.01",
        "--rows-noun",
        "transactions",
    ];
    let text = ended(&arguments);
    assert_eq!(text.code, Some(0), "{}", text.err);
    assert!(
        text.out.contains("The challenger raises ROC AUC by 0.0"),
        "{}",
        text.out
    );
    assert!(text.out.contains("Matthews correlation"), "{}", text.out);
    let whole = ended(&[&arguments[..], &["-o", "json"]].concat());
    let evaluation: Value = serde_json::from_str(&whole.out).unwrap();
    assert_eq!(evaluation["verdict"], "Superior");
    let comparison = &evaluation["comparison"];
    assert_eq!(comparison["verdict"]["kind"], "Superior");
    let statistics = &comparison["statistics"];
    assert_eq!(statistics["challenger"].as_object().unwrap().len(), 13);
    let of_run = &project.only("evaluations")["status"]["statistics"];
    assert_eq!(
        statistics["metrics"][0]["difference"],
        of_run["metrics"][0]["difference"]
    );
    assert_eq!(statistics["crossCheck"], of_run["crossCheck"]);
}

#[test]
fn two_columns_of_one_file_are_compared_too() {
    let project = Project::new();
    let rows = both("group", |_| "a".to_string());
    let file = project.write("both.csv", &rows).display().to_string();
    let found = evaluate(&file, &[]);
    assert_eq!(found.code, Some(0), "{}", found.err);
    assert!(
        found.out.contains("The challenger raises ROC AUC"),
        "{}",
        found.out
    );
}

#[test]
fn train_reports_each_fold_with_its_weight_and_flags_leakage() {
    let data = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/fraud/data/train.parquet"
    );
    let out = Project::new();
    let output = format!("file://{}/out", out.path().display());
    let trained = podium()
        .args([
            "train", "--data", data, "--label", "tx_fraud", "--weight", "balanced", "--folds", "3",
            "--output", &output,
        ])
        .args([
            "--exclude",
            "transaction_id,customer_id,terminal_id,tx_time_seconds,tx_time_days",
        ])
        .env("numTrees", "5")
        .output()
        .unwrap();
    let (printed, warned) = (
        String::from_utf8(trained.stdout).unwrap(),
        String::from_utf8(trained.stderr).unwrap(),
    );
    assert!(trained.status.success(), "{warned}");
    assert!(
        warned.contains("SuspectedLeakage: the feature `tx_fraud_scenario` determines the label"),
        "{warned}"
    );
    let report: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let keys: Vec<&String> = report["metrics"].as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 9, "{keys:?}");
    assert!(report["metrics"]["auc_fold_3"].as_f64().unwrap() > 0.99);
    let weights: f64 = report["weights"]
        .as_object()
        .unwrap()
        .values()
        .map(|weight| weight.as_f64().unwrap())
        .sum();
    assert!((weights - 67_533.0).abs() < 1e-6, "{weights}");
    assert!(out.path().join("out/predictions.parquet").is_file());
    assert!(!out.path().join("out/model.parquet").exists());
}

#[test]
fn bench_search_answers_its_protocol() {
    let mut child = podium()
        .args(["bench", "search"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let requests = [
        json!({"op": "init", "space": [{"name": "x", "type": "float", "low": 0.0, "high": 1.0, "log": false}], "seed": 0, "budget": 3, "parallel": 1}),
        json!({"op": "ask"}),
        json!({"op": "tell", "id": 0, "value": 0.5}),
        json!({"op": "ask"}),
    ];
    let mut input = child.stdin.take().unwrap();
    for request in requests {
        writeln!(input, "{request}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    let replies: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(replies.len(), 4);
    assert!(
        replies.iter().all(|reply| reply.get("error").is_none()),
        "{replies:?}"
    );
    assert!((0.0..=1.0).contains(&replies[1]["config"]["x"].as_f64().unwrap()));
}
