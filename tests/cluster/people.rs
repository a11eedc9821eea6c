//! Users of Kubernetes with rights of their own, in whose names tests act.

use crate::bed::{Bed, kubectl, run};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Verbs on a resource of Podium.
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
        let rule = |(resource, verbs): &Right<'_>| json!({"apiGroups": ["podium.dev"], "resources": [resource], "verbs": verbs});
        let rules: Vec<Value> = rights.iter().map(rule).collect();
        bed.apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": rules,
        }));
        let person = Self::new(bed, name);
        person.is_bound(bed, ("Role", name), rights[0]).await;
        person
    }

    /// Binds a role, which gives this right among others, and waits until it is in force.
    pub async fn is_bound(
        &self,
        bed: &Bed,
        (kind, role): (&str, &str),
        (resource, verbs): Right<'_>,
    ) {
        let group = "rbac.authorization.k8s.io";
        bed.apply(&json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding",
            "metadata": {"name": format!("{}-{role}", self.name)},
            "roleRef": {"apiGroup": group, "kind": kind, "name": role},
            "subjects": [{"apiGroup": group, "kind": "User", "name": self.name}],
        }));
        let resource = format!("{resource}.podium.dev");
        let asked = ["auth", "can-i", verbs[0], &resource];
        let what = format!("{} may {} {resource}", self.name, verbs[0]);
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
