//! Card transactions with fraud, made by a seeded simulator: the same seed gives the same file on every machine.
//!
//! After the simulator of the Fraud Detection Handbook (Le Borgne, Siblini, Lebichot, Bontempi, 2022), sections 3.2 and 3.3:
//! customers and terminals on a plane, customers pay at terminals nearby, and three kinds of fraud happen.

mod features;
mod payments;
mod population;
mod writer;

use features::Histories;
use payments::Payments;
use population::Population;
use std::io::Write;
use std::path::{Path, PathBuf};
use writer::{NewFile, TransactionWriter, WriteError};

/// What is to be simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Number of customers.
    pub customers: usize,
    /// Number of terminals.
    pub terminals: usize,
    /// The first day that is written; earlier ones are simulated too, since features look back.
    pub first_day: u32,
    /// Number of days that are written.
    pub days: u32,
    /// Seed of all draws.
    pub seed: u64,
    /// Columns that are left out.
    pub exclude: Vec<String>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            customers: 5_000,
            terminals: 10_000,
            first_day: 60,
            days: 7,
            seed: 42,
            exclude: Vec::new(),
        }
    }
}

/// One payment by card.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Transaction {
    /// Number in the order of time, from the first day on.
    pub(crate) id: i32,
    pub(crate) customer: u32,
    pub(crate) terminal: u32,
    /// Seconds since the first day began.
    pub(crate) seconds: u32,
    /// In units of money, with two decimals.
    pub(crate) amount: f64,
    /// 0 for honest ones, else the kind of fraud, 1 to 3.
    pub(crate) scenario: u8,
}

/// Seconds of a day.
pub(crate) const DAY: u32 = 86_400;

/// The request cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// A number is out of range.
    #[error("{0}")]
    Range(String),
    /// The file cannot be written.
    #[error("cannot write {path}: {message}")]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

/// Simulates day by day and writes the transactions of the wanted days to a Parquet file; `advance` is told how many of how many
/// days are done. Returns the number of rows and of frauds among them.
///
/// # Errors
/// See [`SimulateError`]; a file that cannot be finished is not left behind.
pub fn transactions(
    request: &Request,
    out: &Path,
    advance: &mut dyn FnMut(u32, u32),
) -> Result<(usize, usize), SimulateError> {
    check(request)?;
    let unwritable = unwritable(out);
    let new = NewFile::beside(out).map_err(&unwritable)?;
    let output = new.create().map_err(&unwritable)?;
    let (file, counts) = write(request, output, advance).map_err(&unwritable)?;
    new.complete(&file).map_err(&unwritable)?;
    Ok(counts)
}

/// The same with the bytes of the file for somebody who stores them at `out`.
///
/// # Errors
/// See [`SimulateError`].
pub fn transactions_as_bytes(
    request: &Request,
    out: &Path,
    advance: &mut dyn FnMut(u32, u32),
) -> Result<(Vec<u8>, (usize, usize)), SimulateError> {
    check(request)?;
    write(request, Vec::new(), advance).map_err(unwritable(out))
}

fn unwritable(out: &Path) -> impl Fn(WriteError) -> SimulateError {
    move |error| SimulateError::Unwritable {
        path: out.to_path_buf(),
        message: error.to_string(),
    }
}

/// Writes the transactions; what they were written to, and the number of rows and of frauds among them.
fn write<W: Write + Send>(
    request: &Request,
    output: W,
    advance: &mut dyn FnMut(u32, u32),
) -> Result<(W, (usize, usize)), WriteError> {
    let population = Population::new(request.customers, request.terminals, request.seed);
    let mut payments = Payments::new(&population, request.seed);
    let mut histories = Histories::new(request.customers, request.terminals);
    let mut writer = TransactionWriter::new(output, &request.exclude)?;
    let end = request.first_day + request.days;
    let mut counts = (0, 0);
    for day in 0..end {
        for transaction in payments.of_day(day) {
            let features = histories.observe(&transaction);
            if day >= request.first_day {
                counts.0 += 1;
                counts.1 += usize::from(transaction.scenario > 0);
                writer.push(&transaction, &features)?;
            }
        }
        advance(day + 1, end);
    }
    Ok((writer.finish()?, counts))
}

fn check(request: &Request) -> Result<(), SimulateError> {
    let range = |holds: bool, message: &str| {
        if holds {
            Ok(())
        } else {
            Err(SimulateError::Range(message.to_string()))
        }
    };
    range(
        (1..=1_000_000).contains(&request.customers),
        "--customers must lie from 1 to 1,000,000",
    )?;
    range(
        (1..=1_000_000).contains(&request.terminals),
        "--terminals must lie from 1 to 1,000,000",
    )?;
    range(request.days >= 1, "--days must be at least 1")?;
    // Seconds since the first day are kept in 32 bits.
    range(
        u64::from(request.first_day) + u64::from(request.days) <= 20_000,
        "--first-day and --days must add up to at most 20,000",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{RowFile, Table};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_features_look_back_only() {
        let directory = tempfile::tempdir().unwrap();
        let small = Request {
            customers: 300,
            terminals: 400,
            first_day: 40,
            days: 3,
            seed: 7,
            exclude: Vec::new(),
        };
        let file = |name: &str, request: &Request| {
            let path = directory.path().join(name);
            let counts = transactions(request, &path, &mut |_, _| {}).unwrap();
            (counts, path)
        };
        let (counts, first) = file("first.parquet", &small);
        let (_, second) = file("second.parquet", &small);
        assert_eq!(
            std::fs::read(&first).unwrap(),
            std::fs::read(second).unwrap()
        );
        let (_, longer) = file("longer.parquet", &Request { days: 5, ..small });
        let (short, long) = (
            RowFile::open(&first).unwrap(),
            RowFile::open(&longer).unwrap(),
        );
        let wanted: Vec<&str> = short.names().iter().map(String::as_str).collect();
        let (short, long) = (
            Table::of(&short, &wanted).unwrap(),
            Table::of(&long, &wanted).unwrap(),
        );
        assert_eq!(short.rows(), counts.0);
        for name in short.names().filter(|name| *name != "tx_datetime") {
            assert_eq!(
                short.numbers(name).unwrap(),
                long.numbers(name).unwrap()[..counts.0],
                "{name}"
            );
        }
    }

    #[test]
    fn bytes_are_those_of_the_file_and_lack_what_is_excluded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.parquet");
        let small = Request {
            customers: 50,
            terminals: 50,
            first_day: 1,
            days: 1,
            ..Request::default()
        };
        transactions(&small, &path, &mut |_, _| {}).unwrap();
        let made = |request: &Request| {
            let (bytes, _) = transactions_as_bytes(request, &path, &mut |_, _| {}).unwrap();
            bytes
        };
        assert!(made(&small) == std::fs::read(&path).unwrap());
        let names = |request: &Request| -> Vec<String> {
            std::fs::write(&path, made(request)).unwrap();
            let file = std::fs::File::open(&path).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            let fields = reader.schema().fields().iter();
            fields.map(|field| field.name().clone()).collect()
        };
        let mut expected = names(&small);
        let exclude = ["tx_fraud", "tx_fraud_scenario"].map(str::to_string);
        expected.retain(|name| !exclude.contains(name));
        let without = |exclude: &[String]| Request {
            exclude: exclude.to_vec(),
            ..small.clone()
        };
        assert_eq!(names(&without(&exclude)), expected);
        let wrong = without(&["label".to_string()]);
        let error = transactions(&wrong, &path, &mut |_, _| {}).unwrap_err();
        let said = error.to_string();
        let unknown = "there is no column `label` to be excluded";
        assert!(said.ends_with(unknown), "{said}");
    }

    #[test]
    fn shares_are_those_of_the_handbook() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.parquet");
        let request = Request {
            customers: 1_000,
            terminals: 2_000,
            first_day: 40,
            days: 14,
            seed: 1,
            exclude: Vec::new(),
        };
        let (rows, frauds) = transactions(&request, &path, &mut |_, _| {}).unwrap();
        let per_customer_and_day = rows as f64 / 14_000.0;
        assert!(
            (1.7..2.1).contains(&per_customer_and_day),
            "{per_customer_and_day}"
        );
        let share = frauds as f64 / rows as f64;
        assert!((0.01..0.08).contains(&share), "{share}");
        let wanted = [
            "tx_amount",
            "tx_fraud_scenario",
            "customer_id_nb_tx_1day_window",
            "terminal_id_risk_30day_window",
        ];
        let table = Table::read(&path, &wanted).unwrap();
        let amounts = table.numbers("tx_amount").unwrap();
        let scenarios = table.numbers("tx_fraud_scenario").unwrap();
        for (amount, scenario) in amounts.iter().zip(&scenarios) {
            assert!(*amount <= 220.0 || *scenario > 0.0);
        }
        for scenario in [2.0, 3.0] {
            assert!(scenarios.contains(&scenario));
        }
        let counts = table.numbers("customer_id_nb_tx_1day_window").unwrap();
        assert!(counts.iter().all(|count| *count >= 1.0));
        let risks = table.numbers("terminal_id_risk_30day_window").unwrap();
        assert!(
            risks.iter().all(|risk| (0.0..=1.0).contains(risk))
                && risks.iter().any(|risk| *risk > 0.0)
        );
    }
}
