//! The rules that look at one Rust file, each with the reason that is printed beside a violation.

use super::scan::{RustFile, has_word, is_test_path, item_end};

/// A rule: its name, why it exists, and the check, which returns line numbers and what was found there.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) check: fn(&RustFile) -> Vec<(usize, String)>,
}

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "pure",
        reason: "this code is fuzzed and simulated: bytes and values in, bytes and values out, no runtime, socket or clock",
        check: pure,
    },
    Rule {
        name: "durable",
        reason: "only pipeline/src/checkpoint.rs makes a position durable, and only a durable position may be confirmed",
        check: durable,
    },
    Rule { name: "head", reason: "every file begins with `//!` saying what it is for", check: head },
    Rule {
        name: "file-length",
        reason: "a file that long holds two things; split it by what a change goes through",
        check: file_length,
    },
    Rule {
        name: "function-length",
        reason: "nobody dares to change a function that does not fit on a screen",
        check: function_length,
    },
    Rule {
        name: "unfinished",
        reason: "finished or absent: no placeholder and no ignored test reaches the branch",
        check: unfinished,
    },
    Rule {
        name: "lint-reason",
        reason: "a silenced lint says why, or the next reader cannot judge it",
        check: lint_reason,
    },
    Rule {
        name: "unsafe",
        reason: "unsafe code is a short list of argued calls; add the file to UNSAFE_FILES with its argument",
        check: unsafe_code,
    },
    Rule {
        name: "client-config",
        reason: "properties that carry the guarantee are set in one place, sink-kafka/src/config.rs, and nowhere overridden",
        check: client_config,
    },
];

const LONGEST_FILE: usize = 600;
const LONGEST_FUNCTION: usize = 70;

/// Files that may hold `unsafe`, because a system call or librdkafka function has no safe form.
const UNSAFE_FILES: &[&str] = &[
    // The flush before a commit, which the binding does only in steps of 100 ms.
    "crates/sink-kafka/src/flush.rs",
    // Records handed over in batches, where the binding has one call per record.
    "crates/sink-kafka/src/handover.rs",
    "crates/sink-kafka/src/producer.rs",
    // Socket options that the standard library does not know.
    "crates/transport/src/sockopt.rs",
    // The limits of the C library's allocator.
    "crates/headwater/src/memory.rs",
    // Signals, the parent-death signal, the effective user; connections that end with a reset.
    "crates/testkit/src/process.rs",
    "crates/testkit/src/scratch.rs",
    "crates/testkit/src/proxy.rs",
    // Counting allocators and CPU clocks of measurements.
    "crates/event-avro/examples/measure.rs",
    "crates/sink-kafka/examples/measure.rs",
];

const IMPURE: &[&str] = &[
    "tokio",
    "rdkafka",
    "reqwest",
    "Instant",
    "SystemTime",
    "TcpStream",
    "UnixStream",
    "UdpSocket",
    "std::net",
    "std::os",
];

fn is_pure(path: &str) -> bool {
    let Some(inside) = path.strip_prefix("crates/") else { return false };
    inside.starts_with("change/")
        || inside.starts_with("event-avro/")
        || path.contains("/src/wire/")
        || path.ends_with("/src/wire.rs")
        || path.contains("/src/value/")
        || path.ends_with("/src/value.rs")
        || inside == "pipeline/src/ledger.rs"
        || inside.starts_with("pipeline/src/ledger/")
}

fn pure(file: &RustFile) -> Vec<(usize, String)> {
    if !is_pure(&file.path) {
        return Vec::new();
    }
    let found = |code: &str| IMPURE.iter().find(|word| has_word(code, word)).map(|word| format!("`{word}`"));
    file.product_lines().filter_map(|(number, line)| Some((number, found(&line.code)?))).collect()
}

fn durable(file: &RustFile) -> Vec<(usize, String)> {
    const HOME: &str = "crates/pipeline/src/checkpoint";
    if file.path.starts_with(HOME) || is_test_path(&file.path) || file.path.starts_with("crates/testkit/") {
        return Vec::new();
    }
    // What `tail` has printed is all that it promises: there is no Kafka, and the slot is the only memory.
    let terminal = file.path.ends_with("headwater/src/commands/tail.rs");
    let source = file.path.starts_with("crates/source-") || file.path.starts_with("crates/change/");
    file.product_lines()
        .filter_map(|(number, line)| {
            if constructs(&line.code, "Durable") {
                return Some((number, "`Durable` is constructed".to_owned()));
            }
            let confirms = !source && !terminal && line.code.contains(".confirm(");
            confirms.then(|| (number, "`.confirm(` is called".to_owned()))
        })
        .collect()
}

/// Whether the line makes a value of the type: `Durable(…)`, `Durable { … }`, `Durable::new(…)`.
fn constructs(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(start, _)| {
        let before = code[..start].trim_end();
        let whole = !code[..start].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let named = ["->", "impl", "for", "enum"].iter().any(|word| before.ends_with(word));
        let after = &code[start + name.len()..];
        whole && !named && (after.starts_with('(') || after.starts_with(" {") || after.starts_with("::"))
    })
}

fn head(file: &RustFile) -> Vec<(usize, String)> {
    let first = file.lines.first();
    let said = first.is_some_and(|line| line.comment.starts_with("//!") && line.comment.trim().len() > 6);
    if said { Vec::new() } else { vec![(1, "no `//!` on the first line".to_owned())] }
}

fn file_length(file: &RustFile) -> Vec<(usize, String)> {
    let length = file.product_lines().filter(|(_, line)| line.is_code()).count();
    if length <= LONGEST_FILE {
        return Vec::new();
    }
    vec![(1, format!("{length} lines of code, the limit is {LONGEST_FILE}"))]
}

fn function_length(file: &RustFile) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in file.product_lines() {
        if !begins_function(&line.code) {
            continue;
        }
        let Some(end) = item_end(&file.lines, number - 1) else { continue };
        let length = file.lines[number - 1..=end].iter().filter(|line| line.is_code()).count();
        if length > LONGEST_FUNCTION {
            found.push((number, format!("a function of {length} lines of code, the limit is {LONGEST_FUNCTION}")));
        }
    }
    found
}

fn begins_function(code: &str) -> bool {
    let words: Vec<&str> = code.split_whitespace().collect();
    let modifier =
        |word: &&str| word.starts_with("pub") || matches!(*word, "const" | "async" | "unsafe" | "extern" | "\"\"");
    let Some(at) = words.iter().position(|word| *word == "fn") else { return false };
    // `pub(in some path)` does not occur; a function pointer type (`: fn(…)`) has no space after `fn`.
    words[..at].iter().all(modifier)
}

fn unfinished(file: &RustFile) -> Vec<(usize, String)> {
    const CODE: &[&str] = &["#[ignore", "todo!", "unimplemented!", "dbg!"];
    const COMMENT: &[&str] = &["TODO", "FIXME", "XXX"];
    file.numbered()
        .filter_map(|(number, line)| {
            let code = CODE.iter().find(|mark| line.code.contains(*mark));
            let comment = COMMENT.iter().find(|mark| has_word(&line.comment, mark));
            code.or(comment).map(|mark| (number, format!("`{mark}`")))
        })
        .collect()
}

fn lint_reason(file: &RustFile) -> Vec<(usize, String)> {
    let opens =
        |code: &str| ["#[allow(", "#[expect(", "#![allow(", "#![expect("].iter().any(|open| code.contains(open));
    file.numbered()
        .filter(|(_, line)| opens(&line.code))
        .filter(|(number, _)| {
            // The attribute ends on the first line that closes it; rustfmt puts a long one's bracket on a line of its own.
            let rest = &file.lines[number - 1..];
            let end = rest.iter().position(|line| line.code.contains(")]")).unwrap_or(0);
            !rest[..=end].iter().any(|line| has_word(&line.code, "reason"))
        })
        .map(|(number, _)| (number, "a lint is silenced without `reason`".to_owned()))
        .collect()
}

fn unsafe_code(file: &RustFile) -> Vec<(usize, String)> {
    if UNSAFE_FILES.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let uses = |(_, line): &(usize, &super::scan::Line)| has_word(&line.code, "unsafe");
    file.numbered().filter(uses).map(|(number, _)| (number, "`unsafe`".to_owned())).collect()
}

fn client_config(file: &RustFile) -> Vec<(usize, String)> {
    let allowed = file.path == "crates/sink-kafka/src/config.rs"
        || ["crates/testkit/", "crates/xtask/"].iter().any(|home| file.path.starts_with(home));
    if allowed {
        return Vec::new();
    }
    file.product_lines()
        .filter(|(_, line)| line.code.contains("ClientConfig::new"))
        .map(|(number, _)| (number, "`ClientConfig::new`".to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names and lines that the rules report for a file of this text.
    fn found(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        let file = RustFile::scan(path, text);
        let of = |rule: &Rule| (rule.check)(&file).into_iter().map(|(line, _)| (rule.name, line)).collect::<Vec<_>>();
        RULES.iter().flat_map(of).collect()
    }

    const HEAD: &str = "//! A sample.\n";

    fn one(path: &str, body: &str, rule: &'static str) {
        assert_eq!(found(path, &format!("{HEAD}{body}")), [(rule, 2)], "{path}: {body}");
    }

    fn none(path: &str, body: &str) {
        assert_eq!(found(path, &format!("{HEAD}{body}")), [], "{path}: {body}");
    }

    #[test]
    fn pure_code_knows_no_runtime_socket_or_clock() {
        one("crates/change/src/a.rs", "use tokio::time;", "pure");
        one("crates/event-avro/src/a.rs", "use std::time::{Duration, Instant};", "pure");
        one("crates/source-postgres/src/wire/a.rs", "use std::net::IpAddr;", "pure");
        one("crates/source-mysql/src/value/a.rs", "fn a() -> SystemTime;", "pure");
        one("crates/pipeline/src/ledger.rs", "use rdkafka::message;", "pure");
        none("crates/change/src/a.rs", "use std::time::Duration; // not tokio");
        none("crates/pipeline/src/run.rs", "use tokio::time;");
        none("crates/change/src/a.rs", "#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}");
    }

    #[test]
    fn durable_is_made_in_one_file() {
        one("crates/pipeline/src/run.rs", "let a = Durable(position);", "durable");
        one("crates/pipeline/src/ledger.rs", "let a = Durable { position };", "durable");
        one("crates/pipeline/src/run.rs", "let a = Durable::new(position);", "durable");
        one("crates/pipeline/src/run.rs", "source.confirm(&position)?;", "durable");
        none("crates/pipeline/src/checkpoint.rs", "source.confirm(&Durable(a).0)?;");
        none("crates/pipeline/src/run.rs", "fn a(position: &Durable) -> Durable {\n}");
        none("crates/source-postgres/src/stream.rs", "self.inner.confirm(&position)?;");
        none("crates/pipeline/src/run.rs", "use crate::checkpoint::Durable;");
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert_eq!(found("crates/change/src/a.rs", "use std::fmt;\n"), [("head", 1)]);
        assert_eq!(found("crates/change/src/a.rs", ""), [("head", 1)]);
    }

    #[test]
    fn lengths_are_limited() {
        let long = |lines: usize| "    work();\n".repeat(lines);
        let function = |lines: usize| format!("{HEAD}fn a(\n) {{\n{}}}\n", long(lines));
        assert_eq!(found("crates/change/src/a.rs", &function(67)), []);
        assert_eq!(found("crates/change/src/a.rs", &function(68)), [("function-length", 2)]);
        let commented = format!("{HEAD}pub(crate) async fn a() {{\n    // why\n{}}}\n", long(68));
        assert_eq!(found("crates/change/src/a.rs", &commented), []);
        let file = |lines: usize| format!("{HEAD}{}", "const A: u8 = 1;\n".repeat(lines));
        assert_eq!(found("crates/change/src/a.rs", &file(600)), []);
        assert_eq!(found("crates/change/src/a.rs", &file(601)), [("file-length", 1)]);
        let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", file(600), "const B: u8 = 1;\n".repeat(50));
        assert_eq!(found("crates/change/src/a.rs", &tests), []);
    }

    #[test]
    fn nothing_is_left_unfinished() {
        one("crates/change/src/a.rs", "#[ignore]", "unfinished");
        one("crates/change/src/a.rs", "fn a() { todo!() }", "unfinished");
        one("crates/change/src/a.rs", "let a = dbg!(b);", "unfinished");
        one("tests/a.rs", "fn a() { unimplemented!() }", "unfinished");
        one("crates/change/src/a.rs", &format!("// {}: later", "FIXME"), "unfinished");
        none("crates/change/src/a.rs", "let a = \"todo!\";");
    }

    #[test]
    fn a_silenced_lint_has_a_reason() {
        one("crates/change/src/a.rs", "#[allow(dead_code)]", "lint-reason");
        one("crates/change/src/a.rs", "#![expect(\n    dead_code\n)]", "lint-reason");
        none("crates/change/src/a.rs", "#[expect(dead_code, reason = \"a test reads it\")]");
        none("crates/change/src/a.rs", "#[expect(\n    dead_code,\n    reason = \"a test reads it\"\n)]");
    }

    #[test]
    fn unsafe_code_is_listed() {
        one("crates/change/src/a.rs", "fn a() { unsafe { b() } }", "unsafe");
        none("crates/sink-kafka/src/flush.rs", "fn a() { unsafe { b() } }");
        none("crates/change/src/a.rs", "#![deny(unsafe_code)]");
    }

    #[test]
    fn client_configurations_have_one_home() {
        one("crates/pipeline/src/a.rs", "let a = ClientConfig::new();", "client-config");
        none("crates/sink-kafka/src/config.rs", "let a = ClientConfig::new();");
        none("crates/testkit/src/kafka.rs", "let a = ClientConfig::new();");
    }
}
