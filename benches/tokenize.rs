//! Bytes a second of the shipped tokenizer, over kinds of text that differ in what they make it do.

use std::hint::black_box;

use amends::{Model, Tokenizer};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const REVIEW: &str = "The van came at 6:40 p.m. and the driver was kind. He fixed it in an hour! I paid $40.50 and got a \
    call the next day. It was all good. ";
const CHAT: &str = "box came late 😡 rang them twice!!! no answer?! i give up.. never again 👎 ";
const RARE: &str =
    "Antidisestablishmentarianism flabbergasted Grzegorz Brzęczyszczykiewicz of Chrząszczyżewoszyce. ";
const CHINESE: &str = "服务很好。我会再来。他们第二天就打来电话，问我是否满意！";

fn tokenize(criterion: &mut Criterion) {
    let model = Model::embedded().expect("the embedded model");
    let tokenizer = Tokenizer::from_bytes(model.tokenizer_json()).expect("its tokenizer");
    let mut group = criterion.benchmark_group("tokenize");
    for (name, unit) in [("review", REVIEW), ("chat", CHAT), ("rare words", RARE), ("chinese", CHINESE)] {
        // By the sentence, as the pipeline does it.
        let sentences: Vec<&str> = vec![unit; 20_000 / unit.len()];
        group.throughput(Throughput::Bytes((sentences.len() * unit.len()) as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let tokens = |text: &&str| tokenizer.tokens(black_box(text)).expect("tokens").len();
                sentences.iter().map(tokens).sum::<usize>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, tokenize);
criterion_main!(benches);
