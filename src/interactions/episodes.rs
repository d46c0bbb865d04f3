//! Where one tale ends and the next begins, within what one author tells.

use std::sync::LazyLock;

use regex::Regex;

use crate::events::{EventGroup, Status};
use crate::interactions::Story;
use crate::interactions::lists::LISTS;
use crate::interactions::names::Names;

/// A tale: whom it is about, and its segments.
#[derive(Debug, Default)]
pub(super) struct Episode {
    pub(super) segments: Vec<usize>,
    /// The name that opened it, if one did.
    pub(super) name: Option<usize>,
    /// The kind of company that opened it, if one did.
    pub(super) kind: Option<usize>,
}

fn fixed(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a fixed pattern")
}

/// "Exhibit A", "Hotel B is", "Counter two:".
static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"(?ix)^(?P<what>exhibit|hotel|counter|shop|store|bank|company|airline|restaurant|stop|case|visit|garage|provider)\s+
          (?P<which>[a-d]|one|two|three|four|five|1|2|3|4|5)\b[\s:,.–—-]",
    )
});

/// "1. Voltara (electricity)."
static NUMBERED: LazyLock<Regex> = LazyLock::new(|| fixed(r"^(?P<which>\d{1,2})[.)]\s+\S"));

/// Words with which a new tale opens. The first group needs a new name or kind of company in its sentence.
static OPENS: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"(?ix)^(?:and\ |but\ |so\ )?(?:enter\ |meanwhile|(?:now\ )?(?:contrast|compare)\ (?:that|this|it)|on\ the\ other\ hand|by\ contrast|
          in\ contrast|next\ up|i\ want\ to\ talk\ about|first\ (?:stop|up)|second\ (?:stop|up)|third\ and\ last|
          and\ now\ (?:for\ )?the\ |now\ (?:for\ )?the\ |then\ there(?:\ is|\ was|'s|’s)\ |
          first,?\ (?:my|the|our)\ |second,?\ (?:my|the|our)\ |third,?\ (?:my|the|our)\ |(?:then\ )?last\ week\ (?:at|with|i)\ )",
    )
});

/// "On the other hand", said of another provider: the words that open a tale without a name in them.
static LESSONS: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"(?ix)\b(?:lessons?|takeaways?|take-aways?|what\ i(?:['’]ve)?\ (?:have\ )?learn(?:ed|t)|things\ i\ now\ believe|practices\ of|
          what\ makes\ the\ difference|advice|tips)\b",
    )
});

/// Sentences that a tale must have to stand alone, and events.
const SENTENCES: usize = 2;

/// Splits the segments that one author tells. Segments left out tell of no interaction.
pub(super) fn split(story: &Story<'_>, names: &Names, segments: &[usize]) -> Vec<Episode> {
    let told = strip_lessons(story, segments);
    let labelled = labelled(story, names, &told);
    if labelled.len() > 1 {
        return labelled;
    }
    let named = named(story, names, &told);
    if named.len() > 1 {
        return named;
    }
    let name = named.first().and_then(|episode| episode.name);
    vec![Episode { segments: told, name, kind: None }]
}

fn line<'t>(story: &Story<'t>, at: usize) -> &'t str {
    story.segments[at].span.get(story.text).unwrap_or("").trim()
}

fn has_event(story: &Story<'_>, at: usize) -> bool {
    let from = story.events.partition_point(|event| event.sentence().index() < at);
    story.events[from..]
        .iter()
        .take_while(|event| event.sentence().index() == at)
        .any(|event| event.status() != Status::Unreal && event.event_type().group() != EventGroup::Custom)
}

/// Leaves out lists of lessons: a line that announces them, and the numbered or bulleted lines that follow and
/// hold no event.
fn strip_lessons(story: &Story<'_>, segments: &[usize]) -> Vec<usize> {
    let mut told = Vec::with_capacity(segments.len());
    let mut lessons = false;
    for &at in segments {
        let words = line(story, at);
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

/// Tales with labels: "Exhibit A", or numbers with a provider behind each.
fn labelled(story: &Story<'_>, names: &Names, told: &[usize]) -> Vec<Episode> {
    let mut openers: Vec<(usize, String)> = Vec::new();
    for &at in told {
        if let Some(found) = LABEL.captures(line(story, at)) {
            openers.push((at, found["which"].to_lowercase()));
        }
    }
    if openers.len() < 2 {
        openers = numbered(story, names, told);
    }
    if openers.len() < 2 {
        return Vec::new();
    }
    let mut labels: Vec<(String, Episode)> = Vec::new();
    let first = openers[0].0;
    let mut by_name: Vec<(usize, usize)> = Vec::new();
    let mut current = None;
    let mut next = 0;
    for &at in told {
        let opened = next < openers.len() && openers[next].0 == at;
        if opened {
            let (label, kind) = (&openers[next].1, LISTS.kind_noun(story.text, story.segments[at].span));
            let name = best_name(names, at);
            let known = labels.iter().position(|(other, _)| other == label);
            let again =
                name.and_then(|name| by_name.iter().find(|(other, _)| *other == name)).map(|(_, at)| *at);
            let episode = known.or(again).unwrap_or_else(|| {
                labels.push((label.clone(), Episode { segments: Vec::new(), name, kind }));
                labels.len() - 1
            });
            current = Some(episode);
            next += 1;
        } else if at < first {
            // What stands before the first label introduces all of them.
            continue;
        } else if let Some(name) =
            names.by_segment[at].iter().find_map(|name| by_name.iter().find(|(other, _)| other == name))
        {
            current = Some(name.1);
        }
        if let Some(current) = current {
            labels[current].1.segments.push(at);
            for &name in &names.by_segment[at] {
                if !by_name.iter().any(|(other, _)| *other == name) {
                    by_name.push((name, current));
                }
            }
        }
    }
    labels.into_iter().map(|(_, episode)| episode).collect()
}

/// Numbered lines with a provider in each and a tale of its own behind it.
fn numbered(story: &Story<'_>, names: &Names, told: &[usize]) -> Vec<(usize, String)> {
    let items: Vec<usize> = (0..told.len()).filter(|&at| NUMBERED.is_match(line(story, told[at]))).collect();
    let mut openers = Vec::new();
    for (nth, &item) in items.iter().enumerate() {
        let end = items.get(nth + 1).copied().unwrap_or(told.len());
        let at = told[item];
        let words = line(story, at);
        let short = words.split_whitespace().count() <= 8;
        let provider =
            best_name(names, at).is_some() || LISTS.kind_noun(story.text, story.segments[at].span).is_some();
        let tale = told[item..end].iter().any(|&at| has_event(story, at));
        if short && provider && tale && end > item + 1 {
            openers.push((at, words.split(['.', ')']).next().unwrap_or("").to_owned()));
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
const STRONG: i32 = 4;

/// Tales of several named providers, each told where its name or its people are.
fn named(story: &Story<'_>, names: &Names, told: &[usize]) -> Vec<Episode> {
    let mut owners: Vec<Option<usize>> = vec![None; names.all.len()];
    let mut episodes: Vec<Episode> = Vec::new();
    let mut current: Option<usize> = None;
    for &at in told {
        let opens = OPENS.is_match(line(story, at));
        let mut turned = None;
        for &name in &names.by_segment[at] {
            if let Some(owner) = owners[name] {
                turned = turned.or(Some(owner));
                continue;
            }
            let strong = names.all[name].strength >= STRONG || opens && names.all[name].strength >= 1;
            if strong || current.is_none() && names.all[name].strength >= 2 {
                let fits = current.filter(|&at| episodes[at].name.is_none() && !opens);
                let owner = fits.unwrap_or_else(|| {
                    episodes.push(Episode::default());
                    episodes.len() - 1
                });
                episodes[owner].name = Some(name);
                owners[name] = Some(owner);
                turned = Some(owner);
            }
        }
        if turned.is_none()
            && opens
            && let Some(kind) = LISTS.kind_noun(story.text, story.segments[at].span)
            && current.is_some()
        {
            episodes.push(Episode { kind: Some(kind), ..Episode::default() });
            turned = Some(episodes.len() - 1);
        }
        let owner = turned.or(current).unwrap_or_else(|| {
            episodes.push(Episode::default());
            episodes.len() - 1
        });
        current = Some(owner);
        episodes[owner].segments.push(at);
        for &name in &names.by_segment[at] {
            owners[name] = owners[name].or(Some(owner));
        }
    }
    merge_small(story, episodes)
}

/// A provider that is only mentioned has no tale of its own: its sentences go to the tale around them.
fn merge_small(story: &Story<'_>, episodes: Vec<Episode>) -> Vec<Episode> {
    let stands = |episode: &Episode| {
        let events = episode.segments.iter().filter(|&&at| has_event(story, at)).count();
        episode.segments.len() > SENTENCES && events >= SENTENCES
    };
    let blocks = story.segments.last().map_or(0, |segment| segment.block());
    let (mut kept, small): (Vec<Episode>, Vec<Episode>) = episodes.into_iter().partition(stands);
    if kept.len() < 2 || blocks < 2 {
        let mut whole = kept.into_iter().chain(small).reduce(|mut whole, part| {
            whole.segments.extend(part.segments);
            whole
        });
        if let Some(whole) = &mut whole {
            whole.segments.sort_unstable();
        }
        return whole.into_iter().collect();
    }
    for part in small {
        for at in part.segments {
            let before = |episode: &&mut Episode| {
                episode.segments.iter().rev().find(|&&other| other < at).map(|&other| at - other)
            };
            if let Some(near) = kept.iter_mut().min_by_key(|episode| before(episode).unwrap_or(usize::MAX)) {
                let place = near.segments.partition_point(|&other| other < at);
                near.segments.insert(place, at);
            }
        }
    }
    kept.sort_by_key(|episode| episode.segments.first().copied());
    kept
}
