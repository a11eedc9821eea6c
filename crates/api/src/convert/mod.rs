//! From what users write to what the core plans with: the only validation wall.
