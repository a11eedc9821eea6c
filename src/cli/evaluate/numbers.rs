//! Numbers as arguments. Clap puts the name of the flag before these messages.

/// Any number but infinities and NaN, which Rust would parse.
pub(super) fn finite(text: &str) -> Result<f64, String> {
    number(text, "a finite number", f64::is_finite)
}

/// Finite and not negative.
pub(super) fn at_least_zero(text: &str) -> Result<f64, String> {
    number(text, "a finite number of at least 0", |number| {
        number.is_finite() && number >= 0.0
    })
}

/// Finite and positive.
pub(super) fn above_zero(text: &str) -> Result<f64, String> {
    number(text, "a finite number above 0", |number| {
        number.is_finite() && number > 0.0
    })
}

/// A share of something that must not be nothing.
pub(super) fn share(text: &str) -> Result<f64, String> {
    number(text, "a number above 0 and at most 1", |number| {
        number > 0.0 && number <= 1.0
    })
}

/// A confidence that is neither none nor certainty.
pub(super) fn confidence(text: &str) -> Result<f64, String> {
    number(text, "a number between 0 and 1", |number| {
        number > 0.0 && number < 1.0
    })
}

/// A one-sided error; one half is that of a coin.
pub(super) fn one_sided_error(text: &str) -> Result<f64, String> {
    number(text, "a number above 0 and at most 0.5", |number| {
        number > 0.0 && number <= 0.5
    })
}

/// SHA-256 as 64 hexadecimal digits, in lower case.
pub(super) fn sha256(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("must be 64 hexadecimal digits, as sha256sum prints them".to_string())
    }
}

fn number(text: &str, what: &str, holds: impl Fn(f64) -> bool) -> Result<f64, String> {
    let parsed: Option<f64> = text.parse().ok();
    parsed
        .filter(|&number| holds(number))
        .ok_or_else(|| format!("must be {what}; got `{text}`"))
}
