//! A dense layer: prepacked weights and the matrix product that uses them.

use std::ops::Range;

use rayon::prelude::*;
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix};
use rten_tensor::NdTensorView;

use crate::bert::kernels::{Accumulator, Columns, RowScale};
use crate::bert::tiles::{Tiled, unit};
use crate::bert::weights::Matrix;
use crate::error::{AnalyzeError, LoadError, LoadErrorKind, Source};

/// Rows of activations in one matrix product.
///
/// rten-gemm spreads a product over rayon's threads where it has more than 64 rows or 128 columns. Products of
/// at most [`ROWS`] by [`PANEL`] stay on the thread that asks, whatever pool it is in: one forward, one thread.
/// 48 is a multiple of the kernels' row tiles (4, 6, 8 and 16).
pub(super) const ROWS: usize = 48;
/// Columns of weights in one matrix product.
pub(super) const PANEL: usize = 128;

/// The matrix product engines of both precisions.
struct Engines {
    float: GemmExecutor<f32>,
    int8: GemmExecutor<u8, i8, i32>,
}

thread_local! {
    // One for each thread because they are not `Sync`; all choose the same kernels.
    static ENGINES: Engines = Engines { float: GemmExecutor::new(), int8: GemmExecutor::new() };
}

/// y = x Wᵀ + b, for W `[outputs, inputs]`.
pub(super) struct Linear {
    inputs: usize,
    panels: Panels,
    bias: Vec<f32>,
    /// Of each output: the weight scale, and that times the sum of its quantized weights. Empty for f32.
    scale: Vec<f32>,
    sums: Vec<f32>,
}

/// Each with the output that it starts at.
enum Panels {
    Float(Vec<(usize, PackedBMatrix<f32>)>),
    Int8(Vec<(usize, PackedBMatrix<i8>)>),
    /// In int8, where there is a tile unit.
    Tiled(Vec<(usize, Tiled)>),
}

impl std::fmt::Debug for Linear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linear")
            .field("inputs", &self.inputs)
            .field("outputs", &self.bias.len())
            .field("int8", &self.is_int8())
            .finish_non_exhaustive()
    }
}

/// Up to [`ROWS`] rows of activations, as the weights want them.
pub(super) enum Rows<'a> {
    Float(&'a [f32]),
    /// Bytes hold as many rows as there are, rounded up to whole [tiles](crate::bert::tiles::SIDE).
    Int8 {
        bytes: &'a [u8],
        scales: &'a [RowScale],
    },
}

/// One panel of a product: `acc` is `[rows, columns.bias.len()]`, for the outputs from `start` on.
pub(super) trait Finish {
    fn finish<A: Accumulator>(&mut self, start: usize, acc: &[A], scales: &[RowScale], columns: Columns<'_>);
}

/// Results of the product before they are finished.
#[derive(Debug, Default)]
pub(super) struct Tiles {
    float: Vec<f32>,
    int8: Vec<i32>,
}

impl Linear {
    /// Packs the weights. Several matrices of the same width may stand one above the other; no panel holds
    /// outputs of two of them.
    pub(super) fn new(parts: &[(&Matrix<'_>, &[f32])]) -> Result<Self, LoadError> {
        let inputs = parts.first().map_or(0, |(matrix, _)| matrix.columns());
        let bias: Vec<f32> = parts.iter().flat_map(|(_, bias)| bias.iter().copied()).collect();
        let mut starts = Vec::new();
        let mut first = 0;
        for (index, (matrix, _)) in parts.iter().enumerate() {
            starts.extend((0..matrix.rows()).step_by(PANEL).map(|row| (index, row, first + row)));
            first += matrix.rows();
        }
        let rows = |matrix: &Matrix<'_>, row: usize| row * inputs..(row + PANEL).min(matrix.rows()) * inputs;

        let int8: Option<Vec<(&[u8], &[f32])>> = parts.iter().map(|(matrix, _)| matrix.int8()).collect();
        let Some(int8) = int8 else {
            let floats: Vec<_> = parts.iter().map(|(matrix, _)| matrix.to_f32()).collect();
            let panels = starts
                .par_iter()
                .map(|&(part, row, start)| {
                    let weights = &floats[part][rows(parts[part].0, row)];
                    let view = transposed(weights, inputs)?;
                    Ok((start, ENGINES.with(|engines| engines.float.prepack_b(view))))
                })
                .collect::<Result<_, LoadError>>()?;
            return Ok(Linear { inputs, panels: Panels::Float(panels), bias, scale: vec![], sums: vec![] });
        };
        let signed: Vec<Vec<i8>> =
            int8.iter().map(|(bytes, _)| bytes.iter().map(|&byte| byte as i8).collect()).collect();
        let scale: Vec<f32> = int8.iter().flat_map(|(_, scales)| scales.iter().copied()).collect();
        let sums = signed
            .iter()
            .flat_map(|bytes| bytes.chunks_exact(inputs))
            .zip(&scale)
            .map(|(row, scale)| scale * row.iter().map(|&byte| i32::from(byte)).sum::<i32>() as f32)
            .collect();
        let weights = |part: usize, row: usize| &signed[part][rows(parts[part].0, row)];
        if unit::present()
            && starts
                .iter()
                .all(|&(part, row, _)| Tiled::fits(inputs, weights(part, row).len() / inputs.max(1)))
        {
            let panels = starts
                .par_iter()
                .map(|&(part, row, start)| (start, Tiled::new(weights(part, row), inputs)))
                .collect();
            return Ok(Linear { inputs, panels: Panels::Tiled(panels), bias, scale, sums });
        }
        let panels = starts
            .par_iter()
            .map(|&(part, row, start)| {
                let weights = weights(part, row);
                let view = transposed(weights, inputs)?;
                Ok((start, ENGINES.with(|engines| engines.int8.prepack_b(view))))
            })
            .collect::<Result<_, LoadError>>()?;
        Ok(Linear { inputs, panels: Panels::Int8(panels), bias, scale, sums })
    }

    pub(super) fn is_int8(&self) -> bool {
        matches!(self.panels, Panels::Int8(_) | Panels::Tiled(_))
    }

    /// Multiplies up to [`ROWS`] rows by the outputs in `range`, which must start and end at matrices.
    pub(super) fn apply(
        &self,
        rows: usize,
        input: &Rows<'_>,
        range: Range<usize>,
        tiles: &mut Tiles,
        finish: &mut impl Finish,
    ) -> Result<(), AnalyzeError> {
        ENGINES
            .with(|engines| self.apply_with(engines, rows, input, range, tiles, finish))
            .map_err(|error| AnalyzeError::back_end("matrix product failed", Some(error)))
    }

    fn apply_with(
        &self,
        engines: &Engines,
        rows: usize,
        input: &Rows<'_>,
        range: Range<usize>,
        tiles: &mut Tiles,
        finish: &mut impl Finish,
    ) -> Result<(), Source> {
        let shape = [rows, self.inputs];
        match (&self.panels, input) {
            (Panels::Float(panels), Rows::Float(x)) => {
                tiles.float.resize(ROWS * PANEL, 0.0);
                let a = GemmInputA::Unpacked(NdTensorView::from_data(shape, &x[..rows * self.inputs]));
                for (start, b) in panels.iter().filter(|(start, _)| range.contains(start)) {
                    let tile = &mut tiles.float[..rows * b.cols()];
                    engines.float.gemm(tile, a, GemmInputB::Packed(b), GemmOptions::default())?;
                    finish.finish(
                        *start,
                        tile,
                        &[RowScale::default(); ROWS][..rows],
                        self.columns(*start, b.cols()),
                    );
                }
            }
            (Panels::Int8(panels), Rows::Int8 { bytes, scales }) => {
                tiles.int8.resize(ROWS * PANEL, 0);
                // Packed once for all panels.
                let a = engines.int8.prepack_a(NdTensorView::from_data(shape, &bytes[..rows * self.inputs]));
                for (start, b) in panels.iter().filter(|(start, _)| range.contains(start)) {
                    let tile = &mut tiles.int8[..rows * b.cols()];
                    let a = GemmInputA::Packed(&a);
                    engines.int8.gemm(tile, a, GemmInputB::Packed(b), GemmOptions::default())?;
                    finish.finish(*start, tile, &scales[..rows], self.columns(*start, b.cols()));
                }
            }
            (Panels::Tiled(panels), Rows::Int8 { bytes, scales }) => {
                tiles.int8.resize(ROWS * PANEL, 0);
                let unit = unit::Unit::start().ok_or("the tile unit is gone")?;
                for (start, weights) in panels.iter().filter(|(start, _)| range.contains(start)) {
                    let width = weights.outputs();
                    weights.multiply(&unit, rows, bytes, &mut tiles.int8);
                    let tile = &tiles.int8[..rows * width];
                    finish.finish(*start, tile, &scales[..rows], self.columns(*start, width));
                }
            }
            _ => return Err("activations and weights differ in precision".into()),
        }
        Ok(())
    }

    fn columns(&self, start: usize, width: usize) -> Columns<'_> {
        let range = start..start + width;
        let int8 = if self.is_int8() { range.clone() } else { 0..0 };
        Columns { scale: &self.scale[int8.clone()], sums: &self.sums[int8], bias: &self.bias[range] }
    }
}

/// A view `[inputs, outputs]` of weights `[outputs, inputs]`.
fn transposed<T>(weights: &[T], inputs: usize) -> Result<NdTensorView<'_, T, 2>, LoadError> {
    NdTensorView::from_slice_with_strides([inputs, weights.len() / inputs], weights, [1, inputs])
        .map_err(|error| LoadError::new(LoadErrorKind::Tensor, "weights cannot be packed").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Collects a product as it comes, panel by panel.
    struct Collected {
        outputs: usize,
        values: Vec<f32>,
    }

    impl Finish for Collected {
        fn finish<A: Accumulator>(
            &mut self,
            start: usize,
            acc: &[A],
            scales: &[RowScale],
            columns: Columns<'_>,
        ) {
            let width = columns.bias.len();
            for (row, (acc, scale)) in acc.chunks_exact(width).zip(scales).enumerate() {
                let at = row * self.outputs + start;
                A::finish_row(acc, *scale, columns, &mut self.values[at..at + width], |value, _| value);
            }
        }
    }

    /// Numbers that look like chance, always the same.
    fn noise(count: usize) -> impl Iterator<Item = u8> {
        (0..count as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 41) as u8)
    }

    /// Integers have one right sum, whatever instructions add them. Sizes that no tile unit takes are here, too, so
    /// that rten-gemm is looked at everywhere.
    #[test]
    fn int8_products_are_those_of_plain_loops() {
        for (inputs, outputs) in [(1, 1), (37, 5), (64, 32), (129, 130), (384, 128), (1536, 131)] {
            let limit = i16::from(crate::bert::weights::LINEAR_LIMIT);
            let weights: Vec<i8> = noise(inputs * outputs)
                .map(|byte| (i16::from(byte) % (2 * limit + 1) - limit) as i8)
                .collect();
            let bytes = weights.iter().map(|&weight| weight as u8).collect::<Vec<_>>();
            let matrix = Matrix::from_int8(outputs, inputs, bytes.into(), vec![1.0; outputs]);
            let linear = Linear::new(&[(&matrix, &vec![0.0; outputs])]).unwrap();
            for rows in [1, 3, 16, 47, ROWS] {
                let whole = rows.next_multiple_of(crate::bert::tiles::SIDE);
                let x: Vec<u8> = noise(whole * inputs).collect();
                let scales = vec![RowScale { scale: 1.0, zero: 0.0 }; rows];
                let mut found = Collected { outputs, values: vec![f32::NAN; rows * outputs] };
                let input = Rows::Int8 { bytes: &x, scales: &scales };
                linear.apply(rows, &input, 0..outputs, &mut Tiles::default(), &mut found).unwrap();
                for (at, &value) in found.values.iter().enumerate() {
                    let (x, w) = (&x[at / outputs * inputs..], &weights[at % outputs * inputs..][..inputs]);
                    let sum: i32 = w.iter().zip(x).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum();
                    assert_eq!(value, sum as f32, "{inputs} x {outputs}, {rows} rows, number {at}");
                }
            }
        }
    }
}
