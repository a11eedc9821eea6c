//! What a trial is given: its configuration, and what its container is told.

use crate::bed::manifests::{REPORT, container_of, pod_of, search};
use crate::bed::{on_bed, phase};
use crate::looks::{ready_message, status, trial, trial_message};
use podium_api::TuningJob;
use serde_json::{Value, json};

#[test]
fn initial_trials_come_first_and_constraints_hold() {
    on_bed("initial", async |bed| {
        let _operator = bed.operator("a").await;
        let mut given = search("given", 5, 2, REPORT);
        given["spec"]["parameters"] = json!([
            {"name": "rate", "real": {"min": 0.0, "max": 1.0}},
            {"name": "trees", "integer": {"min": 1, "max": 100}},
        ]);
        given["spec"]["parameterConstraints"] =
            json!([{"expression": "trees > 50"}, {"expression": "rate * 2.0 < 1.0"}]);
        given["spec"]["initialTrials"] = json!([{"rate": 0.25}, {"rate": 0.125, "trees": 77}]);
        bed.apply(&given);
        let job = bed.until_finished("given", 90).await;
        assert_eq!(phase(&job), Some("Succeeded"));
        let trials = bed.trials("given").await;
        let parameters: Vec<Value> = trials.iter().map(|t| json!(t.spec.parameters)).collect();
        let number = |index: usize, name: &str| parameters[index][name].as_f64().unwrap();
        assert_eq!(
            (number(0, "rate"), trials[0].spec.origin.as_str()),
            (0.25, "Initial")
        );
        assert_eq!(parameters[1], json!({"rate": 0.125, "trees": 77}));
        for (index, trial) in trials.iter().enumerate() {
            assert!(
                number(index, "trees") > 50.0 && number(index, "rate") < 0.5,
                "{parameters:?}"
            );
            let objective = status(trial).objective;
            assert_eq!(
                objective,
                Some(number(index, "rate")),
                "the container got another value"
            );
        }
        assert_eq!(trials[4].spec.origin, "Random");
    });
}

/// Ten to the tenth steps in few characters.
fn endless() -> String {
    let all = |name: char, inner: String| format!("[0,1,2,3,4,5,6,7,8,9].all({name}, {inner})");
    ('a'..='j').fold("true".to_string(), |inner, name| all(name, inner))
}

#[test]
fn an_expression_without_an_end_is_refused_wherever_it_stands_and_stops_nobody() {
    on_bed("endless", async |bed| {
        let operator = bed.operator("a").await;
        let endless = endless();
        let places = [
            (
                "constraint",
                "/parameterConstraints",
                json!([{"expression": format!("rate >= 0.0 && {endless}")}]),
            ),
            (
                "objective",
                "/objective",
                json!({"direction": "Maximize", "expression": format!("{endless} ? auc : 0.0")}),
            ),
            (
                "bound",
                "/objective/constraints",
                json!([format!("auc > 0.0 && {endless}")]),
            ),
            (
                "rule",
                "/trial/failureRules",
                json!([{"when": endless, "action": "Retry"}]),
            ),
            (
                "when",
                "/parameters",
                json!([
                    {"name": "rate", "real": {"min": 0.0, "max": 1.0}},
                    {"name": "depth", "integer": {"min": 1, "max": 9}, "when": format!("rate > 0.5 && {endless}")},
                ]),
            ),
        ];
        for (name, place, value) in &places {
            let mut search = search(name, 1, 1, REPORT);
            let (parent, field) = place.rsplit_once('/').unwrap();
            search["spec"].pointer_mut(parent).unwrap()[field] = value.clone();
            bed.apply(&search);
        }
        bed.apply(&search("beside", 2, 1, REPORT));
        let job = bed.until_finished("beside", 60).await;
        assert_eq!(phase(&job), Some("Succeeded"));
        for (name, place, _) in places {
            let blocked = |job: &TuningJob| phase(job) == Some("Blocked");
            bed.until(name, 60, "is refused", blocked).await;
            let message = ready_message(&bed.search(name).await.unwrap());
            let field = place.trim_start_matches('/').split('/').next().unwrap();
            assert!(message.contains(field), "{name}: {message}");
        }
        assert!(operator.terminate().await.success());
    });
}

#[test]
fn a_container_is_told_everything_about_its_trial() {
    let script = r#"
echo "$PODIUM_TUNING_JOB $PODIUM_TRIAL $PODIUM_TRIAL_INDEX $PODIUM_SEED $PODIUM_OUTPUT_URI"
echo "$PODIUM_PARAMETERS"
echo "$1 $rate $kind $own"
exit 9"#;
    on_bed("told", async |bed| {
        let _operator = bed.operator("a").await;
        let mut told = search("told", 1, 1, script);
        told["spec"]["parameters"] = json!([
            {"name": "rate", "real": {"min": 0.0, "max": 1.0}},
            {"name": "kind", "categorical": {"values": ["a b", "it's"]}},
        ]);
        told["spec"]["trial"]["outputURI"] =
            json!("s3://models/$(PODIUM_TUNING_JOB)/$(PODIUM_TRIAL)");
        let container = container_of(&mut told);
        container["args"] = json!(["told", "--rate=$(rate) $(kind)"]);
        container["env"] = json!([{"name": "own", "value": "<$(rate)>"}]);
        bed.apply(&told);
        bed.until_finished("told", 60).await;
        let trial = trial(&bed, "told-1").await;
        let parameters = &trial.spec.parameters;
        let (rate, kind) = (&parameters["rate"], &parameters["kind"]);
        let expected = format!(
            "told told-1 1 {} s3://models/told/told-1 | {} | --rate={rate} {kind} {rate} {kind} <{rate}>",
            trial.spec.seed,
            json!(parameters),
        );
        let said = trial_message(&trial);
        assert!(said.ends_with(&expected), "{said}\n{expected}");
        assert_eq!(
            status(&trial).output_uri.as_deref(),
            Some("s3://models/told/told-1")
        );
    });
}

#[test]
fn a_pod_gets_a_token_where_its_template_asks_for_one_or_names_an_account() {
    on_bed("token", async |bed| {
        let _operator = bed.operator("a").await;
        bed.kubectl(&["create", "serviceaccount", "trainer"])
            .unwrap();
        let token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
        for (name, field, value, has_one) in [
            ("plain", "enableServiceLinks", json!(false), "!"),
            ("asks", "automountServiceAccountToken", json!(true), ""),
            ("names", "serviceAccountName", json!("trainer"), ""),
        ] {
            let mut search = search(
                name,
                1,
                1,
                &format!("[ {has_one} -e {token} ] || exit 7; {REPORT}"),
            );
            pod_of(&mut search)[field] = value;
            bed.apply(&search);
            let job = bed.until_finished(name, 90).await;
            assert_eq!(phase(&job), Some("Succeeded"), "{name}: {job:#?}");
        }
    });
}
