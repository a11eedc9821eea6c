//! Rules of this repository that are kept by tests: what the core depends on, how long files are, and what documents say.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_string()
}

/// Names of all packages that `package` needs outside of tests, itself left out.
fn needed_by(metadata: &Value, package: &str) -> BTreeSet<String> {
    let names: BTreeMap<String, String> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (text(package, "id"), text(package, "name")))
        .collect();
    let nodes: BTreeMap<String, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (text(node, "id"), node))
        .collect();
    let start = names
        .iter()
        .find(|(_, name)| *name == package)
        .unwrap()
        .0
        .clone();
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    while let Some(id) = open.pop() {
        for dependency in nodes[&id]["deps"].as_array().unwrap() {
            let normal = dependency["dep_kinds"]
                .as_array()
                .unwrap()
                .iter()
                .any(|kind| kind["kind"].is_null());
            let id = text(dependency, "pkg");
            if normal && seen.insert(id.clone()) {
                open.push(id);
            }
        }
    }
    seen.iter().map(|id| names[id].clone()).collect()
}

#[test]
fn the_core_knows_no_cluster_no_network_no_file_and_no_clock() {
    let needed = needed_by(&metadata(), "podium-core");
    let forbidden = [
        "kube",
        "kube-client",
        "kube-core",
        "k8s-openapi",
        "tokio",
        "hyper",
        "reqwest",
        "ureq",
        "rustls",
        "tower",
        "parquet",
        "arrow",
        "csv",
        "tempfile",
        "rustix",
        "jiff",
        "time",
        "tracing",
        "clap",
        "aws-sdk-s3",
    ];
    let found: Vec<_> = forbidden
        .iter()
        .filter(|name| needed.contains(**name))
        .collect();
    assert!(found.is_empty(), "podium-core depends on {found:?}");
    assert!(
        needed.len() < 95,
        "podium-core depends on {} packages: {needed:?}",
        needed.len()
    );
}

#[test]
fn the_core_does_not_ask_for_the_time_or_the_machine() {
    for file in sources(&root().join("crates/core/src")) {
        let code = std::fs::read_to_string(&file).unwrap();
        let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
        if file
            .components()
            .any(|part| part.as_os_str().to_string_lossy().starts_with("tests"))
        {
            continue;
        }
        for forbidden in [
            "SystemTime",
            "Instant::now",
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "std::thread",
        ] {
            assert!(
                !code.contains(forbidden),
                "{} uses {forbidden}",
                file.display()
            );
        }
    }
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn no_file_has_more_than_400_lines_of_code() {
    let mut long = Vec::new();
    for directory in ["src", "tests", "crates"] {
        for file in sources(&root().join(directory)) {
            let text = std::fs::read_to_string(&file).unwrap();
            let lines = text
                .lines()
                .map(str::trim)
                .filter(|line| !line.is_empty() && !line.starts_with("//"))
                .count();
            if lines > 400 {
                long.push(format!(
                    "{}: {lines}",
                    file.strip_prefix(root()).unwrap().display()
                ));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_dependency_has_its_reason() {
    let metadata = metadata();
    let reasons = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let own = [
        "podium-core",
        "podium-api",
        "podium-operator",
        "podium-workload",
        "podium-testbed",
    ];
    let mut direct = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        if own.contains(&text(package, "name").as_str()) {
            direct.extend(
                package["dependencies"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|dependency| text(dependency, "name")),
            );
        }
    }
    direct.retain(|name| !own.contains(&name.as_str()));
    let listed: BTreeSet<String> = reasons
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_string)
        .collect();
    assert_eq!(
        direct, listed,
        "docs/dependencies.md must list exactly the direct dependencies"
    );
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents(root()) {
        let text = std::fs::read_to_string(&document).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !document.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn documents(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            found.extend(documents(&path));
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
    found
}

/// What people check by eye is what the code asks.
#[test]
fn the_table_of_gates_in_the_architecture_is_that_of_the_code() {
    let document = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mark = |asked: bool| if asked { "x" } else { "-" };
    let rows = podium_core::champion::GATES.0.map(|row| {
        let asked = row.asked.map(mark).join(" | ");
        format!("| {} | {} | {asked} |", row.gate.name(), row.must_hold)
    });
    let table = rows.join("\n");
    assert!(
        document.contains(&table),
        "ARCHITECTURE.md must hold this table:\n{table}"
    );
}

#[test]
fn the_table_of_starts_in_the_documentation_is_that_of_the_code() {
    let document = std::fs::read_to_string(root().join("docs/retraining.md")).unwrap();
    let mark = |asked: bool| if asked { "x" } else { "-" };
    let rows = podium_core::retraining::GATES.map(|row| {
        let asked = row.asked.map(mark).join(" | ");
        let (name, fate) = (row.gate.name(), row.closed.name());
        format!("| {name} | {} | {asked} | {fate} |", row.must_hold)
    });
    let table = rows.join("\n");
    assert!(
        document.contains(&table),
        "docs/retraining.md must hold this table:\n{table}"
    );
}
