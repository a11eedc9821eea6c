//! What the command line asks for.

use podium_testbed::component::Component;
use podium_testbed::extent::Extent;
use podium_testbed::image::{Image, ImageFile};
use std::path::PathBuf;

/// How to ask.
pub const USAGE: &str = "\
usage: podium-testbed up [--image ARCHIVE]...
       podium-testbed up --api-server-only
       podium-testbed down
       podium-testbed load ARCHIVE...
       podium-testbed image --name NAME:TAG --output ARCHIVE --user UID[:GID] [--entrypoint ARGUMENT]...
                            [--working-directory PATH] FILE=PATH_IN_IMAGE...
       podium-testbed python-image --name NAME:TAG --output ARCHIVE
       podium-testbed stop|kill|start PART

up            starts a one-node Kubernetes, an S3 server and an MLflow server beside it, as root, unless one runs in its directory, and
              prints lines for a shell's eval; what remains there of one that lost a part is ended first
              --api-server-only: etcd, the API server and the controller manager and no node, as any user; nothing runs in it
down          ends it and removes everything it made
load          gives it images
image         writes an image archive from files of this machine
python-image  writes an image archive with this machine's python3 and its standard library, to run as any user
stop          ends one process of it as an administrator would; kill: as a crash would; start: starts it again
PART          etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, versitygw or mlflow

KUBEBUILDER_ASSETS, if it is set, is a folder with etcd, kube-apiserver and kubectl for `up --api-server-only`, which builds them
otherwise. Without a kube-controller-manager there, namespaces stay when they are deleted, and so does what the deleted owned.

PODIUM_TESTBED_DIRECTORY is where the cluster's files are, by default podium-testbed in the folder for temporary files.
PODIUM_TESTBED_CACHE is where its programs are, by default podium/testbed in the user's cache.";

/// The one option without a value.
const API_SERVER_ONLY: &str = "--api-server-only";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Start a cluster with images.
    Up {
        /// How much of one.
        extent: Extent,
        /// Their archives.
        images: Vec<PathBuf>,
    },
    /// End it.
    Down,
    /// Give it images.
    Load {
        /// Their archives.
        archives: Vec<PathBuf>,
    },
    /// Write an archive.
    Image {
        /// Of this image.
        image: Image,
        /// To this file.
        output: PathBuf,
    },
    /// Write an archive with python3.
    PythonImage {
        /// Its name in a cluster.
        name: String,
        /// To this file.
        output: PathBuf,
    },
    /// End a process.
    Stop(Component),
    /// Kill a process.
    Kill(Component),
    /// Start a process again.
    Start(Component),
    /// Say how to ask.
    Help,
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// What must hold and does not.
pub fn request(arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut arguments = arguments;
    let verb = arguments.next().unwrap_or_default();
    let mut rest = Rest::of(arguments)?;
    let request = match verb.as_str() {
        "up" => up(&mut rest)?,
        "down" => Request::Down,
        "load" => Request::Load {
            archives: rest
                .some("ARCHIVE")?
                .into_iter()
                .map(PathBuf::from)
                .collect(),
        },
        "image" => image(&mut rest)?,
        "python-image" => Request::PythonImage {
            name: image_name(&mut rest)?,
            output: PathBuf::from(rest.one("--output")?),
        },
        "stop" => Request::Stop(rest.component()?),
        "kill" => Request::Kill(rest.component()?),
        "start" => Request::Start(rest.component()?),
        "help" | "--help" | "-h" => Request::Help,
        "" => return Err("there must be a verb".to_string()),
        other => return Err(format!("there is no verb {other}")),
    };
    rest.nothing()?;
    Ok(request)
}

fn up(rest: &mut Rest) -> Result<Request, String> {
    let images: Vec<PathBuf> = rest.all("--image").into_iter().map(PathBuf::from).collect();
    let extent = match rest.all(API_SERVER_ONLY).is_empty() {
        true => Extent::Full,
        false => Extent::ApiServerOnly,
    };
    if extent == Extent::ApiServerOnly && !images.is_empty() {
        return Err(format!("with {API_SERVER_ONLY} nothing runs an --image"));
    }
    Ok(Request::Up { extent, images })
}

fn image_name(rest: &mut Rest) -> Result<String, String> {
    let name = rest.one("--name")?;
    let tag = name
        .rsplit('/')
        .next()
        .and_then(|last| last.split_once(':'));
    if tag.is_none_or(|(_, tag)| tag.is_empty()) {
        return Err(format!(
            "--name must have a tag, such as {name}:1, and is {name}"
        ));
    }
    Ok(name)
}

fn image(rest: &mut Rest) -> Result<Request, String> {
    let name = image_name(rest)?;
    let user = rest.one("--user")?;
    if !user.split(':').all(|id| id.parse::<u32>().is_ok()) || user.split(':').count() > 2 {
        return Err(format!(
            "--user must be a number, or two with a colon between, and is {user}"
        ));
    }
    let output = PathBuf::from(rest.one("--output")?);
    let working_directory = rest.at_most_one("--working-directory")?;
    let file = |argument: String| match argument.rsplit_once('=') {
        Some((source, path)) if !source.is_empty() && !path.trim_matches('/').is_empty() => {
            let (source, path) = (PathBuf::from(source), path.to_string());
            Ok(ImageFile { source, path })
        }
        _ => Err(format!(
            "a file must be FILE=PATH_IN_IMAGE, and is {argument}"
        )),
    };
    let files = rest.some("FILE=PATH_IN_IMAGE")?.into_iter().map(file);
    let image = Image {
        name,
        user,
        entrypoint: rest.all("--entrypoint"),
        working_directory,
        files: files.collect::<Result<_, _>>()?,
    };
    Ok(Request::Image { image, output })
}

/// What follows the verb: options with a value, and the rest in order. What is taken out is understood.
struct Rest {
    options: Vec<(String, String)>,
    others: Vec<String>,
}

impl Rest {
    fn of(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut options, mut others) = (Vec::new(), Vec::new());
        while let Some(argument) = arguments.next() {
            if !argument.starts_with("--") {
                others.push(argument);
            } else if let Some((option, value)) = argument.split_once('=') {
                if option == API_SERVER_ONLY {
                    return Err(format!("{option} has no value"));
                }
                options.push((option.to_string(), value.to_string()));
            } else if argument == API_SERVER_ONLY {
                options.push((argument, String::new()));
            } else {
                let value = arguments.next();
                let value = value.ok_or_else(|| format!("{argument} must have a value"))?;
                options.push((argument, value));
            }
        }
        Ok(Self { options, others })
    }

    fn all(&mut self, option: &str) -> Vec<String> {
        self.options
            .extract_if(.., |(name, _)| name == option)
            .map(|(_, value)| value)
            .collect()
    }

    fn at_most_one(&mut self, option: &str) -> Result<Option<String>, String> {
        let mut values = self.all(option);
        let value = values.pop();
        if values.is_empty() {
            Ok(value)
        } else {
            Err(format!("{option} must be given once"))
        }
    }

    fn one(&mut self, option: &str) -> Result<String, String> {
        self.at_most_one(option)?
            .ok_or_else(|| format!("{option} must be given"))
    }

    fn some(&mut self, what: &str) -> Result<Vec<String>, String> {
        if self.others.is_empty() {
            return Err(format!("there must be at least one {what}"));
        }
        Ok(std::mem::take(&mut self.others))
    }

    fn component(&mut self) -> Result<Component, String> {
        match std::mem::take(&mut self.others).as_slice() {
            [one] => one.parse(),
            _ => Err("there must be one PART".to_string()),
        }
    }

    fn nothing(self) -> Result<(), String> {
        let option = self.options.into_iter().next().map(|(option, _)| option);
        match option.or_else(|| self.others.into_iter().next()) {
            Some(unknown) => Err(format!("{unknown} is not understood here")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Request, String> {
        request(line.split_whitespace().map(str::to_string))
    }

    #[test]
    fn every_verb_is_understood() {
        let images = ["a.tar", "b.tar"].map(PathBuf::from).to_vec();
        assert_eq!(
            asked("up --image a.tar --image=b.tar"),
            Ok(Request::Up {
                extent: Extent::Full,
                images
            })
        );
        let (extent, images) = (Extent::ApiServerOnly, Vec::new());
        assert_eq!(
            asked("up --api-server-only"),
            Ok(Request::Up { extent, images })
        );
        let (name, output) = ("python:1".to_string(), PathBuf::from("a.tar"));
        assert_eq!(
            asked("python-image --name python:1 --output a.tar"),
            Ok(Request::PythonImage { name, output })
        );
        assert_eq!(asked("down"), Ok(Request::Down));
        let archives = vec![PathBuf::from("a.tar")];
        assert_eq!(asked("load a.tar"), Ok(Request::Load { archives }));
        assert_eq!(
            asked("stop kube-apiserver"),
            Ok(Request::Stop(Component::ApiServer))
        );
        assert_eq!(asked("kill etcd"), Ok(Request::Kill(Component::Etcd)));
        assert_eq!(
            asked("start kubelet"),
            Ok(Request::Start(Component::Kubelet))
        );
        let line = "image --name localhost:5000/a:1 --output a.tar --user 65532 --entrypoint /a --entrypoint --help x=y=/a";
        let image = Image {
            name: "localhost:5000/a:1".to_string(),
            user: "65532".to_string(),
            entrypoint: vec!["/a".to_string(), "--help".to_string()],
            working_directory: None,
            files: vec![ImageFile {
                source: PathBuf::from("x=y"),
                path: "/a".to_string(),
            }],
        };
        let output = PathBuf::from("a.tar");
        assert_eq!(asked(line), Ok(Request::Image { image, output }));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (line, error) in [
            ("", "there must be a verb"),
            ("fly", "there is no verb fly"),
            ("down now", "now is not understood here"),
            ("up --images a", "--images is not understood here"),
            ("up --image", "--image must have a value"),
            (
                "up --api-server-only=true",
                "--api-server-only has no value",
            ),
            (
                "up --api-server-only --image a",
                "with --api-server-only nothing runs an --image",
            ),
            (
                "python-image --name python --output a",
                "--name must have a tag, such as python:1, and is python",
            ),
            ("load", "there must be at least one ARCHIVE"),
            ("stop", "there must be one PART"),
            (
                "stop docker",
                "a part must be one of etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, versitygw, mlflow, and is docker",
            ),
            ("image --output a", "--name must be given"),
            (
                "image --name localhost:5000/a",
                "--name must have a tag, such as localhost:5000/a:1, and is localhost:5000/a",
            ),
            (
                "image --name a:1 --user root",
                "--user must be a number, or two with a colon between, and is root",
            ),
            (
                "image --name a:1 --user 1 --output a f",
                "a file must be FILE=PATH_IN_IMAGE, and is f",
            ),
        ] {
            assert_eq!(asked(line), Err(error.to_string()));
        }
    }
}
