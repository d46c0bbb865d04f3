//! Cutting a word-piece vocabulary down to what the texts use.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Map, Value};
use tokenizers::Tokenizer;

/// A tokenizer with the embedding rows that it needs of the one that it was cut from.
pub(crate) struct Vocabulary {
    json: Value,
    tokenizer: Tokenizer,
    rows: Vec<i64>,
}

impl Vocabulary {
    /// Reads a `tokenizer.json`. Padding and truncation that it may ask for are taken out.
    pub(crate) fn parse(json: &[u8]) -> Result<Vocabulary> {
        let mut json: Value = serde_json::from_slice(json).context("tokenizer is not JSON")?;
        let object = json.as_object_mut().ok_or_else(|| anyhow!("tokenizer is not a JSON object"))?;
        object.insert("padding".to_owned(), Value::Null);
        object.insert("truncation".to_owned(), Value::Null);
        let tokenizer = tokenizer(&json)?;
        let rows = (0..tokenizer.get_vocab_size(true) as i64).collect();
        Ok(Vocabulary { json, tokenizer, rows })
    }

    /// The tokenizer.
    pub(crate) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The file to ship.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(&self.json)?)
    }

    /// For each id, its row in the embedding matrix of the uncut vocabulary.
    pub(crate) fn rows(&self) -> &[i64] {
        &self.rows
    }

    /// Adds `weight` to the count of an id each time that it comes up in the texts, special tokens left out.
    pub(crate) fn count<'t>(
        &self,
        texts: impl Iterator<Item = &'t str>,
        weight: f64,
        counts: &mut [f64],
    ) -> Result<()> {
        for text in texts {
            let encoding = self.tokenizer.encode_fast(text, false).map_err(|error| anyhow!("{error}"))?;
            for &id in encoding.get_ids() {
                counts[id as usize] += weight;
            }
        }
        Ok(())
    }

    /// The pieces by id.
    fn pieces(&self) -> Result<Vec<&str>> {
        let vocab = self.json["model"]["vocab"].as_object().context("tokenizer has no model.vocab")?;
        let mut pieces = vec![""; vocab.len()];
        for (piece, id) in vocab {
            let id = id.as_u64().and_then(|id| pieces.get_mut(id as usize));
            *id.with_context(|| format!("id of {piece:?}"))? = piece;
        }
        Ok(pieces)
    }

    /// This vocabulary with the embedding rows of `narrow`, which was cut from it, for its pieces; the others have rows
    /// beyond those of `narrow`, in the order of this vocabulary.
    pub(crate) fn widened_from(mut self, narrow: &Vocabulary) -> Result<Vocabulary> {
        let known = narrow.pieces()?;
        let known: HashMap<&str, i64> = known.into_iter().zip(narrow.rows.iter().copied()).collect();
        let beyond = narrow.rows.len() as i64;
        let pieces = self.pieces()?;
        let found = pieces.iter().filter(|&piece| known.contains_key(piece)).count();
        ensure!(found == known.len(), "{} pieces of the base are not in it", known.len() - found);
        let rows = pieces
            .iter()
            .zip(&self.rows)
            .map(|(piece, row)| known.get(piece).copied().unwrap_or(beyond + row));
        self.rows = rows.collect();
        Ok(self)
    }

    /// Keeps the special tokens, all single characters (at the start of a word and within one) that are ASCII or come
    /// up, and of the other pieces those that count most, up to `size` in all. Pieces that never come up are not kept.
    ///
    /// A word whose piece went is spelled with shorter ones: single characters stay so that it does not
    /// become unknown. Ids keep their order.
    pub(crate) fn prune(&self, counts: &[f64], size: usize) -> Result<Vocabulary> {
        let special: Vec<&str> = self.json["added_tokens"]
            .as_array()
            .map(|tokens| tokens.iter().filter_map(|token| token["content"].as_str()).collect())
            .unwrap_or_default();
        let old = self.json["model"]["vocab"].as_object().context("tokenizer has no model.vocab")?;
        let mut pieces: Vec<(&str, usize)> = Vec::with_capacity(old.len());
        for (piece, id) in old {
            let id = id.as_u64().with_context(|| format!("id of {piece:?}"))? as usize;
            ensure!(id < counts.len(), "id {id} of {piece:?} is beyond the vocabulary of {}", counts.len());
            pieces.push((piece, id));
        }
        let must = |&(piece, id): &(&str, usize)| {
            let single = piece.strip_prefix("##").unwrap_or(piece).chars().count() == 1;
            special.contains(&piece) || single && (piece.is_ascii() || counts[id] > 0.0)
        };
        pieces.retain(|piece| must(piece) || counts[piece.1] > 0.0);
        pieces.sort_by(|a, b| {
            let by_count = counts[b.1].total_cmp(&counts[a.1]);
            must(b).cmp(&must(a)).then(by_count).then(a.1.cmp(&b.1))
        });
        let required = pieces.iter().filter(|&piece| must(piece)).count();
        pieces.truncate(size.max(required));
        pieces.sort_by_key(|&(_, id)| id);

        let mut vocab = Map::new();
        for (new, &(piece, _)) in pieces.iter().enumerate() {
            vocab.insert(piece.to_owned(), Value::from(new));
        }
        let rows = pieces.iter().map(|&(_, id)| self.rows[id]).collect();
        let mut json = self.json.clone();
        renumber(&mut json, &vocab)?;
        json["model"]["vocab"] = Value::Object(vocab);
        let tokenizer = tokenizer(&json)?;
        Ok(Vocabulary { json, tokenizer, rows })
    }
}

fn tokenizer(json: &Value) -> Result<Tokenizer> {
    let kind = json["model"]["type"].as_str().unwrap_or("unknown");
    ensure!(kind == "WordPiece", "expected a WordPiece tokenizer, found {kind}");
    Tokenizer::from_bytes(serde_json::to_vec(json)?).map_err(|error| anyhow!("{error}"))
}

/// Gives special tokens their new ids where the file repeats them.
fn renumber(json: &mut Value, vocab: &Map<String, Value>) -> Result<()> {
    let id = |token: &str| vocab.get(token).cloned().with_context(|| format!("no piece {token:?}"));
    if let Some(tokens) = json["added_tokens"].as_array_mut() {
        for token in tokens {
            let content = token["content"].as_str().unwrap_or_default().to_owned();
            token["id"] = id(&content)?;
        }
    }
    let post = &mut json["post_processor"];
    if let Some(special) = post.get_mut("special_tokens").and_then(Value::as_object_mut) {
        for (token, entry) in special {
            entry["ids"] = Value::Array(vec![id(token)?]);
        }
    }
    for end in ["cls", "sep"] {
        if let Some(pair) = post.get_mut(end).and_then(Value::as_array_mut) {
            let token = pair.first().and_then(Value::as_str).unwrap_or_default().to_owned();
            *pair = vec![Value::from(token.clone()), id(&token)?];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        let pieces = [
            "[PAD]", "[UNK]", "[CLS]", "[SEP]", "refund", "re", "##fund", "##f", "##u", "##n", "##d", "a",
            "delay",
        ];
        let vocab: Map<String, Value> =
            pieces.iter().enumerate().map(|(id, piece)| ((*piece).to_owned(), Value::from(id))).collect();
        let added: Vec<Value> = (0..4)
            .map(|id| {
                serde_json::json!({"id": id, "content": pieces[id], "single_word": false, "lstrip": false,
                                   "rstrip": false, "normalized": false, "special": true})
            })
            .collect();
        let json = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": {"strategy": {"Fixed": 8}, "direction": "Right",
                "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
            "added_tokens": added,
            "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                           "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100, "vocab": vocab}});
        Vocabulary::parse(json.to_string().as_bytes()).unwrap()
    }

    fn pieces(vocabulary: &Vocabulary, text: &str) -> Vec<String> {
        vocabulary.tokenizer().encode(text, true).unwrap().get_tokens().to_vec()
    }

    #[test]
    fn what_is_not_used_goes_and_no_word_becomes_unknown() {
        let whole = vocabulary();
        assert_eq!(pieces(&whole, "Refund a delay"), ["[CLS]", "refund", "a", "delay", "[SEP]"]);
        let mut counts = vec![0.0; whole.rows().len()];
        whole.count(["refund a", "re refund re"].into_iter(), 1.0, &mut counts).unwrap();
        // 9 must stay (special tokens, single characters); of the rest only the most frequent fits.
        let cut = whole.prune(&counts, 10).unwrap();
        assert_eq!(cut.rows(), [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]);
        let again = Vocabulary::parse(&cut.to_json().unwrap()).unwrap();
        assert_eq!(pieces(&again, "Refund a"), ["[CLS]", "refund", "a", "[SEP]"]);
        let ids = again.tokenizer().encode_fast("a", true).unwrap().get_ids().to_vec();
        assert_eq!(ids, [2, 9, 3]);
    }

    #[test]
    fn a_piece_that_goes_is_spelled_with_shorter_ones() {
        let whole = vocabulary();
        let mut counts = vec![0.0; 13];
        counts[5] = 9.0;
        let cut = whole.prune(&counts, 10).unwrap();
        assert_eq!(pieces(&cut, "refund"), ["[CLS]", "re", "##f", "##u", "##n", "##d", "[SEP]"]);
    }

    #[test]
    fn characters_that_never_come_up_go_unless_they_are_ascii() {
        let mut json = vocabulary().json;
        let vocab = json["model"]["vocab"].as_object_mut().unwrap();
        for piece in ["é", "謝", "##ß"] {
            vocab.insert(piece.to_owned(), Value::from(vocab.len()));
        }
        json["normalizer"]["strip_accents"] = Value::from(false);
        let whole = Vocabulary::parse(json.to_string().as_bytes()).unwrap();
        let mut counts = vec![0.0; whole.rows().len()];
        whole.count(["é refund"].into_iter(), 1.0, &mut counts).unwrap();
        let cut = whole.prune(&counts, 100).unwrap();
        assert_eq!(cut.rows(), [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 13]);
        assert_eq!(pieces(&cut, "謝 é"), ["[CLS]", "[UNK]", "é", "[SEP]"]);
    }

    #[test]
    fn texts_count_by_their_weight() {
        let whole = vocabulary();
        let mut counts = vec![0.0; whole.rows().len()];
        whole.count(["refund refund refund"].into_iter(), 0.5, &mut counts).unwrap();
        whole.count(["delay delay"].into_iter(), 1.0, &mut counts).unwrap();
        assert_eq!((counts[4], counts[12]), (1.5, 2.0));
        let cut = whole.prune(&counts, 10).unwrap();
        assert!(cut.rows().contains(&12) && !cut.rows().contains(&4));
    }

    #[test]
    fn pieces_come_back_from_the_vocabulary_that_one_was_cut_from() {
        let whole = vocabulary();
        let mut counts = vec![0.0; 13];
        counts[5] = 9.0;
        let cut = Vocabulary::parse(&whole.prune(&counts, 10).unwrap().to_json().unwrap()).unwrap();
        assert_eq!(cut.rows().len(), 10);
        let wide = vocabulary().widened_from(&cut).unwrap();
        // Ids of the wide one; rows of the cut one where it has the piece, else behind them.
        assert_eq!(wide.rows(), [0, 1, 2, 3, 14, 4, 16, 5, 6, 7, 8, 9, 22]);
        let error = cut.widened_from(&vocabulary()).err().unwrap().to_string();
        assert!(error.contains("3 pieces of the base are not in it"), "{error}");
    }
}
