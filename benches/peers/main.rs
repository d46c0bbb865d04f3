//! amends beside what people would use instead: speed as ratios taken in turn, always beside accuracy.
//!
//! ```text
//! cargo bench --bench peers                        # the Rust VADER crate, and Python's peers where installed
//! cargo bench --bench peers --features rust-bert   # and rust-bert
//! ```
//!
//! Options go behind `--`: `--rounds 9`, `--python /path/to/python3` (one that has torch, transformers, onnx,
//! onnxruntime and vaderSentiment, or some of them).
//!
//! All run the same sentences on one thread, in one process and a child of it, round after round. In each round a
//! peer is timed between two runs of amends over the same sentences, and what counts is the ratio to the mean of
//! those two; the table has the median of the rounds. Encoders are timed from token ids to vectors; "from text"
//! rows also make the tokens and read sentiment from the vectors, as VADER does from text.
//!
//! Sentences are those of the labelled development reviews where they lie beside the checkout, else our own labelled
//! stories, which the model was trained on: their accuracy then says nothing.

#![allow(missing_docs, clippy::print_stdout)]

mod data;
#[cfg(feature = "rust-bert")]
mod libtorch;
mod local;
#[path = "../shared/products.rs"]
mod products;
mod python;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use data::{Data, Marks};

#[derive(Parser)]
struct Args {
    /// Rounds over all peers.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// The Python that runs Python's peers.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// One short round over few sentences: does everything still run?
    #[arg(long)]
    test: bool,
    /// What cargo passes.
    #[arg(long, hide = true)]
    bench: bool,
    /// Names of benches; this one runs if it is among them or none is given.
    filter: Vec<String>,
}

/// Something that is measured.
trait Peer {
    /// Its name in the table.
    fn name(&self) -> String;

    /// Version and settings.
    fn note(&self) -> String;

    /// Runs every `every`-th sentence once and returns the seconds.
    fn run(&mut self, every: usize) -> Result<f64>;

    /// What it gets right, or `None` where that is not known.
    fn marks(&mut self, data: &Data) -> Result<Option<Marks>>;

    /// Whether it starts from text and not from token ids.
    fn reads_text(&self) -> bool {
        false
    }

    /// Where it gets nothing right that could be measured here: what is known of it.
    fn remark(&self) -> &'static str {
        ""
    }
}

/// A peer with its times.
struct Entry {
    peer: Box<dyn Peer>,
    every: usize,
    /// Sentences of a run.
    sentences: usize,
    tokens: usize,
    seconds: Vec<f64>,
    /// Its time over that of amends.
    ratios: Vec<f64>,
    marks: Option<Marks>,
}

/// About how long one run of one peer may take.
const SECONDS_A_RUN: f64 = 2.0;

fn main() -> Result<()> {
    let args = Args::parse();
    if !args.filter.is_empty() && !args.filter.iter().any(|name| "peers".contains(name.as_str())) {
        return Ok(());
    }
    // What rten-gemm does by itself must not spread over threads either.
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    let data = Data::load(if args.test { Some(4) } else { None })?;
    println!("{}: {} sentences, {} tokens\n", data.name, data.sequences.len(), data.tokens(1).1);

    let mut base = local::encoder(&data, amends::Precision::Int8)?;
    let mut base_text = local::from_text(&data)?;
    let mut peers: Vec<Box<dyn Peer>> = vec![
        Box::new(local::encoder(&data, amends::Precision::F32)?),
        Box::new(local::from_text(&data)?),
        Box::new(local::vader(&data)),
    ];
    #[cfg(feature = "rust-bert")]
    peers.extend(libtorch::peers(&data)?);
    #[cfg(not(feature = "rust-bert"))]
    println!("left out: rust-bert (needs the feature rust-bert)");
    let (versions, found) = python::peers(&args.python, &data)?;
    peers.extend(found);
    let bounds = [local::bound_int8(&data), local::bound_float(&data)];
    let bounds_at = peers.len();
    peers.extend(bounds);

    let mut entries = Vec::new();
    for mut peer in peers {
        let few = if args.test { 8 } else { 16 };
        let whole = peer.run(few)? * few as f64;
        let every = if args.test { 8 } else { ((whole / SECONDS_A_RUN).ceil() as usize).clamp(1, 16) };
        let (sentences, tokens) = data.tokens(every);
        let marks = peer.marks(&data)?;
        entries.push(Entry { peer, every, sentences, tokens, seconds: vec![], ratios: vec![], marks });
    }
    let rounds = if args.test { 1 } else { args.rounds };
    let mut own_seconds = Vec::new();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for entry in &mut entries {
            let base: &mut dyn Peer = if entry.peer.reads_text() { &mut base_text } else { &mut base };
            let before = base.run(entry.every)?;
            let seconds = entry.peer.run(entry.every)?;
            let after = base.run(entry.every)?;
            entry.seconds.push(seconds);
            entry.ratios.push(seconds / ((before + after) / 2.0));
        }
        own_seconds.push(base.run(1)?);
    }

    let (sentences, tokens) = data.tokens(1);
    let own = median(&own_seconds);
    println!("| one thread | tokens a second | amends int8 is … times as fast | {} |", Marks::HEAD);
    println!("|---|---|---|{}", Marks::RULE);
    let marks = base.marks(&data)?.map_or_else(String::new, |marks| marks.row());
    println!("| **{}** | {:.0} | 1 | {marks} |", base.name(), tokens as f64 / own);
    for entry in &entries[..bounds_at] {
        let rate = entry.tokens as f64 / median(&entry.seconds);
        let marks = match &entry.marks {
            Some(marks) => marks.row(),
            None => Marks::unknown(entry.peer.remark()),
        };
        let base = if entry.peer.reads_text() { " from text" } else { "" };
        let ratio = median(&entry.ratios);
        println!("| {} | {rate:.0} | {}{base} | {marks} |", entry.peer.name(), short(ratio));
    }
    println!("\nlowest and highest ratio of a round, sentences of a run, and what ran:");
    for entry in &entries {
        let (low, high) =
            entry.ratios.iter().fold((f64::MAX, 0f64), |(low, high), &r| (low.min(r), high.max(r)));
        let (peer, sentences) = (&entry.peer, entry.sentences);
        println!("- {}: {} to {}, {sentences}, {}", peer.name(), short(low), short(high), peer.note());
    }
    println!("\n{:.0} sentences a second on one thread at int8", sentences as f64 / own);
    let float = 1.0 / median(&entries[0].ratios);
    let [int8_bound, float_bound] = [0, 1].map(|at| median(&entries[bounds_at + at].ratios));
    println!(
        "share of the bound by matrix products alone: int8 {:.0} %, f32 {:.0} %",
        int8_bound * 100.0,
        float_bound * float * 100.0
    );
    let rest = median(&local::share_of_the_rest(&data, rounds)?);
    println!("everything but the encoder takes {:.0} % of the encoder's time", rest * 100.0);
    let gain = median(&local::gain_of_two_threads(&data, rounds)?);
    println!("two threads make {gain:.2} times as many stories as one");
    let versions = if versions.is_empty() { versions } else { format!(", {versions}") };
    println!("{}, {rounds} rounds{versions}", machine());
    if own.is_nan() {
        anyhow::bail!("nothing was measured");
    }
    Ok(())
}

/// The middle number, or the mean of the two in the middle.
fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => (sorted[even / 2 - 1] + sorted[even / 2]) / 2.0,
    }
}

/// A ratio with as many places as say something.
fn short(ratio: f64) -> String {
    let places = match ratio {
        _ if ratio < 0.1 => 4,
        _ if ratio < 10.0 => 2,
        _ => 1,
    };
    format!("{ratio:.places$}")
}

/// Processor, date and versions.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let name = field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let flags = field("flags").unwrap_or_default();
    let has = |flag: &str| flags.split(' ').any(|other| other == flag);
    let amx = if has("amx_int8") { " and AMX" } else { "" };
    let vector = match (has("avx512_vnni"), has("avx512f"), has("avx2")) {
        (true, ..) => ", AVX-512 VNNI",
        (_, true, _) => ", AVX-512",
        (.., true) => ", AVX2",
        _ => "",
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let date = std::process::Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
    let date =
        date.map_or_else(|_| String::new(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().map_or_else(String::new, |load| format!(", load {load}"));
    format!("{name} ({cores} cores{vector}{amx}{load}), {date}, amends {}", env!("CARGO_PKG_VERSION"))
}
