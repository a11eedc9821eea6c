//! Reports of comparisons over runs of the program.

use crate::policies::{alias, call, point, predictions, project, run};
use crate::project::{Project, ended};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// The only comparison, and its name.
fn comparison(project: &Project) -> (String, Value) {
    let evaluation = project.only("evaluations");
    let name = evaluation["metadata"]["name"].as_str().unwrap().to_string();
    (name, evaluation)
}

/// The page of a report and the document beside it.
fn report(page: PathBuf) -> [Vec<u8>; 2] {
    [
        fs::read(&page).unwrap(),
        fs::read(page.with_extension("json")).unwrap(),
    ]
}

#[test]
fn a_comparison_is_reported_and_whoever_makes_it_again_gets_the_same_bytes() {
    let project = project("  reports: {uri: \"file://my%20reports\"}");
    let finished = run(&project);
    assert_eq!(alias(&project, "champion"), "2");
    let (name, evaluation) = comparison(&project);
    let uri = format!("file://my%20reports/p/{name}.html");
    assert_eq!(evaluation["status"]["reportURI"], uri);
    assert_eq!(evaluation["status"]["reportMessage"], Value::Null);
    let line = format!("report: {uri}\n");
    assert!(finished.out.contains(&line), "{}", finished.out);

    let written = report(project.path().join(format!("my reports/p/{name}.html")));
    let [page, document] = written
        .clone()
        .map(|bytes| String::from_utf8(bytes).unwrap());
    for part in ["m: v2 against v1", "<svg ", "pred/v2.csv", &name] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["evaluation"], name);
    assert_eq!(document["verdict"], "Superior");
    let status = &evaluation["status"];
    let statistics = &document["comparison"]["statistics"];
    for field in ["/seed", "/rows", "/resamples", "/metrics/0/difference"] {
        let stored = status["statistics"].pointer(field);
        assert!(stored.is_some(), "{field}");
        assert_eq!(statistics.pointer(field), stored, "{field}");
    }
    for file in ["champion", "challenger"] {
        let read = &status["evidence"][file];
        assert_eq!(
            document["evidence"][file]["sha256"], read["sha256"],
            "{file}"
        );
    }

    let stored = project
        .path()
        .join(format!(".podium/state/evaluations/{name}.yaml"));
    let stored = stored.display().to_string();
    let again = project.path().join("again.html");
    let arguments = [
        "evaluate",
        "--from",
        &stored,
        "--report",
        again.to_str().unwrap(),
    ];
    let made_again = call(&project, &arguments);
    assert_eq!(made_again.code, Some(0), "{}", made_again.err);
    assert!(report(again) == written, "the report is another one");
}

/// A file lies where the folder of reports is to be.
#[test]
fn a_report_that_cannot_be_written_keeps_no_verdict() {
    let project = project("  reports: {uri: all.yaml}");
    let finished = run(&project);
    assert_eq!(alias(&project, "champion"), "2");
    let (name, evaluation) = comparison(&project);
    let status = &evaluation["status"];
    assert_eq!(
        (&status["verdict"], &status["reportURI"]),
        (&Value::from("Superior"), &Value::Null)
    );
    let why = status["reportMessage"].as_str().unwrap();
    let place = format!("all.yaml/p/{name}.json: ");
    assert!(
        why.starts_with("cannot write ") && why.contains(&place),
        "{why}"
    );
    assert!(
        finished.out.contains(&format!("warning: {why}\n")),
        "{}",
        finished.out
    );
}

/// A policy with reports there, whose predictions are directories of parts.
fn in_parts(reports: &str) -> Project {
    let project = project(&format!("  reports: {{uri: {reports}}}"));
    project.replace("all.yaml", "$(version).csv", "$(version)");
    for (version, signal, step) in [("1", 0.1, 31), ("2", 0.4, 53), ("3", 0.8, 71)] {
        let rows = predictions(0, 900, signal, step);
        project.write(&format!("pred/v{version}/part-0.csv"), &rows);
    }
    project
}

#[test]
fn each_comparison_has_a_report_of_its_own() {
    let project = in_parts("pred");
    run(&project);
    point(&project, "challenger", "3");
    run(&project);
    assert_eq!(alias(&project, "champion"), "3");
    let written = fs::read_dir(project.path().join("pred/p")).unwrap();
    assert_eq!(written.count(), 4, "two pages and two documents");
}

/// It would be read as rows the next time.
#[test]
fn a_report_is_never_written_among_the_parts_of_a_table() {
    let project = in_parts("pred/v2");
    run(&project);
    assert_eq!(alias(&project, "champion"), "2");
    let (_, evaluation) = comparison(&project);
    let why = evaluation["status"]["reportMessage"].as_str().unwrap();
    assert!(why.contains("which is an input"), "{why}");
    let parts = fs::read_dir(project.path().join("pred/v2")).unwrap();
    assert_eq!(parts.count(), 1);
}

#[test]
fn files_that_are_compared_by_hand_are_reported_too() {
    let project = project("");
    let path = |name: &str| project.path().join(name).display().to_string();
    let (old, new, page) = (
        path("pred/v1.csv"),
        path("pred/v2.csv"),
        path("out/by hand.html"),
    );
    let files = [
        "evaluate",
        "--champion",
        &old,
        "--challenger",
        &new,
        "--id",
        "id",
        "--label",
        "y",
    ];
    let printed = ended(&[&files[..], &["-o", "json", "--report", page.as_str()]].concat());
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    let printed: Value = serde_json::from_str(&printed.out).unwrap();
    let [text, document] = report(PathBuf::from(&page));
    assert!(
        String::from_utf8(text)
            .unwrap()
            .contains("The challenger against the champion")
    );
    let document: Value = serde_json::from_slice(&document).unwrap();
    for field in ["verdict", "sentence", "comparison"] {
        assert_eq!(document[field], printed[field], "{field}");
    }
    assert_eq!(document.get("policy"), None);

    // What was found is printed, although there is no place for the report.
    let nowhere = path("pred/v1.csv/a.html");
    let failed = ended(&[&files[..], &["--report", nowhere.as_str()]].concat());
    assert_eq!(failed.code, Some(1));
    assert!(failed.err.contains("cannot write"), "{}", failed.err);
    assert!(failed.out.contains("raises ROC AUC"), "{}", failed.out);
}
