use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::space::tests::{
    categorical, conditional, constraint, forest, integer, mixed, ordinal, parameter, real, small,
};
use crate::space::{Cardinality, Domain, Scale};
use crate::value::ParameterValue;

mod extremes;
mod initial;
mod learning;

const ALL: [Algorithm; 5] = [
    Algorithm::Auto,
    Algorithm::Hyperopt(HyperoptSettings {
        startup_trials: 3,
        gamma: 0.25,
        candidates: 24,
        prior_weight: 1.0,
        linear_forgetting: 5,
    }),
    Algorithm::Random,
    Algorithm::Grid,
    Algorithm::Sobol,
];

/// A loss that prefers late texts and small numbers; every fifth configuration fails, every seventh is infeasible.
fn outcome(space: &Space, configuration: &Configuration, index: u32) -> Outcome {
    match index {
        index if index % 5 == 4 => Outcome::Failed,
        index if index % 7 == 6 => Outcome::Infeasible,
        _ => Outcome::Value(space.encode(configuration).iter().sum()),
    }
}

/// A search with `parallel` trials pending at any time; the oldest pending trial ends first.
fn run(
    space: &Space,
    algorithm: &Algorithm,
    seed: u64,
    trials: u32,
    parallel: usize,
) -> (History, Option<String>) {
    let mut history = History::new(Direction::Minimize);
    for index in 0..trials {
        if history.pending.len() == parallel {
            let Pending {
                index,
                configuration,
            } = history.pending.remove(0);
            let outcome = outcome(space, &configuration, index);
            history.finished.push(Finished {
                index,
                configuration,
                outcome,
            });
        }
        match suggest(space, algorithm, seed, &history) {
            Suggestion::Next { configuration, .. } => history.pending.push(Pending {
                index,
                configuration,
            }),
            Suggestion::Exhausted { reason } => return (history, Some(reason)),
        }
    }
    (history, None)
}

fn configurations(history: &History) -> Vec<Configuration> {
    let finished = history.finished.iter().map(|trial| &trial.configuration);
    finished
        .chain(history.pending.iter().map(|trial| &trial.configuration))
        .cloned()
        .collect()
}

fn next(space: &Space, algorithm: &Algorithm, seed: u64, history: &History) -> Configuration {
    match suggest(space, algorithm, seed, history) {
        Suggestion::Next { configuration, .. } => configuration,
        Suggestion::Exhausted { reason } => panic!("{reason}"),
    }
}

#[test]
fn finite_spaces_are_exhausted_exactly_by_every_algorithm() {
    let constrained = Space::new(
        vec![
            parameter("trees", integer(50, 200, 10)),
            parameter("depth", ordinal(&["5", "10", "15"])),
        ],
        vec![constraint("trees * depth <= 1000")],
    )
    .unwrap();
    for (space, count) in [(small(), 17), (constrained, 24)] {
        for algorithm in &ALL {
            for parallel in [1, 4] {
                let (history, reason) = run(&space, algorithm, 1, 100, parallel);
                let tried = configurations(&history);
                assert_eq!(tried.len(), count, "{algorithm:?}");
                assert_eq!(
                    tried.iter().collect::<BTreeSet<_>>().len(),
                    count,
                    "{algorithm:?}"
                );
                assert_eq!(
                    reason.unwrap(),
                    format!("all {count} configurations of the search space have been tried")
                );
            }
        }
    }
}

#[test]
fn spaces_too_large_to_count_are_still_exhausted() {
    let parameters: Vec<_> = (0..6)
        .map(|number| parameter(&format!("p{number}"), integer(1, 12, 1)))
        .collect();
    let all_equal = "p0 == p1 && p1 == p2 && p2 == p3 && p3 == p4 && p4 == p5";
    let pairs: Vec<_> = (0..5)
        .map(|number| constraint(&format!("p{number} == p{}", number + 1)))
        .collect();
    let space = Space::new(parameters.clone(), pairs).unwrap();
    assert_eq!(space.cardinality(), Cardinality::Finite(12));
    let (history, reason) = run(&space, &Algorithm::Random, 3, 20, 2);
    assert_eq!(configurations(&history).len(), 12);
    assert!(reason.is_some());
    let unguided = Space::new(parameters, vec![constraint(all_equal)]);
    assert!(unguided.is_err_and(|problems| problems[0].message.contains("none was found")));
}

#[test]
fn the_grid_goes_through_its_points_in_order() {
    let space = Space::new(
        vec![
            parameter("a", categorical(&["x", "y"])),
            parameter("b", integer(1, 3, 1)),
        ],
        vec![],
    )
    .unwrap();
    let (history, _) = run(&space, &Algorithm::Grid, 0, 6, 2);
    let tried: Vec<String> = configurations(&history)
        .iter()
        .map(|configuration| format!("{}{}", configuration["a"], configuration["b"]))
        .collect();
    assert_eq!(tried, ["x1", "x2", "x3", "y1", "y2", "y3"]);
}

#[test]
fn a_grid_over_a_continuous_space_is_refused_by_name() {
    let bell = Domain::Normal {
        mean: 0.0,
        deviation: 1.0,
        min: None,
        max: None,
        step: Some(1.0),
        scale: Scale::Linear,
    };
    let parameters = vec![
        parameter("trees", integer(1, 3, 1)),
        parameter("rate", real(0.0, 1.0)),
        parameter("width", bell),
    ];
    let space = Space::new(parameters, vec![]).unwrap();
    let written: Vec<String> = Algorithm::Grid
        .check(&space)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        written,
        [
            "parameters[1].real: `rate` must have `step` when the algorithm is `Grid`, because a grid needs finitely many values",
            "parameters[2].normal: `width` must have `min`, `max` and `step` when the algorithm is `Grid`, because a grid needs finitely many values",
        ]
    );
    assert!(Algorithm::Grid.check(&small()).is_ok());
    assert!(matches!(
        suggest(
            &space,
            &Algorithm::Grid,
            0,
            &History::new(Direction::Minimize)
        ),
        Suggestion::Exhausted { .. }
    ));
}

#[test]
fn settings_are_checked() {
    let settings = HyperoptSettings {
        gamma: f64::NAN,
        prior_weight: 0.0,
        candidates: 0,
        linear_forgetting: 0,
        startup_trials: 0,
    };
    let problems = Algorithm::Hyperopt(settings).check(&small()).unwrap_err();
    let paths: Vec<&str> = problems
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    assert_eq!(
        paths,
        ["gamma", "candidates", "priorWeight", "linearForgetting"]
            .map(|field| format!("algorithm.hyperopt.{field}"))
    );
}

#[test]
fn hyperopt_finds_the_minimum_of_a_bowl_better_than_chance() {
    let space = Space::new(
        vec![
            parameter("x", real(-5.0, 5.0)),
            parameter("kind", categorical(&["a", "b", "c"])),
        ],
        vec![],
    )
    .unwrap();
    let loss = |configuration: &Configuration| {
        let distance = configuration["x"].as_number().unwrap() - 1.0;
        distance * distance
            + if configuration["kind"] == "b".into() {
                0.0
            } else {
                3.0
            }
    };
    for (direction, sign) in [(Direction::Minimize, 1.0), (Direction::Maximize, -1.0)] {
        let total = |algorithm: &Algorithm| -> f64 {
            let losses = (0..10).map(|seed| {
                let mut history = History::new(direction);
                for index in 0..50 {
                    let configuration = next(&space, algorithm, seed, &history);
                    let outcome = Outcome::Value(sign * loss(&configuration));
                    history.finished.push(Finished {
                        index,
                        configuration,
                        outcome,
                    });
                }
                let late = history.finished.iter().skip(25);
                late.map(|trial| loss(&trial.configuration)).sum::<f64>()
            });
            losses.sum()
        };
        let (ours, chance) = (total(&Algorithm::Auto), total(&Algorithm::Random));
        assert!(ours < 0.75 * chance, "{ours} against {chance}");
    }
}
