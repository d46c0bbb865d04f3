//! Threads that own the modules, and the queue to them.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tch::{Device, Kind, Tensor};

use super::TorchBatching;
use super::checkpoint::Tensors;
use super::model::{Blueprint, Model};
use crate::error::{AnalyzeError, LoadError, LoadErrorKind};

/// Sequences (by their number in the batch) that go through the model together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pass(Vec<usize>);

/// Divides sequences of these lengths into passes, long ones first so that the workers end about together.
pub(super) fn passes(lengths: &[usize], batching: TorchBatching, equal_lengths: bool) -> Vec<Pass> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
    let mut passes: Vec<Pass> = Vec::new();
    for index in order {
        let joins = match (batching, passes.last()) {
            (TorchBatching::Padded { max_tokens }, Some(Pass(members))) => {
                let longest = lengths[members[0]];
                let fits = (members.len() + 1) * longest <= max_tokens.get();
                fits && (longest == lengths[index] || !equal_lengths)
            }
            _ => false,
        };
        match passes.last_mut() {
            Some(Pass(members)) if joins => members.push(index),
            _ => passes.push(Pass(vec![index])),
        }
    }
    passes
}

/// The sequences of a pass, and their vectors one after another.
type Reply = (Vec<usize>, Result<Vec<f32>, AnalyzeError>);

struct Job {
    members: Vec<usize>,
    /// Token ids, each sequence padded to `length`.
    ids: Vec<i64>,
    /// 1 for each token, 0 for padding.
    mask: Vec<i64>,
    length: usize,
    /// Set once a pass of the same batch has failed.
    failed: Arc<AtomicBool>,
    reply: Sender<Reply>,
}

/// Held while threads are started: see [`IntraOp`].
static STARTING: Mutex<()> = Mutex::new(());

/// libtorch's number of threads for one operation, put back when this is dropped.
///
/// A worker's setting of one thread is its own, but libtorch also hands the latest one on to threads that have not set
/// theirs. So it is put back for everyone else once no worker is left that may still set its own, and encoders start
/// one after another.
struct IntraOp(i32);

impl Drop for IntraOp {
    fn drop(&mut self) {
        tch::set_num_threads(self.0);
    }
}

/// Threads with a module each, over the same weights.
#[derive(Debug)]
pub(super) struct Workers {
    /// `None` only while they are being ended.
    jobs: Option<Sender<Job>>,
    /// Touched when they are started and ended only, so a panic elsewhere cannot leave them halfway.
    threads: AssertUnwindSafe<Vec<JoinHandle<()>>>,
    dim: usize,
    padding: i64,
}

impl Workers {
    /// Starts the threads and returns once each has built its module and run it once.
    pub(super) fn start(
        count: NonZeroUsize,
        blueprint: &Arc<Blueprint>,
        tensors: Tensors,
        device: Device,
    ) -> Result<Self, LoadError> {
        let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        Self::start_alone(count, blueprint, tensors, device)
    }

    /// [`Workers::start`] for a caller that holds [`STARTING`].
    fn start_alone(
        count: NonZeroUsize,
        blueprint: &Arc<Blueprint>,
        tensors: Tensors,
        device: Device,
    ) -> Result<Self, LoadError> {
        // Before the workers, so that it is dropped after them: on an error they are ended first.
        let _intra_op = IntraOp(tch::get_num_threads());
        let (jobs, queue) = mpsc::channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        let (ready, readiness) = mpsc::channel();
        let mut workers = Workers {
            jobs: Some(jobs),
            threads: AssertUnwindSafe(Vec::new()),
            dim: blueprint.dim(),
            padding: blueprint.padding(),
        };
        for number in 0..count.get() {
            let mine: Tensors =
                tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
            let (blueprint, queue, ready) = (Arc::clone(blueprint), Arc::clone(&queue), ready.clone());
            let thread = thread::Builder::new().name(format!("amends-torch-{number}")).spawn(move || {
                tch::set_num_threads(1);
                let _no_gradients = tch::no_grad_guard();
                match build(&blueprint, &mine, device) {
                    Ok(model) => {
                        drop(mine);
                        let _ = ready.send(Ok(()));
                        drop(ready);
                        work(&model, device, &queue);
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
            });
            let thread = thread.map_err(|error| {
                LoadError::new(LoadErrorKind::Io, "cannot start a thread").with_source(error)
            })?;
            workers.threads.push(thread);
        }
        drop(ready);
        readiness.iter().collect::<Result<(), LoadError>>()?;
        Ok(workers)
    }

    /// Runs `passes` over `sequences` and gives `sink` the vector of each sequence, in any order.
    pub(super) fn run(
        &self,
        sequences: &[&[u32]],
        passes: Vec<Pass>,
        mut sink: impl FnMut(usize, &[f32]),
    ) -> Result<(), AnalyzeError> {
        let gone = || AnalyzeError::back_end("the threads of the libtorch back end have ended", None);
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        let (reply, replies) = mpsc::channel();
        let failed = Arc::new(AtomicBool::new(false));
        let mut open = passes.len();
        for Pass(members) in passes {
            let length = members.iter().map(|&member| sequences[member].len()).max().unwrap_or(0);
            let mut ids = vec![self.padding; members.len() * length];
            let mut mask = vec![0; members.len() * length];
            for (row, &member) in members.iter().enumerate() {
                for (column, &id) in sequences[member].iter().enumerate() {
                    ids[row * length + column] = i64::from(id);
                    mask[row * length + column] = 1;
                }
            }
            let (failed, reply) = (Arc::clone(&failed), reply.clone());
            jobs.send(Job { members, ids, mask, length, failed, reply }).map_err(|_| gone())?;
        }
        drop(reply);
        for (members, result) in &replies {
            open -= 1;
            match result {
                Ok(vectors) => {
                    for (&member, vector) in members.iter().zip(vectors.chunks_exact(self.dim)) {
                        sink(member, vector);
                    }
                }
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        if open == 0 { Ok(()) } else { Err(gone()) }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // Without a sender the queue ends, and with it the threads.
        self.jobs = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Builds a module and tries it, so that what it cannot do comes out now and not with the first story.
fn build(blueprint: &Blueprint, tensors: &Tensors, device: Device) -> Result<Model, LoadError> {
    let built = panic::catch_unwind(AssertUnwindSafe(|| blueprint.build(tensors, device)));
    let model = built.unwrap_or_else(|panic| {
        let message = format!("rust-bert cannot build this configuration: {}", words(&*panic));
        Err(LoadError::new(LoadErrorKind::Format, message))
    })?;
    let length = blueprint.max_tokens().min(2);
    if let Err(error) = forward(&model, device, &vec![0; length], &vec![1; length], length) {
        let message = "this device cannot run the model in this precision";
        return Err(LoadError::new(LoadErrorKind::Unsupported, message).with_source(error));
    }
    Ok(model)
}

fn work(model: &Model, device: Device, queue: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while waiting: whoever has it is next, and the rest wait for the lock.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if job.failed.load(Ordering::Relaxed) {
            continue;
        }
        let result = forward(model, device, &job.ids, &job.mask, job.length);
        // If nobody waits any more, the batch has failed.
        let _ = job.reply.send((job.members, result));
    }
}

/// One pass: `ids` and `mask` are `[batch, length]`, the result is `[batch, dim]`.
fn forward(
    model: &Model,
    device: Device,
    ids: &[i64],
    mask: &[i64],
    length: usize,
) -> Result<Vec<f32>, AnalyzeError> {
    let run = || -> Result<Vec<f32>, rust_bert::RustBertError> {
        let place = |numbers: &[i64]| -> Result<Tensor, tch::TchError> {
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            Tensor::from_slice(numbers).f_view([-1, length])?.f_to(device)
        };
        let vectors = model.forward(&place(ids)?, &place(mask)?)?;
        let vectors = vectors.f_to_kind(Kind::Float)?.f_to(Device::Cpu)?.f_contiguous()?.f_flatten(0, -1)?;
        Ok(Vec::<f32>::try_from(&vectors)?)
    };
    let vectors = match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(vectors)) => vectors,
        Ok(Err(error)) => return Err(AnalyzeError::back_end("libtorch failed", Some(Box::new(error)))),
        Err(panic) => {
            return Err(AnalyzeError::back_end(format!("libtorch failed: {}", words(&*panic)), None));
        }
    };
    if vectors.iter().all(|number| number.is_finite()) {
        Ok(vectors)
    } else {
        let message = "the model's numbers grew too large for its precision (its result is not finite)";
        Err(AnalyzeError::back_end(message, None))
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint::Checkpoint;
    use super::*;

    #[test]
    fn alone_means_one_sequence_a_pass_long_ones_first() {
        let passes = passes(&[3, 9, 5], TorchBatching::Alone, false);
        assert_eq!(passes, [Pass(vec![1]), Pass(vec![2]), Pass(vec![0])]);
    }

    #[test]
    fn padded_passes_stay_within_their_bound_and_hold_every_sequence_once() {
        let lengths: Vec<usize> = (0..200).map(|index| 1 + index * 37 % 96).collect();
        for (bound, equal) in [(1, false), (64, false), (256, false), (256, true), (100_000, false)] {
            let batching = TorchBatching::Padded { max_tokens: NonZeroUsize::new(bound).unwrap() };
            let passes = passes(&lengths, batching, equal);
            let mut seen = vec![0; lengths.len()];
            for Pass(members) in &passes {
                let longest = members.iter().map(|&member| lengths[member]).max().unwrap();
                assert!(members.len() == 1 || members.len() * longest <= bound, "{members:?}");
                assert!(!equal || members.iter().all(|&member| lengths[member] == longest));
                members.iter().for_each(|&member| seen[member] += 1);
            }
            assert!(seen.iter().all(|&times| times == 1));
        }
    }

    #[test]
    fn workers_that_cannot_start_leave_the_threads_of_libtorch_as_they_were() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/torch/bert");
        let checkpoint = Checkpoint::open(folder.as_ref()).unwrap();
        let blueprint = Arc::new(Blueprint::new(&checkpoint, Some(3)).unwrap());
        let _starting = STARTING.lock().unwrap();
        let _before = IntraOp(tch::get_num_threads());
        tch::set_num_threads(3);
        let eight = NonZeroUsize::new(8).unwrap();
        for _ in 0..20 {
            Workers::start_alone(eight, &blueprint, Tensors::new(), Device::Cpu).unwrap_err();
            assert_eq!(thread::spawn(tch::get_num_threads).join().unwrap(), 3);
        }
    }

    #[test]
    fn a_pass_that_panics_is_an_error_and_the_worker_goes_on() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/torch/bert");
        let checkpoint = Checkpoint::open(folder.as_ref()).unwrap();
        let blueprint = Arc::new(Blueprint::new(&checkpoint, Some(3)).unwrap());
        let tensors = checkpoint.read_tensors(Device::Cpu, Kind::Float).unwrap();
        let workers = Workers::start(NonZeroUsize::MIN, &blueprint, tensors, Device::Cpu).unwrap();
        let sequences: [&[u32]; 3] = [&[2, 9999, 3], &[2, 3], &[2, 5, 3]];
        let passes = |members: &[usize]| members.iter().map(|&member| Pass(vec![member])).collect();
        for _ in 0..3 {
            let error = workers.run(&sequences, passes(&[0, 1, 2]), |_, _| {}).unwrap_err();
            assert!(error.to_string().contains("index out of range"), "{error}");
            let mut seen = Vec::new();
            workers
                .run(&sequences, passes(&[2, 1]), |member, vector| seen.push((member, vector.len())))
                .unwrap();
            assert_eq!(seen, [(2, 3), (1, 3)]);
        }
    }
}
