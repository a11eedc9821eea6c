//! The account that a registry is asked with, and how it is kept out of whatever is told of the registry.

use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;
use std::fmt;

/// Secrets that are shorter are not looked for in answers, whose words they could be.
const SHORTEST_HIDDEN: usize = 8;
/// What stands in the place of a secret.
const MASK: &[u8] = b"***";

/// The account that is used.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// None: the server asks for none.
    Anonymous,
    /// Name and password.
    Basic {
        /// The account.
        username: String,
        /// Its password.
        password: String,
    },
    /// A bearer token.
    Token(String),
}

/// Without secrets.
impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic",
            Self::Token(_) => "Token",
        })
    }
}

impl Credentials {
    /// The request in the name of this account.
    pub(super) fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Anonymous => request,
            Self::Basic { username, password } => request.basic_auth(username, Some(password)),
            Self::Token(token) => request.bearer_auth(token),
        }
    }

    /// What an answer must not show: the secret as it is, as it stands in JSON, and as it is sent in the header `Authorization`.
    pub(super) fn hidden(&self, authorization: Option<&HeaderValue>) -> Hidden {
        let secret = match self {
            Self::Anonymous => return Hidden(Vec::new()),
            Self::Basic { password, .. } => password,
            Self::Token(token) => token,
        };
        let quoted = serde_json::Value::from(secret.as_str()).to_string();
        let in_json = quoted.trim_matches('"').as_bytes().to_vec();
        let sent = authorization.map(HeaderValue::as_bytes).unwrap_or_default();
        let sent = sent.rsplit(|byte| *byte == b' ').next();
        let mut texts = vec![secret.as_bytes().to_vec(), in_json];
        texts.extend(sent.map(<[u8]>::to_vec));
        texts.retain(|text| text.len() >= SHORTEST_HIDDEN);
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        texts.dedup();
        Hidden(texts)
    }
}

/// Texts that are masked in answers: a server may repeat what it was sent, in an error or anywhere else.
pub(super) struct Hidden(Vec<Vec<u8>>);

/// Without secrets.
impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hidden")
    }
}

impl Hidden {
    /// The same bytes with each secret masked.
    pub(super) fn mask(&self, bytes: Vec<u8>) -> Vec<u8> {
        let masked = |bytes: Vec<u8>, secret: &Vec<u8>| without(bytes, secret);
        self.0.iter().fold(bytes, masked)
    }

    /// The same text with each secret masked.
    pub(super) fn mask_text(&self, text: String) -> String {
        let masked = self.mask(text.into_bytes());
        // What is replaced and what replaces it are whole characters.
        String::from_utf8(masked).unwrap_or_default()
    }
}

fn without(bytes: Vec<u8>, secret: &[u8]) -> Vec<u8> {
    let Some(&first) = secret.first() else {
        return bytes;
    };
    let mut kept = Vec::new();
    let mut rest = bytes.as_slice();
    // Most answers hold none, and are handed on as they are.
    while let Some(at) = position(rest, first, secret) {
        kept.extend_from_slice(&rest[..at]);
        kept.extend_from_slice(MASK);
        rest = &rest[at + secret.len()..];
    }
    if rest.len() == bytes.len() {
        return bytes;
    }
    kept.extend_from_slice(rest);
    kept
}

fn position(bytes: &[u8], first: u8, secret: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let candidate = from + bytes.get(from..)?.iter().position(|byte| *byte == first)?;
        if bytes[candidate..].starts_with(secret) {
            return Some(candidate);
        }
        from = candidate + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(credentials: &Credentials, authorization: &str, text: &str) -> String {
        let authorization = HeaderValue::from_str(authorization).unwrap();
        let hidden = credentials.hidden(Some(&authorization));
        hidden.mask_text(text.to_string())
    }

    #[test]
    fn what_a_server_repeats_is_masked_in_each_form() {
        let basic = Credentials::Basic {
            username: "me".to_string(),
            password: "canary\"secret".to_string(),
        };
        let sent = "Basic bWU6Y2FuYXJ5InNlY3JldA==";
        for (text, expected) in [
            ("no account canary", "no account canary"),
            ("<canary\"secret>", "<***>"),
            (r#"{"message":"canary\"secret"}"#, r#"{"message":"***"}"#),
            (sent, "Basic ***"),
            ("canary\"secretcanary\"secret", "******"),
        ] {
            assert_eq!(masked(&basic, sent, text), expected);
        }
        let token = Credentials::Token("ccccanary".to_string());
        let sent = "Bearer ccccanary";
        assert_eq!(masked(&token, sent, "cccccanary: ccccanary"), "c***: ***");
    }

    #[test]
    fn short_secrets_leave_answers_as_they_are() {
        let token = Credentials::Token("1".to_string());
        let text = r#"{"version":"1"}"#;
        assert_eq!(masked(&token, "Bearer 1", text), text);
        let hidden = Credentials::Anonymous.hidden(None);
        assert_eq!(hidden.mask_text(text.to_string()), text);
    }
}
