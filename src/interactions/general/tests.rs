//! Texts of our own wording, one sentence a line: `.` before what speaks in general, `1` before what tells.

use super::*;
use crate::heads::SentenceScores;
use crate::segment::segment;
use crate::sentiment::Sentiment;

/// Checks a text whose sentences are marked; blank lines part paragraphs, and numbers begin a line. The model says `told` of all.
#[track_caller]
fn check(marked: &str, told: f32) {
    let mut text = String::new();
    let mut wanted = Vec::new();
    for line in marked.lines().map(str::trim) {
        let Some((mark, words)) = line.split_once(' ') else {
            text.push_str("\n\n");
            continue;
        };
        wanted.push(mark == ".");
        text.push_str(if words.starts_with(char::is_numeric) { "\n" } else { " " });
        text.push_str(words);
    }
    let segments = segment(&text);
    let words: Vec<&str> = segments.iter().map(|segment| segment.span.get(&text).unwrap()).collect();
    assert_eq!(segments.len(), wanted.len(), "{words:#?}");
    let scores =
        vec![SentenceScores { sentiment: Sentiment::NEUTRAL, events: None, told: Some(told) }; words.len()];
    let found = find(&text, &segments, &vec![true; words.len()], &scores, &[]);
    let said: Vec<(bool, &str)> = found.into_iter().zip(words.iter().copied()).collect();
    let meant: Vec<(bool, &str)> = wanted.into_iter().zip(words).collect();
    assert_eq!(said, meant);
}

const COLUMN: &str = "
    . When did a company last surprise you?
    . Customers forgive a lot if you ask them nicely.

    1 In March our kettle from Harrow & Finch gave up.
    1 I rang them on a Sunday and they picked up.

    1 A new one came two days later.
    1 They had even sent the right plug.

    . Three lessons for your team:

    . 1. Pick up the telephone.
    . 2. Own the mistake before the customer finds it.
    . 3. Send the plug.

    . Customer service is not a department.
    . Your people are your brand.
";

#[test]
fn a_tale_stands_between_what_is_said_in_general() {
    check(COLUMN, 0.8);
}

#[test]
fn a_second_question_to_the_reader_goes_with_the_first() {
    check(
        ". Have your customers ever surprised you?
         . How about at the bank?
         1 In March our kettle from Harrow & Finch gave up.
         1 I rang them on a Sunday and they picked up.

         1 A new one came two days later.
         1 They had even sent the right plug.
         1 I rang again and thanked them.

         1 We were glad of it.
         1 I told my sister.",
        0.8,
    );
}

#[test]
fn a_review_is_left_to_the_model() {
    check(
        "1 Customers deserve better.\n1 You should train your people.\n1 If you want service, go elsewhere.",
        0.8,
    );
    check(
        "1 Friendly staff.\n1 Clean rooms.\n\n1 Breakfast is good.\n1 The lobby is small.\n\n1 Parking is free.\n\
         1 The pool is warm.\n\n1 The bar is open late.\n1 The view is the best part.",
        0.8,
    );
}

#[test]
fn the_model_overrules_the_build_where_it_is_sure() {
    let column = COLUMN.replace("Three lessons for your team", "What they do for your kettle");
    let sure: String = column.lines().map(|line| format!("{}\n", line.replacen(". ", "1 ", 1))).collect();
    check(&sure, 0.99);
    assert_ne!(sure, column);
}

#[test]
fn questions_to_those_who_serve_are_no_tale_however_sure_the_model_is() {
    let tale = "1 In March our kettle from Harrow & Finch gave up.
        1 I rang them on a Sunday and they picked up.

        1 A new one came two days later.
        1 They had even sent the right plug.

        1 I rang again and thanked them.
        1 They laughed and wished us a good year.
";
    check(
        &format!(
            "{tale}
        . So how does your service recovery stack up to this tale?
        . Is your customer afraid of the day when something breaks?"
        ),
        0.99,
    );
    // One sign a sentence does not overrule it.
    check(
        &format!(
            "{tale}
        1 Good people make a customer happy.
        1 The plug was not the point."
        ),
        0.99,
    );
}

#[test]
fn a_saying_with_its_author_is_no_part_of_the_tale() {
    check(
        "1 I took the coat to Dorn Brothers in May.
         1 They lost two buttons.

         . \u{201c}We are here for every one of our guests, and we know their names.
         . We do.\u{201d}

         . ~ Oskar Dorn

         1 Nobody there knew mine.
         1 I waited at the counter for an hour.

         1 They found the buttons in June.
         1 I sewed them on myself.",
        0.8,
    );
}

#[test]
fn a_text_that_only_talks_in_general_keeps_its_sentences() {
    check("1 Own your mistakes.\n1 Customers remember.", 0.1);
}

#[test]
fn punctuation_alone_tells_of_nothing() {
    assert!([".", "..", " !!.", "- - -", "”"].iter().all(|line| wordless(line)));
    assert!(![":)", "7", "\u{1f620}!", "ok."].iter().any(|line| wordless(line)));
}
