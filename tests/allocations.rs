//! In the steady state the encoder takes no memory: what one forward needed is kept for the next.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use allocation_counter::measure;
use amends::{Model, Precision, TokenBatch};

/// Allocations of a forward over these sequences, the third time; in all of them 256 tokens at most.
fn allocations(precision: Precision, lengths: &[u32]) -> u64 {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/data/model");
    let model = Model::from_dir(folder, precision).unwrap();
    let encoder = model.encoder();
    let mut batch = TokenBatch::new();
    for &length in lengths {
        let ids: Vec<u32> = (0..length).map(|at| 200 + at * 31 % 7000).collect();
        batch.push(&ids);
    }
    let mut out = vec![0.0; batch.len() * encoder.dim()];
    for _ in 0..2 {
        encoder.encode(&batch, &mut out).unwrap();
    }
    measure(|| encoder.encode(&batch, &mut out).unwrap()).count_total
}

/// Whether the int8 products run on the tile unit, whose kernel is ours. rten-gemm packs activations into memory that
/// it takes and gives back.
fn tiled() -> bool {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    flags.contains("amx_int8") && std::env::var_os("AMENDS_AMX").is_none_or(|value| value != "0")
}

#[test]
fn a_forward_takes_no_memory() {
    for lengths in [&[24][..], &[3, 40, 17, 9, 60], &[96, 96, 64]] {
        let blocks = u64::from(lengths.iter().sum::<u32>().div_ceil(48));
        let (int8, float) = (allocations(Precision::Int8, lengths), allocations(Precision::F32, lengths));
        println!("{lengths:?}: {int8} allocations at int8, {float} at f32");
        if tiled() {
            assert_eq!(int8, 0, "{lengths:?}");
        } else {
            // One for the packed activations of each block of rows and product: four in each of six layers.
            assert!(int8 <= 6 * 4 * (blocks + 1), "{lengths:?}: {int8}");
        }
    }
}
