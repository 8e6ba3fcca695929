//! A statement as it may be shown: without its literals and comments.
//!
//! Who holds back the log is found by its statement, but a statement holds values of rows, and passwords
//! (`ALTER ROLE … PASSWORD '…'`): headwater never shows either in a log or on a page. So every literal becomes `?`. Where the
//! text is not clear, more is hidden rather than less: a literal that does not end (the server cuts long statements off)
//! hides all the rest, and so does a backslash inside quotes, which ends or does not end a literal depending on a setting of
//! that session (`standard_conforming_strings`).

/// Letters of a statement that are shown at most.
const LONGEST: usize = 100;

/// One line, without literals and comments.
pub(crate) fn masked(query: &str) -> String {
    let mut text = String::new();
    let mut rest = query;
    while let Some(letter) = rest.chars().next() {
        let word = text.chars().next_back().is_some_and(is_word);
        let after = &rest[letter.len_utf8()..];
        if letter == '\'' {
            text.push('?');
            rest = after_quoted(after);
        } else if letter == '"' {
            let end = after.find('"').map_or(after.len(), |end| end + 1);
            text.push_str(&rest[..=end]);
            rest = &after[end..];
        } else if let Some(tag) = dollar_tag(rest).filter(|_| !word) {
            text.push('?');
            let body = &rest[tag.len()..];
            rest = body.find(tag).map_or("", |end| &body[end + tag.len()..]);
        } else if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else if rest.starts_with("/*") {
            rest = after_comment(rest);
            push_space(&mut text);
        } else if letter.is_ascii_digit() && !word {
            text.push('?');
            rest = rest.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '.');
        } else {
            if letter.is_whitespace() {
                push_space(&mut text)
            } else {
                text.push(letter)
            }
            rest = after;
        }
    }
    shortened(text.trim())
}

/// Letters that a name goes on with; `$1` is a parameter, not a number.
fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

fn push_space(text: &mut String) {
    if !text.is_empty() && !text.ends_with(' ') {
        text.push(' ');
    }
}

/// Behind the quote that ends a literal whose first quote was just read.
fn after_quoted(text: &str) -> &str {
    let mut from = 0;
    while let Some(end) = text[from..].find('\'').map(|end| from + end) {
        if text[from..end].contains('\\') {
            return "";
        }
        if !text[end + 1..].starts_with('\'') {
            return &text[end + 1..];
        }
        from = end + 2;
    }
    ""
}

/// `$$` or `$name$`, if the text begins with one.
fn dollar_tag(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('$')?;
    let end = inside.find('$')?;
    let name = &inside[..end];
    let is_name = !name.starts_with(|letter: char| letter.is_ascii_digit())
        && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    is_name.then(|| &text[..end + 2])
}

/// Comments nest.
fn after_comment(text: &str) -> &str {
    let (mut depth, mut rest) = (0_usize, text);
    loop {
        if let Some(after) = rest.strip_prefix("/*") {
            (depth, rest) = (depth + 1, after);
        } else if let Some(after) = rest.strip_prefix("*/") {
            (depth, rest) = (depth - 1, after);
            if depth == 0 {
                return rest;
            }
        } else {
            let Some(letter) = rest.chars().next() else { return "" };
            rest = &rest[letter.len_utf8()..];
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_hidden_and_names_are_shown() {
        for (query, shown) in [
            ("update orders set note = 'it''s mine' where id = 4711", "update orders set note = ? where id = ?"),
            ("ALTER ROLE app PASSWORD 'hunter2'", "ALTER ROLE app PASSWORD ?"),
            ("insert into t1 values\n  (1.5, -2e10, x'ff',\t$1, 0x1F)", "insert into t1 values (?, -?, x?, $1, ?)"),
            ("select $$hunter2$$, $a$ $$ 'hunter2 $a$, a$b$c from \"it's 4\"", "select ?, ?, a$b$c from \"it's 4\""),
            ("select /* hunter2 /* 'x */ more */ 1 -- 'hunter2'\nfrom t", "select ? from t"),
            ("select e'a\\'hunter2', 'b' from t", "select e?"),
            ("select 'a\\', 'hunter2' from t", "select ?"),
            ("select 'hunter2 and no e", "select ?"),
            ("select $x$hunter2 and no e", "select ?"),
            ("select 1 /* hunter2", "select ?"),
            ("select \"a", "select \"a"),
            ("", ""),
            ("  BEGIN ;  ", "BEGIN ;"),
            ("select 'é' || ü9 || 9", "select ? || ü9 || ?"),
        ] {
            assert_eq!(masked(query), shown, "{query}");
        }
    }

    #[test]
    fn long_statements_are_cut_between_letters() {
        let shown = masked(&"ä".repeat(101));
        assert_eq!(shown, format!("{}…", "ä".repeat(100)));
        assert_eq!(masked(&"ä".repeat(100)), "ä".repeat(100));
    }

    proptest::proptest! {
        /// Whatever stands around it, a literal's inside is never shown.
        #[test]
        fn a_literal_is_never_shown(before in "[a-z ,=()]{0,20}", inside in "[A-Z0-9 ]{3,20}", after in "\\PC{0,40}") {
            let inside = format!("SECRET{inside}");
            for query in [format!("{before}'{inside}'{after}"), format!("{before} $q${inside}$q${after}"), format!("{before}'{inside}")] {
                proptest::prop_assert!(!masked(&query).contains("SECRET"), "{}", masked(&query));
            }
        }

        #[test]
        fn any_text_is_taken(query in "\\PC{0,200}") {
            proptest::prop_assert!(masked(&query).chars().count() <= LONGEST + 1);
        }
    }
}
