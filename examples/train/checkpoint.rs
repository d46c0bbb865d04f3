//! What a run needs to go on after it was stopped.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::stream::StreamState;

/// The numbers of a run; its tensors lie beside them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) steps: i64,
    pub(crate) tokens: f64,
    pub(crate) seconds: f64,
    pub(crate) stream: StreamState,
    pub(crate) best: Option<f64>,
    pub(crate) since_best: usize,
    pub(crate) done: bool,
}

/// Writes named tensors so that a file with this name is always whole.
pub(crate) fn write_tensors(path: &Path, tensors: &[(&str, &Tensor)]) -> Result<()> {
    let partial = path.with_extension("partial");
    Tensor::write_safetensors(tensors, &partial)
        .with_context(|| format!("cannot write {}", partial.display()))?;
    std::fs::rename(&partial, path).with_context(|| format!("cannot write {}", path.display()))
}

/// Reads one tensor of a file.
pub(crate) fn read_tensor(path: &Path, name: &str) -> Result<Tensor> {
    let tensors =
        Tensor::read_safetensors(path).with_context(|| format!("cannot read {}", path.display()))?;
    let found = tensors.into_iter().find(|(found, _)| found == name);
    found.map(|(_, tensor)| tensor).ok_or_else(|| anyhow!("{} has no tensor {name:?}", path.display()))
}

impl State {
    /// The state of a run that has done nothing.
    pub(crate) fn new(stream: StreamState) -> State {
        State { steps: 0, tokens: 0.0, seconds: 0.0, stream, best: None, since_best: 0, done: false }
    }

    /// Writes the state and the tensors that go with it.
    pub(crate) fn write(&self, folder: &Path, tensors: &[(&str, &Tensor)]) -> Result<()> {
        write_tensors(&folder.join("checkpoint.safetensors"), tensors)?;
        let json = folder.join("checkpoint.json");
        std::fs::write(&json, serde_json::to_vec(self)?)
            .with_context(|| format!("cannot write {}", json.display()))
    }

    /// Reads the state of the run in `folder`, if there is one.
    pub(crate) fn read(folder: &Path) -> Result<Option<State>> {
        let path = folder.join("checkpoint.json");
        if !path.exists() {
            return Ok(None);
        }
        let json = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let state = serde_json::from_slice(&json).with_context(|| format!("in {}", path.display()))?;
        Ok(Some(state))
    }
}
