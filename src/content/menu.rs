//! Menus in running text: "Home | Recipes | About", "Home > Garden > Sheds", "Share Tweet Pin 14 shares".

use super::Boilerplate;
use super::furniture::Found;

/// Words of menus, share buttons and breadcrumbs, lower case, sorted.
const MENU: &[&str] = &[
    "about",
    "account",
    "advertise",
    "archive",
    "archives",
    "articles",
    "blog",
    "book",
    "books",
    "cart",
    "categories",
    "coaching",
    "comments",
    "community",
    "contact",
    "courses",
    "culture",
    "destinations",
    "diary",
    "email",
    "events",
    "facebook",
    "faq",
    "faqs",
    "follow",
    "food",
    "forum",
    "forums",
    "free",
    "gallery",
    "gear",
    "help",
    "home",
    "instagram",
    "latest",
    "life",
    "lifestyle",
    "like",
    "linkedin",
    "log",
    "login",
    "media",
    "members",
    "menu",
    "money",
    "news",
    "newsletter",
    "opinion",
    "patterns",
    "photos",
    "pin",
    "pinterest",
    "podcast",
    "politics",
    "popular",
    "portfolio",
    "press",
    "print",
    "privacy",
    "products",
    "reblog",
    "recipes",
    "reddit",
    "register",
    "reply",
    "resources",
    "reviews",
    "rss",
    "search",
    "services",
    "share",
    "shop",
    "sign",
    "sitemap",
    "speaking",
    "sport",
    "sports",
    "start",
    "store",
    "stories",
    "subscribe",
    "support",
    "tags",
    "terms",
    "testimonials",
    "tips",
    "travel",
    "tumblr",
    "tweet",
    "twitter",
    "videos",
    "whatsapp",
    "workshops",
    "youtube",
];

/// Words that may go on a menu word in the same item ("About me", "Start here").
const TAIL: &[&str] =
    &["hello", "here", "in", "map", "me", "of", "policy", "posts", "service", "up", "us", "use"];

/// Words with which a title begins.
const TITLE: &[&str] = &[
    "a", "an", "are", "at", "do", "for", "four", "how", "i", "in", "is", "my", "no", "on", "our", "six",
    "so", "the", "this", "three", "to", "two", "was", "what", "when", "where", "who", "why", "you", "your",
];

/// An item of a menu has at most so many words, and so many bytes.
const ITEM_WORDS: usize = 5;
const ITEM_BYTES: usize = 48;
/// A menu has at most so many items; more begin a new one. Keeps the work linear on endless lists.
const ITEMS: usize = 32;

#[derive(Clone, Copy)]
struct Token<'t> {
    start: usize,
    text: &'t str,
}

impl Token<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }

    fn is_separator(&self) -> bool {
        matches!(self.text, "|" | "·" | "•" | "»" | "›" | ">" | "/" | "‹" | "«" | "::")
    }

    fn is_menu(&self) -> bool {
        is_in(MENU, self.text) && self.text.starts_with(char::is_uppercase)
    }

    fn is_capital(&self) -> bool {
        self.text.starts_with(char::is_uppercase)
            && self.text.chars().all(|c| c.is_alphanumeric() || c == '&')
    }
}

fn is_in(list: &[&str], word: &str) -> bool {
    word.len() <= 16 && word.is_ascii() && list.binary_search(&word.to_ascii_lowercase().as_str()).is_ok()
}

/// The menus of a block, in order, not overlapping.
pub(super) fn find(block: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for line in block.split_inclusive('\n') {
        let base = line.as_ptr() as usize - block.as_ptr() as usize;
        // Most lines hold no menu word: do not even cut them into words.
        let tokens = tokens(line, base);
        let mut at = 0;
        while at < tokens.len() {
            match separated(&tokens, at).or_else(|| bare(&tokens, at)) {
                Some((from, to)) => {
                    found.push(Found {
                        start: tokens[from].start,
                        end: tokens[to - 1].end(),
                        reason: Boilerplate::Navigation,
                    });
                    at = to;
                }
                None => at += 1,
            }
        }
    }
    found
}

fn tokens(line: &str, base: usize) -> Vec<Token<'_>> {
    line.split_whitespace()
        .map(|text| Token { start: base + (text.as_ptr() as usize - line.as_ptr() as usize), text })
        .collect()
}

/// A menu with separators whose first item begins at `at`.
fn separated(tokens: &[Token<'_>], at: usize) -> Option<(usize, usize)> {
    let first = item(tokens, at)?;
    let mut separator = first;
    if !tokens.get(separator)?.is_separator() {
        return None;
    }
    let sign = tokens[separator].text;
    // "KnitClub Home | Patterns": the menu begins at its last known word before the first separator.
    if tokens[at + 1..separator].iter().any(|t| t.is_menu() && !is_in(TAIL, t.text)) {
        return None;
    }
    let mut items = 1;
    let mut known = usize::from(is_in(MENU, tokens[at].text));
    let mut end;
    loop {
        let begin = separator + 1;
        let Some(stop) = item(tokens, begin).filter(|_| items < ITEMS) else {
            // The menu ends with a separator, or is too long for one.
            end = separator;
            break;
        };
        end = stop;
        items += 1;
        known += usize::from(is_in(MENU, tokens[begin].text));
        match tokens.get(end) {
            Some(token) if token.text == sign || token.is_separator() => separator = end,
            _ => {
                let trail = matches!(sign, ">" | "»" | "›") && tokens.len() - begin <= 2 * ITEM_WORDS;
                end = if trail { tokens.len() } else { last_item(tokens, begin, end) };
                break;
            }
        }
    }
    let breadcrumbs = matches!(sign, ">" | "»" | "›" | "/") && tokens[at].text.eq_ignore_ascii_case("home");
    ((items >= 3 && known >= 2) || (items >= 2 && known == items) || breadcrumbs).then_some((at, end))
}

/// End of the item that begins at `at`: a few words up to a separator or where no item can go on.
fn item(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let first = tokens.get(at)?;
    if first.is_separator() || !first.text.starts_with(|c: char| c.is_alphanumeric()) {
        return None;
    }
    let mut end = at;
    while let Some(token) = tokens.get(end) {
        if token.is_separator() {
            return (end > at).then_some(end);
        }
        if end - at >= ITEM_WORDS
            || token.end() - first.start > ITEM_BYTES
            || end > at && tokens[end - 1].text.ends_with(['.', '!', '?', ':'])
        {
            break;
        }
        end += 1;
    }
    (end > at).then_some(end)
}

/// Where the last item ends, as no separator tells.
fn last_item(tokens: &[Token<'_>], begin: usize, end: usize) -> usize {
    let mut stop = begin + 1;
    if tokens[begin].is_menu() {
        while stop < end && is_in(TAIL, tokens[stop].text) {
            stop += 1;
        }
    } else if end < tokens.len() || end - begin > 3 {
        while stop < end && tokens[stop].is_capital() && !is_in(TITLE, tokens[stop].text)
            || stop < end && tokens[stop].text == "&"
        {
            stop += 1;
        }
    } else {
        stop = end;
    }
    // The trail ends with the title that follows it: "Home / Garden / Old sheds Old sheds, repaired".
    for length in (2..=6).rev() {
        if begin + 2 * length <= tokens.len()
            && (0..length).all(|i| {
                tokens[begin + i].text.trim_end_matches([',', ':'])
                    == tokens[begin + length + i].text.trim_end_matches([',', ':'])
            })
        {
            return begin + length;
        }
    }
    // "Newsletter (4,112 subscribers)"
    if tokens.get(stop).is_some_and(|t| t.text.starts_with('(')) {
        for (i, token) in tokens[stop..].iter().take(4).enumerate() {
            if token.text.ends_with(')') {
                return stop + i + 1;
            }
        }
    }
    stop
}

/// A menu without separators that begins at `at`: at least three menu words, few others between them.
fn bare(tokens: &[Token<'_>], at: usize) -> Option<(usize, usize)> {
    if !tokens[at].is_menu() {
        return None;
    }
    let (mut known, mut end, mut others) = (1, at + 1, 0);
    let mut to = end;
    while let Some(token) = tokens.get(to) {
        if known >= 3 && matches!(token.text, "Share" | "SHARE") {
            // Share buttons after a menu are a list of their own.
            break;
        }
        if token.is_menu() {
            known += 1;
            end = to + 1;
        } else if is_in(TAIL, token.text) && tokens[to - 1].is_menu() {
            end = to + 1;
        } else if token.is_capital() && to - end < 3 && !is_in(TITLE, token.text) {
            others += 1;
        } else {
            break;
        }
        to += 1;
        if to - at > 24 {
            break;
        }
    }
    if known < 3 || others > known {
        return None;
    }
    // "14 shares"
    if let (Some(number), Some(word)) = (tokens.get(end), tokens.get(end + 1))
        && number.text.bytes().all(|b| b.is_ascii_digit() || b == b',')
        && matches!(word.text, "shares" | "likes" | "views" | "comments")
    {
        end += 2;
    }
    Some((at, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menus(text: &str) -> Vec<&str> {
        find(text).iter().map(|f| &text[f.start..f.end]).collect()
    }

    #[test]
    fn the_lists_are_sorted() {
        for list in [MENU, TAIL, TITLE] {
            assert!(list.is_sorted(), "{list:?}");
        }
    }

    #[test]
    fn a_menu_ends_where_the_title_begins() {
        assert_eq!(
            menus("Home About Plants Shop Contact The year of the slug"),
            ["Home About Plants Shop Contact"]
        );
        assert_eq!(
            menus("Home | Start Here | Tools | Shop Is your shed dry?"),
            ["Home | Start Here | Tools | Shop"]
        );
        assert_eq!(menus("Home / Sheds / Old roofs Old roofs (and a ladder)"), ["Home / Sheds / Old roofs"]);
        assert_eq!(
            menus("Latest | Popular | Newsletter (310 readers) A bad week"),
            ["Latest | Popular | Newsletter (310 readers)"]
        );
    }

    #[test]
    fn a_rated_list_is_no_menu() {
        assert!(menus("Food: 4/5 | Service: 1/5 | Price: fair").is_empty());
        assert!(menus("I sent them an email, a letter and a fax / no answer / nothing.").is_empty());
        assert!(menus("Home Depot never called.").is_empty());
    }
}
