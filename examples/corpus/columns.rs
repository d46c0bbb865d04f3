//! Which columns mean what, and the row that they make.

use amends::summary::Month;
use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Map, Value};

use super::dates;

/// The columns that are read.
#[derive(Args, Clone, Debug)]
pub(crate) struct Columns {
    /// Column with the story.
    #[arg(long, value_name = "COLUMN", default_value = "text")]
    text: String,
    /// Column with the story's name. Default: id, if there is one.
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// Column that names who served the customer; the summary is then also by provider.
    #[arg(long, value_name = "COLUMN")]
    provider: Option<String>,
    /// Column with the date of the story; the summary is then also by month.
    #[arg(long, value_name = "COLUMN")]
    date: Option<String>,
    /// How dates are written, as in strptime: %d/%m/%Y. Default: ISO 8601, and forms that can mean one day only.
    #[arg(long, value_name = "FORMAT", requires = "date")]
    date_format: Option<String>,
    /// Column to carry over into the output, under "carried". May be repeated.
    #[arg(long, value_name = "COLUMN")]
    carry: Vec<String>,
}

/// One row of the input, as far as it is asked for.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Row {
    pub(crate) text: String,
    pub(crate) id: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) month: Option<Month>,
    /// A date that could not be read.
    pub(crate) odd_date: Option<String>,
    pub(crate) carried: Map<String, Value>,
}

/// Why a row is no story.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RowError {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    pub(crate) id: Option<String>,
}

impl RowError {
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        RowError { kind, message: message.into(), id: None }
    }
}

impl Columns {
    fn id_name(&self) -> &str {
        self.id.as_deref().unwrap_or("id")
    }

    /// All names that are looked up, `id` even where nobody asked for it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let named =
            [Some(self.text.as_str()), Some(self.id_name()), self.provider.as_deref(), self.date.as_deref()];
        named.into_iter().flatten().chain(self.carry.iter().map(String::as_str))
    }

    /// Says which column is missing from a table with these.
    pub(crate) fn check<S: AsRef<str>>(&self, header: &[S]) -> Result<()> {
        let known = |name: &str| header.iter().any(|column| column.as_ref() == name);
        let missing =
            self.names().filter(|name| self.id.is_some() || *name != "id").find(|name| !known(name));
        if let Some(name) = missing {
            let header: Vec<&str> = header.iter().map(AsRef::as_ref).collect();
            bail!("no column {name:?}; there are: {}", header.join(", "));
        }
        Ok(())
    }

    /// The row with these values. They are taken out of `values`.
    pub(crate) fn row(&self, mut values: Map<String, Value>) -> Result<Row, RowError> {
        let carried: Map<String, Value> = self
            .carry
            .iter()
            .filter_map(|name| values.get_key_value(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        // One column may stand for two things.
        let value = |name: &str| values.get(name).filter(|value| !value.is_null()).cloned();
        let id = value(self.id_name()).map(plain);
        let provider = self.provider.as_deref().and_then(value).map(plain);
        let provider = provider.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let date = self.date.as_deref().and_then(value);
        let text = match values.remove(&self.text).filter(|value| !value.is_null()) {
            Some(Value::String(text)) => text,
            found => {
                let message = match found {
                    Some(_) => format!("{:?} is no text", self.text),
                    None => format!("no {:?}", self.text),
                };
                return Err(RowError { id, ..RowError::new("no_text", message) });
            }
        };
        let month = date.as_ref().and_then(|date| dates::month(date, self.date_format.as_deref()));
        let odd_date = date.filter(|_| month.is_none()).map(plain).filter(|date| !date.trim().is_empty());
        Ok(Row { text, id, provider, month, odd_date, carried })
    }
}

/// A value as a name.
fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
