//! Stories of our own wording, and what a reader makes of them.

use proptest::prelude::*;

use crate::events::{Actor, Event, EventType, Status};
use crate::interactions::{Draft, Story, split};
use crate::segment::{BlockKind, Segment};
use crate::sentiment::Sentiment;
use crate::span::{SentenceId, Span};

/// A story, one line a sentence and each a block of its own: the number of the interaction that a reader gives
/// it (`.` for none, `x` for what is no story), `+`, `-` or `0`, an event or `_`, and the words.
struct Told {
    text: String,
    segments: Vec<Segment>,
    content: Vec<bool>,
    sentiments: Vec<Sentiment>,
    events: Vec<Event>,
    wanted: Vec<usize>,
}

fn told(story: &str) -> Told {
    let mut told = Told {
        text: String::new(),
        segments: vec![],
        content: vec![],
        sentiments: vec![],
        events: vec![],
        wanted: vec![],
    };
    for (at, line) in story.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        let mut parts = line.splitn(4, ' ');
        let mut part = || parts.next().unwrap();
        let (number, tone, event, words) = (part(), part(), part(), part());
        let start = told.text.len();
        told.text.push_str(words);
        let span = Span::new(start, told.text.len());
        told.text.push('\n');
        told.segments.push(Segment { span, block: at as u32, kind: BlockKind::Paragraph });
        told.content.push(number != "x");
        told.wanted.push(number.parse().unwrap_or(0));
        told.sentiments.push(match tone {
            "+" => Sentiment::from_weights(0.0, 0.1, 0.9),
            "-" => Sentiment::from_weights(0.9, 0.1, 0.0),
            _ => Sentiment::NEUTRAL,
        });
        if event != "_" {
            let kind: EventType = event.parse().unwrap();
            let id = SentenceId::new(at as u32);
            told.events.push(Event::new(kind, Status::Occurred, Actor::Provider, span, id, 1.0));
        }
    }
    told
}

impl Told {
    fn split(&self) -> Vec<Draft> {
        split(Story {
            text: &self.text,
            segments: &self.segments,
            content: &self.content,
            sentiments: &self.sentiments,
            events: &self.events,
            general: &[],
        })
    }
}

/// Checks where the sentences go and who the providers are.
#[track_caller]
fn check(story: &str, providers: &[&str]) {
    let told = told(story);
    let drafts = told.split();
    let mut found = vec![0; told.segments.len()];
    for (at, draft) in drafts.iter().enumerate() {
        draft.sentences.iter().for_each(|sentence| found[sentence.index()] = at + 1);
    }
    assert_eq!(found, told.wanted, "{story}");
    let names: Vec<&str> =
        drafts.iter().map(|draft| draft.provider.map_or("", |provider| provider.name(&told.text))).collect();
    assert_eq!(names, providers);
}

#[test]
fn employees_of_one_company_are_one_interaction() {
    check(
        "1 0 _ My kettle from Harrow & Finch stopped after a week.
         1 - silence I rang and a man named Piotr took my number and nobody rang back.
         1 - rudeness On Monday a woman called Saskia told me kettles break.
         1 + fix Then their manager Mrs. Oduya put a new one in my hands.",
        &["Harrow & Finch"],
    );
}

#[test]
fn a_comment_is_an_interaction_only_if_it_tells_a_tale() {
    check(
        "1 0 _ We took the sofa to Quillon Upholstery in spring.
         1 + competence They matched a cloth from 1974.
         1 + kept_promise It was back on the day they had named.
         1 + loyalty I shall go there again.
         x 0 _ 3 Comments
         x 0 _ Petra V. says: 4 May at 10:12
         . + _ Lovely read, thank you!
         x 0 _ Bram says: 5 May at 07:40
         2 - delay I waited five months for a chair of mine at Dorn Brothers.
         2 - silence They never wrote.
         x 0 _ lou_on_tour says:
         . 0 _ Always ask for a date in writing.",
        &["Quillon Upholstery", "Dorn Brothers"],
    );
}

#[test]
fn an_author_who_comes_back_goes_on_with_their_tale() {
    check(
        "x 0 _ tin_whistle - Member - Posts: 41
         1 - service_failure My boiler from Emberline died on Sunday.
         1 - silence I left three messages.
         x 0 _ old_bellows - Moderator - Posts: 9,120
         . 0 _ Bleed the radiators first.
         x 0 _ tin_whistle - Member - Posts: 42
         1 + fix Update: their fitter came and it runs.",
        &["Emberline"],
    );
}

#[test]
fn labels_open_tales_and_names_bring_them_back() {
    check(
        "1 0 _ Exhibit A is PostaPronto on the corner.
         1 - delay I stood there for an hour.
         1 - rudeness The clerk yawned at me.
         2 0 _ Exhibit B is Lindgren Parcels across the street.
         2 + prompt_service I was out in four minutes.
         2 + courtesy They even asked after my leg.
         1 - competence PostaPronto had never even looked at the label.",
        &["PostaPronto", "Lindgren Parcels"],
    );
}

#[test]
fn a_list_of_what_one_company_did_is_one_tale() {
    check(
        "1 0 _ Here is what the garage did for me:
         1 + courtesy 1. They made tea.
         1 + explanation 2. They showed me the worn part.
         1 + fix 3. They had it running by four.
         1 + loyalty I will be back.",
        &["garage"],
    );
}

#[test]
fn numbered_tales_have_a_provider_each() {
    check(
        ". 0 _ A day of errands.
         1 0 _ 1. The library.
         1 + courtesy The man at the desk let the fine go.
         2 0 _ 2. The post office.
         2 - delay Fifty minutes in the queue.
         2 - rudeness And then the shutter came down.",
        &["library", "post office"],
    );
}

#[test]
fn a_numbered_tale_may_begin_with_what_happened() {
    check(
        "1 - broken_promise 1. Voltara Heating took my deposit in March and has not been seen in our street since.
         1 - silence Nobody there picks up.
         2 - delay 2. Brightwell Windows came six weeks after the day that they had named to us.
         2 - service_failure Two panes were cracked.",
        &["Voltara Heating", "Brightwell Windows"],
    );
}

#[test]
fn another_provider_needs_a_tale_in_another_tone() {
    check(
        "1 0 _ I ordered a desk from WoodenWays in May.
         1 - delay It took eleven weeks.
         1 - silence WoodenWays answered no message.
         2 0 _ Enter Marlow Carpentry, two streets away.
         2 + prompt_service They came the same evening.
         2 + fix By Friday I had a desk.
         1 - broken_promise WoodenWays wrote in August that it would ship soon.",
        &["WoodenWays", "Marlow Carpentry"],
    );
    check(
        "1 0 _ I ordered a desk from WoodenWays in May.
         1 - delay It took eleven weeks.
         1 - service_failure The carrier, HaulFast, had dropped it.
         1 - refusal HaulFast said to ask WoodenWays.
         1 - refusal WoodenWays said to ask HaulFast.",
        &["WoodenWays"],
    );
}

#[test]
fn a_tale_may_be_announced_before_it_says_of_whom() {
    check(
        "1 + courtesy At Quillon Books the clerk wrapped all nine presents.
         1 + extra_effort Quillon stayed open ten minutes for me.
         1 0 _ Snow was falling by then.
         2 - _ And now the sad part.
         2 0 _ It concerns my bank.
         2 - delay The card they promised took five weeks.
         2 - silence Nobody there could say why.",
        &["Quillon Books", "bank"],
    );
}

#[test]
fn tales_that_somebody_else_lived_are_told_apart_by_company() {
    check(
        "1 0 _ A colleague had dealings with Lenovo and with Samsung.
         1 - silence When her screen went black she wrote to the people at the Lenovo desk and heard nothing.
         1 - unresolved After a month she gave up on Lenovo.
         2 + fix Her old phone was a Samsung, and that was mended in an afternoon.
         2 + courtesy Everybody at Samsung greeted her by name.
         2 + prompt_service She never waited.",
        &["Lenovo", "Samsung"],
    );
}

#[test]
fn another_chance_is_another_episode() {
    check(
        "1 0 _ Our first dinner there was slow.
         1 - delay The soup took an hour.
         2 0 _ In June we gave it another try.
         2 0 _ We sat by the window.
         2 + courtesy The waiter remembered us.",
        &["restaurant", "restaurant"],
    );
}

#[test]
fn a_second_company_in_the_other_tone_is_told_apart() {
    check(
        "1 - service_failure This Panasonic shaver died in a week.
         1 - silence Panasonic never answered me.
         1 - unresolved I wrote to them four times for nothing.
         2 + compensation Luckily Amazon took it back and paid the postage.
         1 - churn I will not buy Panasonic again.",
        &["Panasonic", "Amazon"],
    );
}

#[test]
fn lessons_belong_to_no_interaction() {
    check(
        "1 - delay The plumber came nine days late.
         1 - silence He did not ring once.
         . 0 _ What I learned:
         . 0 _ 1. Ask for a date.
         . 0 _ 2. Never pay first.
         1 - churn I have found somebody else.",
        &["plumber"],
    );
}

#[test]
fn nothing_told_is_no_interaction() {
    check("x 0 _ Home | Shop | Cart", &[]);
    let empty = told("");
    assert!(empty.split().is_empty());
}

proptest! {
    #[test]
    fn every_text_has_a_split(lines in prop::collection::vec(("[.x1]", "[-+0]", "\\PC{0,60}"), 0..12)) {
        let story: Vec<String> = lines
            .iter()
            .map(|(content, tone, words)| format!("{content} {tone} delay {words}."))
            .collect();
        let told = told(&story.join("\n"));
        let mut seen = std::collections::HashSet::new();
        for draft in told.split() {
            prop_assert!(!draft.sentences.is_empty());
            prop_assert!(draft.sentences.is_sorted());
            for sentence in draft.sentences {
                prop_assert!(told.content[sentence.index()]);
                prop_assert!(seen.insert(sentence));
            }
        }
    }
}

#[test]
fn talk_in_general_is_in_no_interaction() {
    let told = told(
        "0 + _ What makes good service?\n1 - delay Brillux kept me waiting.\n1 - silence Brillux never rang.\n0 0 _ Own your mistakes.",
    );
    let general = [true, false, false, true];
    let story = Story {
        text: &told.text,
        segments: &told.segments,
        content: &told.content,
        sentiments: &told.sentiments,
        events: &told.events,
        general: &general,
    };
    let drafts = split(story);
    let numbers: Vec<usize> = drafts.iter().flat_map(|d| &d.sentences).map(|s| s.index()).collect();
    assert_eq!((drafts.len(), numbers), (1, vec![1, 2]));
}

#[test]
fn a_quoted_reply_is_not_what_the_customer_tells() {
    check(
        "1 - silence I rang Quillon Chairs three times and nobody rang back.
         1 - delay The chair was due in May.
         x 0 _ On 3 June, Quillon Chairs wrote:
         . 0 apology > We are sorry, and we have refunded your deposit.
         . 0 compensation > We offered you a voucher.
         1 - broken_promise The voucher never came either.",
        &["Quillon Chairs"],
    );
    // But a mail that is only passed on is all there is.
    check("1 - delay > My chair was due in May.\n1 - silence > I rang three times for nothing.", &[""]);
}

#[test]
fn employees_do_not_part_a_tale_from_its_company() {
    check(
        "1 + courtesy I took my old pram to Harrow & Finch and it began well.
         1 + courtesy Tobias showed me three wheels and said he would find a fourth.
         1 + extra_effort Tobias stayed until nine.
         2 0 _ And now the bad experience.
         2 0 _ It came from a garage.
         2 - delay We have waited since March.
         2 - dishonesty They told us a lie on every call.",
        &["Harrow & Finch", "garage"],
    );
}

#[test]
fn two_companies_that_are_set_against_each_other_are_two() {
    check(
        "1 0 _ Rashid tells of the difference between Lenovo and Samsung.
         1 - silence According to Rashid, his Lenovo laptop broke and nobody came.
         1 - compensation After weeks he had his money back from Lenovo.
         2 - service_failure His Samsung screens have failed as well, and yet he likes to go.
         2 - fix According to Rashid, the Samsung people mended them while he waited.",
        &["Lenovo", "Samsung"],
    );
}

#[test]
fn applause_and_shop_talk_are_no_tales() {
    check(
        "1 0 _ We took the sofa to Quillon Upholstery in spring.
         1 + competence They matched a cloth from 1974.
         1 + kept_promise It was back on the day they had named.
         x 0 _ 2 Comments
         x 0 _ Petra V. says: 4 May at 10:12
         . + _ I used to manage a call centre.
         . + courtesy They cared because it was in their blood.
         x 0 _ Bram says: 5 May at 07:40
         . + competence This is what great service looks like.",
        &["Quillon Upholstery"],
    );
}

#[test]
fn a_way_back_that_went_otherwise_is_another_episode() {
    check(
        "1 + courtesy Out to Borgo with Arvika Airways the crew were a joy.
         1 + prompt_service We boarded in ten minutes.
         2 - delay The return flight left five hours late.
         2 - silence Nobody told us a word.",
        &["Arvika Airways", "Arvika Airways"],
    );
    check(
        "1 + courtesy Out to Borgo with Arvika Airways the crew were a joy.
         1 + prompt_service We boarded in ten minutes.
         1 + prompt_service The return flight was as quick.
         1 + courtesy The crew sang.",
        &["Arvika Airways"],
    );
    // Late both ways is one tale, however kind the first crew was.
    check(
        "1 + courtesy Out to Borgo with Arvika Airways the crew were a joy.
         1 0 delay We left two hours late.
         1 - delay The return flight left five hours late.
         1 - silence Nobody told us a word.",
        &["Arvika Airways"],
    );
}

#[test]
fn who_only_brings_or_hosts_is_not_the_provider() {
    check(
        "1 - service_failure The clock by Tarnbeck that UPS left here does not tick.
         1 - delay UPS needed nine days for the next one.
         1 - unresolved The manufacturer is silent, so the clock goes back with UPS.",
        &["Tarnbeck"],
    );
    check(
        "1 + prompt_service The courier from DHL came at nine sharp.
         1 + courtesy The courier carried all of it upstairs.",
        &["DHL"],
    );
}

#[test]
fn a_name_is_spelled_as_the_story_mostly_spells_it() {
    check(
        "1 - service_failure Our Tarnbeck 500 Deluxe has leaked since March.
         1 - silence Tarnbeck support never picks up.
         1 - refusal Tarnbeck says that leaks are normal.",
        &["Tarnbeck"],
    );
    // What ends like a company is the whole name, however seldom it stands there.
    check(
        "1 0 _ We had Tarnbeck Roofing in for the shed.
         1 + competence Tarnbeck found the hole at once.
         1 + fix Tarnbeck closed it before the rain.",
        &["Tarnbeck Roofing"],
    );
}

#[test]
fn the_place_of_a_hotel_is_part_of_its_name() {
    check(
        "1 + courtesy The desk at the novotel Lille let us in at ten.
         1 + extra_effort They found a cot for the baby.",
        &["novotel Lille"],
    );
    check(
        "1 0 _ From the Hilton Hyatt looked nicer.
         1 + courtesy The Hilton people gave us tea.",
        &["Hilton"],
    );
}

#[test]
fn what_begins_a_sentence_is_no_part_of_the_name() {
    check(
        "1 - service_failure The second kettle leaks like the first.
         1 + fix Thankfully Tarnbeck replaces them for three years.",
        &["Tarnbeck"],
    );
}

#[test]
fn a_name_that_was_taken_out_is_none() {
    check(
        "1 - refusal I wrote to XXXXand XXXXServices twice.
         1 - refusal XXXXServices will not close my account at the bank.",
        &["bank"],
    );
}

#[test]
fn a_credit_union_is_named_whatever_its_case() {
    check(
        "1 + courtesy The people at Tarnbeck credit Union know us by name.
         1 + prompt_service Our card was there within the hour.",
        &["Tarnbeck credit Union"],
    );
}

#[test]
fn where_the_customer_stayed_is_the_provider() {
    check(
        "1 0 _ Stayed at the Tallow Wharf for one night.
         1 + prompt_service Check in was quick.
         1 + _ Breakfast was good.
         1 0 _ It looks over MarrowFoot Bridge.",
        &["Tallow Wharf"],
    );
}

#[test]
fn what_a_credit_union_has_is_no_part_of_its_name() {
    check("1 + courtesy Tallow Credit Union Service members greeted us.", &["Tallow Credit Union"]);
    check("1 - silence Tallow Bank Customer Support never rang.", &["Tallow Bank"]);
}

#[test]
fn a_thing_from_another_shop_is_no_tale_of_that_shop() {
    check(
        "1 0 _ My sister went to Forever 21.
         1 0 _ She had a bag from Zara.
         1 0 _ At Forever 21 she set it down.
         1 - service_failure Her Zara bag was stolen there.
         1 - silence They did not call anybody.
         1 - rudeness They shrugged.
         1 + courtesy The clerk at Forever 21 was kind.
         1 + competence She knew every size.",
        &["Forever 21"],
    );
}

#[test]
fn the_customers_own_bank_is_another_than_who_is_complained_of() {
    let story = |bank: &str, company: &str| {
        format!(
            "1 - service_failure On Monday {company} took forty dollars from my account.
             {bank} + fix I called my bank and the bank cancelled it.
             1 0 _ I asked {company} what they were doing.
             1 - refusal They said I owed it.
             1 - silence {company} never wrote again.
             1 - dishonesty They had made it all up."
        )
    };
    check(&story("2", "Tallow Loans"), &["Tallow Loans", "bank"]);
    // Here the bank may well be the one that is complained of.
    check(&story("1", "Wells Fargo"), &["Wells Fargo"]);
}

#[test]
fn a_later_day_that_went_otherwise_is_another_visit() {
    let story = |first: &str, second: &str| {
        format!(
            "1 - service_failure I was at Tallow Grill {first} and the steak came burnt.
             1 - _ Rather disappointing.
             {second} 0 _ So last night we headed over again.
             {second} + courtesy The waitress asked me to cut into it.
             {second} - service_failure It was a little overdone again.
             {second} + compensation They took it off the bill.
             {second} + courtesy Everybody was kind."
        )
    };
    check(&story("last week", "2"), &["Tallow Grill", "Tallow Grill"]);
    // Without another day before it, the night may be that of the whole tale.
    check(&story("with my sisters", "1"), &["Tallow Grill"]);
}

#[test]
fn a_name_beside_its_kind_is_the_provider() {
    check(
        "1 0 _ Somebody used my card in a city far away.
         1 - silence My old bank, Tallow, kept me on hold for an hour.
         1 - customer_effort I had to file the same form twice because they lost the first one.
         1 - delay Seven weeks later I am still waiting for my money.
         2 - _ My wife had the same thing happen with Dorn Savings last year.
         2 + proactive_contact They texted her before she had noticed anything.
         2 + courtesy The man on the phone was patient and kind.",
        &["Tallow", "Dorn Savings"],
    );
    // Who has a role at the bank is not the bank.
    check(
        "1 - silence The manager of my bank, Tallow, kept me waiting.
         1 - rudeness The bank manager, Orlo, laughed at me.
         1 - refusal He refused to sign.
         1 + courtesy Orlo did say good morning.",
        &["Tallow"],
    );
}

#[test]
fn another_branch_that_went_otherwise_is_another_visit() {
    let story = |tone: &str, number: &str| {
        format!(
            "1 - silence I called the Tallow Bank on Elm Street four times.
             1 - _ So much for service.
             1 - competence Nobody knew anything.
             {number} {tone} competence I ended up going to the branch on Mill Road, where they knew."
        )
    };
    check(&story("+", "2"), &["Tallow Bank", "Tallow Bank"]);
    // Sent from one branch to the next is one tale.
    check(&story("-", "1"), &["Tallow Bank"]);
}

#[test]
fn the_kind_of_a_company_brings_its_tale_back() {
    check(
        "1 0 _ We flew to Arvika with our usual airline, Borgo.
         1 - delay Borgo left us at the gate for six hours.
         1 - silence Nobody told us why.
         2 + courtesy Quillon Hotel kept the kitchen open for us.
         2 + extra_effort The porter carried the cot up himself.
         1 - refusal The airline would not pay for the taxi.
         2 + compensation The hotel took the first night off the bill.",
        &["Borgo", "Quillon Hotel"],
    );
}

#[test]
fn a_tale_that_is_announced_may_be_as_bad_as_the_first() {
    let story = |opening: &str, second: &str| {
        format!(
            "1 - service_failure Quillon Garage broke the mirror of my car.
             1 - silence Quillon Garage never rang.
             1 - rudeness They laughed at me.
             {second} - delay {opening} Dorn Savings Bank kept me in line for two hours.
             {second} - rudeness The teller yawned at me.
             {second} - refusal She would not cash my cheque."
        )
    };
    for opening in ["Then last week at", "On the other hand,", "Meanwhile"] {
        check(&story(opening, "2"), &["Quillon Garage", "Dorn Savings Bank"]);
    }
    check(&story("At noon", "1"), &["Quillon Garage"]);
}

#[test]
fn another_time_that_went_otherwise_is_another_episode() {
    check(
        "1 + courtesy At Quillon Grill the waiter was kind.
         1 + prompt_service We had our soup in ten minutes.
         2 - delay Another time we waited for two hours.
         2 - rudeness The cook shouted at us.",
        &["Quillon Grill", "Quillon Grill"],
    );
}
