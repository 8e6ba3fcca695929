//! A PostgreSQL server of the test's own, and the changes of a stream as readable lines.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test's helpers; each test binary uses its own part"
)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use change::{Identity, Kind, Position, Resume, Row, Source, SourceError, Started, Statement, Step, Table, Value};
use source_postgres::{Config, PostgresSource};

const BIN: &str = "/usr/lib/postgresql/15/bin";

pub struct Server {
    /// Where `initdb` and `postgres` are; the client is of Debian's version for all.
    binaries: PathBuf,
    child: Option<Child>,
    pub directory: tempfile::TempDir,
    pub port: u16,
    options: Vec<String>,
}

/// A command that PostgreSQL's programs accept to be run by: never root.
fn command(program: &str) -> Command {
    unprivileged(&Path::new(BIN).join(program))
}

fn unprivileged(path: &Path) -> Command {
    if fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0) {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(path);
        command
    } else {
        Command::new(path)
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {text}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Server {
    pub fn start(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::start_in(directory, PathBuf::from(BIN), options)
    }

    /// A server of another version, which `scripts/setup.sh` has put into the cache.
    pub fn logical_of(version: &str) -> Self {
        let home = || Path::new(&std::env::var_os("HOME").unwrap()).join(".cache/headwater");
        let cache = std::env::var_os("HEADWATER_CACHE").map_or_else(home, PathBuf::from);
        let directory = tempfile::tempdir().unwrap();
        // The cache is in a home where the server's user may not look.
        let installation = directory.path().join("postgres");
        run(Command::new("cp").arg("-a").arg(cache.join(format!("postgres-{version}"))).arg(&installation));
        Self::start_in(directory, installation.join("bin"), &["wal_level=logical"])
    }

    fn start_in(directory: tempfile::TempDir, binaries: PathBuf, options: &[&str]) -> Self {
        let _ignored = std::os::unix::fs::chown(directory.path(), Some(65534), Some(65534));
        let data = directory.path().join("data");
        run(unprivileged(&binaries.join("initdb")).current_dir("/").arg("-D").arg(&data).args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        ]));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { binaries, child: None, directory, port, options };
        server.boot();
        server
    }

    pub fn logical() -> Self {
        Self::start(&["wal_level=logical"])
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub fn boot(&mut self) {
        let mut postgres = unprivileged(&self.binaries.join("postgres"));
        postgres.current_dir("/").arg("-D").arg(self.data()).args(["-p", &self.port.to_string(), "-h", "127.0.0.1"]);
        postgres.arg("-k").arg(self.directory.path());
        for option in ["fsync=off", "max_wal_senders=8", "max_replication_slots=8", "autovacuum=off"] {
            postgres.args(["-c", option]);
        }
        for option in &self.options {
            postgres.args(["-c", option]);
        }
        let log = fs::File::options().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let child = postgres.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.child = Some(child);
        let begin = Instant::now();
        while !command("psql")
            .args(self.psql_args("postgres"))
            .args(["-c", "select 1"])
            .output()
            .unwrap()
            .status
            .success()
        {
            assert!(
                begin.elapsed() < Duration::from_secs(30),
                "{}",
                fs::read_to_string(self.directory.path().join("log")).unwrap()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    pub fn halt(&mut self) {
        if let Some(mut child) = self.child.take() {
            run(Command::new("kill").args(["-INT", &child.id().to_string()]));
            child.wait().unwrap();
        }
    }

    fn psql_args(&self, user: &str) -> Vec<String> {
        ["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", self.directory.path().to_str().unwrap(), "-p"]
            .map(str::to_owned)
            .into_iter()
            .chain([self.port.to_string(), "-U".to_owned(), user.to_owned(), "postgres".to_owned()])
            .collect()
    }

    /// Runs SQL over the Unix socket; each argument of `psql -c` is a transaction of its own.
    pub fn sql(&self, sql: &str) -> String {
        run(command("psql").current_dir("/").args(self.psql_args("postgres")).args(["-c", sql]))
            .trim_end_matches('\n')
            .to_owned()
    }

    /// Runs statements one after the other, whatever becomes of them, and returns what they and the server say.
    pub fn script(&self, user: &str, sql: &str) -> String {
        let file = self.path("script.sql");
        fs::write(&file, sql).unwrap();
        let mut psql = command("psql");
        psql.current_dir("/").args(self.psql_args(user)).args(["-v", "ON_ERROR_STOP=0"]);
        let output = psql.stdin(fs::File::open(file).unwrap()).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    pub fn url(&self, user: &str, query: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/postgres?{query}", self.port)
    }

    pub fn config(&self, tables: &[&str]) -> Config {
        let mut config = Config::new(self.url("postgres", "sslmode=disable"), tables.iter().copied(), "hw", "hw");
        config.table_interval = Duration::from_millis(100);
        config
    }

    /// Replaces the rules of who may connect, and returns when the server goes by them.
    pub fn hba(&self, lines: &str) {
        // Nothing says when the server has read the file, but that it knows a rule of it: nobody of this name may connect.
        let path = self.data().join("pg_hba.conf");
        let generation = fs::read_to_string(&path).unwrap().matches("nobody_").count() + 1;
        let nobody = format!("nobody_{generation}");
        let rules: String = (1..=generation).map(|n| format!("local all nobody_{n} reject\n")).collect();
        fs::write(&path, format!("{rules}{lines}")).unwrap();
        self.sql("select pg_reload_conf()");
        let begin = Instant::now();
        loop {
            let refusal = command("psql").current_dir("/").args(self.psql_args(&nobody)).output().unwrap().stderr;
            let refusal = String::from_utf8_lossy(&refusal);
            if refusal.contains("pg_hba.conf rejects") {
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "the rules are not read: {refusal}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _sent = Command::new("kill").args(["-QUIT", &child.id().to_string()]).status();
            let _ended = child.wait();
        }
    }
}

/// One step, as a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub text: String,
    pub position: Position,
}

fn show(row: Option<&dyn Row>, table: &Table) -> String {
    let Some(row) = row else { return "-".to_owned() };
    let mut scratch = Vec::new();
    let columns: Vec<String> = (0..table.columns.len())
        .map(|index| {
            let text = row.text(index).map(str::to_owned);
            match row.value(index, &mut scratch).unwrap() {
                Value::Null => "null".to_owned(),
                Value::Absent(absence) => format!("<{}>", absence.reason.name()),
                // A copy has numbers in binary form: then there is no text.
                Value::Long(number) => text.unwrap_or_else(|| number.to_string()),
                _ => text.unwrap_or_else(|| "?".to_owned()),
            }
        })
        .collect();
    format!("({})", columns.join(","))
}

pub fn source(config: &Config) -> PostgresSource {
    PostgresSource::new(config.clone()).unwrap()
}

pub fn started(config: &Config, from: Option<&Resume>) -> (PostgresSource, Started) {
    let mut source = source(config);
    let started = source.start(from).unwrap();
    (source, started)
}

/// Reads until `enough` says so; fails after ten seconds.
pub fn read_until(source: &mut PostgresSource, enough: impl FnMut(&[Line]) -> bool) -> Vec<Line> {
    read_within(source, Duration::from_secs(10), enough)
}

pub fn read_within(
    source: &mut PostgresSource,
    deadline: Duration,
    mut enough: impl FnMut(&[Line]) -> bool,
) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let begin = Instant::now();
    while !enough(&lines) {
        let last = &lines[lines.len().saturating_sub(20)..];
        assert!(begin.elapsed() < deadline, "only {} lines, the last are {last:#?}", lines.len());
        if let Some(text) = line(source).unwrap() {
            lines.push(Line { text, position: source.position() });
        }
    }
    lines
}

/// Reads until nothing comes for a while.
pub fn read_silence(source: &mut PostgresSource) -> Vec<Line> {
    let (mut lines, mut silent) = (Vec::new(), 0);
    while silent < 4 {
        match line(source).unwrap() {
            Some(text) => {
                silent = 0;
                lines.push(Line { text, position: source.position() });
            }
            None => silent += 1,
        }
    }
    lines
}

pub fn commits(count: usize) -> impl FnMut(&[Line]) -> bool {
    move |lines| lines.iter().filter(|line| line.text == "commit").count() >= count
}

/// The next step as text; `None` when idle.
pub fn line(source: &mut PostgresSource) -> Result<Option<String>, SourceError> {
    Ok(match source.next(Duration::from_millis(50))? {
        Step::Idle => None,
        Step::Begin(_) => Some("begin".to_owned()),
        Step::Chunk(_) => Some("chunk".to_owned()),
        Step::Progress { key, text } => Some(format!("progress {key} {text}")),
        Step::Commit { .. } => Some("commit".to_owned()),
        Step::Statement(Statement { table, text, user, moved: None, .. }) => {
            Some(format!("statement {table} by {}: {text}", user.as_deref().unwrap_or("?")))
        }
        Step::Statement(statement) => panic!("a text proves nothing here: {statement:?}"),
        Step::Table(table) if table.identity == Identity::Index => {
            let key: Vec<&str> = table.key.iter().map(|&at| table.columns[at].name.as_str()).collect();
            Some(format!("table {} by {}", table.name, key.join(", ")))
        }
        Step::Table(table) => Some(format!("table {}", table.name)),
        Step::Change(change) => {
            let kind = match change.kind {
                Kind::Insert => "insert",
                Kind::Update => "update",
                Kind::Delete => "delete",
                Kind::Truncate => "truncate",
                Kind::Read => "read",
                Kind::Message => "message",
            };
            let key_only = if change.before_is_key_only { " key" } else { "" };
            Some(format!(
                "{}/{} {kind} {} {}{key_only} {}",
                change.total_order,
                change.table_order,
                change.table.name.table,
                show(change.before, change.table),
                show(change.after, change.table)
            ))
        }
    })
}

pub fn changes(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).filter(|text| text.contains('/')).collect()
}

pub fn stop(result: Result<Started, SourceError>) -> (String, String) {
    match result {
        Err(SourceError::Stop { what, help }) => (what, help),
        other => panic!("expected a stop, got {other:?}"),
    }
}

pub fn resume(position: &Position, started: &Started) -> Resume {
    Resume {
        position: position.clone(),
        server_identity: started.info.server_identity.clone(),
        progress: Default::default(),
    }
}

/// A certificate authority, and a certificate for `name` signed by it: `ca.crt`, `server.crt`, `server.key`.
pub fn certificates(directory: &Path, name: &str) {
    let openssl = |args: &str| {
        run(Command::new("openssl").current_dir(directory).args(args.split(' ')));
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=test-ca");
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server");
    let alt = if name.starts_with(|c: char| c.is_ascii_digit()) { "IP" } else { "DNS" };
    fs::write(directory.join("ext"), format!("subjectAltName={alt}:{name}\n")).unwrap();
    openssl("x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile ext");
    for file in ["server.key", "server.crt"] {
        let path = directory.join(file);
        let _ignored = std::os::unix::fs::chown(&path, Some(65534), Some(65534));
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
}
