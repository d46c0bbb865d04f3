//! Tokens a second of the encoder, by sentence length and precision, beside what rten-gemm alone needs for the
//! same matrix products on one thread.
//!
//! ```text
//! cargo bench --bench encode
//! ```
//!
//! `mixed` is the sentences of `tests/golden/sentences.txt`. `gemm` makes every matrix product of the forward with
//! weights of their own for each layer, whole batches at a time, and nothing else.

use std::hint::black_box;
use std::path::Path;

use amends::{Model, Precision, TokenBatch, Tokenizer};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rten_gemm::{GemmExecutor, GemmInT, GemmInputA, GemmInputB, GemmOptions, GemmOutT, PackedBMatrix};
use rten_tensor::NdTensorView;

const LAYERS: usize = 6;
const HIDDEN: usize = 384;
const WIDE: usize = 1536;
/// Tokens that the encoder takes together.
const BATCH: usize = 256;

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

/// Tokens and sequences of each forward that the encoder makes of these sentences.
fn forwards(sentences: &[Vec<u32>]) -> Vec<(usize, usize)> {
    let mut forwards = vec![(0, 0)];
    for ids in sentences {
        if let Some(last) = forwards.last_mut()
            && (last.0 == 0 || last.0 + ids.len() <= BATCH)
        {
            *last = (last.0 + ids.len(), last.1 + 1);
        } else {
            forwards.push((ids.len(), 1));
        }
    }
    forwards
}

/// The matrix products of a forward, and nothing else.
struct Products<A: GemmInT, B: GemmInT, C: GemmOutT> {
    executor: GemmExecutor<A, B, C>,
    /// For each layer: queries, keys and values; keys and values alone; two of `HIDDEN`; up; down.
    weights: Vec<[PackedBMatrix<B>; 5]>,
    input: Vec<A>,
    output: Vec<C>,
}

impl<A: GemmInT, B: GemmInT, C: GemmOutT> Products<A, B, C> {
    fn new(executor: GemmExecutor<A, B, C>, input: A, weight: impl Fn(usize) -> B) -> Self {
        let pack = |inputs: usize, outputs: usize| {
            let weights: Vec<B> = (0..inputs * outputs).map(&weight).collect();
            executor.prepack_b(NdTensorView::from_data([inputs, outputs], &weights[..]))
        };
        let weights = (0..LAYERS)
            .map(|_| {
                [
                    pack(HIDDEN, 3 * HIDDEN),
                    pack(HIDDEN, 2 * HIDDEN),
                    pack(HIDDEN, HIDDEN),
                    pack(HIDDEN, WIDE),
                    pack(WIDE, HIDDEN),
                ]
            })
            .collect();
        Products {
            executor,
            weights,
            input: vec![input; BATCH * WIDE],
            output: vec![C::default(); BATCH * WIDE],
        }
    }

    fn run(&mut self, forwards: &[(usize, usize)]) {
        for &(tokens, sequences) in forwards {
            for layer in 0..LAYERS {
                let last = layer == LAYERS - 1;
                let rows = if last { sequences } else { tokens };
                if last {
                    self.product(layer, 1, tokens);
                    self.product(layer, 2, sequences);
                } else {
                    self.product(layer, 0, tokens);
                }
                for which in 2..5 {
                    self.product(layer, which, rows);
                }
            }
        }
    }

    fn product(&mut self, layer: usize, which: usize, rows: usize) {
        let b = &self.weights[layer][which];
        let a = NdTensorView::from_data([rows, b.rows()], &self.input[..rows * b.rows()]);
        let out = &mut self.output[..rows * b.cols()];
        self.executor
            .gemm(out, GemmInputA::Unpacked(a), GemmInputB::Packed(b), GemmOptions::default())
            .expect("shapes that fit");
    }
}

fn encode(criterion: &mut Criterion) {
    // rten-gemm alone spreads over all threads that it sees.
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the first use of rayon");
    let mut int8 = Products::new(GemmExecutor::<u8, i8, i32>::new(), 77, |i| (i * 7 % 127) as i8 - 63);
    let mut float = Products::new(GemmExecutor::<f32>::new(), 0.3, |i| (i * 7 % 127) as f32 - 63.0);
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
