//! The shell of Podium.
