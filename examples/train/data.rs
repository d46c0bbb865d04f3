//! Reading labelled text: sentences or whole stories, one JSON object a line.
//!
//! A sentence row is `{"text": ..}` with any of
//! - `"label"`: `negative`, `neutral`, `positive` or `mixed`;
//! - `"p"`: probabilities of negative, neutral and positive (a teacher's, or those of several readers);
//! - `"events"`: `[["delay", "occurred"], ..]`, complete: what is not named did not happen;
//! - `"e"`: `{"delay:occurred": 0.8, ..}`, event probabilities; what is not named is 0;
//! - `"weight"`: a factor on the weight of its source.
//!
//! A row without `label` and `p` does not train the sentiment head, one without `events` and `e` not the
//! event head; nor does a sentence of a story without `events`. A story row is `{"id", "text", "sentences":
//! [{"start", "end", "sentiment", "boilerplate", "events", "interaction"}]}` with half-open byte spans; its
//! boilerplate is left out. `interaction` is the number of the interaction that the sentence tells of, 0 for none;
//! where it is missing, the row does not train the head that says whether a sentence tells of one. A story row
//! without `text` takes that of the row with its `id` in the file that the source names as `texts`: labels of texts
//! that are not ours to pass on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use amends::{EVENT_TYPES, EventType, SentimentLabel, Status};
use anyhow::{Context, Result, anyhow, ensure};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::recipe::Format;

/// Outputs of the event head: each type with each status.
pub(crate) const EVENTS: usize = EVENT_TYPES * STATUSES;

/// Statuses of an event.
pub(crate) const STATUSES: usize = 3;

/// One sentence to train or to measure on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Example {
    pub(crate) text: String,
    /// Probabilities of negative, neutral, positive.
    pub(crate) sentiment: Option<[f32; 3]>,
    /// Label numbers with their probabilities, ascending; those not named are 0.
    pub(crate) events: Option<Vec<(usize, f32)>>,
    /// Whether it tells of an interaction with a provider.
    pub(crate) told: Option<bool>,
    /// The label as read, where it was a hard one.
    pub(crate) label: Option<SentimentLabel>,
    pub(crate) weight: f32,
    /// The line of the file that it stands on, from 1: sentences of one story share it.
    pub(crate) line: usize,
}

/// What a file of labelled text held.
#[derive(Default, Debug)]
pub(crate) struct Table {
    pub(crate) examples: Vec<Example>,
    /// Names of the first [`MOST_UNUSED`] keys that nothing was read from; those of the sentences of stories begin
    /// with `sentences.`.
    pub(crate) unused: BTreeSet<String>,
}

/// Enough to see a misspelt one among them; rows whose keys are data of their own would have no end of them.
const MOST_UNUSED: usize = 20;

impl Table {
    fn note_unused(&mut self, within: &str, keys: Rest) {
        for key in keys.into_keys() {
            if self.unused.len() < MOST_UNUSED {
                self.unused.insert(format!("{within}{key}"));
            }
        }
    }
}

/// The number of an event label: its place among the outputs of the event head.
pub(crate) fn event_label(name: &str, status: &str) -> Result<usize> {
    let kind = EventType::ALL
        .iter()
        .position(|kind| kind.as_str() == name)
        .ok_or_else(|| anyhow!("unknown event type {name:?}"))?;
    let status = Status::ALL
        .iter()
        .position(|known| known.as_str() == status)
        .ok_or_else(|| anyhow!("unknown event status {status:?}"))?;
    Ok(kind * STATUSES + status)
}

/// The event labels in the order of the head's outputs, as `type:status`.
pub(crate) fn event_labels() -> Vec<String> {
    let name = |kind: &EventType, status: &Status| format!("{}:{}", kind.as_str(), status.as_str());
    EventType::ALL.iter().flat_map(|kind| Status::ALL.iter().map(move |status| name(kind, status))).collect()
}

fn sentiment_label(name: &str) -> Result<SentimentLabel> {
    [SentimentLabel::Negative, SentimentLabel::Neutral, SentimentLabel::Positive, SentimentLabel::Mixed]
        .into_iter()
        .find(|label| label.as_str() == name)
        .ok_or_else(|| anyhow!("unknown sentiment {name:?}"))
}

/// The target of a hard label. Mixed is as much negative as positive, which is how the library reads it.
fn target(label: SentimentLabel) -> [f32; 3] {
    match label {
        SentimentLabel::Negative => [1.0, 0.0, 0.0],
        SentimentLabel::Neutral => [0.0, 1.0, 0.0],
        SentimentLabel::Positive => [0.0, 0.0, 1.0],
        SentimentLabel::Mixed => [0.5, 0.0, 0.5],
    }
}

/// The keys of a JSON object that no field is read from.
type Rest = BTreeMap<String, IgnoredAny>;

#[derive(Deserialize)]
struct SentenceRow {
    text: String,
    label: Option<String>,
    p: Option<Vec<f32>>,
    events: Option<Vec<(String, String)>>,
    e: Option<BTreeMap<String, f32>>,
    weight: Option<f32>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Deserialize)]
struct StoryRow {
    #[serde(default)]
    id: String,
    text: Option<String>,
    sentences: Vec<StorySentence>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Deserialize)]
struct StorySentence {
    start: usize,
    end: usize,
    sentiment: String,
    #[serde(default)]
    boilerplate: bool,
    interaction: Option<u32>,
    events: Option<Vec<(String, String)>>,
    #[serde(flatten)]
    rest: Rest,
}

/// Reads a file of labelled text; stories without a text of their own have theirs in the file `texts`. Names that end
/// in `.gz` are unpacked.
///
/// # Errors
///
/// Where a file cannot be read or a row is wrong; the error then names file and line.
pub(crate) fn read(path: &Path, format: Format, texts: Option<&Path>) -> Result<Table> {
    let mut table = Table::default();
    let texts = texts.map(read_named_texts).transpose()?.unwrap_or_default();
    each_line(path, |line, text| match format {
        Format::Sentences => sentence(line, text, &mut table),
        Format::Stories => story(line, text, &texts, &mut table),
    })?;
    ensure!(!table.examples.is_empty(), "{} holds no rows", path.display());
    Ok(table)
}

/// The texts of a file of rows with a `text`, whatever else they hold.
pub(crate) fn read_texts(path: &Path) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Row {
        text: String,
    }
    let mut texts = Vec::new();
    each_line(path, |_, line| {
        texts.push(serde_json::from_str::<Row>(line)?.text);
        Ok(())
    })?;
    Ok(texts)
}

/// The texts of a file of rows with an `id` and a `text`.
fn read_named_texts(path: &Path) -> Result<HashMap<String, String>> {
    #[derive(Deserialize)]
    struct Row {
        id: String,
        text: String,
    }
    let mut texts = HashMap::new();
    each_line(path, |_, line| {
        let Row { id, text } = serde_json::from_str(line)?;
        texts.insert(id, text);
        Ok(())
    })?;
    Ok(texts)
}

fn each_line(path: &Path, mut row: impl FnMut(usize, &str) -> Result<()>) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let plain: Box<dyn Read> = if path.extension().is_some_and(|end| end == "gz") {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    for (index, line) in BufReader::new(plain).lines().enumerate() {
        let place = || format!("{}:{}", path.display(), index + 1);
        let line = line.with_context(place)?;
        if !line.trim().is_empty() {
            row(index + 1, &line).with_context(place)?;
        }
    }
    Ok(())
}

fn sentence(line: usize, json: &str, table: &mut Table) -> Result<()> {
    let row: SentenceRow = serde_json::from_str(json)?;
    ensure!(row.label.is_none() || row.p.is_none(), "both \"label\" and \"p\": give one");
    ensure!(row.events.is_none() || row.e.is_none(), "both \"events\" and \"e\": give one");
    let label = row.label.as_deref().map(sentiment_label).transpose()?;
    let sentiment = match (&row.p, label) {
        (Some(p), _) => Some(probabilities(p)?),
        (None, label) => label.map(target),
    };
    let events = match row.e {
        Some(e) => Some(soft_events(e)?),
        None => row.events.as_deref().map(hard_events).transpose()?,
    };
    let weight = row.weight.unwrap_or(1.0);
    ensure!(weight.is_finite() && weight >= 0.0, "weight must be 0 or more, found {weight}");
    ensure!(sentiment.is_some() || events.is_some(), "no label: give \"label\", \"p\", \"events\" or \"e\"");
    table.note_unused("", row.rest);
    table.examples.push(Example { text: row.text, sentiment, events, told: None, label, weight, line });
    Ok(())
}

fn probabilities(p: &[f32]) -> Result<[f32; 3]> {
    let p: [f32; 3] =
        p.try_into().map_err(|_| anyhow!("\"p\": expected 3 probabilities, found {}", p.len()))?;
    let sum: f32 = p.iter().sum();
    ensure!(p.iter().all(|&x| (0.0..=1.0).contains(&x)), "\"p\": {p:?} is not within 0..1");
    ensure!((sum - 1.0).abs() < 0.02, "\"p\": {p:?} sums to {sum}, expected 1");
    Ok(p.map(|x| x / sum))
}

fn soft_events(e: BTreeMap<String, f32>) -> Result<Vec<(usize, f32)>> {
    let mut events = Vec::with_capacity(e.len());
    for (key, p) in e {
        let (name, status) =
            key.split_once(':').ok_or_else(|| anyhow!("\"e\": {key:?} is not type:status"))?;
        ensure!((0.0..=1.0).contains(&p), "\"e\": probability {p} of {key:?} is not within 0..1");
        events.push((event_label(name, status)?, p));
    }
    events.sort_by_key(|&(label, _)| label);
    Ok(events)
}

fn hard_events(named: &[(String, String)]) -> Result<Vec<(usize, f32)>> {
    let mut events = Vec::with_capacity(named.len());
    for (name, status) in named {
        events.push((event_label(name, status)?, 1.0));
    }
    events.sort_by_key(|&(label, _)| label);
    events.dedup();
    Ok(events)
}

fn story(line: usize, json: &str, texts: &HashMap<String, String>, table: &mut Table) -> Result<()> {
    let row: StoryRow = serde_json::from_str(json)?;
    let whole = row.text.as_ref().or_else(|| texts.get(&row.id));
    let whole = whole.ok_or_else(|| anyhow!("no \"text\", and none in `texts` for id {:?}", row.id))?;
    table.note_unused("", row.rest);
    for (index, sentence) in row.sentences.into_iter().enumerate() {
        let place = || format!("sentence {index}");
        let span = sentence.start..sentence.end;
        let text = whole.get(span.clone());
        let text = text.ok_or_else(|| anyhow!("span {span:?} does not fit a text of {} bytes", whole.len()));
        let text = text.with_context(place)?;
        let label = sentiment_label(&sentence.sentiment).with_context(place)?;
        let events = sentence.events.as_deref().map(hard_events).transpose().with_context(place)?;
        table.note_unused("sentences.", sentence.rest);
        if !sentence.boilerplate {
            table.examples.push(Example {
                text: text.to_owned(),
                sentiment: Some(target(label)),
                events,
                told: sentence.interaction.map(|number| number > 0),
                label: Some(label),
                weight: 1.0,
                line,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(name: &str, text: &[u8]) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("amends-train-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn labels_are_those_of_the_library_in_its_order() {
        let labels = event_labels();
        assert_eq!(labels.len(), EVENTS);
        assert_eq!(labels[0], "service_failure:occurred");
        assert_eq!(labels[71], "loyalty:unreal");
        for (number, label) in labels.iter().enumerate() {
            let (name, status) = label.split_once(':').unwrap();
            assert_eq!(event_label(name, status).unwrap(), number);
        }
    }

    #[test]
    fn sentences_carry_hard_or_soft_labels_or_only_one_kind() {
        let path = file(
            "rows.jsonl",
            br#"{"text": "Nobody called.", "label": "negative", "events": [["silence", "occurred"]]}
{"text": "They may refund it.", "p": [0.2, 0.5, 0.3], "e": {"compensation:unreal": 0.7, "delay:occurred": 0.1}}

{"text": "Fine.", "label": "mixed", "weight": 0.5}
"#,
        );
        let rows = read(&path, Format::Sentences, None).unwrap().examples;
        std::fs::remove_file(&path).unwrap();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0].sentiment, Some([1.0, 0.0, 0.0]));
        assert_eq!(rows[0].events, Some(vec![(event_label("silence", "occurred").unwrap(), 1.0)]));
        let delay = event_label("delay", "occurred").unwrap();
        let refund = event_label("compensation", "unreal").unwrap();
        assert_eq!(rows[1].events, Some(vec![(delay, 0.1), (refund, 0.7)]));
        assert_eq!((rows[2].sentiment, rows[2].weight, rows[2].line), (Some([0.5, 0.0, 0.5]), 0.5, 4));
        assert_eq!(rows[2].events, None);
    }

    #[test]
    fn packed_files_are_unpacked() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"{\"text\": \"Good.\", \"label\": \"positive\"}\n").unwrap();
        let path = file("packed.jsonl.gz", &packed.finish().unwrap());
        let rows = read(&path, Format::Sentences, None).unwrap().examples;
        std::fs::remove_file(&path).unwrap();
        assert_eq!(rows[0].text, "Good.");
    }

    #[test]
    fn stories_become_sentences_without_boilerplate() {
        let text = "{\"text\": \"Caf\u{e9}. Late! Cookies?\", \"sentences\": [
            {\"start\": 0, \"end\": 6, \"sentiment\": \"neutral\", \"interaction\": 0, \"events\": []},
            {\"start\": 7, \"end\": 12, \"sentiment\": \"negative\", \"events\": [[\"delay\", \"occurred\"]]},
            {\"start\": 13, \"end\": 21, \"sentiment\": \"neutral\", \"boilerplate\": true}]}"
            .replace('\n', "");
        let path = file("stories.jsonl", text.as_bytes());
        let rows = read(&path, Format::Stories, None).unwrap().examples;
        std::fs::remove_file(&path).unwrap();
        let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        assert_eq!(texts, ["Caf\u{e9}.", "Late!"]);
        assert!(rows.iter().all(|row| row.line == 1));
        assert_eq!((rows[0].told, rows[1].told), (Some(false), None));
    }

    #[test]
    fn a_sentence_without_events_is_not_one_that_was_not_read_for_them() {
        let sentences = "{\"text\": \"Late.\", \"label\": \"negative\", \"events\": []}
            {\"text\": \"Late.\", \"label\": \"negative\"}"
            .replace("\n            ", "\n");
        let stories = "{\"text\": \"Late.\", \"sentences\": [
            {\"start\": 0, \"end\": 5, \"sentiment\": \"negative\", \"events\": []},
            {\"start\": 0, \"end\": 5, \"sentiment\": \"negative\"}]}"
            .replace('\n', "");
        for (name, text, format) in [
            ("unread-sentences.jsonl", sentences, Format::Sentences),
            ("unread-stories.jsonl", stories, Format::Stories),
        ] {
            let path = file(name, text.as_bytes());
            let rows = read(&path, format, None).unwrap().examples;
            std::fs::remove_file(&path).unwrap();
            assert_eq!((&rows[0].events, &rows[1].events), (&Some(Vec::new()), &None), "{name}");
        }
    }

    #[test]
    fn keys_that_nothing_is_read_from_are_named_once() {
        let row = "{\"text\": \"Late.\", \"lable\": {\"a\": [1]}, \"label\": \"negative\", \"stars\": 1}\n";
        let path = file("keys.jsonl", row.repeat(3).as_bytes());
        let table = read(&path, Format::Sentences, None).unwrap();
        assert_eq!(table.examples.len(), 3);
        assert_eq!(table.unused.iter().collect::<Vec<_>>(), ["lable", "stars"]);
        let row = "{\"id\": \"1\", \"stars\": 2, \"text\": \"Late.\", \"sentences\": [{\"start\": 0, \"end\": 5, \
                   \"sentiment\": \"negative\", \"event\": []}]}";
        std::fs::write(&path, row).unwrap();
        let unused = read(&path, Format::Stories, None).unwrap().unused;
        assert_eq!(unused.iter().collect::<Vec<_>>(), ["sentences.event", "stars"]);
        let rows = (0..100).map(|n| format!("{{\"text\": \"x\", \"label\": \"neutral\", \"{n}\": 0}}\n"));
        std::fs::write(&path, rows.collect::<String>()).unwrap();
        assert_eq!(read(&path, Format::Sentences, None).unwrap().unused.len(), MOST_UNUSED);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn labels_without_a_text_find_theirs_by_id() {
        let texts = file("texts.jsonl", b"{\"id\": \"p1\", \"stars\": 1, \"text\": \"Late again.\"}\n");
        let row = |id: &str| {
            format!(
                "{{\"id\": \"{id}\", \"sentences\": [{{\"start\": 0, \"end\": 11, \"sentiment\": \"negative\"}}]}}"
            )
        };
        let labels = file("labels.jsonl", row("p1").as_bytes());
        assert_eq!(read(&labels, Format::Stories, Some(&texts)).unwrap().examples[0].text, "Late again.");
        let error = format!("{:#}", read(&labels, Format::Stories, None).unwrap_err());
        assert!(error.contains("labels.jsonl:1") && error.contains("\"p1\""), "{error}");
        std::fs::remove_file(&texts).unwrap();
        std::fs::remove_file(&labels).unwrap();
    }

    #[test]
    fn wrong_rows_are_named_by_file_and_line() {
        let good = "{\"text\": \"Good.\", \"label\": \"positive\"}\n";
        for (row, want) in [
            ("{\"text\": \"x\"}", "no label"),
            ("{\"text\": \"x\", \"label\": \"postive\"}", "unknown sentiment \"postive\""),
            ("{\"text\": \"x\", \"p\": [0.5, 0.5]}", "expected 3 probabilities, found 2"),
            ("{\"text\": \"x\", \"p\": [0.5, 0.5, 0.5]}", "sums to 1.5"),
            ("{\"text\": \"x\", \"e\": {\"delay\": 0.5}}", "is not type:status"),
            ("{\"text\": \"x\", \"e\": {\"delay:occurred\": 1.5}}", "1.5"),
            ("{\"text\": \"x\", \"events\": [[\"late\", \"occurred\"]]}", "unknown event type \"late\""),
            ("{\"text\": \"x\", \"events\": [[\"delay\", \"maybe\"]]}", "unknown event status \"maybe\""),
            ("{\"text\": \"x\", \"label\": \"neutral\", \"weight\": -1}", "weight"),
            ("{\"text\": ", "EOF"),
        ] {
            let path = file("wrong.jsonl", format!("{good}{row}\n").as_bytes());
            let error = format!("{:#}", read(&path, Format::Sentences, None).unwrap_err());
            std::fs::remove_file(&path).unwrap();
            assert!(error.contains("wrong.jsonl:2"), "{error}");
            assert!(error.contains(want), "{row}: {error}");
        }
        let path = file(
            "spans.jsonl",
            "{\"text\": \"\u{e9}\", \"sentences\": [{\"start\": 1, \"end\": 2, \"sentiment\": \"neutral\"}]}"
                .as_bytes(),
        );
        let error = format!("{:#}", read(&path, Format::Stories, None).unwrap_err());
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains("sentence 0") && error.contains("1..2"), "{error}");
    }
}
