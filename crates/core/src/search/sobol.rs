//! An Owen-scrambled Sobol sequence: points that fill the unit cube more evenly than independent draws.

use super::Suggestion;
use super::history::Known;
use super::novelty;
use crate::random::Stream;
use crate::space::Space;
use crate::value::Configuration;

const ORIGIN: &str = "Sobol";

/// Points of the sequence that are looked at before a random draw takes over.
const ATTEMPTS: u32 = 1024;

/// Length of one sequence, and number of its dimensions, as the tables have them; beyond, another scramble begins.
const LENGTH: u32 = 1 << 16;
const DIMENSIONS: u32 = sobol_burley::NUM_DIMENSIONS;

/// Distance of neighbours in one coordinate of the sequence, which has 23 binary digits.
const CELL: f64 = 1.0 / (1_u32 << 23) as f64;

/// Tells the stream of fine digits from others of the same seed.
const FINE: u64 = 2;

/// The point numbered like the trial, or the next one that is new.
pub(super) fn suggest(
    space: &Space,
    known: &Known<'_>,
    seed: u64,
    stream: &mut Stream,
) -> Suggestion {
    let first = u32::try_from(known.count()).unwrap_or(u32::MAX);
    let mut numbers = first..;
    novelty::first_new(space, known, stream, ORIGIN, u64::from(ATTEMPTS), |_| {
        point(space, seed, numbers.next().unwrap_or(u32::MAX))
    })
}

/// The digits that the sequence does not have: scrambled on, they are independent of each other and of all others.
fn fine(seed: u32, number: u32, dimension: u32) -> f64 {
    let keys = [FINE, u64::from(number), u64::from(dimension)];
    Stream::new(u64::from(seed), &keys).uniform()
}

fn point(space: &Space, seed: u64, number: u32) -> Configuration {
    let seed = (seed ^ (seed >> 32)) as u32;
    let coordinates: Vec<f64> = (0_u32..)
        .take(space.parameters().len())
        .map(|dimension| {
            let scramble = seed
                .wrapping_add((number / LENGTH) << 16)
                .wrapping_add(dimension / DIMENSIONS);
            let coarse = f64::from(sobol_burley::sample(
                number % LENGTH,
                dimension % DIMENSIONS,
                scramble,
            ));
            coarse + CELL * fine(seed, number, dimension)
        })
        .collect();
    space.decode(&coordinates)
}
