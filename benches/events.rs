//! What the rules cost, in words a second.

use amends::{Extractor, segment};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const STORY: &str = "I ordered a kettle in May and it arrived two weeks late. When I called, the man on the phone was \
polite but could not help. He said somebody would call me back within a day. Nobody ever called. After three more \
calls they finally sent a new one, and it works. No apology, no refund of the postage, nothing. The shop in town \
was a different story: the lady there listened, found my order at once and gave me a voucher without being asked. \
I would recommend the shop, but I will never order from their site again.";

fn rules(c: &mut Criterion) {
    let extractor = match Extractor::built_in() {
        Ok(extractor) => extractor,
        Err(error) => panic!("{error}"),
    };
    let segments = segment(STORY);
    let content = vec![true; segments.len()];
    let mut group = c.benchmark_group("events");
    group.throughput(Throughput::Elements(STORY.split_whitespace().count() as u64));
    group.bench_function("rules", |b| b.iter(|| extractor.extract(STORY, &segments, &content, |_| None)));
    group.finish();
}

criterion_group!(benches, rules);
criterion_main!(benches);
