//! What a reader makes of real documents: five blog posts with menus, lists, dialogue, comments and general advice.
//!
//! The posts are not ours to pass on: they lie beside the project, and without them the tests are skipped. Sentences are
//! found by a few of their words.
#![cfg(feature = "embedded")]
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests

use std::path::PathBuf;

use amends::EventType::*;
use amends::Status::*;
use amends::{Analysis, Boilerplate, EventType, Flag, Status};

#[path = "support/back_ends.rs"]
mod back_ends;

/// A post and what was made of it.
struct Post {
    text: String,
    analysis: Analysis,
}

/// What each back end makes of the post whose file begins with this number; nothing where the posts are not there.
fn posts(number: &str) -> Vec<Post> {
    let shared = std::env::var_os("AMENDS_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from);
    let folder = shared.join("data/seeds");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: {} is not there", folder.display());
        return Vec::new();
    };
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(number));
    let path = files.map(|file| file.unwrap().path()).find(named).expect("the folder has all five posts");
    let text = amends::read_file(path, &amends::ReadOptions::default()).unwrap().text().to_owned();
    let read = |end: &back_ends::BackEnd| {
        println!("read by {}", end.name);
        Post { text: text.clone(), analysis: end.analyzer.analyze(&text).unwrap() }
    };
    back_ends::ALL.iter().map(read).collect()
}

impl Post {
    /// Where sentences stand that have these words; hand-wrapped lines are joined.
    fn all(&self, words: &str) -> Vec<usize> {
        let sentences = self.analysis.sentences().iter();
        let line = |at: usize| {
            let span = self.analysis.sentences()[at].span();
            span.get(&self.text).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        (0..sentences.len()).filter(|&at| line(at).contains(words)).collect()
    }

    /// Where the first of them stands.
    #[track_caller]
    fn at(&self, words: &str) -> usize {
        *self.all(words).first().unwrap_or_else(|| panic!("no sentence has {words:?}"))
    }

    /// The providers, one for each interaction.
    fn providers(&self) -> Vec<&str> {
        let name =
            |provider: Option<amends::Provider>| provider.map_or("", |provider| provider.name(&self.text));
        self.analysis.interactions().iter().map(|interaction| name(interaction.provider())).collect()
    }

    /// Each of these sentences is told of the interaction with this number, from 1.
    #[track_caller]
    fn told(&self, interaction: u32, sentences: &[&str]) {
        for words in sentences {
            let sentence = &self.analysis.sentences()[self.at(words)];
            assert_eq!(sentence.interaction().map(|id| id.number()), Some(interaction), "{words}");
        }
    }

    /// Each of these is part of the text and tells of no interaction.
    #[track_caller]
    fn general(&self, sentences: &[&str]) {
        for words in sentences {
            let sentence = &self.analysis.sentences()[self.at(words)];
            assert!(sentence.is_content(), "{words}");
            assert_eq!(sentence.interaction(), None, "{words}");
        }
    }

    /// Each of these is no part of the story.
    #[track_caller]
    fn furniture(&self, sentences: &[&str]) {
        for words in sentences {
            assert!(!self.analysis.sentences()[self.at(words)].is_content(), "{words}");
        }
    }

    fn events(&self, words: &str) -> Vec<(EventType, Status)> {
        let at = self.at(words);
        let here = self.analysis.events().iter().filter(|event| event.sentence().index() == at);
        here.map(|event| (event.event_type().clone(), event.status())).collect()
    }

    /// The sentence tells of all these events.
    #[track_caller]
    fn happens(&self, words: &str, events: &[(EventType, Status)]) {
        let found = self.events(words);
        for event in events {
            assert!(found.contains(event), "{words}: {found:?}");
        }
    }

    fn flags(&self, interaction: usize) -> &[Flag] {
        self.analysis.interactions()[interaction - 1].flags()
    }

    fn score(&self, interaction: usize) -> f64 {
        self.analysis.interactions()[interaction - 1].score().value()
    }
}

/// A repair that began well; then the call that was due never came, and what had broken was told only when asked.
#[test]
fn the_repair_and_the_call_that_never_came() {
    for post in posts("000") {
        assert_eq!(post.providers(), ["Apple Store"]);
        post.told(
            1,
            &[
                "dropped the ball",
                "extremely helpful and knowledgeable",
                "the call never came",
                "broke the logic board",
                "I was annoyed",
                "their honesty",
                "I should have received a call",
                "owned the mistake and updated",
            ],
        );
        post.general(&[
            "Relentlessly Prioritize Customer",
            "How easily can you recall",
            "What about a negative",
            "my takeaways",
            "utmost importance",
            "Being proactive goes",
            "Owning up to mistakes",
            "Relentlessly prioritize your",
            "Happy customers",
        ]);
        post.furniture(&["Previous", "Lessons in Networking", "Do You Have a Tribe?"]);
        post.happens("extremely helpful", &[(Competence, Occurred), (Fix, Occurred)]);
        post.happens("the call never came", &[(ProactiveContact, Absent)]);
        post.happens("broke the logic board", &[(ServiceFailure, Occurred)]);
        post.happens("their honesty", &[(Explanation, Occurred)]);
        // Nobody owned up of their own accord, and nobody said sorry.
        let counted = |kind: EventType| {
            let events = post.analysis.events().iter();
            events.filter(|event| *event.event_type() == kind && event.status() == Occurred).count()
        };
        assert_eq!([counted(MistakeAdmitted), counted(Apology)], [0, 0]);
        assert_eq!(post.flags(1), [Flag::DroppedBall]);
    }
}

/// The store calls the day after: one interaction, though the text stands twice.
#[test]
fn the_buyer_whom_the_store_called() {
    for post in posts("001") {
        assert_eq!(post.providers(), ["Apple"]);
        post.told(
            1,
            &[
                "local Apple Retail Store",
                "less than 10 minutes",
                "the phone rings",
                "how are you liking",
                "big deal to us",
                "amazing we think",
                "calling a few customers",
            ],
        );
        // Who asks for stories, and who praises their own shop, was served by nobody.
        post.general(&[
            "my favorite sayings",
            "more than what the customer expects",
            "founded as strictly",
            "opened a retail location",
            "core value",
            "let me tell you about",
            "Think Different blog",
        ]);
        post.furniture(&["Posted by Judi"]);
        for words in ["local Apple Retail Store", "the phone rings", "less than 10 minutes", "How many times"]
        {
            let [first, second] = post.all(words)[..] else { panic!("{words} stands twice") };
            assert!(post.analysis.sentences()[first].is_content());
            assert_eq!(post.analysis.sentences()[second].boilerplate(), Some(Boilerplate::Repeat), "{words}");
        }
        post.happens("less than 10 minutes", &[(PromptService, Occurred)]);
        post.happens("the phone rings", &[(ProactiveContact, Occurred)]);
        assert!(!post.flags(1).contains(&Flag::DoubleDeviation), "{:?}", post.flags(1));
        assert!(post.score(1) > 65.0, "{}", post.score(1));
    }
}

/// A laptop shop that did well, against one that never delivered.
#[test]
fn the_laptop_shop_against_the_appliance_shop() {
    for post in posts("002") {
        assert_eq!(post.providers(), ["Apple Store", "appliance store"]);
        post.told(
            1,
            &[
                "transitioning my files",
                "I left both laptops",
                "Stephen introduced himself",
                "They have a process",
                "he reassured me",
                "He stayed after",
                "He called at 10:00 am",
                "He recognized me",
                "step-by-step",
                "Stephen was a techie",
            ],
        );
        post.told(
            2,
            &[
                "now the bad experience",
                "appliance store",
                "because our oven died",
                "beyond upset",
                "in a week when we ordered",
                "had not heard from them",
                "about ten calls",
                "lied to at least five",
                "a different story",
            ],
        );
        post.general(&[
            "Have you ever had an extremely",
            "a totally terrible one",
            "the leadership lesson",
            "Under promise and over deliver",
            "Train people on customer service",
            "Consistency in customer service",
            "Selection processes",
            "people thing",
            "hire and support people",
        ]);
        post.furniture(&["No comments:", "Post a Comment"]);
        post.happens("Stephen introduced", &[(Courtesy, Occurred)]);
        post.happens("He stayed after", &[(ExtraEffort, Occurred)]);
        post.happens("He recognized me", &[(Competence, Occurred), (ExtraEffort, Occurred)]);
        post.happens("months later", &[(Delay, Occurred)]);
        post.happens("had not heard from them", &[(Silence, Occurred), (BrokenPromise, Occurred)]);
        post.happens("we had to call them", &[(CustomerEffort, Occurred)]);
        post.happens("not called us once", &[(ProactiveContact, Absent)]);
        post.happens("lied to at least five", &[(Dishonesty, Occurred)]);
        post.happens("a different story", &[(Runaround, Occurred)]);
        assert!(post.score(1) > 75.0 && post.score(2) < 20.0, "{} {}", post.score(1), post.score(2));
    }
}

/// What a journalist lived with two manufacturers, told by somebody else.
#[test]
fn two_manufacturers_that_a_journalist_dealt_with() {
    for post in posts("003") {
        assert_eq!(post.providers(), ["Dell", "Apple"]);
        post.told(1, &["failed to show up", "several frustrating interactions"]);
        post.told(2, &["to drop his laptop off", "greeted warmly"]);
        post.general(&[
            "Screw it up",
            "reality check",
            "going to make mistakes",
            "trying to limit those",
            "end of this dark tunnel",
            "can you create a culture",
            "how does your service recovery",
            "dreading or excited",
            "most important problem",
        ]);
        post.furniture(&[
            "Smoke over black",
            "professional speaker",
            "Follow on Twitter",
            "Leave a Comment",
            "eBook",
        ]);
        post.happens("failed to show up", &[(ServiceFailure, Occurred)]);
        post.happens(
            "several frustrating",
            &[(CustomerEffort, Occurred), (Compensation, Occurred), (Churn, Occurred)],
        );
        post.happens("greeted warmly", &[(Fix, Occurred), (PromptService, Occurred)]);
        assert!(post.score(1) < post.score(2), "{} {}", post.score(1), post.score(2));
    }
}

/// Two employees and one interaction; those who comment tell of none.
#[test]
fn the_drive_that_crashed_before_the_game() {
    for post in posts("004") {
        assert_eq!(post.providers(), ["Apple"]);
        post.told(
            1,
            &[
                "my hard drive had crashed",
                "stuck in a system",
                "Tony called my name",
                "everything in my power",
                "brought in reinforcements",
                "Tony introduced me to John",
                "writing a book",
                "HE LISTENED",
                "CALLED ME AN ARTIST",
                "I left the store",
            ],
        );
        post.general(&[
            "What Great Customer Service",
            "Our DNA is",
            "Steve Jobs",
            "Service Feels Like",
            "Respect",
            "Deep Caring",
            "connection matters",
            "What an awesome experience",
            "shared a passion",
            "Alli, Totally agree",
            "the power of story",
            "Terrific angle",
            "the people were genuine",
            "admitting your vulnerability",
            "what good customer service looks",
            "expect anything less",
        ]);
        post.furniture(&[
            "get_post_meta",
            "11 Comments",
            "Alli Polin",
            "Share this today",
            "Submit a Comment",
            "clarity in uncertainty",
            "award-winning author",
            "E-Book to learn how",
        ]);
        post.happens("everything in my power", &[(Fix, Unreal)]);
        post.happens("Tony introduced me", &[(Competence, Occurred)]);
        post.happens("off the ledge", &[(Courtesy, Occurred)]);
        assert!(post.score(1) > 60.0, "{}", post.score(1));
    }
}
