//! The socket options that the standard library does not know. The only unsafe call of this crate.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

#[expect(unsafe_code, reason = "the standard library has no call for these options")]
fn set(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open for as long as it is borrowed; `value` is an int that lives through the call, and
    // `size` is its size. The kernel copies it and keeps no pointer.
    let done = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A read returns once so many bytes are there, or at the receive timeout.
pub(crate) fn receive_low_water(socket: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX))
}

/// A peer that vanished without a word is noticed by the kernel, also while nothing is sent.
pub(crate) fn notice_dead_peer(socket: BorrowedFd<'_>, deadline: Duration) -> io::Result<()> {
    let seconds = libc::c_int::try_from(deadline.as_secs().max(1)).unwrap_or(libc::c_int::MAX);
    set(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    #[cfg(target_os = "linux")]
    {
        set(socket, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, (seconds / 2).max(1))?;
        set(socket, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, (seconds / 6).max(1))?;
        set(socket, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 3)?;
        set(socket, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, seconds.saturating_mul(1000))?;
    }
    Ok(())
}
