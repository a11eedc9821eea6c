//! What becomes of each leaf of a kind's specification.

use serde_json::Value;

#[path = "../../../../tests/fixtures/merge_patch.rs"]
mod merge_patch;
use merge_patch::merged;
#[path = "../../../../tests/fixtures/leaves.rs"]
mod leaves;
use leaves::leaves;

/// What becomes of a field.
#[allow(dead_code)] // Not every kind has each.
pub enum Fate {
    /// It is carried out: what is made of the specification differs between the two changes of the base.
    Carried(Value, Value),
    /// It, or what it stands in, is refused: the change of the base leads to a problem at this path.
    Refused(Value, &'static str),
    /// It has one value only.
    Constant,
}

/// Asks of every leaf what becomes of it. `outcome` is what is made of a specification, or its problems.
pub fn every_leaf_has_its_fate(
    kind: &str,
    base: &Value,
    fates: &[(&str, Fate)],
    outcome: impl Fn(&Value) -> Result<String, Vec<String>>,
) {
    let leaves = leaves(kind);
    let covers = |path: &str, fate: &Fate, leaf: &str| {
        let below = leaf.strip_prefix(path);
        let whole = matches!(fate, Fate::Refused(..));
        below.is_some_and(|rest| rest.is_empty() || (whole && rest.starts_with(['.', '['])))
    };
    for leaf in &leaves {
        let found = fates.iter().filter(|(path, fate)| covers(path, fate, leaf));
        assert_eq!(
            found.count(),
            1,
            "{kind}: {leaf} must be carried out or refused, and stand in the table once"
        );
    }
    let sound = outcome(base);
    assert!(sound.is_ok(), "{kind}: {sound:?}");
    for (path, fate) in fates {
        let known = leaves.iter().any(|leaf| covers(path, fate, leaf));
        assert!(known, "{kind}: the schema has no {path}");
        match fate {
            Fate::Carried(one, other) => {
                let (one, other) = (outcome(&merged(base, one)), outcome(&merged(base, other)));
                assert!(
                    one.is_ok() && other.is_ok(),
                    "{kind}: {path}: {one:?} {other:?}"
                );
                assert_ne!(one, other, "{kind}: {path} changes nothing");
            }
            Fate::Refused(change, at) => {
                let problems = outcome(&merged(base, change)).expect_err(path);
                let named = problems
                    .iter()
                    .any(|problem| problem.starts_with(&format!("{at}: must ")));
                assert!(named, "{kind}: {path}: {problems:?}");
                let later = |problem: &&String| {
                    problem.starts_with(&format!("{at}: must be left out: this version"))
                };
                if problems.iter().any(|problem| later(&problem)) {
                    let described = schema_of(kind, &without_positions(at));
                    let description = described["description"].as_str().unwrap_or_default();
                    assert!(
                        description.contains("in this version of Podium"),
                        "{kind}: the description of {at} must say that it is not in this version: {description}"
                    );
                }
            }
            Fate::Constant => {
                let values = schema_of(kind, path)["enum"].as_array().cloned();
                assert_eq!(
                    values.map_or(0, |values| values.len()),
                    1,
                    "{kind}: {path} has a choice"
                );
            }
        }
    }
}

/// `a[].b` for `a[0].b`.
fn without_positions(path: &str) -> String {
    path.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn schema_of(kind: &str, path: &str) -> Value {
    let pointer = path.replace("[]", ".items").replace('.', "/");
    let pointer = pointer
        .replace("/items", "\u{0}")
        .replace('/', "/properties/")
        .replace('\u{0}', "/items");
    let crd = podium_api::crd_of(kind).unwrap();
    let root = "/spec/versions/0/schema/openAPIV3Schema/properties/";
    crd.pointer(&format!("{root}{pointer}")).cloned().unwrap()
}
