//! Fits the weights of the experience score to readers' judgements, and says how good they are.
//!
//! ```text
//! cargo run --release --example fit_score -- --train TRAIN.jsonl --dev DEV.jsonl --labels gold --out weights.toml
//! cargo run --release --example fit_score -- --train TRAIN.jsonl --train-predictions TRAIN.out.jsonl \
//!     --dev DEV.jsonl --dev-predictions DEV.out.jsonl --labels predicted --out weights.toml
//! ```
//!
//! TRAIN and DEV hold one story a line: `{"id", "domain", "stars", "text", "sentences": [{"start", "end",
//! "sentiment", "interaction", "boilerplate", "events": [[type, status]]}], "interactions": [{"id", "score"}]}`.
//! The predictions are what `analyze --format jsonl` prints for the same stories. With `--labels predicted` the
//! weights are fitted to what the analyzer makes of a story, errors and all, since that is what they will meet.
//!
//! The loss is Huber's on the 0..100 scale, with a ridge towards the weights of the literature
//! (`data/score/literature.toml`); every weight keeps the sign that makes the score monotone. The interval is
//! set on held-out fifths of TRAIN, or on `--calibrate FILE`.
#![allow(clippy::print_stdout)] // a program that reports
#![allow(clippy::needless_range_loop)] // rows and columns by number, as the method is written

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};

use amends::{Actor, Event, EventType, ScoreInput, Scorer, SentenceId, Sentiment, Span, Status, Weights};
use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};
use rayon::prelude::*;
use serde::Deserialize;

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Labels {
    Gold,
    Predicted,
    /// Each interaction twice, once with the readers' labels and once with the analyzer's.
    Both,
}

/// Fits the weights of the experience score.
#[derive(Parser)]
struct Options {
    /// Stories to fit on.
    #[arg(long)]
    train: PathBuf,
    /// What the analyzer prints for them.
    #[arg(long)]
    train_predictions: Option<PathBuf>,
    /// Stories to report on.
    #[arg(long)]
    dev: Option<PathBuf>,
    /// What the analyzer prints for them.
    #[arg(long)]
    dev_predictions: Option<PathBuf>,
    /// Whether sentiment and events are the readers' or the analyzer's.
    #[arg(long, value_enum, default_value = "gold")]
    labels: Labels,
    /// Where the ridge pulls to, and where the numbers that are not fitted come from.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/data/score/literature.toml"))]
    prior: PathBuf,
    /// Strength of that pull.
    #[arg(long, default_value_t = 60.0)]
    ridge: f64,
    /// Sets the interval on DEV instead of on held-out parts of TRAIN.
    #[arg(long)]
    calibrate_on_dev: bool,
    /// Fits nothing and reports on these weights.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// Name of the fitted weights.
    #[arg(long, default_value = "fitted")]
    version: String,
    /// Where to write them; standard output if not given.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Also fits sentiment alone, events alone, and with each domain left out.
    #[arg(long)]
    ablation: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let read = |gold: &Path, predictions: Option<&PathBuf>, labels: Labels| -> Result<Vec<Case>> {
        let mut cases = if labels == Labels::Predicted { Vec::new() } else { gold_cases(gold)? };
        if labels != Labels::Gold {
            let Some(path) = predictions else { bail!("there are no predictions for {}", gold.display()) };
            cases.extend(predicted_cases(gold, path)?);
        }
        Ok(cases)
    };
    let train = read(&options.train, options.train_predictions.as_ref(), options.labels)?;
    let dev = match &options.dev {
        Some(path) => {
            // What a user meets are predictions, so these are reported on where there are any.
            let labels = if options.dev_predictions.is_some() { Labels::Predicted } else { Labels::Gold };
            read(path, options.dev_predictions.as_ref(), labels)?
        }
        None => Vec::new(),
    };
    let prior = Weights::from_file(&options.prior)?;
    println!("train {} interactions, dev {}", train.len(), dev.len());
    if let Some(path) = &options.weights {
        let weights = Weights::from_file(path)?;
        report("train", &weights, &train)?;
        return report("dev", &weights, &dev);
    }

    if options.ablation {
        for (name, keep) in [
            ("sentiment alone", Param::is_tone as fn(&Param) -> bool),
            ("events alone", |param: &Param| !param.is_tone()),
        ] {
            println!("{name}");
            let params: Vec<Param> =
                Param::all().into_iter().filter(|param| keep(param) || *param == Param::Base).collect();
            let mut start = prior.clone();
            for param in Param::all().iter().filter(|param| !params.contains(param) && param.is_weight()) {
                param.set(&mut start, 0.0);
            }
            let fitted = fit(&start, &params, options.ridge, &train)?;
            report("  dev", &fitted, &dev)?;
        }
        let mut domains: Vec<&str> = train.iter().map(|case| case.domain.as_str()).collect();
        domains.sort_unstable();
        domains.dedup();
        for domain in domains {
            let rest: Vec<&Case> = train.iter().filter(|case| case.domain != domain).collect();
            let held: Vec<&Case> = train.iter().chain(&dev).filter(|case| case.domain == domain).collect();
            let fitted = fit(&prior, &Param::all(), options.ridge, &rest)?;
            let figures = Figures::of(&fitted, &held)?;
            println!("without {domain:14} on it: {figures}");
        }
    }

    let mut weights = fit(&prior, &Param::all(), options.ridge, &train)?;
    weights.version = options.version.clone();
    let held = if options.calibrate_on_dev {
        residuals(&weights, &dev)?
    } else {
        held_out(&prior, options.ridge, &train)?
    };
    set_interval(&mut weights, &held);
    report("train", &weights, &train)?;
    report("dev", &weights, &dev)?;
    let text = format!("{HEADER}\n{}", weights.to_toml());
    match &options.out {
        Some(path) => {
            File::create(path)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .with_context(|| format!("cannot write {}", path.display()))?;
            println!("wrote {}", path.display());
        }
        None => println!("{text}"),
    }
    Ok(())
}

/// What stands above the weights that are written.
const HEADER: &str = concat!(
    "# The weights of the experience score. Written by examples/fit_score.rs, which says in its first lines how.\n",
    "#\n",
    "# Everything is on a raw log-odds scale: 0 is a score of 50, 1 of 73, 3 of 95; terms are added and the sum is\n",
    "# mapped by the logistic function. `amends::Weights` describes each number, its range and its sign. To use your\n",
    "# own, copy this file, change numbers and `version`, and hand it to the analyzer: a sign that would let a\n",
    "# failure raise or a recovery lower a score is refused.\n",
    "#\n",
    "# Signs, order and the numbers that are not fitted come from literature.toml beside this file.\n",
);

/// An interaction with a reader's score.
struct Case {
    text: String,
    spans: Vec<Span>,
    sentiments: Vec<Sentiment>,
    sentences: Vec<SentenceId>,
    events: Vec<Event>,
    gold: f64,
    /// Stars of the story, where it has them and this is its only interaction.
    stars: Option<f64>,
    domain: String,
}

#[derive(Deserialize)]
struct GoldStory {
    id: String,
    #[serde(default)]
    domain: String,
    stars: Option<f64>,
    text: String,
    sentences: Vec<GoldSentence>,
    interactions: Vec<GoldInteraction>,
}

#[derive(Deserialize)]
struct GoldSentence {
    start: usize,
    end: usize,
    sentiment: String,
    #[serde(default)]
    interaction: u32,
    #[serde(default)]
    boilerplate: bool,
    #[serde(default)]
    events: Vec<(EventType, Status)>,
}

#[derive(Deserialize)]
struct GoldInteraction {
    id: u32,
    score: f64,
}

#[derive(Deserialize)]
struct Story {
    id: String,
    #[serde(default)]
    error: Option<serde_json::Value>,
    #[serde(default)]
    sentences: Vec<Sentence>,
    #[serde(default)]
    events: Vec<StoryEvent>,
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
struct StoryEvent {
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
}

fn provider() -> Actor {
    Actor::Provider
}

fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut rows = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line?;
        if !line.trim().is_empty() {
            let row =
                serde_json::from_str(&line).with_context(|| format!("{}:{}", path.display(), number + 1))?;
            rows.push(row);
        }
    }
    Ok(rows)
}

fn span(start: usize, end: usize) -> Result<Span> {
    Span::try_new(start, end).with_context(|| format!("span {start}..{end} is reversed"))
}

fn gold_cases(path: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for story in lines::<GoldStory>(path)? {
        let spans = story.sentences.iter().map(|row| span(row.start, row.end)).collect::<Result<Vec<_>>>()?;
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
            let told = |row: &GoldSentence| row.interaction == interaction.id && !row.boilerplate;
            let sentences = numbers(story.sentences.iter().map(told));
            let mut events = Vec::new();
            for &sentence in &sentences {
                for (event_type, status) in &story.sentences[sentence.index()].events {
                    let place = spans[sentence.index()];
                    events.push(Event::new(
                        event_type.clone(),
                        *status,
                        Actor::Provider,
                        place,
                        sentence,
                        1.0,
                    ));
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

/// Matches each gold interaction with the predicted one that it shares most bytes with.
fn predicted_cases(gold: &Path, predictions: &Path) -> Result<Vec<Case>> {
    let found: HashMap<String, Story> =
        lines::<Story>(predictions)?.into_iter().map(|story| (story.id.clone(), story)).collect();
    let mut cases = Vec::new();
    for story in lines::<GoldStory>(gold)? {
        let Some(predicted) = found.get(&story.id).filter(|found| found.error.is_none()) else { continue };
        let spans =
            predicted.sentences.iter().map(|row| span(row.start, row.end)).collect::<Result<Vec<_>>>()?;
        let sentiments: Vec<Sentiment> = predicted
            .sentences
            .iter()
            .map(|row| &row.sentiment)
            .map(|row| Sentiment::from_weights(row.negative, row.neutral, row.positive))
            .collect();
        for interaction in &story.interactions {
            let mut shared: BTreeMap<u32, usize> = BTreeMap::new();
            for told in
                story.sentences.iter().filter(|row| row.interaction == interaction.id && !row.boilerplate)
            {
                let told = span(told.start, told.end)?;
                for (place, row) in spans.iter().zip(&predicted.sentences) {
                    if let Some(id) = row.interaction.filter(|&id| id != 0) {
                        *shared.entry(id).or_default() += place.overlap(told);
                    }
                }
            }
            let Some((&id, _)) =
                shared.iter().max_by_key(|(_, bytes)| **bytes).filter(|(_, bytes)| **bytes > 0)
            else {
                continue;
            };
            let mut events = Vec::new();
            for row in predicted.events.iter().filter(|row| row.interaction == Some(id)) {
                let sentence = SentenceId::new(row.sentence);
                let place = span(row.start, row.end)?;
                events.push(Event::new(
                    row.event_type.clone(),
                    row.status,
                    row.actor,
                    place,
                    sentence,
                    row.confidence,
                ));
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

impl Case {
    fn input(&self) -> ScoreInput<'_> {
        ScoreInput {
            text: &self.text,
            spans: &self.spans,
            sentiments: &self.sentiments,
            sentences: &self.sentences,
            events: &self.events,
        }
    }
}

/// A number that is fitted.
#[derive(Clone, PartialEq)]
enum Param {
    Base,
    Mean,
    PeakNegative,
    PeakPositive,
    End,
    Allowance,
    Saturation,
    DoubleDeviation,
    Event(EventType, Status),
}

impl Param {
    fn all() -> Vec<Param> {
        let mut all = vec![
            Param::Base,
            Param::Mean,
            Param::PeakNegative,
            Param::PeakPositive,
            Param::End,
            Param::Allowance,
            Param::Saturation,
            Param::DoubleDeviation,
        ];
        for event_type in EventType::ALL.iter().filter(|event_type| **event_type != EventType::CustomerError)
        {
            all.extend(Status::ALL.iter().map(|&status| Param::Event(event_type.clone(), status)));
        }
        all
    }

    fn is_tone(&self) -> bool {
        matches!(self, Param::Mean | Param::PeakNegative | Param::PeakPositive | Param::End)
    }

    /// Whether 0 means that it has no part in the score.
    fn is_weight(&self) -> bool {
        self.is_tone() || matches!(self, Param::Event(..))
    }

    fn get(&self, weights: &Weights) -> f64 {
        match self {
            Param::Base => weights.base,
            Param::Mean => weights.sentiment.mean,
            Param::PeakNegative => weights.sentiment.peak_negative,
            Param::PeakPositive => weights.sentiment.peak_positive,
            Param::End => weights.sentiment.end,
            Param::Allowance => weights.recovery.allowance,
            Param::Saturation => weights.recovery.saturation,
            Param::DoubleDeviation => weights.links.double_deviation,
            Param::Event(event_type, status) => weights.event(event_type).of(*status),
        }
    }

    fn set(&self, weights: &mut Weights, value: f64) {
        match self {
            Param::Base => weights.base = value,
            Param::Mean => weights.sentiment.mean = value,
            Param::PeakNegative => weights.sentiment.peak_negative = value,
            Param::PeakPositive => weights.sentiment.peak_positive = value,
            Param::End => weights.sentiment.end = value,
            Param::Allowance => weights.recovery.allowance = value,
            Param::Saturation => weights.recovery.saturation = value,
            Param::DoubleDeviation => weights.links.double_deviation = value,
            Param::Event(event_type, status) => {
                *weights.events.entry(event_type.as_str().to_owned()).or_default().of_mut(*status) = value;
            }
        }
    }

    /// Least and most, so that the score stays monotone, and no event that the literature counts counts nothing:
    /// what occurred keeps at least a third of its weight in `prior`.
    fn range(&self, prior: &Weights) -> (f64, f64) {
        match self {
            Param::Base => (-2.0, 2.0),
            Param::Mean | Param::PeakNegative | Param::PeakPositive | Param::End => (0.0, 5.0),
            Param::Allowance => (0.05, 3.0),
            Param::Saturation => (0.3, 5.0),
            Param::DoubleDeviation => (0.3, 0.8),
            Param::Event(event_type, status) => {
                let good = Weights::sign(event_type) > 0;
                let least = if *status == Status::Occurred { self.get(prior).abs() / 3.0 } else { 0.0 };
                if good == (*status == Status::Occurred) { (least, 3.0) } else { (-3.0, -least) }
            }
        }
    }

    /// How strongly the ridge holds it, as a multiple.
    fn stiffness(&self) -> f64 {
        match self {
            Param::Base | Param::Mean => 0.01,
            Param::PeakNegative | Param::PeakPositive | Param::End => 0.1,
            Param::Allowance | Param::Saturation => 0.3,
            _ => 1.0,
        }
    }
}

/// Residuals below this many points count squared, larger ones as they are.
const HUBER: f64 = 6.0;

fn fit<C: std::borrow::Borrow<Case> + Sync>(
    prior: &Weights,
    params: &[Param],
    ridge: f64,
    cases: &[C],
) -> Result<Weights> {
    let mut weights = prior.clone();
    let target: Vec<f64> = params.iter().map(|param| param.get(prior)).collect();
    let stiff: Vec<f64> = params.iter().map(|param| ridge * param.stiffness()).collect();
    let objective = |weights: &Weights, values: &[f64]| -> f64 {
        let loss: f64 = cases
            .iter()
            .zip(values)
            .map(|(case, value)| {
                let off = (value - case.borrow().gold).abs();
                if off < HUBER { off * off / 2.0 } else { HUBER * (off - HUBER / 2.0) }
            })
            .sum();
        let pull: f64 = params
            .iter()
            .zip(&target)
            .zip(&stiff)
            .map(|((param, target), stiff)| stiff * (param.get(weights) - target).powi(2) / 2.0)
            .sum();
        loss + pull
    };
    let mut values = score_all(&weights, cases)?;
    let mut best = objective(&weights, &values);
    let mut damping = 1.0;
    for _ in 0..30 {
        const STEP: f64 = 1e-4;
        let columns: Vec<Vec<f64>> = params
            .iter()
            .map(|param| {
                let mut moved = weights.clone();
                let at = param.get(&weights);
                let (_, most) = param.range(prior);
                let step = if at + STEP <= most { STEP } else { -STEP };
                param.set(&mut moved, at + step);
                let values_moved = score_all(&moved, cases)?;
                Ok(values_moved.iter().zip(&values).map(|(b, a)| (b - a) / step).collect())
            })
            .collect::<Result<_>>()?;
        let off: Vec<f64> =
            values.iter().zip(cases).map(|(value, case)| value - case.borrow().gold).collect();
        let robust: Vec<f64> =
            off.iter().map(|off| if off.abs() < HUBER { 1.0 } else { HUBER / off.abs() }).collect();
        let dot =
            |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).zip(&robust).map(|((a, b), w)| a * b * w).sum() };
        let slope: Vec<f64> = (0..params.len())
            .map(|k| dot(&columns[k], &off) + stiff[k] * (params[k].get(&weights) - target[k]))
            .collect();
        // Those that stand at a bound and want across it stay there.
        let free: Vec<usize> = (0..params.len())
            .filter(|&k| {
                let (least, most) = params[k].range(prior);
                let at = params[k].get(&weights);
                !(at <= least && slope[k] > 0.0 || at >= most && slope[k] < 0.0)
            })
            .collect();
        let mut better = false;
        let curvature: Vec<Vec<f64>> =
            free.iter().map(|&a| free.iter().map(|&b| dot(&columns[a], &columns[b])).collect()).collect();
        for _ in 0..8 {
            let mut system = curvature.clone();
            for (row, &k) in free.iter().enumerate() {
                system[row][row] += stiff[k] + damping * (1.0 + 0.01 * curvature[row][row]);
            }
            let step = solve(system, free.iter().map(|&k| -slope[k]).collect());
            let mut moved = weights.clone();
            for (&k, step) in free.iter().zip(&step) {
                let (least, most) = params[k].range(prior);
                params[k].set(&mut moved, (params[k].get(&weights) + step).clamp(least, most));
            }
            let values_moved = score_all(&moved, cases)?;
            let loss = objective(&moved, &values_moved);
            if loss < best {
                better = best - loss > 1e-6 * best;
                (weights, values, best) = (moved, values_moved, loss);
                damping = (damping / 5.0).max(1e-3);
                break;
            }
            damping *= 5.0;
        }
        if !better {
            break;
        }
    }
    for param in params {
        let rounded = (param.get(&weights) * 1000.0).round() / 1000.0;
        param.set(&mut weights, rounded + 0.0);
    }
    Ok(weights)
}

/// Solves a symmetric positive definite system by Cholesky's method.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for k in 0..n {
        for j in 0..k {
            let factor = matrix[k][j];
            for i in k..n {
                matrix[i][k] -= matrix[i][j] * factor;
            }
        }
        let root = matrix[k][k].max(1e-12).sqrt();
        matrix[k..].iter_mut().for_each(|row| row[k] /= root);
    }
    for k in 0..n {
        let sum: f64 = (0..k).map(|j| matrix[k][j] * right[j]).sum();
        right[k] = (right[k] - sum) / matrix[k][k];
    }
    for k in (0..n).rev() {
        let sum: f64 = (k + 1..n).map(|j| matrix[j][k] * right[j]).sum();
        right[k] = (right[k] - sum) / matrix[k][k];
    }
    right
}

fn score_all<C: std::borrow::Borrow<Case> + Sync>(weights: &Weights, cases: &[C]) -> Result<Vec<f64>> {
    let scorer = Scorer::new(weights.clone())?;
    Ok(cases.par_iter().map(|case| scorer.score(case.borrow().input()).score.value()).collect())
}

/// A score, the reader's, and the parts of its interval's width.
struct Residual {
    raw: f64,
    gold: f64,
    evidence: f64,
    variance: f64,
}

fn residuals<C: std::borrow::Borrow<Case> + Sync>(weights: &Weights, cases: &[C]) -> Result<Vec<Residual>> {
    // The parts are read off the widths that weights with one part alone give.
    let alone = |noise: f64, sparse: f64, events: f64| -> Result<Vec<(f64, f64)>> {
        let mut weights = weights.clone();
        weights.interval.level = 0.01;
        weights.interval.noise = noise;
        weights.interval.sparse = sparse;
        weights.interval.events = events;
        weights.interval.enough = 0.0;
        let scorer = Scorer::new(weights)?;
        Ok(cases
            .par_iter()
            .map(|case| {
                let score = scorer.score(case.borrow().input()).score;
                (logit(score.value()), (logit(score.high()) - logit(score.value())) / 0.01)
            })
            .collect())
    };
    let sparse = alone(0.0, 1.0, 0.0)?;
    let events = alone(0.0, 0.0, 1.0)?;
    Ok(cases
        .iter()
        .zip(sparse.iter().zip(&events))
        .map(|(case, ((raw, sparse), (_, events)))| Residual {
            raw: *raw,
            gold: case.borrow().gold,
            evidence: sparse * sparse,
            variance: events * events,
        })
        .collect())
}

fn held_out(prior: &Weights, ridge: f64, cases: &[Case]) -> Result<Vec<Residual>> {
    const FOLDS: usize = 5;
    let mut all = Vec::new();
    for fold in 0..FOLDS {
        let part = |held: bool| -> Vec<&Case> {
            cases
                .iter()
                .enumerate()
                .filter(|(at, _)| (at % FOLDS == fold) == held)
                .map(|(_, case)| case)
                .collect()
        };
        let weights = fit(prior, &Param::all(), ridge, &part(false))?;
        let figures = Figures::of(&weights, &part(true))?;
        println!("held-out fifth {}: {figures}", fold + 1);
        all.extend(residuals(&weights, &part(true))?);
    }
    Ok(all)
}

/// Share of readers' scores that the interval shall hold.
const COVERAGE: f64 = 0.9;

/// Takes the parts of the width that make the intervals narrowest at the coverage.
fn set_interval(weights: &mut Weights, held: &[Residual]) {
    let mut best = f64::INFINITY;
    let steps = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0];
    for sparse in steps {
        for events in steps {
            let spread = |row: &Residual| {
                (0.25 + sparse * sparse * row.evidence + events * events * row.variance).sqrt()
            };
            let mut needed: Vec<f64> =
                held.iter().map(|row| (logit(row.gold) - row.raw).abs() / spread(row)).collect();
            needed.sort_by(f64::total_cmp);
            // The split-conformal rank.
            let rank = (((held.len() + 1) as f64) * COVERAGE).ceil() as usize;
            let level = needed[rank.clamp(1, held.len()) - 1];
            let width = |row: &Residual| {
                let half = level * spread(row);
                logistic(row.raw + half) - logistic(row.raw - half)
            };
            let mean = held.iter().map(width).sum::<f64>() / held.len() as f64;
            if mean < best {
                best = mean;
                weights.interval.level = (level * 1000.0).ceil() / 1000.0;
                (weights.interval.noise, weights.interval.sparse, weights.interval.events) =
                    (0.5, sparse, events);
            }
        }
    }
    println!("interval: mean width {best:.1} at {COVERAGE} of {} held-out interactions", held.len());
}

fn logistic(raw: f64) -> f64 {
    100.0 / (1.0 + (-raw).exp())
}

fn logit(value: f64) -> f64 {
    let share = (value / 100.0).clamp(0.001, 0.999);
    (share / (1.0 - share)).ln()
}

struct Figures {
    spearman: f64,
    error: f64,
    stars: f64,
    auc: f64,
    coverage: f64,
    width: f64,
    flagged: usize,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Figures { spearman, error, stars, auc, coverage, width, flagged } = self;
        write!(
            f,
            "Spearman {spearman:.3}, error {error:.2}, stars {stars:.3} (AUC {auc:.3}), interval holds {:.1} % at width {width:.1}, insufficient {flagged}",
            100.0 * coverage
        )
    }
}

impl Figures {
    fn of<C: std::borrow::Borrow<Case> + Sync>(weights: &Weights, cases: &[C]) -> Result<Self> {
        let scorer = Scorer::new(weights.clone())?;
        let scored: Vec<_> = cases.par_iter().map(|case| scorer.score(case.borrow().input())).collect();
        let values: Vec<f64> = scored.iter().map(|scored| scored.score.value()).collect();
        let gold: Vec<f64> = cases.iter().map(|case| case.borrow().gold).collect();
        let n = cases.len().max(1) as f64;
        let (stars, rated): (Vec<f64>, Vec<f64>) = cases
            .iter()
            .zip(&values)
            .filter_map(|(case, value)| Some((case.borrow().stars?, *value)))
            .unzip();
        let held = scored
            .iter()
            .zip(&gold)
            .filter(|(scored, gold)| (scored.score.low()..=scored.score.high()).contains(gold));
        let (mut pairs, mut right) = (0.0, 0.0);
        for (high, a) in stars.iter().zip(&rated).filter(|(stars, _)| **stars >= 4.0) {
            for (_, b) in stars.iter().zip(&rated).filter(|(stars, _)| **stars <= 2.0 && *stars < high) {
                pairs += 1.0;
                right += if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                };
            }
        }
        Ok(Figures {
            spearman: pearson(&ranks(&values), &ranks(&gold)),
            error: values.iter().zip(&gold).map(|(a, b)| (a - b).abs()).sum::<f64>() / n,
            stars: pearson(&ranks(&stars), &ranks(&rated)),
            auc: right / pairs,
            coverage: held.count() as f64 / n,
            width: scored.iter().map(|scored| scored.score.high() - scored.score.low()).sum::<f64>() / n,
            flagged: scored
                .iter()
                .filter(|scored| scored.flags.contains(&amends::Flag::InsufficientEvidence))
                .count(),
        })
    }
}

fn report(name: &str, weights: &Weights, cases: &[Case]) -> Result<()> {
    if !cases.is_empty() {
        println!("{name}: {}", Figures::of(weights, cases)?);
    }
    Ok(())
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let mut to = from;
        while to + 1 < order.len() && values[order[to + 1]] == values[order[from]] {
            to += 1;
        }
        order[from..=to].iter().for_each(|&at| ranks[at] = (from + to) as f64 / 2.0);
        from = to + 1;
    }
    ranks
}

fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 { x.iter().zip(y).map(|(a, b)| f(a - mx, b - my)).sum() };
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}
