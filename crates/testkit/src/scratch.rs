//! The folder of this test process for data and logs. It goes away at exit; what a killed process left is swept away by
//! the next one. `HEADWATER_KEEP=1` keeps it, to read the servers' logs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

const PREFIX: &str = "headwater-test-";

fn base() -> &'static Path {
    static BASE: OnceLock<PathBuf> = OnceLock::new();
    BASE.get_or_init(|| {
        sweep();
        let path = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        make(&path).expect("a scratch folder in the system's temporary folder");
        path
    })
}

fn make(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
    // databases run as another user and must get through
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// A new empty folder named after `name`.
pub(crate) fn dir(name: &str) -> Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = base().join(format!("{name}-{number}"));
    make(&path)?;
    Ok(path)
}

/// A folder that outlives the process: for what is made once and copied by every run (formatted data folders).
pub(crate) fn durable(name: &str) -> Result<PathBuf> {
    // SAFETY: geteuid has no preconditions and cannot fail.
    #[expect(unsafe_code, reason = "the effective user id has no safe accessor in std")]
    let user = unsafe { libc::geteuid() };
    let path = std::env::temp_dir().join(format!("headwater-templates-{user}"));
    make(&path)?;
    Ok(path.join(name))
}

fn sweep() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let dead = pid.parse::<u32>().is_ok_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if dead && !keep() {
            // another process may be sweeping the same folder
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

fn keep() -> bool {
    std::env::var_os("HEADWATER_KEEP").is_some_and(|value| value != "0")
}

/// Called at exit, when the servers are dead.
pub(crate) fn remove() {
    if !keep() {
        fs::remove_dir_all(std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()))).ok();
    }
}
