//! A run from recipe to exported model.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tch::{Kind, Tensor};

use crate::Options;
use crate::calibrate::calibrate;
use crate::checkpoint::{State, read_tensor};
use crate::export::Finished;
use crate::layout::Layout;
use crate::learn::Learning;
use crate::log::Log;
use crate::measure::{marks, predict};
use crate::model::Network;
use crate::precision::{in_bits, in_f16};
use crate::recipe::Recipe;
use crate::setup::{Setup, set_up};
use crate::workers::Workers;

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
    let mut setup = set_up(options, &recipe, recipe.train.seed, state.as_ref(), &log)?;
    let kind = if options.f32 { Kind::Float } else { Kind::BFloat16 };
    let network =
        Network::new(&setup.config, recipe.context.units(), &setup.layout, recipe.train.dropout, kind)
            .with_int8(recipe.train.int8);
    let planned = setup.stream.tokens() * recipe.train.passes / 1e6;
    log.say(&format!("{} weights, {planned:.2} M tokens planned", setup.layout.len()));
    let state = match state {
        Some(state) if state.done => {
            setup.stream.restore(state.stream.clone())?;
            state
        }
        state => {
            let learning = Learning {
                plan: &recipe.train,
                folder: &options.out,
                layout: &setup.layout,
                weights: &setup.weights,
                dev: &setup.dev,
                minutes: options.minutes.unwrap_or(f64::INFINITY),
            };
            let stream = &mut setup.stream;
            with_workers(options, &setup.layout, &setup.weights, &network, |workers| {
                learning.run(workers, stream, state, &mut log)
            })?
        }
    };
    finish(options, &recipe, &setup, &state, &mut log)
}

/// Calls `work` with threads that run `network` on `weights`.
fn with_workers<R>(
    options: &Options,
    layout: &Layout,
    weights: &Tensor,
    network: &Network,
    work: impl FnOnce(&Workers) -> R,
) -> R {
    let leaves = (0..options.workers).map(|_| layout.leaves(weights)).collect();
    std::thread::scope(|scope| work(&Workers::start(scope, network, leaves)))
}

/// Measures and calibrates the best weights of the run in f32, and exports them.
fn finish(options: &Options, recipe: &Recipe, setup: &Setup, state: &State, log: &mut Log) -> Result<()> {
    let best = read_tensor(&options.out.join("best.safetensors"), "weights")?;
    let context = recipe.context.units();
    let network = Network::new(&setup.config, context, &setup.layout, 0.0, Kind::Float);
    let run = |weights: &Tensor| {
        with_workers(options, &setup.layout, weights, &network, |workers| {
            let stories = predict(workers, &setup.dev.stories)?;
            let polar = setup.dev.polar.as_ref().map(|set| predict(workers, set)).transpose()?;
            anyhow::Ok((marks(&setup.dev, &stories, polar.as_deref()), stories))
        })
    };
    let (trained, stories) = run(&best)?;
    let calibration = calibrate(&setup.dev.stories.examples, &stories);
    log.say(&calibration.to_string());
    let shifted = calibration.shifted(&best, &setup.layout);
    let mut all = vec![("f32, before calibration".to_owned(), trained)];
    all.push(("f16 as exported".to_owned(), run(&in_f16(&shifted))?.0));
    for &bits in &options.bits {
        all.push((format!("{bits}-bit matrices"), run(&in_bits(&shifted, &setup.layout, bits))?.0));
    }
    for (name, marks) in &all {
        log.say(&format!("{name}: {marks}"));
        log.write(&json!({"finished": name, "dev": marks.to_json()}))?;
    }
    let notes = match &options.notes {
        Some(path) => fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => String::new(),
    };
    let finished = Finished {
        base: &setup.base,
        context,
        layers: setup.config.num_hidden_layers,
        layout: &setup.layout,
        weights: &shifted,
        vocabulary: &setup.vocabulary,
        calibration,
        max_tokens: recipe.model.max_tokens,
        marks: all,
        sources: setup.stream.report(),
        steps: state.steps,
        tokens: state.tokens,
        minutes: state.seconds / 60.0,
        recipe: fs::read_to_string(&options.recipe)?,
        notes,
    };
    let folder = options.out.join("model");
    finished.write(&folder)?;
    log.say(&format!("exported to {}", folder.display()));
    Ok(())
}
