//! Child processes that cannot outlive the test process, however it ends.
//!
//! Three nets, each for one way to end: `Drop` (also while a test panics) for a server that one test owns; a hook at exit
//! for servers held in statics, which are never dropped; the kernel's parent-death signal for a test process that is
//! itself killed. That signal is sent when the *thread* that forked ends, so all children are forked by one thread which
//! lives as long as the process.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::eventually::eventually;
use crate::scratch;

/// How long a server may take to obey its last signal before it is killed.
const LAST_GRACE: Duration = Duration::from_secs(5);
const TAIL_LINES: usize = 25;

/// A running child with its log file.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    child: Mutex<Child>,
    log: PathBuf,
    last_signal: i32,
}

impl Process {
    /// Starts `command` with its output appended to `log`.
    pub fn spawn(name: &str, command: Command, log: &Path) -> Result<Process> {
        Process::spawn_with(name, command, log, libc::SIGKILL)
    }

    /// The same; `last_signal` is what ends it when it is dropped or when we die (PostgreSQL wants SIGQUIT, on which it
    /// ends its children and gives shared memory back).
    pub fn spawn_with(name: &str, mut command: Command, log: &Path, last_signal: i32) -> Result<Process> {
        let out = File::options().create(true).append(true).open(log).with_context(|| format!("{}", log.display()))?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        die_with_us(&mut command, last_signal);
        let (reply, answer) = mpsc::channel();
        forker().send((command, reply)).map_err(|_| anyhow!("the thread that starts children is gone"))?;
        let child = answer.recv()?.with_context(|| format!("cannot start {name}"))?;
        let pid = child.id();
        locked(living()).push((pid, last_signal));
        Ok(Process { name: name.to_owned(), pid, child: Mutex::new(child), log: log.to_owned(), last_signal })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The exit status, if it has ended.
    pub fn exited(&self) -> Result<Option<ExitStatus>> {
        let status = locked(&self.child).try_wait()?;
        if status.is_some() {
            locked(living()).retain(|(pid, _)| *pid != self.pid);
        }
        Ok(status)
    }

    /// Sends a signal, unless the process has ended (its number may be another's by then).
    pub fn signal(&self, signal: i32) -> Result<()> {
        let mut child = locked(&self.child);
        if child.try_wait()?.is_none() {
            send(self.pid, signal);
        }
        Ok(())
    }

    /// Waits for the end.
    pub fn wait(&self, deadline: Duration) -> Result<ExitStatus> {
        eventually(deadline, &format!("the end of {} (pid {})", self.name, self.pid), || {
            self.exited()?.ok_or_else(|| anyhow!("it runs; end of its log:\n{}", self.tail()))
        })
    }

    /// Sends `signal` and waits for the end.
    pub fn stop(&self, signal: i32, deadline: Duration) -> Result<ExitStatus> {
        self.signal(signal)?;
        self.wait(deadline)
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill(&self) -> Result<()> {
        self.stop(libc::SIGKILL, LAST_GRACE).map(|_| ())
    }

    /// Probes until ready. Fails at once, with the end of the log, when the process dies.
    pub fn wait_ready<E: std::fmt::Display>(
        &self,
        deadline: Duration,
        mut probe: impl FnMut() -> Result<(), E>,
    ) -> Result<()> {
        let died = eventually(deadline, &format!("{} to be ready", self.name), || {
            if let Some(status) = self.exited().map_err(|error| format!("{error:#}"))? {
                return Ok(Some(status));
            }
            probe().map(|()| None).map_err(|seen| format!("{seen:#}"))
        });
        match died {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                bail!("{} ended with {status} before it was ready; its log:\n{}", self.name, self.tail())
            }
            Err(error) => Err(error.context(format!("end of the log:\n{}", self.tail()))),
        }
    }

    /// The last lines of the log.
    pub fn tail(&self) -> String {
        let text = self.log_text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    pub fn log_text(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // a stopped process takes no signal but SIGKILL
        let ended = self.signal(libc::SIGCONT).and_then(|()| self.stop(self.last_signal, LAST_GRACE));
        if ended.is_err() {
            self.kill().ok();
        }
    }
}

/// The exit code, or a text that names the signal.
pub fn code_of(status: ExitStatus) -> Result<i32> {
    status.code().ok_or_else(|| anyhow!("ended by signal {:?}", status.signal()))
}

/// Makes a child run as the unprivileged user when we are root: databases refuse to run as root.
pub fn unprivileged(command: &mut Command) -> Result<()> {
    if let Some((user, group)) = unprivileged_ids()? {
        command.uid(user).gid(group);
    }
    Ok(())
}

/// The user and group for databases, if we are root.
pub(crate) fn unprivileged_ids() -> Result<Option<(u32, u32)>> {
    // SAFETY: geteuid has no preconditions and cannot fail.
    #[expect(unsafe_code, reason = "the effective user id has no safe accessor in std")]
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.starts_with("nobody:")).context("no user `nobody` in /etc/passwd")?;
    let mut ids = line.split(':').skip(2).map(str::parse::<u32>);
    match (ids.next(), ids.next()) {
        (Some(Ok(user)), Some(Ok(group))) => Ok(Some((user, group))),
        _ => bail!("cannot read the ids of `nobody` in /etc/passwd"),
    }
}

/// Runs a short command as that user to its end; what it printed is in the error.
pub(crate) fn run_unprivileged(command: &mut Command) -> Result<()> {
    unprivileged(command)?;
    let done = command.current_dir("/").output()?;
    if !done.status.success() {
        bail!("{command:?}: {}\n{}", done.status, String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}

/// Makes that user the owner of a file or folder.
pub(crate) fn give_away(path: &Path) -> Result<()> {
    if let Some((user, group)) = unprivileged_ids()? {
        std::os::unix::fs::chown(path, Some(user), Some(group))?;
    }
    Ok(())
}

/// Seconds of CPU, user and system, which a process has used.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // the second field is a name in brackets that may hold spaces; utime and stime are fields 14 and 15
    let fields = stat.rsplit_once(')').context("no name in stat")?.1;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    let (user, system) = (ticks.next().context("no utime")??, ticks.next().context("no stime")??);
    // Linux reports in 1/100 s on every architecture that we run on
    Ok((f64::from(user) + f64::from(system)) / 100.0)
}

/// The largest resident size so far, in bytes.
pub fn peak_rss(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM: the process ended")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}

/// Whether a process with this number exists and is not only waiting to be reaped.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

type Order = (Command, Sender<std::io::Result<Child>>);

fn forker() -> Sender<Order> {
    static FORKER: OnceLock<Sender<Order>> = OnceLock::new();
    let start = || {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::Builder::new()
            .name("forker".to_owned())
            .spawn(move || {
                for (mut command, reply) in inbox {
                    // nobody waits for the answer any more: the child is dropped and its owner with it
                    reply.send(command.spawn()).ok();
                }
            })
            .expect("a thread to start children");
        at_exit();
        orders
    };
    FORKER.get_or_init(start).clone()
}

#[expect(unsafe_code, reason = "the parent-death signal must be set between fork and exec")]
fn die_with_us(command: &mut Command, signal: i32) {
    let parent = std::process::id();
    let prepare = move || {
        // SAFETY: prctl and getppid are async-signal-safe system calls; nothing here allocates.
        let parent_now = unsafe {
            // std has changed user and group before this runs, which would have cleared the setting
            libc::prctl(libc::PR_SET_PDEATHSIG, signal);
            libc::getppid()
        };
        // the parent died before the setting: no signal will come
        if u32::try_from(parent_now) == Ok(parent) { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: the closure does only the two system calls above.
    unsafe { command.pre_exec(prepare) };
}

fn living() -> &'static Mutex<Vec<(u32, i32)>> {
    static LIVING: Mutex<Vec<(u32, i32)>> = Mutex::new(Vec::new());
    &LIVING
}

fn at_exit() {
    // SAFETY: the hook is a plain function that does not unwind.
    #[expect(unsafe_code, reason = "statics are not dropped; only the C library runs code at exit")]
    let failed = unsafe { libc::atexit(end_all) };
    assert!(failed == 0, "no room for a hook at exit");
}

extern "C" fn end_all() {
    let living = std::mem::take(&mut *locked(living()));
    for (pid, signal) in &living {
        send(*pid, libc::SIGCONT);
        send(*pid, *signal);
    }
    let begin = Instant::now();
    while begin.elapsed() < LAST_GRACE && living.iter().any(|(pid, _)| is_alive(*pid)) {
        std::thread::sleep(Duration::from_millis(5));
    }
    for (pid, _) in living.iter().filter(|(pid, _)| is_alive(*pid)) {
        send(*pid, libc::SIGKILL);
    }
    scratch::remove();
}

fn send(pid: u32, signal: i32) {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return };
    // SAFETY: kill takes two numbers; the caller knows that the process is an unreaped child of ours.
    #[expect(unsafe_code, reason = "std can send SIGKILL only")]
    let sent = unsafe { libc::kill(pid, signal) };
    debug_assert!(sent == 0 || !is_alive(pid.unsigned_abs()), "signal {signal} to {pid} was refused");
}

/// A lock whose holder panicked still holds what it held: a test's panic must not hide behind a poisoned mutex.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
