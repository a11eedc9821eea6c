//! Where messages go, and whether they may.

use crate::adapters::mlflow::hosts::{HostRules, NOT_ALLOWED_TO_NOTIFY, Permit};
use reqwest::Url;

/// A receiver's address, to which messages may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(super) url: Url,
    pub(super) permit: Permit,
}

impl Target {
    /// The target at this address.
    ///
    /// # Errors
    /// What must hold of it. It is not repeated but for its host, since it may hold what is nobody's business.
    pub fn of(address: &str, hosts: &HostRules) -> Result<Self, String> {
        let url = Url::parse(address).map_err(|error| format!("must be an address: {error}"))?;
        let refused = |message: &str| Err(message.to_string());
        if !matches!(url.scheme(), "http" | "https") {
            return refused("must begin with https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused(
                "must not hold credentials; a receiver knows Podium by the signature, whose key stands in the Secret of secretRef",
            );
        }
        if url.fragment().is_some() {
            return refused("must not have a fragment, which is never sent");
        }
        if url.port() == Some(0) {
            return refused("must have a port from 1 to 65535");
        }
        let host = url.host_str().unwrap_or_default();
        let permit = hosts
            .permit(host)
            .ok_or_else(|| format!("the host {host} {NOT_ALLOWED_TO_NOTIFY}"))?;
        if url.scheme() == "http" && permit != Permit::Named {
            return Err(format!(
                "must begin with https://, since --notify-allowed-hosts does not name the host {host} itself"
            ));
        }
        Ok(Self { url, permit })
    }

    /// Its host with its port.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::mlflow::hosts::AllowedHosts;

    fn target(address: &str, rules: &[&str]) -> Result<Target, String> {
        let rules = AllowedHosts::parse(rules.iter().copied()).unwrap();
        Target::of(address, &rules.of("team"))
    }

    #[test]
    fn messages_go_over_https_unless_the_host_was_named() {
        let by_pattern = target("https://hooks.example.com/ml?x=1", &["*=*"]).unwrap();
        assert_eq!(by_pattern.permit, Permit::Ordinary);
        assert_eq!(by_pattern.authority(), "hooks.example.com:443");
        assert_eq!(by_pattern.url.as_str(), "https://hooks.example.com/ml?x=1");
        for rules in [["*=*"], ["team=*.example.com"]] {
            let message = target("http://hooks.example.com", &rules).unwrap_err();
            assert!(message.contains("https://"), "{message}");
        }
        let named = target("http://127.0.0.1:8080/", &["team=127.0.0.1"]).unwrap();
        assert_eq!(named.permit, Permit::Named);
        assert_eq!(named.authority(), "127.0.0.1:8080");
    }

    #[test]
    fn what_is_no_address_of_a_receiver_is_refused_without_being_repeated() {
        let cases = [
            ("canary", "must be an address"),
            ("ftp://canary", "https://"),
            ("https://me:canary@hooks.example.com", "credentials"),
            ("https://hooks.example.com/#canary", "fragment"),
            ("https://hooks.example.com:0/canary", "port"),
            ("https://169.254.169.254/canary", NOT_ALLOWED_TO_NOTIFY),
            ("https://2130706433/canary", NOT_ALLOWED_TO_NOTIFY),
            ("https://[::ffff:127.0.0.1]/canary", NOT_ALLOWED_TO_NOTIFY),
        ];
        for (address, words) in cases {
            let message = target(address, &["*=*"]).unwrap_err();
            assert!(
                message.contains(words) && !message.contains("canary"),
                "{address}: {message}"
            );
        }
        let others = target("https://hooks.example.com", &["others=hooks.example.com"]);
        assert!(others.unwrap_err().contains("the host hooks.example.com"));
    }
}
