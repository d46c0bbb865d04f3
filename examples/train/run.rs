//! A run from recipe to checkpoint.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::Options;
use crate::checkpoint::{State, read_tensor, write_tensors};
use crate::data::{self, EVENTS, Example};
use crate::metrics::{EventScore, Prediction, event_f1, polar_accuracy, sentiment_f1};
use crate::model::{Config, Input, Layout, Network, load};
use crate::optim::{AdamW, schedule};
use crate::recipe::{Format, Recipe, Source, TrainOptions};
use crate::stream::{Row, Stream, Unit, buckets};
use crate::vocabulary::Vocabulary;
use crate::workers::{Batch, Workers};

/// A dev set as tokens.
pub(crate) struct Measured {
    pub(crate) examples: Vec<Example>,
    pub(crate) ids: Vec<Vec<u32>>,
}

/// The dev sets.
pub(crate) struct Dev {
    pub(crate) stories: Measured,
    pub(crate) polar: Option<Measured>,
}

/// What a model reaches on the dev sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    pub(crate) sentiment: f64,
    pub(crate) classes: [f64; 3],
    pub(crate) events: EventScore,
    pub(crate) polar: Option<f64>,
}

impl Marks {
    /// What the best checkpoint is chosen by: the mean of the measures.
    pub(crate) fn mean(&self) -> f64 {
        let all = [Some(self.sentiment), Some(self.events.f1), self.polar];
        let known: Vec<f64> = all.into_iter().flatten().collect();
        known.iter().sum::<f64>() / known.len() as f64
    }

    pub(crate) fn to_json(self) -> Value {
        json!({
            "sentiment_macro_f1": self.sentiment, "sentiment_f1": self.classes, "events_strict_f1": self.events.f1,
            "events_precision": self.events.precision, "events_recall": self.events.recall,
            "events_threshold": self.events.threshold, "polar_accuracy": self.polar,
        })
    }
}

impl std::fmt::Display for Marks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let events = &self.events;
        write!(f, "sentiment macro-F1 {:.4}, events strict F1 {:.4}", self.sentiment, events.f1)?;
        write!(f, " (p {:.3} r {:.3} at {:.3})", events.precision, events.recall, events.threshold)?;
        match self.polar {
            Some(polar) => write!(f, ", polar accuracy {polar:.4}"),
            None => Ok(()),
        }
    }
}

/// Lines for people on the standard error stream, and for programs in `log.jsonl`.
pub(crate) struct Log {
    file: fs::File,
    start: Instant,
}

impl Log {
    pub(crate) fn open(folder: &Path) -> Result<Log> {
        let path = folder.join("log.jsonl");
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Log { file, start: Instant::now() })
    }

    pub(crate) fn say(&self, line: &str) {
        eprintln!("{:6.1} min  {line}", self.start.elapsed().as_secs_f64() / 60.0);
    }

    pub(crate) fn write(&mut self, record: &Value) -> Result<()> {
        writeln!(self.file, "{record}").context("cannot write log.jsonl")
    }
}

/// Token ids of texts, cut to `max_tokens` with the last special token kept.
pub(crate) fn encode(vocabulary: &Vocabulary, texts: &[&str], max_tokens: usize) -> Result<Vec<Vec<u32>>> {
    let mut all = Vec::with_capacity(texts.len());
    for text in texts {
        let encoding = vocabulary.tokenizer().encode_fast(*text, true).map_err(|error| anyhow!("{error}"))?;
        let mut ids = encoding.get_ids().to_vec();
        if ids.len() > max_tokens {
            let last = ids[ids.len() - 1];
            ids.truncate(max_tokens - 1);
            ids.push(last);
        }
        all.push(ids);
    }
    Ok(all)
}

fn encode_examples(vocabulary: &Vocabulary, examples: &[Example], max_tokens: usize) -> Result<Vec<Vec<u32>>> {
    let texts: Vec<&str> = examples.iter().map(|example| example.text.as_str()).collect();
    encode(vocabulary, &texts, max_tokens)
}

pub(crate) fn measured(path: &Path, format: Format, vocabulary: &Vocabulary, max_tokens: usize) -> Result<Measured> {
    let examples = data::read(path, format)?;
    let ids = encode_examples(vocabulary, &examples, max_tokens)?;
    Ok(Measured { examples, ids })
}

/// Runs the model over a set, story by story.
pub(crate) fn predict(workers: &Workers, set: &Measured) -> Result<Vec<Prediction>> {
    let (examples, ids) = (&set.examples, &set.ids);
    let mut stories: Vec<std::ops::Range<usize>> = Vec::new();
    for sentence in 0..ids.len() {
        match stories.last_mut() {
            Some(story) if examples[story.start].line == examples[sentence].line => story.end += 1,
            _ => stories.push(sentence..sentence + 1),
        }
    }
    let lengths: Vec<usize> = stories.iter().map(|story| ids[story.clone()].iter().map(Vec::len).sum()).collect();
    let batches = buckets(&lengths, 2048);
    let input = |batch: &Vec<usize>| {
        let of = |&story: &usize| ids[stories[story].clone()].iter().map(Vec::as_slice).collect();
        Input::new(&batch.iter().map(of).collect::<Vec<Vec<&[u32]>>>())
    };
    let mut predictions = vec![Prediction { sentiment: [0.0; 3], events: Vec::new() }; ids.len()];
    for (batch, output) in batches.iter().zip(workers.read(batches.iter().map(input).collect())?) {
        let numbers = |tensor: &Tensor| Vec::<f32>::try_from(tensor.reshape([-1]));
        let (sentiment, events) = (numbers(&output.sentiment)?, numbers(&output.events)?);
        for (place, row) in batch.iter().flat_map(|&story| stories[story].clone()).enumerate() {
            predictions[row] = Prediction {
                sentiment: [0, 1, 2].map(|class| sentiment[place * 3 + class]),
                events: events[place * EVENTS..(place + 1) * EVENTS].to_vec(),
            };
        }
    }
    Ok(predictions)
}

/// The marks of predictions for both dev sets.
pub(crate) fn marks(dev: &Dev, stories: &[Prediction], polar: Option<&[Prediction]>) -> Marks {
    let (classes, sentiment) = sentiment_f1(&dev.stories.examples, stories);
    let events = event_f1(&dev.stories.examples, stories);
    let polar = dev.polar.as_ref().zip(polar).map(|(set, predictions)| polar_accuracy(&set.examples, predictions));
    Marks { sentiment, classes, events, polar }
}

fn measure(workers: &Workers, dev: &Dev) -> Result<Marks> {
    let stories = predict(workers, &dev.stories)?;
    let polar = dev.polar.as_ref().map(|set| predict(workers, set)).transpose()?;
    Ok(marks(dev, &stories, polar.as_deref()))
}

/// The units of a source: sentences, or with a context stage whole stories.
fn units(examples: &[Example], ids: Vec<Vec<u32>>, source: &Source, context: bool) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut line = 0;
    for (ids, example) in ids.into_iter().zip(examples) {
        let row = Row::new(ids, example, source);
        match units.last_mut() {
            Some(unit) if context && example.line == line => unit.push(row),
            _ => units.push(vec![row]),
        }
        line = example.line;
    }
    units
}

/// Everything that is fixed before the first step.
struct Setup {
    config: Config,
    layout: Layout,
    vocabulary: Vocabulary,
    weights: Tensor,
    stream: Stream,
    dev: Dev,
}

fn set_up(options: &Options, recipe: &Recipe, seed: u64, resume: bool, log: &Log) -> Result<Setup> {
    let at = |path: &PathBuf| options.data.join(path);
    let config_path = options.base.join("config.json");
    let config = fs::read(&config_path).with_context(|| format!("cannot read {}", config_path.display()))?;
    let config: Value = serde_json::from_slice(&config).with_context(|| format!("in {}", config_path.display()))?;
    let mut config = Config::from_json(&config).with_context(|| format!("in {}", config_path.display()))?;
    if recipe.model.layers > 0 {
        ensure!(recipe.model.layers <= config.num_hidden_layers, "the base has fewer layers than the recipe asks for");
        config.num_hidden_layers = recipe.model.layers;
    }
    ensure!(
        recipe.model.max_tokens as i64 <= config.max_position_embeddings,
        "max_tokens is beyond the {} positions of the base",
        config.max_position_embeddings
    );

    let mut sources = Vec::new();
    for source in &recipe.sources {
        let examples = data::read(&at(&source.path), source.format)?;
        log.say(&format!("{}: {} sentences", source.path.display(), examples.len()));
        sources.push((source.clone(), examples));
    }

    let tokenizer_path = options.out.join("tokenizer.json");
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let mut vocabulary;
    if resume {
        vocabulary = Vocabulary::parse(&read(&tokenizer_path)?)?;
    } else {
        vocabulary = Vocabulary::parse(&read(&options.base.join("tokenizer.json"))?)?;
        if recipe.model.vocabulary > 0 {
            let whole = vocabulary.rows().len();
            let trained = sources.iter().flat_map(|(_, examples)| examples.iter().map(|e| e.text.as_str()));
            let mut counts = vocabulary.count(trained)?;
            for path in &recipe.model.count {
                let texts = data::read_texts(&at(path))?;
                let more = vocabulary.count(texts.iter().map(String::as_str))?;
                counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
            }
            vocabulary = vocabulary.prune(&counts, recipe.model.vocabulary)?;
            log.say(&format!("vocabulary: {} of {whole} pieces", vocabulary.rows().len()));
        }
        fs::write(&tokenizer_path, vocabulary.to_json()?)?;
    }
    config.vocab_size = vocabulary.rows().len() as i64;
    let layout = Layout::new(&config, recipe.context.units());
    let weights = if resume {
        read_tensor(&options.out.join("checkpoint.safetensors"), "weights")?
    } else {
        load(&options.base.join("model.safetensors"), &layout, vocabulary.rows())?
    };
    ensure!(weights.size() == [layout.len()], "the checkpoint is of a model of another size");

    let max_tokens = recipe.model.max_tokens;
    let mut rows = Vec::new();
    for (source, examples) in sources {
        let ids = encode_examples(&vocabulary, &examples, max_tokens)?;
        let units = units(&examples, ids, &source, recipe.context.units() > 0);
        rows.push((source, units));
    }
    let dev = Dev {
        stories: measured(&at(&recipe.dev.stories), Format::Stories, &vocabulary, max_tokens)?,
        polar: recipe
            .dev
            .polar
            .as_ref()
            .map(|path| measured(&at(path), Format::Sentences, &vocabulary, max_tokens))
            .transpose()?,
    };
    Ok(Setup { config, layout, vocabulary, weights, stream: Stream::new(seed, rows), dev })
}

/// Trains as the options and the recipe say, and leaves the best weights in `best.safetensors`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut recipe = Recipe::read(&options.recipe)?;
    if let Some(seed) = options.seed {
        recipe.train.seed = seed;
    }
    ensure!(options.workers >= 1, "--workers must be 1 or more");
    fs::create_dir_all(&options.out).with_context(|| format!("cannot make {}", options.out.display()))?;
    let state = State::read(&options.out)?;
    if state.is_some() && !options.resume {
        bail!("{} holds a run already: go on with --resume or choose another folder", options.out.display());
    }
    let mut log = Log::open(&options.out)?;
    tch::manual_seed(recipe.train.seed as i64);
    tch::set_num_threads(1);
    let mut setup = set_up(options, &recipe, recipe.train.seed, state.is_some(), &log)?;
    let kind = if options.f32 { Kind::Float } else { Kind::BFloat16 };
    let network = Network::new(&setup.config, recipe.context.units(), &setup.layout, recipe.train.dropout, kind)?;
    log.say(&format!("{} weights, {:.2} M tokens planned", setup.layout.len(), setup.stream.tokens() * recipe.train.passes / 1e6));
    let leaves = (0..options.workers).map(|_| setup.layout.leaves(&setup.weights)).collect();
    std::thread::scope(|scope| {
        let workers = Workers::start(scope, &network, leaves);
        train(options, &recipe.train, &mut setup, &workers, state, &mut log)
    })?;
    Ok(())
}

fn train(
    options: &Options,
    plan: &TrainOptions,
    setup: &mut Setup,
    workers: &Workers,
    resumed: Option<State>,
    log: &mut Log,
) -> Result<()> {
    let mut adam = AdamW::new(&setup.weights, &setup.layout, plan.weight_decay, plan.clip);
    let total = setup.stream.tokens() * plan.passes;
    let mut state = match resumed {
        Some(state) => {
            let path = options.out.join("checkpoint.safetensors");
            adam.restore(&read_tensor(&path, "first")?, &read_tensor(&path, "second")?, state.steps)?;
            setup.stream.restore(state.stream.clone())?;
            log.say(&format!("resumed after {} steps, {:.2} M tokens", state.steps, state.tokens / 1e6));
            state
        }
        None => {
            let marks = measure(workers, &setup.dev)?;
            log.say(&format!("start: {marks}"));
            log.write(&json!({"step": 0, "dev": marks.to_json()}))?;
            let stream = setup.stream.state();
            State { steps: 0, tokens: 0.0, seconds: 0.0, stream, best: None, since_best: 0, done: false }
        }
    };
    let before = state.seconds;
    let clock = Instant::now();
    let minutes = options.minutes.unwrap_or(f64::INFINITY);
    let progress = |tokens: f64| {
        let seconds = before + clock.elapsed().as_secs_f64();
        (tokens / total).max(seconds / 60.0 / minutes).min(1.0)
    };
    let mut at = progress(state.tokens);
    let mut next_mark = ((at * plan.measurements as f64).floor() + 1.0) / plan.measurements as f64;
    while !state.done {
        let batches = setup.stream.pool(at, plan.batch_tokens);
        let pool_clock = Instant::now();
        let (mut tokens, mut steps, mut losses, mut norms) = (0.0, 0.0, [0.0; 2], 0.0);
        for group in batches.chunks(workers.len()) {
            at = progress(state.tokens);
            if at >= 1.0 {
                break;
            }
            let groups: Vec<Vec<&[Row]>> =
                group.iter().map(|batch| batch.iter().map(|&at| setup.stream.unit(at)).collect()).collect();
            let rows = || groups.iter().flatten().copied().flatten();
            let weight: f64 = rows().map(|row| f64::from(row.weight)).sum();
            let count: usize = rows().map(|row| row.ids.len()).sum();
            let jobs = groups.iter().map(|units| Batch::new(units, plan.event_loss, weight.max(1e-6))).collect();
            let learned = workers.learn(jobs)?;
            let mut gradient: Option<Tensor> = None;
            for one in learned {
                losses[0] += one.sentiment_loss;
                losses[1] += one.event_loss;
                gradient = Some(match gradient {
                    Some(mut sum) => sum.g_add_(&one.gradient),
                    None => one.gradient,
                });
            }
            let gradient = gradient.unwrap_or_else(|| Tensor::zeros([setup.layout.len()], (Kind::Float, Device::Cpu)));
            let rate = schedule(at, plan.warmup);
            let norm = adam.step(&gradient, plan.learning_rate * rate, plan.head_learning_rate * rate);
            norms += norm;
            steps += 1.0;
            tokens += count as f64;
            state.tokens += count as f64;
        }
        at = progress(state.tokens);
        state.steps = adam.steps();
        if steps > 0.0 {
            let speed = tokens / pool_clock.elapsed().as_secs_f64();
            let [sentiment, events] = losses.map(|loss| loss / steps);
            log.say(&format!(
                "{:5.1} %  step {}  loss sentiment {sentiment:.4} events {events:.4}  gradient {:.2}  {speed:.0} tokens/s",
                at * 100.0,
                state.steps,
                norms / steps
            ));
            log.write(&json!({"step": state.steps, "progress": at, "tokens": state.tokens, "sentiment_loss": sentiment,
                "event_loss": events, "gradient_norm": norms / steps, "tokens_per_second": speed}))?;
        }
        if at >= next_mark || at >= 1.0 {
            next_mark = ((at * plan.measurements as f64).floor() + 1.0) / plan.measurements as f64;
            let marks = measure(workers, &setup.dev)?;
            log.say(&format!("step {}: {marks}", state.steps));
            log.write(&json!({"step": state.steps, "progress": at, "dev": marks.to_json()}))?;
            if state.best.is_none_or(|best| marks.mean() > best) {
                state.best = Some(marks.mean());
                state.since_best = 0;
                write_tensors(&options.out.join("best.safetensors"), &[("weights", &setup.weights)])?;
            } else {
                state.since_best += 1;
            }
            let stopped = plan.patience > 0 && state.since_best >= plan.patience;
            if stopped {
                log.say(&format!("nothing better in {} measurements: stopped", state.since_best));
            }
            state.done = at >= 1.0 || stopped;
            state.seconds = before + clock.elapsed().as_secs_f64();
            state.stream = setup.stream.state();
            let (first, second) = adam.moments();
            state.write(&options.out, &[("weights", &setup.weights), ("first", first), ("second", second)])?;
        }
    }
    for (name, rows, passes) in setup.stream.report() {
        log.say(&format!("{name}: {rows} rows, {passes:.2} passes"));
        log.write(&json!({"source": name, "rows": rows, "passes": passes}))?;
    }
    let _ = &setup.vocabulary;
    Ok(())
}
