//! What a run needs to go on after it was stopped.
//!
//! `checkpoint.json` has the numbers, `checkpoint.safetensors` the tensors. Each is written whole or not at all, but a
//! run may be stopped between the two, so both hold the number of steps, and a pair that disagrees is refused.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::stream::StreamState;

/// The tensor with the number of steps.
const STEPS: &str = "steps";

/// The numbers of a run; its tensors lie beside them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) steps: i64,
    pub(crate) tokens: f64,
    pub(crate) seconds: f64,
    pub(crate) stream: StreamState,
    pub(crate) best: Option<Best>,
    pub(crate) since_best: usize,
    pub(crate) done: bool,
}

/// Where the best weights of a run are from.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Best {
    /// The mean of the marks.
    pub(crate) mean: f64,
    /// 0 if they are those that the run began with.
    pub(crate) step: i64,
}

/// The two files of a checkpoint are of different moments of the run.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{} is of step {tensors}, checkpoint.json beside it of step {numbers}: the run was stopped between the two. Take a \
     copy of the folder from before, or start a new run", path.display()
)]
pub(crate) struct Mismatch {
    path: PathBuf,
    numbers: i64,
    tensors: i64,
}

fn partial(path: &Path) -> PathBuf {
    path.with_added_extension("partial")
}

fn rename(path: &Path) -> Result<()> {
    fs::rename(partial(path), path).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes named tensors to where [`rename`] takes them from.
fn write_partial(path: &Path, tensors: &[(&str, &Tensor)]) -> Result<()> {
    let partial = partial(path);
    Tensor::write_safetensors(tensors, &partial)
        .with_context(|| format!("cannot write {}", partial.display()))
}

/// Writes named tensors so that a file with this name is always whole.
pub(crate) fn write_tensors(path: &Path, tensors: &[(&str, &Tensor)]) -> Result<()> {
    write_partial(path, tensors)?;
    rename(path)
}

fn read_tensors(path: &Path) -> Result<HashMap<String, Tensor>> {
    let tensors =
        Tensor::read_safetensors(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(tensors.into_iter().collect())
}

fn take(tensors: &mut HashMap<String, Tensor>, path: &Path, name: &str) -> Result<Tensor> {
    tensors.remove(name).ok_or_else(|| anyhow!("{} has no tensor {name:?}", path.display()))
}

/// Reads one tensor of a file.
pub(crate) fn read_tensor(path: &Path, name: &str) -> Result<Tensor> {
    take(&mut read_tensors(path)?, path, name)
}

impl State {
    /// The state of a run that has done nothing.
    pub(crate) fn new(stream: StreamState) -> State {
        State { steps: 0, tokens: 0.0, seconds: 0.0, stream, best: None, since_best: 0, done: false }
    }

    /// Writes the state and the tensors that go with it.
    pub(crate) fn write(&self, folder: &Path, tensors: &[(&str, &Tensor)]) -> Result<()> {
        let (json, safe) = (folder.join("checkpoint.json"), folder.join("checkpoint.safetensors"));
        let steps = Tensor::from_slice(&[self.steps]);
        let mut all = tensors.to_vec();
        all.push((STEPS, &steps));
        write_partial(&safe, &all)?;
        fs::write(partial(&json), serde_json::to_vec(self)?)
            .with_context(|| format!("cannot write {}", partial(&json).display()))?;
        // Both are on the disk, so that little time is left between the two for a stop.
        rename(&safe)?;
        rename(&json)
    }

    /// Reads the state of the run in `folder`, if there is one.
    pub(crate) fn read(folder: &Path) -> Result<Option<State>> {
        let path = folder.join("checkpoint.json");
        if !path.exists() {
            return Ok(None);
        }
        let json = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let state = serde_json::from_slice(&json).with_context(|| format!("in {}", path.display()))?;
        Ok(Some(state))
    }

    /// Reads tensors that were written with this state.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] if they were written with another one.
    pub(crate) fn read_tensors<const N: usize>(
        &self,
        folder: &Path,
        names: [&str; N],
    ) -> Result<[Tensor; N]> {
        let path = folder.join("checkpoint.safetensors");
        let mut tensors = read_tensors(&path)?;
        let steps = take(&mut tensors, &path, STEPS)?;
        let steps = Vec::<i64>::try_from(&steps).ok().and_then(|steps| steps.first().copied());
        let steps = steps.with_context(|| format!("{}: {STEPS:?} is no number of steps", path.display()))?;
        if steps != self.steps {
            return Err(Mismatch { path, numbers: self.steps, tensors: steps }.into());
        }
        let found: Vec<Tensor> =
            names.iter().map(|name| take(&mut tensors, &path, name)).collect::<Result<_>>()?;
        found.try_into().map_err(|_| anyhow!("{}: not the tensors of a checkpoint", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;

    #[test]
    fn tensors_of_another_step_are_refused() {
        let folder = std::env::temp_dir().join(format!("amends-train-checkpoint-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        assert!(State::read(&folder).unwrap().is_none());
        let write = |steps: i64| {
            let state = State { steps, ..State::new(Stream::new(1, 64, Vec::new()).state()) };
            state.write(&folder, &[("weights", &Tensor::from_slice(&[steps as f32, 2.0]))]).unwrap();
        };
        write(7);
        let seventh = State::read(&folder).unwrap().unwrap();
        let [weights] = seventh.read_tensors(&folder, ["weights"]).unwrap();
        assert_eq!(weights, Tensor::from_slice(&[7f32, 2.0]));
        let error = seventh.read_tensors(&folder, ["first"]).unwrap_err().to_string();
        assert!(error.contains("no tensor \"first\""), "{error}");
        // What a stop between the two leaves behind: the tensors are newer.
        write(9);
        let error = seventh.read_tensors(&folder, ["weights"]).unwrap_err();
        let mismatch: &Mismatch = error.downcast_ref().unwrap();
        assert_eq!((mismatch.numbers, mismatch.tensors), (7, 9));
        assert!(error.to_string().contains("step 9"), "{error}");
        assert_eq!(State::read(&folder).unwrap().unwrap().steps, 9);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing partial is left");
        fs::remove_dir_all(&folder).unwrap();
    }
}
