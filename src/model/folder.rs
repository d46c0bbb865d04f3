//! The files of a model folder: reading, checksums and the vocabulary's size.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use sha2::{Digest, Sha256};

use crate::error::{LoadError, LoadErrorKind};

/// The weights.
pub(super) const WEIGHTS: &str = "model.safetensors";
/// The description that this crate writes.
pub(crate) const DESCRIPTION: &str = "model.toml";
/// The description that transformers writes.
pub(super) const TRANSFORMERS: &str = "config.json";
/// The tokenizer.
pub(super) const TOKENIZER: &str = "tokenizer.json";
/// Checksums of the other files, as `sha256sum` prints them.
pub(super) const CHECKSUMS: &str = "SHA256SUMS";

/// No file of a model may be larger.
const MAX_BYTES: u64 = 4 << 30;

/// Reads a file of a model folder.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let io = |error| LoadError::io(path, error);
    let file = File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let too_large = |bytes: u64| {
        LoadError::new(LoadErrorKind::Format, format!("{bytes} bytes, the limit is {MAX_BYTES}"))
            .with_path(path)
    };
    if bytes > MAX_BYTES {
        return Err(too_large(bytes));
    }
    let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    // The limit holds for what has no size of its own, too, like a pipe.
    file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(io)?;
    if content.len() as u64 > MAX_BYTES {
        return Err(too_large(content.len() as u64));
    }
    Ok(content)
}

/// Reads a text file of a model folder.
pub(super) fn read_text(path: &Path) -> Result<String, LoadError> {
    String::from_utf8(read(path)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        LoadError::new(LoadErrorKind::Format, format!("not UTF-8 from byte {at} on"))
            .with_path(path)
            .with_source(error)
    })
}

/// SHA-256 in lower-case hex digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lines of a checksum file: file name and digest.
pub(crate) fn parse_checksums(text: &str) -> Result<Vec<(&str, &str)>, LoadError> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let parts = line.split_once("  ").or_else(|| line.split_once(" *"));
        let Some((digest, name)) = parts.filter(|(digest, name)| {
            let plain = !name.is_empty() && !name.contains(['/', '\\', '\0']) && *name != "..";
            plain && digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
        }) else {
            let message = "expected a SHA-256 digest, two spaces and a file name";
            return Err(LoadError::new(LoadErrorKind::Format, message).with_line(index + 1));
        };
        found.push((name, digest));
    }
    Ok(found)
}

/// Checks `bytes` of the file `name` in `dir` against the checksums of `dir`.
pub(crate) fn verify(dir: &Path, sums: &[(&str, &str)], name: &str, bytes: &[u8]) -> Result<(), LoadError> {
    let wrong =
        |message: String| Err(LoadError::new(LoadErrorKind::Checksum, message).with_path(dir.join(name)));
    let Some((_, expected)) = sums.iter().find(|(other, _)| *other == name) else {
        return wrong(format!("not listed in {CHECKSUMS}"));
    };
    let found = sha256(bytes);
    if found.eq_ignore_ascii_case(expected) {
        Ok(())
    } else {
        wrong(format!("checksum mismatch: {CHECKSUMS} says {expected}, the file has {found}"))
    }
}

/// The checksum file of `dir`, if it has one.
pub(crate) fn read_checksums(dir: &Path) -> Result<Option<String>, LoadError> {
    let path = dir.join(CHECKSUMS);
    match fs::metadata(&path) {
        Ok(_) => read_text(&path).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LoadError::io(path, error)),
    }
}

/// How many tokens a `tokenizer.json` has, without building the tokenizer.
pub(super) fn vocabulary_size(tokenizer: &[u8]) -> Result<usize, LoadError> {
    #[derive(Deserialize)]
    struct Outline {
        model: ModelOutline,
        #[serde(default)]
        added_tokens: Vec<Added>,
    }
    #[derive(Deserialize)]
    struct ModelOutline {
        vocab: Vocabulary,
    }
    #[derive(Deserialize)]
    struct Added {
        id: u64,
    }
    /// The greatest id of a vocabulary.
    struct Vocabulary(Option<u64>);
    impl<'de> Deserialize<'de> for Vocabulary {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Greatest;
            impl<'de> Visitor<'de> for Greatest {
                type Value = Vocabulary;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a map from tokens to ids")
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocabulary, A::Error> {
                    let mut greatest = None;
                    while let Some((IgnoredAny, id)) = map.next_entry::<IgnoredAny, u64>()? {
                        greatest = greatest.max(Some(id));
                    }
                    Ok(Vocabulary(greatest))
                }
            }
            deserializer.deserialize_map(Greatest)
        }
    }
    let outline: Outline = serde_json::from_slice(tokenizer).map_err(|error| {
        LoadError::new(LoadErrorKind::Tokenizer, format!("not a tokenizer with a map as vocabulary: {error}"))
            .with_line(error.line())
            .with_source(error)
    })?;
    let greatest = outline.added_tokens.iter().map(|token| token.id).max().max(outline.model.vocab.0);
    Ok(greatest.map_or(0, |id| usize::try_from(id).unwrap_or(usize::MAX).saturating_add(1)))
}
