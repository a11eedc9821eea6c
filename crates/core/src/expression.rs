//! CEL conditions and formulas over parameters and metrics.
//!
//! The language is the Common Expression Language with one kind of number, because people who write
//! `0.5 * num_trees` or `2 * auc` think of numbers and not of machine types:
//!
//! - Whole and real numbers mix freely in arithmetic, comparison, `in`, `min` and `max`. Two whole numbers stay whole
//!   as long as the result is whole and fits 64 bits, so `1 / 3` is a third, not 0.
//! - Text that reads as a number (an ordinal value `"10"`) is that number in arithmetic, and in a comparison with a
//!   number or, for `<`, `<=`, `>` and `>=`, with another such text. `==` and `!=` between two texts compare the texts.
//! - An ordinal parameter compares by the place of its value in the parameter's `values`, with one of these values, with
//!   another ordinal parameter of the same values, and in `min` and `max`. Beside a number it is the number that it reads as.
//! - A name without a value (an inactive parameter, a metric that was not reported) makes the evaluation
//!   [`EvaluationError::Absent`], unless the value does not depend on it: the branch of a condition that is not taken, and
//!   what the other side of `&&` or `||` decides alone, need no values.
//! - Expressions that go through lists (`map`, `filter`, `all`, `exists`, `exists_one`) are refused: nothing bounds their time.

mod arithmetic;
mod names;
mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use cel::{Context, ExecutionError, Program, Value};
use thiserror::Error;

use crate::value::ParameterValue;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    source: String,
    tree: cel::parser::Expression,
    variables: BTreeSet<String>,
    /// Values of ordinal parameters from low to high, under the names that stand for them in the tree.
    orders: BTreeMap<String, Value>,
}

/// What an expression may name.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// Whatever metric a trial reports: `auc`, or `metrics["val/auc"]` where the name is not a word.
    Metrics,
    /// These names. A parameter whose values have an order comes with its values, from low to high.
    Known(&'a BTreeMap<&'a str, Option<&'a [String]>>),
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum EvaluationError {
    /// A name has no value here.
    #[error("`{0}` has no value")]
    Absent(String),
    /// The operation is not possible for these values.
    #[error("{0}")]
    Impossible(String),
}

/// Operators and functions, on top of which names of variables are resolved.
static LANGUAGE: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut language = Context::default();
    arithmetic::define(&mut language);
    order::define(&mut language);
    language
});

impl Expression {
    /// Compiles `source`, which may use `names`.
    ///
    /// # Errors
    /// One sentence in words: the syntax error with its place, the unknown name with the known ones, or what is not part of
    /// the language here and what to write instead.
    pub fn compile(source: &str, names: Names<'_>) -> Result<Self, String> {
        if source.trim().is_empty() {
            return Err("must be a CEL expression, not empty".to_owned());
        }
        let program = Program::compile(source).map_err(|errors| syntax_message(source, &errors))?;
        let names::Resolved {
            tree,
            variables,
            orders,
        } = names::resolve(program.expression(), names)?;
        Ok(Self {
            source: source.to_owned(),
            tree,
            variables,
            orders,
        })
    }

    /// The text as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that the expression uses.
    #[must_use]
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// The value of a condition, with names looked up by `lookup`.
    ///
    /// # Errors
    /// See [`EvaluationError`]; also when the value is neither true nor false.
    pub fn condition(
        &self,
        lookup: impl Fn(&str) -> Option<ParameterValue>,
    ) -> Result<bool, EvaluationError> {
        match self.evaluate(lookup)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(EvaluationError::Impossible(format!(
                "must evaluate to true or false, not to {}",
                arithmetic::describe(&other)
            ))),
        }
    }

    /// The value of a formula, with names looked up by `lookup`. It may be NaN or infinite.
    ///
    /// # Errors
    /// See [`EvaluationError`]; also when the value is not a number.
    pub fn number(
        &self,
        lookup: impl Fn(&str) -> Option<ParameterValue>,
    ) -> Result<f64, EvaluationError> {
        let value = self.evaluate(lookup)?;
        arithmetic::as_real(&value).ok_or_else(|| {
            EvaluationError::Impossible(format!(
                "must evaluate to a number, not to {}",
                arithmetic::describe(&value)
            ))
        })
    }

    fn evaluate(
        &self,
        lookup: impl Fn(&str) -> Option<ParameterValue>,
    ) -> Result<Value, EvaluationError> {
        let mut scope = LANGUAGE.new_inner_scope();
        for name in &self.variables {
            if let Some(value) = lookup(name) {
                scope.add_variable_from_value(name.as_str(), into_cel(value));
            }
        }
        for (name, values) in &self.orders {
            scope.add_variable_from_value(name.as_str(), values.clone());
        }
        Value::resolve(&self.tree, &scope).map_err(evaluation_error)
    }
}

fn into_cel(value: ParameterValue) -> Value {
    match value {
        ParameterValue::Integer(number) => Value::Int(number),
        ParameterValue::Real(number) => Value::Float(number),
        ParameterValue::Text(text) => Value::from(text),
    }
}

fn evaluation_error(error: ExecutionError) -> EvaluationError {
    match error {
        ExecutionError::UndeclaredReference(name) => EvaluationError::Absent(name.to_string()),
        ExecutionError::FunctionError { message, .. } => EvaluationError::Impossible(message),
        ExecutionError::NoSuchOverload => EvaluationError::Impossible(
            "combines values of kinds that its operators do not accept".to_owned(),
        ),
        other => EvaluationError::Impossible(other.to_string()),
    }
}

fn syntax_message(source: &str, errors: &cel::ParseErrors) -> String {
    let place = errors.errors.first().map_or_else(String::new, |error| {
        let detail = error.msg.trim_start_matches("Syntax error: ");
        format!(
            ": line {}, column {}: {detail}",
            error.pos.0.max(1),
            error.pos.1.max(1)
        )
    });
    format!("must be a CEL expression; `{source}` is not{place}")
}

#[cfg(test)]
mod tests;
