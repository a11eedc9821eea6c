//! Names, unknown fields, types and bounds, by a structural schema.

use super::Cause;
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;

/// Bytes of an object's name.
const LONGEST_NAME: usize = 253;

/// A step of a field path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment<'a> {
    Field(&'a str),
    Index(usize),
}

/// The steps of a path such as `spec.parameters[0].name`.
pub(super) fn segments(path: &str) -> Vec<Segment<'_>> {
    path.split(['.', '[', ']'])
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().map_or(Segment::Field(part), Segment::Index))
        .collect()
}

/// The schema of the field at `path`.
pub(super) fn schema_at<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    segments(path)
        .into_iter()
        .try_fold(schema, |schema, segment| match segment {
            Segment::Field(name) => field(schema, name),
            Segment::Index(_) => schema.get("items"),
        })
}

/// The schema of a field that is named, or of every field of a map.
fn field<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema
        .get("properties")
        .and_then(|properties| properties.get(name))
        .or_else(|| schema.get("additionalProperties"))
}

/// A value as the API server shows it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "\"object\"".to_string(),
        Value::Array(_) => "\"array\"".to_string(),
        other => other.to_string(),
    }
}

/// Fields that no schema knows, as `kubectl apply` refuses them.
pub(super) fn unknown_fields(schema: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let roots = ["apiVersion", "kind", "metadata"];
    for (name, value) in object.as_object().into_iter().flatten() {
        if roots.contains(&name.as_str()) {
            continue;
        }
        match schema.pointer(&format!("/properties/{name}")) {
            Some(inner) => unknown_below(inner, value, name, &mut causes),
            None => causes.push(unknown(name)),
        }
    }
    causes
}

fn unknown(path: &str) -> Cause {
    Cause::new(
        "",
        format!("strict decoding error: unknown field \"{path}\""),
    )
}

fn unknown_below(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(fields) => {
            let keeps =
                schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
            for (name, value) in fields {
                let below = format!("{path}.{name}");
                let inner = field(schema, name);
                match inner {
                    Some(inner) => unknown_below(inner, value, &below, causes),
                    // A field of another type than the schema's is found by its type.
                    None if keeps
                        || schema.get("type").and_then(Value::as_str) != Some("object") => {}
                    None => causes.push(unknown(&below)),
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    unknown_below(inner, item, &format!("{path}[{index}]"), causes);
                }
            }
        }
        _ => {}
    }
}

/// The object's name is a DNS subdomain.
pub(super) fn metadata(object: &Value) -> Option<Cause> {
    let Some(name) = object.pointer("/metadata/name") else {
        return Some(Cause::new(
            "metadata.name",
            "Required value: name or generateName is required",
        ));
    };
    let Some(name) = name.as_str() else {
        return Some(Cause::new(
            "metadata.name",
            format!("Invalid value: {}: must be of type string", shown(name)),
        ));
    };
    if name.len() > LONGEST_NAME {
        let message =
            format!("Invalid value: \"{name}\": must be no more than {LONGEST_NAME} bytes");
        return Some(Cause::new("metadata.name", message));
    }
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        label.starts_with(inner)
            && label.ends_with(inner)
            && label.chars().all(|c| inner(c) || c == '-')
    };
    if name.split('.').all(label) {
        return None;
    }
    Some(Cause::new(
        "metadata.name",
        format!(
            "Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
             and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        ),
    ))
}

/// Everything that types and bounds forbid.
pub(super) fn validate(schema: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    required(schema, object, "", &mut causes);
    for (name, value) in object.as_object().into_iter().flatten() {
        if let Some(inner) = schema.pointer(&format!("/properties/{name}"))
            && !["apiVersion", "kind", "metadata"].contains(&name.as_str())
        {
            value_of(inner, value, name, &mut causes);
        }
    }
    causes
}

fn required(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if value.get(name).is_none() {
            let below = if path.is_empty() {
                name.to_string()
            } else {
                format!("{path}.{name}")
            };
            causes.push(Cause::new(&below, "Required value"));
        }
    }
}

fn value_of(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Some(wanted) = schema.get("type").and_then(Value::as_str)
        && !is_of_type(value, wanted)
    {
        let found = type_of(value);
        causes.push(Cause::new(
            path,
            format!(
                "Invalid value: \"{found}\": {path} in body must be of type {wanted}: \"{found}\""
            ),
        ));
        return;
    }
    one_of_the_listed(schema, value, path, causes);
    match value {
        Value::String(text) => text_bounds(schema, text, path, causes),
        Value::Number(_) => number_bounds(schema, value, path, causes),
        Value::Array(items) => list(schema, items, path, causes),
        Value::Object(fields) => {
            required(schema, value, path, causes);
            if let Some(most) = schema.get("maxProperties").and_then(Value::as_u64)
                && fields.len() as u64 > most
            {
                causes.push(Cause::new(
                    path,
                    format!("Too many: {}: must have at most {most} items", fields.len()),
                ));
            }
            for (name, value) in fields {
                let inner = field(schema, name);
                if let Some(inner) = inner {
                    value_of(inner, value, &format!("{path}.{name}"), causes);
                }
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn is_of_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn one_of_the_listed(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Some(listed) = schema.get("enum").and_then(Value::as_array)
        && !listed.contains(value)
    {
        let supported: Vec<String> = listed.iter().map(shown).collect();
        causes.push(Cause::new(
            path,
            format!(
                "Unsupported value: {}: supported values: {}",
                shown(value),
                supported.join(", ")
            ),
        ));
    }
}

fn text_bounds(schema: &Value, text: &str, path: &str, causes: &mut Vec<Cause>) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    let length = text.chars().count() as u64;
    if let Some(most) = bound("maxLength").filter(|most| length > *most) {
        causes.push(Cause::new(
            path,
            format!("Too long: may not be more than {most} bytes"),
        ));
    }
    if let Some(least) = bound("minLength").filter(|least| length < *least) {
        causes.push(Cause::new(
            path,
            format!(
                "Invalid value: \"{text}\": {path} in body should be at least {least} chars long"
            ),
        ));
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && !Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
    {
        causes.push(Cause::new(
            path,
            format!("Invalid value: \"{text}\": {path} in body should match '{pattern}'"),
        ));
    }
}

fn number_bounds(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let number = value.as_f64().unwrap_or(f64::NAN);
    let bound = |name: &str| Some((schema.get(name)?, schema.get(name)?.as_f64()?));
    let mut refuse = |relation: &str, bound: &Value| {
        causes.push(Cause::new(
            path,
            format!(
                "Invalid value: {value}: {path} in body should be {relation} than or equal to {}",
                plain(bound)
            ),
        ));
    };
    if let Some((least, _)) = bound("minimum").filter(|(_, least)| number < *least) {
        refuse("greater", least);
    }
    if let Some((most, _)) = bound("maximum").filter(|(_, most)| number > *most) {
        refuse("less", most);
    }
}

/// A bound without the `.0` that only tells its type.
fn plain(bound: &Value) -> String {
    let text = bound.to_string();
    text.strip_suffix(".0").map_or(text.clone(), str::to_string)
}

fn list(schema: &Value, items: &[Value], path: &str, causes: &mut Vec<Cause>) {
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    let number = items.len() as u64;
    if let Some(most) = bound("maxItems").filter(|most| number > *most) {
        causes.push(Cause::new(
            path,
            format!("Too many: {number}: must have at most {most} items"),
        ));
    }
    if let Some(least) = bound("minItems").filter(|least| number < *least) {
        causes.push(Cause::new(
            path,
            format!("Invalid value: {number}: {path} in body should have at least {least} items"),
        ));
    }
    if let Some(inner) = schema.get("items") {
        for (index, item) in items.iter().enumerate() {
            value_of(inner, item, &format!("{path}[{index}]"), causes);
        }
    }
    duplicates(schema, items, path, causes);
}

/// Items of a set, and of a list that is a map by its keys, must differ.
fn duplicates(schema: &Value, items: &[Value], path: &str, causes: &mut Vec<Cause>) {
    let keys: Vec<&str> = schema
        .get("x-kubernetes-list-map-keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let is_set = schema.get("x-kubernetes-list-type").and_then(Value::as_str) == Some("set");
    if keys.is_empty() && !is_set {
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let identity = if is_set {
            item.to_string()
        } else {
            let fields: Vec<String> = keys
                .iter()
                .map(|key| format!("\"{key}\":{}", item.get(key).unwrap_or(&Value::Null)))
                .collect();
            format!("{{{}}}", fields.join(","))
        };
        if !seen.insert(identity.clone()) {
            causes.push(Cause::new(
                &format!("{path}[{index}]"),
                format!("Duplicate value: {identity}"),
            ));
        }
    }
}
