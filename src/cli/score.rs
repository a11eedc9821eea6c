//! `podium score`.

use super::{Failure, path_of_uri};
use clap::Args;
use podium_workload::score;
use std::process::ExitCode;

/// Score the rows of a file with a trained model.
///
/// The output holds the column `score`, the columns of the data that are no features of the model, and those of --keep, unchanged. The
/// metadata of a Parquet output say which model and which data it was made from, and `podium evaluate` and the operator check that.
///
/// Example:
///   podium score --model models/7 --data holdout.parquet --out predictions.parquet
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The model's file, or the directory that holds its `model.parquet`; a path or a file:// URI.
    #[arg(long)]
    model: String,
    /// The version of the model, which is written into the metadata of the output.
    #[arg(long, env = "MODEL_VERSION", value_name = "VERSION")]
    model_version: Option<String>,
    /// Rows to score: Parquet or CSV, compressed or not, or a directory of such parts.
    #[arg(long)]
    data: String,
    /// The file to write, which must be none of the others; its name says the format: .parquet, .csv, .tsv, .csv.gz or .tsv.gz.
    #[arg(long)]
    out: String,
    /// Features that the output shall hold too, such as those that slices are made of.
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    keep: Vec<String>,
}

pub(super) fn score(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let path = |uri: &str| path_of_uri(uri);
    let out = path(&arguments.out)?;
    // A variable that is set to nothing names no version.
    let version = arguments.model_version.as_deref();
    let rows = score::score(
        &path(&arguments.model)?,
        version.filter(|version| !version.is_empty()),
        &path(&arguments.data)?,
        &arguments.keep,
        &out,
    )?;
    println!("{}: {rows} scores", out.display());
    Ok(ExitCode::SUCCESS)
}
