//! What every adapter of a port must do. An adapter joins a suite by one line in its module's `suite!`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test speaks by failing.

/// Runs a future to its end, as `podium run` does.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// One `#[test]` per law and adapter. `$make` gives an adapter with what must live as long as it.
macro_rules! suite {
    ($($adapter:ident => $make:expr),+ ; $laws:tt) => {
        $($crate::laws_of! { $adapter, $make, $laws })+
    };
}

macro_rules! laws_of {
    ($adapter:ident, $make:expr, [$($law:ident),+ $(,)?]) => {
        mod $adapter {
            $(#[test]
            fn $law() {
                let (adapter, _alive) = $make;
                $crate::run(super::$law(&adapter));
            })+
        }
    };
}

pub(crate) use laws_of;

mod clock;
mod cluster;
mod cluster_laws;
mod evaluator;
mod object_store;
mod registry;
mod registry_laws;
mod runner_laws;
mod trial_runner;
