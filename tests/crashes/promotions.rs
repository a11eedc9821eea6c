//! The operator dies at every write of a promotion, to MLflow and to Kubernetes, before, while and after it is carried out. The alias ends
//! where it was to go, by one move, and the ledger tells of one.

use crate::bed::cuts::Moment;
use crate::bed::manifests::champion_policy;
use crate::bed::mlflow::Mlflow;
use crate::bed::mlflow_proxy::Call;
use crate::bed::mlflow_way::MlflowWay;
use crate::bed::operator::Operator;
use crate::bed::way::{Cut, Witnessed};
use crate::bed::{Bed, on_bed};
use crate::ledger_of_model::{make_model, tells_of_one_promotion};
use crate::mlflow_registry::mlflow_registry;
use podium_api::ChampionPolicy;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// More writes than a promotion has.
const MOST_WRITES: usize = 40;

pub fn start_if_dead(operator: &Operator) {
    if operator.id().is_none() {
        operator.start_again();
    }
}

/// Where the operator writes to when it dies.
#[derive(Clone, Copy)]
pub enum Place {
    Mlflow,
    Kubernetes,
}

impl Place {
    /// The operator dies at the n-th write to this place from now on.
    pub fn die_at(self, nth: usize, moment: Moment, operator: &Operator, way: &MlflowWay) {
        way.forget();
        operator.way.heal();
        operator.way.forget();
        match self {
            Self::Mlflow => way.die_at(nth, moment),
            Self::Kubernetes => operator.way.cut(Cut::KillAt {
                life: Some(operator.way.deaths() + 1),
                what: Witnessed::is_write,
                nth,
                moment,
            }),
        }
    }

    /// How often it died there.
    pub fn deaths(self, operator: &Operator, way: &MlflowWay) -> usize {
        match self {
            Self::Mlflow => way.deaths(),
            Self::Kubernetes => operator.way.deaths(),
        }
    }
}

/// A policy that pins version 2 of the model of its own name.
fn policy(name: &str) -> serde_json::Value {
    let mut policy = champion_policy(name, name);
    policy["spec"]["pollSeconds"] = json!(5);
    policy["spec"]["pin"] = json!({"version": "2", "reason": "by a test"});
    policy
}

async fn is_settled(bed: &Bed, model: &str) -> bool {
    let policy = bed.find::<ChampionPolicy>(model).await;
    let status = policy.and_then(|policy| policy.status).unwrap_or_default();
    let is_pinned = status
        .conditions
        .iter()
        .any(|c| c.type_ == "Ready" && c.status == "True" && c.reason == "Pinned");
    is_pinned && status.in_flight.is_none()
}

/// A promotion during which the operator dies at its n-th write; whether it came to that.
async fn promote(
    bed: &Bed,
    operator: &Operator,
    way: &MlflowWay,
    model: &str,
    (place, nth, moment): (Place, usize, Moment),
) -> bool {
    let registry = mlflow_registry(&way.url);
    make_model(&registry, model, 2, true).await;
    let before = place.deaths(operator, way);
    place.die_at(nth, moment, operator, way);
    bed.apply(&policy(model));
    let what = format!("{model} is settled");
    bed.wait(90, &what, async || {
        // It may have died at the last write of the promotion before, when that was settled already.
        start_if_dead(operator);
        tokio::time::sleep(Duration::from_millis(100)).await;
        is_settled(bed, model).await
    })
    .await;
    let died = place.deaths(operator, way) > before;
    was_set_once(model, &way.writes());
    tells_of_one_promotion(&registry, model).await;
    died
}

/// MLflow was asked to set each alias once in an epoch, also to where it was: a second request would wake whoever deploys it again. The
/// champion was set once in all.
pub fn was_set_once(model: &str, writes: &[Call]) {
    let sets = sets(model, writes);
    let repeated = sets.values().any(|versions| versions.len() > 1);
    assert!(!repeated, "{model}: {sets:?}");
    let of_champion = sets.iter().filter(|((alias, _), _)| alias == "champion");
    let of_champion: Vec<_> = of_champion.map(|(_, versions)| versions).collect();
    assert_eq!(of_champion, [&["2"]], "{model}: {sets:?}");
}

/// The versions that each alias of a model was set to, by alias and epoch: a claim opens one, and what follows until the next belongs to it.
fn sets(model: &str, writes: &[Call]) -> BTreeMap<(String, u64), Vec<String>> {
    let text = |write: &Call, field: &str| write.body[field].as_str().map(str::to_string);
    let mut sets = BTreeMap::new();
    let mut epoch = 0;
    for write in writes {
        let key = text(write, "key").unwrap_or_default();
        if let Some(number) = key.strip_prefix("claim/champion/") {
            epoch = number.parse().unwrap();
        }
        if write.path == "registered-models/alias" && write.body["name"] == model {
            let alias = text(write, "alias").unwrap();
            let versions: &mut Vec<String> = sets.entry((alias, epoch)).or_default();
            // One that is removed is set to nothing.
            versions.push(text(write, "version").unwrap_or_default());
        }
    }
    sets
}

#[test]
fn sets_are_told_apart_by_alias_and_epoch() {
    let write = |path: &str, body: serde_json::Value| Call {
        headers: http::HeaderMap::new(),
        method: http::Method::POST,
        path: path.to_string(),
        authorization: String::new(),
        body,
    };
    let claims = |epoch: &str| {
        write(
            "runs/log-parameter",
            json!({"key": format!("claim/champion/{epoch}")}),
        )
    };
    let set = |model: &str, alias: &str, version: &str| {
        let body = json!({"name": model, "alias": alias, "version": version});
        write("registered-models/alias", body)
    };
    let writes = [
        claims("00000001"),
        set("fraud", "champion", "2"),
        set("other", "champion", "2"),
        set("fraud", "previous-champion", "1"),
        claims("00000002"),
        set("fraud", "champion", "2"),
        set("fraud", "champion", "2"),
    ];
    let found = sets("fraud", &writes);
    let found: Vec<_> = found
        .iter()
        .map(|((alias, epoch), versions)| (alias.as_str(), *epoch, versions.len()))
        .collect();
    let expected = [
        ("champion", 1, 1),
        ("champion", 2, 2),
        ("previous-champion", 1, 1),
    ];
    assert_eq!(found, expected);
}

fn dies_at_each_write(name: &str, place: Place, moment: Moment) {
    on_bed(name, async |bed| {
        let mlflow = Mlflow::of_testbed();
        let (operator, way) = MlflowWay::with_operator(&bed, &mlflow).await;
        let mut models = Vec::new();
        let mut came_to_an_end = false;
        for nth in 1..=MOST_WRITES {
            let model = format!("{}-{nth}", bed.namespace);
            models.push(model.clone());
            if !promote(&bed, &operator, &way, &model, (place, nth, moment)).await {
                came_to_an_end = true;
                break;
            }
            bed.kubectl(&["delete", "championpolicy", &model]).unwrap();
        }
        assert!(came_to_an_end, "a promotion has no end of writes");
        assert!(models.len() > 8, "only {} writes", models.len() - 1);
        eprintln!("{name}: {} writes", models.len() - 1);
        let names = models.join("','");
        let seen = mlflow.python(&format!(
            "print({{client.get_registered_model(m).aliases['champion'] for m in ['{names}']}})"
        ));
        assert_eq!(seen, "{'2'}", "what MLflow's own client sees");
    });
}

#[test]
fn before_a_write_to_mlflow() {
    dies_at_each_write("promotion-before", Place::Mlflow, Moment::BeforeRequest);
}

#[test]
fn while_mlflow_carries_out_a_write() {
    dies_at_each_write("promotion-while", Place::Mlflow, Moment::AfterRequest);
}

#[test]
fn after_a_write_to_mlflow() {
    dies_at_each_write("promotion-after", Place::Mlflow, Moment::AfterResponse);
}

#[test]
fn before_a_write_to_kubernetes() {
    dies_at_each_write("status-before", Place::Kubernetes, Moment::BeforeRequest);
}

#[test]
fn while_kubernetes_carries_out_a_write() {
    dies_at_each_write("status-while", Place::Kubernetes, Moment::AfterRequest);
}

#[test]
fn after_a_write_to_kubernetes() {
    dies_at_each_write("status-after", Place::Kubernetes, Moment::AfterResponse);
}
