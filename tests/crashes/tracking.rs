//! The operator dies at every write by which a search is logged, to MLflow and to Kubernetes, before, while and after it is carried out.
//! There is one run for the search and one for its trial, each started once and told of its end.

use crate::bed::cuts::Moment;
use crate::bed::manifests::{REPORT, search, tracked};
use crate::bed::mlflow::Mlflow;
use crate::bed::mlflow_way::MlflowWay;
use crate::bed::operator::Operator;
use crate::bed::way::{Cut, Witnessed};
use crate::bed::{Bed, on_bed};
use crate::promotions::start_if_dead;
use crate::registrations::has_looked_at_the_registry;

/// More writes than one trial is logged with.
const MOST_WRITES: usize = 20;

/// The writes to Kubernetes that say what MLflow was told.
const SAYS: [fn(&Witnessed) -> bool; 4] = [
    |request| search_says(request, "RUNNING"),
    |request| trial_says(request, "RUNNING"),
    |request| trial_says(request, "FINISHED"),
    |request| search_says(request, "FINISHED"),
];

fn search_says(request: &Witnessed, status: &str) -> bool {
    request.is("PATCH", "tuningjobs/status")
        && request.text("/status/tracking/parentRunStatus") == status
}

fn trial_says(request: &Witnessed, status: &str) -> bool {
    request.is("PATCH", "trials/status") && request.text("/status/mlflowRunStatus") == status
}

async fn is_logged(bed: &Bed, name: &str) -> bool {
    let search = bed.search(name).await;
    let tracking = search.and_then(|search| search.status?.tracking);
    tracking.is_some_and(|tracking| tracking.parent_run_status.as_deref() == Some("FINISHED"))
}

/// A search that is logged, while the operator dies as `dies` says.
async fn logged(bed: &Bed, operator: &Operator, way: &MlflowWay, name: &str, dies: impl FnOnce()) {
    bed.wait(180, "the operator has looked at the registry", async || {
        start_if_dead(operator);
        has_looked_at_the_registry(operator).await
    })
    .await;
    way.forget();
    operator.way.heal();
    operator.way.forget();
    dies();
    let experiment = format!("{}-{name}", bed.namespace);
    bed.apply(&tracked(search(name, 1, 1, REPORT), &experiment));
    bed.wait(180, &format!("{name} is logged"), async || {
        start_if_dead(operator);
        is_logged(bed, name).await
    })
    .await;
    let writes = way.writes();
    let created = writes.iter().filter(|write| write.path == "runs/create");
    assert_eq!(created.count(), 2, "{name}: {writes:?}");
}

fn dies_at_each_write(name: &str, moment: Moment) {
    on_bed(name, async |bed| {
        let mlflow = Mlflow::of_testbed();
        let (operator, way) = MlflowWay::with_operator(&bed, &mlflow).await;
        let mut names = Vec::new();
        for nth in 1..=MOST_WRITES {
            let (before, name) = (way.deaths(), format!("mlflow-{nth}"));
            logged(&bed, &operator, &way, &name, || way.die_at(nth, moment)).await;
            names.push(name);
            if way.deaths() == before {
                break;
            }
        }
        // The experiment, two runs, and the end of each.
        assert!((8..MOST_WRITES).contains(&names.len()), "{names:?}");
        for (place, what) in SAYS.into_iter().enumerate() {
            let (before, name) = (operator.way.deaths(), format!("says-{place}"));
            let cut = Cut::KillAt {
                life: Some(before + 1),
                what,
                nth: 1,
                moment,
            };
            logged(&bed, &operator, &way, &name, || operator.way.cut(cut)).await;
            bed.wait(60, "the operator has died", async || {
                operator.way.deaths() > before
            })
            .await;
            names.push(name);
        }
        let names = names.join("','");
        let seen = mlflow.python(&format!(
            "seen = set()
for name in ['{names}']:
    experiment = client.get_experiment_by_name('{}-' + name)
    runs = client.search_runs([experiment.experiment_id])
    seen.add(tuple(sorted((r.info.run_name[len(name):], r.info.status, len(r.data.params), 'objective' in r.data.metrics) for r in runs)))
print(seen)",
            bed.namespace
        ));
        let both = "{(('', 'FINISHED', 0, True), ('-1', 'FINISHED', 1, True))}";
        assert_eq!(seen, both, "what MLflow's own client sees");
    });
}

#[test]
fn before_a_write_of_a_log() {
    dies_at_each_write("logged-before", Moment::BeforeRequest);
}

#[test]
fn while_a_write_of_a_log_is_carried_out() {
    dies_at_each_write("logged-while", Moment::AfterRequest);
}

#[test]
fn after_a_write_of_a_log() {
    dies_at_each_write("logged-after", Moment::AfterResponse);
}
