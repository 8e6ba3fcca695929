//! Statements that change tables, as far as a log, or whoever runs them, has them.

use crate::TableName;

/// A statement that changes a captured table's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// A captured table: by the name that it has now or, where that one is not captured, the one that it had. MySQL: by
    /// each name that the statement gives or takes away, one record for each.
    pub table: TableName,
    /// As it was written, as far as the source keeps it.
    pub text: String,
    /// Who ran it, where the log says so.
    pub user: Option<String>,
    /// The columns that it renames or drops. `None`: the statement is not understood, and may do that to any.
    pub moved: Option<Vec<Moved>>,
    /// The columns that it makes generated, in the rows that are there, too.
    pub generated: Vec<String>,
}

/// What a statement made of a column. Names are in the statement's own capitals, which a database may not tell apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Its name before the statement.
    pub from: String,
    /// Its name from then on; `None`: it is dropped.
    pub to: Option<String>,
}

impl Moved {
    /// Whether both are the name of one column, to a database that does not tell capitals apart.
    pub fn same_name(one: &str, other: &str) -> bool {
        one == other || one.to_lowercase() == other.to_lowercase()
    }
}

impl Statement {
    /// Takes in what a later statement makes of the columns that were there before this one: known only if both are
    /// understood.
    pub fn follow(&mut self, later: &Self) {
        let moved = self.moved.take().zip(later.moved.as_deref());
        self.moved = moved.map(|(first, then)| both(first, then));
        self.generated.extend_from_slice(&later.generated);
    }

    /// So many bytes of a text are kept.
    pub const LONGEST: usize = 16 << 10;

    /// A statement's text as it is kept: what is too long is cut, and says so at its end.
    pub fn shortened(text: &str) -> String {
        if text.len() <= Self::LONGEST {
            return text.to_owned();
        }
        let head = text.get(..text.floor_char_boundary(Self::LONGEST)).unwrap_or_default();
        format!("{head} … (cut here)")
    }
}

/// What two statements together make of the columns that were there before the first.
fn both(first: Vec<Moved>, then: &[Moved]) -> Vec<Moved> {
    let is = |name: &Option<String>, other: &str| name.as_ref().is_some_and(|name| Moved::same_name(name, other));
    // One that the first has moved away is another column to the second, which came in between.
    let concerns = |one: &Moved, later: &Moved| is(&one.to, &later.from) || Moved::same_name(&one.from, &later.from);
    let more: Vec<_> = then.iter().filter(|later| !first.iter().any(|one| concerns(one, later))).cloned().collect();
    let on = |one: Moved| match then.iter().find(|later| is(&one.to, &later.from)) {
        Some(later) => Moved { to: later.to.clone(), ..one },
        None => one,
    };
    first.into_iter().map(on).chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a>b` renames, `a>` drops; `?` is not understood.
    fn moved(text: &str) -> Option<Vec<Moved>> {
        let one = |pair: &str| {
            let (from, to) = pair.split_once('>').unwrap_or((pair, ""));
            Moved { from: from.to_owned(), to: Some(to.to_owned()).filter(|to| !to.is_empty()) }
        };
        (text != "?").then(|| text.split_whitespace().map(one).collect())
    }

    #[test]
    fn long_statements_are_cut_between_letters() {
        let fits = "é".repeat(Statement::LONGEST / 2);
        assert_eq!(Statement::shortened(&fits), fits);
        assert_eq!(Statement::shortened(&format!("{fits}x")), format!("{fits} … (cut here)"));
        let between = format!("x{fits}");
        let kept = Statement::shortened(&between);
        assert_eq!(kept, format!("x{} … (cut here)", "é".repeat(Statement::LONGEST / 2 - 1)));
    }

    #[test]
    fn statements_are_understood_together() {
        let of = |moved| Statement {
            table: TableName::new("s", "t"),
            text: String::new(),
            user: None,
            moved,
            generated: vec!["g".to_owned()],
        };
        for (statements, expected) in [
            (&["a>b"][..], "a>b"),
            (&["", "a>b"], "a>b"),
            (&["a>b", "?"], "?"),
            (&["?", "a>b"], "?"),
            (&["a>b", "b>c"], "a>c"),
            (&["a>b", "B>"], "a>"),
            // Three statements swap two columns, one does.
            (&["c>e", "d>c", "e>d"], "c>d d>c"),
            (&["a>b b>a", "a>x"], "a>b b>x"),
            // What comes under a name that went is none of the columns that were there.
            (&["a>", "a>b"], "a>"),
            (&["a>b", "a>"], "a>b"),
        ] {
            let mut all = of(moved(statements[0]));
            statements[1..].iter().for_each(|text| all.follow(&of(moved(text))));
            assert_eq!(all.moved, moved(expected), "{statements:?}");
            assert_eq!(all.generated.len(), statements.len());
        }
    }
}
