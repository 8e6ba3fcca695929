//! `headwater config check`, and the tables of the documentation that the binary prints itself.

use crate::cli::Output;
use crate::config::{Loaded, reference_markdown};
use crate::output;

/// Prints every value that holds and where it came from. That the file is right has been seen when it was loaded.
pub fn check(loaded: &Loaded, format: Output) {
    output::print(&match format {
        Output::Human => {
            let rows = loaded.shown().iter();
            let rows: Vec<_> =
                rows.map(|shown| vec![shown.key.to_owned(), shown.value.clone(), shown.origin.clone()]).collect();
            format!("the configuration is right\n\n{}", output::columns(&rows))
        }
        Output::Json => format!("{}\n", serde_json::json!({ "valid": true, "values": loaded.shown() })),
    });
}

/// Prints the page that describes every key.
pub fn reference() {
    output::print(&reference_markdown());
}

/// `headwater config metrics`
pub fn metrics() {
    let copies = change::Copies::default();
    copies.show(&change::TableName::new("", ""), change::TableCopy { estimate: Some(0), ..Default::default() });
    let registry = crate::status::registry(&pipeline::Metrics::sample(), &copies, &crate::retention::sample());
    output::print(&crate::metrics::reference_markdown(&registry));
}

/// `headwater config exit-codes`
pub fn exit_codes() {
    output::print(&crate::exit::markdown());
}

/// `headwater config rights`
pub fn rights() {
    output::print(&sink_kafka::rights::markdown());
}

/// `headwater config types`
pub fn types() {
    let mut text = String::from("### PostgreSQL\n\n");
    let families = source_postgres::types::FAMILIES.iter();
    text += &table(families.map(|family| (family.names.to_owned(), Some(family.form()), family.remarks)));
    let array = change::ColumnType::Array { element: change::Element::Text, separator: b',' };
    text += &format!(
        "| arrays | {} | `T` as above; more than one dimension, or a lower bound other than 1: `absent` |\n\
         | domains | | as the type beneath, of whatever depth |\n",
        event_avro::avro_words(array)
    );
    text += "\n### MySQL and MariaDB\n\n";
    let families = source_mysql::families::FAMILIES.iter();
    text += &table(families.map(|family| (family.names(), family.form(), family.remarks)));
    output::print(&text);
}

fn table(families: impl Iterator<Item = (String, Option<change::ColumnType>, &'static str)>) -> String {
    let mut table = String::from("| SQL type | Avro | remarks |\n|---|---|---|\n");
    for (names, form, remarks) in families {
        let form = form.map(event_avro::avro_words).unwrap_or_default();
        table += &format!("| {names} | {form} | {remarks} |\n");
    }
    table
}
