//! Models of amends' own: what the trainer writes, and the shipped one.

use super::*;

/// A folder as `examples/train` writes it, with heads, context stage and weights in f16, out of the shipped model.
fn trainers_export(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("torch-export-{test}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/model");
    fs::copy(shipped.join("tokenizer.json"), folder.join("tokenizer.json")).unwrap();
    let stored = Tensor::read_safetensors(shipped.join("model.safetensors")).unwrap();
    let scale = |name: &str| stored.iter().find(|(other, _)| *other == format!("{name}.scale"));
    let tensors: Vec<(String, Tensor)> = stored
        .iter()
        .filter(|(name, _)| !name.ends_with(".scale"))
        .map(|(name, tensor)| {
            let tensor = tensor.to_kind(Kind::Float);
            let whole = scale(name).map(|(_, scale)| &tensor * scale.unsqueeze(1)).unwrap_or(tensor);
            (name.clone(), whole.to_kind(Kind::Half))
        })
        .collect();
    Tensor::write_safetensors(&tensors, folder.join("model.safetensors")).unwrap();
    let said: toml::Table = toml::from_str(&fs::read_to_string(shipped.join("model.toml")).unwrap()).unwrap();
    let (encoder, events) = (&said["encoder"], &said["events"]);
    let config = json!({
        "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu",
        "attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0.1, "initializer_range": 0.02,
        "vocab_size": encoder["vocabulary"], "max_position_embeddings": encoder["positions"],
        "type_vocab_size": encoder["token_types"], "hidden_size": encoder["hidden"],
        "num_hidden_layers": encoder["layers"], "num_attention_heads": encoder["heads"],
        "intermediate_size": encoder["intermediate"], "layer_norm_eps": encoder["norm_epsilon"],
        "pad_token_id": 0, "max_tokens": 64,
        "heads": {
            "input": "pooler_output (tanh of the pooler dense layer on the first token)",
            "sentiment": {"activation": "softmax", "labels": ["negative", "neutral", "positive"], "temperature": 1.6},
            "events": {
                "activation": "sigmoid", "labels": events["labels"], "temperature": events["temperature"], "threshold": 0.3,
            },
        },
        "context": said["context"],
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    folder
}

#[test]
fn the_trainers_export_runs_with_its_heads_and_context() {
    let folder = trainers_export("runs");
    let torch = Engine::from_torch(&folder, &TorchOptions::new()).unwrap();
    let own = Engine::from_model(&Model::from_dir(&folder, Precision::F32).unwrap()).unwrap();
    assert_eq!(torch.name(), own.name());
    assert_eq!((torch.encoder().max_tokens(), own.encoder().max_tokens()), (64, 64));
    assert!(torch.heads().has_events());
    let story = [
        "They promised to call me back the same day.",
        "They never did.",
        "On the third day a woman rang, apologised and sent a new one, which arrived within the hour.",
    ];
    let polarity = |engine: &Engine, story: &[&str]| -> Vec<f32> {
        engine.sentiments(story).unwrap().iter().map(|found| found.positive() - found.negative()).collect()
    };
    let (a, b) = (polarity(&torch, &story), polarity(&own, &story));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4), "{a:?} {b:?}");
    let probs = |engine: &Engine| -> Vec<f32> {
        let found = engine.event_probs(&story).unwrap();
        found.iter().flat_map(|found| found.as_ref().unwrap().as_flattened().to_vec()).collect()
    };
    let (probs_a, probs_b) = (probs(&torch), probs(&own));
    assert!(probs_a.iter().zip(&probs_b).all(|(a, b)| (a - b).abs() < 1e-4));
    // The context stage is at work: the same sentence means something else by itself.
    assert!((polarity(&torch, &story[1..2])[0] - a[1]).abs() > 1e-3);
    assert!(Analyzer::builder().torch_dir(&folder, TorchOptions::new()).build().is_ok());
}

#[test]
fn own_models_that_are_broken_are_refused_by_name() {
    let refused = |folder: &Path, kind: LoadErrorKind, file: &str, words: &str| {
        let error = Engine::from_torch(folder, &TorchOptions::new()).unwrap_err();
        assert_eq!((error.kind(), error.path()), (kind, Some(&*folder.join(file))), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let folder = trainers_export("broken");
    edit_tensors(&folder, |tensors| tensors.retain(|(name, _)| name != "context.gru.weight_hh_l0_reverse"));
    refused(&folder, LoadErrorKind::Tensor, "model.safetensors", "context.gru.weight_hh_l0_reverse");

    let folder = trainers_export("broken");
    edit_config(&folder, |config| config["context"]["hidden_size"] = json!(32));
    refused(
        &folder,
        LoadErrorKind::Tensor,
        "model.safetensors",
        "expected shape [96, 384], found [192, 384]",
    );

    let folder = trainers_export("broken");
    edit_config(&folder, |config| config["heads"]["events"]["labels"][4] = json!("delay:perhaps"));
    refused(&folder, LoadErrorKind::Labels, "model.safetensors", "delay:absent");

    let folder = trainers_export("broken");
    edit_tensors(&folder, |tensors| tensors.retain(|(name, _)| name != "sentiment.bias"));
    refused(&folder, LoadErrorKind::Tensor, "model.safetensors", "sentiment.bias");

    let folder = trainers_export("broken");
    let digest = "0".repeat(64);
    let sums = ["config.json", "model.safetensors", "tokenizer.json"].map(|name| format!("{digest}  {name}"));
    fs::write(folder.join("SHA256SUMS"), sums.join("\n")).unwrap();
    refused(&folder, LoadErrorKind::Checksum, "config.json", "checksum mismatch");
}

#[test]
fn the_shipped_model_runs_from_its_int8_folder() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/model");
    let encoder = TorchEncoder::load(&shipped, &TorchOptions::new()).unwrap();
    assert_eq!((encoder.dim(), encoder.max_tokens(), encoder.vocabulary()), (384, 96, 13_500));
    let own = Model::from_dir(&shipped, Precision::F32).unwrap().encoder();
    let sentences: Vec<Vec<u32>> =
        sentences(20).into_iter().map(|ids| ids.into_iter().map(|id| id % 13_500).collect()).collect();
    let mut batch = TokenBatch::new();
    sentences.iter().for_each(|ids| batch.push(ids));
    let mut expected = vec![0.0; batch.len() * 384];
    own.encode(&batch, &mut expected).unwrap();
    let expected: Vec<Vec<f32>> = expected.chunks_exact(384).map(<[f32]>::to_vec).collect();
    let worst = distance(&encode(&encoder, &sentences), &expected);
    println!("{worst:e}");
    assert!(worst < 1e-4, "{worst:e}");
}
