//! What the sentences around a sentence say of it: a gated recurrent unit over the sentence vectors of a story.
//!
//! # Why this way
//!
//! "They never did." can only be read beside its neighbours. Feeding the neighbours to the encoder would double
//! its work; a recurrent layer over vectors that are there anyway costs a hundredth of it. It reads the story
//! both ways, and its states add to the logits of the heads, so a model without it is the same model with
//! nothing added. `examples/train` trains it and states its arithmetic.

use crate::bert::FloatDense;
use crate::error::{LoadError, LoadErrorKind};
use crate::math;
use crate::model::{Head, Readout, Tensor};

/// A bidirectional GRU with what it adds to the logits of the heads.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    forward: Gru,
    backward: Gru,
    sentiment: Head,
    events: Option<Head>,
    told: Option<Head>,
}

/// What a story adds to the logits of its `n` sentences; empty where the model has no such head.
pub(crate) struct Added {
    /// `[n, 3]`.
    pub(crate) sentiment: Vec<f32>,
    /// `[n, outputs]`.
    pub(crate) events: Vec<f32>,
    /// `[n]`.
    pub(crate) told: Vec<f32>,
}

/// One direction. Gates are stacked as reset, update, new.
#[derive(Clone, Debug)]
struct Gru {
    input: FloatDense,
    state: FloatDense,
    hidden: usize,
}

impl Context {
    /// The context stage of a model, or `None` where it has none.
    pub(crate) fn from_readout(model: &Readout) -> Result<Option<Self>, LoadError> {
        let Some(table) = model.context() else { return Ok(None) };
        let wrong = |message: String| LoadError::new(LoadErrorKind::Tensor, message);
        let kind = table.get("kind").and_then(|kind| kind.as_str()).unwrap_or_default();
        let hidden = table.get("hidden_size").and_then(|size| size.as_integer()).unwrap_or(0);
        if kind != "gru" || !(1..=4096).contains(&hidden) {
            return Err(wrong(format!("context stage {kind:?} of {hidden} units is none that is known")));
        }
        let hidden = hidden as usize;
        let dim = model.sentiment().inputs();
        let tensor = |name: &str, shape: &[usize]| -> Result<&Tensor, LoadError> {
            let tensor = model.tensor(name).ok_or_else(|| {
                LoadError::new(LoadErrorKind::Tensor, format!("tensor {name:?} is missing"))
            })?;
            if tensor.shape() != shape {
                let found = tensor.shape();
                return Err(wrong(format!("tensor {name:?}: expected shape {shape:?}, found {found:?}")));
            }
            if tensor.data().iter().any(|value| !value.is_finite()) {
                return Err(wrong(format!("tensor {name:?} holds a value that is not finite")));
            }
            Ok(tensor)
        };
        let dense = |part: &str, way: &str, inputs: usize| -> Result<FloatDense, LoadError> {
            let weight = tensor(&format!("context.gru.weight_{part}_l0{way}"), &[3 * hidden, inputs])?;
            let bias = tensor(&format!("context.gru.bias_{part}_l0{way}"), &[3 * hidden])?;
            Ok(FloatDense::new(weight.data(), bias.data().to_vec()))
        };
        let gru = |way: &str| -> Result<Gru, LoadError> {
            Ok(Gru { input: dense("ih", way, dim)?, state: dense("hh", way, hidden)?, hidden })
        };
        let head = |name: &str, outputs: usize| -> Result<Head, LoadError> {
            let weight = tensor(&format!("context.{name}.weight"), &[outputs, 2 * hidden])?;
            Ok(Head::new(weight.data(), vec![0.0; outputs], 1.0))
        };
        Ok(Some(Context {
            forward: gru("")?,
            backward: gru("_reverse")?,
            sentiment: head("sentiment", 3)?,
            events: model.events().map(|events| head("events", events.outputs())).transpose()?,
            told: model.told().map(|_| head("told", 1)).transpose()?,
        }))
    }

    /// What the story adds to the logits of its sentences, for vectors `[n, dim]` in the order of the text.
    pub(crate) fn logits(&self, vectors: &[f32]) -> Added {
        let hidden = self.forward.hidden;
        let n = vectors.len() / self.forward.input.inputs();
        let mut states = vec![0.0; n * 2 * hidden];
        self.forward.run(vectors, n, 0..n, |at, state| {
            states[at * 2 * hidden..][..hidden].copy_from_slice(state);
        });
        self.backward.run(vectors, n, (0..n).rev(), |at, state| {
            states[at * 2 * hidden + hidden..][..hidden].copy_from_slice(state);
        });
        let logits = |head: &Head| {
            let mut logits = vec![0.0; n * head.outputs()];
            head.logits(&states, &mut logits);
            logits
        };
        Added {
            sentiment: logits(&self.sentiment),
            events: self.events.as_ref().map(logits).unwrap_or_default(),
            told: self.told.as_ref().map(logits).unwrap_or_default(),
        }
    }
}

impl Gru {
    fn run(
        &self,
        vectors: &[f32],
        n: usize,
        order: impl Iterator<Item = usize>,
        mut emit: impl FnMut(usize, &[f32]),
    ) {
        let gates = 3 * self.hidden;
        let mut inputs = vec![0.0; n * gates];
        self.input.apply(vectors, &mut inputs, |y| y);
        let mut state = vec![0.0f32; self.hidden];
        let mut recurrent = vec![0.0f32; gates];
        for at in order {
            self.state.apply(&state, &mut recurrent, |y| y);
            let (reset_x, rest) = inputs[at * gates..][..gates].split_at(self.hidden);
            let (update_x, new_x) = rest.split_at(self.hidden);
            let (reset_h, rest) = recurrent.split_at(self.hidden);
            let (update_h, new_h) = rest.split_at(self.hidden);
            for unit in 0..self.hidden {
                let reset = math::sigmoid(f64::from(reset_x[unit] + reset_h[unit]));
                let update = math::sigmoid(f64::from(update_x[unit] + update_h[unit]));
                let new = math::tanh(f64::from(new_x[unit]) + reset * f64::from(new_h[unit]));
                state[unit] = ((1.0 - update) * new + update * f64::from(state[unit])) as f32;
            }
            emit(at, &state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gru() -> Gru {
        // One unit over one input; weights by gate: reset, update, new.
        Gru {
            input: FloatDense::new(&[0.5, -0.3, 0.8], vec![0.1, 0.2, -0.1]),
            state: FloatDense::new(&[0.4, 0.6, -0.7], vec![0.0, -0.2, 0.3]),
            hidden: 1,
        }
    }

    /// The formula of the trainer's documentation, in f64 and word for word.
    fn by_hand(inputs: &[f64]) -> Vec<f64> {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let mut h = 0.0;
        inputs
            .iter()
            .map(|x| {
                let r = sigmoid(0.5 * x + 0.1 + 0.4 * h);
                let z = sigmoid(-0.3 * x + 0.2 + 0.6 * h - 0.2);
                let c = (0.8 * x - 0.1 + r * (-0.7 * h + 0.3)).tanh();
                h = (1.0 - z) * c + z * h;
                h
            })
            .collect()
    }

    #[test]
    fn states_follow_the_formula_both_ways() {
        let inputs = [1.0, -2.0, 0.5, 3.0];
        let vectors = inputs.map(|x| x as f32);
        let mut states = [0.0f32; 4];
        gru().run(&vectors, 4, 0..4, |at, state| states[at] = state[0]);
        for (state, expected) in states.iter().zip(by_hand(&inputs)) {
            assert!((f64::from(*state) - expected).abs() < 1e-6, "{state} {expected}");
        }
        gru().run(&vectors, 4, (0..4).rev(), |at, state| states[at] = state[0]);
        let turned: Vec<f64> = inputs.iter().rev().copied().collect();
        for (state, expected) in states.iter().rev().zip(by_hand(&turned)) {
            assert!((f64::from(*state) - expected).abs() < 1e-6, "{state} {expected}");
        }
    }
}
