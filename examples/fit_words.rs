//! Counts which words tell of which event, and checks that the words which are named as evidence carry it.
//!
//! ```text
//! cargo run --release --example fit_words -- --train TRAIN.jsonl --out data/events/words.toml
//! cargo run --release --example fit_words -- --check DEV.jsonl
//! ```
//!
//! Labels say in which sentence an event is, not where in it; the model is asked about each clause alone, and each
//! has its share of the event by the probabilities that it gives. The weight of a word (or of two words side by side)
//! for a type is the logarithm of how much more often it stands in clauses with the event, whatever its status, than
//! in others, counted by those shares. Kept are, for each type, those that tell the most: weight above 0.5, four
//! clauses, the largest products of weight and clauses.
//!
//! `--check` takes the labelled events of sentences of several clauses that no rule points to, and asks the model
//! about each clause alone: how often do the words named lie in the clause that it would name? Beside it stands what
//! the longest clause and any clause would get.
#![allow(clippy::print_stdout)] // a program that reports

#[path = "shared/labelled.rs"]
mod labelled;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use amends::{EVENT_TYPES, Engine, EventProbs, EventType, Extractor, Model, Span};
use anyhow::{Context as _, Result};
use clap::Parser;
use rayon::prelude::*;

/// Counts which words tell of which event.
#[derive(Parser)]
struct Options {
    /// Labelled stories to count on.
    #[arg(long)]
    train: Option<PathBuf>,
    /// Where to write the weights.
    #[arg(long, requires = "train")]
    out: Option<PathBuf>,
    /// Labelled stories to check the evidence on, with the weights that are compiled in.
    #[arg(long)]
    check: Vec<PathBuf>,
}

/// Words and pairs of words that are kept for each type.
const KEEP: usize = 160;
/// Least weight of a word.
const LEAST: f64 = 0.5;
/// Least number of clauses with the word and the event.
const CLAUSES: f64 = 4.0;

fn main() -> Result<()> {
    let options = Options::parse();
    let engine = Engine::from_model(&Model::embedded()?)?;
    if let Some(train) = &options.train {
        let stories = labelled::lines::<labelled::Story>(train)?;
        let weights = count(&stories, &engine)?;
        println!(
            "{} words and pairs from {} stories",
            weights.values().map(Vec::len).sum::<usize>(),
            stories.len()
        );
        if let Some(out) = &options.out {
            std::fs::write(out, print(&weights)?).with_context(|| out.display().to_string())?;
        }
    }
    let extractor = Extractor::built_in()?;
    for path in &options.check {
        let stories = labelled::lines::<labelled::Story>(path)?;
        check(&path.display().to_string(), &stories, &engine, &extractor)?;
    }
    Ok(())
}

type Weights = BTreeMap<&'static str, Vec<(String, f64)>>;

/// How likely the model finds each event in each clause of a sentence read alone: any status but unreal.
fn ask(engine: &Engine, text: &str, clauses: &[(Span, Vec<String>)]) -> Result<Vec<[f64; EVENT_TYPES]>> {
    let alone: Vec<&str> = clauses.iter().map(|clause| &text[clause.0]).collect();
    let probs = |probs: Option<EventProbs>| {
        probs.map_or([0.0; EVENT_TYPES], |probs| probs.map(|p| f64::from(p[0] + p[1] + p[2])))
    };
    // One at a time: as neighbours of a story they would be read together.
    alone.iter().map(|clause| Ok(probs(engine.event_probs(&[*clause])?.pop().flatten()))).collect()
}

fn count(stories: &[labelled::Story], engine: &Engine) -> Result<Weights> {
    let rows = stories.par_iter().map(|story| of_story(story, engine)).collect::<Result<Vec<_>>>()?;
    let mut with: HashMap<&str, [f64; EVENT_TYPES]> = HashMap::new();
    let mut all: HashMap<&str, f64> = HashMap::new();
    let mut totals = [0.0; EVENT_TYPES];
    let mut clauses = 0.0;
    for (terms, shares) in rows.iter().flatten() {
        clauses += 1.0;
        totals.iter_mut().zip(shares).for_each(|(total, share)| *total += share);
        for term in terms {
            *all.entry(term).or_default() += 1.0;
            let counts = with.entry(term).or_insert([0.0; EVENT_TYPES]);
            counts.iter_mut().zip(shares).for_each(|(count, share)| *count += share);
        }
    }
    let mut weights = Weights::new();
    for (number, event_type) in EventType::ALL.iter().enumerate() {
        let (yes, no) = (totals[number], clauses - totals[number]);
        let mut words: Vec<(String, f64, f64)> = with
            .iter()
            .filter(|(_, counts)| counts[number] >= CLAUSES)
            .map(|(term, counts)| {
                let here = counts[number];
                let there = all[term] - here;
                let weight = ((here + 0.5) / (yes + 1.0) / ((there + 0.5) / (no + 1.0))).ln();
                ((*term).to_owned(), weight, weight * here)
            })
            .filter(|(_, weight, _)| *weight > LEAST)
            .collect();
        words.sort_by(|a, b| b.2.total_cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
        words.truncate(KEEP);
        let mut words: Vec<(String, f64)> =
            words.into_iter().map(|(term, weight, _)| (term, weight)).collect();
        words.sort_by(|a, b| a.0.cmp(&b.0));
        weights.insert(event_type.as_str(), words);
    }
    Ok(weights)
}

/// The words and pairs of each clause, with its share of each event.
type Row = (HashSet<String>, [f64; EVENT_TYPES]);

fn of_story(story: &labelled::Story, engine: &Engine) -> Result<Vec<Row>> {
    let segments = story.segments()?;
    let mut rows = Vec::new();
    for (clauses, gold) in Extractor::clauses(&story.text, &segments).iter().zip(&story.sentences) {
        let types: HashSet<usize> = gold.events.iter().filter_map(|event| event.0.index()).collect();
        let several = clauses.len() > 1 && !types.is_empty();
        let seen = if several {
            ask(engine, &story.text, clauses)?
        } else {
            vec![[1.0; EVENT_TYPES]; clauses.len()]
        };
        let sums: Vec<f64> = (0..EVENT_TYPES).map(|number| seen.iter().map(|p| p[number]).sum()).collect();
        for ((_, words), seen) in clauses.iter().zip(&seen) {
            let pairs = words.windows(2).map(|pair| pair.join(" "));
            let terms = words.iter().cloned().chain(pairs).collect();
            let share = |number: usize| {
                if types.contains(&number) { seen[number] / sums[number].max(1e-9) } else { 0.0 }
            };
            rows.push((terms, std::array::from_fn(share)));
        }
    }
    Ok(rows)
}

fn print(weights: &Weights) -> Result<String> {
    let mut text = String::from("# Written by examples/fit_words.rs; see src/events/shown.rs.\n");
    for (name, words) in weights {
        write!(text, "\n[{name}]\n")?;
        for (term, weight) in words {
            writeln!(text, "{term:?} = {weight:.2}")?;
        }
    }
    Ok(text)
}

fn check(name: &str, stories: &[labelled::Story], engine: &Engine, extractor: &Extractor) -> Result<()> {
    let (mut events, mut by_rule, mut whole, mut length) = (0usize, 0usize, 0usize, [0usize; 2]);
    let (mut asked, mut right, mut longest, mut any) = (0usize, 0usize, 0usize, 0.0);
    for story in stories {
        let segments = story.segments()?;
        let clauses = Extractor::clauses(&story.text, &segments);
        // The labels take the place of the model, so that the evidence of every labelled event is looked at.
        let probs: Vec<EventProbs> = story
            .sentences
            .iter()
            .map(|row| {
                let mut probs = [[0.001f32; 3]; EVENT_TYPES];
                for (event_type, status) in &row.events {
                    if let Some(number) = event_type.index() {
                        probs[number][*status as usize] = 0.999;
                    }
                }
                probs
            })
            .collect();
        let found = extractor
            .extract(&story.text, &segments, &vec![true; segments.len()], |id| probs.get(id.index()));
        for event in &found {
            let at = event.sentence().index();
            let labelled = &story.sentences[at].events;
            if !labelled.contains(&(event.event_type().clone(), event.status())) {
                continue;
            }
            let sentence = segments[at].span();
            let words = |span: Span| story.text[span].split_whitespace().count();
            events += 1;
            length[0] += words(event.span());
            length[1] += words(sentence);
            by_rule += usize::from(event.evidence().rule().is_some());
            whole += usize::from(words(event.span()) == words(sentence) && clauses[at].len() > 1);
            if event.evidence().rule().is_some() || clauses[at].len() < 2 {
                continue;
            }
            let number = event.event_type().index().context("built in")?;
            let seen = ask(engine, &story.text, &clauses[at])?;
            let best = (0..seen.len()).max_by(|&a, &b| seen[a][number].total_cmp(&seen[b][number]));
            let (best, _) = &clauses[at][best.context("a clause")?];
            let long = clauses[at].iter().max_by_key(|clause| clause.1.len()).context("a clause")?.0;
            asked += 1;
            right += usize::from(best.overlap(event.span()) > 0 && event.span() != sentence);
            longest += usize::from(long == *best);
            any += 1.0 / seen.len() as f64;
        }
    }
    let share = |part: f64, of: usize| 100.0 * part / of.max(1) as f64;
    println!(
        "{name}: evidence of {events} labelled events, {:.0} % by rules; {:.1} of {:.1} words; the whole of several clauses {:.0} %",
        share(by_rule as f64, events),
        length[0] as f64 / events.max(1) as f64,
        length[1] as f64 / events.max(1) as f64,
        share(whole as f64, events),
    );
    println!(
        "  {asked} without a rule in several clauses: in the clause that the model would name {:.0} %; the longest clause {:.0} %; any {:.0} %",
        share(right as f64, asked),
        share(longest as f64, asked),
        share(any, asked),
    );
    Ok(())
}
