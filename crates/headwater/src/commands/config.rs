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
    let mut table = String::from("| SQL type | Avro | remarks |\n|---|---|---|\n");
    for family in source_postgres::types::FAMILIES {
        let form = event_avro::avro_words(family.form());
        table.push_str(&format!("| {} | {form} | {} |\n", family.names, family.remarks));
    }
    let array = change::ColumnType::Array { element: change::Element::Text, separator: b',' };
    table.push_str(&format!(
        "| arrays | {} | `T` as above; more than one dimension, or a lower bound other than 1: `absent` |\n\
         | domains | | as the type beneath, of whatever depth |\n",
        event_avro::avro_words(array)
    ));
    output::print(&table);
}
