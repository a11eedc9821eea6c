//! `podium simulate`.

use super::Failure;
use super::progress::bar;
use clap::{Args, Subcommand};
use podium_workload::simulate::{self, Request};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum Simulate {
    /// Card transactions with fraud, as Parquet; the same seed gives the same rows on every machine.
    ///
    /// Examples:
    ///   podium simulate transactions --out week.parquet
    ///   podium simulate transactions --out big.parquet --days 1040      (10 million rows)
    #[command(verbatim_doc_comment)]
    Transactions(Transactions),
}

#[derive(Debug, Args)]
pub(super) struct Transactions {
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
    /// The first day that is written; the days before it are simulated too, since features look back 37 days.
    #[arg(long, default_value_t = Request::default().first_day)]
    first_day: u32,
    /// Number of days that are written, about 9,600 rows each.
    #[arg(long, default_value_t = Request::default().days)]
    days: u32,
    /// Number of customers.
    #[arg(long, default_value_t = Request::default().customers)]
    customers: usize,
    /// Number of terminals.
    #[arg(long, default_value_t = Request::default().terminals)]
    terminals: usize,
    /// Seed of all draws.
    #[arg(long, default_value_t = Request::default().seed)]
    seed: u64,
}

pub(super) fn simulate(simulate: &Simulate) -> Result<ExitCode, Failure> {
    let Simulate::Transactions(wanted) = simulate;
    let request = Request {
        customers: wanted.customers,
        terminals: wanted.terminals,
        first_day: wanted.first_day,
        days: wanted.days,
        seed: wanted.seed,
    };
    let bar = bar("day");
    let (rows, frauds) = simulate::transactions(&request, &wanted.out, &mut |done, all| {
        bar.set_length(u64::from(all));
        bar.set_position(u64::from(done));
    })?;
    bar.finish_and_clear();
    println!(
        "{}: {rows} transactions, {frauds} of them frauds",
        wanted.out.display()
    );
    Ok(ExitCode::SUCCESS)
}
