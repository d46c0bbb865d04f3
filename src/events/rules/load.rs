//! Reading rules from their files, and compiling them.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use crate::error::{LoadError, LoadErrorKind};
use crate::events::pattern::{Lists, Node, alt, check_extent, parse};
use crate::events::program::{MAX_WORDS, PatternId, ScannerBuilder};
use crate::events::rules::{MatchLine, Reach, Role, Rule, RuleSet, Under};
use crate::events::scope::MarkKind;
use crate::events::severity::{SeverityFile, SeverityRule};
use crate::events::{Actor, EventType, RuleCode, Status};

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

/// A file of rules.
pub(super) struct SourceFile {
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

pub(super) fn built_in_files() -> Vec<SourceFile> {
    let path = |name: &str| Path::new("data/rules").join(name);
    BUILT_IN.iter().map(|&(name, text)| SourceFile::new(path(name), text.to_owned())).collect()
}

/// Every `.toml` file of a folder, sorted by name.
pub(super) fn files_in(dir: &Path) -> Result<Vec<SourceFile>, LoadError> {
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

/// Compiles the rules of these files.
pub(super) fn build(files: &[SourceFile]) -> Result<RuleSet, LoadError> {
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
    codes: HashSet<String>,
}

impl Collector {
    fn add(&mut self, pattern: &str, role: Role) -> Result<PatternId, String> {
        let node = parse(pattern, &self.lists)?;
        self.roles.push(role);
        self.scanner.add(&node)
    }

    /// Notes the code of a rule, which no other has.
    fn name(&mut self, code: &str, message: &str) -> Result<(), &'static str> {
        if !self.codes.insert(code.to_owned()) {
            return Err("there is another rule with this code");
        }
        if message.trim().is_empty() {
            return Err("the message is empty");
        }
        Ok(())
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
            self.name(&entry.code, &entry.message).map_err(|message| fail(message.into()))?;
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
            self.name(&entry.code, &entry.message).map_err(|message| fail(message.into()))?;
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
