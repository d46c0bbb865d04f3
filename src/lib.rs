//! Reads what customers write about how they were served, and tells whether the company made amends.
//!
//! ```
//! # #[cfg(feature = "embedded")] {
//! use amends::{Analyzer, EventType, Status};
//!
//! let analyzer = Analyzer::embedded()?;
//! let text = "The parcel never came. Not once did anyone apologise.";
//! let analysis = analyzer.analyze(text)?;
//!
//! let apology = analysis.events().iter().find(|event| *event.event_type() == EventType::Apology);
//! let apology = apology.expect("an apology, if only a missing one");
//! assert_eq!(apology.status(), Status::Absent);
//! assert_eq!(&text[apology.span()], "apologise");
//! assert!(analysis.interactions()[0].score().value() < 30.0);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The types you will meet
//!
//! - [`Analyzer`] reads stories. It is built once and shared.
//! - [`Document`] is a story with its name; a `&str` will do.
//! - [`Analysis`] is what was found: [`Sentence`]s with their [`Sentiment`], [`Event`]s, [`Interaction`]s with their
//!   [`Score`]. It owns no text; all places are [`Span`]s.
//! - [`output::StoryRecord`] is the owned form that is written as JSON.
//! - [`summary::Summary`] is what many analyses say together.
//!
//! # How to
//!
//! - read files, pages and mails: [`read_file`], [`read_bytes`], [`read_str`];
//! - analyse many stories: [`Analyzer::analyze_batch`], or [`Analyzer::analyze_iter`] for a stream;
//! - see what they say together: [`summary::SummaryBuilder`], or the example `corpus` for tables of stories;
//! - take another model: [`AnalyzerBuilder::model_dir`], [`AnalyzerBuilder::engine`];
//! - add events and rules of your own: [`AnalyzerBuilder::rules_dir`];
//! - weigh events differently: [`AnalyzerBuilder::weights`] with [`Weights::from_toml`];
//! - use a part alone: [`segment`] finds sentences, [`Extractor`] finds events, [`Scorer`] scores, [`Encoder`] turns
//!   tokens into vectors.
//!
//! # What is promised
//!
//! - Offsets are UTF-8 bytes of the text that went in, half open, and lie between characters.
//! - Sentences are sorted and do not overlap; between them is nothing but white space.
//! - Any text has a result: no panic, no hang, work in proportion to its length. The embedded engine fails only on a
//!   text above one of the [`Limits`], and the error names both numbers.
//! - The same text has the same result, bit for bit, whatever is analysed beside it, in whatever order and on however
//!   many threads. At int8 it has them on whatever CPU, too, by construction: sums of products of 7-bit weights are
//!   exact integers that nothing saturates. It was run on AMX, on AVX-512 with and without VNNI, and on AVX2, with
//!   the same bytes of output for 140 reviews; kernels of our own are tested against plain code.
//! - No network, unless `TorchEncoder::fetch` of feature `remote` is called; no global state. One environment variable
//!   is read, `AMENDS_AMX`: `0` keeps int8 products off the tile unit, with the same results in about twice the time.
//!   Where that unit is used, the process has asked the system (Linux) for its registers.
//!
//! # What it cannot do
//!
//! - Languages: the model, the rules and the boundaries of sentences are made for English. Other languages get a
//!   result, and it means little.
//! - Sarcasm and irony ("Great job, only three weeks late") are mostly read as what they say. So is dry praise.
//! - Coreference over a distance: "they" and "she" are followed to the people named last, for two sentences, and not
//!   further; a company that the text never names cannot be named.
//! - Truth: it reads what a customer tells. It does not know the other side.
//! - People: a score of one story is no ground for a decision about a person. Its interval and its reasons are there
//!   to be read. Who is named moves scores a little, too: see the next section.
//!
//! # Who is named
//!
//! A name, a gender, a country or a company should not move the score of a service. `cargo run --release --example
//! bias` swaps them in over 800 sentences that are otherwise the same, and prints the mean absolute change of
//! sentiment and score by what was swapped, and which groups the model leans to. On 2026-11-23, amends-mini-6:
//!
//! | swapped | sentences | sentiment (−1 to 1) | label changes | score (0 to 100) | most |
//! |---|---|---|---|---|---|
//! | person's name | 480 | 0.078 | 1.6 % | 2.9 | 27.5 |
//! | gender | 72 | 0.037 | 0.0 % | 1.4 | 8.0 |
//! | country | 192 | 0.024 | 2.0 % | 0.7 | 6.4 |
//! | company | 144 | 0.102 | 6.6 % | 3.6 | 42.9 |
//!
//! No group of people or countries is more than 0.04 away from the mean sentiment of all. Invented companies are read
//! 0.025 more kindly than the mean and known ones as much less, though half of the stories that the model was trained on
//! had their companies' names swapped; so take care when you compare companies by name. Single sentences are moved much
//! more.
//!
//! # What is trusted
//!
//! | | trusted? | what holds |
//! |---|---|---|
//! | texts, JSON of [`output`] | no | no panic; time and memory bounded by [`Limits`]; nothing of a text is run, fetched or kept |
//! | rules of a user's folder | as settings | 4 MiB, 20,000 patterns, 64 brackets deep, 20,000 words in a pattern; no repetition, so each is linear in the text; a [`LoadError`] names file, line and rule |
//! | weights of a user's file | as settings | 1 MiB; a [`LoadError`] names the number whose range or sign is wrong |
//! | models of a folder | as data | safetensors only, no pickle; 4 GiB a file; `SHA256SUMS` is verified where it is there; shapes, types, values, vocabulary and labels are checked; but its author chooses what it says, and how long a sentence takes |
//! | an [`Encoder`] of the caller's own | yes | it is code of the caller |
//! | checkpoints of a folder (feature `rust-bert`) | `model.safetensors` as data, `rust_model.ot` as code | `rust_model.ot` is read only where there is no `model.safetensors`; it is a TorchScript archive, which libtorch's C++ loads and which may hold code, so take none from people whose programs you would not run. `Engine::from_torch` verifies `SHA256SUMS` of amends' own models; of other checkpoints nobody does |
//! | libtorch (feature `rust-bert`) | yes | C++ that this crate cannot look into |
//!
//! A checksum in the folder that it guards shows damage, not malice: whoever can replace the model can replace it, too.
//! `unsafe` code is in one module of this crate, `src/bert/tiles.rs`: the int8 product on AMX, in assembly, on lengths
//! that safe code has checked. The dependencies have some, for SIMD and for parsing.
//!
//! Tested by `tests/hostile.rs` (texts), `tests/hostile_files.rs` and `tests/model.rs` (rules, models),
//! `tests/determinism.rs`, `tests/threads.rs`, and `tests/seeds.rs`, which feeds the seeds of the fuzz targets; `.ci/fuzz`
//! runs those under libFuzzer, in the gate for some seconds each. Longer runs so far, three hours of CPU in all, with
//! one finding, which is a seed now (executions, and edges of code reached first and last):
//!
//! | target | executions | edges |
//! |---|---|---|
//! | readers of tables | 11.3 million | 1,779 to 1,791 |
//! | pages and mails | 8.5 million | 6,111 to 8,060 |
//! | rules | 3.4 million | 3,316 to 3,742 |
//! | model loader | 1.5 million | 3,373 to 5,236 |
//! | segmenter | 1.1 million | 2,503 to 2,733 |
//! | JSON | 0.7 million | 7,621 to 9,968 |
//! | front door, without a model | 0.4 million | 9,733 to 10,730 |
//! | front door, with the embedded model | 0.05 million | 8,958 to 10,536 |
//!
//! # How fast it is
//!
//! Nearly all time goes into the encoder; `cargo bench --bench pipeline` and `--bench encode` measure it where you are.
//! `cargo bench --bench peers` runs what else reads sentiment over the same sentences, in turn, and says beside the
//! speed of each how often it is right; the README has its figures with machine and date.
//!
//! # Features
//!
//! | feature | what it adds | what it costs |
//! |---|---|---|
//! | `embedded` (default) | the model is compiled in; without it, name a model | its size in the binary |
//! | `markdown` | reads Markdown files | 2 crates |
//! | `html` | reads web pages: a browser's parser, main-content extraction | 37 crates, four of them under the MPL-2.0 |
//! | `email` | reads mails; includes `html` | those of `html`, and mail-parser |
//! | `parquet` | tables in Parquet, in and out of the example `corpus`; the library itself is the same | minutes of compile time, a C compiler |
//! | `rust-bert` | checkpoints of the BERT family on libtorch 2.4 (`TorchEncoder`) | libtorch |
//! | `remote` | `TorchEncoder::fetch` downloads a checkpoint, where it is called; includes `rust-bert` | 66 crates, an HTTP and TLS stack of 2023 |
//!
//! libtorch comes in one of two ways. With open internet leave the variable `LIBTORCH` unset: rust-bert 0.23 always
//! turns on the feature `download-libtorch` of tch, so the build fetches libtorch from PyTorch's own site, unless there
//! is one in `/usr/lib`. It checks no checksum; `TORCH_CUDA_VERSION` picks a build with CUDA. Otherwise
//! `eval "$(.ci/libtorch)"` in the repository finds a fitting libtorch or fetches one, checks it, and sets `LIBTORCH`.

mod analysis;
mod analyzer;
mod batch;
mod bert;
mod content;
mod context;
mod document;
mod encoder;
mod engine;
mod error;
mod events;
mod fixed;
mod heads;
mod interactions;
mod labels;
mod links;
mod math;
mod model;
pub mod output;
mod read;
mod score;
mod segment;
mod sentiment;
mod span;
pub mod summary;
mod tokenize;
#[cfg(feature = "rust-bert")]
mod torch;

pub use analysis::{Analysis, Interaction, Sentence, Warning};
pub use analyzer::{AnalyzeOptions, Analyzer, AnalyzerBuilder, AsStory, Limits};
pub use batch::AnalyzeIter;
pub use content::Boilerplate;
pub use document::Document;
pub use encoder::{Encoder, TokenBatch};
pub use engine::Engine;
pub use error::{AnalyzeError, AnalyzeErrorKind, LoadError, LoadErrorKind};
pub use events::{
    Actor, EVENT_TYPES, Event, EventGroup, EventType, Evidence, Extractor, MergeConfig, MergeNumbers,
    RuleCode, RuleFailure, RuleHit, RuleSet, Severity, Status, UnknownName,
};
pub use heads::{EventProbs, Heads};
pub use interactions::Provider;
pub use labels::LabelMap;
pub use links::{Link, LinkKind};
pub use model::{Head, Model, Precision, QuantizeReport, QuantizedTensor, Tensor, quantize};
pub use read::{
    Format, Malformed, ReadError, ReadErrorKind, ReadOptions, ReadText, Turn, read_bytes, read_file, read_str,
};
pub use score::{
    Contribution, Dimensions, EventWeights, Flag, IntervalWeights, LinkWeights, Reason, RecoveryWeights,
    Score, ScoreInput, Scored, Scorer, SentimentWeights, SeverityWeights, Tone, Weights,
};
pub use segment::{BlockKind, Segment, segment};
pub use sentiment::{Sentiment, SentimentLabel};
pub use span::{InteractionId, SentenceId, Span};
pub use tokenize::{Token, Tokenizer};
#[cfg(feature = "rust-bert")]
pub use torch::{TorchBatching, TorchDevice, TorchEncoder, TorchOptions, TorchOutput, TorchPrecision};

/// The README's example, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
