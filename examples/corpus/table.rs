//! The summary for people.

use amends::summary::{Estimate, GroupSummary, Summary};
use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};

/// How many movers, failure types and providers are shown.
const MOVERS: usize = 12;
const TYPES: usize = 8;
const PROVIDERS: usize = 20;

/// A table whose columns but the first stand to the right.
fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    let style = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
    table.load_style(style).set_header(header);
    for row in rows {
        table.add_row(row.into_iter().map(Cell::new).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("\n{}\n", table.trim_fmt())
}

/// A value with its interval, each as `form` writes it.
fn estimate(estimate: Option<Estimate>, unit: &str, form: impl Fn(f64) -> String) -> String {
    let Some(Estimate { value, low, high }) = estimate else { return "–".into() };
    let interval = low.zip(high).map(|(low, high)| format!("  {} … {}", form(low), form(high)));
    format!("{}{unit}{}", form(value), interval.unwrap_or_default())
}

fn points(it: Option<Estimate>) -> String {
    estimate(it, "", |points| format!("{points:.1}"))
}

fn signed(it: Estimate) -> String {
    estimate(Some(it), "", |points| format!("{points:+.2}"))
}

fn percent(it: Option<Estimate>) -> String {
    estimate(it, " %", |share| format!("{:.1}", 100.0 * share))
}

fn groups(of: &str, groups: &[GroupSummary], most: usize) -> String {
    if groups.is_empty() {
        return String::new();
    }
    let header = [of, "stories", "mean score", "median score", "tell of a failure", "answered"];
    let rows = groups.iter().take(most).map(|group| {
        vec![
            group.name.clone(),
            group.stories.to_string(),
            points(group.mean),
            points(group.median),
            percent(group.failed),
            percent(group.answered),
        ]
    });
    let mut text = table(&header, rows);
    if groups.len() > most {
        text += &format!("and {} more\n", groups.len() - most);
    }
    text
}

/// Lines for a terminal or a file.
pub(crate) fn render(summary: &Summary) -> String {
    let Summary { stories, failed, sentences, interactions, bootstrap, failures, .. } = summary;
    let mut text = format!(
        "{stories} stories, {interactions} interactions, {sentences} sentences; {failed} rows failed\n\
         (… : {:.0} % bootstrap interval over stories, {} resamples)\n",
        100.0 * bootstrap.level,
        bootstrap.resamples
    );
    if let Some(score) = &summary.score {
        let rows = [
            ("mean", points(Some(score.mean))),
            ("median", points(Some(score.median))),
            ("standard deviation", format!("{:.1}", score.deviation)),
            ("say too little", score.insufficient.to_string()),
        ];
        text +=
            &table(&["score, 0 to 100", ""], rows.into_iter().map(|(name, value)| vec![name.into(), value]));
        let header = std::iter::once("score".to_owned()).chain((0..10).map(|ten| format!("{}–", 10 * ten)));
        let header: Vec<String> = header.collect();
        let counts =
            std::iter::once("interactions".to_owned()).chain(score.histogram.iter().map(u64::to_string));
        text +=
            &table(&header.iter().map(String::as_str).collect::<Vec<_>>(), std::iter::once(counts.collect()));
    }
    let rows = [
        ("tell of a failure", percent(failures.failed)),
        ("… and of an answer to it", percent(failures.answered)),
        ("mean score without a failure", points(failures.score_without)),
        ("… failure answered", points(failures.score_answered)),
        ("… failure not answered", points(failures.score_unanswered)),
    ];
    text += &table(&["interactions", ""], rows.into_iter().map(|(name, value)| vec![name.into(), value]));
    let rows = failures.by_recovery.iter().map(|recovery| {
        vec![
            recovery.event_type.to_string(),
            recovery.interactions.to_string(),
            percent(Some(recovery.share)),
            points(recovery.score),
        ]
    });
    text += &table(&["failures answered by", "interactions", "of those with a failure", "mean score"], rows);
    let rows = failures.by_failure.iter().take(TYPES).map(|failure| {
        vec![failure.event_type.to_string(), failure.failures.to_string(), percent(Some(failure.answered))]
    });
    text += &table(&["failure", "told", "answered"], rows);
    let rows = summary.movers.iter().take(MOVERS).map(|mover| {
        let (share, effect) = (percent(Some(mover.share)), signed(mover.effect));
        vec![mover.reason.clone(), share, signed(mover.points), effect]
    });
    text += &table(&["what moves the score", "interactions", "points there", "points over all"], rows);
    let rows = summary.sentiment.iter().map(|share| {
        vec![share.label.as_str().into(), share.sentences.to_string(), percent(Some(share.share))]
    });
    text += &table(&["sentiment", "sentences", "share"], rows);
    let rows = summary.flags.iter().map(|share| {
        vec![share.flag.to_string(), share.interactions.to_string(), percent(Some(share.share))]
    });
    text += &table(&["flag", "interactions", "share"], rows);
    text += &groups("provider", &summary.providers, PROVIDERS);
    text += &groups("month", &summary.months, usize::MAX);
    text
}
