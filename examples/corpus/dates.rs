//! The month of a date, in whatever way it is written.

use amends::summary::Month;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use serde_json::Value;

/// Forms besides ISO 8601 that can mean one day only. `05/03/2019` is not among them.
const FORMS: [&str; 11] = [
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d %B %Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%a, %d %b %Y",
    "%A, %d %B %Y",
    "%B %Y",
    "%b %Y",
];

/// Years that a customer may write of.
const YEARS: std::ops::Range<u16> = 1900..2200;

/// The month, or `None` where the date cannot be read. A number is a time in seconds or milliseconds since 1970.
pub(crate) fn month(date: &Value, form: Option<&str>) -> Option<Month> {
    let text = match date {
        Value::String(text) => text.trim(),
        Value::Number(number) => return of_number(number.as_f64()?),
        _ => return None,
    };
    if let Some(form) = form {
        return of_form(form, text);
    }
    if let Ok(month) = text.parse() {
        return Some(month);
    }
    // Tables write numbers as text; eight digits and less are rather a date without signs between.
    if text.len() > 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return of_number(text.parse().ok()?);
    }
    FORMS.iter().find_map(|form| of_form(form, text))
}

fn of_form(form: &str, text: &str) -> Option<Month> {
    // What stands behind the date, as a time of day, does not matter.
    let (time, _) = BrokenDownTime::parse_prefix(form, text).ok()?;
    // "5/3/2019" is no day of the year 5.
    let year = u16::try_from(time.year()?).ok().filter(|year| YEARS.contains(year))?;
    Month::new(year, u8::try_from(time.month()?).ok()?)
}

fn of_number(number: f64) -> Option<Month> {
    /// Seconds up to the year 5138; more are milliseconds.
    const SECONDS: f64 = 1e11;
    let seconds = if number.abs() < SECONDS { number } else { number / 1000.0 };
    let date: Date = Timestamp::from_second(seconds.floor() as i64).ok()?.to_zoned(TimeZone::UTC).date();
    Month::new(u16::try_from(date.year()).ok()?, u8::try_from(date.month()).ok()?)
}
