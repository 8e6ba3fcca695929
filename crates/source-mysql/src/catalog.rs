//! What SQL tells about the server: its settings, its tables, the transactions that it has.

use std::collections::BTreeMap;

use change::{Identity, TableName};

use crate::config::Patterns;
use crate::connection::{Connection, Row};
use crate::error::Error;
use crate::flavour::Flavour;
use crate::gtid::{mariadb, mysql};
use crate::position::{FilePlace, Passed};
use crate::table::{Catalogue, Declared};

pub(crate) fn strange(doing: &str) -> Error {
    Error::stop(
        format!("{doing}: the server's answer is not understood"),
        "please report this with the server's version",
    )
}

/// The text of a column that has one.
pub(crate) fn field<'a>(row: &'a Row, index: usize, doing: &str) -> Result<&'a str, Error> {
    row.get(index).and_then(Option::as_deref).ok_or_else(|| strange(doing))
}

/// Facts about the server that decide whether and how its log can be read.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) flavour: Flavour,
    pub(crate) version: String,
    /// MySQL's `server_uuid`, MariaDB's `server_id`: whose files the log's are.
    pub(crate) identity: String,
    /// Whether transactions have numbers that hold on every server. MariaDB's always have.
    pub(crate) gtids: bool,
    pub(crate) log_bin: bool,
    /// `ROW`, `STATEMENT` or `MIXED`.
    pub(crate) format: String,
    /// `FULL`, `MINIMAL`, `NOBLOB`, MariaDB's `FULL_NODUP`.
    pub(crate) image: String,
    /// `FULL`, `MINIMAL`, `NO_LOG`; empty where the server does not know it.
    pub(crate) metadata: String,
    /// Names of tables are kept in small letters, however a statement writes them (`lower_case_table_names = 1`).
    pub(crate) folds_names: bool,
}

impl Server {
    /// Whether the log says what columns are called.
    pub(crate) fn logs_names(&self) -> bool {
        self.metadata.eq_ignore_ascii_case("FULL")
    }

    /// Whether old and new row are whole: in MariaDB's `FULL_NODUP` together, as the new one has only what changed.
    pub(crate) fn logs_whole_rows(&self) -> bool {
        ["FULL", "FULL_NODUP"].iter().any(|image| self.image.eq_ignore_ascii_case(image))
    }
}

/// Settings by their names in lower case. One that the server does not have is missing.
pub(crate) fn variables(control: &mut Connection, names: &[&str]) -> Result<BTreeMap<String, String>, Error> {
    let doing = "asking for the server's settings";
    let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
    // One statement for all versions: a variable that a server does not have is a row less.
    let rows = control.query(doing, &format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})", names.join(", ")))?;
    let pair = |row: &Row| Ok((field(row, 0, doing)?.to_ascii_lowercase(), field(row, 1, doing)?.to_owned()));
    rows.iter().map(pair).collect()
}

impl Server {
    /// A sentence, if nobody has ever tried a version as old as this one.
    pub(crate) fn too_old(&self) -> Option<String> {
        let (flavour, version) = (self.flavour, &self.version);
        let oldest = if flavour == Flavour::MySql { (8, 0) } else { (10, 6) };
        let parts = version.split(|letter: char| !letter.is_ascii_digit());
        let mut numbers = parts.map(|part| part.parse::<u32>().unwrap_or_default());
        let there = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        (there < oldest).then(|| format!("{flavour} {version} is older than {}.{}", oldest.0, oldest.1))
    }

    /// How much of an old row the log has.
    pub(crate) fn key_identity(&self) -> Identity {
        if self.logs_whole_rows() { Identity::Full } else { Identity::Default }
    }
}

pub(crate) fn server(control: &mut Connection) -> Result<Server, Error> {
    let mut found = variables(
        control,
        &[
            "server_uuid",
            "server_id",
            "gtid_mode",
            "log_bin",
            "binlog_format",
            "binlog_row_image",
            "binlog_row_metadata",
            "lower_case_table_names",
        ],
    )?;
    let flavour = control.flavour();
    let mut take = |name: &str| found.remove(name).unwrap_or_default();
    let identity = match flavour {
        Flavour::MySql => take("server_uuid"),
        Flavour::MariaDb => take("server_id"),
    };
    Ok(Server {
        flavour,
        version: control.version().to_owned(),
        identity,
        gtids: flavour == Flavour::MariaDb || take("gtid_mode").eq_ignore_ascii_case("ON"),
        log_bin: take("log_bin").eq_ignore_ascii_case("ON"),
        format: take("binlog_format"),
        image: take("binlog_row_image"),
        metadata: take("binlog_row_metadata"),
        folds_names: take("lower_case_table_names") == "1",
    })
}

/// Everything that is in the server's log now.
pub(crate) fn passed(control: &mut Connection, server: &Server) -> Result<Passed, Error> {
    let doing = "asking for the end of the log";
    if !server.gtids {
        return end_of_files(control).map(Passed::File);
    }
    match server.flavour {
        Flavour::MySql => gtid_variable(control, "gtid_executed").map(Passed::MySql),
        Flavour::MariaDb => {
            let rows = control.query(doing, "SELECT @@global.gtid_binlog_pos")?;
            let text = field(rows.first().ok_or_else(|| strange(doing))?, 0, doing)?;
            text.parse::<mariadb::GtidSet>().map(Passed::MariaDb).map_err(|_| strange(doing))
        }
    }
}

/// MariaDB: what came before the oldest file that is still there.
pub(crate) fn oldest(control: &mut Connection) -> Result<mariadb::GtidSet, Error> {
    let doing = "asking for the beginning of the log";
    let files = control.query(doing, "SHOW BINARY LOGS")?;
    let first = field(files.first().ok_or_else(|| strange(doing))?, 0, doing)?;
    // 4: behind the four bytes that every file begins with.
    let rows = control.query(doing, &format!("SELECT BINLOG_GTID_POS({}, 4)", literal(first)))?;
    let text = field(rows.first().ok_or_else(|| strange(doing))?, 0, doing)?;
    text.parse().map_err(|_| strange(doing))
}

/// Those of the transactions that the server has not executed.
pub(crate) fn not_executed(control: &mut Connection, wanted: &mysql::GtidSet) -> Result<mysql::GtidSet, Error> {
    let mut missing = wanted.clone();
    missing.subtract(&gtid_variable(control, "gtid_executed")?);
    Ok(missing)
}

/// `gtid_executed` or `gtid_purged`. The server writes a line for each source.
pub(crate) fn gtid_variable(control: &mut Connection, name: &'static str) -> Result<mysql::GtidSet, Error> {
    let doing = format!("asking for {name}");
    let rows = control.query(&doing, &format!("SELECT REPLACE(@@global.{name}, '\\n', '')"))?;
    let text = field(rows.first().ok_or_else(|| strange(&doing))?, 0, &doing)?;
    text.parse().map_err(|_| strange(&doing))
}

/// Where the log ends as a transaction that began with a consistent snapshot sees it. MariaDB only.
pub(crate) fn snapshot_place(reader: &mut Connection) -> Result<FilePlace, Error> {
    let doing = "asking for the snapshot's place in the log";
    let rows = reader.query(doing, "SHOW STATUS LIKE 'binlog\\_snapshot\\_%'")?;
    let value = |name: &str| {
        let row = rows
            .iter()
            .find(|row| row.first().and_then(Option::as_deref).is_some_and(|found| found.eq_ignore_ascii_case(name)));
        field(row.ok_or_else(|| strange(doing))?, 1, doing)
    };
    let offset = value("binlog_snapshot_position")?.parse().map_err(|_| strange(doing))?;
    Ok(FilePlace { file: value("binlog_snapshot_file")?.to_owned(), offset })
}

/// Microseconds since 1970 by the server's clock.
pub(crate) fn time(control: &mut Connection) -> Result<i64, Error> {
    let doing = "asking for the server's time";
    let rows = control.query(doing, "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)")?;
    field(rows.first().ok_or_else(|| strange(doing))?, 0, doing)?.parse().map_err(|_| strange(doing))
}

/// The server knows the statement by another word.
const PARSE_ERROR: u16 = 1064;
/// The account lacks a right: for a command, a table, its columns, or a statement.
const DENIED: [u16; 4] = [1045, 1142, 1143, 1227];

/// Whether the server refused because the account lacks a right.
pub(crate) fn is_denied(error: &Error) -> bool {
    error.code().is_some_and(|code| DENIED.contains(&code))
}

/// Asks with the first word that the server knows. A refusal of another kind is not hidden by the next word's.
fn either(control: &mut Connection, doing: &str, words: [&str; 2]) -> Result<Vec<Row>, Error> {
    match control.query(doing, words[0]) {
        Err(error) if error.code() == Some(PARSE_ERROR) => control.query(doing, words[1]),
        other => other,
    }
}

/// The state of the log, as far as a row with it is there: without a log there is none.
fn log_status(control: &mut Connection, doing: &str) -> Result<Option<Row>, Error> {
    // The first word is new since MySQL 8.2, and the only one since 8.4. MariaDB has the second one.
    let rows = either(control, doing, ["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"])?;
    Ok(rows.into_iter().next())
}

/// Where the last file ends.
pub(crate) fn end_of_files(control: &mut Connection) -> Result<FilePlace, Error> {
    let doing = "asking for the end of the log";
    let row = log_status(control, doing)?.ok_or_else(|| strange(doing))?;
    let offset = field(&row, 1, doing)?.parse().map_err(|_| strange(doing))?;
    Ok(FilePlace { file: field(&row, 0, doing)?.to_owned(), offset })
}

/// Which databases' rows the server logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Only these, if there is one.
    pub(crate) only: Vec<String>,
    /// Otherwise all but these.
    pub(crate) without: Vec<String>,
}

/// `binlog_do_db` and `binlog_ignore_db`. No newer server tells them in another way.
pub(crate) fn filter(control: &mut Connection) -> Result<Filter, Error> {
    let Some(row) = log_status(control, "asking what the log leaves out")? else { return Ok(Filter::default()) };
    let names = |at: usize| {
        let text = row.get(at).and_then(Option::as_deref).unwrap_or_default();
        text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    Ok(Filter { only: names(2), without: names(3) })
}

/// Readers of the log that the server knows: their `server_id`, and where they are. `None`: the account may not see them,
/// which MariaDB allows to few.
pub(crate) fn readers(control: &mut Connection) -> Result<Option<Vec<(String, String)>>, Error> {
    let doing = "asking who else reads the log";
    let rows = match either(control, doing, ["SHOW REPLICAS", "SHOW SLAVE HOSTS"]) {
        Err(error) if is_denied(&error) => return Ok(None),
        other => other?,
    };
    let text = |row: &Row, at: usize| row.get(at).and_then(Option::as_deref).unwrap_or_default().to_owned();
    Ok(Some(rows.iter().map(|row| (text(row, 0), text(row, 1))).collect()))
}

/// Whether the server is a replica of another one. `None`: the account may not see that.
pub(crate) fn is_replica(control: &mut Connection, flavour: Flavour) -> Result<Option<bool>, Error> {
    let words = match flavour {
        Flavour::MySql => ["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"],
        Flavour::MariaDb => ["SHOW ALL REPLICAS STATUS", "SHOW ALL SLAVES STATUS"],
    };
    match either(control, "asking whether the server is a replica", words) {
        Err(error) if is_denied(&error) => Ok(None),
        other => Ok(Some(!other?.is_empty())),
    }
}

/// The account that the server took us for, as `GRANT` wants it.
pub(crate) fn account(control: &mut Connection) -> Result<String, Error> {
    let doing = "asking for the account";
    let rows = control.query(doing, "SELECT CURRENT_USER()")?;
    let text = field(rows.first().ok_or_else(|| strange(doing))?, 0, doing)?;
    let (user, host) = text.rsplit_once('@').unwrap_or((text, "%"));
    Ok(format!("{}@{}", identifier(user), identifier(host)))
}

/// What stands under a table's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) name: TableName,
    /// `BASE TABLE`, `VIEW`, `SEQUENCE`, `SYSTEM VERSIONED`, …
    pub(crate) kind: String,
}

impl Candidate {
    /// Whether rows of it are in the log.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self.kind.as_str(), "BASE TABLE" | "SYSTEM VERSIONED")
    }
}

/// All tables and views but the server's own.
pub(crate) fn relations(control: &mut Connection) -> Result<Vec<Candidate>, Error> {
    let doing = "asking for the tables";
    let rows = control.query(
        doing,
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA NOT IN \
         ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY TABLE_SCHEMA, TABLE_NAME",
    )?;
    let candidate = |row: &Row| {
        let name = TableName::new(field(row, 0, doing)?, field(row, 1, doing)?);
        Ok(Candidate { name, kind: field(row, 2, doing)?.to_owned() })
    };
    rows.iter().map(candidate).collect()
}

/// A table that is captured, as far as a copy has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: TableName,
    /// It has no primary key: nothing tells its rows apart.
    pub(crate) is_keyless: bool,
    /// How many rows it has, by the server's own estimate.
    pub(crate) estimate: Option<u64>,
}

/// The captured tables that are there now.
pub(crate) fn members(control: &mut Connection, patterns: &Patterns) -> Result<Vec<Member>, Error> {
    let doing = "asking for the tables";
    let rows = control.query(
        doing,
        "SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.TABLE_ROWS, k.TABLE_NAME IS NULL FROM information_schema.TABLES t \
         LEFT JOIN information_schema.TABLE_CONSTRAINTS k ON k.TABLE_SCHEMA = t.TABLE_SCHEMA \
         AND k.TABLE_NAME = t.TABLE_NAME AND k.CONSTRAINT_TYPE = 'PRIMARY KEY' \
         WHERE t.TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND t.TABLE_SCHEMA NOT IN \
         ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY t.TABLE_SCHEMA, t.TABLE_NAME",
    )?;
    let member = |row: &Row| {
        let name = TableName::new(field(row, 0, doing)?, field(row, 1, doing)?);
        let estimate = row.get(2).and_then(Option::as_deref).and_then(|rows| rows.parse().ok());
        Ok(Member { name, is_keyless: field(row, 3, doing)? == "1", estimate })
    };
    let all = rows.iter().map(member).collect::<Result<Vec<_>, Error>>()?;
    Ok(all.into_iter().filter(|member| patterns.matches(&member.name)).collect())
}

/// The collations of a table's columns that have one.
pub(crate) fn collations(control: &mut Connection, table: &TableName) -> Result<Vec<(String, String)>, Error> {
    let doing = format!("asking for the collations of {table}");
    let rows = control.query(
        &doing,
        &format!(
            "SELECT COLUMN_NAME, COLLATION_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} \
             AND COLLATION_NAME IS NOT NULL",
            literal(&table.schema),
            literal(&table.table)
        ),
    )?;
    rows.iter().map(|row| Ok((field(row, 0, &doing)?.to_owned(), field(row, 1, &doing)?.to_owned()))).collect()
}

/// Tables whose engine does not undo what it did, with its name. Their rows are in the log whatever becomes of the
/// transaction.
pub(crate) fn without_transactions(control: &mut Connection) -> Result<BTreeMap<TableName, String>, Error> {
    let doing = "asking for the tables' engines";
    let rows = control.query(
        doing,
        "SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.ENGINE FROM information_schema.TABLES t JOIN information_schema.ENGINES e ON \
         e.ENGINE = t.ENGINE WHERE COALESCE(e.TRANSACTIONS, 'NO') <> 'YES' AND t.TABLE_SCHEMA NOT IN ('mysql', \
         'information_schema', 'performance_schema', 'sys')",
    )?;
    let pair = |row: &Row| {
        Ok((TableName::new(field(row, 0, doing)?, field(row, 1, doing)?), field(row, 2, doing)?.to_owned()))
    };
    rows.iter().map(pair).collect()
}

/// Whether the log has the rows that a foreign key changes. Storage engines change them behind the server's back; MySQL does
/// it in their place since 9.6, unless it is told otherwise.
pub(crate) fn logs_cascades(control: &mut Connection) -> Result<bool, Error> {
    const NATIVE: &str = "innodb_native_foreign_keys";
    Ok(variables(control, &[NATIVE])?.get(NATIVE).is_some_and(|native| native == "OFF"))
}

/// The first foreign key of a table that changes or deletes rows of it. MariaDB shows `information_schema`'s constraints only
/// to those who may write, and this to everybody who may read.
pub(crate) fn cascade(control: &mut Connection, table: &TableName) -> Result<Option<String>, Error> {
    let doing = format!("asking for the foreign keys of {table}");
    match control.query(&doing, &format!("SHOW CREATE TABLE {}", qualified(table))) {
        Ok(rows) => rows.first().map_or(Ok(None), |row| Ok(cascade_of(field(row, 1, &doing)?))),
        // It was dropped a moment ago.
        Err(Error::Server { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Of the table's statement, in which each constraint has a line.
fn cascade_of(statement: &str) -> Option<String> {
    statement.lines().find_map(|line| {
        let (name, key) = line.strip_prefix("  CONSTRAINT ")?.split_once(" FOREIGN KEY (")?;
        let (_, rules) = key.rsplit_once(')')?;
        ["CASCADE", "SET NULL"].iter().any(|rule| rules.contains(rule)).then(|| name.to_owned())
    })
}

/// Whether the account may read all columns of a table: the server's refusal, if not.
pub(crate) fn refuses(control: &mut Connection, table: &TableName) -> Result<Option<Error>, Error> {
    let sql = format!("SELECT * FROM {} LIMIT 0", qualified(table));
    match control.execute(&format!("looking at {table}"), &sql) {
        Err(error @ Error::Server { .. }) => Ok(Some(error)),
        other => other.map(|()| None),
    }
}

/// A table as the catalogue declares it now. `None`: it is gone.
pub(crate) fn describe(control: &mut Connection, table: &TableName) -> Result<Option<Catalogue>, Error> {
    let doing = format!("asking for the columns of {table}");
    let of = format!("TABLE_SCHEMA = {} AND TABLE_NAME = {}", literal(&table.schema), literal(&table.table));
    let rows = control.query(
        &doing,
        &format!(
            "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, IS_NULLABLE = 'YES' FROM information_schema.COLUMNS WHERE {of} \
             ORDER BY ORDINAL_POSITION"
        ),
    )?;
    if rows.is_empty() {
        return Ok(None);
    }
    let declared = |row: &Row| {
        Ok(Declared {
            name: field(row, 0, &doing)?.to_owned(),
            column_type: field(row, 1, &doing)?.to_owned(),
            character_set: row.get(2).cloned().flatten(),
            nullable: field(row, 3, &doing)? == "1",
        })
    };
    let columns = rows.iter().map(declared).collect::<Result<_, Error>>()?;
    let rows = control.query(
        &doing,
        &format!(
            "SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE {of} AND INDEX_NAME = 'PRIMARY' ORDER BY \
             SEQ_IN_INDEX"
        ),
    )?;
    let primary_key = rows.iter().map(|row| field(row, 0, &doing).map(str::to_owned)).collect::<Result<_, Error>>()?;
    Ok(Some(Catalogue { columns, primary_key }))
}

/// A text literal. The sessions run with `NO_BACKSLASH_ESCAPES` off, so both characters are escaped.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A quoted name.
pub(crate) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A table's quoted name.
pub(crate) fn qualified(table: &TableName) -> String {
    format!("{}.{}", identifier(&table.schema), identifier(&table.table))
}

#[cfg(test)]
mod tests {
    use super::cascade_of;

    #[test]
    fn cascades_in_a_statement() {
        let statement = |rules: &str| {
            format!(
                "CREATE TABLE `c` (\n  `p` int(11) DEFAULT NULL COMMENT 'ON DELETE CASCADE',\n  CONSTRAINT `a` FOREIGN KEY (`p`) \
                 REFERENCES `p` (`id`),\n  CONSTRAINT `b (x)` FOREIGN KEY (`p`) REFERENCES `p` (`on CASCADE`){rules}\n) \
                 ENGINE=InnoDB"
            )
        };
        for rules in ["", " ON DELETE NO ACTION", ","] {
            assert_eq!(cascade_of(&statement(rules)), None);
        }
        for rules in [" ON DELETE CASCADE", " ON DELETE SET NULL,", " ON DELETE NO ACTION ON UPDATE CASCADE"] {
            assert_eq!(cascade_of(&statement(rules)).as_deref(), Some("`b (x)`"));
        }
    }
}
