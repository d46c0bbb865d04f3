//! Stories by provider and by month.
//!
//! Why this way: there may be as many providers as stories, so sums with all their resamples for each (40 kB) are
//! no bound. A row for each interaction is; the resamples are drawn again, one group at a time, at the end.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::summary::bootstrap::{Histogram, Sum, UNIT, Weights};
use crate::summary::key::{Month, SummaryKey};
use crate::summary::{GroupSummary, SummaryOptions};

/// One interaction, or a story that has none.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Row {
    number: u32,
    /// Position in the names, or [`NO_PROVIDER`].
    provider: u32,
    month: Option<Month>,
    /// In [`UNIT`]s; negative where the text says too little.
    score: i32,
    is_first: bool,
    is_interaction: bool,
    failed: bool,
    answered: bool,
}

const NO_PROVIDER: u32 = u32::MAX;

/// What a row says of an interaction.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Told {
    /// In [`UNIT`]s, where the text says enough.
    pub(super) score: Option<i64>,
    pub(super) failed: bool,
    pub(super) answered: bool,
}

/// All rows of a summary.
#[derive(Clone, Default, Debug)]
pub(super) struct Rows {
    names: Vec<String>,
    places: HashMap<String, u32>,
    rows: Vec<Row>,
}

impl Rows {
    fn place(&mut self, name: &str) -> u32 {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let place = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }

    /// Keeps the interactions of a story, if it has something that it can be grouped by.
    pub(super) fn add(&mut self, key: &SummaryKey<'_>, interactions: &[Told]) {
        if key.provider.is_none() && key.month.is_none() {
            return;
        }
        let provider = key.provider.map_or(NO_PROVIDER, |name| self.place(name));
        let row = Row {
            number: key.number,
            provider,
            month: key.month,
            score: -1,
            is_first: true,
            is_interaction: false,
            failed: false,
            answered: false,
        };
        if interactions.is_empty() {
            self.rows.push(row);
        }
        self.rows.extend(interactions.iter().enumerate().map(|(at, told)| Row {
            score: told.score.map_or(-1, |score| score as i32),
            is_first: at == 0,
            is_interaction: true,
            failed: told.failed,
            answered: told.answered,
            ..row
        }));
    }

    pub(super) fn merge(&mut self, other: Rows) {
        let places: Vec<u32> = other.names.iter().map(|name| self.place(name)).collect();
        let moved = other.rows.into_iter().map(|row| match places.get(row.provider as usize) {
            Some(&provider) => Row { provider, ..row },
            None => row,
        });
        self.rows.extend(moved);
    }

    pub(super) fn providers(&mut self, options: &SummaryOptions) -> Vec<GroupSummary> {
        self.rows.sort_unstable_by_key(|row| (row.provider, row.number));
        let groups: Vec<&[Row]> = self.rows.chunk_by(|a, b| a.provider == b.provider).collect();
        let name = |row: &Row| self.names.get(row.provider as usize).cloned();
        let mut groups = summaries(groups, name, options);
        groups.sort_by(|a, b| b.interactions.cmp(&a.interactions).then_with(|| a.name.cmp(&b.name)));
        groups
    }

    pub(super) fn months(&mut self, options: &SummaryOptions) -> Vec<GroupSummary> {
        self.rows.sort_unstable_by_key(|row| (row.month, row.number));
        let groups: Vec<&[Row]> = self.rows.chunk_by(|a, b| a.month == b.month).collect();
        summaries(groups, |row| Some(row.month?.to_string()), options)
    }
}

/// One summary a group, in the order of the groups; a group without a name is left out.
fn summaries(
    groups: Vec<&[Row]>,
    name: impl Fn(&Row) -> Option<String> + Sync,
    options: &SummaryOptions,
) -> Vec<GroupSummary> {
    groups.into_par_iter().filter_map(|rows| Some(summary(name(rows.first()?)?, rows, options))).collect()
}

fn summary(name: String, rows: &[Row], options: &SummaryOptions) -> GroupSummary {
    let SummaryOptions { level, resamples, .. } = *options;
    let mut weights = Weights::new(options);
    let sum = || Sum::new(resamples);
    let (mut interactions, mut scored, mut score) = (sum(), sum(), sum());
    let (mut failed, mut answered) = (sum(), sum());
    let mut scores = Histogram::new(resamples);
    for story in rows.chunk_by(|a, b| a.number == b.number) {
        weights.draw(story[0].number);
        let count = |is: fn(&Row) -> bool| story.iter().filter(|row| is(row)).count() as i64;
        let points: i64 = story.iter().filter(|row| row.score >= 0).map(|row| i64::from(row.score)).sum();
        let adds = [
            (&mut interactions, count(|row| row.is_interaction)),
            (&mut scored, count(|row| row.score >= 0)),
            (&mut score, points),
            (&mut failed, count(|row| row.failed)),
            (&mut answered, count(|row| row.answered)),
        ];
        for (sum, value) in adds.into_iter().filter(|&(_, value)| value != 0) {
            sum.add(value, &weights);
        }
        for row in story.iter().filter(|row| row.score >= 0) {
            scores.add(i64::from(row.score), &weights);
        }
    }
    GroupSummary {
        name,
        stories: rows.iter().filter(|row| row.is_first).count() as u64,
        interactions: interactions.count(),
        mean: score.over(&scored, UNIT, level),
        median: scores.median(scored.stories(), level),
        failed: failed.over(&interactions, 1.0, level),
        answered: answered.over(&failed, 1.0, level),
    }
}
