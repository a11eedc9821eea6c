//! Policies that retrain: searches by request and on schedule, on a real MLflow.

use crate::bed::gates::{gated, open};
use crate::bed::manifests::{HANG, REPORT, container_of, model_registry, registering, search};
use crate::bed::mlflow::Mlflow;
use crate::bed::{Bed, condition, on_bed};
use crate::looks::stays;
use crate::policies::{champion, operator, pinned, policy, told, until, until_pinned, with};
use kube::ResourceExt;
use kube::api::ListParams;
use podium_api::champion_policy::RetrainStatus;
use podium_api::{ChampionPolicy, TuningJob};
use podium_core::retraining::{Occasion, search_name};
use serde_json::{Value, json};

/// A schedule that was due a minute ago and is not due for most of an hour.
fn just_past() -> String {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    format!("{} * * * *", (now.minute() + 59) % 60)
}

/// `spec.retrain` whose searches are like this one.
fn retrain(search: &Value, model: &str) -> Value {
    let search = registering(search.clone(), model);
    json!({"schedule": just_past(), "tuningJobTemplate": {"spec": search["spec"]}})
}

fn changed(mut retrain: Value, field: &str, value: Value) -> Value {
    retrain[field] = value;
    retrain
}

/// An operator and a policy called `fraud` that retrains for a model of the bed's name.
async fn begin(bed: &Bed, retrain: Value) -> (crate::bed::operator::Operator, Mlflow) {
    let mlflow = Mlflow::of_testbed();
    let operator = operator(bed).await;
    bed.apply(&model_registry(&mlflow.url));
    bed.apply(&with(policy(&bed.namespace), "retrain", retrain));
    (operator, mlflow)
}

/// Reason and message of the condition `RetrainReady`.
fn said(policy: &ChampionPolicy) -> Option<(&str, &str)> {
    let conditions = &policy.status.as_ref()?.conditions;
    let ready = conditions.iter().find(|c| c.type_ == "RetrainReady")?;
    Some((&ready.reason, &ready.message))
}

fn status(policy: &ChampionPolicy) -> RetrainStatus {
    let status = policy.status.clone().unwrap_or_default();
    status.retrain.unwrap_or_default()
}

/// Waits until the loop says this; its words.
async fn until_says(bed: &Bed, reason: &str) -> String {
    let what = format!("says that it is {reason}");
    let says = |policy: &ChampionPolicy| said(policy).is_some_and(|(said, _)| said == reason);
    let policy = until(bed, &what, says).await;
    said(&policy).unwrap().1.to_string()
}

fn ask(bed: &Bed, value: &str) {
    let annotation = format!("podium.dev/run-now={value}");
    bed.kubectl(&["annotate", "chp", "fraud", &annotation, "--overwrite"])
        .unwrap();
}

fn name_of(value: &str) -> String {
    search_name("fraud", &Occasion::RunNow(value.to_string()))
}

/// The names of all searches, in order.
async fn names(bed: &Bed) -> Vec<String> {
    let all = bed.api::<TuningJob>().list(&ListParams::default()).await;
    let mut names: Vec<String> = all.unwrap().iter().map(ResourceExt::name_any).collect();
    names.sort();
    names
}

async fn until_there_are(bed: &Bed, wanted: &[String]) {
    let mut wanted = wanted.to_vec();
    wanted.sort();
    let what = format!("the searches are {wanted:?}");
    bed.wait(90, &what, async || names(bed).await == wanted)
        .await;
}

/// It is told after the status is written.
async fn until_told(bed: &Bed, reason: &str) {
    let what = format!("{reason} is told");
    bed.wait(60, &what, async || told(bed).contains(reason))
        .await;
}

/// When a search began and when it ended.
async fn times_of(bed: &Bed, search: &str) -> (jiff::Timestamp, jiff::Timestamp) {
    let job = bed.until_finished(search, 180).await;
    let status = job.status.unwrap();
    (
        status.start_time.unwrap().0,
        status.completion_time.unwrap().0,
    )
}

fn change(bed: &Bed, retrain: &Value) {
    let patch = json!({"spec": {"retrain": retrain}}).to_string();
    bed.kubectl(&["patch", "chp", "fraud", "--type=merge", "-p", &patch])
        .unwrap();
}

#[test]
fn each_value_of_the_annotation_starts_one_search_whose_winner_is_challenger() {
    on_bed("retrain-now", async |bed| {
        let retrain = retrain(&search("any", 1, 1, REPORT), &bed.namespace);
        let (_operator, mlflow) = begin(&bed, retrain).await;
        until_says(&bed, "Scheduled").await;
        // Its schedule was due before it was there.
        assert_eq!(names(&bed).await, Vec::<String>::new());
        ask(&bed, "one");
        let first = name_of("one");
        until_there_are(&bed, std::slice::from_ref(&first)).await;
        let job = bed.until_finished(&first, 180).await;
        assert_eq!(condition(&job, "Succeeded"), Some("True"), "{job:#?}");
        assert_eq!(job.owner_references()[0].name, "fraud");
        assert_eq!(job.labels()["podium.dev/champion-policy"], "fraud");
        assert_eq!(mlflow.alias(&bed.namespace, "challenger"), "1");
        until(&bed, "knows that it has succeeded", |policy| {
            let status = status(policy);
            let ended = status.active.is_empty() && status.last_successful_time.is_some();
            ended && status.last_run_now.as_deref() == Some("one")
        })
        .await;
        // The challenger is looked at as any other one.
        until(&bed, "has a challenger", |policy| {
            let status = policy.status.as_ref();
            status.and_then(|status| status.challenger.as_deref()) == Some("1")
        })
        .await;

        let program = env!("CARGO_BIN_EXE_podium");
        let asked = ["run-now", "fraud", "-n", &bed.namespace];
        let printed = crate::bed::run(program, &asked, None).unwrap();
        bed.wait(90, "there is another search", async || {
            names(&bed).await.len() == 2
        })
        .await;
        let both = names(&bed).await;
        let second = both.iter().find(|name| **name != first).unwrap();
        assert!(printed.contains(second.as_str()), "{printed}");
        bed.until_finished(second, 180).await;
        ask(&bed, "one");
        stays(5, "a value that comes again starts nothing", async || {
            names(&bed).await == both
        })
        .await;
        for reason in ["SuccessfulCreate", "SawCompletedJob"] {
            until_told(&bed, reason).await;
        }
        bed.kubectl(&["delete", "chp", "fraud"]).unwrap();
        until_there_are(&bed, &[]).await;
    });
}

#[test]
fn a_second_search_waits_for_the_first_one() {
    on_bed("retrain-forbid", async |bed| {
        let retrain = retrain(&gated(&bed, "any", 1, 1), &bed.namespace);
        let (_operator, _) = begin(&bed, retrain).await;
        until_says(&bed, "Scheduled").await;
        ask(&bed, "one");
        let first = name_of("one");
        until_there_are(&bed, std::slice::from_ref(&first)).await;
        ask(&bed, "two");
        let message = until_says(&bed, "AlreadyActive").await;
        assert!(message.contains(&format!("`{first}`")), "{message}");
        stays(3, "only the first one is there", async || {
            names(&bed).await == [first.clone()]
        })
        .await;
        open(&bed, "all");
        until_there_are(&bed, &[first.clone(), name_of("two")]).await;
        let (_, ended) = times_of(&bed, &first).await;
        let (began, _) = times_of(&bed, &name_of("two")).await;
        assert!(ended <= began, "{ended} {began}");
        until_told(&bed, "JobAlreadyActive").await;
    });
}

#[test]
fn a_second_search_replaces_the_first_one() {
    on_bed("retrain-replace", async |bed| {
        let hanging = retrain(&search("any", 1, 1, HANG), &bed.namespace);
        let retrain = changed(hanging, "concurrencyPolicy", json!("Replace"));
        let (_operator, _) = begin(&bed, retrain).await;
        ask(&bed, "one");
        bed.until_trial(&name_of("one"), 1, "Running").await;
        ask(&bed, "two");
        until_there_are(&bed, &[name_of("two")]).await;
        bed.until_trial(&name_of("two"), 1, "Running").await;
        bed.wait(90, "the first one has no trials", async || {
            bed.trials(&name_of("one")).await.is_empty()
        })
        .await;
        until_told(&bed, "SuccessfulDelete").await;
    });
}

#[test]
fn a_template_that_cannot_work_is_told_when_it_is_applied_and_stops_nothing_else() {
    on_bed("retrain-invalid", async |bed| {
        let mlflow = Mlflow::of_testbed();
        let model = mlflow.model_with_versions(&bed.namespace, 1);
        let _operator = operator(&bed).await;
        bed.apply(&model_registry(&mlflow.url));
        let good = retrain(&search("any", 1, 1, REPORT), &model);
        let mut unknown = good.clone();
        unknown["tuningJobTemplate"]["spec"]["maxTrails"] = json!(3);
        bed.apply(&with(pinned(&model, "1"), "retrain", unknown));
        until_pinned(&bed, "1").await;
        let message = until_says(&bed, "InvalidTemplate").await;
        let path = "spec.retrain.tuningJobTemplate.spec.maxTrails: must be left out";
        assert!(message.starts_with(path), "{message}");
        until_told(&bed, "InvalidTemplate").await;

        let mut others = search("any", 1, 1, REPORT);
        container_of(&mut others)["imagee"] = json!("a");
        let others = changed(
            retrain(&others, &model),
            "concurrencyPolicy",
            json!("Allow"),
        );
        bed.apply(&with(pinned(&model, "1"), "retrain", others));
        let message = until_says(&bed, "TemplateRefused").await;
        let path = "spec.retrain.tuningJobTemplate.spec.trial.job: ";
        assert!(message.starts_with(path), "{message}");
        assert!(message.contains("imagee"), "{message}");

        let mut labelled = good.clone();
        labelled["tuningJobTemplate"]["metadata"] = json!({"labels": {"team": "no label!"}});
        bed.apply(&with(pinned(&model, "1"), "retrain", labelled));
        let refused = |policy: &ChampionPolicy| {
            said(policy).is_some_and(|(_, message)| message.contains("metadata.labels"))
        };
        until(&bed, "says what is wrong with a label", refused).await;
        ask(&bed, "one");
        stays(3, "no search is started", async || {
            names(&bed).await.is_empty()
        })
        .await;
        bed.apply(&with(pinned(&model, "1"), "retrain", good));
        until_there_are(&bed, &[name_of("one")]).await;
        let policy = until(&bed, "is as it was", |_| true).await;
        assert_eq!(champion(&policy), Some("1"));
    });
}

#[test]
fn of_the_searches_that_ended_the_newest_are_kept() {
    on_bed("retrain-history", async |bed| {
        let fails = search("any", 1, 1, "exit 1");
        let good = retrain(&search("any", 1, 1, REPORT), &bed.namespace);
        let limited = changed(good, "successfulHistoryLimit", json!(1));
        let (_operator, _) = begin(&bed, limited).await;
        for value in ["one", "two"] {
            ask(&bed, value);
            until(&bed, "has succeeded again", |policy| {
                let status = status(policy);
                status.last_run_now.as_deref() == Some(value) && status.active.is_empty()
            })
            .await;
        }
        until_there_are(&bed, &[name_of("two")]).await;
        let failing = retrain(&fails, &bed.namespace)["tuningJobTemplate"].clone();
        change(
            &bed,
            &json!({"failedHistoryLimit": 0, "tuningJobTemplate": failing}),
        );
        ask(&bed, "three");
        until(&bed, "has failed", |policy| {
            let status = status(policy);
            status.last_run_now.as_deref() == Some("three") && status.active.is_empty()
        })
        .await;
        until_there_are(&bed, &[name_of("two")]).await;
    });
}

#[test]
fn what_passed_while_the_schedule_was_suspended_is_made_up_for_once() {
    on_bed("retrain-schedule", async |bed| {
        let mut sleeping = search("any", 1, 1, REPORT);
        sleeping["spec"]["suspend"] = json!(true);
        let mut each_minute = retrain(&sleeping, &bed.namespace);
        each_minute["schedule"] = json!("* * * * *");
        each_minute["suspend"] = json!(true);
        each_minute["concurrencyPolicy"] = json!("Allow");
        let (_operator, _) = begin(&bed, each_minute).await;
        until_says(&bed, "Suspended").await;
        stays(61, "nothing is started while it is suspended", async || {
            names(&bed).await.is_empty()
        })
        .await;
        change(&bed, &json!({"suspend": false}));
        bed.wait(30, "a search is started", async || {
            !names(&bed).await.is_empty()
        })
        .await;
        change(&bed, &json!({"suspend": true}));
        until_says(&bed, "Suspended").await;
        let started = names(&bed).await;
        // Another minute may have begun meanwhile.
        assert!(started.len() <= 2, "{started:?}");
        let job = bed.search(started.last().unwrap()).await.unwrap();
        let time = &job.annotations()["podium.dev/scheduled-time"];
        let time: jiff::Timestamp = time.parse().unwrap();
        assert_eq!(job.name_any(), format!("fraud-{}", time.as_second() / 60));
        until(&bed, "knows for when it was", |policy| {
            let last = status(policy).last_schedule_time;
            last.is_some_and(|last| last.0 == time)
        })
        .await;
        // Times of another schedule that passed before it was asked for are none of it.
        change(&bed, &json!({"suspend": false, "schedule": just_past()}));
        until_says(&bed, "Scheduled").await;
        stays(4, "nothing more is started", async || {
            names(&bed).await == started
        })
        .await;
    });
}

#[test]
fn a_search_of_somebody_else_under_the_name_is_left_alone() {
    on_bed("retrain-foreign", async |bed| {
        let mut sleeping = search(&name_of("one"), 1, 1, REPORT);
        sleeping["spec"]["suspend"] = json!(true);
        bed.apply(&sleeping);
        let retrain = retrain(&sleeping, &bed.namespace);
        let (_operator, _) = begin(&bed, retrain).await;
        until_says(&bed, "Scheduled").await;
        ask(&bed, "one");
        let message = until_says(&bed, "CannotCarryOut").await;
        assert!(message.contains("belongs to something else"), "{message}");
        let there = bed.search(&name_of("one")).await.unwrap();
        assert!(there.owner_references().is_empty());
        bed.kubectl(&["delete", "tj", &name_of("one")]).unwrap();
        bed.wait(120, "the policy's own one is started", async || {
            let there = bed.search(&name_of("one")).await;
            there.is_some_and(|job| !job.owner_references().is_empty())
        })
        .await;
    });
}
