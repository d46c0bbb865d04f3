#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(
    init: checks::write_seeds("readers"),
    |data: &[u8]| checks::readers(data)
);
