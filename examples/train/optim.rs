//! AdamW on one flat vector of weights, and how its learning rates run.

use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

use crate::layout::{Group, Layout};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.98;
const EPSILON: f64 = 1e-6;

/// Numbers that are updated at a time: their weights, gradients and moments stay in the cache between the
/// operations of a step, which is several times faster than going over all weights for each operation.
const CHUNK: i64 = 1 << 15;

/// AdamW (Loshchilov and Hutter 2019) with a learning rate for the encoder and one for the heads.
/// Biases and layer norms are not decayed.
#[derive(Debug)]
pub(crate) struct AdamW {
    weights: Tensor,
    first: Tensor,
    second: Tensor,
    groups: Vec<(Group, i64, i64)>,
    decay: f64,
    clip: f64,
    step: i64,
}

impl AdamW {
    /// `weights` is changed in place by [`AdamW::step`].
    pub(crate) fn new(weights: &Tensor, layout: &Layout, decay: f64, clip: f64) -> AdamW {
        let mut groups: Vec<(Group, i64, i64)> = Vec::new();
        for slot in &layout.slots {
            match groups.last_mut() {
                Some((group, _, end)) if *group == slot.group => *end += slot.len(),
                _ => groups.push((slot.group, slot.start, slot.start + slot.len())),
            }
        }
        let zeros = || Tensor::zeros(weights.size(), (Kind::Float, Device::Cpu));
        AdamW {
            weights: weights.shallow_clone(),
            first: zeros(),
            second: zeros(),
            groups,
            decay,
            clip,
            step: 0,
        }
    }

    /// The moments, for a checkpoint.
    pub(crate) fn moments(&self) -> (&Tensor, &Tensor) {
        (&self.first, &self.second)
    }

    /// Steps done so far.
    pub(crate) fn steps(&self) -> i64 {
        self.step
    }

    /// Goes on from a checkpoint.
    pub(crate) fn restore(&mut self, first: &Tensor, second: &Tensor, step: i64) -> Result<()> {
        ensure!(first.size() == self.first.size(), "the checkpoint is of a model of another size");
        self.first.copy_(first);
        self.second.copy_(second);
        self.step = step;
        Ok(())
    }

    /// One step against `gradient`. Returns the norm of the gradient before it was clipped; where that is
    /// not finite nothing is changed.
    pub(crate) fn step(&mut self, gradient: &Tensor, encoder_rate: f64, head_rate: f64) -> f64 {
        let _guard = tch::no_grad_guard();
        let norm = gradient.dot(gradient).double_value(&[]).sqrt();
        if !norm.is_finite() {
            return norm;
        }
        self.step += 1;
        let shrink = if norm > self.clip { self.clip / norm } else { 1.0 };
        let bias1 = 1.0 - BETA1.powi(self.step as i32);
        let bias2 = (1.0 - BETA2.powi(self.step as i32)).sqrt();
        for &(group, start, end) in &self.groups {
            let rate = if group.head { head_rate } else { encoder_rate };
            let keep = if group.decay { 1.0 - rate * self.decay } else { 1.0 };
            let mut at = start;
            while at < end {
                let len = CHUNK.min(end - at);
                let gradient = gradient.narrow(0, at, len) * shrink;
                let mut first = self.first.narrow(0, at, len);
                let mut second = self.second.narrow(0, at, len);
                let mut weights = self.weights.narrow(0, at, len);
                let _ = first.lerp_(&gradient, 1.0 - BETA1);
                let _ = second.lerp_(&gradient.square(), 1.0 - BETA2);
                // first / bias1 / (sqrt(second) / bias2 + epsilon) * rate
                let below = second.sqrt().g_add_scalar_(EPSILON * bias2);
                let change = (&first / below).g_mul_scalar_(-rate * bias2 / bias1);
                let _ = weights.g_mul_scalar_(keep);
                let _ = weights.g_add_(&change);
                at += len;
            }
        }
        norm
    }
}

/// The factor on the peak learning rates when the share `progress` of the run is done: up in a line during
/// `warmup`, then down in a line to 0 at the end.
pub(crate) fn schedule(progress: f64, warmup: f64) -> f64 {
    if progress < warmup {
        (progress / warmup).max(0.02)
    } else {
        ((1.0 - progress) / (1.0 - warmup)).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::small;

    #[test]
    fn rates_climb_and_fall_to_nothing() {
        assert_eq!(schedule(0.1, 0.1), 1.0);
        assert!((schedule(0.05, 0.1) - 0.5).abs() < 1e-12);
        assert!((schedule(0.55, 0.1) - 0.5).abs() < 1e-12);
        assert_eq!(schedule(1.0, 0.1), 0.0);
        assert_eq!(schedule(1.1, 0.0), 0.0);
    }

    #[test]
    fn steps_are_those_of_adamw() {
        let layout = Layout::new(&small(), 2);
        let size = layout.len();
        let weights = Tensor::ones([size], (Kind::Float, Device::Cpu));
        let mut adam = AdamW::new(&weights, &layout, 0.1, 1e9);
        let gradient = Tensor::ones([size], (Kind::Float, Device::Cpu)) * 0.5;
        // Steps against an unchanging gradient have the length of the rate, whatever its size.
        adam.step(&gradient, 0.01, 0.02);
        for (slot, (_, view)) in layout.slots.iter().zip(layout.views(&weights)) {
            let rate = if slot.group.head { 0.02 } else { 0.01 };
            let want = 1.0 - rate - if slot.group.decay { rate * 0.1 } else { 0.0 };
            let found = view.min().double_value(&[]);
            assert!((found - want).abs() < 1e-4, "{}: {found} {want}", slot.name);
        }
        // A gradient that is not a number changes nothing.
        let before = weights.copy();
        assert!(adam.step(&(&gradient * f64::NAN), 0.01, 0.02).is_nan());
        assert_eq!(weights, before);
    }
}
