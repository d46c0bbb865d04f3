//! Labelled stories, one JSON object a line: `{"id", "domain", "stars", "text", "sentences": [{"start", "end",
//! "sentiment", "interaction", "boilerplate", "events": [[type, status]]}], "interactions": [{"id", "score"}]}`.
//!
//! Offsets are bytes. Fields that a file does not have are empty.
#![allow(dead_code)] // each example reads its own part

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use amends::{BlockKind, EventType, Segment, Span, Status};
use anyhow::{Context as _, Result};
use serde::Deserialize;

/// A story with a reader's labels.
#[derive(Deserialize)]
pub(crate) struct Story {
    #[serde(default)]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) domain: String,
    pub(crate) stars: Option<f64>,
    pub(crate) text: String,
    pub(crate) sentences: Vec<Sentence>,
    #[serde(default)]
    pub(crate) interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
pub(crate) struct Sentence {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// `negative`, `neutral`, `positive` or `mixed`.
    #[serde(default)]
    pub(crate) sentiment: String,
    /// The interaction that it tells of, 0 for none.
    #[serde(default)]
    pub(crate) interaction: u32,
    #[serde(default)]
    pub(crate) boilerplate: bool,
    #[serde(default)]
    pub(crate) events: Vec<(EventType, Status)>,
}

#[derive(Deserialize)]
pub(crate) struct Interaction {
    pub(crate) id: u32,
    /// 0..=100.
    pub(crate) score: f64,
}

impl Story {
    /// Its sentences, as the library takes them.
    pub(crate) fn segments(&self) -> Result<Vec<Segment>> {
        let segment =
            |row: &Sentence| Ok(Segment::new(span(row.start, row.end, &self.text)?, 0, BlockKind::Paragraph));
        self.sentences.iter().map(segment).collect()
    }
}

/// The span, if it lies in the text.
pub(crate) fn span(start: usize, end: usize, text: &str) -> Result<Span> {
    Span::try_new(start, end)
        .filter(|span| span.get(text).is_some())
        .with_context(|| format!("span {start}..{end} is not in the text"))
}

/// The objects of a file, one a line; errors name file and line.
pub(crate) fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut rows = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        if !line.trim().is_empty() {
            let row =
                serde_json::from_str(&line).with_context(|| format!("{}:{}", path.display(), number + 1))?;
            rows.push(row);
        }
    }
    Ok(rows)
}
