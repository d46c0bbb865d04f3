//! Adds up stories, one at a time or in parts that are merged.

use std::collections::BTreeMap;
use std::fmt;

use crate::analysis::Analysis;
use crate::events::EventType;
use crate::output::StoryRecord;
use crate::score::Flag;
use crate::summary::bootstrap::{Histogram, Sum, UNIT, Weights, units};
use crate::summary::facts::{LABELS, StoryFacts};
use crate::summary::groups::{Rows, Told};
use crate::summary::key::{SummaryKey, SummaryOptions};
use crate::summary::{
    Bootstrap, Estimate, FailureSummary, FailureType, FlagShare, Mover, Quantile, RecoveryType, SCHEMA,
    ScoreSummary, SentimentShare, Summary,
};

/// The quantiles that a summary states, in thousandths.
const QUANTILES: [u64; 7] = [50, 100, 250, 500, 750, 900, 950];

const FLAGS: [Flag; 4] =
    [Flag::DoubleDeviation, Flag::ServiceRecovery, Flag::DroppedBall, Flag::InsufficientEvidence];

/// Which interactions a count or a sum of scores runs over.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    All,
    WithoutFailure,
    WithFailure,
    Answered,
    Unanswered,
    /// Those in which such a recovery answers a failure.
    AnsweredBy(EventType),
}

/// What is added up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stat {
    Sentences,
    Sentiment(usize),
    Interactions(Part),
    /// Those that say enough for a score.
    Scored(Part),
    /// Their scores, in [`UNIT`]s.
    Score(Part),
    Flag(Flag),
    /// Failures of a type, and those of them that were answered.
    Failures(EventType),
    FailuresAnswered(EventType),
    /// Interactions with this reason, and its points there in [`UNIT`]s.
    Reason(String),
    Points(String),
}

/// Makes a [`Summary`] of stories that come one at a time.
///
/// Parts that were built on several threads are [merged](SummaryBuilder::merge); the result is the same, bit for
/// bit, whatever the parts and their order.
///
/// ```
/// # #[cfg(feature = "embedded")] {
/// use amends::Analyzer;
/// use amends::summary::{SummaryBuilder, SummaryKey, SummaryOptions};
///
/// let analyzer = Analyzer::embedded()?;
/// let texts = ["They lost my bag.", "A kind and patient agent.", "Nobody called back."];
/// let mut whole = SummaryBuilder::new(SummaryOptions::default());
/// let mut parts = [whole.clone(), whole.clone()];
/// for (number, text) in texts.into_iter().enumerate() {
///     let analysis = analyzer.analyze(text)?;
///     whole.add(&analysis, SummaryKey::new(number as u64));
///     parts[number % 2].add(&analysis, SummaryKey::new(number as u64));
/// }
/// let [mut even, odd] = parts;
/// even.merge(odd);
/// assert_eq!(even.finish(), whole.finish());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SummaryBuilder {
    options: SummaryOptions,
    weights: Weights,
    stories: u64,
    failed: u64,
    sums: BTreeMap<Stat, Sum>,
    scores: Histogram,
    /// Interactions by tens of points.
    tens: [u64; 10],
    /// Squares of the scores.
    squares: i128,
    rows: Rows,
}

impl fmt::Debug for SummaryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SummaryBuilder")
            .field("options", &self.options)
            .field("stories", &self.stories)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl SummaryBuilder {
    /// A builder that has seen no story. Options that are out of their range are brought into it.
    pub fn new(options: SummaryOptions) -> Self {
        let options = options.in_range();
        SummaryBuilder {
            options,
            weights: Weights::new(&options),
            stories: 0,
            failed: 0,
            sums: BTreeMap::new(),
            scores: Histogram::new(options.resamples),
            tens: [0; 10],
            squares: 0,
            rows: Rows::default(),
        }
    }

    /// Adds an analysis.
    pub fn add(&mut self, analysis: &Analysis, key: SummaryKey<'_>) {
        self.add_facts(&StoryFacts::of_analysis(analysis), &key);
    }

    /// Adds an analysis as it was written: counts the same as the analysis itself, if the record kept all digits.
    ///
    /// Any record counts for something: links to events that it does not have are left out, scores and points
    /// are brought into −100..=100, and what is no number counts as 0.
    pub fn add_record(&mut self, record: &StoryRecord, key: SummaryKey<'_>) {
        self.add_facts(&StoryFacts::of_record(record), &key);
    }

    /// Counts a story that has no analysis.
    pub fn add_failed(&mut self) {
        self.failed += 1;
    }

    /// Adds all that another builder has seen.
    ///
    /// # Panics
    ///
    /// If the other was built with other options.
    #[track_caller]
    pub fn merge(&mut self, other: SummaryBuilder) {
        assert_eq!(self.options, other.options, "builders with different options");
        self.stories += other.stories;
        self.failed += other.failed;
        for (stat, sum) in other.sums {
            match self.sums.get_mut(&stat) {
                Some(mine) => mine.merge(&sum),
                None => {
                    self.sums.insert(stat, sum);
                }
            }
        }
        self.scores.merge(&other.scores);
        for (count, other) in self.tens.iter_mut().zip(other.tens) {
            *count += other;
        }
        self.squares += other.squares;
        self.rows.merge(other.rows);
    }

    pub(super) fn add_facts(&mut self, facts: &StoryFacts, key: &SummaryKey<'_>) {
        self.stories += 1;
        self.weights.draw(key.number);
        // All that the story adds is put together first: every sum costs as much as there are resamples.
        let mut adds: BTreeMap<Stat, i64> = BTreeMap::new();
        let mut add = |stat: Stat, value: i64| *adds.entry(stat).or_insert(0) += value;
        for (at, &count) in facts.sentiments.iter().enumerate() {
            add(Stat::Sentiment(at), count as i64);
            add(Stat::Sentences, count as i64);
        }
        let mut told = Vec::with_capacity(facts.interactions.len());
        for interaction in &facts.interactions {
            let scored = !interaction.flags.contains(&Flag::InsufficientEvidence);
            let score = units(interaction.score.max(0.0));
            let failed = !interaction.failures.is_empty();
            let answered = interaction.failures.iter().any(|&(_, answered)| answered);
            let mut parts = vec![Part::All];
            match (failed, answered) {
                (false, _) => parts.push(Part::WithoutFailure),
                (true, true) => parts.extend([Part::WithFailure, Part::Answered]),
                (true, false) => parts.extend([Part::WithFailure, Part::Unanswered]),
            }
            parts.extend(interaction.answers.iter().cloned().map(Part::AnsweredBy));
            for part in parts {
                add(Stat::Interactions(part.clone()), 1);
                if scored {
                    add(Stat::Scored(part.clone()), 1);
                    add(Stat::Score(part), score);
                }
            }
            for &flag in &interaction.flags {
                add(Stat::Flag(flag), 1);
            }
            for (event_type, answered) in &interaction.failures {
                add(Stat::Failures(event_type.clone()), 1);
                add(Stat::FailuresAnswered(event_type.clone()), i64::from(*answered));
            }
            for (reason, &points) in &interaction.points {
                add(Stat::Reason(reason.clone()), 1);
                add(Stat::Points(reason.clone()), units(points));
            }
            if scored {
                self.scores.add(score, &self.weights);
                self.tens[((score as f64 / UNIT / 10.0) as usize).min(9)] += 1;
                self.squares += i128::from(score) * i128::from(score);
            }
            told.push(Told { score: scored.then_some(score), failed, answered });
        }
        let resamples = self.options.resamples;
        for (stat, value) in adds.into_iter().filter(|&(_, value)| value != 0) {
            self.sums.entry(stat).or_insert_with(|| Sum::new(resamples)).add(value, &self.weights);
        }
        self.rows.add(key, &told);
    }

    /// The summary of all that was added.
    pub fn finish(mut self) -> Summary {
        let providers = self.rows.providers(&self.options);
        let months = self.rows.months(&self.options);
        let sums = Sums::new(self.sums, self.options);
        let sentiment = (0..LABELS.len()).filter_map(|at| {
            let sum = sums.get(&Stat::Sentiment(at));
            let share = sums.ratio(&Stat::Sentiment(at), &Stat::Sentences, 1.0)?;
            Some(SentimentShare { label: LABELS[at], sentences: sum.count(), share })
        });
        let flags = FLAGS.into_iter().filter_map(|flag| {
            let sum = sums.get(&Stat::Flag(flag));
            let share = sums.ratio(&Stat::Flag(flag), &Stat::Interactions(Part::All), 1.0)?;
            Some(FlagShare { flag, interactions: sum.count(), share })
        });
        Summary {
            schema: SCHEMA,
            stories: self.stories,
            failed: self.failed,
            sentences: sums.get(&Stat::Sentences).count(),
            interactions: sums.get(&Stat::Interactions(Part::All)).count(),
            bootstrap: Bootstrap {
                level: self.options.level,
                resamples: self.options.resamples,
                seed: self.options.seed,
            },
            score: sums.score(&self.scores, self.tens, self.squares),
            failures: sums.failures(),
            movers: sums.movers(),
            sentiment: sentiment.collect(),
            flags: flags.collect(),
            providers,
            months,
        }
    }
}

/// The sums when all is added.
struct Sums {
    all: BTreeMap<Stat, Sum>,
    zero: Sum,
    level: f64,
}

impl Sums {
    fn new(all: BTreeMap<Stat, Sum>, options: SummaryOptions) -> Self {
        Sums { all, zero: Sum::new(options.resamples), level: options.level }
    }

    fn get(&self, stat: &Stat) -> &Sum {
        self.all.get(stat).unwrap_or(&self.zero)
    }

    fn ratio(&self, above: &Stat, below: &Stat, scale: f64) -> Option<Estimate> {
        self.get(above).over(self.get(below), scale, self.level)
    }

    fn share(&self, part: Part, of: Part) -> Option<Estimate> {
        self.ratio(&Stat::Interactions(part), &Stat::Interactions(of), 1.0)
    }

    fn mean(&self, part: Part) -> Option<Estimate> {
        self.ratio(&Stat::Score(part.clone()), &Stat::Scored(part), UNIT)
    }

    fn score(&self, scores: &Histogram, tens: [u64; 10], squares: i128) -> Option<ScoreSummary> {
        let mean = self.mean(Part::All)?;
        let scored = self.get(&Stat::Scored(Part::All)).count();
        // n Σx² − (Σx)² in whole units, so that nothing cancels.
        let (n, sum) = (i128::from(scored), i128::from(self.get(&Stat::Score(Part::All)).total));
        let deviation = ((n * squares - sum * sum) as f64).sqrt() / n as f64 / UNIT;
        let quantiles = QUANTILES.into_iter().filter_map(|per_mille| {
            Some(Quantile { share: per_mille as f64 / 1000.0, score: scores.quantile(per_mille)? })
        });
        Some(ScoreSummary {
            scored,
            insufficient: self.get(&Stat::Interactions(Part::All)).count() - scored,
            mean,
            median: scores.median(self.get(&Stat::Scored(Part::All)).stories(), self.level)?,
            deviation,
            quantiles: quantiles.collect(),
            histogram: tens,
        })
    }

    fn failures(&self) -> FailureSummary {
        let mut by_failure = Vec::new();
        let mut by_recovery = Vec::new();
        for (stat, sum) in &self.all {
            match stat {
                Stat::Failures(event_type) => {
                    let answered = Stat::FailuresAnswered(event_type.clone());
                    by_failure.extend(self.ratio(&answered, stat, 1.0).map(|answered| FailureType {
                        event_type: event_type.clone(),
                        failures: sum.count(),
                        answered,
                    }));
                }
                Stat::Interactions(part @ Part::AnsweredBy(event_type)) => {
                    by_recovery.extend(self.share(part.clone(), Part::WithFailure).map(|share| {
                        RecoveryType {
                            event_type: event_type.clone(),
                            interactions: sum.count(),
                            share,
                            score: self.mean(part.clone()),
                        }
                    }));
                }
                _ => {}
            }
        }
        by_failure.sort_by_key(|failure| std::cmp::Reverse(failure.failures));
        by_recovery.sort_by_key(|recovery| std::cmp::Reverse(recovery.interactions));
        FailureSummary {
            failed: self.share(Part::WithFailure, Part::All),
            answered: self.share(Part::Answered, Part::WithFailure),
            score_without: self.mean(Part::WithoutFailure),
            score_answered: self.mean(Part::Answered),
            score_unanswered: self.mean(Part::Unanswered),
            by_failure,
            by_recovery,
        }
    }

    fn movers(&self) -> Vec<Mover> {
        let all = Stat::Interactions(Part::All);
        let mut movers: Vec<Mover> = self
            .all
            .iter()
            .filter_map(|(stat, sum)| {
                let Stat::Reason(reason) = stat else { return None };
                let points = Stat::Points(reason.clone());
                Some(Mover {
                    reason: reason.clone(),
                    interactions: sum.count(),
                    share: self.ratio(stat, &all, 1.0)?,
                    points: self.ratio(&points, stat, UNIT)?,
                    effect: self.ratio(&points, &all, UNIT)?,
                })
            })
            .collect();
        movers.sort_by(|a, b| b.effect.value.abs().total_cmp(&a.effect.value.abs()));
        movers
    }
}
