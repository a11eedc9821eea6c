//! The operator dies at every write of a comparison by Jobs, to MLflow and to Kubernetes, before, while and after it is carried out, and at
//! those by which missing predictions are made. Every Job is made once, the holdout is looked at once, and the alias moves once.

use crate::bed::cuts::Moment;
use crate::bed::forests::{comparing, scoring, source, store_all};
use crate::bed::mlflow::Mlflow;
use crate::bed::mlflow_way::MlflowWay;
use crate::bed::object_store::ObjectStore;
use crate::bed::operator::Operator;
use crate::bed::way::{Cut, Witnessed};
use crate::bed::{Bed, on_bed};
use crate::ledger_of_model::tells_of_one_promotion;
use crate::mlflow_registry::mlflow_registry;
use crate::promotions::{Place, start_if_dead, was_set_once};
use podium_api::ChampionPolicy;
use podium_operator::ports::{ModelRegistry, NewVersion};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// More writes than a comparison has.
const MOST_WRITES: usize = 60;

/// An operator on ways to Kubernetes and to MLflow, and the evidence that its policies compare.
struct Scene {
    operator: Operator,
    way: MlflowWay,
    mlflow: Mlflow,
    store: ObjectStore,
    bed: Bed,
}

impl Scene {
    /// With `scored` there are predictions of all versions in the folder `predictions`.
    async fn of(bed: Bed, scored: bool) -> Self {
        let store = ObjectStore::of_testbed(&bed);
        store_all(&bed, &store, scored);
        let mlflow = Mlflow::of_testbed();
        let (operator, way) = MlflowWay::with_operator(&bed, &mlflow).await;
        Self {
            operator,
            way,
            mlflow,
            store,
            bed,
        }
    }

    /// A model whose version 1 is champion, challenged by version 2.
    async fn make_model(&self, model: &str) {
        let registry = mlflow_registry(&self.mlflow.url);
        for (version, alias) in [("1", "champion"), ("2", "challenger")] {
            let new = NewVersion {
                model,
                key: version,
                source: &source(&self.store, version),
                run: None,
                tags: BTreeMap::new(),
            };
            registry.register(new).await.unwrap();
            let moved = registry.move_alias(model, alias, None, Some(version));
            moved.await.unwrap();
        }
    }

    async fn is_settled(&self, model: &str) -> bool {
        let policy = self.bed.find::<ChampionPolicy>(model).await;
        let status = policy.and_then(|policy| policy.status).unwrap_or_default();
        let mut conditions = status.conditions.iter();
        let is_up_to_date = conditions.any(|c| c.type_ == "Ready" && c.reason == "UpToDate");
        let champion = status.champion.map(|champion| champion.version);
        is_up_to_date && champion.as_deref() == Some("2") && status.in_flight.is_none()
    }

    /// Applies the policy of the model of its own name, and waits until its challenger is champion, once.
    async fn promote(&self, model: &str, mut policy: Value) {
        policy["spec"]["pollSeconds"] = json!(5);
        self.bed.apply(&policy);
        let what = format!("{model} is settled");
        self.bed
            .wait(180, &what, async || {
                // It may have died at the last write of the comparison before, when that was settled already.
                start_if_dead(&self.operator);
                tokio::time::sleep(Duration::from_millis(100)).await;
                self.is_settled(model).await
            })
            .await;
        was_set_once(model, &self.way.writes());
        let registry = mlflow_registry(&self.mlflow.url);
        tells_of_one_promotion(&registry, model).await;
        let registers = registry.registers(model).await.unwrap();
        let looks = registers.keys().filter(|key| key.starts_with("look/"));
        assert_eq!(looks.count(), 1, "{model}: {registers:#?}");
        self.everything_was_made_once(model);
        self.bed
            .kubectl(&["delete", "championpolicy", model])
            .unwrap();
    }

    /// The comparison and each Job of it was made by one request, in however many lives.
    fn everything_was_made_once(&self, model: &str) {
        let mut made: BTreeMap<(String, String), usize> = BTreeMap::new();
        for write in self.operator.writes() {
            let kept = ["evaluations", "jobs"].contains(&write.resource.as_str());
            if kept && write.method == "POST" && write.code == Some(201) {
                *made.entry((write.resource, write.name)).or_default() += 1;
            }
        }
        assert!(made.values().all(|times| *times == 1), "{model}: {made:#?}");
        let of_kind = |kind: &str| made.keys().filter(|(found, _)| found == kind).count();
        assert_eq!(of_kind("evaluations"), 1, "{model}: {made:#?}");
        assert!(of_kind("jobs") >= 1, "{model}: {made:#?}");
    }

    /// MLflow's own client sees the same champion of each model.
    fn all_have_moved(&self, models: &[String]) {
        let names = models.join("','");
        let seen = self.mlflow.python(&format!(
            "print({{client.get_registered_model(m).aliases['champion'] for m in ['{names}']}})"
        ));
        assert_eq!(seen, "{'2'}", "what MLflow's own client sees");
    }
}

fn dies_at_each_write(name: &str, place: Place, moment: Moment) {
    on_bed(name, async |bed| {
        let scene = Scene::of(bed, true).await;
        let mut models = Vec::new();
        let mut came_to_an_end = false;
        for nth in 1..=MOST_WRITES {
            let model = format!("{}-{nth}", scene.bed.namespace);
            models.push(model.clone());
            scene.make_model(&model).await;
            let before = place.deaths(&scene.operator, &scene.way);
            place.die_at(nth, moment, &scene.operator, &scene.way);
            let policy = comparing(&scene.store, &model, &model, "predictions");
            scene.promote(&model, policy).await;
            if place.deaths(&scene.operator, &scene.way) == before {
                came_to_an_end = true;
                break;
            }
        }
        assert!(came_to_an_end, "a comparison has no end of writes");
        assert!(models.len() > 8, "only {} writes", models.len() - 1);
        eprintln!("{name}: {} writes", models.len() - 1);
        scene.all_have_moved(&models);
    });
}

#[test]
fn before_a_write_of_a_comparison_to_kubernetes() {
    dies_at_each_write("compared-before", Place::Kubernetes, Moment::BeforeRequest);
}

#[test]
fn while_kubernetes_carries_out_a_write_of_a_comparison() {
    dies_at_each_write("compared-while", Place::Kubernetes, Moment::AfterRequest);
}

#[test]
fn after_a_write_of_a_comparison_to_kubernetes() {
    dies_at_each_write("compared-after", Place::Kubernetes, Moment::AfterResponse);
}

/// The other moments are tried beside a cluster: `tests/registries/deaths.rs`.
#[test]
fn while_mlflow_carries_out_a_write_of_a_comparison() {
    dies_at_each_write("compared-mlflow", Place::Mlflow, Moment::AfterRequest);
}

/// A write on the way to predictions that nobody has made yet.
struct Point {
    name: &'static str,
    what: fn(&Witnessed) -> bool,
    /// Which of the writes that are it, from 1.
    nth: usize,
    moments: &'static [Moment],
}

fn is_missing_something(write: &Witnessed) -> bool {
    let missing = write.body.pointer("/status/missing/0");
    write.is("PATCH", "evaluations/status") && missing.is_some()
}

fn is_job_of(write: &Witnessed, owner: &str) -> bool {
    write.is("POST", "jobs") && write.text("/metadata/ownerReferences/0/kind") == owner
}

fn is_scorer(write: &Witnessed) -> bool {
    is_job_of(write, "ChampionPolicy")
}

fn is_second_run(write: &Witnessed) -> bool {
    is_job_of(write, "Evaluation") && write.name.ends_with("-2")
}

const POINTS: &[Point] = &[
    Point {
        name: "what is missing",
        what: is_missing_something,
        nth: 1,
        moments: &[Moment::AfterRequest],
    },
    Point {
        name: "the first scorer",
        what: is_scorer,
        nth: 1,
        moments: &Moment::ALL,
    },
    Point {
        name: "the second scorer",
        what: is_scorer,
        nth: 2,
        moments: &[Moment::AfterRequest],
    },
    Point {
        name: "the second run of the comparison",
        what: is_second_run,
        nth: 1,
        moments: &[Moment::AfterRequest],
    },
];

#[test]
fn at_the_writes_by_which_missing_predictions_are_made() {
    on_bed("compared-scored", async |bed| {
        let scene = Scene::of(bed, false).await;
        let mut models = Vec::new();
        let plans = POINTS.iter().flat_map(|point| {
            let moments = point.moments.iter();
            moments.map(move |moment| (point, *moment))
        });
        for (number, (point, moment)) in plans.enumerate() {
            let model = format!("{}-{number}", scene.bed.namespace);
            models.push(model.clone());
            scene.make_model(&model).await;
            scene.way.forget();
            scene.operator.way.heal();
            scene.operator.way.forget();
            let before = scene.operator.way.deaths();
            scene.operator.way.cut(Cut::KillAt {
                life: Some(before + 1),
                what: point.what,
                nth: point.nth,
                moment,
            });
            // Each model has a folder of its own for what its scorers make.
            let policy = scoring(&scene.store, &model, &model, &model);
            scene.promote(&model, policy).await;
            let died = scene.operator.way.deaths() - before;
            assert_eq!(died, 1, "{} was not reached", point.name);
        }
        scene.all_have_moved(&models);
    });
}
