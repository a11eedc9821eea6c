//! The operator dies at every write of a promotion that is published and told of, and at the message itself, before, while and after each is
//! carried out. Whoever is to hear of the decision hears of it, under one id, and the ConfigMap says who is champion.

use crate::bed::announcements::{Manner, Receiver, VARIABLES, prepare, published};
use crate::bed::cuts::Moment;
use crate::bed::manifests::{champion_policy, model_registry};
use crate::bed::mlflow::Mlflow;
use crate::bed::mlflow_way::MlflowWay;
use crate::bed::operator::Operator;
use crate::bed::{Bed, on_bed};
use crate::ledger_of_model::make_model;
use crate::mlflow_registry::mlflow_registry;
use crate::promotions::{Place, start_if_dead};
use podium_api::ChampionPolicy;
use podium_api::champion_policy::ChampionPolicyStatus;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// More writes than a promotion and its announcement have.
const MOST_WRITES: usize = 40;

struct Scene {
    operator: Operator,
    way: MlflowWay,
    receiver: Receiver,
}

impl Scene {
    async fn of(bed: &Bed) -> Self {
        prepare(bed);
        let mut operator = bed.dead_operator("a").await;
        operator = operator.with("PODIUM_ALLOWED_HOSTS", "*=127.0.0.1");
        for (variable, value) in VARIABLES {
            operator = operator.with(variable, value);
        }
        let way = MlflowWay::open(&Mlflow::of_testbed().url, &operator).await;
        bed.apply(&model_registry(&way.url));
        operator.start_again();
        Self {
            operator,
            way,
            receiver: Receiver::open(Manner::Confirm).await,
        }
    }

    /// A policy that pins version 2 of the model of its own name, publishes it under that name, and tells the receiver.
    fn policy(&self, name: &str) -> Value {
        let mut policy = champion_policy(name, name);
        let spec = &mut policy["spec"];
        spec["pollSeconds"] = json!(5);
        spec["pin"] = json!({"version": "2", "reason": "by a test"});
        spec["publish"] = json!({"configMap": {"name": name}});
        spec["notify"] = json!([{"url": self.receiver.url, "secretRef": {"name": "hook-key"}}]);
        policy
    }

    /// Version 2 of a new model becomes champion and is announced, whenever the operator dies.
    async fn announce(&self, bed: &Bed, model: &str) {
        let what = format!("{model} is announced");
        bed.apply(&self.policy(model));
        let mut status = ChampionPolicyStatus::default();
        bed.wait(120, &what, async || {
            // It may have died at the last write of the one before, when that was settled already.
            start_if_dead(&self.operator);
            tokio::time::sleep(Duration::from_millis(100)).await;
            let policy = bed.find::<ChampionPolicy>(model).await;
            status = policy.and_then(|policy| policy.status).unwrap_or_default();
            is_announced(&status)
        })
        .await;
        let decision = status.champion.unwrap().decision_id.unwrap();
        self.was_told_of(model, &decision);
        let data = published(bed, model).await.unwrap();
        assert_eq!(data["version"], "2", "{model}: {data:?}");
        assert_eq!(data["decisionID"], decision, "{model}: {data:?}");
    }

    /// The receiver has confirmed the decision, and heard nothing else about the model.
    fn was_told_of(&self, model: &str, decision: &str) {
        assert_eq!(self.receiver.kinds_of(model), ["promoted"], "{model}");
        let heard = self.receiver.heard().into_iter();
        let of_model = heard.filter(|heard| heard.event()["subject"] == model);
        let ids: BTreeSet<String> = of_model.map(|heard| heard.id().to_string()).collect();
        assert_eq!(ids, [format!("{decision}-promoted")].into(), "{model}");
    }
}

/// Whether nothing is left to do: the pin is carried out, published, and heard of.
fn is_announced(status: &ChampionPolicyStatus) -> bool {
    let says = |kind: &str, reason: &str| {
        let mut conditions = status.conditions.iter();
        conditions.any(|c| c.type_ == kind && c.status == "True" && c.reason == reason)
    };
    let heard = status.notifications.iter();
    says("Ready", "Pinned")
        && says("Published", "Published")
        && status.in_flight.is_none()
        && !status.notifications.is_empty()
        && heard.flat_map(|told| &told.undelivered).count() == 0
}

fn dies_at_each_write(name: &str, moment: Moment) {
    on_bed(name, async |bed| {
        let scene = Scene::of(&bed).await;
        let (operator, way) = (&scene.operator, &scene.way);
        let registry = mlflow_registry(&way.url);
        for nth in 1..=MOST_WRITES {
            let model = format!("{}-{nth}", bed.namespace);
            make_model(&registry, &model, 2, true).await;
            let before = Place::Kubernetes.deaths(operator, way);
            Place::Kubernetes.die_at(nth, moment, operator, way);
            scene.announce(&bed, &model).await;
            if Place::Kubernetes.deaths(operator, way) == before {
                // Statuses of the move, the ConfigMap, what is owed and what is not any more; events beside them.
                assert!(nth > 8, "only {} writes", nth - 1);
                eprintln!("{name}: {} writes", nth - 1);
                return;
            }
            bed.kubectl(&["delete", "championpolicy", &model]).unwrap();
        }
        panic!("an announcement has no end of writes");
    });
}

#[test]
fn before_a_write_of_an_announcement() {
    dies_at_each_write("announced-before", Moment::BeforeRequest);
}

#[test]
fn while_a_write_of_an_announcement_is_carried_out() {
    dies_at_each_write("announced-while", Moment::AfterRequest);
}

#[test]
fn after_a_write_of_an_announcement() {
    dies_at_each_write("announced-after", Moment::AfterResponse);
}

#[test]
fn at_the_message_itself() {
    on_bed("announced-message", async |bed| {
        let scene = Scene::of(&bed).await;
        let registry = mlflow_registry(&scene.way.url);
        for (number, moment) in Moment::ALL.into_iter().enumerate() {
            let model = format!("{}-{number}", bed.namespace);
            make_model(&registry, &model, 2, true).await;
            scene.receiver.kill_at_next(&scene.operator, moment);
            scene.announce(&bed, &model).await;
            assert_eq!(scene.receiver.deaths(), number + 1, "{moment:?}");
            let heard = scene.receiver.heard().into_iter();
            let times = heard.filter(|heard| heard.event()["subject"] == model.as_str());
            // An answer that came may have been taken down before the operator died.
            let least = if moment == Moment::AfterResponse {
                1
            } else {
                2
            };
            assert!(times.count() >= least, "{moment:?}");
            bed.kubectl(&["delete", "championpolicy", &model]).unwrap();
        }
    });
}
