//! Tokens a second of the encoder, by sentence length and precision, beside what rten-gemm alone needs for the
//! same matrix products on one thread.
//!
//! ```text
//! cargo bench --bench encode
//! ```
//!
//! `mixed` is the sentences of `tests/golden/sentences.txt`. `gemm` makes every matrix product of the forward with
//! weights of their own for each layer, whole batches at a time, and nothing else.

#[path = "shared/products.rs"]
mod products;

use std::hint::black_box;
use std::path::Path;

use amends::{Model, Precision, TokenBatch, Tokenizer};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use products::forwards;

/// Sentences of `tokens` tokens each, or of mixed lengths.
fn sentences(tokens: Option<usize>) -> Vec<Vec<u32>> {
    match tokens {
        Some(tokens) => (0..2048 / tokens)
            .map(|row| {
                let mut ids: Vec<u32> =
                    (0..tokens).map(|i| 1996 + ((row * 131 + i * 17) % 5000) as u32).collect();
                ids[0] = 101;
                ids[tokens - 1] = 102;
                ids
            })
            .collect(),
        None => {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sentences.txt");
            let text = std::fs::read_to_string(path).expect("the golden sentences");
            let model = Model::embedded().expect("the embedded model");
            let tokenizer = Tokenizer::from_bytes(model.tokenizer_json()).expect("its tokenizer");
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .map(|line| {
                    let tokens = tokenizer.tokens(line).expect("tokens");
                    let mut ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
                    ids.truncate(model.max_tokens() - tokenizer.frame());
                    ids.insert(0, 1);
                    ids.push(2);
                    ids
                })
                .collect()
        }
    }
}

fn encode(criterion: &mut Criterion) {
    // rten-gemm alone spreads over all threads that it sees.
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the first use of rayon");
    let mut int8 = products::int8();
    let mut float = products::float();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/model");
    let models = [Precision::Int8, Precision::F32]
        .map(|precision| (precision, Model::from_dir(&dir, precision).expect("the model of the repository")));
    for (name, tokens) in [
        ("8", Some(8)),
        ("16", Some(16)),
        ("32", Some(32)),
        ("64", Some(64)),
        ("96", Some(96)),
        ("mixed", None),
    ] {
        let sentences = sentences(tokens);
        let forwards = forwards(&sentences);
        let mut batch = TokenBatch::new();
        for ids in &sentences {
            batch.push(ids);
        }
        let mut group = criterion.benchmark_group(format!("encode/{name}"));
        group.throughput(Throughput::Elements(batch.tokens() as u64)).sample_size(10);
        for (precision, model) in &models {
            let encoder = model.encoder();
            let mut out = vec![0.0; batch.len() * encoder.dim()];
            group.bench_function(format!("{precision:?}"), |bencher| {
                bencher.iter(|| encoder.encode(black_box(&batch), &mut out).expect("tokens that fit"));
            });
            group.bench_function(format!("{precision:?} gemm"), |bencher| {
                bencher.iter(|| match precision {
                    Precision::F32 => float.run(&forwards),
                    _ => int8.run(&forwards),
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, encode);
criterion_main!(benches);
