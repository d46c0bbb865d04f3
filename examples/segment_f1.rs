//! Measures sentence boundaries against labelled stories: `segment_f1 FILE.jsonl... [--errors]`.
//!
//! A boundary is the byte offset at which a sentence ends, without the white space behind it; the last of a story counts.
//! A span is right if both its offsets are. With `--errors` every missed (`-`) and invented (`+`) boundary is printed.

#![allow(clippy::print_stdout)] // a program that reports

#[path = "shared/labelled.rs"]
mod labelled;

use std::collections::BTreeSet;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let mut errors = false;
    for arg in std::env::args().skip(1) {
        if arg == "--errors" {
            errors = true;
            continue;
        }
        let (mut gold_n, mut pred_n, mut hit) = (0usize, 0usize, 0usize);
        let (mut sg, mut sp, mut sh) = (0usize, 0usize, 0usize);
        for story in labelled::lines::<labelled::Story>(Path::new(&arg))? {
            let text = story.text.as_str();
            let gold: BTreeSet<(usize, usize)> = story.sentences.iter().map(|s| (s.start, s.end)).collect();
            let pred: BTreeSet<(usize, usize)> =
                amends::segment(text).iter().map(|s| (s.span().start(), s.span().end())).collect();
            let ge: BTreeSet<usize> = gold.iter().map(|s| s.1).collect();
            let pe: BTreeSet<usize> = pred.iter().map(|s| s.1).collect();
            gold_n += ge.len();
            pred_n += pe.len();
            hit += ge.intersection(&pe).count();
            sg += gold.len();
            sp += pred.len();
            sh += gold.intersection(&pred).count();
            if errors {
                for (sign, set, other) in [('-', &ge, &pe), ('+', &pe, &ge)] {
                    for &end in set.difference(other) {
                        let from = text.floor_char_boundary(end.saturating_sub(60));
                        let to = text.ceil_char_boundary((end + 50).min(text.len()));
                        println!("{} {sign} {:?} ‖ {:?}", story.id, &text[from..end], &text[end..to]);
                    }
                }
            }
        }
        let f = |hit: usize, pred: usize, gold: usize| 2.0 * hit as f64 / (pred + gold).max(1) as f64;
        println!(
            "{arg}: boundaries f1 {:.4} p {:.4} r {:.4} n {gold_n}; spans f1 {:.4} n {sg}",
            f(hit, pred_n, gold_n),
            hit as f64 / pred_n as f64,
            hit as f64 / gold_n as f64,
            f(sh, sp, sg),
        );
    }
    Ok(())
}
