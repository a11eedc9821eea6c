//! What a space must not be.

use super::*;

#[test]
fn every_problem_is_reported_with_its_path() {
    let log = Domain::Real {
        min: 0.0,
        max: 1.0,
        scale: Scale::Log,
        step: Some(0.0),
    };
    let parameters = vec![
        parameter("a", real(5.0, 3.0)),
        parameter("rate", log),
        parameter("a", integer(0, 5, -1)),
        parameter("2nd", categorical(&[])),
        parameter("kind", ordinal(&["x", "", "x"])),
        parameter("wide", real(f64::NEG_INFINITY, f64::NAN)),
        parameter(
            "bell",
            Domain::Normal {
                mean: 0.0,
                deviation: 0.0,
                min: None,
                max: None,
                step: None,
                scale: Scale::Linear,
            },
        ),
        parameter(
            "far",
            Domain::Normal {
                mean: 0.0,
                deviation: 1.0,
                min: Some(99.0),
                max: None,
                step: None,
                scale: Scale::Linear,
            },
        ),
        parameter("PODIUM_SEED", integer(1, i64::MAX, 1)),
        conditional("branch", real(0.0, 1.0), "knd == 'x'"),
    ];
    let found = problems(parameters, vec![constraint("a >"), constraint("1 < 2")]);
    let expected = [
        "parameters[0].real.min: `min` must not be above `max`; 5 is above 3",
        "parameters[1].real.min: `min` must be above 0 when `scale` is `Log`; 0 is not",
        "parameters[1].real.step: `step` must be a finite number above 0, not 0",
        "parameters[2].name: `name` must be unique; `parameters[0]` is already named `a`",
        "parameters[2].integer.step: `step` must be a finite number above 0, not -1",
        "parameters[3].name: `name` must be usable as an environment variable: letters, digits and underscores, not starting with a digit; `2nd` is not",
        "parameters[3].categorical.values: `values` must list at least one text",
        "parameters[4].ordinal.values[1]: each of `values` must have at least one character",
        "parameters[4].ordinal.values[2]: `values` must be different from each other; `x` is listed twice",
        "parameters[5].real.min: `min` must be a finite number, not -inf",
        "parameters[5].real.max: `max` must be a finite number, not NaN",
        "parameters[6].normal.deviation: `deviation` must be a finite number above 0, not 0",
        "parameters[7].normal.mean: `mean` must not lie so many times `deviation` outside of `min` and `max`; 0 with 1 does",
        "parameters[8].name: `name` must not start with `PODIUM_`, which is reserved; `PODIUM_SEED` does",
        "parameters[8].integer.max: `max` must lie between -9007199254740992 and 9007199254740992; 9223372036854775807 does not",
        "parameters[9].when: `when` names `knd`, which does not exist; it may name `2nd`, `PODIUM_SEED`, `a`, `bell`, `branch`, `far`, `kind`, `rate`, `wide`",
        "parameterConstraints[0].expression: `expression` must be a CEL expression; `a >` is not: line 1, column 4",
        "parameterConstraints[1].expression: `expression` must name at least one parameter",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nis not\n{expected}");
    }
}

#[test]
fn a_circle_of_conditions_is_named() {
    let parameters = vec![
        parameter("free", real(0.0, 1.0)),
        conditional("outside", real(0.0, 1.0), "b > 0.5"),
        conditional("a", real(0.0, 1.0), "free > 0.1 && c > 0.5"),
        conditional("b", real(0.0, 1.0), "a > 0.5"),
        conditional("c", real(0.0, 1.0), "b > 0.5"),
    ];
    assert_eq!(
        problems(parameters, vec![]),
        [
            "parameters[3].when: `when` conditions must not form a circle: `b` depends on `a`, `a` depends on `c`, `c` depends on `b`"
        ]
    );
    let own = vec![conditional("a", real(0.0, 1.0), "a > 0.5")];
    assert_eq!(
        problems(own, vec![]),
        ["parameters[0].when: `when` conditions must not form a circle: `a` depends on `a`"]
    );
}

#[test]
fn expressions_that_cannot_work_are_found_before_the_search() {
    let kinds = || {
        vec![
            parameter("kind", categorical(&["x", "y"])),
            parameter("size", integer(1, 3, 1)),
        ]
    };
    assert_eq!(
        problems(kinds(), vec![constraint("kind < 3")]),
        [
            "parameterConstraints[0].expression: in `kind < 3`: `<` needs two numbers or two texts, not the text 'y' and 3"
        ]
    );
    assert_eq!(
        problems(kinds(), vec![constraint("size + 1")]),
        [
            "parameterConstraints[0].expression: in `size + 1`: must evaluate to true or false, not to 4"
        ]
    );
    let impossible = [
        "parameterConstraints: at least one configuration must meet all `parameterConstraints`; none was found",
    ];
    assert_eq!(problems(kinds(), vec![constraint("size > 3")]), impossible);
    assert_eq!(
        problems(
            vec![parameter("rate", real(0.0, 1.0))],
            vec![constraint("rate > 2")]
        ),
        impossible
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn decoding_makes_admitted_values_that_encode_to_their_own_cell(point in prop::collection::vec(0.0_f64..=1.0, 13)) {
        for space in [forest(), mixed(), small()] {
            let configuration = space.decode(&point);
            let admitted = space.admit_partial(&configuration);
            prop_assert_eq!(admitted.as_ref(), Ok(&configuration));
            let again = space.decode(&space.encode(&configuration));
            prop_assert_eq!(again.len(), configuration.len());
            for (name, value) in &configuration {
                match (value, &again[name]) {
                    (ParameterValue::Real(first), ParameterValue::Real(second)) => {
                        prop_assert!((first - second).abs() <= 1e-9 * first.abs().max(1.0), "{} {} {}", name, first, second);
                    }
                    (first, second) => prop_assert_eq!(first, second),
                }
            }
        }
    }

    #[test]
    fn decoding_takes_any_point(point in prop::collection::vec(prop::num::f64::ANY, 0..15)) {
        for space in [forest(), mixed(), small()] {
            let configuration = space.decode(&point);
            prop_assert!(space.admit_partial(&configuration).is_ok(), "{:?}", configuration);
        }
    }

    #[test]
    fn lattices_hold_their_bounds_and_count(min in -50_i64..50, length in 0_i64..60, step in 1_i64..9, log in any::<bool>()) {
        let (min, scale) = if log { (min.abs() + 1, Scale::Log) } else { (min, Scale::Linear) };
        let domain = Domain::Integer { min, max: min + length, step: Some(step), scale };
        let space = Space::new(vec![parameter("n", domain)], vec![]).unwrap();
        let values: Vec<i64> = all(&space).iter().map(|configuration| configuration["n"].as_number().unwrap() as i64).collect();
        let expected: Vec<i64> = (min..=min + length).step_by(usize::try_from(step).unwrap()).collect();
        prop_assert_eq!(&values, &expected);
        prop_assert_eq!(space.cardinality(), Cardinality::Finite(expected.len() as u128));
    }
}
