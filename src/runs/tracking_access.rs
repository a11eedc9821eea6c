//! What the containers of a tracked run get besides plain variables: an account from a Secret, which only the node reads, and the certificates
//! that their client trusts, as a file.

use crate::ports::TrackingAccess;
use serde_json::{Map, Value, json};

/// Variables of MLflow's client, and the keys of a Secret for them. A Secret has some of them, and which is for its reader to know.
const OF_ACCOUNT: [(&str, &str); 3] = [
    ("MLFLOW_TRACKING_USERNAME", "username"),
    ("MLFLOW_TRACKING_PASSWORD", "password"),
    ("MLFLOW_TRACKING_TOKEN", "token"),
];
const CERTIFICATES_VARIABLE: &str = "MLFLOW_TRACKING_SERVER_CERT_PATH";
const CERTIFICATES_VOLUME: &str = "podium-mlflow-ca";
const CERTIFICATES_DIRECTORY: &str = "/var/run/podium/mlflow";
const CERTIFICATES_KEY: &str = "ca.crt";

/// The variables of a container that has `own` ones. An account of its own is not mixed with another one.
pub(super) fn variables(access: &TrackingAccess, own: &[Value]) -> Vec<Value> {
    let is_own = |name: &str| {
        let mut names = own.iter().filter_map(|variable| variable.get("name"));
        names.any(|own| own == name)
    };
    let mut variables = Vec::new();
    let has_account = OF_ACCOUNT.into_iter().any(|(name, _)| is_own(name));
    if let Some(secret) = access.credentials_secret.as_ref().filter(|_| !has_account) {
        variables.extend(OF_ACCOUNT.map(|(name, key)| {
            let from = json!({"name": secret, "key": key, "optional": true});
            json!({"name": name, "valueFrom": {"secretKeyRef": from}})
        }));
    }
    if access.ca_bundle_config_map.is_some() && !is_own(CERTIFICATES_VARIABLE) {
        let path = format!("{CERTIFICATES_DIRECTORY}/{CERTIFICATES_KEY}");
        variables.push(json!({"name": CERTIFICATES_VARIABLE, "value": path}));
    }
    variables
}

/// Mounts the certificates in a container of a pod that has the volume of [`add_volume`].
pub(super) fn mount(access: &TrackingAccess, container: &mut Map<String, Value>) {
    if access.ca_bundle_config_map.is_some() {
        append(
            container,
            "volumeMounts",
            json!({"name": CERTIFICATES_VOLUME, "mountPath": CERTIFICATES_DIRECTORY, "readOnly": true}),
        );
    }
}

/// Adds the volume with the certificates to a pod.
pub(super) fn add_volume(access: &TrackingAccess, pod: &mut Map<String, Value>) {
    if let Some(name) = &access.ca_bundle_config_map {
        let items = json!([{"key": CERTIFICATES_KEY, "path": CERTIFICATES_KEY}]);
        append(
            pod,
            "volumes",
            json!({"name": CERTIFICATES_VOLUME, "configMap": {"name": name, "items": items}}),
        );
    }
}

/// Appends to a list, which is made where there is none. What Kubernetes will refuse stays as it is.
fn append(object: &mut Map<String, Value>, field: &str, item: Value) {
    let list = object.entry(field).or_insert(Value::Null);
    if list.is_null() {
        *list = json!([]);
    }
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(variables: &[Value]) -> Vec<&str> {
        let names = variables.iter().map(|variable| variable["name"].as_str());
        names.map(Option::unwrap).collect()
    }

    #[test]
    fn an_account_comes_from_the_secret_unless_the_template_has_one() {
        let access = TrackingAccess {
            credentials_secret: Some("trials".to_string()),
            ca_bundle_config_map: Some("corp-ca".to_string()),
        };
        let given = variables(&access, &[]);
        assert_eq!(
            names(&given),
            [
                "MLFLOW_TRACKING_USERNAME",
                "MLFLOW_TRACKING_PASSWORD",
                "MLFLOW_TRACKING_TOKEN",
                "MLFLOW_TRACKING_SERVER_CERT_PATH"
            ]
        );
        assert_eq!(
            given[1]["valueFrom"]["secretKeyRef"],
            json!({"name": "trials", "key": "password", "optional": true})
        );
        let own = [json!({"name": "MLFLOW_TRACKING_TOKEN", "value": "mine"})];
        let beside = variables(&access, &own);
        assert_eq!(names(&beside), ["MLFLOW_TRACKING_SERVER_CERT_PATH"]);
        assert!(variables(&TrackingAccess::default(), &[]).is_empty());
    }

    #[test]
    fn certificates_are_a_file_beside_the_volumes_of_the_template() {
        let access = TrackingAccess {
            credentials_secret: None,
            ca_bundle_config_map: Some("corp-ca".to_string()),
        };
        let mut pod = Map::from_iter([("volumes".to_string(), json!([{"name": "data"}]))]);
        add_volume(&access, &mut pod);
        assert_eq!(pod["volumes"][0]["name"], "data");
        assert_eq!(pod["volumes"][1]["configMap"]["name"], "corp-ca");
        let mut container = Map::new();
        mount(&access, &mut container);
        let mounted = &container["volumeMounts"][0];
        assert_eq!(mounted["name"], pod["volumes"][1]["name"]);
        assert_eq!(mounted["readOnly"], true);
        add_volume(&TrackingAccess::default(), &mut container);
        assert!(!container.contains_key("volumes"));
    }
}
