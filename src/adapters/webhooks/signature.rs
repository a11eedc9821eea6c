//! Signatures as Standard Webhooks has them, so that receivers check them by its libraries or in a few lines:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac::{HMAC_SHA256, Key, sign};

/// What a key in base64 begins with.
const PREFIX: &[u8] = b"whsec_";
/// Bytes that a key has at least: 192 bits, as Standard Webhooks asks.
const SHORTEST: usize = 24;

/// A key that messages are signed with.
pub struct SigningKey(Key);

impl SigningKey {
    /// The key that these bytes spell: base64 behind `whsec_`, or else the bytes as they are.
    ///
    /// # Errors
    /// What must be there.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let key = match bytes.strip_prefix(PREFIX) {
            // Files end with a line break.
            Some(encoded) => STANDARD
                .decode(encoded.trim_ascii_end())
                .map_err(|_| "base64 behind `whsec_`")?,
            None => bytes.to_vec(),
        };
        if key.len() < SHORTEST {
            return Err("at least 24 bytes");
        }
        Ok(Self(Key::new(HMAC_SHA256, &key)))
    }

    /// The header `webhook-signature` of a message that is sent at this second.
    #[must_use]
    pub fn sign(&self, id: &str, second: i64, document: &str) -> String {
        let signed = format!("{id}.{second}.{document}");
        let tag = sign(&self.0, signed.as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in the libraries of Standard Webhooks.
    #[test]
    fn a_signature_is_what_the_libraries_of_others_expect() {
        let key = SigningKey::parse(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").ok();
        let signature = key.unwrap().sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_key_is_taken_as_it_is_unless_it_says_that_it_is_encoded() {
        let of = |key: &[u8]| SigningKey::parse(key).map(|key| key.sign("a", 1, "b"));
        let plain = of(b"0123456789abcdefghijklmn").unwrap();
        let encoded = of(b"whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u").unwrap();
        assert_eq!(plain, encoded);
        assert_ne!(of(b"0123456789abcdefghijklmn\n").unwrap(), plain);
        assert!(of(&[0xff; 24]).is_ok(), "a key need not be text");
        for short in [&b"0123456789abcdefghijklm"[..], b"whsec_c2hvcnQ=", b""] {
            assert_eq!(of(short), Err("at least 24 bytes"));
        }
        assert_eq!(of(b"whsec_canary!"), Err("base64 behind `whsec_`"));
    }
}
