//! Rules as data: reading them, and running the test lines that each one carries.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use crate::error::{LoadError, LoadErrorKind};
use crate::events::pattern::{Lists, Node, alt, check_extent, parse};
use crate::events::program::{MAX_WORDS, PatternId, Scanner, ScannerBuilder, Scratch};
use crate::events::scope::{Mark, MarkKind, Sentence};
use crate::events::severity::{SeverityFile, SeverityRule};
use crate::events::who::Person;
use crate::events::words::Words;
use crate::events::{Actor, EventType, RuleCode, Status};
use crate::segment::{BlockKind, Segment};
use crate::span::Span;

macro_rules! built_in {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/rules/", $name)))),*]
    };
}

/// The files that are compiled in.
const BUILT_IN: &[(&str, &str)] = built_in!(
    "lists.toml" "scope.toml" "severity.toml" "service_failure.toml" "delay.toml" "broken_promise.toml" "silence.toml"
    "runaround.toml" "rudeness.toml" "dishonesty.toml" "refusal.toml" "mistake_admitted.toml" "apology.toml"
    "explanation.toml" "proactive_contact.toml" "fix.toml" "compensation.toml" "prompt_service.toml"
    "courtesy.toml" "competence.toml" "extra_effort.toml" "kept_promise.toml" "customer_effort.toml"
    "customer_error.toml" "unresolved.toml" "churn.toml" "loyalty.toml"
);

/// Words by which a pattern shows that it takes care of negation itself.
const NEGATIONS: &[&str] = &[
    "no",
    "nobody",
    "none",
    "not",
    "nothing",
    "never",
    "without",
    "refus",
    "lack",
    "denied",
    "nor",
    "fail",
    "failed",
    "failing",
    "fails",
    "forgot",
    "decline",
    "declined",
    "unable",
    "neglected",
];

/// Bytes that the rule files of one folder may have together.
const MAX_BYTES: u64 = 4 << 20;

const LISTS: &str = "lists.toml";
const SCOPE: &str = "scope.toml";
const SEVERITY: &str = "severity.toml";

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    #[serde(rename = "type")]
    event_type: Spanned<String>,
    actor: Actor,
    negated: Under,
    wished: Under,
    #[serde(default)]
    cues: Vec<Spanned<String>>,
    #[serde(default)]
    rule: Vec<Spanned<RuleEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleEntry {
    code: String,
    message: String,
    pattern: String,
    unless: Option<String>,
    actor: Option<Actor>,
    status: Option<Status>,
    negated: Option<Under>,
    wished: Option<Under>,
    reach: Option<Reach>,
    plain: Option<Under>,
    #[serde(default)]
    in_quotes: Option<bool>,
    #[serde(default)]
    question: Option<bool>,
    #[serde(default)]
    advice: Option<bool>,
    confidence: Option<f32>,
    #[serde(rename = "match", default)]
    matches: Vec<Spanned<MatchLine>>,
    #[serde(default)]
    no_match: Vec<Spanned<String>>,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
struct MatchLine {
    text: String,
    status: Status,
    actor: Option<Actor>,
    span: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeFile {
    mark: Vec<Spanned<MarkEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkEntry {
    kind: MarkKind,
    patterns: Vec<String>,
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

struct SourceFile {
    path: Arc<Path>,
    text: String,
    /// Where each line but the last ends.
    ends: Vec<usize>,
}

impl SourceFile {
    fn new(path: impl Into<Arc<Path>>, text: String) -> Self {
        let ends = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at).collect();
        SourceFile { path: path.into(), text, ends }
    }

    fn line(&self, at: usize) -> usize {
        self.ends.partition_point(|&end| end < at) + 1
    }

    fn error(&self, at: usize, message: impl Into<String>) -> LoadError {
        LoadError::new(LoadErrorKind::Rule, message).with_path(&*self.path).with_line(self.line(at))
    }

    fn parse<T: for<'de> Deserialize<'de>>(&self) -> Result<T, LoadError> {
        toml::from_str(&self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.error(at, error.message().to_owned())
        })
    }

    fn named(&self, name: &str) -> bool {
        self.path.file_name().is_some_and(|file| file == name)
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
    /// The test lines of the user's rules are run at once.
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

fn built_in_files() -> Vec<SourceFile> {
    let path = |name: &str| Path::new("data/rules").join(name);
    BUILT_IN.iter().map(|&(name, text)| SourceFile::new(path(name), text.to_owned())).collect()
}

/// Every `.toml` file of a folder, sorted by name.
fn files_in(dir: &Path) -> Result<Vec<SourceFile>, LoadError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| LoadError::io(dir, error))? {
        let path = entry.map_err(|error| LoadError::io(dir, error))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(LoadError::new(LoadErrorKind::Rule, "the folder holds no .toml file").with_path(dir));
    }
    let mut left = MAX_BYTES;
    paths.into_iter().map(|path| read(path, &mut left)).collect()
}

/// Reads a file of rules, of which `left` bytes may still be read.
fn read(path: PathBuf, left: &mut u64) -> Result<SourceFile, LoadError> {
    let wrong = |message: String| LoadError::new(LoadErrorKind::Rule, message).with_path(&path);
    let mut bytes = Vec::new();
    let file = fs::File::open(&path).map_err(|error| LoadError::io(&path, error))?;
    file.take(*left + 1).read_to_end(&mut bytes).map_err(|error| LoadError::io(&path, error))?;
    let found = bytes.len() as u64;
    if found > *left {
        let all = MAX_BYTES - *left + found;
        return Err(wrong(format!("{all} bytes or more of rules with this file, the limit is {MAX_BYTES}")));
    }
    *left -= found;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        wrong(format!("not UTF-8 from byte {at} on")).with_source(error)
    })?;
    Ok(SourceFile::new(path, text))
}

fn build(files: &[SourceFile]) -> Result<RuleSet, LoadError> {
    let (mut lists, mut size) = (Lists::new(), 0);
    for file in files.iter().filter(|file| file.named(LISTS)) {
        read_lists(file, &mut lists, &mut size)?;
    }
    let mut set = Collector { lists, ..Collector::default() };
    for file in files.iter().filter(|file| !file.named(LISTS)) {
        if file.named(SCOPE) {
            set.scope(file)?;
        } else if file.named(SEVERITY) {
            set.severities(file)?;
        } else {
            set.rules(file)?;
        }
    }
    let scanner = std::mem::take(&mut set.scanner)
        .build()
        .map_err(|error| LoadError::new(LoadErrorKind::Rule, error))?;
    let Collector { rules, severities, roles, cue_types, .. } = set;
    Ok(RuleSet { rules, severities, roles, scanner, cue_types })
}

/// Reads word lists; a list may use lists that stand before it in the file, and adds to one of the same name.
///
/// `size` counts the words of all lists, written out.
fn read_lists(file: &SourceFile, lists: &mut Lists, size: &mut usize) -> Result<(), LoadError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        name: Spanned<String>,
        words: Vec<Spanned<String>>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        list: Vec<Entry>,
    }
    for entry in file.parse::<File>()?.list {
        let mut branches: Vec<Node> = lists.remove(entry.name.get_ref()).into_iter().collect();
        for words in &entry.words {
            let fail = |error: String| file.error(words.span().start, error);
            let node = parse(words.get_ref(), lists).map_err(fail)?;
            *size += node.extent().0;
            if *size > MAX_WORDS {
                return Err(fail(format!("{size} words in all lists, the limit is {MAX_WORDS}")));
            }
            branches.push(node);
        }
        let at = entry.name.span().start;
        if branches.is_empty() {
            return Err(file.error(at, "the list is empty"));
        }
        let list = check_extent(alt(branches)).map_err(|error| file.error(at, error))?;
        lists.insert(entry.name.into_inner(), list);
    }
    Ok(())
}

#[derive(Default)]
struct Collector {
    lists: Lists,
    rules: Vec<Rule>,
    severities: Vec<SeverityRule>,
    roles: Vec<Role>,
    cue_types: Vec<EventType>,
    scanner: ScannerBuilder,
    codes: HashMap<String, ()>,
}

impl Collector {
    fn add(&mut self, pattern: &str, role: Role) -> Result<PatternId, String> {
        let node = parse(pattern, &self.lists)?;
        self.roles.push(role);
        self.scanner.add(&node)
    }

    fn scope(&mut self, file: &SourceFile) -> Result<(), LoadError> {
        for entry in file.parse::<ScopeFile>()?.mark {
            let at = entry.span().start;
            let entry = entry.into_inner();
            for pattern in &entry.patterns {
                self.add(pattern, Role::Mark(entry.kind))
                    .map_err(|error| file.error(at, format!("{pattern:?}: {error}")))?;
            }
        }
        Ok(())
    }

    fn severities(&mut self, file: &SourceFile) -> Result<(), LoadError> {
        for entry in file.parse::<SeverityFile>()?.severity {
            let at = entry.span().start;
            let entry = entry.into_inner();
            let fail = |message: String| file.error(at, message).with_rule(&entry.code);
            if self.codes.insert(entry.code.clone(), ()).is_some() {
                return Err(fail("there is another rule with this code".into()));
            }
            if entry.message.trim().is_empty() {
                return Err(fail("the message is empty".into()));
            }
            let number = self.severities.len() as u32;
            let mut own_negation = false;
            for pattern in &entry.patterns {
                own_negation |= parse(pattern, &self.lists).map_err(fail)?.names(NEGATIONS);
                self.add(pattern, Role::Severity(number))
                    .map_err(|error| fail(format!("{pattern:?}: {error}")))?;
            }
            let (file_path, line) = (file.path.clone(), file.line(at));
            let rule = SeverityRule::new(entry, own_negation, file_path, line, |at| file.line(at));
            self.severities.push(rule);
        }
        Ok(())
    }

    fn rules(&mut self, file: &SourceFile) -> Result<(), LoadError> {
        let content: RuleFile = file.parse()?;
        let event_type = EventType::custom(content.event_type.get_ref())
            .map_err(|error| file.error(content.event_type.span().start, error.to_string()))?;
        let cue_type = self.cue_types.iter().position(|known| *known == event_type).unwrap_or_else(|| {
            self.cue_types.push(event_type.clone());
            self.cue_types.len() - 1
        });
        for cue in &content.cues {
            self.add(cue.get_ref(), Role::Cue(cue_type as u32))
                .map_err(|error| file.error(cue.span().start, error))?;
        }
        for entry in content.rule {
            let at = entry.span().start;
            let entry = entry.into_inner();
            let fail = |message: String| file.error(at, message).with_rule(&entry.code);
            if self.codes.insert(entry.code.clone(), ()).is_some() {
                return Err(fail("there is another rule with this code".into()));
            }
            if entry.message.trim().is_empty() {
                return Err(fail("the message is empty".into()));
            }
            let confidence = entry.confidence.unwrap_or(0.7);
            if !(confidence > 0.0 && confidence < 1.0) {
                return Err(fail(format!("confidence {confidence} is not between 0 and 1")));
            }
            let number = self.rules.len() as u32;
            let pattern = parse(&entry.pattern, &self.lists).map_err(fail)?;
            self.add(&entry.pattern, Role::Rule(number)).map_err(fail)?;
            let unless = match &entry.unless {
                Some(unless) => Some(self.add(unless, Role::Unless).map_err(fail)?),
                None => None,
            };
            self.rules.push(Rule {
                code: RuleCode::new(&entry.code),
                event_type: event_type.clone(),
                actor: entry.actor.unwrap_or(content.actor),
                status: entry.status,
                negated: entry.negated.unwrap_or(if entry.status.is_some() {
                    Under::Ignore
                } else {
                    content.negated
                }),
                wished: entry.wished.unwrap_or(if entry.status.is_some() {
                    Under::Drop
                } else {
                    content.wished
                }),
                reach: entry.reach.unwrap_or(Reach::Before),
                plain: entry.plain.unwrap_or(Under::Turn),
                unless,
                own_negation: pattern.names(NEGATIONS),
                in_quotes: entry.in_quotes.unwrap_or(true),
                question: entry.question.unwrap_or(true),
                advice: entry.advice.unwrap_or(false),
                confidence,
                message: entry.message,
                matches: entry
                    .matches
                    .into_iter()
                    .map(|line| (file.line(line.span().start), line.into_inner()))
                    .collect(),
                no_match: entry
                    .no_match
                    .into_iter()
                    .map(|line| (file.line(line.span().start), line.into_inner()))
                    .collect(),
                file: file.path.clone(),
                line: file.line(at),
            });
        }
        Ok(())
    }
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
