//! A TCP proxy that misbehaves on demand, to stand between the connector and a server.
//!
//! Every connection has two threads, one a direction. They look at the shared state before each piece that they pass on,
//! and wake at least every [`TICK`] to see whether the connection is to be cut. A proxy made by [`Proxy::kafka`] cuts
//! the client's bytes into requests and can treat requests of one kind (API key) differently.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::process::locked;

/// The longest that a thread takes to see a new order.
const TICK: Duration = Duration::from_millis(10);
const SETTLE: Duration = Duration::from_secs(5);

/// The EndTxn request of Kafka's protocol: commit or abort.
pub const END_TXN: i16 = 26;
/// The Produce request of Kafka's protocol.
pub const PRODUCE: i16 = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What happens to a Kafka request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is passed on later.
    Delay(Duration),
    /// The connection is cut and the broker never sees it.
    CutBefore,
    /// The broker gets it and works; the connection is cut instead of passing on its answer.
    CutAfter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Forward,
    Refuse,
    Stall,
    Swallow,
    Closed,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    target: Option<u16>,
    delay: [Duration; 2],
    /// Bytes, both ways together, until all connections are cut.
    budget: Option<u64>,
    faults: HashMap<i16, (usize, Fault)>,
    links: Vec<Arc<Link>>,
    listening: bool,
}

#[derive(Debug)]
struct Link {
    client: TcpStream,
    server: TcpStream,
    cut: AtomicBool,
    answer_lost: AtomicBool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    bytes: [AtomicU64; 2],
    requests: Mutex<HashMap<i16, u64>>,
    port: u16,
    kafka: bool,
}

/// A proxy on a port of its own. Dropping it closes everything.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy for any protocol, to `127.0.0.1:target`.
    pub fn start(target: u16) -> Result<Proxy> {
        let proxy = Proxy::listen(false)?;
        proxy.set_target(target);
        Ok(proxy)
    }

    /// A proxy that knows Kafka's requests. Its target comes later: the broker must be told the proxy's port first.
    pub fn kafka() -> Result<Proxy> {
        Proxy::listen(true)
    }

    fn listen(kafka: bool) -> Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let state = State {
            mode: Mode::Forward,
            target: None,
            delay: [Duration::ZERO; 2],
            budget: None,
            faults: HashMap::new(),
            links: Vec::new(),
            listening: true,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            bytes: [AtomicU64::new(0), AtomicU64::new(0)],
            requests: Mutex::default(),
            port: listener.local_addr()?.port(),
            kafka,
        });
        let acceptor = Arc::clone(&shared);
        std::thread::Builder::new().name("proxy".to_owned()).spawn(move || accept_all(&acceptor, listener))?;
        Ok(Proxy { shared })
    }

    pub fn port(&self) -> u16 {
        self.shared.port
    }

    pub fn set_target(&self, port: u16) {
        self.change(|state| state.target = Some(port));
    }

    /// Resets all connections; new ones are welcome.
    pub fn cut(&self) -> Result<()> {
        self.change(State::cut_all);
        // a client that comes back at once has new ones already
        self.wait_until("its connections to be gone", |state| {
            !state.links.iter().any(|link| link.cut.load(Ordering::Relaxed))
        })
    }

    /// Resets all connections and refuses new ones, until [`Proxy::resume`].
    pub fn refuse(&self) -> Result<()> {
        self.change(|state| {
            state.mode = Mode::Refuse;
            state.cut_all();
        });
        wake(self.shared.port);
        self.wait_until("its listener to be closed", |state| !state.listening && state.links.is_empty())
    }

    /// Passes nothing on. Connections stay open and their buffers fill up.
    pub fn stall(&self) {
        self.change(|state| state.mode = Mode::Stall);
    }

    /// Takes all bytes and passes none on: both ends think that the other hears them. What was swallowed stays lost, so
    /// cut the connections before [`Proxy::resume`].
    pub fn half_open(&self) {
        self.change(|state| state.mode = Mode::Swallow);
    }

    /// Back to normal: forwards, without delays, budget or faults.
    pub fn resume(&self) -> Result<()> {
        self.change(|state| {
            state.mode = Mode::Forward;
            state.delay = [Duration::ZERO; 2];
            state.budget = None;
            state.faults.clear();
        });
        self.wait_until("its listener to be open", |state| state.listening)
    }

    /// Holds every piece (of up to 64 KiB) of this direction for so long.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.change(|state| state.delay[direction as usize] = delay);
    }

    /// Cuts all connections once so many more bytes have passed, both ways together.
    pub fn cut_after(&self, bytes: u64) {
        self.change(|state| state.budget = Some(bytes));
    }

    /// The next `times` Kafka requests with this API key meet `fault`.
    pub fn on_api(&self, api_key: i16, times: usize, fault: Fault) {
        assert!(self.shared.kafka, "only a proxy made by Proxy::kafka knows requests");
        self.change(|state| {
            state.faults.insert(api_key, (times, fault));
        });
    }

    /// Every Kafka request with this API key is passed on later, until [`Proxy::resume`].
    pub fn delay_api(&self, api_key: i16, delay: Duration) {
        self.on_api(api_key, usize::MAX, Fault::Delay(delay));
    }

    /// How many more times the fault set by [`Proxy::on_api`] will strike.
    pub fn faults_left(&self, api_key: i16) -> usize {
        locked(&self.shared.state).faults.get(&api_key).map_or(0, |(times, _)| *times)
    }

    /// How many Kafka requests with this API key have come.
    pub fn requests(&self, api_key: i16) -> u64 {
        locked(&self.shared.requests).get(&api_key).copied().unwrap_or(0)
    }

    /// Bytes passed on in this direction.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.shared.bytes[direction as usize].load(Ordering::Relaxed)
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        locked(&self.shared.state).links.len()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut locked(&self.shared.state));
        self.shared.changed.notify_all();
    }

    fn wait_until(&self, what: &str, done: impl Fn(&State) -> bool) -> Result<()> {
        let state = locked(&self.shared.state);
        let waited = self.shared.changed.wait_timeout_while(state, SETTLE, |state| !done(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        ensure!(done(&state), "the proxy waited {SETTLE:?} for {what}; {} connections are left", state.links.len());
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.change(|state| {
            state.mode = Mode::Closed;
            state.cut_all();
        });
        wake(self.shared.port);
    }
}

impl State {
    fn cut_all(&mut self) {
        for link in &self.links {
            link.cut.store(true, Ordering::Relaxed);
        }
    }
}

impl Shared {
    /// Waits while the mode is one of `modes`.
    fn wait_while(&self, modes: &[Mode]) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_while(locked(&self.state), |state| modes.contains(&state.mode));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn set_listening(&self, listening: bool) {
        locked(&self.state).listening = listening;
        self.changed.notify_all();
    }

    /// Waits while stalled; then what to do with the next piece.
    fn next_mode(&self, link: &Link) -> Mode {
        let mut state = locked(&self.state);
        while state.mode == Mode::Stall && !link.cut.load(Ordering::Relaxed) {
            state = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.mode
    }

    fn count(&self, direction: Direction, bytes: usize) {
        let bytes = bytes as u64;
        self.bytes[direction as usize].fetch_add(bytes, Ordering::Relaxed);
        let mut state = locked(&self.state);
        if let Some(left) = state.budget {
            state.budget = left.checked_sub(bytes).filter(|left| *left > 0);
            if state.budget.is_none() {
                state.cut_all();
            }
        }
    }

    /// The fault that strikes this request, which is used up by it.
    fn fault(&self, api_key: i16) -> Option<Fault> {
        *locked(&self.requests).entry(api_key).or_default() += 1;
        let mut state = locked(&self.state);
        let (times, fault) = state.faults.get_mut(&api_key)?;
        if *times == 0 {
            return None;
        }
        if *times != usize::MAX {
            *times -= 1;
        }
        Some(*fault)
    }
}

/// Makes a blocked `accept` return, so that the thread sees the new mode.
fn wake(port: u16) {
    // a refused connection means that nobody waits in `accept`
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SETTLE).ok();
}

fn accept_all(shared: &Arc<Shared>, listener: TcpListener) {
    let mut listener = Some(listener);
    loop {
        let mode = locked(&shared.state).mode;
        match (mode, &listener) {
            (Mode::Closed, _) => return,
            (Mode::Refuse, _) => {
                listener = None;
                shared.set_listening(false);
                drop(shared.wait_while(&[Mode::Refuse]));
            }
            (_, None) => {
                listener = TcpListener::bind((Ipv4Addr::LOCALHOST, shared.port)).ok();
                shared.set_listening(listener.is_some());
            }
            (_, Some(open)) => {
                if let Ok((client, _)) = open.accept() {
                    connect(shared, client);
                }
            }
        }
    }
}

fn connect(shared: &Arc<Shared>, client: TcpStream) {
    let mut state = locked(&shared.state);
    let (Some(target), Mode::Forward | Mode::Stall | Mode::Swallow) = (state.target, state.mode) else { return };
    let Ok(server) = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, target)), SETTLE) else {
        return;
    };
    for stream in [&client, &server] {
        let set = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(TICK)));
        if set.and_then(|()| stream.set_write_timeout(Some(TICK))).is_err() {
            return;
        }
    }
    let link = Link { client, server, cut: AtomicBool::new(false), answer_lost: AtomicBool::new(false) };
    let link = Arc::new(link);
    state.links.push(Arc::clone(&link));
    drop(state);
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        std::thread::scope(|scope| {
            scope.spawn(|| pump(&shared, &link, Direction::Up));
            pump(&shared, &link, Direction::Down);
        });
        // closing with this option set sends a reset
        for stream in [&link.client, &link.server].into_iter().filter(|_| link.cut.load(Ordering::Relaxed)) {
            reset_on_close(stream);
        }
        locked(&shared.state).links.retain(|other| !Arc::ptr_eq(other, &link));
        drop(link);
        shared.changed.notify_all();
    });
}

/// Passes bytes of one direction on until the end of the stream or of the connection.
fn pump(shared: &Shared, link: &Link, direction: Direction) {
    let (mut from, to) = match direction {
        Direction::Up => (&link.client, &link.server),
        Direction::Down => (&link.server, &link.client),
    };
    let mut buffer = vec![0; 64 * 1024];
    let mut requests = Requests::default();
    while !link.cut.load(Ordering::Relaxed) {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if is_timeout(&error) => continue,
            Err(_) => {
                link.cut.store(true, Ordering::Relaxed);
                break;
            }
        };
        if direction == Direction::Down && link.answer_lost.load(Ordering::Relaxed) {
            link.cut.store(true, Ordering::Relaxed);
            break;
        }
        if shared.kafka && direction == Direction::Up {
            requests.pending.extend_from_slice(&buffer[..read]);
            while let Some(request) = requests.next() {
                let key = i16::from_be_bytes([request[4], request[5]]);
                strike(shared, link, key);
                pass_on(shared, link, direction, to, &request);
                if link.cut.load(Ordering::Relaxed) {
                    return;
                }
            }
        } else {
            pass_on(shared, link, direction, to, &buffer[..read]);
        }
    }
    // a half-closed stream: the other direction may still have something to say
    to.shutdown(Shutdown::Write).ok();
}

fn strike(shared: &Shared, link: &Link, api_key: i16) {
    match shared.fault(api_key) {
        None => {}
        Some(Fault::Delay(delay)) => hold(link, delay),
        Some(Fault::CutBefore) => link.cut.store(true, Ordering::Relaxed),
        Some(Fault::CutAfter) => link.answer_lost.store(true, Ordering::Relaxed),
    }
}

fn pass_on(shared: &Shared, link: &Link, direction: Direction, mut to: &TcpStream, mut bytes: &[u8]) {
    let delay = locked(&shared.state).delay[direction as usize];
    hold(link, delay);
    if shared.next_mode(link) == Mode::Swallow {
        return;
    }
    while !bytes.is_empty() && !link.cut.load(Ordering::Relaxed) {
        let budget =
            locked(&shared.state).budget.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        match to.write(&bytes[..bytes.len().min(budget.max(1))]) {
            Ok(written) => {
                shared.count(direction, written);
                bytes = &bytes[written..];
            }
            Err(error) if is_timeout(&error) => {}
            Err(_) => link.cut.store(true, Ordering::Relaxed),
        }
    }
}

/// Waits so long, unless the connection is cut first.
fn hold(link: &Link, delay: Duration) {
    let until = Instant::now() + delay;
    while Instant::now() < until && !link.cut.load(Ordering::Relaxed) {
        std::thread::sleep(TICK.min(until.saturating_duration_since(Instant::now())));
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn reset_on_close(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = libc::socklen_t::try_from(size_of::<libc::linger>()).expect("a small struct");
    // SAFETY: the descriptor is open, the pointer and the size describe `linger`, which outlives the call.
    #[expect(unsafe_code, reason = "std cannot set SO_LINGER")]
    unsafe {
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), size);
    }
}

/// Kafka requests out of a stream of bytes: a length of four bytes, then as many.
#[derive(Default)]
struct Requests {
    pending: Vec<u8>,
}

impl Requests {
    fn next(&mut self) -> Option<Vec<u8>> {
        let length = u32::from_be_bytes(self.pending.first_chunk().copied()?);
        let end = 4 + usize::try_from(length).ok()?;
        if self.pending.len() < end.max(6) {
            return None;
        }
        let rest = self.pending.split_off(end);
        Some(std::mem::replace(&mut self.pending, rest))
    }
}
