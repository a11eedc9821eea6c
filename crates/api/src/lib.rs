//! The kinds of Podium.
