//! From a story's sentences to its events: the rules' hits and the model's probabilities, merged.

use std::cell::RefCell;

use crate::error::LoadError;
use crate::events::merge::{MergeConfig, Vote};
use crate::events::program::Scratch;
use crate::events::rules::{Findings, Hit, RuleSet};
use crate::events::who::Cast;
use crate::events::words::Words;
use crate::events::{Actor, Event, EventGroup, EventType, Evidence, Severity, Status, shown};
use crate::heads::EventProbs;
use crate::segment::Segment;
use crate::span::{SentenceId, Span};

/// Finds service events in a story.
#[derive(Debug)]
pub struct Extractor {
    rules: RuleSet,
    merge: MergeConfig,
}

/// A rule that fired, by numbers: sentence, type in [`EventType::ALL`], rule in [`RuleSet::rules`].
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct RuleHit {
    pub sentence: usize,
    pub event_type: usize,
    pub rule: usize,
    pub status: Status,
    pub span: Span,
}

thread_local! {
    /// Memory of a scan; results do not depend on what it held before.
    static SCRATCH: RefCell<(Words, Scratch)> = RefCell::default();
}

impl Extractor {
    /// An extractor with these rules and this way of merging them with the model.
    pub fn new(rules: RuleSet, merge: MergeConfig) -> Self {
        Extractor { rules, merge }
    }

    /// The built-in rules, and the decision rule that was fitted for the embedded model.
    ///
    /// # Errors
    ///
    /// [`LoadErrorKind::Rule`](crate::LoadErrorKind::Rule); a test makes sure that there is none.
    pub fn built_in() -> Result<Self, LoadError> {
        Ok(Extractor::new(RuleSet::built_in()?, MergeConfig::built_in()?))
    }

    /// The rules in use.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The events of a story, in the order of the text.
    ///
    /// `content` says of each sentence whether it is part of the story; the others give no events. `probs` gives
    /// the model's P(type, status) of a sentence, or `None` where there is no model: then the rules decide alone.
    pub fn extract<'p>(
        &self,
        text: &str,
        segments: &[Segment],
        content: &[bool],
        probs: impl Fn(SentenceId) -> Option<&'p EventProbs>,
    ) -> Vec<Event> {
        SCRATCH.with_borrow_mut(|(words, scratch)| {
            words.read(text, segments, content);
            let findings = self.rules.find(words, scratch);
            self.decide(words, findings, segments, content, probs)
        })
    }

    /// The events of the sentences that `words` holds.
    fn decide<'p>(
        &self,
        words: &Words,
        findings: Findings,
        segments: &[Segment],
        content: &[bool],
        probs: impl Fn(SentenceId) -> Option<&'p EventProbs>,
    ) -> Vec<Event> {
        let Findings { hits, cues, severities, people } = findings;
        let cast = Cast::read(words, people);
        let mut events = Vec::new();
        let mut hits = hits.as_slice();
        for (at, segment) in segments.iter().enumerate() {
            if !content.get(at).copied().unwrap_or(true) {
                continue;
            }
            let here = hits.partition_point(|hit| hit.sentence <= at);
            let (found, rest) = hits.split_at(here);
            hits = rest;
            let sentence = SentenceId::new(at as u32);
            let model = probs(sentence);
            let level = self.rules.level(&severities, at);
            let first = events.len();
            for (number, event_type) in EventType::ALL.iter().enumerate() {
                let vote = self.merge.decide(
                    number,
                    model.map(|probs| &probs[number]),
                    self.votes(found, event_type),
                );
                if let Some(decision) = vote {
                    let (actor, span, evidence) = match decision.hit {
                        Some(hit) => {
                            let code = self.rules.rules[hit.rule].code.clone();
                            let evidence =
                                if decision.model { Evidence::Both(code) } else { Evidence::Rule(code) };
                            (hit.actor, hit.span, evidence)
                        }
                        None => {
                            let shown = || shown::clause(words, at, number).unwrap_or(segment.span());
                            let span = self.cued(&cues, at, event_type).unwrap_or_else(shown);
                            (usual_actor(event_type), span, Evidence::Model)
                        }
                    };
                    let actor = match actor {
                        Actor::Provider => cast.actor(words, at, span, event_type).unwrap_or(actor),
                        named => named,
                    };
                    events.push(Event {
                        event_type: event_type.clone(),
                        status: decision.status,
                        actor,
                        span,
                        sentence,
                        interaction: None,
                        confidence: decision.confidence,
                        evidence,
                        level,
                    });
                }
            }
            for hit in found.iter().filter(|hit| self.rules.rules[hit.rule].event_type.index().is_none()) {
                let rule = &self.rules.rules[hit.rule];
                let known = events[first..]
                    .iter()
                    .any(|event| event.event_type == rule.event_type && event.status == hit.status);
                if !known {
                    events.push(Event {
                        event_type: rule.event_type.clone(),
                        status: hit.status,
                        actor: match hit.actor {
                            Actor::Provider => {
                                cast.actor(words, at, hit.span, &rule.event_type).unwrap_or(hit.actor)
                            }
                            named => named,
                        },
                        span: hit.span,
                        sentence,
                        interaction: None,
                        confidence: rule.confidence,
                        evidence: Evidence::Rule(rule.code.clone()),
                        level,
                    });
                }
            }
            events[first..].sort_by(|a, b| (a.span, &a.event_type).cmp(&(b.span, &b.event_type)));
        }
        events
    }

    /// How bad a failure would be that is told of in each sentence: the highest level that the words show, the
    /// first where they show none. For stories whose events come from elsewhere, see [`Event::with_severity`].
    ///
    /// ```
    /// use amends::{Extractor, Severity, segment};
    ///
    /// let text = "They were late. My daughter ended up in the hospital.";
    /// let levels = Extractor::built_in()?.severities(text, &segment(text), &[true, true]);
    /// assert_eq!(levels, [Severity::Inconvenience, Severity::Harm]);
    /// # Ok::<(), amends::LoadError>(())
    /// ```
    pub fn severities(&self, text: &str, segments: &[Segment], content: &[bool]) -> Vec<Severity> {
        let found = self.read(text, segments, content).severities;
        (0..segments.len()).map(|at| self.rules.level(&found, at)).collect()
    }

    /// Every rule of a built-in type that fires: what the decision rule is fitted on.
    #[doc(hidden)]
    pub fn rule_hits(&self, text: &str, segments: &[Segment], content: &[bool]) -> Vec<RuleHit> {
        let hits = self.read(text, segments, content).hits;
        let hit = |hit: &Hit| {
            let event_type = self.rules.rules[hit.rule].event_type.index()?;
            Some(RuleHit {
                sentence: hit.sentence,
                event_type,
                rule: hit.rule,
                status: hit.status,
                span: hit.span,
            })
        };
        hits.iter().filter_map(hit).collect()
    }

    /// The clauses of each sentence, with their words in the form that rules look at: what `examples/fit_words.rs`
    /// counts.
    #[doc(hidden)]
    pub fn clauses(text: &str, segments: &[Segment]) -> Vec<Vec<(Span, Vec<String>)>> {
        let mut words = Words::default();
        words.read(text, segments, &[]);
        let own = |(from, to): (usize, usize)| {
            let normal = (from..to).map(|at| words.normal_of(at).to_owned()).collect();
            (words.span(from, to), normal)
        };
        (0..segments.len()).map(|at| shown::clauses(&words, at).map(own).collect()).collect()
    }

    fn read(&self, text: &str, segments: &[Segment], content: &[bool]) -> Findings {
        SCRATCH.with_borrow_mut(|(words, scratch)| {
            words.read(text, segments, content);
            self.rules.find(words, scratch)
        })
    }

    fn votes<'h>(&'h self, hits: &'h [Hit], event_type: &'h EventType) -> impl Iterator<Item = Vote<'h>> {
        hits.iter()
            .filter(move |hit| self.rules.rules[hit.rule].event_type == *event_type)
            .map(|hit| Vote { hit, rule: &self.rules.rules[hit.rule] })
    }

    /// The cue words of the type in the sentence.
    fn cued(&self, cues: &[(usize, u32, Span)], at: usize, event_type: &EventType) -> Option<Span> {
        let from = cues.partition_point(|cue| cue.0 < at);
        cues[from..]
            .iter()
            .take_while(|cue| cue.0 == at)
            .filter(|cue| self.rules.cue_types[cue.1 as usize] == *event_type)
            .map(|cue| cue.2)
            .reduce(|a, b| if b.start() <= a.end() + 1 { a.cover(b) } else { a })
    }
}

/// Who acts where no rule says it.
fn usual_actor(event_type: &EventType) -> Actor {
    if event_type.group() == EventGroup::Customer && *event_type != EventType::Unresolved {
        Actor::Customer
    } else {
        Actor::Provider
    }
}
