//! The rules that look at any text file: links between documents, paths of somebody's machine, placeholders.

use super::scan::has_word;

/// A link in a Markdown file to another file of the repository.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) line: usize,
    /// The path as written, without the part after `#`; empty for a link within the file.
    pub(crate) path: String,
    /// The part after `#`, if any.
    pub(crate) anchor: Option<String>,
}

/// The links of a Markdown text that do not lead outside the repository. Code blocks and code spans are left out.
pub(crate) fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    for (line, content) in prose(text) {
        let plain = without_code_spans(content);
        let mut rest = plain.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let Some(end) = rest.find(')') else { break };
            let target = rest[..end].split_whitespace().next().unwrap_or_default();
            rest = &rest[end..];
            if target.contains("://") || target.starts_with("mailto:") || target.is_empty() {
                continue;
            }
            let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
            found.push(Link { line, path: path.to_owned(), anchor: anchor.map(str::to_owned) });
        }
    }
    found
}

/// The anchors that the headings of a Markdown text make.
pub(crate) fn anchors(text: &str) -> Vec<String> {
    let heading = |(_, line): (usize, &str)| line.starts_with('#').then(|| slug(line.trim_start_matches('#')));
    prose(text).into_iter().filter_map(heading).collect()
}

/// Lower case, blanks to hyphens, punctuation dropped.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Numbered lines outside fenced code blocks.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.push((index + 1, line));
        }
    }
    found
}

fn without_code_spans(line: &str) -> String {
    line.split('`').enumerate().filter(|(index, _)| index % 2 == 0).map(|(_, part)| part).collect()
}

/// Absolute paths that exist on one person's machine only.
pub(crate) fn machine_paths(text: &str) -> Vec<(usize, String)> {
    const PATHS: &[&str] =
        &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];
    let begins =
        |line: &str, at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}/)\"'*".contains(c));
    let quoted = |line: &str, at: usize| line[..at].ends_with(['"', '\'']);
    let hit = |line: &str, path: &str| line.match_indices(path).any(|(at, _)| begins(line, at) || quoted(line, at));
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            PATHS.iter().find(|path| hit(line, path)).map(|path| (index + 1, format!("`{path}`")))
        })
        .collect()
}

/// Placeholders in files that are not Rust.
pub(crate) fn placeholders(text: &str) -> Vec<(usize, String)> {
    const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| {
            MARKS.iter().find(|mark| has_word(line, mark)).map(|mark| (index + 1, format!("`{mark}`")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_inside_the_repository_are_found() {
        let text = "see [a](b/c.md#d-e) and [w](https://x.y)\n```\n[no](no.md)\n```\n`[no](no.md)` [here](#top)\n";
        let link = |line, path: &str, anchor: &str| Link { line, path: path.into(), anchor: Some(anchor.into()) };
        assert_eq!(links(text), [link(1, "b/c.md", "d-e"), link(5, "", "top")]);
    }

    #[test]
    fn headings_make_anchors() {
        assert_eq!(anchors("# One `two` (three)\n## A/B, c\n```\n# no\n```\n"), ["one-two-three", "ab-c"]);
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        let path = concat!("/ho", "me/someone/x");
        assert_eq!(machine_paths(&format!("a\ncd {path}\n")).len(), 1);
        assert_eq!(machine_paths(&format!("url = \"{path}\"\n")).len(), 1);
        assert_eq!(machine_paths(&format!("https://example.org{path}\n")), []);
    }

    #[test]
    fn placeholders_are_found() {
        assert_eq!(placeholders(&format!("a\n{}: b\n", concat!("TO", "DO"))).len(), 1);
        assert_eq!(placeholders("mastodon TODOS\n"), []);
    }
}
