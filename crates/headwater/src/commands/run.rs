//! `headwater run`: the engine on its own thread, the admin listener and the signals on a small runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pipeline::{Ended, Metrics, Monitor, Pipeline, Releases, Shutdown};

use crate::admin::{Admin, Bound};
use crate::assemble;
use crate::config::Config;
use crate::failure::Failure;
use crate::retention::Shown;
use crate::status;

/// Runs until SIGTERM, SIGINT, or a reason to stop.
pub fn run(config: &Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::unexpected(format!("cannot start the runtime: {error}")))?;
    let shutdown = Shutdown::default();
    let metrics = Metrics::default();
    let monitor = Monitor::new(&metrics);
    let registry = schema_registry::Registry::new(assemble::registry(config)?)
        .map_err(|error| Failure::configuration(error.to_string()))?;
    let pipeline = Pipeline {
        config: assemble::pipeline(config),
        kafka: Arc::new(assemble::kafka(config)),
        registry: Arc::new(registry),
        runtime: runtime.handle().clone(),
        shutdown: shutdown.clone(),
        monitor: monitor.clone(),
        metrics: metrics.clone(),
        instance: assemble::instance(),
        releases: Releases::default(),
    };
    let releases = pipeline.releases.clone();
    let mut source = assemble::database(config).source()?;
    let copies = source.copies();
    watch_signals(&runtime, &shutdown)?;
    let bound = runtime
        .block_on(Bound::bind(config.admin.listen))
        .map_err(|error| Failure::configuration(error.to_string()))?;
    let address = bound.address();
    // From before the first session until after the last: the log grows just when nothing streams.
    let kept = Shown::default();
    let _guard = assemble::database(config).guard(kept.clone())?;
    let alive = Arc::new(AtomicBool::new(true));
    let admin = Admin {
        status: status::source(config, &monitor, &copies, &kept, &alive),
        metrics: status::metrics(&metrics, &copies, &kept),
        copies,
        releases,
        token: config.admin.token.as_ref().map(assemble::copy),
    };
    // It goes on while the engine drains, and ends with the process.
    runtime.spawn(bound.serve(admin, std::future::pending()));
    tracing::info!(pipeline = config.name, instance = pipeline.instance, admin = %address, "starting");
    let engine = std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || {
            let _alive = Alive(alive);
            pipeline.run(source.as_mut())
        })
        .map_err(|error| Failure::unexpected(format!("cannot start the engine: {error}")))?;
    match engine.join() {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Ended::Stopped { what, help })) => Err(Failure::stop(what, help)),
        Ok(Err(fenced @ Ended::Fenced { .. })) => Err(Failure::fenced(fenced.to_string())),
        Err(_panic) => Err(Failure::unexpected("the engine ended unexpectedly; the log above says where".to_owned())),
    }
}

/// SIGTERM and SIGINT ask to drain; a second one does nothing more, SIGKILL is always safe.
fn watch_signals(runtime: &tokio::runtime::Runtime, shutdown: &Shutdown) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let _inside = runtime.enter();
    let unexpected = |error: std::io::Error| Failure::unexpected(format!("cannot listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(unexpected)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unexpected)?;
    let shutdown = shutdown.clone();
    runtime.spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
            _ = interrupt.recv() => tracing::info!("SIGINT: draining"),
        }
        shutdown.ask();
    });
    Ok(())
}

/// Tells `/healthz` when the engine's thread is gone, however it went.
struct Alive(Arc<AtomicBool>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
