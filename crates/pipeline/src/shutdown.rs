//! The wish to stop, for threads and for futures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// Cloned into everything that waits. Once asked, it stays asked.
#[derive(Clone, Debug)]
pub struct Shutdown {
    asked: Arc<watch::Sender<bool>>,
    /// The same wish for threads that may not wait.
    flag: Arc<AtomicBool>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { asked: Arc::new(watch::Sender::new(false)), flag: Arc::default() }
    }
}

impl Shutdown {
    /// Asks everybody to finish.
    pub fn ask(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.asked.send_replace(true);
    }

    pub fn is_asked(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }

    /// Completes once somebody has asked.
    pub async fn asked(&self) {
        let mut receiver = self.asked.subscribe();
        // The sender lives in `self`, so waiting cannot fail while this future exists.
        let _closed = receiver.wait_for(|asked| *asked).await.is_err();
    }

    /// Waits for `time`, or until somebody asks. True: somebody asked.
    pub(crate) fn sleep(&self, runtime: &tokio::runtime::Handle, time: Duration) -> bool {
        runtime.block_on(async {
            tokio::select! {
                () = self.asked() => true,
                () = tokio::time::sleep(time) => false,
            }
        })
    }
}
