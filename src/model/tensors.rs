//! Tensors of a safetensors file, checked as they are taken out.

use std::borrow::Cow;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::bert::Matrix;
use crate::error::{LoadError, LoadErrorKind};

/// A tensor of a model that the encoder and the heads have no use for, as f32.
#[derive(Clone, PartialEq, Debug)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl Tensor {
    /// The sizes of its dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its numbers, row-major. All are finite.
    pub fn data(&self) -> &[f32] {
        &self.data
    }
}

/// What is added to the name of an int8 matrix for the name of its scales, one for each row.
pub(super) const SCALE: &str = ".scale";

/// The tensors of one file.
#[derive(Debug)]
pub(super) struct Tensors<'a>(SafeTensors<'a>);

impl<'a> Tensors<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, LoadError> {
        SafeTensors::deserialize(bytes).map(Tensors).map_err(|error| {
            let message = format!("not a safetensors file, or a damaged one ({} bytes)", bytes.len());
            LoadError::new(LoadErrorKind::Format, message).with_source(error)
        })
    }

    /// All names, sorted.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names = self.0.names();
        names.sort_unstable();
        names
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.tensor(name).is_ok()
    }

    fn view(&self, name: &str) -> Result<TensorView<'a>, LoadError> {
        self.0.tensor(name).map_err(|error| wrong(name, "missing").with_source(error))
    }

    fn shaped(&self, name: &str, shape: &[usize]) -> Result<TensorView<'a>, LoadError> {
        let view = self.view(name)?;
        if view.shape() == shape {
            Ok(view)
        } else {
            Err(wrong(name, format!("expected shape {shape:?}, found {:?}", view.shape())))
        }
    }

    pub(super) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        floats(name, &self.shaped(name, &[len])?)
    }

    /// A matrix of floats, or of i8 with its scales.
    pub(super) fn matrix(&self, name: &str, rows: usize, columns: usize) -> Result<Matrix<'a>, LoadError> {
        let view = self.shaped(name, &[rows, columns])?;
        if view.dtype() != Dtype::I8 {
            return Ok(Matrix::from_f32(rows, columns, floats(name, &view)?));
        }
        let scale_name = format!("{name}{SCALE}");
        let scales = self.vector(&scale_name, rows)?;
        if let Some(row) = scales.iter().position(|&scale| scale < 0.0) {
            return Err(wrong(&scale_name, format!("row {row} has the negative scale {}", scales[row])));
        }
        Ok(Matrix::from_int8(rows, columns, Cow::Borrowed(view.data()), scales))
    }

    /// Type and shape of a tensor.
    pub(super) fn form(&self, name: &str) -> Result<(Dtype, Vec<usize>), LoadError> {
        let view = self.view(name)?;
        Ok((view.dtype(), view.shape().to_vec()))
    }

    /// The bytes of a tensor of floats, as they are stored.
    pub(super) fn bytes(&self, name: &str) -> Result<&'a [u8], LoadError> {
        let view = self.view(name)?;
        floats(name, &view)?;
        Ok(view.data())
    }

    /// Any tensor of floats, or an i8 matrix with its scales, as f32.
    pub(super) fn any(&self, name: &str) -> Result<Tensor, LoadError> {
        let view = self.view(name)?;
        let shape = view.shape().to_vec();
        let data = match (view.dtype(), &shape[..]) {
            (Dtype::I8, &[rows, columns]) => self.matrix(name, rows, columns)?.to_f32().into_owned(),
            _ => floats(name, &view)?,
        };
        Ok(Tensor { shape, data })
    }
}

fn wrong(name: &str, what: impl std::fmt::Display) -> LoadError {
    LoadError::new(LoadErrorKind::Tensor, format!("tensor {name:?}: {what}"))
}

/// The numbers of an f32, f16 or bf16 tensor; all must be finite.
fn floats(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>, LoadError> {
    let data = view.data();
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        Dtype::F16 => data.as_chunks::<2>().0.iter().map(|&bytes| half(u16::from_le_bytes(bytes))).collect(),
        Dtype::BF16 => data
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&bytes| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16))
            .collect(),
        other => return Err(wrong(name, format!("expected type F32, F16, BF16 or I8, found {other:?}"))),
    };
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(at) => Err(wrong(name, format!("number {at} of {} is {}", values.len(), values[at]))),
    }
}

/// IEEE half precision to f32, exactly.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff);
    let value = if magnitude >= 0x7c00 {
        f32::from_bits(0x7f80_0000 | (magnitude & 0x3ff) << 13)
    } else {
        // The exponent is 112 too small; the product is exact, for subnormal numbers too.
        f32::from_bits(magnitude << 13) * f32::from_bits((127 + 112) << 23)
    };
    f32::from_bits(value.to_bits() | sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x3555, 0.333_251_95),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:#x}");
        }
        assert!(half(0x7e00).is_nan());
    }
}
