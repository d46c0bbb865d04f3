//! The built-in encoder: BERT in f32 or int8 on the CPU.
//!
//! # Why this way
//!
//! The tokens of many sequences stand one after another, without padding: dense layers do not care where a
//! sequence ends, and attention goes sequence by sequence. Rows pass through a layer in blocks that fit the
//! cache, from the attention's output to the next layer's input, so that wide intermediate results never leave
//! it. Only the first token of a sequence leaves the encoder, so the last layer computes keys and values for
//! all tokens, and the rest for first tokens alone.
//!
//! In int8, weights have a scale for each output channel and activations one for each token. Products of
//! integers are exact and the rest is fixed-order f32 of our own, so a sequence has the same vector, bit for
//! bit, in whatever batch and on whatever CPU. In f32, rten-gemm's kernels may round differently from one kind
//! of CPU to another.

mod attention;
mod dense;
mod kernels;
mod linear;
mod tiles;
mod weights;
mod workspace;

use rayon::prelude::*;

use crate::bert::attention::Sequence;
pub(crate) use crate::bert::dense::FloatDense;
use crate::bert::kernels::{
    Accumulator, Columns, High, RowScale, gelu, gelu_quick, layer_norm, quantize_gelu_row, quantize_row,
    raise, tanh, vectorised,
};
use crate::bert::linear::{Finish, Linear, ROWS, Rows};
pub(crate) use crate::bert::weights::{
    BertDims, BertWeights, Dense, LINEAR_LIMIT, LayerWeights, Matrix, Norm, TABLE_LIMIT,
};
use crate::bert::workspace::{Bytes, Pool, Workspace};
use crate::encoder::{Encoder, TokenBatch};
use crate::error::{AnalyzeError, LoadError, LoadErrorKind};

/// Sequences are taken together up to this many tokens, whose activations stay in a core's own cache.
const BATCH_TOKENS: usize = 256;

/// A BERT encoder with a pooler.
#[derive(Debug)]
pub(crate) struct BertEncoder {
    name: String,
    dims: BertDims,
    max_tokens: usize,
    int8: bool,
    words: Matrix<'static>,
    /// Position embedding plus that of token type 0: `[positions, hidden]`.
    places: Vec<f32>,
    embedding_norm: Norm,
    layers: Vec<Layer>,
    pooler: FloatDense,
    pool: Pool,
}

#[derive(Debug)]
struct Layer {
    /// Queries, keys and values, `hidden` outputs each.
    qkv: Linear,
    attention_output: Linear,
    attention_norm: Norm,
    intermediate: Linear,
    output: Linear,
    output_norm: Norm,
}

impl BertEncoder {
    /// Packs `weights`; their shapes must be those of `dims`.
    ///
    /// The encoder is int8 if all weights of all dense layers are.
    pub(crate) fn new(
        dims: BertDims,
        max_tokens: usize,
        weights: BertWeights<'static>,
    ) -> Result<Self, LoadError> {
        let BertDims { hidden, heads, intermediate, .. } = dims;
        let unsupported = |message: String| Err(LoadError::new(LoadErrorKind::Unsupported, message));
        if heads == 0 || hidden % heads != 0 || !matches!(hidden / heads, 32 | 64) {
            return unsupported(format!(
                "hidden size {hidden} over {heads} heads: heads of 32 or 64 are supported"
            ));
        }
        if !intermediate.is_multiple_of(32) || intermediate == 0 {
            return unsupported(format!("intermediate size {intermediate} is not a multiple of 32"));
        }
        if weights.layers.is_empty() {
            return unsupported("an encoder without layers".into());
        }
        let BertWeights { words, positions, token_types, embedding_norm, layers, pooler } = weights;
        let mut places = positions.to_f32().into_owned();
        for row in places.chunks_exact_mut(hidden) {
            token_types.add_row(0, row);
        }
        let layers = layers
            .into_par_iter()
            .map(|layer| {
                let dense = |dense: &Dense<'_>| Linear::new(&[(&dense.weight, &dense.bias)]);
                let part = |dense: &'_ Dense<'static>| (dense.weight.clone(), dense.bias.clone());
                let (q, k, v) = (part(&layer.query), part(&layer.key), part(&layer.value));
                Ok(Layer {
                    qkv: Linear::new(&[(&q.0, &q.1), (&k.0, &k.1), (&v.0, &v.1)])?,
                    attention_output: dense(&layer.attention_output)?,
                    attention_norm: layer.attention_norm,
                    intermediate: dense(&layer.intermediate)?,
                    output: dense(&layer.output)?,
                    output_norm: layer.output_norm,
                })
            })
            .collect::<Result<Vec<Layer>, LoadError>>()?;
        let int8 = layers.iter().all(|layer| {
            [&layer.qkv, &layer.attention_output, &layer.intermediate, &layer.output]
                .iter()
                .all(|linear| linear.is_int8())
        });
        Ok(BertEncoder {
            name: format!("bert {}", if int8 { "int8" } else { "f32" }),
            dims,
            max_tokens: max_tokens.min(dims.positions),
            int8,
            words,
            places,
            embedding_norm,
            layers,
            pooler: FloatDense::new(&pooler.weight.to_f32(), pooler.bias),
            pool: Pool::default(),
        })
    }

    /// One forward: the vectors of the sequences `bounds[i]..bounds[i + 1]` of `ids`.
    fn forward(
        &self,
        workspace: &mut Workspace,
        ids: &[u32],
        bounds: &[usize],
        out: &mut [f32],
    ) -> Result<(), AnalyzeError> {
        let (hidden, start) = (self.dims.hidden, bounds[0]);
        let tokens = bounds[bounds.len() - 1] - start;
        let sequences = bounds.len() - 1;
        self.embed(workspace, ids, bounds);
        let (last, layers) = self.layers.split_last().expect("an encoder has layers");
        for layer in layers {
            self.project(workspace, layer, tokens, 0..3 * hidden)?;
            workspace.context.resize(tokens * hidden, 0.0);
            for pair in bounds.windows(2) {
                self.attend(workspace, pair[0] - start, pair[1] - start, None);
            }
            self.finish_layer(workspace, layer, tokens)?;
        }

        // Numbers that are not finite stay in their row of the residual stream, but attention may hide them.
        let mut sound = finite(&workspace.x[..tokens * hidden]);
        self.project(workspace, last, tokens, hidden..3 * hidden)?;
        // From here on the rows are the first tokens. Each moves up, so none is overwritten before its turn.
        for (row, &bound) in bounds[..sequences].iter().enumerate() {
            let from = bound - start;
            workspace.x.copy_within(from * hidden..(from + 1) * hidden, row * hidden);
            if self.int8 {
                workspace.x_bytes.bytes.copy_within(from * hidden..(from + 1) * hidden, row * hidden);
                workspace.x_bytes.scales[row] = workspace.x_bytes.scales[from];
            }
        }
        self.project_queries(workspace, last, sequences)?;
        workspace.context.resize(sequences * hidden, 0.0);
        for (row, pair) in bounds.windows(2).enumerate() {
            self.attend(workspace, pair[0] - start, pair[1] - start, Some(row));
        }
        self.finish_layer(workspace, last, sequences)?;
        self.pooler.apply(&workspace.x[..sequences * hidden], out, tanh);
        sound &= finite(&workspace.x[..sequences * hidden]);
        if sound {
            Ok(())
        } else {
            Err(AnalyzeError::back_end("the model's weights lead to numbers that are not finite", None))
        }
    }

    /// Embeds the tokens into the residual stream.
    fn embed(&self, workspace: &mut Workspace, ids: &[u32], bounds: &[usize]) {
        let hidden = self.dims.hidden;
        let (start, end) = (bounds[0], bounds[bounds.len() - 1]);
        workspace.x.resize((end - start) * hidden, 0.0);
        workspace.x_bytes.resize(end - start, hidden);
        let Workspace { x, x_bytes, .. } = workspace;
        vectorised(
            #[inline(always)]
            || {
                for pair in bounds.windows(2) {
                    for (position, token) in (pair[0]..pair[1]).enumerate() {
                        let row = &mut x[(token - start) * hidden..][..hidden];
                        row.copy_from_slice(&self.places[position * hidden..][..hidden]);
                        self.words.add_row(ids[token] as usize, row);
                    }
                }
            },
        );
        self.normalise(x, &self.embedding_norm, Some(x_bytes));
    }

    /// Normalises rows and, in an int8 model, quantizes them to `bytes`.
    fn normalise(&self, x: &mut [f32], norm: &Norm, bytes: Option<&mut Bytes>) {
        let (hidden, epsilon) = (self.dims.hidden, self.dims.norm_epsilon);
        vectorised(
            #[inline(always)]
            || {
                for row in x.chunks_exact_mut(hidden) {
                    layer_norm(row, &norm.gamma, &norm.beta, epsilon);
                }
            },
        );
        if let (true, Some(bytes)) = (self.int8, bytes) {
            quantize(x, hidden, &mut bytes.bytes, &mut bytes.scales);
        }
    }

    /// Queries, keys and values (those outputs of the three in `range`) of `tokens` rows.
    fn project(
        &self,
        workspace: &mut Workspace,
        layer: &Layer,
        tokens: usize,
        range: std::ops::Range<usize>,
    ) -> Result<(), AnalyzeError> {
        let hidden = self.dims.hidden;
        workspace.qkv.resize(tokens * 3 * hidden, 0.0);
        let Workspace { x, x_bytes, qkv, tiles, .. } = workspace;
        for row in (0..tokens).step_by(ROWS) {
            let rows = ROWS.min(tokens - row);
            let input = self.rows(x, x_bytes, row, rows);
            let mut sink = Sink { out: &mut qkv[row * 3 * hidden..], stride: 3 * hidden, op: Op::Store };
            layer.qkv.apply(rows, &input, range.clone(), tiles, &mut sink)?;
        }
        Ok(())
    }

    /// Queries of the first `rows` rows, to the front of the wide buffer: `[rows, hidden]`.
    fn project_queries(
        &self,
        workspace: &mut Workspace,
        layer: &Layer,
        count: usize,
    ) -> Result<(), AnalyzeError> {
        let hidden = self.dims.hidden;
        workspace.queries.resize(count * hidden, 0.0);
        let Workspace { x, x_bytes, queries, tiles, .. } = workspace;
        for row in (0..count).step_by(ROWS) {
            let rows = ROWS.min(count - row);
            let input = self.rows(x, x_bytes, row, rows);
            let mut sink = Sink { out: &mut queries[row * hidden..], stride: hidden, op: Op::Store };
            layer.qkv.apply(rows, &input, 0..hidden, tiles, &mut sink)?;
        }
        Ok(())
    }

    fn rows<'w>(&self, x: &'w [f32], bytes: &'w Bytes, row: usize, rows: usize) -> Rows<'w> {
        let hidden = self.dims.hidden;
        if self.int8 {
            Rows::Int8 { bytes: &bytes.bytes[row * hidden..], scales: &bytes.scales[row..row + rows] }
        } else {
            Rows::Float(&x[row * hidden..])
        }
    }

    /// Attention of the sequence in rows `start..end`; of its first token alone to row `first`, if given.
    fn attend(&self, workspace: &mut Workspace, start: usize, end: usize, first: Option<usize>) {
        let (hidden, heads) = (self.dims.hidden, self.dims.heads);
        let Workspace { qkv, queries, context, attention: scratch, .. } = workspace;
        let stride = 3 * hidden;
        let qkv = &qkv[start * stride..end * stride];
        let mut sequence = Sequence {
            queries: qkv,
            query_stride: stride,
            query_rows: end - start,
            keys: &qkv[hidden..],
            values: &qkv[2 * hidden..],
            key_stride: stride,
            tokens: end - start,
        };
        let mut row = start;
        if let Some(first) = first {
            sequence.queries = &queries[first * hidden..(first + 1) * hidden];
            sequence.query_stride = hidden;
            sequence.query_rows = 1;
            row = first;
        }
        let out = &mut context[row * hidden..(row + sequence.query_rows) * hidden];
        if hidden / heads == 32 {
            vectorised(
                #[inline(always)]
                || attention::attend::<32>(sequence, heads, scratch, out),
            );
        } else {
            vectorised(
                #[inline(always)]
                || attention::attend::<64>(sequence, heads, scratch, out),
            );
        }
    }

    /// From attention's output to the end of the layer, for `tokens` rows.
    fn finish_layer(
        &self,
        workspace: &mut Workspace,
        layer: &Layer,
        tokens: usize,
    ) -> Result<(), AnalyzeError> {
        let (hidden, intermediate) = (self.dims.hidden, self.dims.intermediate);
        workspace.wide.resize(ROWS * intermediate, 0.0);
        workspace.block_bytes.resize(ROWS, intermediate.max(hidden));
        let Workspace { x, context, wide, x_bytes, block_bytes, tiles, .. } = workspace;
        let block_bytes = &mut *block_bytes;
        for row in (0..tokens).step_by(ROWS) {
            let rows = ROWS.min(tokens - row);
            let x = &mut x[row * hidden..(row + rows) * hidden];
            let context = &context[row * hidden..(row + rows) * hidden];

            let input = self.block(context, hidden, block_bytes, quantize);
            let mut sink = Sink { out: x, stride: hidden, op: Op::Add };
            layer.attention_output.apply(rows, &input, 0..hidden, tiles, &mut sink)?;
            self.normalise(x, &layer.attention_norm, None);

            let input = self.block(x, hidden, block_bytes, quantize);
            let mut highs = [High::default(); ROWS];
            let op = if self.int8 { Op::GeluQuick(&mut highs) } else { Op::Gelu };
            let mut sink = Sink { out: wide, stride: intermediate, op };
            layer.intermediate.apply(rows, &input, 0..intermediate, tiles, &mut sink)?;

            let input = self.block(
                &wide[..rows * intermediate],
                intermediate,
                block_bytes,
                |x, columns, bytes: &mut [u8], scales: &mut [RowScale]| {
                    quantize_gelu(x, &highs, columns, bytes, scales);
                },
            );
            let mut sink = Sink { out: x, stride: hidden, op: Op::Add };
            layer.output.apply(rows, &input, 0..hidden, tiles, &mut sink)?;
            self.normalise(x, &layer.output_norm, None);
            if self.int8 {
                let bytes = &mut x_bytes.bytes[row * hidden..(row + rows) * hidden];
                quantize(x, hidden, bytes, &mut x_bytes.scales[row..row + rows]);
            }
        }
        Ok(())
    }

    /// A block of rows as the dense layers want it.
    fn block<'w>(
        &self,
        x: &'w [f32],
        columns: usize,
        bytes: &'w mut Bytes,
        quantize: impl FnOnce(&[f32], usize, &mut [u8], &mut [RowScale]),
    ) -> Rows<'w> {
        if self.int8 {
            quantize(x, columns, &mut bytes.bytes, &mut bytes.scales);
            Rows::Int8 { bytes: &bytes.bytes, scales: &bytes.scales[..x.len() / columns] }
        } else {
            Rows::Float(x)
        }
    }
}

/// Whether all numbers are finite.
fn finite(x: &[f32]) -> bool {
    let greatest = vectorised(
        #[inline(always)]
        || x.iter().fold(0, |greatest, value| (value.to_bits() & !(1 << 31)).max(greatest)),
    );
    f32::from_bits(greatest).is_finite()
}

fn quantize(x: &[f32], columns: usize, bytes: &mut [u8], scales: &mut [RowScale]) {
    vectorised(
        #[inline(always)]
        || {
            let rows = x.chunks_exact(columns).zip(bytes.chunks_exact_mut(columns));
            for ((x, bytes), scale) in rows.zip(scales) {
                *scale = quantize_row(x, bytes);
            }
        },
    );
}

fn quantize_gelu(x: &[f32], highs: &[High], columns: usize, bytes: &mut [u8], scales: &mut [RowScale]) {
    vectorised(
        #[inline(always)]
        || {
            let rows = x.chunks_exact(columns).zip(bytes.chunks_exact_mut(columns));
            for (((x, bytes), scale), high) in rows.zip(scales).zip(highs) {
                *scale = quantize_gelu_row(x, *high, bytes);
            }
        },
    );
}

/// What becomes of a dense layer's results.
#[derive(Debug)]
enum Op<'a> {
    /// They replace what is there.
    Store,
    /// They are added to it.
    Add,
    /// Their GELU replaces it.
    Gelu,
    /// The same, as exact as int8 needs; the greatest number of each row is kept.
    GeluQuick(&'a mut [High]),
}

/// Rows that results go to, `stride` apart.
struct Sink<'a> {
    out: &'a mut [f32],
    stride: usize,
    op: Op<'a>,
}

impl Finish for Sink<'_> {
    fn finish<A: Accumulator>(&mut self, start: usize, acc: &[A], scales: &[RowScale], columns: Columns<'_>) {
        let Sink { out, stride, op } = self;
        let (stride, out) = (*stride, &mut out[start..]);
        match op {
            Op::Store => vectorised(
                #[inline(always)]
                || {
                    finish_rows(
                        out,
                        stride,
                        acc,
                        scales,
                        columns,
                        #[inline(always)]
                        |value, _| value,
                    )
                },
            ),
            Op::Add => vectorised(
                #[inline(always)]
                || {
                    finish_rows(
                        out,
                        stride,
                        acc,
                        scales,
                        columns,
                        #[inline(always)]
                        |value, old| old + value,
                    )
                },
            ),
            Op::Gelu => vectorised(
                #[inline(always)]
                || {
                    finish_rows(
                        out,
                        stride,
                        acc,
                        scales,
                        columns,
                        #[inline(always)]
                        |value, _| gelu(value),
                    )
                },
            ),
            Op::GeluQuick(highs) => vectorised(
                #[inline(always)]
                || {
                    finish_rows(
                        out,
                        stride,
                        acc,
                        scales,
                        columns,
                        #[inline(always)]
                        |value, _| gelu_quick(value),
                    );
                    for (out, high) in out.chunks(stride).zip(highs.iter_mut()).take(scales.len()) {
                        raise(high, &out[..columns.bias.len()]);
                    }
                },
            ),
        }
    }
}

#[inline(always)]
fn finish_rows<A: Accumulator>(
    out: &mut [f32],
    stride: usize,
    acc: &[A],
    scales: &[RowScale],
    columns: Columns<'_>,
    op: impl Fn(f32, f32) -> f32 + Copy,
) {
    let width = columns.bias.len();
    for ((out, acc), scale) in out.chunks_mut(stride).zip(acc.chunks_exact(width)).zip(scales) {
        A::finish_row(acc, *scale, columns, &mut out[..width], op);
    }
}

impl Encoder for BertEncoder {
    fn name(&self) -> &str {
        &self.name
    }

    fn dim(&self) -> usize {
        self.dims.hidden
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    fn encode(&self, batch: &TokenBatch, out: &mut [f32]) -> Result<(), AnalyzeError> {
        let hidden = self.dims.hidden;
        if out.len() != batch.len() * hidden {
            let message = format!("room for {} numbers, {} needed", out.len(), batch.len() * hidden);
            return Err(AnalyzeError::back_end(message, None));
        }
        for sequence in batch.iter() {
            if sequence.is_empty() || sequence.len() > self.max_tokens {
                let message =
                    format!("a sequence of {} tokens, 1 to {} allowed", sequence.len(), self.max_tokens);
                return Err(AnalyzeError::back_end(message, None));
            }
            if let Some(id) = sequence.iter().find(|&&id| id as usize >= self.dims.vocabulary) {
                let message = format!("token {id}, the vocabulary has {}", self.dims.vocabulary);
                return Err(AnalyzeError::back_end(message, None));
            }
        }
        let bounds = batch.bounds();
        self.pool.with(|workspace| {
            let mut first = 0;
            while first < batch.len() {
                let mut last = first + 1;
                while last < batch.len() && bounds[last + 1] - bounds[first] <= BATCH_TOKENS {
                    last += 1;
                }
                let out = &mut out[first * hidden..last * hidden];
                self.forward(workspace, batch.ids(), &bounds[first..=last], out)?;
                first = last;
            }
            Ok(())
        })
    }
}
