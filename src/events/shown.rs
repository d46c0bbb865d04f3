//! Which words of a sentence show an event that no rule points to.
//!
//! The model reads a sentence as a whole and does not say where it saw an event. What it must have seen is looked
//! up: `data/events/words.toml` holds, for each type, the words and pairs of words that stand in sentences with the
//! event far more often than in others (log-likelihood ratio, counted on labelled reviews by
//! `examples/fit_words.rs`). The clause that holds the most of them is named.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::events::words::{BREAK, Words};
use crate::events::{EVENT_TYPES, EventType};
use crate::span::Span;

/// A clause longer than this many words is cut down to its telling words.
const LONG: usize = 12;

/// Telling words and pairs of words, each with its types and weights.
#[derive(Debug, Default)]
struct Telling(HashMap<String, Vec<(usize, f32)>>);

static TELLING: LazyLock<Telling> = LazyLock::new(|| {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/events/words.toml"));
    Telling::parse(text).expect("a file of our own, read by a test")
});

impl Telling {
    /// A table a type, `"words" = weight`.
    fn parse(text: &str) -> Result<Telling, String> {
        let file: HashMap<String, HashMap<String, f32>> =
            toml::from_str(text).map_err(|error| error.to_string())?;
        let mut telling = Telling::default();
        for (name, words) in file {
            let event_type = EventType::custom(&name).map_err(|error| error.to_string())?;
            let number = event_type.index().ok_or_else(|| format!("{name} is not built in"))?;
            for (words, weight) in words {
                telling.0.entry(words).or_default().push((number, weight));
            }
        }
        Ok(telling)
    }

    fn weight(&self, words: &str, number: usize) -> f32 {
        self.0
            .get(words)
            .and_then(|found| found.iter().find(|(of, _)| *of == number))
            .map_or(0.0, |(_, weight)| *weight)
    }
}

/// The clause of sentence `sentence` that tells most of an event of type `number` in [`EventType::ALL`], or `None`
/// where no word tells of it.
pub(crate) fn clause(words: &Words, sentence: usize, number: usize) -> Option<Span> {
    debug_assert!(number < EVENT_TYPES);
    let mut best: Option<(f32, usize, usize)> = None;
    for (from, to) in clauses(words, sentence) {
        let (sum, head, tail) = tell(words, from, to, number);
        if sum > best.map_or(0.0, |best| best.0) {
            best = Some(if to - from > LONG { (sum, head, tail) } else { (sum, from, to) });
        }
    }
    best.map(|(_, from, to)| words.span(from, to))
}

/// The clauses of a sentence: for each its first word and one past the last.
pub(crate) fn clauses(words: &Words, sentence: usize) -> impl Iterator<Item = (usize, usize)> {
    let (mut from, last) = (words.bounds[sentence] as usize, words.bounds[sentence + 1] as usize);
    std::iter::from_fn(move || {
        let first = from;
        from = (from + 1..last).find(|&word| words.words[word].has(BREAK)).unwrap_or(last);
        (first < last).then_some((first, from))
    })
}

/// What the words `from..to` tell of the type together, the first telling word, and one past the last.
fn tell(words: &Words, from: usize, to: usize, number: usize) -> (f32, usize, usize) {
    let (mut sum, mut head, mut tail) = (0.0, to, from);
    let mut pair = String::new();
    for word in from..to {
        let one = words.normal_of(word);
        let mut add = |weight: f32, end: usize| {
            if weight > 0.0 {
                sum += weight;
                head = head.min(word);
                tail = tail.max(end);
            }
        };
        add(TELLING.weight(one, number), word + 1);
        if word + 1 < to {
            pair.clear();
            pair.push_str(one);
            pair.push(' ');
            pair.push_str(words.normal_of(word + 1));
            add(TELLING.weight(&pair, number), word + 2);
        }
    }
    (sum, head, tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::words::words_of;

    fn shown<'t>(text: &'t str, event_type: &EventType) -> Option<&'t str> {
        clause(&words_of(text), 0, event_type.index().unwrap()).map(|span| &text[span.range()])
    }

    #[test]
    fn the_table_has_words_for_every_type() {
        for number in 0..EVENT_TYPES {
            let words = TELLING.0.values().flatten().filter(|(of, _)| *of == number).count();
            assert!(words >= 20, "{} has {words}", EventType::ALL[number]);
        }
    }

    #[test]
    fn the_telling_clause_is_named() {
        let text = "I bought it in March, she was friendly and kind to all of us, and I went home.";
        assert_eq!(shown(text, &EventType::Courtesy), Some("she was friendly and kind to all of us"));
        let text = "The kitchen is large, but when it came it was broken, which is a pity.";
        assert_eq!(shown(text, &EventType::ServiceFailure), Some("when it came it was broken"));
        assert_eq!(shown("Zxq vbn.", &EventType::Courtesy), None);
        assert_eq!(shown("", &EventType::Courtesy), None);
    }
}
