//! The lists of `data/providers/`: known companies, the words by which a kind of company is known, and those that
//! tell names from other words.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use serde::Deserialize;

use crate::span::Span;

/// A company that is known by name.
#[derive(Debug)]
pub(super) struct Company {
    /// As it is written in results.
    pub(super) name: String,
    /// Spellings that are ordinary words and need the full name beside them.
    pub(super) short: Vec<String>,
    pub(super) kind: String,
}

/// A kind of company.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kind {
    name: String,
    nouns: Vec<String>,
    signs: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Companies {
    names: Vec<Vec<String>>,
    #[serde(default)]
    cased: Vec<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kinds {
    kind: Vec<Kind>,
}

/// Words by which names are told from other words, and companies from people: see the file for each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    pub(super) common: HashSet<String>,
    pub(super) company: HashSet<String>,
    pub(super) titles: HashSet<String>,
    pub(super) to_company: HashSet<String>,
    pub(super) placed: HashSet<String>,
    pub(super) serves: HashSet<String>,
    pub(super) roles: HashSet<String>,
    pub(super) pronouns: HashSet<String>,
    pub(super) owners: HashSet<String>,
    pub(super) near: HashSet<String>,
    pub(super) given: HashSet<String>,
    pub(super) places: HashSet<String>,
    pub(super) behind: HashSet<String>,
    pub(super) leads: HashSet<String>,
    pub(super) turns: HashSet<String>,
    pub(super) stays: HashSet<String>,
    pub(super) institutions: HashSet<String>,
    pub(super) services: HashSet<String>,
    pub(super) kinds: HashSet<String>,
    pub(super) travels: HashSet<String>,
    pub(super) toward: HashSet<String>,
    /// Of `ordinary.txt`.
    #[serde(skip)]
    pub(super) ordinary: HashSet<String>,
}

pub(super) static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let words: Words =
        toml::from_str(include_str!("../../data/providers/words.toml")).expect("the lists of words");
    let ordinary =
        include_str!("../../data/providers/ordinary.txt").lines().filter(|line| !line.starts_with('#'));
    Words { ordinary: ordinary.flat_map(str::split_whitespace).map(str::to_owned).collect(), ..words }
});

/// All lists, ready to be searched for.
pub(super) struct Lists {
    pub(super) companies: Vec<Company>,
    /// Searches spellings whatever their case, and those that count only as written; each with the company.
    any_case: (AhoCorasick, Vec<usize>),
    cased: (AhoCorasick, Vec<usize>),
    kinds: Vec<Kind>,
    kind_words: (AhoCorasick, Vec<(usize, bool)>),
    /// The words that `kind_words` searches for.
    words: Vec<String>,
}

pub(super) static LISTS: LazyLock<Lists> = LazyLock::new(Lists::load);

impl Lists {
    /// The lists are part of the library and a test loads them.
    fn load() -> Self {
        let companies_by_kind: BTreeMap<String, Companies> =
            toml::from_str(include_str!("../../data/providers/known.toml")).expect("the list of companies");
        let kinds: Kinds =
            toml::from_str(include_str!("../../data/providers/kinds.toml")).expect("the list of kinds");
        let mut companies: Vec<Company> = Vec::new();
        let (mut any_words, mut any_at) = (Vec::new(), Vec::new());
        let (mut cased_words, mut cased_at) = (Vec::new(), Vec::new());
        for (kind, listed) in &companies_by_kind {
            // In `cased` the first one is the name in results only.
            let names = listed.names.iter().map(|row| (row, true, 0));
            for (spellings, any_case, from) in names.chain(listed.cased.iter().map(|row| (row, false, 1))) {
                let Some(name) = spellings.first() else { continue };
                let at = companies.iter().position(|company| company.name == *name).unwrap_or_else(|| {
                    companies.push(Company { name: name.clone(), kind: kind.clone(), short: Vec::new() });
                    companies.len() - 1
                });
                for spelling in &spellings[from..] {
                    if any_case {
                        any_words.push(spelling.clone());
                        any_at.push(at);
                    } else {
                        companies[at].short.push(spelling.clone());
                        cased_words.push(spelling.clone());
                        cased_at.push(at);
                    }
                }
            }
        }
        let (mut words, mut word_at) = (Vec::new(), Vec::new());
        for (at, kind) in kinds.kind.iter().enumerate() {
            for (list, noun) in [(&kind.nouns, true), (&kind.signs, false)] {
                words.extend(list.iter().cloned());
                word_at.extend(list.iter().map(|_| (at, noun)));
            }
        }
        Lists {
            companies,
            any_case: (automaton(&any_words, true), any_at),
            cased: (automaton(&cased_words, false), cased_at),
            kinds: kinds.kind,
            kind_words: (automaton(&words, true), word_at),
            words,
        }
    }

    /// Known companies in `text[within]`, as places and numbers of companies, in the order of the text.
    pub(super) fn companies_in(&self, text: &str, within: Span) -> Vec<(Span, usize)> {
        let mut found: Vec<(Span, usize)> = Vec::new();
        for (automaton, companies) in [&self.any_case, &self.cased] {
            found.extend(whole_words(automaton, text, within).map(|(span, at)| (span, companies[at])));
        }
        found.sort_by_key(|(span, _)| (span.start(), std::cmp::Reverse(span.end())));
        let mut end = 0;
        found.retain(|(span, _)| {
            let free = span.start() >= end;
            if free {
                end = span.end();
            }
            free
        });
        found
    }

    /// What the company in these places is called that is never named: the noun used most often of the kind
    /// whose words are used most, or else the name of that kind. Nouns count three times.
    pub(super) fn kind_of(&self, text: &str, places: impl Iterator<Item = Span> + Clone) -> Option<&str> {
        let mut counts = vec![0usize; self.kinds.len()];
        for place in places.clone() {
            for (_, at) in whole_words(&self.kind_words.0, text, place) {
                let (kind, noun) = self.kind_words.1[at];
                counts[kind] += if noun { 3 } else { 1 };
            }
        }
        Some(self.noun_of(first_most(&counts)?, text, places))
    }

    /// The noun by which these places call a company of this kind most often, or else the name of the kind.
    pub(super) fn noun_of(&self, kind: usize, text: &str, places: impl Iterator<Item = Span>) -> &str {
        let mut nouns = vec![0usize; self.words.len()];
        for place in places {
            for (_, at) in whole_words(&self.kind_words.0, text, place) {
                nouns[at] += usize::from(self.kind_words.1[at] == (kind, true));
            }
        }
        let noun = (0..nouns.len()).max_by_key(|&at| (nouns[at], std::cmp::Reverse(at)));
        let noun = noun.filter(|&at| nouns[at] > 0).map(|at| self.words[at].as_str());
        // The list names its kinds in the singular.
        noun.filter(|noun| !noun.ends_with('s')).unwrap_or(&self.kinds[kind].name)
    }

    /// The first kind in `text[within]` that is named by a noun.
    pub(super) fn kind_noun(&self, text: &str, within: Span) -> Option<usize> {
        whole_words(&self.kind_words.0, text, within)
            .map(|(_, at)| self.kind_words.1[at])
            .find(|(_, noun)| *noun)
            .map(|(kind, _)| kind)
    }

    /// The first kind in `text[within]` that is named with its article, like somebody who was told of before: "the
    /// airline".
    pub(super) fn the_kind(&self, text: &str, within: Span) -> Option<usize> {
        whole_words(&self.kind_words.0, text, within)
            .filter(|(span, at)| {
                let before = text.get(within.start()..span.start()).unwrap_or("");
                self.kind_words.1[*at].1 && before.split_whitespace().next_back().is_some_and(is_the)
            })
            .map(|(_, at)| self.kind_words.1[at].0)
            .next()
    }

    /// The kind of this name: that of a known company.
    pub(super) fn kind_called(&self, name: &str) -> Option<usize> {
        self.kinds.iter().position(|kind| kind.name == name)
    }

    /// Whether `text[within]` ends in a noun of a kind.
    pub(super) fn ends_in_kind(&self, text: &str, within: Span) -> bool {
        whole_words(&self.kind_words.0, text, within)
            .any(|(span, at)| span.end() == within.end() && self.kind_words.1[at].1)
    }
}

fn is_the(word: &str) -> bool {
    word.eq_ignore_ascii_case("the")
}

/// Where the largest count stands first, if there is any above 0.
fn first_most(counts: &[usize]) -> Option<usize> {
    let most = counts.iter().copied().max().filter(|most| *most > 0)?;
    counts.iter().position(|count| *count == most)
}

fn automaton(words: &[String], any_case: bool) -> AhoCorasick {
    AhoCorasick::builder()
        .ascii_case_insensitive(any_case)
        .match_kind(MatchKind::LeftmostLongest)
        .build(words)
        .expect("a short list of words")
}

/// Matches with no letter or digit on either side.
fn whole_words<'a>(
    automaton: &'a AhoCorasick,
    text: &'a str,
    within: Span,
) -> impl Iterator<Item = (Span, usize)> + 'a {
    let part = within.get(text).unwrap_or("");
    automaton.find_iter(part).filter_map(move |found| {
        let before = part[..found.start()].chars().next_back();
        let after = part[found.end()..].chars().next();
        let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let start = within.start();
        (!inside(before) && !inside(after))
            .then(|| (Span::new(start + found.start(), start + found.end()), found.pattern().as_usize()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_whole_words_in_any_spelling() {
        let names = |text: &str| -> Vec<String> {
            let found = LISTS.companies_in(text, Span::new(0, text.len()));
            found.iter().map(|(_, at)| LISTS.companies[*at].name.clone()).collect()
        };
        assert_eq!(names("I flew BA, then wizzair."), ["British Airways", "Wizz Air"]);
        assert_eq!(names("PNC BANK and pnc"), ["PNC Bank", "PNC Bank"]);
        assert_eq!(names("We gave chase; the target was Chase."), ["Chase"]);
        assert_eq!(names("Ubering about in a bazaar"), [""; 0]);
    }

    #[test]
    fn every_company_stands_once() {
        let mut names: Vec<&str> = LISTS.companies.iter().map(|company| company.name.as_str()).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(LISTS.companies.iter().all(|company| !company.kind.is_empty()));
    }
}
