//! All small states of a comparison, and what becomes of it in them.

use super::*;
use std::collections::BTreeSet;

const START: Timestamp = Timestamp(1_000_000);
const DEADLINE: u64 = 100;

fn said() -> Vec<Said> {
    vec![
        Said::GoesOn,
        Said::Compared,
        Said::Missing(vec![EvidenceFile::Challenger]),
        Said::Missing(vec![EvidenceFile::Champion, EvidenceFile::Holdout]),
        Said::Lost("its node is gone".to_string()),
        Said::Failed,
    ]
}

/// Every record with numbers this small, at every time of interest.
fn records() -> Vec<Runs> {
    let mut all = Vec::new();
    let times = [
        None,
        Some(START),
        Some(START.plus_seconds(DEADLINE - 1)),
        Some(START.plus_seconds(DEADLINE)),
    ];
    for begun in 1..=2 {
        for lost in 0..=MOST_LOST {
            for next in times {
                for since in times {
                    let missing = match since {
                        Some(_) => vec![EvidenceFile::Challenger],
                        None => Vec::new(),
                    };
                    all.push(Runs {
                        begun,
                        lost,
                        missing,
                        missing_since: since,
                        next,
                    });
                }
            }
        }
    }
    all
}

#[test]
fn in_every_small_state_one_thing_follows() {
    let mut seen = BTreeSet::new();
    for runs in records() {
        for said in said() {
            let now = START.plus_seconds(DEADLINE);
            let follows = runs.follow(&said, DEADLINE, now);
            let overdue = runs
                .missing_since
                .is_some_and(|since| now >= since.plus_seconds(DEADLINE));
            let expected = match (runs.place(), &said) {
                (Place::Counts, Said::Compared) => "compared",
                (Place::Counts, Said::Failed) => "failed",
                (Place::Counts, Said::Missing(_)) if overdue => "given up",
                (Place::Counts, Said::Lost(_)) if runs.lost >= MOST_LOST => "lost too often",
                (Place::Counts, Said::Missing(_) | Said::Lost(_)) => "again",
                _ => "stays",
            };
            let found = match &follows {
                Follows::Stays => "stays",
                Follows::Again(_) => "again",
                Follows::Compared => "compared",
                Follows::GivenUp(_) => "given up",
                Follows::LostTooOften(_) => "lost too often",
                Follows::Failed => "failed",
            };
            assert_eq!(found, expected, "{runs:?} {said:?}");
            seen.insert(found);
            if let Follows::Again(next) = follows {
                // The run that was lost or looked in vain is over, and no number is used twice.
                assert_eq!(next.begun, runs.begun);
                assert!(next.next.is_some_and(|at| at > now), "{next:?}");
                assert_eq!(next.with_next_run().begun, runs.begun + 1);
                assert_eq!(next.with_next_run().place(), Place::Counts);
                let waits = matches!(next.place(), Place::Waits(_));
                assert_eq!(waits, matches!(said, Said::Missing(_)));
            }
        }
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
}

/// The seconds between the looks at files that never come, each of which takes no time, and when they are given up.
fn looks(deadline: u64) -> (Vec<i64>, i64) {
    let mut runs = Runs {
        begun: 1,
        ..Runs::default()
    };
    let (mut now, mut pauses) = (START, Vec::new());
    let missing = Said::Missing(vec![EvidenceFile::Challenger]);
    loop {
        match runs.follow(&missing, deadline, now) {
            Follows::Again(next) => {
                let at = next.next.unwrap();
                pauses.push(at.milliseconds_since(now) / 1000);
                (runs, now) = (next.with_next_run(), at);
            }
            Follows::GivenUp(since) => {
                assert_eq!(since, START);
                return (pauses, now.milliseconds_since(START) / 1000);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn files_are_looked_for_ever_more_seldom_and_once_more_at_the_deadline() {
    let (pauses, given_up) = looks(86_400);
    assert_eq!(pauses[..8], [15, 30, 60, 120, 240, 480, 600, 600]);
    assert_eq!(given_up, 86_400);
    assert!(pauses.len() < 160, "{} runs in a day", pauses.len());
    assert_eq!(looks(20), (vec![15, 5], 20));
    assert_eq!(looks(1), (vec![1], 1));
}

#[test]
fn runs_that_are_lost_are_begun_again_after_growing_pauses_a_few_times() {
    let lost = Said::Lost("its node is gone".to_string());
    let mut runs = Runs {
        begun: 1,
        ..Runs::default()
    };
    let (mut now, mut pauses) = (START, Vec::new());
    let end = loop {
        match runs.follow(&lost, DEADLINE, now) {
            Follows::Again(next) => {
                let at = next.next.unwrap();
                assert_eq!(next.place(), Place::Pauses(at));
                pauses.push(at.milliseconds_since(now) / 1000);
                (runs, now) = (next.with_next_run(), at);
            }
            end => break end,
        }
    };
    assert_eq!(pauses, [10, 20, 40, 80, 160]);
    assert_eq!(end, Follows::LostTooOften("its node is gone".to_string()));
    assert_eq!(runs.begun, 6);
}

#[test]
fn a_lost_run_forgets_nothing_of_the_files_and_a_run_that_was_not_lost_ends_the_row() {
    let waited = Runs {
        begun: 3,
        lost: 0,
        missing: vec![EvidenceFile::Champion],
        missing_since: Some(START),
        next: None,
    };
    let now = START.plus_seconds(10);
    let Follows::Again(lost) = waited.follow(&Said::Lost(String::new()), DEADLINE, now) else {
        panic!("it is begun again");
    };
    assert_eq!(lost.missing_since, Some(START));
    let missing = Said::Missing(vec![EvidenceFile::Champion]);
    let follows = lost.with_next_run().follow(&missing, DEADLINE, now);
    let Follows::Again(waits) = follows else {
        panic!("{follows:?}");
    };
    assert_eq!((waits.lost, waits.missing_since), (0, Some(START)));
    assert_eq!(waits.place(), Place::Waits(now.plus_seconds(25)));
    let new = waits.with_new_files();
    assert_eq!((new.place(), new.missing.len()), (Place::Counts, 0));
    assert_eq!(new.missing_since, Some(START), "the deadline goes on");
}

#[test]
fn what_a_machine_loses_again_and_again_is_run_later_each_time_and_not_for_ever() {
    let pauses: Vec<Option<i64>> = (1..=MOST_LOST + 1)
        .map(|lost| run_after_losses(lost, START))
        .map(|at| at.map(|at| at.milliseconds_since(START) / 1000))
        .collect();
    let expected = [Some(0), Some(10), Some(20), Some(40), Some(80), None];
    assert_eq!(pauses, expected);
}

#[test]
fn nothing_waits_for_a_clock_that_went_back() {
    for (pause_ends, expected) in [
        (START, true),
        (START.plus_seconds(1), false),
        (START.plus_seconds(LONGEST_PAUSE_SECONDS), false),
        (START.plus_seconds(86_400), true),
    ] {
        assert_eq!(is_over(pause_ends, START), expected, "{pause_ends:?}");
    }
    let ahead = Runs {
        begun: 1,
        missing: vec![EvidenceFile::Champion],
        missing_since: Some(START.plus_seconds(86_400)),
        ..Runs::default()
    };
    let missing = Said::Missing(vec![EvidenceFile::Champion]);
    let Follows::Again(waits) = ahead.follow(&missing, DEADLINE, START) else {
        panic!("it is looked for again");
    };
    assert_eq!(waits.missing_since, Some(START));
    // The pauses grow from there.
    let follows = waits
        .with_next_run()
        .follow(&missing, DEADLINE, START.plus_seconds(15));
    let Follows::Again(waits) = follows else {
        panic!("{follows:?}");
    };
    assert_eq!(waits.place(), Place::Waits(START.plus_seconds(45)));
}
