//! The programs of the test bed: built from source once, kept outside of the checkout under a name with their versions.

use crate::extent::Extent;
use crate::{TestbedError, at};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

const KUBERNETES: &str = "1.34.4";
const ETCD: &str = "3.6.5";
const CONTAINERD: &str = "2.2.1";
const CNI: &str = "1.8.0";
const HELM: &str = "4.1.1";
const KUBECONFORM: &str = "0.8.0";
const VERSITYGW: &str = "1.8.0";

/// The folder that people have who test controllers without a cluster, with what [`ASSETS`] names.
const ASSETS_VARIABLE: &str = "KUBEBUILDER_ASSETS";

const ASSETS: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Parts {
    directory: PathBuf,
}

/// A step of the build: what it is called, what it makes, and the commands.
struct Step {
    name: &'static str,
    programs: &'static [&'static str],
    /// Whether it makes nothing that a cluster without pods needs.
    only_for_pods: bool,
    /// The text of a program of this crate, or the version of another one, which is built anew when it changes; without one the folder's
    /// name has the version.
    source: Option<&'static str>,
    build: fn(&Path) -> Result<(), TestbedError>,
}

const STEPS: [Step; 11] = [
    Step {
        name: "etcd",
        programs: &["etcd"],
        only_for_pods: false,
        source: None,
        build: |bin| {
            go_build(
                "etcd",
                &["go.etcd.io/etcd/server/v3"],
                "-s -w",
                &bin.join("etcd"),
            )
        },
    },
    Step {
        name: "the API server, the controller manager and kubectl (about three minutes)",
        programs: &["kube-apiserver", "kube-controller-manager", "kubectl"],
        only_for_pods: false,
        source: None,
        build: |bin| {
            build_kubernetes(
                bin,
                &["kube-apiserver", "kube-controller-manager", "kubectl"],
            )
        },
    },
    Step {
        name: "the scheduler and the kubelet (about two minutes)",
        programs: &["kube-scheduler", "kubelet"],
        only_for_pods: true,
        source: None,
        build: |bin| build_kubernetes(bin, &["kube-scheduler", "kubelet"]),
    },
    Step {
        name: "containerd",
        programs: &["containerd", "containerd-shim-runc-v2", "ctr"],
        only_for_pods: true,
        source: None,
        build: |bin| {
            let package = |name: &str| {
                format!("github.com/containerd/containerd/v2/cmd/{name}@v{CONTAINERD}")
            };
            let packages = ["containerd", "containerd-shim-runc-v2", "ctr"].map(package);
            go_install(
                bin,
                &["-tags", "no_btrfs no_devmapper no_zfs no_aufs"],
                &packages,
            )
        },
    },
    Step {
        name: "network plugins",
        programs: &["bridge", "loopback", "host-local"],
        only_for_pods: true,
        source: None,
        build: |bin| {
            let package = |name: &str| {
                format!("github.com/containernetworking/plugins/plugins/{name}@v{CNI}")
            };
            go_install(
                bin,
                &[],
                &["main/bridge", "main/loopback", "ipam/host-local"].map(package),
            )
        },
    },
    Step {
        name: "helm (about a minute)",
        programs: &["helm"],
        only_for_pods: false,
        source: None,
        build: |bin| {
            let package = format!("helm.sh/helm/v4/cmd/helm@v{HELM}");
            go_install(bin, &[], &[package])
        },
    },
    Step {
        name: "kubeconform",
        programs: &["kubeconform"],
        only_for_pods: false,
        source: None,
        build: |bin| {
            let package = format!("github.com/yannh/kubeconform/cmd/kubeconform@v{KUBECONFORM}");
            go_install(bin, &[], &[package])
        },
    },
    Step {
        name: "versitygw, an S3 server (about two minutes)",
        programs: &["versitygw"],
        only_for_pods: true,
        source: Some(VERSITYGW),
        build: |bin| {
            let package = format!("github.com/versity/versitygw/cmd/versitygw@v{VERSITYGW}");
            go_install(bin, &[], &[package])
        },
    },
    Step {
        name: "pause",
        programs: &["pause"],
        only_for_pods: true,
        source: Some(include_str!("../go/pause/main.go")),
        build: |bin| go_build("pause", &["."], "-s -w", &bin.join("pause")),
    },
    Step {
        name: "forward",
        programs: &["forward"],
        only_for_pods: true,
        source: Some(include_str!("../go/forward/main.go")),
        build: |bin| go_build("forward", &["."], "-s -w", &bin.join("forward")),
    },
    Step {
        name: "runc",
        programs: &["runc"],
        only_for_pods: true,
        source: None,
        build: unpack_runc,
    },
];

/// Names and paths of the programs of a cluster, built first where they are missing; `say` is told what is being built.
///
/// # Errors
/// A program cannot be built; what its builder said is in the message.
pub fn ready(
    extent: Extent,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<(String, PathBuf)>, TestbedError> {
    let assets = std::env::var_os(ASSETS_VARIABLE).filter(|folder| !folder.is_empty());
    match (extent, assets) {
        (Extent::ApiServerOnly, Some(folder)) => from_assets(Path::new(&folder), say),
        (Extent::ApiServerOnly, None) => build(|step| !step.only_for_pods, say),
        // A node must fit its API server, so all is of one version.
        (Extent::Full, _) => build(|_| true, say),
    }
}

/// The path of one program, built first where it is missing.
///
/// # Errors
/// It is none of the test bed's, or cannot be built.
pub(crate) fn ready_program(name: &str) -> Result<PathBuf, TestbedError> {
    let makes_it = |step: &Step| step.programs.contains(&name);
    let mut built = build(makes_it, &mut |_| {})?.into_iter();
    let found = built.find(|(program, _)| program == name);
    let unknown = || TestbedError::Needs(format!("{name}, which it does not build"));
    found.map(|(_, path)| path).ok_or_else(unknown)
}

/// What the folder has, and the tools for people where they can be had.
fn from_assets(
    folder: &Path,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<(String, PathBuf)>, TestbedError> {
    let folder = at(folder, folder.canonicalize())?;
    let program = |name: &str| (name.to_string(), folder.join(name));
    let mut programs: Vec<_> = ASSETS.into_iter().map(program).collect();
    if let Some((_, path)) = programs.iter().find(|(_, path)| !path.is_file()) {
        let path = path.display();
        return Err(TestbedError::Needs(format!(
            "{path}, since {ASSETS_VARIABLE} is set"
        )));
    }
    let manager = program("kube-controller-manager");
    programs.extend(Some(manager).filter(|(_, path)| path.is_file()));
    for tool in ["helm", "kubeconform"] {
        match build(|step| step.programs == [tool], say) {
            Ok(built) => programs.extend(built),
            Err(error) => say(&format!("going on without {tool}: {error}")),
        }
    }
    Ok(programs)
}

/// The programs of some steps, after the steps that were not done before.
fn build(
    is_needed: impl Fn(&Step) -> bool,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<(String, PathBuf)>, TestbedError> {
    let cache = Parts::in_directory(&cache_directory()?.join(format!(
        "kubernetes-{KUBERNETES}-etcd-{ETCD}-containerd-{CONTAINERD}-cni-{CNI}-helm-{HELM}-kubeconform-{KUBECONFORM}"
    )));
    let needed: Vec<&Step> = STEPS.iter().filter(|step| is_needed(step)).collect();
    // Whoever lacks nothing does not wait for somebody who builds other parts.
    if !needed.iter().all(|step| cache.has_all(step)) {
        cache.make_missing(&needed, say)?;
    }
    let programs = needed.iter().flat_map(|step| step.programs);
    Ok(programs
        .map(|name| ((*name).to_string(), cache.program(name)))
        .collect())
}

impl Parts {
    /// The programs in `directory`.
    #[must_use]
    pub fn in_directory(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
        }
    }

    /// Makes `directory` a folder of links to programs.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn link(directory: &Path, programs: &[(String, PathBuf)]) -> Result<Self, TestbedError> {
        at(directory, fs::create_dir_all(directory))?;
        for (name, path) in programs {
            let link = directory.join(name);
            at(&link, symlink(path, &link))?;
        }
        Ok(Self::in_directory(directory))
    }

    /// One after the other, of all who build at the same time.
    fn make_missing(&self, steps: &[&Step], say: &mut dyn FnMut(&str)) -> Result<(), TestbedError> {
        at(&self.directory, fs::create_dir_all(&self.directory))?;
        let lock_path = self.directory.join("lock");
        let lock = at(&lock_path, File::create(&lock_path))?;
        at(&lock_path, lock.lock())?;
        for step in steps {
            if !self.has_all(step) {
                say(&format!("building {}", step.name));
                self.make(step)?;
            }
        }
        Ok(())
    }

    fn make(&self, step: &Step) -> Result<(), TestbedError> {
        let unfinished = self.directory.join("unfinished");
        let _ = fs::remove_dir_all(&unfinished);
        at(&unfinished, fs::create_dir_all(&unfinished))?;
        (step.build)(&unfinished)?;
        for program in step.programs {
            let built = unfinished.join(program);
            at(&built, fs::rename(&built, self.program(program)))?;
            if let Some(source) = step.source {
                let path = self.source(program);
                at(&path, fs::write(&path, source))?;
            }
        }
        Ok(())
    }

    fn has_all(&self, step: &Step) -> bool {
        step.programs.iter().all(|program| {
            let is_current = |source| {
                fs::read_to_string(self.source(program)).is_ok_and(|built| built == source)
            };
            self.has(program) && step.source.is_none_or(is_current)
        })
    }

    /// What a program was built from.
    fn source(&self, program: &str) -> PathBuf {
        self.directory.join(format!("{program}.source"))
    }

    /// Whether there is a program.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.program(name).is_file()
    }

    /// The path of a program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The folder of all programs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// `PODIUM_TESTBED_CACHE`, or `podium/testbed` in the user's cache.
pub(crate) fn cache_directory() -> Result<PathBuf, TestbedError> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    variable("PODIUM_TESTBED_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("podium/testbed")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/podium/testbed")))
        .ok_or_else(|| TestbedError::Needs("HOME or PODIUM_TESTBED_CACHE to be set".to_string()))
}

fn build_kubernetes(bin: &Path, programs: &[&str]) -> Result<(), TestbedError> {
    let (major, minor) = ("1", "34");
    // Without a version the server says v0.0.0, and clients refuse it.
    let version =
        |field: &str, value: &str| format!("-X k8s.io/component-base/version.{field}={value}");
    let flags = [
        "-s -w".to_string(),
        version("gitVersion", &format!("v{KUBERNETES}")),
        version("gitMajor", major),
        version("gitMinor", minor),
    ];
    let packages: Vec<String> = programs
        .iter()
        .map(|program| format!("k8s.io/kubernetes/cmd/{program}"))
        .collect();
    let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
    // A trailing slash makes go write every program under its own name.
    go_build("kubernetes", &packages, &flags.join(" "), &bin.join(""))
}

fn go_build(
    module: &str,
    packages: &[&str],
    linker_flags: &str,
    output: &Path,
) -> Result<(), TestbedError> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("go")
        .join(module);
    let mut command = go()?;
    command
        .current_dir(&directory)
        .args(["build", "-trimpath", "-ldflags", linker_flags, "-o"])
        .arg(output)
        .args(packages);
    succeed(command, &format!("building {module}"))
}

fn go_install(bin: &Path, flags: &[&str], packages: &[String]) -> Result<(), TestbedError> {
    let mut command = go()?;
    command
        .env("GOBIN", bin)
        .args(["install", "-trimpath", "-ldflags", "-s -w"])
        .args(flags)
        .args(packages);
    succeed(command, "installing Go programs")
}

fn go() -> Result<Command, TestbedError> {
    let mut version = Command::new("go");
    version.arg("version");
    succeed(version, "finding Go").map_err(|_| TestbedError::Needs("Go".to_string()))?;
    let mut command = Command::new("go");
    command
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-buildvcs=false");
    Ok(command)
}

/// The machine's runc, or Debian's without installing it: other builds lack seccomp, and pods fail without it.
fn unpack_runc(bin: &Path) -> Result<(), TestbedError> {
    let installed = ["/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc"]
        .map(Path::new)
        .into_iter()
        .find(|path| path.is_file());
    let found = match installed {
        Some(path) => path.to_path_buf(),
        None => {
            let _ = Command::new("apt-get").args(["update", "-qq"]).output();
            let mut download = Command::new("apt-get");
            download.current_dir(bin).args(["download", "-qq", "runc"]);
            succeed(download, "downloading Debian's runc")?;
            let mut unpack = Command::new("sh");
            unpack
                .current_dir(bin)
                .args(["-c", "dpkg-deb -x runc_*.deb unpacked"]);
            succeed(unpack, "unpacking Debian's runc")?;
            bin.join("unpacked/usr/sbin/runc")
        }
    };
    let copy = bin.join("runc");
    at(&copy, fs::copy(&found, &copy))?;
    let mut version = Command::new(&copy);
    version.arg("--version");
    succeed(version, "starting runc")
}

/// Runs a command to its end and keeps what it says for the case that it fails.
pub(crate) fn succeed(mut command: Command, what: &str) -> Result<(), TestbedError> {
    output_of(&mut command, what).map(drop)
}

/// What a command that succeeds writes to its standard output.
pub(crate) fn output_of(command: &mut Command, what: &str) -> Result<String, TestbedError> {
    let failed = |output: String| TestbedError::Program {
        what: what.to_string(),
        output,
    };
    let output = command
        .output()
        .map_err(|error| failed(format!("{:?}: {error}", command.get_program())))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )))
    }
}
