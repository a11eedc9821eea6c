//! `testbed up` starts a cluster for people and prints how to reach it; `testbed down` ends it.

use podium_testbed::TestbedError;
use podium_testbed::cluster::Cluster;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let verb = std::env::args().nth(1);
    let done = match verb.as_deref() {
        Some("up") => up(),
        Some("down") => Cluster::clean_up(&directory()),
        _ => {
            eprintln!("usage: testbed up|down");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn up() -> Result<(), TestbedError> {
    let began = Instant::now();
    let cluster = Cluster::start(&directory(), &mut |step| {
        eprintln!("[{:>4} s] {step}", began.elapsed().as_secs())
    })?;
    eprintln!("[{:>4} s] ready", began.elapsed().as_secs());
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    println!(
        "export KUBECTL={}",
        cluster.parts().program("kubectl").display()
    );
    Ok(())
}

/// One cluster for people per user.
fn directory() -> PathBuf {
    std::env::var_os("PODIUM_TESTBED_DIRECTORY").map_or_else(
        || std::env::temp_dir().join("podium-testbed"),
        PathBuf::from,
    )
}
