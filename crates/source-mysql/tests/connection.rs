//! The connection against real servers: every way of logging in, TLS, large answers, and how a session ends.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use change::SourceError;
use secrecy::SecretString;
use source_mysql::packet::{self, Split};
use source_mysql::{Config, Connection, Error, Purpose, ServerError};
use testkit::{Flavour, MySql};

/// As one who may do everything, unless the address says otherwise.
fn config(url: &str) -> Config {
    Config::new("test", url, ["shop.*"])
}

fn address(server: &MySql, user: &str, parameters: &str) -> String {
    format!("{}://{user}@127.0.0.1:{}/?{parameters}", server.flavour().scheme(), server.port())
}

fn open(server: &MySql, user: &str, password: &str, parameters: &str) -> Result<Connection, Error> {
    let mut config = config(&address(server, user, parameters));
    config.password = Some(SecretString::from(password.to_owned()));
    config.validate().unwrap();
    Connection::open(&config, Purpose::Control)
}

fn root(server: &MySql) -> Connection {
    open(server, "root", "", "ssl-mode=DISABLED").unwrap()
}

fn value(connection: &mut Connection, sql: &str) -> String {
    connection.query("looking", sql).unwrap().remove(0).remove(0).unwrap_or_else(|| "NULL".to_owned())
}

fn stop(error: Error) -> (String, String) {
    match SourceError::from(error) {
        SourceError::Stop { what, help } => (what, help),
        other => panic!("{other:?}"),
    }
}

fn retry(error: Error) -> String {
    match SourceError::from(error) {
        SourceError::Retry { what } => what,
        other => panic!("{other:?}"),
    }
}

/// What every server has to show, whichever it is.
fn every_server(flavour: Flavour) {
    let server = MySql::start(flavour).unwrap();
    a_session_is_pinned(&server);
    refusals(&server);
    answers(&server);
    ends(&server);
    dumps(&server);
    unix_socket(&server);
}

#[test]
fn mysql() {
    every_server(Flavour::MySql);
}

#[test]
fn mariadb() {
    every_server(Flavour::MariaDb);
}

#[test]
fn mariadb_unstable() {
    every_server(Flavour::MariaDbUnstable);
}

fn a_session_is_pinned(server: &MySql) {
    let is_mariadb = server.flavour().is_mariadb();
    server
        .create_user("plain", if is_mariadb { "mysql_native_password" } else { "caching_sha2_password" }, "pw")
        .unwrap();
    let maintenance = server.maintenance();
    for setting in ["time_zone = '+05:00'", "sql_mode = 'ANSI'", "sql_select_limit = 1", "group_concat_max_len = 4"] {
        maintenance.execute(&format!("SET GLOBAL {setting}")).unwrap();
    }
    // an account without any right may pin everything
    let mut connection = open(server, "plain", "pw", "").unwrap();
    assert_eq!(connection.version(), server.version().unwrap());
    assert_eq!(connection.flavour() == source_mysql::Flavour::MariaDb, is_mariadb);
    assert_eq!(value(&mut connection, "SELECT connection_id()"), connection.id().to_string());
    for (variable, expected) in [
        ("time_zone", "+00:00"),
        ("sql_mode", "STRICT_ALL_TABLES"),
        ("group_concat_max_len", "16777216"),
        ("character_set_results", "utf8mb4"),
        ("autocommit", "1"),
        ("sql_select_limit", "18446744073709551615"),
        ("lock_wait_timeout", "30"),
    ] {
        assert_eq!(value(&mut connection, &format!("SELECT @@session.{variable}")), expected, "{variable}");
    }
    if is_mariadb {
        assert_eq!(value(&mut connection, "SELECT @@max_statement_time"), "0.000000");
    } else {
        assert_eq!(value(&mut connection, "SELECT @@show_gipk_in_create_table_and_information_schema"), "1");
        let seen = "SELECT group_concat(attr_value ORDER BY attr_name) FROM performance_schema.session_account_connect_attrs \
                    WHERE processlist_id = connection_id() AND attr_name IN ('program_name', 'pipeline', 'purpose')";
        assert_eq!(value(&mut connection, seen), "test,headwater,control");
    }
    connection.close();
    for variable in ["time_zone", "sql_mode", "sql_select_limit", "group_concat_max_len"] {
        maintenance.execute(&format!("SET GLOBAL {variable} = DEFAULT")).unwrap();
    }
}

fn refusals(server: &MySql) {
    let (what, help) = stop(open(server, "root", "wrong", "").unwrap_err());
    assert!(what.contains("error 1045") && help.contains("`password`"), "{what}; {help}");
    assert!(!what.contains("wrong"));
    let nowhere = format!("{}://root@127.0.0.1:{}/nowhere", server.flavour().scheme(), server.port());
    let (what, help) = stop(Connection::open(&config(&nowhere), Purpose::Control).unwrap_err());
    assert!(what.contains("error 1049") && help.contains("database"), "{what}; {help}");
    let (what, help) =
        stop(open(server, "plain", "pw", "").unwrap().query("looking", "SELECT * FROM mysql.user").unwrap_err());
    let table = if server.flavour().is_mariadb() { "`mysql`.`user`" } else { "….`user`" };
    assert!(help.contains(&format!("GRANT SELECT ON {table} TO")), "{what}; {help}");
    let privilege = if server.flavour().is_mariadb() { "SHOW BINARY LOGS" } else { "SHOW BINARY LOG STATUS" };
    let (what, help) = stop(open(server, "plain", "pw", "").unwrap().query("looking", privilege).unwrap_err());
    assert!(help.contains("run: GRANT ") && help.contains(" ON *.* TO"), "{what}; {help}");
    // a refused query is not the session's end
    let mut connection = root(server);
    let error = connection.query("looking", "SELEC 1").unwrap_err();
    assert_eq!(error.code(), Some(1064));
    assert_eq!(value(&mut connection, "SELECT 1"), "1");
    let closed = Connection::open(&config("mysql://root@127.0.0.1:1/"), Purpose::Control).unwrap_err();
    retry(closed);
}

fn answers(server: &MySql) {
    let database = server.create_database().unwrap();
    let mut connection = root(server);
    let rows = connection.query("looking", "SELECT NULL, '', 'ü€😀', 1.50, date'2020-02-29'").unwrap();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(rows, [vec![None, text(""), text("ü€😀"), text("1.50"), text("2020-02-29")]]);
    assert!(connection.query("looking", "SELECT 1 FROM dual WHERE 1 = 0").unwrap().is_empty());
    assert!(connection.query("looking", "SELECT x'ff'").unwrap_err().to_string().contains("not valid UTF-8"));

    server.maintenance().execute("SET GLOBAL max_allowed_packet = 1073741824").unwrap();
    let mut connection = root(server);
    let name = &database.name;
    connection.execute("making", &format!("CREATE TABLE {name}.big (id int PRIMARY KEY, v longblob)")).unwrap();
    // one piece, exactly one full piece, more; the row has a few bytes more than the value
    for (id, length) in [(1, 5), (2, 0xff_ffff - 6), (3, 20 << 20), (4, 0xff_ffff - 7), (5, 2 * 0xff_ffff - 11)] {
        connection.execute("filling", &format!("INSERT INTO {name}.big VALUES ({id}, repeat('x', {length}))")).unwrap();
    }
    let mut seen = Vec::new();
    let sql = format!("SELECT v, id FROM {name}.big ORDER BY id");
    connection
        .rows("copying", &sql, &mut |row| {
            let cells: Vec<_> = packet::cells(row).map(|cell| cell.unwrap().unwrap().to_vec()).collect();
            assert!(cells[0].iter().all(|byte| *byte == b'x'));
            seen.push((cells[0].len(), String::from_utf8(cells[1].clone()).unwrap()));
        })
        .unwrap();
    let expected = [(5, "1"), (0xff_ffff - 6, "2"), (20 << 20, "3"), (0xff_ffff - 7, "4"), (2 * 0xff_ffff - 11, "5")];
    assert_eq!(seen, expected.map(|(length, id)| (length, id.to_owned())));
    let rows = connection.query("copying", &format!("SELECT v FROM {name}.big WHERE id = 3")).unwrap();
    assert_eq!(rows[0][0].as_ref().unwrap().len(), 20 << 20);
    // and a statement of more than one piece
    let long = format!("SELECT length('{}')", "y".repeat(17 << 20));
    assert_eq!(value(&mut connection, &long), (17 << 20).to_string());
}

fn ends(server: &MySql) {
    let mut victim = root(server);
    root(server).execute("killing", &format!("KILL {}", victim.id())).unwrap();
    retry(victim.query("looking", "SELECT 1").unwrap_err());

    let victim = root(server);
    let id = victim.id();
    let sleeping = std::thread::spawn(move || {
        let mut victim = victim;
        victim.query("looking", "SELECT benchmark(1000000000000, 1 + 1)").unwrap_err()
    });
    let mut connection = root(server);
    let busy = format!("SELECT count(*) FROM information_schema.processlist WHERE id = {id} AND command = 'Query'");
    let look = || if value(&mut connection, &busy) == "1" { Ok(()) } else { Err("it is idle") };
    testkit::eventually(std::time::Duration::from_secs(10), "the query", look).unwrap();
    connection.execute("killing", &format!("KILL {id}")).unwrap();
    retry(sleeping.join().unwrap());

    let mut impatient = config(&address(server, "root", "ssl-mode=DISABLED"));
    impatient.deadline = std::time::Duration::from_millis(700);
    let error =
        Connection::open(&impatient, Purpose::Control).unwrap().query("looking", "SELECT sleep(5)").unwrap_err();
    assert!(retry(error).contains("no answer from 127.0.0.1"));
}

/// The next packet of a stream.
fn next_packet(transport: &mut source_mysql::Transport, buffer: &mut Vec<u8>, sequence: &mut u8) -> Vec<u8> {
    loop {
        if let Split::Packet(packet) = packet::split(buffer, *sequence).unwrap() {
            let body = buffer[packet.body(&mut buffer.clone())].to_vec();
            buffer.drain(..packet.total);
            *sequence = packet.next;
            return body;
        }
        let mut more = [0; 4096];
        match transport.read(&mut more) {
            Ok(count) => buffer.extend_from_slice(&more[..count]),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
}

fn dumps(server: &MySql) {
    let dump = |file: &str| {
        let mut connection = root(server);
        if server.flavour().is_mariadb() {
            connection.execute("naming", "SET @mariadb_slave_capability = 4").unwrap();
        }
        connection.execute("naming", "SET @master_binlog_checksum = @@global.binlog_checksum").unwrap();
        connection.execute("naming", "SET @source_binlog_checksum = @@global.binlog_checksum").unwrap();
        let mut command = vec![0x12, 4, 0, 0, 0, 0, 0];
        command.extend_from_slice(&4242_u32.to_le_bytes());
        command.extend_from_slice(file.as_bytes());
        let (mut transport, mut buffer) = connection.start_dump(&command).unwrap();
        let mut sequence = 1;
        [(); 2].map(|()| next_packet(&mut transport, &mut buffer, &mut sequence))
    };
    let first = root(server).query("looking", "SHOW BINARY LOGS").unwrap().remove(0).remove(0).unwrap();
    let [rotate, format] = dump(&first);
    assert_eq!((rotate[0], rotate[5], format[0], format[5]), (0, 4, 0, 15));
    let mut connection = root(server);
    let (mut transport, mut buffer) = {
        let mut command = vec![0x12, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        command.extend_from_slice(b"nothing.000077");
        connection.execute("naming", "SET @master_binlog_checksum = 'NONE'").unwrap();
        connection.start_dump(&command).unwrap()
    };
    let body = next_packet(&mut transport, &mut buffer, &mut 1);
    let error = ServerError::of_packet(&body).unwrap();
    assert_eq!(error.code, 1236, "{error}");
    let (_, help) = stop(Error::Server { doing: "reading the log".to_owned(), error });
    assert!(help.contains("is gone"), "{help}");
}

fn unix_socket(server: &MySql) {
    let path = server.data_dir().with_file_name("socket");
    // the account is for every host, and this one's name is localhost
    server.maintenance().execute("CREATE USER local@localhost IDENTIFIED BY 'pw'").unwrap();
    for mode in ["PREFERRED", "DISABLED"] {
        let url = format!("mysql://local:pw@localhost/?socket={}&ssl-mode={mode}", path.display());
        let mut connection = Connection::open(&config(&url), Purpose::Replication).unwrap();
        assert!(!connection.is_encrypted());
        assert_eq!(value(&mut connection, "SELECT current_user()"), "local@localhost");
    }
}

#[test]
fn mysql_passwords() {
    let server = MySql::builder(Flavour::MySql).ssl().start().unwrap();
    let ca = server.certificates().unwrap().ca.display().to_string();
    let password = "pässword of some length, longer than any nonce: 0123456789";
    for (user, plugin) in [("caching", "caching_sha2_password"), ("sha256", "sha256_password")] {
        server.create_user(user, plugin, password).unwrap();
        let (what, _) = stop(open(&server, user, "wrong", "ssl-mode=DISABLED").unwrap_err());
        assert!(what.contains("error 1045"), "{what}");
        // the first time by the server's key, then by what it remembers
        for _ in 0..2 {
            let mut connection = open(&server, user, password, "ssl-mode=DISABLED").unwrap();
            assert!(!connection.is_encrypted());
            assert_eq!(value(&mut connection, "SELECT current_user()"), format!("{user}@%"));
        }
        server.maintenance().execute("FLUSH PRIVILEGES").unwrap();
        for parameters in ["", "ssl-mode=REQUIRED", &format!("ssl-mode=verify_identity&ssl-ca={ca}")] {
            let mut connection = open(&server, user, password, parameters).unwrap();
            assert!(connection.is_encrypted());
            assert_eq!(value(&mut connection, "SELECT current_user()"), format!("{user}@%"));
        }
        let (what, _) = stop(open(&server, user, "wrong", "ssl-mode=REQUIRED").unwrap_err());
        assert!(what.contains("error 1045"), "{what}");
    }
    server.create_user("nobody", "caching_sha2_password", "").unwrap();
    open(&server, "nobody", "", "ssl-mode=DISABLED").unwrap();
    tls(&server, "caching", password);
}

#[test]
fn mariadb_passwords() {
    let server = MySql::builder(Flavour::MariaDbUnstable).ssl().start().unwrap();
    for (user, plugin) in [("native", "mysql_native_password"), ("edward", "ed25519")] {
        server.create_user(user, plugin, "sécret").unwrap();
        // nonces end with a zero byte now and then
        for turn in 0..300 {
            let mode = if turn < 3 { "REQUIRED" } else { "DISABLED" };
            let connection = open(&server, user, "sécret", &format!("ssl-mode={mode}")).unwrap();
            assert_eq!(connection.is_encrypted(), turn < 3);
            connection.close();
        }
        let (what, _) = stop(open(&server, user, "wrong", "ssl-mode=DISABLED").unwrap_err());
        assert!(what.contains("error 1045"), "{what}");
    }
    server.maintenance().execute("INSTALL SONAME 'auth_parsec'").unwrap();
    server.maintenance().execute("CREATE USER pars IDENTIFIED VIA parsec USING PASSWORD('pw')").unwrap();
    let (what, help) = stop(open(&server, "pars", "pw", "").unwrap_err());
    assert!(what.contains("\"parsec\"") && help.contains("ed25519"), "{what}; {help}");
    tls(&server, "native", "sécret");
}

/// What TLS has to prove, and what it does not accept.
fn tls(server: &MySql, user: &str, password: &str) {
    let certificates = server.certificates().unwrap();
    let ca = certificates.ca.display();
    let other = testkit::Certificates::generate().unwrap();
    // an authority that is named is asked, whatever the mode
    for mode in ["REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"] {
        assert!(open(server, user, password, &format!("ssl-mode={mode}&ssl-ca={ca}")).unwrap().is_encrypted());
        let parameters = format!("ssl-mode={mode}&ssl-ca={}", other.ca.display());
        let (what, help) = stop(open(server, user, password, &parameters).unwrap_err());
        assert!(what.contains("TLS") && help.contains("ssl-ca"), "{what}; {help}");
    }
    server.maintenance().execute("CREATE USER certain REQUIRE X509").unwrap();
    let (what, _) = stop(open(server, "certain", "", &format!("ssl-ca={ca}")).unwrap_err());
    assert!(what.contains("error 1045"), "{what}");
    let (certificate, key) = certificates.client("certain").unwrap();
    let own = format!("ssl-ca={ca}&ssl-cert={}&ssl-key={}", certificate.display(), key.display());
    open(server, "certain", "", &own).unwrap();
    let (certificate, key) = other.client("certain").unwrap();
    let foreign = format!("ssl-ca={ca}&ssl-cert={}&ssl-key={}", certificate.display(), key.display());
    let (what, _) = stop(open(server, "certain", "", &foreign).unwrap_err());
    assert!(what.contains("client certificate") || what.contains("error 1045"), "{what}");
}

/// A way to the server by another address, which keeps what the client sends. It serves one connection after the other, and
/// ends with the test.
fn relay(server: &MySql) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let (kept, port) = (Arc::clone(&sent), server.port());
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Both)));
            let (mut client, mut server, mut bytes) = (client, server, [0; 4096]);
            while let Ok(count @ 1..) = client.read(&mut bytes) {
                kept.lock().unwrap().extend_from_slice(&bytes[..count]);
                if server.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            server.shutdown(Shutdown::Both).ok();
        }
    });
    (address, sent)
}

fn through(relay: SocketAddr, user: &str, password: &str, parameters: &str) -> Result<Connection, Error> {
    let mut config = config(&format!("mysql://{user}@{relay}/?{parameters}"));
    config.password = Some(SecretString::from(password.to_owned()));
    Connection::open(&config, Purpose::Control)
}

#[test]
fn the_name_in_the_certificate_counts() {
    for flavour in [Flavour::MySql, Flavour::MariaDbUnstable] {
        let server = MySql::builder(flavour).ssl().start().unwrap();
        let ca = server.certificates().unwrap().ca.display().to_string();
        let (relay, _) = relay(&server);
        // with a database: both first packets have to say so
        let url = format!("mysql://root@{relay}/mysql?ssl-mode=VERIFY_CA&ssl-ca={ca}");
        let mut connection = Connection::open(&config(&url), Purpose::Control).unwrap();
        assert!(connection.is_encrypted());
        assert_eq!(value(&mut connection, "SELECT database()"), "mysql");
        connection.close();
        let (what, help) =
            stop(through(relay, "root", "", &format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={ca}")).unwrap_err());
        assert!(what.contains("not valid for name") && help.contains("certificate"), "{what}; {help}");
        // nobody has signed it that this machine trusts
        let (what, _) = stop(open(&server, "root", "", "ssl-mode=VERIFY_CA&ssl-ca=system").unwrap_err());
        assert!(what.contains("TLS"), "{what}");
    }
}

#[test]
fn a_password_is_never_sent_in_clear_text() {
    let server = MySql::builder(Flavour::MySql).ssl().start().unwrap();
    let password = "not for everybody";
    let (relay, sent) = relay(&server);
    for (user, plugin) in [("caching", "caching_sha2_password"), ("sha256", "sha256_password")] {
        server.create_user(user, plugin, password).unwrap();
        for mode in ["DISABLED", "PREFERRED"] {
            let mut connection = through(relay, user, password, &format!("ssl-mode={mode}")).unwrap();
            assert_eq!(value(&mut connection, "SELECT current_user()"), format!("{user}@%"));
            connection.close();
        }
    }
    let sent = sent.lock().unwrap();
    let shows = |text: &[u8]| sent.windows(text.len()).any(|part| part == text);
    assert!(shows(b"SELECT current_user()") && !shows(password.as_bytes()) && !shows(b"everybody"));
}

/// Whoever answers in the server's place: says `answers`, one after each packet of the client's, and tells what it heard.
fn impostor(answers: Vec<Vec<u8>>) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut heard = Vec::new();
        for answer in answers {
            client.write_all(&answer).unwrap();
            let mut bytes = [0; 4096];
            match client.read(&mut bytes) {
                Ok(count @ 1..) => heard.extend_from_slice(&bytes[..count]),
                _ => break,
            }
        }
        heard
    });
    (address, thread)
}

fn framed(sequence: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    packet::frame(body, sequence, &mut packet);
    packet
}

/// Of a server that offers TLS or does not.
fn greeting(tls: bool) -> Vec<u8> {
    let mut body = b"\x0a9.7.4\0\x2a\0\0\0abcdefgh\0".to_vec();
    let capabilities: u32 = 0x0108_a201 | if tls { 0x800 } else { 0 };
    let [a, b, c, d] = capabilities.to_le_bytes();
    body.extend([a, b, 45, 2, 0, c, d, 21]);
    body.extend([0; 10]);
    body.extend(b"ijklmnopqrst\0caching_sha2_password\0");
    body
}

#[test]
fn impostors() {
    let password = "not for everybody";
    let attempt = |answers: Vec<Vec<u8>>, parameters: &str| {
        let (address, thread) = impostor(answers);
        let error = through(address, "me", password, parameters).unwrap_err();
        let heard = thread.join().unwrap();
        assert!(!heard.windows(password.len()).any(|part| part == password.as_bytes()), "{error}");
        (error.to_string(), heard)
    };
    // TLS is asked for: nothing is said to one who does not offer it
    let (error, heard) = attempt(vec![framed(0, &greeting(false))], "ssl-mode=REQUIRED");
    assert!(error.contains("does not speak TLS") && heard.is_empty(), "{error}");
    // words in clear text behind the greeting are no part of the session
    let early = [framed(0, &greeting(true)), framed(2, b"\0\0\0\x02\0\0\0")].concat();
    let (error, _) = attempt(vec![early], "ssl-mode=REQUIRED");
    assert!(error.contains("out of turn"), "{error}");
    // packets are counted
    let (error, heard) = attempt(vec![framed(1, &greeting(false))], "ssl-mode=DISABLED");
    assert!(error.contains("sequence number") && heard.is_empty(), "{error}");
    let (error, _) = attempt(vec![framed(0, &greeting(false)), framed(3, b"\0\0\0\x02\0\0\0")], "ssl-mode=DISABLED");
    assert!(error.contains("sequence number"), "{error}");
    // the password itself is asked for
    let switch = framed(2, b"\xfemysql_clear_password\0");
    let (error, _) = attempt(vec![framed(0, &greeting(false)), switch], "ssl-mode=DISABLED");
    assert!(error.contains("clear text"), "{error}");
    // the password for a key that is none
    let full = framed(2, b"\x01\x04");
    let (error, heard) =
        attempt(vec![framed(0, &greeting(false)), full, framed(4, b"\x01no key")], "ssl-mode=DISABLED");
    assert!(error.contains("public key cannot be read") && heard.ends_with(&[1, 0, 0, 3, 2]), "{error} {heard:?}");
    // a file of this machine is asked for, in the place of the first answer
    let file = framed(1, b"\xfb/etc/passwd");
    let welcome = framed(2, b"\0\0\0\x02\0\0\0");
    let (error, _) = attempt(vec![framed(0, &greeting(false)), welcome, file], "ssl-mode=DISABLED");
    assert!(error.contains("\"/etc/passwd\"") && error.contains("does not get it"), "{error}");
}

#[test]
fn a_server_without_tls_says_so() {
    let server = MySql::start(Flavour::MariaDb).unwrap();
    assert!(!open(&server, "root", "", "ssl-mode=PREFERRED").unwrap().is_encrypted());
    let (what, help) = stop(open(&server, "root", "", "ssl-mode=REQUIRED").unwrap_err());
    assert!(what.contains("does not speak TLS") && help.contains("ssl-mode=DISABLED"), "{what}; {help}");
}
