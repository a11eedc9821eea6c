//! Operators over one kind of number; the module above says how numbers and texts combine.

use std::cmp::Ordering;

use cel::common::ast::operators;
use cel::extractors::Arguments;
use cel::{Context, ExecutionError, Value};

pub(super) type Outcome = Result<Value, ExecutionError>;

/// CEL's name of each operator that is replaced, and the name that stands for it in a resolved tree.
const OPERATORS: &[(&str, &str)] = &[
    (operators::ADD, "+"),
    (operators::SUBSTRACT, "-"),
    (operators::MULTIPLY, "*"),
    (operators::DIVIDE, "/"),
    (operators::MODULO, "%"),
    (operators::NEGATE, "negative"),
    (operators::EQUALS, "=="),
    (operators::NOT_EQUALS, "!="),
    (operators::LESS, "<"),
    (operators::LESS_EQUALS, "<="),
    (operators::GREATER, ">"),
    (operators::GREATER_EQUALS, ">="),
    (operators::IN, "in"),
];

/// Which outcomes of a comparison an operator accepts.
pub(super) type Accepts = fn(Ordering) -> bool;

/// The operators that ask for an order.
pub(super) const COMPARISONS: &[(&str, Accepts)] = &[
    ("<", Ordering::is_lt),
    ("<=", Ordering::is_le),
    (">", Ordering::is_gt),
    (">=", Ordering::is_ge),
];

/// The operator of this module that replaces CEL's operator `name`.
pub(super) fn own_operator(name: &str) -> Option<&'static str> {
    OPERATORS
        .iter()
        .find(|(theirs, _)| *theirs == name)
        .map(|(_, own)| *own)
}

/// Adds the operators to a language.
pub(super) fn define(language: &mut Context<'_>) {
    language.add_function("+", add);
    language.add_function("-", |left: Value, right: Value| {
        combine("-", &left, &right, i64::checked_sub, |a, b| a - b)
    });
    language.add_function("*", |left: Value, right: Value| {
        combine("*", &left, &right, i64::checked_mul, |a, b| a * b)
    });
    language.add_function("/", |left: Value, right: Value| {
        combine("/", &left, &right, whole_quotient, |a, b| a / b)
    });
    language.add_function("%", |left: Value, right: Value| {
        combine("%", &left, &right, i64::checked_rem, |a, b| a % b)
    });
    language.add_function("negative", |value: Value| {
        combine("-", &Value::Int(0), &value, i64::checked_sub, |a, b| a - b)
    });
    language.add_function("==", |left: Value, right: Value| equal(&left, &right));
    language.add_function("!=", |left: Value, right: Value| !equal(&left, &right));
    for (operator, accept) in COMPARISONS {
        language.add_function(operator, |left: Value, right: Value| {
            compared(operator, &left, &right, *accept)
        });
    }
    language.add_function("in", contained);
    language.add_function("max", |Arguments(values): Arguments| {
        extreme("max", &values, Ordering::Greater)
    });
    language.add_function("min", |Arguments(values): Arguments| {
        extreme("min", &values, Ordering::Less)
    });
}

/// The real number that a value is; `None` for text, even text that reads as a number.
pub(super) fn as_real(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::UInt(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// A value in words, for messages.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(holds) => holds.to_string(),
        Value::String(text) => format!("the text '{text}'"),
        Value::Null => "null".to_owned(),
        Value::List(_) => "a list".to_owned(),
        _ => "a value of another kind".to_owned(),
    }
}

/// A number of either kind, read from text too.
#[derive(Clone, Copy)]
enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(Self::Whole(*number)),
            Value::UInt(number) => {
                Some(i64::try_from(*number).map_or(Self::Real(*number as f64), Self::Whole))
            }
            Value::Float(number) => Some(Self::Real(*number)),
            Value::String(text) => text.parse().map(Self::Whole).ok().or_else(|| {
                text.parse()
                    .ok()
                    .filter(|number: &f64| number.is_finite())
                    .map(Self::Real)
            }),
            _ => None,
        }
    }

    fn real(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }

    fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => Some(left.cmp(&right)),
            _ => self.real().partial_cmp(&other.real()),
        }
    }
}

fn add(left: Value, right: Value) -> Outcome {
    match (&left, &right) {
        (Value::String(first), Value::String(second))
            if Number::read(&left).is_none() || Number::read(&right).is_none() =>
        {
            Ok(Value::from(format!("{first}{second}")))
        }
        _ => combine("+", &left, &right, i64::checked_add, |a, b| a + b),
    }
}

fn combine(
    operator: &str,
    left: &Value,
    right: &Value,
    whole: fn(i64, i64) -> Option<i64>,
    real: fn(f64, f64) -> f64,
) -> Outcome {
    let (Some(first), Some(second)) = (Number::read(left), Number::read(right)) else {
        return Err(impossible(operator, "two numbers", left, right));
    };
    if let (Number::Whole(first), Number::Whole(second)) = (first, second)
        && let Some(result) = whole(first, second)
    {
        return Ok(Value::Int(result));
    }
    Ok(Value::Float(real(first.real(), second.real())))
}

fn whole_quotient(dividend: i64, divisor: i64) -> Option<i64> {
    let remainder = dividend.checked_rem(divisor)?;
    if remainder == 0 {
        dividend.checked_div(divisor)
    } else {
        None
    }
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::String(_))
}

fn equal(left: &Value, right: &Value) -> bool {
    let both_texts = is_text(left) && is_text(right);
    match (Number::read(left), Number::read(right)) {
        (Some(first), Some(second)) if !both_texts => {
            first.compare(second) == Some(Ordering::Equal)
        }
        _ => left == right,
    }
}

pub(super) fn compared(
    operator: &str,
    left: &Value,
    right: &Value,
    accept: Accepts,
) -> Result<bool, ExecutionError> {
    let ordering = match (Number::read(left), Number::read(right)) {
        (Some(first), Some(second)) => first.compare(second),
        _ => match (left, right) {
            (Value::String(first), Value::String(second)) => Some(first.cmp(second)),
            _ => {
                return Err(impossible(
                    operator,
                    "two numbers or two texts",
                    left,
                    right,
                ));
            }
        },
    };
    Ok(ordering.is_some_and(accept))
}

fn contained(member: Value, container: Value) -> Result<bool, ExecutionError> {
    match &container {
        Value::List(values) => Ok(values.iter().any(|value| equal(&member, value))),
        _ => Err(ExecutionError::function_error(
            "in",
            format!(
                "`in` needs a list on its right, not {}",
                describe(&container)
            ),
        )),
    }
}

/// The largest or smallest of the arguments, or of the elements of one list. NaN wins, so that it is not lost.
pub(super) fn extreme(function: &str, arguments: &[Value], wanted: Ordering) -> Outcome {
    let values = match arguments {
        [Value::List(values)] => values.as_slice(),
        _ => arguments,
    };
    let mut best: Option<Number> = None;
    for value in values {
        let number = Number::read(value).ok_or_else(|| {
            ExecutionError::function_error(
                function,
                format!("`{function}` needs numbers, not {}", describe(value)),
            )
        })?;
        let keeps = best.is_some_and(|best| {
            best.real().is_nan()
                || best
                    .compare(number)
                    .is_some_and(|order| order == wanted || order.is_eq())
        });
        if !keeps {
            best = Some(number);
        }
    }
    match best {
        Some(Number::Whole(number)) => Ok(Value::Int(number)),
        Some(Number::Real(number)) => Ok(Value::Float(number)),
        None => Err(ExecutionError::function_error(
            function,
            format!("`{function}` needs at least one number"),
        )),
    }
}

fn impossible(operator: &str, needs: &str, left: &Value, right: &Value) -> ExecutionError {
    ExecutionError::function_error(
        operator,
        format!(
            "`{operator}` needs {needs}, not {} and {}",
            describe(left),
            describe(right)
        ),
    )
}
