//! One analyzer, used from everywhere at once: plain threads, an asynchronous runtime, pools of the caller's own.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use amends::output::*;
use amends::summary::*;
use amends::*;
use rayon::prelude::*;

#[cfg(feature = "embedded")]
#[path = "support/back_ends.rs"]
mod back_ends;
#[cfg(not(feature = "embedded"))]
#[path = "support/counting.rs"]
mod counting;

const fn shared<T: Send + Sync>() {}
const fn plain<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}

/// Checked by the compiler: every public type crosses threads.
const _: () = {
    shared::<Analyzer>();
    shared::<AnalyzerBuilder>();
    shared::<AnalyzeIter<'_, std::vec::IntoIter<String>>>();
    shared::<Engine>();
    shared::<Box<dyn Encoder>>();
    shared::<Tokenizer>();
    shared::<Model>();
    shared::<Extractor>();
    shared::<RuleSet>();
    shared::<Scorer>();
    shared::<LoadError>();
    shared::<AnalyzeError>();
    shared::<Heads>();
    shared::<Head>();
    plain::<AnalyzeOptions>();
    plain::<Limits>();
    plain::<Document<'_>>();
    plain::<Analysis>();
    plain::<Sentence>();
    plain::<Segment>();
    plain::<BlockKind>();
    plain::<Boilerplate>();
    plain::<Sentiment>();
    plain::<SentimentLabel>();
    plain::<Event>();
    plain::<EventType>();
    plain::<EventGroup>();
    plain::<Evidence>();
    plain::<Status>();
    plain::<Actor>();
    plain::<RuleCode>();
    plain::<RuleFailure>();
    plain::<UnknownName>();
    plain::<MergeConfig>();
    plain::<Interaction>();
    plain::<Provider>();
    plain::<Link>();
    plain::<LinkKind>();
    plain::<Score>();
    plain::<Scored>();
    plain::<Contribution>();
    plain::<Dimensions>();
    plain::<Flag>();
    plain::<Reason>();
    plain::<Weights>();
    plain::<Span>();
    plain::<SentenceId>();
    plain::<InteractionId>();
    plain::<Token>();
    plain::<TokenBatch>();
    plain::<Tensor>();
    plain::<LabelMap>();
    plain::<Precision>();
    plain::<Warning>();
    plain::<AnalyzeErrorKind>();
    plain::<LoadErrorKind>();
    plain::<Record>();
    plain::<StoryRecord>();
    plain::<ErrorRecord>();
    plain::<ErrorBody>();
    plain::<SentenceRecord>();
    plain::<SentimentRecord>();
    plain::<EventRecord>();
    plain::<InteractionRecord>();
    plain::<ScoreRecord>();
    plain::<ContributionRecord>();
    plain::<LinkRecord>();
    shared::<ReadError>();
    plain::<ReadErrorKind>();
    plain::<ReadOptions>();
    plain::<ReadText>();
    plain::<Turn>();
    plain::<Format>();
    plain::<Malformed>();
    plain::<Severity>();
    plain::<Tone>();
    plain::<ScoreInput<'_>>();
    plain::<EventWeights>();
    plain::<IntervalWeights>();
    plain::<LinkWeights>();
    plain::<RecoveryWeights>();
    plain::<SentimentWeights>();
    plain::<SeverityWeights>();
    plain::<MergeNumbers>();
    plain::<RuleHit>();
    plain::<EventProbs>();
    plain::<QuantizeReport>();
    plain::<QuantizedTensor>();
    plain::<SummaryBuilder>();
    plain::<SummaryOptions>();
    plain::<SummaryKey<'_>>();
    plain::<Month>();
    plain::<ParseMonthError>();
    plain::<Summary>();
    plain::<Bootstrap>();
    plain::<Estimate>();
    plain::<ScoreSummary>();
    plain::<Quantile>();
    plain::<FailureSummary>();
    plain::<FailureType>();
    plain::<RecoveryType>();
    plain::<Mover>();
    plain::<SentimentShare>();
    plain::<FlagShare>();
    plain::<GroupSummary>();
};

#[cfg(feature = "rust-bert")]
const _: () = {
    shared::<TorchEncoder>();
    plain::<TorchBatching>();
    plain::<TorchDevice>();
    plain::<TorchOptions>();
    plain::<TorchOutput>();
    plain::<TorchPrecision>();
};

/// The shipped model on every back end where the build has it, else an engine without one.
static ANALYZERS: LazyLock<Vec<Analyzer>> = LazyLock::new(|| {
    #[cfg(feature = "embedded")]
    return back_ends::load().into_iter().map(|end| end.analyzer).collect();
    #[cfg(not(feature = "embedded"))]
    vec![counting::analyzer().0.build().unwrap()]
});

const STORIES: [&str; 3] = [
    "They lost my bag, and nobody apologised. A week later it came, with a note and a voucher.",
    "Quick and friendly.",
    "",
];

/// What each of [`ANALYZERS`] says of each story.
static EXPECTED: LazyLock<Vec<Vec<Analysis>>> = LazyLock::new(|| {
    let all = |analyzer: &Analyzer| STORIES.iter().map(|story| analyzer.analyze(*story).unwrap()).collect();
    ANALYZERS.iter().map(all).collect()
});

/// A batch gives what single stories gave.
#[track_caller]
fn as_expected() {
    for (analyzer, expected) in ANALYZERS.iter().zip(&*EXPECTED) {
        let found = analyzer.analyze_batch(&STORIES.map(Document::new));
        assert_eq!((found.len(), expected.len()), (STORIES.len(), STORIES.len()));
        for (found, expected) in found.into_iter().zip(expected) {
            assert_eq!(found.unwrap(), *expected);
        }
    }
}

/// Panics if `work` has not ended after five minutes: somebody waits for somebody who waits.
fn ends(work: impl FnOnce() + Send + 'static) {
    let (done, wait) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    match wait.recv_timeout(Duration::from_secs(300)) {
        Ok(()) => thread.join().unwrap(),
        Err(_) if thread.is_finished() => thread.join().unwrap(),
        Err(_) => panic!("it hangs"),
    }
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

#[test]
fn sixty_four_threads_at_once() {
    ends(|| {
        LazyLock::force(&EXPECTED);
        let start = Arc::new(std::sync::Barrier::new(64));
        let threads: Vec<_> = (0..64)
            .map(|_| {
                let start = Arc::clone(&start);
                std::thread::spawn(move || {
                    start.wait();
                    as_expected();
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_pool_of_one() {
    ends(|| pool(1).install(as_expected));
}

#[test]
fn the_pool_of_the_caller() {
    ends(|| {
        LazyLock::force(&EXPECTED);
        // Every thread of the pool is in a story already when the stories ask for threads of it.
        pool(3).install(|| (0..24).into_par_iter().for_each(|_| as_expected()));
    });
}

#[test]
fn a_pool_within_a_pool() {
    ends(|| pool(2).install(|| pool(1).install(|| pool(3).install(as_expected))));
}

#[test]
fn an_asynchronous_runtime() {
    ends(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            // The work takes milliseconds and more, so it goes where blocking is allowed.
            let tasks: Vec<_> = (0..16).map(|_| tokio::task::spawn_blocking(as_expected)).collect();
            for task in tasks {
                task.await.unwrap();
            }
            // It works on the runtime's own threads, too, if it must.
            tokio::spawn(async { as_expected() }).await.unwrap();
        });
    });
}

/// Panics in the midst of a story, where it is asked for its text.
struct Panicking;

impl AsStory for Panicking {
    fn as_story(&self) -> Document<'_> {
        panic!("a panic of the caller's own")
    }
}

#[test]
fn a_panic_of_the_caller_leaves_the_analyzer_whole() {
    ends(|| {
        for analyzer in ANALYZERS.iter().cycle().take(3 * ANALYZERS.len()) {
            let caught = std::thread::spawn(|| {
                let stories = (0..10).map(|_| Panicking);
                analyzer.analyze_iter(stories).for_each(|(_, found)| assert!(found.is_ok()));
            });
            assert!(caught.join().is_err());
            as_expected();
        }
    });
}
