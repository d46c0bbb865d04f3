//! What is left of weights that are stored in fewer bits.

use tch::{Kind, Tensor};

use crate::layout::Layout;

/// Numbers that share a scale where fewer than 8 bits are used.
const GROUP: i64 = 32;

/// Rounded to what f16 holds.
pub(crate) fn in_f16(weights: &Tensor) -> Tensor {
    weights.to_kind(Kind::Half).to_kind(Kind::Float)
}

/// With every matrix of the encoder rounded to whole multiples of a scale, which is 2^(bits−1) − 1 to its
/// largest number either way: one scale a row with 8 bits or more, one for 32 numbers of a row with less.
/// Biases, layer norms, heads and the context stage stay as they are.
pub(crate) fn in_bits(weights: &Tensor, layout: &Layout, bits: u32) -> Tensor {
    let levels = f64::from((1u32 << (bits - 1)) - 1);
    let result = weights.copy();
    for (slot, (_, view)) in layout.slots.iter().zip(layout.views(&result)) {
        if slot.group.head || !slot.group.decay {
            continue;
        }
        let width = slot.shape[1];
        let grouped = if bits < 8 && width % GROUP == 0 { GROUP } else { width };
        let mut rows = view.view([-1, grouped]);
        let near = rounded(&rows, levels);
        rows.copy_(&near);
    }
    result
}

/// Each row rounded to whole multiples of a scale, of which its largest number is `levels`.
fn rounded(rows: &Tensor, levels: f64) -> Tensor {
    let scale = (rows.abs().amax([1i64].as_slice(), true) / levels).clamp_min(1e-12);
    (rows / &scale).round() * &scale
}

/// What the embedded engine rounds a row of a dense layer to at int8.
const LEVELS: f64 = 64.0;

/// A matrix as the embedded engine has it at int8, with the gradient of the matrix itself (straight-through
/// estimator, Bengio, Léonard and Courville 2013).
pub(crate) fn straight_through(matrix: &Tensor) -> Tensor {
    let plain = matrix.detach();
    matrix + (rounded(&plain, LEVELS) - plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::small;
    use tch::Device;

    #[test]
    fn rounding_passes_the_gradient_on() {
        tch::manual_seed(2);
        let matrix = Tensor::randn([3, 40], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let near = straight_through(&matrix);
        let moved = (&near - &matrix).abs().max().double_value(&[]);
        assert!(moved > 1e-4 && moved < 4.0 / LEVELS, "{moved}");
        let per_row = near.detach() / (matrix.detach().abs().amax([1i64].as_slice(), true) / LEVELS);
        assert!((&per_row - per_row.round()).abs().max().double_value(&[]) < 1e-3);
        near.sum(Kind::Float).backward();
        assert!(matrix.grad().eq(1.0).all().int64_value(&[]) == 1);
    }

    #[test]
    fn fewer_bits_move_matrices_further_and_leave_the_rest() {
        tch::manual_seed(1);
        let layout = Layout::new(&small(), 2);
        let weights = Tensor::randn([layout.len()], (Kind::Float, Device::Cpu));
        let distance = |other: &Tensor| (&weights - other).abs().max().double_value(&[]);
        let (half, eight, four) =
            (in_f16(&weights), in_bits(&weights, &layout, 8), in_bits(&weights, &layout, 4));
        assert!(distance(&half) > 0.0 && distance(&half) < 0.01);
        assert!(distance(&half) < distance(&eight) && distance(&eight) < distance(&four));
        assert!(distance(&four) < 5.0 / 14.0 + 0.01);
        for (slot, ((_, a), (_, b))) in
            layout.slots.iter().zip(layout.views(&weights).into_iter().zip(layout.views(&four)))
        {
            assert_eq!(a == b, slot.group.head || !slot.group.decay, "{}", slot.name);
        }
    }
}
