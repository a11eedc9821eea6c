//! Resolves names at compile time: variables against the known ones, operators to those of [`super::arithmetic`].

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, operators};

use super::arithmetic;

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
    operators::NOT_STRICTLY_FALSE,
];

/// An expression whose names are all accounted for.
pub(super) struct Resolved {
    pub(super) tree: IdedExpr,
    pub(super) variables: BTreeSet<String>,
}

pub(super) fn resolve(tree: &IdedExpr, known: Option<&BTreeSet<&str>>) -> Result<Resolved, String> {
    let mut resolver = Resolver {
        known,
        variables: BTreeSet::new(),
        local: Vec::new(),
    };
    let mut tree = tree.clone();
    resolver.visit(&mut tree)?;
    Ok(Resolved {
        tree,
        variables: resolver.variables,
    })
}

struct Resolver<'a> {
    known: Option<&'a BTreeSet<&'a str>>,
    variables: BTreeSet<String>,
    /// Variables that macros such as `exists` introduce, innermost last.
    local: Vec<String>,
}

impl Resolver<'_> {
    fn visit(&mut self, node: &mut IdedExpr) -> Result<(), String> {
        match &mut node.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(name),
            Expr::Call(call) => {
                call.func_name = function(&call.func_name, call.target.is_some())?;
                call.target
                    .iter_mut()
                    .try_for_each(|target| self.visit(target))?;
                call.args
                    .iter_mut()
                    .try_for_each(|argument| self.visit(argument))
            }
            Expr::List(list) => list
                .elements
                .iter_mut()
                .try_for_each(|element| self.visit(element)),
            Expr::Map(map) => map
                .entries
                .iter_mut()
                .try_for_each(|entry| self.visit_entry(&mut entry.expr)),
            Expr::Struct(_) => {
                Err("must not make a message; only numbers, texts and lists exist here".to_owned())
            }
            Expr::Select(select) => Err(format!(
                "must not select the field `{}`; names stand for single values",
                select.field
            )),
            Expr::Comprehension(comprehension) => {
                self.visit(&mut comprehension.iter_range)?;
                self.visit(&mut comprehension.accu_init)?;
                let outer = self.local.len();
                self.local.extend([
                    comprehension.iter_var.clone(),
                    comprehension.accu_var.clone(),
                ]);
                self.local.extend(comprehension.iter_var2.clone());
                self.visit(&mut comprehension.loop_cond)?;
                self.visit(&mut comprehension.loop_step)?;
                self.visit(&mut comprehension.result)?;
                self.local.truncate(outer);
                Ok(())
            }
        }
    }

    fn visit_entry(&mut self, entry: &mut EntryExpr) -> Result<(), String> {
        match entry {
            EntryExpr::MapEntry(entry) => {
                self.visit(&mut entry.key)?;
                self.visit(&mut entry.value)
            }
            EntryExpr::StructField(field) => self.visit(&mut field.value),
        }
    }

    fn variable(&mut self, name: &str) -> Result<(), String> {
        if self.local.iter().any(|local| local == name) {
            return Ok(());
        }
        if let Some(known) = self.known
            && !known.contains(name)
        {
            let listed: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
            return Err(match listed.is_empty() {
                true => format!("names `{name}`, but there is nothing to name here"),
                false => format!(
                    "names `{name}`, which does not exist; it may name {}",
                    listed.join(", ")
                ),
            });
        }
        self.variables.insert(name.to_owned());
        Ok(())
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
