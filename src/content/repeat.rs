//! Words that stood in the text before: a comment quoted in full, a post that a scraper took twice.
//!
//! A customer may say a short thing twice ("Terrible service."); only a long sentence, or several in a row, counts.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use super::Boilerplate;
use crate::segment::Segment;

/// One sentence that stands again counts from so many letters and digits on,
const LONG: usize = 120;
/// beside furniture, as in a comment section, from so many on.
const LONG_BESIDE: usize = 30;
/// A run of at least two sentences that stands again counts from so many letters and digits on.
const LONG_RUN: usize = 40;

/// A sentence without what a second copy may change: case, marks, white space.
#[derive(Clone, Copy)]
struct Print {
    hash: u64,
    letters: usize,
}

fn print(hasher: &BuildHasherDefault<DefaultHasher>, text: &str) -> Print {
    let mut words = String::with_capacity(text.len());
    let mut letters = 0;
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
        words.extend(word.chars().flat_map(char::to_lowercase));
        // "XXXX" stands for what was blacked out: two such sentences need not be the same.
        if word.bytes().any(|b| b != b'X') {
            letters += word.chars().count();
        }
    }
    Print { hash: hasher.hash_one(&words), letters }
}

/// Marks every sentence that repeats an earlier one; what is furniture already keeps its reason.
pub(super) fn mark(text: &str, segments: &[Segment], reasons: &mut [Option<Boilerplate>]) {
    // A fixed seed: the same text gives the same answer in every process.
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let prints: Vec<Print> = segments.iter().map(|s| print(&hasher, &text[s.span.range()])).collect();
    // For each print the last place where it stood that was no repeat itself.
    let mut seen: HashMap<u64, usize, _> = HashMap::with_hasher(hasher.clone());
    let mut at = 0;
    while at < segments.len() {
        let Some(&before) = seen.get(&prints[at].hash).filter(|_| prints[at].letters > 0) else {
            if reasons[at].is_none() {
                seen.entry(prints[at].hash).or_insert(at);
            }
            at += 1;
            continue;
        };
        let mut run = 0;
        let mut letters = 0;
        while before + run < at
            && at + run < segments.len()
            && prints[before + run].hash == prints[at + run].hash
        {
            letters += prints[at + run].letters;
            run += 1;
        }
        let beside = at.checked_sub(1).is_some_and(|b| reasons[b].is_some());
        let counts = letters >= LONG || run > 1 && letters >= LONG_RUN || beside && letters >= LONG_BESIDE;
        for reason in &mut reasons[at..at + run.max(1)] {
            if counts {
                reason.get_or_insert(Boilerplate::Repeat);
            }
        }
        at += run.max(1);
    }
}
