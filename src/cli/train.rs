//! `podium train`.

use super::progress::bar;
use super::{Failure, address_of_uri};
use crate::adapters::evidence_files::EvidenceFiles;
use clap::{ArgGroup, Args};
use podium_workload::forest::{FeatureSubset, Impurity, Settings};
use podium_workload::train::{self, Report, Request, Validation};
use podium_workload::training_data::{Columns, Weighting};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Train a weighted random forest: the workload of a trial.
///
/// Hyper-parameters are flags or variables of the environment with the same name, as a trial gets them. The metrics auc
/// (weighted), precision and recall (by count, at a score above 0.5) go to the termination message; with --folds, one of each
/// per fold with its weight. Model and predictions go to the output. With PODIUM_REFIT=true the model learns from all rows and
/// nothing is judged. Data and output are paths, file:// URIs or s3://BUCKET/KEY; an object store is reached as the variables of
/// AWS's own tools say, such as AWS_ENDPOINT_URL_S3.
///
/// Example:
///   podium train --data train.parquet --label tx_fraud --weight balanced --exclude transaction_id,customer_id \
///     --validation-fraction 0.2 --numTrees 100 --maxDepth 10 --output out/
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, group(ArgGroup::new("validation").args(["folds", "validation_fraction"])))]
pub(super) struct Arguments {
    /// Rows to learn from: Parquet or CSV, compressed or not, or a directory of such parts.
    #[arg(long)]
    data: String,
    /// The column of labels, 0 and 1 or true and false.
    #[arg(long)]
    label: String,
    /// What a row weighs: `equal`, `balanced` (both classes weigh the same), or a column, which is then no feature.
    #[arg(long, default_value = "equal")]
    weight: Weighting,
    /// The features; every column of numbers when absent.
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    features: Vec<String>,
    /// Columns that are no features, such as ids and what is only known afterwards.
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    exclude: Vec<String>,
    /// Judge each row once, by a forest of the other folds.
    #[arg(long)]
    folds: Option<usize>,
    /// Judge this share of the rows by a forest of the others [default: 0.2].
    #[arg(long)]
    validation_fraction: Option<f64>,
    /// Seed of the choice of validation rows, the same for all trials of a search.
    #[arg(long, default_value_t = 42)]
    split_seed: u64,
    /// Learn from all rows and judge nothing.
    #[arg(long, env = "PODIUM_REFIT")]
    refit: bool,
    /// Where model and predictions are written: a directory, or what the keys of the objects begin with.
    #[arg(long, env = "PODIUM_OUTPUT_URI")]
    output: Option<String>,
    /// Seed of the forest.
    #[arg(long, env = "PODIUM_SEED", default_value_t = 0)]
    seed: u64,
    /// Number of trees.
    #[arg(long = "numTrees", env = "numTrees", default_value_t = Settings::default().num_trees)]
    num_trees: usize,
    /// Splits on the way to a leaf at the most.
    #[arg(long = "maxDepth", env = "maxDepth", default_value_t = Settings::default().max_depth)]
    max_depth: usize,
    /// Bins of a feature at the most.
    #[arg(long = "maxBins", env = "maxBins", default_value_t = Settings::default().max_bins)]
    max_bins: usize,
    /// Rows of a leaf at the least.
    #[arg(long = "minInstancesPerNode", env = "minInstancesPerNode", default_value_t = Settings::default().min_instances_per_node)]
    min_instances_per_node: u32,
    /// Expected share of the rows in a tree's resample.
    #[arg(long = "subsamplingRate", env = "subsamplingRate", default_value_t = Settings::default().subsampling_rate)]
    subsampling_rate: f64,
    /// Features that a node may choose from.
    #[arg(
        long = "featureSubsetStrategy",
        env = "featureSubsetStrategy",
        default_value = "auto"
    )]
    feature_subset_strategy: FeatureSubset,
    /// What a split makes smaller.
    #[arg(long, env = "impurity", default_value = "gini")]
    impurity: Impurity,
}

pub(super) fn train(arguments: Arguments) -> Result<ExitCode, Failure> {
    let validation = match (arguments.refit, arguments.folds) {
        (true, _) => Validation::Refit,
        (false, Some(folds)) => Validation::Folds(folds),
        (false, None) => Validation::Fraction(arguments.validation_fraction.unwrap_or(0.2)),
    };
    let request = Request {
        data: address_of_uri(&arguments.data)?,
        columns: Columns {
            label: arguments.label,
            weight: arguments.weight,
            features: arguments.features,
            exclude: arguments.exclude,
        },
        validation,
        split_seed: arguments.split_seed,
        settings: Settings {
            num_trees: arguments.num_trees,
            max_depth: arguments.max_depth,
            max_bins: arguments.max_bins,
            min_instances_per_node: arguments.min_instances_per_node,
            subsampling_rate: arguments.subsampling_rate,
            feature_subset_strategy: arguments.feature_subset_strategy,
            impurity: arguments.impurity,
            seed: arguments.seed,
        },
        output: arguments
            .output
            .as_deref()
            .map(address_of_uri)
            .transpose()?,
    };
    let bar = bar("forest");
    let trained = train::train(&EvidenceFiles::default(), &request, &mut |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    for suspect in &trained.suspects {
        eprintln!(
            "warning: SuspectedLeakage: the feature `{}` determines the {}; leave it out with --exclude unless it is known before the label is",
            suspect.feature, suspect.determines
        );
    }
    println!(
        "{} rows, {} features: {}",
        trained.rows,
        trained.features.len(),
        trained.features.join(", ")
    );
    if let Some(report) = &trained.report {
        publish(report)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the report, and leaves it where the trial's supervisor or kubelet looks for it.
fn publish(report: &Report) -> Result<(), Failure> {
    let message = serde_json::to_string(report)?;
    println!("{message}");
    let path = match std::env::var_os("PODIUM_TERMINATION_MESSAGE_PATH") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from("/dev/termination-log"),
    };
    // Outside of a pod and of a trial nobody waits for it.
    let awaited = std::env::var_os("PODIUM_TRIAL").is_some() || path.exists();
    if awaited {
        fs::write(&path, message)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}
