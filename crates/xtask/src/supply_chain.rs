//! `cargo xtask supply-chain`: what the build is made of, checked offline from the lock file and the package metadata.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const TOOLCHAIN: &str = "1.95.0";

/// The platform that is shipped.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Licences that the Apache-2.0 licence of this project can be combined with when a binary is shipped.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// Crates of which a second version would mean a second TLS stack, runtime or C library in the binary.
const ONCE: &[&str] = &[
    "hyper",
    "openssl-sys",
    "postgres-protocol",
    "rdkafka",
    "rdkafka-sys",
    "reqwest",
    "ring",
    "rustls",
    "tokio",
    "tokio-postgres",
];

/// Crates that may not be in the tree, with the reason.
const NEVER: &[(&str, &str)] = &[
    ("aws-lc-rs", "ring is rustls's provider here; two providers mean two TLS implementations to keep current"),
    ("aws-lc-sys", "ring is rustls's provider here; two providers mean two TLS implementations to keep current"),
    ("native-tls", "rustls is the TLS of the source and of the registry; OpenSSL serves librdkafka only"),
    ("openssl", "rustls is the TLS of the source and of the registry; OpenSSL serves librdkafka only"),
];

pub(crate) fn run(root: &Path) -> Result<()> {
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("reading Cargo.lock")?;
    let toolchain = std::fs::read_to_string(root.join("rust-toolchain.toml")).context("reading rust-toolchain.toml")?;
    // Crates that only other platforms need are in the lock file and were never downloaded.
    let arguments = ["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", PLATFORM];
    let metadata = serde_json::from_str(&crate::output(crate::cargo(root, &arguments))?)?;
    let mut problems = check_lock(&lock)?;
    problems.extend(check_toolchain(&toolchain)?);
    problems.extend(check_licences(&metadata));
    for problem in &problems {
        crate::say(&format!("supply-chain: {problem}"));
    }
    if !problems.is_empty() {
        bail!("{} problems", problems.len());
    }
    crate::say("supply-chain: sources, checksums, versions, licences and toolchain are as agreed");
    Ok(())
}

fn check_lock(text: &str) -> Result<Vec<String>> {
    let lock: toml::Table = toml::from_str(text).context("Cargo.lock")?;
    let packages =
        lock.get("package").and_then(|packages| packages.as_array()).context("Cargo.lock has no packages")?;
    let mut problems = Vec::new();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let field = |name: &str| package.get(name).and_then(|value| value.as_str()).unwrap_or_default();
        let (name, version, source) = (field("name"), field("version"), field("source"));
        versions.entry(name).or_default().push(version);
        if source.starts_with("git+") {
            problems.push(format!("{name} {version} comes from a git repository, whose history can be rewritten"));
        }
        if !source.is_empty() && field("checksum").is_empty() {
            problems.push(format!("{name} {version} has no checksum"));
        }
        if let Some((_, reason)) = NEVER.iter().find(|(never, _)| *never == name) {
            problems.push(format!("{name} {version} is in the tree: {reason}"));
        }
    }
    for name in ONCE {
        if let Some(found) = versions.get(name).filter(|found| found.len() > 1) {
            problems.push(format!("{name} is in the tree in {} versions: {}", found.len(), found.join(", ")));
        }
    }
    Ok(problems)
}

fn check_toolchain(text: &str) -> Result<Vec<String>> {
    let file: toml::Table = toml::from_str(text).context("rust-toolchain.toml")?;
    let channel =
        file.get("toolchain").and_then(|toolchain| toolchain.get("channel")).and_then(|channel| channel.as_str());
    if channel == Some(TOOLCHAIN) {
        return Ok(Vec::new());
    }
    Ok(vec![format!("rust-toolchain.toml pins {}, agreed is {TOOLCHAIN}", channel.unwrap_or("nothing"))])
}

fn check_licences(metadata: &Value) -> Vec<String> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let problem = |package: &Value| {
        let named = format!("{} {}", package["name"].as_str()?, package["version"].as_str()?);
        match package["license"].as_str() {
            None => Some(format!("{named} names no licence")),
            Some(licence) if allowed(licence) => None,
            Some(licence) => Some(format!("{named} is under {licence}, which is not on the list")),
        }
    };
    packages.iter().filter_map(problem).collect()
}

/// Whether a licence expression can be met with licences of the list: one side of every `OR`, both of every `AND`.
fn allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    either(&words, &mut at) && at == words.len()
}

fn either(words: &[&str], at: &mut usize) -> bool {
    let mut result = both(words, at);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= both(words, at);
    }
    result
}

fn both(words: &[&str], at: &mut usize) -> bool {
    let mut result = licence(words, at);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= licence(words, at);
    }
    result
}

fn licence(words: &[&str], at: &mut usize) -> bool {
    let Some(first) = words.get(*at) else { return false };
    *at += 1;
    if *first == "(" {
        let result = either(words, at);
        let closed = words.get(*at) == Some(&")");
        *at += usize::from(closed);
        return result && closed;
    }
    let mut name = (*first).to_owned();
    if let (Some(&"WITH"), Some(exception)) = (words.get(*at), words.get(*at + 1)) {
        name = format!("{name} WITH {exception}");
        *at += 2;
    }
    LICENCES.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_expressions_are_understood() {
        assert!(allowed("MIT OR Apache-2.0"));
        assert!(allowed("MIT/Apache-2.0"));
        assert!(allowed("(MIT OR GPL-3.0) AND Unicode-3.0"));
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR MIT"));
        assert!(!allowed("GPL-3.0"));
        assert!(!allowed("MIT AND GPL-3.0"));
        assert!(!allowed("(MIT"));
        assert!(!allowed(""));
    }

    #[test]
    fn the_lock_file_names_checked_sources_and_one_version() {
        let package = |name: &str, version: &str, rest: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{rest}\n")
        };
        let good =
            package("change", "0.1.0", "") + &package("ring", "1.0.0", "source = \"registry+x\"\nchecksum = \"00\"");
        assert_eq!(check_lock(&good).unwrap(), Vec::<String>::new());
        let bad = package("a", "1.0.0", "source = \"git+x\"\nchecksum = \"00\"")
            + &package("b", "1.0.0", "source = \"registry+x\"")
            + &package("aws-lc-sys", "1.0.0", "source = \"registry+x\"\nchecksum = \"00\"")
            + &package("ring", "1.0.0", "")
            + &package("ring", "2.0.0", "");
        assert_eq!(check_lock(&bad).unwrap().len(), 4);
    }

    #[test]
    fn the_toolchain_is_pinned() {
        assert!(check_toolchain("[toolchain]\nchannel = \"1.95.0\"\n").unwrap().is_empty());
        assert_eq!(check_toolchain("[toolchain]\nchannel = \"stable\"\n").unwrap().len(), 1);
    }
}
