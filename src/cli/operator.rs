//! `podium operator`: reconciles in a cluster.

use super::Failure;
use crate::adapters::kubernetes::lease::LEASE_NAME;
use crate::adapters::mlflow::hosts::AllowedHosts;
use crate::controllers::{Options, run};
use crate::signals::shutdown_signal;
use clap::{ArgAction, ValueEnum};
use std::net::SocketAddr;
use std::process::ExitCode;

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What is logged at least.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Reconcile TuningJobs in a cluster: the one of the pod it runs in, or of KUBECONFIG.
// The last of several values counts, so that what a chart gives can be overridden behind it.
#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub(crate) struct Arguments {
    /// Namespaces to act in, comma-separated; `*` for all. Without it: its own.
    #[arg(long, env = "PODIUM_NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Let a lease decide which of several operators acts.
    #[arg(long, env = "PODIUM_LEADER_ELECTION", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    leader_election: bool,
    /// Name of that lease; operators with different leases act beside each other.
    #[arg(long, env = "PODIUM_LEASE_NAME", default_value = LEASE_NAME)]
    lease_name: String,
    /// Where `/metrics` is served.
    #[arg(long, env = "PODIUM_METRICS_ADDRESS", default_value = "127.0.0.1:8080")]
    metrics_address: SocketAddr,
    /// Where `/healthz` and `/readyz` are served.
    #[arg(long, env = "PODIUM_HEALTH_ADDRESS", default_value = "127.0.0.1:8081")]
    health_address: SocketAddr,
    /// How log lines look.
    #[arg(long, env = "PODIUM_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
    /// What is logged at least.
    #[arg(long, env = "PODIUM_LOG_LEVEL", value_enum, default_value = "info")]
    log_level: LogLevel,
    /// A host that the ModelRegistries of a namespace may name, as NAMESPACE=HOST; several are separated by commas. `*` is every namespace,
    /// HOST is a name, an address, `*.DOMAIN` or `*`. Addresses of this machine and of metadata services must be named.
    #[arg(
        long,
        env = "PODIUM_ALLOWED_HOSTS",
        value_delimiter = ',',
        default_value = "*=*",
        value_name = "NAMESPACE=HOST"
    )]
    allowed_hosts: Vec<String>,
    /// A host that `spec.notify` of the ChampionPolicies of a namespace may name, as NAMESPACE=HOST as in --allowed-hosts. One that is named
    /// itself, and not by a pattern, may be notified over http.
    #[arg(
        long,
        env = "PODIUM_NOTIFY_ALLOWED_HOSTS",
        value_delimiter = ',',
        default_value = "*=*",
        value_name = "NAMESPACE=HOST"
    )]
    notify_allowed_hosts: Vec<String>,
    /// It may write ConfigMaps, so that policies may publish their champions.
    #[arg(long, env = "PODIUM_PUBLISH_ENABLED", action = ArgAction::Set, default_value_t = false, num_args = 0..=1, default_missing_value = "true")]
    publish_enabled: bool,
    /// An admission policy makes sure that an Approval names whoever created it, so that policies may require more than one approver.
    #[arg(long, env = "PODIUM_APPROVERS_VERIFIED", action = ArgAction::Set, default_value_t = false, num_args = 0..=1, default_missing_value = "true")]
    approvers_verified: bool,
    /// Name of this cluster among those whose policies share a registry. Without it: one that follows from the cluster's certificate.
    #[arg(long, env = "PODIUM_CLUSTER_NAME")]
    cluster_name: Option<String>,
    /// The image of Podium that the Jobs of comparisons run, in the namespaces of their policies: this operator's own. Without it no
    /// evidence is compared.
    #[arg(long, env = "PODIUM_IMAGE")]
    image: Option<String>,
    /// Objects of a kind that are reconciled at once.
    #[arg(long, env = "PODIUM_MAX_CONCURRENT_RECONCILES", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_concurrent_reconciles: u16,
    /// Seconds by which the clock of this machine is taken to be ahead, for tests.
    #[arg(
        long,
        env = "PODIUM_CLOCK_SKEW_SECONDS",
        default_value_t = 0,
        hide = true,
        allow_negative_numbers = true
    )]
    clock_skew_seconds: i64,
    /// Name of this operator among others; without it the machine's.
    #[arg(long, env = "POD_NAME", hide = true)]
    name: Option<String>,
    /// Namespace of its lease.
    #[arg(long, env = "POD_NAMESPACE", hide = true)]
    own_namespace: Option<String>,
}

pub(crate) fn operator(arguments: Arguments) -> Result<ExitCode, Failure> {
    start_logging(arguments.log_format, arguments.log_level);
    let allowed_hosts = hosts("--allowed-hosts", &arguments.allowed_hosts)?;
    let notify_hosts = hosts("--notify-allowed-hosts", &arguments.notify_allowed_hosts)?;
    let options = Options {
        namespaces: arguments
            .namespaces
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect(),
        leader_election: arguments.leader_election,
        lease_name: arguments.lease_name,
        metrics_address: arguments.metrics_address,
        health_address: arguments.health_address,
        max_concurrent_reconciles: arguments.max_concurrent_reconciles,
        clock_skew_seconds: arguments.clock_skew_seconds,
        name: arguments.name.unwrap_or_else(machine_name),
        own_namespace: arguments.own_namespace,
        allowed_hosts,
        notify_hosts,
        publishes: arguments.publish_enabled,
        approvers_verified: arguments.approvers_verified,
        cluster_name: arguments.cluster_name.filter(|name| !name.is_empty()),
        image: arguments.image.filter(|image| !image.is_empty()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        run(options, shutdown_signal()?).await?;
        Ok(ExitCode::SUCCESS)
    });
    // A computation that was given up goes on until it ends by itself, and nothing waits for that.
    runtime.shutdown_background();
    ended
}

/// The rules of a flag.
fn hosts(flag: &str, rules: &[String]) -> Result<AllowedHosts, String> {
    let rules = rules.iter().map(String::as_str);
    AllowedHosts::parse(rules.filter(|rule| !rule.is_empty()))
        .map_err(|why| format!("{flag}: {why}"))
}

/// Unique among operators that run on different machines, and among those on this one.
fn machine_name() -> String {
    let host = rustix::system::uname();
    format!(
        "{}-{}",
        host.nodename().to_string_lossy(),
        std::process::id()
    )
}

fn start_logging(format: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    };
    let lines = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).with_target(false).init(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::Parser;

    fn parsed(arguments: &[&str]) -> Arguments {
        let all = ["podium", "operator"].into_iter();
        match Cli::try_parse_from(all.chain(arguments.iter().copied())) {
            Ok(Cli {
                command: Command::Operator(arguments),
            }) => arguments,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_flag_behind_another_of_its_name_wins() {
        let arguments = parsed(&["--log-level=info", "--log-level=debug", "--lease-name=a"]);
        assert!(matches!(arguments.log_level, LogLevel::Debug));
        assert_eq!(arguments.lease_name, "a");
        assert_eq!(parsed(&[]).lease_name, LEASE_NAME);
    }
}
