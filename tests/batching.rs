//! How sentences are packed for the encoder: as it asks, and without a trace in the results.
#![allow(clippy::unwrap_used)] // helpers of tests

use amends::{AnalyzeErrorKind, Analyzer, AnalyzerBuilder, Document};

#[path = "support/counting.rs"]
mod counting;

fn stories() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/stories");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// Every analysis, as text.
fn results(builder: AnalyzerBuilder) -> Vec<String> {
    let analyzer: Analyzer = builder.build().unwrap();
    let stories = stories();
    let documents: Vec<Document<'_>> = stories.iter().map(Document::from).collect();
    analyzer.analyze_batch(&documents).into_iter().map(|found| format!("{:?}", found.unwrap())).collect()
}

#[test]
fn batches_are_as_large_as_the_encoder_asks() {
    let (builder, work) = counting::analyzer();
    let expected = results(builder);
    let [forwards, windows, tokens] = work.take();
    assert!(tokens > 2_000, "{tokens}");
    let largest = work.largest();
    assert!((128..=256).contains(&largest) && forwards >= tokens / 256, "{largest}, {forwards}");

    for asked in [0, 1, 64, 1_000, usize::MAX] {
        let (builder, work) = counting::analyzer_in_batches(asked);
        assert_eq!(results(builder), expected, "{asked}");
        let [forwards, same, _] = work.take();
        assert_eq!(same, windows, "{asked}");
        let largest = work.largest();
        match asked {
            0 | 1 => assert_eq!(forwards, windows),
            // No window is longer than 128 tokens, and one alone is never cut.
            64 => assert!(largest <= 128 && forwards > tokens / 128, "{largest}, {forwards}"),
            1_000 => assert!((513..=1_000).contains(&largest), "{largest}"),
            _ => assert!(largest > 1_000 && forwards < tokens / 256, "{largest}, {forwards}"),
        }
    }
}

#[test]
fn a_sentence_that_breaks_a_shared_forward_fails_its_own_story_only() {
    let (whole, _) = counting::analyzer();
    let (whole, refusing) = (whole.build().unwrap(), counting::analyzer_that_refuses(40).build().unwrap());
    let long = format!("They said that {} nobody came.", "nobody came and ".repeat(12));
    let texts =
        ["They lost my bag. Nobody called.", &long, "A kind word, and quick.", "", &long, "It broke."];
    let good = |text: &str| text.len() < long.len();
    let documents = texts.map(Document::new);
    let batch = refusing.analyze_batch(&documents);
    let stream: Vec<_> = refusing.analyze_iter(texts).map(|(_, found)| found).collect();
    for found in [batch, stream] {
        assert_eq!(found.len(), texts.len());
        for (text, found) in texts.iter().zip(found) {
            match found {
                Ok(found) => assert!(good(text) && found == whole.analyze(*text).unwrap(), "{text}"),
                Err(error) => assert!(!good(text) && error.kind() == AnalyzeErrorKind::BackEnd, "{text}"),
            }
        }
    }
}
