//! Being asked to end.

use std::future::Future;
use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Resolves when somebody asks this process to end by SIGTERM or SIGINT. From this call on, and not from the first wait on, the signals
/// no longer end the process by themselves.
///
/// # Errors
/// The signals cannot be taken over.
pub(crate) fn shutdown_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
