//! Words of a story in one normal form, with their places in the original text.
//!
//! Rules look at words, never at characters: lower case, straight apostrophes, hyphens parted, contractions
//! opened ("didn't" is `did not`, "they'll" is `they will`), so that a negation or a modal is always a word of
//! its own. Each word keeps the span of the original word that it came from.

use crate::segment::Segment;
use crate::span::Span;

/// A clause ends before this word (punctuation, or a conjunction that opens a clause).
pub(crate) const BREAK: u8 = 1;
/// What ends before this word ends with a comma only.
pub(crate) const COMMA: u8 = 2;
/// The word stands in double quotes.
pub(crate) const QUOTED: u8 = 4;
/// A capital letter first, and not the first word of its sentence.
pub(crate) const NAME: u8 = 8;
/// Digits, or a number in words.
pub(crate) const NUMBER: u8 = 16;
/// An amount with its currency sign.
pub(crate) const MONEY: u8 = 32;

/// One normalized word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    /// Bytes of the original word.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Where its normal form starts in [`Words::normal`] (at the space before it).
    pub(crate) normal: u32,
    pub(crate) flags: u8,
}

impl Word {
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// All words of a story, sentence by sentence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    pub(crate) words: Vec<Word>,
    /// The normal forms, each with a space before it and one more space at the end.
    pub(crate) normal: String,
    /// Where the words of each sentence start, and last where the last ones end.
    pub(crate) bounds: Vec<u32>,
    /// Whether the sentence ends with a question mark.
    pub(crate) questions: Vec<bool>,
}

/// Contractions that people write without their apostrophe.
const BARE: &[(&str, &str)] = &[
    ("arent", "are not"),
    ("cannot", "can not"),
    ("cant", "can not"),
    ("couldnt", "could not"),
    ("didnt", "did not"),
    ("doesnt", "does not"),
    ("dont", "do not"),
    ("hadnt", "had not"),
    ("hasnt", "has not"),
    ("havent", "have not"),
    ("im", "i am"),
    ("isnt", "is not"),
    ("ive", "i have"),
    ("shouldnt", "should not"),
    ("theyre", "they are"),
    ("wasnt", "was not"),
    ("werent", "were not"),
    ("wont", "will not"),
    ("wouldnt", "would not"),
    ("youre", "you are"),
];

const NUMBERS: &[&str] = &[
    "couple", "dozen", "eight", "eleven", "fifteen", "fifth", "fifty", "five", "forty", "four", "fourth",
    "half", "hundred", "hundreds", "nine", "seven", "several", "six", "ten", "third", "thirty", "thousand",
    "three", "twelve", "twenty", "two",
];

/// Words that open a clause of their own.
const OPENERS: &[&str] =
    &["although", "because", "but", "however", "if", "though", "unless", "when", "whereas", "which", "while"];

/// Subjects: after "and", "so" or a comma they open a clause.
const SUBJECTS: &[&str] = &[
    "he", "i", "it", "my", "our", "she", "that", "the", "their", "then", "there", "these", "they", "this",
    "those", "we", "what", "you",
];

impl Words {
    /// The words of those sentences of `text` that are content; the others get none.
    pub(crate) fn read(&mut self, text: &str, segments: &[Segment], content: &[bool]) {
        self.words.clear();
        self.normal.clear();
        self.bounds.clear();
        self.questions.clear();
        let mut quoted = false;
        let mut block = u32::MAX;
        for (at, segment) in segments.iter().enumerate() {
            self.bounds.push(self.words.len() as u32);
            if segment.block != block {
                block = segment.block;
                quoted = false;
            }
            let sentence = segment.span().get(text).unwrap_or_default();
            self.questions.push(sentence.trim_end_matches(['"', '”', '\'', ')', '!', ' ']).ends_with('?'));
            if content.get(at).copied().unwrap_or(true) {
                quoted = self.sentence(sentence, segment.span().start(), quoted);
            }
        }
        self.bounds.push(self.words.len() as u32);
        self.normal.push(' ');
    }

    /// The normal form of a word.
    pub(crate) fn normal_of(&self, at: usize) -> &str {
        let from = self.words[at].normal as usize + 1;
        let to = self.words.get(at + 1).map_or(self.normal.trim_end().len(), |next| next.normal as usize);
        &self.normal[from..to]
    }

    /// The original bytes from word `from` up to, not including, word `to`.
    pub(crate) fn span(&self, from: usize, to: usize) -> Span {
        let (first, last) = (self.words[from], self.words[to.max(from + 1) - 1]);
        Span::new(first.start as usize, last.end.max(first.end) as usize)
    }

    fn sentence(&mut self, sentence: &str, offset: usize, mut quoted: bool) -> bool {
        let first = self.words.len();
        let mut flags = 0;
        let mut previous = ' ';
        let mut chars = sentence.char_indices().peekable();
        while let Some((start, c)) = chars.next() {
            if c.is_alphanumeric() {
                let mut end = start + c.len_utf8();
                while let Some(&(at, next)) = chars.peek() {
                    let inside = next.is_alphanumeric()
                        || ((is_apostrophe(next) || joins_digits(next, sentence, at))
                            && sentence[at + next.len_utf8()..].starts_with(char::is_alphanumeric));
                    if !inside {
                        break;
                    }
                    end = at + next.len_utf8();
                    chars.next();
                }
                if quoted {
                    flags |= QUOTED;
                }
                let own = matches!(
                    &sentence[start..end],
                    "I" | "I'm" | "I'd" | "I've" | "I'll" | "I’m" | "I’d" | "I’ve" | "I’ll"
                );
                if c.is_uppercase() && !own && self.words.len() > first {
                    flags |= NAME;
                }
                if c.is_ascii_digit() {
                    flags |= NUMBER;
                    if matches!(previous, '$' | '£' | '€') {
                        flags |= MONEY;
                    }
                }
                self.word(&sentence[start..end], offset + start, offset + end, flags);
                flags = 0;
                previous = sentence[..end].chars().next_back().unwrap_or(' ');
                continue;
            }
            match c {
                '"' if previous.is_ascii_digit() => {}
                '"' => {
                    quoted = !quoted;
                    flags |= BREAK;
                }
                '“' | '«' => {
                    quoted = true;
                    flags |= BREAK;
                }
                '”' | '»' => {
                    quoted = false;
                    flags |= BREAK;
                }
                ',' => flags |= if flags & BREAK == 0 { BREAK | COMMA } else { 0 },
                '.' | ';' | ':' | '!' | '?' | '(' | ')' | '[' | ']' | '—' | '–' | '…' | '•' | '*' => {
                    flags = (flags | BREAK) & !COMMA;
                }
                '-' if previous == ' ' || previous == '-' => flags = (flags | BREAK) & !COMMA,
                _ => {}
            }
            previous = c;
        }
        self.clauses(first);
        quoted
    }

    /// Pushes a word, opened up where it is a contraction.
    fn word(&mut self, original: &str, start: usize, end: usize, flags: u8) {
        let at = self.normal.len();
        self.normal.push(' ');
        for c in original.chars() {
            if c.is_ascii() {
                self.normal.push(c.to_ascii_lowercase());
            } else if is_apostrophe(c) {
                self.normal.push('\'');
            } else {
                self.normal.extend(c.to_lowercase());
            }
        }
        let lower = &self.normal[at + 1..];
        let numeral = if flags & NUMBER == 0 && NUMBERS.binary_search(&lower).is_ok() { NUMBER } else { 0 };
        let word = Word { start: start as u32, end: end as u32, normal: at as u32, flags: flags | numeral };
        self.words.push(word);
        let (base, rest) = match open(lower) {
            Some((base, rest)) => (base.to_owned(), rest),
            None => return,
        };
        self.normal.truncate(at + 1);
        self.normal.push_str(&base);
        self.words.push(Word { normal: self.normal.len() as u32, flags: flags & QUOTED, ..word });
        self.normal.push(' ');
        self.normal.push_str(rest);
    }

    /// Sets and clears breaks where words, not punctuation, decide: conjunctions, and commas of a list.
    fn clauses(&mut self, first: usize) {
        let total = self.words.len();
        for at in first + 1..total {
            let word = self.normal_of(at);
            let next = if at + 1 < total { self.normal_of(at + 1) } else { "" };
            let subject = |word: &str| SUBJECTS.binary_search(&word).is_ok();
            if OPENERS.binary_search(&word).is_ok()
                || (matches!(word, "and" | "so" | "then") && subject(next))
            {
                self.words[at].flags |= BREAK;
                self.words[at].flags &= !COMMA;
                continue;
            }
            // "polite, quick and thorough": the comma of a list parts no clause.
            if self.words[at].has(COMMA)
                && !subject(word)
                && !matches!(word, "and" | "or" | "so" | "no" | "not" | "nor")
            {
                let listed = (at + 1..(at + 4).min(total)).any(|later| {
                    self.words[later].has(COMMA)
                        || (matches!(self.normal_of(later), "and" | "or")
                            && later + 1 < total
                            && !subject(self.normal_of(later + 1)))
                });
                if listed {
                    self.words[at].flags &= !BREAK;
                }
            }
        }
    }
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | '‘' | '´' | '`')
}

/// Whether `c` at `at` stands between two digits, as in `1,000` and `8:30`.
fn joins_digits(c: char, sentence: &str, at: usize) -> bool {
    matches!(c, ',' | '.' | ':')
        && sentence[..at].ends_with(|c: char| c.is_ascii_digit())
        && sentence[at + 1..].starts_with(|c: char| c.is_ascii_digit())
}

/// The two words of a contraction.
fn open(lower: &str) -> Option<(&str, &'static str)> {
    if let Ok(at) = BARE.binary_search_by_key(&lower, |entry| entry.0) {
        return BARE[at].1.split_once(' ');
    }
    let (base, tail) = lower.rsplit_once('\'')?;
    if base.is_empty() {
        return None;
    }
    let rest = match tail {
        "t" => {
            let base = base.strip_suffix('n')?;
            return Some((
                match base {
                    "wo" => "will",
                    "ca" => "can",
                    "sha" => "shall",
                    "ai" => "is",
                    "" => return None,
                    _ => base,
                },
                "not",
            ));
        }
        "re" => "are",
        "ve" => "have",
        "ll" => "will",
        "m" => "am",
        "d" => "'d",
        "s" => "'s",
        _ => return None,
    };
    Some((base, rest))
}

/// The words of a text that is no story: a pattern's literals, a test line.
#[cfg(test)]
pub(crate) fn words_of(text: &str) -> Words {
    let mut words = Words::default();
    words.read(text, &crate::events::rules::one_sentence(text), &[true]);
    words
}

/// The normal form of a piece of a pattern: its words, parted by single spaces.
pub(crate) fn normalize(piece: &str) -> String {
    let mut words = Words::default();
    words.word(piece, 0, 0, 0);
    words.normal.trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> String {
        words_of(text).normal.trim().to_owned()
    }

    #[test]
    fn contractions_are_opened_and_keep_their_place() {
        assert_eq!(normal("They DIDN’T call, won't call."), "they did not call will not call");
        assert_eq!(normal("I can't; cannot; dont"), "i can not can not do not");
        assert_eq!(normal("they'd said it's Anna's"), "they 'd said it 's anna 's");
        let text = "He didn’t.";
        let words = words_of(text);
        assert_eq!(&text[words.span(1, 3).range()], "didn’t");
    }

    #[test]
    fn tables_are_sorted() {
        assert!(BARE.is_sorted());
        assert!(NUMBERS.is_sorted());
        assert!(OPENERS.is_sorted());
        assert!(SUBJECTS.is_sorted());
    }

    #[test]
    fn clauses_break_at_punctuation_and_conjunctions_but_not_in_lists() {
        let breaks = |text: &str| -> Vec<String> {
            let words = words_of(text);
            (0..words.words.len())
                .filter(|&at| words.words[at].has(BREAK))
                .map(|at| words.normal_of(at).to_owned())
                .collect()
        };
        assert_eq!(breaks("They called but I was out; bad luck"), ["but", "bad"]);
        assert_eq!(breaks("Staff were polite, quick and thorough"), Vec::<String>::new());
        assert_eq!(breaks("No answer, and they hung up"), ["and"]);
        assert_eq!(breaks("It cost 1,000 at 8:30"), Vec::<String>::new());
    }

    #[test]
    fn any_text_is_legal() {
        for text in ["", "'", "''", "n't", "'s", "\"", "💥 é 'n't’", "1,", "Ünïcode’s İ"] {
            let words = words_of(text);
            for at in 0..words.words.len() {
                assert!(words.span(at, at + 1).get(text).is_some());
                assert!(!words.normal_of(at).is_empty(), "{text:?}");
            }
        }
    }
}
