//! Companies' names, swapped in what is trained on, so that a model reads the service and not the name.
//!
//! What people wrote of a company that many complain of would otherwise teach the model to read its name as a
//! complaint. In a share of the stories each known company is given another name, the same in all its sentences.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::{AhoCorasick, MatchKind};
use anyhow::{Context, Result};
use serde::Deserialize;

use crate::data::Example;
use crate::stream::Rng;

/// Names that no company is known by here: half of the new names are among them.
const INVENTED: [&str; 32] = [
    "Ardley",
    "Bexford",
    "Calloway's",
    "Castor",
    "Dunmore",
    "Elmstead",
    "Fenwright",
    "Garrow",
    "Halvern",
    "Inverdale",
    "Jessop & Co",
    "Kestrel",
    "Lindqvist",
    "Marlowe's",
    "Northgate",
    "Orbin",
    "Pellworth",
    "Quayside",
    "Rosewell",
    "Silverline",
    "Tamarind",
    "Ullman's",
    "Vantara",
    "Wexley",
    "Yarrow",
    "Zephyra",
    "Brightwater",
    "Coppergate",
    "Redfern",
    "Larkspur",
    "Moorland",
    "Ostler",
];

#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    names: Vec<Vec<String>>,
    #[serde(default)]
    cased: Vec<Vec<String>>,
}

/// One spelling of a known company.
struct Spelling {
    company: String,
    kind: usize,
    /// It is an ordinary word, too.
    word: bool,
}

pub(crate) struct Names {
    spellings: Vec<Spelling>,
    automaton: AhoCorasick,
    /// The companies of each kind.
    kinds: Vec<Vec<String>>,
}

impl Names {
    /// The list of known companies of this repository.
    pub(crate) fn known() -> Result<Names> {
        let list: BTreeMap<String, Kind> = toml::from_str(include_str!("../../data/providers/known.toml"))
            .context("in data/providers/known.toml")?;
        let (mut spellings, mut written, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
        for (number, kind) in list.into_values().enumerate() {
            for (entries, word) in [(&kind.names, false), (&kind.cased, true)] {
                for entry in entries {
                    // A word is known only by what follows its company's name.
                    for spelling in entry.iter().skip(usize::from(word)) {
                        spellings.push(Spelling { company: entry[0].clone(), kind: number, word });
                        written.push(spelling.clone());
                    }
                }
            }
            kinds.push(kind.names.into_iter().map(|mut entry| entry.swap_remove(0)).collect());
        }
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(written)?;
        Ok(Names { spellings, automaton, kinds })
    }

    /// Swaps the names of companies in a share of the stories; examples of one line are one story.
    pub(crate) fn swap(&self, examples: &mut [Example], share: f64, seed: u64) -> usize {
        let mut swapped = 0;
        for story in examples.chunk_by_mut(|one, next| one.line == next.line) {
            let mut rng = Rng::new(seed ^ (story[0].line as u64).wrapping_mul(0xd134_2543_de82_ef95));
            if rng.uniform() >= share {
                continue;
            }
            let mut given = HashMap::new();
            for example in story {
                if let Some(text) = self.renamed(&example.text, &mut given, &mut rng) {
                    example.text = text;
                    swapped += 1;
                }
            }
        }
        swapped
    }

    /// The text with other names, if it has any.
    fn renamed<'a>(
        &'a self,
        text: &str,
        given: &mut HashMap<&'a str, &'a str>,
        rng: &mut Rng,
    ) -> Option<String> {
        let mut out = String::new();
        let mut done = 0;
        for found in self.automaton.find_iter(text) {
            let spelling = &self.spellings[found.pattern().as_usize()];
            if !stands_alone(text, found.range(), spelling.word) {
                continue;
            }
            let name = *given.entry(&spelling.company).or_insert_with(|| self.other(spelling, rng));
            out.push_str(&text[done..found.start()]);
            out.push_str(name);
            done = found.end();
        }
        (done > 0).then(|| out + &text[done..])
    }

    /// A name of another company of the same kind, or an invented one.
    fn other<'a>(&'a self, spelling: &Spelling, rng: &mut Rng) -> &'a str {
        let kind = &self.kinds[spelling.kind];
        if rng.uniform() < 0.5 && !kind.is_empty() {
            &kind[(rng.next() % kind.len() as u64) as usize]
        } else {
            INVENTED[(rng.next() % INVENTED.len() as u64) as usize]
        }
    }
}

/// Whether a name is a word of its own; one that is an ordinary word, too, must not be part of a longer name
/// ("United States", "Grand Canon").
fn stands_alone(text: &str, span: std::ops::Range<usize>, word: bool) -> bool {
    let (before, after) = (&text[..span.start], &text[span.end..]);
    let inside = |char: char| char.is_alphanumeric() || char == '_';
    if before.chars().next_back().is_some_and(inside) || after.chars().next().is_some_and(inside) {
        return false;
    }
    let capital = |text: &str| text.chars().next().is_some_and(char::is_uppercase);
    let next = after.strip_prefix(' ').is_some_and(capital);
    let last = before.strip_suffix(' ').and_then(|before| before.rsplit(' ').next()).is_some_and(capital);
    // The first word of a sentence is no part of a name.
    let first = before.trim_end().find(' ').is_none();
    !(word && (next || last && !first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(line: usize, texts: &[&str]) -> Vec<Example> {
        let example = |text: &&str| Example {
            text: (*text).to_owned(),
            sentiment: None,
            events: None,
            told: None,
            label: None,
            weight: 1.0,
            line,
        };
        texts.iter().map(example).collect()
    }

    #[test]
    fn a_company_has_one_new_name_in_its_story() {
        let names = Names::known().unwrap();
        let mut kept = 0;
        for seed in 0..20 {
            let mut examples =
                story(1, &["Ryan Air lost my bag.", "Then Ryanair's clerk laughed.", "KLM did not."]);
            assert_eq!(names.swap(&mut examples, 1.0, seed), 3);
            let new = examples[0].text.strip_suffix(" lost my bag.").unwrap();
            assert_eq!(examples[1].text, format!("Then {new}'s clerk laughed."));
            assert!(examples[2].text.ends_with(" did not."));
            kept += usize::from(new == "Ryanair");
        }
        assert!(kept < 4, "{kept} of 20 stories kept their name");
    }

    #[test]
    fn words_that_are_no_names_stay() {
        let names = Names::known().unwrap();
        let texts = [
            "We toured the United States.",
            "My target was Ryanairish, and the sprint was on.",
            "The Grand Canon of repairs.",
            "Nothing is named here.",
        ];
        let mut examples = story(1, &texts);
        assert_eq!(names.swap(&mut examples, 1.0, 7), 0);
        assert!(examples.iter().zip(texts).all(|(example, text)| example.text == text));
        assert_eq!(names.swap(&mut story(1, &["I flew United to Rome.", "Dell sent a box."]), 1.0, 7), 2);
    }

    #[test]
    fn a_share_of_the_stories_is_swapped_and_the_same_each_time() {
        let names = Names::known().unwrap();
        let stories = || (1..=400).flat_map(|line| story(line, &["Comcast never came."])).collect::<Vec<_>>();
        let mut examples = stories();
        let swapped = names.swap(&mut examples, 0.25, 3);
        assert!((70..130).contains(&swapped), "{swapped} of 400");
        let mut again = stories();
        names.swap(&mut again, 0.25, 3);
        assert_eq!(examples, again);
        let mut other = stories();
        names.swap(&mut other, 0.25, 4);
        assert_ne!(examples, other);
        assert_eq!(names.swap(&mut stories(), 0.0, 3), 0);
    }
}
