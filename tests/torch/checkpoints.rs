//! Checkpoints of others: labels, names and files, and what is refused.

use super::*;

#[test]
fn classes_become_sentiment() {
    for (name, classes, band) in
        [("bert", 3, None), ("xlm-roberta", 5, None), ("distilbert", 2, Some(LabelMap::DEFAULT_NEUTRAL_BAND))]
    {
        let encoder = TorchEncoder::load(fixture(name), &TorchOptions::new()).unwrap();
        let TorchOutput::Logits(map) = encoder.output() else { panic!("logits") };
        assert_eq!((map.len(), map.neutral_band(), encoder.dim()), (classes, band, classes), "{name}");
        assert_eq!(encoder.max_tokens(), 48);
        assert!(encoder.tokenizer_path().is_file());
    }
    let options = TorchOptions::new().with_neutral_band(0.4);
    let encoder = TorchEncoder::load(fixture("albert"), &options).unwrap();
    let TorchOutput::Logits(map) = encoder.output() else { panic!("logits") };
    assert_eq!(map.neutral_band(), Some(0.4));
}

#[test]
fn labels_that_say_nothing_must_be_given() {
    let folder = copy("roberta", "labels");
    let load = |options: &TorchOptions| TorchEncoder::load(&folder, options);
    let numbered = json!({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"});
    edit_config(&folder, |config| {
        config.insert("id2label".to_owned(), numbered);
    });
    let error = load(&TorchOptions::new()).unwrap_err();
    assert_eq!(error.kind(), LoadErrorKind::Labels);
    assert!(error.to_string().contains("LABEL_1") && error.to_string().contains("with_labels"), "{error}");
    let given = TorchOptions::new().with_labels(["negative", "neutral", "positive"]);
    assert!(
        distance(&encode(&load(&given).unwrap(), &golden("roberta").ids), &golden("roberta").vectors) < 1e-4
    );

    edit_config(&folder, |config| {
        config.remove("id2label");
    });
    assert_eq!(load(&TorchOptions::new()).unwrap_err().kind(), LoadErrorKind::Labels);
    assert!(load(&given).is_ok());
    let two = TorchOptions::new().with_labels(["negative", "positive"]);
    assert_eq!(load(&two).unwrap_err().kind(), LoadErrorKind::Tensor);
    let band = given.clone().with_neutral_band(0.7);
    assert_eq!(load(&band).unwrap_err().kind(), LoadErrorKind::Labels);

    edit_config(&folder, |config| {
        config.insert("id2label".to_owned(), json!({"0": "negative", "2": "positive"}));
    });
    assert_eq!(load(&TorchOptions::new()).unwrap_err().kind(), LoadErrorKind::Labels);
    edit_config(&folder, |config| {
        config.insert("problem_type".to_owned(), json!("multi_label_classification"));
    });
    assert_eq!(load(&given).unwrap_err().kind(), LoadErrorKind::Labels);
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let load = |folder: &Path| TorchEncoder::load(folder, &TorchOptions::new());
    let refused = |folder: &Path, words: &[&str]| {
        let error = load(folder).unwrap_err();
        assert_eq!(error.kind(), LoadErrorKind::Tensor, "{error}");
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
        assert_eq!(error.path(), Some(&*folder.join("model.safetensors")));
    };

    let folder = copy("bert", "missing");
    edit_tensors(&folder, |tensors| {
        tensors.retain(|(name, _)| name != "classifier.bias" && !name.contains("layer.1.output.dense"));
    });
    refused(&folder, &["missing", "classifier.bias", "layer.1.output.dense.weight"]);

    let folder = copy("bert", "shape");
    edit_config(&folder, |config| {
        config.insert("intermediate_size".to_owned(), json!(24));
    });
    refused(&folder, &["expected shape", "24", "found", "32"]);

    let folder = copy("bert", "layers");
    edit_config(&folder, |config| {
        config.insert("num_hidden_layers".to_owned(), json!(1));
    });
    refused(&folder, &["no use", "bert.encoder.layer.1.", "8 more"]);

    let folder = copy("bert", "infinite");
    edit_tensors(&folder, |tensors| {
        let found = tensors.iter_mut().find(|(name, _)| name == "bert.pooler.dense.weight").unwrap();
        found.1 = found.1.shallow_clone() / 0.0;
    });
    refused(&folder, &["bert.pooler.dense.weight", "not finite"]);
}

#[test]
fn old_names_and_old_files_are_read() {
    let golden = golden("bert");
    let folder = copy("bert", "old");
    edit_tensors(&folder, |tensors| {
        for (name, _) in tensors.iter_mut() {
            *name = name
                .replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta");
        }
        // Left behind by pretraining, and of no harm.
        tensors.push(("cls.seq_relationship.bias".to_owned(), Tensor::zeros([2], tch::kind::FLOAT_CPU)));
        tensors.push(("bert.embeddings.position_ids".to_owned(), Tensor::arange(48, tch::kind::INT64_CPU)));
    });
    let encoder = TorchEncoder::load(&folder, &TorchOptions::new()).unwrap();
    assert!(distance(&encode(&encoder, &golden.ids), &golden.vectors) < 1e-4);

    let safe = folder.join("model.safetensors");
    Tensor::save_multi(&Tensor::read_safetensors(&safe).unwrap(), folder.join("rust_model.ot")).unwrap();
    fs::remove_file(safe).unwrap();
    let encoder = TorchEncoder::load(&folder, &TorchOptions::new()).unwrap();
    assert_eq!(encoder.weights_path(), folder.join("rust_model.ot"));
    assert!(distance(&encode(&encoder, &golden.ids), &golden.vectors) < 1e-4);
}

#[test]
fn files_that_are_missing_or_broken_are_named() {
    let kind = |folder: &Path, file: &str| {
        let error = TorchEncoder::load(folder, &TorchOptions::new()).unwrap_err();
        assert_eq!(error.path(), Some(&*folder.join(file)), "{error}");
        error.kind()
    };
    for file in ["config.json", "tokenizer.json"] {
        let folder = copy("bert", file);
        fs::remove_file(folder.join(file)).unwrap();
        assert_eq!(kind(&folder, file), LoadErrorKind::Io);
    }
    let folder = copy("bert", "broken");
    fs::write(folder.join("model.safetensors"), b"\x08\0\0\0\0\0\0\0no json!").unwrap();
    assert_eq!(kind(&folder, "model.safetensors"), LoadErrorKind::Format);
    fs::rename(folder.join("model.safetensors"), folder.join("rust_model.ot")).unwrap();
    assert_eq!(kind(&folder, "rust_model.ot"), LoadErrorKind::Format);
    fs::rename(folder.join("rust_model.ot"), folder.join("pytorch_model.bin")).unwrap();
    let error = TorchEncoder::load(&folder, &TorchOptions::new()).unwrap_err();
    assert_eq!(error.kind(), LoadErrorKind::Io);
    assert!(error.to_string().contains("pickle"), "{error}");
    fs::write(folder.join("config.json"), "{").unwrap();
    assert_eq!(kind(&folder, "config.json"), LoadErrorKind::Format);
}

#[test]
fn configurations_that_cannot_be_computed_are_refused() {
    for (name, entry, value, kind) in [
        ("bert", "model_type", json!("gpt2"), LoadErrorKind::Unsupported),
        ("distilbert", "model_type", json!("gpt2"), LoadErrorKind::Unsupported),
        ("bert", "model_type", json!(null), LoadErrorKind::Format),
        ("bert", "position_embedding_type", json!("relative_key"), LoadErrorKind::Unsupported),
        ("bert", "is_decoder", json!(true), LoadErrorKind::Unsupported),
        ("bert", "hidden_act", json!("laplace"), LoadErrorKind::Format),
        ("bert", "vocab_size", json!(null), LoadErrorKind::Format),
        ("bert", "max_position_embeddings", json!(-4), LoadErrorKind::Format),
        ("bert", "num_attention_heads", json!(3), LoadErrorKind::Format),
        ("bert", "num_attention_heads", json!(0), LoadErrorKind::Format),
        ("roberta", "pad_token_id", json!(0), LoadErrorKind::Unsupported),
        ("deberta", "pos_att_type", json!("c2p|p2p"), LoadErrorKind::Unsupported),
        ("deberta-v2", "pos_att_type", json!(["c2c"]), LoadErrorKind::Unsupported),
        ("distilbert", "heads", json!({}), LoadErrorKind::Unsupported),
    ] {
        let folder = copy(name, "config");
        edit_config(&folder, |config| {
            config.insert(entry.to_owned(), value.clone());
        });
        let error = TorchEncoder::load(&folder, &TorchOptions::new()).unwrap_err();
        assert_eq!(error.kind(), kind, "{name} {entry} {value}: {error}");
    }
}

#[test]
fn sequences_that_do_not_fit_are_refused_and_the_encoder_goes_on() {
    let golden = golden("bert");
    let encoder = TorchEncoder::load(fixture("bert"), &TorchOptions::new()).unwrap();
    let attempt = |ids: &[u32], size: usize| {
        let mut batch = TokenBatch::new();
        batch.push(&golden.ids[0]);
        batch.push(ids);
        encoder.encode(&batch, &mut vec![0.0; size]).map_err(|error| error.to_string())
    };
    assert!(attempt(&[2, 3], 6).is_ok());
    assert!(attempt(&[2; 48], 6).is_ok());
    assert!(attempt(&[2; 49], 6).unwrap_err().contains("sequence 1 has 49 tokens"));
    assert!(attempt(&[], 6).unwrap_err().contains("sequence 1 has 0 tokens"));
    assert!(attempt(&[2, 96, 3], 6).unwrap_err().contains("token id 96"));
    assert!(attempt(&[2, 3], 5).unwrap_err().contains("5 numbers"));
    assert!(encoder.encode(&TokenBatch::new(), &mut []).is_ok());
    assert!(distance(&encode(&encoder, &golden.ids), &golden.vectors) < 1e-4);
}
