//! The training loop.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::json;
use tch::{Device, Kind, Tensor};

use crate::checkpoint::{Best, State, write_tensors};
use crate::layout::Layout;
use crate::log::Log;
use crate::measure::{Dev, Marks, measure};
use crate::optim::{AdamW, schedule};
use crate::recipe::TrainOptions;
use crate::stream::{Row, Stream};
use crate::workers::{Batch, Workers};

/// A run between two checkpoints.
pub(crate) struct Learning<'r> {
    pub(crate) plan: &'r TrainOptions,
    pub(crate) folder: &'r Path,
    pub(crate) layout: &'r Layout,
    pub(crate) weights: &'r Tensor,
    pub(crate) dev: &'r Dev,
    /// The run ends after this many minutes, or when all passes are done.
    pub(crate) minutes: f64,
    /// Whether the weights that the run begins with may turn out to be the best: no head of them is a new one.
    pub(crate) start_counts: bool,
    /// The run is left after this many measurements, to be gone on with later.
    pub(crate) stop_after: Option<NonZeroUsize>,
}

/// What a pool of batches came to.
#[derive(Default)]
struct Tally {
    steps: f64,
    tokens: f64,
    sentiment_loss: f64,
    event_loss: f64,
    norm: f64,
    /// Steps whose gradient was not finite; they change nothing.
    lost: u32,
}

/// How far a run is.
struct Clock {
    start: Instant,
    /// Seconds that were spent before this start.
    before: f64,
    minutes: f64,
    /// Tokens of all passes.
    total: f64,
}

impl Clock {
    fn seconds(&self) -> f64 {
        self.before + self.start.elapsed().as_secs_f64()
    }

    /// The share of the run that is done, by tokens or by time, whichever is more.
    fn progress(&self, tokens: f64) -> f64 {
        (tokens / self.total).max(self.seconds() / 60.0 / self.minutes).min(1.0)
    }
}

impl Learning<'_> {
    /// Trains to the end, or as far as `stop_after` says, from a checkpoint if there is one. The best weights are
    /// then in `best.safetensors`, those of the last measurement in the checkpoint.
    pub(crate) fn run(
        &self,
        workers: &Workers,
        stream: &mut Stream,
        resumed: Option<State>,
        log: &mut Log,
    ) -> Result<State> {
        let mut adam = AdamW::new(self.weights, self.layout, self.plan.weight_decay, self.plan.clip);
        let mut state = match resumed {
            Some(state) => {
                let [first, second] = state.read_tensors(self.folder, ["first", "second"])?;
                adam.restore(&first, &second, state.steps)?;
                stream.restore(state.stream.clone())?;
                log.say(&format!("resumed after {} steps, {:.2} M tokens", state.steps, state.tokens / 1e6));
                state
            }
            None => {
                let marks = measure(workers, self.dev)?;
                log.say(&format!("start: {marks}"));
                log.write(&json!({"step": 0, "dev": marks.to_json()}))?;
                let mut state = State::new(stream.state());
                if self.start_counts {
                    self.keep(&mut state, &marks)?;
                }
                state
            }
        };
        let total = stream.tokens() * self.plan.passes;
        let clock = Clock { start: Instant::now(), before: state.seconds, minutes: self.minutes, total };
        let count = self.plan.measurements as f64;
        let mut at = clock.progress(state.tokens);
        let mut next = ((at * count).floor() + 1.0) / count;
        let mut measured = 0;
        while !state.done {
            let started = clock.seconds();
            let batches = stream.pool(at, self.plan.batch_tokens);
            // What dropout draws follows from the pool, so that it is the same after a checkpoint.
            tch::manual_seed(stream.pool_seed() as i64);
            let mut tally = Tally::default();
            for group in batches.chunks(workers.len()) {
                at = clock.progress(state.tokens);
                if at >= 1.0 {
                    break;
                }
                let tokens = self.step(workers, stream, group, at, &mut adam, &mut tally)?;
                state.tokens += tokens;
            }
            at = clock.progress(state.tokens);
            state.steps = adam.steps();
            if tally.steps > 0.0 {
                tally.report(&state, at, clock.seconds() - started, log)?;
            }
            if at >= next || at >= 1.0 {
                next = ((at * count).floor() + 1.0) / count;
                self.measure(workers, &mut state, at, log)?;
                state.seconds = clock.seconds();
                state.stream = stream.state();
                let (first, second) = adam.moments();
                state
                    .write(self.folder, &[("weights", self.weights), ("first", first), ("second", second)])?;
                measured += 1;
                if !state.done && self.stop_after.is_some_and(|most| measured >= most.get()) {
                    log.say(&format!("stopped after {measured} measurements: go on with --resume"));
                    return Ok(state);
                }
            }
        }
        if state.best.is_some_and(|best| best.step == 0) {
            log.say("nothing was better than the start: its weights are exported");
        }
        for (name, units, passes) in stream.report() {
            log.say(&format!("{name}: {units} sentences or stories, {passes:.2} passes"));
            log.write(&json!({"source": name, "units": units, "passes": passes}))?;
        }
        Ok(state)
    }

    /// One step on a batch for each worker. Returns how many tokens it had, padding not counted.
    fn step(
        &self,
        workers: &Workers,
        stream: &mut Stream,
        group: &[Vec<(usize, usize)>],
        at: f64,
        adam: &mut AdamW,
        tally: &mut Tally,
    ) -> Result<f64> {
        let batches: Vec<Vec<&[Row]>> =
            group.iter().map(|batch| batch.iter().map(|&unit| stream.unit(unit)).collect()).collect();
        let rows = || batches.iter().flatten().copied().flatten();
        let weight: f64 = rows().map(|row| f64::from(row.weight)).sum();
        let tokens: usize = rows().map(|row| row.ids.len()).sum();
        let scale = weight.max(1e-6);
        let jobs = batches
            .iter()
            .map(|units| Batch::new(units, self.plan.event_loss, self.plan.told_loss, scale))
            .collect();
        let mut sum: Option<Tensor> = None;
        for learned in workers.learn(jobs)? {
            tally.sentiment_loss += learned.sentiment_loss;
            tally.event_loss += learned.event_loss;
            sum = Some(match sum {
                Some(mut sum) => sum.g_add_(&learned.gradient),
                None => learned.gradient,
            });
        }
        let gradient = sum.unwrap_or_else(|| Tensor::zeros([self.layout.len()], (Kind::Float, Device::Cpu)));
        let rate = schedule(at, self.plan.warmup);
        let norm = adam.step(&gradient, self.plan.learning_rate * rate, self.plan.head_learning_rate * rate);
        tally.lost += u32::from(!norm.is_finite());
        ensure!(tally.lost <= 10, "the gradient was not finite in {} steps of one pool", tally.lost);
        group.iter().for_each(|batch| stream.trained(batch));
        tally.norm += norm;
        tally.steps += 1.0;
        tally.tokens += tokens as f64;
        Ok(tokens as f64)
    }

    /// Measures, keeps the weights if they are the best so far, and decides whether the run is over.
    fn measure(&self, workers: &Workers, state: &mut State, at: f64, log: &mut Log) -> Result<()> {
        let marks = measure(workers, self.dev)?;
        log.say(&format!("step {}: {marks}", state.steps));
        log.write(&json!({"step": state.steps, "progress": at, "dev": marks.to_json()}))?;
        if state.best.is_none_or(|best| marks.mean() > best.mean) {
            self.keep(state, &marks)?;
        } else {
            state.since_best += 1;
        }
        let stopped = self.plan.patience > 0 && state.since_best >= self.plan.patience;
        if stopped {
            log.say(&format!("nothing better in {} measurements: stopped", state.since_best));
        }
        state.done = at >= 1.0 || stopped;
        Ok(())
    }

    /// Keeps the weights as the best so far.
    fn keep(&self, state: &mut State, marks: &Marks) -> Result<()> {
        state.best = Some(Best { mean: marks.mean(), step: state.steps });
        state.since_best = 0;
        write_tensors(&self.folder.join("best.safetensors"), &[("weights", self.weights)])
    }
}

impl Tally {
    fn report(&self, state: &State, at: f64, seconds: f64, log: &mut Log) -> Result<()> {
        let mean = |sum: f64| sum / self.steps;
        let (sentiment, events, norm) = (mean(self.sentiment_loss), mean(self.event_loss), mean(self.norm));
        let speed = self.tokens / seconds;
        log.say(&format!(
            "{:5.1} %  step {}  loss sentiment {sentiment:.4} events {events:.4}  gradient {norm:.2}  {speed:.0} tokens/s",
            at * 100.0,
            state.steps
        ));
        log.write(&json!({
            "step": state.steps, "progress": at, "tokens": state.tokens, "sentiment_loss": sentiment,
            "event_loss": events, "gradient_norm": norm, "tokens_per_second": speed,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_as_far_as_the_faster_of_its_two_measures() {
        let clock = Clock { start: Instant::now(), before: 30.0, minutes: 1.0, total: 1000.0 };
        assert!((clock.progress(100.0) - 0.5).abs() < 0.01);
        assert_eq!(clock.progress(800.0), 0.8);
        assert_eq!(clock.progress(2000.0), 1.0);
        let clock = Clock { minutes: f64::INFINITY, ..clock };
        assert_eq!(clock.progress(100.0), 0.1);
    }
}
