//! Bytes to and from the server: TCP or a Unix socket, with or without TLS.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustls::{AlertDescription, ClientConnection};

use crate::sockopt;

/// rustls reads 4 KiB at a time; the kernel is asked for this much at once.
const TLS_BUFFER: usize = 256 << 10;

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Tries the addresses of a name one after the other, each for `timeout`. A peer that vanishes later, without a word, is
    /// noticed within `deadline`. The error is the last address's.
    pub fn tcp(host: &str, port: u16, timeout: Duration, deadline: Duration) -> io::Result<Self> {
        let unknown = |error: io::Error| io::Error::new(error.kind(), format!("looking up {host}: {error}"));
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (host, port).to_socket_addrs().map_err(unknown)? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    sockopt::notice_dead_peer(socket.as_fd(), deadline)?;
                    return Ok(Self::Tcp(socket));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub fn unix(path: impl AsRef<Path>) -> io::Result<Self> {
        UnixStream::connect(path).map(Self::Unix)
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
    pub fn tls(session: ClientConnection, socket: Socket) -> io::Result<Self> {
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

    pub fn is_unix(&self) -> bool {
        matches!(self.socket(), Socket::Unix(_))
    }

    pub fn is_encrypted(&self) -> bool {
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

    /// The server's certificate, for channel binding.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => tls.session.peer_certificates()?.first().map(AsRef::as_ref),
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
struct TlsFailure {
    error: rustls::Error,
    told: bool,
}

impl std::fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TLS: {}", self.error)?;
        if self.told { Ok(()) } else { write!(f, " (the server could not be told)") }
    }
}

impl std::error::Error for TlsFailure {}

/// Whether the server did not take the client's certificate. Since TLS 1.3 it judges that after the handshake, as the client
/// sees it: the refusal comes in the place of its first answer, and trying again would not help.
pub fn refuses_certificate(error: &io::Error) -> bool {
    use AlertDescription as Alert;
    let failure = error.get_ref().and_then(|cause| cause.downcast_ref::<TlsFailure>());
    matches!(
        failure.map(|failure| &failure.error),
        Some(rustls::Error::AlertReceived(
            Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::CertificateRequired,
        ))
    )
}

/// What a read of nothing means.
pub fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")
}

/// Whether an error only says that nothing came in time.
pub fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind;
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

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
