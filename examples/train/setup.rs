//! Everything that a run needs before its first step.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use tch::Tensor;

use crate::Options;
use crate::checkpoint::State;
use crate::data::{self, Example};
use crate::layout::{Config, Layout, load};
use crate::log::Log;
use crate::measure::{Dev, Measured};
use crate::names::Names;
use crate::recipe::{Format, Recipe, Source};
use crate::stream::{Row, Stream, Unit, pool_size};
use crate::vocabulary::Vocabulary;

/// Everything that is fixed before the first step.
pub(crate) struct Setup {
    /// `config.json` of the base.
    pub(crate) base: Value,
    pub(crate) config: Config,
    pub(crate) layout: Layout,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) weights: Tensor,
    /// Whether the base had all heads.
    pub(crate) has_heads: bool,
    pub(crate) stream: Stream,
    pub(crate) dev: Dev,
}

/// Reads and prepares everything; with the state of a run, vocabulary and weights come from its folder.
pub(crate) fn set_up(
    options: &Options,
    recipe: &Recipe,
    resumed: Option<&State>,
    log: &Log,
) -> Result<Setup> {
    let at = |path: &PathBuf| options.data.join(path);
    let (config_path, base) = base_config(&options.base)?;
    let mut config = Config::from_json(&base).with_context(|| format!("in {}", config_path.display()))?;
    let labels = &base["heads"]["events"]["labels"];
    ensure!(
        labels.is_null() || *labels == json!(data::event_labels()),
        "{}: the event head of the base has other labels, or the same in another order",
        config_path.display()
    );
    if recipe.model.layers > 0 {
        ensure!(
            recipe.model.layers <= config.num_hidden_layers,
            "the base has fewer layers than the recipe asks for"
        );
        config.num_hidden_layers = recipe.model.layers;
    }
    ensure!(
        recipe.model.max_tokens as i64 <= config.max_position_embeddings,
        "max_tokens is beyond the {} positions of the base",
        config.max_position_embeddings
    );

    let mut sources = Vec::new();
    let names = (recipe.train.other_names > 0.0).then(Names::known).transpose()?;
    for source in &recipe.sources {
        let mut examples =
            read(&at(&source.path), source.format, source.texts.as_ref().map(at).as_deref(), log)?;
        log.say(&format!("{}: {} sentences", source.path.display(), examples.len()));
        if let (Some(names), Format::Stories) = (&names, source.format) {
            let swapped = names.swap(&mut examples, recipe.train.other_names, recipe.train.seed);
            log.say(&format!("{}: other names in {swapped} sentences", source.path.display()));
        }
        sources.push((source.clone(), examples));
    }

    let tokenizer_path = options.out.join("tokenizer.json");
    let parse = |path: &Path| {
        let json = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Vocabulary::parse(&json).with_context(|| format!("in {}", path.display()))
    };
    let mut vocabulary;
    if resumed.is_some() {
        vocabulary = parse(&tokenizer_path)?;
    } else {
        vocabulary = parse(&options.base.join("tokenizer.json"))?;
        if let Some(wide) = &options.words_from {
            let wider = parse(&wide.join("tokenizer.json"))?;
            vocabulary = wider.widened_from(&vocabulary).with_context(|| format!("in {}", wide.display()))?;
        }
        if recipe.model.vocabulary > 0 {
            let whole = vocabulary.rows().len();
            let mut counts = vec![0.0; whole];
            for (source, examples) in &sources {
                vocabulary.count(examples.iter().map(|e| e.text.as_str()), source.words, &mut counts)?;
            }
            for path in &recipe.model.count {
                let texts = data::read_texts(&at(path))?;
                vocabulary.count(texts.iter().map(String::as_str), 1.0, &mut counts)?;
            }
            vocabulary = vocabulary.prune(&counts, recipe.model.vocabulary)?;
            log.say(&format!("vocabulary: {} of {whole} pieces", vocabulary.rows().len()));
        }
        fs::write(&tokenizer_path, vocabulary.to_json()?)?;
    }
    config.vocab_size = vocabulary.rows().len() as i64;
    let layout = Layout::new(&config, recipe.context_units());
    let (weights, has_heads) = match resumed {
        Some(state) => {
            let [weights] = state.read_tensors(&options.out, ["weights"])?;
            (weights, true)
        }
        None => {
            let path = options.base.join("model.safetensors");
            let wider = options.words_from.as_ref().map(|folder| folder.join("model.safetensors"));
            let start = load(&path, wider.as_deref(), &layout, vocabulary.rows())?;
            if start.context > 0 && recipe.context_units() == 0 {
                ensure!(
                    recipe.context.is_some(),
                    "{} has a context stage, and the recipe has no [context]: give it `hidden = {}` there to keep the \
                     stage, or `hidden = 0` to leave it out",
                    path.display(),
                    start.context
                );
                log.say("the context stage of the base is left out");
            }
            (start.weights, start.has_heads)
        }
    };
    ensure!(weights.size() == [layout.len()], "the checkpoint is of a model of another size");

    let max_tokens = recipe.model.max_tokens;
    let mut rows = Vec::new();
    for (source, examples) in sources {
        let ids = encode_examples(&vocabulary, &examples, max_tokens)?;
        let units = units(&examples, ids, &source, recipe.context_units() > 0);
        rows.push((source, units));
    }
    let dev = Dev {
        stories: measured(&at(&recipe.dev.stories), Format::Stories, &vocabulary, max_tokens, log)?,
        polar: recipe
            .dev
            .polar
            .as_ref()
            .map(|path| measured(&at(path), Format::Sentences, &vocabulary, max_tokens, log))
            .transpose()?,
    };
    let stream = Stream::new(recipe.train.seed, pool_size(&rows, &recipe.train), rows);
    Ok(Setup { base, config, layout, vocabulary, weights, has_heads, stream, dev })
}

/// Reads labelled text, and says which keys of its rows are not used: a misspelt one would be among them.
fn read(path: &Path, format: Format, texts: Option<&Path>, log: &Log) -> Result<Vec<Example>> {
    let table = data::read(path, format, texts)?;
    if !table.unused.is_empty() {
        let keys: Vec<&str> = table.unused.iter().map(String::as_str).collect();
        log.say(&format!("{}: keys that are not used: {}", path.display(), keys.join(", ")));
    }
    Ok(table.examples)
}

/// The configuration of the base, as transformers has it, and the file that it is from: `config.json`, or for a
/// quantized model its `model.toml`.
fn base_config(base: &Path) -> Result<(PathBuf, Value)> {
    let path = base.join("config.json");
    let own = base.join("model.toml");
    if path.is_file() || !own.is_file() {
        let json = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let config = serde_json::from_slice(&json).with_context(|| format!("in {}", path.display()))?;
        return Ok((path, config));
    }
    let text = fs::read_to_string(&own).with_context(|| format!("cannot read {}", own.display()))?;
    let table: toml::Table = toml::from_str(&text).with_context(|| format!("in {}", own.display()))?;
    let said = json!(table);
    let encoder = &said["encoder"];
    let config = json!({
        "model_type": encoder["kind"],
        "hidden_act": "gelu",
        "vocab_size": encoder["vocabulary"],
        "max_position_embeddings": encoder["positions"],
        "type_vocab_size": encoder["token_types"],
        "hidden_size": encoder["hidden"],
        "num_hidden_layers": encoder["layers"],
        "num_attention_heads": encoder["heads"],
        "intermediate_size": encoder["intermediate"],
        "layer_norm_eps": encoder["norm_epsilon"],
        "heads": {"events": {"labels": said["events"]["labels"]}},
    });
    Ok((own, config))
}

/// Token ids of texts, cut to `max_tokens` with the last special token kept.
fn encode(vocabulary: &Vocabulary, texts: &[&str], max_tokens: usize) -> Result<Vec<Vec<u32>>> {
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

fn encode_examples(
    vocabulary: &Vocabulary,
    examples: &[Example],
    max_tokens: usize,
) -> Result<Vec<Vec<u32>>> {
    let texts: Vec<&str> = examples.iter().map(|example| example.text.as_str()).collect();
    encode(vocabulary, &texts, max_tokens)
}

fn measured(
    path: &Path,
    format: Format,
    vocabulary: &Vocabulary,
    max_tokens: usize,
    log: &Log,
) -> Result<Measured> {
    let examples = read(path, format, None, log)?;
    let ids = encode_examples(vocabulary, &examples, max_tokens)?;
    Ok(Measured { examples, ids })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantized_model_can_be_the_base() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/model");
        let (path, json) = base_config(&folder).unwrap();
        assert_eq!(path, folder.join("model.toml"));
        assert_eq!(json["heads"]["events"]["labels"], json!(data::event_labels()));
        let mut config = Config::from_json(&json).unwrap();
        assert_eq!((config.vocab_size, config.hidden_size, config.num_hidden_layers), (13_500, 384, 6));
        // The words of the shipped model are its int8 numbers times the scale of their row.
        config.num_hidden_layers = 1;
        let layout = Layout::new(&config, 0);
        let rows: Vec<i64> = (0..13_500).rev().collect();
        let start = load(&folder.join("model.safetensors"), None, &layout, &rows).unwrap();
        assert!(start.has_heads && start.context == 64);
        let stored = Tensor::read_safetensors(folder.join("model.safetensors")).unwrap();
        let stored = |name: &str| {
            stored.iter().find(|(other, _)| other == name).map(|(_, tensor)| tensor.shallow_clone()).unwrap()
        };
        for name in
            ["bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.intermediate.dense.weight"]
        {
            let (_, found) =
                layout.views(&start.weights).into_iter().find(|(other, _)| other == name).unwrap();
            let last = found.size()[0] - 1;
            let row = if name.contains("word") { 13_500 - 1 - last } else { last };
            let scale = stored(&format!("{name}.scale")).double_value(&[row]);
            let (found, whole) = (found.double_value(&[last, 3]), stored(name).double_value(&[row, 3]));
            assert!((found - whole * scale).abs() < 1e-6, "{name}: {found}, {whole} times {scale}");
        }
        assert!(base_config(&folder.join("nothing")).unwrap_err().to_string().contains("config.json"));
    }
}
