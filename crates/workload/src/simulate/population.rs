//! Who pays, and where.

use podium_core::random::Stream;

/// Edge of the plane.
const PLANE: f64 = 100.0;
/// A customer pays at terminals no farther away.
const RADIUS: f64 = 5.0;

/// Kinds of draws, so that no two share a stream.
#[derive(Clone, Copy)]
pub(super) enum Draws {
    Customer = 1,
    Terminal = 2,
    Payments = 3,
    CompromisedTerminals = 4,
    CompromisedCustomers = 5,
    StolenPayments = 6,
}

/// A stream of draws of one kind.
pub(super) fn stream(seed: u64, draws: Draws, keys: [u64; 2]) -> Stream {
    Stream::new(seed, &[draws as u64, keys[0], keys[1]])
}

/// A customer's habits.
#[derive(Clone, Debug)]
pub(super) struct Customer {
    pub(super) mean_amount: f64,
    pub(super) deviation: f64,
    pub(super) payments_per_day: f64,
    /// Terminals within reach.
    pub(super) terminals: Vec<u32>,
}

/// Everybody who takes part.
#[derive(Clone, Debug)]
pub(super) struct Population {
    pub(super) customers: Vec<Customer>,
    pub(super) terminals: usize,
}

impl Population {
    pub(super) fn new(customers: usize, terminals: usize, seed: u64) -> Self {
        let places: Vec<(f64, f64)> = (0..terminals as u64)
            .map(|terminal| place(&mut stream(seed, Draws::Terminal, [terminal, 0])))
            .collect();
        let customers = (0..customers as u64)
            .map(|customer| {
                let mut draws = stream(seed, Draws::Customer, [customer, 0]);
                let home = place(&mut draws);
                let mean_amount = 5.0 + 95.0 * draws.uniform();
                Customer {
                    mean_amount,
                    deviation: 0.5 * mean_amount,
                    payments_per_day: 4.0 * draws.uniform(),
                    terminals: within_reach(home, &places),
                }
            })
            .collect();
        Self {
            customers,
            terminals,
        }
    }
}

fn place(draws: &mut Stream) -> (f64, f64) {
    (PLANE * draws.uniform(), PLANE * draws.uniform())
}

fn within_reach(home: (f64, f64), places: &[(f64, f64)]) -> Vec<u32> {
    let near = |place: &(f64, f64)| {
        let (x, y) = (place.0 - home.0, place.1 - home.1);
        x * x + y * y < RADIUS * RADIUS
    };
    (0..places.len() as u32)
        .filter(|&terminal| near(&places[terminal as usize]))
        .collect()
}
