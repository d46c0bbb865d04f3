//! Small dense layers in f32, the same bits on every CPU: the pooler and the heads.

use crate::bert::kernels::{product, vectorised};

const COLUMNS: usize = 32;
const ROWS: usize = 4;

/// y = x Wᵀ + b in f32, summed in the order of the inputs.
#[derive(Clone, Debug)]
pub(crate) struct FloatDense {
    inputs: usize,
    outputs: usize,
    /// For each [`COLUMNS`] outputs (the last ones padded with zeros) a panel `[inputs, COLUMNS]`.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl FloatDense {
    /// From a weight `[outputs, inputs]`; there are as many outputs as numbers in `bias`.
    pub(crate) fn new(weight: &[f32], mut bias: Vec<f32>) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs.max(1);
        let padded = outputs.next_multiple_of(COLUMNS);
        let mut panels = vec![0.0; inputs * padded];
        for (output, row) in weight.chunks_exact(inputs.max(1)).enumerate() {
            let panel = &mut panels[output / COLUMNS * COLUMNS * inputs..];
            for (input, value) in row.iter().enumerate() {
                panel[input * COLUMNS + output % COLUMNS] = *value;
            }
        }
        bias.resize(padded, 0.0);
        FloatDense { inputs, outputs, weight: panels, bias }
    }

    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Writes `activation(y)` of rows `x` `[rows, inputs]` to `out` `[rows, outputs]`.
    #[inline(always)]
    pub(crate) fn apply(&self, x: &[f32], out: &mut [f32], activation: impl Fn(f32) -> f32) {
        vectorised(
            #[inline(always)]
            || self.apply_plain(x, out, activation),
        );
    }

    #[inline(always)]
    fn apply_plain(&self, x: &[f32], out: &mut [f32], activation: impl Fn(f32) -> f32) {
        let panels = self.weight.chunks_exact(self.inputs * COLUMNS).zip(self.bias.as_chunks::<COLUMNS>().0);
        for (index, (panel, bias)) in panels.enumerate() {
            let first = index * COLUMNS;
            let mut inputs = x.chunks(ROWS * self.inputs);
            for out in out.chunks_mut(ROWS * self.outputs) {
                let Some(x) = inputs.next() else { break };
                if x.len() == ROWS * self.inputs {
                    self.apply_rows::<ROWS>(x, panel, bias, first, out, &activation);
                } else {
                    for (x, out) in x.chunks_exact(self.inputs).zip(out.chunks_exact_mut(self.outputs)) {
                        self.apply_rows::<1>(x, panel, bias, first, out, &activation);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn apply_rows<const R: usize>(
        &self,
        x: &[f32],
        panel: &[f32],
        bias: &[f32; COLUMNS],
        first: usize,
        out: &mut [f32],
        activation: impl Fn(f32) -> f32,
    ) {
        let sums = product::<R, COLUMNS>(x, self.inputs, panel, COLUMNS, self.inputs);
        for (out, mut sums) in out.chunks_exact_mut(self.outputs).zip(sums) {
            for (sum, bias) in sums.iter_mut().zip(bias) {
                *sum = activation(*sum + bias);
            }
            let out = &mut out[first..];
            let width = out.len().min(COLUMNS);
            out[..width].copy_from_slice(&sums[..width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_and_outputs() {
        for outputs in [1, 3, 32, 75] {
            let weight: Vec<f32> = (0..outputs * 7).map(|i| (i % 13) as f32 - 6.0).collect();
            let bias: Vec<f32> = (0..outputs).map(|i| i as f32).collect();
            let dense = FloatDense::new(&weight, bias.clone());
            for rows in [1, 4, 6] {
                let x: Vec<f32> = (0..rows * 7).map(|i| (i % 5) as f32).collect();
                let mut out = vec![0.0; rows * outputs];
                dense.apply(&x, &mut out, |y| y);
                for row in 0..rows {
                    for output in 0..outputs {
                        let expected: f32 = (0..7).map(|i| x[row * 7 + i] * weight[output * 7 + i]).sum();
                        assert_eq!(out[row * outputs + output], expected + bias[output]);
                    }
                }
            }
        }
    }
}
