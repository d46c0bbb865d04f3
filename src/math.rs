//! The exponential function, the logarithm and what is made of them, with the same bits on every platform.
//!
//! `f64::exp` calls the platform's C library, and those differ in the last bits. These use additions,
//! multiplications and divisions alone, which IEEE 754 fixes.

/// e to the power of `x`, to within 2 units in the last place; 0 below −708, infinite above 709.
pub(crate) fn exp(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x > 709.0 {
        return f64::INFINITY;
    }
    if x < -708.0 {
        return 0.0;
    }
    // x = k ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts so that k ln 2 is exact to begin with.
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let k = (x * std::f64::consts::LOG2_E).round();
    let r = (x - k * LN2_HIGH) - k * LN2_LOW;
    // Taylor series, from the smallest term; the first one left out is below 1e-18.
    let mut sum = 1.0;
    for n in (1..=14).rev() {
        sum = 1.0 + sum * r / f64::from(n);
    }
    // k lies in -1021..=1023, so 2^k is a normal number: its bits can be written down.
    sum * f64::from_bits(((k as i64 + 1023) as u64) << 52)
}

/// Natural logarithm of a normal positive number, to within 4 units in the last place or 1e-15.
pub(crate) fn ln(x: f64) -> f64 {
    debug_assert!(x.is_normal() && x > 0.0);
    // x = 2^k m with m in sqrt(1/2)..sqrt(2), and ln m = 2 artanh((m - 1) / (m + 1)).
    let bits = x.to_bits();
    let mut k = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | (1023 << 52));
    if m > std::f64::consts::SQRT_2 {
        m /= 2.0;
        k += 1;
    }
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    for n in (0..=11).rev() {
        sum = sum * square + 1.0 / f64::from(2 * n + 1);
    }
    k as f64 * std::f64::consts::LN_2 + 2.0 * s * sum
}

/// 1 / (1 + e^−x): log odds to probability.
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

/// Hyperbolic tangent.
pub(crate) fn tanh(x: f64) -> f64 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_is_the_natural_logarithm() {
        // Miri moves the last bits of the platform's logarithm on purpose.
        let part = if cfg!(miri) { 2e-15 } else { 1e-15 };
        let mut x = 1e-12;
        while x < 1e12 {
            assert!((ln(x) - x.ln()).abs() <= 1e-15 + part * x.ln().abs(), "{x}: {} {}", ln(x), x.ln());
            x *= 1.013;
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn exp_is_the_exponential_function() {
        let mut x = -700.0;
        while x < 705.0 {
            let (ours, theirs) = (exp(x), x.exp());
            assert!((ours / theirs - 1.0).abs() < 1e-15 * 4.0, "{x}: {ours} {theirs}");
            x += 0.37;
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e9), 0.0);
        assert_eq!(exp(1e9), f64::INFINITY);
        assert!(exp(f64::NAN).is_nan());
        assert_eq!(sigmoid(0.0), 0.5);
        assert_eq!(sigmoid(-1e9), 0.0);
        assert_eq!(sigmoid(1e9), 1.0);
        for x in [-30.0, -1.5, 0.0, 0.2, 4.0] {
            assert!((tanh(x) - f64::tanh(x)).abs() < 1e-15, "{x}");
        }
    }
}
