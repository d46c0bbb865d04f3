//! The exponential function and what is made of it, with the same bits on every platform.
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

/// 1 / (1 + e^−x): log odds to probability.
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
