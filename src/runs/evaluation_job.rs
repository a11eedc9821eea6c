//! The Job of a comparison: what its policy says of the pod, and what makes it a comparison's. Pure.

use k8s_openapi::api::core::v1::PodTemplateSpec;
use podium_api::champion_policy::StoreSpec;
use podium_api::convert::EVALUATOR_CONTAINER;
use podium_api::schema::OpenObject;
use serde_json::{Map, Value, json};

/// Seconds after which a Job that ended is deleted by Kubernetes; its result is recorded within seconds.
const TTL_SECONDS: i64 = 3600;
/// Where the authorities of an object store are mounted.
const AUTHORITIES: &str = "/etc/podium/authorities";
/// Names of the volumes that are added.
const AUTHORITIES_VOLUME: &str = "podium-authorities";
const TEMPORARY_VOLUME: &str = "podium-temporary";
/// The key of a ConfigMap with certificates.
const BUNDLE: &str = "ca.crt";
/// What a Secret holds, and whether it must.
const CREDENTIALS: [(&str, bool); 3] = [
    ("AWS_ACCESS_KEY_ID", true),
    ("AWS_SECRET_ACCESS_KEY", true),
    ("AWS_SESSION_TOKEN", false),
];

/// What a Job runs, and on which files.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationPod<'a> {
    /// The image of Podium.
    pub image: &'a str,
    /// What the policy says of the pod.
    pub template: Option<&'a OpenObject>,
    /// How the files are reached.
    pub store: Option<&'a StoreSpec>,
    /// The arguments of podium.
    pub arguments: &'a [&'a str],
}

impl EvaluationPod<'_> {
    /// The specification of the Job.
    #[must_use]
    pub fn job(&self) -> Map<String, Value> {
        let mut job = Map::new();
        job.insert("backoffLimit".to_string(), json!(0));
        job.insert("completions".to_string(), json!(1));
        job.insert("parallelism".to_string(), json!(1));
        job.insert("ttlSecondsAfterFinished".to_string(), json!(TTL_SECONDS));
        job.insert("template".to_string(), Value::Object(self.pod_template()));
        job
    }

    fn pod_template(&self) -> Map<String, Value> {
        let given = self.template.map(|template| template.0.clone());
        let mut template = given.unwrap_or_default();
        let mut pod = taken_object(&mut template, "spec");
        let (mut container, others) = self.containers(&mut pod);
        self.complete_container(&mut container);
        let all: Vec<Value> = [Value::Object(container)]
            .into_iter()
            .chain(others)
            .collect();
        pod.insert("containers".to_string(), json!(all));
        self.complete_pod(&mut pod);
        template.insert("spec".to_string(), Value::Object(pod));
        template
    }

    /// What the policy says of the container that compares, and other containers, which conversion refuses.
    fn containers(&self, pod: &mut Map<String, Value>) -> (Map<String, Value>, Vec<Value>) {
        let given = match pod.remove("containers") {
            Some(Value::Array(containers)) => containers,
            _ => Vec::new(),
        };
        let (own, others): (Vec<Value>, Vec<Value>) = given
            .into_iter()
            .partition(|container| container["name"] == EVALUATOR_CONTAINER);
        let own = own.into_iter().next();
        let own = own.and_then(|own| own.as_object().cloned());
        (own.unwrap_or_default(), others)
    }

    fn complete_container(&self, container: &mut Map<String, Value>) {
        container.insert("name".to_string(), json!(EVALUATOR_CONTAINER));
        container.entry("image").or_insert(json!(self.image));
        container.insert("command".to_string(), json!(["podium"]));
        // They are to arrive as they are, and Kubernetes makes `$` of every `$$`.
        let arguments = self.arguments.iter();
        let arguments: Vec<String> = arguments.map(|text| text.replace('$', "$$")).collect();
        container.insert("args".to_string(), json!(arguments));
        let mut resources = taken_object(container, "resources");
        // Requests may not be above limits that somebody set.
        if !resources.contains_key("limits") {
            let requests = json!({"cpu": "1", "memory": "1Gi"});
            resources.entry("requests").or_insert(requests);
        }
        container.insert("resources".to_string(), Value::Object(resources));
        let mut context = taken_object(container, "securityContext");
        for (field, value) in [
            ("allowPrivilegeEscalation", json!(false)),
            ("readOnlyRootFilesystem", json!(true)),
            ("capabilities", json!({"drop": ["ALL"]})),
        ] {
            context.entry(field).or_insert(value);
        }
        container.insert("securityContext".to_string(), Value::Object(context));
        let mut variables = self.variables();
        let own = taken_list(container, "env");
        variables.retain(|variable| own.iter().all(|own| own["name"] != variable["name"]));
        // The first ones may be named by the later ones.
        variables.extend(own);
        container.insert("env".to_string(), json!(variables));
        let mut mounts = taken_list(container, "volumeMounts");
        let is_free = |path: &str, mounts: &[Value]| mounts.iter().all(|m| m["mountPath"] != path);
        if is_free("/tmp", &mounts) {
            mounts.push(json!({"name": TEMPORARY_VOLUME, "mountPath": "/tmp"}));
        }
        if self.bundle().is_some() {
            let mount =
                json!({"name": AUTHORITIES_VOLUME, "mountPath": AUTHORITIES, "readOnly": true});
            mounts.push(mount);
        }
        container.insert("volumeMounts".to_string(), json!(mounts));
    }

    fn complete_pod(&self, pod: &mut Map<String, Value>) {
        pod.insert("restartPolicy".to_string(), json!("Never"));
        pod.entry("enableServiceLinks").or_insert(json!(false));
        let mut context = taken_object(pod, "securityContext");
        context.entry("runAsNonRoot").or_insert(json!(true));
        let seccomp = json!({"type": "RuntimeDefault"});
        context.entry("seccompProfile").or_insert(seccomp);
        pod.insert("securityContext".to_string(), Value::Object(context));
        let mut volumes = taken_list(pod, "volumes");
        volumes.push(json!({"name": TEMPORARY_VOLUME, "emptyDir": {}}));
        if let Some(name) = self.bundle() {
            let items = json!([{"key": BUNDLE, "path": BUNDLE}]);
            let volume =
                json!({"name": AUTHORITIES_VOLUME, "configMap": {"name": name, "items": items}});
            volumes.push(volume);
        }
        pod.insert("volumes".to_string(), json!(volumes));
    }

    fn bundle(&self) -> Option<&str> {
        let bundle = self.store?.ca_bundle_config_map_ref.as_ref()?;
        Some(&bundle.name)
    }

    /// What is needed to reach the files. Credentials are named, so that only the pod reads them.
    fn variables(&self) -> Vec<Value> {
        let Some(store) = self.store else {
            return Vec::new();
        };
        // What else there is to know of a store, the pod reads in what it is asked.
        let StoreSpec {
            endpoint: _,
            region,
            path_style: _,
            ca_bundle_config_map_ref: _,
            credentials_secret_ref,
        } = store;
        let mut variables = Vec::new();
        for (key, is_needed) in CREDENTIALS {
            variables.extend(credentials_secret_ref.as_ref().map(|secret| {
                let mut reference = json!({"name": secret.name, "key": key});
                if !is_needed {
                    reference["optional"] = json!(true);
                }
                json!({"name": key, "valueFrom": {"secretKeyRef": reference}})
            }));
        }
        let plain = |name: &str, value: &str| json!({"name": name, "value": value});
        variables.extend(region.as_ref().map(|region| plain("AWS_REGION", region)));
        let bundle = format!("{AUTHORITIES}/{BUNDLE}");
        variables.extend(self.bundle().map(|_| plain("AWS_CA_BUNDLE", &bundle)));
        variables
    }
}

/// The memory that the container of a Job may use, as its policy says.
#[must_use]
pub fn memory_limit(template: Option<&OpenObject>) -> Option<String> {
    let containers = template?.0.get("spec")?.get("containers")?.as_array()?;
    let mut containers = containers.iter();
    let own = containers.find(|container| container["name"] == EVALUATOR_CONTAINER)?;
    match own.pointer("/resources/limits/memory")? {
        Value::String(limit) => Some(limit.clone()),
        other => Some(other.to_string()),
    }
}

/// The pod template of a Job, as far as it can be read.
#[must_use]
pub fn template_of(job: &Map<String, Value>) -> PodTemplateSpec {
    let template = job.get("template").cloned().unwrap_or_default();
    serde_json::from_value(template).unwrap_or_default()
}

/// An object's field that holds an object, taken out; an empty one where there is none.
fn taken_object(object: &mut Map<String, Value>, field: &str) -> Map<String, Value> {
    match object.remove(field) {
        Some(Value::Object(found)) => found,
        _ => Map::new(),
    }
}

fn taken_list(object: &mut Map<String, Value>, field: &str) -> Vec<Value> {
    match object.remove(field) {
        Some(Value::Array(found)) => found,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> StoreSpec {
        serde_json::from_value(json!({
            "endpoint": "https://s3.example.com", "region": "eu-1", "pathStyle": true,
            "caBundleConfigMapRef": {"name": "corp-ca"}, "credentialsSecretRef": {"name": "s3"},
        }))
        .unwrap()
    }

    fn pod(template: Option<&Value>, store: Option<&StoreSpec>) -> Value {
        let template = template.map(|template| OpenObject(template.as_object().unwrap().clone()));
        let pod = EvaluationPod {
            image: "registry.example.com/podium:1",
            template: template.as_ref(),
            store,
            arguments: &["evaluate", "--from-environment"],
        };
        let job = pod.job();
        assert_eq!(job["backoffLimit"], 0);
        assert_eq!(job["ttlSecondsAfterFinished"], 3600);
        // It is one that the API server reads.
        let typed = template_of(&job).spec.unwrap();
        assert_eq!(typed.containers[0].name, "evaluator");
        job["template"].clone()
    }

    #[test]
    fn a_pod_of_which_nothing_is_said_is_restricted_and_asks_for_what_it_needs() {
        let template = pod(None, None);
        let spec = &template["spec"];
        assert_eq!(spec["restartPolicy"], "Never");
        assert_eq!(
            spec["securityContext"],
            json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
        );
        assert_eq!(
            spec["volumes"],
            json!([{"name": "podium-temporary", "emptyDir": {}}])
        );
        let container = &spec["containers"][0];
        assert_eq!(container["image"], "registry.example.com/podium:1");
        assert_eq!(container["command"], json!(["podium"]));
        assert_eq!(container["args"], json!(["evaluate", "--from-environment"]));
        assert_eq!(
            container["resources"],
            json!({"requests": {"cpu": "1", "memory": "1Gi"}})
        );
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(container["env"], json!([]));
    }

    #[test]
    fn arguments_arrive_as_they_are() {
        let pod = EvaluationPod {
            image: "registry.example.com/podium:1",
            template: None,
            store: None,
            arguments: &["--report", "s3://b/$(AWS_SECRET_ACCESS_KEY)/$$/a.html"],
        };
        let arguments = pod.job()["template"]["spec"]["containers"][0]["args"].clone();
        let escaped = "s3://b/$$(AWS_SECRET_ACCESS_KEY)/$$$$/a.html";
        assert_eq!(arguments, json!(["--report", escaped]));
    }

    #[test]
    fn a_store_reaches_the_pod_by_names_and_not_by_values() {
        let template = pod(None, Some(&store()));
        let container = &template["spec"]["containers"][0];
        let of_secret = |key: &str| json!({"name": key, "valueFrom": {"secretKeyRef": {"name": "s3", "key": key}}});
        let mut token = of_secret("AWS_SESSION_TOKEN");
        token["valueFrom"]["secretKeyRef"]["optional"] = json!(true);
        assert_eq!(
            container["env"],
            json!([
                of_secret("AWS_ACCESS_KEY_ID"), of_secret("AWS_SECRET_ACCESS_KEY"), token,
                {"name": "AWS_REGION", "value": "eu-1"},
                {"name": "AWS_CA_BUNDLE", "value": "/etc/podium/authorities/ca.crt"},
            ])
        );
        assert_eq!(
            container["volumeMounts"][1],
            json!({"name": "podium-authorities", "mountPath": "/etc/podium/authorities", "readOnly": true})
        );
        assert_eq!(
            template["spec"]["volumes"][1]["configMap"],
            json!({"name": "corp-ca", "items": [{"key": "ca.crt", "path": "ca.crt"}]})
        );
    }

    #[test]
    fn what_the_policy_says_of_the_pod_holds() {
        let given = json!({
            "metadata": {"labels": {"team": "risk"}},
            "spec": {
                "serviceAccountName": "reader", "hostNetwork": true, "securityContext": {"runAsUser": 7},
                "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}],
                "initContainers": [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}],
                "containers": [{
                    "name": "evaluator", "image": "mirror/podium:1", "command": ["sh"],
                    "env": [{"name": "AWS_REGION", "value": "us-2"}, {"name": "A", "value": "b"}],
                    "resources": {"limits": {"memory": "20Mi"}},
                    "securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"]}},
                    "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
                }],
            },
        });
        let template = pod(Some(&given), Some(&store()));
        assert_eq!(template["metadata"], given["metadata"]);
        let spec = &template["spec"];
        for field in ["serviceAccountName", "hostNetwork", "initContainers"] {
            assert_eq!(spec[field], given["spec"][field], "{field}");
        }
        assert_eq!(spec["securityContext"]["runAsUser"], 7);
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(spec["volumes"][0]["name"], "scratch");
        let container = &spec["containers"][0];
        let own = &given["spec"]["containers"][0];
        assert_eq!(container["image"], "mirror/podium:1");
        assert_eq!(container["command"], json!(["podium"]));
        assert_eq!(container["resources"], own["resources"]);
        let context = &container["securityContext"];
        assert_eq!(
            context["capabilities"],
            own["securityContext"]["capabilities"]
        );
        assert_eq!(context["allowPrivilegeEscalation"], false);
        let variables = container["env"].as_array().unwrap();
        let regions = variables.iter().filter(|v| v["name"] == "AWS_REGION");
        assert_eq!(regions.collect::<Vec<_>>(), [&own["env"][0]]);
        let temporary = container["volumeMounts"].as_array().unwrap();
        let temporary = temporary
            .iter()
            .filter(|mount| mount["mountPath"] == "/tmp");
        assert_eq!(temporary.count(), 1);
        let object = OpenObject(given.as_object().unwrap().clone());
        assert_eq!(memory_limit(Some(&object)).as_deref(), Some("20Mi"));
        assert_eq!(memory_limit(None), None);
    }
}
