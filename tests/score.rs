//! What the experience score promises, whatever the events and sentiments are.
#![allow(clippy::unwrap_used)] // helpers of tests

use amends::{
    Actor, Event, EventType, Flag, LinkKind, Reason, ScoreInput, Scored, Scorer, SentenceId, Sentiment,
    Severity, Span, Status, Weights,
};
use proptest::prelude::*;

/// A story of its own words: sentence `i` is `Sentence i.`.
#[derive(Clone, Debug)]
struct Story {
    text: String,
    spans: Vec<Span>,
    sentiments: Vec<Sentiment>,
    events: Vec<Event>,
}

impl Story {
    fn new(sentiments: &[[f32; 3]]) -> Self {
        let mut story = Story { text: String::new(), spans: vec![], sentiments: vec![], events: vec![] };
        for (at, [negative, neutral, positive]) in sentiments.iter().enumerate() {
            story.push(&format!("Sentence {at}."), Sentiment::from_weights(*negative, *neutral, *positive));
        }
        story
    }

    fn push(&mut self, words: &str, sentiment: Sentiment) {
        let start = self.text.len();
        self.text.push_str(words);
        self.spans.push(Span::new(start, self.text.len()));
        self.sentiments.push(sentiment);
        self.text.push(' ');
    }

    fn with(self, sentence: usize, event_type: EventType, status: Status, confidence: f32) -> Self {
        self.graded(sentence, event_type, status, confidence, Severity::Inconvenience)
    }

    fn graded(
        mut self,
        sentence: usize,
        event_type: EventType,
        status: Status,
        confidence: f32,
        severity: Severity,
    ) -> Self {
        let sentence = sentence.min(self.spans.len() - 1);
        let id = SentenceId::new(sentence as u32);
        let span = self.spans[sentence];
        let event = Event::new(event_type, status, Actor::Provider, span, id, confidence);
        self.events.push(event.with_severity(severity));
        self.events.sort_by_key(|event| (event.sentence(), event.event_type().clone(), event.status()));
        self
    }

    /// The same event, told in another sentence.
    fn again(self, sentence: usize, event: &Event) -> Self {
        let severity = event.severity().unwrap_or_default();
        self.graded(sentence, event.event_type().clone(), event.status(), event.confidence(), severity)
    }

    /// This story's sentences and events, then those of the other.
    fn and(mut self, other: &Story) -> Self {
        let offset = self.spans.len();
        for (span, sentiment) in other.spans.iter().zip(&other.sentiments) {
            self.push(&other.text[span.range()], *sentiment);
        }
        other.events.iter().fold(self, |both, event| both.again(offset + event.sentence().index(), event))
    }

    fn all(&self) -> Vec<SentenceId> {
        (0..self.spans.len() as u32).map(SentenceId::new).collect()
    }

    fn score(&self) -> Scored {
        self.score_of(&self.all())
    }

    fn score_of(&self, sentences: &[SentenceId]) -> Scored {
        thread_local!(static SCORER: Scorer = Scorer::built_in().unwrap());
        SCORER.with(|scorer| self.score_by(scorer, sentences))
    }

    fn score_by(&self, scorer: &Scorer, sentences: &[SentenceId]) -> Scored {
        scorer.score(ScoreInput {
            text: &self.text,
            spans: &self.spans,
            sentiments: &self.sentiments,
            sentences,
            events: &self.events,
        })
    }

    /// The value under other weights than ours.
    fn value_by(&self, scorer: &Scorer) -> f64 {
        self.score_by(scorer, &self.all()).score.value()
    }
}

/// The sum of a score's parts may be off by this much, as `Scored::base` says.
const EXACT: f64 = 1e-9;

/// Rounding may move a value by this much.
const ROUNDING: f64 = 1e-9;

const FAILURES: [EventType; 8] = [
    EventType::ServiceFailure,
    EventType::Delay,
    EventType::BrokenPromise,
    EventType::Silence,
    EventType::Runaround,
    EventType::Rudeness,
    EventType::Dishonesty,
    EventType::Refusal,
];

const RECOVERIES: [EventType; 6] = [
    EventType::MistakeAdmitted,
    EventType::Apology,
    EventType::Explanation,
    EventType::ProactiveContact,
    EventType::Fix,
    EventType::Compensation,
];

/// A size that a weight may have, the ends of the range among them. Most are small: large ones end at 0 or 100 points,
/// where nothing moves.
fn any_size() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..1.0, 2 => Just(0.0), 1 => 0.0..10.0, 1 => Just(100.0)]
}

fn any_share() -> impl Strategy<Value = f64> {
    prop_oneof![2 => 0.0..=1.0, 1 => Just(0.0), 1 => Just(1.0)]
}

fn any_positive() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.001..3.0, 1 => Just(1e-6), 1 => Just(100.0)]
}

/// Weights from the whole range that `Weights::check` admits, with a version of any characters.
fn any_weights() -> impl Strategy<Value = Weights> {
    let marks =
        prop::sample::select(vec!['"', '\'', '\\', '\n', '\r', '\t', '\0', '\u{1b}', '\u{7f}', '#', '=']);
    (
        prop::collection::vec(prop_oneof![any::<char>(), marks], 0..12),
        prop_oneof![-3.0..3.0, Just(-10.0), Just(10.0)],
        (prop::array::uniform4(any_size()), any_positive(), 0.0..=0.99, any_share()),
        (any_positive(), any_share(), any_size()),
        (any_share(), any_share(), any_positive(), any_share(), any_share()),
        (1.0..3.0, 0.0..3.0),
        prop::array::uniform5(any_size()),
        prop::collection::vec(prop::array::uniform3(any_size()), EventType::ALL.len()),
    )
        .prop_map(|(version, base, sentiment, recovery, links, severity, interval, events)| {
            let mut weights = Weights::built_in().unwrap();
            weights.version = version.into_iter().collect();
            weights.base = base;
            let tone = &mut weights.sentiment;
            [tone.mean, tone.peak_negative, tone.peak_positive, tone.end] = sentiment.0;
            (tone.prior, tone.margin, tone.end_decay) = (sentiment.1, sentiment.2, sentiment.3);
            let to = &mut weights.recovery;
            (to.saturation, to.cap, to.allowance) = recovery;
            let to = &mut weights.links;
            (to.repeat, to.double_deviation, to.double_deviation_half, to.customer_error, to.third_party) =
                links;
            (weights.severity.loss, weights.severity.harm) = (severity.0, severity.0 + severity.1);
            let to = &mut weights.interval;
            [to.level, to.noise, to.sparse, to.events, to.enough] = interval;
            for (event_type, sizes) in EventType::ALL.iter().zip(events) {
                let sign = f64::from(Weights::sign(event_type));
                let own = weights.events.get_mut(event_type.as_str()).unwrap();
                own.occurred = sign * sizes[0];
                own.absent = -sign * sizes[1];
                own.unreal = -sign * sizes[2];
            }
            weights
        })
}

fn any_severity() -> impl Strategy<Value = Severity> {
    prop::sample::select(Severity::ALL.to_vec())
}

fn any_event() -> impl Strategy<Value = (usize, EventType, Status, f32)> {
    (
        0..8usize,
        prop::sample::select(EventType::ALL.to_vec()),
        prop::sample::select(Status::ALL.to_vec()),
        0.0f32..=1.0,
    )
}

fn any_story() -> impl Strategy<Value = Story> {
    let sentence = (0.0f32..1.0, 0.0f32..1.0, 0.0f32..1.0).prop_map(|(a, b, c)| [a, b, c]);
    // Failures and recoveries are what holds each other back, so half of the events are of these.
    let tense = (
        0..8usize,
        prop::sample::select(FAILURES.iter().chain(&RECOVERIES).cloned().collect::<Vec<_>>()),
        0.0f32..=1.0,
    )
        .prop_map(|(sentence, event_type, confidence)| (sentence, event_type, Status::Occurred, confidence));
    (
        prop::collection::vec(sentence, 1..8),
        prop::collection::vec((any_event(), any_severity()), 0..6),
        prop::collection::vec((tense, any_severity()), 0..6),
    )
        .prop_map(|(sentiments, events, tense)| {
            events
                .into_iter()
                .chain(tense)
                .fold(Story::new(&sentiments), |story, ((at, kind, status, sure), severity)| {
                    story.graded(at, kind, status, sure, severity)
                })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn points_add_up_and_the_interval_holds_the_value(story in any_story()) {
        let scored = story.score();
        let sum: f64 = scored.contributions.iter().map(|term| term.points()).sum();
        prop_assert!((scored.base + sum - scored.score.value()).abs() < EXACT);
        let (low, value, high) = (scored.score.low(), scored.score.value(), scored.score.high());
        prop_assert!(0.0 <= low && low <= value && value <= high && high <= 100.0);
        for side in [
            scored.dimensions.distributive,
            scored.dimensions.procedural,
            scored.dimensions.interactional,
            scored.dimensions.effort,
            scored.dimensions.outcome,
        ].into_iter().flatten() {
            prop_assert!((-1.0..=1.0).contains(&side));
        }
        prop_assert_eq!(story.score(), scored);
    }

    #[test]
    fn a_failure_never_raises(
        story in any_story(),
        at in 0..8usize,
        kind in prop::sample::select(FAILURES.to_vec()),
        sure in 0.0f32..=1.0,
        severity in any_severity(),
    ) {
        let before = story.score().score.value();
        let after = story.graded(at, kind, Status::Occurred, sure, severity).score().score.value();
        prop_assert!(after <= before + ROUNDING, "{} -> {}", before, after);
    }

    #[test]
    fn a_severer_failure_never_raises(
        story in any_story(),
        at in 0..8usize,
        kind in prop::sample::select(FAILURES.to_vec()),
        sure in 0.0f32..=1.0,
    ) {
        let told = |severity| {
            story.clone().graded(at, kind.clone(), Status::Occurred, sure, severity).score().score.value()
        };
        let values: Vec<f64> = Severity::ALL.iter().map(|&severity| told(severity)).collect();
        prop_assert!(values.is_sorted_by(|milder, worse| *worse <= milder + ROUNDING), "{:?}", values);
    }

    #[test]
    fn a_recovery_never_lowers(
        story in any_story(),
        at in 0..8usize,
        kind in prop::sample::select(RECOVERIES.to_vec()),
        sure in 0.0f32..=1.0,
    ) {
        let before = story.score().score.value();
        let after = story.with(at, kind, Status::Occurred, sure).score().score.value();
        prop_assert!(after >= before - ROUNDING, "{} -> {}", before, after);
    }

    #[test]
    fn negating_flips_the_sign_or_gives_nothing(
        kind in prop::sample::select(EventType::ALL.to_vec()),
        sure in 0.1f32..=1.0,
    ) {
        let plain = Story::new(&[[0.2, 0.4, 0.4]]);
        let base = plain.score().score.value();
        let moved = |status| plain.clone().with(0, kind.clone(), status, sure).score().score.value() - base;
        prop_assert!(moved(Status::Occurred) * moved(Status::Absent) <= 0.0);
        prop_assert!(moved(Status::Occurred) * moved(Status::Unreal) <= 0.0);
    }

    #[test]
    fn a_recovery_at_the_end_is_worth_no_less(
        story in any_story(),
        at in 0..8usize,
        kind in prop::sample::select(RECOVERIES.to_vec()),
        sure in 0.0f32..=1.0,
    ) {
        let end = story.spans.len() - 1;
        let early = story.clone().with(at, kind.clone(), Status::Occurred, sure).score().score.value();
        let late = story.with(end, kind, Status::Occurred, sure).score().score.value();
        prop_assert!(late >= early - ROUNDING, "{} -> {}", early, late);
    }

    #[test]
    fn the_order_of_interactions_changes_nothing(one in any_story(), other in any_story()) {
        // Told before and after another interaction: only places move.
        let scores = |first: &Story, second: &Story| {
            let both = first.clone().and(second);
            let mut ids = both.all();
            let rest = ids.split_off(first.spans.len());
            (both.score_of(&ids), both.score_of(&rest))
        };
        let ((one_first, other_second), (other_first, one_second)) = (scores(&one, &other), scores(&other, &one));
        for (beside, alone) in [
            (one_first, one.score()),
            (one_second, one.score()),
            (other_first, other.score()),
            (other_second, other.score()),
        ] {
            prop_assert_eq!(beside.score, alone.score);
            prop_assert_eq!(beside.flags, alone.flags);
            prop_assert_eq!(beside.dimensions, alone.dimensions);
        }
    }

    #[test]
    fn a_repeated_sentence_counts_once(story in any_story(), at in 0..8usize) {
        let at = at.min(story.spans.len() - 1);
        let once = story.score();
        let mut twice = story.clone();
        let words = story.text[story.spans[at].range()].to_uppercase();
        twice.push(&words, story.sentiments[at]);
        for event in story.events.iter().filter(|event| event.sentence().index() == at) {
            let last = twice.spans.len() - 1;
            twice = twice.again(last, event);
        }
        prop_assert_eq!(twice.score().score, once.score);
    }

    #[test]
    fn neutral_padding_changes_nothing(
        mut story in any_story(),
        tilt in -0.2f32..0.2,
        many in 1..20usize,
        place in 0..9usize,
    ) {
        // P(neutral) of 0.8 is neutral enough to have no weight at all: the difference is exactly 0. The
        // customer's own mistake explains failures near it, so it is the one event that distance matters to.
        story.events.retain(|event| *event.event_type() != EventType::CustomerError);
        let place = place.min(story.spans.len());
        let mut padded = Story::new(&[]);
        let mut events = Vec::new();
        let pad = |padded: &mut Story| {
            for n in 0..many {
                let sentiment = Sentiment::from_weights(tilt.max(0.0), 0.81, (-tilt).max(0.0));
                padded.push(&format!("Padding {n}."), sentiment);
            }
        };
        for (at, span) in story.spans.iter().enumerate() {
            if at == place {
                pad(&mut padded);
            }
            let now = padded.spans.len();
            padded.push(&story.text[span.range()], story.sentiments[at]);
            let here = story.events.iter().filter(|event| event.sentence().index() == at);
            events.extend(here.map(|event| (now, event)));
        }
        if place == story.spans.len() {
            pad(&mut padded);
        }
        let padded = events.into_iter().fold(padded, |padded, (at, event)| padded.again(at, event));
        prop_assert_eq!(padded.score().score, story.score().score);
    }

    #[test]
    fn weights_are_written_and_read(weights in any_weights()) {
        let text = weights.to_toml();
        let copy = Weights::from_toml(&text);
        prop_assert_eq!(copy.as_ref().ok(), Some(&weights), "{:?} {}", copy, text);
    }

    #[test]
    fn under_any_weights_points_add_up(story in any_story(), weights in any_weights()) {
        let scored = story.score_by(&Scorer::new(weights).unwrap(), &story.all());
        let sum: f64 = scored.contributions.iter().map(|term| term.points()).sum();
        prop_assert!((scored.base + sum - scored.score.value()).abs() < EXACT, "{} {:?}", sum, scored);
        let (low, value, high) = (scored.score.low(), scored.score.value(), scored.score.high());
        prop_assert!(0.0 <= low && low <= value && value <= high && high <= 100.0);
    }

    #[test]
    fn under_any_weights_a_failure_never_raises(
        story in any_story(),
        weights in any_weights(),
        at in 0..8usize,
        kind in prop::sample::select(FAILURES.to_vec()),
        sure in 0.0f32..=1.0,
    ) {
        let scorer = Scorer::new(weights).unwrap();
        let mut values = vec![story.value_by(&scorer)];
        values.extend(Severity::ALL.iter().map(|&severity| {
            story.clone().graded(at, kind.clone(), Status::Occurred, sure, severity).value_by(&scorer)
        }));
        prop_assert!(values.is_sorted_by(|milder, worse| *worse <= milder + ROUNDING), "{:?}", values);
    }

    #[test]
    fn under_any_weights_a_recovery_never_lowers_and_is_worth_most_at_the_end(
        story in any_story(),
        weights in any_weights(),
        at in 0..8usize,
        kind in prop::sample::select(RECOVERIES.to_vec()),
        sure in 0.0f32..=1.0,
    ) {
        let scorer = Scorer::new(weights).unwrap();
        let told = |at| story.clone().with(at, kind.clone(), Status::Occurred, sure).value_by(&scorer);
        let values = [story.value_by(&scorer), told(at), told(story.spans.len() - 1)];
        prop_assert!(values.is_sorted_by(|less, more| *more >= less - ROUNDING), "{:?}", values);
    }

    #[test]
    fn nothing_panics(
        text in "\\PC{0,20}",
        places in prop::collection::vec((0usize..60, 0usize..60), 0..5),
        ids in prop::collection::vec(0u32..9, 0..6),
        events in prop::collection::vec((any_event(), prop::sample::select(vec![f32::NAN, f32::INFINITY, -3.0, 7.0])), 0..6),
    ) {
        let spans: Vec<Span> = places.iter().map(|(a, b)| Span::new(*a.min(b), *a.max(b))).collect();
        let events: Vec<Event> = events
            .into_iter()
            .map(|((at, kind, status, _), sure)| {
                Event::new(kind, status, Actor::ThirdParty, Span::new(at, at + 2), SentenceId::new(at as u32), sure)
            })
            .collect();
        let sentiments = vec![Sentiment::from_weights(0.5, 0.2, 0.3); 3];
        let ids: Vec<SentenceId> = ids.into_iter().map(SentenceId::new).collect();
        let input = ScoreInput { text: &text, spans: &spans, sentiments: &sentiments, sentences: &ids, events: &events };
        let scored = Scorer::built_in().unwrap().score(input);
        prop_assert!((0.0..=100.0).contains(&scored.score.value()));
        let sum: f64 = scored.contributions.iter().map(|term| term.points()).sum();
        prop_assert!((scored.base + sum - scored.score.value()).abs() < EXACT);
    }
}

const BAD: [f32; 3] = [0.9, 0.05, 0.05];
const GOOD: [f32; 3] = [0.05, 0.05, 0.9];
const FLAT: [f32; 3] = [0.02, 0.96, 0.02];

#[test]
fn a_second_failure_takes_the_recovery_back() {
    let answered = Story::new(&[BAD, GOOD, BAD])
        .with(0, EventType::ServiceFailure, Status::Occurred, 1.0)
        .with(1, EventType::Apology, Status::Occurred, 1.0)
        .with(1, EventType::Fix, Status::Occurred, 1.0);
    let failed = answered.clone().with(2, EventType::BrokenPromise, Status::Occurred, 1.0);
    let scored = failed.score();
    assert!(scored.flags.contains(&Flag::DoubleDeviation), "{:?}", scored.flags);
    assert!(!answered.score().flags.contains(&Flag::DoubleDeviation));
    let link = scored.links.iter().find(|link| link.kind() == LinkKind::DoubleDeviation).unwrap();
    assert_eq!(*failed.events[link.from()].event_type(), EventType::BrokenPromise);
    let taken = scored.contributions.iter().find(|term| term.reason().to_string() == "link:double_deviation");
    assert!(taken.unwrap().points() < 0.0);
    assert_eq!(taken.unwrap().sentence(), SentenceId::new(2));
    // It costs more than the same failure does where no recovery went before.
    let plain = |story: &Story, event: bool| {
        let mut story = story.clone();
        story.events.retain(|event| !RECOVERIES.contains(event.event_type()));
        if event {
            story = story.with(2, EventType::BrokenPromise, Status::Occurred, 1.0);
        }
        story.score()
    };
    let raw = |scored: &Scored| (scored.score.value() / (100.0 - scored.score.value())).ln();
    let after_recovery = raw(&answered.score()) - raw(&scored);
    let without = raw(&plain(&answered, false)) - raw(&plain(&answered, true));
    assert!(after_recovery > without + 0.01, "{after_recovery} {without}");
}

#[test]
fn flags_tell_how_the_story_went() {
    let failure = |story: Story, at| story.with(at, EventType::ServiceFailure, Status::Occurred, 0.9);
    let recovered = failure(Story::new(&[BAD, GOOD]), 0).with(1, EventType::Fix, Status::Occurred, 0.9);
    assert_eq!(recovered.score().flags, [Flag::ServiceRecovery]);
    let dropped = failure(Story::new(&[GOOD, BAD]), 1).with(0, EventType::Courtesy, Status::Occurred, 0.9);
    assert_eq!(dropped.score().flags, [Flag::DroppedBall]);
    let bad = failure(Story::new(&[BAD, BAD]), 1);
    assert_eq!(bad.score().flags, []);
    let unsure = failure(Story::new(&[BAD, GOOD]), 0).with(1, EventType::Fix, Status::Occurred, 0.2);
    assert_eq!(unsure.score().flags, []);
}

/// What was said, how it sounds, and what happened in it.
type Line<'a> = (&'a str, [f32; 3], &'a [(EventType, Status)]);

/// A story told as it is read.
fn told(lines: &[Line<'_>]) -> Story {
    let mut story = Story::new(&[]);
    for (words, [negative, neutral, positive], _) in lines {
        story.push(words, Sentiment::from_weights(*negative, *neutral, *positive));
    }
    let events = lines.iter().enumerate().flat_map(|(at, line)| line.2.iter().map(move |event| (at, event)));
    events.fold(story, |story, (at, (kind, status))| story.with(at, kind.clone(), *status, 0.8))
}

#[test]
fn praise_told_again_does_not_hide_a_dropped_ball() {
    use EventType::*;
    use Status::*;
    let lines: &[Line<'_>] = &[
        ("What a bicycle shop taught me about keeping in touch.", [0.4, 0.5, 0.1], &[]),
        ("I had a hymn of praise ready for the people at Spoke and Chain.", [0.1, 0.2, 0.7], &[]),
        ("Then they fumbled it.", [0.8, 0.15, 0.05], &[]),
        (
            "The mechanic knew his trade, and he rang to say that the gears needed a part.",
            [0.05, 0.1, 0.85],
            &[(Competence, Occurred), (ProactiveContact, Occurred)],
        ),
        (
            "On Friday I waited for the call that it was done, and it never rang.",
            [0.85, 0.1, 0.05],
            &[(BrokenPromise, Occurred), (Silence, Occurred), (ProactiveContact, Absent)],
        ),
        ("When I asked, a wheel had been bent in the stand.", [0.7, 0.2, 0.1], &[(ServiceFailure, Occurred)]),
        ("I did enjoy how well I was looked after until then.", [0.05, 0.1, 0.85], &[(Courtesy, Occurred)]),
        ("But somebody should have told me.", [0.6, 0.35, 0.05], &[(ProactiveContact, Unreal)]),
        ("Ride safely, all of you, and oil your chains!", [0.05, 0.15, 0.8], &[]),
    ];
    assert!(told(lines).score().flags.contains(&Flag::DroppedBall));
    // A fault that was put right at once is part of the good start.
    let mut mended = lines.to_vec();
    mended[3] = (
        "The mechanic knew his trade; the brake squealed, and he put it right at once.",
        [0.5, 0.05, 0.45],
        &[(Competence, Occurred), (ServiceFailure, Occurred), (Fix, Occurred)],
    );
    assert!(told(&mended).score().flags.contains(&Flag::DroppedBall));
    // Not where the shop makes it good, ...
    let mut answered = lines.to_vec();
    answered.push((
        "They built me a new wheel for nothing and said how sorry they were.",
        [0.05, 0.1, 0.85],
        &[(Fix, Occurred), (Compensation, Occurred), (Apology, Occurred)],
    ));
    assert!(!told(&answered).score().flags.contains(&Flag::DroppedBall));
    // ... where the start was no better than the end, ...
    let mut bad = lines.to_vec();
    bad[1].1 = BAD;
    bad[3] = ("The mechanic sneered at my gears.", BAD, &[(Rudeness, Occurred)]);
    assert!(!told(&bad).score().flags.contains(&Flag::DroppedBall));
    // ... where the customer stays all the same, ...
    let mut loyal = lines.to_vec();
    loyal.push(("I will take my next bicycle there as well.", FLAT, &[(Loyalty, Occurred)]));
    assert!(!told(&loyal).score().flags.contains(&Flag::DroppedBall));
    // ... and where a slip is all that was wrong.
    let slip: &[Line<'_>] = &[
        ("The waiter was a gem.", GOOD, &[(Courtesy, Occurred)]),
        ("The soup was cold.", [0.6, 0.3, 0.1], &[(ServiceFailure, Occurred)]),
        ("Everything else came hot, and fast.", GOOD, &[(PromptService, Occurred)]),
        ("We will be back.", GOOD, &[(Loyalty, Occurred)]),
    ];
    assert!(!told(slip).score().flags.contains(&Flag::DroppedBall));
}

#[test]
fn a_severer_failure_costs_more() {
    let value = |severity| {
        let story = Story::new(&[BAD]);
        story.graded(0, EventType::ServiceFailure, Status::Occurred, 0.9, severity).score().score.value()
    };
    let [mild, loss, harm] = Severity::ALL else { panic!("three levels") };
    assert!(value(*mild) > value(*loss) && value(*loss) > value(*harm));
    // It is the failure that is graded: a failure that did not happen weighs the same at every level.
    let absent = |severity| {
        let story = Story::new(&[GOOD]);
        story.graded(0, EventType::ServiceFailure, Status::Absent, 0.9, severity).score().score
    };
    assert_eq!(absent(*mild), absent(*harm));
}

#[test]
fn a_story_that_says_nothing_gets_a_wide_interval_and_says_so() {
    let silent = Story::new(&[FLAT, FLAT]).score();
    assert_eq!(silent.flags, [Flag::InsufficientEvidence]);
    let width = |scored: &Scored| scored.score.high() - scored.score.low();
    assert!(width(&silent) > 80.0, "{:?}", silent.score);
    assert!(silent.contributions.is_empty());
    assert_eq!(silent.score.value(), silent.base);
    let told = Story::new(&[BAD, BAD]).with(0, EventType::Refusal, Status::Occurred, 0.9).score();
    assert!(width(&told) < width(&silent) - 15.0, "{:?}", told.score);
    assert_eq!(told.flags, []);
    let empty = Story::new(&[]).score();
    assert_eq!(empty.flags, [Flag::InsufficientEvidence]);
}

#[test]
fn the_customers_own_error_lightens_the_failure() {
    let story = Story::new(&[BAD, FLAT]).with(0, EventType::ServiceFailure, Status::Occurred, 1.0);
    let own = story.clone().with(1, EventType::CustomerError, Status::Occurred, 1.0);
    assert!(own.score().score.value() > story.score().score.value());
}

#[test]
fn what_a_third_party_did_counts_by_its_share() {
    let mut weights = Weights::built_in().unwrap();
    (weights.base, weights.links.third_party) = (0.0, 0.25);
    weights.events.get_mut("service_failure").unwrap().occurred = -1.0;
    let scorer = Scorer::new(weights).unwrap();
    let value = |actor| {
        let mut story = Story::new(&[FLAT]);
        let id = SentenceId::new(0);
        let event = Event::new(EventType::ServiceFailure, Status::Occurred, actor, story.spans[0], id, 1.0);
        story.events.push(event);
        story.value_by(&scorer)
    };
    // 100 / (1 + e) and 100 / (1 + e^0.75).
    assert!((value(Actor::Provider) - 26.894_142_136_999_51).abs() < EXACT, "{}", value(Actor::Provider));
    assert!((value(Actor::ThirdParty) - 32.082_130_082_460_71).abs() < EXACT, "{}", value(Actor::ThirdParty));
    assert_eq!(value(Actor::Customer), value(Actor::Provider));
}

#[test]
fn a_score_that_is_none_is_not_read() {
    let read = |json: &str| serde_json::from_str::<amends::Score>(json);
    let good = Story::new(&[BAD]).score().score;
    assert_eq!(read(&serde_json::to_string(&good).unwrap()).unwrap(), good);
    for json in [
        r#"{"value": 50, "low": 60, "high": 70}"#,
        r#"{"value": 80, "low": 60, "high": 70}"#,
        r#"{"value": 0, "low": -1, "high": 70}"#,
        r#"{"value": 90, "low": 60, "high": 100.5}"#,
        r#"{"value": 90, "low": 60}"#,
    ] {
        assert!(read(json).is_err(), "{json}");
    }
}

#[test]
fn an_event_told_again_weighs_less() {
    let told = |times: usize| {
        (0..times)
            .fold(Story::new(&[FLAT, FLAT, FLAT, FLAT]), |story, at| {
                story.with(at, EventType::Rudeness, Status::Occurred, 1.0)
            })
            .score()
            .score
            .value()
    };
    let (none, once, twice) = (told(0), told(1), told(2));
    assert!(none - once > 1.5 * (once - twice), "{none} {once} {twice}");
}

#[test]
fn dimensions_are_silent_where_the_text_is() {
    let scored = Story::new(&[BAD]).with(0, EventType::Rudeness, Status::Occurred, 1.0).score();
    assert_eq!(scored.dimensions.distributive, None);
    assert!(scored.dimensions.interactional.unwrap() < -0.5);
}

#[test]
fn reasons_are_written_as_promised() {
    for text in ["proactive_contact:absent", "sentiment:mean", "sentiment:end", "link:double_deviation"] {
        assert_eq!(text.parse::<Reason>().unwrap().to_string(), text);
    }
    for text in ["", "apology", "apology:maybe", "sentiment:length", "Link:x"] {
        assert!(text.parse::<Reason>().is_err(), "{text}");
    }
}

#[test]
fn users_weights_replace_ours() {
    let mut weights = Weights::built_in().unwrap();
    weights.version = "flat".to_owned();
    weights.base = 0.0;
    weights.sentiment.mean = 0.0;
    let scorer = Scorer::new(weights).unwrap();
    assert_eq!(scorer.weights().version, "flat");
    let input = ScoreInput { text: "", spans: &[], sentiments: &[], sentences: &[], events: &[] };
    assert_eq!(scorer.score(input).score.value(), 50.0);
}
