//! Rules as data: what they find in a story, and the test lines that each one carries.

mod load;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::error::{LoadError, LoadErrorKind};
use crate::events::program::{PatternId, Scanner, Scratch};
use crate::events::rules::load::{build, built_in_files, files_in};
use crate::events::scope::{Mark, MarkKind, Sentence};
use crate::events::severity::SeverityRule;
use crate::events::who::Person;
use crate::events::words::Words;
use crate::events::{Actor, EventType, RuleCode, Status};
use crate::segment::{BlockKind, Segment};
use crate::span::Span;

/// What a rule makes of a negation or a wish in its scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Under {
    /// The event is `absent` (under a negation) or `unreal` (under a wish).
    Turn,
    /// There is no event.
    Drop,
    /// It changes nothing.
    Ignore,
}

/// Where a negation reaches the words of a rule from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reach {
    /// It stands before the last word of the match, in its clause.
    Before,
    /// It stands anywhere in the clause: for nouns ("an apology was never given").
    Clause,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
struct MatchLine {
    text: String,
    status: Status,
    actor: Option<Actor>,
    span: Option<String>,
}

/// A rule that is ready to run.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) code: RuleCode,
    pub(crate) event_type: EventType,
    pub(crate) actor: Actor,
    pub(crate) status: Option<Status>,
    pub(crate) negated: Under,
    pub(crate) wished: Under,
    pub(crate) reach: Reach,
    /// What a match under no negation and no wish is: an event, or nothing (`drop`).
    pub(crate) plain: Under,
    pub(crate) unless: Option<PatternId>,
    /// The pattern has negations of its own: those inside a match turn nothing.
    pub(crate) own_negation: bool,
    pub(crate) in_quotes: bool,
    pub(crate) question: bool,
    pub(crate) advice: bool,
    pub(crate) confidence: f32,
    message: String,
    matches: Vec<(usize, MatchLine)>,
    no_match: Vec<(usize, String)>,
    file: Arc<Path>,
    line: usize,
}

/// What a pattern of the scanner stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Rule(u32),
    /// Cancels the matches of the rule that names it, in its sentence.
    Unless,
    /// A word that shows an event of the type with this number, too weak to be a rule.
    Cue(u32),
    Mark(MarkKind),
    /// Shows how bad the failure of its sentence was: a number in [`RuleSet::severities`].
    Severity(u32),
}

/// A set of rules, ready to run.
///
/// `amends` has rules of its own ([`RuleSet::built_in`]); a folder of the user's can add to them
/// ([`RuleSet::with_dir`]). Every rule is data in a TOML file, with lines that it must and must not match.
#[derive(Debug)]
pub struct RuleSet {
    pub(crate) rules: Vec<Rule>,
    pub(crate) severities: Vec<SeverityRule>,
    pub(crate) roles: Vec<Role>,
    pub(crate) scanner: Scanner,
    /// The types that rules or cues speak of; [`Role::Cue`] counts in it.
    pub(crate) cue_types: Vec<EventType>,
}

/// A test line of a rule that does not come out as it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleFailure {
    code: RuleCode,
    file: PathBuf,
    line: usize,
    message: String,
}

impl RuleFailure {
    pub(super) fn new(code: RuleCode, file: &Path, line: usize, message: String) -> Self {
        RuleFailure { code, file: file.to_path_buf(), line, message }
    }

    /// The rule.
    pub fn code(&self) -> &RuleCode {
        &self.code
    }

    /// The file that it stands in.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line of that file with the test, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// What was expected and what was found.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl std::fmt::Display for RuleFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: rule {}: {}", self.file.display(), self.line, self.code.as_str(), self.message)
    }
}

impl RuleSet {
    /// The rules that `amends` comes with.
    ///
    /// # Errors
    ///
    /// [`LoadErrorKind::Rule`]; a test makes sure that there is none.
    pub fn built_in() -> Result<RuleSet, LoadError> {
        build(&built_in_files())
    }

    /// The built-in rules and those of every `.toml` file in the folder `dir`; `lists.toml` in it adds word lists,
    /// `severity.toml` signs of how bad a failure was.
    ///
    /// The test lines of the user's rules are run at once. `data/rules/apology.toml` is a file to start from. Its keys:
    ///
    /// | key | of | what |
    /// |---|---|---|
    /// | `type` | file | the event type, a built-in or a new name |
    /// | `actor` | file, rule | `provider`, `customer` or `third_party` |
    /// | `negated`, `wished` | file, rule | what a negation or a wish makes of a match: `turn` it to absent or unreal, `drop` it, `ignore` it; a rule with a `status` ignores negations and drops wishes if it does not say otherwise |
    /// | `cues` | file | patterns too weak to be a rule: the words that are named where only the model sees the event |
    /// | `code`, `message` | rule | its name, once in all files, and what it looks for |
    /// | `pattern`, `unless` | rule | what it matches, and what in the same sentence cancels it; the language is described in `src/events/pattern.rs` |
    /// | `status` | rule | the status of every match, for patterns that say it themselves |
    /// | `reach` | rule | `before` (default): negations up to the end of the match count; `clause`: those behind it, too |
    /// | `plain` | rule | `drop`: matches without negation or wish are none |
    /// | `in_quotes`, `question`, `advice` | rule | whether matches between quotes (default yes), in questions (yes), in advice (no) count |
    /// | `confidence` | rule | 0 to 1, default 0.7: how often it is right, for rules that were not counted on labels |
    /// | `match` | rule | at least two lines `{ text, status, actor, span }`; `actor` and `span` may be left out |
    /// | `no_match` | rule | at least one line, best a near miss |
    ///
    /// # Errors
    ///
    /// [`LoadErrorKind::Io`] where the folder cannot be read, [`LoadErrorKind::Rule`] with file, line and rule
    /// code where a rule is wrong or one of its own test lines contradicts it.
    pub fn with_dir(dir: impl AsRef<Path>) -> Result<RuleSet, LoadError> {
        let dir = dir.as_ref();
        let mut files = built_in_files();
        files.extend(files_in(dir)?);
        let set = build(&files)?;
        match set.failures_where(|file| file.starts_with(dir)).first() {
            None => Ok(set),
            Some(failure) => Err(LoadError::new(LoadErrorKind::Rule, failure.message.clone())
                .with_path(&failure.file)
                .with_line(failure.line)
                .with_rule(failure.code.as_str())),
        }
    }

    /// The rules of the folder `dir` alone, in place of the built-in ones; test lines are not run.
    ///
    /// # Errors
    ///
    /// As [`RuleSet::with_dir`].
    pub fn from_dir(dir: impl AsRef<Path>) -> Result<RuleSet, LoadError> {
        build(&files_in(dir.as_ref())?)
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The codes of all rules with the type that each one finds, and what it looks for in words.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = (&RuleCode, &EventType, &str)> {
        self.rules.iter().map(|rule| (&rule.code, &rule.event_type, rule.message.as_str()))
    }

    /// How many lines the rules of `event_type` must match and must not match.
    pub fn test_lines(&self, event_type: &EventType) -> (usize, usize) {
        self.rules
            .iter()
            .filter(|rule| rule.event_type == *event_type)
            .fold((0, 0), |(yes, no), rule| (yes + rule.matches.len(), no + rule.no_match.len()))
    }

    /// How many lines the rules of severity must match and must not match.
    pub fn severity_lines(&self) -> (usize, usize) {
        self.severities
            .iter()
            .fold((0, 0), |(yes, no), rule| (yes + rule.matches.len(), no + rule.no_match.len()))
    }

    /// Runs the test lines of every rule and returns those that come out otherwise than they say.
    pub fn failures(&self) -> Vec<RuleFailure> {
        self.failures_where(|_| true)
    }

    fn failures_where(&self, which: impl Fn(&Path) -> bool) -> Vec<RuleFailure> {
        let mut failures = self.severity_failures(&which);
        let (mut words, mut scratch) = (Words::default(), Scratch::default());
        for (at, rule) in self.rules.iter().enumerate().filter(|(_, rule)| which(&rule.file)) {
            let mut hits = |text: &str| -> Vec<(Status, Actor, Span)> {
                words.read(text, &one_sentence(text), &[true]);
                self.find(&words, &mut scratch)
                    .hits
                    .into_iter()
                    .filter(|hit| hit.rule == at)
                    .map(|hit| (hit.status, hit.actor, hit.span))
                    .collect()
            };
            let mut fail = |line: usize, message: String| {
                failures.push(RuleFailure::new(rule.code.clone(), &rule.file, line, message));
            };
            if rule.matches.len() < 2 || rule.no_match.is_empty() {
                fail(rule.line, "a rule needs two lines that it must match and one that it must not".into());
            }
            for (line, want) in &rule.matches {
                let found = hits(&want.text);
                let fits = |&(status, actor, span): &(Status, Actor, Span)| {
                    status == want.status
                        && want.actor.is_none_or(|wanted| wanted == actor)
                        && want.span.as_ref().is_none_or(|words| span.get(&want.text) == Some(words))
                };
                if !found.iter().any(fits) {
                    let found: Vec<_> = found
                        .iter()
                        .map(|&(status, actor, span)| (status, actor, span.get(&want.text)))
                        .collect();
                    fail(*line, format!("{:?} must match as {}, found {found:?}", want.text, want.status));
                }
            }
            for (line, text) in &rule.no_match {
                if let Some((status, _, span)) = hits(text).first() {
                    fail(*line, format!("{text:?} must not match, found {status} at {:?}", span.get(text)));
                }
            }
        }
        failures
    }
}

/// A text as one sentence.
pub(crate) fn one_sentence(text: &str) -> [Segment; 1] {
    [Segment { span: Span::new(0, text.len()), block: 0, kind: BlockKind::Paragraph }]
}

/// A rule that matched, and what its scope makes of it.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) sentence: usize,
    /// Number in [`RuleSet::rules`].
    pub(crate) rule: usize,
    pub(crate) status: Status,
    pub(crate) actor: Actor,
    pub(crate) span: Span,
}

/// What a scan of a story finds; each list is sorted by sentence.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) hits: Vec<Hit>,
    /// Sentence, number in [`RuleSet::cue_types`], span.
    pub(crate) cues: Vec<(usize, u32, Span)>,
    /// Sentence, number in [`RuleSet::severities`].
    pub(crate) severities: Vec<(usize, u32)>,
    pub(crate) people: Vec<Person>,
}

impl RuleSet {
    /// What the rules find in `words`, sentence by sentence.
    pub(crate) fn find(&self, words: &Words, scratch: &mut Scratch) -> Findings {
        let mut findings = Findings::default();
        let mut sentence = Sentence::default();
        self.scanner.read(words, scratch);
        for (number, bounds) in words.bounds.windows(2).enumerate() {
            let (from, to) = (bounds[0] as usize, bounds[1] as usize);
            if from == to {
                continue;
            }
            self.scanner.wake(scratch, number, from, to);
            sentence.begin(number);
            let woken = std::mem::take(&mut scratch.woken);
            for &pattern in &woken {
                match self.roles[pattern as usize] {
                    Role::Rule(rule) => self.scanner.each(pattern, words, scratch, from, to, |found| {
                        sentence.found.push((rule, found.from as u32, found.to as u32));
                    }),
                    Role::Cue(cue_type) => self.scanner.each(pattern, words, scratch, from, to, |found| {
                        findings.cues.push((number, cue_type, words.span(found.from, found.to)));
                    }),
                    Role::Severity(rule) => self.scanner.each(pattern, words, scratch, from, to, |found| {
                        sentence.graded.push((rule, found.from as u32, found.to as u32));
                    }),
                    Role::Mark(kind) if kind.is_person() => {
                        self.scanner.each(pattern, words, scratch, from, to, |found| {
                            findings.people.push(Person {
                                kind,
                                from: found.from as u32,
                                to: found.to as u32,
                            });
                        });
                    }
                    Role::Unless | Role::Mark(_) => {}
                }
            }
            // Scope is looked at only where a rule matched.
            if !(sentence.found.is_empty() && sentence.graded.is_empty()) {
                for &pattern in &woken {
                    if let Role::Mark(kind) = self.roles[pattern as usize]
                        && !kind.is_person()
                    {
                        self.scanner.each(pattern, words, scratch, from, to, |found| {
                            sentence.marks.push(Mark { kind, from: found.from as u32, to: found.to as u32 });
                        });
                    }
                }
                // The matches of a rule stand side by side, so each `unless` runs once.
                let mut verdict = (u32::MAX, true);
                sentence.found.retain(|&(rule, ..)| {
                    if verdict.0 != rule {
                        verdict = (rule, true);
                        if let Some(unless) = self.rules[rule as usize].unless
                            && woken.binary_search(&unless).is_ok()
                        {
                            self.scanner.each(unless, words, scratch, from, to, |_| verdict.1 = false);
                        }
                    }
                    verdict.1
                });
                sentence.finish(self, words, &mut findings);
            }
            scratch.woken = woken;
        }
        findings.people.sort_unstable_by_key(|person| (person.from, person.to));
        findings
    }
}
