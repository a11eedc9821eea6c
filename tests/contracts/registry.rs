//! The registry in a directory.

use crate::registry_laws::*;
use podium_operator::adapters::directory::registry::DirectoryRegistry;
use podium_operator::ports::ModelRegistry;
use std::collections::BTreeMap;

fn directory() -> (Case<DirectoryRegistry>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("output");
    std::fs::create_dir(&output).unwrap();
    std::fs::write(output.join("model.parquet"), "weights").unwrap();
    let registry = DirectoryRegistry::new(
        directory.path().join("registry"),
        directory.path().to_path_buf(),
    );
    let source = "file://output".to_string();
    (
        Case {
            registry,
            model: "fraud".to_string(),
            source,
        },
        directory,
    )
}

#[test]
fn a_version_of_the_directory_holds_the_files_and_its_tags() {
    let (case, alive) = directory();
    crate::run(async {
        case.register("a").await;
        let tags = BTreeMap::from([("verdict".to_string(), "Superior".to_string())]);
        case.registry.tag("fraud", "1", tags).await.unwrap();
    });
    let version = alive.path().join("registry/fraud/versions/1");
    assert_eq!(
        std::fs::read_to_string(version.join("files/model.parquet")).unwrap(),
        "weights"
    );
    let text = std::fs::read_to_string(version.join("version.yaml")).unwrap();
    assert!(
        text.contains("trial: a") && text.contains("verdict: Superior"),
        "{text}"
    );
}

with_every_law!(suite! directory_registry => super::directory(););
