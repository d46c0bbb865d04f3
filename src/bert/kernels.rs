//! The arithmetic between the matrix products: f32 loops whose results are the same bits on every CPU.
//!
//! # Why this way
//!
//! Each function is plain code over slices, forced inline, that [`vectorised`] compiles once for each
//! instruction set and picks at run time. Nothing in it depends on the vector width: elements are independent,
//! or are added up in [`LANES`] fixed partial sums and a fixed tree. `mul_add` is one rounding by definition,
//! so fused hardware, and software where a CPU has none, agree. `exp`, `tanh` and GELU are polynomials of our
//! own, because those of the system's library differ from one system to the next.

use rten_simd::{Isa, SimdOp};

/// How many partial sums a reduction keeps.
const LANES: usize = 32;

/// Adding this to a value below 2^22 rounds it to the nearest integer, in the low bits of the sum.
const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23

/// Activations are quantized to 0..=255 over this many steps, which leaves room for a rounded zero point.
const STEPS: f32 = 254.0;

/// GELU is nowhere below this.
const GELU_MIN: f32 = -0.1702;

/// Runs `work`, compiled for the best instruction set of this machine.
///
/// `work` must be `#[inline(always)]` down to its loops.
#[inline]
pub(crate) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    struct Work<F>(F);
    impl<R, F: FnOnce() -> R> SimdOp for Work<F> {
        type Output = R;

        #[inline(always)]
        fn eval<I: Isa>(self, _isa: I) -> R {
            (self.0)()
        }
    }
    Work(work).dispatch()
}

#[inline(always)]
fn add(a: f32, b: f32) -> f32 {
    a + b
}

#[inline(always)]
fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn min(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Folds the lanes in a fixed tree.
#[inline(always)]
fn fold<const N: usize>(mut lanes: [f32; N], op: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = N / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = op(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Reduces a slice of a multiple of `N` numbers in `N` lanes: element `i` goes to lane `i % N`.
#[inline(always)]
fn reduce<const N: usize>(
    x: &[f32],
    start: f32,
    step: impl Fn(f32, f32) -> f32,
    join: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut lanes = [start; N];
    let (chunks, rest) = x.as_chunks::<N>();
    debug_assert!(rest.is_empty(), "{} numbers in {N} lanes", x.len());
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = step(*lane, value);
        }
    }
    fold(lanes, join)
}

/// e^x to about 2 units in the last place; 0 below −87, and as at 88 above.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let clamped = min(max(x, -87.0), 88.0);
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    // ln 2 in two parts, the first exact in few bits.
    let r = whole.mul_add(-0.693_359_4, clamped);
    let r = whole.mul_add(2.121_944_4e-4, r);
    let p = r.mul_add(1.388_888_9e-3, 8.333_334e-3);
    let p = p.mul_add(r, 4.166_666_6e-2);
    let p = p.mul_add(r, 1.666_666_7e-1);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r, 1.0);
    let p = p.mul_add(r, 1.0);
    let power = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    if x < -87.0 { 0.0 } else { power }
}

/// tanh to about 2e-7.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let clamped = min(max(x, -10.0), 10.0);
    1.0 - 2.0 / (exp(2.0 * clamped) + 1.0)
}

/// x Φ(x), Φ the normal distribution function, to about 3e-7: for f32 models.
///
/// Φ by the complementary error function in the form of Abramowitz and Stegun, 7.1.26.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / z.mul_add(0.327_591_1, 1.0);
    let p = t.mul_add(1.061_405_4, -1.453_152);
    let p = p.mul_add(t, 1.421_413_7);
    let p = p.mul_add(t, -0.284_496_74);
    let p = p.mul_add(t, 0.254_829_6);
    let tail = 0.5 * (p * t) * exp(-(z * z));
    let phi = if x < 0.0 { tail } else { 1.0 - tail };
    x * phi
}

/// x Φ(x) to 2e-4, a small part of a quantization step: for int8 models.
///
/// Φ(x) − ½ is odd: x times a polynomial in x², fitted for the least greatest error of the product on ±4 and
/// scaled to meet ½ at 4.
#[inline(always)]
pub(crate) fn gelu_quick(x: f32) -> f32 {
    let c = min(max(x, -4.0), 4.0);
    let t = c * c;
    let mut p = GELU_QUICK[0];
    for coefficient in &GELU_QUICK[1..] {
        p = p.mul_add(t, *coefficient);
    }
    x * p.mul_add(c, 0.5)
}

/// Highest power first.
const GELU_QUICK: [f32; 7] =
    [2.258_82e-8, -1.588_826_8e-6, 4.776_388e-5, -8.121_874e-4, 8.763_69e-3, -6.455_441e-2, 3.978_702_7e-1];

/// One dense layer's numbers by column, for [`Accumulator::finish_row`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns<'a> {
    /// Weight scale of each column; empty for f32.
    pub(crate) scale: &'a [f32],
    /// Weight scale times sum of the quantized weights of each column; empty for f32.
    pub(crate) sums: &'a [f32],
    /// Bias of each column.
    pub(crate) bias: &'a [f32],
}

/// How one row of activations was quantized: value = scale * (byte - zero).
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct RowScale {
    pub(crate) scale: f32,
    pub(crate) zero: f32,
}

/// What a matrix product gives: i32 of quantized factors, or f32.
pub(crate) trait Accumulator: Copy {
    /// Writes `op(value, old)` over `out`, value being the dense layer's result in this row.
    fn finish_row(
        acc: &[Self],
        row: RowScale,
        columns: Columns<'_>,
        out: &mut [f32],
        op: impl Fn(f32, f32) -> f32,
    );
}

impl Accumulator for f32 {
    #[inline(always)]
    fn finish_row(
        acc: &[f32],
        _: RowScale,
        columns: Columns<'_>,
        out: &mut [f32],
        op: impl Fn(f32, f32) -> f32,
    ) {
        for ((&acc, &bias), out) in acc.iter().zip(columns.bias).zip(out) {
            *out = op(acc + bias, *out);
        }
    }
}

impl Accumulator for i32 {
    #[inline(always)]
    fn finish_row(
        acc: &[i32],
        row: RowScale,
        columns: Columns<'_>,
        out: &mut [f32],
        op: impl Fn(f32, f32) -> f32,
    ) {
        let shift = -(row.scale * row.zero);
        let columns = columns.bias.iter().zip(columns.scale).zip(columns.sums);
        for ((&acc, ((&bias, &scale), &sum)), out) in acc.iter().zip(columns).zip(out) {
            let offset = shift.mul_add(sum, bias);
            *out = op((acc as f32).mul_add(row.scale * scale, offset), *out);
        }
    }
}

/// Quantizes a row of known range, which must hold 0, to bytes.
#[inline(always)]
fn quantize_range(x: &[f32], low: f32, high: f32, out: &mut [u8]) -> RowScale {
    let range = high - low;
    let inverse = if range > 0.0 { STEPS / range } else { 0.0 };
    let zero = (-low).mul_add(inverse, 1.0).floor();
    let shift = zero + ROUND;
    for (out, &value) in out.iter_mut().zip(x) {
        *out = value.mul_add(inverse, shift).to_bits() as u8;
    }
    RowScale { scale: range / STEPS, zero }
}

/// Quantizes a row to bytes over its own range.
#[inline(always)]
pub(crate) fn quantize_row(x: &[f32], out: &mut [u8]) -> RowScale {
    let low = reduce::<LANES>(x, 0.0, min, min);
    let high = reduce::<LANES>(x, 0.0, max, max);
    quantize_range(x, low, high, out)
}

/// Lanes in which the greatest number of a row is found while the row is being made.
pub(crate) type High = [f32; 16];

/// Takes numbers into the greatest of their row.
#[inline(always)]
pub(crate) fn raise(high: &mut High, x: &[f32]) {
    let mut lanes = *high;
    for chunk in x.as_chunks().0 {
        let chunk: &High = chunk;
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = max(*lane, value);
        }
    }
    *high = lanes;
}

/// Quantizes a row of GELU's results, whose least value is known, and whose greatest is in `high`.
#[inline(always)]
pub(crate) fn quantize_gelu_row(x: &[f32], high: High, out: &mut [u8]) -> RowScale {
    quantize_range(x, GELU_MIN, fold(high, max), out)
}

/// Layer normalisation of one row in place.
#[inline(always)]
pub(crate) fn layer_norm(x: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f32) {
    let count = x.len() as f32;
    let mean = reduce::<LANES>(x, 0.0, add, add) / count;
    let squares = reduce::<LANES>(
        x,
        0.0,
        #[inline(always)]
        |a, b| (b - mean).mul_add(b - mean, a),
        add,
    );
    let inverse = 1.0 / (squares / count + epsilon).sqrt();
    for ((x, &gamma), &beta) in x.iter_mut().zip(gamma).zip(beta) {
        *x = ((*x - mean) * inverse).mul_add(gamma, beta);
    }
}

/// `out[r][c] = sum over k of a[r][k] * b[k][c]` for `R` rows and `C` columns, k in order.
///
/// `a` holds rows `a_stride` apart, `b` rows `b_stride` apart; `depth` is how many k there are.
#[inline(always)]
pub(crate) fn product<const R: usize, const C: usize>(
    a: &[f32],
    a_stride: usize,
    b: &[f32],
    b_stride: usize,
    depth: usize,
) -> [[f32; C]; R] {
    let rows: [&[f32]; R] = std::array::from_fn(|r| &a[r * a_stride..][..depth]);
    let mut sums = [[0.0; C]; R];
    for (k, b) in b.chunks(b_stride).take(depth).enumerate() {
        let Some(b) = b.first_chunk::<C>() else { return sums };
        // A copy, so that it is loaded once and not again for each row.
        let b = *b;
        let a: [f32; R] = std::array::from_fn(|r| rows[r][k]);
        for r in 0..R {
            for c in 0..C {
                sums[r][c] = a[r].mul_add(b[c], sums[r][c]);
            }
        }
    }
    sums
}

/// Softmax without the division, in place, of `scale` times the first `count` scores; returns 1 / sum.
///
/// `scores` is `count` rounded up to a multiple of 16. What stands beyond `count` becomes 0.
#[inline(always)]
pub(crate) fn softmax(scores: &mut [f32], count: usize, scale: f32) -> f32 {
    const N: usize = 16;
    if let Some(last) = scores.last_chunk_mut::<N>() {
        let used = (count + N - 1) % N;
        for (i, score) in last.iter_mut().enumerate() {
            *score = if i <= used { *score } else { f32::NEG_INFINITY };
        }
    }
    let shift = -scale * reduce::<N>(scores, f32::MIN, max, max);
    let mut sums = [0.0; N];
    for chunk in scores.as_chunks_mut::<N>().0 {
        for (sum, score) in sums.iter_mut().zip(chunk) {
            *score = exp(score.mul_add(scale, shift));
            *sum += *score;
        }
    }
    1.0 / fold(sums, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between −`size` and `size`, always the same.
    fn numbers(count: usize, size: f32, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next() * size).collect()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    /// ∫ of the normal density by Simpson's rule in f64: slow, and independent of what is tested.
    fn exact_gelu(x: f32) -> f64 {
        let x = f64::from(x);
        let density = |z: f64| (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let steps = 2000;
        let step = x / f64::from(steps);
        let inner: f64 =
            (1..steps).map(|i| density(f64::from(i) * step) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
        x * (0.5 + step / 3.0 * (density(0.0) + inner + density(x)))
    }

    #[test]
    fn functions_are_close_to_the_exact_ones() {
        for i in -1000..=1000 {
            let x = i as f32 * 0.01;
            let wide = f64::from(x);
            assert!((f64::from(exp(x)) / wide.exp() - 1.0).abs() < 3e-7, "exp {x}");
            assert!((f64::from(tanh(x)) - wide.tanh()).abs() < 3e-7, "tanh {x}");
            let exact = exact_gelu(x);
            assert!((f64::from(gelu(x)) - exact).abs() < 1e-6, "gelu {x}");
            assert!((f64::from(gelu_quick(x)) - exact).abs() < 2e-4, "gelu_quick {x}");
            assert!(gelu_quick(x) > GELU_MIN, "gelu_quick {x}");
        }
        assert_eq!((exp(-200.0), exp(f32::NEG_INFINITY), exp(0.0)), (0.0, 0.0, 1.0));
        assert_eq!((tanh(50.0), tanh(-50.0)), (1.0, -1.0));
        assert!(exp(1000.0).is_finite());
    }

    #[test]
    fn quantization_keeps_zero_and_stays_within_a_step() {
        let rows = [
            numbers(384, 3.0, 1),
            numbers(384, 1e-6, 2),
            numbers(384, 1e6, 3),
            vec![0.0; 384],
            vec![2.5; 384],
        ];
        for x in rows {
            let mut bytes = vec![0; x.len()];
            let RowScale { scale, zero } = quantize_row(&x, &mut bytes);
            assert!((0.0..=255.0).contains(&zero) && zero.fract() == 0.0, "{zero}");
            for (x, byte) in x.iter().zip(bytes) {
                assert!(
                    (scale * (f32::from(byte) - zero) - x).abs() <= 0.501 * scale,
                    "{x} {byte} {scale} {zero}"
                );
            }
        }
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        for seed in 0..20 {
            let x = numbers(384, 4.0, seed);
            let (gamma, beta) = (numbers(384, 1.0, seed + 50), numbers(384, 1.0, seed + 60));

            let (mut plain, mut simd) = (x.clone(), x.clone());
            layer_norm(&mut plain, &gamma, &beta, 1e-12);
            vectorised(
                #[inline(always)]
                || layer_norm(&mut simd, &gamma, &beta, 1e-12),
            );
            assert_eq!(bits(&plain), bits(&simd), "layer_norm");

            let (mut plain, mut simd) = (vec![0; 384], vec![0; 384]);
            let plain_scale = quantize_row(&x, &mut plain);
            let simd_scale = vectorised(
                #[inline(always)]
                || quantize_row(&x, &mut simd),
            );
            assert_eq!((plain, plain_scale), (simd, simd_scale), "quantize_row");

            let (mut plain, mut simd) = (x[..48].to_vec(), x[..48].to_vec());
            let plain_inverse = softmax(&mut plain, 37, 0.3);
            let simd_inverse = vectorised(
                #[inline(always)]
                || softmax(&mut simd, 37, 0.3),
            );
            assert_eq!(bits(&plain), bits(&simd), "softmax");
            assert_eq!(plain_inverse.to_bits(), simd_inverse.to_bits(), "softmax");
            assert!(plain[37..].iter().all(|&score| score == 0.0));

            let plain = product::<4, 32>(&x, 37, &gamma, 40, 9);
            let simd = vectorised(
                #[inline(always)]
                || product::<4, 32>(&x, 37, &gamma, 40, 9),
            );
            assert_eq!(plain.map(|row| bits(&row)), simd.map(|row| bits(&row)), "product");

            let acc: Vec<i32> = x.iter().map(|x| (x * 1e5) as i32).collect();
            let columns = Columns { scale: &gamma, sums: &beta, bias: &x };
            let row = RowScale { scale: 0.013, zero: 117.0 };
            for activation in [gelu, gelu_quick, tanh, exp] {
                let (mut plain, mut simd) = (x.clone(), x.clone());
                i32::finish_row(&acc, row, columns, &mut plain, |value, old| activation(value) + old);
                vectorised(
                    #[inline(always)]
                    || i32::finish_row(&acc, row, columns, &mut simd, |value, old| activation(value) + old),
                );
                assert_eq!(bits(&plain), bits(&simd), "finish_row");
            }
        }
    }
}
