//! Texts that nobody wrote to be read: huge, degenerate, broken. Every one has a result that keeps the promises, and
//! costs work in proportion to its length.
//!
//! The engine is one without a model, so that the pipeline around it is what is measured; what the back ends make of such
//! texts is tried on shorter ones. What takes long runs with `cargo test --release --test hostile -- --ignored`.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Instant;

use amends::output::Record;
use amends::{AnalyzeErrorKind, Analyzer, Limits, Warning};

#[cfg(feature = "embedded")]
#[path = "support/back_ends.rs"]
mod back_ends;
#[path = "support/counting.rs"]
mod counting;
#[path = "support/promises.rs"]
mod promises;

static ANALYZER: LazyLock<Analyzer> = LazyLock::new(|| counting::analyzer().0.build().unwrap());

/// Units that are repeated: what people hold a key down on, what encodings leave behind, what pages are full of.
const UNITS: &[(&str, &str)] = &[
    ("exclamation marks", "!"),
    ("question marks", "?!"),
    ("full stops", "."),
    ("ellipses", "… "),
    ("spaces", " "),
    ("no-break spaces", "\u{a0}"),
    ("line ends", "\n"),
    ("mixed line ends", "\r\n\u{2028}\u{85}\r"),
    ("one letter", "a"),
    ("letters on lines", "a\n"),
    ("letters on blocks", "a\n\n"),
    ("digits", "1. "),
    ("list markers", "- a\n"),
    ("numbered items", "1) a\n"),
    ("combining marks", "\u{301}"),
    ("marks on letters", "e\u{301}\u{323}\u{302}"),
    ("zero-width joiners", "a\u{200d}"),
    ("joiners alone", "\u{200d}"),
    ("byte order marks", "\u{feff}"),
    ("NUL", "\0"),
    ("controls", "\u{1}\u{8}\u{1b}[31m"),
    ("direction marks", "\u{202e}evil\u{202c}\u{2067} "),
    ("Arabic", "لم يعتذر أحد. "),
    ("Hebrew without spaces", "שלוםשלום"),
    ("Chinese", "他们从来没有道歉。"),
    ("Thai", "ไม่มีใครขอโทษ"),
    ("family emoji", "👩\u{200d}👩\u{200d}👧\u{200d}👦"),
    ("flags", "🇩🇪"),
    ("skin tones", "👍🏽"),
    ("private use", "\u{10fffd}"),
    ("noncharacters", "\u{ffff}\u{fffd}"),
    ("opening brackets", "("),
    ("closing brackets", ")"),
    ("quotes", "\""),
    ("nested quotes", "“‘"),
    ("deep quoting", "> "),
    ("quoted lines", "> > > they never called.\n"),
    ("apostrophes", "'"),
    ("contractions", "didn't "),
    ("hyphens", "-"),
    ("underscores", "_"),
    ("menu bars", "Home | "),
    ("page furniture", "Posted by Ana on 3 May 2021\n"),
    ("replies", "Reply Report\n"),
    ("addresses", "http://a.b/c?d=e&f "),
    ("abbreviations", "Dr. Mr. e.g. "),
    ("headings", "# A\n"),
    ("negations", "not never no "),
    ("wishes", "they should have "),
    ("events", "they never apologised and refused to refund me "),
    ("sentences", "They never called. "),
    ("providers", "Swiftlane lost it. Corvin Kitchens fixed it. "),
    ("providers on blocks", "Swiftlane lost my parcel.\n\nCorvin Kitchens fixed it.\n\n"),
    ("special tokens", "[CLS] [SEP] [UNK] "),
    ("markup", "<div><p>"),
    ("templates", "{{#each}}"),
];

/// What `work` costs this thread: nanoseconds on the CPU where the system tells (Linux), else of the clock.
fn cost(work: impl FnOnce()) -> f64 {
    let on_cpu = || -> Option<f64> {
        let line = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        line.split(' ').next()?.parse().ok()
    };
    let (start, before) = (Instant::now(), on_cpu());
    work();
    match (before, on_cpu()) {
        (Some(before), Some(after)) => after - before,
        _ => start.elapsed().as_nanos() as f64,
    }
}

fn check(text: &str) {
    promises::check(text, &ANALYZER.analyze(text).unwrap());
}

#[test]
fn every_repeated_unit_costs_work_in_proportion() {
    let (builder, work) = counting::analyzer();
    let analyzer = builder.build().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut bad = String::new();
    for (name, unit) in UNITS {
        // Bytes of text; the steps are by four. A quadratic part would make 16 of each.
        let measure = |bytes: usize| {
            let text = unit.repeat(bytes.div_ceil(unit.len()));
            work.take();
            let cost = pool.install(|| cost(|| drop(analyzer.analyze(&text).unwrap())));
            (cost, work.take())
        };
        measure(4 << 10);
        let found = [8 << 10, 32 << 10, 128 << 10].map(measure);
        for pair in found.windows(2) {
            let [(before, work_before), (after, work_after)] = [pair[0], pair[1]];
            for (what, from, to) in [
                ("forwards", work_before[0], work_after[0]),
                ("windows", work_before[1], work_after[1]),
                ("tokens", work_before[2], work_after[2]),
            ] {
                if to > from * 5 + 8 {
                    let _ = writeln!(bad, "{name}: {from} {what}, {to} for four times the text");
                }
            }
            // The clock of a busy machine is rough; ten times for four is above any of its noise.
            if after > before * 10.0 + 30e6 {
                let _ = writeln!(bad, "{name}: {:.1} ms, then {:.1} ms", before / 1e6, after / 1e6);
            }
        }
    }
    assert!(bad.is_empty(), "{bad}");
}

#[test]
fn repeated_units_keep_the_promises() {
    for (name, unit) in UNITS {
        println!("{name}");
        for times in [1, 2, 3, 100, 2_000] {
            check(&unit.repeat(times));
        }
        check(&format!("They never called. {} Nobody apologised.", unit.repeat(500)));
    }
}

#[cfg(feature = "embedded")]
#[test]
fn every_back_end_keeps_the_promises() {
    for back_ends::BackEnd { name, analyzer } in &*back_ends::ALL {
        for (what, unit) in UNITS {
            println!("{name}: {what}");
            for text in
                [unit.repeat(60), format!("They never called. {} Nobody apologised.", unit.repeat(20))]
            {
                promises::check(&text, &analyzer.analyze(&text).unwrap());
            }
        }
    }
}

#[test]
fn whatever_stands_beside_whatever() {
    let mut all = String::new();
    for (_, first) in UNITS {
        for (_, second) in UNITS {
            all.push_str(first);
            all.push_str(second);
        }
    }
    check(&all);
}

#[test]
fn nothing_at_all() {
    for text in ["", " ", "\n", "\r\n\t", "\u{feff}", "\u{a0}\u{2003}", "\u{200b}", "\0"] {
        let analysis = ANALYZER.analyze(text).unwrap();
        promises::check(text, &analysis);
        if text.trim().is_empty() {
            assert!(analysis.interactions().is_empty(), "{text:?}");
            assert_eq!(analysis.warnings(), [Warning::Empty], "{text:?}");
        }
    }
}

#[test]
fn limits_name_both_numbers() {
    let limits = Limits::default().with_max_text_bytes(1_000).with_max_windows(20);
    let analyzer = counting::analyzer().0.limits(limits).build().unwrap();
    let error = |text: &str| {
        let error = analyzer.analyze(text).unwrap_err();
        assert_eq!(error.kind(), AnalyzeErrorKind::TooLong);
        error.to_string()
    };
    assert_eq!(error(&"a".repeat(1_001)), "text has 1001 bytes, the limit is 1000");
    assert_eq!(error(&"a\n\n".repeat(21)), "text has 21 windows of tokens or more, the limit is 20");
    assert!(analyzer.analyze("a\n\n".repeat(20).as_str()).is_ok());
    // One sentence can be too much as well: 21 windows of it.
    let analyzer = counting::analyzer().0.limits(Limits::default().with_max_windows(20)).build().unwrap();
    let error = analyzer.analyze("and ".repeat(2_500).as_str()).unwrap_err();
    assert!(error.to_string().ends_with("windows of tokens or more, the limit is 20"), "{error}");
    assert!(analyzer.analyze("and ".repeat(1_200).as_str()).unwrap().windows() > 10);
}

#[test]
fn a_lone_surrogate_is_an_error_of_its_line() {
    let line =
        |text: &str| format!(r#"{{"id":null,"source":null,"error":{{"kind":"io","message":"{text}"}}}}"#);
    assert!(serde_json::from_str::<Record>(&line("caf\\u00e9 \\ud83d\\ude00 \\u0000")).is_ok());
    for text in
        ["\\ud800", "\\udc00", "\\ud800 a", "\\ud800\\ud800", "\\udc00\\ud800", "\\ud83d\\u0041", "\\ud8"]
    {
        assert!(serde_json::from_str::<Record>(&line(text)).is_err(), "{text}");
    }
    for line in [
        "",
        "[",
        "null",
        "{}",
        "{\"id\":",
        "\u{feff}{}",
        &"[".repeat(200_000),
        &"{\"error\":".repeat(200_000),
    ] {
        assert!(serde_json::from_str::<Record>(line).is_err());
    }
}

#[test]
fn two_hundred_thousand_lines_of_one_letter() {
    let text = "a\n".repeat(200_000);
    let analysis = ANALYZER.analyze(&text).unwrap();
    promises::check(&text, &analysis);
}

#[test]
fn a_million_marks() {
    for unit in ["!", "\u{301}"] {
        check(&unit.repeat(100_000));
    }
}

#[test]
#[ignore = "minutes: cargo test --release --test hostile -- --ignored"]
fn a_million_marks_in_full() {
    // Some units are two sentences: two million are above the usual limit.
    let analyzer = without_limits();
    for (name, unit) in UNITS {
        let text = unit.repeat(1_000_000);
        let cost = cost(|| promises::check(&text, &analyzer.analyze(&text).unwrap()));
        println!("a million {name}: {:.1} s", cost / 1e9);
    }
}

#[test]
#[ignore = "minutes and gigabytes: cargo test --release --test hostile -- --ignored"]
fn a_hundred_megabytes_in_one_line() {
    let analyzer = without_limits();
    for unit in ["they never apologised and ", "a", "They never called. "] {
        let text = unit.repeat(100_000_000usize.div_ceil(unit.len()));
        let cost = cost(|| promises::check(&text, &analyzer.analyze(&text).unwrap()));
        println!("100 MB of {unit:?}: {:.1} s; {}", cost / 1e9, memory());
    }
}

fn without_limits() -> Analyzer {
    let limits = Limits::default().with_max_text_bytes(u32::MAX as usize).with_max_windows(usize::MAX);
    counting::analyzer().0.limits(limits).build().unwrap()
}

/// The most memory that this process has held, where the system tells.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("memory not known").to_owned()
}
