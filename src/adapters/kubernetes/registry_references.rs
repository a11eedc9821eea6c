//! What stands in the Secret and in the ConfigMap that a `ModelRegistry` names, and why it cannot be used. Nothing that a Secret holds is in
//! any error but the names of its keys.

use crate::adapters::mlflow::credentials::Credentials;
use crate::ports::{PortError, PortErrorKind};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Resource, ResourceExt};

/// The key of a ConfigMap that holds certificates.
const CA_KEY: &str = "ca.crt";
/// The type of a Secret for a name and a password, the only one of Kubernetes' own that an account is taken from.
const BASIC_AUTH: &str = "kubernetes.io/basic-auth";
/// What a Secret must hold.
const KEYS: &str = "either the keys `username` and `password`, or the key `token`";

/// The account in a Secret.
pub(super) fn account(secret: &Secret) -> Result<Credentials, PortError> {
    let kind = secret.type_.as_deref().unwrap_or_default();
    if is_of_the_cluster(kind) {
        let why = format!(
            "is of the type {kind}, whose contents are for the cluster itself and are sent to no registry; put the account into one of the type Opaque or {BASIC_AUTH}"
        );
        return Err(unusable_secret(secret, &why));
    }
    let [username, password, token] =
        ["username", "password", "token"].map(|key| Key { secret, name: key });
    match [&username, &password, &token].map(Key::is_there) {
        [true, true, false] => Ok(Credentials::Basic {
            username: username.text_that(is_username, "a name without colons and line breaks")?,
            password: password.text_that(is_password, "one line")?,
        }),
        [false, false, true] => {
            let must = "one line of visible ASCII characters, without `Bearer` in front";
            Ok(Credentials::Token(token.text_that(is_token, must)?))
        }
        [false, false, false] => Err(wrong_keys(secret, "it holds none of them")),
        [true, false, false] => Err(wrong_keys(secret, "it lacks `password`")),
        [false, true, false] => Err(wrong_keys(secret, "it lacks `username`")),
        _ => Err(wrong_keys(
            secret,
            "it holds both, of which one must be removed",
        )),
    }
}

/// Whether a Secret of this type holds what Kubernetes gave out for itself, such as the token of a service account: whoever writes a
/// `ModelRegistry` says where it would be sent.
fn is_of_the_cluster(kind: &str) -> bool {
    let domain = kind.split_once('/').map_or("", |(domain, _)| domain);
    let is_own = domain == "kubernetes.io" || domain.ends_with(".kubernetes.io");
    is_own && kind != BASIC_AUTH
}

/// One key of a Secret.
struct Key<'a> {
    secret: &'a Secret,
    name: &'static str,
}

impl Key<'_> {
    fn bytes(&self) -> Option<&[u8]> {
        let data = self.secret.data.as_ref()?;
        data.get(self.name).map(|bytes| bytes.0.as_slice())
    }

    fn is_there(&self) -> bool {
        self.bytes().is_some()
    }

    /// What it holds, which must be text of some form.
    fn text_that(&self, is_sound: fn(&str) -> bool, must: &str) -> Result<String, PortError> {
        let text = std::str::from_utf8(self.bytes().unwrap_or_default()).ok();
        // Files end with a line break that belongs to no password.
        let text = text.map(|text| text.trim_end_matches(['\r', '\n']));
        let sound = text.filter(|text| is_sound(text));
        sound.map(str::to_string).ok_or_else(|| {
            let why = format!(
                "must hold {must}, in UTF-8, under the key `{}`; write it anew",
                self.name
            );
            unusable_secret(self.secret, &why)
        })
    }
}

/// The name ends at the first colon for whoever reads it.
fn is_username(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c == ':' || c.is_control())
}

fn is_password(text: &str) -> bool {
    !text.contains(char::is_control)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn wrong_keys(secret: &Secret, found: &str) -> PortError {
    unusable_secret(secret, &format!("must hold {KEYS}; {found}"))
}

/// The Secret cannot be used for this reason.
pub(super) fn unusable_secret(secret: &Secret, why: &str) -> PortError {
    let name = secret.name_any();
    let message = format!("the Secret `{name}` of spec.mlflow.credentialsSecretRef {why}");
    PortError::refused(message).because("InvalidSecret")
}

/// The certificates in a ConfigMap.
pub(super) fn ca_bundle(config_map: &ConfigMap) -> Result<String, PortError> {
    let data = config_map.data.as_ref();
    data.and_then(|data| data.get(CA_KEY))
        .cloned()
        .ok_or_else(|| {
            let why = format!("must hold certificates in PEM under the key `{CA_KEY}`");
            unusable_config_map(config_map, &why)
        })
}

/// The ConfigMap cannot be used for this reason.
pub(super) fn unusable_config_map(config_map: &ConfigMap, why: &str) -> PortError {
    let name = config_map.name_any();
    let message = format!("the ConfigMap `{name}` of spec.mlflow.caBundleConfigMapRef {why}");
    PortError::refused(message).because("InvalidConfigMap")
}

/// The object of this name, which `field` names, does not exist.
pub(super) fn missing<K: Resource<DynamicType = ()>>(name: &str, field: &str) -> PortError {
    let kind = K::kind(&());
    let message = format!("the {kind} `{name}` that spec.mlflow.{field} names does not exist");
    PortError::missing(message)
}

/// The API server did not give the object of this name, which says nothing of the registry.
pub(super) fn not_given<K: Resource<DynamicType = ()>>(
    name: &str,
    field: &str,
    error: &PortError,
) -> PortError {
    let (kind, plural, said) = (K::kind(&()), K::plural(&()), &error.message);
    let what = format!("the {kind} `{name}` that spec.mlflow.{field} names");
    match error.kind {
        PortErrorKind::Forbidden => PortError::refused(format!(
            "the operator may not read {what}; its Role in this namespace must allow to get {plural}: {said}"
        ))
        .because("ReferenceForbidden"),
        PortErrorKind::Unavailable | PortErrorKind::Conflict => {
            PortError::unavailable(format!("{what} cannot be read now: {said}"))
        }
        PortErrorKind::Refused | PortErrorKind::Invalid | PortErrorKind::Missing => {
            PortError::refused(format!("{what} cannot be read: {said}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use serde_json::json;

    fn secret(kind: &str, data: &[(&str, &[u8])]) -> Secret {
        let secret = json!({"metadata": {"name": "mlflow"}, "type": kind});
        let mut secret: Secret = serde_json::from_value(secret).unwrap();
        let data = data.iter();
        let data = data.map(|(key, bytes)| ((*key).to_string(), ByteString(bytes.to_vec())));
        secret.data = Some(data.collect());
        secret
    }

    fn refusal(kind: &str, data: &[(&str, &[u8])]) -> String {
        let error = account(&secret(kind, data)).err().unwrap();
        assert_eq!(error.kind, PortErrorKind::Refused, "{error:?}");
        assert_eq!(error.reason, Some("InvalidSecret"), "{error:?}");
        assert!(error.message.contains("the Secret `mlflow`"), "{error:?}");
        assert!(!error.message.contains("canary"), "{error:?}");
        error.message
    }

    /// A key of a Secret, and what it holds.
    type Entry = (&'static str, &'static [u8]);

    #[test]
    fn an_account_is_a_name_with_a_password_or_a_token() {
        let found = |kind: &str, data: &[(&str, &[u8])]| account(&secret(kind, data)).unwrap();
        let basic: [(&str, &[u8]); 2] = [("username", b"me"), ("password", b"pass: word \r\n")];
        for kind in ["", "Opaque", BASIC_AUTH, "example.com/account"] {
            let expected = Credentials::Basic {
                username: "me".to_string(),
                password: "pass: word ".to_string(),
            };
            assert!(found(kind, &basic) == expected, "{kind}");
        }
        let token = Credentials::Token("t.o_k-e/n=".to_string());
        assert!(found("Opaque", &[("token", b"t.o_k-e/n=\n"), ("other", b"x")]) == token);
    }

    #[test]
    fn keys_that_are_missing_or_too_many_are_named() {
        let [name, password, token] =
            ["username", "password", "token"].map(|key| -> Entry { (key, b"canary") });
        let cases: [(&[Entry], &str); 6] = [
            (&[], "none of them"),
            (&[name], "lacks `password`"),
            (&[password], "lacks `username`"),
            (&[name, password, token], "holds both"),
            (&[name, token], "holds both"),
            (&[("release", b"canary")], "none of them"),
        ];
        for (data, found) in cases {
            let message = refusal("Opaque", data);
            assert!(
                message.contains(KEYS) && message.contains(found),
                "{message}"
            );
        }
    }

    #[test]
    fn what_no_header_can_carry_is_refused_by_its_key() {
        let sound: Entry = ("password", b"canary");
        let cases: [(&[Entry], &str); 9] = [
            (&[("username", b"canary:x"), sound], "`username`"),
            (&[("username", b"\n"), sound], "`username`"),
            (&[("username", b"canary\nx"), sound], "`username`"),
            (&[("username", b"canary\xff"), sound], "`username`"),
            (
                &[("username", b"me"), ("password", b"canary\nx")],
                "`password`",
            ),
            (
                &[("username", b"me"), ("password", b"canary\xff")],
                "`password`",
            ),
            (&[("token", b"Bearer canary")], "`token`"),
            (&[("token", "canary\u{e9}".as_bytes())], "`token`"),
            (&[("token", b"")], "`token`"),
        ];
        for (data, key) in cases {
            let message = refusal("Opaque", data);
            assert!(message.contains(&format!("the key {key}")), "{message}");
        }
    }

    #[test]
    fn credentials_of_the_cluster_are_sent_to_nobody() {
        let kinds = [
            "kubernetes.io/service-account-token",
            "kubernetes.io/dockerconfigjson",
            "bootstrap.kubernetes.io/token",
        ];
        for kind in kinds {
            let message = refusal(kind, &[("token", b"canary")]);
            assert!(message.contains(kind), "{message}");
        }
        assert!(!is_of_the_cluster("notkubernetes.io/token"));
    }

    #[test]
    fn a_config_map_without_certificates_is_named() {
        let config_map = json!({"metadata": {"name": "corp-ca"}, "data": {"ca.pem": "x"}});
        let config_map: ConfigMap = serde_json::from_value(config_map).unwrap();
        let error = ca_bundle(&config_map).unwrap_err();
        assert_eq!(error.reason, Some("InvalidConfigMap"));
        let message = error.message;
        assert!(
            message.contains("`corp-ca`") && message.contains("`ca.crt`"),
            "{message}"
        );
    }

    #[test]
    fn what_the_api_server_does_not_give_is_no_matter_of_the_registry() {
        let given = |kind| {
            let error = PortError::new(kind, "why");
            not_given::<Secret>("mlflow", "credentialsSecretRef", &error)
        };
        let denied = given(PortErrorKind::Forbidden);
        assert_eq!(denied.reason, Some("ReferenceForbidden"));
        for part in ["the Secret `mlflow`", "to get secrets", "why"] {
            assert!(denied.message.contains(part), "{denied:?}");
        }
        assert!(!denied.is_transient());
        assert!(given(PortErrorKind::Unavailable).is_transient());
        assert!(!given(PortErrorKind::Invalid).is_transient());
    }
}
