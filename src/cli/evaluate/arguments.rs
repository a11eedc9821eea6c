//! The arguments of `podium evaluate`, and what they ask for.

use super::numbers;
use super::parts::{self, GuardrailArgument, SliceArgument};
use crate::cli::{Failure, address_of_uri};
use clap::{ArgGroup, Args, ValueEnum};
use podium_core::comparison::{
    IntervalKind, Method, Primary, SeparateIntervals, Settings, WeightRole,
};
use podium_core::metrics::{Costs, DecisionRule, Metric, ThresholdOperator};
use podium_workload::evaluate::{Expected, HoldoutFile, Request, Source};
use std::path::PathBuf;

/// Compare two models on their predictions for the same rows.
///
/// Predictions are two files that are joined by --id, or one file with a column of scores per model; Parquet or CSV,
/// compressed or not, or directories of such parts; paths, file:// URIs or s3://BUCKET/KEY. Labels, weights,
/// clusters and slices come from the champion's predictions, or from --holdout, which whoever makes predictions cannot change.
///
/// An object store is reached as the variables of AWS's own tools say, such as AWS_ENDPOINT_URL_S3, and with --from as its
/// `spec.store` says.
///
/// Examples:
///   podium evaluate --champion old.parquet --challenger new.parquet --id transaction_id --label tx_fraud --cluster customer_id
///   podium evaluate --from examples/fraud/.podium/state/evaluations/NAME.yaml -d examples/fraud
///   podium evaluate --predictions both.csv --champion-score old --challenger-score new --label y --guardrail weightedF1:0.01
///   podium evaluate --from EVALUATION.yaml --report reports/last-night.html
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    group(
        ArgGroup::new("source")
            .args(["champion", "predictions", "from", "from_environment", "check_from_environment"])
            .required(true)
    )
)]
pub(in crate::cli) struct Arguments {
    /// Recompute a stored Evaluation from the files that it names, and say whether everything is the same, bit for bit.
    #[arg(long, value_name = "EVALUATION.YAML", conflicts_with_all = ["champion", "challenger", "predictions", "holdout", "label"])]
    pub(super) from: Option<PathBuf>,
    /// In a pod of a policy's comparison: compare what PODIUM_EVALUATION asks, and leave the answer in the termination message.
    #[arg(long, hide = true)]
    pub(super) from_environment: bool,
    /// In such a pod: look whether the files are still what PODIUM_EVIDENCE says was read, and leave the answer in the same way.
    #[arg(long, hide = true)]
    pub(super) check_from_environment: bool,
    /// Where the addresses of --from are taken from when they are relative.
    #[arg(long, short, requires = "from", default_value = ".")]
    pub(super) directory: PathBuf,
    /// Predictions of the model in production.
    #[arg(long, requires = "challenger", requires = "id")]
    champion: Option<String>,
    /// Predictions of the model that wants to replace it.
    #[arg(long, requires = "champion")]
    challenger: Option<String>,
    /// Predictions of both models in one file.
    #[arg(long, requires = "champion_score", requires = "challenger_score")]
    predictions: Option<String>,
    /// The champion's column of scores in --predictions.
    #[arg(long, requires = "predictions")]
    champion_score: Option<String>,
    /// The challenger's column of scores in --predictions.
    #[arg(long, requires = "predictions")]
    challenger_score: Option<String>,
    /// The file of labels, weights, clusters and slices; predictions then bring ids and scores.
    #[arg(long, requires = "id")]
    holdout: Option<String>,
    /// SHA-256 that the file of the holdout must have.
    #[arg(long, requires = "holdout", value_name = "HEX", value_parser = numbers::sha256)]
    holdout_sha256: Option<String>,
    /// The column of scores in both files.
    #[arg(long, default_value = "score")]
    score: String,
    /// The column that names a row.
    #[arg(long)]
    id: Option<String>,
    /// The column of labels, 0 and 1 or true and false.
    #[arg(long, required_unless_present_any = ["from", "from_environment", "check_from_environment"])]
    label: Option<String>,
    /// The column of weights; every row weighs 1 when absent.
    #[arg(long)]
    weight: Option<String>,
    /// Rows with the same value in this column belong together, such as those of one customer.
    #[arg(long)]
    cluster: Option<String>,
    /// A part of the rows that guardrails may name.
    #[arg(long = "slice", value_name = "NAME=COLUMN=VALUE")]
    slices: Vec<SliceArgument>,
    /// Compare on this share of the clusters, or of the rows without clusters, only: always the same ones, which were kept from tuning.
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true, value_parser = numbers::share)]
    confirm_fraction: Option<f64>,
    /// The metric on which the challenger must be better.
    #[arg(long, default_value = "rocAuc")]
    primary: Metric,
    /// Improvement that must be exceeded.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true, value_parser = numbers::at_least_zero)]
    min_improvement: f64,
    /// A metric on which the challenger must not be worse than allowed, perhaps on a slice.
    #[arg(long = "guardrail", value_name = "METRIC[@SLICE]:MAX_REGRESSION")]
    guardrails: Vec<GuardrailArgument>,
    /// Metrics that are shown with intervals but decide nothing.
    #[arg(long, value_delimiter = ',', value_name = "METRIC,…")]
    observe: Vec<Metric>,
    /// What weights mean.
    #[arg(long, default_value = "importance")]
    weights: WeightsArgument,
    /// The score at which a prediction becomes positive.
    #[arg(long, default_value_t = 0.5, allow_negative_numbers = true, value_parser = numbers::finite)]
    threshold: f64,
    /// Let a score equal to the threshold be negative, as in Spark and in scikit-learn's `predict`.
    #[arg(long)]
    above_threshold: bool,
    /// What a negative row that is predicted positive costs, for the metric `cost`.
    #[arg(
        long,
        value_name = "COST",
        default_value_t = Costs::default().false_positive,
        allow_negative_numbers = true,
        value_parser = numbers::at_least_zero
    )]
    cost_false_positive: f64,
    /// What a positive row that is predicted negative costs, for the metric `cost`.
    #[arg(
        long,
        value_name = "COST",
        default_value_t = Costs::default().false_negative,
        allow_negative_numbers = true,
        value_parser = numbers::at_least_zero
    )]
    cost_false_negative: f64,
    /// Resamples to begin with; doubled up to 50,000 near the boundary.
    #[arg(
        long,
        default_value_t = Settings::default().resamples,
        value_parser = clap::value_parser!(u32).range(2..)
    )]
    resamples: u32,
    /// Two-sided confidence of the intervals.
    #[arg(
        long,
        default_value_t = Settings::default().confidence,
        allow_negative_numbers = true,
        value_parser = numbers::confidence
    )]
    confidence: f64,
    /// One-sided error to judge at, such as that of a later look at the holdout; half of what --confidence leaves when absent.
    #[arg(long, value_name = "ERROR", allow_negative_numbers = true, value_parser = numbers::one_sided_error)]
    pub(super) allowed_error: Option<f64>,
    /// The interval that decides; `-o json` holds all.
    #[arg(long, default_value = "normal-t")]
    interval: IntervalArgument,
    /// Effective rows of each class below which nothing is decided.
    #[arg(
        long,
        default_value_t = Settings::default().minimum_positives,
        allow_negative_numbers = true,
        value_parser = numbers::at_least_zero
    )]
    minimum_positives: f64,
    /// Clusters below which nothing is decided.
    #[arg(long, default_value_t = Settings::default().minimum_clusters)]
    minimum_clusters: usize,
    /// Decide by an interval per model and a vote instead, as older scripts do; finds almost no true improvement.
    #[arg(
        long,
        conflicts_with_all = [
            "primary", "min_improvement", "guardrails", "observe", "interval", "resamples", "allowed_error",
        ]
    )]
    separate_intervals: bool,
    /// Seed of the resamples; derived from the files when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// What the rows are called in the sentence.
    #[arg(long, default_value = "rows")]
    pub(super) rows_noun: String,
    /// Write the whole report too: a page for people to this path or s3:// address, which must end with .html, and a document for
    /// programs beside it, with .json. Both are replaced where they are there already.
    #[arg(long, value_name = "PATH_OR_URI", value_parser = parts::page, conflicts_with = "check_from_environment")]
    pub(super) report: Option<String>,
    /// Exit with code 3 unless the challenger is superior.
    #[arg(long)]
    pub(super) require_superior: bool,
    /// `json` prints `verdict` (one word), `sentence`, `evidence` (what was read) and `comparison`: what was decided, and in
    /// `comparison.statistics` what was measured of both models.
    #[arg(long, short, default_value = "text")]
    pub(super) output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Output {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WeightsArgument {
    Importance,
    Frequency,
    Class,
    Balanced,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum IntervalArgument {
    NormalT,
    Percentile,
    Basic,
    Bca,
}

impl Arguments {
    /// What they ask for.
    pub(super) fn request(self) -> Result<Request, Failure> {
        let settings = self.settings();
        let source = match (self.champion, self.challenger, self.predictions) {
            (Some(champion), Some(challenger), None) => Source::TwoFiles {
                champion: address_of_uri(&champion)?,
                challenger: address_of_uri(&challenger)?,
                score: self.score,
            },
            (None, None, Some(predictions)) => Source::OneFile {
                predictions: address_of_uri(&predictions)?,
                champion_score: self.champion_score.unwrap_or_default(),
                challenger_score: self.challenger_score.unwrap_or_default(),
            },
            _ => return Err("give either --champion and --challenger or --predictions".into()),
        };
        let holdout = match self.holdout {
            Some(uri) => Some(HoldoutFile {
                path: address_of_uri(&uri)?,
                sha256: self.holdout_sha256,
            }),
            None => None,
        };
        Ok(Request {
            source,
            holdout,
            champion: Expected::default(),
            challenger: Expected::default(),
            id: self.id,
            label: self.label.unwrap_or_default(),
            weight: self.weight,
            cluster: self.cluster,
            slices: self.slices.into_iter().map(|slice| slice.0).collect(),
            confirm_fraction: self.confirm_fraction,
            settings,
            seed: self.seed,
        })
    }

    fn settings(&self) -> Settings {
        Settings {
            method: if self.separate_intervals {
                Method::SeparateIntervals(SeparateIntervals::default())
            } else {
                Method::PairedBootstrap
            },
            resamples: self.resamples,
            confidence: self.confidence,
            interval: match self.interval {
                IntervalArgument::NormalT => IntervalKind::NormalT,
                IntervalArgument::Percentile => IntervalKind::Percentile,
                IntervalArgument::Basic => IntervalKind::Basic,
                IntervalArgument::Bca => IntervalKind::BCa,
            },
            weights: match self.weights {
                WeightsArgument::Importance => WeightRole::Importance,
                WeightsArgument::Frequency => WeightRole::Frequency,
                WeightsArgument::Class => WeightRole::Class,
                WeightsArgument::Balanced => WeightRole::Balanced,
            },
            decision: DecisionRule {
                threshold: self.threshold,
                operator: if self.above_threshold {
                    ThresholdOperator::Above
                } else {
                    ThresholdOperator::AtLeast
                },
                costs: Costs {
                    false_positive: self.cost_false_positive,
                    false_negative: self.cost_false_negative,
                },
            },
            minimum_positives: self.minimum_positives,
            minimum_clusters: self.minimum_clusters,
            primary: Primary {
                metric: self.primary,
                min_improvement: self.min_improvement,
            },
            guardrails: self
                .guardrails
                .iter()
                .map(|guardrail| guardrail.0.clone())
                .collect(),
            observed: self.observe.clone(),
        }
    }
}
