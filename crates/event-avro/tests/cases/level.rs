//! What a registry would say of each case.

use event_avro::compatibility::level::{Direction, Level, conflicts};

use crate::{Checked, cases};

#[test]
fn the_registrys_verdict_is_foreseen() {
    for case in cases() {
        let pairs = [
            (&case.old.row, &case.new.row, &case.verdict.row),
            (&case.old.envelope, &case.new.envelope, &case.verdict.envelope),
        ];
        for (old, new, Checked { backward, forward, full }) in pairs {
            let (old, new) = (old.to_string(), new.to_string());
            let passes = |level| conflicts(level, &[&old], &new).unwrap().is_empty();
            assert_eq!(passes(Level::Backward), *backward, "{} backward", case.id);
            assert_eq!(passes(Level::Forward), *forward, "{} forward", case.id);
            assert_eq!(passes(Level::Full), *full, "{} full", case.id);
            assert!(passes(Level::None), "{}", case.id);
        }
    }
}

const INT: &str = r#"{"type":"record","name":"Value","fields":[{"name":"c","type":"int"}]}"#;
const LONG: &str = r#"{"type":"record","name":"Value","fields":[{"name":"c","type":"long"}]}"#;

#[test]
fn only_transitive_levels_ask_all_versions() {
    let found = conflicts(Level::BackwardTransitive, &[LONG, INT], INT).unwrap();
    assert_eq!(found.iter().map(|conflict| conflict.version).collect::<Vec<_>>(), [1]);
    assert_eq!(found[0].direction, Direction::Backward);
    assert!(found[0].message.contains('c'), "{}", found[0].message);
    assert_eq!(conflicts(Level::Backward, &[LONG, INT], INT).unwrap(), []);
    assert_eq!(conflicts(Level::FullTransitive, &[LONG, INT], INT).unwrap().len(), 1);
    assert_eq!(conflicts(Level::ForwardTransitive, &[LONG, INT], LONG).unwrap()[0].version, 2);
    assert_eq!(conflicts(Level::Backward, &[], INT).unwrap(), []);
}

#[test]
fn a_part_of_the_values_is_not_enough() {
    let union =
        |branches: &str| format!(r#"{{"type":"record","name":"Value","fields":[{{"name":"c","type":{branches}}}]}}"#);
    let found = conflicts(Level::Backward, &[&union(r#"["null","int"]"#)], &union(r#""int""#)).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].message, "some of the values cannot be read");
}

/// `apache-avro` for Rust looks at the scale of decimals, where Java's checker, which registries call, does not.
#[test]
fn logical_types_are_not_looked_at() {
    let decimal = |scale: u8| {
        format!(
            r#"{{"type":"record","name":"Value","fields":[{{"name":"c","type":["null",{{"type":"bytes","logicalType":"decimal","precision":9,"scale":{scale}}}],"default":null}}]}}"#
        )
    };
    assert_eq!(conflicts(Level::FullTransitive, &[&decimal(2)], &decimal(4)).unwrap(), []);
}

#[test]
fn levels_have_the_names_that_registries_use() {
    for level in Level::ALL {
        assert_eq!(level.name().parse(), Ok(level));
        assert_eq!(level.name().to_lowercase().parse(), Ok(level));
    }
    let unknown = "SOME".parse::<Level>().unwrap_err();
    assert!(unknown.to_string().contains("SOME is no compatibility level"), "{unknown}");
}

#[test]
fn what_is_no_schema_is_named() {
    let error = conflicts(Level::Full, &[INT, "{"], INT).unwrap_err();
    assert_eq!((error.version, error.to_string().as_str()), (Some(2), "version 2 is no avro schema"));
    assert_eq!(conflicts(Level::Full, &[INT], "{").unwrap_err().version, None);
}
