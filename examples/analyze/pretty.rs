//! For people: the sentences coloured by sentiment, events in the margin, scores with their reasons.

use std::io::{self, Write};

use amends::{Analysis, Document, Event, Interaction, SentimentLabel, Status};
use anstyle::{AnsiColor, Style};
use textwrap::core::display_width;

/// Columns left of a sentence: number, interaction, sign.
const LEFT: usize = 10;
/// Columns of the margin where the events stand.
const MARGIN: usize = 30;
/// How many reasons are shown for a score.
const REASONS: usize = 3;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const PLAIN: Style = Style::new();

/// Writes one story, wrapped to `width` columns.
pub(crate) fn write(
    out: &mut impl Write,
    document: &Document<'_>,
    analysis: &Analysis,
    width: usize,
) -> io::Result<()> {
    let width = width.clamp(60, 140);
    let title = document.id().or(document.source()).unwrap_or("story");
    let rule = "─".repeat(width.saturating_sub(display_width(title) + 4));
    writeln!(out, "{BOLD}── {title} {rule}{BOLD:#}")?;
    for (number, sentence) in analysis.sentences().iter().enumerate() {
        let events: Vec<String> = analysis
            .events()
            .iter()
            .filter(|event| event.sentence().index() == number)
            .map(margin_note)
            .collect();
        let (sign, style) = match sentence.sentiment().label() {
            _ if !sentence.is_content() => (' ', DIM),
            SentimentLabel::Negative => ('-', RED),
            SentimentLabel::Positive => ('+', GREEN),
            SentimentLabel::Mixed => ('±', YELLOW),
            SentimentLabel::Neutral => ('·', PLAIN),
        };
        let text: String = document.text()[sentence.span()].split_whitespace().collect::<Vec<_>>().join(" ");
        let lines = textwrap::wrap(&text, width - LEFT - MARGIN);
        let place = match (sentence.interaction(), sentence.boilerplate()) {
            (Some(id), _) => format!("#{id}"),
            (None, Some(_)) => "x".to_owned(),
            (None, None) => String::new(),
        };
        for row in 0..lines.len().max(events.len()).max(1) {
            let line = lines.get(row).map_or("", |line| line);
            let event = events.get(row).map_or("", String::as_str);
            let gap = " ".repeat((width - LEFT - MARGIN).saturating_sub(display_width(line)));
            let head = match row {
                0 => format!("{number:>3} {place:<3} {sign} "),
                _ => " ".repeat(LEFT - 1),
            };
            writeln!(out, "{DIM}{head}{DIM:#}{style}{line}{style:#}{gap} {event}")?;
        }
    }
    for interaction in analysis.interactions() {
        write_interaction(out, document, interaction)?;
    }
    for warning in analysis.warnings() {
        writeln!(out, "  {YELLOW}note: {warning}{YELLOW:#}")?;
    }
    writeln!(out)
}

fn margin_note(event: &Event) -> String {
    match event.status() {
        Status::Occurred => event.event_type().to_string(),
        Status::Absent => format!("no {}", event.event_type()),
        Status::Unreal => format!("({})", event.event_type()),
    }
}

fn write_interaction(
    out: &mut impl Write,
    document: &Document<'_>,
    interaction: &Interaction,
) -> io::Result<()> {
    let text = document.text();
    let provider = interaction.provider().map(|provider| provider.name(text));
    let score = interaction.score();
    let style = match score.value() {
        value if value < 40.0 => RED,
        value if value > 60.0 => GREEN,
        _ => YELLOW,
    }
    .bold();
    write!(
        out,
        "  #{} {BOLD}{}{BOLD:#}: {style}{:.0}{style:#} of 100 (90 % within {:.0} to {:.0})",
        interaction.id(),
        provider.unwrap_or("provider not named"),
        score.value(),
        score.low(),
        score.high(),
    )?;
    for flag in interaction.flags() {
        write!(out, "  [{flag}]")?;
    }
    writeln!(out)?;
    for reason in interaction.contributions().iter().take(REASONS) {
        let words: Vec<&str> = text[reason.span()].split_whitespace().collect();
        let mut words = words.join(" ");
        if let Some((at, _)) = words.char_indices().nth(60) {
            words.truncate(at);
            words.push('…');
        }
        writeln!(out, "     {:+6.1}  {}  {DIM}“{words}”{DIM:#}", reason.points(), reason.reason())?;
    }
    Ok(())
}
