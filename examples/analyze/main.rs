//! Analyses stories and prints what was found.
//!
//! ```text
//! cargo run --release --example analyze -- data/stories
//! cargo run --release --example analyze -- --format jsonl reviews.jsonl > analyses.jsonl
//! ```
//!
//! Inputs are `.txt` files (one story each), `.jsonl` and `.jsonl.gz` files (one object a line with `text` and,
//! if there is one, `id`), with the features of these names also `.md` (`markdown`), `.html` and `.htm` (`html`) and
//! `.eml` (`email`), folders of these, and `-` for standard input. Results keep the order of the input; spans are bytes
//! of the text as read.
//! A story that cannot be read is reported with file and line, and the run goes on.
//!
//! Exit status: 0 if every story was analysed, 1 if some were not, 2 if nothing could be started; a closed standard
//! output is such a case.

#[path = "../shared/engine.rs"]
mod engine;
mod input;
#[path = "../shared/lines.rs"]
mod lines;
mod pretty;
#[path = "../shared/stdout.rs"]
mod stdout;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use amends::Malformed;
use amends::output::{ErrorRecord, Record};
use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, Value};

use engine::{EngineArgs, is_broken_pipe};
use input::{Input, Item};

/// Finds sentences, service events, interactions and experience scores in customers' stories.
#[derive(Parser, Debug)]
struct Args {
    /// Files (.txt, .md, .html, .eml, .jsonl, .jsonl.gz), folders of them, or - for standard input.
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// How results are written. Default: pretty on a terminal, jsonl elsewhere.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// What standard input holds.
    #[arg(long, value_enum, default_value = "txt")]
    stdin: input::Kind,
    /// Field of a JSONL input to carry over into the output, under "carried". May be repeated.
    #[arg(long, value_name = "FIELD")]
    carry: Vec<String>,
    /// Replace bytes that are not UTF-8 instead of reporting the story as unreadable.
    #[arg(long)]
    lossy: bool,
    /// Read what is not UTF-8 as Windows-1252.
    #[arg(long, conflicts_with = "lossy")]
    windows_1252: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// For people: sentences, events beside them, scores with their reasons.
    Pretty,
    /// For programs: one JSON object a line.
    Jsonl,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => {
            eprintln!("{failed} could not be analysed");
            ExitCode::from(1)
        }
        // Whoever reads our output has seen enough: not an error of ours.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// One line of output.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    record: &'a Record,
    #[serde(skip_serializing_if = "Option::is_none")]
    carried: Option<&'a Map<String, Value>>,
}

/// Analyses everything and returns how many inputs failed.
fn run(args: &Args) -> Result<usize> {
    stdout::check_stdout("send it somewhere")?;
    let analyzer = args.engine.analyzer()?;
    let options = args.engine.options();

    let terminal = io::stdout().is_terminal();
    let format = args.format.unwrap_or(if terminal { Format::Pretty } else { Format::Jsonl });
    let mut out = BufWriter::new(anstream::AutoStream::auto(io::stdout().lock()));
    let width = if terminal { textwrap::termwidth() } else { 110 };

    let malformed = match (args.lossy, args.windows_1252) {
        (true, _) => Malformed::Replace,
        (_, true) => Malformed::Windows1252,
        _ => Malformed::Error,
    };
    let input = Input::new(&args.inputs, args.stdin, args.carry.clone(), malformed)?;
    let progress = progress(input.bytes(), terminal);
    let mut failed = 0;
    for (item, analysis) in analyzer.analyze_iter_with(input, options) {
        progress.inc(item.bytes());
        let document = item.document();
        let carried = item.carried();
        let record = match (&item, &analysis) {
            (Item::Failed { record, .. }, _) => Record::Failed(record.clone()),
            (Item::Story(_), Ok(analysis)) => Record::Story(analysis.to_record(&document)),
            (Item::Story(_), Err(error)) => Record::Failed(ErrorRecord::from_error(&document, error)),
        };
        if let Record::Failed(record) = &record {
            failed += 1;
            let place = record.source.as_deref().or(record.id.as_deref()).unwrap_or("input");
            progress.suspend(|| eprintln!("{place}: {}", record.error.message));
        }
        match (format, &analysis) {
            (Format::Jsonl, _) => {
                serde_json::to_writer(&mut out, &Line { record: &record, carried })
                    .map_err(io::Error::from)
                    .context("cannot write")?;
                writeln!(out).context("cannot write")?;
            }
            (Format::Pretty, Ok(analysis)) if matches!(record, Record::Story(_)) => {
                pretty::write(&mut out, &document, analysis, width).context("cannot write")?;
            }
            (Format::Pretty, _) => {}
        }
        if terminal {
            out.flush().context("cannot write")?;
        }
    }
    progress.finish_and_clear();
    out.flush().context("cannot write")?;
    Ok(failed)
}

/// A bar over the bytes of the input, on standard error, for work that takes long enough to wait for.
fn progress(bytes: Option<u64>, stdout_is_terminal: bool) -> ProgressBar {
    const WORTH_A_BAR: u64 = 256 * 1024;
    match bytes {
        Some(bytes) if bytes >= WORTH_A_BAR && !stdout_is_terminal => {
            let style = "{bar:30} {percent:>3} %  {bytes_per_sec}  {eta} left";
            let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(bytes).with_style(style)
        }
        _ => ProgressBar::hidden(),
    }
}
