//! Names in a story: runs of capitalised words and known companies, gathered into one name for each bearer.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::interactions::lists::{LISTS, WORDS};
use crate::segment::Segment;
use crate::span::Span;

/// All spellings of one name.
#[derive(Debug, Default)]
pub(super) struct Name {
    /// Segment and place of each mention, in the order of the text.
    pub(super) mentions: Vec<(usize, Span)>,
    /// Number in the list of known companies.
    pub(super) company: Option<usize>,
    /// How much speaks for a company and not for a person, place or thing.
    pub(super) strength: i32,
    /// Its own words show a company: `FlowRite`, `Tommyknocker Auto`, `Wool & Whimsy`.
    pub(super) company_words: bool,
    placed: bool,
    /// Its words or what stands around it show a person: an employee, or a customer who is told of.
    person: bool,
    /// Called "Mr" or "Dr": mostly a doctor or craftsman with a business of their own.
    titled: bool,
    /// All of its spellings are places.
    place: bool,
}

impl Name {
    /// Whether this is a town or country and no company.
    pub(super) fn is_place(&self) -> bool {
        self.place && self.company.is_none()
    }

    /// Whether this is a person by name and no company that bears one.
    pub(super) fn is_person(&self) -> bool {
        self.person && !self.titled && self.company.is_none() && !self.company_words
    }

    /// The mention that names it best: the one with the most words, the first of these; but where another spelling
    /// comes back more often, the first of that. "Kessler 500 Deluxe" is a thing of Kessler's.
    pub(super) fn fullest(&self, text: &str) -> Option<Span> {
        let mut many: HashMap<String, usize> = HashMap::new();
        let spelling = |span: Span| span.get(text).unwrap_or("").to_lowercase();
        for &(_, span) in &self.mentions {
            *many.entry(spelling(span)).or_default() += 1;
        }
        let first = |rank: &dyn Fn(&str) -> usize| {
            let spans = self.mentions.iter().map(|(_, span)| *span);
            spans.max_by_key(|span| (rank(&spelling(*span)), Reverse(*span)))
        };
        let longest = first(&|name| name.split_whitespace().count())?;
        let often = first(&|name| many[name])?;
        let last = longest.get(text)?.split_whitespace().next_back()?;
        let more = many[&spelling(often)] > many[&spelling(longest)];
        Some(if more && !listed(&WORDS.company, last) { often } else { longest })
    }
}

/// The names of a story.
pub(super) struct Names {
    pub(super) all: Vec<Name>,
    /// For each segment the names in it, in order.
    pub(super) by_segment: Vec<Vec<usize>>,
}

/// A word of a sentence.
struct Word<'t> {
    text: &'t str,
    span: Span,
}

fn listed(list: &HashSet<String>, word: &str) -> bool {
    let lower = word.to_lowercase().replace('’', "'");
    list.contains(lower.strip_suffix("'s").unwrap_or(&lower))
}

fn words(text: &str, within: Span) -> Vec<Word<'_>> {
    let part = within.get(text).unwrap_or("");
    let mut found = Vec::new();
    let mut chars = part.char_indices().peekable();
    while let Some((start, first)) = chars.next() {
        if !first.is_alphanumeric() {
            continue;
        }
        let mut end = start + first.len_utf8();
        while let Some(&(at, c)) = chars.peek() {
            let inner = matches!(c, '\'' | '’' | '&' | '.' | '-' | '_' | '@')
                && part[at + c.len_utf8()..]
                    .chars()
                    .next()
                    .is_some_and(|next| next.is_alphanumeric() && !(c == '.' && next.is_uppercase()));
            if !c.is_alphanumeric() && !inner {
                break;
            }
            end = at + c.len_utf8();
            chars.next();
        }
        let span = Span::new(within.start() + start, within.start() + end);
        let word = &part[start..end];
        found.push(Word { text: word, span });
        // "Mr. Kessler" is one name, and so is "Wool & Whimsy".
        if listed(&WORDS.titles, word) && matches!(chars.peek(), Some((_, '.'))) {
            chars.next();
        } else if let Some((_, ' ')) = chars.peek()
            && part[end..].starts_with(" & ")
        {
            chars.next();
            chars.next();
        }
    }
    found
}

/// Whether a word inside the sentence looks like a name.
pub(super) fn has_name(text: &str, within: Span) -> bool {
    !shouted(within.get(text).unwrap_or(""))
        && words(text, within)
            .iter()
            .skip(1)
            .any(|word| capital(word.text) && word.text.len() > 1 && !listed(&WORDS.common, word.text))
}

fn capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

/// A capital letter inside, as in `FlowRite` or `eBay`.
fn camel(word: &str) -> bool {
    let mut before = ' ';
    for c in word.chars() {
        if c.is_uppercase() && before.is_lowercase() && !word.starts_with("Mc") && !word.starts_with("Mac") {
            return true;
        }
        before = c;
    }
    false
}

/// A sentence in capitals has no names that could be told from its other words.
fn shouted(part: &str) -> bool {
    let (mut upper, mut lower) = (0, 0);
    for c in part.chars() {
        upper += usize::from(c.is_uppercase());
        lower += usize::from(c.is_lowercase());
    }
    upper > lower
}

/// A mention before it is gathered.
struct Mention {
    segment: usize,
    span: Span,
    /// Lower-case words that tell the bearer from others.
    keys: Vec<String>,
    strength: i32,
    company: Option<usize>,
    company_words: bool,
    /// Stands behind a word that goes with places, too: counts once for a name.
    placed: bool,
    /// Alone at the start of its sentence: only counts if the name stands elsewhere, too.
    weak: bool,
    place: bool,
    person: bool,
    titled: bool,
}

/// What stands in a complaint for a name that was taken out.
const MASK: &str = "XX";

/// What speaks against a name that is an ordinary word.
const ORDINARY: i32 = 3;

pub(super) fn read(text: &str, segments: &[Segment], content: &[bool]) -> Names {
    let told = |at: usize| content.get(at).copied().unwrap_or(true);
    let mut lower: HashSet<String> = HashSet::new();
    let mut mentions: Vec<Mention> = Vec::new();
    for (at, segment) in segments.iter().enumerate().filter(|(at, _)| told(*at)) {
        let words = words(text, segment.span);
        lower.extend(words.iter().filter(|word| !capital(word.text)).map(|word| word.text.to_owned()));
        let mut known = LISTS.companies_in(text, segment.span);
        with_branches(text, &words, &mut known);
        for &(span, company) in &known {
            // "Wizz" is Wizz Air.
            let head = span.get(text).unwrap_or("").split_whitespace().next().unwrap_or("").to_lowercase();
            let telling = head.len() > 2 && !listed(&WORDS.common, &head) && !listed(&WORDS.company, &head);
            let keys: Vec<String> =
                [Some(format!("#{company}")), telling.then_some(head)].into_iter().flatten().collect();
            mentions.push(Mention {
                segment: at,
                span,
                keys,
                strength: 4,
                company: Some(company),
                company_words: true,
                placed: false,
                weak: false,
                place: false,
                person: false,
                titled: false,
            });
        }
        if shouted(segment.span.get(text).unwrap_or("")) {
            continue;
        }
        let taken = |span: Span| known.iter().any(|(other, _)| other.overlap(span) > 0);
        let mut from = 0;
        while from < words.len() {
            let word = &words[from];
            // "the Hotel Kranich": a common word that is part of a name.
            let next = words.get(from + 1).filter(|next| !next.broken_from(text, word) && capital(next.text));
            let at_start = || words.get(from + 2).is_some_and(|third| listed(&WORDS.company, third.text));
            let leads = (from > 0 || listed(&WORDS.leads, word.text) && at_start())
                && (listed(&WORDS.company, word.text) || listed(&WORDS.leads, word.text))
                && next.is_some_and(|next| !listed(&WORDS.common, next.text));
            let name = |word: &Word<'_>| {
                capital(word.text)
                    && !word.text.starts_with(MASK)
                    && !taken(word.span)
                    && (!listed(&WORDS.common, word.text) || listed(&WORDS.titles, word.text))
            };
            if !(name(word) || leads && capital(word.text)) {
                from += 1;
                continue;
            }
            let mut to = from + 1;
            let part = |word: &Word<'_>| {
                name(word) || capital(word.text) && !taken(word.span) && listed(&WORDS.company, word.text)
            };
            let joined = |at: usize| at < words.len() && !words[at].broken_from(text, &words[at - 1]);
            loop {
                let owner = words[to - 1].text.ends_with("'s") || words[to - 1].text.ends_with("’s");
                // "Virgil's CD-500" is a thing of Virgil's, "Haskell's Home Center" is a name.
                let named = || {
                    let rest = words[to..].iter().take_while(|word| capital(word.text));
                    rest.take(3).any(|word| listed(&WORDS.company, word.text))
                };
                if owner && !named() {
                    break;
                } else if joined(to) && part(&words[to]) {
                    to += 1;
                } else if joined(to)
                    && joined(to + 1)
                    && part(&words[to + 1])
                    && links(&words[from..to], &words[to])
                    && !taken(words[to].span)
                {
                    to += 2;
                } else {
                    break;
                }
            }
            // "Kent hotel", "Kessler credit Union".
            let free = |at: usize| joined(at) && !taken(words[at].span);
            let is = |at: usize, what: &str| free(at) && words[at].text.eq_ignore_ascii_case(what);
            if is(to, "credit") && is(to + 1, "union") {
                to += 2;
            } else if free(to) && WORDS.behind.contains(words[to].text) {
                to += 1;
            }
            // "Kessler Credit Union Service members".
            if to - from > 2
                && listed(&WORDS.services, words[to - 1].text)
                && listed(&WORDS.institutions, words[to - 2].text)
            {
                to -= 1;
            }
            // "Thankfully Kessler".
            from += usize::from(begins_only(text, &words[from..to], from == 0));
            let run = &words[from..to];
            if let Some(mut mention) = mention(text, at, run, words[..from].last(), words.get(to), from == 0)
            {
                mention.person |= acts_as_person(&words, from, to);
                // "My little Quillon 300" is a thing.
                mention.strength += match in_apposition(text, &words, from, to) {
                    true => 4,
                    false if owned(&words[..from]) => -2,
                    false => 0,
                };
                mention.place |= !mention.company_words && visited(&words, from, to);
                mention.strength += if turned_to(&words[..from]) { 2 } else { 0 };
                mention.strength += if stayed_at(&words[..from]) { 4 } else { 0 };
                mention.strength +=
                    if words.get(to).is_some_and(|word| WORDS.kinds.contains(word.text)) { 2 } else { 0 };
                mentions.push(mention);
            }
            from = to;
        }
    }
    gather(mentions, &lower, segments.len())
}

impl Word<'_> {
    /// Whether more than a space or ` & ` stands between this word and the one before it.
    fn broken_from(&self, text: &str, before: &Word<'_>) -> bool {
        let gap = text.get(before.span.end()..self.span.start()).unwrap_or("");
        !(gap == " " || gap == " & " || gap == ". " && listed(&WORDS.titles, before.text))
    }
}

/// How many words the place of a hotel may have.
const BRANCH: usize = 3;

/// Makes the place of a hotel part of its name: "Holiday Inn Leeds".
fn with_branches(text: &str, words: &[Word<'_>], known: &mut [(Span, usize)]) {
    let mut limit = usize::MAX;
    for (span, company) in known.iter_mut().rev() {
        let before = std::mem::replace(&mut limit, span.start());
        if LISTS.companies[*company].kind != "hotel" {
            continue;
        }
        let behind = words.partition_point(|word| word.span.start() < span.end());
        for word in words[behind..].iter().take(BRANCH) {
            let joined = text.get(span.end()..word.span.start()) == Some(" ") && word.span.start() < before;
            let part = !listed(&WORDS.common, word.text) || listed(&WORDS.company, word.text);
            if !joined || !capital(word.text) || !part {
                break;
            }
            *span = span.cover(word.span);
        }
    }
}

/// Whether the first word of a name only begins its sentence.
fn begins_only(text: &str, run: &[Word<'_>], first: bool) -> bool {
    let [word, next, ..] = run else { return false };
    let ordinary = |word: &Word<'_>| WORDS.ordinary.contains(&word.text.to_lowercase());
    first
        && text.get(word.span.end()..next.span.start()) == Some(" ")
        && (ordinary(word) || word.text.ends_with("ly"))
        && !listed(&WORDS.titles, word.text)
        && !listed(&WORDS.leads, word.text)
        && !run[1..]
            .iter()
            .any(|word| ordinary(word) || listed(&WORDS.company, word.text) || !capital(word.text))
}

fn mention(
    text: &str,
    segment: usize,
    run: &[Word<'_>],
    before: Option<&Word<'_>>,
    after: Option<&Word<'_>>,
    first: bool,
) -> Option<Mention> {
    let mut span = run.first()?.span.cover(run.last()?.span);
    let words = span.get(text)?;
    for ending in ["'s", "’s"] {
        if words.ends_with(ending) && run.len() > 1 {
            span = Span::new(span.start(), span.end() - ending.len());
        }
    }
    // "Harrow Credit Inc."
    if matches!(run.last()?.text, "Inc" | "Ltd" | "Co" | "Corp") && text[span.end()..].starts_with('.') {
        span = Span::new(span.start(), span.end() + 1);
    }
    let bare = |word: &str| {
        let lower = word.to_lowercase().replace('’', "'");
        lower.strip_suffix("'s").unwrap_or(&lower).to_owned()
    };
    let mut keys: Vec<String> = run
        .iter()
        .map(|word| word.text)
        .filter(|word| {
            !listed(&WORDS.titles, word)
                && !listed(&WORDS.common, word)
                && !listed(&WORDS.company, word)
                && word.len() > 1
        })
        .map(bare)
        .collect();
    // "M & T Bank" has no word that tells.
    if keys.is_empty() && words.contains(" & ") {
        keys.push(words.to_lowercase());
    }
    if keys.is_empty() {
        return None;
    }
    let mut strength = 0;
    strength += if run.len() > 1 && run.iter().any(|word| listed(&WORDS.company, word.text)) { 2 } else { 0 };
    strength += if run.iter().any(|word| camel(word.text)) { 2 } else { 0 };
    strength += if words.contains(" & ") { 2 } else { 0 };
    let company_words = strength >= 2;
    // "CS" and "FA" are rarely companies, "Poco's" without a thing behind it often is.
    let letters = words.chars().filter(|c| c.is_alphabetic()).count();
    strength -= i32::from(run.len() == 1 && letters <= 4 && !words.chars().any(char::is_lowercase));
    let possessive = words.ends_with("'s") || words.ends_with("’s");
    let joined =
        after.filter(|after| text.get(run[run.len() - 1].span.end()..after.span.start()) == Some(" "));
    let alone = joined.is_none_or(|after| listed(&WORDS.common, after.text));
    strength += i32::from(possessive && alone);
    // "We drove past Kessler." A name of which its sentence says nothing more is often told by the way.
    strength -= i32::from(joined.is_none());
    strength += i32::from(segment == 0);
    let mut placed = false;
    if let Some(before) = before {
        let gap = text.get(before.span.end()..run[0].span.start())?;
        if gap == " " {
            strength += i32::from(listed(&WORDS.to_company, before.text));
            placed = listed(&WORDS.placed, before.text);
            strength -= if before.text.eq_ignore_ascii_case("in") { 2 } else { 0 };
        }
    }
    if let Some(after) = after {
        let gap = text.get(run.last()?.span.end()..after.span.start())?;
        strength += i32::from(gap == " " && listed(&WORDS.serves, after.text));
    }
    strength -= if listed(&WORDS.titles, run[0].text) { 1 } else { 0 };
    // "Late", "SIGN UP".
    let plain = keys.iter().all(|key| WORDS.ordinary.contains(key));
    let loud = run.len() > 1 && !words.chars().any(char::is_lowercase);
    strength -= if plain && (run.len() == 1 || loud) { ORDINARY } else { 0 };
    strength -= i32::from(plain && run.len() > 1 && !loud);
    let place = keys.iter().all(|key| WORDS.places.contains(key)) && !company_words;
    Some(Mention {
        segment,
        span,
        keys,
        strength,
        company: None,
        company_words,
        placed,
        weak: first && run.len() == 1 && !camel(words),
        place,
        titled: listed(&WORDS.titles, run[0].text),
        person: run.len() <= 2 && !(possessive && alone) && listed(&WORDS.given, run[0].text),
    })
}

/// Words from the start of a sentence within which a name is what the sentence is about: "According to Rashid, he".
const SUBJECT: usize = 3;

/// Whether what stands around the words `from..to` shows that they name a person: "our server Piotr", "a man named
/// Piotr", "Piotr said that he".
fn acts_as_person(words: &[Word<'_>], from: usize, to: usize) -> bool {
    let is = |at: Option<usize>, list: &HashSet<String>| {
        at.and_then(|at| words.get(at)).is_some_and(|word| listed(list, word.text))
    };
    // The first that comes of a pronoun and another name.
    let told = words[to..].iter().find_map(|word| {
        let pronoun = listed(&WORDS.pronouns, word.text);
        (pronoun || capital(word.text) && !listed(&WORDS.common, word.text)).then_some(pronoun)
    });
    is(from.checked_sub(1), &WORDS.roles) || from < SUBJECT && to - from <= 2 && told == Some(true)
}

/// Whether a word that is no name stands within one: "Liberty First Credit Union", "Motel 6 North", "Bank of Ohio".
fn links(before: &[Word<'_>], word: &Word<'_>) -> bool {
    let inside = capital(word.text) && listed(&WORDS.leads, word.text);
    let number = word.text.chars().all(char::is_numeric);
    let of = word.text == "of" && before.iter().any(|word| listed(&WORDS.company, word.text));
    inside || number || of
}

/// Whether a name is that of a place: "we flew from Arvika to Borgo", "Arvika airport".
fn visited(words: &[Word<'_>], from: usize, to: usize) -> bool {
    let near = &words[from.saturating_sub(NEAR)..from];
    let toward = near.last().is_some_and(|word| listed(&WORDS.toward, word.text));
    toward && near.iter().any(|word| listed(&WORDS.travels, word.text))
        || words.get(to).is_some_and(|word| matches!(word.text, "airport" | "Airport"))
}

/// How many words from an owner to the noun of a kind: "my old savings bank".
const KIND: usize = 4;

/// Whether the words `from..to` say who a company is that its kind named before: "my old bank, Quillon, kept me". Not so
/// "the carrier, Quillon", mostly somebody who only brings.
fn in_apposition(text: &str, words: &[Word<'_>], from: usize, to: usize) -> bool {
    let near = &words[from.saturating_sub(KIND)..from];
    let Some(owner) = near.iter().rposition(|word| listed(&WORDS.owners, word.text)) else {
        return false;
    };
    let (first, last) = (near[owner].span, near[near.len() - 1].span);
    let (start, end) = (words[from].span.start(), words[to - 1].span.end());
    let closed = text.get(end..).is_some_and(|rest| rest.starts_with([',', '.', ';', ':', '!', '?', ')']));
    let opened = matches!(text.get(last.end()..start), Some(", " | " ("));
    opened && closed && LISTS.ends_in_kind(text, first.cover(last))
}

/// "I went to Quillon", "when I wrote to Quillon".
fn turned_to(before: &[Word<'_>]) -> bool {
    let [.., first, second] = before else { return false };
    second.text == "to" && listed(&WORDS.turns, first.text)
}

/// "We stayed at the Quillon", "I banked with Quillon".
fn stayed_at(before: &[Word<'_>]) -> bool {
    let before = match before {
        [rest @ .., article] if article.text.eq_ignore_ascii_case("the") => rest,
        _ => before,
    };
    let [.., verb, word] = before else { return false };
    matches!(word.text, "at" | "with") && listed(&WORDS.stays, verb.text)
}

/// How many words before a name are looked at.
const NEAR: usize = 6;

/// Whether the words before a name make it somebody's thing: "my new", "an old".
fn owned(before: &[Word<'_>]) -> bool {
    let [.., first, second] = before else { return false };
    let owner = |word: &Word<'_>| listed(&WORDS.owners, word.text);
    if listed(&WORDS.placed, first.text) && second.text.eq_ignore_ascii_case("a") {
        // "We stayed at a Quillon Plaza."
        return false;
    }
    owner(second) || owner(first) && !capital(second.text) && !listed(&WORDS.near, second.text)
}

/// Mentions that share a telling word are one name.
fn gather(mentions: Vec<Mention>, lower: &HashSet<String>, segments: usize) -> Names {
    let mut all: Vec<Name> = Vec::new();
    let mut by_key: HashMap<String, usize> = HashMap::new();
    let mut by_segment = vec![Vec::new(); segments];
    // A name that only ever starts a sentence, and once, or that is also an ordinary word here, is none.
    let mut firm: HashMap<&str, usize> = HashMap::new();
    for mention in &mentions {
        for key in &mention.keys {
            *firm.entry(key).or_default() += if mention.weak { 1 } else { 2 };
        }
    }
    let kept: Vec<bool> = mentions
        .iter()
        .map(|mention| {
            !mention.weak || mention.keys.iter().all(|key| firm[key.as_str()] > 2 && !lower.contains(key))
        })
        .collect();
    let mut mentions: Vec<Mention> =
        mentions.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(mention, _)| mention).collect();
    mentions.sort_by_key(|mention| mention.span);
    for mention in mentions {
        let known = mention.keys.iter().find_map(|key| by_key.get(key).copied());
        let at = known.unwrap_or_else(|| {
            all.push(Name::default());
            all.len() - 1
        });
        for key in mention.keys {
            by_key.entry(key).or_insert(at);
        }
        let name = &mut all[at];
        name.mentions.push((mention.segment, mention.span));
        name.company = name.company.or(mention.company);
        name.strength += mention.strength - i32::from(mention.placed && name.placed);
        name.placed |= mention.placed;
        name.company_words |= mention.company_words;
        name.person |= mention.person;
        name.titled |= mention.titled;
        name.place = mention.place && (name.place || name.mentions.len() == 1);
        by_segment[mention.segment].push(at);
    }
    Names { all, by_segment }
}
