//! Turns of several writers, written so that the analyzer can tell them apart.

use super::Turn;
use crate::span::Span;

/// The name of an author in the form in which the analyzer knows a byline: capitalised words, or one account name.
pub(super) fn speaker(name: &str) -> String {
    let latin = |c: char| c.is_ascii_alphanumeric() || matches!(c, 'À'..='ɏ' | '_' | '-' | '\'' | '’' | '.');
    let words: Vec<String> = name
        .split_whitespace()
        .map(|word| word.chars().filter(|&c| latin(c)).collect::<String>())
        .filter(|word| word.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        .take(4)
        .collect();
    let plain = |word: &String| word.starts_with(char::is_uppercase) && word.chars().count() <= 20;
    let mut speaker = match words.as_slice() {
        [] => return "Anonymous".to_owned(),
        names if names.iter().all(plain) => names.join(" "),
        names => names.join("_"),
    };
    if !speaker.starts_with(|c: char| c.is_alphabetic() || c == '_') || speaker.chars().count() < 2 {
        speaker.insert_str(0, "user_");
    }
    if !speaker.contains(' ') {
        speaker.truncate(speaker.floor_char_boundary(30));
    }
    // "They says:" would be no byline.
    const PRONOUNS: [&str; 10] = ["he", "she", "they", "i", "we", "it", "you", "who", "that", "one"];
    if PRONOUNS.iter().any(|pronoun| speaker.eq_ignore_ascii_case(pronoun)) {
        speaker.push('_');
    }
    speaker
}

/// The text as it grows.
#[derive(Default)]
pub(super) struct Out {
    pub(super) text: String,
    pub(super) turns: Vec<Turn>,
}

impl Out {
    fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
    }

    /// A line that stands for itself.
    pub(super) fn line(&mut self, line: &str) {
        self.gap();
        self.text.push_str(line);
    }

    /// A title, if there is one.
    pub(super) fn title(&mut self, title: Option<&str>) {
        if let Some(title) = title {
            self.line(title);
        }
    }

    /// The words of one author.
    pub(super) fn turn(&mut self, text: &str, author: Option<String>) {
        if text.is_empty() {
            return;
        }
        self.gap();
        let start = self.text.len();
        self.text.push_str(text);
        if let Some(span) = Span::try_new(start, self.text.len()) {
            self.turns.push(Turn { span, author });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_byline_that_the_analyzer_knows() {
        let cases = [
            ("Ida Krohn", "Ida Krohn"),
            ("  ida   k. ", "ida_k."),
            ("otto77", "otto77"),
            ("77otto", "user_77otto"),
            ("You", "You_"),
            ("@moss-carder", "moss-carder"),
            ("★★★", "Anonymous"),
            ("", "Anonymous"),
        ];
        for (name, wanted) in cases {
            assert_eq!(speaker(name), wanted, "{name:?}");
        }
    }
}
