//! Every rule against the lines that it carries.

use amends::{EventType, RuleSet};

#[test]
fn every_rule_matches_its_lines_and_no_near_miss() {
    let rules = RuleSet::built_in().unwrap();
    let failures: Vec<String> = rules.failures().iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} of the lines fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn severity_has_enough_lines() {
    let (matching, near) = RuleSet::built_in().unwrap().severity_lines();
    assert!(matching >= 15 && near >= 15, "{matching} matching lines and {near} near-misses");
}

#[test]
fn every_type_has_rules_and_enough_lines() {
    let rules = RuleSet::built_in().unwrap();
    let mut all = 0;
    for event_type in &EventType::ALL {
        let (matching, near) = rules.test_lines(event_type);
        assert!(matching + near >= 10, "{event_type}: {matching} matching lines and {near} near-misses");
        all += matching + near;
    }
    assert!(all >= 300, "{all} lines");
    println!("{} rules, {all} lines", rules.len());
}
