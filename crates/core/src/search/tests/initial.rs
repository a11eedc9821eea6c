//! What the user wants to be tried first, and what of it is refused.

use super::*;

fn configuration(values: &[(&str, ParameterValue)]) -> Configuration {
    values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn whole(number: i64) -> ParameterValue {
    ParameterValue::Integer(number)
}

fn refused(space: &Space, given: &[Configuration], max_trials: u32) -> Vec<String> {
    let problems = initial_trials(space, given, max_trials, 7).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn given_values_are_kept_and_completed() {
    let bins = configuration(&[("bins", "16".into())]);
    let given = [
        bins.clone(),
        bins.clone(),
        configuration(&[]),
        configuration(&[
            ("kind", "tree".into()),
            ("depth", whole(3)),
            ("bins", "16".into()),
        ]),
    ];
    // Only two configurations have 16 bins, and the last one is given whole.
    assert_eq!(refused(&small(), &given, 9).len(), 1);
    let given = [bins.clone(), configuration(&[]), given[3].clone()];
    let chosen = initial_trials(&small(), &given, 3, 7).unwrap();
    assert!(chosen.iter().all(|one| small().contains(one)));
    assert_eq!(chosen[0]["bins"], "16".into());
    assert_eq!(chosen[0]["depth"], whole(4));
    assert_eq!(chosen[2], given[2]);
    assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(initial_trials(&small(), &given, 3, 7).unwrap(), chosen);
}

#[test]
fn what_cannot_be_tried_is_refused_by_path_and_value() {
    let space = Space::new(
        vec![
            parameter("trees", integer(10, 90, 10)),
            parameter("depth", ordinal(&["5", "10", "15"])),
            parameter("optimizer", categorical(&["sgd", "adam"])),
            conditional("momentum", real(0.0, 0.99), "optimizer == 'sgd'"),
        ],
        vec![constraint("trees * depth <= 900")],
    )
    .unwrap();
    let given = [
        configuration(&[("trees", whole(95)), ("dept", "5".into())]),
        configuration(&[("trees", whole(90)), ("depth", "15".into())]),
        configuration(&[
            ("optimizer", "adam".into()),
            ("momentum", ParameterValue::Real(0.5)),
        ]),
        configuration(&[
            ("trees", whole(10)),
            ("depth", "5".into()),
            ("optimizer", "adam".into()),
        ]),
        configuration(&[
            ("trees", ParameterValue::Real(10.0)),
            ("depth", "5".into()),
            ("optimizer", "adam".into()),
        ]),
        configuration(&[("momentum", ParameterValue::Real(0.5))]),
        configuration(&[("trees", whole(20))]),
    ];
    assert_eq!(
        refused(&space, &given, 6),
        [
            "initialTrials[0].dept: `dept` must be one of the `parameters`",
            "initialTrials[0].trees: `trees` must be a whole number from 10 to 90 in steps of 10, not 95",
            "initialTrials[1]: `trees * depth <= 900` must hold; `depth` is 15, `trees` is 90",
            "initialTrials[2].momentum: `momentum` must be left out unless `optimizer == 'sgd'`",
            "initialTrials[4]: must differ from `initialTrials[3]`",
            "initialTrials[6]: must be left out, or `maxTrials` be raised: `maxTrials` 6 leaves no room for it",
        ]
    );
}

#[test]
fn one_that_cannot_be_completed_is_refused() {
    let space = Space::new(
        vec![
            parameter("a", integer(1, 3, 1)),
            parameter("b", integer(1, 3, 1)),
        ],
        vec![constraint("a + b == 2 || b == 3")],
    )
    .unwrap();
    let two = configuration(&[("a", whole(2))]);
    let told = refused(&space, &[two.clone(), two], 5);
    assert!(
        told.len() == 1
            && told[0]
                .starts_with("initialTrials[1]: must be completed to a configuration that is new"),
        "{told:?}"
    );
}
