//! Fits how rules and model are merged into events, and says how good the result is.
//!
//! ```text
//! cargo run --release --example fit_events -- --train TRAIN.jsonl --fit FIT.jsonl --also DEV.jsonl \
//!     --calibrate DEV.jsonl --out data/events/merge.toml
//! ```
//!
//! The files hold labelled stories in the form that `examples/shared/labelled.rs` describes. What is done with
//! them:
//!
//! - TRAIN gives each rule its weight of evidence: the log-odds that its event is in a sentence where it fires,
//!   less those of the type in general, with 4 sentences of an even chance added. The model is not looked at.
//! - FIT, which neither the model nor the rules have seen, gives what weighs model against rules: offset and two
//!   slopes by maximum likelihood over all sentences and types, an offset for each type with a ridge towards 0,
//!   then the threshold with the best strict micro-F1. The figures of a five-fold cross-validation over the stories
//!   of FIT are printed beside, with and without the offsets of the types.
//! - CALIBRATE, where it is given, moves offset and threshold together, so that the confidences of the events taken
//!   there add up to the number that is right. Decisions stay the same. Readers differ in how much they mark; this
//!   makes confidence mean what one of them would mark, and ECE there is then in-sample by one number.
//! - The threshold for rules without a model is chosen on TRAIN, the one for unreal events on FIT.
//!
//! Run it again whenever the model or the rules change.

#![allow(clippy::print_stdout)] // a program that reports

#[path = "shared/labelled.rs"]
mod labelled;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use amends::{
    EVENT_TYPES, Engine, EventProbs, EventType, Extractor, MergeConfig, MergeNumbers, Model, RuleSet, Status,
};
use anyhow::{Context as _, Result};
use clap::Parser;
use serde::Serialize;

/// Fits how rules and model are merged.
#[derive(Parser)]
struct Options {
    /// Labelled stories that the rules are counted on.
    #[arg(long)]
    train: PathBuf,
    /// Labelled stories that slopes, offsets and threshold are fitted on; best some that the model has not seen.
    #[arg(long)]
    fit: PathBuf,
    /// Labelled stories by whose readers confidences are to be judged; may be given several times.
    #[arg(long)]
    calibrate: Vec<PathBuf>,
    /// More labelled stories to report on.
    #[arg(long)]
    also: Vec<PathBuf>,
    /// A folder with a model, in place of the embedded one.
    #[arg(long)]
    model_dir: Option<PathBuf>,
    /// A folder with a whole set of rules, in place of the built-in ones.
    #[arg(long)]
    rules: Option<PathBuf>,
    /// Where to write the numbers; nothing is written if not given.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Prints precision of every rule on TRAIN.
    #[arg(long)]
    verbose: bool,
}

/// What is known of one sentence and type.
#[derive(Default, Clone)]
struct Cell {
    /// Bit `s` is set where the event is labelled with status `s`.
    gold: u8,
    /// Rules that fired, with the status that they give.
    hits: Vec<(usize, Status)>,
    model: [f32; 3],
}

struct Set {
    /// For each story its sentences, for each sentence its types.
    stories: Vec<Vec<Vec<Cell>>>,
}

impl Set {
    fn cells(&self) -> impl Iterator<Item = (usize, &Cell)> {
        self.stories.iter().flatten().flat_map(|sentence| sentence.iter().enumerate())
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    let rules = match &options.rules {
        Some(dir) => RuleSet::from_dir(dir)?,
        None => RuleSet::built_in()?,
    };
    let codes: Vec<String> = rules.rules().map(|rule| rule.0.as_str().to_owned()).collect();
    let types: Vec<usize> = rules.rules().filter_map(|rule| rule.1.index()).collect();
    let extractor = Extractor::new(rules, MergeConfig::built_in()?);
    let model = match &options.model_dir {
        Some(dir) => Model::from_dir(dir, amends::Precision::Int8)?,
        None => Model::embedded()?,
    };
    let engine = Engine::from_model(&model)?;
    let read = |path: &Path| read(path, &extractor, &engine);
    let train = read(&options.train)?;
    let held = read(&options.fit)?;

    let mut numbers = count_rules(&train, &codes, &types, options.verbose);
    fit(&mut numbers, &held.stories.iter().collect::<Vec<_>>(), &codes, RIDGE);
    numbers.threshold_unreal = best_wish(&numbers, &held, &codes).min(UNREAL_AT_MOST);
    if !options.calibrate.is_empty() {
        let sets = options.calibrate.iter().map(|path| read(path)).collect::<Result<Vec<Set>>>()?;
        let shift = calibrate(&mut numbers, &sets, &codes);
        println!("log-odds moved by {shift:.3}");
    }
    numbers.threshold_alone = best_threshold(&train.stories.iter().collect::<Vec<_>>(), |cell, number| {
        alone(&numbers, cell, number, &codes)
    });

    println!("{} rules, model {}", codes.len(), engine.name());
    println!(
        "offset {:.3}, slope of the model {:.3}, of the rules {:.3}, threshold {:.3}, rules alone {:.3}, unreal {:.3}",
        numbers.offset,
        numbers.model_slope,
        numbers.rule_slope,
        numbers.threshold,
        numbers.threshold_alone,
        numbers.threshold_unreal
    );
    println!("strict (sentence, type, status), at the sentences of the labels:");
    let mut sets = vec![("train", &train), ("fit", &held)];
    let also: Vec<(String, Set)> = options
        .also
        .iter()
        .map(|path| Ok((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), read(path)?)))
        .collect::<Result<_>>()?;
    sets.extend(also.iter().map(|(name, set)| (name.as_str(), set)));
    for (name, set) in &sets {
        let stories: Vec<&Vec<Vec<Cell>>> = set.stories.iter().collect();
        report(&format!("{name} rules alone"), &stories, numbers.threshold_alone, |cell, number| {
            alone(&numbers, cell, number, &codes)
        });
        let only = |cell: &Cell, _: usize| model_only(cell);
        let threshold = best_threshold(&held.stories.iter().collect::<Vec<_>>(), only);
        report(&format!("{name} model alone"), &stories, threshold, only);
        report(&format!("{name} merged"), &stories, numbers.threshold, |cell, number| {
            merged(&numbers, cell, number, &codes)
        });
    }
    cross_validate(&numbers, &held, &codes);
    for (name, set) in &sets[1..] {
        by_type(name, &numbers, set, &codes);
    }

    if let Some(out) = &options.out {
        fs::write(out, print(&numbers)?).with_context(|| out.display().to_string())?;
        println!("wrote {}", out.display());
    }
    Ok(())
}

/// The numbers with sorted keys, so that a new fit gives a readable difference.
fn print(numbers: &MergeNumbers) -> Result<String> {
    #[derive(Serialize)]
    struct Sorted<'a> {
        offset: f64,
        model_slope: f64,
        rule_slope: f64,
        threshold: f64,
        threshold_alone: f64,
        threshold_unreal: f64,
        offsets: BTreeMap<&'a str, f64>,
        prior: BTreeMap<&'a str, f64>,
        rules: BTreeMap<&'a str, [f64; 3]>,
    }
    let round = |x: f64| (x * 1000.0).round() / 1000.0;
    let sorted = Sorted {
        offset: round(numbers.offset),
        model_slope: round(numbers.model_slope),
        rule_slope: round(numbers.rule_slope),
        threshold: round(numbers.threshold),
        threshold_alone: round(numbers.threshold_alone),
        threshold_unreal: round(numbers.threshold_unreal),
        offsets: numbers.offsets.iter().map(|(name, x)| (name.as_str(), round(*x))).collect(),
        prior: numbers.prior.iter().map(|(name, x)| (name.as_str(), round(*x))).collect(),
        rules: numbers.rules.iter().map(|(code, x)| (code.as_str(), x.map(round))).collect(),
    };
    Ok(format!(
        "# Written by examples/fit_events.rs; see src/events/merge.rs.\n\n{}",
        toml::to_string(&sorted)?
    ))
}

fn read(path: &Path, extractor: &Extractor, engine: &Engine) -> Result<Set> {
    let mut stories = Vec::new();
    for story in labelled::lines::<labelled::Story>(path)? {
        let segments = story.segments()?;
        let sentences: Vec<&str> = segments.iter().map(|segment| &story.text[segment.span()]).collect();
        let probs: Vec<Option<EventProbs>> = engine.event_probs(&sentences)?;
        let mut cells = vec![vec![Cell::default(); EVENT_TYPES]; segments.len()];
        for ((row, gold), probs) in cells.iter_mut().zip(&story.sentences).zip(&probs) {
            for (event_type, status) in &gold.events {
                let number = event_type.index().context("a type that is not built in")?;
                row[number].gold |= 1 << *status as u8;
            }
            if let Some(probs) = probs {
                row.iter_mut().zip(probs).for_each(|(cell, p)| cell.model = *p);
            }
        }
        for hit in extractor.rule_hits(&story.text, &segments, &vec![true; segments.len()]) {
            let cell = &mut cells[hit.sentence][hit.event_type];
            if !cell.hits.contains(&(hit.rule, hit.status)) {
                cell.hits.push((hit.rule, hit.status));
            }
        }
        stories.push(cells);
    }
    Ok(Set { stories })
}

fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-5, 1.0 - 1e-5);
    (p / (1.0 - p)).ln()
}

/// What the rules' hits on `train` say: priors of the types, evidence of the rules.
fn count_rules(train: &Set, codes: &[String], types: &[usize], verbose: bool) -> MergeNumbers {
    let mut present = [0.0; EVENT_TYPES];
    let mut hits = vec![[[0.0f64; 2]; 3]; codes.len()];
    for (number, cell) in train.cells() {
        present[number] += f64::from(u8::from(cell.gold & 0b011 != 0));
        for &(rule, status) in &cell.hits {
            let count = &mut hits[rule][status as usize];
            count[0] += 1.0;
            count[1] += f64::from(cell.gold >> status as u8 & 1);
        }
    }
    let sentences = train.stories.iter().map(Vec::len).sum::<usize>() as f64;
    let prior: Vec<f64> = present.iter().map(|count| logit((count + 0.5) / (sentences + 1.0))).collect();
    let mut numbers = MergeNumbers::default();
    for (number, event_type) in EventType::ALL.iter().enumerate() {
        numbers.prior.insert(event_type.as_str().to_owned(), prior[number]);
    }
    for (rule, code) in codes.iter().enumerate() {
        let share = hits[rule].map(|[all, right]| (right + 2.0) / (all + 4.0));
        let base = prior[types[rule]];
        numbers.rules.insert(code.clone(), [logit(share[0]) - base, logit(share[1]) - base, share[2]]);
        if verbose {
            let cells: Vec<String> = Status::ALL
                .iter()
                .zip(&hits[rule])
                .filter(|(_, count)| count[0] > 0.0)
                .map(|(status, count)| format!("{status} {}/{}", count[1], count[0]))
                .collect();
            println!("{code:16} {}", cells.join("  "));
        }
    }
    numbers
}

/// The evidence of the rules in a cell, and the status that the strongest gives; as `MergeConfig` does it.
fn evidence(numbers: &MergeNumbers, cell: &Cell, codes: &[String]) -> (f64, Option<Status>) {
    let weights: Vec<(f64, Status)> = cell
        .hits
        .iter()
        .filter(|hit| hit.1 != Status::Unreal)
        .map(|&(rule, status)| (numbers.rules[&codes[rule]][status as usize], status))
        .collect();
    let Some(best) = weights.iter().copied().reduce(|a, b| if b.0 > a.0 { b } else { a }) else {
        return (0.0, None);
    };
    (best.0 + 0.2 * (weights.iter().map(|weight| weight.0).sum::<f64>() - best.0), Some(best.1))
}

fn model_status(cell: &Cell) -> Status {
    if cell.model[1] > cell.model[0] { Status::Absent } else { Status::Occurred }
}

fn model_unreal(cell: &Cell) -> bool {
    cell.model[2] > cell.model[0].max(cell.model[1])
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Probability and status of each way to decide; `None` where it would say nothing at any threshold.
fn merged(numbers: &MergeNumbers, cell: &Cell, number: usize, codes: &[String]) -> Option<(f64, Status)> {
    let (evidence, status) = evidence(numbers, cell, codes);
    let model = logit(f64::from(cell.model[0].max(cell.model[1])));
    let own = numbers.offsets.get(EventType::ALL[number].as_str()).copied().unwrap_or(0.0);
    let odds = numbers.offset + own + numbers.model_slope * model + numbers.rule_slope * evidence;
    match status {
        Some(status) => Some((sigmoid(odds), status)),
        None if model_unreal(cell) => None,
        None => Some((sigmoid(odds), model_status(cell))),
    }
}

fn alone(numbers: &MergeNumbers, cell: &Cell, number: usize, codes: &[String]) -> Option<(f64, Status)> {
    let (evidence, status) = evidence(numbers, cell, codes);
    Some((sigmoid(numbers.prior[EventType::ALL[number].as_str()] + evidence), status?))
}

fn model_only(cell: &Cell) -> Option<(f64, Status)> {
    (!model_unreal(cell)).then(|| (f64::from(cell.model[0].max(cell.model[1])), model_status(cell)))
}

/// A higher threshold for unreal events would silence plain rules ("they should have apologised") where there is no
/// model.
const UNREAL_AT_MOST: f64 = 0.16;

/// How sure it is that the event is only wished, where none is taken as occurred or absent; as `MergeConfig` does it.
fn wish(numbers: &MergeNumbers, cell: &Cell, number: usize, codes: &[String]) -> Option<f64> {
    if merged(numbers, cell, number, codes).is_some_and(|(p, _)| p >= numbers.threshold) {
        return None;
    }
    let by_rules =
        cell.hits.iter().filter(|hit| hit.1 == Status::Unreal).map(|hit| numbers.rules[&codes[hit.0]][2]);
    let wished = by_rules.reduce(f64::max).filter(|_| evidence(numbers, cell, codes).1.is_none());
    let share = wished.unwrap_or(0.0).max(f64::from(cell.model[2]));
    (wished.is_some() || model_unreal(cell)).then_some(share)
}

/// The threshold with the best F1 of the unreal events.
fn best_wish(numbers: &MergeNumbers, set: &Set, codes: &[String]) -> f64 {
    let mut found: Vec<(f64, bool)> = Vec::new();
    let mut labelled = 0.0;
    for (number, cell) in set.cells() {
        let gold = cell.gold >> Status::Unreal as u8 & 1 == 1;
        labelled += f64::from(u8::from(gold));
        found.extend(wish(numbers, cell, number, codes).map(|share| (share, gold)));
    }
    best_cut(found, labelled)
}

/// Pull of the offsets of the types to 0: as much as this many decisions of an even chance, times four.
const RIDGE: f64 = 10.0;

/// Offset and slopes by maximum likelihood (Newton's method), offsets of the types, then the threshold with the
/// best F1.
fn fit(numbers: &mut MergeNumbers, stories: &[&Vec<Vec<Cell>>], codes: &[String], ridge: f64) {
    let mut rows: Vec<([f64; 3], f64)> = Vec::new();
    let mut types = Vec::new();
    let cells = stories.iter().copied().flatten().flat_map(|sentence| sentence.iter().enumerate());
    for (number, cell) in cells {
        types.push(number);
        let (evidence, status) = evidence(numbers, cell, codes);
        let status = status.unwrap_or(model_status(cell));
        let model = logit(f64::from(cell.model[0].max(cell.model[1])));
        rows.push(([1.0, model, evidence], f64::from(cell.gold >> status as u8 & 1)));
    }
    let mut w = [-1.0, 0.5, 0.5];
    for _ in 0..50 {
        let mut gradient = [0.0; 3];
        let mut hessian = [[0.0; 3]; 3];
        for (x, y) in &rows {
            let p = sigmoid(w.iter().zip(x).map(|(w, x)| w * x).sum());
            for i in 0..3 {
                gradient[i] += (y - p) * x[i];
                for j in 0..3 {
                    hessian[i][j] += p * (1.0 - p) * x[i] * x[j];
                }
            }
        }
        let step = solve(hessian, gradient);
        for i in 0..3 {
            w[i] += step[i];
        }
        if step.iter().all(|s| s.abs() < 1e-9) {
            break;
        }
    }
    (numbers.offset, numbers.model_slope, numbers.rule_slope) = (w[0], w[1], w[2]);
    // One number a type, by Newton's method in one dimension.
    for (number, event_type) in EventType::ALL.iter().enumerate() {
        let mut own = 0.0;
        for _ in 0..30 {
            let (mut slope, mut bend) = (-ridge * own, ridge);
            for ((x, y), _) in rows.iter().zip(&types).filter(|(_, of)| **of == number) {
                let p = sigmoid(own + w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>());
                slope += y - p;
                bend += p * (1.0 - p);
            }
            own += slope / bend;
        }
        numbers.offsets.insert(event_type.as_str().to_owned(), own);
    }
    let fitted = numbers.clone();
    numbers.threshold = best_threshold(stories, |cell, number| merged(&fitted, cell, number, codes));
}

/// Moves offset and threshold by what makes the confidences of the events taken add up to those that are right, and
/// returns that.
fn calibrate(numbers: &mut MergeNumbers, sets: &[Set], codes: &[String]) -> f64 {
    let (mut taken, mut right) = (Vec::new(), 0.0);
    for (number, cell) in sets.iter().flat_map(Set::cells) {
        if let Some((p, status)) = merged(numbers, cell, number, codes)
            && p >= numbers.threshold
        {
            taken.push(logit(p));
            right += f64::from(cell.gold >> status as u8 & 1);
        }
    }
    let (mut low, mut high) = (-4.0, 4.0);
    for _ in 0..60 {
        let shift = (low + high) / 2.0;
        let sum: f64 = taken.iter().map(|odds| sigmoid(odds + shift)).sum();
        if sum > right { high = shift } else { low = shift }
    }
    numbers.offset += low;
    numbers.threshold = sigmoid(logit(numbers.threshold) + low);
    low
}

/// Solves a system of three equations by elimination.
#[allow(clippy::needless_range_loop)] // rows and columns by number, as the method is written
fn solve(mut a: [[f64; 3]; 3], mut b: [f64; 3]) -> [f64; 3] {
    for i in 0..3 {
        let pivot = a[i][i] + 1e-12;
        for j in i + 1..3 {
            let factor = a[j][i] / pivot;
            for k in i..3 {
                a[j][k] -= factor * a[i][k];
            }
            b[j] -= factor * b[i];
        }
    }
    for i in (0..3).rev() {
        for j in i + 1..3 {
            b[i] -= a[i][j] * b[j];
        }
        b[i] /= a[i][i] + 1e-12;
    }
    b
}

/// Right, found and labelled events.
#[derive(Default, Clone, Copy)]
struct Counts {
    right: f64,
    found: f64,
    gold: f64,
}

impl Counts {
    fn f1(&self) -> f64 {
        if self.found + self.gold > 0.0 { 2.0 * self.right / (self.found + self.gold) } else { 0.0 }
    }
}

fn tally(
    stories: &[&Vec<Vec<Cell>>],
    threshold: f64,
    decide: impl Fn(&Cell, usize) -> Option<(f64, Status)>,
) -> [Counts; EVENT_TYPES] {
    let mut counts = [Counts::default(); EVENT_TYPES];
    for sentence in stories.iter().copied().flatten() {
        for (number, cell) in sentence.iter().enumerate() {
            let count = &mut counts[number];
            count.gold += f64::from((cell.gold & 0b011).count_ones());
            if let Some((p, status)) = decide(cell, number)
                && p >= threshold
            {
                count.found += 1.0;
                count.right += f64::from(cell.gold >> status as u8 & 1);
            }
        }
    }
    counts
}

fn sum(counts: &[Counts]) -> Counts {
    counts.iter().fold(Counts::default(), |a, b| Counts {
        right: a.right + b.right,
        found: a.found + b.found,
        gold: a.gold + b.gold,
    })
}

fn best_threshold(
    stories: &[&Vec<Vec<Cell>>],
    decide: impl Fn(&Cell, usize) -> Option<(f64, Status)>,
) -> f64 {
    let mut found: Vec<(f64, bool)> = Vec::new();
    let mut gold = 0.0;
    for sentence in stories.iter().copied().flatten() {
        for (number, cell) in sentence.iter().enumerate() {
            gold += f64::from((cell.gold & 0b011).count_ones());
            if let Some((p, status)) = decide(cell, number) {
                found.push((p, cell.gold >> status as u8 & 1 == 1));
            }
        }
    }
    best_cut(found, gold)
}

/// The least value to take that gives the best F1, for values with whether they are right, of `gold` that should be
/// found.
fn best_cut(mut found: Vec<(f64, bool)>, gold: f64) -> f64 {
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut best) = (0.0, (0.0, 0.5));
    for (at, (p, hit)) in found.iter().enumerate() {
        right += f64::from(u8::from(*hit));
        let f1 = 2.0 * right / (gold + at as f64 + 1.0);
        let next = found.get(at + 1).map_or(0.0, |next| next.0);
        if f1 > best.0 && next < *p {
            best = (f1, (p + next) / 2.0);
        }
    }
    best.1
}

fn report(
    name: &str,
    stories: &[&Vec<Vec<Cell>>],
    threshold: f64,
    decide: impl Fn(&Cell, usize) -> Option<(f64, Status)>,
) {
    let all = sum(&tally(stories, threshold, &decide));
    // Expected calibration error of the events that are taken, in ten bins.
    let mut bins = [[0.0f64; 3]; 10];
    for sentence in stories.iter().copied().flatten() {
        for (number, cell) in sentence.iter().enumerate() {
            if let Some((p, status)) = decide(cell, number)
                && p >= threshold
            {
                let bin = &mut bins[((p * 10.0) as usize).min(9)];
                bin[0] += 1.0;
                bin[1] += p;
                bin[2] += f64::from(cell.gold >> status as u8 & 1);
            }
        }
    }
    let taken: f64 = bins.iter().map(|bin| bin[0]).sum();
    let ece: f64 = bins.iter().map(|bin| (bin[1] - bin[2]).abs()).sum::<f64>() / taken.max(1.0);
    println!(
        "  {name:28} p {:.3}  r {:.3}  f1 {:.3}  calibration error {ece:.3}",
        all.right / all.found.max(1.0),
        all.right / all.gold.max(1.0),
        all.f1()
    );
}

/// Fits on four fifths of the stories, measures on the fifth.
fn cross_validate(numbers: &MergeNumbers, set: &Set, codes: &[String]) {
    for (name, ridge) in [("one offset", 1e9), ("an offset a type", RIDGE)] {
        let mut all = Counts::default();
        for fold in 0..5 {
            let part = |held: bool| -> Vec<&Vec<Vec<Cell>>> {
                set.stories
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| (at % 5 == fold) == held)
                    .map(|(_, story)| story)
                    .collect()
            };
            let mut own = numbers.clone();
            fit(&mut own, &part(false), codes, ridge);
            let counts = tally(&part(true), own.threshold, |cell, number| merged(&own, cell, number, codes));
            all = sum(&[all, sum(&counts)]);
        }
        println!(
            "  fit merged, cross-validated, {name}  p {:.3}  r {:.3}  f1 {:.3}",
            all.right / all.found,
            all.right / all.gold,
            all.f1()
        );
    }
}

fn by_type(name: &str, numbers: &MergeNumbers, set: &Set, codes: &[String]) {
    let stories: Vec<&Vec<Vec<Cell>>> = set.stories.iter().collect();
    let merged = tally(&stories, numbers.threshold, |cell, number| merged(numbers, cell, number, codes));
    let rules = tally(&stories, numbers.threshold_alone, |cell, number| alone(numbers, cell, number, codes));
    println!("{name} by type: merged p, r, f1; rules alone p, r, f1; labelled");
    for (number, event_type) in EventType::ALL.iter().enumerate() {
        let line = |count: &Counts| {
            format!(
                "{:.2} {:.2} {:.2}",
                count.right / count.found.max(1.0),
                count.right / count.gold.max(1.0),
                count.f1()
            )
        };
        println!(
            "  {:18} {}   {}   {}",
            event_type.as_str(),
            line(&merged[number]),
            line(&rules[number]),
            merged[number].gold
        );
    }
}
