//! A connection to a registry: what its preflight found.

use super::trial::is_deleted;
use super::{Engine, Requeue};
use crate::ports::{
    Cluster, ModelRegistry as _, PortError, PortErrorKind, Ports, Preflight, PreflightProblem,
};
use podium_api::ModelRegistry;
use podium_api::convert::{settled_condition, with_conditions};
use podium_api::model_registry::ModelRegistryStatus;
use podium_api::schema::Conditions;
use podium_core::tuning::conditions::{Condition, Status};

/// The condition that says whether the account may keep ledgers.
pub(super) const LEDGER_AVAILABLE: &str = "LedgerAvailable";
/// Seconds between two looks at a registry that can be used.
const INTERVAL_SECONDS: u64 = 300;
/// Seconds between two looks at one that cannot.
const INTERVAL_WHILE_BROKEN_SECONDS: u64 = 30;

impl<P: Ports> Engine<P> {
    /// Looks whether a registry can be used, and says so on its object.
    ///
    /// # Errors
    /// A port could not do what it was asked.
    pub async fn reconcile_model_registry(&self, name: &str) -> Result<Requeue, PortError> {
        let found = self.ports.cluster().get::<ModelRegistry>(name).await?;
        let Some(object) = found.filter(|object| !is_deleted(object)) else {
            return Ok(Requeue::default());
        };
        let preflight = match self.ports.registry(&object).await {
            Ok(registry) => registry.preflight().await,
            Err(error) => Preflight {
                problem: Some(without_a_connection(&error)),
                ..Preflight::default()
            },
        };
        let now = self.now();
        let generation = object.metadata.generation;
        let before = object.status.clone().unwrap_or_default();
        let is_usable = preflight.problem.is_none();
        let mut updated = object;
        updated.status = Some(ModelRegistryStatus {
            observed_generation: generation,
            conditions: with_conditions(
                &before.conditions,
                &conditions(&preflight, &before.conditions),
                generation,
                now,
            ),
            // A server that is away has the version that it had.
            server_version: preflight.server_version.or(before.server_version),
        });
        self.ports.cluster().write_status(&updated).await?;
        if !is_usable {
            return Ok(Requeue {
                at: Some(now.plus_seconds(INTERVAL_WHILE_BROKEN_SECONDS)),
                ..Requeue::default()
            });
        }
        let next = now.plus_seconds(INTERVAL_SECONDS);
        let orphans = self.end_orphans(&updated).await;
        Ok(Requeue {
            at: orphans.into_iter().chain([next]).min(),
            ..Requeue::default()
        })
    }
}

/// Nothing could be asked of the registry.
fn without_a_connection(error: &PortError) -> PreflightProblem {
    PreflightProblem {
        reason: error.reason.unwrap_or(match error.kind {
            PortErrorKind::Invalid => "InvalidSpec",
            PortErrorKind::Missing => "ReferenceNotFound",
            PortErrorKind::Forbidden => "HostNotAllowed",
            PortErrorKind::Refused => "CannotCarryOut",
            PortErrorKind::Unavailable | PortErrorKind::Conflict => "Unavailable",
        }),
        message: error.message.clone(),
        is_transient: error.is_transient(),
    }
}

/// The conditions of a registry. `Reconciling` and `Stalled` are abnormal, and absent instead of false.
fn conditions(preflight: &Preflight, before: &Conditions) -> Vec<Condition> {
    let condition = |kind, status, reason: &str, message: &str| Condition {
        kind,
        status,
        reason: reason.to_string(),
        message: message.to_string(),
    };
    let mut conditions = Vec::new();
    match &preflight.problem {
        None => {
            let version = preflight.server_version.as_deref();
            let message = match version {
                Some(version) => format!("MLflow {version} can be used"),
                None => "the registry can be used".to_string(),
            };
            conditions.push(condition("Ready", Status::True, "Usable", &message));
        }
        Some(problem) => {
            let abnormal = if problem.is_transient {
                "Reconciling"
            } else {
                "Stalled"
            };
            let (reason, message) = (problem.reason, problem.message.as_str());
            conditions.push(condition("Ready", Status::False, reason, message));
            conditions.push(condition(abnormal, Status::True, reason, message));
        }
    }
    conditions.extend(of_ledgers(preflight, before));
    conditions
}

/// Whether the account may keep ledgers.
fn of_ledgers(preflight: &Preflight, before: &Conditions) -> Option<Condition> {
    let condition = |status, reason: &str, message: &str| Condition {
        kind: LEDGER_AVAILABLE,
        status,
        reason: reason.to_string(),
        message: message.to_string(),
    };
    match (&preflight.problem, &preflight.ledger_problem) {
        (None, None) => {
            let message = "the account may keep ledgers, which policies of several clusters share";
            Some(condition(Status::True, "Usable", message))
        }
        (None, Some(problem)) => Some(condition(Status::False, problem.reason, &problem.message)),
        // A server that is away for a while has the rights that it had.
        (Some(problem), _) if problem.is_transient => {
            let (status, reason, message) = settled_condition(before, LEDGER_AVAILABLE)?;
            let is_available = status == Status::True.as_str();
            let status = if is_available {
                Status::True
            } else {
                Status::False
            };
            Some(condition(status, reason, message))
        }
        // Nothing is known of ledgers of a registry that cannot be used.
        (Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_core::time::Timestamp;

    fn problem(is_transient: bool) -> PreflightProblem {
        PreflightProblem {
            reason: "Reason",
            message: "why".to_string(),
            is_transient,
        }
    }

    fn preflight(
        problem: Option<PreflightProblem>,
        ledger_problem: Option<PreflightProblem>,
    ) -> Preflight {
        Preflight {
            server_version: Some("3.17.2".to_string()),
            problem,
            ledger_problem,
        }
    }

    fn said(problem: Option<PreflightProblem>, ledger: Option<PreflightProblem>) -> Vec<String> {
        said_after(&Vec::new(), problem, ledger)
    }

    fn said_after(
        before: &Conditions,
        problem: Option<PreflightProblem>,
        ledger: Option<PreflightProblem>,
    ) -> Vec<String> {
        let said = conditions(&preflight(problem, ledger), before);
        said.iter()
            .map(|said| format!("{}={}", said.kind, said.status.as_str()))
            .collect()
    }

    #[test]
    fn each_outcome_of_a_preflight_has_its_conditions() {
        assert_eq!(said(None, None), ["Ready=True", "LedgerAvailable=True"]);
        assert_eq!(
            said(None, Some(problem(false))),
            ["Ready=True", "LedgerAvailable=False"]
        );
        assert_eq!(
            said(Some(problem(true)), None),
            ["Ready=False", "Reconciling=True"]
        );
        assert_eq!(
            said(Some(problem(false)), None),
            ["Ready=False", "Stalled=True"]
        );
    }

    #[test]
    fn a_server_that_is_away_has_the_rights_that_it_had() {
        let known = |ledger| {
            let said = conditions(&preflight(None, ledger), &Vec::new());
            with_conditions(&Vec::new(), &said, Some(1), Timestamp(0))
        };
        let (available, denied) = (known(None), known(Some(problem(false))));
        let away = ["Ready=False", "Reconciling=True"];
        for (before, expected) in [(&available, "True"), (&denied, "False")] {
            let said = said_after(before, Some(problem(true)), None);
            let ledger = format!("LedgerAvailable={expected}");
            assert_eq!(said, [away[0], away[1], &ledger]);
            let unusable = said_after(before, Some(problem(false)), None);
            assert_eq!(unusable, ["Ready=False", "Stalled=True"]);
        }
    }
}
