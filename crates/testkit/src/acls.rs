//! Access control lists of a broker. The Kafka client that the kit uses cannot make them, and a Java process for each
//! would take seconds: so the one request is written here by hand (`CreateAcls`, version 1).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::kafka::Kafka;

const CREATE_ACLS: i16 = 30;
const VERSION: i16 = 1;
const ALLOW: u8 = 3;
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a right is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    Topic(String),
    /// All topics that begin so.
    Topics(String),
    TransactionalId(String),
    Group(String),
    Cluster,
}

impl Resource {
    /// Kafka's numbers: of the type and of the pattern; and the name.
    fn parts(&self) -> (u8, u8, &str) {
        const LITERAL: u8 = 3;
        const PREFIXED: u8 = 4;
        match self {
            Self::Topic(name) => (2, LITERAL, name),
            Self::Topics(prefix) => (2, PREFIXED, prefix),
            Self::Group(name) => (3, LITERAL, name),
            Self::Cluster => (4, LITERAL, "kafka-cluster"),
            Self::TransactionalId(name) => (5, LITERAL, name),
        }
    }
}

/// Kafka's number of an operation, by Kafka's name.
fn number(operation: &str) -> Result<u8> {
    let names = ["Read", "Write", "Create", "Delete", "Alter", "Describe", "ClusterAction", "DescribeConfigs"];
    match names.iter().position(|name| *name == operation) {
        Some(at) => Ok(u8::try_from(at)? + 3),
        None if operation == "AlterConfigs" => Ok(11),
        None if operation == "IdempotentWrite" => Ok(12),
        None => bail!("Kafka has no operation {operation}"),
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) -> Result<()> {
    bytes.extend(i16::try_from(text.len())?.to_be_bytes());
    bytes.extend(text.as_bytes());
    Ok(())
}

impl Kafka {
    /// Allows `user` the operations, each on its resource. The plain listener's user has to be a super user.
    pub fn allow(&self, user: &str, rights: &[(Resource, &str)]) -> Result<()> {
        let mut request = Vec::new();
        request.extend(CREATE_ACLS.to_be_bytes());
        request.extend(VERSION.to_be_bytes());
        request.extend(1i32.to_be_bytes()); // correlation
        text(&mut request, "testkit")?;
        request.extend(i32::try_from(rights.len())?.to_be_bytes());
        for (resource, operation) in rights {
            let (kind, pattern, name) = resource.parts();
            request.push(kind);
            text(&mut request, name)?;
            request.push(pattern);
            text(&mut request, &format!("User:{user}"))?;
            text(&mut request, "*")?;
            request.extend([number(operation)?, ALLOW]);
        }
        let mut socket = TcpStream::connect(self.bootstrap())?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.write_all(&i32::try_from(request.len())?.to_be_bytes())?;
        socket.write_all(&request)?;
        let mut length = [0; 4];
        socket.read_exact(&mut length).context("no answer to CreateAcls")?;
        let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length))?];
        socket.read_exact(&mut answer)?;
        accepted(&answer, rights.len())
    }
}

/// Correlation and throttle time, the number of results, then an error code and a nullable text for each.
fn accepted(answer: &[u8], wanted: usize) -> Result<()> {
    let mut rest = answer.get(8..).context("a short answer")?;
    let mut take = |count: usize| -> Result<&[u8]> {
        let (head, tail) = rest.split_at_checked(count).context("a short answer")?;
        rest = tail;
        Ok(head)
    };
    let count = i32::from_be_bytes(take(4)?.try_into()?);
    ensure!(usize::try_from(count)? == wanted, "{count} results for {wanted} rights");
    for _ in 0..count {
        let code = i16::from_be_bytes(take(2)?.try_into()?);
        let length = i16::from_be_bytes(take(2)?.try_into()?);
        let why = take(usize::try_from(length.max(0))?)?;
        ensure!(code == 0, "Kafka refuses a right with error {code}: {}", String::from_utf8_lossy(why));
    }
    Ok(())
}
