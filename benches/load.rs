//! From nothing to the first result: what a program pays once, in milliseconds.
//!
//! ```text
//! cargo bench --bench load
//! ```
//!
//! `first result` is the time that a fresh process takes to load the embedded model, the rules and the weights and
//! to analyse a short review, start of the process not included; the target is 60 ms. The program runs itself for
//! that, because whatever is built only once a process would not be seen again. The other rows are its parts, warm.
//! Files are in the operating system's cache.

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use amends::{Analyzer, Engine, Extractor, Model, Tokenizer};
use criterion::{Criterion, criterion_group};

const REVIEW: &str =
    "Ordered on Monday, came on Tuesday. The driver was friendly. I will buy from them again.";

/// Says to the program that it is the fresh process.
const FRESH: &str = "--fresh-process";

fn load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    let program = std::env::current_exe().expect("a path to this program");
    for (name, field) in [("first result", 0), ("of it, build", 1), ("of it, first story", 2)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let one = |_| -> Duration {
                    let out = Command::new(&program).arg(FRESH).output().expect("this program again");
                    let text = String::from_utf8(out.stdout).expect("numbers");
                    let nanos: Vec<u64> =
                        text.split_whitespace().map(|n| n.parse().expect("a number")).collect();
                    Duration::from_nanos(nanos[field])
                };
                (0..times).map(one).sum()
            });
        });
    }
    let model = Model::embedded().expect("the embedded model");
    group
        .bench_function("weights", |bencher| bencher.iter(|| Model::embedded().expect("the embedded model")));
    group.bench_function("tokenizer", |bencher| {
        bencher.iter(|| Tokenizer::from_bytes(black_box(model.tokenizer_json())).expect("its tokenizer"));
    });
    group.bench_function("tokenizer and heads", |bencher| {
        bencher.iter(|| Engine::from_model(&model).expect("an engine"));
    });
    group.bench_function("rules", |bencher| bencher.iter(|| Extractor::built_in().expect("the rules")));
    group.finish();
}

/// Prints the nanoseconds of everything, of building the analyzer, and of the first story.
#[expect(clippy::print_stdout, reason = "it is read by the process that started this one")]
fn fresh() {
    let start = Instant::now();
    let analyzer = Analyzer::embedded().expect("the embedded model");
    let built = start.elapsed();
    let sentences = analyzer.analyze(black_box(REVIEW)).expect("an analysis").sentences().len();
    let all = start.elapsed();
    assert_eq!(sentences, 3);
    println!("{} {} {}", all.as_nanos(), built.as_nanos(), (all - built).as_nanos());
}

criterion_group!(benches, load);

fn main() {
    if std::env::args().any(|argument| argument == FRESH) {
        return fresh();
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
