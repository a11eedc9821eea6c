//! Users of Kubernetes with rights of their own, in whose names tests act.

use crate::bed::{Bed, kubectl, run};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Verbs on a resource.
type Right<'a> = (&'a str, &'a [&'a str]);

/// Somebody who may do in the namespace of a test what was bound there, and nothing else anywhere.
pub struct Person {
    name: &'static str,
    namespace: String,
    kubeconfig: PathBuf,
}

impl Person {
    /// Somebody without a right. The API server takes the name from whoever may do everything.
    pub fn new(bed: &Bed, name: &'static str) -> Self {
        let view = [
            "config",
            "view",
            "--raw",
            "--minify",
            "--flatten",
            "-o=json",
        ];
        let mut config: Value = serde_json::from_str(&kubectl(&view, None).unwrap()).unwrap();
        config["users"][0]["user"]["as"] = json!(name);
        config["contexts"][0]["context"]["namespace"] = json!(bed.namespace);
        let kubeconfig = bed.directory().join(format!("{name}.kubeconfig"));
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        Self {
            name,
            namespace: bed.namespace.clone(),
            kubeconfig,
        }
    }

    /// Somebody with a Role of these rights; the first one is on a resource and no part of it.
    pub async fn who_may(bed: &Bed, name: &'static str, rights: &[Right<'_>]) -> Self {
        Self::who_may_in(bed, "podium.dev", name, rights).await
    }

    /// The same for resources of an API group, which is empty for pods.
    pub async fn who_may_in(
        bed: &Bed,
        group: &str,
        name: &'static str,
        rights: &[Right<'_>],
    ) -> Self {
        let rule = |(resource, verbs): &Right<'_>| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
        let rules: Vec<Value> = rights.iter().map(rule).collect();
        bed.apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules,
        }));
        let person = Self::new(bed, name);
        let (resource, verbs) = rights[0];
        let resource = format!("{resource}.{group}");
        let resource = resource.trim_end_matches('.');
        person
            .is_granted(bed, ("Role", name), verbs[0], resource)
            .await;
        person
    }

    /// Binds a role, which gives this right among others, and waits until it is in force.
    pub async fn is_bound(&self, bed: &Bed, role: (&str, &str), (resource, verbs): Right<'_>) {
        let resource = format!("{resource}.podium.dev");
        self.is_granted(bed, role, verbs[0], &resource).await;
    }

    async fn is_granted(&self, bed: &Bed, (kind, role): (&str, &str), verb: &str, resource: &str) {
        let group = "rbac.authorization.k8s.io";
        bed.apply(&json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding",
            "metadata": {"name": format!("{}-{role}", self.name)},
            "roleRef": {"apiGroup": group, "kind": kind, "name": role},
            "subjects": [{"apiGroup": group, "kind": "User", "name": self.name}],
        }));
        let asked = ["auth", "can-i", verb, resource];
        let what = format!("{} may {verb} {resource}", self.name);
        bed.wait(60, &what, async || self.kubectl(&asked, None).is_ok())
            .await;
    }

    /// Runs kubectl in this person's name, in the test's namespace unless the arguments name another.
    pub fn kubectl(&self, arguments: &[&str], input: Option<&str>) -> Result<String, String> {
        let own = format!("--kubeconfig={}", self.kubeconfig.display());
        let mut all = vec![own.as_str()];
        all.extend_from_slice(arguments);
        kubectl(&all, input)
    }

    /// Creates an object, which this person may do.
    pub fn creates(&self, object: &Value) {
        let created = self.kubectl(&["create", "-f", "-"], Some(&object.to_string()));
        assert!(created.is_ok(), "{}: {created:?}", self.name);
    }

    /// What a command of podium prints in this person's name, or what it complains about.
    pub fn podium(&self, arguments: &[&str]) -> Result<String, String> {
        let own = format!("KUBECONFIG={}", self.kubeconfig.display());
        let mut all = vec![own.as_str(), env!("CARGO_BIN_EXE_podium")];
        all.extend_from_slice(arguments);
        all.extend(["-n", self.namespace.as_str()]);
        run("env", &all, None)
    }
}
