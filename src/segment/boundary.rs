//! Sentence ends inside one block.
//!
//! # Why this way
//!
//! The Unicode rules (UAX #29) are the base: they know the terminators of every script. For Latin text they err in
//! both directions ("Dr. Okafor" is cut, "it stops.Some" and "five times. nobody came" are not), so each full
//! stop, question mark, exclamation mark and ellipsis is judged here by the words around it. A judgement looks at a bounded
//! number of bytes on either side, so the work is linear in the text.

use unicode_segmentation::UnicodeSegmentation;

use super::lines::marker;
use super::words;

/// How far (bytes) a judgement looks around a terminator.
const REACH: usize = 64;

pub(super) fn is_terminator(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '‼' | '⁇' | '⁈' | '⁉' | '。' | '！' | '？' | '؟' | '।')
}

/// A terminator that this module judges itself.
fn is_judged(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '‼' | '⁇' | '⁈' | '⁉')
}

pub(super) fn is_closer(c: char) -> bool {
    matches!(c, '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '}' | '*' | '_')
}

fn is_emoji(c: char) -> bool {
    matches!(c, '\u{1f000}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}' | '\u{2b50}' | '\u{2b55}' | '\u{fe0f}' | '\u{200d}')
}

/// Calls `found` with the end of every sentence of `text[start..end]` but the last, in order.
pub(super) fn cuts(text: &str, start: usize, end: usize, mut found: impl FnMut(usize)) {
    let block = &text[start..end];
    let mut scan = Scan { block, sentence: 0 };
    let mut foreign = foreign_cuts(block).into_iter().peekable();
    let mut at = 0;
    while let Some(step) = block[at..].find(|c| is_judged(c) || is_emoji(c) || c == ')') {
        let mark = at + step;
        while let Some(cut) = foreign.next_if(|&cut| cut <= mark) {
            if cut > scan.sentence {
                scan.sentence = cut;
                found(start + cut);
            }
        }
        let (stop, cut) = scan.judge(mark);
        if let Some(cut) = cut
            && cut < block.len()
            && !block[cut..].trim_start().is_empty()
        {
            scan.sentence = cut;
            found(start + cut);
        }
        at = stop;
    }
    for cut in foreign {
        if cut > scan.sentence {
            scan.sentence = cut;
            found(start + cut);
        }
    }
}

/// Cuts a run of headings that lost its line breaks: after a word in lower case, "How", "The" or "My" begins a new one.
///
/// `piece` stands between furniture and holds no terminator.
pub(super) fn heading_cuts(text: &str, start: usize, end: usize, mut found: impl FnMut(usize)) {
    const BEGINNINGS: &[&str] = &["A", "An", "How", "My", "The", "What", "When", "Where", "Why"];
    let piece = &text[start..end];
    if piece.len() > 240 || piece.contains(is_terminator) || piece.contains('\n') {
        return;
    }
    let is_lower = |word: &str| word.chars().all(|c| c.is_lowercase() || matches!(c, '\'' | '’'));
    let mut before: Option<&str> = None;
    for word in piece.split_whitespace() {
        let at = start + (word.as_ptr() as usize - piece.as_ptr() as usize);
        if BEGINNINGS.contains(&word)
            && before.is_some_and(|b| {
                !words::is_open_ended(b) && (is_lower(b) || b.len() > 2 && b.chars().all(char::is_uppercase))
            })
            && text[at + word.len()..end].split_whitespace().nth(1).is_some()
        {
            found(at);
        }
        before = Some(word);
    }
}

/// Cuts after terminators that only the Unicode rules know (those of other scripts).
fn foreign_cuts(block: &str) -> Vec<usize> {
    let mut cuts = Vec::new();
    if block.is_ascii() {
        return cuts;
    }
    // The reference implementation looks ahead again at each closing mark or space after a full stop, which is quadratic
    // on long runs of them. No sentence needs such a run, so the text is handed over in pieces that hold none.
    let mut from = 0;
    let mut run = 0;
    for (at, c) in block.char_indices() {
        run = if c.is_alphanumeric() { 0 } else { run + 1 };
        if run == REACH {
            unicode_cuts(block, from, at, &mut cuts);
            from = at;
            run = 0;
        }
    }
    unicode_cuts(block, from, block.len(), &mut cuts);
    cuts
}

fn unicode_cuts(block: &str, from: usize, to: usize, cuts: &mut Vec<usize>) {
    let mut at = from;
    for piece in block[from..to].split_sentence_bounds() {
        at += piece.len();
        let sentence = piece.trim_end();
        let last = sentence.trim_end_matches(is_closer).chars().next_back();
        if at < block.len() && last.is_some_and(|c| is_terminator(c) && !is_judged(c)) {
            cuts.push(at - (piece.len() - sentence.len()));
        }
    }
}

struct Scan<'t> {
    block: &'t str,
    /// Where the current sentence begins, white space before it included.
    sentence: usize,
}

impl Scan<'_> {
    /// Judges the mark at `mark`: where the search goes on, and the sentence end if there is one.
    fn judge(&mut self, mark: usize) -> (usize, Option<usize>) {
        let block = self.block;
        if block[mark..].chars().next().is_some_and(is_emoji) {
            return self.judge_emoji(mark);
        }
        if block[mark..].starts_with(')') {
            return (mark + 1, self.closes_sentence(mark).then_some(mark + 1));
        }
        let run = run_end(block, mark);
        let mut closed = end_of(block, run, is_closer);
        if block[closed..].starts_with(char::is_alphanumeric) && block[run..closed].ends_with(['*', '_']) {
            // The mark opens the next word: "*EDIT*".
            closed = run + block[run..closed].trim_end_matches(['*', '_']).len();
        }
        let marks = &block[mark..run];
        let rest = &block[closed..];
        if rest.is_empty() {
            return (closed, None);
        }
        let before = Left::of(block, self.sentence, mark);
        let quoted = closed > run;
        let cut = if rest.starts_with(char::is_whitespace) {
            // An emoji after the terminator belongs to the sentence before it.
            let next_at = closed + (rest.len() - rest.trim_start().len());
            if block[next_at..].chars().next().is_some_and(is_emoji) {
                let after = end_of(block, next_at, is_emoji);
                return (after, (!block[after..].trim_start().is_empty()).then_some(after));
            }
            self.spaced(marks, &before, &block[run..closed], Right::of(block, next_at))
        } else if rest.chars().next().is_some_and(is_emoji) {
            let after = end_of(block, closed, is_emoji);
            return (after, Some(after));
        } else {
            self.glued(marks, &before, quoted, mark, Right::of(block, closed))
        };
        (closed, cut.then_some(closed))
    }

    /// Whether the bracket at `mark` closes one that the sentence began with, and a new sentence follows.
    fn closes_sentence(&self, mark: usize) -> bool {
        // Longer asides are left to their own full stops; the limit keeps the work linear.
        if mark - self.sentence > 4 * REACH {
            return false;
        }
        let aside = self.block[self.sentence..mark].trim_start();
        let rest = &self.block[mark + 1..];
        aside.starts_with('(')
            && aside.matches('(').count() == 1
            && !aside.contains(')')
            && aside.contains(' ')
            && rest.starts_with(char::is_whitespace)
            && rest.trim_start().starts_with(char::is_uppercase)
    }

    /// Emoji end a sentence where a capital follows.
    fn judge_emoji(&self, mark: usize) -> (usize, Option<usize>) {
        let end = end_of(self.block, mark, is_emoji);
        let rest = &self.block[end..];
        let next = rest.trim_start();
        let cut = next.len() < rest.len()
            && mark > self.sentence
            && next.chars().next().is_some_and(char::is_uppercase)
            && (words::is_starter(first_word(next)));
        (end, cut.then_some(end))
    }

    /// A terminator with white space after it.
    fn spaced(&self, marks: &str, before: &Left<'_>, closers: &str, next: Right<'_>) -> bool {
        let quoted = closers.contains(['"', '”', '’', '\'', ')', ']', '»']);
        if matches!(
            next.first,
            ',' | ';' | ':' | ')' | ']' | '}' | '.' | '!' | '?' | '…' | '%' | '/' | '=' | '|' | '>' | '<'
        ) {
            return false;
        }
        if next.closes_at_once {
            // "(IT WORKED. NICE)": one word before the bracket closes is no sentence.
            return false;
        }
        if before.text.ends_with('(') {
            // "(!)", "(?)": a remark on the word before.
            return false;
        }
        let dots = marks.chars().all(|c| matches!(c, '.' | '…' | ' '));
        if marks == "."
            && closers == ")"
            && before.word.len() <= 2
            && before.word.bytes().all(|b| b.is_ascii_digit())
        {
            return false;
        }
        if marks == "." && closers.is_empty() {
            return self.after_full_stop(before, next);
        }
        if quoted && next.attributes_quote() {
            return false;
        }
        if next.first.is_lowercase() {
            if quoted || marks.contains('…') {
                return false;
            }
            if dots {
                return marks.bytes().filter(|&b| b == b'.').count() >= 4;
            }
            return true;
        }
        true
    }

    /// A single full stop with white space after it.
    fn after_full_stop(&self, before: &Left<'_>, next: Right<'_>) -> bool {
        let word = before.word;
        if before.is_list_marker {
            return false;
        }
        if words::is_title(word) && word.starts_with(char::is_uppercase) {
            return !next.begins_word();
        }
        if words::is_inner_abbreviation(word) {
            return false;
        }
        if word.eq_ignore_ascii_case("no") && next.first.is_ascii_digit() {
            return false;
        }
        if word.chars().count() == 1 && word.chars().all(char::is_alphabetic) {
            // An initial, or a letter that names something ("plan B.").
            return next.first.is_uppercase() && words::is_starter(next.word)
                || !next.first.is_alphanumeric();
        }
        if words::is_clock(word) {
            return next.first.is_uppercase() && !words::follows_clock(next.word) || next.begins_sentence();
        }
        if words::is_outer_abbreviation(word) && before.is_abbreviated() || is_acronym(word) {
            return next.begins_sentence();
        }
        true
    }

    /// A terminator without white space after it.
    fn glued(&self, marks: &str, before: &Left<'_>, quoted: bool, mark: usize, next: Right<'_>) -> bool {
        if !next.first.is_alphabetic() && next.first != '*' {
            return next.first == '(' && marks != "." && before.is_word();
        }
        if !(before.is_word() || quoted) || before.is_list_marker || self.is_address(mark) {
            return false;
        }
        let dots = marks.chars().all(|c| matches!(c, '.' | '…' | ' '));
        if next.is_initial {
            // "Ph.D.", "J.R.R."
            return false;
        }
        if next.first.is_uppercase() {
            if marks == "." && !quoted {
                // "U.S", "J.Crew", "Ph.D": the word before must be a common one.
                return before.word.chars().count() > 1
                    && before
                        .word
                        .chars()
                        .next_back()
                        .is_some_and(|c| c.is_lowercase() || c.is_ascii_digit() || c == '%' || is_closer(c))
                    && !words::is_title(before.word)
                    || before.is_shouted()
                        && next.word.chars().all(char::is_uppercase)
                        && next.word.len() > 1;
            }
            if dots && marks != "." {
                return next.word != "I" && !next.word.starts_with("I'") && !next.word.starts_with("I’");
            }
            return true;
        }
        if marks == "." && !quoted {
            return before.word.len() > 1 && next.spaced && words::is_glued_starter(next.word);
        }
        false
    }

    /// Whether the mark lies in an address, a path or a file name.
    fn is_address(&self, mark: usize) -> bool {
        let from = self.block.floor_char_boundary(mark.saturating_sub(REACH));
        let to = self.block.ceil_char_boundary((mark + REACH).min(self.block.len()));
        let left = &self.block[from..mark];
        let token_start = from + left.trim_end_matches(|c: char| !c.is_whitespace()).len();
        let token_end = self.block[mark..to].find(char::is_whitespace).map_or(to, |at| mark + at);
        let token = self.block.get(token_start..token_end).unwrap_or_default();
        token.contains("://") || token.contains('@') || token.contains('\\') || starts_with_www(token) || {
            // "ASP.NET", "index.PHP": what follows is a known ending.
            let tail = token[mark - token_start..].trim_start_matches('.');
            let tail = tail.trim_end_matches(|c: char| !c.is_alphanumeric());
            is_ending(tail)
        }
    }
}

fn starts_with_www(token: &str) -> bool {
    token.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("www."))
}

/// Endings of addresses and files that may follow a full stop in capitals.
fn is_ending(tail: &str) -> bool {
    const ENDINGS: &[&str] = &[
        "ai", "app", "biz", "ca", "co", "com", "de", "doc", "docx", "edu", "eu", "fr", "gif", "gov", "htm",
        "html", "info", "io", "jpeg", "jpg", "js", "mp3", "mp4", "net", "org", "pdf", "php", "png", "txt",
        "uk", "us", "xls", "xlsx", "zip",
    ];
    tail.len() <= 5 && ENDINGS.iter().any(|ending| tail.eq_ignore_ascii_case(ending))
}

/// What stands before a terminator.
struct Left<'t> {
    /// At most [`REACH`] bytes before it, not further back than the sentence.
    text: &'t str,
    /// The word that it follows, without opening marks.
    word: &'t str,
    is_list_marker: bool,
}

impl<'t> Left<'t> {
    fn of(block: &'t str, sentence: usize, mark: usize) -> Left<'t> {
        let from = block.ceil_char_boundary(sentence.max(mark.saturating_sub(REACH)).min(mark));
        let text = &block[from..mark];
        let token = text
            .rsplit(|c: char| c.is_whitespace() || matches!(c, '/' | '—' | '–'))
            .next()
            .unwrap_or_default();
        let word = token.trim_start_matches(|c: char| !c.is_alphanumeric());
        let is_list_marker = mark - sentence <= 8 && {
            let head = block[sentence..].trim_start();
            let skipped = block.len() - head.len();
            marker(head).is_some_and(|len| skipped + len > mark && skipped + len <= mark + 2)
        };
        Left { text, word, is_list_marker }
    }

    /// Whether a word or a number of at least two signs stands directly before the terminator.
    fn is_word(&self) -> bool {
        self.text.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '%' || is_closer(c))
    }

    fn is_shouted(&self) -> bool {
        self.word.len() >= 4 && self.word.chars().all(char::is_uppercase)
    }

    /// Whether the word is written as an abbreviation is: "Inc", "a.m", "hrs" after a number; and not "sun", "sat", "no".
    fn is_abbreviated(&self) -> bool {
        let lower = self.word.chars().next().is_some_and(char::is_lowercase);
        let real_words = [
            "ad", "am", "art", "co", "dec", "fl", "int", "mar", "may", "min", "mo", "mon", "no", "pm", "pt",
            "sat", "sec", "st", "sun", "wed",
        ];
        !(lower && real_words.contains(&self.word) && !self.number_before())
    }

    fn number_before(&self) -> bool {
        let head = self.text[..self.text.len() - self.word.len()].trim_end();
        head.ends_with(|c: char| c.is_ascii_digit())
    }
}

/// What stands after a terminator.
struct Right<'t> {
    first: char,
    /// The first word, opening marks left out.
    word: &'t str,
    second: &'t str,
    third: &'t str,
    /// Whether the second word is followed by a mark or by nothing.
    stop_after_second: bool,
    /// Whether white space follows the first word.
    spaced: bool,
    /// Whether the first word is one letter with a full stop.
    is_initial: bool,
    /// Whether a bracket closes behind the first word.
    closes_at_once: bool,
}

impl<'t> Right<'t> {
    fn of(block: &'t str, at: usize) -> Right<'t> {
        let to = block.floor_char_boundary((at + REACH).min(block.len()));
        let text = &block[at..to];
        let first = text.chars().next().unwrap_or(' ');
        let body = text.trim_start_matches(|c: char| !c.is_alphanumeric() && !c.is_whitespace());
        let word = first_word(body);
        let closes_at_once =
            !word.is_empty() && body[word.len()..].starts_with([')', ']']) && !text.starts_with(['(', '[']);
        let is_initial = word.chars().count() == 1 && body[word.len()..].starts_with('.');
        let mut more = body.split_whitespace().skip(1);
        let whole = more.next().unwrap_or_default();
        let second = first_word(whole);
        let mut more = more.map(first_word);
        let third = more.next().unwrap_or_default();
        let stop_after_second = whole.len() > second.len() || third.is_empty();
        let spaced = body[word.len()..].chars().next().is_none_or(|c| c.is_whitespace() || c == ',');
        Right { first, word, second, third, stop_after_second, spaced, closes_at_once, is_initial }
    }

    fn begins_word(&self) -> bool {
        self.first.is_alphanumeric()
    }

    /// After an abbreviation: whether a new sentence begins rather than the old one goes on.
    fn begins_sentence(&self) -> bool {
        if self.first.is_lowercase() || self.first.is_ascii_digit() {
            return false;
        }
        if self.first.is_uppercase() {
            return words::is_starter(self.word);
        }
        matches!(self.first, '"' | '“' | '(') && self.word.starts_with(char::is_uppercase)
    }

    /// After a closed quotation: whether it goes on with who said it ("she asked", "Luis said", "I asked").
    fn attributes_quote(&self) -> bool {
        if self.first.is_lowercase() {
            return true;
        }
        // "She said he would call." begins a sentence of its own, "She said." does not.
        self.first.is_uppercase()
            && (words::is_speech_verb(self.second) && self.stop_after_second
                || words::is_speech_verb(self.third)
                    && !words::is_starter(self.word)
                    && self.second.starts_with(char::is_uppercase))
    }
}

/// "U.S", "a.m", "N.C": letters with full stops between them.
fn is_acronym(word: &str) -> bool {
    let mut letters = 0;
    for (i, part) in word.split('.').enumerate() {
        if part.chars().count() != 1 || !part.chars().all(char::is_alphabetic) || i > 5 {
            return false;
        }
        letters += 1;
    }
    letters > 1
}

fn first_word(text: &str) -> &str {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '’' || c == '-'))
        .unwrap_or(text.len());
    &text[..end]
}

/// End of the run of terminators at `mark`; the dots of ". . ." are one run.
fn run_end(block: &str, mark: usize) -> usize {
    let mut end = end_of(block, mark, is_judged);
    while let Some(rest) = block[end..].strip_prefix(" .")
        && !rest.starts_with(char::is_alphanumeric)
    {
        end = end_of(block, end + 2, is_judged);
    }
    end
}

fn end_of(text: &str, from: usize, test: impl Fn(char) -> bool) -> usize {
    text[from..].find(|c| !test(c)).map_or(text.len(), |at| from + at)
}
