//! A part of the cluster itself goes away: one test at a time, with nothing beside it.

mod control_plane;
mod node;
