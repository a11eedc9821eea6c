//! A one-node Kubernetes for tests and for people; see [`arguments::USAGE`].

mod arguments;

use arguments::{Request, USAGE};
use podium_testbed::TestbedError;
use podium_testbed::cluster::Cluster;
use podium_testbed::extent::Extent;
use podium_testbed::image::write_archive;
use podium_testbed::mlflow::{self, MLFLOW};
use podium_testbed::ports::{MLFLOW_SERVICE, S3_SERVICE};
use podium_testbed::python::python_image;
use podium_testbed::s3;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let request = match arguments::request(std::env::args().skip(1)) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("error: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match answer(&request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn answer(request: &Request) -> Result<(), TestbedError> {
    match request {
        Request::Up { extent, images } => up(*extent, images),
        Request::Down => Cluster::clean_up(&directory()),
        Request::Load { archives } => load(&Cluster::attach(&directory())?, archives),
        Request::Image { image, output } => write_archive(output, image),
        Request::PythonImage { name, output } => write_archive(output, &python_image(name)?),
        Request::Stop(component) => Cluster::attach(&directory())?.stop_component(*component),
        Request::Kill(component) => Cluster::attach(&directory())?.kill_component(*component),
        Request::Start(component) => Cluster::attach(&directory())?.start_component(*component),
        Request::Help => print(USAGE),
    }
}

fn up(extent: Extent, images: &[PathBuf]) -> Result<(), TestbedError> {
    // Told now rather than after minutes of building.
    if let Some(missing) = images.iter().find(|image| !image.is_file()) {
        return Err(TestbedError::Needs(format!(
            "the image archive {} to be a file",
            missing.display()
        )));
    }
    let mut progress = Progress::default();
    let cluster = Cluster::start(&directory(), extent, &mut |step| progress.step(step))?;
    if !images.is_empty() {
        progress.step("loading images");
        load(&cluster, images)?;
    }
    let mut lines = exports(&cluster)?;
    if extent == Extent::Full {
        progress.step("starting MLflow (its first time it is installed)");
        lines.extend(registry_exports(&cluster)?);
    }
    progress.end();
    print(&lines.join("\n"))
}

/// What a shell evaluates to reach the model registry, and a Python that has its client.
fn registry_exports(cluster: &Cluster) -> Result<Vec<String>, TestbedError> {
    let url = cluster.start_mlflow()?;
    let python = mlflow::environment(MLFLOW)?.join("bin/python");
    Ok(vec![
        format!("export MLFLOW_TRACKING_URI={url}"),
        format!("export MLFLOW_PYTHON={}", quoted(&python)),
        format!("export MLFLOW_IN_PODS=http://{MLFLOW_SERVICE}"),
    ])
}

/// What a shell evaluates to reach the object store, in the variables that its clients know.
fn object_store_exports(url: Option<&str>) -> Vec<String> {
    let Some(url) = url else {
        return Vec::new();
    };
    let in_pods = format!("http://{S3_SERVICE}");
    let variables = [
        ("AWS_ENDPOINT_URL_S3", url),
        ("AWS_ACCESS_KEY_ID", s3::ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", s3::SECRET_KEY),
        ("AWS_REGION", s3::REGION),
        ("S3_BUCKET", s3::BUCKET),
        ("S3_IN_PODS", &in_pods),
    ];
    let export = |(name, value)| format!("export {name}={value}");
    variables.map(export).to_vec()
}

fn load(cluster: &Cluster, archives: &[PathBuf]) -> Result<(), TestbedError> {
    archives
        .iter()
        .try_for_each(|archive| cluster.node()?.import(archive))
}

/// What a shell evaluates to reach the cluster.
fn exports(cluster: &Cluster) -> Result<Vec<String>, TestbedError> {
    let this = std::env::current_exe().map_err(|error| TestbedError::File {
        path: PathBuf::from("/proc/self/exe"),
        error,
    })?;
    let tools = cluster.tools();
    let directory = cluster.directory().to_path_buf();
    let variables = [
        ("KUBECONFIG", Some(cluster.kubeconfig())),
        ("KUBECTL", tool(&tools, "kubectl")),
        ("HELM", tool(&tools, "helm")),
        ("KUBECONFORM", tool(&tools, "kubeconform")),
        ("PODIUM_TESTBED", Some(this)),
        ("PODIUM_TESTBED_DIRECTORY", Some(directory)),
        ("PODIUM_AUDIT_LOG", Some(cluster.audit_log())),
    ];
    let mut lines: Vec<String> = variables
        .iter()
        .filter_map(|(name, path)| Some(format!("export {name}={}", quoted(path.as_ref()?))))
        .collect();
    lines.extend(object_store_exports(cluster.s3_url().as_deref()));
    let pods_run = cluster.extent() == Extent::Full;
    lines.push(format!("export PODIUM_TESTBED_PODS={pods_run}"));
    lines.push(format!("export PATH={}:\"$PATH\"", quoted(&tools)));
    Ok(lines)
}

/// A cluster has a tool only where it could be had.
fn tool(folder: &Path, name: &str) -> Option<PathBuf> {
    Some(folder.join(name)).filter(|path| path.exists())
}

/// The path as one word of a shell.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if path.chars().all(plain) {
        path
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

/// Unlike `println!`, without a panic when nobody reads.
fn print(text: &str) -> Result<(), TestbedError> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| TestbedError::File {
        path: PathBuf::from("standard output"),
        error,
    })
}

/// One cluster for people per machine, if nothing else is said.
fn directory() -> PathBuf {
    std::env::var_os("PODIUM_TESTBED_DIRECTORY").map_or_else(
        || std::env::temp_dir().join("podium-testbed"),
        PathBuf::from,
    )
}

/// Tells what is done, and how long it took.
#[derive(Default)]
struct Progress {
    began: Option<Instant>,
    step: Option<(String, Instant)>,
}

impl Progress {
    fn step(&mut self, step: &str) {
        self.tell();
        let now = Instant::now();
        self.began.get_or_insert(now);
        eprintln!("==> {step}");
        self.step = Some((step.to_string(), now));
    }

    fn end(&mut self) {
        self.tell();
        if let Some(began) = self.began {
            eprintln!("ready after {:.1} s", began.elapsed().as_secs_f64());
        }
    }

    fn tell(&mut self) {
        if let Some((step, began)) = self.step.take() {
            eprintln!("<== {:.1} s: {step}", began.elapsed().as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted(Path::new("/tmp/a-b_c.d")), "/tmp/a-b_c.d");
        assert_eq!(quoted(Path::new("/tmp/it's here")), r"'/tmp/it'\''s here'");
    }
}
