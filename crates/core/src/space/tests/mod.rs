//! Spaces for tests of this module and of the searches, and what must hold of spaces.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

mod problems;

pub(crate) fn parameter(name: &str, domain: Domain) -> Parameter {
    Parameter {
        name: name.into(),
        domain,
        when: None,
    }
}

pub(crate) fn conditional(name: &str, domain: Domain, when: &str) -> Parameter {
    Parameter {
        name: name.into(),
        domain,
        when: Some(when.into()),
    }
}

pub(crate) fn real(min: f64, max: f64) -> Domain {
    Domain::Real {
        min,
        max,
        scale: Scale::Linear,
        step: None,
    }
}

pub(crate) fn integer(min: i64, max: i64, step: i64) -> Domain {
    Domain::Integer {
        min,
        max,
        step: Some(step),
        scale: Scale::Linear,
    }
}

pub(crate) fn categorical(values: &[&str]) -> Domain {
    Domain::Categorical {
        values: values.iter().map(|&value| value.into()).collect(),
    }
}

pub(crate) fn ordinal(values: &[&str]) -> Domain {
    Domain::Ordinal {
        values: values.iter().map(|&value| value.into()).collect(),
    }
}

pub(crate) fn constraint(expression: &str) -> ParameterConstraint {
    ParameterConstraint {
        expression: expression.into(),
        message: String::new(),
    }
}

/// The search of a random forest for fraud: seven parameters of all common kinds.
pub(crate) fn forest() -> Space {
    let parameters = vec![
        parameter("num_trees", integer(50, 200, 10)),
        parameter("max_depth", integer(5, 15, 1)),
        parameter("max_bins", integer(20, 50, 5)),
        parameter("min_instances_per_node", integer(1, 10, 1)),
        parameter("subsampling_rate", real(0.6, 1.0)),
        parameter(
            "feature_subset_strategy",
            categorical(&["auto", "sqrt", "log2"]),
        ),
        parameter("impurity", categorical(&["gini", "entropy"])),
    ];
    Space::new(parameters, vec![constraint("max_depth * num_trees < 2000")]).unwrap()
}

/// Every kind of domain, with branches within branches.
pub(crate) fn mixed() -> Space {
    let log = |min, max, step| Domain::Real {
        min,
        max,
        scale: Scale::Log,
        step,
    };
    let normal = |min, max, step, scale| Domain::Normal {
        mean: 3.0,
        deviation: 2.0,
        min,
        max,
        step,
        scale,
    };
    let parameters = vec![
        conditional("momentum", real(0.0, 0.99), "optimizer == 'sgd'"),
        parameter("optimizer", categorical(&["sgd", "adam", "none"])),
        conditional("nesterov", categorical(&["yes", "no"]), "momentum > 0.5"),
        parameter("rate", log(1e-5, 0.3, None)),
        parameter("coarse_rate", log(0.1, 2.05, Some(0.1))),
        parameter(
            "trees",
            Domain::Integer {
                min: 1,
                max: 1000,
                step: None,
                scale: Scale::Log,
            },
        ),
        parameter("depth", ordinal(&["5", "10", "15"])),
        parameter(
            "width",
            normal(Some(-1.0), Some(9.0), Some(0.5), Scale::Linear),
        ),
        parameter("unbounded", normal(None, None, None, Scale::Linear)),
        parameter("counted", normal(None, None, Some(2.0), Scale::Linear)),
        parameter("sizes", normal(None, Some(500.0), Some(4.0), Scale::Log)),
        parameter("positive", normal(None, None, None, Scale::Log)),
        parameter("shifted", real(-7.25, -7.25)),
    ];
    Space::new(parameters, vec![constraint("depth * trees < 9000")]).unwrap()
}

/// Seventeen configurations: two branches, one of them with a branch of its own.
pub(crate) fn small() -> Space {
    let parameters = vec![
        parameter("kind", categorical(&["tree", "linear"])),
        conditional("depth", integer(1, 4, 1), "kind == 'tree'"),
        conditional("bins", ordinal(&["8", "16", "32"]), "depth > 2"),
        conditional(
            "penalty",
            Domain::Real {
                min: 0.1,
                max: 0.9,
                scale: Scale::Linear,
                step: Some(0.1),
            },
            "kind == 'linear'",
        ),
    ];
    Space::new(parameters, Vec::new()).unwrap()
}

fn all(space: &Space) -> Vec<Configuration> {
    let mut seen = Vec::new();
    let visit = space.visit(u64::MAX, &mut |configuration| {
        seen.push(configuration.clone());
        ControlFlow::Continue(())
    });
    assert_eq!(visit, Visit::Complete);
    seen
}

fn problems(parameters: Vec<Parameter>, constraints: Vec<ParameterConstraint>) -> Vec<String> {
    Space::new(parameters, constraints)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn cardinality_counts_branches_and_constraints() {
    assert_eq!(small().cardinality(), Cardinality::Finite(17));
    assert_eq!(all(&small()).len(), 17);
    assert_eq!(forest().cardinality(), Cardinality::Infinite);
    let plain =
        |parameters, constraints| Space::new(parameters, constraints).unwrap().cardinality();
    let trees = || {
        vec![
            parameter("trees", integer(50, 200, 10)),
            parameter("depth", ordinal(&["5", "10", "15"])),
        ]
    };
    assert_eq!(plain(trees(), vec![]), Cardinality::Finite(48));
    assert_eq!(
        plain(trees(), vec![constraint("trees * depth <= 1000")]),
        Cardinality::Finite(16 + 6 + 2)
    );
    let many: Vec<Parameter> = (0..19)
        .map(|number| parameter(&format!("p{number}"), integer(0, 99, 1)))
        .collect();
    assert_eq!(
        plain(many.clone(), vec![]),
        Cardinality::Finite(10_u128.pow(38))
    );
    assert_eq!(
        plain(many.clone(), vec![constraint("p0 != p1")]),
        Cardinality::Finite(9_900 * 10_u128.pow(34))
    );
    let entangled = constraint("p0 + p1 + p2 + p3 + p4 < 490");
    assert_eq!(
        plain(many, vec![entangled]),
        Cardinality::AtMost(10_u128.pow(38))
    );
}

#[test]
fn a_walk_visits_each_configuration_once_in_order() {
    let seen = all(&small());
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
    assert!(
        seen.iter()
            .all(|configuration| small().contains(configuration))
    );
    let written: Vec<String> = seen
        .iter()
        .map(|configuration| serde_json::to_string(configuration).unwrap())
        .collect();
    assert_eq!(written[0], r#"{"depth":1,"kind":"tree"}"#);
    assert_eq!(written[2], r#"{"bins":"8","depth":3,"kind":"tree"}"#);
    assert_eq!(written[10], r#"{"kind":"linear","penalty":0.3}"#);
}

#[test]
fn cells_have_equal_shares_and_centres_are_unbiased() {
    let space = Space::new(vec![parameter("trees", integer(50, 200, 50))], vec![]).unwrap();
    let at = |unit: f64| space.decode(&[unit])["trees"].clone();
    assert_eq!(
        [0.0, 0.24, 0.26, 0.49, 0.51, 0.76, 1.0].map(at),
        [50, 50, 100, 100, 150, 200, 200].map(ParameterValue::Integer)
    );
    let centre = space.encode(&Configuration::from([(
        "trees".into(),
        ParameterValue::Integer(100),
    )]));
    assert!((centre[0] - 0.375).abs() < 1e-12);
}

#[test]
fn log_scales_put_ratios_at_equal_distances() {
    let domain = Domain::Real {
        min: 0.001,
        max: 10.0,
        scale: Scale::Log,
        step: None,
    };
    let space = Space::new(vec![parameter("rate", domain)], vec![]).unwrap();
    let middle = space.decode(&[0.5])["rate"].as_number().unwrap();
    assert!((middle - 0.1).abs() < 1e-12, "{middle}");
}

#[test]
fn a_normal_prior_has_its_quantiles() {
    let domain = Domain::Normal {
        mean: 64.0,
        deviation: 16.0,
        min: None,
        max: None,
        step: Some(8.0),
        scale: Scale::Linear,
    };
    let space = Space::new(vec![parameter("width", domain)], vec![]).unwrap();
    assert_eq!(space.decode(&[0.5])["width"], ParameterValue::Integer(64));
    assert_eq!(space.decode(&[0.841])["width"], ParameterValue::Integer(80));
    let tail = Domain::Normal {
        mean: 0.0,
        deviation: 1.0,
        min: Some(5.0),
        max: Some(6.0),
        step: None,
        scale: Scale::Linear,
    };
    let space = Space::new(vec![parameter("x", tail)], vec![]).unwrap();
    let median = space.decode(&[0.5])["x"].as_number().unwrap();
    assert!(
        (median - 5.131_371_763_283_919).abs() < 1e-9,
        "median of a normal tail beyond 5 is {median}"
    );
}

#[test]
fn numbers_are_admitted_by_value_and_written_plainly() {
    let space = forest();
    let mut configuration = space.decode(&[0.1; 7]);
    configuration.insert("num_trees".into(), ParameterValue::Real(100.0));
    assert_eq!(
        space.admit(&configuration).unwrap()["num_trees"],
        ParameterValue::Integer(100)
    );
    configuration.insert("num_trees".into(), ParameterValue::Integer(105));
    configuration.insert("subsampling_rate".into(), ParameterValue::Integer(1));
    configuration.insert("impurity".into(), "variance".into());
    configuration.insert("depth".into(), ParameterValue::Integer(1));
    let written: Vec<String> = space
        .admit(&configuration)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        written,
        [
            "depth: `depth` must be one of the `parameters`",
            "impurity: `impurity` must be one of gini, entropy, not variance",
            "num_trees: `num_trees` must be a whole number from 50 to 200 in steps of 10, not 105",
        ]
    );
    let penalty = small().decode(&[0.9, 0.0, 0.0, 0.25])["penalty"].to_string();
    assert_eq!(penalty, "0.3");
}

#[test]
fn inactive_and_missing_parameters_are_told() {
    let given = Configuration::from([
        ("kind".into(), "linear".into()),
        ("depth".into(), ParameterValue::Integer(2)),
    ]);
    let written: Vec<String> = small()
        .admit(&given)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        written,
        [
            "depth: `depth` must be left out unless `kind == 'tree'`",
            "penalty: `penalty` must be given"
        ]
    );
}
