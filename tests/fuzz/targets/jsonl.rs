#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(
    init: checks::write_seeds("jsonl"),
    |data: &[u8]| checks::jsonl(data)
);
