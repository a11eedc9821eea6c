//! Pieces of schema that the types share.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An object whose fields are those of another API; they are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpenObject(pub Map<String, Value>);

impl JsonSchema for OpenObject {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OpenObject".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
    }
}

/// A value of any JSON type, bounded by the size of the object that holds it.
pub fn any_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

/// Configurations: parameter name to whole number, number or text.
pub fn configuration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 100,
        "additionalProperties": { "x-kubernetes-preserve-unknown-fields": true },
    })
}

/// A list of configurations.
pub fn configurations(generator: &mut SchemaGenerator) -> Schema {
    let items = configuration(generator);
    json_schema!({ "type": "array", "maxItems": 100, "x-kubernetes-list-type": "atomic", "items": items })
}

/// Metric values by name.
pub fn metrics(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 200,
        "additionalProperties": { "type": "number", "minimum": -1e18, "maximum": 1e18 },
    })
}

/// Conditions as a list keyed by `type`.
pub fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "description": "One aspect of the state, as `kubectl wait` reads it.",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": { "type": "string", "maxLength": 316, "description": "Which aspect." },
                "status": { "type": "string", "enum": ["True", "False", "Unknown"], "description": "Whether it holds." },
                "reason": { "type": "string", "minLength": 1, "maxLength": 1024, "description": "Why, as one CamelCase word of a closed list." },
                "message": { "type": "string", "maxLength": 32768, "description": "Why, in one sentence." },
                "lastTransitionTime": { "type": "string", "format": "date-time", "maxLength": 64, "description": "When `status` last changed." },
                "observedGeneration": { "type": "integer", "format": "int64", "minimum": 0, "maximum": 9_007_199_254_740_991_i64, "description": "The generation of the object that this was said of." },
            },
        },
    })
}

/// A point in time.
pub fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "maxLength": 64 })
}

/// Conditions of a status.
pub type Conditions = Vec<Condition>;
/// A time of a status.
pub type StatusTime = Time;

/// A reference to an object of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalReference {
    /// Name of an object in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Serde: the default of a switch that is on.
pub(crate) fn yes() -> bool {
    true
}

/// Labels, annotations, tags.
pub(crate) fn texts_by_name(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 20,
        "additionalProperties": { "type": "string", "maxLength": 250 },
    })
}
