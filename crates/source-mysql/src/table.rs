//! A table's shape at the place of its rows: from the table map, and from the catalogue what the table map does not say.
//!
//! With `binlog_row_metadata=FULL` the table map says everything but two things: MariaDB's UUID and INET types, which are
//! BINARY to it. Without, names, labels, signs, character sets and the key come from `information_schema`, which shows the
//! table as it is now. So its columns have to fit the table map, one by one, or the shape is refused: a wrong shape would
//! give wrong values.

use change::{Column, Identity, Table, TableName};
use serde::{Deserialize, Serialize};

use crate::flavour::Flavour;
use crate::value::Meaning;
use crate::value::charset::{self, Charset};
use crate::value::temporal::Form;
use crate::wire::WireError;
use crate::wire::cell::{Extent, Storage};
use crate::wire::metadata::{ColumnMetadata, Metadata};
use crate::wire::table_map::TableMap;

/// One column as the catalogue declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// `information_schema.columns.column_name`.
    pub name: String,
    /// `column_type`: `int(10) unsigned`, `enum('a','b')`.
    pub column_type: String,
    /// `character_set_name`; none for what is no text.
    pub character_set: Option<String>,
    /// `is_nullable`.
    pub nullable: bool,
}

/// A table as the catalogue declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    /// By `ordinal_position`.
    pub columns: Vec<Declared>,
    /// Names of the columns of the primary key, in its order.
    pub primary_key: Vec<String>,
}

/// How to read the rows of a table, and what everybody else sees of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub table: Table,
    /// How cells lie in a row, by column.
    pub extents: Vec<Extent>,
    /// What they mean, by column.
    pub meanings: Vec<Meaning>,
}

/// Why a table's rows cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    #[error("the table map of {table} is not understood")]
    Wire {
        table: TableName,
        #[source]
        problem: WireError,
    },
    #[error(
        "the log does not say {what} of column {column} of {table}: set binlog_row_metadata=FULL, or give the catalogue"
    )]
    Unknown { table: TableName, column: String, what: &'static str },
    #[error("{table} has {there} columns in the catalogue and {here} in the log")]
    Columns { table: TableName, here: usize, there: usize },
    #[error("column {here} of {table}, as the log has it, is {there} in the catalogue")]
    Name { table: TableName, here: String, there: String },
    #[error("column {column} of {table} is {declared} in the catalogue, which is not what the log holds ({stored})")]
    Contradiction { table: TableName, column: String, declared: String, stored: String },
    #[error("column {column} of {table} has the collation {collation}, which is not known")]
    Collation { table: TableName, column: String, collation: u16 },
}

impl ShapeError {
    /// Whether the catalogue shows another table than the log.
    pub(crate) fn is_contradiction(&self) -> bool {
        matches!(self, Self::Columns { .. } | Self::Name { .. } | Self::Contradiction { .. })
    }
}

impl Shape {
    /// Of no table: for images that have none yet.
    pub(crate) fn nobody() -> Self {
        let table = Table {
            name: TableName::new("", ""),
            columns: Vec::new(),
            key: Vec::new(),
            identity: Identity::Nothing,
            relation: None,
        };
        Self { table, extents: Vec::new(), meanings: Vec::new() }
    }

    /// The shape that the catalogue alone describes; `storages` is what its types are stored as.
    ///
    /// # Errors
    ///
    /// [`ShapeError`]: something that the values need is not known.
    pub(crate) fn declared(
        table: &TableName,
        catalogue: &Catalogue,
        storages: &[Storage],
        flavour: Flavour,
        identity: Identity,
    ) -> Result<Self, ShapeError> {
        let metadata = ColumnMetadata::default();
        let (mut columns, mut meanings) = (Vec::new(), Vec::new());
        for (index, (declared, storage)) in catalogue.columns.iter().zip(storages).enumerate() {
            let declared = Some(declared);
            let source = Source { table, index, storage: *storage, metadata: &metadata, declared, flavour };
            let (column, meaning) = source.column(declared.is_some_and(|declared| declared.nullable))?;
            columns.push(column);
            meanings.push(meaning);
        }
        let key = key(&columns, &Metadata::default(), Some(catalogue));
        Ok(Self {
            table: Table { name: table.clone(), columns, key, identity, relation: None },
            extents: extents(storages),
            meanings,
        })
    }

    /// The shape that a table map describes, completed from the catalogue.
    ///
    /// # Errors
    ///
    /// [`ShapeError`]: the table map is not understood, or something that the values need is not known.
    pub fn read(
        map: &TableMap<'_>,
        flavour: Flavour,
        catalogue: Option<&Catalogue>,
        identity: Identity,
    ) -> Result<Self, ShapeError> {
        let name = TableName::new(map.schema, map.name);
        let wire = |problem| ShapeError::Wire { table: name.clone(), problem };
        let storages = map.storages().map_err(wire)?;
        let metadata = map.metadata(&storages, flavour).map_err(wire)?;
        if let Some(there) = catalogue.map(|catalogue| catalogue.columns.len()).filter(|there| *there != storages.len())
        {
            return Err(ShapeError::Columns { table: name, here: storages.len(), there });
        }
        let (mut columns, mut meanings) = (Vec::new(), Vec::new());
        for (index, (storage, metadata)) in storages.iter().zip(&metadata.columns).enumerate() {
            let declared = catalogue.and_then(|catalogue| catalogue.columns.get(index));
            // Another column may have taken the place, of another type that is stored alike: BINARY(16) and UUID.
            if let (Some(Declared { name: there, .. }), Some(here)) = (declared, metadata.name)
                && there != here
            {
                return Err(ShapeError::Name { table: name, here: here.to_owned(), there: there.clone() });
            }
            let source = Source { table: &name, index, storage: *storage, metadata, declared, flavour };
            let (column, meaning) = source.column(map.is_nullable(index))?;
            columns.push(column);
            meanings.push(meaning);
        }
        let key = key(&columns, &metadata, catalogue);
        Ok(Self {
            table: Table { name, columns, key, identity, relation: None },
            extents: extents(&storages),
            meanings,
        })
    }
}

fn extents(storages: &[Storage]) -> Vec<Extent> {
    storages.iter().map(|storage| storage.extent()).collect()
}

fn key(columns: &[Column], metadata: &Metadata<'_>, catalogue: Option<&Catalogue>) -> Vec<usize> {
    if let Some(key) = &metadata.primary_key {
        return key.iter().map(|(column, _)| *column).collect();
    }
    let Some(catalogue) = catalogue.filter(|_| !metadata.full) else { return Vec::new() };
    let place = |name: &String| columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    catalogue.primary_key.iter().map(place).collect::<Option<_>>().unwrap_or_default()
}

/// Everything that is known of one column.
struct Source<'a> {
    table: &'a TableName,
    index: usize,
    storage: Storage,
    metadata: &'a ColumnMetadata<'a>,
    declared: Option<&'a Declared>,
    flavour: Flavour,
}

impl Source<'_> {
    fn column(&self, nullable: bool) -> Result<(Column, Meaning), ShapeError> {
        let name =
            self.metadata.name.map(str::to_owned).or_else(|| self.declared.map(|declared| declared.name.clone()));
        let name = name.ok_or_else(|| self.unknown("the name"))?;
        let meaning = self.meaning()?;
        let labels = match &meaning {
            Meaning::Enum(labels) | Meaning::Set(labels) => labels.clone(),
            _ => Vec::new(),
        };
        let sql_type = match self.declared {
            Some(declared) => declared.column_type.clone(),
            None => self.sql_type(&meaning),
        };
        Ok((Column { name, kind: meaning.form(), sql_type, labels, nullable: Some(nullable), number: None }, meaning))
    }

    fn name(&self) -> String {
        let declared = self.declared.map(|declared| declared.name.as_str());
        self.metadata
            .name
            .or(declared)
            .map_or_else(|| format!("number {}", self.index.saturating_add(1)), str::to_owned)
    }

    fn unknown(&self, what: &'static str) -> ShapeError {
        ShapeError::Unknown { table: self.table.clone(), column: self.name(), what }
    }

    /// The declared type up to its first bracket or blank, lower case.
    fn declared_word(&self) -> Option<String> {
        let word = self.declared?.column_type.split(['(', ' ']).next()?;
        Some(word.to_ascii_lowercase())
    }

    fn unsigned(&self) -> Result<bool, ShapeError> {
        let declared = || self.declared.map(|declared| declared.column_type.to_ascii_lowercase().contains(" unsigned"));
        self.metadata.unsigned.or_else(declared).ok_or_else(|| self.unknown("the sign"))
    }

    /// The character set; none for bytes.
    fn charset(&self) -> Result<Option<Charset>, ShapeError> {
        let found = match (self.metadata.collation, self.declared) {
            (Some(collation), _) => charset::charset(collation).ok_or_else(|| ShapeError::Collation {
                table: self.table.clone(),
                column: self.name(),
                collation,
            })?,
            (None, Some(Declared { character_set: Some(name), .. })) => {
                Charset::of_name(name).ok_or_else(|| self.unknown("a known character set"))?
            }
            (None, Some(_)) => Charset::Binary,
            (None, None) => return Err(self.unknown("the character set")),
        };
        Ok(Some(found).filter(|charset| *charset != Charset::Binary))
    }

    fn labels(&self) -> Result<Vec<String>, ShapeError> {
        let Some(labels) = &self.metadata.labels else {
            return self
                .declared
                .and_then(|declared| declared_labels(&declared.column_type))
                .ok_or_else(|| self.unknown("the labels"));
        };
        let charset = self.charset()?;
        let decode = |label: &&[u8]| {
            let mut out = Vec::new();
            match charset {
                Some(charset) => charset.append(label, &mut out)?,
                None => out.extend(label.iter().flat_map(|byte| char::from(*byte).to_string().into_bytes())),
            }
            String::from_utf8(out).ok()
        };
        labels.iter().map(decode).collect::<Option<_>>().ok_or_else(|| self.unknown("readable labels"))
    }

    fn meaning(&self) -> Result<Meaning, ShapeError> {
        let word = self.declared_word();
        // MariaDB's old types have more bytes with a fraction, and nothing in the log says so.
        let is_old = matches!(self.storage, Storage::Time | Storage::DateTime | Storage::Timestamp);
        if let Some(declared) = self.declared
            && (!word.as_deref().is_some_and(|word| fits(self.storage, word, self.flavour))
                || is_old && declared.column_type.contains('('))
        {
            return Err(ShapeError::Contradiction {
                table: self.table.clone(),
                column: self.name(),
                declared: declared.column_type.clone(),
                stored: format!("{:?}", self.storage),
            });
        }
        let integer = |width| Ok(Meaning::Integer { width, unsigned: self.unsigned()? });
        Ok(match self.storage {
            Storage::Tiny => integer(1)?,
            Storage::Short => integer(2)?,
            Storage::Int24 => integer(3)?,
            Storage::Long => integer(4)?,
            Storage::LongLong => integer(8)?,
            Storage::Float => Meaning::Float,
            Storage::Double => Meaning::Double,
            Storage::Decimal { precision, scale } => Meaning::Decimal { precision, scale },
            Storage::Year => Meaning::Year,
            Storage::Bit { bits } => Meaning::Bits(bits),
            Storage::Date => Meaning::Temporal(Form::Date),
            Storage::Time => Meaning::Temporal(Form::OldTime),
            Storage::DateTime => Meaning::Temporal(Form::OldDateTime),
            Storage::Timestamp => Meaning::Temporal(Form::OldTimestamp),
            Storage::Time2 { fraction } => Meaning::Temporal(Form::Time(fraction)),
            Storage::DateTime2 { fraction } => Meaning::Temporal(Form::DateTime(fraction)),
            Storage::Timestamp2 { fraction } => Meaning::Temporal(Form::Timestamp(fraction)),
            Storage::Char { most } => match word.as_deref() {
                Some("uuid") => Meaning::Uuid,
                Some("inet4") => Meaning::Inet4,
                Some("inet6") => Meaning::Inet6,
                _ => self.charset()?.map_or(Meaning::Padded(most), Meaning::Text),
            },
            Storage::VarChar { .. } | Storage::Blob { .. } => self.charset()?.map_or(Meaning::Bytes, Meaning::Text),
            Storage::CompressedVarChar { .. } | Storage::CompressedBlob { .. } => Meaning::Packed(self.charset()?),
            Storage::Json { .. } => Meaning::Json,
            Storage::Geometry { .. } | Storage::Vector { .. } => Meaning::Bytes,
            Storage::Enum { .. } => Meaning::Enum(self.labels()?),
            Storage::Set { .. } => Meaning::Set(self.labels()?),
        })
    }

    /// The type as `information_schema` of MySQL 8.0.19 and later has it, as far as the log tells.
    fn sql_type(&self, meaning: &Meaning) -> String {
        let sized = |text: &str, bytes: &str, most: u16| match self.charset() {
            Ok(Some(charset)) => format!("{text}({})", most.checked_div(charset.max_bytes()).unwrap_or(most)),
            _ => format!("{bytes}({most})"),
        };
        let long = |prefix: u8| {
            let size = ["tiny", "", "medium", "long"].get(usize::from(prefix.saturating_sub(1))).copied().unwrap_or("");
            format!("{size}{}", if matches!(self.charset(), Ok(Some(_))) { "text" } else { "blob" })
        };
        let fraction = |name: &str, digits: u8| if digits == 0 { name.to_owned() } else { format!("{name}({digits})") };
        let unsigned = if self.metadata.unsigned == Some(true) { " unsigned" } else { "" };
        match (self.storage, meaning) {
            (Storage::Tiny, _) => format!("tinyint{unsigned}"),
            (Storage::Short, _) => format!("smallint{unsigned}"),
            (Storage::Int24, _) => format!("mediumint{unsigned}"),
            (Storage::Long, _) => format!("int{unsigned}"),
            (Storage::LongLong, _) => format!("bigint{unsigned}"),
            (Storage::Float, _) => format!("float{unsigned}"),
            (Storage::Double, _) => format!("double{unsigned}"),
            (Storage::Decimal { precision, scale }, _) => format!("decimal({precision},{scale}){unsigned}"),
            (Storage::Year, _) => "year".to_owned(),
            (Storage::Bit { bits }, _) => format!("bit({bits})"),
            (Storage::Date, _) => "date".to_owned(),
            (Storage::Time, _) => "time".to_owned(),
            (Storage::DateTime, _) => "datetime".to_owned(),
            (Storage::Timestamp, _) => "timestamp".to_owned(),
            (Storage::Time2 { fraction: digits }, _) => fraction("time", digits),
            (Storage::DateTime2 { fraction: digits }, _) => fraction("datetime", digits),
            (Storage::Timestamp2 { fraction: digits }, _) => fraction("timestamp", digits),
            (Storage::Char { most }, _) => sized("char", "binary", most),
            (Storage::VarChar { most } | Storage::CompressedVarChar { most }, _) => sized("varchar", "varbinary", most),
            (Storage::Blob { prefix } | Storage::CompressedBlob { prefix }, _) => long(prefix),
            (Storage::Json { .. }, _) => "json".to_owned(),
            (Storage::Geometry { .. }, _) => geometry(self.metadata.geometry).to_owned(),
            (Storage::Vector { .. }, _) => {
                self.metadata.dimension.map_or_else(|| "vector".to_owned(), |dimension| format!("vector({dimension})"))
            }
            (Storage::Enum { .. } | Storage::Set { .. }, Meaning::Enum(labels)) => listed("enum", labels),
            (Storage::Enum { .. } | Storage::Set { .. }, Meaning::Set(labels)) => listed("set", labels),
            (Storage::Enum { .. } | Storage::Set { .. }, _) => String::new(),
        }
    }
}

fn geometry(kind: Option<u64>) -> &'static str {
    const NAMES: [&str; 8] = [
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geomcollection",
    ];
    let index = kind.and_then(|kind| usize::try_from(kind).ok()).unwrap_or(0);
    NAMES.get(index).copied().unwrap_or("geometry")
}

fn listed(name: &str, labels: &[String]) -> String {
    let quoted: Vec<String> = labels.iter().map(|label| format!("'{}'", label.replace('\'', "''"))).collect();
    format!("{name}({})", quoted.join(","))
}

/// The labels of `enum('a','it''s')`. `SHOW` and `information_schema` double a quote and leave backslashes alone.
pub fn declared_labels(column_type: &str) -> Option<Vec<String>> {
    let (word, list) = column_type.split_once('(')?;
    let list = list.strip_suffix(')')?;
    if !matches!(word.to_ascii_lowercase().as_str(), "enum" | "set") {
        return None;
    }
    let (mut labels, mut label, mut inside) = (Vec::new(), String::new(), false);
    let mut characters = list.chars().peekable();
    while let Some(character) = characters.next() {
        match (inside, character) {
            (false, '\'') => inside = true,
            (false, ',') => {}
            (false, _) => return None,
            (true, '\'') if characters.peek() == Some(&'\'') => {
                characters.next();
                label.push('\'');
            }
            (true, '\'') => {
                inside = false;
                labels.push(std::mem::take(&mut label));
            }
            (true, other) => label.push(other),
        }
    }
    (!inside).then_some(labels)
}

/// Whether a declared type can be stored so: the proof that the catalogue speaks of the same column.
fn fits(storage: Storage, word: &str, flavour: Flavour) -> bool {
    match storage {
        Storage::Tiny => matches!(word, "tinyint" | "bool" | "boolean"),
        Storage::Short => word == "smallint",
        Storage::Int24 => word == "mediumint",
        Storage::Long => matches!(word, "int" | "integer"),
        Storage::LongLong => word == "bigint",
        Storage::Float => word == "float",
        Storage::Double => matches!(word, "double" | "real"),
        Storage::Decimal { .. } => matches!(word, "decimal" | "numeric"),
        Storage::Year => word == "year",
        Storage::Bit { .. } => word == "bit",
        Storage::Date => word == "date",
        Storage::Time | Storage::Time2 { .. } => word == "time",
        Storage::DateTime | Storage::DateTime2 { .. } => word == "datetime",
        Storage::Timestamp | Storage::Timestamp2 { .. } => word == "timestamp",
        Storage::Char { .. } => {
            let fixed = flavour.has_fixed_types() && matches!(word, "uuid" | "inet4" | "inet6");
            fixed || matches!(word, "char" | "binary")
        }
        // MariaDB's vector is a varbinary to its log.
        Storage::VarChar { .. } | Storage::CompressedVarChar { .. } => {
            matches!(word, "varchar" | "varbinary" | "vector")
        }
        Storage::Blob { prefix } | Storage::CompressedBlob { prefix } => match prefix {
            1 => matches!(word, "tinytext" | "tinyblob"),
            2 => matches!(word, "text" | "blob"),
            3 => matches!(word, "mediumtext" | "mediumblob"),
            _ => matches!(word, "longtext" | "longblob" | "json"),
        },
        Storage::Json { .. } => word == "json",
        Storage::Vector { .. } => word == "vector",
        Storage::Enum { .. } => word == "enum",
        Storage::Set { .. } => word == "set",
        Storage::Geometry { .. } => {
            let known = (0..8).any(|kind| geometry(Some(kind)) == word);
            known || matches!(word, "geometrycollection")
        }
    }
}
