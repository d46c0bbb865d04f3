//! The pattern language of rules: words, alternatives, options and bounded gaps.
//!
//! | written | matches |
//! |---|---|
//! | `refund` | this word (contractions are opened: write `did not` or `didn't`) |
//! | `refund*` | a word that starts so |
//! | `<staff>` | an entry of the list `staff` of `lists.toml`; entries may be patterns |
//! | `<num>` `<money>` `<name>` | a number, an amount with its sign, a capitalised word inside a sentence |
//! | `_` | any one word |
//! | `!(a \| b)` `!a` | one word that is none of these |
//! | `(a b \| c)` | one of the alternatives |
//! | `x?` | `x` or nothing |
//! | `..` `..5` | up to 3 (5) words, all in one clause |
//! | `...` `...9` | up to 8 (9) words, clause ends included |
//! | `^` | here a clause starts |
//! | `$` | here the sentence ends |
//!
//! Gaps are bounded and there is no repetition, so the longest match of a pattern is a constant and matching
//! is linear in the text.

use std::collections::HashMap;

use crate::events::words::normalize;

/// A word or the start of one, in its normal form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Stem {
    pub(crate) text: String,
    pub(crate) prefix: bool,
}

/// A class of words that the scanner knows without a list.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    Number,
    Money,
    Name,
}

/// A parsed pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Node {
    /// One word out of these.
    Word(Vec<Stem>),
    /// One word that is none of these.
    NotWord(Vec<Stem>),
    Kind(Kind),
    Any,
    /// Up to `max` words; `within` keeps the gap inside a clause.
    Gap {
        max: u8,
        within: bool,
    },
    ClauseStart,
    SentenceEnd,
    Seq(Vec<Node>),
    Alt(Vec<Node>),
    Opt(Box<Node>),
}

/// Named lists, already parsed.
pub(crate) type Lists = HashMap<String, Node>;

/// The widest gap that a pattern may have.
const MAX_GAP: u8 = 15;

/// How deep brackets and lists of lists may stand in one another, so that no walk over a pattern ends the stack.
const MAX_DEPTH: usize = 64;

/// Words and alternatives that a pattern may have with its lists written out: lists of lists grow exponentially.
const MAX_SIZE: usize = 20_000;

/// Parses `pattern`; the error says what is wrong.
pub(crate) fn parse(pattern: &str, lists: &Lists) -> Result<Node, String> {
    let mut parser = Parser { rest: pattern, lists, depth: 0, size: 0 };
    let node = parser.alternatives()?;
    match parser.rest.chars().next() {
        None => check_extent(trim(node)),
        Some(c) => Err(format!("unexpected {c:?} in pattern {pattern:?}")),
    }
}

/// Refuses a pattern that is too deep or too large.
pub(crate) fn check_extent(node: Node) -> Result<Node, String> {
    let (size, depth) = node.extent();
    too_large(size, depth).map_or(Ok(node), Err)
}

fn too_large(size: usize, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return Some(format!("brackets and lists {depth} deep, the limit is {MAX_DEPTH}"));
    }
    (size > MAX_SIZE)
        .then(|| format!("{size} words and alternatives with its lists written out, the limit is {MAX_SIZE}"))
}

/// Takes gaps off the end of a pattern, where they would only widen the match.
fn trim(node: Node) -> Node {
    match node {
        Node::Seq(mut items) => {
            while matches!(items.last(), Some(Node::Gap { .. })) {
                items.pop();
            }
            if let [.., Node::Gap { .. }, Node::Opt(_)] = items.as_slice()
                && let (Some(Node::Opt(last)), Some(gap)) = (items.pop(), items.pop())
            {
                items.push(Node::Opt(Box::new(Node::Seq(vec![gap, *last]))));
            } else if let Some(last) = items.pop() {
                items.push(trim(last));
            }
            Node::Seq(items)
        }
        Node::Alt(branches) => Node::Alt(branches.into_iter().map(trim).collect()),
        node => node,
    }
}

struct Parser<'a> {
    rest: &'a str,
    lists: &'a Lists,
    /// Open brackets and `!`.
    depth: usize,
    /// What the lists that were written out so far hold together.
    size: usize,
}

impl Parser<'_> {
    fn alternatives(&mut self) -> Result<Node, String> {
        let mut branches = vec![self.sequence()?];
        while self.eat('|') {
            branches.push(self.sequence()?);
        }
        Ok(alt(branches))
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut items = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.chars().next() {
                None | Some('|' | ')') => break,
                Some(_) => {
                    let item = self.atom()?;
                    let item = if self.rest.starts_with('?') {
                        self.rest = &self.rest[1..];
                        Node::Opt(Box::new(item))
                    } else {
                        item
                    };
                    items.push(item);
                }
            }
        }
        match items.len() {
            0 => Err("an alternative is empty".into()),
            1 => Ok(items.remove(0)),
            _ => Ok(Node::Seq(items)),
        }
    }

    fn atom(&mut self) -> Result<Node, String> {
        if self.eat('(') {
            self.enter()?;
            let node = self.alternatives()?;
            self.depth -= 1;
            return if self.eat(')') { Ok(node) } else { Err("a bracket is not closed".into()) };
        }
        if self.eat('<') {
            let (name, rest) = self.rest.split_once('>').ok_or("a `<` is not closed")?;
            self.rest = rest;
            return match name {
                "num" => Ok(Node::Kind(Kind::Number)),
                "money" => Ok(Node::Kind(Kind::Money)),
                "name" => Ok(Node::Kind(Kind::Name)),
                _ => self.list(name),
            };
        }
        if self.eat('!') {
            self.enter()?;
            let inner = self.atom()?;
            self.depth -= 1;
            return match inner {
                Node::Word(stems) => Ok(Node::NotWord(stems)),
                _ => Err("after `!` only single words can stand".into()),
            };
        }
        if self.eat('^') {
            return Ok(Node::ClauseStart);
        }
        if self.eat('$') {
            return Ok(Node::SentenceEnd);
        }
        if self.rest.starts_with("..") {
            let within = !self.rest.starts_with("...");
            self.rest = &self.rest[if within { 2 } else { 3 }..];
            let digits = self.rest.len() - self.rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let max = match &self.rest[..digits] {
                "" => {
                    if within {
                        3
                    } else {
                        8
                    }
                }
                digits => digits
                    .parse()
                    .ok()
                    .filter(|max| (1..=MAX_GAP).contains(max))
                    .ok_or_else(|| format!("a gap of {digits} words: the limits are 1 and {MAX_GAP}"))?,
            };
            self.rest = &self.rest[digits..];
            return Ok(Node::Gap { max, within });
        }
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’' | '*' | '_')))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            return Err(format!("unexpected {:?}", self.rest.chars().next().unwrap_or(' ')));
        }
        self.rest = rest;
        if word == "_" {
            return Ok(Node::Any);
        }
        let (stem, prefix) = match word.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (word, false),
        };
        if stem.is_empty() || stem.contains(['*', '_']) {
            return Err(format!("{word:?} is no word"));
        }
        let normal = if stem.starts_with('\'') { stem.to_owned() } else { normalize(stem) };
        let mut words: Vec<Node> = normal
            .split(' ')
            .map(|text| Node::Word(vec![Stem { text: text.to_owned(), prefix: false }]))
            .collect();
        if let (true, Some(Node::Word(stems))) = (prefix, words.last_mut()) {
            stems[0].prefix = true;
        }
        Ok(if words.len() == 1 { words.remove(0) } else { Node::Seq(words) })
    }

    fn enter(&mut self) -> Result<(), String> {
        self.depth += 1;
        too_large(0, self.depth).map_or(Ok(()), Err)
    }

    /// A copy of a list. What a pattern may hold is counted before it is copied.
    fn list(&mut self, name: &str) -> Result<Node, String> {
        let list = self.lists.get(name).ok_or_else(|| format!("there is no list <{name}>"))?;
        self.size += list.extent().0;
        too_large(self.size, 0).map_or_else(|| Ok(list.clone()), Err)
    }

    fn eat(&mut self, c: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

/// Alternatives as one node: all single words become one class, which costs one step to match.
pub(crate) fn alt(branches: Vec<Node>) -> Node {
    let mut stems = Vec::new();
    let mut others = Vec::new();
    for branch in branches {
        match branch {
            Node::Word(more) => stems.extend(more),
            Node::Alt(inner) => {
                for node in inner {
                    match node {
                        Node::Word(more) => stems.extend(more),
                        node => others.push(node),
                    }
                }
            }
            node => others.push(node),
        }
    }
    if !stems.is_empty() {
        stems.sort();
        stems.dedup();
        others.insert(0, Node::Word(stems));
    }
    if others.len() == 1 { others.remove(0) } else { Node::Alt(others) }
}

impl Node {
    /// How many words, alternatives and other parts it has in all, and how deep they stand in one another.
    pub(crate) fn extent(&self) -> (usize, usize) {
        match self {
            Node::Word(stems) | Node::NotWord(stems) => (1 + stems.len(), 1),
            Node::Seq(nodes) | Node::Alt(nodes) => {
                let (size, depth) = nodes
                    .iter()
                    .map(Node::extent)
                    .fold((1, 0), |(size, depth), node| (size + node.0, depth.max(node.1)));
                (size, depth + 1)
            }
            Node::Opt(inner) => {
                let (size, depth) = inner.extent();
                (size + 1, depth + 1)
            }
            _ => (1, 1),
        }
    }

    /// Words of which at least one is in every match; the rarest such set. `None` if there is none.
    pub(crate) fn required(&self) -> Option<Vec<Stem>> {
        match self {
            Node::Word(stems) => Some(stems.clone()),
            Node::Seq(items) => items.iter().filter_map(Node::required).min_by_key(|stems| cost(stems)),
            Node::Alt(branches) => {
                let mut all = Vec::new();
                for branch in branches {
                    all.extend(branch.required()?);
                }
                Some(all)
            }
            _ => None,
        }
    }

    /// Collects the words that a match can start with; `false` where it can start with any word.
    pub(crate) fn first(&self, stems: &mut Vec<Stem>) -> bool {
        match self {
            Node::Word(words) => {
                stems.extend_from_slice(words);
                true
            }
            Node::NotWord(_) | Node::Kind(_) | Node::Any | Node::Gap { .. } => false,
            Node::ClauseStart | Node::SentenceEnd => true,
            Node::Seq(items) => {
                for item in items {
                    if !item.first(stems) {
                        return false;
                    }
                    if !item.can_be_empty() {
                        break;
                    }
                }
                true
            }
            Node::Alt(branches) => branches.iter().all(|branch| branch.first(stems)),
            Node::Opt(inner) => inner.first(stems),
        }
    }

    /// Whether one of `words` stands in it.
    pub(crate) fn names(&self, words: &[&str]) -> bool {
        match self {
            Node::Word(stems) => stems.iter().any(|stem| words.contains(&stem.text.as_str())),
            Node::Seq(nodes) | Node::Alt(nodes) => nodes.iter().any(|node| node.names(words)),
            Node::Opt(inner) => inner.names(words),
            _ => false,
        }
    }

    /// Whether it can match no word at all.
    pub(crate) fn can_be_empty(&self) -> bool {
        match self {
            Node::Word(_) | Node::NotWord(_) | Node::Kind(_) | Node::Any => false,
            Node::Gap { .. } | Node::ClauseStart | Node::SentenceEnd | Node::Opt(_) => true,
            Node::Seq(items) => items.iter().all(Node::can_be_empty),
            Node::Alt(branches) => branches.iter().any(Node::can_be_empty),
        }
    }
}

/// Words so frequent that a rule should not be woken by them if it can be woken by others.
const COMMON: &[&str] = &[
    "a", "about", "after", "again", "all", "am", "an", "and", "any", "are", "as", "at", "back", "be", "been",
    "but", "by", "can", "could", "day", "did", "do", "for", "from", "get", "go", "good", "got", "had", "has",
    "have", "he", "her", "him", "his", "i", "if", "in", "is", "it", "just", "like", "me", "more", "my",
    "never", "no", "not", "of", "on", "one", "or", "our", "out", "service", "she", "so", "staff", "that",
    "the", "their", "them", "there", "they", "this", "time", "to", "up", "us", "very", "was", "we", "were",
    "what", "when", "which", "who", "will", "with", "would", "you", "your",
];

fn cost(stems: &[Stem]) -> usize {
    stems.iter().map(|stem| if COMMON.binary_search(&stem.text.as_str()).is_ok() { 100 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, prefix: bool) -> Stem {
        Stem { text: text.into(), prefix }
    }

    #[test]
    fn patterns_parse() {
        let lists = Lists::from([("staff".to_owned(), parse("agent* | man ager", &Lists::new()).unwrap())]);
        assert_eq!(
            parse("didn't ..5 refund*? me", &lists),
            Ok(Node::Seq(vec![
                Node::Seq(vec![Node::Word(vec![word("did", false)]), Node::Word(vec![word("not", false)])]),
                Node::Gap { max: 5, within: true },
                Node::Opt(Box::new(Node::Word(vec![word("refund", true)]))),
                Node::Word(vec![word("me", false)]),
            ]))
        );
        assert!(matches!(parse("<staff> | <num>", &lists), Ok(Node::Alt(branches)) if branches.len() == 3));
        for bad in ["", "(a", "a)", "<clerk>", "!(a b)", "a ..99 b", "a**", "a | ", "<staff", "a + b"] {
            assert!(parse(bad, &lists).is_err(), "{bad:?}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "millions of characters take Miri half an hour")]
    fn depth_and_size_have_limits() {
        let nested = |depth: usize| format!("a {}b c{}", "(".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(40), &Lists::new()).is_ok());
        for deep in [nested(100_000), "(".repeat(1_000_000), "!".repeat(1_000_000), "a?".repeat(1_000_000)] {
            assert!(parse(&deep, &Lists::new()).is_err());
        }
        // Each list has the one before it ten times: the last would have 10^20 words.
        let mut lists = Lists::from([("l0".to_owned(), parse("a b", &Lists::new()).unwrap())]);
        let error = (1..20).find_map(|at| {
            let ten = format!("<l{}> ", at - 1).repeat(10);
            match parse(&ten, &lists) {
                Ok(node) => lists.insert(format!("l{at}"), node).map(|_| String::new()),
                Err(error) => Some(error),
            }
        });
        assert!(error.unwrap().ends_with("the limit is 20000"));
    }

    #[test]
    fn the_rarest_necessary_words_wake_a_pattern() {
        let node = parse("they ..3 (refund* | paid) me", &Lists::new()).unwrap();
        assert_eq!(node.required(), Some(vec![word("paid", false), word("refund", true)]));
        assert_eq!(parse("<num> .. _", &Lists::new()).unwrap().required(), None);
        assert!(COMMON.is_sorted());
    }
}
