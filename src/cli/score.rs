//! `podium score`.

use super::{Failure, address_of_uri};
use crate::adapters::evidence_files::EvidenceFiles;
use crate::adapters::model_files::{ModelFiles, model_address_of};
use clap::Args;
use podium_workload::score;
use std::path::Path;
use std::process::ExitCode;

/// Score the rows of a file with a trained model.
///
/// The output holds the column `score`, the columns of the data that are no features of the model, and those of --keep, unchanged. The
/// metadata of a Parquet output say which model and which data it was made from, and `podium evaluate` and the operator check that.
///
/// All three are paths, file:// URIs or s3://BUCKET/KEY; an object store is reached as the variables of AWS's own tools say, such as
/// AWS_ENDPOINT_URL_S3. A model may be one of MLflow too, at MLFLOW_TRACKING_URI with the variables of its own client.
///
/// Examples:
///   podium score --model models/7 --data holdout.parquet --out predictions.parquet
///   podium score --model models:/fraud-detection/7 --data s3://fraud/holdout.parquet --out s3://fraud/7/predictions.parquet
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The model's file, or the directory that holds its `model.parquet`; or mlflow-artifacts:/PATH, models:/NAME/VERSION or
    /// runs:/RUN/PATH of MLflow.
    #[arg(long, env = "MODEL_URI", value_name = "URI")]
    model: String,
    /// The version of the model, which is written into the metadata of the output.
    #[arg(long, env = "MODEL_VERSION", value_name = "VERSION")]
    model_version: Option<String>,
    /// Rows to score: Parquet or CSV, compressed or not, or a directory of such parts.
    #[arg(long)]
    data: String,
    /// The file to write, which must be none of the others; its name says the format: .parquet, .csv, .tsv, .csv.gz or .tsv.gz.
    #[arg(long, env = "OUTPUT_URI", value_name = "URI")]
    out: String,
    /// Features that the output shall hold too, such as those that slices are made of.
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    keep: Vec<String>,
}

pub(super) fn score(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let out = address_of_uri(&arguments.out)?;
    // A variable that is set to nothing names no version.
    let version = arguments.model_version.as_deref();
    let rows = score::score(
        &ModelFiles::new(EvidenceFiles::default()),
        &model_address_of(Path::new(""), &arguments.model)?,
        version.filter(|version| !version.is_empty()),
        &address_of_uri(&arguments.data)?,
        &arguments.keep,
        &out,
    )?;
    println!("{}: {rows} scores", out.display());
    Ok(ExitCode::SUCCESS)
}
