//! Weights as they come from a file, before they are packed.

use std::borrow::Cow;

/// What the numbers of a matrix are.
#[derive(Clone, Debug)]
enum Data<'a> {
    Float(Vec<f32>),
    /// Bytes of i8, and a scale for each row.
    Int8(Cow<'a, [u8]>, Vec<f32>),
}

/// A matrix `[rows, columns]`, row-major.
#[derive(Clone, Debug)]
pub(crate) struct Matrix<'a> {
    rows: usize,
    columns: usize,
    data: Data<'a>,
}

/// The greatest quantized weight of a dense layer.
///
/// Machines without VNNI add pairs of u8 × i8 products in 16 bits: 2 · 255 · 64 = 32,640 is the most that fits,
/// so that every machine gives the same sums.
pub(crate) const LINEAR_LIMIT: i8 = 64;
/// The greatest quantized number of an embedding table.
pub(crate) const TABLE_LIMIT: i8 = 127;

impl<'a> Matrix<'a> {
    /// # Panics
    ///
    /// If `data` is not `rows * columns` long.
    pub(crate) fn from_f32(rows: usize, columns: usize, data: Vec<f32>) -> Self {
        assert_eq!(data.len(), rows * columns);
        Matrix { rows, columns, data: Data::Float(data) }
    }

    /// # Panics
    ///
    /// If `bytes` is not `rows * columns` or `scales` not `rows` long.
    pub(crate) fn from_int8(rows: usize, columns: usize, bytes: Cow<'a, [u8]>, scales: Vec<f32>) -> Self {
        assert_eq!((bytes.len(), scales.len()), (rows * columns, rows));
        Matrix { rows, columns, data: Data::Int8(bytes, scales) }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes of i8 and the scale of each row, where it is quantized.
    pub(crate) fn int8(&self) -> Option<(&[u8], &[f32])> {
        match &self.data {
            Data::Int8(bytes, scales) => Some((bytes, scales)),
            Data::Float(_) => None,
        }
    }

    /// All numbers as f32.
    pub(crate) fn to_f32(&self) -> Cow<'_, [f32]> {
        match &self.data {
            Data::Float(data) => Cow::Borrowed(data),
            Data::Int8(bytes, scales) => {
                let rows = bytes.chunks_exact(self.columns.max(1)).zip(scales);
                Cow::Owned(
                    rows.flat_map(|(row, scale)| row.iter().map(move |&b| f32::from(b as i8) * scale))
                        .collect(),
                )
            }
        }
    }

    /// Adds row `row` to `out`.
    #[inline(always)]
    pub(crate) fn add_row(&self, row: usize, out: &mut [f32]) {
        let range = row * self.columns..(row + 1) * self.columns;
        match &self.data {
            Data::Float(data) => {
                for (out, value) in out.iter_mut().zip(&data[range]) {
                    *out += value;
                }
            }
            Data::Int8(bytes, scales) => {
                let scale = scales[row];
                for (out, &byte) in out.iter_mut().zip(&bytes[range]) {
                    *out = f32::from(byte as i8).mul_add(scale, *out);
                }
            }
        }
    }

    /// The matrix that owns its numbers.
    pub(crate) fn into_owned(self) -> Matrix<'static> {
        let data = match self.data {
            Data::Float(data) => Data::Float(data),
            Data::Int8(bytes, scales) => Data::Int8(Cow::Owned(bytes.into_owned()), scales),
        };
        Matrix { rows: self.rows, columns: self.columns, data }
    }

    /// The matrix with i8 numbers of at most ±`limit` and a scale for each row; unchanged where it has them.
    pub(crate) fn quantized(self, limit: i8) -> Matrix<'a> {
        let Data::Float(data) = &self.data else { return self };
        let mut bytes = Vec::with_capacity(data.len());
        let mut scales = Vec::with_capacity(self.rows);
        for row in data.chunks_exact(self.columns.max(1)) {
            let scale = best_scale(row, f32::from(limit));
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            bytes.extend(row.iter().map(|&value| round(value, inverse, f32::from(limit)) as i8 as u8));
            scales.push(scale);
        }
        scales.resize(self.rows, 0.0);
        Matrix { rows: self.rows, columns: self.columns, data: Data::Int8(bytes.into(), scales) }
    }
}

fn round(value: f32, inverse: f32, limit: f32) -> f32 {
    (value * inverse).round_ties_even().clamp(-limit, limit)
}

/// The scale with the least square error among that of the greatest number and 40 smaller ones, which clip.
fn best_scale(row: &[f32], limit: f32) -> f32 {
    let greatest = row.iter().fold(0.0f32, |max, value| max.max(value.abs()));
    if greatest == 0.0 {
        return 0.0;
    }
    let error = |scale: f32| -> f64 {
        let inverse = 1.0 / scale;
        row.iter().map(|&value| f64::from(value - round(value, inverse, limit) * scale).powi(2)).sum()
    };
    let full = greatest / limit;
    let mut best = (error(full), full);
    for step in 1..=40 {
        let scale = full * (1.0 - 0.01 * step as f32);
        let found = error(scale);
        if found < best.0 {
            best = (found, scale);
        }
    }
    best.1
}

/// Gain and offset of a layer normalisation.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub(crate) gamma: Vec<f32>,
    pub(crate) beta: Vec<f32>,
}

/// Weight `[outputs, inputs]` and bias of a dense layer.
#[derive(Clone, Debug)]
pub(crate) struct Dense<'a> {
    pub(crate) weight: Matrix<'a>,
    pub(crate) bias: Vec<f32>,
}

/// One layer of the encoder.
#[derive(Clone, Debug)]
pub(crate) struct LayerWeights<'a> {
    pub(crate) query: Dense<'a>,
    pub(crate) key: Dense<'a>,
    pub(crate) value: Dense<'a>,
    pub(crate) attention_output: Dense<'a>,
    pub(crate) attention_norm: Norm,
    pub(crate) intermediate: Dense<'a>,
    pub(crate) output: Dense<'a>,
    pub(crate) output_norm: Norm,
}

/// All weights of an encoder.
#[derive(Clone, Debug)]
pub(crate) struct BertWeights<'a> {
    pub(crate) words: Matrix<'a>,
    pub(crate) positions: Matrix<'a>,
    pub(crate) token_types: Matrix<'a>,
    pub(crate) embedding_norm: Norm,
    pub(crate) layers: Vec<LayerWeights<'a>>,
    pub(crate) pooler: Dense<'a>,
}

/// The sizes of an encoder.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct BertDims {
    pub(crate) vocabulary: usize,
    pub(crate) positions: usize,
    pub(crate) token_types: usize,
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) intermediate: usize,
    pub(crate) norm_epsilon: f32,
}
