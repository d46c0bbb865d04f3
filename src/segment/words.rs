//! Word lists of the segmenter: abbreviations, words that begin a sentence, words that cannot end a line.
//!
//! All lists are lower case and sorted, so that a look-up is a binary search and allocates nothing.

/// Titles: a name follows, so the full stop never ends a sentence.
const TITLES: &[&str] = &[
    "adm", "capt", "cmdr", "col", "cpl", "dr", "drs", "fr", "gen", "gov", "hon", "lt", "maj", "messrs",
    "mme", "mr", "mrs", "ms", "msgr", "mx", "pres", "prof", "rep", "rev", "sen", "sgt", "sr", "supt",
];

/// Abbreviations that stand before what they belong to ("No. 7", "e.g. this", "approx. ten").
const INNER: &[&str] = &[
    "acct", "approx", "appt", "apt", "attn", "ca", "cf", "dept", "e.g", "eg", "esp", "est", "excl", "ext",
    "fig", "i.e", "ie", "incl", "max", "misc", "mt", "nos", "op", "p", "pg", "pp", "ref", "resp", "tel",
    "viz", "vol", "vs", "w",
];

/// Abbreviations that may end a sentence: they do where the next word looks like a beginning.
const OUTER: &[&str] = &[
    "a.m", "ad", "am", "apr", "assn", "assoc", "aug", "ave", "b.a", "b.c", "b.s", "bldg", "blvd", "bros",
    "cm", "co", "corp", "ct", "d.c", "dec", "esq", "etc", "feb", "fl", "fri", "ft", "hr", "hrs", "hwy",
    "inc", "int", "jan", "jr", "jul", "km", "lb", "lbs", "ln", "ltd", "m.d", "mfg", "mgmt", "mgr", "min",
    "mins", "mo", "mon", "mos", "n.c", "n.y", "no", "nov", "oct", "oz", "p.m", "ph.d", "pl", "pm", "pt",
    "rd", "rm", "sat", "sec", "secs", "sep", "sept", "sq", "st", "ste", "sun", "thu", "thur", "thurs", "tue",
    "tues", "u.k", "u.s", "u.s.a", "univ", "wed", "wk", "wks", "yr", "yrs",
];

/// Of these, the ones before which no name stands: any capital after them begins a sentence, but for a day or a time zone.
const CLOCKS: &[&str] = &[
    "a.m", "am", "etc", "hr", "hrs", "lb", "lbs", "min", "mins", "oz", "p.m", "pm", "secs", "wks", "yr",
    "yrs",
];

/// Words that follow a time of day.
const AFTER_CLOCK: &[&str] = &[
    "april",
    "august",
    "cst",
    "december",
    "est",
    "et",
    "february",
    "friday",
    "gmt",
    "january",
    "july",
    "june",
    "march",
    "monday",
    "november",
    "october",
    "pst",
    "pt",
    "saturday",
    "september",
    "sunday",
    "thursday",
    "tuesday",
    "utc",
    "wednesday",
];

/// Words that, capitalised after an abbreviation, begin a sentence more often than they continue a name.
const STARTERS: &[&str] = &[
    "a",
    "after",
    "all",
    "also",
    "although",
    "an",
    "and",
    "another",
    "any",
    "anyway",
    "are",
    "as",
    "at",
    "because",
    "before",
    "both",
    "but",
    "by",
    "can",
    "could",
    "did",
    "do",
    "does",
    "don't",
    "even",
    "eventually",
    "every",
    "finally",
    "first",
    "for",
    "from",
    "great",
    "had",
    "has",
    "have",
    "he",
    "her",
    "here",
    "his",
    "how",
    "however",
    "i",
    "i'd",
    "i'll",
    "i'm",
    "i've",
    "if",
    "in",
    "is",
    "it",
    "it's",
    "its",
    "just",
    "last",
    "later",
    "lots",
    "many",
    "maybe",
    "meanwhile",
    "more",
    "most",
    "my",
    "never",
    "next",
    "no",
    "nobody",
    "none",
    "not",
    "nothing",
    "now",
    "of",
    "on",
    "once",
    "one",
    "only",
    "or",
    "our",
    "people",
    "please",
    "room",
    "she",
    "since",
    "so",
    "some",
    "still",
    "such",
    "thank",
    "thanks",
    "that",
    "that's",
    "the",
    "their",
    "then",
    "there",
    "there's",
    "these",
    "they",
    "they're",
    "this",
    "those",
    "to",
    "today",
    "too",
    "two",
    "unfortunately",
    "until",
    "very",
    "was",
    "we",
    "we're",
    "we've",
    "well",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "why",
    "will",
    "with",
    "yes",
    "yet",
    "you",
    "you're",
    "your",
];

/// Words that do not end a line of their own: a line that ends with one goes on in the next.
const OPEN_ENDED: &[&str] = &[
    "a", "about", "after", "all", "also", "although", "an", "and", "any", "are", "as", "at", "be", "because",
    "been", "before", "being", "but", "by", "can", "could", "did", "do", "does", "each", "every", "for",
    "from", "had", "has", "have", "he", "her", "his", "how", "i", "i've", "if", "in", "into", "is", "its",
    "just", "like", "may", "might", "must", "my", "nor", "not", "of", "on", "only", "or", "our", "over",
    "she", "should", "so", "some", "such", "than", "that", "the", "their", "then", "these", "they", "this",
    "those", "to", "under", "until", "upon", "very", "was", "we", "were", "what", "when", "where", "whether",
    "which", "while", "who", "whose", "why", "will", "with", "without", "would", "you", "your",
];

/// Words that may follow a full stop without a space and are no part of an address ("day.my purpose").
const GLUED_STARTERS: &[&str] = &[
    "and", "but", "he", "however", "if", "she", "that", "the", "then", "there", "these", "they", "this",
    "unless", "very", "we", "when", "which", "with", "you",
];

/// Verbs that attach a quotation to its speaker ("...?" she asked).
const SPEECH: &[&str] = &[
    "added",
    "adds",
    "admitted",
    "agreed",
    "announced",
    "answered",
    "answers",
    "asked",
    "asking",
    "asks",
    "barked",
    "began",
    "came",
    "continued",
    "cried",
    "demanded",
    "emailed",
    "exclaimed",
    "explained",
    "goes",
    "insisted",
    "joked",
    "laughed",
    "mumbled",
    "muttered",
    "offered",
    "promised",
    "repeated",
    "replied",
    "replies",
    "responded",
    "said",
    "say",
    "saying",
    "says",
    "shouted",
    "snapped",
    "stated",
    "texted",
    "told",
    "went",
    "whispered",
    "wondered",
    "wrote",
    "yelled",
];

fn has(list: &[&str], word: &str) -> bool {
    // The longest entry has eleven letters; a longer word need not be lower-cased.
    if word.is_empty() || word.len() > 16 {
        return false;
    }
    let mut buffer = [0u8; 16];
    let mut len = 0;
    for c in word.chars() {
        let c = if c == '’' { '\'' } else { c.to_ascii_lowercase() };
        if len + c.len_utf8() > buffer.len() {
            return false;
        }
        len += c.encode_utf8(&mut buffer[len..]).len();
    }
    list.binary_search_by(|entry| entry.as_bytes().cmp(&buffer[..len])).is_ok()
}

pub(super) fn is_title(word: &str) -> bool {
    has(TITLES, word)
}

pub(super) fn is_inner_abbreviation(word: &str) -> bool {
    has(INNER, word)
}

pub(super) fn is_outer_abbreviation(word: &str) -> bool {
    has(OUTER, word)
}

pub(super) fn is_clock(word: &str) -> bool {
    has(CLOCKS, word)
}

pub(super) fn follows_clock(word: &str) -> bool {
    has(AFTER_CLOCK, word)
}

pub(super) fn is_starter(word: &str) -> bool {
    has(STARTERS, word)
}

pub(super) fn is_open_ended(word: &str) -> bool {
    has(OPEN_ENDED, word)
}

pub(super) fn is_glued_starter(word: &str) -> bool {
    has(GLUED_STARTERS, word)
}

pub(super) fn is_speech_verb(word: &str) -> bool {
    has(SPEECH, word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_and_lower_case() {
        for list in [TITLES, INNER, OUTER, CLOCKS, AFTER_CLOCK, STARTERS, OPEN_ENDED, GLUED_STARTERS, SPEECH]
        {
            for pair in list.windows(2) {
                assert!(pair[0] < pair[1], "{:?} stands before {:?}", pair[0], pair[1]);
            }
            for word in list {
                assert!(word.len() <= 16 && word.chars().all(|c| !c.is_uppercase()), "{word}");
                assert!(has(list, word));
            }
        }
    }

    #[test]
    fn a_look_up_ignores_case_and_the_shape_of_the_apostrophe() {
        assert!(is_title("Dr") && is_title("DR"));
        assert!(is_starter("It’s"));
        assert!(!is_title(""));
        assert!(!is_title("an-endlessly-long-word-that-is-no-title"));
        assert!(!is_title("éééééééé"));
    }
}
