//! Trial kinds: what runs a container, and how a template becomes a run.

pub mod evaluation_end;
pub mod evaluation_job;
pub mod evaluation_message;
pub mod evaluation_runner;
pub mod expansion;
pub mod job;
pub mod job_manifest;
mod job_start;
pub mod job_status;
pub mod last_pod;
mod local_template;
mod log_tail;
pub mod observed;
mod ownership;
pub mod pod_state;
mod pod_termination;
pub mod process;
pub mod run_directory;
mod run_inputs;
mod supervised;
pub mod supervisor;
pub mod template;
mod tracking_access;
mod wait_cause;
