//! Sentences about the author of a page: "Ann Poe is a baker and writer living in Leeds."
//!
//! Each sign of such a sentence gives points: a name and its verb, a trade, a life in brief, a name known from a byline,
//! furniture beside it. The points were set by hand on the development stories and on pages of our own.

use std::collections::HashSet;

use super::Boilerplate;
use crate::segment::Segment;

/// Words that say what an author is or does, in a sentence like "Ann Poe is a baker and writer".
const TRADES: &[&str] = &[
    "accountant",
    "activist",
    "artist",
    "attorney",
    "author",
    "baker",
    "blogger",
    "ceo",
    "chef",
    "coach",
    "columnist",
    "consultant",
    "contributor",
    "cook",
    "correspondent",
    "designer",
    "developer",
    "director",
    "editor",
    "educator",
    "engineer",
    "entrepreneur",
    "expert",
    "farmer",
    "father",
    "founder",
    "freelance",
    "gardener",
    "host",
    "journalist",
    "lawyer",
    "lecturer",
    "librarian",
    "mom",
    "mother",
    "mum",
    "nurse",
    "officer",
    "photographer",
    "poet",
    "president",
    "producer",
    "professor",
    "reporter",
    "researcher",
    "speaker",
    "storyteller",
    "strategist",
    "student",
    "teacher",
    "trainer",
    "traveler",
    "traveller",
    "vlogger",
    "writer",
];

/// Words of a life in brief: where the author lives and what came of it.
const LIFE: &[&str] = &[
    "award-winning",
    "bestselling",
    "book",
    "books",
    "helped",
    "helps",
    "husband",
    "keynote",
    "lives",
    "living",
    "organizations",
    "retired",
    "speaks",
    "wife",
    "writes",
];

/// A sentence is taken for one about the author from this many points on.
const BIO_POINTS: i32 = 4;

/// Sentences about the author: at the end, or beside other furniture, and worded as such sentences are.
pub(super) fn mark(text: &str, segments: &[Segment], reasons: &mut [Option<Boilerplate>]) {
    let mut known: HashSet<&str> = HashSet::new();
    let mut told: HashSet<&str> = HashSet::new();
    let mut about = false;
    let content = reasons.iter().filter(|r| r.is_none()).count();
    let mut passed = 0;
    for at in 0..segments.len() {
        let body = &text[segments[at].span.range()];
        passed += usize::from(reasons[at].is_none());
        match reasons[at] {
            Some(Boilerplate::Byline) => {
                known.extend(names(body));
                about = false;
                continue;
            }
            Some(reason) => {
                about = reason == Boilerplate::AuthorBio;
                continue;
            }
            None => {}
        }
        let late = passed * 2 > content;
        let beside = at + 2 >= segments.len()
            || reasons[at + 1].is_some()
            || reasons[at + 2].is_some()
            || at > 0 && reasons[at - 1].is_some();
        let same_block = at > 0 && segments[at].block.abs_diff(segments[at - 1].block) <= 1;
        if about && same_block && goes_on_about(body) {
            reasons[at] = Some(Boilerplate::AuthorBio);
            continue;
        }
        about = false;
        if late {
            let points = bio_points(body, &known, &told) + 2 * i32::from(beside);
            let greeting = beside && introduces(body);
            if points >= BIO_POINTS || greeting {
                reasons[at] = Some(Boilerplate::AuthorBio);
                about = true;
                continue;
            }
        }
        told.extend(names(body));
    }
}

/// Capitalised words.
fn names(body: &str) -> impl Iterator<Item = &str> {
    body.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 2 && w.starts_with(char::is_uppercase))
}

fn bio_points(body: &str, known: &HashSet<&str>, told: &HashSet<&str>) -> i32 {
    let words: Vec<&str> = body.split_whitespace().take(40).collect();
    // "Ann Poe, M.Ed., is a", "Dr. Ann Poe has", "Ann lives": a name, and then its verb.
    let Some(verb) = words
        .iter()
        .take(8)
        .position(|w| matches!(*w, "is" | "has" | "lives" | "writes" | "helps" | "works" | "teaches"))
    else {
        return 0;
    };
    let subject = &words[..verb];
    if subject.is_empty() || !subject.iter().all(|w| w.starts_with(char::is_uppercase)) {
        return 0;
    }
    let first = subject.iter().map(|w| w.trim_matches(|c: char| !c.is_alphanumeric())).find(|w| {
        w.len() > 2
            && !matches!(
                *w,
                "Mrs"
                    | "Prof"
                    | "The"
                    | "This"
                    | "That"
                    | "She"
                    | "Who"
                    | "What"
                    | "There"
                    | "Here"
                    | "Customer"
                    | "Service"
            )
    });
    let Some(first) = first else {
        return 0;
    };
    let has = |list: &[&str]| {
        words[verb..]
            .iter()
            .filter(|w| {
                list.binary_search(&w.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().as_str())
                    .is_ok()
            })
            .count()
    };
    let trades = has(TRADES);
    let life = has(LIFE) + usize::from(matches!(words[verb], "lives" | "writes" | "helps" | "teaches"));
    if subject.len() < 2 && !known.contains(first) {
        return 0;
    }
    let mut points =
        2 * i32::from(trades > 0) + i32::from(trades > 1) + i32::from(life > 0) + i32::from(life > 1);
    points += 2 * i32::from(known.contains(first));
    // Somebody whom the story tells of is hardly its author, unless the sentence lists several trades.
    points -= if trades > 1 { 1 } else { 3 } * i32::from(!known.contains(first) && told.contains(first));
    points
}

/// "Hi, I'm Ann!"
fn introduces(body: &str) -> bool {
    let mut words = body.split_whitespace();
    let hello = words.next().is_some_and(|w| matches!(w.trim_end_matches(','), "Hi" | "Hello" | "Hey"));
    hello && words.next().is_some_and(|w| matches!(w, "I'm" | "I’m"))
}

fn goes_on_about(body: &str) -> bool {
    const WORDS: &[&str] = &[
        "He", "She", "His", "Her", "They", "Their", "He's", "She's", "He’s", "She’s", "Follow", "Find",
        "Contact", "Connect", "Visit",
    ];
    const BEGINNINGS: &[&str] = &[
        "A former ",
        "I live ",
        "I write ",
        "I blog ",
        "Read more about me",
        "Mom of ",
        "Mum of ",
        "Dad of ",
    ];
    let first =
        body.split_whitespace().next().unwrap_or_default().trim_end_matches(|c: char| !c.is_alphanumeric());
    WORDS.contains(&first)
        || BEGINNINGS.iter().any(|s| body.starts_with(s))
        || body.starts_with("A ") && body.contains("author")
        || body.contains(" is committed to")
        || body.contains(" are committed to")
}

/// Whether a sentence in the foot of a page speaks of its author.
pub(super) fn speaks_of_author(body: &str) -> bool {
    let nobody = HashSet::new();
    bio_points(body, &nobody, &nobody) > 0
}
