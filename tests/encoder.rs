//! The built-in encoder against its reference, against itself, and against a golden file of exact bits.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fmt::Write;
use std::path::PathBuf;

use amends::{Encoder, Model, Precision, TokenBatch, quantize};
use rayon::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A path in the data that is kept beside the repository, or `None` with a printed line.
fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("AMENDS_SHARED").map_or_else(|| repository("../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    println!("skipped: no {}", found.display());
    None
}

#[derive(Deserialize)]
struct Golden {
    text: String,
    ids: Vec<u32>,
    sentiment: Vec<f32>,
    events: Vec<f32>,
}

fn golden() -> Vec<Golden> {
    let text = std::fs::read_to_string(repository("tests/golden/v0.jsonl")).unwrap();
    text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn tokenizer(model: &Model) -> Tokenizer {
    let mut tokenizer = Tokenizer::from_bytes(model.tokenizer_json()).unwrap();
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).unwrap();
    tokenizer
}

/// The golden sentences in the ids of `model`, cut to what its encoder takes.
fn sequences_of(model: &Model) -> Vec<Vec<u32>> {
    let tokenizer = tokenizer(model);
    golden()
        .iter()
        .map(|case| {
            let mut ids = tokenizer.encode(case.text.as_str(), true).unwrap().get_ids().to_vec();
            ids.truncate(model.max_tokens());
            ids
        })
        .collect()
}

fn vectors(encoder: &dyn Encoder, sequences: &[&[u32]]) -> Vec<f32> {
    let mut batch = TokenBatch::new();
    for ids in sequences {
        batch.push(ids);
    }
    let mut out = vec![f32::NAN; batch.len() * encoder.dim()];
    encoder.encode(&batch, &mut out).unwrap();
    out
}

/// Logits of sentiment and events.
type Logits = (Vec<f32>, Vec<f32>);

/// The logits of each sequence.
fn logits(model: &Model, sequences: &[&[u32]]) -> Vec<Logits> {
    let encoder = model.encoder();
    let vectors = vectors(&*encoder, sequences);
    let events = model.event_head().expect("an event head");
    vectors
        .chunks_exact(encoder.dim())
        .map(|vector| {
            let mut pair = (vec![0.0; 3], vec![0.0; events.outputs()]);
            model.sentiment_head().logits(vector, &mut pair.0);
            events.logits(vector, &mut pair.1);
            pair
        })
        .collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn argmax(values: &[f32]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap()
}

#[test]
fn f32_logits_equal_the_reference() {
    let Some(dir) = shared("models/v0") else { return };
    let model = Model::from_dir(dir, Precision::F32).unwrap();
    let tokenizer = tokenizer(&model);
    let golden = golden();
    assert!(golden.len() >= 200, "{} sentences", golden.len());
    for case in &golden {
        let ids = tokenizer.encode(case.text.as_str(), true).unwrap();
        assert_eq!(ids.get_ids(), case.ids, "{:?}", case.text);
    }
    let sequences: Vec<&[u32]> = golden.iter().map(|case| &case.ids[..]).collect();
    let mut worst = 0.0f32;
    for (case, (sentiment, events)) in golden.iter().zip(logits(&model, &sequences)) {
        let difference =
            largest_difference(&sentiment, &case.sentiment).max(largest_difference(&events, &case.events));
        assert!(difference <= 1e-4, "{:?} differs by {difference}", case.text);
        worst = worst.max(difference);
    }
    println!("{} sentences, largest difference of a logit {worst:e}", golden.len());
}

/// The int8 logits of the model in the repository, bit for bit.
///
/// After a change that is meant to change them: `AMENDS_BLESS=1 cargo test --test encoder`.
#[cfg(feature = "embedded")]
#[test]
fn int8_logits_are_these_bits() {
    let model = Model::embedded().unwrap();
    let golden = golden();
    let ids = sequences_of(&model);
    let sequences: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
    let mut found =
        format!("# {}: bits of the three sentiment logits, SHA-256 of those of the events\n", model.id());
    for (sentiment, events) in logits(&model, &sequences) {
        let bytes: Vec<u8> = events.iter().flat_map(|value| value.to_le_bytes()).collect();
        for value in sentiment {
            write!(found, "{:08x} ", value.to_bits()).unwrap();
        }
        for byte in &Sha256::digest(&bytes)[..8] {
            write!(found, "{byte:02x}").unwrap();
        }
        found.push('\n');
    }
    let path = repository("tests/golden/int8.txt");
    if std::env::var_os("AMENDS_BLESS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(found.lines().count(), expected.lines().count());
    let wrong: Vec<&str> = found
        .lines()
        .zip(expected.lines())
        .skip(1)
        .zip(&golden)
        .filter(|((a, b), _)| a != b)
        .map(|(_, case)| case.text.as_str())
        .collect();
    assert!(wrong.is_empty(), "{} of {} sentences differ: {wrong:?}", wrong.len(), golden.len());
    assert_eq!(found.lines().next(), expected.lines().next());
}

#[cfg(feature = "embedded")]
#[test]
fn the_embedded_model_is_the_folder() {
    let folder = Model::from_dir(repository("data/model"), Precision::Int8).unwrap();
    let embedded = Model::embedded().unwrap();
    assert_eq!(folder.id(), embedded.id());
    assert_eq!(folder.weights_sha256(), embedded.weights_sha256());
    assert_eq!(folder.tokenizer_json(), embedded.tokenizer_json());
    let ids = &sequences_of(&folder)[0][..];
    assert_eq!(bits(&vectors(&*folder.encoder(), &[ids])), bits(&vectors(&*embedded.encoder(), &[ids])));
}

#[test]
fn a_vector_depends_on_its_sequence_alone() {
    let golden = golden();
    for precision in [Precision::Int8, Precision::F32] {
        let model = Model::from_dir(repository("data/model"), precision).unwrap();
        let ids = sequences_of(&model);
        let sequences: Vec<&[u32]> = ids.iter().map(Vec::as_slice).collect();
        let encoder = model.encoder();
        let dim = encoder.dim();
        let together = vectors(&*encoder, &sequences);
        let alone: Vec<f32> = sequences
            .iter()
            .step_by(5)
            .flat_map(|ids| vectors(&*encoder, std::slice::from_ref(ids)))
            .collect();
        let every_fifth: Vec<f32> = together.chunks_exact(dim).step_by(5).flatten().copied().collect();
        assert_eq!(bits(&alone), bits(&every_fifth), "{precision:?}: one by one");

        let mut order: Vec<usize> = (0..sequences.len()).collect();
        let mut state = 1u64;
        for round in 0..3 {
            for i in (1..order.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                order.swap(i, (state >> 33) as usize % (i + 1));
            }
            let chunk = [1 + (state >> 40) as usize % 7, 23, 228][round];
            let pool = rayon::ThreadPoolBuilder::new().num_threads([1, 2, 5][round]).build().unwrap();
            let shuffled: Vec<Vec<f32>> = pool.install(|| {
                order
                    .par_chunks(chunk)
                    .map(|rows| {
                        vectors(&*encoder, &rows.iter().map(|&row| sequences[row]).collect::<Vec<_>>())
                    })
                    .collect()
            });
            let shuffled: Vec<f32> = shuffled.into_iter().flatten().collect();
            for (vector, &row) in shuffled.chunks_exact(dim).zip(&order) {
                assert_eq!(
                    bits(vector),
                    bits(&together[row * dim..(row + 1) * dim]),
                    "{precision:?}, chunks of {chunk}: {:?}",
                    golden[row].text
                );
            }
        }
    }
}

#[test]
fn quantizing_at_load_and_by_the_tool_give_the_same_bits() {
    let Some(dir) = shared("models/v0") else { return };
    let out = std::env::temp_dir().join(format!("amends-quantize-{}", std::process::id()));
    quantize(&dir, &out, Some("copy"), None).unwrap();
    let at_load = Model::from_dir(&dir, Precision::Int8).unwrap();
    let by_tool = Model::from_dir(&out, Precision::Int8).unwrap();
    let file = std::fs::read(out.join("model.safetensors")).unwrap();
    std::fs::remove_dir_all(&out).unwrap();
    assert_eq!(by_tool.name(), "copy");
    // What is not quantized is stored as it was, and no place is kept that no sequence reaches.
    let stored = safetensors::SafeTensors::deserialize(&file).unwrap();
    let form =
        |name: &str| stored.tensor(name).map(|tensor| (tensor.dtype(), tensor.shape().to_vec())).unwrap();
    assert_eq!(form("sentiment.weight"), (safetensors::Dtype::F16, vec![3, 384]));
    let positions = form("bert.embeddings.position_embeddings.weight");
    assert_eq!(positions, (safetensors::Dtype::I8, vec![by_tool.encoder().max_tokens(), 384]));
    let golden = golden();
    let sequences: Vec<&[u32]> = golden.iter().take(40).map(|case| &case.ids[..]).collect();
    assert_eq!(
        bits(&vectors(&*at_load.encoder(), &sequences)),
        bits(&vectors(&*by_tool.encoder(), &sequences))
    );
}

#[test]
fn what_cannot_be_encoded_is_an_error() {
    let model = Model::from_dir(repository("data/model"), Precision::Int8).unwrap();
    let encoder = model.encoder();
    let mut out = vec![0.0; encoder.dim()];
    let most = encoder.max_tokens();
    let too_long = vec![1; most + 1];
    let rows = tokenizer(&model).get_vocab_size(true);
    let unknown = [1, u32::try_from(rows).unwrap(), 2];
    for (ids, message) in [
        (&[][..], format!("a sequence of 0 tokens, 1 to {most} allowed")),
        (&too_long[..], format!("a sequence of {} tokens, 1 to {most} allowed", most + 1)),
        (&unknown[..], format!("token {rows}, the vocabulary has {rows}")),
    ] {
        let mut batch = TokenBatch::new();
        batch.push(ids);
        assert_eq!(encoder.encode(&batch, &mut out).unwrap_err().to_string(), message);
    }
    let mut batch = TokenBatch::new();
    batch.push(&[1, 2]);
    let message = encoder.encode(&batch, &mut out[1..]).unwrap_err().to_string();
    assert_eq!(message, "room for 383 numbers, 384 needed");
    encoder.encode(&TokenBatch::new(), &mut []).unwrap();
}

#[derive(Deserialize)]
struct Story {
    text: String,
    sentences: Vec<Gold>,
}

#[derive(Deserialize)]
struct Gold {
    start: usize,
    end: usize,
}

#[test]
fn int8_agrees_with_f32() {
    let (Some(dir), Some(dev)) = (shared("models/v0"), shared("data/events/dev.jsonl")) else { return };
    let float = Model::from_dir(&dir, Precision::F32).unwrap();
    let int8 = Model::from_dir(&dir, Precision::Int8).unwrap();
    let tokenizer = tokenizer(&float);
    let stories: Vec<Story> = std::fs::read_to_string(dev)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<Vec<u32>> = stories
        .iter()
        .flat_map(|story| story.sentences.iter().map(|gold| &story.text[gold.start..gold.end]))
        .map(|sentence| tokenizer.encode(sentence, true).unwrap().get_ids().to_vec())
        .map(|mut ids| {
            ids.truncate(float.max_tokens());
            ids
        })
        .collect();
    let sequences: Vec<&[u32]> = ids.iter().map(|ids| &ids[..]).collect();
    let (float, int8) = (logits(&float, &sequences), logits(&int8, &sequences));
    let same = float.iter().zip(&int8).filter(|(a, b)| argmax(&a.0) == argmax(&b.0)).count();
    let share = same as f64 / sequences.len() as f64;
    let mean = |pick: fn(&Logits) -> &Vec<f32>| {
        let pairs = || float.iter().zip(&int8).flat_map(|(a, b)| pick(a).iter().zip(pick(b)));
        pairs().map(|(a, b)| f64::from((a - b).abs())).sum::<f64>() / pairs().count() as f64
    };
    // An event is said where its probability is at least 0.25, as the model's own figures were made.
    let said = |row: &Logits| -> Vec<bool> { row.1.iter().map(|logit| *logit >= -1.098_612_3).collect() };
    let (mut either, mut both) = (0, 0);
    for (a, b) in float.iter().zip(&int8) {
        for (a, b) in said(a).into_iter().zip(said(b)) {
            either += usize::from(a || b);
            both += usize::from(a && b);
        }
    }
    println!(
        "{} sentences: {:.2} % of sentiment labels agree, {both} of {either} events; mean difference of logits: sentiment {:.4}, events {:.4}",
        sequences.len(),
        100.0 * share,
        mean(|row| &row.0),
        mean(|row| &row.1)
    );
    assert!(share >= 0.99, "{share}");
}
