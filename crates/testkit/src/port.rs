//! Free TCP ports that no other test process takes at the same time.
//!
//! A port is ours while we hold the lock of its file; the kernel drops the lock with the process, however it dies. The
//! range lies below the one from which the kernel gives ports to outgoing connections.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A TCP port on the loopback address, reserved until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a port on which nobody listens.
    pub fn reserve() -> Result<Port> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = std::env::temp_dir().join("headwater-ports");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for _ in 0..COUNT {
            // processes begin at different places, so that they rarely meet
            let step = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id().wrapping_mul(97);
            let number = FIRST + u16::try_from(step % u32::from(COUNT))?;
            let file = File::options().create(true).append(true).open(folder.join(number.to_string()));
            let Ok(lock) = file else { continue };
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Port { number, _lock: lock });
            }
        }
        bail!("no free port among {COUNT} from {FIRST}");
    }

    pub fn number(&self) -> u16 {
        self.number
    }
}
