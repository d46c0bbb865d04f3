//! Streams of stories, a bounded number of them at a time.

use std::collections::VecDeque;
use std::fmt;

use crate::analysis::Analysis;
use crate::analyzer::{AnalyzeOptions, Analyzer, AsStory};
use crate::error::AnalyzeError;

/// Stories that are read ahead, at most, for each thread of the pool.
const STORIES_A_THREAD: usize = 64;

/// Bytes of text that are read ahead, about. A longer story is worked on alone.
const LOOK_AHEAD_BYTES: usize = 1 << 20;

/// The results of [`Analyzer::analyze_iter`]: each story with its result, in the order of the input.
///
/// The stories are handed back, so that a caller can go on with what came with them.
pub struct AnalyzeIter<'a, I: Iterator> {
    analyzer: &'a Analyzer,
    stories: I,
    options: AnalyzeOptions,
    ready: VecDeque<(I::Item, Result<Analysis, AnalyzeError>)>,
}

impl<I: Iterator> fmt::Debug for AnalyzeIter<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnalyzeIter").field("ready", &self.ready.len()).finish_non_exhaustive()
    }
}

impl<'a, I> AnalyzeIter<'a, I>
where
    I: Iterator,
    I::Item: AsStory + Sync,
{
    pub(crate) fn new(analyzer: &'a Analyzer, stories: I, options: AnalyzeOptions) -> Self {
        AnalyzeIter { analyzer, stories, options, ready: VecDeque::new() }
    }

    fn fill(&mut self) {
        let most = STORIES_A_THREAD * rayon::current_num_threads();
        let (mut items, mut bytes) = (Vec::new(), 0);
        while items.len() < most && bytes < LOOK_AHEAD_BYTES {
            let Some(item) = self.stories.next() else { break };
            bytes += item.as_story().text().len();
            items.push(item);
        }
        let documents: Vec<_> = items.iter().map(AsStory::as_story).collect();
        let results = self.analyzer.analyze_batch_with(&documents, &self.options);
        drop(documents);
        self.ready.extend(items.into_iter().zip(results));
    }
}

impl<I> Iterator for AnalyzeIter<'_, I>
where
    I: Iterator,
    I::Item: AsStory + Sync,
{
    type Item = (I::Item, Result<Analysis, AnalyzeError>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty() {
            self.fill();
        }
        self.ready.pop_front()
    }
}
