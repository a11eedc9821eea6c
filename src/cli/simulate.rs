//! `podium simulate`.

use super::progress::bar;
use super::{Failure, address_of_uri};
use crate::adapters::evidence_files::EvidenceFiles;
use crate::adapters::s3::S3Address;
use clap::{Args, Subcommand};
use podium_workload::predictions_file::FileSink;
use podium_workload::simulate::{self, Request};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum Simulate {
    /// Card transactions with fraud, as Parquet; the same seed gives the same rows on every machine.
    ///
    /// Examples:
    ///   podium simulate transactions --out week.parquet
    ///   podium simulate transactions --out big.parquet --days 1040      (10 million rows)
    ///   podium simulate transactions --out s3://fraud/unlabelled.parquet --exclude tx_fraud,tx_fraud_scenario
    #[command(verbatim_doc_comment)]
    Transactions(Transactions),
}

#[derive(Debug, Args)]
pub(super) struct Transactions {
    /// The file to write: a path, a file:// URI or s3://BUCKET/KEY, which is made in memory.
    #[arg(long)]
    out: String,
    /// Columns that are left out, such as the labels of rows that are to be scored.
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    exclude: Vec<String>,
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
        exclude: wanted.exclude.clone(),
    };
    let out = address_of_uri(&wanted.out)?;
    let bar = bar("day");
    let mut advance = |done: u32, all: u32| {
        bar.set_length(u64::from(all));
        bar.set_position(u64::from(done));
    };
    let (rows, frauds) = if S3Address::is_meant_by(&out) {
        let (bytes, counts) = simulate::transactions_as_bytes(&request, &out, &mut advance)?;
        EvidenceFiles::default().write(&out, bytes)?;
        counts
    } else {
        simulate::transactions(&request, &out, &mut advance)?
    };
    bar.finish_and_clear();
    println!(
        "{}: {rows} transactions, {frauds} of them frauds",
        wanted.out
    );
    Ok(ExitCode::SUCCESS)
}
