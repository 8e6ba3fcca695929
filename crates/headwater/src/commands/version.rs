//! `headwater version`

use crate::cli::Output;
use crate::output;

/// Prints which build this is.
pub fn run(format: Output) {
    let version = env!("CARGO_PKG_VERSION");
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    output::print(&match format {
        Output::Human => format!("headwater {version} ({target})\n"),
        Output::Json => format!("{}\n", serde_json::json!({ "version": version, "target": target })),
    });
}
