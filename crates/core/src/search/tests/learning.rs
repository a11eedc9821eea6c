//! What a search learns from, and what it never suggests.

use super::*;

#[test]
fn pending_and_failed_trials_teach_the_model() {
    let space = Space::new(vec![parameter("x", real(0.0, 1.0))], vec![]).unwrap();
    let mut history = History::new(Direction::Minimize);
    for index in 0..30_u32 {
        let x = f64::from(index) / 30.0;
        let configuration = Configuration::from([("x".into(), ParameterValue::Real(x))]);
        let outcome = if x < 0.5 {
            Outcome::Failed
        } else {
            Outcome::Value(x)
        };
        history.finished.push(Finished {
            index,
            configuration,
            outcome,
        });
    }
    let share_of_low = |history: &History| {
        (0..100)
            .filter(|&seed| {
                next(&space, &Algorithm::Auto, seed, history)["x"]
                    .as_number()
                    .unwrap()
                    < 0.45
            })
            .count()
    };
    let with_failures = share_of_low(&history);
    history
        .finished
        .retain(|trial| trial.outcome != Outcome::Failed);
    let without = share_of_low(&history);
    assert!(with_failures < without, "{with_failures} against {without}");

    let index = 31;
    let near = Configuration::from([("x".into(), ParameterValue::Real(0.5))]);
    let mut crowded = history.clone();
    crowded.pending.extend((0..8).map(|more| Pending {
        index: index + more,
        configuration: near.clone(),
    }));
    let share_of_near = |history: &History| {
        let close = |seed| {
            (next(&space, &Algorithm::Auto, seed, history)["x"]
                .as_number()
                .unwrap()
                - 0.5)
                .abs()
                < 0.05
        };
        (0..200).filter(|&seed| close(seed)).count()
    };
    history.pending.push(Pending {
        index: index + 7,
        configuration: Configuration::new(),
    });
    assert!(share_of_near(&crowded) < share_of_near(&history));
}

#[test]
fn a_value_that_lost_its_last_bit_is_not_new() {
    let space = Space::new(
        vec![
            parameter("x", real(0.0, 1.0)),
            parameter("kind", categorical(&["a", "b"])),
        ],
        vec![],
    )
    .unwrap();
    let mut history = History::new(Direction::Minimize);
    let first = next(&space, &Algorithm::Sobol, 5, &history);
    let mut written = first.clone();
    written.insert(
        "x".into(),
        ParameterValue::Real(f64::from_bits(
            first["x"].as_number().unwrap().to_bits() + 1,
        )),
    );
    history.finished.push(Finished {
        index: 0,
        configuration: written,
        outcome: Outcome::Failed,
    });
    let none = Explored::default();
    let mut known = Known::after(&none);
    known.add_history(&space, &history);
    assert!(known.has_seen(&space, &first));
}

#[test]
fn sobol_fills_the_cube_evenly() {
    let space = Space::new(
        vec![
            parameter("x", real(0.0, 1.0)),
            parameter("y", real(0.0, 1.0)),
        ],
        vec![],
    )
    .unwrap();
    let (history, _) = run(&space, &Algorithm::Sobol, 9, 64, 64);
    for axis in ["x", "y"] {
        let cells: BTreeSet<u32> = history
            .pending
            .iter()
            .map(|trial| (trial.configuration[axis].as_number().unwrap() * 64.0) as u32)
            .collect();
        assert_eq!(
            cells.len(),
            64,
            "each of 64 slices along `{axis}` must hold one point"
        );
    }
}

#[test]
fn trials_from_another_space_do_no_harm() {
    let foreign = Configuration::from([
        ("depth".into(), "deep".into()),
        ("other".into(), ParameterValue::Real(f64::NAN)),
    ]);
    let mut history = History::new(Direction::Minimize);
    history.finished.extend((0..30).map(|index| Finished {
        index,
        configuration: foreign.clone(),
        outcome: Outcome::Value(f64::NAN),
    }));
    for algorithm in &ALL {
        assert!(small().contains(&next(&small(), algorithm, 1, &history)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn suggestions_are_inside_the_space_new_and_pure(seed in any::<u64>(), parallel in 1_usize..6, which in 0_usize..5) {
        let nested = Space::new(
            vec![
                parameter("kind", categorical(&["a", "b"])),
                conditional("rate", Domain::Real { min: 1e-4, max: 1.0, scale: Scale::Log, step: None }, "kind == 'a'"),
                conditional("size", integer(8, 512, 8), "kind == 'b'"),
            ],
            vec![constraint("size * 2 < 900")],
        ).unwrap();
        for space in [forest(), mixed(), small(), nested] {
            let algorithm = &ALL[which];
            if algorithm.check(&space).is_err() {
                continue;
            }
            let (history, _) = run(&space, algorithm, seed, 40, parallel);
            let tried = configurations(&history);
            prop_assert!(tried.iter().all(|configuration| space.contains(configuration)));
            prop_assert_eq!(tried.iter().collect::<BTreeSet<_>>().len(), tried.len());
            let mut shuffled = history.clone();
            shuffled.finished.reverse();
            shuffled.pending.reverse();
            let suggestion = suggest(&space, algorithm, seed, &history);
            prop_assert_eq!(&suggest(&space, algorithm, seed, &shuffled), &suggestion);
            let text = serde_json::to_string(&tried).unwrap();
            prop_assert_eq!(serde_json::from_str::<Vec<Configuration>>(&text).unwrap().len(), tried.len());
        }
    }
}
