//! Whether a server can be used as a registry, and if not, what to do about it.

use super::answer::{RequestError, RequestErrorKind};
use super::ledger::EXPERIMENT;
use super::registry::MlflowRegistry;
use crate::ports::{Preflight, PreflightProblem};
use serde::de::IgnoredAny;

impl MlflowRegistry {
    /// Asks for its version and a page of models, and whether its account may keep ledgers.
    pub(super) async fn examined(&self) -> Preflight {
        let server = self.server();
        let listed: Result<IgnoredAny, _> = server
            .get("registered-models/search", &[("max_results", "1")])
            .await;
        let problem = listed.err().map(|error| self.problem(&error));
        if problem.is_some() {
            return Preflight {
                problem,
                ..Preflight::default()
            };
        }
        Preflight {
            // A registry works without telling its version, for example behind a proxy that passes the interface only.
            server_version: server.version().await.ok(),
            problem,
            ledger_problem: self.ledger_problem().await,
        }
    }

    async fn ledger_problem(&self) -> Option<PreflightProblem> {
        let error = self.ledgers.may_be_kept().await.err()?;
        Some(match error.kind {
            RequestErrorKind::Forbidden => PreflightProblem {
                reason: "MissingRights",
                message: format!(
                    "the account needs EDIT on the experiment `{EXPERIMENT}`, which holds the ledgers, or the right to create it: {}",
                    error.message
                ),
                is_transient: false,
            },
            _ => self.problem(&error),
        })
    }

    fn problem(&self, error: &RequestError) -> PreflightProblem {
        let (address, host, said) = (
            self.server().address(),
            self.server().host(),
            &error.message,
        );
        let (reason, message) = match error.kind {
            RequestErrorKind::Unauthorized => (
                "WrongCredentials",
                format!(
                    "MLflow refuses the credentials; `credentialsSecretRef` must name a Secret with `username` and `password`, or `token`, of an account: {said}"
                ),
            ),
            RequestErrorKind::Forbidden => (
                "MissingRights",
                format!(
                    "the account may not look at registered models; it needs EDIT on those that policies name: {said}"
                ),
            ),
            RequestErrorKind::HostRejected => (
                "HostRejected",
                format!(
                    "MLflow does not answer to the host `{host}`; start it with `--allowed-hosts`, or MLFLOW_SERVER_ALLOWED_HOSTS, that names exactly `{host}` too: {said}"
                ),
            ),
            RequestErrorKind::NotMlflow => (
                "NotMLflow",
                format!(
                    "what answers at {address} is not the interface of MLflow; `mlflow.url` must be its address with the path of `--static-prefix`, where it has one, and without a login page in front: {said}"
                ),
            ),
            RequestErrorKind::Missing => (
                "NotMLflow",
                format!("{address} has no registered models: {said}"),
            ),
            RequestErrorKind::Redirected => (
                "Redirected",
                format!(
                    "{said}; redirects are not followed, so `mlflow.url` must be the last address"
                ),
            ),
            RequestErrorKind::Untrusted => (
                "UntrustedCertificate",
                format!(
                    "the certificate of {address} is not accepted; {}: {said}",
                    mend_of_certificate(said)
                ),
            ),
            RequestErrorKind::NotAllowed => (
                "HostNotAllowed",
                format!(
                    "{said}; whoever runs the operator decides which hosts a namespace may name"
                ),
            ),
            RequestErrorKind::Exists | RequestErrorKind::Refused => (
                "Refused",
                format!("MLflow refuses to list its models: {said}"),
            ),
            RequestErrorKind::Unknown | RequestErrorKind::Unavailable => (
                "Unreachable",
                format!("{address} cannot be reached: {said}"),
            ),
        };
        PreflightProblem {
            reason,
            message,
            is_transient: error.leaves_open(),
        }
    }
}

/// What mends a certificate that is not accepted for this reason.
fn mend_of_certificate(said: &str) -> &'static str {
    let mends = [
        (
            "valid for name",
            "`mlflow.url` must use a name that it is valid for",
        ),
        ("expired", "the server must get a new one"),
        ("not valid yet", "a clock is wrong, or it is too new"),
        (
            "CaUsedAsEndEntity",
            "the server must use one that is no authority's, signed by that authority",
        ),
    ];
    let found = mends.into_iter().find(|(words, _)| said.contains(words));
    found.map_or(
        "`caBundleConfigMapRef` must name a ConfigMap whose `ca.crt` holds the certificate of its authority",
        |(_, mend)| mend,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_mended_where_it_fails() {
        let cases = [
            ("invalid peer certificate: UnknownIssuer", "ca.crt"),
            (
                "invalid peer certificate: certificate not valid for name \"a\"; certificate is only valid for b",
                "mlflow.url",
            ),
            (
                "invalid peer certificate: certificate expired: verification time 2 (UNIX), but certificate is not valid after 1",
                "a new one",
            ),
            (
                "invalid peer certificate: certificate not valid yet: verification time 1 (UNIX)",
                "clock",
            ),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                "no authority's",
            ),
        ];
        for (said, mend) in cases {
            assert!(mend_of_certificate(said).contains(mend), "{said}");
        }
    }
}
