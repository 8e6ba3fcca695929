//! Reads a binlog file to its end: all events, and all row images with the shapes of their tables.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use change::{Identity, Reason};
use source_mysql::Flavour;
use source_mysql::row::Image;
use source_mysql::table::{Catalogue, Declared, Shape};
use source_mysql::wire::event::{Decoder, Event};
use source_mysql::wire::header::{EventType, Header};
use source_mysql::wire::rows::{NO_TABLE, Rows, RowsKind};

/// More than any event of the corpus.
const LIMIT: usize = 1 << 20;

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// The names of all files, `mysql.numbers` …
pub(crate) fn names() -> Vec<String> {
    let entries = fs::read_dir(path("")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter_map(|name| name.strip_suffix(".binlog").map(str::to_owned)).collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    names
}

/// The events of a file as they lie in it.
pub(crate) fn split(file: &[u8]) -> Vec<&[u8]> {
    let mut rest = file.strip_prefix(&[0xfe, b'b', b'i', b'n']).unwrap();
    let mut events = Vec::new();
    while !rest.is_empty() {
        let length = usize::try_from(Header::read(rest).unwrap().length).unwrap();
        let (event, others) = rest.split_at(length);
        events.push(event);
        rest = others;
    }
    events
}

/// One row of one rows event.
pub(crate) struct RowImages {
    pub(crate) kind: RowsKind,
    pub(crate) shape: Arc<Shape>,
    pub(crate) before: Image,
    pub(crate) after: Image,
}

/// A whole file.
pub(crate) struct Log {
    pub(crate) flavour: Flavour,
    pub(crate) kinds: Vec<EventType>,
    pub(crate) rows: Vec<RowImages>,
    pub(crate) shapes: Vec<Arc<Shape>>,
    tables: HashMap<u64, Arc<Shape>>,
    catalogue: HashMap<String, Catalogue>,
}

impl Log {
    pub(crate) fn read(name: &str) -> Self {
        let file = fs::read(path(&format!("{name}.binlog"))).unwrap();
        let flavour = if name.starts_with("mysql") { Flavour::MySql } else { Flavour::MariaDb };
        let mut log = Self {
            flavour,
            kinds: Vec::new(),
            rows: Vec::new(),
            shapes: Vec::new(),
            tables: HashMap::new(),
            catalogue: catalogue(name),
        };
        let mut decoder = Decoder::new();
        for bytes in split(&file) {
            let (header, event) =
                decoder.next_event(bytes).unwrap_or_else(|error| panic!("{name}: {error}: {:?}", error.problem));
            log.event(&decoder, header, &event);
        }
        assert_eq!(decoder.format().unwrap().flavour, flavour);
        log
    }

    fn event(&mut self, decoder: &Decoder, header: Header, event: &Event<'_>) {
        self.kinds.push(header.kind);
        match event {
            Event::TableMap(map) => {
                let catalogue = self.catalogue.get(map.name);
                let shape = Shape::read(map, self.flavour, catalogue, Identity::Full)
                    .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)));
                let shape = Arc::new(shape);
                self.shapes.push(Arc::clone(&shape));
                self.tables.insert(map.table, shape);
            }
            Event::Rows(rows) if rows.table == NO_TABLE => {}
            Event::Rows(rows) => self.rows(rows),
            Event::Payload(payload) => {
                let mut events = payload.events(LIMIT).unwrap();
                while let Some(bytes) = events.next_event().unwrap() {
                    let (header, event) = decoder.inner(bytes).unwrap();
                    self.event(decoder, header, &event);
                }
            }
            Event::Query(query) => {
                let mut scratch = Vec::new();
                let query = query.inflated(LIMIT, &mut scratch).unwrap();
                query.session().unwrap();
                assert!(!query.sql.is_empty());
            }
            _ => {}
        }
    }

    fn rows(&mut self, rows: &Rows<'_>) {
        let mut scratch = Vec::new();
        let rows = rows.inflated(LIMIT, &mut scratch).unwrap();
        let shape = Arc::clone(&self.tables[&rows.table]);
        let bytes = Arc::new(rows.data.to_vec());
        let mut images = rows.images(&shape.extents).unwrap();
        loop {
            let new = |reason| Image::new(Arc::clone(&bytes), Arc::clone(&shape), reason);
            let (mut before, mut after) = (new(Reason::KeyOnly), new(Reason::Unchanged));
            if !images.next_row(&mut before.cells, &mut after.cells).unwrap() {
                break;
            }
            after.complete(&before);
            before.prepare_key().unwrap();
            after.prepare_key().unwrap();
            self.rows.push(RowImages { kind: rows.kind, shape: Arc::clone(&shape), before, after });
        }
    }
}

pub(crate) fn catalogue(name: &str) -> HashMap<String, Catalogue> {
    let mut found: HashMap<String, Catalogue> = HashMap::new();
    let Ok(text) = fs::read_to_string(path(&format!("{name}.catalogue"))) else { return found };
    for line in text.lines() {
        let [table, column, column_type, character_set, key] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!()
        };
        let catalogue = found.entry(table.to_owned()).or_default();
        catalogue.columns.push(Declared {
            name: column.to_owned(),
            column_type: column_type.to_owned(),
            character_set: (character_set != "\\N").then(|| character_set.to_owned()),
            nullable: key != "PRI",
        });
        if key == "PRI" {
            catalogue.primary_key.push(column.to_owned());
        }
    }
    // The log has hidden columns that information_schema does not show.
    found.remove("versioned");
    found
}
