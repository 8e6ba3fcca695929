//! The publication: exactly the tables that are asked for, and never one whose own updates it would break.

use std::collections::HashMap;

use change::TableName;

use crate::catalog::{self, Candidate, flag};
use crate::config::{Config, Patterns};
use crate::connection::Connection;
use crate::error::Error;
use crate::{sql, start};

/// A table that matches by a wildcard but is not captured, and why.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) name: TableName,
    pub(crate) why: String,
    pub(crate) help: String,
}

/// Sorts the wanted tables into those that can be captured and those that must not be.
pub(crate) fn judge(all: &[Candidate], patterns: &Patterns) -> (Vec<Candidate>, Vec<Refused>) {
    let (mut good, mut refused) = (Vec::new(), Vec::new());
    for table in catalog::wanted(all, patterns) {
        if let Some(why) = table.unloggable() {
            // By a wildcard such tables are passed over: nobody asked for them.
            if patterns.names(&table.name) {
                refused.push(Refused {
                    why: format!("{} {why}", table.name),
                    help: format!("leave {} out of `tables`", table.name),
                    name: table.name,
                });
            }
        } else if table.has_identity() {
            good.push(table);
        } else {
            refused.push(without_identity(table));
        }
    }
    (good, refused)
}

fn without_identity(table: Candidate) -> Refused {
    let cause = match table.identity {
        'n' => "REPLICA IDENTITY NOTHING",
        'i' => "a replica identity whose index is gone",
        _ => "no primary key",
    };
    let full = sql::identity_full(&table.name);
    let mend = if table.identity == 'd' {
        format!("add a primary key, or: {full} (or leave it out: \"!{}\")", table.name)
    } else {
        let default = format!("ALTER TABLE {} REPLICA IDENTITY DEFAULT;", sql::table(&table.name));
        let mend = if table.has_primary_key { default } else { full };
        format!("{mend} (or leave it out: \"!{}\")", table.name)
    };
    Refused {
        why: format!(
            "{} has {cause}: published like this, the application's own UPDATE and DELETE on it would fail",
            table.name
        ),
        help: mend,
        name: table.name,
    }
}

/// A table that is named but does not exist.
pub(crate) fn missing(all: &[Candidate], patterns: &Patterns) -> Option<Refused> {
    let absent = patterns.exact().find(|name| !all.iter().any(|table| table.name == *name))?;
    let nearest = all.iter().min_by_key(|table| distance(&table.name.to_string(), &absent.to_string()));
    let help = match nearest {
        Some(near) if distance(&near.name.to_string(), &absent.to_string()) <= 1 + absent.table.len() / 2 => {
            format!("did you mean {}?", near.name)
        }
        _ => "create it first, or use a pattern such as \"public.*\"".to_owned(),
    };
    Some(Refused { why: format!("tables: there is no table {absent}"), help, name: absent })
}

/// Letters to change, add or take away.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        for (j, y) in b.iter().enumerate() {
            let best = (corner + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = row[j + 1];
            row[j + 1] = best;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// The publication as it is.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) ours: bool,
    /// It has every table, and this is its own OID.
    all_tables: Option<u32>,
    pub(crate) all_kinds: bool,
    via_root: bool,
    /// Changes whenever somebody alters its options or its owner.
    pub(crate) version: String,
    /// The listed tables' OIDs, each with that of the entry that lists it. A table that is taken out and put back has
    /// another entry.
    listed: HashMap<u32, u32>,
}

pub(crate) fn read(connection: &mut Connection, name: &str, version: u32) -> Result<Option<Publication>, Error> {
    let doing = format!("reading publication {name}");
    let quoted = sql::literal(name);
    let rows = connection.query(
        &doing,
        &format!(
            "SELECT pg_has_role(current_user, pubowner, 'usage'), CASE WHEN puballtables THEN oid END, \
             pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot, xmin \
             FROM pg_publication WHERE pubname = {quoted}"
        ),
    )?;
    let Some(row) = rows.first() else { return Ok(None) };
    let schemas = if version >= 150_000 {
        format!(
            " UNION ALL SELECT c.oid, n.oid, 1 FROM pg_class c JOIN pg_publication_namespace n \
             ON n.pnnspid = c.relnamespace JOIN pg_publication p ON p.oid = n.pnpubid \
             WHERE p.pubname = {quoted} AND c.relkind IN ('r', 'p')"
        )
    } else {
        String::new()
    };
    let entries = connection.query(
        &doing,
        &format!(
            "SELECT r.prrelid, r.oid, 0 FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid \
             WHERE p.pubname = {quoted}{schemas} ORDER BY 3"
        ),
    )?;
    let mut listed = HashMap::with_capacity(entries.len());
    for entry in &entries {
        listed.entry(catalog::number(entry, 0, &doing)?).or_insert(catalog::number(entry, 1, &doing)?);
    }
    let all_tables = row.get(1).and_then(Option::as_ref).map(|_| catalog::number(row, 1, &doing)).transpose()?;
    Ok(Some(Publication {
        ours: flag(row, 0),
        all_tables,
        all_kinds: flag(row, 2),
        via_root: flag(row, 3),
        version: catalog::field(row, 4, &doing)?.to_owned(),
        listed,
    }))
}

impl Publication {
    /// What makes a table one of the published: if it is another one than before, the table was out meanwhile.
    fn entry(&self, oid: u32) -> Option<u32> {
        self.listed.get(&oid).copied().or(self.all_tables)
    }

    pub(crate) fn has(&self, all: &[Candidate], name: &TableName) -> bool {
        all.iter().any(|table| table.name == *name && self.entry(table.oid).is_some())
    }

    /// Whether it leaves out changes of tables that it has: some kinds of them, or all under the name that is asked for.
    pub(crate) fn is_narrow(&self, tables: &[Candidate]) -> bool {
        !self.all_kinds || (!self.via_root && tables.iter().any(Candidate::is_partitioned))
    }

    pub(crate) fn lacks<'a>(&self, tables: &'a [Candidate]) -> Vec<&'a TableName> {
        tables.iter().filter(|table| self.entry(table.oid).is_none()).map(|table| &table.name).collect()
    }

    /// Statements that make it publish all of `tables`, completely and under their own names.
    pub(crate) fn mend(&self, name: &str, tables: &[Candidate]) -> Vec<String> {
        let mut statements = Vec::new();
        if !self.all_kinds {
            let name = sql::plain(name);
            statements.push(format!("ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate');"));
        }
        // Without it the rows of a partitioned table would come under the names of its partitions, which nobody asked for.
        if !self.via_root && tables.iter().any(Candidate::is_partitioned) {
            statements.push(format!("ALTER PUBLICATION {} SET (publish_via_partition_root = true);", sql::plain(name)));
        }
        let lacking = self.lacks(tables);
        if !lacking.is_empty() {
            statements.push(sql::add_tables(name, &lacking));
        }
        statements
    }
}

/// The statements that are missing before the publication is right.
pub(crate) fn needed(found: Option<&Publication>, name: &str, tables: &[Candidate]) -> Vec<String> {
    match found {
        Some(publication) => publication.mend(name, tables),
        None if tables.is_empty() => vec![format!("CREATE PUBLICATION {};", sql::plain(name))],
        None => {
            let names: Vec<&TableName> = tables.iter().map(|table| &table.name).collect();
            vec![sql::create_publication(name, &names, tables.iter().any(Candidate::is_partitioned))]
        }
    }
}

/// Makes the publication right, or says which statements would, and notes what lists each table. Returns what it was
/// before. With `kinds` false its options are left as they are: whoever mends them has to note before what was missed.
pub(crate) fn ensure(
    connection: &mut Connection,
    config: &Config,
    version: u32,
    tables: &mut [Candidate],
    kinds: bool,
) -> Result<Option<Publication>, Error> {
    let name = &config.publication;
    let found = read(connection, name, version)?;
    let statements = needed(found.as_ref(), name, tables);
    let by_hand = |why: &str| {
        Error::stop(
            format!("publication {name} {}, and {why}", if found.is_some() { "lacks something" } else { "is missing" }),
            format!("let the tables' owner run: {}", statements.join(" ")),
        )
    };
    if !statements.is_empty() && found.as_ref().is_some_and(|publication| !publication.ours) {
        return Err(by_hand("it belongs to another role"));
    }
    for statement in statements.iter().filter(|statement| kinds || !statement.contains(" SET (")) {
        match connection.query(&format!("running {statement}"), statement) {
            Ok(_) => tracing::info!(%statement, "publication changed"),
            // Another of us was faster.
            Err(error) if matches!(error.code(), Some("42710")) => {}
            Err(error) if error.code() == Some("42501") => return Err(by_hand("this role may not change that")),
            Err(error) => return Err(error),
        }
    }
    let after = if statements.is_empty() { None } else { read(connection, name, version)? };
    let now = after.as_ref().or(found.as_ref());
    for table in tables {
        table.entry = now.and_then(|publication| publication.entry(table.oid));
    }
    Ok(found)
}

/// What became of the stream. The server looks the publication up as it was at each change: where there was none, up to
/// PostgreSQL 17 it refuses to read the log (18 reads on, and leaves out all changes). Then the publication is made again, if
/// that is ours to do, because the new slot must not be older; and the way out is said.
pub(crate) fn explain(config: &Config, patterns: &Patterns, version: u32, error: Error) -> Error {
    let name = &config.publication;
    let refused =
        matches!(&error, Error::Server { error, .. } if error.code == "42704" && error.message.contains(name));
    if !refused {
        return error;
    }
    let make = || -> Result<_, Error> {
        let mut control = start::open_control(config)?;
        let (mut good, _) = judge(&catalog::relations(&mut control)?, patterns);
        ensure(&mut control, config, version, &mut good, false)
    };
    let first = match make() {
        Ok(_) => String::new(),
        Err(Error::Stop { help, .. }) => format!("{help} Then: "),
        Err(_) => "once there is a publication again: ".to_owned(),
    };
    Error::stop(
        format!(
            "{error}: publication {name} was dropped, or made after the slot, and the server refuses to read the log from \
             the time without it"
        ),
        format!(
            "{first}{} {} and then `headwater accept gap` says what is lost and goes on; with snapshot = \"initial\" the \
             tables are copied anew",
            sql::drop_slot(&config.slot),
            sql::create_slot(&config.slot)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, kind: char, persistence: char, identity: char, key: bool) -> Candidate {
        Candidate {
            oid: 1,
            name: TableName::new("public", name),
            kind,
            persistence,
            identity,
            has_primary_key: key,
            has_identity_index: false,
            root: None,
            estimate: None,
            entry: None,
        }
    }

    #[test]
    fn what_is_refused_and_what_is_passed_over() {
        let all = [
            table("good", 'r', 'p', 'd', true),
            table("bare", 'r', 'p', 'd', false),
            table("nothing", 'r', 'p', 'n', true),
            table("full", 'r', 'p', 'f', false),
            table("unlogged", 'r', 'u', 'd', true),
            table("view", 'v', 'p', 'n', false),
        ];
        let patterns = Patterns::new(&["public.*".to_owned(), "public.view".to_owned()]).unwrap();
        let (good, refused) = judge(&all, &patterns);
        let names: Vec<_> = good.iter().map(|table| table.name.table.as_str()).collect();
        assert_eq!(names, ["good", "full"]);
        let names: Vec<_> = refused.iter().map(|table| table.name.table.as_str()).collect();
        assert_eq!(names, ["bare", "nothing", "view"]);
        assert!(refused[0].help.contains("ALTER TABLE public.bare REPLICA IDENTITY FULL;"));
    }

    #[test]
    fn the_nearest_name_is_offered() {
        let all = [table("orders", 'r', 'p', 'd', true), table("customers", 'r', 'p', 'd', true)];
        let patterns = Patterns::new(&["public.order".to_owned()]).unwrap();
        assert_eq!(missing(&all, &patterns).unwrap().help, "did you mean public.orders?");
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
