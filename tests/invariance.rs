//! What the score promises of events and sentiments, tried on whole stories: words in, score out, through the shipped
//! model on every back end. `tests/score.rs` proves it of the score alone, where padding changes nothing at all; here the model reads
//! sentences anew beside others, so that the bound is measured and not derived.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests

use amends::{Analyzer, Boilerplate};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[path = "support/back_ends.rs"]
mod back_ends;
use back_ends::BackEnd;

/// What a story begins with.
const OPENING: &str = "The kettle that I had bought from Corvin Kitchens stopped working after a week.";

/// What may have happened then, in this order.
const HAPPENED: [&str; 10] = [
    "The replacement was promised for Monday and came nine days later.",
    "I wrote to them twice and never got an answer.",
    "The man on the phone was rude and hung up on me.",
    "They apologised the same afternoon.",
    "The manager called to explain what had gone wrong.",
    "They refunded the full price without my asking.",
    "A technician came the next morning and repaired it in ten minutes.",
    "Everybody I spoke to was kind and patient.",
    "I have recommended them to my sister.",
    "I will never order there again.",
];

/// What says nothing of how anybody was served, and is read as that. Not every such sentence is: "The order number had
/// nine digits." sounded like a complaint to amends-mini-2, and cost up to 11 points.
const PADDING: [&str; 7] = [
    "It was a Tuesday in March.",
    "The shop is on the corner of Mill Lane.",
    "The kettle is blue and holds two litres.",
    "I had paid by card.",
    "My kitchen has two windows.",
    "The box was about a foot high.",
    "There are four of us in the house.",
];

/// The score of a story that holds one interaction, or `None` where the text is taken for several.
fn score(analyzer: &Analyzer, text: &str) -> Option<f64> {
    match analyzer.analyze(text).unwrap().interactions() {
        [one] => Some(one.score().value()),
        _ => None,
    }
}

fn any_story() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(HAPPENED.to_vec(), 1..=5).prop_map(|mut lines| {
        lines.insert(0, OPENING);
        lines
    })
}

/// The same stories in every run: the bounds were measured on them.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// How far one sentence of padding may move a score, in points.
const FEW: f64 = 8.0;

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn neutral_padding_moves_the_score_little(
        story in any_story(),
        padding in prop::sample::select(PADDING.to_vec()),
        place in 1..7usize,
    ) {
        let mut padded = story.clone();
        padded.insert(place.min(story.len()), padding);
        for BackEnd { name, analyzer } in &*back_ends::ALL {
            let before = score(analyzer, &story.join(" ")).unwrap();
            let after = score(analyzer, &padded.join(" "));
            println!("{:+.3} {name} {padded:?}", after.unwrap_or(f64::NAN) - before);
            prop_assert!(
                after.is_some_and(|after| (after - before).abs() <= FEW),
                "{name}: {before} -> {after:?}: {padded:?}"
            );
        }
    }

    #[test]
    fn a_repeated_paragraph_does_not_raise_the_score(story in any_story()) {
        let paragraph = story.join(" ");
        let twice = format!("{paragraph}\n\n{paragraph}");
        for BackEnd { name, analyzer } in &*back_ends::ALL {
            let (before, after) = (score(analyzer, &paragraph).unwrap(), score(analyzer, &twice));
            println!("{:+.3} {name} {story:?}", after.unwrap_or(f64::NAN) - before);
            prop_assert!(
                after.is_some_and(|after| after <= before + 1e-9),
                "{name}: {before} -> {after:?}: {story:?}"
            );
            // Nor does it lower it: the second telling is told from the first, and left out.
            let analysis = analyzer.analyze(&twice).unwrap();
            let repeats = analysis.sentences().iter().filter(|s| s.boilerplate() == Some(Boilerplate::Repeat));
            prop_assert_eq!(repeats.count(), story.len());
        }
    }
}
