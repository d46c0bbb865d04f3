//! What must hold of every analysis, whatever the text.

use amends::Analysis;

/// Panics where `analysis` of `text` breaks a promise of the crate's documentation.
#[track_caller]
pub(crate) fn check(text: &str, analysis: &Analysis) {
    let mut end = 0;
    for sentence in analysis.sentences() {
        let span = sentence.span();
        assert!(span.start() >= end && !span.is_empty(), "{span:?}");
        let between = &text[end..span.start()];
        assert!(between.chars().all(char::is_whitespace), "lost {between:?}");
        end = span.end();
        let s = sentence.sentiment();
        assert!((s.negative() + s.neutral() + s.positive() - 1.0).abs() < 1e-5, "{s:?}");
        assert!(sentence.is_content() || sentence.interaction().is_none());
    }
    assert!(text[end..].chars().all(char::is_whitespace), "lost {:?}", &text[end..]);

    let mut before = 0;
    for event in analysis.events() {
        let sentence = analysis.sentence(event.sentence()).unwrap();
        assert!(sentence.span().contains(event.span()), "{event:?}");
        assert!(text.get(event.span().range()).is_some_and(|words| !words.is_empty()), "{event:?}");
        assert!(sentence.is_content() && event.interaction() == sentence.interaction());
        assert!((0.0..=1.0).contains(&event.confidence()), "{event:?}");
        assert!(event.sentence().index() >= before, "events follow the text");
        before = event.sentence().index();
    }

    for (number, interaction) in (1..).zip(analysis.interactions()) {
        assert_eq!(interaction.id().number(), number);
        assert!(!interaction.sentences().is_empty());
        for &id in interaction.sentences() {
            assert_eq!(analysis.sentence(id).unwrap().interaction(), Some(interaction.id()));
        }
        let score = interaction.score();
        assert!((0.0..=100.0).contains(&score.value()), "{score:?}");
        assert!(0.0 <= score.low() && score.low() <= score.value(), "{score:?}");
        assert!(score.value() <= score.high() && score.high() <= 100.0, "{score:?}");
        let sum: f64 = interaction.contributions().iter().map(|c| c.points()).sum();
        assert!((interaction.base() + sum - score.value()).abs() < 1e-9, "{score:?} {sum}");
        for contribution in interaction.contributions() {
            assert!(interaction.sentences().contains(&contribution.sentence()), "{contribution:?}");
        }
        for link in interaction.links() {
            for at in [link.from(), link.to()] {
                assert_eq!(analysis.events()[at].interaction(), Some(interaction.id()));
            }
        }
    }
}
