//! Trains a forest, judges it on rows it has not seen, and reports what a trial reports.

use super::forest::{Forest, Rows, Settings};
use super::model_file::{MODEL_FILE, Model, ModelError};
use super::predictions_file::{self, FileSink, Scored, WriteError};
use super::table::{FileSource, MadeBy, RowFile, TableError, sha256_hex, unusable};
use super::training_data::{Columns, Part, Suspect, TrainingData, check_classes};
use podium_core::metrics::{
    BadRow, DecisionRule, Metric, Predictions, ThresholdOperator, Value, evaluate,
};
use podium_core::random::Stream;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Rows that a forest is judged on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Validation {
    /// This share of the rows, drawn at random; the model learns from the others.
    Fraction(f64),
    /// Each row once, by a forest of the other folds; no model is written.
    Folds(usize),
    /// None: the model learns from all rows.
    Refit,
}

/// What is to be trained.
#[derive(Clone, Debug)]
pub struct Request {
    /// Parquet or CSV.
    pub data: PathBuf,
    /// Which columns are what.
    pub columns: Columns,
    /// Rows that the forest is judged on.
    pub validation: Validation,
    /// Seed of the choice of those rows; the same for all trials of a search, so that they are judged alike.
    pub split_seed: u64,
    /// Settings of the forest.
    pub settings: Settings,
    /// Where model and predictions are written; nowhere when absent.
    pub output: Option<PathBuf>,
}

/// What a trial says at its end: the metrics of each part and the parts' weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Metrics by name, such as `auc` or `auc_fold_1`.
    pub metrics: BTreeMap<String, f64>,
    /// Weights by name, such as `fold_1`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, f64>,
}

/// What training yields.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Absent after a refit, which judges nothing.
    pub report: Option<Report>,
    /// Features that determine the label or the weight.
    pub suspects: Vec<Suspect>,
    /// Names of the features.
    pub features: Vec<String>,
    /// Number of rows.
    pub rows: usize,
}

/// Why training failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// See [`TableError`].
    #[error(transparent)]
    Data(#[from] TableError),
    /// See [`ModelError`].
    #[error(transparent)]
    Model(#[from] ModelError),
    /// See [`WriteError`].
    #[error(transparent)]
    Predictions(#[from] WriteError),
    /// See [`BadRow`].
    #[error(transparent)]
    Rows(#[from] BadRow),
    /// A setting is out of range.
    #[error("{0}")]
    Setting(String),
    /// Rows that a forest would be judged on lack a class.
    #[error("the validation rows{part} must hold both classes: {reason}")]
    OneClass {
        /// Empty, or the fold in parentheses.
        part: String,
        /// Why ROC AUC is undefined.
        reason: String,
    },
}

/// Trains as `request` says; `advance` is told after each forest how many of how many are grown.
///
/// # Errors
/// See [`TrainError`]. Nothing is half-written.
pub fn train<F: FileSource + FileSink>(
    files: &F,
    request: &Request,
    advance: &mut dyn FnMut(usize, usize),
) -> Result<Trained, TrainError> {
    check(request)?;
    let rows = RowFile::of_bytes(files.read(&request.data)?)?;
    let data = TrainingData::of(rows, &request.columns)?;
    check_output(files, request, &data)?;
    let rows = data.labels.len();
    let everything: Vec<usize> = (0..rows).collect();
    let report = match request.validation {
        Validation::Refit => {
            let forest = grow(request, &data.part(&everything))?;
            advance(1, 1);
            write_model(files, request, &model(request, &data, forest))?;
            None
        }
        Validation::Fraction(fraction) => {
            let mut stream = Stream::new(request.split_seed, &[]);
            let (validation, training): (Vec<usize>, Vec<usize>) = everything
                .into_iter()
                .partition(|_| stream.uniform() < fraction);
            let forest = grow(request, &data.part(&training))?;
            advance(1, 1);
            let part = data.part(&validation);
            let scores = forest.score(&part.features);
            let (metrics, _) = judge(&part, &scores, "")?;
            let model = model(request, &data, forest);
            write_predictions(files, request, &data, &validation, &scores, Some(&model))?;
            write_model(files, request, &model)?;
            Some(Report {
                metrics,
                weights: BTreeMap::new(),
            })
        }
        Validation::Folds(folds) => Some(cross_validate(files, request, &data, folds, advance)?),
    };
    Ok(Trained {
        report,
        suspects: data.suspects,
        features: data.names,
        rows,
    })
}

fn check(request: &Request) -> Result<(), TrainError> {
    let must = |holds: bool, message: &str| {
        if holds {
            Ok(())
        } else {
            Err(TrainError::Setting(message.to_string()))
        }
    };
    let settings = &request.settings;
    must(settings.num_trees >= 1, "numTrees must be at least 1")?;
    must(
        (1..=30).contains(&settings.max_depth),
        "maxDepth must lie from 1 to 30",
    )?;
    must(
        (2..=256).contains(&settings.max_bins),
        "maxBins must lie from 2 to 256",
    )?;
    must(
        settings.min_instances_per_node >= 1,
        "minInstancesPerNode must be at least 1",
    )?;
    must(
        settings.subsampling_rate > 0.0 && settings.subsampling_rate <= 1.0,
        "subsamplingRate must be above 0 and at most 1",
    )?;
    match request.validation {
        Validation::Fraction(fraction) => must(
            fraction > 0.0 && fraction < 1.0,
            "--validation-fraction must lie between 0 and 1",
        ),
        Validation::Folds(folds) => {
            must((2..=50).contains(&folds), "--folds must lie from 2 to 50")
        }
        Validation::Refit => Ok(()),
    }
}

fn cross_validate(
    files: &dyn FileSink,
    request: &Request,
    data: &TrainingData,
    folds: usize,
    advance: &mut dyn FnMut(usize, usize),
) -> Result<Report, TrainError> {
    let rows = data.labels.len();
    let mut stream = Stream::new(request.split_seed, &[]);
    let fold_of: Vec<usize> = (0..rows).map(|_| stream.below(folds)).collect();
    let mut scores = vec![f64::NAN; rows];
    let mut report = Report::default();
    for fold in 0..folds {
        let (validation, training): (Vec<usize>, Vec<usize>) =
            (0..rows).partition(|&row| fold_of[row] == fold);
        let forest = grow(request, &data.part(&training))?;
        let part = data.part(&validation);
        let of_fold = forest.score(&part.features);
        let name = format!("fold_{}", fold + 1);
        let (metrics, weight) = judge(&part, &of_fold, &format!(" ({name})"))?;
        for (metric, value) in metrics {
            report.metrics.insert(format!("{metric}_{name}"), value);
        }
        report.weights.insert(name, weight);
        for (&row, score) in validation.iter().zip(of_fold) {
            scores[row] = score;
        }
        advance(fold + 1, folds);
    }
    let all: Vec<usize> = (0..rows).collect();
    write_predictions(files, request, data, &all, &scores, None)?;
    Ok(report)
}

fn grow(request: &Request, part: &Part) -> Result<Forest, TrainError> {
    check_classes(&request.columns.label, &part.labels, &part.weights).map_err(|message| {
        let message = format!("of the rows to learn from when others are set apart: {message}");
        unusable(&request.data, message)
    })?;
    let rows = Rows {
        features: &part.features,
        labels: &part.labels,
        weights: &part.weights,
    };
    Ok(Forest::grow(&rows, &request.settings))
}

/// Metrics of unseen rows: ROC AUC by weight; precision and recall by count at a score above 0.5, precision being 0 when no row
/// is predicted positive. The second value is the rows' weight.
fn judge(
    part: &Part,
    scores: &[f64],
    name: &str,
) -> Result<(BTreeMap<String, f64>, f64), TrainError> {
    let rule = DecisionRule {
        operator: ThresholdOperator::Above,
        ..DecisionRule::default()
    };
    let predictions = |weights| Predictions {
        labels: &part.labels,
        scores,
        weights,
    };
    let weighted = evaluate(&predictions(Some(&part.weights)), &rule)?;
    let counted = evaluate(&predictions(None), &rule)?;
    let roc_auc = match weighted[&Metric::RocAuc] {
        Value::Defined(value) => value,
        Value::Undefined(reason) => {
            return Err(TrainError::OneClass {
                part: name.to_string(),
                reason: reason.to_string(),
            });
        }
    };
    let count = |metric: Metric| counted[&metric].defined().unwrap_or(0.0);
    let metrics = [
        ("auc", roc_auc),
        ("precision", count(Metric::Precision)),
        ("recall", count(Metric::Recall)),
    ];
    let metrics = metrics.map(|(name, value)| (name.to_string(), value));
    Ok((BTreeMap::from(metrics), part.weights.iter().sum()))
}

fn predictions_path(output: &Path) -> PathBuf {
    output.join("predictions.parquet")
}

fn model_path(output: &Path) -> PathBuf {
    output.join(MODEL_FILE)
}

/// What is written must not be what was read.
fn check_output(
    files: &dyn FileSink,
    request: &Request,
    data: &TrainingData,
) -> Result<(), TrainError> {
    let Some(output) = &request.output else {
        return Ok(());
    };
    for path in [predictions_path(output), model_path(output)] {
        let inputs = data.file.part_paths().chain([request.data.as_path()]);
        files.check(&path, &inputs.collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Writes the scores of the rows at `rows`, which are in the order of the file. They are those of `model`, or of one model per fold.
fn write_predictions(
    files: &dyn FileSink,
    request: &Request,
    data: &TrainingData,
    rows: &[usize],
    scores: &[f64],
    model: Option<&Model>,
) -> Result<(), TrainError> {
    let Some(output) = &request.output else {
        return Ok(());
    };
    let mut chosen = vec![false; data.labels.len()];
    for row in rows {
        chosen[*row] = true;
    }
    let scored = Scored {
        file: &data.file,
        columns: &data.others,
        chosen: Some(&chosen),
        scores,
    };
    let made_by = MadeBy {
        version: None,
        model_sha256: match model {
            Some(model) => Some(sha256_hex(&model.to_bytes()?)),
            None => None,
        },
        data_sha256: Some(data.file.sha256().to_string()),
    };
    let path = predictions_path(output);
    Ok(predictions_file::write(files, &path, &scored, &made_by)?)
}

fn model(request: &Request, data: &TrainingData, forest: Forest) -> Model {
    Model {
        features: data.names.clone(),
        label: request.columns.label.clone(),
        settings: request.settings,
        forest,
    }
}

fn write_model(files: &dyn FileSink, request: &Request, model: &Model) -> Result<(), TrainError> {
    let Some(output) = &request.output else {
        return Ok(());
    };
    Ok(files.write(&model_path(output), model.to_bytes()?)?)
}
