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
        let scale = (rows.abs().amax([1i64].as_slice(), true) / levels).clamp_min(1e-12);
        rows.copy_(&((&rows / &scale).round() * &scale));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::small;
    use tch::Device;

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
