//! Every field of a `ChampionPolicy`, an `Evaluation` and an `Approval` is carried out or refused by its name: a table has a row for each
//! leaf of the schema, and changing the field changes what comes of a run.

use crate::stories::{Story, apply, approve, live, outcome, policy, project};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    field: String,
    #[serde(default)]
    story: Story,
    #[serde(default)]
    base: Value,
    change: Value,
    #[serde(default)]
    refused: bool,
}

fn rows(kind: &str) -> Vec<Row> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/fields/{kind}.yaml"));
    let text = fs::read_to_string(path).unwrap();
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let text = text
        .replace(
            "{IN_HALF_AN_HOUR}",
            &format!("{} * * * *", (now.minute() + 30) % 60),
        )
        .replace(
            "{SIX_HOURS_AGO}",
            &format!("0 {} * * *", (now.hour() + 18) % 24),
        );
    serde_json::from_value(podium_operator::yaml::document(&text).unwrap()).unwrap()
}

/// The paths of all fields of a kind's `spec` that have no named fields of their own, below it.
fn leaves(kind: &str) -> BTreeSet<String> {
    let below_spec = |leaf: String| {
        let path = leaf.trim_start_matches("spec.");
        path.trim_end_matches(".*").to_string()
    };
    crate::leaves::leaves(kind)
        .into_iter()
        .map(below_spec)
        .collect()
}

fn check_complete(kind: &str, rows: &[Row]) {
    let named: BTreeSet<String> = rows.iter().map(|row| row.field.clone()).collect();
    assert_eq!(
        named,
        leaves(kind),
        "the table of {kind} has a row for each field, and no other"
    );
}

fn check(row: &Row) -> Result<(), String> {
    let (before, _) = live(row.story, &row.base, &json!({}));
    let (after, finished) = live(row.story, &row.base, &row.change);
    if row.refused {
        let said = format!("{}{}", finished.out, finished.err);
        // What the field stands in may be refused as a whole.
        let ends = row.field.match_indices('.').map(|(end, _)| end);
        let refused = ends.chain([row.field.len()]).any(|end| {
            let path = row.field[..end].replace("[]", "");
            said.contains(&format!("spec.{path}: must be left out"))
        });
        return if refused {
            Ok(())
        } else {
            Err(format!("{} is not refused by its name: {said}", row.field))
        };
    }
    let (was, is) = (outcome(&before), outcome(&after));
    if was == is {
        return Err(format!(
            "{} changes nothing: {was:#}\n{}",
            row.field, finished.out
        ));
    }
    Ok(())
}

/// Otherwise a difference would say nothing about the field.
#[test]
fn the_same_story_twice_comes_to_the_same() {
    let mut seen = BTreeSet::new();
    for row in rows("ChampionPolicy") {
        if !row.refused && seen.insert(row.story) {
            let once = outcome(&live(row.story, &row.base, &json!({})).0);
            let again = outcome(&live(row.story, &row.base, &json!({})).0);
            assert_eq!(once, again, "{:?}", row.story);
        }
    }
}

#[test]
fn each_field_of_a_policy_is_carried_out_or_refused() {
    let rows = rows("ChampionPolicy");
    check_complete("ChampionPolicy", &rows);
    let wrong: Vec<String> = rows.iter().filter_map(|row| check(row).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_field_of_an_approval_counts() {
    let rows = rows("Approval");
    check_complete("Approval", &rows);
    let promoted = |change: &Value| {
        let project = project();
        let waits =
            policy(&[&json!({"promotion": {"mode": "Approval", "approval": {"required": 2}}})]);
        apply(&project, &waits);
        approve(&project, "bob", &json!({}));
        approve(&project, "alice", change);
        apply(&project, &waits);
        outcome(&project)
    };
    let both = promoted(&json!({}));
    assert_eq!(both["aliases"]["champion"], "2", "{both:#}");
    for row in rows {
        assert_ne!(promoted(&row.change), both, "{} changes nothing", row.field);
    }
}

/// An Evaluation is written by Podium: one that asks anything else than the policy is refused by the name of the field.
#[test]
fn each_field_of_an_evaluation_must_be_what_the_policy_asks() {
    let project = project();
    let full = json!({
        "evidence": {
            "predictions": {"columns": {"weight": "w", "cluster": "c"}},
            "slices": [{"name": "s", "column": "s", "equals": "a"}],
        },
        "test": {"guardrails": [{"metric": "f1", "slice": "s", "maxRegression": 0.5}], "observe": ["ks"]},
    });
    apply(
        &project,
        &policy(&[&full, &json!({"promotion": {"mode": "DryRun"}})]),
    );
    let evaluation = project.only("evaluations");
    let name = evaluation["metadata"]["name"].as_str().unwrap();
    let file = project
        .path()
        .join(format!(".podium/state/evaluations/{name}.yaml"));
    for leaf in leaves("Evaluation") {
        let mut changed = evaluation.clone();
        set_otherwise(&mut changed["spec"], &leaf);
        fs::write(&file, changed.to_string()).unwrap();
        let finished = project.run();
        let sentence = format!("of the Evaluation {name} is not what this policy asks");
        let first = leaf.split(['.', '[']).next().unwrap();
        assert!(
            finished.out.contains(&sentence) && finished.out.contains(&format!("`spec.{first}")),
            "{leaf}: {}{}",
            finished.out,
            finished.err
        );
    }
}

/// Gives a field another value than it has, of the type that the schema asks.
fn set_otherwise(spec: &mut Value, leaf: &str) {
    let crd = podium_api::crd_of("Evaluation").unwrap();
    let mut schema = crd
        .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
        .unwrap();
    let mut at = spec;
    for part in leaf.replace("[]", ".[]").split('.') {
        if part == "[]" {
            schema = &schema["items"];
            if !at.is_array() {
                *at = json!([]);
            }
            let items = at.as_array_mut().unwrap();
            if items.is_empty() {
                items.push(element(schema));
            }
            at = &mut items[0];
        } else {
            if !at.is_object() {
                *at = element(schema);
            }
            schema = &schema["properties"][part];
            at = at
                .as_object_mut()
                .unwrap()
                .entry(part)
                .or_insert(Value::Null);
        }
    }
    *at = other_value(schema, at);
}

/// A valid element of a list: its required fields.
fn element(schema: &Value) -> Value {
    if schema["type"] != "object" {
        return Value::Null;
    }
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let names = required.iter().filter_map(Value::as_str);
    names
        .map(|name| {
            (
                name.to_string(),
                other_value(&schema["properties"][name], &Value::Null),
            )
        })
        .collect()
}

fn other_value(schema: &Value, than: &Value) -> Value {
    if let Some(names) = schema["enum"].as_array() {
        return names.iter().find(|name| *name != than).unwrap().clone();
    }
    match schema["type"].as_str() {
        Some("boolean") => json!(than != &json!(true)),
        Some("integer") => json!(if than == &json!(500) { 600 } else { 500 }),
        Some("number") => json!(if than == &json!(0.625) { 0.75 } else { 0.625 }),
        _ if schema["minLength"] == 64 => json!("0".repeat(64)),
        _ => json!(format!("{}x", than.as_str().unwrap_or("x"))),
    }
}
