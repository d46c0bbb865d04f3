//! What the words of a sentence say of its kind: whether it tells what happened to somebody, or speaks in general.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use crate::fixed;
use crate::interactions::names;
use crate::span::Span;

/// The lists of `data/interactions/general.toml`, which says what each is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    first: HashSet<String>,
    third: HashSet<String>,
    you: HashSet<String>,
    past: HashSet<String>,
    not_past: HashSet<String>,
    generic: HashSet<String>,
    advice: HashSet<String>,
    ought: HashSet<String>,
    whenever: HashSet<String>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    toml::from_str(include_str!("../../data/interactions/general.toml")).expect("the lists of words")
});

/// "1. Ask for a date.", "• Respect".
static ITEM: LazyLock<Regex> = LazyLock::new(|| fixed::regex(r"^\s*(?:\d{1,2}[.)]|[•\-*–])\s+"));

/// When something happened.
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?ix)\b(?:yesterday|ago|on\ (?:mon|tues|wednes|thurs|fri|satur|sun)day|\d{1,2}(?::\d\d)?\ ?(?:am|pm)
          |(?:the\ )?next\ (?:day|morning|week)|(?:days|weeks|months|hours|minutes)\ (?:later|after)
          |this\ (?:morning|week|month|afternoon)
          |last\ (?:week|month|year|night|time|summer|winter|spring|fall|autumn|(?:mon|tues|wednes|thurs|fri|satur|sun)day
            |january|february|march|april|may|june|july|august|september|october|november|december))\b",
    )
});

/// Service as such, or any customer.
static SERVICE: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?ix)customer\ (?:service|experience|care|loyalty|satisfaction)|service\ recovery
          |\b(?:great|good|excellent|poor|bad)\ service\ (?:is|means|starts|comes|needs)\b
          |\b(?:a|the|your|every|any|each|that)\ (?:\w+\ )?customers?\b",
    )
});

/// The writer speaks as one who serves: "our customers", "I used to manage a call centre".
static SERVES: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?ix)\b(?:our|my)\ (?:\w+\ )?(?:customers?|clients?|readers|employees|staff|teams?|organi[sz]ation|industry|practice|market)\b
          |\bour\ (?:\w+\ )?(?:company|business|store|shop)\b
          |\bi\ (?:used\ to\ |once\ )?(?:managed?|led|lead|run|ran|coach(?:ed)?|train(?:ed)?|teach|taught|supervised?|own(?:ed)?)\ (?:an?|my|our|teams?|people|staff)\b
          |\bwe\ (?:founded|serve|sell|run\ an?)\b
          |\bwe\ (?:opened|built)\ (?:an?|our)\ (?:\w+\ ){0,2}(?:store|shop|office|branch|location|business|company|team)\b",
    )
});

/// Announces general lessons.
pub(super) static LESSONS: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?ix)\b(?:lessons?|takeaways?|take-aways?|what\ i(?:['’]ve)?\ (?:have\ )?learn(?:ed|t)|things\ i\ now\ believe|practices\ of
          |what\ makes\ the\ difference|advice|tips|moral|rules|principles)\b",
    )
});

/// The longest line, in bytes, that may announce lessons.
const ANNOUNCES: usize = 170;

/// What the words of a sentence say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cues {
    /// The writer is in it.
    pub(super) first: bool,
    /// Something is told in the past of somebody, or with its time; and no one who serves is speaking.
    pub(super) concrete: bool,
    /// The same of the writer or with its time, and not to "you".
    pub(super) own: bool,
    /// Of customers, companies or service as such, or by one who serves.
    pub(super) topic: bool,
    /// The writer speaks as one who serves.
    pub(super) serves: bool,
    /// How much speaks for talk in general: about 1 for each sign.
    pub(super) general: f64,
    /// Announces lessons.
    pub(super) lessons: bool,
    pub(super) question: bool,
    /// Begins with a number or bullet.
    pub(super) item: bool,
    pub(super) words: usize,
}

pub(super) fn read(text: &str, span: Span) -> Cues {
    let line = span.get(text).unwrap_or("");
    let marker = ITEM.find(line).map_or(0, |found| found.end());
    let body = line[marker..].trim();
    let words: Vec<String> = body
        .split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’' && c != '_')
        .map(|word| word.replace('’', "'").trim_matches('\'').to_lowercase())
        .filter(|word| !word.is_empty())
        .collect();
    let any = |list: &HashSet<String>| words.iter().any(|word| list.contains(word));
    let opens = |list: &HashSet<String>| words.first().is_some_and(|word| list.contains(word));
    let listed = &*WORDS;
    let past = words.iter().any(|word| {
        listed.past.contains(word)
            || word.len() > 3 && word.ends_with("ed") && !listed.not_past.contains(word)
    });
    let (first, you) = (any(&listed.first), any(&listed.you));
    let timed = TIME.is_match(body);
    let question = body.trim_end_matches(['"', '”', '’', ')']).ends_with('?');
    let serves = SERVES.is_match(body);
    let service = SERVICE.is_match(body);
    let generic = any(&listed.generic);
    let somebody = first || timed || any(&listed.third) || !you && names::has_name(text, span);
    let signs = [
        (generic || service, 1.0),
        (service, 1.0),
        (you, 1.0),
        (serves, 1.0),
        (question && !(first && past), 0.75),
        (opens(&listed.advice) && !past, 1.0),
        (any(&listed.ought) && !first, 0.5),
        (opens(&listed.whenever) && !past && !first, 0.5),
    ];
    Cues {
        first,
        concrete: past && somebody && !serves && !(you && question),
        own: past && (first || timed) && !you,
        topic: generic || service || serves,
        serves,
        general: signs.iter().filter(|(holds, _)| *holds).map(|(_, weight)| weight).sum(),
        lessons: body.len() < ANNOUNCES
            && LESSONS.is_match(body)
            && (!(first && past) || body.ends_with(':')),
        question,
        item: marker > 0,
        words: words.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cues(line: &str) -> Cues {
        read(line, Span::new(0, line.len()))
    }

    #[test]
    fn what_happened_is_told_from_maxims() {
        for told in [
            "I rang them twice.",
            "The fitter said he would come, and came.",
            "Yesterday the heating failed.",
            "Then Harrow & Finch refunded the lot.",
        ] {
            assert!(cues(told).concrete, "{told}");
        }
        for general in [
            "Customers remember how you treat them.",
            "2. Ask for a date in writing.",
            "Our store opened with one idea.",
            "When did your team last surprise you?",
        ] {
            let cues = cues(general);
            assert!(!cues.concrete && cues.general >= 1.0, "{general} {cues:?}");
        }
    }

    #[test]
    fn customers_are_not_taken_for_those_who_serve() {
        for customer in [
            "When we opened the box it was broken.",
            "I managed to reach them.",
            "They froze my business account.",
            "We run into this every year.",
            "My local store refused the return.",
        ] {
            assert!(!cues(customer).serves, "{customer}");
        }
        for serves in [
            "I used to manage a call centre.",
            "We opened our first store in May.",
            "I trained people for years.",
            "Our customers come back.",
        ] {
            assert!(cues(serves).serves, "{serves}");
        }
    }

    #[test]
    fn lessons_are_announced() {
        assert!(cues("What I learned:").lessons);
        assert!(cues("So what is the lesson for managers?").lessons);
        assert!(!cues("I learned the hard way, they taught me a lesson when they kept my deposit.").lessons);
    }
}
