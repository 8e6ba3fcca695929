//! Asynchronous calls from ordinary test code: one background runtime for the whole process.

use std::sync::OnceLock;
use std::sync::mpsc;

use tokio::runtime::{Builder, Runtime};

pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let build = || {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().thread_name("testkit").build().expect("a Tokio runtime")
    };
    RUNTIME.get_or_init(build)
}

/// Runs a future to its end and blocks this thread. Unlike `block_on` it may be called inside another runtime.
pub fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    runtime().spawn(async move {
        // the receiver waits below until this is sent
        done.send(future.await).ok();
    });
    result.recv().expect("the future panicked; its message is above")
}
