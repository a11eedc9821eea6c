//! Numbers as people read them.

/// The number with four significant digits: `0.8984`, `5.791e-8`, `12346`. Whole digits before the point are never left out below a million.
#[must_use]
pub fn four_digits(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    if !(1e-4..999_999.5).contains(&size) {
        return format!("{value:.3e}");
    }
    // As many decimals as leave four digits once the number is rounded.
    let decimals = [(9.9995, 3), (99.995, 2), (999.95, 1)];
    let fraction = [
        (0.000_999_95, 7),
        (0.009_999_5, 6),
        (0.099_995, 5),
        (0.999_95, 4),
    ];
    let place = fraction
        .iter()
        .chain(&decimals)
        .find(|(limit, _)| size < *limit);
    let decimals = place.map_or(0, |(_, decimals)| *decimals);
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::four_digits;

    #[test]
    fn four_digits_are_shown_whatever_the_size() {
        let cases = [
            (0.0, "0"),
            (5.791_298e-8, "5.791e-8"),
            (-1.5e-5, "-1.500e-5"),
            (0.000_123_456, "0.0001235"),
            (0.001_234_56, "0.001235"),
            (0.012_345_6, "0.01235"),
            (0.898_425_8, "0.8984"),
            (0.999_96, "1.000"),
            (1.0, "1.000"),
            (-9.999_6, "-10.00"),
            (12.345_6, "12.35"),
            (123.456, "123.5"),
            (999.96, "1000"),
            (12_345.6, "12346"),
            (999_999.0, "999999"),
            (1_234_567.0, "1.235e6"),
            (1e18, "1.000e18"),
            (f64::NAN, "NaN"),
        ];
        for (value, expected) in cases {
            assert_eq!(four_digits(value), expected, "{value}");
        }
    }
}
