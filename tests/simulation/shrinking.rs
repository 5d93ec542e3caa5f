//! What a failing schedule becomes for a person.

use std::path::Path;

use rstest::rstest;
use s3_replicator::local::recording::Recording;
use s3_replicator::local::simulate::{
    Configuration, Layer, Mutant, Rules, Trace, generate, recorded, shrink, story,
};

#[test]
fn failing_schedule_shrinks_to_a_short_recording() {
    let configuration: Configuration = "slow".parse().unwrap();
    let layer = Layer::Model(Mutant::NoConfirm.into());
    let fails = |plan: &_| !layer.run(plan, Trace::dropped()).divergences.is_empty();
    let plan = (0..2_000)
        .map(|seed| generate(&configuration, seed))
        .find(|plan| fails(plan))
        .unwrap();
    let small = shrink(&plan, fails);
    assert!(
        small.lines() < plan.lines() && small.lines() <= 8,
        "{small:#?}"
    );
    let run = layer.run(&small, Trace::kept());
    assert!(story(&small, &run).contains("wrong"));
    let text = recorded(&small, &run).to_json_lines();
    assert!(text.lines().count() <= 16, "{text}");
    Recording::parse(&text, Path::new("bug.jsonl")).unwrap();
}

#[rstest]
#[case::model(Layer::Model(Rules::default()), 200)]
#[case::sdk(Layer::Sdk, 5)]
fn every_plan_is_a_recording_that_loads(#[case] layer: Layer, #[case] seeds: u64) {
    for configuration in Configuration::ALL {
        for seed in 0..seeds {
            let plan = generate(&configuration, seed);
            let run = layer.run(&plan, Trace::kept());
            let text = recorded(&plan, &run).to_json_lines();
            let loaded = Recording::parse(&text, Path::new("plan.jsonl"));
            assert!(loaded.is_ok(), "{configuration} {seed}: {loaded:?}\n{text}");
        }
    }
}
