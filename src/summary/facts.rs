//! What a summary needs to know of one story, from its analysis or from its record.

use std::collections::{BTreeMap, BTreeSet};

use crate::analysis::Analysis;
use crate::events::{EventGroup, EventType, Status};
use crate::links::LinkKind;
use crate::output::StoryRecord;
use crate::score::Flag;
use crate::sentiment::SentimentLabel;
use crate::span::InteractionId;

/// The labels in the order that their numbers are kept in.
pub(super) const LABELS: [SentimentLabel; 4] =
    [SentimentLabel::Negative, SentimentLabel::Neutral, SentimentLabel::Positive, SentimentLabel::Mixed];

/// One story.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct StoryFacts {
    /// How many sentences of the story have each of [`LABELS`].
    pub(super) sentiments: [u64; 4],
    pub(super) interactions: Vec<InteractionFacts>,
}

/// One interaction.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct InteractionFacts {
    /// 0..=100.
    pub(super) score: f64,
    pub(super) flags: Vec<Flag>,
    /// Each failure, and whether it was answered.
    pub(super) failures: Vec<(EventType, bool)>,
    /// The types of the recoveries that answer one of them.
    pub(super) answers: BTreeSet<EventType>,
    /// Points by reason.
    pub(super) points: BTreeMap<String, f64>,
}

fn label_index(label: SentimentLabel) -> usize {
    LABELS.iter().position(|&other| other == label).unwrap_or(0)
}

/// An event as both forms have it: type, status, interaction.
type EventView<'a> = (&'a EventType, Status, Option<InteractionId>);

/// Failures of an interaction with whether they were answered, and the types of the answers. `answers` are the
/// positions of recovery and failure; those that fit no event are left out.
fn answered(
    events: &[EventView<'_>],
    id: InteractionId,
    answers: impl Iterator<Item = (usize, usize)>,
) -> (Vec<(EventType, bool)>, BTreeSet<EventType>) {
    let is_failure = |at: usize| {
        events.get(at).is_some_and(|&(event_type, status, home)| {
            event_type.group() == EventGroup::Failure && status == Status::Occurred && home == Some(id)
        })
    };
    let mut to = BTreeSet::new();
    let mut by = BTreeSet::new();
    for (from, failure) in answers {
        if let (Some(&(recovery, ..)), true) = (events.get(from), is_failure(failure)) {
            to.insert(failure);
            by.insert(recovery.clone());
        }
    }
    let failures = (0..events.len())
        .filter(|&at| is_failure(at))
        .map(|at| (events[at].0.clone(), to.contains(&at)))
        .collect();
    (failures, by)
}

fn sum_points(terms: impl Iterator<Item = (String, f64)>) -> BTreeMap<String, f64> {
    let mut points = BTreeMap::new();
    for (reason, value) in terms {
        *points.entry(reason).or_insert(0.0) += value;
    }
    points
}

impl StoryFacts {
    pub(super) fn of_analysis(analysis: &Analysis) -> Self {
        let mut sentiments = [0; 4];
        for sentence in analysis.sentences().iter().filter(|sentence| sentence.is_content()) {
            sentiments[label_index(sentence.sentiment().label())] += 1;
        }
        let events: Vec<EventView<'_>> = analysis
            .events()
            .iter()
            .map(|event| (event.event_type(), event.status(), event.interaction()))
            .collect();
        let interactions = analysis.interactions().iter().map(|interaction| {
            let links = interaction.links().iter().filter(|link| link.kind() == LinkKind::Answers);
            let links = links.map(|link| (link.from(), link.to()));
            let (failures, answers) = answered(&events, interaction.id(), links);
            let terms = interaction.contributions().iter();
            InteractionFacts {
                score: interaction.score().value(),
                flags: interaction.flags().to_vec(),
                failures,
                answers,
                points: sum_points(terms.map(|term| (term.reason().to_string(), term.points()))),
            }
        });
        StoryFacts { sentiments, interactions: interactions.collect() }
    }

    pub(super) fn of_record(record: &StoryRecord) -> Self {
        let mut sentiments = [0; 4];
        for sentence in record.sentences.iter().filter(|sentence| sentence.content) {
            sentiments[label_index(sentence.sentiment.label)] += 1;
        }
        let events: Vec<EventView<'_>> =
            record.events.iter().map(|event| (&event.event_type, event.status, event.interaction)).collect();
        let interactions = record.interactions.iter().map(|interaction| {
            let links = interaction.links.iter().filter(|link| link.kind == LinkKind::Answers.as_str());
            let (failures, answers) =
                answered(&events, interaction.id, links.map(|link| (link.from, link.to)));
            let terms = interaction.contributions.iter();
            InteractionFacts {
                score: interaction.score.value,
                flags: interaction.flags.clone(),
                failures,
                answers,
                points: sum_points(terms.map(|term| (term.reason.clone(), term.points))),
            }
        });
        StoryFacts { sentiments, interactions: interactions.collect() }
    }
}
