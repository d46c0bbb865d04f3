//! The promises of the front door: any text, any batch, any thread, the same bits.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::cell::Cell;
use std::sync::LazyLock;

use amends::output::{Record, StoryRecord};
use amends::{
    Analysis, AnalyzeError, AnalyzeErrorKind, AnalyzeOptions, Analyzer, AnalyzerBuilder, BlockKind,
    Boilerplate, Document, Engine, Event, Interaction, Limits, LoadError, Segment, Sentence, Sentiment, Span,
    Tokenizer, Warning,
};
use proptest::prelude::*;

#[path = "support/promises.rs"]
mod promises;
use promises::check;

static ANALYZER: LazyLock<Analyzer> = LazyLock::new(|| Analyzer::embedded().unwrap());

fn stories() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/stories");
    let mut stories: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())
        })
        .collect();
    stories.sort();
    assert!(stories.len() >= 12);
    stories
}

#[test]
fn our_stories_hold_every_promise() {
    for (id, text) in stories() {
        let document = Document::new(&text).with_id(&id);
        let analysis = ANALYZER.analyze(document.clone()).unwrap();
        check(&text, &analysis);
        assert!(!analysis.interactions().is_empty(), "{id}");
        let record = Record::Story(analysis.to_record(&document));
        let json = serde_json::to_string(&record).unwrap();
        let back: Record = serde_json::from_str(&json).unwrap();
        assert_eq!(back, record, "{id}");
    }
}

#[test]
fn a_batch_has_the_bits_of_single_stories() {
    let stories = stories();
    let singles: Vec<Analysis> = stories.iter().map(|(_, text)| ANALYZER.analyze(text).unwrap()).collect();
    // Not a multiple of the first order, so that every story meets other neighbours.
    let mut order: Vec<usize> = (0..stories.len() * 2).map(|at| at * 7 % stories.len()).collect();
    order.push(0);
    let documents: Vec<Document<'_>> = order.iter().map(|&at| Document::new(&stories[at].1)).collect();
    for threads in [1, 2, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let batch = pool.install(|| ANALYZER.analyze_batch(&documents));
        for (&at, analysis) in order.iter().zip(batch) {
            assert_eq!(analysis.unwrap(), singles[at], "{} on {threads} threads", stories[at].0);
        }
    }
}

#[test]
fn many_threads_share_one_analyzer() {
    let text = "They lost my bag, and nobody apologised.";
    let expected = ANALYZER.analyze(text).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| assert_eq!(ANALYZER.analyze(text).unwrap(), expected));
        }
    });
}

#[test]
fn a_stream_keeps_order_and_looks_ahead_a_bounded_way() {
    let pulled = Cell::new(0usize);
    let texts = (0..5_000).map(|n| {
        pulled.set(n + 1);
        format!("Story {n}.")
    });
    let pool = rayon::current_num_threads();
    for (n, (text, analysis)) in ANALYZER.analyze_iter(texts).take(700).enumerate() {
        assert_eq!(text, format!("Story {n}."));
        assert_eq!(analysis.unwrap().text_bytes(), text.len());
        assert!(pulled.get() <= n + 64 * pool, "{} stories were read for story {n}", pulled.get());
    }
}

#[test]
fn a_failed_story_leaves_the_others_alone() {
    let analyzer = Analyzer::builder().limits(Limits::default().with_max_text_bytes(20)).build().unwrap();
    let results =
        analyzer.analyze_batch(&["Quick.", "This one is longer than that.", "Slow."].map(Document::new));
    assert!(results[0].is_ok() && results[2].is_ok());
    let error = results[1].as_ref().unwrap_err();
    assert_eq!(error.kind(), AnalyzeErrorKind::TooLong);
    assert_eq!(error.to_string(), "text has 29 bytes, the limit is 20");
}

#[test]
fn a_long_sentence_is_read_in_windows_to_its_end() {
    let text = format!("I waited {} and then they lost my order", "and I waited ".repeat(400));
    let analysis = ANALYZER.analyze(&text).unwrap();
    check(&text, &analysis);
    assert!(analysis.windows() > 3);
    assert!(
        matches!(analysis.warnings(), [Warning::Windowed { windows, .. }] if *windows == analysis.windows())
    );
}

#[test]
fn boilerplate_can_be_left_in() {
    let text =
        "Home | About | Contact\n\nThey never called me back.\n\nShare this: Facebook Twitter Pinterest";
    let options = AnalyzeOptions::default().with_boilerplate(false);
    let all = ANALYZER.analyze_with(text, &options).unwrap();
    assert!(all.sentences().iter().all(Sentence::is_content));
    let story = ANALYZER.analyze(text).unwrap();
    assert_eq!(story.sentences().iter().filter(|s| s.is_content()).count(), 1);
}

#[test]
fn odd_texts_have_a_result() {
    let texts = [
        "",
        " \n\t ",
        "!",
        "\u{0}",
        "\u{feff}They called.",
        "😀",
        "👩‍👩‍👧‍👦👍🏽",
        "..................",
        "[CLS] [SEP] [MASK] [UNK] [PAD]",
        "اعتذروا لي. لم يتصل أحد!",
        "彼らは謝罪した。",
        "e\u{301}\u{301}\u{301}\u{301} called",
        "\u{202e}detrever",
        "a\u{200d}b\u{200d}c",
        "\r\r\n\n\r",
        "\u{fffd}\u{ffff}\u{10ffff}",
        "\"\"\"'''(((",
        "1.\n2.\n3.\n",
    ];
    for text in texts {
        check(text, &ANALYZER.analyze(text).unwrap());
    }
    for unit in ["!", "a", "a ", "\u{301}", "(", "\"", ".", "1. ", "\n", "no ", "😀", "they never "] {
        let text = unit.repeat(3_000);
        check(&text, &ANALYZER.analyze(&text).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_a_result(text in "\\PC{0,200}") {
        check(&text, &ANALYZER.analyze(&text).unwrap());
    }

    #[test]
    fn any_mix_of_words_and_marks_has_a_result(
        parts in prop::collection::vec(prop::sample::select(vec![
            "they", "I", "never", "apologised", "refund", "called", "not", "should have", "Apple Store", "1.", "•",
            "\n", "\n\n", " ", ". ", "!", "?", "\"", "(", ")", "’", "…", "Dr.", "Reply", "Posted by", "😀", "\u{0}", "é",
        ]), 0..60),
    ) {
        let text = parts.join(" ");
        check(&text, &ANALYZER.analyze(&text).unwrap());
    }
}

#[test]
fn public_types_cross_threads() {
    fn assert_all<T: Send + Sync + std::panic::UnwindSafe>() {}
    assert_all::<Document<'_>>();
    assert_all::<Span>();
    assert_all::<Segment>();
    assert_all::<BlockKind>();
    assert_all::<Boilerplate>();
    assert_all::<Sentiment>();
    assert_all::<Event>();
    assert_all::<Interaction>();
    assert_all::<Sentence>();
    assert_all::<Analysis>();
    assert_all::<StoryRecord>();
    assert_all::<AnalyzeOptions>();
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Analyzer>();
    assert_shared::<AnalyzerBuilder>();
    assert_shared::<Engine>();
    assert_shared::<Tokenizer>();
    assert_shared::<LoadError>();
    assert_shared::<AnalyzeError>();
}
