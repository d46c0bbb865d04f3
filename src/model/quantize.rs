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
struct Output<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Cow<'a, [u8]>,
}

impl View for &Output<'_> {
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

/// Where the embeddings of the places in a sequence lie.
const POSITIONS: &str = "bert.embeddings.position_embeddings.weight";

/// Reads the model folder `from` and writes its int8 form to the folder `to`, which is made if need be.
///
/// Weights of the encoder's dense layers become i8 with a scale for each output, embedding tables i8 with a scale
/// for each row; everything else stays as it is stored. The embeddings of places beyond the longest sequence are left
/// out. Written are `model.safetensors`, `model.toml`, `tokenizer.json` and `SHA256SUMS`. `name` replaces the model's name, `max_tokens` its longest sequence.
///
/// # Errors
///
/// If the folder is not a model, `max_tokens` is more than it can read, or a file cannot be read or written.
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
    if let Some(max_tokens) = max_tokens {
        config = config.with_max_tokens(max_tokens)?;
    }
    config.forget_positions();
    let tokenizer = folder::read(&from.join(folder::TOKENIZER))?;
    let weights_path = from.join(folder::WEIGHTS);
    let source = folder::read(&weights_path)?;

    let mut outputs: Vec<(String, Output<'_>)> = Vec::new();
    let mut report = Vec::new();
    let tensors = Tensors::parse(&source).map_err(|error| error.with_path(&weights_path))?;
    for tensor_name in tensors.names() {
        if tensor_name.strip_suffix(SCALE).is_some_and(|matrix| tensors.contains(matrix)) {
            continue;
        }
        let placed = |error: LoadError| error.with_path(&weights_path);
        let (dtype, mut shape) = tensors.form(tensor_name).map_err(placed)?;
        let mut relative_error = None;
        match (limit(tensor_name), &mut shape[..]) {
            (Some(limit), &mut [ref mut rows, columns]) => {
                let mut matrix = tensors.matrix(tensor_name, *rows, columns).map_err(placed)?;
                if tensor_name == POSITIONS && *rows > config.max_tokens {
                    *rows = config.max_tokens;
                    matrix = matrix.first_rows(*rows);
                }
                let before = matrix.to_f32().into_owned();
                let matrix = matrix.quantized(limit);
                relative_error = Some(error(&before, &matrix.to_f32()));
                outputs.extend(int8(tensor_name, &matrix));
            }
            _ => {
                let bytes = Cow::Borrowed(tensors.bytes(tensor_name).map_err(placed)?);
                outputs.push((tensor_name.to_owned(), Output { dtype, shape: shape.clone(), bytes }));
            }
        }
        report.push(QuantizedTensor { name: tensor_name.to_owned(), shape, relative_error });
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

fn int8(name: &str, matrix: &Matrix<'_>) -> Vec<(String, Output<'static>)> {
    let Some((bytes, scales)) = matrix.int8() else { return Vec::new() };
    let scales: Vec<u8> = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
    let (rows, columns) = (matrix.rows(), matrix.columns());
    vec![
        (
            name.to_owned(),
            Output { dtype: Dtype::I8, shape: vec![rows, columns], bytes: Cow::Owned(bytes.to_vec()) },
        ),
        (
            format!("{name}{SCALE}"),
            Output { dtype: Dtype::F32, shape: vec![rows], bytes: Cow::Owned(scales) },
        ),
    ]
}

fn error(before: &[f32], after: &[f32]) -> f64 {
    let square = |value: f64| value * value;
    let difference: f64 = before.iter().zip(after).map(|(a, b)| square(f64::from(a - b))).sum();
    let size: f64 = before.iter().map(|&a| square(f64::from(a))).sum();
    if size > 0.0 { (difference / size).sqrt() } else { 0.0 }
}
