//! Stories around a policy over three versions: what people do, and what came of the last run.

use crate::merge_patch::merged;
use crate::project::{Finished, Project};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::PathBuf;

/// What people do around the runs of which the last is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Story {
    /// The policy is applied and run.
    #[default]
    Applied,
    /// Version 3 is champion when it is applied.
    ThirdIsChampion,
    /// There is no champion yet.
    NoChampion,
    /// Version 2 was promoted and version 3 is challenger; the change comes with it.
    ThirdFollows,
    /// Version 2 was promoted and somebody moved the alias back; the change comes then.
    RolledBack,
    /// The same, and version 3 is challenger.
    RolledBackForTheThird,
    /// The predictions of version 2 lie elsewhere.
    Unscored,
    /// A scorer measures a latency of twice the champion's, and a size.
    Measured,
    /// A search registers version 4.
    Search,
    /// Somebody approved the decision that waits for it.
    Approved,
    /// Somebody approved it an hour ago, and somebody else did now.
    ApprovedLongAgo,
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    })
}

pub fn policy(patches: &[&Value]) -> Value {
    let mut spec = json!({
        "registryRef": {"name": "models"},
        "model": "m",
        "evidence": {"predictions": {
            "uri": "file://pred/v$(version).csv", "columns": {"id": "id", "label": "y"},
        }},
        "test": {"resamples": 200},
    });
    for patch in patches.iter().filter(|patch| !patch.is_null()) {
        spec = merged(&spec, patch);
    }
    object("ChampionPolicy", "p", &spec)
}

/// Predictions with a second column of each kind; a higher `signal` is a better model.
fn predictions(signal: f64, step: u32) -> String {
    let mut text = "id,y,score,w,c,s,t,id2,y2,score2\n".to_string();
    for row in 0..600_u32 {
        let label = u32::from(row % 3 == 0);
        let noise = f64::from(row * step % 97) / 97.0;
        let score = (100.0 * (signal * f64::from(label) + (1.0 - signal) * noise)).round() / 100.0;
        let letter = |of: u32| if row % of == 0 { 'a' } else { 'b' };
        let (w, c, s, t) = (1 + row % 3, row / 4, letter(2), letter(5));
        let (id2, y2, score2) = (row + 1, u32::from(row % 5 == 0), 1.0 - score / 2.0);
        text += &format!("{row},{label},{score},{w},{c},{s},{t},{id2},{y2},{score2}\n");
    }
    text
}

pub fn project() -> Project {
    let project = Project::new();
    for (version, signal, step) in [
        ("1", 0.1, 31),
        ("2", 0.4, 53),
        ("3", 0.8, 71),
        ("4", 0.9, 37),
    ] {
        project.write(&format!("pred/v{version}.csv"), &predictions(signal, step));
        project.write(
            &format!("other/v{version}.csv"),
            &predictions(signal / 2.0, step + 2),
        );
        if version != "4" {
            let directory = format!("registry/m/versions/{version}");
            project.write(&format!("{directory}/version.yaml"), "source: by hand\n");
            project.write(&format!("{directory}/files/model.bin"), version);
        }
    }
    let holdout: String = predictions(0.1, 31)
        .lines()
        .map(|line| line.split(',').take(2).collect::<Vec<_>>().join(",") + "\n")
        .collect();
    project.write("holdout.csv", &holdout);
    let registry = json!({"directory": {"path": "registry"}});
    project.write(
        "registry.yaml",
        &object("ModelRegistry", "models", &registry).to_string(),
    );
    point(&project, "champion", "1");
    point(&project, "challenger", "2");
    project
}

fn point(project: &Project, alias: &str, version: &str) {
    project.write(
        &format!("registry/m/aliases/{alias}"),
        &format!("{version}\n"),
    );
}

pub fn apply(project: &Project, policy: &Value) -> Finished {
    project.write("policy.yaml", &policy.to_string());
    project.run()
}

pub fn approve(project: &Project, name: &str, change: &Value) {
    let policy = project.only("championpolicies");
    let pending = &policy["status"]["pendingDecision"];
    let spec = json!({
        "policyRef": {"name": "p"}, "decisionID": pending["id"],
        "evidenceDigest": pending["evidenceDigest"], "verdict": "Approve", "approver": name,
    });
    project.write(
        &format!("approval-{name}.yaml"),
        &object("Approval", name, &merged(&spec, change)).to_string(),
    );
}

const SCORER: &str = r#"
m=$MODEL_VERSION; echo "{\"measurements\": {\"latency\": $m, \"size\": 7}}" > "$PODIUM_TERMINATION_MESSAGE_PATH""#;

/// Lives through a story; the change comes last.
pub fn live(story: Story, base: &Value, change: &Value) -> (Project, Finished) {
    let project = project();
    let before = policy(&[base]);
    let after = policy(&[base, change]);
    let promoted = || drop(apply(&project, &before));
    let finished = match story {
        Story::Applied => apply(&project, &after),
        Story::ThirdIsChampion => {
            point(&project, "champion", "3");
            apply(&project, &after)
        }
        Story::NoChampion => {
            fs::remove_file(project.path().join("registry/m/aliases/champion")).unwrap();
            apply(&project, &after)
        }
        Story::ThirdFollows => {
            promoted();
            point(&project, "challenger", "3");
            apply(&project, &after)
        }
        Story::RolledBack | Story::RolledBackForTheThird => {
            promoted();
            point(&project, "champion", "1");
            if story == Story::RolledBackForTheThird {
                point(&project, "challenger", "3");
            }
            apply(&project, &after)
        }
        Story::Unscored => {
            fs::create_dir_all(project.path().join("spare")).unwrap();
            let path = |folder: &str| project.path().join(folder).join("v2.csv");
            fs::rename(path("pred"), path("spare")).unwrap();
            fs::copy(
                project.path().join("pred/v1.csv"),
                project.path().join("spare/v1.csv"),
            )
            .unwrap();
            apply(&project, &after)
        }
        Story::Measured => {
            let container = json!({"name": "s", "image": "none", "command": ["sh", "-c", SCORER]});
            let template = json!({"spec": {"containers": [container]}});
            let scorer = json!({"evidence": {"scorer": {"job": {"template": template}}}});
            apply(&project, &policy(&[base, change, &scorer]))
        }
        Story::Search => {
            project.write("search.yaml", &search().to_string());
            apply(&project, &after)
        }
        Story::Approved => {
            apply(&project, &after);
            approve(&project, "alice", &json!({}));
            apply(&project, &after)
        }
        Story::ApprovedLongAgo => {
            apply(&project, &after);
            approve(&project, "alice", &json!({}));
            apply(&project, &after);
            let file = project.path().join(".podium/state/approvals/alice.yaml");
            let mut approval: Value =
                podium_operator::yaml::document(&fs::read_to_string(&file).unwrap()).unwrap();
            let hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
            approval["metadata"]["creationTimestamp"] = json!(hour_ago.to_string());
            fs::write(&file, approval.to_string()).unwrap();
            approve(&project, "bob", &json!({}));
            apply(&project, &after)
        }
    };
    (project, finished)
}

/// A search of one trial whose winner becomes version 4.
fn search() -> Value {
    let script = r#"mkdir -p "out/$PODIUM_TRIAL"; echo m > "out/$PODIUM_TRIAL/model"
echo '{"metrics": {"loss": 1}}' > "$PODIUM_TERMINATION_MESSAGE_PATH""#;
    let container = json!({"name": "t", "image": "none", "command": ["sh", "-c", script]});
    let mut search = object(
        "TuningJob",
        "s",
        &json!({
            "maxTrials": 1,
            "parallelism": 1,
            "maxFailedTrials": 1,
            "objective": {"direction": "Minimize", "metric": "loss"},
            "parameters": [{"name": "x", "real": {"min": 0, "max": 1}}],
            "trial": {
                "activeDeadlineSeconds": 60,
                "outputURI": "file://out/$(PODIUM_TRIAL)",
                "job": {"template": {"spec": {"containers": [container]}}},
            },
            "register": {"registryRef": {"name": "models"}, "model": "m", "alias": "found"},
        }),
    );
    search["metadata"]["labels"] = json!({"team": "risk"});
    search
}

/// What came of a run, without names, times and digests that differ from run to run or repeat the specification.
pub fn outcome(project: &Project) -> Value {
    let aliases = project.path().join("registry/m/aliases");
    let mut pointed: Map<String, Value> = Map::new();
    for entry in fs::read_dir(aliases).unwrap().flatten() {
        let version = fs::read_to_string(entry.path()).unwrap();
        pointed.insert(
            entry.file_name().to_string_lossy().into(),
            json!(version.trim()),
        );
    }
    let mut claimed: Vec<PathBuf> = project
        .everything()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    claimed.retain(|path| path.to_string_lossy().contains("/ledger/claim/"));
    let statuses = |plural: &str| -> Vec<Value> {
        let of = |object: Value| {
            let mut status = plain(&object["status"]);
            // It is a digest of the specification.
            if let Some(last) = status["lastEvaluation"].as_object_mut() {
                last.remove("name");
            }
            status
        };
        project.objects(plural).into_iter().map(of).collect()
    };
    let found = json!({
        "aliases": pointed, "claims": claimed.len(),
        "policies": statuses("championpolicies"), "evaluations": statuses("evaluations"),
    });
    let here = project.path().display().to_string();
    serde_json::from_str(&found.to_string().replace(&here, "")).unwrap()
}

fn plain(value: &Value) -> Value {
    const LEFT_OUT: [&str; 9] = [
        "settings",
        "when",
        "decisionID",
        "id",
        "evidenceDigest",
        "since",
        "scored",
        "uri",
        "owner",
    ];
    let repeats = |key: &str| LEFT_OUT.contains(&key) || key.to_lowercase().ends_with("time");
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| !repeats(key));
            kept.map(|(key, value)| (key.clone(), plain(value)))
                .collect()
        }
        Value::Array(values) => values.iter().map(plain).collect(),
        other => other.clone(),
    }
}
