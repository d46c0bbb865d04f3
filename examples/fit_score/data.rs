//! Interactions with a reader's score: what the reader saw in them, or what the analyzer did.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use amends::{
    Actor, BlockKind, Event, EventType, Extractor, ScoreInput, Segment, SentenceId, Sentiment, Severity,
    Span, Status,
};
use anyhow::Result;
use serde::Deserialize;

use crate::labelled::{self, lines, span};

/// An interaction with a reader's score.
pub(crate) struct Case {
    text: String,
    spans: Vec<Span>,
    sentiments: Vec<Sentiment>,
    sentences: Vec<SentenceId>,
    events: Vec<Event>,
    /// The reader's score, 0..=100.
    pub(crate) gold: f64,
    /// Stars of the story, where it has them and this is its only interaction.
    pub(crate) stars: Option<f64>,
    pub(crate) domain: String,
}

impl Case {
    pub(crate) fn input(&self) -> ScoreInput<'_> {
        ScoreInput {
            text: &self.text,
            spans: &self.spans,
            sentiments: &self.sentiments,
            sentences: &self.sentences,
            events: &self.events,
        }
    }
}

/// What the analyzer printed for a story.
#[derive(Deserialize)]
struct Predicted {
    id: String,
    #[serde(default)]
    error: Option<serde_json::Value>,
    #[serde(default)]
    sentences: Vec<Sentence>,
    #[serde(default)]
    events: Vec<PredictedEvent>,
}

#[derive(Deserialize)]
struct Sentence {
    start: usize,
    end: usize,
    interaction: Option<u32>,
    sentiment: Probabilities,
}

#[derive(Deserialize)]
struct Probabilities {
    negative: f32,
    neutral: f32,
    positive: f32,
}

#[derive(Deserialize)]
struct PredictedEvent {
    #[serde(rename = "type")]
    event_type: EventType,
    status: Status,
    #[serde(default = "provider")]
    actor: Actor,
    start: usize,
    end: usize,
    sentence: u32,
    #[serde(default)]
    interaction: Option<u32>,
    confidence: f32,
    severity: Option<Severity>,
}

fn provider() -> Actor {
    Actor::Provider
}

/// The cases as their reader labelled them. Readers gave no severities; those are read off the words.
pub(crate) fn gold_cases(path: &Path) -> Result<Vec<Case>> {
    let extractor = Extractor::built_in()?;
    let mut cases = Vec::new();
    for story in lines::<labelled::Story>(path)? {
        let segments = story.segments()?;
        let levels = extractor.severities(&story.text, &segments, &vec![true; segments.len()]);
        let spans: Vec<Span> = segments.iter().map(Segment::span).collect();
        let sentiments: Vec<Sentiment> = story
            .sentences
            .iter()
            .map(|row| match row.sentiment.as_str() {
                "negative" => Sentiment::from_weights(1.0, 0.0, 0.0),
                "positive" => Sentiment::from_weights(0.0, 0.0, 1.0),
                "mixed" => Sentiment::from_weights(1.0, 0.0, 1.0),
                _ => Sentiment::NEUTRAL,
            })
            .collect();
        for interaction in &story.interactions {
            let told = |row: &labelled::Sentence| row.interaction == interaction.id && !row.boilerplate;
            let sentences = numbers(story.sentences.iter().map(told));
            let mut events = Vec::new();
            for &sentence in &sentences {
                let at = sentence.index();
                for (event_type, status) in &story.sentences[at].events {
                    let event_type = event_type.clone();
                    let event = Event::new(event_type, *status, Actor::Provider, spans[at], sentence, 1.0);
                    events.push(event.with_severity(levels[at]));
                }
            }
            if !sentences.is_empty() {
                cases.push(Case {
                    text: story.text.clone(),
                    spans: spans.clone(),
                    sentiments: sentiments.clone(),
                    sentences,
                    events,
                    gold: interaction.score,
                    stars: story.stars.filter(|_| story.interactions.len() == 1),
                    domain: story.domain.clone(),
                });
            }
        }
    }
    Ok(cases)
}

/// The ids of the sentences that are told of.
fn numbers(told: impl Iterator<Item = bool>) -> Vec<SentenceId> {
    (0..).map(SentenceId::new).zip(told).filter(|(_, told)| *told).map(|(id, _)| id).collect()
}

/// The cases as the analyzer sees them: each labelled interaction is matched with the predicted one that it
/// shares most bytes with, and left out where there is none.
///
/// Severities are those that the analyzer printed; in output without them they are read off the words.
pub(crate) fn predicted_cases(gold: &Path, predictions: &Path) -> Result<Vec<Case>> {
    let extractor = Extractor::built_in()?;
    let found: HashMap<String, Predicted> =
        lines::<Predicted>(predictions)?.into_iter().map(|story| (story.id.clone(), story)).collect();
    let mut cases = Vec::new();
    for story in lines::<labelled::Story>(gold)? {
        let Some(predicted) = found.get(&story.id).filter(|found| found.error.is_none()) else { continue };
        let spans = (predicted.sentences.iter())
            .map(|row| span(row.start, row.end, &story.text))
            .collect::<Result<Vec<_>>>()?;
        let segments: Vec<Segment> =
            spans.iter().map(|&span| Segment::new(span, 0, BlockKind::Paragraph)).collect();
        let levels = extractor.severities(&story.text, &segments, &vec![true; segments.len()]);
        let sentiments: Vec<Sentiment> = predicted
            .sentences
            .iter()
            .map(|row| &row.sentiment)
            .map(|row| Sentiment::from_weights(row.negative, row.neutral, row.positive))
            .collect();
        for interaction in &story.interactions {
            let Some(id) = partner(&story, interaction.id, predicted, &spans)? else { continue };
            let mut events = Vec::new();
            for row in predicted.events.iter().filter(|row| row.interaction == Some(id)) {
                let sentence = SentenceId::new(row.sentence);
                let place = span(row.start, row.end, &story.text)?;
                let level = row.severity.or(levels.get(sentence.index()).copied()).unwrap_or_default();
                let event_type = row.event_type.clone();
                let event = Event::new(event_type, row.status, row.actor, place, sentence, row.confidence);
                events.push(event.with_severity(level));
            }
            cases.push(Case {
                text: story.text.clone(),
                spans: spans.clone(),
                sentiments: sentiments.clone(),
                sentences: numbers(predicted.sentences.iter().map(|row| row.interaction == Some(id))),
                events,
                gold: interaction.score,
                stars: story.stars.filter(|_| story.interactions.len() == 1),
                domain: story.domain.clone(),
            });
        }
    }
    Ok(cases)
}

/// The predicted interaction that shares most bytes with the labelled one.
fn partner(story: &labelled::Story, id: u32, predicted: &Predicted, spans: &[Span]) -> Result<Option<u32>> {
    let mut shared: BTreeMap<u32, usize> = BTreeMap::new();
    for told in story.sentences.iter().filter(|row| row.interaction == id && !row.boilerplate) {
        let told = span(told.start, told.end, &story.text)?;
        for (place, row) in spans.iter().zip(&predicted.sentences) {
            if let Some(other) = row.interaction.filter(|&other| other != 0) {
                *shared.entry(other).or_default() += place.overlap(told);
            }
        }
    }
    let most = shared.iter().max_by_key(|(_, bytes)| **bytes).filter(|(_, bytes)| **bytes > 0);
    Ok(most.map(|(&other, _)| other))
}
