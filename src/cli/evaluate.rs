//! `podium evaluate`.

use super::{Failure, intervals, path_of_uri, summary};
use crate::engine::evaluation::finished_status;
use crate::workload::evaluate::{self, Request, Slice, Source};
use clap::{ArgGroup, Args, ValueEnum};
use podium_core::comparison::{
    Guardrail, IntervalKind, Method, Naming, Primary, SeparateIntervals, Settings, WeightRole,
    sentence,
};
use podium_core::metrics::{DecisionRule, Metric, ThresholdOperator};
use std::process::ExitCode;
use std::str::FromStr;

/// Compare two models on their predictions for the same rows.
///
/// Predictions are two files that are joined by --id, or one file with a column of scores per model; Parquet or CSV.
///
/// Examples:
///   podium evaluate --champion old.parquet --challenger new.parquet --id transaction_id --label tx_fraud --cluster customer_id
///   podium evaluate --predictions both.csv --champion-score old --challenger-score new --label y --guardrail weightedF1:0.01
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    group(ArgGroup::new("source").args(["champion", "predictions"]).required(true))
)]
pub(super) struct Arguments {
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
    /// The column of scores in both files.
    #[arg(long, default_value = "score")]
    score: String,
    /// The column that names a row.
    #[arg(long)]
    id: Option<String>,
    /// The column of labels, 0 or 1.
    #[arg(long)]
    label: String,
    /// The column of weights; every row weighs 1 when absent.
    #[arg(long)]
    weight: Option<String>,
    /// Rows with the same value in this column belong together, such as those of one customer.
    #[arg(long)]
    cluster: Option<String>,
    /// A part of the rows that guardrails may name.
    #[arg(long = "slice", value_name = "NAME=COLUMN=VALUE")]
    slices: Vec<SliceArgument>,
    /// The metric on which the challenger must be better.
    #[arg(long, default_value = "rocAuc")]
    primary: Metric,
    /// Improvement that must be exceeded.
    #[arg(long, default_value_t = 0.0)]
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
    #[arg(long, default_value_t = 0.5)]
    threshold: f64,
    /// Let a score equal to the threshold be negative, as in Spark and in scikit-learn's `predict`.
    #[arg(long)]
    above_threshold: bool,
    /// Resamples to begin with; doubled up to 50,000 near the boundary.
    #[arg(long, default_value_t = Settings::default().resamples)]
    resamples: u32,
    /// Two-sided confidence of the intervals.
    #[arg(long, default_value_t = Settings::default().confidence)]
    confidence: f64,
    /// The interval that decides; `-o json` holds all.
    #[arg(long, default_value = "normal-t")]
    interval: IntervalArgument,
    /// Effective rows of each class below which nothing is decided.
    #[arg(long, default_value_t = Settings::default().minimum_positives)]
    minimum_positives: f64,
    /// Clusters below which nothing is decided.
    #[arg(long, default_value_t = Settings::default().minimum_clusters)]
    minimum_clusters: usize,
    /// Decide by an interval per model and a vote instead, as older scripts do; finds almost no true improvement.
    #[arg(long)]
    separate_intervals: bool,
    /// Seed of the resamples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// What the rows are called in the sentence.
    #[arg(long, default_value = "rows")]
    rows_noun: String,
    /// `json` prints the status that an Evaluation would have, with every metric of both models.
    #[arg(long, short, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
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

#[derive(Clone, Debug)]
struct SliceArgument(Slice);

impl FromStr for SliceArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, '=');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(column), Some(equals)) if !name.is_empty() && !column.is_empty() => {
                Ok(Self(Slice {
                    name: name.to_string(),
                    column: column.to_string(),
                    equals: equals.to_string(),
                }))
            }
            _ => Err("must have the form NAME=COLUMN=VALUE".to_string()),
        }
    }
}

#[derive(Clone, Debug)]
struct GuardrailArgument(Guardrail);

impl FromStr for GuardrailArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, allowed) = text
            .rsplit_once(':')
            .ok_or("must have the form METRIC:MAX_REGRESSION, such as weightedF1:0.01")?;
        let (metric, slice) = match what.split_once('@') {
            Some((metric, slice)) => (metric, Some(slice.to_string())),
            None => (what, None),
        };
        Ok(Self(Guardrail {
            metric: metric
                .parse()
                .map_err(|error: podium_core::metrics::UnknownMetric| error.to_string())?,
            slice,
            max_regression: allowed
                .parse()
                .map_err(|_| format!("the allowed regression must be a number; got `{allowed}`"))?,
        }))
    }
}

pub(super) fn evaluate(arguments: Arguments) -> Result<ExitCode, Failure> {
    let output = arguments.output;
    let rows_noun = arguments.rows_noun.clone();
    let comparison = evaluate::evaluate(&request(arguments)?)?;
    let naming = Naming {
        champion: "the champion",
        challenger: "The challenger",
        rows: &rows_noun,
    };
    match output {
        Output::Json => {
            let evaluation = finished_status(&comparison, &naming)?;
            println!("{}", serde_json::to_string_pretty(&evaluation)?);
        }
        Output::Text => {
            print!("{}", summary::metrics(&comparison));
            print!("{}", intervals::draw(&comparison));
            for warning in &comparison.warnings {
                println!("warning: {}", summary::warning(warning));
            }
            println!("{}", sentence(&comparison, &naming));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn request(arguments: Arguments) -> Result<Request, Failure> {
    let settings = settings(&arguments);
    let source = match (
        arguments.champion,
        arguments.challenger,
        arguments.predictions,
    ) {
        (Some(champion), Some(challenger), None) => Source::TwoFiles {
            champion: path_of_uri(&champion)?,
            challenger: path_of_uri(&challenger)?,
            score: arguments.score,
        },
        (None, None, Some(predictions)) => Source::OneFile {
            predictions: path_of_uri(&predictions)?,
            champion_score: arguments.champion_score.unwrap_or_default(),
            challenger_score: arguments.challenger_score.unwrap_or_default(),
        },
        _ => return Err("give either --champion and --challenger or --predictions".into()),
    };
    Ok(Request {
        source,
        id: arguments.id,
        label: arguments.label,
        weight: arguments.weight,
        cluster: arguments.cluster,
        slices: arguments.slices.into_iter().map(|slice| slice.0).collect(),
        settings,
        seed: arguments.seed,
    })
}

fn settings(arguments: &Arguments) -> Settings {
    Settings {
        method: if arguments.separate_intervals {
            Method::SeparateIntervals(SeparateIntervals::default())
        } else {
            Method::PairedBootstrap
        },
        resamples: arguments.resamples,
        confidence: arguments.confidence,
        interval: match arguments.interval {
            IntervalArgument::NormalT => IntervalKind::NormalT,
            IntervalArgument::Percentile => IntervalKind::Percentile,
            IntervalArgument::Basic => IntervalKind::Basic,
            IntervalArgument::Bca => IntervalKind::BCa,
        },
        weights: match arguments.weights {
            WeightsArgument::Importance => WeightRole::Importance,
            WeightsArgument::Frequency => WeightRole::Frequency,
            WeightsArgument::Class => WeightRole::Class,
            WeightsArgument::Balanced => WeightRole::Balanced,
        },
        decision: DecisionRule {
            threshold: arguments.threshold,
            operator: if arguments.above_threshold {
                ThresholdOperator::Above
            } else {
                ThresholdOperator::AtLeast
            },
            ..DecisionRule::default()
        },
        minimum_positives: arguments.minimum_positives,
        minimum_clusters: arguments.minimum_clusters,
        primary: Primary {
            metric: arguments.primary,
            min_improvement: arguments.min_improvement,
        },
        guardrails: arguments
            .guardrails
            .iter()
            .map(|guardrail| guardrail.0.clone())
            .collect(),
        observed: arguments.observe.clone(),
    }
}
