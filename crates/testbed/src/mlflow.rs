//! MLflow servers of this machine: each version from PyPI in an environment of its own, kept beside the other programs.

use crate::parts::{cache_directory, output_of, succeed};
use crate::ports::{free_port, is_healthy_below};
use crate::processes::{Processes, wait_until};
use crate::{TestbedError, at};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that a test bed for people has.
pub const MLFLOW: &str = "3.17.2";
/// The last one before 3, which many still run.
pub const MLFLOW_2: &str = "2.22.0";

/// Name and password of the account that may do everything.
pub const ADMIN: (&str, &str) = ("admin", "correct-horse-battery");

/// Installs packages in seconds where pip takes minutes.
const UV: &str = "0.9.7";
/// What its accounts need, which it does not bring along.
const FOR_ACCOUNTS: &str = "Flask-WTF<2";
/// What a version does not work without, and does not say.
const PINNED: [(&str, &str); 1] = [(MLFLOW_2, "sqlalchemy<2.1")];
/// Changes when the environments are made in another way.
const RECIPE: &str = "3";
const NAME: &str = "mlflow";
/// It loads for long.
pub(crate) const SECONDS_TO_ANSWER: u64 = 180;

/// A server that ends with this.
#[derive(Debug)]
pub struct MlflowServer {
    processes: Processes,
    port: u16,
    python: PathBuf,
}

impl MlflowServer {
    /// Starts this version with its data in `directory`, which must be empty, and waits until it answers. Without a store it has a sqlite
    /// database of its own.
    ///
    /// # Errors
    /// It cannot be installed, or does not answer.
    pub fn start(
        directory: &Path,
        version: &str,
        store: Option<&str>,
    ) -> Result<Self, TestbedError> {
        Self::serve(directory, version, "", |program, port| {
            command(program, directory, port, store)
        })
    }

    /// The same with more arguments of `mlflow server`, such as `--static-prefix`, below which stands everything that it serves.
    ///
    /// # Errors
    /// It cannot be installed, or does not answer.
    pub fn start_with_arguments(
        directory: &Path,
        version: &str,
        arguments: &[&str],
    ) -> Result<Self, TestbedError> {
        let mut pairs = arguments.windows(2);
        let prefix = pairs.find(|pair| pair[0] == "--static-prefix");
        let prefix = prefix.map_or("", |pair| pair[1]);
        Self::serve(directory, version, prefix, |program, port| {
            let mut command = command(program, directory, port, None);
            command.args(arguments);
            command
        })
    }

    /// The same with accounts: [`ADMIN`] may do everything, and others may read until they are given more.
    ///
    /// # Errors
    /// It cannot be installed, or does not answer.
    pub fn start_with_accounts(directory: &Path, version: &str) -> Result<Self, TestbedError> {
        let (name, password) = ADMIN;
        let settings = directory.join("accounts.ini");
        let text = format!(
            "[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{}\nadmin_username = {name}\nadmin_password = {password}\n\
             authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n",
            directory.join("accounts.db").display()
        );
        at(&settings, fs::write(&settings, text))?;
        Self::serve(directory, version, "", |program, port| {
            let mut command = command(program, directory, port, None);
            command
                .args(["--app-name", "basic-auth"])
                .env("MLFLOW_AUTH_CONFIG_PATH", &settings)
                .env("MLFLOW_FLASK_SERVER_SECRET_KEY", "of a test");
            command
        })
    }

    fn serve(
        directory: &Path,
        version: &str,
        prefix: &str,
        command: impl FnOnce(&Path, u16) -> Command,
    ) -> Result<Self, TestbedError> {
        let environment = environment(version)?;
        let server = Self {
            processes: Processes::in_directory(directory)?,
            port: free_port()?,
            python: environment.join("bin/python"),
        };
        let program = environment.join("bin").join(NAME);
        let command = command(&program, server.port);
        server.processes.start(NAME, command)?;
        let log = server.processes.log(NAME);
        wait_until(
            &format!("MLflow {version} answers"),
            SECONDS_TO_ANSWER,
            &log,
            || is_healthy_below(server.port, prefix),
        )?;
        Ok(server)
    }

    /// Its address, without a prefix.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A Python with the client of the same version.
    #[must_use]
    pub fn python(&self) -> &Path {
        &self.python
    }
}

impl Drop for MlflowServer {
    fn drop(&mut self) {
        // It is a family: one that is asked to end leaves others behind.
        let _ = self.processes.kill(NAME);
    }
}

/// The environment with this version, made unless it is there.
///
/// # Errors
/// There is no Python, or PyPI cannot be reached.
pub fn environment(version: &str) -> Result<PathBuf, TestbedError> {
    let cache = cache_directory()?;
    at(&cache, fs::create_dir_all(&cache))?;
    let environment = cache.join(format!("mlflow-{version}-{RECIPE}"));
    let lock_path = cache.join(format!("mlflow-{version}.lock"));
    let lock = at(&lock_path, File::create(&lock_path))?;
    at(&lock_path, lock.lock())?;
    let done = environment.join("complete");
    if done.is_file() {
        return Ok(environment);
    }
    if environment.exists() {
        at(&environment, fs::remove_dir_all(&environment))?;
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(&environment);
    succeed(venv, "making a Python environment")?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", &format!("uv=={UV}")]);
    succeed(pip, "installing uv")?;
    let mut install = Command::new(environment.join("bin/uv"));
    install
        .args(["pip", "install", "--quiet", "--python"])
        .arg(environment.join("bin/python"))
        .args([
            &format!("mlflow=={version}"),
            "psycopg2-binary",
            FOR_ACCOUNTS,
        ])
        .args(
            PINNED
                .iter()
                .filter(|(of, _)| *of == version)
                .map(|(_, package)| package),
        );
    succeed(install, &format!("installing MLflow {version}"))?;
    at(&done, fs::write(&done, ""))?;
    Ok(environment)
}

/// The command that serves on this port, with its data in `directory`.
pub(crate) fn command(program: &Path, directory: &Path, port: u16, store: Option<&str>) -> Command {
    let own = format!("sqlite:///{}", directory.join("mlflow.db").display());
    // A directory that cannot be made is told by the server, which finds no place for its database.
    let _ = fs::create_dir_all(directory);
    let mut command = Command::new(program);
    command
        .args(["server", "--host", "127.0.0.1", "--workers", "1"])
        .args(["--port", &port.to_string()])
        .args(["--backend-store-uri", store.unwrap_or(&own)])
        .arg("--artifacts-destination")
        .arg(directory.join("artifacts"))
        // Its job runner and task consumers are not needed.
        .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .env("GIT_PYTHON_REFRESH", "quiet")
        // What it imports is compiled by the first server only, which halves the time that all others take to start.
        .env_remove("PYTHONDONTWRITEBYTECODE")
        .current_dir(directory);
    command
}

/// A PostgreSQL with an empty database, that ends with this.
#[derive(Debug)]
pub struct Postgres {
    processes: Processes,
    port: u16,
}

const POSTGRES: &str = "postgres";
/// It refuses to run as root.
const USER: &str = "nobody";

impl Postgres {
    /// Starts one with its data in `directory`, which must be empty, and waits until it answers. Only root can, since it runs as another
    /// user.
    ///
    /// # Errors
    /// It is not installed and cannot be, or does not answer.
    pub fn start(directory: &Path) -> Result<Self, TestbedError> {
        let programs = postgres_programs()?;
        let data = directory.join("data");
        at(&data, fs::create_dir_all(&data))?;
        let mut own = Command::new("chown");
        own.arg(USER).arg(&data);
        succeed(own, "giving the data directory to another user")?;
        // The other user must get there.
        for parent in data.ancestors().skip(1).take(2) {
            let mut open = Command::new("chmod");
            open.arg("a+x").arg(parent);
            succeed(open, "opening the way to the data directory")?;
        }
        let as_other = |program: &str| {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", USER, "--regid", "nogroup", "--clear-groups"])
                .arg(programs.join(program))
                .current_dir("/");
            command
        };
        let mut make = as_other("initdb");
        make.args(["--auth=trust", "--username=mlflow", "--encoding=UTF8"])
            .args(["--no-sync", "-D"])
            .arg(&data);
        succeed(make, "making a PostgreSQL database")?;
        let server = Self {
            processes: Processes::in_directory(directory)?,
            port: free_port()?,
        };
        let mut serve = as_other("postgres");
        serve
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-p", &server.port.to_string()])
            // No socket file, and no wait for disks: nothing of it is kept.
            .args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
        server.processes.start(POSTGRES, serve)?;
        let log = server.processes.log(POSTGRES);
        wait_until("PostgreSQL answers", 60, &log, || {
            let mut ready = Command::new(programs.join("pg_isready"));
            ready.args(["-q", "-h", "127.0.0.1", "-p", &server.port.to_string()]);
            succeed(ready, "asking").is_ok()
        })?;
        Ok(server)
    }

    /// Its address as SQLAlchemy writes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "postgresql+psycopg2://mlflow@127.0.0.1:{}/postgres",
            self.port
        )
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.processes.end(POSTGRES);
    }
}

/// Debian's, installed where it is not, without a server that runs.
fn postgres_programs() -> Result<PathBuf, TestbedError> {
    let found = || {
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
        let programs = versions.flatten().map(|version| version.path().join("bin"));
        programs.filter(|bin| bin.join("initdb").is_file()).max()
    };
    if let Some(programs) = found() {
        return Ok(programs);
    }
    let settings = Path::new("/etc/postgresql-common");
    at(settings, fs::create_dir_all(settings))?;
    let file = settings.join("createcluster.conf");
    at(&file, fs::write(&file, "create_main_cluster = false\n"))?;
    let _ = output_of(Command::new("apt-get").args(["update", "-qq"]), "updating");
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive").args([
        "install",
        "-y",
        "-qq",
        "--no-install-recommends",
        "postgresql",
    ]);
    succeed(install, "installing Debian's PostgreSQL")?;
    found().ok_or_else(|| TestbedError::Needs("PostgreSQL below /usr/lib/postgresql".to_string()))
}
