//! A proxy in front of an MLflow server that does to each request what a test wants.

pub use super::http_proxy::*;
