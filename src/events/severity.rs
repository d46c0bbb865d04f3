//! How bad a failure was, read off the words of its sentence.
//!
//! Why this way: the literature agrees that severity matters and that it is the customer's own judgement of the
//! loss (Smith, Bolton and Wagner 1999). A story seldom states that judgement, but it names what was lost. So
//! `data/rules/severity.toml` lists signs of money, belongings and much time (`loss`), and of safety, health,
//! privacy and discrimination (`harm`); what shows neither is an inconvenience. The highest sign of a sentence
//! counts for every failure in it. A sign with a negation right before it ("it did not cost us a cent") counts nothing.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use crate::events::program::Scratch;
use crate::events::rules::{RuleFailure, RuleSet, one_sentence};
use crate::events::words::Words;
use crate::events::{RuleCode, Severity};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeverityFile {
    pub(crate) severity: Vec<Spanned<SeverityEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeverityEntry {
    pub(crate) code: String,
    level: Severity,
    pub(crate) message: String,
    pub(crate) patterns: Vec<String>,
    #[serde(rename = "match", default)]
    matches: Vec<Spanned<String>>,
    #[serde(default)]
    no_match: Vec<Spanned<String>>,
}

/// A rule of severity that is ready to run.
#[derive(Debug)]
pub(crate) struct SeverityRule {
    code: RuleCode,
    level: Severity,
    /// A pattern has negations of its own: those inside a match cancel nothing.
    pub(crate) own_negation: bool,
    /// Line in the file, and text.
    pub(crate) matches: Vec<(usize, String)>,
    pub(crate) no_match: Vec<(usize, String)>,
    file: Arc<Path>,
    line: usize,
}

impl SeverityRule {
    pub(crate) fn new(
        entry: SeverityEntry,
        own_negation: bool,
        file: Arc<Path>,
        line: usize,
        line_of: impl Fn(usize) -> usize,
    ) -> Self {
        let numbered = |lines: Vec<Spanned<String>>| {
            lines.into_iter().map(|text| (line_of(text.span().start), text.into_inner())).collect()
        };
        SeverityRule {
            code: RuleCode::new(&entry.code),
            level: entry.level,
            own_negation,
            matches: numbered(entry.matches),
            no_match: numbered(entry.no_match),
            file,
            line,
        }
    }
}

impl RuleSet {
    /// The highest level among the signs found in the sentence; `found` is sorted by sentence.
    pub(crate) fn level(&self, found: &[(usize, u32)], sentence: usize) -> Severity {
        let from = found.partition_point(|sign| sign.0 < sentence);
        found[from..]
            .iter()
            .take_while(|sign| sign.0 == sentence)
            .map(|sign| self.severities[sign.1 as usize].level)
            .max()
            .unwrap_or_default()
    }

    /// Runs the test lines of the rules of severity whose file is asked for.
    pub(super) fn severity_failures(&self, which: impl Fn(&Path) -> bool) -> Vec<RuleFailure> {
        let mut failures = Vec::new();
        let (mut words, mut scratch) = (Words::default(), Scratch::default());
        for (at, rule) in self.severities.iter().enumerate().filter(|(_, rule)| which(&rule.file)) {
            let mut fail = |line: usize, message: String| {
                failures.push(RuleFailure::new(rule.code.clone(), &rule.file, line, message));
            };
            if rule.matches.len() < 2 || rule.no_match.is_empty() {
                fail(rule.line, "a rule needs two lines that it must match and one that it must not".into());
            }
            let mut fires = |text: &str| {
                words.read(text, &one_sentence(text), &[true]);
                self.find(&words, &mut scratch).severities.iter().any(|sign| sign.1 as usize == at)
            };
            for (line, text) in &rule.matches {
                if !fires(text) {
                    fail(*line, format!("{text:?} must match as {}", rule.level));
                }
            }
            for (line, text) in &rule.no_match {
                if fires(text) {
                    fail(*line, format!("{text:?} must not match as {}", rule.level));
                }
            }
        }
        failures
    }
}
