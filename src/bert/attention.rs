//! Attention of each sequence to itself, head by head, over packed rows.

use crate::bert::kernels::{product, softmax};

/// Query rows that are worked on together.
const ROWS: usize = 4;
/// Keys that are worked on together.
const KEYS: usize = 32;
/// Lanes that the keys are padded to.
const PAD: usize = 16;

/// Scratch memory of one call, kept between calls.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Keys of one head, transposed: `[HEAD, padded keys]`.
    keys: Vec<f32>,
    /// `[ROWS, padded keys]`.
    scores: Vec<f32>,
}

/// Where queries, keys and values of one sequence lie.
///
/// Row `i` of the queries starts at `i * query_stride`, head `h` in it `h * HEAD` further; keys and values likewise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence<'a> {
    pub(super) queries: &'a [f32],
    pub(super) query_stride: usize,
    /// How many rows ask: all, or the first.
    pub(super) query_rows: usize,
    pub(super) keys: &'a [f32],
    pub(super) values: &'a [f32],
    pub(super) key_stride: usize,
    /// Tokens of the sequence.
    pub(super) tokens: usize,
}

/// Writes softmax(q kᵀ / √HEAD) v of each head to `out`: `[query_rows, heads * HEAD]`.
#[inline(always)]
pub(super) fn attend<const HEAD: usize>(
    sequence: Sequence<'_>,
    heads: usize,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let Sequence { queries, query_stride, query_rows, keys, values, key_stride, tokens } = sequence;
    let padded = tokens.next_multiple_of(PAD);
    scratch.keys.resize(HEAD * padded, 0.0);
    scratch.scores.resize(ROWS * padded, 0.0);
    let transposed = &mut scratch.keys[..HEAD * padded];
    let scores = &mut scratch.scores[..ROWS * padded];
    let hidden = heads * HEAD;

    for head in 0..heads {
        let at = head * HEAD;
        transpose::<HEAD>(&keys[at..], key_stride, tokens, padded, transposed);
        let values = &values[at..];
        let mut row = 0;
        while row < query_rows {
            let queries = &queries[row * query_stride + at..];
            let out = &mut out[row * hidden + at..];
            let left = query_rows - row;
            if left >= ROWS {
                attend_rows::<HEAD, ROWS>(
                    queries,
                    query_stride,
                    transposed,
                    values,
                    key_stride,
                    tokens,
                    padded,
                    scores,
                    out,
                    hidden,
                );
                row += ROWS;
            } else {
                attend_rows::<HEAD, 1>(
                    queries,
                    query_stride,
                    transposed,
                    values,
                    key_stride,
                    tokens,
                    padded,
                    scores,
                    out,
                    hidden,
                );
                row += 1;
            }
        }
    }
}

/// Keys `[tokens, HEAD]` to `[HEAD, padded]`; the padding is zero.
#[inline(always)]
fn transpose<const HEAD: usize>(keys: &[f32], stride: usize, tokens: usize, padded: usize, out: &mut [f32]) {
    const SIDE: usize = 4;
    let whole = tokens - tokens % SIDE;
    for token in (0..whole).step_by(SIDE) {
        let rows: [&[[f32; SIDE]]; SIDE] =
            std::array::from_fn(|r| keys[(token + r) * stride..][..HEAD].as_chunks().0);
        for d in 0..HEAD / SIDE {
            let square: [[f32; SIDE]; SIDE] = std::array::from_fn(|r| rows[r][d]);
            for c in 0..SIDE {
                let column: [f32; SIDE] = std::array::from_fn(|r| square[r][c]);
                out[(d * SIDE + c) * padded + token..][..SIDE].copy_from_slice(&column);
            }
        }
    }
    for d in 0..HEAD {
        let row = &mut out[d * padded..][..padded];
        for token in whole..tokens {
            row[token] = keys[token * stride + d];
        }
        for value in &mut row[tokens..] {
            *value = 0.0;
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "an inner loop over borrowed scratch memory")]
#[inline(always)]
fn attend_rows<const HEAD: usize, const R: usize>(
    queries: &[f32],
    query_stride: usize,
    transposed: &[f32],
    values: &[f32],
    key_stride: usize,
    tokens: usize,
    padded: usize,
    scores: &mut [f32],
    out: &mut [f32],
    hidden: usize,
) {
    let mut key = 0;
    while key + KEYS <= padded {
        let sums = product::<R, KEYS>(queries, query_stride, &transposed[key..], padded, HEAD);
        for r in 0..R {
            scores[r * padded + key..][..KEYS].copy_from_slice(&sums[r]);
        }
        key += KEYS;
    }
    if key < padded {
        let sums = product::<R, PAD>(queries, query_stride, &transposed[key..], padded, HEAD);
        for r in 0..R {
            scores[r * padded + key..][..PAD].copy_from_slice(&sums[r]);
        }
    }
    let scale = 1.0 / (HEAD as f32).sqrt();
    let mut inverse = [0.0; R];
    for r in 0..R {
        let scores = &mut scores[r * padded..][..padded];
        inverse[r] = softmax(scores, tokens, scale);
    }
    let sums = product::<R, HEAD>(scores, padded, values, key_stride, tokens);
    for r in 0..R {
        let out = &mut out[r * hidden..][..HEAD];
        for c in 0..HEAD {
            out[c] = sums[r][c] * inverse[r];
        }
    }
}
