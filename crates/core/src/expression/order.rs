//! Comparisons of ordinal values: by their places in the parameter's `values`.

use std::cmp::Ordering;

use cel::extractors::Arguments;
use cel::{Context, ExecutionError, Value};

use super::arithmetic::{self, Accepts, COMPARISONS, Outcome};

/// Functions that find the lowest or highest of some values.
const EXTREMES: &[(&str, Ordering)] = &[("max", Ordering::Greater), ("min", Ordering::Less)];

/// The values of an ordinal parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    /// A parameter that has them, for messages.
    pub(super) parameter: String,
    /// From low to high.
    pub(super) values: Vec<String>,
}

/// The operator or function that compares by place where `name` compares numbers and texts.
pub(super) fn ordinal(name: &str) -> Option<String> {
    let comparison = COMPARISONS.iter().any(|(operator, _)| *operator == name);
    (comparison || is_extreme(name)).then(|| format!("ordinal {name}"))
}

/// Whether `name` finds the lowest or highest of its arguments.
pub(super) fn is_extreme(name: &str) -> bool {
    EXTREMES.iter().any(|(function, _)| *function == name)
}

/// Adds the comparisons by place to a language. Their last argument is the list of values from low to high.
pub(super) fn define(language: &mut Context<'_>) {
    for &(operator, accept) in COMPARISONS {
        language.add_function(
            &format!("ordinal {operator}"),
            move |left: Value, right: Value, order: Value| {
                compared(operator, &left, &right, &order, accept)
            },
        );
    }
    for &(function, wanted) in EXTREMES {
        language.add_function(
            &format!("ordinal {function}"),
            move |Arguments(arguments): Arguments| match arguments.split_last() {
                Some((order, [Value::List(values)])) => extreme(function, values, order, wanted),
                Some((order, values)) => extreme(function, values, order, wanted),
                None => arithmetic::extreme(function, &[], wanted),
            },
        );
    }
}

impl Order {
    /// Whether the values read as numbers that rise, so that places and numbers agree.
    fn rises(&self) -> bool {
        rises(self.values.iter().map(String::as_str))
    }

    /// The order in which values of both can be compared; `None` when they compare as numbers.
    ///
    /// # Errors
    /// The two have no common order.
    pub(super) fn with<'a>(&'a self, other: &'a Self) -> Result<Option<&'a Self>, String> {
        if is_within(&other.values, &self.values) {
            return Ok(Some(self));
        }
        if is_within(&self.values, &other.values) {
            return Ok(Some(other));
        }
        if self.rises() && other.rises() {
            return Ok(None);
        }
        Err(format!(
            "compares `{}` with `{}`, whose `values` have no common order: {}, and {}",
            self.parameter,
            other.parameter,
            self.values.join(", "),
            other.values.join(", ")
        ))
    }

    /// Whether a written text can be compared with these values.
    ///
    /// # Errors
    /// It is none of the values, nor a number between numbers.
    pub(super) fn takes(&self, text: &str) -> Result<(), String> {
        let number = || self.rises() && text.parse().is_ok_and(f64::is_finite);
        if self.values.iter().any(|value| value == text) || number() {
            return Ok(());
        }
        Err(format!(
            "compares `{}` with '{text}', which is none of its `values`; from low to high they are {}",
            self.parameter,
            self.values.join(", ")
        ))
    }
}

/// Whether `part` comes, in its own order, within `whole`.
fn is_within(part: &[String], whole: &[String]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|value| rest.any(|other| other == value))
}

fn rises<'a>(values: impl Iterator<Item = &'a str>) -> bool {
    let numbers: Option<Vec<f64>> = values
        .map(|value| value.parse().ok().filter(|number: &f64| number.is_finite()))
        .collect();
    numbers.is_some_and(|numbers| numbers.is_sorted_by(|low, high| low < high))
}

/// The place of a text among the values.
fn place(value: &Value, order: &[Value]) -> Option<usize> {
    order.iter().position(|other| other == value)
}

/// Whether the values of an order read as numbers that rise.
fn order_rises(order: &[Value]) -> bool {
    let texts: Option<Vec<&str>> = order
        .iter()
        .map(|value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    texts.is_some_and(|texts| rises(texts.into_iter()))
}

/// Why a text has no place in an order.
fn without_place(operator: &str, value: &Value, order: &[Value]) -> ExecutionError {
    let listed: Vec<String> = order
        .iter()
        .map(|value| match value {
            Value::String(text) => text.to_string(),
            other => arithmetic::describe(other),
        })
        .collect();
    ExecutionError::function_error(
        operator,
        format!(
            "`{operator}` needs one of {}, not {}",
            listed.join(", "),
            arithmetic::describe(value)
        ),
    )
}

/// Two texts by their places; anything else, and numbers beside rising numbers, as without an order.
fn compared(
    operator: &str,
    left: &Value,
    right: &Value,
    order: &Value,
    accept: Accepts,
) -> Result<bool, ExecutionError> {
    let (Value::String(_), Value::String(_), Value::List(order)) = (left, right, order) else {
        return arithmetic::compared(operator, left, right, accept);
    };
    match (place(left, order), place(right, order)) {
        (Some(left), Some(right)) => Ok(accept(left.cmp(&right))),
        _ if order_rises(order) => arithmetic::compared(operator, left, right, accept),
        (None, _) => Err(without_place(operator, left, order)),
        (_, None) => Err(without_place(operator, right, order)),
    }
}

/// The text with the lowest or highest place; numbers as without an order.
fn extreme(function: &str, values: &[Value], order: &Value, wanted: Ordering) -> Outcome {
    let Value::List(order) = order else {
        return arithmetic::extreme(function, values, wanted);
    };
    let are_texts = values.iter().all(|value| matches!(value, Value::String(_)));
    if !are_texts {
        return arithmetic::extreme(function, values, wanted);
    }
    let mut best: Option<(usize, &Value)> = None;
    for value in values {
        let Some(place) = place(value, order) else {
            return match order_rises(order) {
                true => arithmetic::extreme(function, values, wanted),
                false => Err(without_place(function, value, order)),
            };
        };
        if best.is_none_or(|(found, _)| place.cmp(&found) == wanted) {
            best = Some((place, value));
        }
    }
    match best {
        Some((_, value)) => Ok(value.clone()),
        None => arithmetic::extreme(function, values, wanted),
    }
}
