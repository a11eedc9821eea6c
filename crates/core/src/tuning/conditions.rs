//! The conditions of a `TuningJob`: one table for `kubectl wait`, kstatus, Flux and Argo CD.
//!
//! Conditions that are abnormal when true (`Reconciling`, `Stalled`) are absent instead of false.

use super::{Phase, Reason, TuningReport};

/// `status` of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It is not known yet.
    Unknown,
}

impl Status {
    /// The text that stands in `status`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A condition without its times, which the shell adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Such as `Ready`.
    pub kind: &'static str,
    /// Whether it holds.
    pub status: Status,
    /// From the closed list of reasons.
    pub reason: String,
    /// One sentence.
    pub message: String,
}

/// The conditions that go with a report, in a fixed order.
#[must_use]
pub fn conditions(report: &TuningReport) -> Vec<Condition> {
    conditions_of(report.phase, report.reason, &report.message)
}

/// The conditions that go with a phase, in a fixed order.
#[must_use]
pub fn conditions_of(phase: Phase, reason: Reason, message: &str) -> Vec<Condition> {
    use Status::{False, True, Unknown};
    let (ready, reconciling, stalled, succeeded, finished, suspended) = match phase {
        Phase::Pending => (False, true, false, Unknown, False, False),
        Phase::Running => (True, false, false, Unknown, False, False),
        Phase::Suspended => (True, false, false, Unknown, False, True),
        Phase::Blocked => (False, false, true, Unknown, False, False),
        Phase::Succeeded => (True, false, false, True, True, False),
        Phase::Failed => (False, false, true, False, True, False),
        Phase::Terminating => (False, true, false, Unknown, False, False),
    };
    let always = [
        ("Ready", ready),
        ("Succeeded", succeeded),
        ("Finished", finished),
        ("Suspended", suspended),
    ];
    let abnormal = [("Reconciling", reconciling), ("Stalled", stalled)];
    always
        .into_iter()
        .chain(
            abnormal
                .into_iter()
                .filter(|(_, on)| *on)
                .map(|(kind, _)| (kind, True)),
        )
        .map(|(kind, status)| Condition {
            kind,
            status,
            reason: reason.as_str().to_string(),
            message: message.to_string(),
        })
        .collect()
}
