//! The payments of each day, honest and fraudulent.

use super::population::{Customer, Draws, Population, stream};
use super::{DAY, Transaction};
use podium_core::random::Stream;

/// A payment above this amount is a fraud of kind 1.
const CAUGHT_AMOUNT: f64 = 220.0;
/// Terminals that are compromised each day (kind 2), and for how many days.
const TERMINALS_PER_DAY: usize = 2;
const TERMINAL_DAYS: u32 = 28;
/// Customers whose card is stolen each day (kind 3), and for how many days.
const CUSTOMERS_PER_DAY: usize = 3;
const CUSTOMER_DAYS: u32 = 14;
/// Share of a stolen card's payments that are the thief's, and how many times larger they are.
const STOLEN_SHARE: f64 = 1.0 / 3.0;
const STOLEN_FACTOR: f64 = 5.0;

/// Payments day by day, in the order of time.
pub(super) struct Payments<'a> {
    population: &'a Population,
    seed: u64,
    next_id: i32,
}

impl<'a> Payments<'a> {
    pub(super) fn new(population: &'a Population, seed: u64) -> Self {
        Self {
            population,
            seed,
            next_id: 0,
        }
    }

    /// The payments of `day`; days are asked for in their order, since payments are numbered.
    pub(super) fn of_day(&mut self, day: u32) -> Vec<Transaction> {
        let mut payments = Vec::new();
        for (number, customer) in self.population.customers.iter().enumerate() {
            let mut draws = stream(self.seed, Draws::Payments, [number as u64, u64::from(day)]);
            for _ in 0..poisson(&mut draws, customer.payments_per_day) {
                payments.extend(payment(number as u32, customer, day, &mut draws));
            }
        }
        payments.sort_by_key(|payment| (payment.seconds, payment.customer));
        self.commit_frauds(day, &mut payments);
        for payment in &mut payments {
            payment.id = self.next_id;
            self.next_id += 1;
        }
        payments
    }

    fn commit_frauds(&self, day: u32, payments: &mut [Transaction]) {
        let terminals = self.drawn(
            Draws::CompromisedTerminals,
            day,
            TERMINAL_DAYS,
            TERMINALS_PER_DAY,
            self.population.terminals,
        );
        let customers = self.drawn(
            Draws::CompromisedCustomers,
            day,
            CUSTOMER_DAYS,
            CUSTOMERS_PER_DAY,
            self.population.customers.len(),
        );
        let mut thief = stream(self.seed, Draws::StolenPayments, [u64::from(day), 0]);
        for payment in payments {
            if payment.amount > CAUGHT_AMOUNT {
                payment.scenario = 1;
            }
            if terminals.contains(&(payment.terminal as usize)) {
                payment.scenario = 2;
            }
            if customers.contains(&(payment.customer as usize)) && thief.uniform() < STOLEN_SHARE {
                payment.amount = cents(payment.amount * STOLEN_FACTOR);
                payment.scenario = 3;
            }
        }
    }

    /// Who was drawn on one of the last `days` days, `per_day` of `among` each day. A day's victims suffer from the next day on.
    fn drawn(&self, draws: Draws, day: u32, days: u32, per_day: usize, among: usize) -> Vec<usize> {
        (day.saturating_sub(days)..day)
            .flat_map(|drawn_on| {
                let mut stream = stream(self.seed, draws, [u64::from(drawn_on), 0]);
                (0..per_day)
                    .map(move |_| stream.below(among))
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

/// A payment around noon; none at a time outside of the day, and none where no terminal is near.
fn payment(number: u32, customer: &Customer, day: u32, draws: &mut Stream) -> Option<Transaction> {
    let second = (f64::from(DAY / 2) + 20_000.0 * draws.normal()).floor();
    let normal = customer.mean_amount + customer.deviation * draws.normal();
    let other = 2.0 * customer.mean_amount * draws.uniform();
    let terminal = customer
        .terminals
        .get(draws.below(customer.terminals.len()))?;
    (second > 0.0 && second < f64::from(DAY)).then(|| Transaction {
        id: 0,
        customer: number,
        terminal: *terminal,
        seconds: day * DAY + second as u32,
        amount: cents(if normal < 0.0 { other } else { normal }),
        scenario: 0,
    })
}

fn cents(amount: f64) -> f64 {
    (100.0 * amount).round() / 100.0
}

/// A Poisson draw by adding up probabilities; `mean` is a few at most.
fn poisson(draws: &mut Stream, mean: f64) -> u32 {
    let draw = draws.uniform();
    let mut probability = libm::exp(-mean);
    let mut cumulative = probability;
    let mut count = 0;
    while draw >= cumulative && count < 100 {
        count += 1;
        probability *= mean / f64::from(count);
        cumulative += probability;
    }
    count
}
