//! Model folders that are damaged, wrong or hostile: always a typed error that says what is wrong, never a panic.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;

use amends::{EventType, LoadError, LoadErrorKind, Model, Precision, Status, TokenBatch};
use proptest::prelude::*;
use safetensors::Dtype;

#[path = "support/small_model.rs"]
mod small_model;
use small_model::{Files, Folder, HIDDEN, Tensors, WORDS, floats};

/// What is done to a sound model's tensors.
type Change = fn(&mut Tensors);

fn load(folder: &Folder) -> Result<Model, LoadError> {
    Model::from_dir(&folder.0, Precision::Int8)
}

/// Loads a folder that must be refused, in both precisions alike.
#[track_caller]
fn refused(folder: &Folder, kind: LoadErrorKind, file: &str, message: &str) {
    for precision in [Precision::Int8, Precision::F32] {
        let error = Model::from_dir(&folder.0, precision).expect_err(message);
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.path(), Some(folder.0.join(file).as_path()), "{error}");
        assert!(error.to_string().contains(message), "{error}\nwithout: {message}");
    }
}

fn vector(model: &Model, ids: &[u32]) -> Result<Vec<f32>, amends::AnalyzeError> {
    let encoder = model.encoder();
    let mut batch = TokenBatch::new();
    batch.push(ids);
    let mut out = vec![0.0; encoder.dim()];
    encoder.encode(&batch, &mut out).map(|()| out)
}

const WEIGHTS: &str = "model.safetensors";

#[test]
fn a_sound_model_loads() {
    let folder = Files::sound().write("sound");
    let model = load(&folder).unwrap();
    assert_eq!((model.name(), model.max_tokens(), model.precision()), ("small", 16, Precision::Int8));
    assert_eq!(model.id(), format!("small@sha256:{}", &model.weights_sha256()[..8]));
    assert_eq!(model.event_threshold(&EventType::Delay, Status::Absent), Some(0.25));
    assert_eq!(model.event_threshold(&EventType::Delay, Status::Occurred), None);
    assert_eq!(model.tensor("context.gate.weight").unwrap().shape(), [2, HIDDEN]);
    assert_eq!(model.tensor("context.gate.bias").unwrap().data().len(), 2);
    assert!(model.tensor("sentiment.weight").is_none());
    assert_eq!(model.context().unwrap()["kind"].as_str(), Some("gate"));
    let vector = vector(&model, &[1, 2, 3]).unwrap();
    assert!(vector.iter().all(|value| value.abs() <= 1.0));
}

#[test]
fn heads_are_sorted_by_their_labels() {
    let mut files = Files::sound();
    let turn = |description: &str| {
        description
            .replace("\"negative\", \"neutral\", \"positive\"", "\"positive\", \"negative\", \"neutral\"")
    };
    let with_context = turn(&files.description);
    files.description.truncate(files.description.find("[context]").unwrap());
    let in_order = load(&files.write("in-order")).unwrap();
    files.description = turn(&files.description);
    let turned = load(&files.write("turned")).unwrap();
    let vector = vector(&in_order, &[5, 6]).unwrap();
    let (mut a, mut b) = ([0.0; 3], [0.0; 3]);
    in_order.sentiment_head().logits(&vector, &mut a);
    turned.sentiment_head().logits(&vector, &mut b);
    assert_eq!(b, [a[1], a[2], a[0]]);
    // What the context stage adds is not sorted, so it must not need to be.
    files.description = with_context;
    refused(&files.write("turned-context"), LoadErrorKind::Labels, WEIGHTS, "in amends' own order");
}

#[test]
fn missing_files() {
    for name in ["model.toml", "tokenizer.json", WEIGHTS] {
        let folder = Files::sound().write(&format!("without-{name}"));
        std::fs::remove_file(folder.0.join(name)).unwrap();
        // Without a description of its own, a folder is expected to have one of transformers.
        let file = if name == "model.toml" { "config.json" } else { name };
        refused(&folder, LoadErrorKind::Io, file, "cannot read");
    }
    assert_eq!(
        Model::from_dir(Path::new("/nowhere"), Precision::Int8).unwrap_err().kind(),
        LoadErrorKind::Io
    );
}

#[test]
fn weights_that_are_no_safetensors_file() {
    let files = Files::sound();
    let weights = files.weights();
    let mut absurd = weights.clone();
    absurd[..8].copy_from_slice(&100_000_000_000u64.to_le_bytes());
    let mut largest = weights.clone();
    largest[..8].fill(0xff);
    for (name, weights) in [
        ("empty", Vec::new()),
        ("short", weights[..5].to_vec()),
        ("cut-header", weights[..200].to_vec()),
        ("cut-data", weights[..weights.len() - 1].to_vec()),
        ("longer", [&weights[..], &[0]].concat()),
        ("absurd-header", absurd),
        ("largest-header", largest),
        ("pickle", b"\x80\x02}q\x00(X\x06\x00\x00\x00weightq\x01".to_vec()),
    ] {
        let folder = files.write_with(name, &weights);
        let message = format!("not a safetensors file, or a damaged one ({} bytes)", weights.len());
        refused(&folder, LoadErrorKind::Format, WEIGHTS, &message);
    }
}

#[test]
fn tensors_that_do_not_fit() {
    let query = "bert.encoder.layer.0.attention.self.query.weight";
    let words = "bert.embeddings.word_embeddings.weight";
    let cases: [(&str, Change, &str); 9] = [
        (
            "missing",
            |tensors| drop(tensors.remove("bert.encoder.layer.0.output.dense.weight")),
            "tensor \"bert.encoder.layer.0.output.dense.weight\": missing",
        ),
        (
            "shape",
            |tensors| {
                let narrow = floats(&[HIDDEN, HIDDEN - 1], &[0.0; HIDDEN * (HIDDEN - 1)]);
                tensors.insert("bert.encoder.layer.0.attention.self.query.weight".into(), narrow);
            },
            "tensor \"bert.encoder.layer.0.attention.self.query.weight\": expected shape [64, 64], found [64, 63]",
        ),
        (
            "rank",
            |tensors| {
                tensors.insert("sentiment.bias".into(), floats(&[3, 1], &[0.0; 3]));
            },
            "tensor \"sentiment.bias\": expected shape [3], found [3, 1]",
        ),
        (
            "rows",
            |tensors| {
                let more = floats(&[WORDS + 1, HIDDEN], &[0.0; (WORDS + 1) * HIDDEN]);
                tensors.insert("bert.embeddings.word_embeddings.weight".into(), more);
            },
            "tensor \"bert.embeddings.word_embeddings.weight\": expected shape [20, 64], found [21, 64]",
        ),
        (
            "nan",
            |tensors| poke(tensors, "bert.encoder.layer.0.attention.self.query.weight", 5, f32::NAN),
            "tensor \"bert.encoder.layer.0.attention.self.query.weight\": number 5 of 4096 is NaN",
        ),
        (
            "infinite",
            |tensors| poke(tensors, "events.bias", 71, f32::NEG_INFINITY),
            "tensor \"events.bias\": number 71 of 72 is -inf",
        ),
        (
            "extra-nan",
            |tensors| poke(tensors, "context.gate.bias", 0, f32::NAN),
            "tensor \"context.gate.bias\": number 0 of 2 is NaN",
        ),
        (
            "type",
            |tensors| {
                tensors.insert("sentiment.bias".into(), (Dtype::I64, vec![3], vec![0; 24]));
            },
            "tensor \"sentiment.bias\": expected type F32, F16, BF16 or I8, found I64",
        ),
        (
            "no-scale",
            |tensors| {
                let bytes = vec![1; HIDDEN * HIDDEN];
                let name = "bert.encoder.layer.0.attention.self.query.weight";
                tensors.insert(name.into(), (Dtype::I8, vec![HIDDEN, HIDDEN], bytes));
            },
            "tensor \"bert.encoder.layer.0.attention.self.query.weight.scale\": missing",
        ),
    ];
    for (name, change, message) in cases {
        let mut files = Files::sound();
        assert!(files.tensors.contains_key(query) && files.tensors.contains_key(words));
        change(&mut files.tensors);
        refused(&files.write(name), LoadErrorKind::Tensor, WEIGHTS, message);
    }
}

fn poke(tensors: &mut Tensors, name: &str, index: usize, value: f32) {
    tensors.get_mut(name).unwrap().2[index * 4..][..4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn quantized_tensors_that_do_not_fit() {
    let name = "bert.encoder.layer.0.attention.self.query.weight";
    let mut files = Files::sound();
    let scale = format!("{name}.scale");
    files.tensors.insert(name.into(), (Dtype::I8, vec![HIDDEN, HIDDEN], vec![64; HIDDEN * HIDDEN]));
    files.tensors.insert(scale.clone(), floats(&[HIDDEN], &[0.01; HIDDEN]));
    load(&files.write("seven-bits")).unwrap();

    files.tensors.get_mut(name).unwrap().2[9] = 65;
    refused(
        &files.write("eight-bits"),
        LoadErrorKind::Tensor,
        WEIGHTS,
        "query.weight\": number 9 is 65, the limit is 64",
    );
    files.tensors.get_mut(name).unwrap().2[9] = 0;
    poke(&mut files.tensors, &scale, 3, -0.5);
    refused(
        &files.write("negative-scale"),
        LoadErrorKind::Tensor,
        WEIGHTS,
        "query.weight.scale\": row 3 has the negative scale -0.5",
    );
    files.tensors.insert(scale, floats(&[HIDDEN - 1], &[0.01; HIDDEN - 1]));
    refused(
        &files.write("few-scales"),
        LoadErrorKind::Tensor,
        WEIGHTS,
        "query.weight.scale\": expected shape [64], found [63]",
    );
}

#[test]
fn finite_weights_that_overflow_are_an_error_of_the_forward() {
    let mut files = Files::sound();
    for row in 0..WORDS * HIDDEN {
        let sign = if row % 2 == 0 { 1.0 } else { -1.0 };
        poke(&mut files.tensors, "bert.embeddings.word_embeddings.weight", row, sign * f32::MAX);
        poke(&mut files.tensors, "bert.embeddings.position_embeddings.weight", row % (16 * HIDDEN), f32::MAX);
    }
    let folder = files.write("overflow");
    for precision in [Precision::Int8, Precision::F32] {
        let model = Model::from_dir(&folder.0, precision).unwrap();
        let error = vector(&model, &[1, 2, 3]).unwrap_err();
        assert_eq!(error.to_string(), "the model's weights lead to numbers that are not finite");
    }
}

#[test]
fn vocabulary_and_embeddings_disagree() {
    for (words, message) in [
        (WORDS + 1, "the vocabulary has 21 tokens, the model's word embeddings have 20 rows"),
        (3, "the vocabulary has 3 tokens, the model's word embeddings have 20 rows"),
        (0, "the vocabulary has 0 tokens, the model's word embeddings have 20 rows"),
    ] {
        let mut files = Files::sound();
        let words: Vec<String> = (0..words).map(|id| format!("\"w{id}\": {id}")).collect();
        files.tokenizer = format!("{{\"model\": {{\"vocab\": {{{}}}}}}}", words.join(", "));
        refused(&files.write("vocabulary"), LoadErrorKind::Tokenizer, "tokenizer.json", message);
    }
    for (name, tokenizer) in
        [("no-json", "["), ("list", "{\"model\": {\"vocab\": [[\"a\", 0]]}}"), ("deep", &"[".repeat(100_000))]
    {
        let mut files = Files::sound();
        files.tokenizer = tokenizer.into();
        refused(
            &files.write(name),
            LoadErrorKind::Tokenizer,
            "tokenizer.json",
            "not a tokenizer with a map as vocabulary",
        );
    }
}

#[test]
fn descriptions_that_do_not_fit() {
    use LoadErrorKind::{Format, Labels, Unsupported};
    for (from, to, kind, message) in [
        ("format = 1", "format = 2", Unsupported, "model format 2, this version reads 1"),
        ("\"bert\"", "\"gru\"", Unsupported, "encoder kind \"gru\", \"bert\" is supported"),
        ("hidden = 64", "hidden = 0", Format, "hidden is 0, expected 1 to 16384"),
        ("layers = 1", "layers = 100000", Format, "layers is 100000, expected 1 to 256"),
        ("positions = 16", "positions = 9999999999", Format, "positions is 9999999999, expected 1 to 65536"),
        ("max_tokens = 16", "max_tokens = 17", Format, "max_tokens is 17, expected 3 to 16"),
        ("norm_epsilon = 1e-12", "norm_epsilon = nan", Format, "norm_epsilon is NaN, expected 0 to 1"),
        ("= 0.25", "= 1.5", Format, "threshold of \"delay:absent\" is 1.5, expected 0 to 1"),
        ("[encoder]", "[encoder", Format, "not a model description"),
        ("heads = 2", "heads = 2\nhads = 2", Format, "not a model description"),
    ] {
        let mut files = Files::sound();
        files.description = files.description.replacen(from, to, 1);
        refused(&files.write("description"), kind, "model.toml", message);
    }
    // Found out together with the weights.
    for (from, to, kind, message) in [
        ("\"neutral\", ", "", Labels, "sentiment head: expected 3 labels, found 2"),
        ("\"neutral\"", "\"mixed\"", Labels, "sentiment head: no label \"neutral\""),
        ("\"delay:absent\"", "\"delay:never\"", Labels, "events head: no label \"delay:absent\""),
        (
            "heads = 2",
            "heads = 3",
            Unsupported,
            "hidden size 64 over 3 heads: heads of 32 or 64 are supported",
        ),
        ("layers = 1", "layers = 2", LoadErrorKind::Tensor, "layer.1.attention.self.query.weight\": missing"),
    ] {
        let mut files = Files::sound();
        files.description = files.description.replacen(from, to, 1);
        refused(&files.write("labels"), kind, WEIGHTS, message);
    }
}

#[test]
fn checksums_are_verified_where_they_are() {
    let files = Files::sound();
    let folder = files.write("checksums");
    let line = |name: &str| {
        use sha2::{Digest, Sha256};
        let bytes = std::fs::read(folder.0.join(name)).unwrap();
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{digest}  {name}\n")
    };
    let names = ["model.toml", "tokenizer.json", WEIGHTS];
    let sound: String = names.iter().map(|name| line(name)).collect();
    let write = |text: &str| std::fs::write(folder.0.join("SHA256SUMS"), text).unwrap();
    write(&sound);
    load(&folder).unwrap();
    for name in names {
        let right = line(name);
        let wrong = format!("{}{}", "0".repeat(64), &right[64..]);
        write(&sound.replace(&right, &wrong));
        refused(
            &folder,
            LoadErrorKind::Checksum,
            name,
            &format!("checksum mismatch: SHA256SUMS says {}", "0".repeat(64)),
        );
        write(&sound.replace(&right, ""));
        refused(&folder, LoadErrorKind::Checksum, name, "not listed in SHA256SUMS");
    }
    for text in ["abc  model.toml\n", "no sums", &format!("{}  ../secret\n", "0".repeat(64))] {
        write(text);
        refused(
            &folder,
            LoadErrorKind::Format,
            "SHA256SUMS",
            "expected a SHA-256 digest, two spaces and a file name",
        );
    }
    // One flipped bit of a weight, which nothing else could notice.
    write(&sound);
    let mut weights = files.weights();
    let last = weights.len() - 2;
    weights[last] ^= 1;
    std::fs::write(folder.0.join(WEIGHTS), weights).unwrap();
    refused(&folder, LoadErrorKind::Checksum, WEIGHTS, "checksum mismatch");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bytes are changed or cut, loading ends in a model whose forward ends, or in an error.
    #[test]
    fn damage_never_panics(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_header in any::<bool>(),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let files = Files::sound();
        let mut weights = files.weights();
        let header = 8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
        let range = if in_header { header } else { weights.len() };
        for (at, byte) in flips {
            weights[at.index(range)] = byte;
        }
        if let Some(cut) = cut {
            weights.truncate(cut.index(weights.len()));
        }
        let folder = files.write_with("damaged", &weights);
        if let Ok(model) = load(&folder) {
            let _ = vector(&model, &[1, 2, 3]);
        }
    }
}
