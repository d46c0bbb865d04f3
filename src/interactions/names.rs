//! Names in a story: runs of capitalised words and known companies, gathered into one name for each bearer.

use std::collections::{HashMap, HashSet};

use crate::interactions::lists::LISTS;
use crate::segment::Segment;
use crate::span::Span;

/// All spellings of one name.
#[derive(Debug, Default)]
pub(super) struct Name {
    /// Segment and place of each mention, in the order of the text.
    pub(super) mentions: Vec<(usize, Span)>,
    /// Number in the list of known companies.
    pub(super) company: Option<usize>,
    /// How much speaks for a company and not for a person, place or thing.
    pub(super) strength: i32,
    /// Carries a personal title.
    pub(super) person: bool,
}

impl Name {
    /// The most complete mention: the one with the most words, the first of these.
    pub(super) fn fullest(&self, text: &str) -> Option<Span> {
        let words = |span: &Span| span.get(text).unwrap_or("").split_whitespace().count();
        let longest = self.mentions.iter().map(|(_, span)| words(span)).max()?;
        self.mentions.iter().map(|(_, span)| *span).find(|span| words(span) == longest)
    }
}

/// The names of a story.
pub(super) struct Names {
    pub(super) all: Vec<Name>,
    /// For each segment the names in it, in order.
    pub(super) by_segment: Vec<Vec<usize>>,
}

/// A word of a sentence.
struct Word<'t> {
    text: &'t str,
    span: Span,
    /// A full stop, comma or the like stands between the word before and this one.
    broken: bool,
}

/// Words that are written with a capital letter and are no names: starts of sentences, times, titles of people.
const COMMON: &str = " i i'm i've i'd i'll a an the this that these those there here he she it its it's they we you your my \
our his her their who what when where why how which while if in on at to of for from by with without as and or but so yet \
not no yes nor than then now just also after before since until because although though even only once first second third \
last next finally later still again never ever always all any some every each both either neither none most many much more \
less few several other another such same own very too quite really please thanks thank sorry hello hi dear ok okay well oh \
wow omg lol fyi ps nb edit update note don't didn't won't can't couldn't wouldn't isn't wasn't aren't doesn't do did does is \
was are were be been being have has had having will would could should can may might must shall let let's get got go going \
gone went come came take took make made give gave find found keep kept put say said tell told ask asked call called use used \
try tried see saw look looked think thought know knew want wanted need needed feel felt buy bought pay paid order ordered \
monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september october \
november december jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun christmas thanksgiving easter \
am pm tv usb pc cd dvd gps wifi wi-fi phd ceo usa us uk eu nyc la english german french spanish italian american british \
european asian chinese japanese mexican indian god lord mr mrs ms dr sir madam mom dad mum mother father husband wife \
great good bad best worst awful terrible horrible excellent amazing poor nice love avoid beware overall anyway however \
unfortunately luckily fortunately sadly obviously honestly basically actually apparently eventually meanwhile instead \
customer service staff manager management support company product quality price team people everyone everybody nobody \
someone anyone nothing everything something total complete absolutely definitely highly super stay far new old big small \
two three four five six seven eight nine ten one part day days week weeks month months year years time times today yesterday \
tomorrow tonight morning afternoon evening night room food bank hotel airline flight store shop restaurant phone email call \
card account bill credit debit money refund delivery order website app online internet exhibit counter xx xxxx xxx internet \
asap diy faq ii iii iv atm id pin apr rv suv suvs url ac a/c dj vip llc inc fdic cfpb fcra ssn ";

/// Words that end or make up the name of a company.
const COMPANY: &str = " bank hotel inn motel hostel resort airlines airways air plumbing motors auto automotive savings mobile \
electronics kitchens rental rentals cafe café restaurant grill pizza pizzeria bakery bakehouse pharmacy drug drugs insurance \
telecom wireless store stores shop center centre clinic hospital vet vets towing repair repairs services service company co \
corp express union college colleges university gym fitness spa salon exchange box-office diner bar pub garage cleaners \
cleaning laundry furniture mortgage lending financial group electric energy water gas cable broadband travel tours books \
market foods deli bistro kitchen house court lodge suites nursery dental dentistry optical glass tire tires roofing heating \
moving movers storage logistics couriers courier outfitters supply hardware solutions systems media communications \
association institute academy school trust society council library ";

const TITLES: &str = " mr mrs ms miss dr prof sir ";

/// Words before a name that speak for a company.
const TO_COMPANY: &str = " at from with by via through called rang phoned emailed contacted texted tried used use using recommend \
called visited chose booked joined thanks thank love hate avoid ";

/// Words after a name that speak for somebody who serves.
const SERVES: &str = " told said says sent emailed charged refused offered gave has had have is was were are will won't did didn't \
does doesn't wanted came replaced took answered finally never customer support service staff store app website tech \
technician rep reps agent agents employee employees owes fixed repaired still must should would took can can't could \
couldn't just also ";

fn listed(list: &str, word: &str) -> bool {
    let lower = word.to_lowercase().replace('’', "'");
    let mut key = String::with_capacity(lower.len() + 2);
    key.push(' ');
    key.push_str(lower.strip_suffix("'s").unwrap_or(&lower));
    key.push(' ');
    list.contains(&key)
}

fn words(text: &str, within: Span) -> Vec<Word<'_>> {
    let part = within.get(text).unwrap_or("");
    let mut found = Vec::new();
    let mut broken = true;
    let mut chars = part.char_indices().peekable();
    while let Some((start, first)) = chars.next() {
        if !first.is_alphanumeric() {
            // White space and an opening quotation mark or bracket do not part a name from what is before it.
            broken |= !first.is_whitespace();
            continue;
        }
        let mut end = start + first.len_utf8();
        while let Some(&(at, c)) = chars.peek() {
            let inner = matches!(c, '\'' | '’' | '&' | '.' | '-' | '_' | '@')
                && part[at + c.len_utf8()..].chars().next().is_some_and(char::is_alphanumeric);
            if !c.is_alphanumeric() && !inner {
                break;
            }
            end = at + c.len_utf8();
            chars.next();
        }
        let span = Span::new(within.start() + start, within.start() + end);
        let word = &part[start..end];
        found.push(Word { text: word, span, broken });
        broken = false;
        // "Mr. Kessler" is one name, and so is "Wool & Whimsy".
        if listed(TITLES, word) && matches!(chars.peek(), Some((_, '.'))) {
            chars.next();
        } else if let Some((_, ' ')) = chars.peek()
            && part[end..].starts_with(" & ")
        {
            chars.next();
            chars.next();
        }
    }
    found
}

fn capital(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_uppercase)
}

/// A capital letter inside, as in `FlowRite` or `eBay`.
fn camel(word: &str) -> bool {
    let mut before = ' ';
    let mut lower = false;
    for c in word.chars() {
        if c.is_uppercase() && before.is_lowercase() && !word.starts_with("Mc") && !word.starts_with("Mac") {
            return true;
        }
        lower |= c.is_lowercase();
        before = c;
    }
    false
}

/// A sentence in capitals has no names that could be told from its other words.
fn shouted(part: &str) -> bool {
    let (mut upper, mut lower) = (0, 0);
    for c in part.chars() {
        upper += usize::from(c.is_uppercase());
        lower += usize::from(c.is_lowercase());
    }
    upper > lower
}

/// A mention before it is gathered.
struct Mention {
    segment: usize,
    span: Span,
    /// Lower-case words that tell the bearer from others.
    keys: Vec<String>,
    strength: i32,
    company: Option<usize>,
    person: bool,
    /// Alone at the start of its sentence: only counts if the name stands elsewhere, too.
    weak: bool,
}

pub(super) fn read(text: &str, segments: &[Segment], content: &[bool]) -> Names {
    let told = |at: usize| content.get(at).copied().unwrap_or(true);
    let mut lower: HashSet<String> = HashSet::new();
    let mut mentions: Vec<Mention> = Vec::new();
    for (at, segment) in segments.iter().enumerate().filter(|(at, _)| told(*at)) {
        let words = words(text, segment.span);
        lower.extend(words.iter().filter(|word| !capital(word.text)).map(|word| word.text.to_owned()));
        let known = LISTS.companies_in(text, segment.span);
        for &(span, company) in &known {
            let keys = vec![format!("#{company}")];
            mentions.push(Mention {
                segment: at,
                span,
                keys,
                strength: 4,
                company: Some(company),
                person: false,
                weak: false,
            });
        }
        if shouted(segment.span.get(text).unwrap_or("")) {
            continue;
        }
        let taken = |span: Span| known.iter().any(|(other, _)| other.overlap(span) > 0);
        let mut from = 0;
        while from < words.len() {
            let word = &words[from];
            let name = |word: &Word<'_>| {
                capital(word.text)
                    && !taken(word.span)
                    && (!listed(COMMON, word.text) || listed(TITLES, word.text))
            };
            if !name(word) {
                from += 1;
                continue;
            }
            let mut to = from + 1;
            while to < words.len()
                && !words[to].broken_from(text, &words[to - 1])
                && (name(&words[to]) || capital(words[to].text) && listed(COMPANY, words[to].text))
            {
                to += 1;
            }
            let run = &words[from..to];
            if let Some(mention) = mention(text, at, run, words[..from].last(), words.get(to), from == 0) {
                mentions.push(mention);
            }
            from = to;
        }
    }
    gather(mentions, &lower, segments.len())
}

impl Word<'_> {
    /// Whether more than a space or ` & ` stands between this word and the one before it.
    fn broken_from(&self, text: &str, before: &Word<'_>) -> bool {
        let gap = text.get(before.span.end()..self.span.start()).unwrap_or("");
        !(gap == " " || gap == " & " || gap == ". " && listed(TITLES, before.text))
    }
}

fn mention(
    text: &str,
    segment: usize,
    run: &[Word<'_>],
    before: Option<&Word<'_>>,
    after: Option<&Word<'_>>,
    first: bool,
) -> Option<Mention> {
    let mut span = run.first()?.span.cover(run.last()?.span);
    let words = span.get(text)?;
    for ending in ["'s", "’s"] {
        if words.ends_with(ending) && run.len() > 1 {
            span = Span::new(span.start(), span.end() - ending.len());
        }
    }
    let person = listed(TITLES, run[0].text);
    let bare = |word: &str| {
        let lower = word.to_lowercase().replace('’', "'");
        lower.strip_suffix("'s").unwrap_or(&lower).to_owned()
    };
    let keys: Vec<String> = run
        .iter()
        .map(|word| word.text)
        .filter(|word| {
            !listed(TITLES, word) && !listed(COMMON, word) && !listed(COMPANY, word) && word.len() > 1
        })
        .map(bare)
        .collect();
    if keys.is_empty() {
        return None;
    }
    let mut strength = 0;
    strength += if run.len() > 1 && run.iter().any(|word| listed(COMPANY, word.text)) { 2 } else { 0 };
    strength += if run.iter().any(|word| camel(word.text)) { 2 } else { 0 };
    strength += if words.contains(" & ") { 2 } else { 0 };
    if let Some(before) = before {
        let gap = text.get(before.span.end()..run[0].span.start())?;
        if gap == " " {
            strength += if listed(TO_COMPANY, before.text) { 1 } else { 0 };
            strength -= if before.text.eq_ignore_ascii_case("in") { 2 } else { 0 };
        }
    }
    if let Some(after) = after {
        let gap = text.get(run.last()?.span.end()..after.span.start())?;
        strength += i32::from(gap == " " && listed(SERVES, after.text));
    }
    strength -= if person { 1 } else { 0 };
    Some(Mention {
        segment,
        span,
        keys,
        strength,
        company: None,
        person,
        weak: first && run.len() == 1 && !camel(words),
    })
}

/// Mentions that share a telling word are one name.
fn gather(mentions: Vec<Mention>, lower: &HashSet<String>, segments: usize) -> Names {
    let mut all: Vec<Name> = Vec::new();
    let mut by_key: HashMap<String, usize> = HashMap::new();
    let mut by_segment = vec![Vec::new(); segments];
    // A name that only ever starts a sentence, and once, or that is also an ordinary word here, is none.
    let mut firm: HashMap<&str, usize> = HashMap::new();
    for mention in &mentions {
        for key in &mention.keys {
            *firm.entry(key).or_default() += if mention.weak { 1 } else { 2 };
        }
    }
    let kept: Vec<bool> = mentions
        .iter()
        .map(|mention| {
            !mention.weak || mention.keys.iter().all(|key| firm[key.as_str()] > 2 && !lower.contains(key))
        })
        .collect();
    let mut mentions: Vec<Mention> =
        mentions.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(mention, _)| mention).collect();
    mentions.sort_by_key(|mention| mention.span);
    for mention in mentions {
        let known = mention.keys.iter().find_map(|key| by_key.get(key).copied());
        let at = known.unwrap_or_else(|| {
            all.push(Name::default());
            all.len() - 1
        });
        for key in mention.keys {
            by_key.entry(key).or_insert(at);
        }
        let name = &mut all[at];
        name.mentions.push((mention.segment, mention.span));
        name.company = name.company.or(mention.company);
        name.strength += mention.strength;
        name.person |= mention.person;
        by_segment[mention.segment].push(at);
    }
    Names { all, by_segment }
}
