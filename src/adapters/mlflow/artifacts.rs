//! The file of a model by what MLflow calls the model: where it lies, and its bytes where MLflow itself passes them on.

use super::answer::{Answer, RequestError, RequestErrorKind};
use super::server::{Repeat, Server};
use podium_workload::model_file::model_among;
use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::time::Duration;

/// A file that does not come in this time is given up.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Bytes of a file that are read.
const LONGEST: usize = 2 << 30;
/// How often one name may stand for another.
const NAMES: usize = 4;
/// Where the server passes artifacts on.
const PROXY: &str = "api/2.0/mlflow-artifacts";

/// What MLflow calls a model, or the files of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// `models:/NAME/VERSION`.
    Version {
        /// The registered model.
        name: String,
        /// Its version.
        version: String,
    },
    /// `models:/m-ID`: a model that was logged and perhaps not registered.
    Logged(String),
    /// `runs:/RUN/PATH`.
    Run {
        /// The run.
        run: String,
        /// Below its artifacts.
        path: String,
    },
    /// `mlflow-artifacts:/PATH`, with or without a host: what the server passes on. The host is not asked, since whoever registers a version
    /// could name one of his own, which would be sent the credentials.
    Artifact(Vec<String>),
}

/// Where the file of a model is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Here.
    File {
        /// Its name, which MLflow knows.
        name: String,
        /// All of its bytes.
        bytes: Vec<u8>,
    },
    /// Somewhere else than behind the server, at this address.
    Elsewhere(String),
}

/// Why there is no file of a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NoModel {
    /// Whether the server says that there is none.
    pub is_missing: bool,
    /// What was met, and what must be done about it.
    pub message: String,
}

impl Reference {
    /// What a text names; `None` where it is nothing of MLflow. An error says what must hold.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Result<Self, String>> {
        let (scheme, place) = uri.split_once(":/")?;
        match scheme {
            "mlflow-artifacts" => Some(artifact(place)),
            "models" => Some(model(place)),
            "runs" => Some(run(place)),
            _ => None,
        }
    }
}

fn artifact(place: &str) -> Result<Reference, String> {
    // What follows two slashes is a host.
    let path = match place.strip_prefix('/') {
        Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
        None => place,
    };
    let whole = format!("{PROXY}/artifacts/");
    let path = path.strip_prefix(whole.as_str()).unwrap_or(path);
    Ok(Reference::Artifact(parts(path, "mlflow-artifacts:/PATH")?))
}

fn model(place: &str) -> Result<Reference, String> {
    let form = "models:/NAME/VERSION, with the number of the version";
    let is_id = |text: &str| {
        let may_be = |c: char| c.is_ascii_alphanumeric() || c == '-';
        text.starts_with("m-") && text.chars().all(may_be)
    };
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    match parts(place, form)?.as_slice() {
        [id] if is_id(id) => Ok(Reference::Logged(id.clone())),
        [name, version] if is_number(version) => Ok(Reference::Version {
            name: name.clone(),
            version: version.clone(),
        }),
        _ => Err(must_be(form)),
    }
}

fn run(place: &str) -> Result<Reference, String> {
    let form = "runs:/RUN/PATH";
    match parts(place, form)?.as_slice() {
        [run, path @ ..] if !path.is_empty() => Ok(Reference::Run {
            run: run.clone(),
            path: path.join("/"),
        }),
        _ => Err(must_be(form)),
    }
}

/// The names in a path, none of which leads elsewhere.
fn parts(path: &str, form: &str) -> Result<Vec<String>, String> {
    let path = path.trim_matches('/');
    let parts: Vec<String> = path.split('/').map(str::to_string).collect();
    let is_name = |part: &String| !["", ".", ".."].contains(&part.as_str());
    match parts.iter().all(is_name) {
        true => Ok(parts),
        false => Err(must_be(form)),
    }
}

fn must_be(form: &str) -> String {
    format!("it must have the form {form}")
}

#[derive(Deserialize)]
struct DownloadUri {
    artifact_uri: String,
}

#[derive(Deserialize)]
struct LoggedAnswer {
    model: WithInfo,
}

#[derive(Deserialize)]
struct RunAnswer {
    run: WithInfo,
}

#[derive(Deserialize)]
struct WithInfo {
    info: Info,
}

#[derive(Deserialize)]
struct Info {
    artifact_uri: String,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    files: Vec<ListedFile>,
}

#[derive(Deserialize)]
struct ListedFile {
    path: String,
    #[serde(default)]
    is_dir: bool,
}

impl Server {
    /// The file of a model, or where it is.
    ///
    /// # Errors
    /// There is none, the server does not tell, or names one place after the other.
    pub async fn model(&self, reference: Reference) -> Result<Found, NoModel> {
        let mut reference = reference;
        for _ in 0..NAMES {
            let location = match &reference {
                Reference::Artifact(path) => {
                    return self.file_of(path).await;
                }
                other => self.location_of(other).await,
            };
            let location = location.map_err(|error| self.no_model(error))?;
            reference = match Reference::parse(&location) {
                None => return Ok(Found::Elsewhere(location)),
                Some(Ok(next)) => next,
                Some(Err(why)) => {
                    return Err(other(format!("MLflow names `{location}` for it: {why}")));
                }
            };
        }
        let message = "MLflow names one place after the other for it".to_string();
        Err(other(message))
    }

    /// Where the files lie that a name stands for.
    async fn location_of(&self, reference: &Reference) -> Result<String, RequestError> {
        match reference {
            Reference::Version { name, version } => {
                let query = [("name", name.as_str()), ("version", version.as_str())];
                let path = "model-versions/get-download-uri";
                let answer: DownloadUri = self.get(path, &query).await?;
                Ok(answer.artifact_uri)
            }
            Reference::Logged(id) => {
                let path = format!("logged-models/{id}");
                let answer: LoggedAnswer = self.get(&path, &[]).await?;
                Ok(answer.model.info.artifact_uri)
            }
            Reference::Run { run, path } => {
                let answer: RunAnswer = self.get("runs/get", &[("run_id", run.as_str())]).await?;
                let artifacts = answer.run.info.artifact_uri;
                Ok(format!("{}/{path}", artifacts.trim_end_matches('/')))
            }
            Reference::Artifact(path) => Ok(name_of(path)),
        }
    }

    /// The model's file at a path that the server passes on, or in the folder at that path.
    async fn file_of(&self, path: &[String]) -> Result<Found, NoModel> {
        let folder = path.join("/");
        let query = [("path", folder.as_str())];
        let listed = self.get_below(PROXY, "artifacts", &query).await;
        let listed: Listed = listed.map_err(|error| self.no_model(error))?;
        let mut path = path.to_vec();
        // A file is no folder, and has no list.
        if !listed.files.is_empty() {
            let files = listed.files.iter().filter(|file| !file.is_dir);
            let model = model_among(files.map(|file| file.path.as_str()));
            let model = model.map_err(|message| NoModel {
                is_missing: true,
                message,
            })?;
            path.push(model.to_string());
        }
        let bytes = self.download(&path).await;
        Ok(Found::File {
            name: name_of(&path),
            bytes: bytes.map_err(|error| self.no_model(error))?,
        })
    }

    async fn download(&self, path: &[String]) -> Result<Vec<u8>, RequestError> {
        let mut url = self.url(&format!("{PROXY}/artifacts"))?;
        // Any character may stand in a name.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        let answer: Answer = self
            .repeated(Repeat::Idempotent, LONGEST, || {
                let request = self.request(Method::GET, url.clone());
                request.timeout(TIMEOUT)
            })
            .await?;
        let is_page = answer.content_type.starts_with("text/html");
        if answer.status == 200 && !is_page {
            return Ok(answer.body);
        }
        let judged = answer.judged::<IgnoredAny>("artifacts", &self.hidden);
        let message = "it answers no file where one was asked for";
        Err(judged
            .err()
            .unwrap_or_else(|| RequestError::new(RequestErrorKind::NotMlflow, message)))
    }

    fn no_model(&self, error: RequestError) -> NoModel {
        let advice = match error.kind {
            RequestErrorKind::Unauthorized => {
                "; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            }
            RequestErrorKind::Unavailable => {
                "; a server with --no-serve-artifacts passes no files on"
            }
            _ => "",
        };
        NoModel {
            is_missing: error.kind == RequestErrorKind::Missing,
            message: format!("MLflow at {}: {}{advice}", self.address(), error.message),
        }
    }
}

fn other(message: String) -> NoModel {
    NoModel {
        is_missing: false,
        message,
    }
}

fn name_of(path: &[String]) -> String {
    format!("mlflow-artifacts:/{}", path.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(parts: &[&str]) -> Reference {
        Reference::Artifact(parts.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_name_of_mlflow_is_told_from_other_addresses() {
        for (uri, reference) in [
            (
                "mlflow-artifacts:/1/r/artifacts/m",
                artifact(&["1", "r", "artifacts", "m"]),
            ),
            ("mlflow-artifacts:///1/a b%41/", artifact(&["1", "a b%41"])),
            ("mlflow-artifacts://host:5000/1/m", artifact(&["1", "m"])),
            (
                "mlflow-artifacts://host/api/2.0/mlflow-artifacts/artifacts/1/m",
                artifact(&["1", "m"]),
            ),
            (
                "models:/fraud detection/7",
                Reference::Version {
                    name: "fraud detection".to_string(),
                    version: "7".to_string(),
                },
            ),
            ("models:/m-0a1b", Reference::Logged("m-0a1b".to_string())),
            (
                "runs:/abc/out/model.parquet",
                Reference::Run {
                    run: "abc".to_string(),
                    path: "out/model.parquet".to_string(),
                },
            ),
        ] {
            assert_eq!(Reference::parse(uri), Some(Ok(reference)), "{uri}");
        }
        for uri in [
            "s3://bucket/models:/a/1",
            "models/7",
            "file:///models",
            "gs://a/b",
        ] {
            assert_eq!(Reference::parse(uri), None, "{uri}");
        }
    }

    #[test]
    fn a_name_without_its_form_is_refused() {
        for (uri, form) in [
            ("mlflow-artifacts:/", "mlflow-artifacts:/PATH"),
            ("mlflow-artifacts:/1/../../secret", "mlflow-artifacts:/PATH"),
            ("mlflow-artifacts://host", "mlflow-artifacts:/PATH"),
            ("models:/fraud", "models:/NAME/VERSION"),
            ("models:/fraud/latest", "models:/NAME/VERSION"),
            ("models:/fraud@champion", "models:/NAME/VERSION"),
            ("models:/m-1?a=b", "models:/NAME/VERSION"),
            ("runs:/abc", "runs:/RUN/PATH"),
        ] {
            let refusal = Reference::parse(uri).unwrap().unwrap_err();
            assert!(refusal.contains(form), "{uri}: {refusal}");
        }
    }
}
