//! How an object store is reached: where it answers, whose certificates are trusted, who asks, and how long is waited.

use super::answer::Place;
use crate::ports::PortError;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    Builder, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use podium_api::champion_policy::StoreSpec;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use aws_sdk_s3::config::Credentials;

/// The region of a store that has none, as most servers other than AWS know it.
const USUAL_REGION: &str = "us-east-1";
/// The variables of the environment that name an endpoint.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
/// The variable that names a file of certificates.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";
/// The longest pause before a request is sent again.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How an object store is reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Where it answers; as the environment says when absent, and else AWS.
    pub endpoint: Option<String>,
    /// Its region; as the environment says when absent.
    pub region: Option<String>,
    /// Whether buckets are named in the path instead of the host.
    pub path_style: bool,
    /// A file of certificates in PEM that are trusted besides those of the system.
    pub ca_bundle: Option<PathBuf>,
    /// Who asks; as the environment says when absent.
    pub credentials: Option<Credentials>,
    /// How long is waited.
    pub patience: Patience,
}

/// How long is waited for a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until a connection is there.
    pub connection: Duration,
    /// Until an answer begins, and between two pieces of it.
    pub silence: Duration,
    /// In this time a part of an answer must come that is worth waiting for.
    pub window: Duration,
    /// Before a request is sent again for the first time; longer before each later one.
    pub pause: Duration,
    /// How often a request is sent at the most.
    pub attempts: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connection: Duration::from_secs(5),
            silence: Duration::from_secs(30),
            window: Duration::from_secs(30),
            pause: Duration::from_millis(500),
            attempts: 4,
        }
    }
}

impl Patience {
    /// The pause before the n-th time, from 1, that something is tried again.
    pub(super) fn pause_before(&self, nth: u32) -> Duration {
        let longer = self
            .pause
            .saturating_mul(1 << nth.saturating_sub(1).min(16));
        longer.min(LONGEST_PAUSE)
    }

    /// Bounds of a request whose answer may take `most` at each attempt.
    pub(super) fn timeouts(&self, most: Duration) -> TimeoutConfig {
        let attempt = self.connection + most;
        let all = (attempt + LONGEST_PAUSE) * self.attempts.max(1);
        TimeoutConfig::builder()
            .connect_timeout(self.connection)
            .read_timeout(most)
            .operation_attempt_timeout(attempt)
            .operation_timeout(all)
            .build()
    }

    fn retries(&self) -> RetryConfig {
        RetryConfig::standard()
            .with_max_attempts(self.attempts.max(1))
            .with_initial_backoff(self.pause)
            .with_max_backoff(LONGEST_PAUSE)
    }
}

impl Access {
    /// As the specification of a store says, and the environment where it says nothing. Its Secret and its ConfigMap are those of a cluster,
    /// whose pods get what is in them by their environment.
    #[must_use]
    pub fn from_environment(store: Option<&StoreSpec>) -> Self {
        let StoreSpec {
            endpoint,
            region,
            path_style,
            ca_bundle_config_map_ref: _,
            credentials_secret_ref: _,
        } = store.cloned().unwrap_or_default();
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        // Few servers other than AWS have a host for each bucket.
        let is_elsewhere = ENDPOINTS.iter().any(|name| variable(name).is_some());
        Self {
            path_style: path_style || (endpoint.is_none() && is_elsewhere),
            endpoint,
            region,
            ca_bundle: variable(CA_BUNDLE).map(PathBuf::from),
            credentials: None,
            patience: Patience::default(),
        }
    }

    /// A client of the store. Nothing is sent to it.
    pub(super) async fn client(&self) -> Result<(Client, Place), PortError> {
        let region = RegionProviderChain::first_try(self.region.clone().map(Region::new))
            .or_else(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else(Region::from_static(USUAL_REGION));
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client(self.ca_bundle.as_deref())?)
            .region(region)
            .retry_config(self.patience.retries())
            .timeout_config(self.patience.timeouts(self.patience.silence))
            // Not every server knows the checksums that the SDK would add. What is written is signed, and of what is read they are asked
            // for where they help.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(credentials) = &self.credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        let shared = loader.load().await;
        // Not in the loader: whoever gives out credentials is asked elsewhere.
        let mut config = Builder::from(&shared).force_path_style(self.path_style);
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint);
        }
        let client = Client::from_conf(config.build());
        let region = client.config().region().map(ToString::to_string);
        let region = region.unwrap_or_default();
        let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let endpoint = self.endpoint.clone();
        let endpoint = endpoint.or_else(|| ENDPOINTS.iter().find_map(set));
        let endpoint = endpoint.or_else(|| shared.endpoint_url().map(str::to_string));
        let place = Place {
            endpoint: match endpoint {
                Some(endpoint) => without_account(&endpoint),
                None => format!("S3 of AWS in {region}"),
            },
            region,
        };
        Ok((client, place))
    }
}

/// An address without the name and the password that may stand in front of its host.
fn without_account(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => url.to_string(),
    }
}

fn http_client(ca_bundle: Option<&Path>) -> Result<SharedHttpClient, PortError> {
    let mut trusted = TrustStore::default();
    if let Some(path) = ca_bundle {
        trusted.add_pem_certificate(certificates(path)?);
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|error| PortError::refused(error.to_string()))?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_https())
}

/// The text of a file of certificates, each of which can be trusted: the client takes that for granted.
fn certificates(path: &Path) -> Result<Vec<u8>, PortError> {
    let refused = |why: String| {
        PortError::refused(format!(
            "{CA_BUNDLE} must name a file of certificates in PEM; {}: {why}",
            path.display()
        ))
    };
    let text = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| refused(error.to_string()))?;
        let added = trusted.add(certificate);
        added.map_err(|error| refused(error.to_string()))?;
    }
    if trusted.is_empty() {
        return Err(refused("it holds none".to_string()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let patience = Patience::default();
        let seconds = [1, 2, 3, 4, 5, 100].map(|nth| patience.pause_before(nth).as_secs_f64());
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]);
    }

    #[test]
    fn an_account_in_an_address_is_not_told() {
        for (url, told) in [
            (
                "https://me:canary@s3.example.com/a",
                "https://s3.example.com/a",
            ),
            ("https://s3.example.com:7070", "https://s3.example.com:7070"),
        ] {
            assert_eq!(without_account(url), told);
        }
    }

    #[test]
    fn certificates_that_cannot_be_used_are_refused_before_a_connection() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.crt");
        let refusal = || {
            let refusal = http_client(Some(&path)).unwrap_err().to_string();
            let names = refusal.contains("AWS_CA_BUNDLE") && refusal.contains("ca.crt");
            assert!(names, "{refusal}");
            refusal
        };
        assert!(refusal().contains("No such file"));
        for (text, why) in [
            ("", "it holds none"),
            ("no certificate", "it holds none"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                ": ",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(refusal().contains(why), "{text}");
        }
    }

    #[test]
    fn what_the_specification_says_counts() {
        let store = StoreSpec {
            endpoint: Some("https://s3.example.com".to_string()),
            region: Some("eu-1".to_string()),
            ..StoreSpec::default()
        };
        let access = Access::from_environment(Some(&store));
        assert_eq!(access.endpoint, store.endpoint);
        assert_eq!(access.region, store.region);
        assert!(!access.path_style);
    }
}
