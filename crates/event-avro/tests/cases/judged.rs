//! The rules' verdict on each case.

use event_avro::compatibility::{Shape, Verdict, judge, worst};

use crate::cases;

/// What a verdict has to be, by what the file says of the case.
fn expected(judgement: &str, forward: bool) -> &'static [Verdict] {
    match judgement {
        "safe" => &[Verdict::Safe, Verdict::SafeIfAgreed],
        "breaks-reader" if forward => &[Verdict::BreaksReplay],
        "breaks-reader" => &[Verdict::BreaksRunning],
        "silently-corrupts" => &[Verdict::CorruptsSilently],
        other => panic!("unknown judgement {other}"),
    }
}

#[test]
fn every_case_is_judged_as_it_is() {
    let mut wrong = Vec::new();
    for case in cases() {
        let shapes = [&case.old, &case.new].map(|schemas| {
            let row = Shape::of_schemas(None, &schemas.row.to_string()).unwrap();
            let mut envelope = Shape::of_schemas(None, &schemas.envelope.to_string()).unwrap();
            assert!(envelope.in_envelope && !row.in_envelope, "{}", case.id);
            envelope.in_envelope = false;
            assert_eq!(row, envelope, "{}", case.id);
            row
        });
        let findings = judge(&shapes[0], &shapes[1], &[]);
        let verdict = worst(&findings);
        if !expected(case.judgement, case.verdict.row.forward).contains(&verdict) {
            wrong.push(format!("{} ({}): {verdict} {findings:#?}", case.id, case.judgement));
        }
        // Never laxer than the checker.
        assert!(case.verdict.row.forward || verdict >= Verdict::BreaksRunning, "{}", case.id);
        assert!(case.verdict.row.backward || verdict >= Verdict::BreaksReplay, "{}", case.id);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_verdict_on_the_dropped_column_asks_for_agreement() {
    let case = cases().into_iter().find(|case| case.id == "drop-nullable-column").unwrap();
    let shape = |schemas: &crate::Schemas| Shape::of_schemas(None, &schemas.row.to_string()).unwrap();
    assert_eq!(worst(&judge(&shape(&case.old), &shape(&case.new), &[])), Verdict::SafeIfAgreed);
}
