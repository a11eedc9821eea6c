//! What is known of a customer and a terminal at the moment of a payment.

use super::{DAY, Transaction};
use std::collections::VecDeque;

/// Windows in days.
pub(super) const WINDOWS: [u32; 3] = [1, 7, 30];
/// Days after which a fraud becomes known.
const DELAY: u32 = 7;

/// Features of one payment, one element per window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Features {
    /// The customer's payments, this one among them.
    pub(super) customer_count: [f64; 3],
    /// Their mean amount.
    pub(super) customer_mean: [f64; 3],
    /// The terminal's payments that are known to be honest or not.
    pub(super) terminal_count: [f64; 3],
    /// The share of frauds among them; 0 without any.
    pub(super) terminal_risk: [f64; 3],
}

/// Payments that features still look back on.
pub(super) struct Histories {
    customers: Vec<VecDeque<(u32, f64)>>,
    terminals: Vec<VecDeque<(u32, f64)>>,
}

impl Histories {
    pub(super) fn new(customers: usize, terminals: usize) -> Self {
        Self {
            customers: vec![VecDeque::new(); customers],
            terminals: vec![VecDeque::new(); terminals],
        }
    }

    /// Features at the moment of `transaction`; transactions come in the order of time.
    pub(super) fn observe(&mut self, transaction: &Transaction) -> Features {
        let now = transaction.seconds;
        let of_customer = &mut self.customers[transaction.customer as usize];
        remember(of_customer, (now, transaction.amount), WINDOWS[2]);
        let of_terminal = &mut self.terminals[transaction.terminal as usize];
        let is_fraud = if transaction.scenario > 0 { 1.0 } else { 0.0 };
        remember(of_terminal, (now, is_fraud), WINDOWS[2] + DELAY);
        let mut features = Features::default();
        for (place, days) in WINDOWS.into_iter().enumerate() {
            let (count, sum) = within(of_customer, now, 0, days);
            features.customer_count[place] = count;
            features.customer_mean[place] = sum / count;
            let (count, frauds) = within(of_terminal, now, DELAY, days);
            features.terminal_count[place] = count;
            features.terminal_risk[place] = if count > 0.0 { frauds / count } else { 0.0 };
        }
        features
    }
}

/// Adds a payment and forgets those that no window reaches any more.
fn remember(history: &mut VecDeque<(u32, f64)>, payment: (u32, f64), days: u32) {
    history.push_back(payment);
    while history
        .front()
        .is_some_and(|(seconds, _)| seconds + days * DAY <= payment.0)
    {
        history.pop_front();
    }
}

/// Number and sum of what lies more than `delay + days` days back at the most and at least `delay` days back.
fn within(history: &VecDeque<(u32, f64)>, now: u32, delay: u32, days: u32) -> (f64, f64) {
    history
        .iter()
        .filter(|(seconds, _)| seconds + (delay + days) * DAY > now && seconds + delay * DAY <= now)
        .fold((0.0, 0.0), |(count, sum), (_, value)| {
            (count + 1.0, sum + value)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(day: f64, terminal: u32, amount: f64, scenario: u8) -> Transaction {
        Transaction {
            id: 0,
            customer: 0,
            terminal,
            seconds: (day * f64::from(DAY)) as u32,
            amount,
            scenario,
        }
    }

    #[test]
    fn windows_count_this_payment_and_risk_is_a_week_late() {
        let mut histories = Histories::new(1, 2);
        histories.observe(&payment(0.0, 0, 10.0, 2));
        histories.observe(&payment(0.5, 0, 20.0, 0));
        let soon = histories.observe(&payment(1.25, 0, 30.0, 0));
        assert_eq!(soon.customer_count, [2.0, 3.0, 3.0]);
        assert_eq!(soon.customer_mean, [25.0, 20.0, 20.0]);
        assert_eq!(
            (soon.terminal_count, soon.terminal_risk),
            ([0.0; 3], [0.0; 3])
        );
        let later = histories.observe(&payment(7.5, 0, 5.0, 0));
        assert_eq!(later.terminal_count, [2.0, 2.0, 2.0]);
        assert_eq!(later.terminal_risk, [0.5, 0.5, 0.5]);
        let latest = histories.observe(&payment(38.0, 0, 5.0, 0));
        assert_eq!(latest.customer_count, [1.0, 1.0, 1.0]);
        assert_eq!(latest.terminal_count, [0.0, 0.0, 2.0]);
    }
}
