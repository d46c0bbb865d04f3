//! What is left of weights that are stored in fewer bits.

use tch::{Kind, Tensor};

use crate::layout::{Layout, Slot};

/// What the largest number of a row becomes in the int8 format, in the dense layers of the encoder and in its
/// embedding tables (the library's `LINEAR_LIMIT` and `TABLE_LIMIT`).
const DENSE_LIMIT: f64 = 64.0;
const TABLE_LIMIT: f64 = 127.0;

/// The limit of a tensor that the int8 format rounds; none for the pooler and all else that it leaves in f32.
fn int8_limit(slot: &Slot) -> Option<f64> {
    if slot.name.ends_with("_embeddings.weight") {
        Some(TABLE_LIMIT)
    } else {
        is_dense(slot).then_some(DENSE_LIMIT)
    }
}

/// Whether a tensor is the matrix of a dense layer that the int8 engine computes in int8.
pub(crate) fn is_dense(slot: &Slot) -> bool {
    slot.group.decay && slot.name.starts_with("bert.encoder.")
}

/// Numbers that share a scale where fewer than 8 bits are used.
const GROUP: i64 = 32;

/// Rounded to what f16 holds.
pub(crate) fn in_f16(weights: &Tensor) -> Tensor {
    weights.to_kind(Kind::Half).to_kind(Kind::Float)
}

/// With matrices of the encoder rounded to whole multiples of a scale. With 8 bits it is one a row, and the largest
/// number of a row becomes what it is in the int8 format, which searches for a somewhat better scale; the pooler is
/// not rounded there. With fewer every matrix is rounded, each 32 numbers of a row have a scale, and their largest
/// number becomes 2^(bits−1) − 1. Biases, layer norms, heads and the context stage stay as they are.
pub(crate) fn in_bits(weights: &Tensor, layout: &Layout, bits: u32) -> Tensor {
    let result = weights.copy();
    for (slot, (_, view)) in layout.slots.iter().zip(layout.views(&result)) {
        let limit = match bits {
            8.. => int8_limit(slot),
            _ => (slot.group.decay && !slot.group.head).then(|| f64::from((1u32 << (bits - 1)) - 1)),
        };
        let Some(limit) = limit else { continue };
        let width = slot.shape[1];
        let grouped = if bits < 8 && width % GROUP == 0 { GROUP } else { width };
        let mut rows = view.view([-1, grouped]);
        let near = rounded(&rows, limit);
        rows.copy_(&near);
    }
    result
}

/// Each row rounded to whole multiples of a scale, of which its largest number is `limit`.
fn rounded(rows: &Tensor, limit: f64) -> Tensor {
    let scale = (rows.abs().amax([1i64].as_slice(), true) / limit).clamp_min(1e-12);
    (rows / &scale).round() * &scale
}

/// The matrix of a dense layer rounded as for the int8 engine, with the gradient of the matrix itself
/// (straight-through estimator, Bengio, Léonard and Courville 2013).
pub(crate) fn straight_through(matrix: &Tensor) -> Tensor {
    let plain = matrix.detach();
    matrix + (rounded(&plain, DENSE_LIMIT) - plain)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tch::Device;

    use super::*;
    use crate::layout::tests::small;

    #[test]
    fn rounding_passes_the_gradient_on() {
        tch::manual_seed(2);
        let matrix = Tensor::randn([3, 40], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let near = straight_through(&matrix);
        let moved = (&near - &matrix).abs().max().double_value(&[]);
        assert!(moved > 1e-4 && moved < 4.0 / DENSE_LIMIT, "{moved}");
        let per_row = near.detach() / (matrix.detach().abs().amax([1i64].as_slice(), true) / DENSE_LIMIT);
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

    #[test]
    fn eight_bits_are_those_of_the_int8_format() {
        tch::manual_seed(5);
        let layout = Layout::new(&small(), 2);
        let weights = Tensor::randn([layout.len()], (Kind::Float, Device::Cpu));
        let eight = in_bits(&weights, &layout, 8);
        let views = |flat: &Tensor| layout.views(flat).into_iter().collect::<HashMap<_, _>>();
        let (before, after) = (views(&weights), views(&eight));
        for (name, limit) in [
            ("bert.embeddings.word_embeddings.weight", 127.0),
            ("bert.encoder.layer.1.attention.output.dense.weight", 64.0),
        ] {
            let whole = &after[name] * limit / before[name].abs().amax([1i64].as_slice(), true);
            assert!((&whole - whole.round()).abs().max().double_value(&[]) < 1e-3, "{name}");
            assert_ne!(before[name], after[name]);
        }
        for name in ["bert.pooler.dense.weight", "events.weight", "bert.encoder.layer.0.output.dense.bias"] {
            assert_eq!(before[name], after[name], "{name}");
        }
    }
}
