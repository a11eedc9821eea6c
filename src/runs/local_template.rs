//! What a Job's specification asks for that a process of this machine cannot give. Every field is named here, so that a field of a newer
//! Kubernetes does not compile until it is carried out, allowed or refused.
//!
//! Allowed without effect is what only says where a pod comes from or where it is placed: images, labels, annotations, ports that are
//! declared, requests for resources, and everything for the scheduler. There is one machine, and the program is on it.

use super::template::TemplateProblem;
use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::{
    Container, EnvVar, PodSpec, PodTemplateSpec, ResourceRequirements,
};
use serde_json::{Map, Value};

/// The problems of a Job's specification on this machine, with paths below it.
pub(super) fn problems(given: &Map<String, Value>, job: &JobSpec) -> Vec<TemplateProblem> {
    let mut left_out = LeftOut(Vec::new());
    let known = serde_json::to_value(job).unwrap_or_default();
    for (field, value) in given {
        left_out.unknown(field, value, known.get(field));
    }
    left_out.job(job);
    left_out.0
}

/// Collects what must be left out.
struct LeftOut(Vec<TemplateProblem>);

const PLAIN: &str = "a process is started once per trial";
const ISOLATION: &str =
    "a process runs as the person who starts `podium run`, on the machine as it is";
const NETWORK: &str = "a process has the network and the names of this machine";
const VOLUMES: &str = "a process sees the files of this machine";

impl LeftOut {
    fn when(&mut self, asked: bool, path: &str, why: &str) {
        if asked {
            let message = format!("must be left out here: {why}");
            self.0.push(TemplateProblem::new(path, &message));
        }
    }

    /// Misspelt fields, which an API server refuses, and those of a Kubernetes that is newer than Podium.
    fn unknown(&mut self, path: &str, given: &Value, known: Option<&Value>) {
        match (given, known) {
            (Value::Null, _) => {}
            (_, None) => self.when(true, path, "no such field is known"),
            (Value::Object(given), Some(Value::Object(known))) => {
                for (field, value) in given {
                    self.unknown(&format!("{path}.{field}"), value, known.get(field));
                }
            }
            (Value::Array(given), Some(Value::Array(known))) => {
                for (position, value) in given.iter().enumerate() {
                    let path = format!("{path}[{position}]");
                    self.unknown(&path, value, known.get(position));
                }
            }
            _ => {}
        }
    }

    fn job(&mut self, job: &JobSpec) {
        let JobSpec {
            active_deadline_seconds: _, // carried out
            backoff_limit: _,           // carried out
            backoff_limit_per_index,
            completion_mode,
            completions,
            managed_by,
            manual_selector,
            max_failed_indexes,
            parallelism,
            pod_failure_policy,
            pod_replacement_policy: _, // no pod is replaced before it has ended
            selector,
            success_policy,
            suspend,
            template,
            ttl_seconds_after_finished,
        } = job;
        let indexed = completion_mode.as_deref() == Some("Indexed");
        self.when(
            backoff_limit_per_index.is_some(),
            "backoffLimitPerIndex",
            PLAIN,
        );
        self.when(indexed, "completionMode", PLAIN);
        self.when(completions.is_some_and(|n| n != 1), "completions", PLAIN);
        self.when(parallelism.is_some_and(|n| n != 1), "parallelism", PLAIN);
        self.when(max_failed_indexes.is_some(), "maxFailedIndexes", PLAIN);
        self.when(success_policy.is_some(), "successPolicy", PLAIN);
        self.when(
            managed_by.is_some(),
            "managedBy",
            "Podium itself runs the process",
        );
        let selects = manual_selector == &Some(true) || selector.is_some();
        self.when(selects, "selector", "there are no pods to select");
        let why = "`trial.failureRules` says here what the end of a run means";
        self.when(pod_failure_policy.is_some(), "podFailurePolicy", why);
        let why = "`suspend` of the TuningJob holds its trials back";
        self.when(suspend == &Some(true), "suspend", why);
        let why = "there is no Job to delete, and the log of a run stays until `podium delete` removes its trial";
        self.when(
            ttl_seconds_after_finished.is_some(),
            "ttlSecondsAfterFinished",
            why,
        );
        let PodTemplateSpec { metadata: _, spec } = template;
        if let Some(pod) = spec {
            self.pod(pod);
        }
    }

    #[allow(clippy::too_many_lines)] // One line a field, and each field once.
    fn pod(&mut self, pod: &PodSpec) {
        let PodSpec {
            active_deadline_seconds: _,          // carried out
            containers: _,                       // below
            restart_policy,                      // carried out
            termination_grace_period_seconds: _, // carried out
            // Placement.
            affinity: _,
            node_name: _,
            node_selector: _,
            overhead: _,
            preemption_policy: _,
            priority: _,
            priority_class_name: _,
            scheduler_name: _,
            tolerations: _,
            topology_spread_constraints: _,
            // Where the image comes from.
            image_pull_secrets: _,
            // What a process shares with the machine anyway.
            enable_service_links: _,
            host_ipc: _,
            host_network: _,
            host_pid: _,
            share_process_namespace: _,
            automount_service_account_token,
            dns_config,
            dns_policy,
            ephemeral_containers,
            host_aliases,
            host_users,
            hostname,
            hostname_override,
            init_containers,
            os,
            readiness_gates,
            resource_claims,
            resources,
            runtime_class_name,
            scheduling_gates,
            security_context,
            service_account,
            service_account_name,
            set_hostname_as_fqdn,
            subdomain,
            volumes,
        } = pod;
        let field = |name: &str| format!("template.spec.{name}");
        let token = automount_service_account_token == &Some(true);
        self.when(token, &field("automountServiceAccountToken"), ISOLATION);
        self.when(
            service_account.is_some(),
            &field("serviceAccount"),
            ISOLATION,
        );
        self.when(
            service_account_name.is_some(),
            &field("serviceAccountName"),
            ISOLATION,
        );
        self.when(host_users == &Some(false), &field("hostUsers"), ISOLATION);
        self.when(
            runtime_class_name.is_some(),
            &field("runtimeClassName"),
            ISOLATION,
        );
        let secured = security_context
            .as_ref()
            .is_some_and(|context| !is_empty(context));
        self.when(secured, &field("securityContext"), ISOLATION);
        self.when(dns_config.is_some(), &field("dnsConfig"), NETWORK);
        let plain_dns = matches!(
            dns_policy.as_deref(),
            None | Some("ClusterFirst" | "Default")
        );
        self.when(!plain_dns, &field("dnsPolicy"), NETWORK);
        self.when(given(host_aliases), &field("hostAliases"), NETWORK);
        self.when(hostname.is_some(), &field("hostname"), NETWORK);
        self.when(
            hostname_override.is_some(),
            &field("hostnameOverride"),
            NETWORK,
        );
        self.when(subdomain.is_some(), &field("subdomain"), NETWORK);
        self.when(
            set_hostname_as_fqdn == &Some(true),
            &field("setHostnameAsFQDN"),
            NETWORK,
        );
        let why = "nothing runs before the trial's container; do it in its command, or once before `podium run`";
        self.when(given(init_containers), &field("initContainers"), why);
        let why = "one process stands for the trial's container";
        self.when(
            given(ephemeral_containers),
            &field("ephemeralContainers"),
            why,
        );
        let other_system = os.as_ref().is_some_and(|os| os.name != "linux");
        self.when(other_system, &field("os"), "a process runs on this machine");
        self.when(given(readiness_gates), &field("readinessGates"), PLAIN);
        self.when(given(scheduling_gates), &field("schedulingGates"), PLAIN);
        self.when(given(resource_claims), &field("resourceClaims"), VOLUMES);
        self.when(given(volumes), &field("volumes"), VOLUMES);
        self.resources(resources.as_ref(), &field("resources"));
        let known = matches!(
            restart_policy.as_deref(),
            None | Some("Never" | "OnFailure")
        );
        if !known {
            let message = "must be Never or OnFailure, as in every Job";
            self.0
                .push(TemplateProblem::new(&field("restartPolicy"), message));
        }
    }

    /// The container that a process stands for.
    pub(super) fn container(&mut self, container: &Container, path: &str) {
        let Container {
            args: _,                       // carried out
            command: _,                    // carried out
            working_dir: _,                // carried out
            name: _,                       // chosen by it
            termination_message_policy: _, // the end of the log of what failed is always told
            image: _,
            image_pull_policy: _,
            ports: _,
            env,
            env_from,
            lifecycle,
            liveness_probe,
            readiness_probe,
            resize_policy,
            resources,
            restart_policy,
            restart_policy_rules,
            security_context,
            startup_probe,
            stdin,
            stdin_once,
            termination_message_path,
            tty,
            volume_devices,
            volume_mounts,
        } = container;
        let field = |name: &str| format!("{path}.{name}");
        for (position, variable) in env.iter().flatten().enumerate() {
            let EnvVar {
                name: _,
                value: _, // carried out
                value_from,
            } = variable;
            let path = field(&format!("env[{position}].valueFrom"));
            let why = "without a cluster there is nothing to take it from; give `value`";
            self.when(value_from.is_some(), &path, why);
        }
        let why = "without a cluster there is nothing to take it from; name the variables in `env`";
        self.when(given(env_from), &field("envFrom"), why);
        self.when(lifecycle.is_some(), &field("lifecycle"), PLAIN);
        self.when(liveness_probe.is_some(), &field("livenessProbe"), PLAIN);
        self.when(readiness_probe.is_some(), &field("readinessProbe"), PLAIN);
        self.when(startup_probe.is_some(), &field("startupProbe"), PLAIN);
        self.when(given(resize_policy), &field("resizePolicy"), PLAIN);
        self.when(restart_policy.is_some(), &field("restartPolicy"), PLAIN);
        self.when(
            given(restart_policy_rules),
            &field("restartPolicyRules"),
            PLAIN,
        );
        let secured = security_context
            .as_ref()
            .is_some_and(|context| !is_empty(context));
        self.when(secured, &field("securityContext"), ISOLATION);
        let why = "a process reads nothing from its standard input and has no terminal";
        self.when(stdin == &Some(true), &field("stdin"), why);
        self.when(stdin_once == &Some(true), &field("stdinOnce"), why);
        self.when(tty == &Some(true), &field("tty"), why);
        let path = termination_message_path.as_deref();
        let why = "trials that run at once would share the file; each finds its own in PODIUM_TERMINATION_MESSAGE_PATH";
        let other = !matches!(path, None | Some("/dev/termination-log"));
        self.when(other, &field("terminationMessagePath"), why);
        self.when(given(volume_devices), &field("volumeDevices"), VOLUMES);
        self.when(given(volume_mounts), &field("volumeMounts"), VOLUMES);
        self.resources(resources.as_ref(), &field("resources"));
    }

    fn resources(&mut self, resources: Option<&ResourceRequirements>, path: &str) {
        let Some(ResourceRequirements {
            claims,
            limits,
            requests: _, // placement
        }) = resources
        else {
            return;
        };
        self.when(given(claims), &format!("{path}.claims"), VOLUMES);
        let limited = limits.as_ref().is_some_and(|limits| !limits.is_empty());
        self.when(
            limited,
            &format!("{path}.limits"),
            "nothing limits a process",
        );
    }
}

/// The problems of the container that a process stands for, and of those that nothing stands for.
pub(super) fn container_problems(containers: &[Container], chosen: usize) -> Vec<TemplateProblem> {
    let mut left_out = LeftOut(Vec::new());
    for (position, container) in containers.iter().enumerate() {
        let path = format!("template.spec.containers[{position}]");
        if position == chosen {
            left_out.container(container, &path);
        } else {
            left_out.when(true, &path, "one process stands for the trial's container");
        }
    }
    left_out.0
}

fn given<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

fn is_empty(context: &impl serde::Serialize) -> bool {
    serde_json::to_value(context).is_ok_and(|value| value == Value::Object(Map::new()))
}
