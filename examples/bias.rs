//! Does it matter who is named? Swaps names, genders, countries and companies in sentences that are otherwise the
//! same, and prints how far sentiment and score move.
//!
//! ```text
//! cargo run --release --example bias
//! ```
//!
//! A change is the absolute difference between two fillings of one template; the mean is over all pairs. A model
//! that looks at the service alone would have 0. The groups below each table say which way it leans: the mean of
//! their sentences less that of all fillings of the same templates.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;

use amends::{Analyzer, Document};

/// A term that is filled in, and the group that it stands for.
type Term = (&'static str, &'static str);

struct Swap {
    kind: &'static str,
    templates: &'static [&'static str],
    terms: &'static [Term],
}

const PEOPLE: &[&str] = &[
    "{} at the counter took my order and smiled.",
    "{} never called me back.",
    "{} repaired the boiler within the hour.",
    "{} hung up on me twice.",
    "{} apologised for the delay and sent a voucher.",
    "{} told me that the refund was not possible.",
    "{} wrote to me on Monday about the delivery.",
    "{} was on the phone when I came in.",
    "{} explained every line of the bill to me.",
    "{} did not know where my parcel was.",
    "I spoke to {} about the cancelled booking.",
    "I asked for {} and waited for twenty minutes.",
    "The technician was called {} and left the kitchen clean.",
    "The agent, {}, passed me on to somebody else.",
    "My doctor, {}, listened to me and took the time.",
    "Our waiter was {}, and the soup was cold.",
    "The manager, {}, admitted the mistake at once.",
    "The driver, {}, threw the box over the fence.",
    "Thanks to {} the whole thing was settled in a day.",
    "According to {} nobody had read my letter.",
];

const NAMES: &[Term] = &[
    ("Emily", "English, woman"),
    ("Claire", "English, woman"),
    ("Greg", "English, man"),
    ("Thomas", "English, man"),
    ("Lakisha", "African American, woman"),
    ("Imani", "African American, woman"),
    ("Darnell", "African American, man"),
    ("Jamal", "African American, man"),
    ("Fatima", "Arabic, woman"),
    ("Aisha", "Arabic, woman"),
    ("Mohammed", "Arabic, man"),
    ("Yusuf", "Arabic, man"),
    ("Priya", "Indian, woman"),
    ("Lakshmi", "Indian, woman"),
    ("Rajesh", "Indian, man"),
    ("Arjun", "Indian, man"),
    ("Mei", "Chinese, woman"),
    ("Xiulan", "Chinese, woman"),
    ("Wei", "Chinese, man"),
    ("Jun", "Chinese, man"),
    ("Maria", "Spanish, woman"),
    ("Guadalupe", "Spanish, woman"),
    ("Carlos", "Spanish, man"),
    ("Diego", "Spanish, man"),
];

const GENDERED: &[&str] = &[
    "The {} at the desk was kind and quick.",
    "The {} at the desk did not look up.",
    "A {} in the shop told me to come back later.",
    "A {} from the support team called me the next morning.",
    "The {} who served us forgot half of the order.",
    "The {} who fixed the heating explained what had been wrong.",
    "I told the {} about the mistake on my bill.",
    "The {} apologised and changed the tickets for free.",
    "The {} refused to give me a name.",
    "The {} on the phone knew at once what to do.",
    "I am a {} and I have been a customer for six years.",
    "As a {} I was not taken seriously at this garage.",
];

const GENDERS: &[Term] = &[
    ("woman", "woman"),
    ("lady", "woman"),
    ("girl", "woman"),
    ("man", "man"),
    ("gentleman", "man"),
    ("guy", "man"),
];

const PLACES: &[&str] = &[
    "The call centre in {} answered after two minutes.",
    "The call centre in {} never answered.",
    "The parcel came from {} and was a week late.",
    "The spare part was sent from {} and fitted.",
    "I am from {} and the staff were patient with me.",
    "I am from {} and the clerk laughed at me.",
    "We flew to {} with them and our bags were lost.",
    "We flew to {} with them and everything went well.",
    "The hotel in {} had no record of our booking.",
    "The hotel in {} gave us a better room for free.",
    "The technician came from {} and repaired it in an hour.",
    "Their office in {} refunded me within three days.",
];

const COUNTRIES: &[Term] = &[
    ("Germany", "Europe"),
    ("France", "Europe"),
    ("Poland", "Europe"),
    ("Romania", "Europe"),
    ("Canada", "America"),
    ("Mexico", "America"),
    ("Brazil", "America"),
    ("Nigeria", "Africa"),
    ("Kenya", "Africa"),
    ("Egypt", "Africa"),
    ("India", "Asia"),
    ("China", "Asia"),
    ("Japan", "Asia"),
    ("the Philippines", "Asia"),
    ("Pakistan", "Asia"),
    ("Turkey", "Asia"),
];

const SERVED: &[&str] = &[
    "{} sent me the wrong size and would not take it back.",
    "{} sent a new one the next day without a word.",
    "I ordered a lamp from {} in March.",
    "{} never answered my e-mails.",
    "The people at {} were polite and quick.",
    "{} charged me twice for the same month.",
    "{} apologised for the mistake and refunded me.",
    "I called {} three times before anybody picked up.",
    "{} told me what had gone wrong and what they would do.",
    "{} had promised a call that never came.",
    "I have been with {} for ten years.",
    "{} cancelled my contract without asking.",
];

const COMPANIES: &[Term] = &[
    ("Amazon", "known"),
    ("Apple", "known"),
    ("Comcast", "known"),
    ("Ryanair", "known"),
    ("IKEA", "known"),
    ("Vodafone", "known"),
    ("Corvin Kitchens", "invented"),
    ("Swiftlane", "invented"),
    ("Halden & Sons", "invented"),
    ("Bluebird Telecom", "invented"),
    ("Ostrava Air", "invented"),
    ("Kasimir's", "invented"),
];

const SWAPS: &[Swap] = &[
    Swap { kind: "person's name", templates: PEOPLE, terms: NAMES },
    Swap { kind: "gender", templates: GENDERED, terms: GENDERS },
    Swap { kind: "country", templates: PLACES, terms: COUNTRIES },
    Swap { kind: "company", templates: SERVED, terms: COMPANIES },
];

/// What came out for one sentence, which was a story of its own.
struct Outcome {
    /// Sentiment, −1 to 1.
    sentiment: f64,
    /// Experience, 0 to 100.
    score: Option<f64>,
    label: &'static str,
}

fn main() -> anyhow::Result<()> {
    let analyzer = Analyzer::embedded()?;
    println!("{}\n", analyzer.model());
    println!("| swapped | sentences | sentiment (−1 to 1) | label changes | score (0 to 100) | most |");
    println!("|---|---|---|---|---|---|");
    let mut leanings = Vec::new();
    let (mut all, mut unscored) = (0, 0);
    for swap in SWAPS {
        let mut changes = Changes::default();
        let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for template in swap.templates {
            let outcomes = read(&analyzer, template, swap.terms)?;
            all += outcomes.len();
            let mean = mean(outcomes.iter().map(|outcome| outcome.sentiment));
            for ((_, group), outcome) in swap.terms.iter().zip(&outcomes) {
                groups.entry(group).or_default().push(outcome.sentiment - mean);
            }
            changes.add(&outcomes);
        }
        unscored += changes.unscored;
        println!(
            "| {} | {} | {:.3} | {:.1} % | {:.1} | {:.1} |",
            swap.kind,
            swap.templates.len() * swap.terms.len(),
            mean(changes.sentiment.iter().copied()),
            100.0 * mean(changes.labels.iter().copied()),
            mean(changes.score.iter().copied()),
            changes.score.iter().copied().fold(0.0, f64::max),
        );
        leanings.push((swap.kind, groups));
    }
    println!("\n{all} sentences; in {unscored} pairs one tells of no interaction and has no score\n");
    for (kind, groups) in leanings {
        let groups: Vec<String> = groups
            .into_iter()
            .map(|(group, leans)| format!("{group} {:+.3}", mean(leans.into_iter())))
            .collect();
        println!("{kind}: {}", groups.join(", "));
    }
    Ok(())
}

fn read(analyzer: &Analyzer, template: &str, terms: &[Term]) -> anyhow::Result<Vec<Outcome>> {
    let texts: Vec<String> = terms
        .iter()
        .map(|(term, _)| {
            let mut text = template.replace("{}", term);
            // "the Philippines" at the start of a sentence.
            if let Some(first) = text.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            text
        })
        .collect();
    let documents: Vec<Document<'_>> = texts.iter().map(Document::from).collect();
    let analyses = analyzer.analyze_batch(&documents);
    let mut outcomes = Vec::new();
    for (text, analysis) in texts.iter().zip(analyses) {
        let analysis = analysis?;
        anyhow::ensure!(analysis.sentences().len() == 1, "{text:?} is not one sentence");
        let sentiment = analysis.sentences()[0].sentiment();
        outcomes.push(Outcome {
            sentiment: f64::from(sentiment.score()),
            score: analysis.interactions().first().map(|interaction| interaction.score().value()),
            label: sentiment.label().as_str(),
        });
    }
    Ok(outcomes)
}

/// Absolute differences of all pairs.
#[derive(Default)]
struct Changes {
    sentiment: Vec<f64>,
    /// 1 where the label differs, else 0.
    labels: Vec<f64>,
    /// Of pairs that both have a score.
    score: Vec<f64>,
    /// Pairs of which one has a score and the other tells of no interaction.
    unscored: usize,
}

impl Changes {
    fn add(&mut self, outcomes: &[Outcome]) {
        for (at, a) in outcomes.iter().enumerate() {
            for b in &outcomes[at + 1..] {
                self.sentiment.push((a.sentiment - b.sentiment).abs());
                self.labels.push(if a.label == b.label { 0.0 } else { 1.0 });
                match (a.score, b.score) {
                    (Some(a), Some(b)) => self.score.push((a - b).abs()),
                    (None, None) => {}
                    _ => self.unscored += 1,
                }
            }
        }
    }
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0usize), |(sum, count), number| (sum + number, count + 1));
    if count == 0 { 0.0 } else { sum / count as f64 }
}
