//! The wish of a person, or of a supervisor, that a command ends: seen by commands that look now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::Failure;

/// A flag that Ctrl-C and SIGTERM raise.
pub fn watch() -> Result<Arc<AtomicBool>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let unexpected = |error: std::io::Error| Failure::unexpected(format!("cannot listen for signals: {error}"));
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unexpected)?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate()).map_err(unexpected)?, signal(SignalKind::interrupt()).map_err(unexpected)?)
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            });
            raised.store(true, Ordering::Relaxed);
        })
        .map_err(unexpected)?;
    Ok(stop)
}
