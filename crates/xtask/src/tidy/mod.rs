//! `cargo xtask tidy`: checks mechanically what the design promises, and prints each violation with its reason.

mod manifests;
mod rules;
mod scan;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

use rules::RULES;
use scan::RustFile;

/// One broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    path: String,
    line: usize,
    rule: &'static str,
    what: String,
    reason: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, what, reason } = self;
        write!(f, "{path}:{line}: {rule}: {what}\n    {reason}")
    }
}

/// Every text file of the repository by its path from the root.
type Tree = BTreeMap<String, String>;

/// Fails with the number of violations after printing each.
pub(crate) fn run(root: &Path) -> Result<()> {
    let tree = read_tree(root)?;
    let violations = check(&tree)?;
    for violation in &violations {
        crate::say(&violation.to_string());
    }
    if !violations.is_empty() {
        bail!("{} violations", violations.len());
    }
    crate::say(&format!("tidy: {} files, nothing to mend", tree.len()));
    Ok(())
}

fn check(tree: &Tree) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    for (path, text) in tree {
        if path.ends_with(".rs") {
            check_rust(&RustFile::scan(path, text), &mut found);
        } else {
            found.extend(violations(path, "unfinished", "finished or absent", text::placeholders(text)));
        }
        if path.starts_with("crates/") && path.ends_with("/Cargo.toml") {
            let manifest = manifests::check(text).with_context(|| path.clone())?;
            let violation =
                |(line, what, reason)| Violation { path: path.clone(), line, rule: "dependencies", what, reason };
            found.extend(manifest.into_iter().map(violation));
        }
        let reason = "the path exists on one machine only";
        found.extend(violations(path, "machine-path", reason, text::machine_paths(text)));
    }
    found.extend(broken_links(tree));
    found.sort();
    Ok(found)
}

fn check_rust(file: &RustFile, found: &mut Vec<Violation>) {
    for rule in RULES {
        found.extend(violations(&file.path, rule.name, rule.reason, (rule.check)(file)));
    }
}

fn violations(
    path: &str,
    rule: &'static str,
    reason: &'static str,
    hits: Vec<(usize, String)>,
) -> impl Iterator<Item = Violation> {
    hits.into_iter().map(move |(line, what)| Violation { path: path.to_owned(), line, rule, what, reason })
}

/// Links of Markdown files to files or headings that are not there.
fn broken_links(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| path.ends_with(".md")) {
        for link in text::links(text) {
            let target = if link.path.is_empty() { path.clone() } else { resolve(path, &link.path) };
            let missing = match (tree.get(&target), &link.anchor) {
                (Some(text), Some(anchor)) if target.ends_with(".md") && !text::anchors(text).contains(anchor) => {
                    format!("{target} has no heading #{anchor}")
                }
                (Some(_), _) => continue,
                (None, _) if tree.keys().any(|path| path.starts_with(&format!("{target}/"))) => continue,
                (None, _) => format!("{target} does not exist"),
            };
            let reason = "a link in a document leads somewhere";
            found.push(Violation { path: path.clone(), line: link.line, rule: "link", what: missing, reason });
        }
    }
    found
}

/// The path from the root that `link` in the file at `from` leads to.
fn resolve(from: &str, link: &str) -> String {
    let folder = Path::new(from).parent().unwrap_or_else(|| Path::new(""));
    let mut parts: Vec<String> = Vec::new();
    for component in folder.join(link).components() {
        match component {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            _ => {}
        }
    }
    parts.join("/")
}

/// Folders that hold what a build, a test run or a virtual environment left behind.
const SKIPPED: &[&str] = &[
    "target",
    ".git",
    ".cache",
    "artifacts",
    "corpus",
    "coverage",
    "node_modules",
    "venv",
    ".venv",
    "__pycache__",
    "proptest-regressions",
];

/// Generated files, the licence's own text, and what git writes into a second work tree: their content is not ours to judge.
const NOT_OURS: &[&str] = &["Cargo.lock", "LICENSE", ".git"];

fn read_tree(root: &Path) -> Result<Tree> {
    let mut tree = Tree::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(root.join(&folder)).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = folder.join(&name);
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                folders.push(path);
            } else if kind.is_file() {
                // A file that is not UTF-8 is no text: it can be linked to, and nothing else is asked of it.
                let ours = !NOT_OURS.contains(&name.as_str());
                let text = if ours { String::from_utf8(std::fs::read(root.join(&path))?) } else { Ok(String::new()) };
                tree.insert(path.to_string_lossy().replace('\\', "/"), text.unwrap_or_default());
            }
        }
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_violation_names_place_rule_and_reason() {
        let found = check(&tree(&[("crates/change/src/a.rs", "//! A sample.\nuse tokio::time;\n")])).unwrap();
        assert_eq!(found.len(), 1);
        let text = found[0].to_string();
        assert!(text.starts_with("crates/change/src/a.rs:2: pure: `tokio`\n    this code is fuzzed"), "{text}");
    }

    #[test]
    fn links_to_nothing_are_found() {
        let files = [
            ("README.md", "[a](docs/a.md) [b](docs/b.md) [c](docs/a.md#here) [d](docs/a.md#gone) [e](docs)"),
            ("docs/a.md", "# Here\n[up](../README.md) [out](../gone.md)"),
        ];
        let found: Vec<String> = check(&tree(&files)).unwrap().into_iter().map(|violation| violation.what).collect();
        assert_eq!(found, ["docs/a.md has no heading #gone", "docs/b.md does not exist", "gone.md does not exist"]);
    }

    #[test]
    fn manifests_are_checked_where_crates_are() {
        let manifest = "[package]\nname = \"change\"\n[dependencies]\ntokio = \"1\"\n";
        let found = check(&tree(&[("crates/change/Cargo.toml", manifest)])).unwrap();
        assert_eq!(
            found.iter().map(|violation| (violation.rule, violation.line)).collect::<Vec<_>>(),
            [("dependencies", 4)]
        );
    }

    /// The tree that this test is compiled from keeps every rule.
    #[test]
    fn the_repository_is_tidy() {
        let root = crate::workspace_root();
        let found = check(&read_tree(&root).unwrap()).unwrap();
        let text: Vec<String> = found.iter().map(Violation::to_string).collect();
        assert!(found.is_empty(), "\n{}", text.join("\n"));
    }
}
