//! Patterns compiled into one scanner: which words wake which pattern, and the small program that each one runs.
//!
//! One Aho-Corasick automaton reads the normalized text once and marks every word with the stems that it
//! matches. A stem wakes the patterns that cannot match without it; only those run, on that sentence, as sets
//! of states that go over the words once. Nothing backtracks.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

use crate::events::pattern::{Kind, Node, Stem};
use crate::events::words::{BREAK, MONEY, NAME, NUMBER, Words};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Consumes a word of the class.
    Word(u16),
    NotWord(u16),
    Flag(u8),
    Any,
    /// Goes on only where no clause starts.
    Within,
    ClauseStart,
    SentenceEnd,
    Split(u16, u16),
    Jump(u16),
    Match,
}

/// Number of a pattern in its scanner.
pub(crate) type PatternId = u32;

/// A match: first word, one past the last word (numbers within the story).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

#[derive(Debug)]
struct Program {
    steps: Box<[Step]>,
    /// Stems that a match can start with, sorted; `None` where it can start with any word.
    first: Option<Box<[u32]>>,
}

/// All patterns of a rule set.
#[derive(Debug)]
pub(crate) struct Scanner {
    automaton: AhoCorasick,
    /// For each stem the classes that hold it, sorted.
    classes_of: Vec<Box<[u16]>>,
    /// For each stem the patterns that it wakes.
    wakes: Vec<Box<[PatternId]>>,
    programs: Vec<Program>,
}

/// Collects patterns for a [`Scanner`].
#[derive(Debug, Default)]
pub(crate) struct ScannerBuilder {
    stems: HashMap<Stem, u32>,
    classes: HashMap<Vec<u32>, u16>,
    wakes: Vec<Vec<PatternId>>,
    programs: Vec<Program>,
    /// Words and alternatives of all patterns so far.
    size: usize,
}

/// More steps than this in one pattern are refused: no readable pattern comes near.
const MAX_STEPS: usize = 4000;

/// More patterns than this are refused: each sentence that wakes all of them runs all of them.
const MAX_PATTERNS: usize = 20_000;

/// Words and alternatives of all patterns together, with their lists written out.
pub(crate) const MAX_WORDS: usize = 4_000_000;

impl ScannerBuilder {
    /// Adds a pattern; the error says why it cannot be used.
    pub(crate) fn add(&mut self, node: &Node) -> Result<PatternId, String> {
        let required = node.required().ok_or("no word must be present in every match; name at least one")?;
        if node.can_be_empty() {
            return Err("the pattern can match no words at all".into());
        }
        self.size += node.extent().0;
        for (what, found, limit) in [
            ("patterns", self.programs.len() + 1, MAX_PATTERNS),
            ("words and alternatives in all patterns", self.size, MAX_WORDS),
        ] {
            if found > limit {
                return Err(format!("{found} {what}, the limit is {limit}"));
            }
        }
        let mut steps = Vec::new();
        self.compile(node, &mut steps)?;
        steps.push(Step::Match);
        let id = self.programs.len() as PatternId;
        for stem in required {
            let stem = self.stem(&stem);
            let woken = &mut self.wakes[stem as usize];
            if woken.last() != Some(&id) {
                woken.push(id);
            }
        }
        let mut first = Vec::new();
        let known = node.first(&mut first);
        let mut first: Vec<u32> = first.iter().map(|stem| self.stem(stem)).collect();
        first.sort_unstable();
        first.dedup();
        self.programs.push(Program { steps: steps.into(), first: known.then(|| first.into()) });
        Ok(id)
    }

    fn stem(&mut self, stem: &Stem) -> u32 {
        if let Some(&id) = self.stems.get(stem) {
            return id;
        }
        let id = self.stems.len() as u32;
        self.stems.insert(stem.clone(), id);
        self.wakes.push(Vec::new());
        id
    }

    fn class(&mut self, stems: &[Stem]) -> Result<u16, String> {
        let mut ids: Vec<u32> = stems.iter().map(|stem| self.stem(stem)).collect();
        ids.sort_unstable();
        ids.dedup();
        let next = u16::try_from(self.classes.len()).map_err(|_| "too many different word classes")?;
        Ok(*self.classes.entry(ids).or_insert(next))
    }

    fn compile(&mut self, node: &Node, steps: &mut Vec<Step>) -> Result<(), String> {
        match node {
            Node::Word(stems) => steps.push(Step::Word(self.class(stems)?)),
            Node::NotWord(stems) => steps.push(Step::NotWord(self.class(stems)?)),
            Node::Kind(kind) => steps.push(Step::Flag(match kind {
                Kind::Number => NUMBER,
                Kind::Money => MONEY,
                Kind::Name => NAME,
            })),
            Node::Any => steps.push(Step::Any),
            Node::ClauseStart => steps.push(Step::ClauseStart),
            Node::SentenceEnd => steps.push(Step::SentenceEnd),
            Node::Gap { max, within } => {
                let width = if *within { 3 } else { 2 };
                let end = steps.len() + *max as usize * width;
                for _ in 0..*max {
                    let at = steps.len() as u16;
                    steps.push(Step::Split(at + 1, end as u16));
                    if *within {
                        steps.push(Step::Within);
                    }
                    steps.push(Step::Any);
                }
                if *within {
                    steps.push(Step::Within);
                }
            }
            Node::Seq(items) => {
                for item in items {
                    self.compile(item, steps)?;
                }
            }
            Node::Alt(branches) => {
                let mut jumps = Vec::new();
                for (at, branch) in branches.iter().enumerate() {
                    if at + 1 < branches.len() {
                        let split = steps.len();
                        steps.push(Step::Match);
                        self.compile(branch, steps)?;
                        jumps.push(steps.len());
                        steps.push(Step::Match);
                        steps[split] = Step::Split(split as u16 + 1, steps.len() as u16);
                    } else {
                        self.compile(branch, steps)?;
                    }
                }
                let end = steps.len() as u16;
                for jump in jumps {
                    steps[jump] = Step::Jump(end);
                }
            }
            Node::Opt(inner) => {
                let split = steps.len();
                steps.push(Step::Match);
                self.compile(inner, steps)?;
                steps[split] = Step::Split(split as u16 + 1, steps.len() as u16);
            }
        }
        if steps.len() > MAX_STEPS {
            Err(format!("the pattern needs more than {MAX_STEPS} steps"))
        } else {
            Ok(())
        }
    }

    /// The scanner of all patterns that were added.
    pub(crate) fn build(self) -> Result<Scanner, String> {
        let mut texts = vec![String::new(); self.stems.len()];
        for (stem, &id) in &self.stems {
            texts[id as usize] = format!(" {}{}", stem.text, if stem.prefix { "" } else { " " });
        }
        let mut classes_of = vec![Vec::new(); texts.len()];
        for (stems, &class) in &self.classes {
            for &stem in stems {
                classes_of[stem as usize].push(class);
            }
        }
        let automaton = AhoCorasickBuilder::new()
            .match_kind(MatchKind::Standard)
            .build(&texts)
            .map_err(|error| error.to_string())?;
        Ok(Scanner {
            automaton,
            classes_of: classes_of
                .into_iter()
                .map(|mut classes| {
                    classes.sort_unstable();
                    classes.into()
                })
                .collect(),
            wakes: self.wakes.into_iter().map(Vec::into_boxed_slice).collect(),
            programs: self.programs,
        })
    }
}

/// Memory of a scan, kept between stories.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    /// Stems of each word: `stems[bounds[i]..bounds[i + 1]]`.
    stems: Vec<u32>,
    bounds: Vec<u32>,
    pub(crate) woken: Vec<PatternId>,
    /// The last sentence that woke each pattern.
    stamp: Vec<u32>,
    now: Threads,
    next: Threads,
}

/// A sparse set of program states with the word at which each match began.
#[derive(Clone, Debug, Default)]
struct Threads {
    list: Vec<(u16, u32)>,
    seen: Vec<u32>,
    round: u32,
}

impl Threads {
    fn clear(&mut self, steps: usize) {
        self.list.clear();
        if self.seen.len() < steps {
            self.seen.resize(steps, 0);
        }
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.seen.fill(0);
            self.round = 1;
        }
    }
}

impl Scanner {
    /// Reads all words: what [`Scanner::wake`] and [`Scanner::each`] then go by.
    pub(crate) fn read(&self, words: &Words, scratch: &mut Scratch) {
        self.mark(words, scratch);
        scratch.stamp.clear();
        scratch.stamp.resize(self.programs.len(), u32::MAX);
    }

    /// Notes which patterns the words `from..to` of sentence `sentence` wake, in their order.
    pub(crate) fn wake(&self, scratch: &mut Scratch, sentence: usize, from: usize, to: usize) {
        scratch.woken.clear();
        for &stem in &scratch.stems[scratch.bounds[from] as usize..scratch.bounds[to] as usize] {
            for &pattern in &self.wakes[stem as usize] {
                if scratch.stamp[pattern as usize] != sentence as u32 {
                    scratch.stamp[pattern as usize] = sentence as u32;
                    scratch.woken.push(pattern);
                }
            }
        }
        scratch.woken.sort_unstable();
    }

    /// Finds the matches of one pattern in the sentence `from..to`.
    pub(crate) fn each(
        &self,
        pattern: PatternId,
        words: &Words,
        scratch: &mut Scratch,
        from: usize,
        to: usize,
        mut each: impl FnMut(Found),
    ) {
        let mut start = from;
        while let Some((first, end)) = self.run(pattern, words, scratch, start, from, to) {
            each(Found { from: first, to: end });
            start = end;
        }
    }

    /// Notes for each word the stems that it matches.
    fn mark(&self, words: &Words, scratch: &mut Scratch) {
        scratch.stems.clear();
        scratch.bounds.clear();
        let mut word = 0;
        for found in self.automaton.find_overlapping_iter(&words.normal) {
            let start = found.start() as u32;
            while word < words.words.len() && words.words[word].normal <= start {
                scratch.bounds.push(scratch.stems.len() as u32);
                word += 1;
            }
            scratch.stems.push(found.pattern().as_u32());
        }
        while word <= words.words.len() {
            scratch.bounds.push(scratch.stems.len() as u32);
            word += 1;
        }
    }

    fn in_class(&self, scratch: &Scratch, word: usize, class: u16) -> bool {
        scratch.stems[scratch.bounds[word] as usize..scratch.bounds[word + 1] as usize]
            .iter()
            .any(|&stem| self.classes_of[stem as usize].binary_search(&class).is_ok())
    }

    /// The leftmost longest match that starts at word `start` or later, in the sentence `first..last`.
    fn run(
        &self,
        pattern: PatternId,
        words: &Words,
        scratch: &mut Scratch,
        start: usize,
        first: usize,
        last: usize,
    ) -> Option<(usize, usize)> {
        let Program { steps, first: starts } = &self.programs[pattern as usize];
        let can_start = |scratch: &Scratch, word: usize| match starts {
            None => true,
            Some(starts) => scratch.stems[scratch.bounds[word] as usize..scratch.bounds[word + 1] as usize]
                .iter()
                .any(|stem| starts.binary_search(stem).is_ok()),
        };
        let mut now = std::mem::take(&mut scratch.now);
        let mut next = std::mem::take(&mut scratch.next);
        let mut best: Option<(usize, usize)> = None;
        now.clear(steps.len());
        for at in start..=last {
            if best.is_none() && at < last && can_start(scratch, at) {
                follow(steps, 0, at as u32, at, first, last, words, &mut now);
            }
            if now.list.is_empty() {
                if best.is_some() {
                    break;
                }
                now.clear(steps.len());
                continue;
            }
            next.clear(steps.len());
            for &(step, begun) in &now.list {
                if best.is_some_and(|(from, _)| begun as usize > from) {
                    break;
                }
                let goes_on = match steps[step as usize] {
                    Step::Match => {
                        best = Some((begun as usize, at));
                        continue;
                    }
                    _ if at == last => false,
                    Step::Word(class) => self.in_class(scratch, at, class),
                    Step::NotWord(class) => !self.in_class(scratch, at, class),
                    Step::Flag(flag) => words.words[at].has(flag),
                    _ => true,
                };
                if goes_on {
                    follow(steps, step + 1, begun, at + 1, first, last, words, &mut next);
                }
            }
            std::mem::swap(&mut now, &mut next);
        }
        scratch.now = now;
        scratch.next = next;
        best
    }
}

/// Adds `step`, or the consuming steps that it leads to, to `threads`; `at` is the next word to be read.
#[allow(clippy::too_many_arguments)]
fn follow(
    steps: &[Step],
    step: u16,
    begun: u32,
    at: usize,
    first: usize,
    last: usize,
    words: &Words,
    threads: &mut Threads,
) {
    if threads.seen[step as usize] == threads.round {
        return;
    }
    threads.seen[step as usize] = threads.round;
    let breaks = || at == first || (at < last && words.words[at].has(BREAK));
    let mut go = |to| follow(steps, to, begun, at, first, last, words, threads);
    match steps[step as usize] {
        Step::Split(a, b) => {
            go(a);
            go(b);
        }
        Step::Jump(to) => go(to),
        Step::Within if at < last && words.words[at].has(BREAK) && at > begun as usize => {}
        Step::Within => go(step + 1),
        Step::ClauseStart => {
            if breaks() {
                go(step + 1);
            }
        }
        Step::SentenceEnd => {
            if at == last {
                go(step + 1);
            }
        }
        _ => threads.list.push((step, begun)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::pattern::{Lists, parse};
    use crate::events::words::words_of;

    fn matches(pattern: &str, text: &str) -> Vec<String> {
        let mut builder = ScannerBuilder::default();
        builder.add(&parse(pattern, &Lists::new()).unwrap()).unwrap();
        let scanner = builder.build().unwrap();
        let words = words_of(text);
        let (mut found, mut scratch, last) = (Vec::new(), Scratch::default(), words.words.len());
        scanner.read(&words, &mut scratch);
        scanner.wake(&mut scratch, 0, 0, last);
        for pattern in scratch.woken.clone() {
            scanner.each(pattern, &words, &mut scratch, 0, last, |at| {
                found.push(text[words.span(at.from, at.to).range()].to_owned());
            });
        }
        found
    }

    #[test]
    fn gaps_stay_in_their_clause() {
        assert_eq!(matches("they .. refund*", "They have now refunded me"), ["They have now refunded"]);
        assert_eq!(matches("they .. refund*", "They left, so refund me"), Vec::<String>::new());
        assert_eq!(matches("they ... refund*", "They left, so refund me"), ["They left, so refund"]);
        assert_eq!(matches("they ..2 refund*", "they will not ever refund"), Vec::<String>::new());
    }

    #[test]
    fn alternatives_options_and_assertions() {
        assert_eq!(
            matches("(call* back | rang) me?", "they called back me, or rang"),
            ["called back me", "rang"]
        );
        assert_eq!(matches("^ never call*", "I never called; never call"), ["never call"]);
        assert_eq!(matches("back $", "back to back"), ["back"]);
        assert_eq!(matches("!very rude", "very rude, so rude"), ["so rude"]);
        assert_eq!(matches("<num> hour*", "3 hours, two hours, no hours"), ["3 hours", "two hours"]);
        assert_eq!(matches("didn't call", "They didn’t call"), ["didn’t call"]);
    }

    #[test]
    fn the_leftmost_longest_match_wins_and_matches_do_not_overlap() {
        assert_eq!(matches("so ..3 slow", "so so slow slow and slow"), ["so so slow slow"]);
        assert_eq!(matches("a b? | b c", "a b c a"), ["a b", "a"]);
    }

    #[test]
    fn a_pattern_without_a_necessary_word_is_refused() {
        for bad in ["_ _", "a?", "<num>", "(a | _)"] {
            assert!(ScannerBuilder::default().add(&parse(bad, &Lists::new()).unwrap()).is_err(), "{bad}");
        }
    }
}
