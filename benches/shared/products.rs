//! What the matrix products of the shipped encoder take by themselves: the bound that the encoder is held against.

use rten_gemm::{GemmExecutor, GemmInT, GemmInputA, GemmInputB, GemmOptions, GemmOutT, PackedBMatrix};
use rten_tensor::NdTensorView;

const LAYERS: usize = 6;
const HIDDEN: usize = 384;
const WIDE: usize = 1536;
/// Tokens that the encoder takes together.
const BATCH: usize = 256;

/// The products in 8-bit integers.
pub(crate) fn int8() -> Products<u8, i8, i32> {
    Products::new(GemmExecutor::new(), 77, |i| (i * 7 % 127) as i8 - 63)
}

/// The products in f32.
pub(crate) fn float() -> Products<f32, f32, f32> {
    Products::new(GemmExecutor::new(), 0.3, |i| (i * 7 % 127) as f32 - 63.0)
}

/// Tokens and sequences of each forward that the encoder makes of these sentences.
pub(crate) fn forwards(sentences: &[Vec<u32>]) -> Vec<(usize, usize)> {
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
pub(crate) struct Products<A: GemmInT, B: GemmInT, C: GemmOutT> {
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

    /// All products of these forwards.
    pub(crate) fn run(&mut self, forwards: &[(usize, usize)]) {
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
