//! The address of a server, below which all requests go.

use reqwest::Url;

/// The address with a slash at its end, so that paths are appended to it.
///
/// # Errors
/// What must hold of it. It is not repeated, since it may hold a password.
pub(super) fn base_of(url: &str) -> Result<Url, String> {
    let refused = |message: &str| Err(message.to_string());
    let mut base = Url::parse(url).map_err(|error| format!("must be an address: {error}"))?;
    if !matches!(base.scheme(), "http" | "https") {
        return refused("must begin with http:// or https://");
    }
    if !base.username().is_empty() || base.password().is_some() {
        return refused(
            "must not hold credentials; they belong into the Secret of credentialsSecretRef",
        );
    }
    if base.query().is_some() || base.fragment().is_some() {
        return refused("must have neither a query nor a fragment");
    }
    if base.port() == Some(0) {
        return refused("must have a port from 1 to 65535");
    }
    let path = format!("{}/", base.path().trim_end_matches('/'));
    base.set_path(&path);
    Ok(base)
}

/// The host as requests name it: with its port, unless that is the usual one.
pub(super) fn host_header(base: &Url) -> String {
    let host = base.host_str().unwrap_or_default();
    match base.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_below_the_address_whatever_its_form() {
        let cases = [
            ("https://mlflow.example.com", "/api", "mlflow.example.com"),
            (
                "https://mlflow.example.com:443/",
                "/api",
                "mlflow.example.com",
            ),
            (
                "http://MLflow.example.com:5000/mlf",
                "/mlf/api",
                "mlflow.example.com:5000",
            ),
            (
                "http://mlflow.example.com/a/b//",
                "/a/b/api",
                "mlflow.example.com",
            ),
            (
                "http://mlflow.example.com/a%2Fb%20c/",
                "/a%2Fb%20c/api",
                "mlflow.example.com",
            ),
            (
                "http://mlflow.example.com/a/../b",
                "/b/api",
                "mlflow.example.com",
            ),
            (
                "http://[2001:db8::1]:5000/mlf",
                "/mlf/api",
                "[2001:db8::1]:5000",
            ),
        ];
        for (url, path, host) in cases {
            let base = base_of(url).unwrap();
            assert_eq!(base.join("api").unwrap().path(), path, "{url}");
            assert_eq!(host_header(&base), host, "{url}");
        }
    }

    #[test]
    fn addresses_of_other_machines_are_no_way_to_write_the_own_one() {
        for url in ["http://2130706433", "http://0x7f.1", "http://127.1"] {
            assert_eq!(base_of(url).unwrap().host_str(), Some("127.0.0.1"), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused_without_being_repeated() {
        let cases = [
            ("canary", "must be an address"),
            ("http://", "must be an address"),
            ("http://canary:99999", "must be an address"),
            ("ftp://canary", "http:// or https://"),
            ("https://me:canary@mlflow.example.com", "credentials"),
            ("https://canary@mlflow.example.com", "credentials"),
            ("https://mlflow.example.com?canary", "query"),
            ("https://mlflow.example.com/#canary", "fragment"),
            ("https://mlflow.example.com:0", "port"),
        ];
        for (url, part) in cases {
            let message = base_of(url).unwrap_err();
            assert!(
                message.contains(part) && !message.contains("canary"),
                "{url}: {message}"
            );
        }
    }
}
