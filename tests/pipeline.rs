//! The promises of the front door, on every back end: any text, any batch, any thread, the same bits.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use amends::output::{Record, StoryRecord};
use amends::{
    Analysis, AnalyzeError, AnalyzeErrorKind, AnalyzeOptions, Analyzer, AnalyzerBuilder, BlockKind,
    Boilerplate, Document, Engine, Event, Interaction, Limits, LoadError, Model, Precision, Segment,
    Sentence, Sentiment, Span, Tokenizer, Warning, Weights,
};
use proptest::prelude::*;

#[path = "support/promises.rs"]
mod promises;
use promises::check;

/// A back end that every promise is tried on.
struct BackEnd {
    name: &'static str,
    analyzer: Analyzer,
    /// Whether it runs the shipped weights; else they are random.
    shipped: bool,
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

static BACK_ENDS: LazyLock<Vec<BackEnd>> = LazyLock::new(|| {
    let from_dir = |precision| {
        Analyzer::builder().model_dir(repository("data/model")).precision(precision).build().unwrap()
    };
    let shipped = |name, analyzer| BackEnd { name, analyzer, shipped: true };
    #[allow(unused_mut, reason = "more follow with the feature rust-bert")]
    let mut ends = vec![
        shipped("embedded", Analyzer::embedded().unwrap()),
        shipped("folder, int8", from_dir(Precision::Int8)),
        shipped("folder, f32", from_dir(Precision::F32)),
    ];
    #[cfg(feature = "rust-bert")]
    {
        let torch = |folder: &str| {
            let options = amends::TorchOptions::new();
            Analyzer::builder().torch_dir(repository(folder), options).build().unwrap()
        };
        ends.push(shipped("torch, the shipped model", torch("data/model")));
        for (name, folder) in [
            ("torch, three classes", "tests/fixtures/torch/bert"),
            ("torch, two classes", "tests/fixtures/torch/distilbert"),
            ("torch, five classes", "tests/fixtures/torch/xlm-roberta"),
        ] {
            ends.push(BackEnd { name, analyzer: torch(folder), shipped: false });
        }
    }
    ends
});

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

/// The paths of all keys of a JSON value, like `.sentences[].start`.
fn keys(value: &serde_json::Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(entries) => {
            for (key, value) in entries {
                let path = format!("{at}.{key}");
                keys(value, &path, found);
                found.insert(path);
            }
        }
        serde_json::Value::Array(items) => {
            items.iter().for_each(|item| keys(item, &format!("{at}[]"), found))
        }
        _ => {}
    }
}

#[test]
fn our_stories_hold_every_promise_and_the_json_has_one_shape() {
    let mut shapes = Vec::new();
    for BackEnd { name, analyzer, shipped } in &*BACK_ENDS {
        let mut shape = BTreeSet::new();
        for (id, text) in stories() {
            let document = Document::new(&text).with_id(&id);
            let analysis = analyzer.analyze(document.clone()).unwrap();
            check(&text, &analysis);
            assert!(!shipped || !analysis.interactions().is_empty(), "{name}: {id}");
            let record = Record::Story(analysis.to_record(&document));
            let json = serde_json::to_string(&record).unwrap();
            let back: Record = serde_json::from_str(&json).unwrap();
            assert_eq!(back, record, "{name}: {id}");
            keys(&serde_json::from_str(&json).unwrap(), "", &mut shape);
        }
        shapes.push((name, shape));
    }
    for (name, shape) in &shapes {
        assert_eq!(shape, &shapes[0].1, "{name}");
    }
}

#[test]
fn results_name_the_weights_that_they_were_scored_with() {
    let mut weights = Weights::built_in().unwrap();
    let shipped = weights.version.clone();
    weights.version = "mine-1".to_owned();
    let document = Document::new("They lost my bag. They apologised.");
    for (builder, version) in
        [(Analyzer::builder().weights(weights), "mine-1"), (Analyzer::builder(), shipped.as_str())]
    {
        let analyzer = builder.build().unwrap();
        assert_eq!(analyzer.weights().version, version);
        let analysis = analyzer.analyze(document.clone()).unwrap();
        assert_eq!(analysis.weights(), version);
        let mut json = serde_json::to_value(analysis.to_record(&document)).unwrap();
        assert_eq!(json["weights"], version);
        // Each reason names its sentence; both fields may be missing in what is read.
        let terms = json["interactions"][0]["contributions"].as_array_mut().unwrap();
        assert!(!terms.is_empty() && terms.iter().all(|term| term["sentence"].is_u64()));
        terms.iter_mut().for_each(|term| drop(term.as_object_mut().unwrap().remove("sentence")));
        json.as_object_mut().unwrap().remove("weights");
        let old: StoryRecord = serde_json::from_value(json).unwrap();
        assert_eq!((old.weights.as_str(), old.interactions[0].contributions[0].sentence), ("", None));
    }
}

#[test]
fn a_batch_has_the_bits_of_single_stories() {
    let stories = stories();
    for BackEnd { name, analyzer, .. } in &*BACK_ENDS {
        let singles: Vec<Analysis> =
            stories.iter().map(|(_, text)| analyzer.analyze(text).unwrap()).collect();
        // Not a multiple of the first order, so that every story meets other neighbours.
        let mut order: Vec<usize> = (0..stories.len() * 2).map(|at| at * 7 % stories.len()).collect();
        order.push(0);
        let documents: Vec<Document<'_>> = order.iter().map(|&at| Document::new(&stories[at].1)).collect();
        for threads in [1, 2, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let batch = pool.install(|| analyzer.analyze_batch(&documents));
            assert_eq!(batch.len(), order.len());
            for (&at, analysis) in order.iter().zip(batch) {
                assert_eq!(analysis.unwrap(), singles[at], "{name}: {} on {threads} threads", stories[at].0);
            }
        }
    }
}

#[test]
fn many_threads_share_one_analyzer() {
    let text = "They lost my bag, and nobody apologised.";
    for BackEnd { analyzer, .. } in &*BACK_ENDS {
        let expected = analyzer.analyze(text).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| assert_eq!(analyzer.analyze(text).unwrap(), expected));
            }
        });
    }
}

#[test]
fn a_stream_keeps_order_and_looks_ahead_a_bounded_way() {
    for BackEnd { analyzer, .. } in &*BACK_ENDS {
        let pulled = Cell::new(0usize);
        let texts = (0..5_000).map(|n| {
            pulled.set(n + 1);
            format!("Story {n}.")
        });
        let pool = rayon::current_num_threads();
        for (n, (text, analysis)) in analyzer.analyze_iter(texts).take(700).enumerate() {
            assert_eq!(text, format!("Story {n}."));
            assert_eq!(analysis.unwrap().text_bytes(), text.len());
            assert!(pulled.get() <= n + 64 * pool, "{} stories were read for story {n}", pulled.get());
        }
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
    for BackEnd { analyzer, .. } in &*BACK_ENDS {
        let analysis = analyzer.analyze(&text).unwrap();
        check(&text, &analysis);
        assert!(analysis.windows() > 3);
        assert!(
            matches!(analysis.warnings(), [Warning::Windowed { windows, .. }] if *windows == analysis.windows())
        );
    }
}

/// Results of the shipped weights in f32 on libtorch may differ from amends' own engine by rounding: no
/// probability by more than `NEAR`, no score by more than `NEAR_POINTS`.
#[cfg(feature = "rust-bert")]
#[test]
fn both_back_ends_say_the_same_of_the_same_weights() {
    const NEAR: f32 = 1e-4;
    const NEAR_POINTS: f64 = 0.05;
    let find = |name: &str| &BACK_ENDS.iter().find(|end| end.name == name).unwrap().analyzer;
    let (ours, torch) = (find("folder, f32"), find("torch, the shipped model"));
    assert_eq!(ours.model(), torch.model());
    assert_eq!(ours.encoder().max_tokens(), torch.encoder().max_tokens());
    let (mut worst, mut worst_points) = (0f32, 0f64);
    for (id, text) in stories() {
        let (ours, torch) = (ours.analyze(&text).unwrap(), torch.analyze(&text).unwrap());
        assert_eq!(ours.sentences().len(), torch.sentences().len());
        for (a, b) in ours.sentences().iter().zip(torch.sentences()) {
            assert_eq!(
                (a.span(), a.boilerplate(), a.interaction()),
                (b.span(), b.boilerplate(), b.interaction())
            );
            let (a, b) = (a.sentiment(), b.sentiment());
            worst = worst.max((a.negative() - b.negative()).abs()).max((a.positive() - b.positive()).abs());
        }
        let events = |analysis: &Analysis| -> Vec<_> {
            let events = analysis.events().iter();
            events
                .map(|event| (event.sentence(), event.event_type().clone(), event.status(), event.span()))
                .collect()
        };
        assert_eq!(events(&ours), events(&torch), "{id}");
        for (a, b) in ours.events().iter().zip(torch.events()) {
            worst = worst.max((a.confidence() - b.confidence()).abs());
        }
        assert_eq!(ours.interactions().len(), torch.interactions().len(), "{id}");
        for (a, b) in ours.interactions().iter().zip(torch.interactions()) {
            assert_eq!(a.sentences(), b.sentences(), "{id}");
            worst_points = worst_points.max((a.score().value() - b.score().value()).abs());
        }
    }
    println!("at most {worst:e} in a probability, {worst_points:e} points");
    assert!(worst < NEAR && worst_points < NEAR_POINTS, "{worst:e}, {worst_points:e}");
}

#[test]
fn the_model_named_last_counts() {
    let folder = repository("data/model");
    let model = Model::from_dir(&folder, Precision::F32).unwrap();
    let engine = || Engine::from_model(&model).unwrap();
    let encoder = |builder: AnalyzerBuilder| builder.build().unwrap().encoder().name().to_owned();
    assert_eq!(encoder(Analyzer::builder().engine(engine()).model_dir(&folder)), "bert int8");
    assert_eq!(encoder(Analyzer::builder().model_dir(&folder).engine(engine())), "bert f32");
    #[cfg(feature = "rust-bert")]
    {
        let options = amends::TorchOptions::new();
        let torch = Analyzer::builder().engine(engine()).torch_dir(&folder, options);
        assert_eq!(encoder(torch), "bert f32 cpu");
    }
}

#[test]
fn boilerplate_can_be_left_in() {
    let text =
        "Home | About | Contact\n\nThey never called me back.\n\nShare this: Facebook Twitter Pinterest";
    let options = AnalyzeOptions::default().with_boilerplate(false);
    for BackEnd { analyzer, .. } in &*BACK_ENDS {
        let all = analyzer.analyze_with(text, &options).unwrap();
        assert!(all.sentences().iter().all(Sentence::is_content));
        let story = analyzer.analyze(text).unwrap();
        assert_eq!(story.sentences().iter().filter(|s| s.is_content()).count(), 1);
    }
}

/// Any text has a result on any back end.
fn check_all(text: &str) {
    for BackEnd { name, analyzer, .. } in &*BACK_ENDS {
        match analyzer.analyze(text) {
            Ok(analysis) => check(text, &analysis),
            Err(error) => panic!("{name}: {error} on {text:?}"),
        }
    }
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
        check_all(text);
    }
    for unit in ["!", "a", "a ", "\u{301}", "(", "\"", ".", "1. ", "\n", "no ", "😀", "they never "] {
        check_all(&unit.repeat(600));
        let text = unit.repeat(3_000);
        check(&text, &BACK_ENDS[0].analyzer.analyze(&text).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_a_result(text in "\\PC{0,200}") {
        check_all(&text);
    }

    #[test]
    fn any_mix_of_words_and_marks_has_a_result(
        parts in prop::collection::vec(prop::sample::select(vec![
            "they", "I", "never", "apologised", "refund", "called", "not", "should have", "Apple Store", "1.", "•",
            "\n", "\n\n", " ", ". ", "!", "?", "\"", "(", ")", "’", "…", "Dr.", "Reply", "Posted by", "😀", "\u{0}", "é",
        ]), 0..60),
    ) {
        let text = parts.join(" ");
        check_all(&text);
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
