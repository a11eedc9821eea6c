//! Files that tell clients where the API server is and who they are.

use crate::{TestbedError, at};
use serde_json::json;
use std::fs;
use std::path::Path;

/// Writes a kubeconfig for the client whose certificate is `pki/NAME.crt`. JSON is YAML too.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, server: &str, pki: &Path, name: &str) -> Result<(), TestbedError> {
    let file = |suffix: &str| pki.join(suffix).display().to_string();
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "testbed", "cluster": {"server": server, "certificate-authority": file("ca.crt")}}],
        "users": [{"name": name, "user": {"client-certificate": file(&format!("{name}.crt")), "client-key": file(&format!("{name}.key"))}}],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": name}}],
        "current-context": "testbed",
    });
    at(path, fs::write(path, config.to_string()))
}
