//! `podium bench search`: speaks the protocol of the hyper-parameter search benchmark.
//!
//! One JSON object per line comes in, one goes out; one process serves many studies one after another:
//!
//! ```text
//! {"op":"init","space":[...],"seed":0,"budget":100,"parallel":8}      -> {}
//! {"op":"ask"}                                                        -> {"id":1,"config":{"lr":0.01,"opt":"adam"}}
//! {"op":"tell","id":1,"value":0.123}      (null: the trial failed)    -> {}
//! {"op":"recommend"}                                                  -> {"config":{...}}
//! {"op":"bulk","trials":[{"config":{...},"value":0.5},...]}           -> {}
//! ```
//!
//! Anything else, and anything out of turn, is answered with `{"error": "..."}`. Objectives are minimised.

use std::collections::BTreeMap;
use std::io::{BufRead, Result, Write};

use podium_core::search::{
    Algorithm, Direction, Finished, History, Outcome, Pending, Suggestion, suggest,
};
use podium_core::space::{Domain, Parameter, Scale, Space};
use podium_core::value::{Configuration, ParameterValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Answers every line of `input` on `output` until the input ends.
///
/// # Errors
/// When reading or writing fails; bad requests are answered, not returned.
pub fn serve(input: impl BufRead, mut output: impl Write) -> Result<()> {
    let mut study = None;
    for line in input.lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let reply = answer(&line, &mut study).unwrap_or_else(|message| json!({ "error": message }));
        writeln!(output, "{reply}")?;
        output.flush()?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Request {
    Init { space: Vec<Dimension>, seed: u64 },
    Ask,
    Tell { id: u32, value: Option<f64> },
    Recommend,
    Bulk { trials: Vec<Told> },
}

#[derive(Deserialize)]
struct Told {
    config: Map<String, Value>,
    value: Option<f64>,
}

/// One parameter as the benchmark describes it.
#[derive(Deserialize)]
struct Dimension {
    name: String,
    #[serde(flatten)]
    values: Values,
    when: Option<When>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Values {
    Float {
        low: f64,
        high: f64,
        log: bool,
    },
    Int {
        low: i64,
        high: i64,
        step: i64,
        log: bool,
    },
    Cat {
        choices: Vec<Value>,
    },
}

#[derive(Deserialize)]
struct When {
    param: String,
    #[serde(rename = "in")]
    choices: Vec<Value>,
}

/// One search: its space, and all trials so far.
struct Study {
    space: Space,
    /// The benchmark's own values of categorical parameters, by the text that stands for them.
    choices: BTreeMap<String, BTreeMap<String, Value>>,
    seed: u64,
    history: History,
    next: u32,
}

type Reply = std::result::Result<Value, String>;

fn answer(line: &str, study: &mut Option<Study>) -> Reply {
    let request: Request = serde_json::from_str(line)
        .map_err(|error| format!("the request must be one of the protocol: {error}"))?;
    if let Request::Init { space, seed } = request {
        *study = Some(Study::new(space, seed)?);
        return Ok(json!({}));
    }
    let study = study.as_mut().ok_or("`init` must come first")?;
    match request {
        Request::Ask => study.ask(),
        Request::Tell { id, value } => study.tell(id, value),
        Request::Recommend => Ok(study.recommend()),
        Request::Bulk { trials } => study.bulk(trials),
        Request::Init { .. } => Ok(json!({})),
    }
}

impl Study {
    fn new(dimensions: Vec<Dimension>, seed: u64) -> std::result::Result<Self, String> {
        let mut choices = BTreeMap::new();
        for dimension in &dimensions {
            if let Values::Cat { choices: values } = &dimension.values {
                let by_text = values
                    .iter()
                    .map(|value| (text_of(value), value.clone()))
                    .collect();
                choices.insert(dimension.name.clone(), by_text);
            }
        }
        let parameters = dimensions.into_iter().map(parameter).collect();
        let space = Space::new(parameters, Vec::new()).map_err(|problems| {
            problems
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ")
        })?;
        Ok(Self {
            space,
            choices,
            seed,
            history: History::new(Direction::Minimize),
            next: 0,
        })
    }

    fn ask(&mut self) -> Reply {
        match suggest(&self.space, &Algorithm::Auto, self.seed, &self.history) {
            Suggestion::Next { configuration, .. } => {
                let id = self.next;
                self.next += 1;
                let config = self.written(&configuration);
                self.history.pending.push(Pending {
                    index: id,
                    configuration,
                });
                Ok(json!({ "id": id, "config": config }))
            }
            Suggestion::Exhausted { reason } => Err(reason),
        }
    }

    fn tell(&mut self, id: u32, value: Option<f64>) -> Reply {
        let pending = &mut self.history.pending;
        let place = pending
            .iter()
            .position(|trial| trial.index == id)
            .ok_or("`id` must be that of an asked and untold trial")?;
        let Pending {
            index,
            configuration,
        } = pending.swap_remove(place);
        let outcome = value.map_or(Outcome::Failed, Outcome::Value);
        self.history.finished.push(Finished {
            index,
            configuration,
            outcome,
        });
        Ok(json!({}))
    }

    fn recommend(&self) -> Value {
        let valued = self
            .history
            .finished
            .iter()
            .filter_map(|trial| match trial.outcome {
                Outcome::Value(value) => Some((value, &trial.configuration)),
                Outcome::Failed | Outcome::Infeasible => None,
            });
        match valued.min_by(|left, right| left.0.total_cmp(&right.0)) {
            Some((_, configuration)) => json!({ "config": self.written(configuration) }),
            None => json!({}),
        }
    }

    fn bulk(&mut self, trials: Vec<Told>) -> Reply {
        for Told { config, value } in trials {
            let configuration = config
                .iter()
                .map(|(name, value)| (name.clone(), self.read(name, value)))
                .collect();
            let outcome = value.map_or(Outcome::Failed, Outcome::Value);
            self.history.finished.push(Finished {
                index: self.next,
                configuration,
                outcome,
            });
            self.next += 1;
        }
        Ok(json!({}))
    }

    fn written(&self, configuration: &Configuration) -> Map<String, Value> {
        let write = |(name, value): (&String, &ParameterValue)| {
            let choice = value
                .as_text()
                .and_then(|text| self.choices.get(name)?.get(text));
            (
                name.clone(),
                choice.cloned().unwrap_or_else(|| json!(value)),
            )
        };
        configuration.iter().map(write).collect()
    }

    fn read(&self, name: &str, value: &Value) -> ParameterValue {
        match value.as_f64() {
            _ if self.choices.contains_key(name) => ParameterValue::Text(text_of(value)),
            Some(number) => value
                .as_i64()
                .map_or(ParameterValue::Real(number), ParameterValue::Integer),
            None => ParameterValue::Text(text_of(value)),
        }
    }
}

fn parameter(dimension: Dimension) -> Parameter {
    let scale = |log| if log { Scale::Log } else { Scale::Linear };
    let domain = match dimension.values {
        Values::Float { low, high, log } => Domain::Real {
            min: low,
            max: high,
            scale: scale(log),
            step: None,
        },
        Values::Int {
            low,
            high,
            step,
            log,
        } => Domain::Integer {
            min: low,
            max: high,
            step: Some(step),
            scale: scale(log),
        },
        Values::Cat { choices } => Domain::Categorical {
            values: choices.iter().map(text_of).collect(),
        },
    };
    let when = dimension.when.map(|when| {
        let listed: Vec<String> = when
            .choices
            .iter()
            .map(|choice| json!(text_of(choice)).to_string())
            .collect();
        format!("{} in [{}]", when.param, listed.join(", "))
    });
    Parameter {
        name: dimension.name,
        domain,
        when,
    }
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(lines: &[&str]) -> Vec<Value> {
        let mut output = Vec::new();
        serve(lines.join("\n").as_bytes(), &mut output).unwrap();
        String::from_utf8(output)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    const INIT: &str = r#"{"op":"init","seed":3,"budget":9,"parallel":1,"space":[
        {"name":"opt","type":"cat","choices":["adam",1,null]},
        {"name":"layers","type":"int","low":1,"high":4,"step":1,"log":false},
        {"name":"rate","type":"float","low":0.001,"high":1.0,"log":true,"when":{"param":"opt","in":["adam",1]}}]}"#;

    #[test]
    fn a_study_is_asked_told_and_recommends_its_best() {
        let init = INIT.replace('\n', "");
        let replies = exchange(&[
            &init,
            r#"{"op":"bulk","trials":[{"config":{"opt":null,"layers":2},"value":0.5}]}"#,
            r#"{"op":"ask"}"#,
            r#"{"op":"ask"}"#,
            r#"{"op":"tell","id":2,"value":null}"#,
            r#"{"op":"recommend"}"#,
            r#"{"op":"tell","id":1,"value":0.1}"#,
            r#"{"op":"recommend"}"#,
        ]);
        assert_eq!(replies[2]["id"], 1);
        assert_eq!(replies[5]["config"], json!({"opt": null, "layers": 2}));
        assert_eq!(replies[7]["config"], replies[2]["config"]);
        assert!(
            replies.iter().all(|reply| reply.get("error").is_none()),
            "{replies:?}"
        );
    }

    #[test]
    fn bad_requests_are_answered() {
        let init = INIT.replace('\n', "");
        let replies = exchange(&[
            r#"{"op":"ask"}"#,
            "nonsense",
            &init,
            r#"{"op":"tell","id":7,"value":1}"#,
        ]);
        assert_eq!(replies[0]["error"], "`init` must come first");
        assert!(
            replies[1]["error"]
                .as_str()
                .unwrap()
                .starts_with("the request must be one of the protocol")
        );
        assert_eq!(
            replies[3]["error"],
            "`id` must be that of an asked and untold trial"
        );
    }
}
