//! The account that a registry is asked with, and how it is kept out of whatever is told of the registry.

use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;
use std::fmt;

/// Secrets that are shorter are not looked for in what a server says, whose words they could be.
const SHORTEST_HIDDEN: usize = 8;
/// What stands in the place of a secret.
const MASK: &str = "***";

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

    /// What nothing that is told may show: the secret as it is, and as it is sent in the header `Authorization`.
    pub(super) fn hidden(&self, authorization: Option<&HeaderValue>) -> Hidden {
        let secret = match self {
            Self::Anonymous => return Hidden(Vec::new()),
            Self::Basic { password, .. } => password,
            Self::Token(token) => token,
        };
        let sent = authorization.and_then(|value| value.to_str().ok());
        let sent = sent.and_then(|value| value.rsplit(' ').next());
        let mut texts = vec![secret.clone()];
        texts.extend(sent.map(str::to_string));
        texts.retain(|text| text.len() >= SHORTEST_HIDDEN);
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Hidden(texts)
    }
}

/// Texts that are masked in what is told of a server: it may repeat what it was sent, in an error or anywhere else.
#[derive(Default)]
pub(super) struct Hidden(Vec<String>);

/// Without secrets.
impl fmt::Debug for Hidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hidden")
    }
}

impl Hidden {
    /// The same text with each secret masked.
    pub(super) fn mask(&self, text: &str) -> String {
        let masked = |text: String, secret: &String| text.replace(secret, MASK);
        self.0.iter().fold(text.to_string(), masked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(credentials: &Credentials, authorization: &str, text: &str) -> String {
        let authorization = HeaderValue::from_str(authorization).unwrap();
        credentials.hidden(Some(&authorization)).mask(text)
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
    fn short_secrets_leave_words_as_they_are() {
        let token = Credentials::Token("model".to_string());
        let text = "there is no such model";
        assert_eq!(masked(&token, "Bearer model", text), text);
        assert_eq!(Credentials::Anonymous.hidden(None).mask(text), text);
    }
}
