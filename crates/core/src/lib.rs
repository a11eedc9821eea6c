//! The deciding half of Podium.
