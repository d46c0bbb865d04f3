#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(
    init: checks::write_seeds("front_door"),
    |data: &[u8]| checks::front_door(data)
);
