//! What policies ask of a model registry, how soon a decision is carried out, and whether people are heard meanwhile.

use crate::bed::forests::IMAGE;
use crate::bed::manifests::{champion_policy, model_registry};
use crate::bed::mlflow::Mlflow;
use crate::bed::mlflow_proxy::{self, Fate};
use crate::bed::operator::Operator;
use crate::bed::{Bed, kubectl, on_bed};
use crate::ledger_of_model::{make_model, registers};
use crate::mlflow_registry::mlflow_registry;
use crate::{figure, resident_mib};
use futures::StreamExt;
use kube::api::{ListParams, Patch, PatchParams};
use podium_api::ChampionPolicy;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Requests at once while a figure is prepared.
const AT_ONCE: usize = 8;

/// Policies that one server has.
pub const POLICIES: usize = 500;

/// Who asks MLflow for something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Who {
    Operator,
    People,
}

/// What came to MLflow: when, from whom, and which model's `champion` it moves to which version.
#[derive(Clone, Debug)]
pub struct Seen {
    at: Instant,
    by: Who,
    moves: Option<(String, String)>,
}

pub type Log = Arc<Mutex<Vec<Seen>>>;

/// A way to MLflow that notes what comes.
pub async fn way(by: Who, log: &Log) -> String {
    let noted = Arc::clone(log);
    mlflow_proxy::open(&Mlflow::of_testbed().url, move |call| {
        let text = |field: &str| call.body[field].as_str().unwrap_or_default().to_string();
        let moves = call
            .moves("champion")
            .then(|| (text("name"), text("version")));
        let at = Instant::now();
        noted.lock().unwrap().push(Seen { at, by, moves });
        Fate::Pass
    })
    .await
}

/// An operator that can have versions compared, and the registry behind this address.
pub async fn operator_of(bed: &Bed, url: &str) -> Operator {
    let operator = bed.dead_operator("a").await;
    let operator = operator.with("PODIUM_ALLOWED_HOSTS", "*=127.0.0.1");
    let operator = operator.with("PODIUM_IMAGE", IMAGE);
    bed.apply(&model_registry(url));
    operator.start_again();
    operator.until_ready(30).await;
    operator
}

fn policy(name: &str, model: &str, pin: Option<usize>) -> Value {
    let mut policy = champion_policy(name, model);
    if let Some(version) = pin {
        policy["spec"]["pin"] = json!({"version": version.to_string(), "reason": "a figure"});
    }
    policy
}

async fn change_pin(bed: &Bed, policy: &str, version: &str) {
    let patch = json!({"spec": {"pin": {"version": version, "reason": "a figure"}}});
    bed.api::<ChampionPolicy>()
        .patch(policy, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

/// Whether the policy has seen this champion and has nothing under way.
fn follows(policy: Option<ChampionPolicy>, version: &str) -> bool {
    let status = policy.and_then(|policy| policy.status).unwrap_or_default();
    status.in_flight.is_none() && status.champion.is_some_and(|c| c.version == version)
}

/// The model of a policy.
pub fn model_of(bed: &Bed, number: usize) -> String {
    format!("{}-{number}", bed.namespace)
}

/// An operator, and policies of as many models, of which the first version is champion, when all of them know that; how long it took.
pub async fn settled_policies(
    bed: &Bed,
    url: &str,
    versions: impl Fn(usize) -> usize,
    policy: impl Fn(usize) -> Value,
) -> (Operator, Duration) {
    let registry = mlflow_registry(url);
    futures::stream::iter(0..POLICIES)
        .for_each_concurrent(AT_ONCE, |number| {
            let (registry, model) = (&registry, model_of(bed, number));
            let versions = versions(number);
            async move { make_model(registry, &model, versions, true).await }
        })
        .await;
    let operator = operator_of(bed, url).await;
    let all = (0..POLICIES).map(|number| policy(number).to_string());
    let all: Vec<String> = all.collect();
    let apply = ["apply", "-n", &bed.namespace, "-f", "-"];
    kubectl(&apply, Some(&all.join("\n---\n"))).unwrap();
    let began = Instant::now();
    bed.wait(900, "all policies know their champion", async || {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (api, all) = (bed.api::<ChampionPolicy>(), ListParams::default());
        let policies = api.list(&all).await;
        let policies = policies.map_or_else(|_| Vec::new(), |list| list.items);
        let known = policies
            .into_iter()
            .map(|policy| follows(Some(policy), "1"));
        known.filter(|follows| *follows).count() == POLICIES
    })
    .await;
    (operator, began.elapsed())
}

/// Other figures of the same server are not to list these models too.
pub fn forget_models(bed: &Bed) {
    let prefix = &bed.namespace;
    Mlflow::of_testbed().python(&format!(
        "for number in range({POLICIES}): client.delete_registered_model(f'{prefix}-{{number}}')"
    ));
}

#[test]
fn five_hundred_policies_of_one_server() {
    on_bed("figures-policies", async |bed| {
        let log = Log::default();
        let url = way(Who::Operator, &log).await;
        let plain = |number: usize| policy(&format!("p{number}"), &model_of(&bed, number), None);
        let (operator, known) = settled_policies(&bed, &url, |_| 1, plain).await;
        // Two of the polls, which are a minute apart.
        tokio::time::sleep(Duration::from_secs(10)).await;
        log.lock().unwrap().clear();
        tokio::time::sleep(Duration::from_secs(120)).await;
        let requests = log.lock().unwrap().len();
        figure(
            "500 policies of one server",
            &format!(
                "all know their champion after {:.0} s; then {:.1} requests a second; resident memory {:.1} MiB",
                known.as_secs_f64(),
                requests as f64 / 120.0,
                resident_mib(&operator)
            ),
        );
        drop(operator);
        forget_models(&bed);
    });
}

#[test]
fn from_a_decision_to_the_alias() {
    on_bed("figures-decision", async |bed| {
        let log = Log::default();
        let url = way(Who::Operator, &log).await;
        let model = bed.namespace.clone();
        make_model(&mlflow_registry(&url), &model, 2, true).await;
        let operator = operator_of(&bed, &url).await;
        bed.apply(&policy("fraud", &model, Some(1)));
        bed.wait(60, "the first pin is carried out", async || {
            follows(bed.find("fraud").await, "1")
        })
        .await;
        let mut times = Vec::new();
        for round in 0..10 {
            let version = if round % 2 == 0 { "2" } else { "1" };
            log.lock().unwrap().clear();
            let began = Instant::now();
            change_pin(&bed, "fraud", version).await;
            bed.wait(60, "the pin is carried out", async || {
                follows(bed.find("fraud").await, version)
            })
            .await;
            let log = log.lock().unwrap();
            let moved = log.iter().find(|seen| seen.moves.is_some()).unwrap();
            times.push((moved.at - began).as_millis());
        }
        drop(operator);
        times.sort_unstable();
        figure(
            "from a changed pin to the request that moves the alias, 10 rounds",
            &format!("median {} ms, worst {} ms", times[5], times[9]),
        );
    });
}

/// Moves of a model by hand.
const BY_HAND: usize = 10;
/// Versions that the pin names by turns; those after them are people's.
const PINNED: usize = 2;

/// Points the alias at one version after the other, as people do who ask nobody.
async fn people(url: &str, model: &str, offset: Duration) {
    tokio::time::sleep(offset).await;
    let client = reqwest::Client::new();
    for version in PINNED + 1..=PINNED + BY_HAND {
        let body = json!({"name": model, "alias": "champion", "version": version.to_string()});
        let moved = client
            .post(format!("{url}/api/2.0/mlflow/registered-models/alias"))
            .header("Content-Type", "application/json")
            .body(body.to_string());
        assert!(moved.send().await.unwrap().status().is_success());
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
}

/// Changes the pin again and again, so that something is always being moved.
async fn pins(bed: &Bed, name: &str, offset: Duration, until: Instant) {
    tokio::time::sleep(offset).await;
    let mut version = 1;
    while Instant::now() < until {
        change_pin(bed, name, &version.to_string()).await;
        version = PINNED + 1 - version;
        tokio::time::sleep(Duration::from_secs(12)).await;
    }
}

/// Versions that people pointed a model's alias at, that the operator pointed elsewhere, and of which the ledger does not tell.
fn lost(model: &str, log: &[Seen], claims: &[String]) -> Vec<String> {
    let of_model = log.iter().filter_map(|seen| {
        let (of, version) = seen.moves.as_ref()?;
        (of == model).then_some((seen.by, version.as_str()))
    });
    let of_model: Vec<(Who, &str)> = of_model.collect();
    let overwritten = of_model.windows(2).filter_map(|pair| match pair {
        [(Who::People, version), (Who::Operator, _)] => Some(*version),
        _ => None,
    });
    let is_heard = |version: &str| {
        claims.iter().any(|claim| {
            let claim: Value = serde_json::from_str(claim).unwrap();
            claim["cause"] == "External" && claim["to"] == version
        })
    };
    let lost = overwritten.filter(|version| !is_heard(version));
    lost.map(|version| format!("{model} v{version}")).collect()
}

#[test]
fn people_move_the_alias_while_it_is_moved() {
    const MODELS: usize = 12;
    on_bed("figures-people", async |bed| {
        let log = Log::default();
        let url = way(Who::Operator, &log).await;
        let of_people = way(Who::People, &log).await;
        let model = |number: usize| format!("{}-{number}", bed.namespace);
        let registry = mlflow_registry(&Mlflow::of_testbed().url);
        for number in 0..MODELS {
            make_model(&registry, &model(number), PINNED + BY_HAND, true).await;
        }
        let _operator = operator_of(&bed, &url).await;
        for number in 0..MODELS {
            bed.apply(&policy(&format!("p{number}"), &model(number), Some(1)));
        }
        for number in 0..MODELS {
            bed.wait(90, "the first pin is carried out", async || {
                follows(bed.find(&format!("p{number}")).await, "1")
            })
            .await;
        }
        let until = Instant::now() + Duration::from_secs(60);
        log.lock().unwrap().clear();
        let (bed, of_people) = (&bed, &of_people);
        let work = (0..MODELS).map(|number| async move {
            let millis = |each: u64| Duration::from_millis(each * number as u64);
            let (name, model) = (format!("p{number}"), model(number));
            futures::join!(
                people(of_people, &model, millis(500)),
                pins(bed, &name, millis(1_000), until)
            );
        });
        futures::future::join_all(work).await;
        let (mut unheard, mut by_operator) = (Vec::new(), 0);
        for number in 0..MODELS {
            let (name, model) = (format!("p{number}"), model(number));
            let policy = bed.find::<ChampionPolicy>(&name).await.unwrap();
            let pin = policy.spec.pin.unwrap().version;
            bed.wait(90, "the last pin is carried out", async || {
                follows(bed.find(&name).await, &pin)
            })
            .await;
            let claims = registers(&registry, &model, "claim").await;
            let log = log.lock().unwrap();
            unheard.extend(lost(&model, &log, &claims));
            by_operator += log
                .iter()
                .filter(|seen| seen.by == Who::Operator)
                .filter(|seen| seen.moves.as_ref().is_some_and(|(of, _)| *of == model))
                .count();
        }
        let by_people = log.lock().unwrap();
        let by_people = by_people.iter().filter(|seen| seen.by == Who::People);
        figure(
            &format!(
                "{} moves by hand within 66 s, while pins change",
                by_people.count()
            ),
            &format!(
                "{} lost {unheard:?}, beside {by_operator} moves of the operator",
                unheard.len()
            ),
        );
    });
}
