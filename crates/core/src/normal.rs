//! The normal distribution, in software arithmetic that gives the same bits on every machine.

use std::f64::consts::{PI, SQRT_2};

/// The share of a standard normal above `position`.
pub(crate) fn share_above(position: f64) -> f64 {
    0.5 * libm::erfc(position / SQRT_2)
}

/// The mass of a normal with a mean and a deviation between two positions, without cancellation in either tail.
pub(crate) fn mass_between((mean, deviation): (f64, f64), low: f64, high: f64) -> f64 {
    let (low, high) = ((low - mean) / deviation, (high - mean) / deviation);
    if low > 0.0 {
        share_above(low) - share_above(high)
    } else {
        share_above(-high) - share_above(-low)
    }
}

/// The density of a normal with a mean and a deviation.
pub(crate) fn density((mean, deviation): (f64, f64), position: f64) -> f64 {
    let distance = (position - mean) / deviation;
    libm::exp(-0.5 * distance * distance) / (deviation * libm::sqrt(2.0 * PI))
}

/// The position with `share` of a standard normal above it: infinite for shares of 0 and 1.
///
/// Wichura's algorithm AS 241 (PPND16), Applied Statistics 37 (1988), relative error about 1e-16.
pub(crate) fn position_above(share: f64) -> f64 {
    let central = 0.5 - share;
    if central.abs() <= 0.425 {
        let square = 0.180_625 - central * central;
        return central * ratio(square, &CENTRE);
    }
    let tail = if central < 0.0 { 1.0 - share } else { share };
    if tail <= 0.0 {
        return if central < 0.0 {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        };
    }
    let root = libm::sqrt(-libm::log(tail));
    let distance = if root <= 5.0 {
        ratio(root - 1.6, &TAIL)
    } else {
        ratio(root - 5.0, &FAR_TAIL)
    };
    if central < 0.0 { -distance } else { distance }
}

type Coefficients = [(f64, f64); 8];

/// Numerator and denominator of each power, from the highest.
fn ratio(variable: f64, coefficients: &Coefficients) -> f64 {
    let (numerator, denominator) = coefficients
        .iter()
        .fold((0.0, 0.0), |(above, below), (first, second)| {
            (above * variable + first, below * variable + second)
        });
    numerator / denominator
}

const CENTRE: Coefficients = [
    (2.509_080_928_730_122_7e3, 5.226_495_278_852_854e3),
    (3.343_057_558_358_813e4, 2.872_908_573_572_194_3e4),
    (6.726_577_092_700_87e4, 3.930_789_580_009_271e4),
    (4.592_195_393_154_987e4, 2.121_379_430_158_659_7e4),
    (1.373_169_376_550_946e4, 5.394_196_021_424_751e3),
    (1.971_590_950_306_551_3e3, 6.871_870_074_920_579e2),
    (1.331_416_678_917_843_8e2, 4.231_333_070_160_091e1),
    (3.387_132_872_796_366_5, 1.0),
];

const TAIL: Coefficients = [
    (7.745_450_142_783_414e-4, 1.050_750_071_644_416_9e-9),
    (2.272_384_498_926_918_4e-2, 5.475_938_084_995_345e-4),
    (2.417_807_251_774_506e-1, 1.519_866_656_361_645_7e-2),
    (1.270_458_252_452_368_4, 1.481_039_764_274_800_8e-1),
    (3.647_848_324_763_204_5, 6.897_673_349_851e-1),
    (5.769_497_221_460_691, 1.676_384_830_183_803_8),
    (4.630_337_846_156_546, 2.053_191_626_637_759),
    (1.423_437_110_749_683_5, 1.0),
];

const FAR_TAIL: Coefficients = [
    (2.010_334_399_292_288_1e-7, 2.044_263_103_389_939_8e-15),
    (2.711_555_568_743_487_6e-5, 1.421_511_758_316_446e-7),
    (1.242_660_947_388_078_4e-3, 1.846_318_317_510_054_8e-5),
    (2.653_218_952_657_612_4e-2, 7.868_691_311_456_133e-4),
    (2.965_605_718_285_048_7e-1, 1.487_536_129_085_061_5e-2),
    (1.784_826_539_917_291_3, 1.369_298_809_227_358e-1),
    (5.463_784_911_164_114, 5.998_322_065_558_88e-1),
    (6.657_904_643_501_103, 1.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_shares_invert_each_other() {
        for step in 0..=740 {
            let position = f64::from(step) / 20.0;
            let again = position_above(share_above(position));
            assert!(
                (again - position).abs() < 1e-13 * position.max(1.0),
                "{position} became {again}"
            );
        }
        assert!((position_above(0.975) + 1.959_963_984_540_054).abs() < 1e-15);
        assert_eq!(
            (position_above(0.0), position_above(1.0)),
            (f64::INFINITY, f64::NEG_INFINITY)
        );
    }

    #[test]
    fn masses_add_up_and_agree_with_the_density() {
        let prior = (1.0, 2.0);
        let mass = mass_between(prior, -3.0, 0.5) + mass_between(prior, 0.5, 20.0);
        assert!((mass - mass_between(prior, -3.0, 20.0)).abs() < 1e-15);
        let narrow = mass_between(prior, 3.999, 4.001) / 0.002;
        assert!((narrow - density(prior, 4.0)).abs() < 1e-8);
        assert!(mass_between((0.0, 1.0), 20.0, 21.0) > 0.0);
    }
}
