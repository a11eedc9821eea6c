//! The time does not run backwards between two looks and is that of this century.

use podium_operator::ports::Clock;

async fn time_goes_on(clock: &impl Clock) {
    let (first, second) = (clock.now(), clock.now());
    assert!(second.0 >= first.0);
    assert!(first.0 > 1_700_000_000_000, "milliseconds since 1970");
}

suite! {
    system_clock => (podium_operator::adapters::clock::SystemClock, ());
    [time_goes_on]
}
