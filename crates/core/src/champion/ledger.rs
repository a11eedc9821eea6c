//! The ledger beside a registered model: what must outlive the objects of a cluster.
//!
//! It is made of write-once registers, each a short text under a key:
//!
//! | key | text |
//! |---|---|
//! | `owner/ALIAS/K` | which policy owns the alias; the highest K counts |
//! | `claim/ALIAS/N` | what is to happen to the alias in epoch N |
//! | `outcome/ALIAS/N` | how epoch N ended |
//! | `refused/ALIAS/N` | a version that an approver rejected |
//! | `look/N` | the Nth look at a holdout of the model, by any policy |
//! | `holdout/FINGERPRINT/PART` | part of the sketch of a holdout that was looked at |
//!
//! Numbers have eight digits. A text has less than [`REGISTER_BYTES`] bytes, which the parameters of an MLflow run hold.

use super::cause::EpochCause;
use super::gates::Gate;
use super::input::Aliases;
use super::memory::Refusal;
use crate::looks::Sketch;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The last second that the status of an object can tell, in the year 9999 of every time zone.
const LAST_SECOND: i64 = 253_402_207_200;

/// Bytes that a register holds.
pub const REGISTER_BYTES: usize = 250;

/// The claim of an epoch: self-describing, so that whoever reads it knows what was to happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// The decision; empty for a move by somebody else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub decision: String,
    /// Where the alias pointed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where it is to point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why.
    pub cause: EpochCause,
    /// Fingerprint of the holdout that was judged on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// When it was decided.
    pub at: Timestamp,
}

/// How an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EpochOutcome {
    /// The alias was moved, and read back.
    Promoted,
    /// Somebody else had moved it.
    External,
    /// Somebody else moved it before it was moved.
    AbortedExternal,
    /// Somebody else moved it right after it was moved.
    Contended,
    /// It was not moved, since this gate was closed.
    Void(Gate),
}

impl EpochOutcome {
    /// Whether the alias was moved in the epoch.
    #[must_use]
    pub fn moved(self) -> bool {
        matches!(self, Self::Promoted | Self::External | Self::Contended)
    }

    /// The name of an outcome, with the gate in parentheses.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Void(gate) => format!("Void({})", gate.name()),
            other => format!("{other:?}"),
        }
    }

    /// The outcome of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let gates = Gate::ALL.into_iter().map(Self::Void);
        [
            Self::Promoted,
            Self::External,
            Self::AbortedExternal,
            Self::Contended,
        ]
        .into_iter()
        .chain(gates)
        .find(|outcome| outcome.name() == name)
    }
}

/// How and when an epoch ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutcomeEntry {
    /// How.
    pub outcome: EpochOutcome,
    /// When.
    pub at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct OutcomeText {
    outcome: String,
    at: Timestamp,
}

/// An epoch of an alias.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Epoch {
    /// What was claimed.
    pub claim: Claim,
    /// How it ended; `None` while it is open.
    pub outcome: Option<OutcomeEntry>,
}

/// Which policy owns an alias.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// `CLUSTER/NAMESPACE/NAME`.
    pub policy: String,
    /// Since when.
    pub at: Timestamp,
    /// The epoch that the annotation named by which the alias was taken over; it serves once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_over: Option<u64>,
}

/// A look at a holdout. It is claimed before anything is judged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Look {
    /// What was judged at it: a digest of the comparisons.
    pub batch: String,
    /// Fingerprint of the holdout.
    pub holdout: String,
    /// Number of challengers.
    pub challengers: u32,
    /// When it was claimed.
    pub at: Timestamp,
}

/// A rejection.
#[derive(Serialize, Deserialize)]
struct RefusalText {
    version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
    epoch: u64,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    reconsidered: bool,
    at: Timestamp,
}

/// A register that holds something else than Podium writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger entry `{key}` is not what Podium writes: {message}")]
pub struct BadEntry {
    /// Its key.
    pub key: String,
    /// What is wrong.
    pub message: String,
}

/// The ledger of a model, as far as the aliases of one policy are concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// Owners by alias and number, of the aliases that the policy writes.
    pub owners: BTreeMap<String, BTreeMap<u64, Owner>>,
    /// Epochs by number, from 1, without gaps.
    pub epochs: BTreeMap<u64, Epoch>,
    /// Rejections by number.
    pub refusals: BTreeMap<u64, Refusal>,
    /// Looks by number, of all policies of the model.
    pub looks: BTreeMap<u64, Look>,
    /// Parts of sketches by fingerprint and number.
    pub sketches: BTreeMap<String, BTreeMap<u64, String>>,
}

/// A register to write: its key and its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Register {
    /// The key.
    pub key: String,
    /// The text.
    pub text: String,
}

impl Register {
    /// Whether each ledger can hold it, and what must hold if not.
    ///
    /// # Errors
    /// It is no short line.
    pub fn check(&self) -> Result<(), String> {
        if self.text.len() < REGISTER_BYTES && !self.text.contains('\n') {
            return Ok(());
        }
        Err(format!(
            "the ledger entry `{}` must be one line of less than {REGISTER_BYTES} bytes, so names of versions must be shorter",
            self.key
        ))
    }
}

impl Ledger {
    /// Reads the registers of a model, as far as the champion alias of a policy and the ownership of the aliases that it writes are
    /// concerned; other keys are left alone.
    ///
    /// # Errors
    /// A register of a known kind that cannot be understood, or a gap in their numbers.
    pub fn read(registers: &BTreeMap<String, String>, aliases: &Aliases) -> Result<Self, BadEntry> {
        let mut ledger = Self::default();
        for alias in aliases.written() {
            ledger.owners.insert(alias.to_string(), BTreeMap::new());
        }
        for (key, text) in registers {
            ledger.take(key, text, &aliases.champion)?;
        }
        ledger.check_whole(&aliases.champion)?;
        Ok(ledger)
    }

    /// Registers are never removed, so a gap means that somebody removed one.
    fn check_whole(&self, alias: &str) -> Result<(), BadEntry> {
        let epochs = first_gap(self.epochs.keys()).map(|number| epoch_key("claim", alias, number));
        let owners = self.owners.iter().find_map(|(alias, owners)| {
            first_gap(owners.keys()).map(|number| epoch_key("owner", alias, number))
        });
        let looks = first_gap(self.looks.keys()).map(|number| format!("look/{number:08}"));
        let last = self.last_epoch();
        let mut closed = self.epochs.iter().filter(|(number, _)| **number != last);
        let open = closed.find(|(_, epoch)| epoch.outcome.is_none());
        let outcome = open.map(|(number, _)| epoch_key("outcome", alias, *number));
        match epochs.or(owners).or(looks).or(outcome) {
            None => self.check_refusals(alias),
            Some(key) => Err(bad(&key, "it is missing although later ones exist")),
        }
    }

    /// Podium refuses in an epoch that it knows, at a time that a status can tell. Anything else could never be taken in.
    fn check_refusals(&self, alias: &str) -> Result<(), BadEntry> {
        let last = self.last_epoch();
        let mut refusals = self.refusals.iter();
        let wrong = refusals.find(|(_, refusal)| {
            refusal.epoch > last || !(0..=LAST_SECOND).contains(&refusal.at.whole_seconds())
        });
        match wrong {
            None => Ok(()),
            Some((number, _)) => {
                let key = epoch_key("refused", alias, *number);
                Err(bad(
                    &key,
                    "its epoch is none of the ledger, or its time none of a calendar",
                ))
            }
        }
    }

    fn take(&mut self, key: &str, text: &str, alias: &str) -> Result<(), BadEntry> {
        let parts: Vec<&str> = key.split('/').collect();
        match parts.as_slice() {
            ["owner", of, number] => {
                if let Some(owners) = self.owners.get_mut(*of) {
                    owners.insert(parse_number(key, number)?, parse(key, text)?);
                }
            }
            ["claim", of, number] if *of == alias => {
                let epoch = Epoch {
                    claim: parse(key, text)?,
                    outcome: None,
                };
                self.epochs.insert(parse_number(key, number)?, epoch);
            }
            ["outcome", of, number] if *of == alias => {
                let entry: OutcomeText = parse(key, text)?;
                let outcome = EpochOutcome::parse(&entry.outcome)
                    .ok_or_else(|| bad(key, "its outcome is not known"))?;
                // `claim/…` sorts before `outcome/…`.
                let epoch = self.epochs.get_mut(&parse_number(key, number)?);
                let epoch = epoch.ok_or_else(|| bad(key, "its epoch was not claimed"))?;
                epoch.outcome = Some(OutcomeEntry {
                    outcome,
                    at: entry.at,
                });
            }
            ["refused", of, number] if *of == alias => {
                let entry: RefusalText = parse(key, text)?;
                let refusal = Refusal {
                    number: 0,
                    version: entry.version,
                    evidence: entry.evidence,
                    epoch: entry.epoch,
                    by: entry.by,
                    decision: entry.decision,
                    comment: None,
                    reconsidered: entry.reconsidered,
                    at: entry.at,
                };
                self.refusals.insert(parse_number(key, number)?, refusal);
            }
            ["look", number] => {
                self.looks
                    .insert(parse_number(key, number)?, parse(key, text)?);
            }
            ["holdout", fingerprint, part] => {
                let parts = self.sketches.entry((*fingerprint).to_string()).or_default();
                parts.insert(parse_number(key, part)?, text.to_string());
            }
            _ => {}
        }
        Ok(())
    }

    /// The owners of an alias that the policy writes, oldest first.
    pub fn owners_of(&self, alias: &str) -> impl DoubleEndedIterator<Item = &Owner> {
        self.owners
            .get(alias)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    /// The owner of an alias that the policy writes.
    #[must_use]
    pub fn owner_of(&self, alias: &str) -> Option<&Owner> {
        self.owners_of(alias).next_back()
    }

    /// The number of the next owner of an alias.
    #[must_use]
    pub fn next_owner(&self, alias: &str) -> u64 {
        let owners = self.owners.get(alias);
        owners.map_or(1, |owners| next_number(owners.keys()))
    }

    /// The number of the next rejection.
    #[must_use]
    pub fn next_refusal(&self) -> u64 {
        next_number(self.refusals.keys())
    }

    /// The number of the last epoch that was claimed; 0 before the first.
    #[must_use]
    pub fn last_epoch(&self) -> u64 {
        self.epochs.keys().next_back().copied().unwrap_or(0)
    }

    /// The number of the last epoch that has an outcome; 0 before the first.
    #[must_use]
    pub fn closed_epoch(&self) -> u64 {
        self.last_epoch() - u64::from(self.open_epoch().is_some())
    }

    /// The epoch that was claimed and has no outcome.
    #[must_use]
    pub fn open_epoch(&self) -> Option<(u64, &Epoch)> {
        let (number, epoch) = self.epochs.iter().next_back()?;
        epoch.outcome.is_none().then_some((*number, epoch))
    }

    /// The sketch of a holdout, where it is whole.
    #[must_use]
    pub fn sketch(&self, fingerprint: &str) -> Option<Sketch> {
        let parts = self.sketches.get(fingerprint)?;
        let text: Vec<&str> = parts.values().map(String::as_str).collect();
        Sketch::from_parts(&text).ok()
    }

    /// Whether a holdout is one that was decided on before: the same, one that shares most of its rows, or one of which
    /// nothing is known any more.
    #[must_use]
    pub fn is_same_holdout(&self, fingerprint: &str, sketch: &Sketch, earlier: &str) -> bool {
        fingerprint == earlier
            || self
                .sketch(earlier)
                .is_none_or(|earlier| sketch.shares_most_rows_with(&earlier))
    }

    /// Which look at a holdout the one with this number is, or would be: looks are counted over all holdouts that share most rows.
    #[must_use]
    pub fn ordinal(&self, number: u64, fingerprint: &str, sketch: &Sketch) -> u32 {
        let earlier = self.looks.range(..number);
        let counted =
            earlier.filter(|(_, l)| self.is_same_holdout(fingerprint, sketch, &l.holdout));
        u32::try_from(counted.count()).unwrap_or(u32::MAX - 1) + 1
    }

    /// The number of the next look.
    #[must_use]
    pub fn next_look(&self) -> u64 {
        next_number(self.looks.keys())
    }
}

fn next_number<'a>(mut numbers: impl DoubleEndedIterator<Item = &'a u64>) -> u64 {
    numbers.next_back().map_or(1, |last| last + 1)
}

fn bad(key: &str, message: impl Into<String>) -> BadEntry {
    BadEntry {
        key: key.to_string(),
        message: message.into(),
    }
}

fn parse<T: serde::de::DeserializeOwned>(key: &str, text: &str) -> Result<T, BadEntry> {
    serde_json::from_str(text).map_err(|error| bad(key, error.to_string()))
}

/// The first number from 1 on that is not there although a higher one is.
fn first_gap<'a>(numbers: impl Iterator<Item = &'a u64>) -> Option<u64> {
    let mut expected = 1..;
    numbers
        .zip(&mut expected)
        .find_map(|(number, expected)| (*number != expected).then_some(expected))
}

fn parse_number(key: &str, text: &str) -> Result<u64, BadEntry> {
    if text.len() != 8 {
        return Err(bad(key, "its key must end with a number of eight digits"));
    }
    text.parse()
        .map_err(|_| bad(key, "its key must end with a number"))
}

fn epoch_key(kind: &str, alias: &str, number: u64) -> String {
    format!("{kind}/{alias}/{number:08}")
}

/// A register; texts that people chose are cut with a digest at their end where they do not fit.
fn register<T: Serialize>(key: String, value: &T) -> Register {
    Register {
        key,
        text: serde_json::to_string(value).unwrap_or_default(),
    }
}

/// A text of at most `most` bytes, counted as JSON writes them: a longer one is cut and ends with a digest of the whole.
#[must_use]
pub fn bounded(text: &str, most: usize) -> String {
    // Without the quotes around it. People may choose characters that take six bytes each.
    let written =
        |part: &str| serde_json::to_string(part).map_or(usize::MAX, |json| json.len() - 2);
    if written(text) <= most {
        return text.to_string();
    }
    let digest = super::cause::digest(&[text]);
    let room = most.saturating_sub(digest.len() + 1);
    let ends = text.char_indices().map(|(start, _)| start);
    let end = ends.take_while(|end| written(&text[..*end]) <= room).last();
    format!("{}-{digest}", &text[..end.unwrap_or(0)])
}

/// The register of an owner.
#[must_use]
pub fn owner_register(alias: &str, number: u64, owner: &Owner) -> Register {
    let owner = Owner {
        policy: bounded(&owner.policy, 160),
        at: owner.at,
        taken_over: owner.taken_over,
    };
    register(epoch_key("owner", alias, number), &owner)
}

/// The register of a claim.
#[must_use]
pub fn claim_register(alias: &str, epoch: u64, claim: &Claim) -> Register {
    register(epoch_key("claim", alias, epoch), claim)
}

/// The register of an outcome.
#[must_use]
pub fn outcome_register(alias: &str, epoch: u64, entry: &OutcomeEntry) -> Register {
    let text = OutcomeText {
        outcome: entry.outcome.name(),
        at: entry.at,
    };
    register(epoch_key("outcome", alias, epoch), &text)
}

/// The register of a rejection.
#[must_use]
pub fn refusal_register(alias: &str, number: u64, refusal: &Refusal) -> Register {
    let text = RefusalText {
        version: refusal.version.clone(),
        evidence: refusal.evidence.clone(),
        epoch: refusal.epoch,
        by: bounded(&refusal.by, 40),
        decision: refusal.decision.clone(),
        reconsidered: refusal.reconsidered,
        at: refusal.at,
    };
    register(epoch_key("refused", alias, number), &text)
}

/// The register of a look.
#[must_use]
pub fn look_register(number: u64, look: &Look) -> Register {
    register(format!("look/{number:08}"), look)
}

/// The registers of a holdout's sketch.
#[must_use]
pub fn sketch_registers(fingerprint: &str, sketch: &Sketch) -> Vec<Register> {
    let parts = sketch.parts();
    let numbered = parts.into_iter().enumerate();
    numbered
        .map(|(number, text)| Register {
            key: format!("holdout/{fingerprint}/{number:08}"),
            text,
        })
        .collect()
}
