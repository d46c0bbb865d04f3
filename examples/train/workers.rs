//! Threads that run the model, each on its own batches.
//!
//! One thread a core, each with its own batch, keeps the cores busier than libtorch's splitting of every
//! small operation among them, and loses less where other programs want the cores too.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

use anyhow::{Result, anyhow};
use tch::{Kind, Reduction, Tensor};

use crate::data::EVENTS;
use crate::input::Input;
use crate::model::{Network, Output};
use crate::stream::Row;

/// Rows to learn from. Losses are sums over the rows, divided by `scale`.
#[derive(Debug)]
pub(crate) struct Batch {
    input: Input,
    sentiment: Tensor,
    sentiment_weight: Tensor,
    events: Tensor,
    event_weight: Tensor,
    told: Tensor,
    told_weight: Tensor,
    scale: f64,
}

impl Batch {
    /// `scale` is the weight of all rows of the step; `event_loss` and `told_loss` weigh the losses beside that of
    /// sentiment.
    pub(crate) fn new(units: &[&[Row]], event_loss: f64, told_loss: f64, scale: f64) -> Batch {
        let rows: Vec<&Row> = units.iter().copied().flatten().collect();
        let count = rows.len() as i64;
        let mut sentiment = Vec::with_capacity(rows.len() * 3);
        let mut sentiment_weight = Vec::with_capacity(rows.len());
        let mut events = vec![0f32; rows.len() * EVENTS];
        let mut event_weight = Vec::with_capacity(rows.len());
        let told: Vec<f32> = rows.iter().map(|row| f32::from(u8::from(row.told == Some(true)))).collect();
        let mut told_weight = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            sentiment.extend(row.sentiment.unwrap_or([0.0; 3]));
            sentiment_weight.push(if row.sentiment.is_some() { row.weight } else { 0.0 });
            for &(label, p) in row.events.iter().flatten() {
                events[index * EVENTS + label] = p;
            }
            event_weight.push(if row.events.is_some() { row.weight * event_loss as f32 } else { 0.0 });
            told_weight.push(if row.told.is_some() { row.weight * told_loss as f32 } else { 0.0 });
        }
        Batch {
            input: Input::new(&units.iter().map(|unit| ids(unit)).collect::<Vec<_>>()),
            sentiment: Tensor::from_slice(&sentiment).view([count, 3]),
            sentiment_weight: Tensor::from_slice(&sentiment_weight),
            events: Tensor::from_slice(&events).view([count, EVENTS as i64]),
            event_weight: Tensor::from_slice(&event_weight),
            told: Tensor::from_slice(&told),
            told_weight: Tensor::from_slice(&told_weight),
            scale,
        }
    }

    /// The summed losses of the heads: cross-entropy with soft targets, binary cross-entropy summed over the
    /// labels, and binary cross-entropy.
    fn losses(&self, output: &Output) -> [Tensor; 3] {
        let log = output.sentiment.log_softmax(-1, Kind::Float);
        let sentiment = -((log * &self.sentiment).sum_dim_intlist(-1, false, Kind::Float)
            * &self.sentiment_weight)
            .sum(Kind::Float);
        let each = output.events.binary_cross_entropy_with_logits::<Tensor>(
            &self.events,
            None,
            None,
            Reduction::None,
        );
        let events = (each.sum_dim_intlist(-1, false, Kind::Float) * &self.event_weight).sum(Kind::Float);
        let told = output.told.binary_cross_entropy_with_logits(
            &self.told,
            Some(&self.told_weight),
            None,
            Reduction::Sum,
        );
        [sentiment / self.scale, events / self.scale, told / self.scale]
    }
}

fn ids(unit: &[Row]) -> Vec<&[u32]> {
    unit.iter().map(|row| row.ids.as_slice()).collect()
}

enum Job {
    Learn(Batch),
    Read(Input),
}

/// What learning from a batch gave.
#[derive(Debug)]
pub(crate) struct Learned {
    /// Of all weights, in the order of the layout.
    pub(crate) gradient: Tensor,
    pub(crate) sentiment_loss: f64,
    pub(crate) event_loss: f64,
}

enum Reply {
    Learned(Learned),
    Read(Output),
}

/// A pool of threads that share the weights. The weights must change only while no thread has a job,
/// which the methods see to: they return when all their jobs are done.
pub(crate) struct Workers {
    threads: Vec<(Sender<Job>, Receiver<Reply>)>,
}

impl Workers {
    /// Starts a thread for each set of leaves. They end when the pool is dropped.
    pub(crate) fn start<'s>(
        scope: &'s Scope<'s, '_>,
        network: &'s Network,
        leaves: Vec<Vec<Tensor>>,
    ) -> Workers {
        let threads = leaves
            .into_iter()
            .map(|leaves| {
                let (job_sender, jobs) = channel();
                let (reply, replies) = channel();
                scope.spawn(move || {
                    while let Ok(job) = jobs.recv() {
                        if reply.send(work(network, &leaves, job)).is_err() {
                            break;
                        }
                    }
                });
                (job_sender, replies)
            })
            .collect();
        Workers { threads }
    }

    /// How many batches are handled at once.
    pub(crate) fn len(&self) -> usize {
        self.threads.len()
    }

    /// Learns from at most [`Workers::len`] batches at once; results are in their order.
    pub(crate) fn learn(&self, batches: Vec<Batch>) -> Result<Vec<Learned>> {
        let replies = self.all(batches.into_iter().map(Job::Learn).collect())?;
        let learned = replies.into_iter().map(|reply| match reply {
            Reply::Learned(learned) => Ok(learned),
            Reply::Read(_) => Err(anyhow!("a worker answered another question")),
        });
        learned.collect()
    }

    /// Runs any number of inputs without learning; results are in their order.
    pub(crate) fn read(&self, inputs: Vec<Input>) -> Result<Vec<Output>> {
        let mut outputs = Vec::with_capacity(inputs.len());
        let mut inputs = inputs.into_iter().map(Job::Read).peekable();
        while inputs.peek().is_some() {
            for reply in self.all(inputs.by_ref().take(self.len()).collect())? {
                match reply {
                    Reply::Read(output) => outputs.push(output),
                    Reply::Learned(_) => return Err(anyhow!("a worker answered another question")),
                }
            }
        }
        Ok(outputs)
    }

    fn all(&self, jobs: Vec<Job>) -> Result<Vec<Reply>> {
        let count = jobs.len();
        for (job, (sender, _)) in jobs.into_iter().zip(&self.threads) {
            sender.send(job).map_err(|_| anyhow!("a worker thread ended"))?;
        }
        let replies = self.threads[..count].iter().map(|(_, replies)| replies.recv());
        replies.map(|reply| reply.map_err(|_| anyhow!("a worker thread ended"))).collect()
    }
}

fn work(network: &Network, leaves: &[Tensor], job: Job) -> Reply {
    match job {
        Job::Learn(batch) => {
            let output = network.forward(leaves, &batch.input, true);
            let [sentiment, events, told] = batch.losses(&output);
            let gradients = Tensor::run_backward(&[&sentiment + &events + &told], leaves, false, false);
            let flat: Vec<Tensor> = gradients.iter().map(|gradient| gradient.reshape([-1])).collect();
            Reply::Learned(Learned {
                gradient: Tensor::cat(&flat, 0),
                sentiment_loss: sentiment.double_value(&[]),
                event_loss: events.double_value(&[]),
            })
        }
        Job::Read(input) => tch::no_grad(|| Reply::Read(network.forward(leaves, &input, false))),
    }
}
