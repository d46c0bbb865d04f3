//! Books of complaints: five megabytes in one story take time and memory in proportion to their length.
//!
//! The encoder is not what is tested: one that costs nothing takes its place, and gives each sentence a tone by its first
//! word, so that every later stage has work to do.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests

use std::sync::Arc;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use amends::{Analysis, AnalyzeError, Analyzer, Encoder, Engine, Heads, LabelMap, TokenBatch, Tokenizer};

/// Logits from the ids of a sentence.
struct Toy;

impl Encoder for Toy {
    fn name(&self) -> &str {
        "toy"
    }

    fn dim(&self) -> usize {
        3
    }

    fn max_tokens(&self) -> usize {
        128
    }

    fn encode(&self, batch: &TokenBatch, out: &mut [f32]) -> Result<(), AnalyzeError> {
        for (bounds, logits) in batch.bounds().windows(2).zip(out.chunks_exact_mut(3)) {
            let sum: u32 = batch.ids()[bounds[0]..bounds[1]].iter().sum();
            logits.fill(0.0);
            logits[sum as usize % 3] = 4.0;
        }
        Ok(())
    }
}

fn analyzer() -> Analyzer {
    let tokenizer = Tokenizer::from_bytes(include_bytes!("../data/model/tokenizer.json")).unwrap();
    let map = LabelMap::new(&["negative", "neutral", "positive"]).unwrap();
    let engine = Engine::new("toy", tokenizer, Arc::new(Toy), Heads::labels(map)).unwrap();
    Analyzer::builder().engine(engine).build().unwrap()
}

/// Complaints of many companies, one after another, with nothing that parts them.
fn book(number: usize) -> String {
    format!(
        "I ordered a lamp from Corvin{number} Lighting on the {}th. It never came, and nobody called me back. Then a \
         woman from Corvin{number} Lighting apologised and sent a new one, order {number}. The second lamp was broken, too! \
         They promised a refund of {number} pounds. I am still waiting.\n\n",
        number % 28 + 1
    )
}

/// A thread of as many writers as turns.
fn thread(number: usize) -> String {
    format!(
        "reader_{number} says:\n\nMy router {number} died and they hung up on me. On call {number} we were told to wait, and \
         nobody ever rang. Northline{number} Telecom refused to pay.\n\nReply\n\n"
    )
}

/// A list of numbered tales.
fn list(number: usize) -> String {
    format!(
        "{}. Bank {number}.\nThe clerk of Marl{number} Bank was rude to me at counter {number}. He lost form {number}, and then \
         he denied it.\n\n",
        number % 90 + 1
    )
}

/// Long lines without an end of a sentence.
fn endless(number: usize) -> String {
    format!(
        "and then item {number} was late, and so was item {} which they said they would send but ",
        number + 1
    )
}

/// A kind of text: its name, and how its pieces are made from their numbers.
type Kind = (&'static str, fn(usize) -> String);

fn kinds() -> [Kind; 4] {
    [("book", book), ("thread", thread), ("list", list), ("endless", endless)]
}

fn text(piece: fn(usize) -> String, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 1024);
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&piece(number));
    }
    text
}

/// The least time of several runs: what other programs take from the machine only adds to it.
fn least(analyzer: &Analyzer, text: &str, runs: usize) -> (Duration, Analysis) {
    let mut least = Duration::MAX;
    let mut last = None;
    for _ in 0..runs {
        let start = Instant::now();
        let analysis = analyzer.analyze(text).unwrap();
        least = least.min(start.elapsed());
        last = Some(analysis);
    }
    (least, last.unwrap())
}

/// Four times the text may take at most so many times as long; work that grows with the square takes sixteen times.
const MOST: f64 = 8.0;

#[test]
fn long_texts_take_time_in_proportion() {
    in_proportion(1_250_000);
}

/// `cargo test --release --test long -- --ignored --nocapture` prints the figures.
#[test]
#[ignore = "takes a minute"]
fn five_megabytes_take_time_in_proportion() {
    in_proportion(5_000_000);
}

fn in_proportion(bytes: usize) {
    let analyzer = analyzer();
    let mut failures = Vec::new();
    for (name, piece) in kinds() {
        let (short, long) = (text(piece, bytes / 4), text(piece, bytes));
        let (one, _) = least(&analyzer, &short, 3);
        let (four, analysis) = least(&analyzer, &long, 2);
        let ratio = four.as_secs_f64() / one.as_secs_f64();
        println!(
            "{name}: {} bytes in {:.1} s, {ratio:.1} times a quarter of it; {} sentences, {} events, {} interactions",
            long.len(),
            four.as_secs_f64(),
            analysis.sentences().len(),
            analysis.events().len(),
            analysis.interactions().len(),
        );
        if ratio > MOST {
            failures.push(format!("{name}: {ratio:.1}"));
        }
        assert!(!analysis.sentences().is_empty());
    }
    assert!(failures.is_empty(), "more than in proportion: {}", failures.join(", "));
}

/// A text may take at most so many bytes for each of its own while it is analysed, beside it and the model.
const MOST_MEMORY: f64 = 40.0;

#[test]
fn long_texts_take_memory_in_proportion() {
    memory(1_250_000);
}

/// `cargo test --release --test long -- --ignored --nocapture` prints the figures.
#[test]
#[ignore = "takes a minute"]
fn five_megabytes_take_memory_in_proportion() {
    memory(5_000_000);
}

fn memory(bytes: usize) {
    let analyzer = analyzer();
    // Allocations are counted by thread, so all work must be done on one.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let most = |text: &str| pool.install(|| measure(|| drop(analyzer.analyze(text).unwrap()))).bytes_max;
    most("Warm up.");
    let mut failures = Vec::new();
    for (name, piece) in kinds() {
        let (short, long) = (text(piece, bytes / 4), text(piece, bytes));
        let (one, four) = (most(&short), most(&long));
        let ratio = four as f64 / one as f64;
        let each = four as f64 / long.len() as f64;
        println!(
            "{name}: {four} bytes for a text of {}, {each:.1} each; {ratio:.2} times a quarter of it",
            long.len()
        );
        if ratio > 5.0 || each > MOST_MEMORY {
            failures.push(format!("{name}: {ratio:.2}, {each:.1}"));
        }
    }
    assert!(failures.is_empty(), "more than in proportion: {}", failures.join("; "));
}
