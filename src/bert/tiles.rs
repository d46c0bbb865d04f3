//! The int8 matrix product on the tile unit (AMX) that Intel's servers have since 2023.
//!
//! # Why this way
//!
//! rten-gemm has no kernel for that unit, with which the whole encoder is twice as fast as on vector instructions (`cargo
//! bench --bench encode`, with and without `AMENDS_AMX=0`). Sums of integers are exact, so the results are the same bits. Rust's intrinsics for the
//! unit are not stable; assembly is. This is the only `unsafe` code of the crate: the functions of [`unit`], each
//! behind a safe one that checks the lengths of its slices. [`Tiled::multiply_plain`] says in plain code what they
//! compute, and the tests compare the two.
//!
//! `AMENDS_AMX=0` in the environment turns the unit off.

/// Rows of activations in a tile, and outputs in a tile of weights.
pub(super) const SIDE: usize = 16;
/// Inputs in a tile.
const DEPTH: usize = 64;
/// Tiles of rows in one product.
const MOST: usize = 3;

/// Weights of 64 inputs and 16 outputs: for each four inputs the outputs one after another, four bytes each.
#[derive(Clone)]
#[repr(align(64))]
struct Tile([i8; DEPTH * SIDE]);

/// A panel of weights as the tile unit reads it.
pub(super) struct Tiled {
    inputs: usize,
    outputs: usize,
    /// For each 16 outputs the tiles of their inputs.
    tiles: Vec<Tile>,
}

impl Tiled {
    /// Whether weights of this shape fall into whole tiles; outputs go in pairs of tiles.
    pub(super) fn fits(inputs: usize, outputs: usize) -> bool {
        inputs > 0 && inputs.is_multiple_of(DEPTH) && outputs > 0 && outputs.is_multiple_of(2 * SIDE)
    }

    /// Packs weights `[outputs, inputs]` of a shape that [fits](Self::fits).
    pub(super) fn new(weights: &[i8], inputs: usize) -> Self {
        let outputs = weights.len() / inputs;
        assert!(Self::fits(inputs, outputs) && weights.len() == inputs * outputs);
        let mut tiles = Vec::with_capacity(weights.len() / (DEPTH * SIDE));
        for rows in weights.chunks_exact(SIDE * inputs) {
            for from in (0..inputs).step_by(DEPTH) {
                let mut tile = Tile([0; DEPTH * SIDE]);
                for (output, row) in rows.chunks_exact(inputs).enumerate() {
                    for (four, bytes) in row[from..from + DEPTH].chunks_exact(4).enumerate() {
                        tile.0[four * DEPTH + output * 4..][..4].copy_from_slice(bytes);
                    }
                }
                tiles.push(tile);
            }
        }
        Tiled { inputs, outputs, tiles }
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Multiplies activations `[rows, inputs]` into `out` `[rows, outputs]`. Both slices must hold whole tiles, that
    /// is `rows` rounded up to 16; what stands in the rows beyond is of no account.
    pub(super) fn multiply(&self, unit: &unit::Unit, rows: usize, activations: &[u8], out: &mut [i32]) {
        let (blocks, activations, out) = self.whole(rows, activations, out);
        unit.multiply(self, blocks, activations, out);
    }

    /// How many tiles of rows there are, and the parts of the slices that they take up. Panics where they have no room.
    fn whole<'a>(
        &self,
        rows: usize,
        activations: &'a [u8],
        out: &'a mut [i32],
    ) -> (usize, &'a [u8], &'a mut [i32]) {
        let blocks = rows.div_ceil(SIDE);
        assert!(blocks <= MOST, "{rows} rows in one product");
        (blocks, &activations[..blocks * SIDE * self.inputs], &mut out[..blocks * SIDE * self.outputs])
    }

    /// What [`multiply`](Self::multiply) computes.
    #[cfg(test)]
    fn multiply_plain(&self, rows: usize, activations: &[u8], out: &mut [i32]) {
        let rows = rows.next_multiple_of(SIDE);
        for (row, out) in out.chunks_exact_mut(self.outputs).take(rows).enumerate() {
            let activations = &activations[row * self.inputs..][..self.inputs];
            for (output, out) in out.iter_mut().enumerate() {
                let tiles = &self.tiles[output / SIDE * (self.inputs / DEPTH)..];
                let weight = |input: usize| {
                    let within = input % DEPTH;
                    tiles[input / DEPTH].0[within / 4 * DEPTH + output % SIDE * 4 + within % 4]
                };
                *out = activations
                    .iter()
                    .enumerate()
                    .map(|(input, &byte)| i32::from(byte) * i32::from(weight(input)))
                    .sum();
            }
        }
    }
}

/// The unit itself.
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
#[allow(unsafe_code)]
pub(super) mod unit {
    use std::arch::asm;
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    use std::marker::PhantomData;
    use std::sync::LazyLock;

    use super::{DEPTH, SIDE, Tile, Tiled};

    /// Whether this processor has the unit, and the system lets this process use it.
    static PRESENT: LazyLock<bool> = LazyLock::new(|| {
        const TILE: u32 = 1 << 24;
        const INT8: u32 = 1 << 25;
        let wanted = std::env::var_os("AMENDS_AMX").is_none_or(|value| value != "0");
        wanted && __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & (TILE | INT8) == TILE | INT8 && permitted()
    });

    /// Asks the system for the unit's registers, which a process has only on demand.
    fn permitted() -> bool {
        const ARCH_PRCTL: i64 = 158;
        const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
        const XFEATURE_XTILEDATA: u64 = 18;
        let result: i64;
        // SAFETY: this call reads and writes no memory of the process. A kernel that does not know it, or a processor
        // without the unit, answers with an error.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") ARCH_PRCTL => result,
                in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") XFEATURE_XTILEDATA,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        result == 0
    }

    pub(in crate::bert) fn present() -> bool {
        *PRESENT
    }

    /// The unit of this thread, set up for tiles of 16 rows of 64 bytes; freed when dropped.
    pub(in crate::bert) struct Unit {
        /// The set-up belongs to a thread.
        thread: PhantomData<*const ()>,
    }

    #[repr(C, align(64))]
    struct Setup {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        row_bytes: [u16; 16],
        rows: [u8; 16],
    }

    static SETUP: Setup = {
        let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
        let mut tile = 0;
        while tile < 8 {
            (row_bytes[tile], rows[tile]) = (DEPTH as u16, SIDE as u8);
            tile += 1;
        }
        Setup { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
    };

    impl Unit {
        /// `None` where there is no unit.
        pub(in crate::bert) fn start() -> Option<Self> {
            present().then(|| {
                // SAFETY: the unit is present and permitted, and the set-up is 64 bytes of its form.
                unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const SETUP, options(nostack, readonly)) };
                Unit { thread: PhantomData }
            })
        }

        /// `activations` `[16 blocks, inputs]` times the weights, to `out` `[16 blocks, outputs]`.
        pub(super) fn multiply(&self, weights: &Tiled, blocks: usize, activations: &[u8], out: &mut [i32]) {
            let _ = self.thread;
            let (inputs, outputs) = (weights.inputs, weights.outputs);
            assert!(Tiled::fits(inputs, outputs) && weights.tiles.len() == inputs / DEPTH * (outputs / SIDE));
            assert!(activations.len() == blocks * SIDE * inputs && out.len() == blocks * SIDE * outputs);
            let depth = inputs / DEPTH;
            for (pair, tiles) in weights.tiles.chunks_exact(2 * depth).enumerate() {
                let (first, second) = tiles.split_at(depth);
                let out = &mut out[pair * 2 * SIDE..];
                // SAFETY: the unit is set up, since there is a `Unit` of this thread. Each row of tiles reads `blocks *
                // 16` rows of `inputs` bytes, `depth` tiles of both outputs, and writes `blocks * 16` rows of 32
                // numbers, `outputs` apart; the lengths are checked above, and `pair * 32 + 32 <= outputs`.
                unsafe {
                    match blocks {
                        1 => one(activations.as_ptr(), inputs, first, second, out.as_mut_ptr(), outputs),
                        2 => two(activations.as_ptr(), inputs, first, second, out.as_mut_ptr(), outputs),
                        3 => three(activations.as_ptr(), inputs, first, second, out.as_mut_ptr(), outputs),
                        _ => {}
                    }
                }
            }
        }
    }

    impl Drop for Unit {
        fn drop(&mut self) {
            // SAFETY: the unit is present; nothing of it is in use.
            unsafe { asm!("tilerelease", options(nostack, nomem)) };
        }
    }

    /// A function that multiplies some rows of tiles by two columns of them: the lines name the results that are
    /// cleared, the steps of each 64 inputs, and where the results go.
    macro_rules! kernel {
        ($name:ident: $clear:tt, $step:tt, $store:tt) => {
            /// # Safety
            ///
            /// The unit is set up; see the call.
            unsafe fn $name(
                activations: *const u8,
                inputs: usize,
                first: &[Tile],
                second: &[Tile],
                out: *mut i32,
                outputs: usize,
            ) {
                // SAFETY: as promised by the caller. Rows of tiles are `16 * inputs` bytes apart.
                unsafe {
                    kernel!(@asm $clear, $step, $store, activations, inputs, first, second, out, outputs);
                }
            }
        };
        (@asm [$($clear:literal)*], [$($step:literal)*], [$($store:literal)*], $a:ident, $inputs:ident, $first:ident,
         $second:ident, $out:ident, $outputs:ident) => {
            asm!(
                $($clear,)*
                "2:",
                $($step,)*
                "add {a0}, 64",
                "add {a1}, 64",
                "add {a2}, 64",
                "add {first}, 1024",
                "add {second}, 1024",
                "dec {depth}",
                "jnz 2b",
                $($store,)*
                a0 = inout(reg) $a => _,
                a1 = inout(reg) $a.wrapping_add(SIDE * $inputs) => _,
                a2 = inout(reg) $a.wrapping_add(2 * SIDE * $inputs) => _,
                inputs = in(reg) $inputs,
                first = inout(reg) $first.as_ptr() => _,
                second = inout(reg) $second.as_ptr() => _,
                line = in(reg) DEPTH,
                depth = inout(reg) $first.len() => _,
                out = inout(reg) $out => _,
                stride = in(reg) 4 * $outputs,
                block = in(reg) 4 * SIDE * $outputs,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            )
        };
    }

    kernel!(three:
        ["tilezero tmm0" "tilezero tmm1" "tilezero tmm2" "tilezero tmm3" "tilezero tmm4" "tilezero tmm5"],
        [
            "tileloadd tmm6, [{first} + {line}*1]"
            "tileloadd tmm7, [{a0} + {inputs}*1]" "tdpbusd tmm0, tmm7, tmm6"
            "tileloadd tmm7, [{a1} + {inputs}*1]" "tdpbusd tmm1, tmm7, tmm6"
            "tileloadd tmm7, [{a2} + {inputs}*1]" "tdpbusd tmm2, tmm7, tmm6"
            "tileloadd tmm6, [{second} + {line}*1]"
            "tdpbusd tmm5, tmm7, tmm6"
            "tileloadd tmm7, [{a0} + {inputs}*1]" "tdpbusd tmm3, tmm7, tmm6"
            "tileloadd tmm7, [{a1} + {inputs}*1]" "tdpbusd tmm4, tmm7, tmm6"
        ],
        [
            "tilestored [{out} + {stride}*1], tmm0" "tilestored [{out} + {stride}*1 + 64], tmm3" "add {out}, {block}"
            "tilestored [{out} + {stride}*1], tmm1" "tilestored [{out} + {stride}*1 + 64], tmm4" "add {out}, {block}"
            "tilestored [{out} + {stride}*1], tmm2" "tilestored [{out} + {stride}*1 + 64], tmm5"
        ]
    );

    kernel!(two:
        ["tilezero tmm0" "tilezero tmm1" "tilezero tmm2" "tilezero tmm3"],
        [
            "tileloadd tmm4, [{a0} + {inputs}*1]" "tileloadd tmm6, [{first} + {line}*1]" "tdpbusd tmm0, tmm4, tmm6"
            "tileloadd tmm5, [{a1} + {inputs}*1]" "tdpbusd tmm1, tmm5, tmm6"
            "tileloadd tmm7, [{second} + {line}*1]" "tdpbusd tmm2, tmm4, tmm7" "tdpbusd tmm3, tmm5, tmm7"
        ],
        [
            "tilestored [{out} + {stride}*1], tmm0" "tilestored [{out} + {stride}*1 + 64], tmm2" "add {out}, {block}"
            "tilestored [{out} + {stride}*1], tmm1" "tilestored [{out} + {stride}*1 + 64], tmm3"
        ]
    );

    kernel!(one:
        ["tilezero tmm0" "tilezero tmm1"],
        [
            "tileloadd tmm4, [{a0} + {inputs}*1]" "tileloadd tmm6, [{first} + {line}*1]" "tdpbusd tmm0, tmm4, tmm6"
            "tileloadd tmm7, [{second} + {line}*1]" "tdpbusd tmm1, tmm4, tmm7"
        ],
        ["/* {block} */" "tilestored [{out} + {stride}*1], tmm0" "tilestored [{out} + {stride}*1 + 64], tmm1"]
    );
}

/// No such unit.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(miri))))]
pub(super) mod unit {
    use super::Tiled;

    pub(in crate::bert) fn present() -> bool {
        false
    }

    pub(in crate::bert) enum Unit {}

    impl Unit {
        pub(in crate::bert) fn start() -> Option<Self> {
            None
        }

        pub(super) fn multiply(&self, _: &Tiled, _: usize, _: &[u8], _: &mut [i32]) {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that look random, the same ones each time.
    fn bytes(count: usize, mut seed: u64) -> Vec<u8> {
        std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        })
        .take(count)
        .collect()
    }

    fn weights(count: usize) -> Vec<i8> {
        bytes(count, 5).into_iter().map(|byte| byte as i8).collect()
    }

    #[test]
    fn the_plain_product_is_the_definition() {
        let (inputs, outputs) = (64, 32);
        let (weights, x) = (weights(inputs * outputs), bytes(SIDE * inputs, 3));
        let mut out = vec![0; SIDE * outputs];
        Tiled::new(&weights, inputs).multiply_plain(SIDE, &x, &mut out);
        for row in 0..SIDE {
            for output in 0..outputs {
                let sum: i32 = (0..inputs)
                    .map(|i| i32::from(x[row * inputs + i]) * i32::from(weights[output * inputs + i]))
                    .sum();
                assert_eq!(out[row * outputs + output], sum);
            }
        }
    }

    #[test]
    fn the_unit_computes_what_the_plain_code_does() {
        let Some(unit) = unit::Unit::start() else {
            println!("skipped: no tile unit");
            return;
        };
        for (inputs, outputs) in [(64, 32), (384, 128), (1536, 96), (128, 64)] {
            let tiled = Tiled::new(&weights(inputs * outputs), inputs);
            for rows in [1_usize, 15, 16, 17, 32, 40, 48] {
                let whole = rows.next_multiple_of(SIDE);
                let x = bytes(whole * inputs, rows as u64);
                // What lies beyond the results stays as it was.
                let (mut out, mut plain) = (vec![7; whole * outputs + 5], vec![7; whole * outputs + 5]);
                tiled.multiply(&unit, rows, &x, &mut out);
                tiled.multiply_plain(rows, &x, &mut plain[..whole * outputs]);
                assert!(out == plain, "{rows} rows, {inputs} inputs, {outputs} outputs");
            }
        }
    }

    #[test]
    #[should_panic(expected = "range end index 2048")]
    fn rows_that_are_not_there_are_not_read() {
        let tiled = Tiled::new(&weights(64 * 32), 64);
        tiled.whole(17, &bytes(17 * 64, 1), &mut [0; 32 * 32]);
    }

    #[test]
    #[should_panic(expected = "range end index 1024")]
    fn rows_that_are_not_there_are_not_written() {
        let tiled = Tiled::new(&weights(64 * 32), 64);
        tiled.whole(17, &bytes(32 * 64, 1), &mut [0; 17 * 32]);
    }
}
