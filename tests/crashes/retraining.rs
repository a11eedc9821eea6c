//! The operator dies at every write by which a policy replaces one search by another, before, while and after it is carried out. Each
//! request starts one search, once.

use crate::bed::cuts::Moment;
use crate::bed::manifests::{REPORT, champion_policy, registering, search};
use crate::bed::mlflow::Mlflow;
use crate::bed::mlflow_way::MlflowWay;
use crate::bed::operator::Operator;
use crate::bed::{Bed, on_bed};
use crate::promotions::{Place, start_if_dead};
use kube::ResourceExt;
use kube::api::ListParams;
use podium_api::{ChampionPolicy, TuningJob};
use podium_core::retraining::{Occasion, search_name};
use serde_json::json;

/// More writes than a search and its end have.
const MOST_WRITES: usize = 30;

/// A policy whose searches wait for ever, and replace each other.
fn policy(model: &str) -> serde_json::Value {
    let mut waiting = registering(search("any", 1, 1, REPORT), model);
    waiting["spec"]["suspend"] = json!(true);
    let mut policy = champion_policy("fraud", model);
    policy["spec"]["retrain"] = json!({
        "schedule": "0 0 29 2 *", "concurrencyPolicy": "Replace",
        "tuningJobTemplate": {"spec": waiting["spec"]},
    });
    policy
}

async fn is_answered(bed: &Bed, value: &str, search: &str) -> bool {
    let policy = bed.find::<ChampionPolicy>("fraud").await;
    let status = policy.and_then(|policy| policy.status).unwrap_or_default();
    let retrain = status.retrain.unwrap_or_default();
    retrain.last_run_now.as_deref() == Some(value) && retrain.active == [search]
}

async fn searches(bed: &Bed) -> Vec<String> {
    match bed.api::<TuningJob>().list(&ListParams::default()).await {
        Ok(all) => all.iter().map(ResourceExt::name_any).collect(),
        Err(_) => Vec::new(),
    }
}

/// A request during which the operator dies at its n-th write; whether it came to that.
async fn ask(
    bed: &Bed,
    operator: &Operator,
    way: &MlflowWay,
    (nth, moment): (usize, Moment),
) -> bool {
    let value = format!("{moment:?}-{nth}");
    let name = search_name("fraud", &Occasion::RunNow(value.clone()));
    start_if_dead(operator);
    let before = operator.way.deaths();
    Place::Kubernetes.die_at(nth, moment, operator, way);
    let annotation = format!("podium.dev/run-now={value}");
    bed.kubectl(&["annotate", "chp", "fraud", &annotation, "--overwrite"])
        .unwrap();
    let what = format!("{name} is there alone, and the policy knows it");
    bed.wait(180, &what, async || {
        start_if_dead(operator);
        is_answered(bed, &value, &name).await && searches(bed).await == [name.clone()]
    })
    .await;
    let requests = operator.way.witnessed().into_iter();
    let created = requests.filter(|r| r.is("POST", "tuningjobs") && r.code == Some(201));
    let created: Vec<String> = created.map(|request| request.name).collect();
    assert_eq!(created, [name], "each search is created once");
    operator.way.deaths() > before
}

fn dies_at_each_write(name: &str, moment: Moment) {
    on_bed(name, async |bed| {
        let mlflow = Mlflow::of_testbed();
        let (operator, way) = MlflowWay::with_operator(&bed, &mlflow).await;
        bed.apply(&policy(&bed.namespace));
        let ready = "the template is found to work";
        bed.wait(180, ready, async || {
            let policy = bed.find::<ChampionPolicy>("fraud").await;
            let status = policy.and_then(|policy| policy.status).unwrap_or_default();
            let mut conditions = status.conditions.iter();
            conditions.any(|c| c.type_ == "RetrainReady" && c.status == "True")
        })
        .await;
        let mut writes = 0;
        for nth in 1..=MOST_WRITES {
            if !ask(&bed, &operator, &way, (nth, moment)).await {
                break;
            }
            writes = nth;
        }
        assert!(writes < MOST_WRITES, "a request has no end of writes");
        // The end of the one before, the search, what the policy knows of it; events beside them.
        assert!(writes > 3, "only {writes} writes");
        eprintln!("{name}: {writes} writes");
    });
}

#[test]
fn before_a_write_of_a_request() {
    dies_at_each_write("retrain-before", Moment::BeforeRequest);
}

#[test]
fn while_a_write_of_a_request_is_carried_out() {
    dies_at_each_write("retrain-while", Moment::AfterRequest);
}

#[test]
fn after_a_write_of_a_request() {
    dies_at_each_write("retrain-after", Moment::AfterResponse);
}
