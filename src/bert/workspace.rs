//! Memory that a forward needs, kept for the next one.

use std::sync::{Mutex, PoisonError};

use crate::bert::attention;
use crate::bert::kernels::RowScale;
use crate::bert::linear::Tiles;
use crate::bert::tiles::SIDE;

/// Scratch memory of one forward. It grows to the largest batch that it met.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    /// The residual stream: `[tokens, hidden]`.
    pub(super) x: Vec<f32>,
    /// Queries, keys and values: `[tokens, 3 * hidden]`.
    pub(super) qkv: Vec<f32>,
    /// Queries of the first tokens, in the last layer: `[sequences, hidden]`.
    pub(super) queries: Vec<f32>,
    /// What attention gives: `[tokens, hidden]`.
    pub(super) context: Vec<f32>,
    /// Between the two feed-forward layers: `[ROWS, intermediate]`.
    pub(super) wide: Vec<f32>,
    /// `x` quantized.
    pub(super) x_bytes: Bytes,
    /// A row block on its way into a product, quantized.
    pub(super) block_bytes: Bytes,
    pub(super) tiles: Tiles,
    pub(super) attention: attention::Scratch,
}

/// Quantized rows, and room for whole tiles of them.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    pub(super) bytes: Vec<u8>,
    pub(super) scales: Vec<RowScale>,
}

impl Bytes {
    pub(super) fn resize(&mut self, rows: usize, columns: usize) {
        self.bytes.resize(rows.next_multiple_of(SIDE) * columns, 0);
        self.scales.resize(rows, RowScale::default());
    }
}

/// Workspaces that wait for the next forward.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Workspace>>);

impl Pool {
    /// Runs `work` with a workspace.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Workspace) -> R) -> R {
        // A workspace holds nothing that one forward could leave wrong for the next.
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut workspace = taken.unwrap_or_default();
        let result = work(&mut workspace);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        result
    }
}
