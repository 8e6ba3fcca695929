//! Random tests that can be repeated.

/// The seed of a random test: from `HEADWATER_SEED`, or a new one; printed, so that a failure can be repeated.
#[expect(clippy::print_stdout, reason = "a test's output is read when it fails")]
pub fn seed(test: &str) -> u64 {
    let seed = std::env::var("HEADWATER_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("{test}: HEADWATER_SEED={seed}");
    seed
}
