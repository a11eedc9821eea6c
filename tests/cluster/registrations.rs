//! Winners of searches become versions of a real MLflow, whose own client is the witness.

use crate::bed::gates::{gated, open};
use crate::bed::manifests::{BETTER_EACH_TIME, REPORT, model_registry, registering, search};
use crate::bed::mlflow::Mlflow;
use crate::bed::mlflow_proxy::{self, Call, Fate, Said};
use crate::bed::{Bed, on_bed, phase, reason};
use crate::looks::{patch, ready_message, until_running};
use crate::policies::operator;
use podium_api::TuningJob;
use podium_api::tuning_job::RegisteredVersion;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn registered(job: &TuningJob) -> Option<&RegisteredVersion> {
    job.status.as_ref()?.registered.as_ref()
}

/// Waits until a search has ended and its winner is this trial, registered.
async fn until_registered(bed: &Bed, search: &str, winner: &str) -> RegisteredVersion {
    let is_registered = |job: &TuningJob| {
        phase(job) == Some("Succeeded") && registered(job).is_some_and(|r| r.trial == winner)
    };
    let what = format!("has registered {winner}");
    let job = bed.until(search, 180, &what, is_registered).await;
    registered(&job).unwrap().clone()
}

/// Waits until a search says this, for this reason.
async fn until_says(bed: &Bed, search: &str, because: &str, words: &str) {
    let says = |job: &TuningJob| reason(job) == Some(because) && ready_message(job).contains(words);
    let what = format!("says {because}: {words}");
    bed.until(search, 180, &what, says).await;
}

/// What MLflow's own client sees of a model.
struct Seen {
    /// Source and tags, by version.
    versions: Value,
    aliases: Value,
}

impl Seen {
    fn of(mlflow: &Mlflow, model: &str) -> Self {
        let printed = mlflow.python(&format!(
            "import json
found = client.search_model_versions(\"name='{model}'\")
versions = {{v.version: {{'source': v.source, 'tags': v.tags}} for v in found}}
print(json.dumps([versions, client.get_registered_model('{model}').aliases]))"
        ));
        let mut seen: Value = serde_json::from_str(&printed).unwrap();
        Self {
            versions: seen[0].take(),
            aliases: seen[1].take(),
        }
    }

    fn count(&self) -> usize {
        self.versions.as_object().unwrap().len()
    }

    fn tag(&self, version: &str, tag: &str) -> &str {
        let value = &self.versions[version]["tags"][tag];
        value.as_str().unwrap_or_default()
    }
}

#[test]
fn a_winner_becomes_a_version_and_so_does_a_better_one_after_it() {
    on_bed("register", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = bed.namespace.as_str();
        let _operator = operator(&bed).await;
        bed.apply(&model_registry(&mlflow.url));
        let forest = search("forest", 2, 2, BETTER_EACH_TIME);
        bed.apply(&registering(forest, model));
        let first = until_registered(&bed, "forest", "forest-2").await;
        assert_eq!((first.version.as_str(), first.alias_left), ("1", false));
        let seen = Seen::of(&mlflow, model);
        assert_eq!(seen.count(), 1);
        assert_eq!(seen.aliases, json!({"challenger": "1"}));
        assert_eq!(seen.versions["1"]["source"], "s3://models/forest-2");
        for (tag, value) in [
            ("podium.dev/tuning-job", "forest"),
            ("podium.dev/trial", "forest-2"),
            ("podium.dev/winner", "forest-2"),
            ("podium.dev/alias.challenger", "given"),
        ] {
            assert_eq!(seen.tag("1", tag), value, "{tag}");
        }

        patch(&bed, "forest", json!({"maxTrials": 3}));
        let better = until_registered(&bed, "forest", "forest-3").await;
        assert_eq!((better.version.as_str(), better.alias_left), ("2", false));
        let seen = Seen::of(&mlflow, model);
        assert_eq!(seen.count(), 2);
        assert_eq!(seen.aliases, json!({"challenger": "2"}));

        // Somebody prefers the first one, and what the search knew of its registration is lost.
        mlflow.point(model, "challenger", "1");
        let lost = r#"{"status": {"registered": null, "completionTime": null}}"#;
        let status = ["patch", "tj", "forest", "--subresource=status"];
        bed.kubectl(&[&status[..], &["--type=merge", "-p", lost]].concat())
            .unwrap();
        let left = until_registered(&bed, "forest", "forest-3").await;
        assert_eq!((left.version.as_str(), left.alias_left), ("2", true));
        let words = "the alias `challenger` was left alone";
        until_says(&bed, "forest", "MaxTrialsReached", words).await;
        let seen = Seen::of(&mlflow, model);
        assert_eq!(seen.count(), 2);
        assert_eq!(seen.aliases, json!({"challenger": "1"}));
    });
}

#[test]
fn a_registry_may_come_after_its_search_and_be_away_until_the_winner_is_found() {
    on_bed("register-order", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = bed.namespace.as_str();
        let _operator = operator(&bed).await;
        bed.apply(&registering(gated(&bed, "early", 1, 1), model));
        let mut crowning = registering(search("crowning", 1, 1, REPORT), model);
        crowning["spec"]["register"]["alias"] = json!("champion");
        bed.apply(&crowning);
        let mut local = registering(search("local", 1, 1, REPORT), model);
        local["spec"]["trial"]["outputURI"] = json!("file:///data/$(PODIUM_TRIAL)");
        bed.apply(&local);
        let missing = "spec.register.registryRef.name: must be the name of a ModelRegistry in this namespace, which has no `mlflow`";
        for name in ["early", "crowning", "local"] {
            until_says(&bed, name, "InvalidSpec", missing).await;
        }

        bed.apply(&model_registry(&mlflow.url));
        let protected =
            "spec.register.alias: must not be `champion`: the ModelRegistry `mlflow` protects it";
        until_says(&bed, "crowning", "InvalidSpec", protected).await;
        let place = "spec.trial.outputURI: must name a place that others can read from";
        until_says(&bed, "local", "InvalidSpec", place).await;
        until_running(&bed, "early-1").await;

        bed.kubectl(&["delete", "modelregistry", "mlflow"]).unwrap();
        open(&bed, "1");
        until_says(&bed, "early", "CannotCarryOut", missing).await;
        let job = bed.search("early").await.unwrap();
        assert_eq!(phase(&job), Some("Blocked"), "{job:#?}");
        bed.apply(&model_registry(&mlflow.url));
        until_registered(&bed, "early", "early-1").await;
        let seen = Seen::of(&mlflow, model);
        assert_eq!(seen.aliases, json!({"challenger": "1"}));
        for name in ["crowning", "local"] {
            assert!(bed.trials(name).await.is_empty(), "{name}");
        }
    });
}

#[test]
fn two_searches_register_into_one_model() {
    on_bed("register-two", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = bed.namespace.as_str();
        let _operator = operator(&bed).await;
        bed.apply(&model_registry(&mlflow.url));
        let both = ["left", "right"];
        for name in both {
            bed.apply(&registering(gated(&bed, name, 1, 1), model));
        }
        for name in both {
            until_running(&bed, &format!("{name}-1")).await;
        }
        open(&bed, "all");
        let mut versions = BTreeSet::new();
        for name in both {
            let registered = until_registered(&bed, name, &format!("{name}-1")).await;
            versions.insert((registered.version, name));
        }
        let seen = Seen::of(&mlflow, model);
        assert_eq!(seen.count(), 2);
        for (version, name) in &versions {
            assert_eq!(seen.tag(version, "podium.dev/tuning-job"), *name);
        }
        let challenger = seen.aliases["challenger"].as_str().unwrap();
        assert!(["1", "2"].contains(&challenger), "{challenger}");
    });
}

/// What becomes of requests to a registry.
#[derive(Default)]
struct Mood {
    now: AtomicUsize,
    /// Versions that were asked for while it refused them.
    refused: AtomicUsize,
    /// Versions that it made.
    made: AtomicUsize,
}

const AWAY: usize = 0;
const FORBIDS: usize = 1;
const REFUSES: usize = 2;
const FORGETS_TO_ANSWER: usize = 3;

impl Mood {
    fn fate(&self, call: &Call) -> Fate {
        let makes_a_version = call.is_write() && call.path == "model-versions/create";
        match self.now.load(Ordering::SeqCst) {
            AWAY => Fate::Answer(Said::json(503, "{}")),
            FORBIDS if makes_a_version => Fate::Answer(Said::html(403)),
            REFUSES if makes_a_version => {
                // Other words each time: each of them is a change of the search's status.
                let nth = self.refused.fetch_add(1, Ordering::SeqCst);
                let message = format!("not today, for the {nth}th time");
                let error = json!({"error_code": "INVALID_PARAMETER_VALUE", "message": message});
                Fate::Answer(Said::json(400, &error.to_string()))
            }
            // The server carries it out, and nobody hears of that.
            FORGETS_TO_ANSWER
                if makes_a_version && self.made.fetch_add(1, Ordering::SeqCst) == 0 =>
            {
                Fate::BreakThen(Box::new(|| {}))
            }
            _ => Fate::Pass,
        }
    }

    /// From now on; whoever waits to try again hears of a change of the registry.
    fn set(&self, bed: &Bed, mood: usize) {
        self.now.store(mood, Ordering::SeqCst);
        let aliases = json!(["champion", format!("mood-{mood}")]);
        let changed = json!({"spec": {"protectedAliases": aliases}}).to_string();
        let patch = ["patch", "modelregistry", "mlflow", "--type=merge", "-p"];
        bed.kubectl(&[&patch[..], &[changed.as_str()]].concat())
            .unwrap();
    }
}

#[test]
fn what_keeps_a_winner_from_the_registry_is_said_and_tried_again() {
    on_bed("register-fails", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = bed.namespace.as_str();
        let mood = Arc::new(Mood::default());
        let asked = Arc::clone(&mood);
        let url = mlflow_proxy::open(&mlflow.url, move |call| asked.fate(call)).await;
        let _operator = operator(&bed).await;
        bed.apply(&model_registry(&url));
        bed.apply(&registering(search("forest", 1, 1, REPORT), model));
        let winner = "the winner forest-1 was not registered as a version of";
        until_says(&bed, "forest", "Unavailable", winner).await;
        mood.set(&bed, FORBIDS);
        until_says(&bed, "forest", "Forbidden", "needs EDIT").await;
        mood.set(&bed, REFUSES);
        until_says(&bed, "forest", "CannotCarryOut", "not today").await;

        // A loop would ask hundreds of times in the life of a pod.
        bed.apply(&search("beside", 1, 1, REPORT));
        bed.until_finished("beside", 180).await;
        let refused = mood.refused.load(Ordering::SeqCst);
        assert!(refused < 20, "it was asked {refused} times");

        mood.set(&bed, FORGETS_TO_ANSWER);
        let registered = until_registered(&bed, "forest", "forest-1").await;
        assert_eq!(registered.version, "1");
        assert_eq!(mood.made.load(Ordering::SeqCst), 1);
        let seen = Seen::of(&mlflow, model);
        assert_eq!(seen.count(), 1);
        assert_eq!(seen.aliases, json!({"challenger": "1"}));
    });
}
