//! Who acts: the subject of the words that show an event, pronouns and quoted speakers resolved.
//!
//! A reader knows from the story so far whom "they" means and who says "I" between quotes. This module keeps
//! that much: whom the people last named belong to, and who speaks. The nouns come from the marks of
//! `data/rules/scope.toml` (`staff`, `outsider`, `speech`), so new ones need no code. Where nothing is known, the
//! provider is meant: reviews are about it.

use crate::events::scope::MarkKind;
use crate::events::words::{BREAK, NAME, QUOTED, Words};
use crate::events::{Actor, EventType};
use crate::span::Span;

/// A word or phrase that names people, or says that somebody speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    pub(crate) kind: MarkKind,
    /// First word and one past the last, counted through the story.
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// Whom pronouns stand for, sentence by sentence.
#[derive(Debug, Default)]
pub(crate) struct Cast {
    people: Vec<Person>,
    /// Where somebody speaks.
    speech: Vec<Person>,
    sentences: Vec<Known>,
}

/// What is known when a sentence begins.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Whom the third person stands for, and how many sentences ago they were named.
    third: Option<(Named, u8)>,
    /// Who speaks between the quotes of this sentence.
    speaker: Option<Actor>,
}

/// People who were named.
#[derive(Clone, Copy, Debug)]
struct Named {
    actor: Actor,
    /// More than one, so that "they" may mean them and "she" may not.
    many: bool,
}

/// After so many more sentences without being named, "they" is the provider again.
const FORGET: u8 = 1;
/// A subject stands no further before its verb than this many words.
const REACH: usize = 12;
/// "by" and the one who acts in a passive stand within this many words behind the verb.
const AGENT: usize = 5;

/// Words before a noun that make it no subject.
const PREPOSITIONS: &[&str] = &[
    "about", "after", "against", "at", "before", "behind", "beside", "between", "for", "from", "in", "into",
    "near", "of", "on", "over", "through", "to", "towards", "under", "with", "without",
];
/// Words between a preposition and its noun.
const DETERMINERS: &[&str] = &[
    "a", "an", "another", "any", "both", "each", "every", "her", "his", "its", "my", "one", "our", "some",
    "that", "the", "their", "these", "this", "those", "your",
];
/// Words between a subject and its verb.
const BETWEEN: &[&str] = &[
    "actually",
    "all",
    "also",
    "always",
    "both",
    "each",
    "even",
    "eventually",
    "finally",
    "first",
    "immediately",
    "just",
    "kindly",
    "later",
    "me",
    "myself",
    "never",
    "not",
    "now",
    "once",
    "only",
    "personally",
    "politely",
    "promptly",
    "really",
    "simply",
    "soon",
    "still",
    "then",
    "twice",
];
/// What a customer may do as well as the provider: then it is no deed of the provider's.
const DEEDS: &[(&str, EventType)] = &[
    ("admitted", EventType::MistakeAdmitted),
    ("apologised", EventType::Apology),
    ("apologized", EventType::Apology),
    ("called", EventType::ProactiveContact),
    ("contacted", EventType::ProactiveContact),
    ("emailed", EventType::ProactiveContact),
    ("explained", EventType::Explanation),
    ("fixed", EventType::Fix),
    ("mended", EventType::Fix),
    ("messaged", EventType::ProactiveContact),
    ("phoned", EventType::ProactiveContact),
    ("rang", EventType::ProactiveContact),
    ("repaired", EventType::Fix),
    ("replaced", EventType::Fix),
    ("texted", EventType::ProactiveContact),
    ("wrote", EventType::ProactiveContact),
];
/// Forms that make the word behind them a passive.
const BE: &[&str] = &["am", "are", "been", "being", "get", "got", "had", "have", "is", "was", "were"];

impl Cast {
    /// Reads the story once, in order. `people` is sorted by place.
    pub(crate) fn read(words: &Words, people: Vec<Person>) -> Cast {
        let (speech, people) = people.into_iter().partition(|person| person.kind == MarkKind::Speech);
        let mut cast = Cast { people, speech, sentences: Vec::with_capacity(words.bounds.len()) };
        let mut known = Known::default();
        let mut spoke = None;
        for bounds in words.bounds.windows(2) {
            let (from, to) = (bounds[0] as usize, bounds[1] as usize);
            let quoted = words.words[from..to].iter().any(|word| word.has(QUOTED));
            known.speaker = match cast.speaker(words, from, to, known.third) {
                Some(speaker) => Some(speaker),
                // A quote that goes on, or the next one of a dialogue in which nobody else was named.
                None if quoted => spoke,
                None => None,
            };
            spoke = known.speaker.or(spoke.filter(|_| quoted));
            cast.sentences.push(known);
            known.third = match (cast.last(words, from, to), known.third) {
                (Some(last), _) => cast.subject(words, last.0, from, to, known).map(|_| (last.1, 0)),
                // A name that no list knows: of one of theirs, most likely.
                _ if words.words[from..to].iter().any(|word| word.has(NAME)) => None,
                (None, Some((named, ago))) if ago < FORGET => Some((named, ago + 1)),
                _ => None,
            };
        }
        cast
    }

    /// Who acts in an event that the words `span` of sentence `sentence` show, or `None` where they do not tell.
    pub(crate) fn actor(
        &self,
        words: &Words,
        sentence: usize,
        span: Span,
        event_type: &EventType,
    ) -> Option<Actor> {
        let known = *self.sentences.get(sentence)?;
        let (first, last) = (words.bounds[sentence] as usize, words.bounds[sentence + 1] as usize);
        let at = |byte: usize| {
            first + words.words[first..last].partition_point(|word| (word.end as usize) <= byte)
        };
        let from = at(span.start()).min(last);
        // Both words of a contraction end where it ends.
        let to = first + words.words[first..last].partition_point(|word| (word.start as usize) < span.end());
        if from >= to {
            return None;
        }
        // Back from the first word of the span; if its clause has no subject, the first one within the span.
        let mut found = None;
        for word in (first.max(from.saturating_sub(REACH))..=from).rev() {
            found = self.subject(words, word, first, last, known);
            if found.is_some() || (words.words[word].has(BREAK) && word < from) {
                break;
            }
        }
        let found = found.or_else(|| {
            (from + 1..to.min(from + REACH)).find_map(|word| self.subject(words, word, first, last, known))
        });
        let (actor, verb) = found?;
        // "I am sorry," I said.
        let said = matches!(event_type, EventType::Apology | EventType::MistakeAdmitted);
        if actor == Actor::Customer && said && words.words[verb - 1].has(QUOTED) {
            return Some(Actor::Customer);
        }
        match actor {
            Actor::Customer => {
                let verb =
                    (verb..last).find(|&word| BETWEEN.binary_search(&words.normal_of(word)).is_err())?;
                let normal = words.normal_of(verb);
                if BE.binary_search(&normal).is_ok() {
                    return self.agent(words, verb, last, known);
                }
                let deed = DEEDS.binary_search_by_key(&normal, |deed| deed.0).ok()?;
                (verb < to && DEEDS[deed].1 == *event_type).then_some(Actor::Customer)
            }
            actor => Some(actor),
        }
    }

    /// The subject that ends at or stands on `word`, with the word behind it.
    fn subject(
        &self,
        words: &Words,
        word: usize,
        first: usize,
        last: usize,
        known: Known,
    ) -> Option<(Actor, usize)> {
        let quoted = words.words[word].has(QUOTED);
        let next = word + 1;
        match words.normal_of(word) {
            "i" | "we" => {
                let speaker = if quoted { known.speaker.unwrap_or(Actor::Provider) } else { Actor::Customer };
                Some((speaker, next))
            }
            "he" | "she" => Some((self.third(words, word, first, known, false)?, next)),
            "they" => Some((self.third(words, word, first, known, true)?, next)),
            _ => {
                let at = self.people.partition_point(|person| (person.from as usize) <= word);
                let person = self.people[..at].last().filter(|person| word < person.to as usize)?;
                let (from, to) = (person.from as usize, person.to as usize);
                let actor = self.whose(words, person)?;
                let before = (first..from)
                    .rev()
                    .find(|&word| DETERMINERS.binary_search(&words.normal_of(word)).is_err());
                let object = before.is_some_and(|word| {
                    PREPOSITIONS.binary_search(&words.normal_of(word)).is_ok()
                        && !words.words[word + 1].has(BREAK)
                });
                (!object && from >= first && to <= last).then_some((actor, to))
            }
        }
    }

    /// Whom "they" (`many`) or "he" and "she" at `word` stand for: the last people named in the sentence, or
    /// before it. A company is one and takes "they".
    fn third(&self, words: &Words, word: usize, first: usize, known: Known, many: bool) -> Option<Actor> {
        let here = self.last(words, first, word).map(|(_, named)| named);
        let last = here.or(known.third.map(|(named, _)| named))?;
        (last.actor == Actor::Provider || last.many == many).then_some(last.actor)
    }

    /// The people named last in the words `from..to`, with the last of their words.
    fn last(&self, words: &Words, from: usize, to: usize) -> Option<(usize, Named)> {
        let people = between(&self.people, from, to).iter().rev();
        people.filter_map(|person| Some((person.to as usize - 1, self.named(words, person)?))).next()
    }

    /// Whom these people belong to: "my sister's bank" is nobody's here.
    fn whose(&self, words: &Words, person: &Person) -> Option<Actor> {
        let from = person.from as usize;
        let owned = from >= 2 && words.normal_of(from - 1) == "'s" && {
            let before = self.people.partition_point(|other| (other.from as usize) < from);
            self.people[..before].last().is_some_and(|other| {
                other.to as usize == from - 1 && matches!(other.kind, MarkKind::Outsider)
            })
        };
        if owned { Some(Actor::ThirdParty) } else { of_kind(person.kind) }
    }

    fn named(&self, words: &Words, person: &Person) -> Option<Named> {
        let actor = self.whose(words, person)?;
        // "other passengers", "the man next to me": one of the words is the noun.
        let many = (person.from as usize..person.to as usize).any(|word| {
            let noun = words.normal_of(word);
            noun.len() > 2 && noun.ends_with('s') || matches!(noun, "people" | "couple" | "family")
        });
        Some(Named { actor, many })
    }

    /// The one behind "by" in a passive: "I was called by the bank".
    fn agent(&self, words: &Words, verb: usize, last: usize, known: Known) -> Option<Actor> {
        let end = (verb + AGENT).min(last);
        let by = (verb..end).find(|&word| words.normal_of(word) == "by")?;
        (by + 1..(by + 4).min(last))
            .find_map(|word| self.subject(words, word, by + 1, last, known))
            .map(|s| s.0)
    }

    /// Who says what is quoted in the sentence `from..to`, if it tells.
    fn speaker(&self, words: &Words, from: usize, to: usize, third: Option<(Named, u8)>) -> Option<Actor> {
        let known = Known { third, speaker: None };
        let mut verbs = between(&self.speech, from, to).iter();
        let verb = verbs.find(|verb| !words.words[verb.from as usize].has(QUOTED))?;
        let (verb, behind) = (verb.from as usize, verb.to as usize);
        let named = |word: usize| {
            let outside = !words.words[word].has(QUOTED);
            outside.then(|| self.subject(words, word, from, to, known)).flatten().map(|found| found.0)
        };
        let before = (from.max(verb.saturating_sub(4))..verb).rev();
        let mut before = before.take_while(|&word| !words.words[word].has(QUOTED));
        before.find_map(named).or_else(|| (behind..to.min(behind + 3)).find_map(named)).or_else(|| {
            // "Greg said": a name that no list knows is one of theirs.
            (from..verb).any(|word| !words.words[word].has(QUOTED)).then_some(Actor::Provider)
        })
    }
}

/// Those that begin in the words `from..to`.
fn between(people: &[Person], from: usize, to: usize) -> &[Person] {
    let start = people.partition_point(|person| (person.from as usize) < from);
    let end = people.partition_point(|person| (person.from as usize) < to);
    &people[start..end.max(start)]
}

fn of_kind(kind: MarkKind) -> Option<Actor> {
    match kind {
        MarkKind::Staff => Some(Actor::Provider),
        MarkKind::Family => Some(Actor::Customer),
        MarkKind::Outsider => Some(Actor::ThirdParty),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::program::Scratch;
    use crate::events::rules::RuleSet;
    use crate::segment::segment;

    /// Who acts in the words `shown` of a story, of whose sentences all are looked at.
    fn actor(text: &str, shown: &str, event_type: EventType) -> Option<Actor> {
        let rules = RuleSet::built_in().unwrap();
        let segments = segment(text);
        let mut words = Words::default();
        words.read(text, &segments, &[]);
        let people = rules.find(&words, &mut Scratch::default()).people;
        let start = text.rfind(shown).unwrap();
        let span = Span::new(start, start + shown.len());
        let sentence = segments.iter().position(|segment| segment.span().contains(span)).unwrap();
        Cast::read(&words, people).actor(&words, sentence, span, &event_type)
    }

    #[test]
    fn subjects_of_the_sentence() {
        for (text, shown, who) in [
            ("The manager called me back.", "called me back", Some(Actor::Provider)),
            ("My sister's bank called her.", "called her", Some(Actor::ThirdParty)),
            ("They rang twice and apologised.", "apologised", None),
            ("I called and waited for an hour.", "waited for an hour", None),
            ("I called them four times.", "called them", Some(Actor::Customer)),
            ("I was called by the bank.", "called by the bank", Some(Actor::Provider)),
            ("I was called by a neighbour.", "called by a neighbour", Some(Actor::ThirdParty)),
            ("A friend of mine repaired it.", "repaired it", Some(Actor::ThirdParty)),
            ("Another passenger helped me with my bag.", "helped me with my bag", Some(Actor::ThirdParty)),
            ("The man behind me apologised to the crew.", "apologised", Some(Actor::ThirdParty)),
            ("My wife apologised all the same.", "apologised", Some(Actor::Customer)),
            ("I had the phone replaced.", "phone replaced", None),
            ("One of the agents apologised.", "apologised", None),
            ("Broken again.", "Broken", None),
        ] {
            let event_type =
                if shown.contains("call") { EventType::ProactiveContact } else { EventType::Apology };
            assert_eq!(actor(text, shown, event_type), who, "{text}");
        }
    }

    #[test]
    fn pronouns_stand_for_those_named_last() {
        for (text, who) in [
            ("My neighbour came over. He fixed the tap.", Some(Actor::ThirdParty)),
            ("The plumber came over. He fixed the tap.", Some(Actor::Provider)),
            // One neighbour is no "they".
            ("My neighbour told me of the firm. They fixed the tap.", None),
            ("The other passengers stood up. They fixed the tap.", Some(Actor::ThirdParty)),
            ("My neighbour came over. Then I made tea. He fixed the tap.", Some(Actor::ThirdParty)),
            ("The hotel wrote to us. They fixed the tap.", Some(Actor::Provider)),
            ("My neighbour came. It rained. It poured. It stopped. We ate. He fixed the tap.", None),
        ] {
            assert_eq!(actor(text, "fixed the tap", EventType::Fix), who, "{text}");
        }
    }

    #[test]
    fn who_says_i_between_quotes() {
        for (text, who) in [
            ("\"I am sorry,\" said the manager.", Some(Actor::Provider)),
            ("She said, \"I am sorry, we lost it.\"", Some(Actor::Provider)),
            ("\"I am sorry,\" I said, \"but that is wrong.\"", Some(Actor::Customer)),
            ("\"I am sorry,\" my neighbour said.", Some(Actor::ThirdParty)),
            ("\"I am sorry.\"", Some(Actor::Provider)),
        ] {
            assert_eq!(actor(text, "I am sorry", EventType::Apology), who, "{text}");
        }
        // What the customer says is the customer's deed.
        assert_eq!(
            actor("\"I apologised already,\" I said.", "I apologised", EventType::Apology),
            Some(Actor::Customer)
        );
    }

    #[test]
    fn tables_are_sorted() {
        for table in [PREPOSITIONS, DETERMINERS, BETWEEN, BE] {
            assert!(table.is_sorted(), "{table:?}");
        }
        assert!(DEEDS.is_sorted_by_key(|deed| deed.0));
    }
}
