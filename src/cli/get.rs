//! `podium get`: the objects of a local run, in the columns that the CRDs name.

use super::progress::table;
use super::{Failure, WrongUsage, print};
use crate::local::state::StateDirectory;
use crate::local::state_root;
use clap::{Args, ValueEnum};
use podium_core::significant::four_digits;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Show the objects of a local run as kubectl would.
///
/// Examples:
///   podium get trials -d examples/fraud
///   podium get tuningjobs fraud-forest -d examples/fraud -o yaml
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// trials, tuningjobs, championpolicies, evaluations or modelregistries; also singular and short names.
    #[arg(value_name = "KIND")]
    kind: String,
    /// One object; all of the kind when absent.
    name: Option<String>,
    /// The directory that `podium run` was given.
    #[arg(long, short, default_value = ".")]
    directory: PathBuf,
    /// How to print.
    #[arg(long, short)]
    output: Option<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Wide,
    Yaml,
    Json,
}

pub(super) fn get(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let crd = crd_of(&arguments.kind)?;
    let plural = text(&crd, "/spec/names/plural");
    let state = state_in(&arguments.directory)?;
    let objects = match &arguments.name {
        Some(name) => {
            let found = state.read(&plural, name)?;
            vec![found.ok_or_else(|| format!("{plural} \"{name}\" not found"))?]
        }
        None => in_order(state.list_values(&plural)?),
    };
    match arguments.output {
        None => print_table(&crd, &objects, false)?,
        Some(Output::Wide) => print_table(&crd, &objects, true)?,
        Some(Output::Yaml) => {
            print::data(&serde_saphyr::to_string(&one_or_list(arguments, objects))?);
        }
        Some(Output::Json) => {
            let text = serde_json::to_string_pretty(&one_or_list(arguments, objects))?;
            print::data(&format!("{text}\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What a run left in `directory`.
pub(super) fn state_in(directory: &Path) -> Result<StateDirectory, Failure> {
    let root = state_root(directory);
    if !root.is_dir() {
        let message = format!(
            "{} holds no run; `podium run` makes one",
            directory.display()
        );
        return Err(message.into());
    }
    Ok(StateDirectory::new(root.join("state")))
}

/// Trials by their place in the search, which their names do not sort by.
fn in_order(mut objects: Vec<Value>) -> Vec<Value> {
    objects.sort_by_cached_key(|object| object.pointer("/spec/index").and_then(Value::as_i64));
    objects
}

fn one_or_list(arguments: &Arguments, mut objects: Vec<Value>) -> Value {
    if arguments.name.is_some() {
        return objects.pop().unwrap_or_default();
    }
    json!({"apiVersion": "v1", "items": objects, "kind": "List", "metadata": {"resourceVersion": ""}})
}

pub(super) fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_string()
}

/// The CRD whose kind, plural, singular or short name is asked for.
pub(super) fn crd_of(kind: &str) -> Result<Value, Failure> {
    let wanted = kind.to_lowercase();
    let crds = podium_api::crds();
    let named = crds.iter().find(|crd| {
        let short = crd
            .pointer("/spec/names/shortNames")
            .and_then(Value::as_array);
        let is_short = short
            .into_iter()
            .flatten()
            .any(|name| name.as_str() == Some(&wanted));
        is_short
            || ["plural", "singular", "kind"]
                .iter()
                .any(|name| text(crd, &format!("/spec/names/{name}")).to_lowercase() == wanted)
    });
    let plurals: Vec<String> = crds
        .iter()
        .map(|crd| text(crd, "/spec/names/plural"))
        .collect();
    named.cloned().ok_or_else(|| {
        WrongUsage(format!(
            "there is no kind `{kind}`; it must be one of {}",
            plurals.join(", ")
        ))
        .into()
    })
}

fn print_table(crd: &Value, objects: &[Value], wide: bool) -> Result<(), Failure> {
    if objects.is_empty() {
        eprintln!("No resources found.");
        return Ok(());
    }
    let columns: Vec<&Value> = crd
        .pointer("/spec/versions/0/additionalPrinterColumns")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|column| wide || column.get("priority").and_then(Value::as_i64).unwrap_or(0) == 0)
        .collect();
    let mut headers = vec!["NAME".to_string()];
    headers.extend(
        columns
            .iter()
            .map(|column| text(column, "/name").to_uppercase()),
    );
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let mut table = table(&headers);
    for object in objects {
        let mut row = vec![text(object, "/metadata/name")];
        row.extend(columns.iter().map(|column| cell(object, column)));
        table.add_row(row);
    }
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    print!("{text}");
    Ok(())
}

/// The value of a printer column.
fn cell(object: &Value, column: &Value) -> String {
    match at_json_path(object, &text(column, "/jsonPath")) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(time)) if text(column, "/type") == "date" => age(time),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) if text(column, "/type") == "number" => number
            .as_f64()
            .map_or_else(|| number.to_string(), four_digits),
        Some(other) => other.to_string(),
    }
}

/// The value at a path of fields, such as `.spec.model`, and of conditions, such as `.status.conditions[?(@.type=="Ready")].status`.
fn at_json_path<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let fields = |value: &'a Value, path: &str| {
        path.split('.')
            .filter(|field| !field.is_empty())
            .try_fold(value, |value, field| value.get(field))
    };
    match path.split_once("[?(@.type==\"") {
        None => fields(object, path),
        Some((list, rest)) => {
            let (kind, below) = rest.split_once("\")]")?;
            let items = fields(object, list)?.as_array()?;
            let item = items
                .iter()
                .find(|item| item.get("type").and_then(Value::as_str) == Some(kind))?;
            fields(item, below)
        }
    }
}

/// Time since `time`, as kubectl shows it.
fn age(time: &str) -> String {
    let Ok(then) = time.parse::<jiff::Timestamp>() else {
        return "<unknown>".to_string();
    };
    let seconds = (jiff::Timestamp::now().as_second() - then.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => format!("{}m{}s", seconds / 60, seconds % 60),
        600..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
