//! Bytes a second of the segmenter, over kinds of text that differ in what they make it do.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const REVIEW: &str = "The van came at 6:40 p.m. and the driver, Mr. Osei, was kind. He fixed it in an hour! I paid \
    $40.50 and got a call the next day... \"All good?\" she asked. It was. ";
const CHAT: &str = "box came late 😡 rang them twice!!! no answer?! i give up.. never again 👎 ";
const WRAPPED: &str = "The girl at the counter said that she would call me as soon\nas the part was there, and I \
    believed her because she wrote it\ndown. She never called.\n\n";
const PAGE: &str = "Home | Tools | Reviews | About me\nPosted on April 2, 2015 by Nell — 3 comments\nI sent it back \
    once. It came back cold.\n2 Comments\nRuth says: May 3, 2016 at 7:15 pm\nSame here!\nReply\n";
const CHINESE: &str = "服务很好。我会再来。他们第二天就打来电话，问我是否满意！";

fn segment(c: &mut Criterion) {
    let mut group = c.benchmark_group("segment");
    for (name, unit) in
        [("review", REVIEW), ("chat", CHAT), ("wrapped", WRAPPED), ("page", PAGE), ("chinese", CHINESE)]
    {
        let text = unit.repeat(20_000 / unit.len());
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| amends::segment(black_box(&text))));
    }
    group.finish();
}

criterion_group!(benches, segment);
criterion_main!(benches);
