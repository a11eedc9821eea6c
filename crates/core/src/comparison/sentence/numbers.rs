//! Numbers as sentences print them.

/// Four decimals, or two significant digits of a smaller number that is not 0.
pub(super) fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.000_95 {
        let digits = (1.0 - value.abs().log10().floor()).clamp(4.0, 12.0) as usize;
        return format!("{value:.digits$}");
    }
    let text = format!("{value:.4}");
    if text == "-0.0000" {
        "0.0000".to_owned()
    } else {
        text
    }
}

/// One decimal, and none when it is 0.
pub(super) fn rounded(value: f64) -> String {
    let tenths = (value * 10.0).floor() / 10.0;
    if tenths.fract() == 0.0 {
        thousands(tenths as usize)
    } else {
        format!("{tenths:.1}")
    }
}

/// A whole number with its thousands apart.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A two-sided confidence in percent, with as many digits as three significant ones of its rest have: `97%`, `96.96%`, `99.99999%`.
pub(super) fn confidence(confidence: f64) -> String {
    // Fewer than 14 digits of a number near 100 are exact.
    let rest = (100.0 * (1.0 - confidence)).max(1e-10);
    format!(
        "{}%",
        without_trailing_zeros(&fixed(100.0 - rest, decimals(rest)))
    )
}

/// A share in percent, with three significant digits: `2.5%`, `1.52%`, `0.169%`.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    format!(
        "{}%",
        without_trailing_zeros(&fixed(percent, decimals(percent)))
    )
}

/// Two numbers with the same decimals: as many as either is given with, at most four significant digits of the larger, but enough to
/// tell them apart.
pub(super) fn pair(first: f64, second: f64) -> (String, String) {
    let given = |number: f64| {
        let text = number.to_string();
        text.split_once('.')
            .map_or(0, |(_, decimals)| decimals.len())
    };
    let most = given(first).max(given(second));
    let significant = (3.0 - first.abs().max(second.abs()).log10().floor()).max(0.0) as usize;
    let at = |decimals: usize| (fixed(first, decimals), fixed(second, decimals));
    (significant.min(most)..most)
        .map(at)
        .find(|(first, second)| first != second)
        .unwrap_or_else(|| at(most))
}

/// Decimals that show three significant digits.
fn decimals(value: f64) -> usize {
    if value > 0.0 {
        (2.0 - value.log10().floor()).clamp(0.0, 300.0) as usize
    } else {
        0
    }
}

fn fixed(value: f64, decimals: usize) -> String {
    format!("{value:.decimals$}")
}

fn without_trailing_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_but_never_read_as_nothing() {
        assert_eq!(number(0.000_061_8), "0.000062");
        assert_eq!(number(-0.000_5), "-0.00050");
        assert_eq!(number(0.0), "0.0000");
        assert_eq!(number(0.0112), "0.0112");
        assert_eq!(
            (thousands(7), thousands(67_080), thousands(1_234_567)),
            ("7".into(), "67,080".into(), "1,234,567".into())
        );
    }

    #[test]
    fn a_confidence_is_never_rounded_to_another_one() {
        for (value, expected) in [
            (0.95, "95%"),
            (0.97, "97%"),
            (0.975, "97.5%"),
            (0.8, "80%"),
            (0.5, "50%"),
            (1.0 / 3.0, "33.3%"),
            (
                1.0 - 2.0 * 0.025 * 6.0 / std::f64::consts::PI.powi(2),
                "96.96%",
            ),
            (0.999_999_9, "99.99999%"),
            (1.0 - 1e-16, "99.9999999999%"),
            (1.0 - 2.0 * 0.025, "95%"),
        ] {
            assert_eq!(confidence(value), expected, "{value}");
        }
    }

    #[test]
    fn errors_have_three_significant_digits() {
        for (value, expected) in [
            (0.025, "2.5%"),
            (0.015_198, "1.52%"),
            (0.001_688_7, "0.169%"),
            (5e-8, "0.000005%"),
            (0.0, "0%"),
            (0.5, "50%"),
        ] {
            assert_eq!(percent(value), expected, "{value}");
        }
    }

    #[test]
    fn two_numbers_have_the_same_decimals_and_can_be_told_apart() {
        for (first, second, expected) in [
            (12.1, 14.0, ("12.1", "14.0")),
            (12.123_456, 14.987_654, ("12.12", "14.99")),
            (12.1, 12.100_002, ("12.100000", "12.100002")),
            (1_000.0, 2_000.5, ("1000", "2000")),
            (5.0, 7.0, ("5", "7")),
            (0.001_234_56, 0.002, ("0.001235", "0.002000")),
        ] {
            let (first, second) = pair(first, second);
            assert_eq!((first.as_str(), second.as_str()), expected);
        }
    }
}
