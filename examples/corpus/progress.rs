//! How far a run has come: a bar on a terminal, a line a minute elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(60);

pub(crate) struct Progress {
    bar: ProgressBar,
    /// Bytes read so far, and of all inputs.
    read: Arc<AtomicU64>,
    bytes: Option<u64>,
    /// Where this run began: rows and bytes of an earlier one.
    from: (u64, u64),
    started: Instant,
    said: Instant,
    to_log: bool,
}

impl Progress {
    pub(crate) fn new(bytes: Option<u64>, read: Arc<AtomicU64>, rows: u64) -> Self {
        let (style, bar) = match bytes {
            Some(bytes) => ("{bar:30} {percent:>3} %  {msg}, {eta} left", ProgressBar::new(bytes)),
            None => ("{spinner} {msg}", ProgressBar::new_spinner()),
        };
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let from = read.load(Ordering::Relaxed);
        let bar = bar.with_style(style).with_position(from);
        bar.reset_eta();
        let to_log = !std::io::stderr().is_terminal();
        let now = Instant::now();
        Progress { bar, read, bytes, from: (rows, from), started: now, said: now, to_log }
    }

    /// Rows a second since this run began.
    fn rate(&self, rows: u64) -> f64 {
        (rows - self.from.0) as f64 / self.started.elapsed().as_secs_f64().max(1e-3)
    }

    /// Says that so many rows are done.
    pub(crate) fn set(&mut self, rows: u64) {
        let read = self.read.load(Ordering::Relaxed);
        self.bar.set_position(read);
        if !self.to_log {
            self.bar.set_message(format!("{rows} rows, {:.0} a second", self.rate(rows)));
        } else if self.said.elapsed() >= LINE_EVERY {
            self.said = Instant::now();
            let left = self.bytes.and_then(|bytes| {
                let share = (read - self.from.1) as f64 / bytes.checked_sub(self.from.1)? as f64;
                Some(self.started.elapsed().mul_f64((1.0 / share - 1.0).clamp(0.0, 1e6)))
            });
            let left = left.map_or(String::new(), |left| format!(", {} left", HumanDuration(left)));
            eprintln!("{rows} rows, {:.0} a second{left}", self.rate(rows));
        }
    }

    /// Writes a line beside the bar.
    pub(crate) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Takes the bar away and says what was done.
    pub(crate) fn finish(self, rows: u64) {
        self.bar.finish_and_clear();
        let new = rows - self.from.0;
        let (seconds, rate) = (self.started.elapsed().as_secs_f64(), self.rate(rows));
        match self.from.0 {
            0 => eprintln!("{rows} rows in {seconds:.1} s, {rate:.1} a second"),
            before => {
                eprintln!("{rows} rows, {before} of them before; {new} in {seconds:.1} s, {rate:.1} a second")
            }
        }
    }
}
