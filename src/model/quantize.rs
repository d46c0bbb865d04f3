//! Writing the int8 form of a model folder.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use safetensors::{Dtype, View};

use crate::bert::{LINEAR_LIMIT, Matrix, TABLE_LIMIT};
use crate::error::LoadError;
use crate::model::tensors::{SCALE, Tensors};
use crate::model::{folder, read_config};

/// What [`quantize`] did.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct QuantizeReport {
    /// The model's name.
    pub name: String,
    /// Every tensor that was written, by name.
    pub tensors: Vec<QuantizedTensor>,
    /// Size of the weights file that was read.
    pub bytes_before: u64,
    /// Size of the weights file that was written.
    pub bytes_after: u64,
    /// File names and SHA-256 digests in hex, as in `SHA256SUMS`.
    pub checksums: Vec<(String, String)>,
}

/// What became of one tensor.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct QuantizedTensor {
    /// Its name.
    pub name: String,
    /// The sizes of its dimensions.
    pub shape: Vec<usize>,
    /// Root of the squared error over the squared numbers, 0..; `None` where it was not quantized.
    pub relative_error: Option<f64>,
}

/// One tensor of the file to write.
struct Output {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for &Output {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl Output {
    fn floats(shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Output { dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }
}

/// Reads the model folder `from` and writes its int8 form to the folder `to`, which is made if need be.
///
/// Weights of the encoder's dense layers become i8 with a scale for each output, embedding tables i8 with a scale
/// for each row; everything else becomes f32. Written are `model.safetensors`, `model.toml`, `tokenizer.json` and
/// `SHA256SUMS`. `name` replaces the model's name, `max_tokens` its longest sequence.
///
/// # Errors
///
/// If the folder is not a model, or a file cannot be read or written.
pub fn quantize(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    name: Option<&str>,
    max_tokens: Option<usize>,
) -> Result<QuantizeReport, LoadError> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let mut config = read_config(from)?.1.parsed?;
    if let Some(name) = name {
        config.name = name.to_owned();
    }
    config.max_tokens = max_tokens.unwrap_or(config.max_tokens);
    let tokenizer = folder::read(&from.join(folder::TOKENIZER))?;
    let weights_path = from.join(folder::WEIGHTS);
    let source = folder::read(&weights_path)?;

    let mut outputs: Vec<(String, Output)> = Vec::new();
    let mut report = Vec::new();
    let tensors = Tensors::parse(&source).map_err(|error| error.with_path(&weights_path))?;
    for tensor_name in tensors.names() {
        if tensor_name.strip_suffix(SCALE).is_some_and(|matrix| tensors.contains(matrix)) {
            continue;
        }
        let tensor = tensors.any(tensor_name).map_err(|error| error.with_path(&weights_path))?;
        let mut relative_error = None;
        match (limit(tensor_name), tensor.shape()) {
            (Some(limit), &[rows, columns]) => {
                let matrix = tensors.matrix(tensor_name, rows, columns)?.quantized(limit);
                relative_error = Some(error(tensor.data(), &matrix.to_f32()));
                outputs.extend(int8(tensor_name, &matrix));
            }
            _ => outputs.push((tensor_name.to_owned(), Output::floats(tensor.shape(), tensor.data()))),
        }
        report.push(QuantizedTensor {
            name: tensor_name.to_owned(),
            shape: tensor.shape().to_vec(),
            relative_error,
        });
    }
    let weights = safetensors::serialize(outputs.iter().map(|(name, output)| (name, output)), None).map_err(
        |error| LoadError::format("weights cannot be written", error).with_path(to.join(folder::WEIGHTS)),
    )?;
    let description = toml::to_string_pretty(&config)
        .map_err(|error| LoadError::format("description cannot be written", error).with_path(to))?;

    fs::create_dir_all(to).map_err(|error| LoadError::io(to, error))?;
    let files: [(&str, &[u8]); 3] = [
        (folder::WEIGHTS, &weights),
        (folder::DESCRIPTION, description.as_bytes()),
        (folder::TOKENIZER, &tokenizer),
    ];
    let write = |name: &str, bytes: &[u8]| {
        let path = to.join(name);
        fs::write(&path, bytes).map_err(|error| LoadError::io(path, error))
    };
    let mut checksums = Vec::new();
    for (name, bytes) in files {
        write(name, bytes)?;
        checksums.push((name.to_owned(), folder::sha256(bytes)));
    }
    let sums: String = checksums.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
    write(folder::CHECKSUMS, sums.as_bytes())?;
    Ok(QuantizeReport {
        name: config.name,
        tensors: report,
        bytes_before: source.len() as u64,
        bytes_after: weights.len() as u64,
        checksums,
    })
}

/// The greatest i8 of a tensor that is to be quantized.
fn limit(name: &str) -> Option<i8> {
    let name = name.strip_suffix(".weight")?;
    if name.starts_with("bert.embeddings.") && name.ends_with("_embeddings") {
        return Some(TABLE_LIMIT);
    }
    (name.starts_with("bert.encoder.layer.") && !name.ends_with("LayerNorm")).then_some(LINEAR_LIMIT)
}

fn int8(name: &str, matrix: &Matrix<'_>) -> Vec<(String, Output)> {
    let Some((bytes, scales)) = matrix.int8() else { return Vec::new() };
    let shape = vec![matrix.rows(), matrix.columns()];
    vec![
        (name.to_owned(), Output { dtype: Dtype::I8, shape, bytes: bytes.to_vec() }),
        (format!("{name}{SCALE}"), Output::floats(&[matrix.rows()], scales)),
    ]
}

fn error(before: &[f32], after: &[f32]) -> f64 {
    let square = |value: f64| value * value;
    let difference: f64 = before.iter().zip(after).map(|(a, b)| square(f64::from(a - b))).sum();
    let size: f64 = before.iter().map(|&a| square(f64::from(a))).sum();
    if size > 0.0 { (difference / size).sqrt() } else { 0.0 }
}
