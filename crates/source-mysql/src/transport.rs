//! Bytes to and from the server: TCP or a Unix socket, with or without TLS.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustls::ClientConnection;

use crate::error::Error;
use crate::sockopt;
use crate::url::Endpoint;

/// rustls reads 4 KiB at a time; the kernel is asked for this much at once.
const TLS_BUFFER: usize = 256 << 10;

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    pub(crate) fn connect(endpoint: &Endpoint, timeout: Duration, deadline: Duration) -> Result<Self, Error> {
        let doing = format!("connecting to {}", endpoint.name());
        if let Some(path) = &endpoint.socket {
            let socket = UnixStream::connect(path).map_err(Error::network(doing))?;
            return Ok(Self::Unix(socket));
        }
        let addresses = (endpoint.host.as_str(), endpoint.port)
            .to_socket_addrs()
            .map_err(Error::network(format!("looking up {}", endpoint.host)))?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(socket) => {
                    socket.set_nodelay(true).map_err(Error::network(doing.clone()))?;
                    sockopt::notice_dead_peer(socket.as_fd(), deadline).map_err(Error::network(doing))?;
                    return Ok(Self::Tcp(socket));
                }
                Err(error) => last = error,
            }
        }
        Err(Error::Network { doing, error: last })
    }

    fn set_timeouts(&self, read: Duration, write: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => {
                socket.set_read_timeout(Some(read))?;
                socket.set_write_timeout(Some(write))
            }
            Self::Unix(socket) => {
                socket.set_read_timeout(Some(read))?;
                socket.set_write_timeout(Some(write))
            }
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An open way to the server.
#[derive(Debug)]
pub enum Transport {
    Plain(Socket),
    Tls(Box<TlsTransport>),
}

/// TLS over a socket that is asked for much at once.
#[derive(Debug)]
pub struct TlsTransport {
    session: ClientConnection,
    socket: BufReader<Socket>,
}

impl Transport {
    /// Completes the handshake.
    pub(crate) fn tls(session: ClientConnection, socket: Socket) -> io::Result<Self> {
        let mut tls = TlsTransport { session, socket: BufReader::with_capacity(TLS_BUFFER, socket) };
        while tls.session.is_handshaking() {
            tls.write_out()?;
            if tls.session.is_handshaking() && tls.session.wants_read() {
                tls.read_in()?;
            }
        }
        tls.write_out()?;
        Ok(Self::Tls(Box::new(tls)))
    }

    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.socket.get_ref(),
        }
    }

    /// How long a read and a write may take at most.
    pub fn set_timeouts(&self, read: Duration, write: Duration) -> io::Result<()> {
        self.socket().set_timeouts(read, write)
    }

    pub(crate) fn is_unix(&self) -> bool {
        matches!(self.socket(), Socket::Unix(_))
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// A read returns once so many bytes are there, or at the read timeout.
    pub fn set_low_water(&self, bytes: u32) -> io::Result<()> {
        sockopt::receive_low_water(self.socket().fd(), bytes)
    }

    /// Whether bytes were taken from the kernel that no read has returned.
    pub fn holds_bytes(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => !tls.socket.buffer().is_empty(),
        }
    }
}

impl TlsTransport {
    fn read_in(&mut self) -> io::Result<()> {
        // A timeout has to come from the socket alone, with nothing of the session half done.
        if self.socket.fill_buf()?.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.session.read_tls(&mut self.socket)?;
        let processed = self.session.process_new_packets();
        if let Err(error) = processed {
            // Tells the server why, as far as that is still possible.
            let told = self.write_out();
            return Err(io::Error::new(io::ErrorKind::InvalidData, TlsFailure { error, told: told.is_ok() }));
        }
        Ok(())
    }

    fn write_out(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(self.socket.get_mut())?;
        }
        Ok(())
    }
}

/// What an error of the socket is made of when TLS is at fault.
#[derive(Debug)]
pub(crate) struct TlsFailure {
    pub(crate) error: rustls::Error,
    told: bool,
}

impl std::fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TLS: {}", self.error)?;
        if self.told { Ok(()) } else { write!(f, " (the server could not be told)") }
    }
}

impl std::error::Error for TlsFailure {}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(tls) => loop {
                match tls.session.reader().read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    other => return other,
                }
                tls.read_in()?;
                tls.write_out()?;
            },
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => {
                let taken = tls.session.writer().write(bytes)?;
                tls.write_out()?;
                Ok(taken)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.write_out(),
        }
    }
}
