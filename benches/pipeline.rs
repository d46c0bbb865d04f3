//! The whole pipeline over the stories of `data/stories`: how long one story takes, how many a second a corpus
//! makes on one thread and on two. `cargo bench --bench peers` says what everything but the encoder costs.

use std::hint::black_box;
use std::path::Path;

use amends::{Analyzer, Document};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn stories() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/stories");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("stories").map(|entry| entry.expect("story").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).expect("story")).collect()
}

fn pipeline(criterion: &mut Criterion) {
    let analyzer = Analyzer::embedded().expect("embedded model");
    let stories = stories();

    let mut group = criterion.benchmark_group("pipeline/one story");
    let shortest = stories.iter().min_by_key(|story| story.len()).expect("stories");
    let longest = stories.iter().max_by_key(|story| story.len()).expect("stories");
    for story in [shortest, longest] {
        group.throughput(Throughput::Bytes(story.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(story.len()), story, |bencher, story| {
            bencher.iter(|| analyzer.analyze(black_box(story)).expect("analysis"));
        });
    }
    group.finish();

    let corpus: Vec<Document<'_>> = stories.iter().cycle().take(64).map(Document::from).collect();
    let mut group = criterion.benchmark_group("pipeline/corpus");
    group.sample_size(10).throughput(Throughput::Elements(corpus.len() as u64));
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
        group.bench_function(BenchmarkId::new("threads", threads), |bencher| {
            bencher.iter(|| pool.install(|| analyzer.analyze_batch(black_box(&corpus))));
        });
    }
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
