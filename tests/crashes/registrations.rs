//! The operator dies at every write by which a winner is registered, to MLflow and to Kubernetes, before, while and after it is carried
//! out. There is one version, made once, and the alias was given to it once.
//!
//! One search serves all plans of a moment: it has ended, and is asked to register its winner in another model each time.

use crate::bed::cuts::Moment;
use crate::bed::manifests::{REPORT, registering, search};
use crate::bed::mlflow::Mlflow;
use crate::bed::mlflow_proxy::Call;
use crate::bed::mlflow_way::MlflowWay;
use crate::bed::operator::Operator;
use crate::bed::{Bed, on_bed, phase};
use crate::promotions::{Place, start_if_dead};
use crate::workloads::SEARCH;
use serde_json::json;

/// More writes than a registration has.
const MOST_WRITES: usize = 20;

async fn is_registered(bed: &Bed, model: &str) -> bool {
    let Some(job) = bed.search(SEARCH).await else {
        return false;
    };
    let status = job.status.as_ref();
    let registered = status.and_then(|status| status.registered.as_ref());
    let is_asked_for = registered.is_some_and(|registered| registered.model == model);
    is_asked_for && phase(&job) == Some("Succeeded")
}

/// A look at a registry writes to it, once after each start: that is no write of a registration.
pub async fn has_looked_at_the_registry(operator: &Operator) -> bool {
    let metrics = operator.get("metrics").await.unwrap_or_default();
    let looked = "podium_reconcile_total{kind=\"ModelRegistry\",result=\"success\"} ";
    metrics.lines().any(|line| line.starts_with(looked))
}

/// A registration during which the operator dies at its n-th write; whether it came to that.
async fn register(
    bed: &Bed,
    operator: &Operator,
    way: &MlflowWay,
    model: &str,
    (place, nth, moment): (Place, usize, Moment),
) -> bool {
    let ready = "the operator has looked at the registry";
    bed.wait(180, ready, async || {
        // It may have died at the last write of the registration before, when that had ended already.
        start_if_dead(operator);
        has_looked_at_the_registry(operator).await
    })
    .await;
    let before = place.deaths(operator, way);
    place.die_at(nth, moment, operator, way);
    let patch = json!({"spec": {"register": {"model": model}}}).to_string();
    bed.kubectl(&["patch", "tj", SEARCH, "--type=merge", "-p", &patch])
        .unwrap();
    let what = format!("the winner is registered in {model}");
    bed.wait(180, &what, async || {
        start_if_dead(operator);
        is_registered(bed, model).await
    })
    .await;
    let died = place.deaths(operator, way) > before;
    once(model, &way.writes());
    died
}

/// MLflow was asked once to make a version, and once to move the alias.
fn once(model: &str, writes: &[Call]) {
    let made = writes.iter().filter(|w| w.path == "model-versions/create");
    assert_eq!(made.count(), 1, "{model}: {writes:?}");
    let moved = writes.iter().filter(|write| write.moves("challenger"));
    assert_eq!(moved.count(), 1, "{model}: {writes:?}");
}

/// Dies at one write after the other until a registration has no more of them; the models that were registered in.
async fn at_each_write(
    bed: &Bed,
    operator: &Operator,
    way: &MlflowWay,
    (place, moment): (Place, Moment),
) -> Vec<String> {
    let mut models = Vec::new();
    for nth in 1..=MOST_WRITES {
        let kind = match place {
            Place::Mlflow => "mlflow",
            Place::Kubernetes => "kubernetes",
        };
        let model = format!("{}-{kind}-{nth}", bed.namespace);
        models.push(model.clone());
        if !register(bed, operator, way, &model, (place, nth, moment)).await {
            return models;
        }
    }
    panic!("a registration has no end of writes");
}

fn dies_at_each_write(name: &str, moment: Moment) {
    on_bed(name, async |bed| {
        let mlflow = Mlflow::of_testbed();
        let (operator, way) = MlflowWay::with_operator(&bed, &mlflow).await;
        let undisturbed = format!("{}-undisturbed", bed.namespace);
        bed.apply(&registering(search(SEARCH, 1, 1, REPORT), &undisturbed));
        bed.until_finished(SEARCH, 180).await;

        // The model, the version, the alias, and the note of it.
        let mut models = at_each_write(&bed, &operator, &way, (Place::Mlflow, moment)).await;
        // A write that is repeated is one more of them.
        assert!(models.len() > 4, "{models:?}");
        // That it is being registered, as what, and that the search has ended; events beside them.
        let later = at_each_write(&bed, &operator, &way, (Place::Kubernetes, moment)).await;
        assert!(later.len() > 3, "{later:?}");
        models.extend(later);
        models.push(undisturbed);
        let names = models.join("','");
        let seen = mlflow.python(&format!(
            "seen = set()
for model in ['{names}']:
    versions = client.search_model_versions(f\"name='{{model}}'\")
    alias = client.get_registered_model(model).aliases.get('challenger')
    seen.add((len(versions), alias, versions[0].tags.get('podium.dev/alias.challenger')))
print(seen)"
        ));
        assert_eq!(seen, "{(1, '1', 'given')}", "what MLflow's own client sees");
    });
}

#[test]
fn before_a_write_of_a_registration() {
    dies_at_each_write("registered-before", Moment::BeforeRequest);
}

#[test]
fn while_a_write_of_a_registration_is_carried_out() {
    dies_at_each_write("registered-while", Moment::AfterRequest);
}

#[test]
fn after_a_write_of_a_registration() {
    dies_at_each_write("registered-after", Moment::AfterResponse);
}
