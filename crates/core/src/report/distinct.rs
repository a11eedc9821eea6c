//! JSON whose objects tell when a key stands in them twice, of which a plain value would keep the last.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A JSON value, and the keys that were repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct Distinct {
    /// The value, with the first of each repeated key.
    pub value: Value,
    /// Paths of repeated keys.
    pub repeated: Vec<Vec<String>>,
}

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut reader = Reader::default();
        let value = reader.deserialize(deserializer)?;
        let repeated = reader.repeated;
        Ok(Self { value, repeated })
    }
}

/// Reads a value below a path.
#[derive(Default)]
struct Reader {
    path: Vec<String>,
    repeated: Vec<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for &mut Reader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Reader {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        number
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(&mut *self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.path.push(key.clone());
            let value = entries.next_value_seed(&mut *self)?;
            if fields.contains_key(&key) {
                self.repeated.push(self.path.clone());
            } else {
                fields.insert(key, value);
            }
            self.path.pop();
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Distinct, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn what_has_each_key_once_is_read_as_a_plain_value() {
        let text = r#" {"a": [1, -2, 2.5, 1e300, true, null, "x\n"], "b": {"a": {}}, "c": 18446744073709551615} "#;
        let found = read(text).unwrap();
        assert_eq!(found.value, serde_json::from_str::<Value>(text).unwrap());
        assert!(found.repeated.is_empty());
        assert!(read("{} {}").is_err());
        assert!(read("[1").is_err());
    }

    #[test]
    fn a_key_that_stands_twice_is_named_at_any_depth() {
        let cases = [
            (r#"{"auc": 1, "auc": 1}"#, vec!["auc"]),
            (r#"[{"m": {"auc": 1, "x": 2, "auc": 3}}]"#, vec!["m", "auc"]),
        ];
        for (text, place) in cases {
            assert_eq!(read(text).unwrap().repeated, [place]);
        }
    }
}
