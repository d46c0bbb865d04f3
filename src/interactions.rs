//! One provider, one episode each: which sentences tell of which interaction.
//!
//! Why this way: nine of ten reviews tell of one interaction, so a story is one until something says otherwise.
//! These do: another author (a comment, an answer in a thread) who tells a tale of their own; labels and turns of
//! phrase that open a new tale; another provider by name who gets a tale of their own, or whom a sentence sets
//! against the first; another chance or visit that went otherwise. A name that was told of brings its tale back.
//! Employees have no tale apart from their company's. Before any of this, what is said in general is left out
//! (`general`).

mod cues;
mod episodes;
pub(crate) mod general;
mod lists;
#[cfg(test)]
mod measure;
mod names;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::events::{Event, EventGroup, Status};
use crate::fixed;
use crate::interactions::cues::Cues;
use crate::interactions::episodes::Episode;
use crate::interactions::lists::LISTS;
use crate::interactions::names::Names;
use crate::segment::Segment;
use crate::sentiment::Sentiment;
use crate::span::{SentenceId, Span};

/// Who served the customer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Provider {
    /// Named in the text; this is the most complete mention.
    Named(Span),
    /// A company of a list, by the name that the list gives it: `British Airways` where the text says `BA`.
    Known(&'static str),
    /// Never named; the kind of company that the text speaks of, like `hotel`.
    Kind(&'static str),
}

impl Provider {
    /// The name as it is written in results; `text` is the story's.
    pub fn name<'t>(&self, text: &'t str) -> &'t str {
        match self {
            Provider::Named(span) => span.get(text).unwrap_or(""),
            Provider::Known(name) | Provider::Kind(name) => name,
        }
    }
}

/// An interaction before it is scored.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) provider: Option<Provider>,
    /// In the order of the text; never empty.
    pub(crate) sentences: Vec<SentenceId>,
}

/// What is known of a story when its interactions are looked for. Slices run over its sentences.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Story<'a> {
    pub(crate) text: &'a str,
    pub(crate) segments: &'a [Segment],
    /// Whether the sentence is part of the story (and no boilerplate).
    pub(crate) content: &'a [bool],
    pub(crate) sentiments: &'a [Sentiment],
    /// Events in the order of the text.
    pub(crate) events: &'a [Event],
    /// Whether the sentence speaks in general, to readers or of the world, and tells of no interaction.
    pub(crate) general: &'a [bool],
}

/// Splits a story into interactions, in order of first appearance. A sentence is in one of them or in none.
pub(crate) fn split(story: Story<'_>) -> Vec<Draft> {
    let turns = turns::read(story.text, story.segments, story.content);
    let names = names::read(story.text, story.segments, story.content);
    let authors = turns.author.iter().flatten().max().map_or(0, |most| most + 1);
    let mut told: Vec<Vec<usize>> = vec![Vec::new(); authors];
    for (at, author) in turns.author.iter().enumerate() {
        if let Some(author) = author
            && story.content.get(at).copied().unwrap_or(true)
            && !story.general.get(at).copied().unwrap_or(false)
        {
            told[*author].push(at);
        }
    }
    // Who is only quoted has no tale, but for a customer whom somebody else quotes: a complaint that is passed on.
    let passed_on = (1..authors)
        .find(|&author| turns.quoted[author] && is_customer(&story, &told[author]))
        .filter(|_| !is_customer(&story, &told[0]));
    let mut episodes: Vec<Episode> = Vec::new();
    let mut others: Vec<Episode> = Vec::new();
    for (author, segments) in told.into_iter().enumerate().filter(|(_, segments)| !segments.is_empty()) {
        if author == 0 || passed_on == Some(author) {
            episodes.extend(episodes::split(&story, &names, &segments));
        } else if !turns.quoted[author] {
            others.extend(own_tale(&story, &segments));
        }
    }
    episodes.extend(others);
    episodes.retain(|episode| !episode.segments.is_empty());
    // A heading, or a comment that only applauds, tells of nothing that a provider did: where others do, it is no
    // interaction of its own.
    if episodes.iter().any(|episode| tells_events(&story, episode)) {
        episodes.retain(|episode| tells_events(&story, episode));
    }
    episodes.sort_by_key(|episode| episode.segments[0]);
    episodes.iter().map(|episode| draft(&story, &names, episode)).collect()
}

/// Whether something that happened, or is said not to have happened, is told in the episode.
fn tells_events(story: &Story<'_>, episode: &Episode) -> bool {
    episode.segments.iter().any(|&at| {
        let from = story.events.partition_point(|event| event.sentence().index() < at);
        let here = story.events[from..].iter().take_while(|event| event.sentence().index() == at);
        here.map(Event::status).any(|status| status != Status::Unreal)
    })
}

/// Least confidence of an event that makes an answer a tale.
const SURE: f32 = 0.3;

/// What somebody who answers tells of their own dealings, if they do: something happened to them, and the provider did
/// something in it. Applause, advice and shop talk ("our team", "I manage a call centre") are no dealings.
fn own_tale(story: &Story<'_>, segments: &[usize]) -> Option<Episode> {
    let cues: Vec<Cues> =
        segments.iter().map(|&at| cues::read(story.text, story.segments[at].span)).collect();
    let event = |at: usize| {
        let from = story.events.partition_point(|event| event.sentence().index() < at);
        story.events[from..].iter().take_while(|event| event.sentence().index() == at).any(|event| {
            event.status() != Status::Unreal
                && event.confidence() >= SURE
                && !matches!(event.event_type().group(), EventGroup::Customer | EventGroup::Custom)
        })
    };
    let happened = |(cues, &at): (&Cues, &usize)| cues.concrete && event(at);
    let lived = |cues: &Cues| cues.first && cues.concrete;
    let tells = cues.iter().any(lived)
        && cues.iter().zip(segments).any(happened)
        && !cues.iter().any(|cues| cues.serves);
    let first = segments.iter().zip(&cues).position(|(&at, cues)| cues.first || event(at))?;
    tells.then(|| Episode { segments: segments[first..].to_vec(), ..Episode::default() })
}

static ALONE: LazyLock<Regex> = LazyLock::new(|| fixed::regex(r"(?i)\b(?:i|me|my|mine|myself)\b"));

/// Whether somebody tells of themselves, as customers do: a company says "we", or speaks to "you".
fn is_customer(story: &Story<'_>, segments: &[usize]) -> bool {
    segments.iter().map(|&at| story.segments[at].span).any(|span| {
        cues::read(story.text, span).own && span.get(story.text).is_some_and(|words| ALONE.is_match(words))
    })
}

fn draft(story: &Story<'_>, names: &Names, episode: &Episode) -> Draft {
    let sentences = episode.segments.iter().map(|&at| SentenceId::new(at as u32)).collect();
    Draft { provider: episode.provider.or_else(|| provider(story, names, episode)), sentences }
}

/// What a mention weighs against the signs of a company, and the least weight of a name that is a provider's.
const MANY: i32 = 2;
const NAMED: i32 = 3;

/// What each step of trust weighs: that a company is known, and that it is of the kind that the story speaks of.
const TRUST: i32 = 3;

/// Whom an episode is about: the name that opened it, or the name in it that speaks most for a company, or the
/// kind of company that its words speak of.
fn provider(story: &Story<'_>, names: &Names, episode: &Episode) -> Option<Provider> {
    // Mentions inside the episode count, those elsewhere only strengthen.
    let mut inside: BTreeMap<usize, i32> = BTreeMap::new();
    for &name in episode.segments.iter().flat_map(|&at| &names.by_segment[at]) {
        *inside.entry(name).or_default() += 1;
    }
    let weight = |name: usize| {
        let many = inside.get(&name)?;
        Some(MANY * (*many).min(6) + names.all[name].strength)
    };
    let opened = episode.name.filter(|&name| weight(name).is_some());
    let places = || episode.segments.iter().map(|&at| story.segments[at].span);
    let kind = match episode.kind {
        Some(kind) => Some(LISTS.noun_of(kind, story.text, places())),
        None => LISTS.kind_of(story.text, places()),
    };
    // A tale that opened with a kind of company, "it came from an appliance store", is about that one.
    let best = opened.or_else(|| {
        if episode.kind.is_some() {
            return None;
        }
        let rank = |name: usize| {
            let weight = weight(name)?;
            let company = names.all[name].company.map(|company| LISTS.companies[company].kind.as_str());
            let trust = match company {
                // An airline in a story of a flight is whom the story is about; who brought the parcel seldom is.
                Some(company) if kind == Some(company) => 2,
                Some("platform" | "courier") => -1,
                Some("shop") => 0,
                Some(_) => 1,
                None => i32::from(names.all[name].company_words),
            };
            let fits = trust > 0 || trust == 0 && weight >= NAMED || kind.is_none() && weight > 0;
            fits.then_some((weight + TRUST * trust, std::cmp::Reverse(name)))
        };
        let best = |person: bool| {
            let fits = |name: &usize| {
                let name = &names.all[*name];
                name.is_person() == person && !name.is_place()
            };
            inside.keys().copied().filter(fits).filter_map(rank).max().map(|(_, name)| name.0)
        };
        // An employee's name is better than nothing.
        best(false).or_else(|| best(true).filter(|_| kind.is_none()))
    });
    if let Some(name) = best {
        let mention = names.all[name].fullest(story.text)?;
        let told = mention.get(story.text).unwrap_or("");
        let words = |name: &str| name.split_whitespace().count();
        // "Hilton Garden Inn" says more than the list's "Hilton", and "PNC" is as good as its "PNC Bank"; but "United" is
        // no name without the list.
        let listed = names.all[name].company.map(|company| &LISTS.companies[company]).filter(|listed| {
            let short = listed.short.iter().any(|short| short == told);
            let prefix = listed.name.strip_prefix(told).is_some_and(|rest| rest.starts_with(' '));
            words(&listed.name) >= words(told) && (short || !prefix)
        });
        let listed = listed.map(|listed| listed.name.as_str());
        return Some(listed.map_or(Provider::Named(mention), Provider::Known));
    }
    kind.map(Provider::Kind)
}
