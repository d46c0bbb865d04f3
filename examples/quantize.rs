//! Makes the int8 form of a model folder, as it is compiled into the crate.
//!
//! ```text
//! cargo run --release --example quantize -- MODEL_DIR OUT_DIR [--name NAME] [--max-tokens N] [--card TEXT_FILE]
//! ```
//!
//! Prints what became of each tensor, sizes and checksums, and writes `MODEL_CARD.md` beside the model. The text
//! file, if one is given, goes into the card: what the model is, where it comes from, its licence and figures.
#![allow(clippy::print_stdout)]

use std::fmt::Write;
use std::path::PathBuf;

use amends::{QuantizeReport, quantize};
use anyhow::Context;
use clap::Parser;

#[derive(Parser)]
struct Args {
    /// Folder with config.json or model.toml, tokenizer.json and model.safetensors.
    model_dir: PathBuf,
    /// Folder to write to; made if need be.
    out_dir: PathBuf,
    /// The new model's name.
    #[arg(long)]
    name: Option<String>,
    /// The longest sequence, special tokens included; longer ones are cut into windows.
    #[arg(long)]
    max_tokens: Option<usize>,
    /// Text for the model card.
    #[arg(long)]
    card: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let text = match &args.card {
        Some(path) => std::fs::read_to_string(path).with_context(|| path.display().to_string())?,
        None => String::new(),
    };
    let report = quantize(&args.model_dir, &args.out_dir, args.name.as_deref(), args.max_tokens)?;
    for tensor in &report.tensors {
        match tensor.relative_error {
            Some(error) => println!("{:<56} {:>14} i8  error {error:.5}", tensor.name, shape(&tensor.shape)),
            None => println!("{:<56} {:>14} as it was", tensor.name, shape(&tensor.shape)),
        }
    }
    println!(
        "weights: {:.1} MB before, {:.1} MB after",
        report.bytes_before as f64 / 1e6,
        report.bytes_after as f64 / 1e6
    );
    for (name, digest) in &report.checksums {
        println!("{digest}  {name}");
    }
    let path = args.out_dir.join("MODEL_CARD.md");
    std::fs::write(&path, card(&report, text.trim())?).with_context(|| path.display().to_string())?;
    Ok(())
}

fn shape(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ")
}

fn card(report: &QuantizeReport, text: &str) -> anyhow::Result<String> {
    let mut card = format!("# {}\n\n", report.name);
    if !text.is_empty() {
        write!(card, "{text}\n\n")?;
    }
    let errors = || report.tensors.iter().filter_map(|tensor| tensor.relative_error);
    writeln!(card, "## Form\n")?;
    writeln!(
        card,
        "Made by `cargo run --release --example quantize`. {} tensors, {} of them i8 with a scale for each row (dense layers ±64, embedding tables ±127), the others as they were before.\n",
        report.tensors.len(),
        errors().count()
    )?;
    writeln!(
        card,
        "| | |\n|---|---|\n| weights before | {:.1} MB |\n| weights now | {:.1} MB |\n| relative error of a quantized tensor, mean | {:.4} |\n| largest | {:.4} |\n",
        report.bytes_before as f64 / 1e6,
        report.bytes_after as f64 / 1e6,
        errors().sum::<f64>() / errors().count().max(1) as f64,
        errors().fold(0.0, f64::max)
    )?;
    writeln!(card, "## Checksums (SHA-256)\n\n```text")?;
    for (name, digest) in &report.checksums {
        writeln!(card, "{digest}  {name}")?;
    }
    writeln!(card, "```")?;
    Ok(card)
}
