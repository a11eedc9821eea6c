//! Resolves names at compile time: variables against those that exist, operators to those of [`super::arithmetic`] and, for
//! ordinal parameters, of [`super::order`].

use std::collections::{BTreeMap, BTreeSet};

use cel::Value;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};

use super::order::Order;
use super::{Names, arithmetic, order};

/// Functions that expressions may call besides the operators.
const FUNCTIONS: &[&str] = &[
    "contains",
    "double",
    "endsWith",
    "int",
    "matches",
    "max",
    "min",
    "size",
    "startsWith",
    "string",
];

/// Operators that keep CEL's own meaning.
const KEPT_OPERATORS: &[&str] = &[
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::INDEX,
];

/// The name under which all metrics stand, for those whose own name is not a word.
const METRICS: &str = "metrics";

/// An expression whose names are all accounted for.
pub(super) struct Resolved {
    pub(super) tree: IdedExpr,
    pub(super) variables: BTreeSet<String>,
    pub(super) orders: BTreeMap<String, Value>,
}

pub(super) fn resolve(tree: &IdedExpr, names: Names<'_>) -> Result<Resolved, String> {
    let mut resolver = Resolver {
        names,
        variables: BTreeSet::new(),
        orders: BTreeMap::new(),
    };
    let mut tree = tree.clone();
    resolver.visit(&mut tree)?;
    Ok(Resolved {
        tree,
        variables: resolver.variables,
        orders: resolver.orders,
    })
}

struct Resolver<'a> {
    names: Names<'a>,
    variables: BTreeSet<String>,
    orders: BTreeMap<String, Value>,
}

impl Resolver<'_> {
    /// Resolves a node; returns the order of its value, or of its elements, where these are values of ordinal parameters.
    fn visit(&mut self, node: &mut IdedExpr) -> Result<Option<Order>, String> {
        if let Some(metric) = self.metric(node)? {
            self.variables.insert(metric.clone());
            node.expr = Expr::Ident(metric);
            return Ok(None);
        }
        match &mut node.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(None),
            Expr::Ident(name) => self.variable(name),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.all(list.elements.iter_mut()),
            Expr::Map(map) => {
                let mut values = Vec::new();
                for entry in &mut map.entries {
                    match &mut entry.expr {
                        EntryExpr::MapEntry(entry) => {
                            self.visit(&mut entry.key)?;
                            values.push(&mut entry.value);
                        }
                        EntryExpr::StructField(field) => values.push(&mut field.value),
                    }
                }
                self.all(values.into_iter())
            }
            Expr::Struct(_) => {
                Err("must not make a message; only numbers, texts and lists exist here".to_owned())
            }
            Expr::Select(select) => Err(format!(
                "must not select the field `{}`; names stand for single values",
                select.field
            )),
            Expr::Comprehension(comprehension) => Err(instead_of(comprehension)),
        }
    }

    /// The metric that `metrics["NAME"]` or `metrics.NAME` stands for.
    fn metric(&self, node: &IdedExpr) -> Result<Option<String>, String> {
        let is_metrics =
            |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if name == METRICS);
        if !matches!(self.names, Names::Metrics) {
            return Ok(None);
        }
        match &node.expr {
            Expr::Select(select) if is_metrics(&select.operand) && !select.test => {
                Ok(Some(select.field.clone()))
            }
            Expr::Call(call) if call.func_name == operators::INDEX => {
                match call.args.as_slice() {
                    [operand, key] if is_metrics(operand) => match literal_text(key) {
                        Some(name) if !name.is_empty() => Ok(Some(name.to_owned())),
                        _ => Err("must have the name of a metric in the brackets of `metrics`, as in `metrics[\"val/auc\"]`".to_owned()),
                    },
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    fn call(&mut self, call: &mut CallExpr) -> Result<Option<Order>, String> {
        let name = function(&call.func_name, call.target.is_some())?;
        if let Some(target) = &mut call.target {
            self.visit(target)?;
        }
        let order = match name.as_str() {
            // The condition decides which value it is, and is no part of it.
            operators::CONDITIONAL => {
                let mut parts = call.args.iter_mut();
                if let Some(condition) = parts.next() {
                    self.visit(condition)?;
                }
                self.all(parts)?
            }
            operators::INDEX => {
                let mut parts = call.args.iter_mut();
                let of_elements = parts.next().map(|list| self.visit(list)).transpose()?;
                self.all(parts)?;
                of_elements.flatten()
            }
            _ => self.all(call.args.iter_mut())?,
        };
        let ordinal = order.as_ref().zip(order::ordinal(&name));
        let Some((compared, ordinal)) = ordinal else {
            let keeps = [operators::CONDITIONAL, operators::INDEX].contains(&name.as_str());
            call.func_name = name;
            return Ok(order.filter(|_| keeps));
        };
        for text in call.args.iter().flat_map(literal_texts) {
            compared.takes(text)?;
        }
        call.args.push(IdedExpr {
            id: 0,
            expr: Expr::Ident(self.name_of(compared)),
        });
        call.func_name = ordinal;
        Ok(order.filter(|_| order::is_extreme(&name)))
    }

    /// Resolves nodes that stand side by side; returns the order that they share.
    fn all<'n>(
        &mut self,
        nodes: impl Iterator<Item = &'n mut IdedExpr>,
    ) -> Result<Option<Order>, String> {
        let mut shared: Option<Order> = None;
        for node in nodes {
            shared = match (shared, self.visit(node)?) {
                (Some(one), Some(other)) => one.with(&other)?.cloned(),
                (one, other) => one.or(other),
            };
        }
        Ok(shared)
    }

    /// The variable that holds the values of an order; its name is none that can be written.
    fn name_of(&mut self, order: &Order) -> String {
        let values = Value::from(order.values.clone());
        let found = self.orders.iter().find(|(_, other)| **other == values);
        match found {
            Some((name, _)) => name.clone(),
            None => {
                let name = format!("order {}", self.orders.len());
                self.orders.insert(name.clone(), values);
                name
            }
        }
    }

    fn variable(&mut self, name: &str) -> Result<Option<Order>, String> {
        let order = match self.names {
            Names::Metrics => None,
            Names::Known(known) => match known.get(name) {
                Some(values) => values.map(|values| Order {
                    parameter: name.to_owned(),
                    values: values.to_vec(),
                }),
                None => return Err(unknown(name, known.keys())),
            },
        };
        self.variables.insert(name.to_owned());
        Ok(order)
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a &'a str>) -> String {
    let listed: Vec<String> = known.map(|known| format!("`{known}`")).collect();
    match listed.is_empty() {
        true => format!("names `{name}`, but there is nothing to name here"),
        false => format!(
            "names `{name}`, which does not exist; it may name {}",
            listed.join(", ")
        ),
    }
}

fn literal_text(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// The texts that a node may be: itself, the branches of a condition, the elements of a list.
fn literal_texts(node: &IdedExpr) -> Vec<&str> {
    match &node.expr {
        Expr::List(list) => list.elements.iter().flat_map(literal_texts).collect(),
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
            call.args.iter().skip(1).flat_map(literal_texts).collect()
        }
        _ => literal_text(node).into_iter().collect(),
    }
}

fn function(name: &str, is_method: bool) -> Result<String, String> {
    if !is_method && let Some(own) = arithmetic::own_operator(name) {
        return Ok(own.to_owned());
    }
    if KEPT_OPERATORS.contains(&name) || FUNCTIONS.contains(&name) {
        return Ok(name.to_owned());
    }
    let listed: Vec<String> = FUNCTIONS.iter().map(|known| format!("`{known}`")).collect();
    Err(format!(
        "calls `{name}`, which is not a function here; the functions are {}",
        listed.join(", ")
    ))
}

/// Refuses an expression that goes through a list, by the name under which it was written.
fn instead_of(comprehension: &ComprehensionExpr) -> String {
    let (name, instead) = match &comprehension.accu_init.expr {
        Expr::Literal(LiteralValue::Boolean(start)) if *start.inner() => {
            ("all", "write the condition for each value, joined by `&&`")
        }
        Expr::Literal(LiteralValue::Boolean(_)) => (
            "exists",
            "write `x in [1, 2]`, or the condition for each value, joined by `||`",
        ),
        Expr::Literal(_) => (
            "exists_one",
            "write the condition for each value, as in `(a > 1 ? 1 : 0) + (b > 1 ? 1 : 0) == 1`",
        ),
        _ if keeps_elements(comprehension) => (
            "filter",
            "write the condition for each value, as in `(a > 1 ? a : 0) + (b > 1 ? b : 0)`",
        ),
        _ => (
            "map",
            "write the formula for each value, as in `max(2 * a, 2 * b)`",
        ),
    };
    format!("must not use `{name}`, which goes through a list; {instead}")
}

/// Whether each step adds the element itself or nothing.
fn keeps_elements(comprehension: &ComprehensionExpr) -> bool {
    let Expr::Call(step) = &comprehension.loop_step.expr else {
        return false;
    };
    let added = step.args.get(1).map(|then| &then.expr);
    let Some(Expr::Call(added)) = added.filter(|_| step.func_name == operators::CONDITIONAL) else {
        return false;
    };
    let Some(Expr::List(list)) = added.args.get(1).map(|list| &list.expr) else {
        return false;
    };
    matches!(list.elements.as_slice(), [one] if one.expr == Expr::Ident(comprehension.iter_var.clone()))
}
