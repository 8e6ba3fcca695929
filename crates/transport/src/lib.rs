//! The way to a database server, whatever is spoken over it: TCP or a Unix socket, with deadlines that the kernel keeps, and
//! TLS as far as the URL asks for it. What a mode of TLS is called, and when it begins, is each database's own.

mod sockopt;
mod tls;
mod transport;

pub use tls::{Refused, Terms, Words, session};
pub use transport::{Socket, TlsTransport, Transport, closed, is_timeout, refuses_certificate};
