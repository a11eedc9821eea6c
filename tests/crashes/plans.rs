//! Each write point with each moment is a plan.

use crate::bed::operator::Operator;
use crate::bed::way::{Cut, Moment, Witnessed};
use crate::bed::{Bed, cluster_is_there, on_bed};
use crate::outcome::{Outcome, told};
use crate::points::{DELICATE, POINTS, Point};
use crate::workloads::{SEARCH, Workload};
use std::collections::{BTreeMap, HashMap};
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Plans that are tried at once; each starts pods on the same machine.
const AT_ONCE: usize = 7;

/// Deaths that a search has to get over.
struct Plan {
    name: String,
    workload: Workload,
    cuts: Vec<Cut>,
    /// How many deaths there must have been: exactly these, or at least.
    deaths: Deaths,
}

enum Deaths {
    Exactly(usize),
    AtLeast(usize),
}

/// What came out, and what was told.
type Ended = (Outcome, BTreeMap<String, i32>);

/// Runs a search to its end, with an operator that is started again whenever it dies, and waits until it has died so often: the last
/// points come after the end.
async fn run(bed: &Bed, operator: &Operator, workload: Workload, deaths: usize) -> Ended {
    bed.apply(&workload.manifest(bed));
    let to_the_end = async {
        workload.drive(bed).await;
        let has_died = async || operator.way.deaths() >= deaths;
        bed.wait(30, "the point is reached", has_died).await;
    };
    operator.kept_alive(to_the_end).await;
    let outcome = Outcome::of(bed, operator, workload).await;
    (outcome, told(bed).await)
}

fn undisturbed(workload: Workload) -> Ended {
    let mut ended = None;
    on_bed("undisturbed", async |bed| {
        let operator = bed.operator("a").await;
        ended = Some(run(&bed, &operator, workload, 0).await);
    });
    ended.unwrap()
}

fn disturbed(plan: &Plan, reference: &Ended) {
    on_bed("crash", async |bed| {
        let operator = bed.dead_operator("a").await;
        for cut in &plan.cuts {
            operator.way.cut(cut.clone());
        }
        let (Deaths::Exactly(wanted) | Deaths::AtLeast(wanted)) = plan.deaths;
        let (outcome, told) = run(&bed, &operator, plan.workload, wanted).await;
        let deaths = operator.way.deaths();
        match plan.deaths {
            Deaths::Exactly(wanted) => assert_eq!(deaths, wanted, "the point was not reached"),
            Deaths::AtLeast(wanted) => assert!(deaths >= wanted, "it died {deaths} times only"),
        }
        assert_eq!(outcome, reference.0);
        for (about, times) in told {
            // What was on its way when the operator died may be lost, but nothing is told twice. Between its start and its end a
            // search may come to a state again, on another way that it took after a death.
            // A target is told of when it is reached and when the search has ended; the second time may come after the reference was read.
            let by_design = if about.starts_with("TargetReached") {
                2
            } else {
                1
            };
            let once = reference.1.get(&about).copied().unwrap_or(1).max(by_design);
            let passing = ["TrialsRunning", "JobSuspended"];
            let again = passing.iter().any(|reason| about.starts_with(reason));
            let most = once
                + if again {
                    i32::try_from(deaths).unwrap()
                } else {
                    0
                };
            assert!(times <= most, "{times} times: {about}");
        }
        if !plan.workload.is_deleted() {
            a_further_start_changes_nothing(&bed, &operator).await;
        }
    });
}

async fn a_further_start_changes_nothing(bed: &Bed, operator: &Operator) {
    operator.kill();
    operator.way.heal();
    operator.way.forget();
    operator.start_again();
    let trials = bed.trials(SEARCH).await.len();
    let all_were_looked_at = async || {
        let metrics = operator.get("metrics").await.unwrap_or_default();
        let looked_at = |kind: &str| {
            let line = format!("podium_reconcile_total{{kind=\"{kind}\",result=\"success\"}} ");
            let count = metrics.lines().find_map(|l| l.strip_prefix(&line));
            count.map_or(0, |count| count.parse::<usize>().unwrap())
        };
        looked_at("TuningJob") >= 1 && looked_at("Trial") >= trials
    };
    bed.wait(60, "all objects were looked at", all_were_looked_at)
        .await;
    let writes = operator.writes();
    let writes: Vec<_> = writes.iter().map(|w| (&w.method, &w.path)).collect();
    assert_eq!(writes, []);
}

/// Does every piece of work, some at once; what failed by name.
fn all_of<T: Sync>(work: &[T], name: fn(&T) -> String, each: impl Fn(&T) + Sync) -> Vec<String> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(piece) = work.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let done = catch_unwind(std::panic::AssertUnwindSafe(|| each(piece)));
                    if done.is_err() {
                        eprintln!("FAILED: {}", name(piece));
                        failed.lock().unwrap().push(name(piece));
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

fn every_point() -> impl Iterator<Item = (&'static Point, Moment)> {
    let all = |point| Moment::ALL.into_iter().map(move |moment| (point, moment));
    POINTS.iter().flat_map(all)
}

fn at(point: &Point, moment: Moment) -> Cut {
    Cut::KillAt {
        life: Some(1),
        what: point.what,
        nth: point.nth,
        moment,
    }
}

fn one_death() -> impl Iterator<Item = Plan> {
    every_point().map(|(point, moment)| Plan {
        name: format!("{} {moment:?}", point.name),
        workload: point.workload,
        cuts: vec![at(point, moment)],
        deaths: Deaths::Exactly(1),
    })
}

/// After a death at a delicate point the next life dies at its first write.
fn two_deaths() -> impl Iterator<Item = Plan> {
    let delicate = every_point().filter(|(point, _)| DELICATE.contains(&point.name));
    delicate.map(|(point, moment)| Plan {
        name: format!("{} {moment:?}, then at once again", point.name),
        workload: point.workload,
        cuts: vec![
            at(point, moment),
            Cut::KillAt {
                life: Some(2),
                what: Witnessed::is_write,
                nth: 1,
                moment: Moment::AfterRequest,
            },
        ],
        deaths: Deaths::Exactly(2),
    })
}

/// Every life dies at the same one of its writes; each gets a little further.
fn dying_always() -> impl Iterator<Item = Plan> {
    let plans = [
        (1, Moment::AfterRequest),
        (2, Moment::BeforeRequest),
        (3, Moment::AfterResponse),
    ];
    plans.into_iter().map(|(nth, moment)| Plan {
        name: format!("at write {nth} {moment:?}, always"),
        workload: Workload::Plain,
        cuts: vec![Cut::KillAt {
            life: None,
            what: Witnessed::is_write,
            nth,
            moment,
        }],
        deaths: Deaths::AtLeast(3),
    })
}

#[test]
fn whenever_the_operator_dies_the_search_ends_as_if_it_had_not() {
    if !cluster_is_there() {
        return;
    }
    let wanted = std::env::var("PODIUM_CRASH_PLANS").unwrap_or_default();
    let plans: Vec<Plan> = one_death()
        .chain(two_deaths())
        .chain(dying_always())
        .filter(|plan| plan.name.contains(&wanted))
        .collect();
    let references = Mutex::new(HashMap::new());
    let needed = |workload: &Workload| plans.iter().any(|plan| plan.workload == *workload);
    let workloads: Vec<_> = Workload::ALL.into_iter().filter(needed).collect();
    let failed = all_of(
        &workloads,
        |workload| format!("{workload:?}, undisturbed"),
        |workload| {
            let ended = undisturbed(*workload);
            references.lock().unwrap().insert(*workload, ended);
        },
    );
    assert_eq!(failed, Vec::<String>::new());
    let references = references.into_inner().unwrap();
    let failed = all_of(
        &plans,
        |plan| plan.name.clone(),
        |plan| disturbed(plan, &references[&plan.workload]),
    );
    assert_eq!(failed, Vec::<String>::new(), "of {} plans", plans.len());
}
