#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(
    init: checks::write_seeds("tables"),
    |data: &[u8]| checks::tables(data)
);
