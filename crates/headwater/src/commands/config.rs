//! `headwater config check` and `headwater config reference`

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
    let registry = crate::status::registry(&pipeline::Metrics::sample());
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
