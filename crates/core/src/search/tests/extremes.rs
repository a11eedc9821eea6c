//! Every suggested value lies in its domain and on its grid, however large, small or far from 0 these are.

use super::*;

/// Whether a value is one of the domain's, worked out from the domain's definition alone.
fn lies_in(domain: &Domain, value: &ParameterValue) -> bool {
    match (domain, value) {
        (Domain::Integer { min, max, step, .. }, ParameterValue::Integer(value)) => {
            let distance = i128::from(*value) - i128::from(*min);
            min <= value && value <= max && distance % i128::from(step.unwrap_or(1)) == 0
        }
        (Domain::Real { min, max, step, .. }, ParameterValue::Real(value)) => {
            min <= value && value <= max && step.is_none_or(|step| is_on(*value, *min, step))
        }
        (Domain::Normal { min, max, step, .. }, _) => {
            let number = value.as_number().unwrap();
            number.is_finite()
                && min.is_none_or(|min| min <= number)
                && max.is_none_or(|max| number <= max)
                && step.is_none_or(|step| is_on(number, 0.0, step))
        }
        _ => false,
    }
}

/// Whether a value is `origin` plus a multiple of `step`, up to the rounding of real numbers.
fn is_on(value: f64, origin: f64, step: f64) -> bool {
    let nearest = origin + ((value - origin) / step).round() * step;
    (nearest - value).abs() <= 1e-9 * step + 4.0 * f64::EPSILON * (value.abs() + origin.abs())
}

fn whole() -> impl Strategy<Value = i64> {
    const LARGEST: i64 = (1 << 53) - 1;
    prop_oneof![
        -20_i64..20,
        -LARGEST..=LARGEST,
        Just(LARGEST),
        Just(-LARGEST),
        (0_u32..53).prop_map(|power| 1_i64 << power),
    ]
}

/// A size from the smallest to the largest that the schema allows.
fn size() -> impl Strategy<Value = f64> {
    (-300_i32..18, 1.0_f64..10.0).prop_map(|(power, digits)| digits * 10_f64.powi(power))
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        size(),
        size().prop_map(|size| -size),
        (-1000_i32..1000).prop_map(|tenths| f64::from(tenths) / 10.0),
        Just(0.0),
    ]
}

fn step() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        Just(None),
        size().prop_map(Some),
        prop::sample::select(vec![0.1, 0.3, 1.0, 7.0, 4e15, 1e18]).prop_map(Some),
    ]
}

fn scale() -> impl Strategy<Value = Scale> {
    prop_oneof![Just(Scale::Linear), Just(Scale::Log)]
}

fn domain() -> impl Strategy<Value = Domain> {
    let integers = (whole(), whole(), whole(), scale()).prop_map(|(one, other, step, scale)| {
        let step = Some(step.abs().max(1));
        let (min, max) = (one.min(other), one.max(other));
        Domain::Integer {
            min,
            max,
            step,
            scale,
        }
    });
    let reals = (number(), number(), step(), scale()).prop_map(|(one, other, step, scale)| {
        let (min, max) = (one.min(other), one.max(other));
        Domain::Real {
            min,
            max,
            scale,
            step,
        }
    });
    let bound = || prop::option::of(number());
    let normals = (number(), size(), bound(), bound(), step(), scale()).prop_map(
        |(mean, deviation, one, other, step, scale)| {
            let (min, max) = match (one, other) {
                (Some(one), Some(other)) => (Some(one.min(other)), Some(one.max(other))),
                bounds => bounds,
            };
            Domain::Normal {
                mean,
                deviation,
                min,
                max,
                step,
                scale,
            }
        },
    );
    prop_oneof![integers, reals, normals]
}

/// Every algorithm's first trials in a space of one parameter.
fn suggested(space: &Space, seed: u64) -> Vec<ParameterValue> {
    let allowed = ALL
        .iter()
        .filter(|algorithm| algorithm.check(space).is_ok());
    allowed
        .flat_map(|algorithm| configurations(&run(space, algorithm, seed, 10, 1).0))
        .map(|configuration| configuration["p"].clone())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn every_value_lies_in_its_domain_and_on_its_grid(domain in domain(), seed in any::<u64>()) {
        let space = Space::new(vec![parameter("p", domain.clone())], vec![]);
        prop_assume!(space.is_ok());
        let space = space.unwrap();
        let values = suggested(&space, seed);
        prop_assert!(!values.is_empty());
        for value in values {
            prop_assert!(lies_in(&domain, &value), "{value:?} of {domain:?}");
            let configuration = Configuration::from([("p".to_owned(), value)]);
            prop_assert_eq!(space.admit(&configuration), Ok(configuration.clone()), "{:?}", domain);
        }
    }
}

#[test]
fn a_step_beyond_the_range_leaves_the_first_value() {
    let cases = [
        (integer(0, 1_999_999_999, 2_000_000_000), 1),
        (integer(-3, 9_007_199_254_740_991, 9_007_199_254_740_991), 2),
        (
            Domain::Real {
                min: 0.0,
                max: 1.999_999_999,
                scale: Scale::Linear,
                step: Some(2.0),
            },
            1,
        ),
        (
            Domain::Real {
                min: 0.0,
                max: 0.3,
                scale: Scale::Linear,
                step: Some(0.1),
            },
            4,
        ),
    ];
    for (domain, count) in cases {
        let space = Space::new(vec![parameter("p", domain.clone())], vec![]).unwrap();
        assert_eq!(
            space.cardinality(),
            Cardinality::Finite(count),
            "{domain:?}"
        );
        assert!(
            suggested(&space, 3)
                .iter()
                .all(|value| lies_in(&domain, value))
        );
    }
}

#[test]
fn a_whole_number_beside_the_grid_is_none_of_the_domain() {
    let space = Space::new(
        vec![parameter("p", integer(0, 9_000_000_000_000_000, 1000))],
        vec![],
    )
    .unwrap();
    let admitted =
        |value: ParameterValue| space.contains(&Configuration::from([("p".into(), value)]));
    assert!(admitted(ParameterValue::Integer(8_999_999_999_999_000)));
    assert!(admitted(ParameterValue::Real(8_999_999_999_999_000.0)));
    assert!(!admitted(ParameterValue::Integer(8_999_999_999_999_001)));
    assert!(!admitted(ParameterValue::Real(0.5)));
}

#[test]
fn a_normal_step_counts_from_zero_and_a_range_without_a_multiple_is_refused() {
    let normal = |min, max, step| Domain::Normal {
        mean: 12.0,
        deviation: 4.0,
        min: Some(min),
        max: Some(max),
        step: Some(step),
        scale: Scale::Linear,
    };
    let space = Space::new(vec![parameter("p", normal(9.0, 23.0, 8.0))], vec![]).unwrap();
    assert_eq!(space.cardinality(), Cardinality::Finite(1));
    assert_eq!(suggested(&space, 5)[0], ParameterValue::Integer(16));
    let wide = Space::new(vec![parameter("p", normal(-3.0, 23.0, 8.0))], vec![]).unwrap();
    let values: BTreeSet<_> = suggested(&wide, 5).into_iter().collect();
    assert_eq!(values, [0, 8, 16].map(ParameterValue::Integer).into());
    let none = Space::new(vec![parameter("p", normal(9.0, 15.0, 8.0))], vec![]).unwrap_err();
    assert_eq!(
        none[0].to_string(),
        "parameters[0].normal.step: at least one multiple of `step` must lie between `min` and `max`"
    );
}

#[test]
fn of_more_steps_than_a_division_tells_apart_each_is_admitted() {
    // The quotient of such a value and the step rounds to the number of a neighbour.
    let fine = Domain::Normal {
        mean: 0.0,
        deviation: 2.674036764623467e-184,
        min: None,
        max: None,
        step: Some(6.300228917261312e-200),
        scale: Scale::Linear,
    };
    let space = Space::new(vec![parameter("p", fine)], vec![]).unwrap();
    for value in suggested(&space, 728_092_667_384_486_880) {
        let configuration = Configuration::from([("p".to_owned(), value)]);
        assert_eq!(space.admit(&configuration), Ok(configuration.clone()));
    }
}

#[test]
fn steps_that_cannot_be_told_apart_are_refused() {
    let bell = |mean: f64, step| Domain::Normal {
        mean,
        deviation: 1.0,
        min: None,
        max: None,
        step: Some(step),
        scale: Scale::Linear,
    };
    for domain in [
        Domain::Real {
            min: 1e18,
            max: 1e18 + 4096.0,
            scale: Scale::Linear,
            step: Some(0.1),
        },
        integer(0, 5, i64::MAX),
        bell(1e18, 1.0),
    ] {
        let problems = Space::new(vec![parameter("p", domain)], vec![]).unwrap_err();
        assert!(
            problems[0].message.starts_with("`step` must"),
            "{problems:?}"
        );
    }
}

#[test]
fn sobol_reaches_every_part_of_a_wide_range() {
    let wide = integer(0, (1 << 40) - 1, 1);
    let space = Space::new(vec![parameter("p", wide)], vec![]).unwrap();
    let (history, _) = run(&space, &Algorithm::Sobol, 11, 256, 256);
    let last_digits: BTreeSet<u64> = configurations(&history)
        .iter()
        .map(|configuration| configuration["p"].as_number().unwrap() as u64 % 1024)
        .collect();
    // Of 1024 endings 256 even draws meet about 227; a sequence of 23 digits met 1.
    assert!(last_digits.len() > 200, "{}", last_digits.len());
}
