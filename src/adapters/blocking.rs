//! Waiting for futures on threads that may wait, such as those of commands.

use crate::ports::PortError;
use std::sync::OnceLock;
use tokio::runtime::{Builder, Runtime};

/// One for the whole process, so that connections are used again. It is never dropped, which must not happen on a thread that drives another.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// What waits for futures. A thread that drives a runtime itself must not wait with it.
///
/// # Errors
/// The system gives no more files or threads.
pub(crate) fn runtime() -> Result<&'static Runtime, PortError> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = Builder::new_current_thread().enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| made))
}
