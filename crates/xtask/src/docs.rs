//! `cargo xtask docs`: writes the parts of the documents that the binary itself knows best.
//!
//! A generated part is a whole document, or stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->` and
//! everything around it is written by hand. To add one, add a line to [`PARTS`], and the two marks if it needs them.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// One generated part.
struct Part {
    document: &'static str,
    place: Place,
    /// The arguments with which the binary prints the part, as Markdown.
    arguments: &'static [&'static str],
}

enum Place {
    /// The document is generated from its first to its last line.
    Whole,
    /// Between the marks of this name.
    Between(&'static str),
}

const PARTS: &[Part] = &[
    Part { document: "docs/configuration.md", place: Place::Whole, arguments: &["config", "reference"] },
    Part { document: "docs/metrics.md", place: Place::Between("metrics"), arguments: &["config", "metrics"] },
    Part { document: "docs/operating.md", place: Place::Between("exit codes"), arguments: &["config", "exit-codes"] },
    Part { document: "docs/operating.md", place: Place::Between("rights"), arguments: &["config", "rights"] },
    Part { document: "docs/events.md", place: Place::Between("types"), arguments: &["config", "types"] },
];

pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    crate::output(crate::cargo(root, &["build", "--quiet", "--package", "headwater"]))?;
    let mut stale = Vec::new();
    for part in PARTS {
        let arguments = [&["run", "--quiet", "--package", "headwater", "--"], part.arguments].concat();
        let generated = crate::output(crate::cargo(root, &arguments))?;
        let path = root.join(part.document);
        let document = std::fs::read_to_string(&path).with_context(|| format!("reading {}", part.document))?;
        let wanted = place(&document, &part.place, &generated).with_context(|| part.document.to_owned())?;
        if wanted == document {
            continue;
        }
        stale.push(part.document);
        if check {
            crate::say(&format!("docs: {}: {}", part.document, first_difference(&document, &wanted)));
        } else {
            std::fs::write(&path, wanted).with_context(|| format!("writing {}", part.document))?;
        }
    }
    if check && !stale.is_empty() {
        bail!("{} generated parts are out of date; run `cargo xtask docs` and commit the result", stale.len());
    }
    let verb = if check { "checked" } else { "written" };
    crate::say(&format!("docs: {} parts {verb}, {} changed", PARTS.len(), stale.len()));
    Ok(())
}

/// The document with the generated part in its place.
fn place(document: &str, place: &Place, generated: &str) -> Result<String> {
    match place {
        Place::Whole => Ok(format!("{}\n", generated.trim())),
        Place::Between(name) => replace(document, name, generated),
    }
}

/// The document with the text between the marks replaced.
fn replace(document: &str, name: &str, generated: &str) -> Result<String> {
    let (open, close) = (format!("<!-- generated: {name} -->"), format!("<!-- end: {name} -->"));
    let start = document.find(&open).with_context(|| format!("the mark {open} is missing"))? + open.len();
    let length = document[start..].find(&close).with_context(|| format!("the mark {close} is missing"))?;
    ensure!(!generated.contains("<!-- generated:"), "a generated part contains marks");
    let (before, after) = (&document[..start], &document[start + length..]);
    Ok(format!("{before}\n\n{}\n\n{after}", generated.trim()))
}

/// The first line in which the two texts differ, both versions of it.
fn first_difference(document: &str, wanted: &str) -> String {
    let (have, want): (Vec<&str>, Vec<&str>) = (document.lines().collect(), wanted.lines().collect());
    let at = have.iter().zip(&want).position(|(a, b)| a != b).unwrap_or_else(|| have.len().min(want.len()));
    let line = |lines: &[&str]| lines.get(at).map_or_else(|| "(the end)".to_owned(), |line| format!("`{line}`"));
    format!("line {} is {}, the binary says {}", at + 1, line(&have), line(&want))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "# A\n\n<!-- generated: x -->\n\nold\n\n<!-- end: x -->\nafter\n";

    #[test]
    fn a_part_is_replaced_between_its_marks() {
        let new = place(DOCUMENT, &Place::Between("x"), "new\n").unwrap();
        assert_eq!(new, "# A\n\n<!-- generated: x -->\n\nnew\n\n<!-- end: x -->\nafter\n");
        assert_eq!(replace(&new, "x", "new").unwrap(), new);
        assert!(replace(DOCUMENT, "y", "new").is_err());
    }

    #[test]
    fn the_first_difference_is_shown() {
        assert_eq!(first_difference("a\nb", "a\nc"), "line 2 is `b`, the binary says `c`");
        assert_eq!(first_difference("a", "a\nc"), "line 2 is (the end), the binary says `c`");
    }
}
