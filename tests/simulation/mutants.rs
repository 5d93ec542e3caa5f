//! Each clause, taken out, is found missing.

use rstest::rstest;
use s3_replicator::local::simulate::{Configuration, Layer, Mutant, campaign};

use crate::{is_full, threads};

#[rstest]
#[case::no_confirm("no-confirm", "slow", 2_000, "replica differs")]
#[case::confirm_beside("confirm-beside-writes", "slow", 5_000, "replica differs")]
#[case::no_if_match("no-if-match", "slow", 200_000, "replica differs")]
#[case::inexact("inexact-writes", "metadata-and-tags", 500_000, "replica differs")]
#[case::ambiguity("ambiguity-ignored", "faults", 20_000, "replica differs")]
#[case::early("early-redelivery", "kills", 20_000, "replica differs")]
#[case::blind("blind-deletes", "versioned", 100, "needless delete marker")]
#[case::grouping("no-grouping", "batches", 100, "too many requests")]
#[case::failing("always-failing", "calm", 100, "failed without a fault")]
#[case::waiting("waiting-for-ever", "slow", 2_000, "timed out without a fault")]
#[case::unproven("resume-unproven", "parts", 200_000, "mixed bytes")]
#[case::resumed_is_last("resumed-is-last", "parts", 200_000, "replica differs")]
#[case::naive("naive", "calm", 2_000, "replica differs")]
fn missing_clause_is_found(
    #[case] mutant: Mutant,
    #[case] configuration: Configuration,
    #[case] within: u64,
    #[case] how: &str,
) {
    if within > 20_000 && !is_full() {
        println!("skipped: {mutant} takes an optimised build, see `just simulate`");
        return;
    }
    let layer = Layer::Model(mutant.into());
    let tally = campaign(&configuration, 0..within, layer, threads(), |_| true);
    println!(
        "{mutant} in {configuration}: {} of {within} diverge",
        tally.diverged
    );
    assert!(tally.kinds.contains_key(how), "{tally:?}");
}
