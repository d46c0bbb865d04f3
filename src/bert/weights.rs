//! Weights as they come from a file, before they are packed.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::bert::kernels::vectorised;

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

    /// Without what follows on its first `rows` rows.
    ///
    /// # Panics
    ///
    /// If it has fewer.
    pub(crate) fn first_rows(self, rows: usize) -> Self {
        assert!(rows <= self.rows);
        let len = rows * self.columns;
        let data = match self.data {
            Data::Float(mut data) => {
                data.truncate(len);
                Data::Float(data)
            }
            Data::Int8(bytes, mut scales) => {
                scales.truncate(rows);
                let bytes = match bytes {
                    Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..len]),
                    Cow::Owned(mut bytes) => {
                        bytes.truncate(len);
                        Cow::Owned(bytes)
                    }
                };
                Data::Int8(bytes, scales)
            }
        };
        Matrix { rows, columns: self.columns, data }
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
        let limit = f32::from(limit);
        let mut bytes = vec![0; data.len()];
        let mut scales = vec![0.0; self.rows];
        let columns = self.columns.max(1);
        let rows = data.par_chunks_exact(columns).zip(bytes.par_chunks_exact_mut(columns)).zip(&mut scales);
        rows.with_min_len(64).for_each(|((row, bytes), scale)| {
            *scale = vectorised(
                #[inline(always)]
                || best_scale(row, limit),
            );
            let inverse = if *scale > 0.0 { 1.0 / *scale } else { 0.0 };
            for (byte, &value) in bytes.iter_mut().zip(row) {
                *byte = round(value, inverse, limit) as i8 as u8;
            }
        });
        Matrix { rows: self.rows, columns: self.columns, data: Data::Int8(bytes.into(), scales) }
    }
}

/// To the nearest whole number of scales, within the limit.
#[inline(always)]
fn round(value: f32, inverse: f32, limit: f32) -> f32 {
    // Whole numbers are all that f32 holds from here on.
    const WHOLE: f32 = 12_582_912.0;
    ((value * inverse).clamp(-limit, limit) + WHOLE) - WHOLE
}

/// The scale with the least square error among that of the greatest number and 40 smaller ones, which clip.
#[inline(always)]
fn best_scale(row: &[f32], limit: f32) -> f32 {
    let greatest = row.iter().fold(0.0f32, |max, value| max.max(value.abs()));
    let full = greatest / limit;
    // Numbers too small to be told from zero have no scale.
    if !full.is_normal() {
        return 0.0;
    }
    let mut best = (f64::INFINITY, full);
    for step in 0..=40 {
        let scale = full * (1.0 - 0.01 * step as f32);
        let found = square_error(row, scale, limit);
        if found < best.0 {
            best = (found, scale);
        }
    }
    best.1
}

/// Of a row that is quantized, in fixed order.
#[inline(always)]
fn square_error(row: &[f32], scale: f32, limit: f32) -> f64 {
    let inverse = 1.0 / scale;
    let mut lanes = [0.0; 16];
    let error = |value: f32| {
        let difference = f64::from(value - round(value, inverse, limit) * scale);
        difference * difference
    };
    let (chunks, rest) = row.as_chunks::<16>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += error(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += error(value);
    }
    lanes.iter().sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantized_rows_keep_within_the_limit_and_clip_little() {
        let data: Vec<f32> = (0..5 * 37).map(|i| ((i * 7919) % 1000) as f32 * 0.001 - 0.4).collect();
        let matrix = Matrix::from_f32(5, 37, data.clone()).quantized(64);
        let (bytes, scales) = matrix.int8().unwrap();
        assert!(bytes.iter().all(|&byte| (byte as i8).unsigned_abs() <= 64));
        let square = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>();
        let error = square(&mut data.iter().zip(&*matrix.to_f32()).map(|(a, b)| a - b));
        assert!(error < 1e-4 * square(&mut data.iter().copied()), "{error}");
        assert!(scales.iter().all(|&scale| scale > 0.6 / 64.0 * 0.5));
    }

    #[test]
    fn the_first_rows_are_those_of_the_whole() {
        let data: Vec<f32> = (0..5 * 7).map(|i| i as f32 - 11.0).collect();
        let whole = Matrix::from_f32(5, 7, data.clone());
        assert_eq!(*whole.clone().first_rows(2).to_f32(), data[..14]);
        let bytes = whole.quantized(127);
        let first = bytes.clone().first_rows(2);
        assert_eq!((first.rows(), &*first.to_f32()), (2, &bytes.to_f32()[..14]));
        let (stored, scales) = bytes.int8().unwrap();
        let borrowed = Matrix::from_int8(5, 7, Cow::Borrowed(stored), scales.to_vec()).first_rows(2);
        assert_eq!(borrowed.to_f32(), first.to_f32());
    }

    #[test]
    fn rows_of_zeros_and_extremes() {
        let mut data = vec![0.0; 3 * 20];
        data[20] = f32::MAX;
        data[40] = f32::MIN_POSITIVE / 8.0;
        let matrix = Matrix::from_f32(3, 20, data).quantized(127);
        let (bytes, scales) = matrix.int8().unwrap();
        assert_eq!((scales[0], bytes[20], scales[2]), (0.0, 127, 0.0));
        assert!(matrix.to_f32().iter().all(|value| value.is_finite()));
        assert!(Matrix::from_f32(0, 4, Vec::new()).quantized(64).to_f32().is_empty());
    }
}
