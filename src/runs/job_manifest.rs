//! The Job of a trial: as the user wrote it, plus what makes it a trial's.

use super::tracking_access;
use crate::ports::RunRequest;
use podium_api::tuning_job::JobMetadata;
use podium_core::champion::cause::digest;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Annotation of a pod that names the container whose end decides.
pub const CONTAINER_ANNOTATION: &str = "podium.dev/container";
/// Label of a Job and its pods: name of the run. It tells Podium's Jobs from all others.
pub const RUN_LABEL: &str = "podium.dev/run";
/// Label of a Job and its pods: the number of the attempt.
pub const ATTEMPT_LABEL: &str = "podium.dev/attempt";
/// Label of a Job and its pods: uid of the trial. A trial made anew under the name of a deleted one must not take over its pods.
pub const OWNER_LABEL: &str = "podium.dev/owner";
/// Fields of a pod that name its service account; the second one is the first one's old name.
const NAMES_OF_THE_ACCOUNT: [&str; 2] = ["serviceAccountName", "serviceAccount"];

/// Name of the Job of an attempt. The last two numbers of it are the trial's and the attempt's, so no two are alike.
#[must_use]
pub fn job_name(trial: &str, attempt: u32) -> String {
    format!("{trial}-{attempt}")
}

/// Digest of what a run depends on, as far as it can be seen from here: the Job, and the variables, which say where the files of a model lie
/// and where those that are made from them go.
#[must_use]
pub fn digest_of_inputs(job: &Map<String, Value>, variables: &BTreeMap<String, String>) -> String {
    digest(&[&json!([job, variables]).to_string()])
}

/// The Job of an attempt. What Kubernetes would refuse stays in it, so that Kubernetes says so in its own words.
#[must_use]
pub fn job_manifest(request: &RunRequest<'_>, namespace: &str) -> Value {
    let mut labels: Map<String, Value> = request
        .labels
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    labels.insert(RUN_LABEL.to_string(), json!(request.name));
    labels.insert(
        ATTEMPT_LABEL.to_string(),
        json!(request.attempt.to_string()),
    );
    if let Some(owner) = &request.owner {
        labels.insert(OWNER_LABEL.to_string(), json!(owner.uid));
    }
    let mut spec = request.job.clone();
    let mut never_restarts = false;
    if let Some(Value::Object(template)) = spec.get_mut("template") {
        add_metadata(template, "labels", &labels);
        if let Some(container) = chosen_container(request) {
            let chosen = Map::from_iter([(CONTAINER_ANNOTATION.to_string(), json!(container))]);
            add_metadata(template, "annotations", &chosen);
        }
        if let Some(Value::Object(pod)) = template.get_mut("spec") {
            complete_pod(pod, request);
            never_restarts = pod.get("restartPolicy") == Some(&json!("Never"));
        }
    }
    if never_restarts {
        // A trial that fails by itself has failed; what the infrastructure ends is run again by Podium.
        // With limits per index, and with pods that are replaced while they end, Kubernetes refuses what is put here; the user has decided.
        if !spec.contains_key("backoffLimitPerIndex") {
            spec.entry("backoffLimit").or_insert(json!(0));
        }
        if spec
            .get("podReplacementPolicy")
            .is_none_or(|policy| policy == "Failed")
        {
            spec.entry("podFailurePolicy")
                .or_insert_with(fail_on_disruption);
        }
    }
    let JobMetadata {
        labels: own_labels,
        annotations,
    } = &request.job_metadata;
    let managed_by = [("app.kubernetes.io/managed-by".to_string(), json!("podium"))];
    let own_labels = own_labels
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)));
    let all_labels: Map<String, Value> = managed_by
        .into_iter()
        .chain(own_labels)
        .chain(labels)
        .collect();
    let mut metadata = json!({
        "name": job_name(&request.name, request.attempt),
        "namespace": namespace,
        "labels": all_labels,
    });
    if !annotations.is_empty() {
        metadata["annotations"] = json!(annotations);
    }
    if let Some(owner) = &request.owner {
        metadata["ownerReferences"] = json!([owner]);
    }
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})
}

/// The Job then says itself that a disruption ended its pod, even when the pod is gone before anybody looks.
fn fail_on_disruption() -> Value {
    json!({"rules": [{"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]})
}

/// `field` is `labels` or `annotations`.
fn add_metadata(template: &mut Map<String, Value>, field: &str, added: &Map<String, Value>) {
    if let Some(metadata) = object_in(template, "metadata")
        && let Some(own) = object_in(metadata, field)
    {
        own.extend(added.clone());
    }
}

/// An object's field that holds an object, made where there is none; nothing where it holds what Kubernetes will refuse.
fn object_in<'a>(
    object: &'a mut Map<String, Value>,
    field: &str,
) -> Option<&'a mut Map<String, Value>> {
    let value = object.entry(field).or_insert(Value::Null);
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut()
}

fn complete_pod(pod: &mut Map<String, Value>, request: &RunRequest<'_>) {
    pod.entry("restartPolicy").or_insert(json!("Never"));
    // A trial needs no token of the cluster. Whoever names an account wants what it gives, and its own setting holds.
    let names_one = |field: &&str| {
        let name = pod.get(*field).and_then(Value::as_str);
        name.is_some_and(|name| !name.is_empty())
    };
    if !NAMES_OF_THE_ACCOUNT.iter().any(names_one) {
        pod.entry("automountServiceAccountToken")
            .or_insert(json!(false));
    }
    // The pod's own deadline counts from its start and not from its Job's, so waiting costs nothing.
    if let Some(seconds) = request.deadline_seconds {
        pod.entry("activeDeadlineSeconds").or_insert(json!(seconds));
    }
    if let Some(access) = &request.tracking {
        tracking_access::add_volume(access, pod);
    }
    let chosen = chosen_container(request);
    for list in ["initContainers", "containers"] {
        let Some(Value::Array(containers)) = pod.get_mut(list) else {
            continue;
        };
        for container in containers.iter_mut().filter_map(Value::as_object_mut) {
            add_environment(container, request);
            if let Some(access) = &request.tracking {
                tracking_access::mount(access, container);
            }
            let name = container.get("name").and_then(Value::as_str);
            if list == "containers" && name == chosen.as_deref() {
                // A container that fails without a message then says the end of its log.
                container
                    .entry("terminationMessagePolicy")
                    .or_insert(json!("FallbackToLogsOnError"));
            }
        }
    }
}

/// Podium's variables come first, so that the user's may refer to them, and win. Their values are to arrive as they are, and Kubernetes
/// makes `$` of every `$$`.
fn add_environment(container: &mut Map<String, Value>, request: &RunRequest<'_>) {
    let own = container.entry("env").or_insert(Value::Null);
    if own.is_null() {
        *own = json!([]);
    }
    let Some(own) = own.as_array_mut() else {
        return;
    };
    let is_own = |name: &str| {
        own.iter()
            .any(|variable| variable.get("name").and_then(Value::as_str) == Some(name))
    };
    let mut all: Vec<Value> = request
        .variables
        .iter()
        .filter(|(name, _)| !is_own(name))
        .map(|(name, value)| json!({"name": name, "value": value.replace('$', "$$")}))
        .collect();
    if let Some(access) = &request.tracking {
        all.extend(tracking_access::variables(access, own));
    }
    all.append(own);
    *own = all;
}

fn chosen_container(request: &RunRequest<'_>) -> Option<String> {
    let first = || {
        let pod = request.template.spec.as_ref()?;
        pod.containers
            .first()
            .map(|container| container.name.clone())
    };
    request.container.map(str::to_string).or_else(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::PodTemplateSpec;

    fn manifest(job: Value) -> Value {
        let template: PodTemplateSpec = serde_json::from_value(job["template"].clone()).unwrap();
        let job = job.as_object().unwrap().clone();
        let request = RunRequest {
            name: "forest-7".to_string(),
            attempt: 2,
            job: &job,
            template: &template,
            container: None,
            variables: BTreeMap::from([
                ("depth".to_string(), "5".to_string()),
                ("odd".to_string(), "a$(b)$$c$".to_string()),
            ]),
            tracking: None,
            deadline_seconds: Some(60),
            owner: None,
            labels: BTreeMap::from([("podium.dev/trial".to_string(), "forest-7".to_string())]),
            job_metadata: JobMetadata {
                labels: BTreeMap::from([(
                    "kueue.x-k8s.io/queue-name".to_string(),
                    "a".to_string(),
                )]),
                annotations: BTreeMap::from([("example.com/note".to_string(), "kept".to_string())]),
            },
        };
        job_manifest(&request, "team")
    }

    #[test]
    fn another_template_and_another_address_are_other_inputs() {
        let inputs = |image: &str, output: &str| {
            let job =
                json!({"template": {"spec": {"containers": [{"name": "a", "image": image}]}}});
            let variables = BTreeMap::from([("OUTPUT_URI".to_string(), output.to_string())]);
            digest_of_inputs(job.as_object().unwrap(), &variables)
        };
        let before = inputs("score:1", "s3://b/1");
        assert_eq!(inputs("score:1", "s3://b/1"), before);
        assert_ne!(inputs("score:2", "s3://b/1"), before);
        assert_ne!(inputs("score:1", "s3://c/1"), before);
    }

    #[test]
    fn a_job_is_the_users_plus_what_makes_it_a_trials() {
        let job = manifest(json!({"template": {"spec": {"containers": [
            {"name": "train", "image": "forest:1", "args": ["--depth=$(depth)"], "env": [{"name": "A", "value": "$(depth)"}]},
            {"name": "side", "image": "side:1"}
        ]}}}));
        assert_eq!(job["metadata"]["name"], "forest-7-2");
        assert_eq!(job["metadata"]["labels"]["podium.dev/attempt"], "2");
        assert_eq!(job["metadata"]["labels"]["podium.dev/run"], "forest-7");
        assert_eq!(
            job["metadata"]["labels"]["app.kubernetes.io/managed-by"],
            "podium"
        );
        assert_eq!(job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"], "a");
        assert_eq!(job["metadata"]["annotations"]["example.com/note"], "kept");
        let spec = &job["spec"];
        let annotations = &spec["template"]["metadata"]["annotations"];
        assert_eq!(annotations[CONTAINER_ANNOTATION], "train");
        assert_eq!(spec["backoffLimit"], 0);
        assert_eq!(spec["podFailurePolicy"]["rules"][0]["action"], "FailJob");
        let labels = &spec["template"]["metadata"]["labels"];
        assert_eq!(labels["podium.dev/trial"], "forest-7");
        let pod = &spec["template"]["spec"];
        assert_eq!(
            (&pod["restartPolicy"], &pod["activeDeadlineSeconds"]),
            (&json!("Never"), &json!(60))
        );
        assert_eq!(pod["automountServiceAccountToken"], false);
        let train = &pod["containers"][0];
        assert_eq!(
            train["env"],
            json!([{"name": "depth", "value": "5"}, {"name": "odd", "value": "a$$(b)$$$$c$$"}, {"name": "A", "value": "$(depth)"}])
        );
        assert_eq!(train["terminationMessagePolicy"], "FallbackToLogsOnError");
        assert_eq!(pod["containers"][1].get("terminationMessagePolicy"), None);
        assert_eq!(pod["containers"][1]["env"][0]["name"], "depth");
    }

    #[test]
    fn what_the_user_says_stays() {
        let own = json!({"backoffLimit": 3, "podFailurePolicy": {"rules": []}, "suspend": true, "fieldOfTomorrow": 1,
            "template": {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "gpu"}}, "spec": {
                "restartPolicy": "Never", "activeDeadlineSeconds": 5, "schedulerName": "mine",
                "containers": [{"name": "train", "env": [{"name": "depth", "value": "99"}], "terminationMessagePolicy": "File"}]}}});
        let spec = manifest(own.clone())["spec"].clone();
        for field in [
            "backoffLimit",
            "podFailurePolicy",
            "suspend",
            "fieldOfTomorrow",
        ] {
            assert_eq!(spec[field], own[field], "{field}");
        }
        let (pod, theirs) = (&spec["template"]["spec"], &own["template"]["spec"]);
        assert_eq!(
            pod["activeDeadlineSeconds"],
            theirs["activeDeadlineSeconds"]
        );
        assert_eq!(pod["schedulerName"], "mine");
        assert_eq!(pod["containers"][0]["terminationMessagePolicy"], "File");
        let depths: Vec<&Value> = pod["containers"][0]["env"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|v| v["name"] == "depth")
            .collect();
        assert_eq!(depths, [&json!({"name": "depth", "value": "99"})]);
        assert_eq!(
            spec["template"]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"],
            "gpu"
        );
    }

    #[test]
    fn no_default_contradicts_what_the_user_says() {
        let with = |field: &str, value: Value| {
            let mut own = json!({"template": {"spec": {"containers": [{"name": "train"}]}}});
            own[field] = value;
            manifest(own)["spec"].clone()
        };
        assert_eq!(
            with("backoffLimitPerIndex", json!(1)).get("backoffLimit"),
            None
        );
        let replaced = with("podReplacementPolicy", json!("TerminatingOrFailed"));
        assert_eq!(replaced.get("podFailurePolicy"), None);
        let after = with("podReplacementPolicy", json!("Failed"));
        assert!(after.get("podFailurePolicy").is_some());
    }

    #[test]
    fn a_pod_gets_a_token_where_its_template_says_so_or_names_an_account() {
        let token = |field: &str, value: Value| {
            let mut own = json!({"template": {"spec": {"containers": [{"name": "train"}]}}});
            own["template"]["spec"][field] = value;
            manifest(own)["spec"]["template"]["spec"]["automountServiceAccountToken"].clone()
        };
        assert_eq!(token("automountServiceAccountToken", json!(true)), true);
        assert_eq!(token("serviceAccountName", json!("trainer")), Value::Null);
        assert_eq!(token("serviceAccount", json!("trainer")), Value::Null);
        assert_eq!(token("priorityClassName", json!("low")), false);
    }

    #[test]
    fn a_pod_that_restarts_its_container_may_and_gets_no_policy_that_kubernetes_would_refuse() {
        let job = manifest(
            json!({"template": {"spec": {"restartPolicy": "OnFailure", "containers": [{"name": "train"}]}}}),
        );
        assert_eq!(job["spec"].get("podFailurePolicy"), None);
        assert_eq!(job["spec"].get("backoffLimit"), None);
    }
}
