//! From a sentence to the sequences of token ids that an encoder takes.
//!
//! # Why this way
//!
//! The `tokenizers` crate does the word pieces. Around it stand three guards. Padding and truncation of the
//! file are switched off: nothing is cut silently. Special tokens are written by us, so `[SEP]` in a review
//! is five characters like any others. And a sentence is handed over in bounded chunks, because the crate
//! keeps an alignment of 16 bytes for each byte of its input. A file that is wrong in a way that the crate does
//! not look for makes it panic; that panic ends here, as an error of the file.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokenizers::{Encoding, Tokenizer as Pieces};

use crate::error::{AnalyzeError, LoadError, LoadErrorKind};
use crate::span::Span;

/// Bytes that are tokenized in one call, at most. Longer sentences are cut at white space where there is any.
const CHUNK_BYTES: usize = 16 * 1024;

/// A token: its id in the vocabulary and the bytes of the original text that it stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    /// Number in the vocabulary.
    pub id: u32,
    /// Bytes of the text that was tokenized.
    pub span: Span,
}

/// Cuts text into the pieces of a model's vocabulary.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    pieces: Pieces,
    before: Vec<u32>,
    after: Vec<u32>,
}

impl Tokenizer {
    /// Reads the content of a `tokenizer.json`.
    ///
    /// Its padding and truncation settings are ignored, and special tokens in a text are read as plain text.
    ///
    /// # Errors
    ///
    /// [`LoadErrorKind::Tokenizer`] where the bytes are no tokenizer, or its template places other text
    /// between the tokens of one sequence.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        let bad = |message: &str| LoadError::new(LoadErrorKind::Tokenizer, message);
        let mut pieces = guard(|| Pieces::from_bytes(bytes))
            .ok_or_else(|| bad("not a tokenizer.json: its settings contradict each other"))?
            .map_err(|e| bad("not a tokenizer.json").with_source(e))?;
        pieces.with_padding(None);
        pieces.with_truncation(None).map_err(|e| bad("truncation cannot be switched off").with_source(e))?;
        pieces.set_encode_special_tokens(true);

        let ids = |probe, special| {
            guard(|| pieces.encode_fast(probe, special))
                .unwrap_or_else(|| Err("it panicked".into()))
                .map(|e| e.get_ids().to_vec())
                .map_err(|e| bad(&format!("the tokenizer fails on {probe:?}")).with_source(e))
        };
        // A character that no vocabulary knows: is there a token for what is unknown?
        ids("a \u{2fa1d}", false)?;
        let (bare, framed) = (ids("a", false)?, ids("a", true)?);
        if bare.is_empty() {
            return Err(bad("the tokenizer makes nothing of \"a\""));
        }
        let at = framed
            .windows(bare.len())
            .position(|window| window == bare)
            .ok_or_else(|| bad("the template does not keep a sequence in one piece"))?;
        let (before, after) = (framed[..at].to_vec(), framed[at + bare.len()..].to_vec());
        Ok(Tokenizer { pieces, before, after })
    }

    fn pieces(
        &self,
        encode: impl FnOnce(&Pieces) -> tokenizers::Result<Encoding>,
    ) -> Result<Encoding, AnalyzeError> {
        guard(|| encode(&self.pieces)).unwrap_or_else(|| Err("it panicked".into())).map_err(failed)
    }

    /// The special tokens that frame a sequence, as a sequence of its own.
    pub(crate) fn empty_sequence(&self) -> Vec<u32> {
        [self.before.as_slice(), &self.after].concat()
    }

    /// How many ids the vocabulary has, added tokens included.
    pub fn vocabulary(&self) -> usize {
        self.pieces.get_vocab_size(true)
    }

    /// How many special tokens frame a sequence (2 for BERT: `[CLS]` and `[SEP]`).
    pub fn frame(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// The tokens of `text` with their places in it, without special tokens.
    ///
    /// # Errors
    ///
    /// Where the tokenizer fails, which the shipped one does on no text.
    ///
    /// ```
    /// # #[cfg(feature = "embedded")] {
    /// let analyzer = amends::Analyzer::embedded()?;
    /// let text = "They apologised!";
    /// let tokens = analyzer.tokenizer().tokens(text)?;
    /// assert_eq!(&text[tokens[0].span], "They");
    /// assert_eq!(&text[tokens.last().unwrap().span], "!");
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tokens(&self, text: &str) -> Result<Vec<Token>, AnalyzeError> {
        let mut tokens = Vec::new();
        for (start, chunk) in chunks(text) {
            let encoding = self.pieces(|pieces| pieces.encode(chunk, false))?;
            tokens.extend(
                encoding
                    .get_ids()
                    .iter()
                    .zip(encoding.get_offsets())
                    .map(|(&id, &(from, to))| Token { id, span: Span::new(start + from, start + to) }),
            );
        }
        Ok(tokens)
    }

    /// Appends the sequences of one sentence to `out`, framed and each at most `max_tokens` long: one where
    /// it fits, else windows that overlap by a quarter. Returns how many.
    pub(crate) fn sequences(
        &self,
        text: &str,
        max_tokens: usize,
        out: &mut Vec<Vec<u32>>,
    ) -> Result<usize, AnalyzeError> {
        let mut ids = Vec::new();
        for (_, chunk) in chunks(text) {
            let encoding = self.pieces(|pieces| pieces.encode_fast(chunk, false))?;
            ids.extend_from_slice(encoding.get_ids());
        }
        let room = max_tokens.saturating_sub(self.frame()).max(1);
        let windows = windows(ids.len(), room);
        let count = windows.len();
        out.extend(windows.into_iter().map(|(from, to)| {
            let mut sequence = Vec::with_capacity(self.frame() + to - from);
            sequence.extend_from_slice(&self.before);
            sequence.extend_from_slice(&ids[from..to]);
            sequence.extend_from_slice(&self.after);
            sequence
        }));
        Ok(count)
    }
}

fn failed(source: tokenizers::Error) -> AnalyzeError {
    AnalyzeError::back_end("the tokenizer failed", Some(source))
}

/// Windows of at most `room` over `len` tokens: neighbours overlap by a quarter, and the last one is moved
/// back so that it is as full as the others. At least one, which may be empty.
fn windows(len: usize, room: usize) -> Vec<(usize, usize)> {
    if len <= room {
        return vec![(0, len)];
    }
    let stride = (room - room / 4).max(1);
    let mut windows: Vec<_> = (0..len - room).step_by(stride).map(|start| (start, start + room)).collect();
    windows.push((len - room, len));
    windows
}

/// Cuts `text` into chunks of at most [`CHUNK_BYTES`], after white space where a chunk has any in its second
/// half, else between two characters. Gives byte offset and chunk.
fn chunks(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = &text[start..];
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.len();
        if end > CHUNK_BYTES {
            end = rest.floor_char_boundary(CHUNK_BYTES);
            let space = rest[..end].char_indices().rev().take_while(|(at, _)| *at >= CHUNK_BYTES / 2);
            if let Some((at, c)) = space.into_iter().find(|(_, c)| c.is_whitespace()) {
                end = at + c.len_utf8();
            }
        }
        let chunk = (start, &rest[..end]);
        start += end;
        Some(chunk)
    })
}

/// Runs `call`; `None` where it panics. What it borrows is read only.
fn guard<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word-piece tokenizer with the given vocabulary after `[UNK] [CLS] [SEP]`.
    pub(crate) fn tiny(words: &[&str]) -> Tokenizer {
        let vocab: serde_json::Map<String, serde_json::Value> = ["[UNK]", "[CLS]", "[SEP]"]
            .iter()
            .chain(words)
            .enumerate()
            .map(|(id, word)| (word.to_string(), id.into()))
            .collect();
        let special = |id: u32, content: &str| {
            serde_json::json!({"id": id, "content": content, "special": true, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false})
        };
        let file = serde_json::json!({
            "version": "1.0",
            "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
            "padding": null,
            "added_tokens": [special(0, "[UNK]"), special(1, "[CLS]"), special(2, "[SEP]")],
            "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
            "decoder": null,
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": vocab},
        });
        Tokenizer::from_bytes(&serde_json::to_vec(&file).unwrap()).unwrap()
    }

    #[test]
    fn spans_are_bytes_of_the_original_text() {
        let tokenizer = tiny(&["cafe", "##s", "!", "play", "##ing", "##ful"]);
        for (text, expected) in [
            ("Cafés!", &["Café", "s", "!"][..]),
            ("  PLAYINGFUL 😀!", &["PLAY", "ING", "FUL", "😀", "!"]),
            ("\u{feff}play\u{0}ing", &["play", "ing"]),
        ] {
            let tokens = tokenizer.tokens(text).unwrap();
            let words: Vec<&str> = tokens.iter().map(|token| &text[token.span]).collect();
            assert_eq!(words, expected, "{text:?}");
        }
    }

    #[test]
    fn special_tokens_in_a_text_are_plain_text() {
        let tokenizer = tiny(&["a", "b", "[", "]", "sep"]);
        let mut out = Vec::new();
        tokenizer.sequences("a [SEP] b", 64, &mut out).unwrap();
        assert_eq!(out, [[1, 3, 5, 7, 6, 4, 2]]);
    }

    #[test]
    fn nothing_is_cut() {
        let tokenizer = tiny(&["a", "b", "c", "d", "e", "f", "g", "h"]);
        let mut out = Vec::new();
        assert_eq!(tokenizer.sequences("a b c d e f g h", 6, &mut out).unwrap(), 3);
        assert_eq!(out, [[1, 3, 4, 5, 6, 2], [1, 6, 7, 8, 9, 2], [1, 7, 8, 9, 10, 2]]);
        out.clear();
        assert_eq!(tokenizer.sequences("", 6, &mut out).unwrap(), 1);
        assert_eq!(out, [[1, 2]]);
    }

    #[test]
    fn windows_cover_every_token() {
        for len in 0..200 {
            for room in 1..40 {
                let windows = windows(len, room);
                let mut covered = 0;
                for &(from, to) in &windows {
                    assert!(from <= covered && to - from <= room && to <= len, "{len} {room} {windows:?}");
                    covered = to;
                }
                assert_eq!(covered, len);
                assert!(windows.len() <= 1 + len.div_ceil((room - room / 4).max(1)), "{len} {room}");
            }
        }
    }

    #[test]
    fn long_text_is_tokenized_as_if_in_one_piece() {
        let tokenizer = tiny(&["never", "##s", "called", "e"]);
        let text = "nevers called é ".repeat(5_000);
        let tokens = tokenizer.tokens(&text).unwrap();
        assert_eq!(tokens.len(), 4 * 5_000);
        assert!(tokens.chunks(4).all(|chunk| chunk.iter().map(|token| token.id).eq([3, 4, 5, 6])));
        let last = tokens.last().unwrap().span;
        assert_eq!(&text[last], "é");
        // No white space at all: cut between characters, still complete.
        let emoji = "😀".repeat(50_000);
        assert!(chunks(&emoji).map(|(_, chunk)| chunk.len()).sum::<usize>() == emoji.len());
    }
}
