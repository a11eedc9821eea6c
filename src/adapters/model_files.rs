//! Files of models by whatever a registry calls them: besides paths and objects, the names that MLflow has for them.

use super::blocking;
use super::evidence_files::{EvidenceFiles, address_of};
use super::mlflow::artifacts::{Found, Reference};
use super::mlflow::credentials::Credentials;
use super::mlflow::hosts::AllowedHosts;
use super::mlflow::server::{Connection, Server};
use super::write_lease::WriteLease;
use crate::ports::PortError;
use podium_workload::predictions_file::{FileSink, WriteError};
use podium_workload::table::{FileBytes, FileSource, ObjectBytes, TableError, sha256_hex};
use reqwest::Url;
use std::path::{Path, PathBuf};

/// Where a model lies that a text names: as [`address_of`] has it, or as MLflow does.
///
/// # Errors
/// As [`address_of`].
pub fn model_address_of(base: &Path, uri: &str) -> Result<PathBuf, PortError> {
    match Reference::parse(uri) {
        Some(_) => Ok(PathBuf::from(uri)),
        None => address_of(base, uri),
    }
}

/// Reads and writes what [`EvidenceFiles`] do, and reads models that MLflow has a name for. Its server is that of the variables which MLflow's
/// own client has: `MLFLOW_TRACKING_URI` and so on.
#[derive(Debug, Default)]
pub struct ModelFiles(EvidenceFiles);

impl ModelFiles {
    /// Reads other files in this way.
    #[must_use]
    pub fn new(files: EvidenceFiles) -> Self {
        Self(files)
    }

    fn of_mlflow(&self, address: &Path, reference: Reference) -> Result<FileBytes, TableError> {
        let unreadable = |message: String| TableError::Unreadable {
            path: address.to_path_buf(),
            message,
        };
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let connection = connection(variable).map_err(unreadable)?;
        let server = Server::new(&connection).map_err(|unusable| {
            unreadable(format!(
                "the MLflow of MLFLOW_TRACKING_URI: {}",
                unusable.message
            ))
        })?;
        let runtime = blocking::runtime().map_err(|error| unreadable(error.message))?;
        let found = runtime.block_on(server.model(reference));
        let found = found.map_err(|error| match error.is_missing {
            true => TableError::Missing {
                path: address.to_path_buf(),
                message: error.message,
            },
            false => unreadable(error.message),
        })?;
        match found {
            Found::File { name, bytes } => {
                let object = ObjectBytes {
                    sha256: sha256_hex(&bytes),
                    bytes,
                    etag: None,
                };
                Ok(FileBytes::of_object(Path::new(&name), object))
            }
            Found::Elsewhere(location) => {
                let place = address_of(Path::new(""), &location);
                let place = place.map_err(|error| unreadable(error.message))?;
                self.0.read_model(&place)
            }
        }
    }
}

impl FileSource for ModelFiles {
    fn read(&self, address: &Path) -> Result<FileBytes, TableError> {
        self.0.read(address)
    }

    fn read_model(&self, address: &Path) -> Result<FileBytes, TableError> {
        match address.to_str().and_then(Reference::parse) {
            None => self.0.read_model(address),
            Some(Ok(reference)) => self.of_mlflow(address, reference),
            Some(Err(message)) => Err(TableError::Unreadable {
                path: address.to_path_buf(),
                message,
            }),
        }
    }
}

impl FileSink for ModelFiles {
    fn check(&self, output: &Path, inputs: &[&Path]) -> Result<(), WriteError> {
        self.0.check(output, inputs)
    }

    fn write(&self, output: &Path, bytes: Vec<u8>) -> Result<(), WriteError> {
        self.0.write(output, bytes)
    }
}

/// How the server is reached that these variables name, as MLflow's own client has them.
fn connection(variable: impl Fn(&str) -> Option<String>) -> Result<Connection, String> {
    let url = variable("MLFLOW_TRACKING_URI");
    let url = url.ok_or("MLFLOW_TRACKING_URI must name the MLflow that knows it")?;
    let parsed = Url::parse(&url).ok();
    // Not told, since it may hold a password.
    let host = parsed.as_ref().and_then(Url::host_str);
    let host = host.filter(|host| !host.is_empty());
    let host = host.ok_or(
        "MLFLOW_TRACKING_URI must be the address of a server, such as https://mlflow.example.com",
    )?;
    let has_account = |url: &Url| !url.username().is_empty() || url.password().is_some();
    if parsed.as_ref().is_some_and(has_account) {
        return Err("MLFLOW_TRACKING_URI must not hold credentials; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD".to_string());
    }
    // Who runs a command may connect to wherever he says.
    let hosts = AllowedHosts::parse([format!("*={host}").as_str()])?.of("");
    let account = variable("MLFLOW_TRACKING_USERNAME").zip(variable("MLFLOW_TRACKING_PASSWORD"));
    let credentials = match (account, variable("MLFLOW_TRACKING_TOKEN")) {
        (Some((username, password)), _) => Credentials::Basic { username, password },
        (None, Some(token)) => Credentials::Token(token),
        (None, None) => Credentials::Anonymous,
    };
    let ca_bundle = match variable("MLFLOW_TRACKING_SERVER_CERT_PATH") {
        Some(path) => Some(std::fs::read_to_string(&path).map_err(|error| {
            format!("MLFLOW_TRACKING_SERVER_CERT_PATH must name a file of certificates in PEM; {path}: {error}")
        })?),
        None => None,
    };
    Ok(Connection {
        url,
        credentials,
        ca_bundle,
        hosts,
        permission: WriteLease::always(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn connected(variables: &[(&str, &str)]) -> Result<Connection, String> {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        connection(|name| variables.get(name).map(ToString::to_string))
    }

    #[test]
    fn the_variables_of_mlflow_name_server_and_account() {
        let server = ("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000/mlf");
        let account = [
            server,
            ("MLFLOW_TRACKING_USERNAME", "me"),
            ("MLFLOW_TRACKING_PASSWORD", "canary"),
            ("MLFLOW_TRACKING_TOKEN", "token"),
        ];
        let basic = Credentials::Basic {
            username: "me".to_string(),
            password: "canary".to_string(),
        };
        let token = Credentials::Token("token".to_string());
        for (variables, credentials) in [
            (&account[..1], Credentials::Anonymous),
            (&account[..], basic),
            (&[server, account[3]], token),
        ] {
            let connection = connected(variables).unwrap();
            assert_eq!(connection.credentials, credentials);
            // The host is allowed, although it is this machine.
            Server::new(&connection).unwrap();
        }
    }

    #[test]
    fn what_is_no_server_is_refused_without_being_told() {
        assert!(
            connected(&[])
                .err()
                .unwrap()
                .contains("MLFLOW_TRACKING_URI must name")
        );
        for (url, said) in [
            ("sqlite:///canary.db", "such as https://"),
            ("canary", "such as https://"),
            (
                "http://me:canary@mlflow.example.com",
                "MLFLOW_TRACKING_PASSWORD",
            ),
        ] {
            let refusal = connected(&[("MLFLOW_TRACKING_URI", url)]).err().unwrap();
            assert!(refusal.contains(said), "{refusal}");
            assert!(!refusal.contains("canary"), "{refusal}");
        }
    }

    #[test]
    fn a_model_is_named_in_many_ways() {
        for (uri, address) in [
            ("models/7", "/base/models/7"),
            ("s3://bucket/7", "s3://bucket/7"),
            ("models:/fraud/7", "models:/fraud/7"),
            ("mlflow-artifacts://host/1/m", "mlflow-artifacts://host/1/m"),
        ] {
            let found = model_address_of(Path::new("/base"), uri).unwrap();
            assert_eq!(found.to_str(), Some(address), "{uri}");
        }
        let files = ModelFiles::default();
        let error = files.read_model(Path::new("runs:/abc")).unwrap_err();
        assert!(error.to_string().contains("runs:/RUN/PATH"), "{error}");
        let absent = files.read_model(Path::new("absent")).unwrap_err();
        assert!(absent.is_missing(), "{absent}");
    }
}
