//! The numbers of the score: read from TOML, checked, and written back by the fit.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{LoadError, LoadErrorKind};
use crate::events::{EventGroup, EventType, Severity, Status};

/// The weights that ship with the library.
const BUILT_IN: &str = include_str!("../../data/score/weights.toml");

/// The longest file of weights that is read.
const MAX_BYTES: u64 = 1 << 20;

/// All numbers of the score, as `data/score/weights.toml` holds them. The fields say what each number means and in what
/// range it must lie; `data/score/literature.toml` says where the numbers start from, and why.
///
/// Event weights and `base` are on the raw scale, a log-odds scale: 0 is a score of 50, 1 a score of 73, and
/// 3 a score of 95.
///
/// ```
/// use amends::Weights;
///
/// let mut weights = Weights::built_in()?;
/// weights.version = "mine-1".to_owned();
/// let copy = Weights::from_toml(&weights.to_toml())?;
/// assert_eq!(copy, weights);
/// # Ok::<(), amends::LoadError>(())
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Weights {
    /// Names these weights; stamped into results ([`Analysis::weights`](crate::Analysis::weights)). Any text will do.
    pub version: String,
    /// Raw value of an interaction of which the text says nothing.
    pub base: f64,
    /// How sentence sentiment counts.
    pub sentiment: SentimentWeights,
    /// How recoveries add up, and what limits them.
    pub recovery: RecoveryWeights,
    /// How events change the weight of others.
    pub links: LinkWeights,
    /// How much more a worse failure weighs.
    pub severity: SeverityWeights,
    /// How wide the interval is.
    pub interval: IntervalWeights,
    /// By event type: what it is worth, by status.
    pub events: BTreeMap<String, EventWeights>,
}

/// How sentence sentiment counts. All are at least 0.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SentimentWeights {
    /// Of the mean over the sentences that are not neutral.
    pub mean: f64,
    /// Of the worst sentence.
    pub peak_negative: f64,
    /// Of the best sentence.
    pub peak_positive: f64,
    /// Of the end: the last sentences that are not neutral, the last one most.
    pub end: f64,
    /// Pulls mean and end towards 0 as this many neutral sentences would; above 0.
    pub prior: f64,
    /// A sentence counts nothing where P(neutral) is above 1 − this; 0..1.
    pub margin: f64,
    /// What is left of a sentence's weight in the end when one polar sentence follows it; 0..1.
    pub end_decay: f64,
}

/// How recoveries add up.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RecoveryWeights {
    /// The most that recoveries can add, however many there are; above 0.
    pub saturation: f64,
    /// Share of the failures before them that recoveries can make good; 0..=1.
    pub cap: f64,
    /// What recoveries may add beyond that; at least 0.
    ///
    /// It stands after a second failure, too, though the literature sees no bonus there (Maxham and Netemeyer 2002).
    /// A failure is a second one only because a recovery was told before it; if that took the allowance away, telling
    /// of that recovery would lower the score. [`LinkWeights::double_deviation`] takes back a share instead.
    pub allowance: f64,
}

/// How events change the weight of others. Each is a share, 0..=1.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LinkWeights {
    /// What is left of an event's weight when the same type and status is told once more.
    pub repeat: f64,
    /// The largest share of a recovery that a later failure takes back.
    pub double_deviation: f64,
    /// The raw weight of failures that takes back half of that share; above 0.
    pub double_deviation_half: f64,
    /// Share of a failure that the customer's own error takes away.
    pub customer_error: f64,
    /// Share of a failure that counts nothing because somebody else caused it.
    pub third_party: f64,
}

/// How much more a worse failure weighs, as factors on the weight of the failure (Soares and Proença 2015: the
/// severer, the less a recovery wins back). An inconvenience has the factor 1.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SeverityWeights {
    /// Where it cost money, belongings or much time; at least 1.
    pub loss: f64,
    /// Where it touched safety, health, privacy or dignity; at least `loss`.
    pub harm: f64,
}

impl SeverityWeights {
    /// The factor for this level.
    pub fn of(&self, severity: Severity) -> f64 {
        match severity {
            Severity::Inconvenience => 1.0,
            Severity::Loss => self.loss,
            Severity::Harm => self.harm,
        }
    }
}

/// How wide the interval is: raw half width is `level` times the root of the sum of the parts squared.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct IntervalWeights {
    /// The multiple that gives the coverage which was fitted.
    pub level: f64,
    /// Spread that is always there.
    pub noise: f64,
    /// Spread that is there besides where the text says nothing; it falls with the root of 1 + evidence. Evidence is
    /// how much the text says: its polar sentences, each by how far it is from neutral (0..=1), and its events, each
    /// by its confidence.
    pub sparse: f64,
    /// Factor on the spread that events of uncertain confidence bring.
    pub events: f64,
    /// Evidence below which the score is flagged as insufficient, and its raw half width is 3 at least: from a base
    /// of 50 that reaches from 5 to 95.
    pub enough: f64,
}

/// What an event type is worth on the raw scale, by status.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventWeights {
    /// It happened.
    pub occurred: f64,
    /// The text says that it did not.
    pub absent: f64,
    /// Wished, hypothetical, offered and not done.
    pub unreal: f64,
}

impl EventWeights {
    /// The weight for this status.
    pub fn of(&self, status: Status) -> f64 {
        match status {
            Status::Occurred => self.occurred,
            Status::Absent => self.absent,
            Status::Unreal => self.unreal,
        }
    }

    /// The weight for this status, to be changed.
    pub fn of_mut(&mut self, status: Status) -> &mut f64 {
        match status {
            Status::Occurred => &mut self.occurred,
            Status::Absent => &mut self.absent,
            Status::Unreal => &mut self.unreal,
        }
    }
}

/// Whether an event of this type speaks for the provider (1), against it (−1), or neither way (0).
///
/// Users' own types have no fixed sign.
pub(crate) fn polarity(event_type: &EventType) -> i8 {
    match event_type.group() {
        EventGroup::Failure => -1,
        EventGroup::Recovery | EventGroup::Quality => 1,
        EventGroup::Customer => match event_type {
            EventType::Loyalty => 1,
            EventType::CustomerError => 0,
            _ => -1,
        },
        EventGroup::Custom => 0,
    }
}

/// The sign that a weight must have for the score to be monotone: 1 not below 0, −1 not above 0, 0 exactly 0,
/// `None` free.
pub(crate) fn sign(event_type: &EventType, status: Status) -> Option<i8> {
    if event_type.group() == EventGroup::Custom {
        return None;
    }
    let polarity = polarity(event_type);
    Some(if status == Status::Occurred { polarity } else { -polarity })
}

impl Weights {
    /// The weights that ship with the library.
    ///
    /// # Errors
    ///
    /// None in a released version; a test reads them.
    pub fn built_in() -> Result<Self, LoadError> {
        Weights::from_toml(BUILT_IN)
    }

    /// Reads weights from TOML and checks them.
    ///
    /// # Errors
    ///
    /// [`LoadErrorKind::Format`] where it is no TOML of this form (with the line),
    /// [`LoadErrorKind::Weights`] where a number is out of its range, an event type is missing or unknown, or
    /// a sign would break the promise that a failure never raises and a recovery never lowers a score.
    pub fn from_toml(text: &str) -> Result<Self, LoadError> {
        let weights: Weights = toml::from_str(text).map_err(|source| {
            let line = source.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let error = LoadError::new(LoadErrorKind::Format, format!("weights: {}", source.message()));
            match line {
                Some(line) => error.with_line(line),
                None => error,
            }
        })?;
        weights.check()?;
        Ok(weights)
    }

    /// Reads weights from a TOML file.
    ///
    /// # Errors
    ///
    /// As [`Weights::from_toml`]; [`LoadErrorKind::Io`] where the file cannot be read; [`LoadErrorKind::Format`] where
    /// it has more than 1 MiB or is not UTF-8.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
        read.map_err(|source| LoadError::io(path, source))?;
        let text = || {
            if bytes.len() as u64 > MAX_BYTES {
                let known = std::fs::metadata(path).map(|meta| meta.len()).unwrap_or(0).max(MAX_BYTES + 1);
                let message = format!("weights: {known} bytes, the limit is {MAX_BYTES}");
                return Err(LoadError::new(LoadErrorKind::Format, message));
            }
            String::from_utf8(bytes).map_err(|source| LoadError::format("weights: not UTF-8", source))
        };
        text().and_then(|text| Weights::from_toml(&text)).map_err(|error| error.with_path(path))
    }

    /// The sign of an event's weight where it occurred: 1 not below 0, −1 not above 0, 0 for a type that only
    /// changes others or that a user brought in. Absent and unreal have the other sign.
    pub fn sign(event_type: &EventType) -> i8 {
        polarity(event_type)
    }

    /// What `event_type` is worth; nothing for a user's type that has no entry.
    pub fn event(&self, event_type: &EventType) -> EventWeights {
        self.events.get(event_type.as_str()).copied().unwrap_or_default()
    }

    /// Checks ranges and signs.
    ///
    /// # Errors
    ///
    /// As [`Weights::from_toml`].
    pub fn check(&self) -> Result<(), LoadError> {
        let SentimentWeights { mean, peak_negative, peak_positive, end, prior, margin, end_decay } =
            self.sentiment;
        let RecoveryWeights { saturation, cap, allowance } = self.recovery;
        let LinkWeights { repeat, double_deviation, double_deviation_half, customer_error, third_party } =
            self.links;
        let SeverityWeights { loss, harm } = self.severity;
        let IntervalWeights { level, noise, sparse, events, enough } = self.interval;
        // Name, value, least, most.
        const MOST: f64 = 100.0;
        const LEAST: f64 = 1e-6;
        let ranges = [
            ("base", self.base, -10.0, 10.0),
            ("sentiment.mean", mean, 0.0, MOST),
            ("sentiment.peak_negative", peak_negative, 0.0, MOST),
            ("sentiment.peak_positive", peak_positive, 0.0, MOST),
            ("sentiment.end", end, 0.0, MOST),
            ("sentiment.prior", prior, LEAST, MOST),
            ("sentiment.margin", margin, 0.0, 0.99),
            ("sentiment.end_decay", end_decay, 0.0, 1.0),
            ("recovery.saturation", saturation, LEAST, MOST),
            ("recovery.cap", cap, 0.0, 1.0),
            ("recovery.allowance", allowance, 0.0, MOST),
            ("links.repeat", repeat, 0.0, 1.0),
            ("links.double_deviation", double_deviation, 0.0, 1.0),
            ("links.double_deviation_half", double_deviation_half, LEAST, MOST),
            ("links.customer_error", customer_error, 0.0, 1.0),
            ("links.third_party", third_party, 0.0, 1.0),
            ("severity.loss", loss, 1.0, MOST),
            ("severity.harm", harm, loss.clamp(1.0, MOST), MOST),
            ("interval.level", level, 0.0, MOST),
            ("interval.noise", noise, 0.0, MOST),
            ("interval.sparse", sparse, 0.0, MOST),
            ("interval.events", events, 0.0, MOST),
            ("interval.enough", enough, 0.0, MOST),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(wrong(format!("{name} is {value}, must be in {least}..={most}")));
            }
        }
        for event_type in &EventType::ALL {
            if !self.events.contains_key(event_type.as_str()) {
                return Err(wrong(format!("events.{event_type} is missing")));
            }
        }
        for (name, weights) in &self.events {
            let event_type = EventType::custom(name)
                .map_err(|_| wrong(format!("events.{name} is no name of an event type")))?;
            for &status in Status::ALL {
                let value = weights.of(status);
                let right = match sign(&event_type, status) {
                    Some(1) => (0.0..=MOST).contains(&value),
                    Some(-1) => (-MOST..=0.0).contains(&value),
                    Some(_) => value == 0.0,
                    None => (-MOST..=MOST).contains(&value),
                };
                if !right {
                    let wanted = match sign(&event_type, status) {
                        Some(1) => "must not be below 0",
                        Some(-1) => "must not be above 0",
                        Some(_) => "must be 0",
                        None => "is out of range",
                    };
                    return Err(wrong(format!("events.{name}.{status} is {value}, {wanted}")));
                }
            }
        }
        Ok(())
    }

    /// Writes them as TOML, without comments; [`Weights::from_toml`] reads the same numbers back.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        let Weights { version, base, sentiment, recovery, links, severity, interval, events } = self;
        // Writing to a string cannot fail.
        let version = toml::Value::String(version.clone());
        let _ = writeln!(out, "version = {version}\nbase = {base:?}");
        let mut table = |name: &str, rows: &[(&str, f64)]| {
            let _ = writeln!(out, "\n[{name}]");
            for (key, value) in rows {
                let _ = writeln!(out, "{key} = {value:?}");
            }
        };
        table(
            "sentiment",
            &[
                ("mean", sentiment.mean),
                ("peak_negative", sentiment.peak_negative),
                ("peak_positive", sentiment.peak_positive),
                ("end", sentiment.end),
                ("prior", sentiment.prior),
                ("margin", sentiment.margin),
                ("end_decay", sentiment.end_decay),
            ],
        );
        table(
            "recovery",
            &[("saturation", recovery.saturation), ("cap", recovery.cap), ("allowance", recovery.allowance)],
        );
        table(
            "links",
            &[
                ("repeat", links.repeat),
                ("double_deviation", links.double_deviation),
                ("double_deviation_half", links.double_deviation_half),
                ("customer_error", links.customer_error),
                ("third_party", links.third_party),
            ],
        );
        table("severity", &[("loss", severity.loss), ("harm", severity.harm)]);
        table(
            "interval",
            &[
                ("level", interval.level),
                ("noise", interval.noise),
                ("sparse", interval.sparse),
                ("events", interval.events),
                ("enough", interval.enough),
            ],
        );
        let _ = writeln!(out, "\n[events]");
        let known = EventType::ALL.iter().map(EventType::as_str);
        let own = events.keys().map(String::as_str).filter(|name| name.parse::<EventType>().is_err());
        for name in known.chain(own) {
            if let Some(EventWeights { occurred, absent, unreal }) = events.get(name) {
                let _ = writeln!(
                    out,
                    "{name} = {{ occurred = {occurred:?}, absent = {absent:?}, unreal = {unreal:?} }}"
                );
            }
        }
        out
    }
}

fn wrong(message: String) -> LoadError {
    LoadError::new(LoadErrorKind::Weights, format!("weights: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_can_be_read_and_written() {
        let weights = Weights::built_in().unwrap();
        assert_eq!(Weights::from_toml(&weights.to_toml()).unwrap(), weights);
    }

    #[test]
    fn a_file_of_weights_has_its_limits() {
        let path = std::env::temp_dir().join(format!("amends-weights-{}.toml", std::process::id()));
        let good = Weights::built_in().unwrap();
        let mut text = good.to_toml().into_bytes();
        std::fs::write(&path, &text).unwrap();
        assert_eq!(Weights::from_file(&path).unwrap(), good);
        // Comments up to the limit are read, and not one byte more.
        text.resize(MAX_BYTES as usize, b'#');
        std::fs::write(&path, &text).unwrap();
        assert_eq!(Weights::from_file(&path).unwrap(), good);
        text.push(b'#');
        std::fs::write(&path, &text).unwrap();
        let error = Weights::from_file(&path).unwrap_err();
        assert_eq!((error.kind(), error.path()), (LoadErrorKind::Format, Some(path.as_path())));
        assert!(error.to_string().contains("1048577 bytes, the limit is 1048576"), "{error}");
        std::fs::write(&path, b"version = \"caf\xe9\"").unwrap();
        let error = Weights::from_file(&path).unwrap_err();
        assert_eq!((error.kind(), error.path()), (LoadErrorKind::Format, Some(path.as_path())));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(Weights::from_file(&path).unwrap_err().kind(), LoadErrorKind::Io);
    }

    #[test]
    fn errors_name_the_place() {
        let good = Weights::built_in().unwrap();
        let text = good.to_toml();
        let error = Weights::from_toml("version = 1").unwrap_err();
        assert_eq!((error.kind(), error.line()), (LoadErrorKind::Format, Some(1)));
        let error = Weights::from_toml(&format!("{text}queue = 3\n")).unwrap_err();
        assert_eq!(error.kind(), LoadErrorKind::Format, "{error}");
        for (change, words) in [
            (("delay", Status::Occurred, 0.5), "events.delay.occurred is 0.5, must not be above 0"),
            (("apology", Status::Absent, 0.5), "events.apology.absent is 0.5, must not be above 0"),
            (("fix", Status::Occurred, -0.5), "events.fix.occurred is -0.5, must not be below 0"),
            (("customer_error", Status::Occurred, 0.1), "events.customer_error.occurred is 0.1, must be 0"),
            (("fix", Status::Occurred, f64::NAN), "events.fix.occurred is NaN"),
        ] {
            let mut bad = good.clone();
            *bad.events.get_mut(change.0).unwrap().of_mut(change.1) = change.2;
            let error = bad.check().unwrap_err();
            assert_eq!(error.kind(), LoadErrorKind::Weights);
            assert!(error.to_string().contains(words), "{error}");
        }
        let mut bad = good.clone();
        bad.recovery.cap = 1.5;
        assert!(bad.check().unwrap_err().to_string().contains("recovery.cap is 1.5"));
        for (loss, harm, words) in [
            (0.9, 1.4, "severity.loss is 0.9"),
            (1.2, 1.1, "severity.harm is 1.1, must be in 1.2..=100"),
            (1.0, f64::NAN, "severity.harm is NaN"),
        ] {
            let mut bad = good.clone();
            bad.severity = SeverityWeights { loss, harm };
            assert!(bad.check().unwrap_err().to_string().contains(words), "{words}");
        }
        let mut bad = good.clone();
        bad.events.remove("churn");
        assert!(bad.check().unwrap_err().to_string().contains("events.churn is missing"));
    }

    #[test]
    fn users_may_weigh_their_own_types() {
        let mut weights = Weights::built_in().unwrap();
        let own = EventWeights { occurred: -0.4, absent: 0.1, unreal: 0.0 };
        weights.events.insert("queue_jumped".to_owned(), own);
        let copy = Weights::from_toml(&weights.to_toml()).unwrap();
        assert_eq!(copy.event(&EventType::custom("queue_jumped").unwrap()), own);
        weights.events.insert("Queue".to_owned(), own);
        assert!(weights.check().is_err());
    }
}
