//! Analyses corpora: a table of stories in, one line of results a row out, and a summary of them all.
//!
//! ```text
//! cargo run --release --example corpus -- reviews.jsonl.gz --output scores.jsonl --summary
//! cargo run --release --example corpus -- reviews.csv --text Review --provider Airline --date "Date Published" \
//!     --output scores.jsonl --resume --summary --summary-json summary.json
//! ```
//!
//! Inputs are CSV (`,`, `;`, tab or `|`, with a header), JSON lines, and with the feature `parquet` Parquet; plain,
//! gzip or Zstandard; told apart by name or else by content. Folders stand for the inputs in them, `-` is standard
//! input. Options name the columns. Rows are read as they are worked on, so memory does not grow with their number.
//!
//! Results are JSON lines: the object that `analyze --format jsonl` prints, with `row` (number of the row over all
//! inputs, from 1), `provider` and `month` as far as the input has them. Every row has one line, in order; a row
//! that cannot be read or analysed has `error` in its line, and stands in the file of errors besides. One bad row
//! never loses another. With `--output FILE.parquet` the lines are made into Parquet at the end, with the names and
//! the nesting of the JSON (`carried` as JSON text).
//!
//! # Stopping and going on
//!
//! `--resume` goes on where an earlier run with the same inputs and options was stopped, by Ctrl-C, a kill or a full
//! disk, and starts where there was none; no row is lost or there twice. (After a power cut a file system may have
//! lost more than the end; that is then an error, and nothing is changed.) The output alone says what
//! is done: it has one whole line for each finished row, so what a stop has torn is the last line at most, and that
//! is cut off first. Then the input is read up to the last finished row and compared with it. The file of errors is
//! made again from the output, and the summary takes the lines that are there, so both come out as if nothing had
//! happened, to the last bit. Standard input can be resumed if the same bytes are piped in again.
//!
//! # Exit status
//!
//! 0 if every row was analysed, 1 if some were not, 2 if nothing could be started or an input could not be opened,
//! 3 if results or their summary could not be written (make room and go on with `--resume`), 130 after Ctrl-C. A reader of standard
//! output that has seen enough ends the run quietly, with 0.

// Readers name each other by `super`, so that `tests/fuzz/tables.rs` can take them in.
mod columns;
mod csv;
mod dates;
#[path = "../shared/engine.rs"]
mod engine;
mod input;
mod journal;
mod jsonl;
#[path = "../shared/lines.rs"]
mod lines;
mod parquet_in;
mod parquet_out;
mod progress;
mod source;
#[path = "../shared/stdout.rs"]
mod stdout;
mod table;
mod zst;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use amends::output::{ErrorRecord, Record};
use amends::summary::{Month, Summary, SummaryBuilder, SummaryKey, SummaryOptions};
use amends::{Analyzer, AsStory};
use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::Map;

use columns::Columns;
use engine::{EngineArgs, is_broken_pipe};
use input::{Input, Item, Options};
use journal::{CannotWrite, Done, ErrorLine, Errors, Journal, Line};
use progress::Progress;
use source::Format;

/// Scores tables of customers' stories, and says what they tell together.
#[derive(Parser, Debug)]
struct Args {
    /// CSV, JSONL or Parquet files (also .gz, .zst), folders of them, or - for standard input.
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// Where results go: JSON lines, or Parquet if it is named .parquet. Default: standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Go on where an earlier run into the same output was stopped.
    #[arg(long, requires = "output", conflicts_with = "overwrite")]
    resume: bool,
    /// Replace an output that is there.
    #[arg(long, requires = "output")]
    overwrite: bool,
    /// Where rows that failed are listed with their reasons. Default: the output's name with .errors.jsonl.
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
    /// Print a summary of all rows.
    #[arg(long)]
    summary: bool,
    /// Write the summary as JSON.
    #[arg(long, value_name = "FILE")]
    summary_json: Option<PathBuf>,
    /// Resamples that the summary's intervals are made of.
    #[arg(long, value_name = "NUMBER", default_value_t = SummaryOptions::default().resamples)]
    resamples: usize,
    #[command(flatten)]
    columns: Columns,
    /// What the inputs hold, where neither name nor content says it.
    #[arg(long, value_enum)]
    input_format: Option<Format>,
    /// What stands between the fields of a CSV table. Default: what stands most often in its header.
    #[arg(long, value_name = "SIGN")]
    delimiter: Option<char>,
    /// Stop after this many rows.
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
    /// Longest row that is read; a longer one fails.
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20)]
    max_row_bytes: usize,
    /// Replace bytes that are not UTF-8 instead of failing the row.
    #[arg(long)]
    lossy: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(status) => status,
        // Whoever reads our output has seen enough: not an error of ours.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.chain().any(|cause| cause.is::<CannotWrite>()) { 3 } else { 2 })
        }
    }
}

/// A switch that Ctrl-C and a request to end turn. The rows in work are finished; the second time ends it all.
fn stop_switch() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let turned = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if turned.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        let _ = writeln!(io::stderr(), "stopping after the rows in work; once more to stop at once");
    })?;
    Ok(stop)
}

/// What is counted on the way.
struct Tally {
    summary: Option<SummaryBuilder>,
    rows: u64,
    failed: u64,
    odd_dates: u64,
}

/// How many failed rows are named on standard error.
const NAMED: u64 = 10;

impl Tally {
    /// Counts one row; `provider` and `month` are those of the input.
    fn add(&mut self, row: u64, record: Option<&Record>, provider: Option<&str>, month: Option<Month>) {
        self.rows = row;
        let failed = !matches!(record, Some(Record::Story(_)) | None);
        self.failed += u64::from(failed);
        let Some(summary) = &mut self.summary else { return };
        let mut key = SummaryKey::new(row);
        if let Some(provider) = provider {
            key = key.with_provider(provider);
        }
        if let Some(month) = month {
            key = key.with_month(month);
        }
        match record {
            Some(Record::Story(story)) => summary.add_record(story, key),
            _ => summary.add_failed(),
        }
    }
}

/// Where the lines of results are written, and what they are made into at the end.
struct Output<'a> {
    lines: PathBuf,
    parquet: Option<&'a Path>,
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

impl<'a> Output<'a> {
    fn new(path: &'a Path, args: &Args) -> Result<Self> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("").to_ascii_lowercase();
        let is_parquet = matches!(ending.as_str(), "parquet" | "pq");
        let output = match is_parquet {
            true => Output { lines: with_ending(path, ".rows.jsonl"), parquet: Some(path) },
            false => Output { lines: path.to_owned(), parquet: None },
        };
        if is_parquet {
            parquet_out::check()?;
        }
        let holds = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > 0);
        let place = path.display();
        if is_parquet && args.resume && holds(path) && !holds(&output.lines) {
            bail!("{place} is finished; --overwrite makes it again");
        }
        if !args.resume && !args.overwrite && (holds(path) || holds(&output.lines)) {
            bail!("{place} is there already: --resume goes on with it, --overwrite begins again");
        }
        Ok(output)
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    let stop = stop_switch()?;
    let delimiter =
        args.delimiter.map(u8::try_from).transpose().context("--delimiter takes an ASCII sign")?;
    let options = Options {
        columns: args.columns.clone(),
        format: args.input_format,
        delimiter,
        lossy: args.lossy,
        max_row_bytes: args.max_row_bytes,
    };
    let mut input = Input::new(&args.inputs, options, args.limit, Arc::clone(&stop))?;
    let output = args.output.as_deref().map(|path| Output::new(path, args)).transpose()?;
    let analyzer = args.engine.analyzer()?;

    let wants_summary = args.summary || args.summary_json.is_some();
    let summary = SummaryOptions::default().with_resamples(args.resamples);
    let summary = wants_summary.then(|| SummaryBuilder::new(summary));
    let mut tally = Tally { summary, rows: 0, failed: 0, odd_dates: 0 };
    let mut journal = match &output {
        None => Journal::stdout(args.errors.clone().map(|path| Errors::new(path).settle()).transpose()?)?,
        Some(output) => begin(args, output, &analyzer, &mut input, &mut tally)?,
    };
    let mut progress = Progress::new(input.bytes(), input.read(), tally.rows);
    let worked = work(args, &analyzer, &mut input, &mut journal, &mut tally, &mut progress);
    // What is finished is written, whatever stopped the rest.
    let finished = journal.finish();
    let rows = tally.rows;
    worked.and(finished).with_context(|| format!("stopped behind row {rows}"))?;
    progress.finish(rows);
    if let Some(error) = input.take_error() {
        return Err(error.context(format!("stopped behind row {rows}")));
    }
    if stop.load(Ordering::Relaxed) {
        let how = if args.output.is_some() { "; --resume goes on from there" } else { "" };
        eprintln!("stopped behind row {rows}{how}");
        return Ok(ExitCode::from(130));
    }
    if let Some(Output { lines, parquet: Some(path) }) = &output {
        parquet_out::write(lines, path)?;
        fs::remove_file(lines)?;
    }
    if tally.odd_dates > 0 {
        eprintln!("{} dates could not be read and count for no month (see --date-format)", tally.odd_dates);
    }
    if let Some(summary) = tally.summary {
        report(args, &summary.finish())?;
    }
    if tally.failed > 0 {
        eprintln!("{} of {rows} rows failed", tally.failed);
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the output; with `--resume`, reads what is done and leaves those rows of the input out.
fn begin(
    args: &Args,
    output: &Output<'_>,
    analyzer: &Analyzer,
    input: &mut Input,
    tally: &mut Tally,
) -> Result<Journal> {
    let place = || output.lines.display().to_string();
    let file = journal::open(&output.lines)?;
    let is_file = file.metadata()?.is_file();
    let errors = match (&args.errors, is_file) {
        (Some(path), _) => Some(path.clone()),
        (None, true) => args.output.as_ref().map(|path| with_ending(path, ".errors.jsonl")),
        (None, false) => None,
    };
    let mut errors = errors.map(Errors::new);
    let done = match args.resume && is_file {
        true => earlier(args, output, analyzer, input, tally, errors.as_mut()),
        false => Ok(Done::default()),
    };
    match done {
        Ok(done) => Journal::file(&output.lines, file, &done, errors.map(Errors::settle).transpose()?),
        Err(error) => {
            if let Some(errors) = errors {
                errors.give_up();
            }
            Err(error.context(place()))
        }
    }
}

/// Takes over what an earlier run has done, and compares it with the input.
fn earlier(
    args: &Args,
    output: &Output<'_>,
    analyzer: &Analyzer,
    input: &mut Input,
    tally: &mut Tally,
    mut errors: Option<&mut Errors>,
) -> Result<Done> {
    let done = journal::read(&output.lines, tally.summary.is_some(), |row, head, story| {
        if let (Some(errors), Some(error)) = (errors.as_mut(), &head.error) {
            errors.push(&ErrorLine {
                row,
                source: head.source.as_deref(),
                id: head.id.as_deref(),
                kind: &error.kind,
                message: &error.message,
            })?;
        }
        let record = match (&head.error, story) {
            (Some(error), _) => Some(Record::Failed(ErrorRecord::new(None, None, &error.kind, ""))),
            (None, story) => story.map(Record::Story),
        };
        tally.add(row, record.as_ref(), head.provider.as_deref(), head.month);
        Ok(())
    })?;
    let Some(last) = &done.last else { return Ok(done) };
    if let Some(model) = last.model.as_deref().filter(|model| *model != analyzer.model()) {
        bail!("made by the model {model}, and this is {}", analyzer.model());
    }
    let weights = &analyzer.weights().version;
    if let Some(earlier) = last.weights.as_ref().filter(|version| *version != weights) {
        bail!("scored with the weights {earlier:?}, and these are {weights:?}");
    }
    let same = |item: &Item| {
        let name = |source: &str| source.rsplit(['/', '\\']).next().map(str::to_owned);
        item.number == done.rows
            && item.id() == last.id.as_deref()
            && name(&item.source) == last.source.as_deref().and_then(name)
    };
    let wanted = args.limit.map_or(done.rows, |limit| limit.min(done.rows));
    let item = input.skip_rows(wanted);
    if wanted == done.rows && !item.as_ref().is_some_and(same) && !input.is_stopped() {
        let found = item.map_or("none".into(), |item| item.source);
        let last = last.source.as_deref().unwrap_or("");
        bail!("its row {} is of {last}, and that of the input is {found}", done.rows);
    }
    Ok(done)
}

/// Analyses all rows that are left.
fn work(
    args: &Args,
    analyzer: &Analyzer,
    input: &mut Input,
    journal: &mut Journal,
    tally: &mut Tally,
    progress: &mut Progress,
) -> Result<()> {
    let nothing = Map::new();
    for (item, analysis) in analyzer.analyze_iter_with(input, args.engine.options()) {
        let document = item.as_story();
        let record = match (&item.row, &analysis) {
            (Ok(_), Ok(analysis)) => Record::Story(analysis.to_record(&document)),
            (Ok(_), Err(error)) => Record::Failed(ErrorRecord::from_error(&document, error)),
            (Err(error), _) => Record::Failed(ErrorRecord::new(
                item.id(),
                Some(&item.source),
                error.kind,
                error.message.as_str(),
            )),
        };
        let row = item.row.as_ref().ok();
        let provider = row.and_then(|row| row.provider.as_deref());
        let month = row.and_then(|row| row.month);
        tally.odd_dates += u64::from(row.is_some_and(|row| row.odd_date.is_some()));
        let carried = row.map_or(&nothing, |row| &row.carried);
        journal.push(&Line { row: item.number, record: &record, provider, month, carried })?;
        tally.add(item.number, Some(&record), provider, month);
        if let Record::Failed(failed) = &record {
            match tally.failed {
                1..=NAMED => progress.say(&format!("{}: {}", item.source, failed.error.message)),
                count if count == NAMED + 1 => progress.say("further failed rows are not named here"),
                _ => {}
            }
        }
        progress.set(item.number);
    }
    Ok(())
}

/// Prints and writes the summary: the table on standard output, or beside the results if they are there.
fn report(args: &Args, summary: &Summary) -> Result<()> {
    if args.summary {
        let table = table::render(summary);
        match args.output {
            Some(_) => io::stdout()
                .write_all(table.as_bytes())
                .map_err(|source| CannotWrite::new("standard output", source))?,
            None => io::stderr().write_all(table.as_bytes())?,
        }
    }
    if let Some(path) = &args.summary_json {
        let json = serde_json::to_string_pretty(summary)? + "\n";
        fs::write(path, json).map_err(|source| CannotWrite::new(path.display(), source))?;
    }
    Ok(())
}
