//! Several looks at one holdout: what each may cost, which challengers of one look are chosen, and whether two holdouts are one.
//!
//! A holdout that decides again and again finds an improvement where none is: of 20 equally good challengers in a row, one takes the
//! title in every sixth run at an error of 2.5% each. [`Spending`] divides the error among looks, [`holm`] among the challengers of one
//! look, and [`Sketch`] tells a fresh holdout from one that was looked at before.

mod confirmation;
mod holm;
mod sketch;
mod spending;

pub use confirmation::is_confirmation_row;
pub use holm::{best, holm};
pub use sketch::{Sketch, SketchError};
pub use spending::Spending;
