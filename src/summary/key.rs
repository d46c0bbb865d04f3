//! What a caller says about a story that is added, and how intervals are to be made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What is known of a story besides its analysis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SummaryKey<'a> {
    pub(super) number: u32,
    pub(super) provider: Option<&'a str>,
    pub(super) month: Option<Month>,
}

impl<'a> SummaryKey<'a> {
    /// The key of a story with this number: its row in the input, or any other number that no other story of the
    /// summary has. The bootstrap's draws hang on it, and nothing else does. Numbers count modulo 2³².
    pub fn new(number: u64) -> Self {
        SummaryKey { number: number as u32, provider: None, month: None }
    }

    /// Who served the customer, as the input says. White space around the name is dropped; an empty name is none.
    pub fn with_provider(mut self, provider: &'a str) -> Self {
        self.provider = Some(provider.trim()).filter(|name| !name.is_empty());
        self
    }

    /// When the story was written.
    pub fn with_month(mut self, month: Month) -> Self {
        self.month = Some(month);
        self
    }
}

/// A month of the proleptic Gregorian calendar, year 0 to 5460.
///
/// ```
/// use amends::summary::Month;
///
/// let month: Month = "2026-11-22T10:15:00Z".parse()?;
/// assert_eq!((month.year(), month.month()), (2026, 11));
/// assert_eq!(month.to_string(), "2026-11");
/// assert!("22.11.2026".parse::<Month>().is_err());
/// # Ok::<(), amends::summary::ParseMonthError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month(u16);

/// A text that does not begin with a date like `2026-11`.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0:?} is no date like 2026-11-22")]
pub struct ParseMonthError(String);

impl Month {
    /// The month with this number, 1..=12, of this year, or `None` where one of them is out of range.
    pub fn new(year: u16, month: u8) -> Option<Self> {
        let known = year <= 5460 && (1..=12).contains(&month);
        known.then(|| Month(year * 12 + u16::from(month) - 1))
    }

    /// The year.
    pub fn year(self) -> u16 {
        self.0 / 12
    }

    /// The month of the year, 1..=12.
    pub fn month(self) -> u8 {
        (self.0 % 12) as u8 + 1
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:04}-{:02}", self.year(), self.month()))
    }
}

impl FromStr for Month {
    type Err = ParseMonthError;

    /// Reads the year and month that an ISO 8601 date or time begins with: `2026-11`, `2026-11-22`,
    /// `2026-11-22T10:15:00Z`.
    fn from_str(text: &str) -> Result<Self, ParseMonthError> {
        let read = |text: &str| {
            let (year, rest) = (text.get(..4)?, text.get(4..)?.strip_prefix('-')?);
            let (month, rest) = (rest.get(..2)?, rest.get(2..)?);
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            let ends = !rest.starts_with(|c: char| c.is_ascii_digit());
            (digits(year) && digits(month) && ends)
                .then(|| Month::new(year.parse().ok()?, month.parse().ok()?))?
        };
        read(text.trim()).ok_or_else(|| ParseMonthError(text.into()))
    }
}

impl TryFrom<String> for Month {
    type Error = ParseMonthError;

    fn try_from(text: String) -> Result<Self, ParseMonthError> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

/// How the intervals of a summary are made. [`SummaryBuilder::new`](super::SummaryBuilder::new) brings what is out of
/// range into it, as the `with_` methods do.
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub struct SummaryOptions {
    /// What share of intervals is meant to hold the true value, 0.0..=1.0; NaN counts as the default. Default 0.95.
    pub level: f64,
    /// How many resamples are drawn, at most [`MAX_RESAMPLES`]; with 0 there are no intervals. Default 1000.
    pub resamples: usize,
    /// What the drawing starts from. Default 1.
    pub seed: u64,
}

/// The most resamples that a summary draws. Memory grows with their number, to some 600 MB here.
pub const MAX_RESAMPLES: usize = 100_000;

impl Default for SummaryOptions {
    /// 95 % intervals from 1000 resamples.
    fn default() -> Self {
        SummaryOptions { level: 0.95, resamples: 1000, seed: 1 }
    }
}

impl SummaryOptions {
    /// Sets the level, which is brought into 0.0..=1.0; NaN counts as the default.
    pub fn with_level(mut self, level: f64) -> Self {
        self.level = if level.is_nan() { SummaryOptions::default().level } else { level.clamp(0.0, 1.0) };
        self
    }

    /// Sets the number of resamples; more than [`MAX_RESAMPLES`] counts as that.
    pub fn with_resamples(mut self, resamples: usize) -> Self {
        self.resamples = resamples.min(MAX_RESAMPLES);
        self
    }

    /// The same with everything in its range.
    pub(super) fn in_range(self) -> Self {
        self.with_level(self.level).with_resamples(self.resamples)
    }

    /// Sets the seed.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}
