//! What a forest learns from: features, labels and weights of the rows of a table.

use super::table::{RowFile, Table, TableError, is_number, unusable};
use std::str::FromStr;

/// What each row weighs in training and in weighted metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Weighting {
    /// All rows weigh the same.
    #[default]
    Equal,
    /// `rows / (2 * rows of the class)`, so that both classes weigh the same.
    Balanced,
    /// A column, which is then no feature.
    Column(String),
}

impl Weighting {
    fn column(&self) -> Option<&str> {
        match self {
            Self::Column(name) => Some(name),
            Self::Equal | Self::Balanced => None,
        }
    }
}

impl FromStr for Weighting {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "balanced" => Self::Balanced,
            "equal" => Self::Equal,
            column => Self::Column(column.to_string()),
        })
    }
}

/// Which columns are what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// 0 or 1.
    pub label: String,
    /// What rows weigh.
    pub weight: Weighting,
    /// The features; every column of numbers when empty.
    pub features: Vec<String>,
    /// Columns that are no features, such as ids.
    pub exclude: Vec<String>,
}

/// Rows to learn from; features by column, everything else by row.
#[derive(Debug)]
pub struct TrainingData {
    /// Names of the features.
    pub names: Vec<String>,
    /// One column per feature.
    pub features: Vec<Vec<f64>>,
    /// 0 or 1.
    pub labels: Vec<u8>,
    /// Finite and not negative.
    pub weights: Vec<f64>,
    /// The file of the rows.
    pub file: RowFile,
    /// Its columns that are no features, such as ids.
    pub others: Vec<usize>,
    /// Features that determine the label or the weight.
    pub suspects: Vec<Suspect>,
}

/// A feature that tells what it must not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// The feature.
    pub feature: String,
    /// `label` or `weight`.
    pub determines: &'static str,
}

impl TrainingData {
    /// The rows of a file.
    ///
    /// # Errors
    /// The file is damaged, a column is missing or not numbers, a label is not 0 or 1, a weight is negative, or a class has no rows or
    /// no weight, so that nothing can be learnt.
    pub fn of(file: RowFile, columns: &Columns) -> Result<Self, TableError> {
        let names = feature_names(&file, columns)?;
        let mut wanted: Vec<&str> = names.iter().map(String::as_str).collect();
        wanted.push(&columns.label);
        wanted.extend(columns.weight.column());
        let table = Table::of(&file, &wanted)?;
        let labels = table.labels(&columns.label)?;
        let features = names
            .iter()
            .map(|name| table.numbers(name))
            .collect::<Result<Vec<_>, _>>()?;
        let weights = match &columns.weight {
            Weighting::Equal => vec![1.0; labels.len()],
            Weighting::Balanced => balanced(&labels),
            Weighting::Column(name) => table.weights(name)?,
        };
        check_classes(&columns.label, &labels, &weights).map_err(|m| unusable(file.path(), m))?;
        let suspects = suspects(&names, &features, &labels, &weights);
        let others = (0..file.names().len())
            .filter(|&column| !names.contains(&file.names()[column]))
            .collect();
        Ok(Self {
            names,
            features,
            labels,
            weights,
            file,
            others,
            suspects,
        })
    }

    /// The rows at the given positions, to learn from.
    #[must_use]
    pub fn part(&self, rows: &[usize]) -> Part {
        let take = |values: &[f64]| rows.iter().map(|&row| values[row]).collect();
        Part {
            features: self.features.iter().map(|column| take(column)).collect(),
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
            weights: take(&self.weights),
        }
    }
}

/// Some of the rows; features by column, everything else by row.
#[derive(Clone, Debug)]
pub struct Part {
    /// One column per feature.
    pub features: Vec<Vec<f64>>,
    /// 0 or 1.
    pub labels: Vec<u8>,
    /// Finite and not negative.
    pub weights: Vec<f64>,
}

fn balanced(labels: &[u8]) -> Vec<f64> {
    let rows = labels.len() as f64;
    let positives = labels.iter().filter(|&&label| label == 1).count() as f64;
    let weight_of = |number: f64| {
        if number > 0.0 {
            rows / (2.0 * number)
        } else {
            1.0
        }
    };
    let (negative, positive) = (weight_of(rows - positives), weight_of(positives));
    labels
        .iter()
        .map(|&label| if label == 1 { positive } else { negative })
        .collect()
}

/// Both classes must have rows that weigh something.
pub(super) fn check_classes(label: &str, labels: &[u8], weights: &[f64]) -> Result<(), String> {
    if labels.is_empty() {
        return Err("the data must hold rows to learn from; there are none".to_string());
    }
    for class in [0, 1] {
        let mut of_class = labels
            .iter()
            .zip(weights)
            .filter(|(label, _)| **label == class)
            .peekable();
        if of_class.peek().is_none() {
            let rows = labels.len();
            return Err(format!(
                "`{label}` must hold 0 and 1; all {rows} rows hold {}",
                1 - class
            ));
        }
        if of_class.all(|(_, weight)| *weight == 0.0) {
            return Err(format!(
                "the weights must not all be 0 where `{label}` is {class}"
            ));
        }
    }
    Ok(())
}

fn feature_names(file: &RowFile, columns: &Columns) -> Result<Vec<String>, TableError> {
    let refuse = |message: String| Err(unusable(file.path(), message));
    let weight = columns.weight.column();
    let reserved = |name: &str| name == columns.label || Some(name) == weight;
    if let Some(name) = columns.features.iter().find(|name| reserved(name)) {
        return refuse(format!(
            "`{name}` must not be a feature: it is the label or the weight"
        ));
    }
    // A misspelt label is better said than that a column of texts is none.
    file.position(&columns.label)?;
    for name in &columns.exclude {
        if !file.names().contains(name) {
            file.position(name)?;
        }
    }
    let wanted = |name: &&String| !columns.exclude.contains(name) && !reserved(name);
    let names: Vec<String> = if columns.features.is_empty() {
        let types = file.types()?;
        let all = file.names().iter().zip(&types);
        all.filter(|(_, data_type)| is_number(data_type))
            .map(|(name, _)| name)
            .filter(wanted)
            .cloned()
            .collect()
    } else {
        columns.features.iter().filter(wanted).cloned().collect()
    };
    if names.is_empty() {
        return refuse("at least one column of numbers must be left as a feature".to_string());
    }
    Ok(names)
}

fn suspects(
    names: &[String],
    features: &[Vec<f64>],
    labels: &[u8],
    weights: &[f64],
) -> Vec<Suspect> {
    let labels: Vec<f64> = labels.iter().map(|&label| f64::from(label)).collect();
    let mut found = Vec::new();
    for (name, values) in names.iter().zip(features) {
        for (determines, target) in [("label", labels.as_slice()), ("weight", weights)] {
            if determines_target(values, target) {
                found.push(Suspect {
                    feature: name.clone(),
                    determines,
                });
                break;
            }
        }
    }
    found
}

/// Whether rows with the same value always have the same target, although values repeat and targets differ.
fn determines_target(values: &[f64], target: &[f64]) -> bool {
    if target.windows(2).all(|pair| pair[0] == pair[1]) {
        return false;
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&left, &right| values[left].total_cmp(&values[right]));
    let mut distinct = 1;
    for pair in order.windows(2) {
        if values[pair[0]] != values[pair[1]] {
            distinct += 1;
        } else if target[pair[0]] != target[pair[1]] {
            return false;
        }
    }
    // Values that hardly repeat, such as ids, determine everything without meaning anything.
    distinct * 2 <= values.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    fn file(directory: &Path, text: &str) -> PathBuf {
        let path = directory.join("rows.csv");
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(path: &Path, columns: &Columns) -> Result<TrainingData, TableError> {
        TrainingData::of(RowFile::open(path)?, columns)
    }

    fn columns(weight: &str) -> Columns {
        Columns {
            label: "y".into(),
            weight: weight.parse().unwrap(),
            ..Columns::default()
        }
    }

    #[test]
    fn weight_is_never_a_feature_and_what_determines_label_or_weight_is_flagged() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(
            directory.path(),
            "y,w,kind,amount,scenario,name\n1,3,7,0.5,2,a\n0,1,8,0.5,0,b\n0,1,8,0.6,0,c\n1,3,7,0.7,1,d\n0,1,8,0.6,0,e\n0,1,9,0.7,0,f\n",
        );
        let data = read(&path, &columns("w")).unwrap();
        assert_eq!(data.names, ["kind", "amount", "scenario"]);
        assert_eq!(data.weights, [3.0, 1.0, 1.0, 3.0, 1.0, 1.0]);
        let suspects: Vec<_> = data
            .suspects
            .iter()
            .map(|s| (s.feature.as_str(), s.determines))
            .collect();
        assert_eq!(suspects, [("kind", "label"), ("scenario", "label")]);
        let chosen = Columns {
            features: vec!["w".into()],
            ..columns("w")
        };
        let refusal = read(&path, &chosen).unwrap_err().to_string();
        assert!(
            refusal.ends_with("`w` must not be a feature: it is the label or the weight"),
            "{refusal}"
        );
    }

    #[test]
    fn balanced_weights_are_scikit_learns() {
        assert_eq!(
            balanced(&[1, 0, 0, 0]),
            [2.0, 2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0]
        );
    }

    #[test]
    fn bad_rows_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(directory.path(), "y,w,x\n1,1,1\n2,-1,1\n");
        let refusal = read(&path, &columns("balanced")).unwrap_err().to_string();
        assert!(
            refusal.ends_with("row 2: `y` must be 0 or 1; got 2"),
            "{refusal}"
        );
        let path = file(directory.path(), "y,w,x\n1,1,1\n0,-1,1\n");
        let refusal = read(&path, &columns("w")).unwrap_err().to_string();
        assert!(
            refusal.ends_with("row 2: `w` must be a finite number of at least 0; got -1"),
            "{refusal}"
        );
    }
}
