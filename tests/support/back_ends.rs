//! The engines that run the shipped weights: what is promised of whole stories is tried on each.

use std::sync::LazyLock;

use amends::Analyzer;

/// An analyzer, and what runs its model.
pub(crate) struct BackEnd {
    #[allow(dead_code)] // not every test says it
    pub(crate) name: &'static str,
    pub(crate) analyzer: Analyzer,
}

/// The embedded engine in int8; with feature `rust-bert` libtorch in f32, too.
pub(crate) fn load() -> Vec<BackEnd> {
    #[allow(unused_mut, reason = "libtorch follows where the feature is on")]
    let mut all = vec![BackEnd { name: "embedded", analyzer: Analyzer::embedded().unwrap() }];
    #[cfg(feature = "rust-bert")]
    {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/model");
        let builder = Analyzer::builder().torch_dir(folder, amends::TorchOptions::new());
        all.push(BackEnd { name: "libtorch", analyzer: builder.build().unwrap() });
    }
    all
}

/// The same, loaded once for all tests of a file.
#[allow(dead_code)] // not every test takes it
pub(crate) static ALL: LazyLock<Vec<BackEnd>> = LazyLock::new(load);
