//! Where one tale ends and the next begins, within what one author tells.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::events::{Event, EventGroup, EventType, Status};
use crate::fixed;
use crate::interactions::cues::LESSONS;
use crate::interactions::lists::LISTS;
use crate::interactions::names::{Name, Names};
use crate::interactions::{Provider, Story, provider};
use crate::span::Span;

/// A tale: whom it is about, and its segments.
#[derive(Debug, Default)]
pub(super) struct Episode {
    pub(super) segments: Vec<usize>,
    /// The name that opened it, if one did.
    pub(super) name: Option<usize>,
    /// The kind of company that opened it, if one did.
    pub(super) kind: Option<usize>,
    /// Whom it is about, where that was found by more than its own sentences.
    pub(super) provider: Option<Provider>,
}

/// "Exhibit A", "Hotel B is", "Counter two:".
static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?ix)^(?P<what>exhibit|hotel|counter|shop|store|bank|company|airline|restaurant|stop|case|visit|garage|provider)\s+
          (?P<which>[a-d]|one|two|three|four|five|1|2|3|4|5)\b[\s:,.–—-]",
    )
});

/// "1. Voltara (electricity)."
static NUMBERED: LazyLock<Regex> = LazyLock::new(|| fixed::regex(r"^(?P<which>\d{1,2})[.)]\s+\S"));

/// Words with which a new tale opens. The first group needs a new name or kind of company in its sentence.
static OPENS: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?ix)^(?:and\ |but\ |so\ )?(?:enter\ |meanwhile|(?:now\ )?(?:contrast|compare)\ (?:that|this|it)|on\ the\ other\ hand|by\ contrast|
          in\ contrast|next\ up|i\ want\ to\ talk\ about|first\ (?:stop|up)|second\ (?:stop|up)|third\ and\ last|
          and\ now\ (?:for\ )?the\ |now\ (?:for\ )?the\ |then\ there(?:\ is|\ was|'s|’s)\ |
          first,?\ (?:my|the|our)\ |second,?\ (?:my|the|our)\ |third,?\ (?:my|the|our)\ |(?:then\ )?last\ week\ (?:at|with|i)\ )",
    )
});

/// "A man in my camera club said try Mr. Lindqvist."
static RECOMMENDED: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?i)\b(?:said|says|told (?:me|us)|suggested|recommended)(?: that)?(?: i| we)?(?: should)? (?:to )?(?:try|trying|go to|going to|take it to|use)\b",
    )
});

/// "I then gave it another try": the same provider in a new episode.
static AGAIN: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?i)\b(?:gave|give|giving) (?:it|them|this place|the place|\w+) (?:another|a second|one more) (?:try|chance|shot|go)\b",
    )
});

/// "The return flight was another matter", "Our second visit": the same provider in a new episode, if it went otherwise.
static NEXT: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?ix)^(?:and\ |but\ |however,?\ |then\ |on\ |for\ |now\ )?(?:the\ |our\ |my\ |a\ )?
          (?:(?:return|inbound|homeward)(?:ing)?\ (?:flight|journey|leg|trip|from)|(?:i|we)\ flew\ back\b|way\ (?:back|home)\b
            |(?:second|2nd|third|3rd|next|latest|most\ recent)\ (?:visit|time|trip|stay|appointment|flight)\b
            |(?:on\ )?another\ (?:visit|time|occasion|day|trip|stay)\b)",
    )
});

/// "So last night we headed over", after ...
static LATER: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?ix)^(?:and\ |but\ |so\ |then\ |however,?\ )?(?:last\ night|tonight|today|yesterday|this\ (?:time|morning|weekend|evening)|fast\ forward)\b",
    )
});

/// ... "I was there last week": the same provider on two days, if they went otherwise.
static EARLIER: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?ix)\b(?:last\ (?:week|month|year|time|summer|winter|fall|autumn|spring)|(?:weeks|months|years)\ ago|(?:the|our|my)\ first\ (?:time|visit|stay))\b",
    )
});

/// "I ended up going to the branch on Mill Road": another house of the same provider, if it went otherwise there.
static BRANCH: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?ix)\b(?:go|went|going|gone|drove|driving|headed|walked)\ (?:over\ |back\ )?to\ (?:\S+\ ){1,4}?
          (?:branch|location|store|shop|office|one)\ (?:in|on|at|near|by|down|across)\b",
    )
});

/// "The difference between Dorn Brothers and Harrow & Finch."
static CONTRASTS: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?i)\b(?:differences?|contrast(?:s|ed)?|compar(?:ed?|ing|ison)|versus|vs|unlike|worlds apart|tale of two)\b",
    )
});

/// Sentences that a tale must have to stand alone, one fewer where it names a known company, and sentences with events.
const SENTENCES: usize = 2;

/// So many events in one sentence on a known company are a tale.
const MUCH: usize = 3;

/// Splits the segments that one author tells. Segments left out tell of no interaction.
pub(super) fn split(story: &Story<'_>, names: &Names, segments: &[usize]) -> Vec<Episode> {
    let told = strip_lessons(story, segments);
    let mut labels = labels(story, &told);
    if labels.len() < 2 {
        labels = numbered(story, names, &told);
    }
    // What stands before the first label introduces all of them.
    let first = if labels.len() < 2 { None } else { labels.first().map(|label| label.at) };
    let told: Vec<usize> = told.into_iter().filter(|&at| first.is_none_or(|first| at >= first)).collect();
    let labels = if first.is_some() { labels } else { Vec::new() };
    let tales = walk(story, names, &told, &labels);
    let kept = keep(story, names, tales, !labels.is_empty());
    match <[Episode; 1]>::try_from(kept) {
        Ok([whole]) => again(story, names, whole).unwrap_or_else(|whole| side(story, names, whole)),
        Err(kept) => kept,
    }
}

/// How far apart the tones of two visits must be.
const ANOTHER: f64 = 0.8;

/// Parts the visits of a customer who gave a provider another chance.
fn again(story: &Story<'_>, names: &Names, mut whole: Episode) -> Result<Vec<Episode>, Episode> {
    let matches = |pattern: &Regex| whole.segments.iter().position(|&at| pattern.is_match(&line(story, at)));
    let events = |part: &[usize]| part.iter().any(|&at| has_event(story, at));
    let other = |cut: &usize| {
        let (first, second) = whole.segments.split_at(*cut);
        // Late there and late back is one tale.
        (tone(story, first) - tone(story, second)).abs() > ANOTHER
            && failures(story, first).is_disjoint(&failures(story, second))
    };
    let later = || {
        let cut = matches(&LATER)?;
        whole.segments[..cut].iter().any(|&at| EARLIER.is_match(&line(story, at))).then_some(cut)
    };
    let branch = || {
        let mut told = SENTENCES..whole.segments.len();
        told.find(|cut| BRANCH.is_match(&line(story, whole.segments[*cut])) && other(cut))
    };
    let visit = matches(&AGAIN).or_else(|| matches(&NEXT).filter(other)).or_else(|| later().filter(other));
    // Of another branch a sentence may say all.
    let cut = match visit {
        Some(cut) => Some(cut).filter(|cut| cut + SENTENCES <= whole.segments.len()),
        None => branch(),
    };
    let Some(cut) = cut else { return Err(whole) };
    let (first, second) = whole.segments.split_at(cut);
    if first.len() < SENTENCES || !events(first) || !events(second) {
        return Err(whole);
    }
    whole.provider = provider(story, names, &whole);
    let segments = whole.segments.split_off(cut);
    let second = Episode { segments, name: whole.name, kind: whole.kind, provider: whole.provider };
    Ok(vec![whole, second])
}

/// How clear the tone of a tale and of a side remark against it must be.
const CLEAR: f64 = 0.5;

/// A company that is mentioned more often is no side remark.
const MENTIONS: usize = 3;

/// Parts off what is told of a second, known company in the other tone: "Luckily, Amazon took it back" in a
/// complaint about a maker. The remark needs an event of its own.
fn side(story: &Story<'_>, names: &Names, mut whole: Episode) -> Vec<Episode> {
    let overall = tone(story, &whole.segments);
    let score = |at: usize| story.sentiments.get(at).map_or(0.0, |s| f64::from(s.score()));
    // A company that is also told of in the tone of the whole is what the whole is about.
    let aside = |at: usize| overall.signum() * score(at) < -CLEAR && has_event(story, at);
    let told = |name: &usize| {
        let Name { mentions, company, .. } = &names.all[*name];
        company.is_some()
            && mentions.len() <= MENTIONS
            && mentions.iter().all(|(at, _)| overall.signum() * score(*at) <= 0.0)
            && mentions.iter().any(|(at, _)| aside(*at) && whole.segments.binary_search(at).is_ok())
    };
    if overall.abs() < CLEAR {
        return vec![whole];
    }
    let Some(name) = (0..names.all.len()).find(told) else { return helper(story, names, whole, aside) };
    // "BA" in a story of a flight is whom the story is about.
    let kind = LISTS.kind_of(story.text, whole.segments.iter().map(|&at| story.segments[at].span));
    if names.all[name].company.is_some_and(|company| kind == Some(&LISTS.companies[company].kind)) {
        return vec![whole];
    }
    let mut segments: Vec<usize> =
        names.all[name].mentions.iter().map(|(at, _)| *at).filter(|at| aside(*at)).collect();
    segments.dedup();
    whole.segments.retain(|at| segments.binary_search(at).is_err());
    if whole.segments.is_empty() {
        whole.segments = segments;
        return vec![whole];
    }
    vec![whole, Episode { segments, name: Some(name), ..Episode::default() }]
}

/// "My bank took the money back for me", in a complaint about somebody who is named: whom customers turn to when
/// another does not give their money back.
static HELPER: LazyLock<Regex> = LazyLock::new(|| {
    fixed::regex(
        r"(?i)\b(?:my|our) (?:own )?(?:bank|credit union|(?:credit )?card (?:company|issuer)|insurer|insurance company)\b",
    )
});

/// Parts off what the customer's own bank or insurer did well in a complaint about a named company of another kind.
fn helper(
    story: &Story<'_>,
    names: &Names,
    mut whole: Episode,
    aside: impl Fn(usize) -> bool,
) -> Vec<Episode> {
    let segments: Vec<usize> = whole
        .segments
        .iter()
        .copied()
        .filter(|&at| aside(at) && tone(story, &[at]) > 0.0 && HELPER.is_match(&line(story, at)))
        .collect();
    let kind = segments.first().and_then(|&at| LISTS.kind_noun(story.text, story.segments[at].span));
    let Some(kind) = kind.filter(|_| segments.len() < whole.segments.len()) else { return vec![whole] };
    let noun = LISTS.noun_of(kind, story.text, segments.iter().map(|&at| story.segments[at].span));
    let named = match provider(story, names, &whole) {
        Some(Provider::Named(_)) => true,
        Some(Provider::Known(name)) => {
            LISTS.companies.iter().any(|company| company.name == name && company.kind != noun)
        }
        Some(Provider::Kind(_)) | None => false,
    };
    if !named {
        return vec![whole];
    }
    whole.segments.retain(|at| segments.binary_search(at).is_err());
    vec![whole, Episode { segments, kind: Some(kind), ..Episode::default() }]
}

/// The words of a segment; lines that were wrapped by hand are joined.
fn line<'t>(story: &Story<'t>, at: usize) -> Cow<'t, str> {
    let words = story.segments[at].span.get(story.text).unwrap_or("").trim();
    if words.contains('\n') {
        words.split_whitespace().collect::<Vec<_>>().join(" ").into()
    } else {
        words.into()
    }
}

/// What a segment says to have happened, or not to have.
fn events<'s>(story: &Story<'s>, at: usize) -> impl Iterator<Item = &'s Event> {
    let from = story.events.partition_point(|event| event.sentence().index() < at);
    let here = story.events[from..].iter().take_while(move |event| event.sentence().index() == at);
    here.filter(|event| event.status() != Status::Unreal && event.event_type().group() != EventGroup::Custom)
}

fn has_event(story: &Story<'_>, at: usize) -> bool {
    events(story, at).next().is_some()
}

/// The failures that these segments tell of, but for those that a recovery follows there.
fn failures<'s>(story: &Story<'s>, segments: &[usize]) -> BTreeSet<&'s EventType> {
    let at = |event: &Event| event.sentence().index();
    let here = |group: EventGroup| {
        let here = story.events.iter().filter(|event| segments.binary_search(&at(event)).is_ok());
        here.filter(move |event| event.status() == Status::Occurred && event.event_type().group() == group)
    };
    let mended = here(EventGroup::Recovery).map(at).max();
    let left = |event: &&Event| mended.is_none_or(|mended| at(event) > mended);
    here(EventGroup::Failure).filter(left).map(Event::event_type).collect()
}

/// Leaves out lists of lessons: a line that announces them, and the numbered or bulleted lines that follow and
/// hold no event.
fn strip_lessons(story: &Story<'_>, segments: &[usize]) -> Vec<usize> {
    let mut told = Vec::with_capacity(segments.len());
    let mut lessons = false;
    for &at in segments {
        let words = &*line(story, at);
        let item = NUMBERED.is_match(words) || words.starts_with(['•', '-', '*', '–']);
        if lessons && item && !has_event(story, at) {
            continue;
        }
        lessons = LESSONS.is_match(words) && words.len() < 120 && !has_event(story, at);
        if !lessons {
            told.push(at);
        }
    }
    told
}

/// A segment that opens a tale by a label: "Exhibit A", "2. The council".
struct Label {
    at: usize,
    which: String,
}

fn labels(story: &Story<'_>, told: &[usize]) -> Vec<Label> {
    let label = |&at: &usize| {
        let words = line(story, at);
        let found = LABEL.captures(&words)?;
        Some(Label { at, which: found["which"].to_lowercase() })
    };
    told.iter().filter_map(label).collect()
}

/// Numbered lines with a provider in each and a tale of its own behind it.
fn numbered(story: &Story<'_>, names: &Names, told: &[usize]) -> Vec<Label> {
    let items: Vec<usize> = (0..told.len()).filter(|&at| NUMBERED.is_match(&line(story, told[at]))).collect();
    let mut openers = Vec::new();
    for (nth, &item) in items.iter().enumerate() {
        let end = items.get(nth + 1).copied().unwrap_or(told.len());
        let at = told[item];
        let words = &*line(story, at);
        let short = words.split_whitespace().count() <= 8;
        let name = best_name(names, at);
        let company =
            name.map(|name| &names.all[name]).is_some_and(|name| name.strength >= 1 && !name.is_person());
        let provider = company
            || short && (name.is_some() || LISTS.kind_noun(story.text, story.segments[at].span).is_some());
        let tale = told[item..end].iter().any(|&at| has_event(story, at));
        if provider && tale && end > item + 1 {
            openers.push(Label { at, which: words.split(['.', ')']).next().unwrap_or("").to_owned() });
        }
    }
    // All or none: a list of what one provider did has items that name nobody.
    if openers.len() * 3 >= items.len() * 2 { openers } else { Vec::new() }
}

/// The name in a segment that speaks most for a company.
fn best_name(names: &Names, at: usize) -> Option<usize> {
    names.by_segment[at]
        .iter()
        .copied()
        .max_by_key(|&name| (names.all[name].strength, std::cmp::Reverse(name)))
}

/// How much must speak for a company before it opens a tale of its own.
const STRONG: i32 = 3;

/// How many words may stand before a name that brings its tale back: "FlowRite finally called".
const EARLY: usize = 5;

/// Words before a name that bring its tale back wherever they stand: "so I went back to Colt".
const BACK_TO: [&str; 16] = [
    "to",
    "called",
    "rang",
    "phoned",
    "emailed",
    "contacted",
    "texted",
    "told",
    "asked",
    "at",
    "by",
    "from",
    "tell",
    "call",
    "with",
    "and",
];

/// Whether a mention of somebody told of before turns the tale to them, or only speaks of them.
fn returns(story: &Story<'_>, at: usize, mention: Span) -> bool {
    let segment = story.segments[at].span;
    let before = story.text.get(segment.start()..mention.start()).unwrap_or("");
    let after = story.text.get(mention.end()..segment.end()).unwrap_or("");
    if mention.get(story.text).is_some_and(|name| name.ends_with("'s") || name.ends_with("’s"))
        && after.starts_with(' ')
    {
        return false;
    }
    // "at an Apple Genius Bar"
    let mut words = before.split_whitespace().rev().map(str::to_lowercase).peekable();
    words.next_if(|word| matches!(&**word, "a" | "an" | "the"));
    before.split_whitespace().count() <= EARLY
        || words.next().is_some_and(|word| BACK_TO.contains(&word.as_str()))
}

/// "Her Colt bag was stolen": what was once bought from a shop, and nothing that the shop does. A manufacturer
/// answers for its make.
const OWNERS: [&str; 6] = ["my", "our", "your", "his", "her", "their"];

/// Whether a mention only says from which shop somebody's thing is.
fn owned(story: &Story<'_>, name: &Name, at: usize, mention: Span) -> bool {
    let shop = name.company.is_some_and(|company| LISTS.companies[company].kind == "shop");
    let before = story.text.get(story.segments[at].span.start()..mention.start()).unwrap_or("");
    let word = before.split_whitespace().next_back().unwrap_or("").to_lowercase();
    shop && OWNERS.contains(&word.as_str())
}

/// The longest sentence, in words, that may announce a tale without saying whom it is about.
const ANNOUNCES: usize = 6;

/// A tale while it is being gathered.
#[derive(Default)]
struct Tale {
    episode: Episode,
    /// The label that opened it; such a tale needs no other sign that it stands alone.
    label: Option<String>,
    /// A turn of phrase opened it: it need not be in another tone to stand alone.
    cued: bool,
    /// The kind of company that it is about, as far as its first sentence shows.
    kind: Option<usize>,
}

impl Tale {
    /// The kind of a company that is known, or the one named beside it: "my bank, Quillon".
    fn note_kind(&mut self, story: &Story<'_>, name: Option<&Name>, at: usize) {
        let known = name.and_then(|name| name.company);
        let listed = known.and_then(|company| LISTS.kind_called(&LISTS.companies[company].kind));
        self.kind = self.kind.or(listed).or_else(|| LISTS.kind_noun(story.text, story.segments[at].span));
    }
}

/// Walks through the story and turns to another tale at each label, opening phrase or name.
fn walk(story: &Story<'_>, names: &Names, told: &[usize], labels: &[Label]) -> Vec<Tale> {
    let mut owners: Vec<Option<usize>> = vec![None; names.all.len()];
    let mut tales: Vec<Tale> = Vec::new();
    let mut current: Option<usize> = None;
    let mut labels = labels.iter().peekable();
    // "And now the bad experience. It came from an appliance store.": the phrase opens the sentence behind it.
    let mut announced: Option<usize> = None;
    for &at in told {
        let words = &*line(story, at);
        let phrase = OPENS.is_match(words) || RECOMMENDED.is_match(words);
        let opened = announced.take();
        let opens = phrase || opened.is_some();
        let kind_here = || LISTS.kind_noun(story.text, story.segments[at].span);
        if phrase
            && words.split_whitespace().count() <= ANNOUNCES
            && names.by_segment[at].is_empty()
            && kind_here().is_none()
        {
            announced = Some(at);
        }
        let label = labels.next_if(|label| label.at == at);
        // Companies first: who is told of with a company does not turn the tale away from it.
        let (companies, people): (Vec<usize>, Vec<usize>) =
            names.by_segment[at].iter().partition(|&&name| !names.all[name].is_person());
        let here: Vec<usize> = companies.iter().chain(&people).copied().collect();
        let mentioned = |name: usize| {
            let mentions = &names.all[name].mentions;
            let from = mentions.partition_point(|(segment, _)| *segment < at);
            mentions[from..].iter().take_while(move |(segment, _)| *segment == at).map(|(_, span)| *span)
        };
        let mut turned: Option<usize> = None;
        if let Some(label) = label {
            let same = tales.iter().position(|tale| tale.label.as_ref() == Some(&label.which));
            let named = here.iter().find_map(|&name| owners[name]);
            turned = Some(same.or(named).unwrap_or_else(|| {
                let episode = Episode { kind: kind_here(), ..Episode::default() };
                tales.push(Tale {
                    kind: episode.kind,
                    episode,
                    label: Some(label.which.clone()),
                    cued: false,
                });
                tales.len() - 1
            }));
        }
        for &name in &here {
            if let Some(owner) = owners[name]
                && !(opens && tales[owner].episode.name != Some(name) && Some(owner) == current)
            {
                // A known company of which an event is told, without a word of the one told of so far.
                let known = names.all[name].company.is_some()
                    && has_event(story, at)
                    && mentioned(name).any(|span| !owned(story, &names.all[name], at, span))
                    && !companies.iter().any(|&other| owners[other].is_some() && owners[other] == current);
                let returns = |span| returns(story, at, span) && !owned(story, &names.all[name], at, span);
                if turned.is_none() && (known || mentioned(name).any(returns)) {
                    turned = Some(owner);
                }
                continue;
            }
            let Name { strength, company_words, .. } = names.all[name];
            let strong = strength >= STRONG || company_words && strength >= 1 || opens;
            // A person is met within a tale; a company may bear one's name where a phrase opens it.
            let person = names.all[name].is_person() && !opens && label.is_none();
            if person || names.all[name].is_place() {
                continue;
            }
            let opener = label.is_some() || current.is_none();
            if !(strong || opener && strength >= 2) {
                continue;
            }
            // A tale without a name yet takes the first one; an opening phrase tells of somebody new.
            let nameless = |tale: &usize| tales[*tale].episode.name.is_none();
            let fits = turned
                .filter(nameless)
                .or(current.filter(|tale| nameless(tale) && !opens && turned.is_none()));
            let owner = fits.unwrap_or_else(|| {
                let cued = opens && current.is_some() && !names.all[name].is_person();
                tales.push(Tale { cued, ..Tale::default() });
                tales.len() - 1
            });
            if turned.is_some_and(|turned| turned != owner) && label.is_some() {
                tales.pop();
                continue;
            }
            tales[owner].episode.name = Some(name);
            tales[owner].note_kind(story, Some(&names.all[name]), at);
            owners[name] = Some(owner);
            // A sentence that brings up two tells first of the first.
            turned = turned.or(Some(owner));
        }
        if turned.is_none()
            && opens
            && current.is_some()
            && let Some(kind) = kind_here()
        {
            let episode = Episode { kind: Some(kind), ..Episode::default() };
            tales.push(Tale { episode, label: None, cued: true, kind: Some(kind) });
            turned = Some(tales.len() - 1);
        }
        // "The airline never wrote back", in the tale of a hotel.
        if turned.is_none() && companies.is_empty() {
            let kind = LISTS.the_kind(story.text, story.segments[at].span);
            let here = current.and_then(|tale| tales[tale].kind);
            let mut others = (0..tales.len()).filter(|&tale| kind.is_some() && tales[tale].kind == kind);
            turned = others.next().filter(|_| here.is_some() && here != kind && others.next().is_none());
        }
        let owner = turned.or(current).unwrap_or_else(|| {
            tales.push(Tale::default());
            tales.len() - 1
        });
        if let (Some(before), Some(last)) = (opened, current)
            && last != owner
        {
            tales[last].episode.segments.pop_if(|segment| *segment == before);
            tales[owner].episode.segments.push(before);
        }
        current = Some(owner);
        tales[owner].episode.segments.push(at);
        for &name in &here {
            owners[name] = owners[name].or(Some(owner));
        }
    }
    tales
}

/// How far apart the mean sentiments of two tales must be for a name alone to part them.
const CONTRAST: f64 = 0.4;

/// Mean sentiment of the sentences that are not neutral, −1..=1.
fn tone(story: &Story<'_>, segments: &[usize]) -> f64 {
    let polar = segments.iter().filter_map(|&at| story.sentiments.get(at)).filter(|s| s.neutral() < 0.5);
    let (sum, many) = polar.fold((0.0, 0.0), |(sum, many), s| (sum + f64::from(s.score()), many + 1.0));
    if many > 0.0 { sum / many } else { 0.0 }
}

/// Whether a sentence sets two companies against each other that both have a tale.
fn contrasted(story: &Story<'_>, names: &Names, kept: &[Episode]) -> bool {
    let owners: BTreeSet<usize> = kept.iter().filter_map(|episode| episode.name).collect();
    let mut told = kept.iter().flat_map(|episode| &episode.segments).filter(|&&at| {
        let here: BTreeSet<usize> =
            names.by_segment[at].iter().copied().filter(|name| owners.contains(name)).collect();
        here.len() > 1 && CONTRASTS.is_match(&line(story, at))
    });
    told.next().is_some()
}

/// A provider that is only mentioned has no tale of its own: its sentences go to the tale around them. Nor has
/// one that is told of in the same tone as the rest, unless a turn of phrase opens its tale: two companies in one
/// trouble are one experience.
fn keep(story: &Story<'_>, names: &Names, tales: Vec<Tale>, labelled: bool) -> Vec<Episode> {
    let stands = |tale: &Tale| {
        let events: Vec<usize> = tale.episode.segments.iter().map(|&at| events(story, at).count()).collect();
        let telling = events.iter().filter(|&&events| events > 0).count();
        let known = tale.episode.name.is_some_and(|name| names.all[name].company.is_some());
        let long = tale.episode.segments.len() + usize::from(known) > SENTENCES;
        // One sentence may say all that happened.
        let told = telling >= SENTENCES || known && events.iter().any(|&events| events >= MUCH);
        tale.label.is_some() && telling > 0 || long && told
    };
    let (kept, small): (Vec<Tale>, Vec<Tale>) = tales.into_iter().partition(stands);
    let cued = kept.len() > 1 && kept.iter().any(|tale| tale.cued);
    let mut kept: Vec<Episode> = kept.into_iter().map(|tale| tale.episode).collect();
    let mut small: Vec<Episode> = small.into_iter().map(|tale| tale.episode).collect();
    let tones: Vec<f64> = kept.iter().map(|episode| tone(story, &episode.segments)).collect();
    let most = tones.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = tones.iter().copied().fold(f64::INFINITY, f64::min);
    let contrast = cued || most - least > CONTRAST || contrasted(story, names, &kept);
    if !contrast && !labelled {
        let mut segments: Vec<usize> =
            kept.iter().chain(&small).flat_map(|episode| episode.segments.iter().copied()).collect();
        segments.sort_unstable();
        return vec![Episode { segments, ..Episode::default() }];
    }
    if kept.is_empty() {
        kept.append(&mut small);
    }
    // Each goes to the tale that told the sentence before it, or to the first of all.
    let mut teller: BTreeMap<usize, usize> = BTreeMap::new();
    for (tale, episode) in kept.iter().enumerate() {
        teller.extend(episode.segments.iter().map(|&at| (at, tale)));
    }
    for at in small.into_iter().flat_map(|part| part.segments) {
        let near = teller.range(..at).next_back().map_or(0, |(_, &tale)| tale);
        teller.insert(at, near);
        if let Some(near) = kept.get_mut(near) {
            near.segments.push(at);
        }
    }
    for episode in &mut kept {
        episode.segments.sort_unstable();
    }
    kept.sort_by_key(|episode| episode.segments.first().copied());
    kept
}
