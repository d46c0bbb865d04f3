//! Reading files and byte strings: encodings, formats, clear errors, no panic.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // helpers of tests

use std::fs;

use amends::{Format, Malformed, ReadErrorKind, ReadOptions, ReadText, read_bytes, read_file, read_str};
use proptest::prelude::*;

fn plain(bytes: &[u8]) -> ReadText {
    read_bytes(bytes, &ReadOptions::default()).unwrap()
}

#[cfg(any(feature = "html", feature = "markdown"))]
fn read(format: Format, text: &str) -> ReadText {
    read_bytes(text.as_bytes(), &ReadOptions::default().with_format(format)).unwrap()
}

mod encodings {
    use super::*;

    #[test]
    fn a_mark_says_what_the_bytes_are() {
        let utf8 = plain(b"\xef\xbb\xbfThey rang \xe2\x80\x93 twice.");
        assert_eq!((utf8.text(), utf8.encoding()), ("They rang – twice.", Some("UTF-8")));
        let text = "Café: never again 😠";
        let little: Vec<u8> =
            std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> =
            std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        assert_eq!((plain(&little).text(), plain(&little).encoding()), (text, Some("UTF-16LE")));
        assert_eq!((plain(&big).text(), plain(&big).encoding()), (text, Some("UTF-16BE")));
        // And without the mark.
        assert_eq!((plain(&little[2..]).text(), plain(&little[2..]).encoding()), (text, Some("UTF-16LE")));
        assert_eq!(plain(&big[2..]).text(), text);
    }

    #[test]
    fn what_is_not_utf8_is_an_error_with_its_place() {
        let bytes = b"The caf\xe9 was shut.";
        let error = read_bytes(bytes, &ReadOptions::default()).unwrap_err();
        assert_eq!((error.kind(), error.offset()), (ReadErrorKind::NotUtf8, Some(7)));
        assert_eq!(error.to_string(), "byte 7: not UTF-8");
        let lenient =
            |malformed| read_bytes(bytes, &ReadOptions::default().with_malformed(malformed)).unwrap();
        assert_eq!(lenient(Malformed::Windows1252).text(), "The café was shut.");
        assert_eq!(lenient(Malformed::Windows1252).encoding(), Some("windows-1252"));
        assert_eq!(lenient(Malformed::Replace).text(), "The caf\u{fffd} was shut.");
    }

    #[test]
    fn bytes_that_belie_their_mark_are_an_error_with_its_place() {
        let error = read_bytes(b"\xef\xbb\xbfab\xffc", &ReadOptions::default()).unwrap_err();
        assert_eq!((error.kind(), error.offset()), (ReadErrorKind::Malformed, Some(5)));
        assert_eq!(error.to_string(), "byte 5: not UTF-8, which the text says that it is");
        // Half of a pair.
        let error = read_bytes(b"\xff\xfea\0\x00\xd8b\0", &ReadOptions::default()).unwrap_err();
        assert_eq!((error.kind(), error.offset()), (ReadErrorKind::Malformed, Some(4)));
        let replaced = ReadOptions::default().with_malformed(Malformed::Replace);
        assert_eq!(read_bytes(b"\xef\xbb\xbfab\xffc", &replaced).unwrap().text(), "ab\u{fffd}c");
    }

    #[test]
    fn odd_bytes_have_a_defined_result() {
        assert_eq!(plain(b"").text(), "");
        assert_eq!(plain(b"\xef\xbb\xbf").text(), "");
        assert_eq!(plain(b"one\0two").text(), "one\u{fffd}two");
        assert_eq!(plain(b"one\r\ntwo\r").text(), "one\r\ntwo\r");
        assert_eq!(plain(b"\0\0\0\0").text(), "\u{fffd}".repeat(4));
    }

    #[test]
    fn too_much_is_an_error_that_names_both_numbers() {
        let options = ReadOptions::default().with_max_bytes(4);
        let error = read_bytes(b"12345", &options).unwrap_err();
        assert_eq!(error.kind(), ReadErrorKind::TooLarge);
        assert_eq!(error.to_string(), "5 bytes or more, the limit is 4");
        assert_eq!(read_bytes(b"1234", &options).unwrap().text(), "1234");
    }
}

mod strings {
    use super::*;

    #[test]
    fn text_is_taken_as_it_is() {
        let read = read_str("\u{feff}The café\0 was shut.", &ReadOptions::default()).unwrap();
        assert_eq!((read.text(), read.encoding()), ("The café\u{fffd} was shut.", None));
        assert_eq!(read.format(), Format::Plain);
        // Bytes like these would be UTF-16.
        assert_eq!(read_str("N\0o\0", &ReadOptions::default()).unwrap().text(), "N\u{fffd}o\u{fffd}");
        let error = read_str("12345", &ReadOptions::default().with_max_bytes(4)).unwrap_err();
        assert_eq!(error.kind(), ReadErrorKind::TooLarge);
    }

    #[test]
    #[cfg(feature = "html")]
    fn what_a_page_says_of_its_bytes_does_not_matter() {
        let page = "<html><head><meta charset=iso-8859-1></head><body><p>The café – shut.</p></body></html>";
        let read = read_str(page, &ReadOptions::default().with_format(Format::Html)).unwrap();
        assert_eq!((read.text(), read.encoding()), ("The café – shut.", None));
    }

    #[test]
    #[cfg(feature = "email")]
    fn what_a_mail_says_of_its_bytes_matters_only_where_they_are_encoded() {
        let read = |text: &str| {
            read_str(text, &ReadOptions::default().with_format(Format::Email)).unwrap().into_text()
        };
        assert_eq!(
            read("From: Ida\nContent-Type: text/plain; charset=iso-8859-1\n\nThe café – shut.\n"),
            "The café – shut."
        );
        assert_eq!(
            read("From: Ida\nContent-Type: text/html; charset=iso-8859-1\n\n<p>The café – <b>shut</b>.\n"),
            "The café – shut."
        );
        assert_eq!(
            read(
                "From: Ida\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nThe caf=E9.\n"
            ),
            "The café."
        );
        assert_eq!(read("The café – shut.\n-- \nIda"), "The café – shut.");
    }
}

mod files {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("amends-read-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn errors_name_the_file() {
        let folder = folder("errors");
        let missing = folder.join("missing.txt");
        let error = read_file(&missing, &ReadOptions::default()).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ReadErrorKind::Io, Some(missing.as_path())));
        assert!(std::error::Error::source(&error).is_some());
        let error = read_file(&folder, &ReadOptions::default()).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ReadErrorKind::Folder, Some(folder.as_path())));
        let bad = folder.join("bad.txt");
        fs::write(&bad, b"ab\xff").unwrap();
        let error = read_file(&bad, &ReadOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: byte 2: not UTF-8", bad.display()));
        let error = read_file(&bad, &ReadOptions::default().with_max_bytes(2)).unwrap_err();
        assert_eq!(error.kind(), ReadErrorKind::TooLarge);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_extension_says_what_a_file_holds() {
        for (name, format) in [
            ("a.md", Format::Markdown),
            ("a.b/c.Markdown", Format::Markdown),
            ("a.HTML", Format::Html),
            ("a.eml", Format::Email),
            ("a.txt", Format::Plain),
            ("html", Format::Plain),
            ("", Format::Plain),
        ] {
            assert_eq!(Format::of_path(name), format, "{name}");
        }
        let folder = folder("formats");
        let path = folder.join("note.txt");
        fs::write(&path, "Nobody came.").unwrap();
        let read = read_file(&path, &ReadOptions::default()).unwrap();
        assert_eq!((read.text(), read.format()), ("Nobody came.", Format::Plain));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    #[cfg(not(feature = "html"))]
    fn a_format_that_is_not_built_in_names_its_feature() {
        for (format, feature) in [(Format::Html, "html"), (Format::Email, "email")] {
            let error = read_bytes(b"x", &ReadOptions::default().with_format(format)).unwrap_err();
            assert_eq!(error.kind(), ReadErrorKind::Unsupported);
            assert!(error.to_string().contains(&format!("`{feature}`")), "{error}");
        }
    }
}

#[cfg(feature = "markdown")]
mod markdown {
    use super::*;

    #[test]
    fn marks_go_and_blocks_stay() {
        let text = "---\ntitle: hidden\n---\n# The *slow* kettle\n\nI wrote to [Corvin](https://corvin.example) on\nMonday &amp; they **rang**.\\\nTwice.\n\n1. They came.\n2. They left:\n   - without a word\n   - with my key\n\n> \"We are sorry\", it said.\n\n```\nlet x = 1;\n```\n\n![the kettle](k.png)\n\n| visit | result |\n|---|---|\n| first | none |\n\n~~Fine~~ `E42` again. <https://corvin.example/x>\n";
        let wanted = "The slow kettle\n\nI wrote to Corvin on Monday & they rang.\nTwice.\n\n1. They came.\n2. They left:\n- without a word\n- with my key\n\n> \"We are sorry\", it said.\n\nvisit\tresult\nfirst\tnone\n\nFine E42 again.";
        assert_eq!(read(Format::Markdown, text).text(), wanted);
    }

    #[test]
    fn words_inside_tags_are_kept() {
        let text = "<details>\n<summary>What happened</summary>\nThey lost it &amp; lied.\n</details>\n\nAnd <b>then</b><br>nothing.\n\n<script>\nvar x = '</p>';\n</script>\n\n<!-- a\n\nnote -->\n\nDone.";
        let read = read(Format::Markdown, text);
        assert_eq!(read.text(), "What happened They lost it & lied.\n\nAnd then\nnothing.\n\nDone.");
    }

    #[test]
    fn every_line_of_a_quotation_keeps_its_mark() {
        let text = "I wrote on Monday.\n\n> We are sorry,\nand we refunded you.\\\nYours.\n>\n> - the desk\n>\n> > My oven is cold.\n\nThey did not.";
        let wanted = "I wrote on Monday.\n\n> We are sorry, and we refunded you.\n> Yours.\n\n> - the desk\n\n> > My oven is cold.\n\nThey did not.";
        assert_eq!(read(Format::Markdown, text).text(), wanted);
    }

    #[test]
    fn the_words_inside_marks_nested_without_end_are_read() {
        for piece in ["> ", "- ", "[", "*a ", "_", "<b>", "a`", "![", "1. ", "||", "[a]("] {
            let text = format!("{}They never came.", piece.repeat(60_000 / piece.len()));
            let read = read(Format::Markdown, &text);
            assert!(read.text().ends_with("They never came."), "{piece}");
        }
        // A comment that nobody ends holds the rest.
        assert_eq!(
            read(Format::Markdown, &format!("Before.\n\n{}after", "<!--".repeat(15_000))).text(),
            "Before."
        );
        // Marks are written for as many quotations as somebody may mean, or lines would cost more than they hold.
        let deep = format!("{}{}", "> ".repeat(30_000), "They never came.\\\n".repeat(10_000));
        assert!(read(Format::Markdown, &deep).text().len() < 4 * deep.len());
    }
}

#[cfg(feature = "html")]
mod html {
    use super::*;

    const STORY: &str = "<p>I brought my espresso machine to Corvin Kitchens in March, because it leaked. The man at the \
        counter promised that it would be ready within a week, and I believed him.</p>\
        <p>Three weeks later nobody had called. When I rang, a woman said that they had lost the order, apologised twice, \
        and sent a new machine the next day, at no cost.</p>\
        <p>I have rarely been so annoyed and so pleased by the same shop, and I will go there again, I suppose.</p>";

    #[test]
    fn entities_and_white_space_are_as_on_the_screen() {
        let text = "<p>Caf&eacute;&nbsp;&amp; bar &#8212; &#x201c;never&rdquo;\n  <b>ag</b>ain&hellip;<br>Not&lt;once&gt;.</p>";
        assert_eq!(read(Format::Html, text).text(), "Café & bar — “never” again…\nNot<once>.");
    }

    #[test]
    fn blocks_become_lines_and_items() {
        let text = "<h2>What went wrong</h2><ul><li>They <em>forgot</em> me.<li><p>They lied.</p><ol start=3><li>Twice.</ol></ul>\
            <table><tr><th>Visit<th>Result<tr><td>1<td>none</table><p>First.<p>Second.<pre>a\n  b</pre><div>Third.<div>Fourth.</div></div>";
        let whole = ReadOptions::default().with_format(Format::Html).with_whole(true);
        let read = read_bytes(text.as_bytes(), &whole).unwrap();
        let wanted = "What went wrong\n\n- They forgot me.\n\n- They lied.\n\n3. Twice.\n\nVisit\tResult\n1\tnone\n\nFirst.\n\nSecond.\n\na\n  b\n\nThird.\n\nFourth.";
        assert_eq!(read.text(), wanted);
    }

    #[test]
    fn scripts_styles_and_hidden_parts_are_no_text() {
        let text = "<script>var a = '<p>';</script><style>p{}</style><p>Seen.</p><div hidden>no</div><p style='color:red; Display : none'>no</p>\
            <noscript>no</noscript><template><p>no</p></template><textarea>no</textarea><svg><text>no</text></svg><!-- no --><p aria-hidden=true>no</p>";
        assert_eq!(read(Format::Html, text).text(), "Seen.");
    }

    #[test]
    fn the_article_is_told_from_the_page_around_it() {
        let page = format!(
            "<html><head><title>A machine and a half | The Slow Kettle</title></head><body>\
             <nav><ul><li><a href=/>Home</a><li><a href=/about>About us</a></ul></nav>\
             <div class=sidebar><h3>Newsletter</h3><p>Subscribe now!</p><a href=/a>Ten ways to bleed a radiator</a></div>\
             <article><h1>A machine and a half</h1>{STORY}</article>\
             <footer><p>© 2024 The Slow Kettle. All rights reserved.</p></footer></body></html>"
        );
        let read = read(Format::Html, &page);
        assert!(
            read.text().starts_with("A machine and a half\n\nI brought my espresso machine"),
            "{}",
            read.text()
        );
        assert!(read.text().ends_with("I suppose."), "{}", read.text());
        for gone in ["Home", "Subscribe", "radiator", "rights"] {
            assert!(!read.text().contains(gone), "{gone} in {}", read.text());
        }
        assert_eq!(read.title(), Some("A machine and a half"));
        assert_eq!(read.turns().len(), 1);
        let whole = ReadOptions::default().with_format(Format::Html).with_whole(true);
        assert!(read_bytes(page.as_bytes(), &whole).unwrap().text().contains("Subscribe now!"));
    }

    #[test]
    fn comments_follow_with_their_writers() {
        let page = format!(
            "<html><body><div class=post><h1>A machine and a half</h1><span class=author>Greta Lund</span>{STORY}</div>\
             <div id=comments class=comments-area><h2>3 thoughts on “A machine and a half”</h2><ol class=comment-list>\
             <li class='comment even depth-1' id=comment-1><article class=comment-body><footer class=comment-meta>\
               <div class='comment-author vcard'><img alt='' src=x><b class=fn><a href=u>Pete H</a></b> <span class=says>says:</span></div>\
               <div class=comment-metadata><a href=#c1><time>November 4, 2017 at 9:13 am</time></a></div></footer>\
               <div class=comment-content><p>They did the same to me. I never got my machine back.</p><p>Avoid them.</p></div>\
               <div class=reply><a href=#>Reply</a></div></article>\
               <ol class=children><li class='comment odd'><article class=comment-body><div class='comment-author vcard'><b class=fn>zoe_m</b></div>\
                 <div class=comment-content><blockquote>They did the same to me. I never got my machine back.</blockquote><p>Me too!</p></div></article></li></ol></li>\
             </ol><div id=respond class=comment-respond><h3>Leave a Reply</h3><form><p>Your email address will not be published.</p></form></div></div></body></html>"
        );
        let read = read(Format::Html, &page);
        let text = read.text();
        let comments = &text[text.find("Comments").expect("a section of comments")..];
        assert_eq!(
            comments,
            "Comments\n\nPete H says:\n\nThey did the same to me. I never got my machine back.\n\nAvoid them.\n\nzoe_m says:\n\nMe too!"
        );
        let authors: Vec<_> = read.turns().iter().map(|turn| turn.author()).collect();
        assert_eq!(authors[1..], [Some("Pete H"), Some("zoe_m")]);
        assert_eq!(&text[read.turns()[2].span()], "Me too!");
        assert!(text[read.turns()[0].span()].starts_with("I brought"));
    }

    /// As Blogger writes them: the date, whose class speaks of a text, stands before the words.
    #[test]
    fn the_date_of_a_comment_is_not_its_words() {
        let comment = |number: usize, author: &str, words: &str, answers: &str| {
            format!(
                "<li class=comment id=c{number}><div class=avatar-image-container><img src=x alt=''></div>\
                 <div class=comment-block><div class=comment-header><cite class=user><a href=u rel=nofollow>{author}</a></cite>\
                 <span class='icon user'></span><span class='datetime secondary-text'><a rel=nofollow href='#c{number}'>July 13, 2015 at 9:1{number} AM</a></span></div>\
                 <p class=comment-content>{words}</p>\
                 <span class='comment-actions secondary-text'><a class=comment-reply>Reply</a></span></div>\
                 <div class=comment-replies><ol>{answers}</ol></div></li>"
            )
        };
        let answer = comment(2, "Arno Field", "Mine came in June.", "");
        let page = format!(
            "<body><div class=post-body><h3>A machine and a half</h3>{STORY}</div><div class=comments id=comments><h4>2 comments:</h4>\
             <div class=comments-content><ol>{}</ol></div></div></body>",
            comment(1, "hob_nob", "They lost mine, too.<br>I never got it back.", &answer),
        );
        let read = read(Format::Html, &page);
        let text = read.text();
        assert_eq!(
            &text[text.find("Comments").expect("a section of comments")..],
            "Comments\n\nhob_nob says:\n\nThey lost mine, too.\nI never got it back.\n\nArno Field says:\n\nMine came in June."
        );
    }

    #[test]
    fn the_body_of_an_answer_may_be_called_a_reply() {
        let reply = |author: &str, words: &str| {
            format!(
                "<div class='reply topic-author'><div class=bbp-meta><span class=bbp-reply-post-date>May 3</span></div>\
                 <div class=bbp-reply-author><a class=bbp-author-name>{author}</a> <span>Participant</span></div>\
                 <div class=bbp-reply-content><p>{words}</p></div></div>"
            )
        };
        let page = format!("<body><article>{STORY}</article>{}</body>", reply("tin_whistle", "Same here."));
        let read = read(Format::Html, &page);
        assert!(read.text().ends_with("tin_whistle says:\n\nSame here."), "{}", read.text());
    }

    #[test]
    fn praise_on_cards_beside_an_article_does_not_replace_it() {
        let card = |author: &str, words: &str| {
            format!("<div class=review-item><p>{words}</p><span class=review-author>{author}</span></div>")
        };
        let cards =
            card("Ana Ruiz", "A kind and patient teacher.") + &card("Ben Odell", "Worth every penny.");
        let page = format!(
            "<body><article><h1>A machine and a half</h1>{STORY}</article><div class=slider>{cards}</div></body>"
        );
        let found = read(Format::Html, &page);
        assert!(
            found.text().starts_with("A machine and a half\n\nI brought my espresso machine"),
            "{}",
            found.text()
        );
        assert!(found.turns().len() == 3 && found.text().ends_with("Worth every penny."), "{}", found.text());
        // Reviews that are longer than what the shop says of the thing are what the page is about.
        let blurb = "<p>The Corvin 40 makes two cups at once, has a steel case, and comes with a grinder for beans.</p>";
        let reviews = card("Ana Ruiz", STORY) + &card("Ben Odell", "Mine leaks.");
        let found =
            read(Format::Html, &format!("<body><h1>Corvin 40</h1><div>{blurb}</div>{reviews}</body>"));
        assert!(found.text().starts_with("Corvin 40\n\nAna Ruiz says:\n\nI brought"), "{}", found.text());
    }

    #[test]
    fn a_forum_page_is_its_posts() {
        let post = |author: &str, body: &str| {
            format!(
                "<div id=p1 class='post has-profile bg2'><dl class=postprofile><dt><a class=username href=./u>{author}</a></dt><dd>Posts: 12</dd></dl>\
                 <div class=postbody><h3><a href='#p1'>Re: Gearbox</a></h3><p class=author>by <strong><a class=username href=u>{author}</a></strong> » Mon Jun 04</p>\
                 <div class=content>{body}</div><div class=signature>Saab 900, 1989</div></div></div>"
            )
        };
        let page = format!(
            "<html><head><title>Broken gearbox after service</title></head><body><ul class=nav><li>Board index</ul>{}{}{}</body></html>",
            post("torque_wrench", "I took it to Northgate Motors and they refused to look at it again."),
            post(
                "oldsaab",
                "<blockquote><cite>torque_wrench wrote:</cite>they refused to look at it again.</blockquote>Go to the ombudsman."
            ),
            post("torque_wrench", "They paid in the end."),
        );
        let read = read(Format::Html, &page);
        assert_eq!(
            read.text(),
            "Broken gearbox after service\n\ntorque_wrench says:\n\nI took it to Northgate Motors and they refused to look at it again.\
             \n\noldsaab says:\n\nGo to the ombudsman.\n\ntorque_wrench says:\n\nThey paid in the end."
        );
    }

    #[test]
    fn cards_of_other_articles_are_no_posts() {
        let card = |author: &str| {
            format!(
                "<article class=post><h3><a href=/other>Old roofs</a></h3><span class=author>{author}</span><p>A short teaser.</p></article>"
            )
        };
        let page = format!("<body><main>{STORY}</main><div>{}{}</div></body>", card("Ann"), card("Ben"));
        let read = read(Format::Html, &page);
        assert!(read.text().starts_with("I brought"), "{}", read.text());
        assert!(!read.text().contains("Ann says"));
    }

    #[test]
    fn the_declared_encoding_is_believed() {
        let page = b"<html><head><meta http-equiv=Content-Type content=\"text/html; charset=iso-8859-1\"></head><p>Caf\xe9 \x96 shut.</p>";
        let options = ReadOptions::default().with_format(Format::Html);
        let read = read_bytes(page, &options).unwrap();
        assert_eq!((read.text(), read.encoding()), ("Café – shut.", Some("windows-1252")));
        let page = b"<meta charset='utf-8'><p>Caf\xe9</p>";
        let error = read_bytes(page, &options).unwrap_err();
        assert_eq!((error.kind(), error.offset()), (ReadErrorKind::Malformed, Some(28)));
        let lenient = options.with_malformed(Malformed::Windows1252);
        assert_eq!(read_bytes(page, &lenient).unwrap().text(), "Café");
        // An unknown name is none.
        assert_eq!(read_bytes("<meta charset=klingon><p>Café".as_bytes(), &options).unwrap().text(), "Café");
    }

    #[test]
    fn malformed_pages_have_a_text() {
        for (page, text) in [
            ("", ""),
            ("<", "<"),
            ("just words", "just words"),
            ("<p>open <b>for ever", "open for ever"),
            ("</div></p>closed", "closed"),
            ("<p a='x>y", ""),
            ("<table><p>in</p><tr><td>cell</table>", "in\n\ncell"),
            ("<frameset><frame></frameset>", ""),
        ] {
            assert_eq!(read(Format::Html, page).text(), text, "{page}");
        }
    }

    /// Pages that make parsers slow or deep: each has a text or a clear error, on a small stack.
    #[test]
    fn pages_made_to_hurt_are_refused_or_read() {
        let repeated = |piece: &str, many: usize| piece.repeat(many);
        let counted = |piece: &dyn Fn(usize) -> String, many: usize| (0..many).map(piece).collect::<String>();
        let mut pages: Vec<(String, bool)> = Vec::new();
        for tag in
            ["div", "b", "blockquote", "ul><li", "table><tr><td", "font", "svg", "math", "section", "a><i"]
        {
            pages.push((repeated(&format!("<{tag}>"), 200_000), false));
        }
        // A paragraph closes the one before it, with all that is open in it.
        pages.push((repeated("<p><span>", 200_000), true));
        pages.push((repeated("<template>", 50_000), true));
        pages.push((repeated("<p>x", 100_000), true));
        pages.push((repeated("<br>", 100_000), true));
        // As does a table that begins where rows should.
        pages.push((repeated("<table><div>", 100_000), true));
        pages.push((counted(&|n| format!("<p><b id={n}>"), 100_000), false));
        pages.push((counted(&|n| format!("<p><b id={n}></p>"), 100_000), false));
        pages.push((format!("<p {}>x", counted(&|n| format!("a{n} "), 200_000)), false));
        pages.push((format!("<p>{}x", repeated("</p>", 100_000)), true));
        pages.push((format!("<p title='{}'>x</p>", repeated("a b ", 200_000)), true));
        pages.push((format!("<div class='{}'>x</div>", repeated("comment ", 100_000)), true));
        pages.push((repeated("<div class=comment><b class=fn>A</b> no</div>", 20_000), true));
        pages.push((format!("{}x", repeated("<div class=comment><b class=fn>A</b>", 400)), true));
        std::thread::Builder::new()
            .stack_size(1 << 20)
            .spawn(move || {
                let mut wrong = Vec::new();
                for (page, fine) in pages {
                    let start = std::time::Instant::now();
                    let read = read_bytes(page.as_bytes(), &ReadOptions::default().with_format(Format::Html));
                    let shown = &page[..page.len().min(40)];
                    println!("{:>6} ms  {shown}", start.elapsed().as_millis());
                    match read {
                        Ok(_) if fine => {}
                        Ok(_) => wrong.push(format!("read: {shown}")),
                        Err(error) => {
                            assert_eq!(error.kind(), ReadErrorKind::Markup, "{shown}");
                            assert!(error.offset().is_some());
                            if fine {
                                wrong.push(format!("refused: {shown}: {error}"));
                            }
                        }
                    }
                }
                assert!(wrong.is_empty(), "{}", wrong.join("\n"));
            })
            .unwrap()
            .join()
            .unwrap();
    }
}

#[cfg(feature = "email")]
mod email {
    use super::*;

    const MAIL: &str = "From: Ida Krohn <ida@krohn.example>\r\nTo: desk@kettle.example\r\nSubject: =?utf-8?Q?My_kettle_=E2=80=93_again?=\r\n\
        Date: Tue, 5 Mar 2019 08:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\n\
        Nobody came, and the caf=E9 is without tea. I want my money back, and I wan=\r\nt it now.\r\n\r\nIda\r\n-- \r\nIda Krohn, caf=E9 owner\r\n\r\n\
        On Mon, Mar 4, 2019 at 9:12 AM, Kettle Desk <desk@kettle.example> wrote:\r\n> We are sorry. A man will come today.\r\n>\r\n\
        > On Sun, Mar 3, 2019 at 7:12 PM, Ida Krohn <ida@krohn.example> wrote:\r\n>> My kettle leaks.\r\n";

    #[test]
    fn a_mail_is_what_its_writer_says() {
        let read = read(Format::Email, MAIL);
        assert_eq!(
            read.text(),
            "My kettle – again\n\nNobody came, and the café is without tea. I want my money back, and I want it now.\n\nIda\n\nMy kettle leaks."
        );
        assert_eq!(read.title(), Some("My kettle – again"));
        assert!(read.turns().iter().all(|turn| turn.author() == Some("Ida Krohn")));
        assert_eq!(read.encoding(), None);
    }

    #[test]
    fn the_whole_mail_has_the_turns_of_all() {
        let whole = ReadOptions::default().with_format(Format::Email).with_whole(true);
        let read = read_bytes(MAIL.as_bytes(), &whole).unwrap();
        assert_eq!(
            read.text(),
            "My kettle – again\n\nIda Krohn wrote:\n\nNobody came, and the café is without tea. I want my money back, and I want it now.\n\nIda\
             \n\n--\nIda Krohn, café owner\n\nKettle Desk wrote:\n\nWe are sorry. A man will come today.\n\nIda Krohn wrote:\n\nMy kettle leaks."
        );
        assert_eq!(read.turns()[1].author(), Some("Kettle Desk"));
    }

    #[test]
    fn a_mail_that_only_forwards_is_what_it_forwards() {
        let mail = "Subject: Fwd: late\nFrom: Desk <desk@kettle.example>\n\n---------- Forwarded message ---------\nFrom: Ida Krohn <ida@krohn.example>\nDate: Mon, 4 Mar 2019\nSubject: late\nTo: <desk@kettle.example>\n\nYou are three weeks late.\n";
        let read = read(Format::Email, mail);
        assert_eq!(read.text(), "Fwd: late\n\nYou are three weeks late.");
        assert_eq!(read.turns()[0].author(), Some("Ida Krohn"));
    }

    #[test]
    fn of_two_forms_of_a_body_the_plain_one_counts() {
        let mail = "From: a@b.example\nContent-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/plain\n\nPlain words.\n--x\nContent-Type: text/html\n\n<p>Rich words.</p>\n--x--\n";
        assert_eq!(read(Format::Email, mail).text(), "Plain words.");
    }

    #[test]
    fn a_body_of_html_is_read_as_a_page() {
        let mail = "From: Ida <ida@krohn.example>\nContent-Type: text/html; charset=utf-8\n\n<div>It broke &amp; nobody came.</div><br><div class=gmail_quote><div>On Mon, 4 Mar 2019 at 09:12, Desk &lt;desk@kettle.example&gt; wrote:<br></div><blockquote>We will <b>come</b>.<br>Soon.</blockquote></div>";
        let read = read(Format::Email, mail);
        assert_eq!(read.text(), "It broke & nobody came.");
    }

    /// As Apple's program writes them: each line of the head is an element, and all may stand in a quotation.
    #[test]
    fn a_forward_written_as_a_page_is_what_it_forwards() {
        let head = [
            ("From", "Ida Krohn &lt;ida@krohn.example&gt;"),
            ("Subject", "The oven"),
            ("Date", "4 March 2019 at 09:12:00 CET"),
            ("To", "Kettle Desk &lt;desk@kettle.example&gt;"),
        ]
        .map(|(name, value)| {
            format!("<div style='margin: 0px'><span><b>{name}: </b></span><span>{value}<br></span></div>")
        })
        .concat();
        for (open, close) in [("<blockquote type=cite>", "</blockquote>"), ("<div>", "</div>")] {
            let mail = format!(
                "From: Desk <desk@kettle.example>\nSubject: Fwd: The oven\nContent-Type: text/html; charset=utf-8\n\n\
                 <html><body><div><br><div>Begin forwarded message:</div><br class=Apple-interchange-newline>{open}{head}<br>\
                 <div><div>The oven died after three days.</div></div>{close}</div></body></html>"
            );
            let read = read(Format::Email, &mail);
            assert_eq!(read.text(), "Fwd: The oven\n\nThe oven died after three days.", "{open}");
            assert_eq!(read.turns()[0].author(), Some("Ida Krohn"), "{open}");
        }
    }

    #[test]
    fn a_copied_body_needs_no_head() {
        let read = read(
            Format::Email,
            "You lost my parcel.\n\nSent from my iPhone\n\n> On 4 March, Desk wrote:\n> We have it.",
        );
        assert_eq!(read.text(), "You lost my parcel.");
    }

    /// Found by fuzzing.
    #[test]
    fn a_nul_in_a_head_does_not_reach_the_text() {
        let found =
            read(Format::Email, "From: A\0nn <a@example.org>\nSubject: The boiler\0\n\nNobody came.\n");
        assert!(!found.text().contains('\0'), "{:?}", found.text());
        assert!(found.text().contains("The boiler") && found.text().contains("Nobody came."));
    }

    #[test]
    fn odd_mails_have_a_text() {
        for (mail, text) in [
            ("", ""),
            ("From: x", ""),
            ("From: x\n\n", ""),
            ("Subject:\n\n> a\n>> b", "a\nb"),
            ("Content-Type: multipart/mixed; boundary=a\n\n--a\n--a\n--a--", ""),
        ] {
            assert_eq!(read(Format::Email, mail).text(), text, "{mail}");
        }
        let deep = format!("From: x\n\n{}", format!("{}words\n", ">".repeat(50_000)).repeat(4));
        assert_eq!(read(Format::Email, &deep).text(), "words\nwords\nwords\nwords");
        for line in ["To: y\n", "On Monday 4\n", "-----Original Message-----\n\n"] {
            let read = read(Format::Email, &format!("From: x\n\n{}Nobody came.\n", line.repeat(50_000)));
            assert!(read.text().ends_with("Nobody came."), "{line}");
        }
    }
}

/// Mails that were copied as text, to their interactions.
#[cfg(feature = "embedded")]
mod copied_mails {
    use amends::{Analysis, Analyzer};

    const TALE: &str = "I ordered an oven from Ovenland in March, and it died after three days. I rang them four times, and nobody rang me back.";
    const ANSWER: &str = "We are sorry that the oven failed. We refunded the deposit on Monday, and our driver collected the oven on Tuesday.";

    /// The words that are in each interaction.
    fn interactions(text: &str) -> Vec<String> {
        let analysis: Analysis = Analyzer::embedded().unwrap().analyze(text).unwrap();
        let words = |id| &text[analysis.sentence(id).unwrap().span().range()];
        let of = |sentences: &[_]| sentences.iter().map(|&id| words(id)).collect::<Vec<_>>().join(" ");
        analysis.interactions().iter().map(|interaction| of(interaction.sentences())).collect()
    }

    #[test]
    fn the_answer_of_a_company_is_no_tale() {
        let head = "From: Ovenland Service <desk@ovenland.example>\nSent: Monday, March 4, 2019 9:12 AM\nTo: Ida Krohn\nSubject: RE: Oven";
        for quoted in [
            format!("-----Original Message-----\n{head}\n\n{ANSWER}"),
            format!("{head}\n\n{ANSWER}"),
            format!("-----Original Message-----\n\n{ANSWER}"),
            format!("> {}", ANSWER.replace(". ", ".\n> ")),
        ] {
            let text = format!("{TALE}\n\n{quoted}\n");
            let found = interactions(&text);
            assert_eq!(found, [TALE], "{text}");
        }
    }

    #[test]
    fn a_complaint_that_is_passed_on_is_a_tale() {
        let text = format!(
            "Hello all, please see below.\n\n-----Original Message-----\nFrom: Ida Krohn <ida@krohn.example>\n\
             Sent: Monday, March 4, 2019 9:12 AM\nTo: Ovenland Service\nSubject: Oven\n\n{TALE}\n"
        );
        assert_eq!(interactions(&text), [TALE]);
    }
}

/// From the bytes of a page to scores.
#[cfg(all(feature = "html", feature = "embedded"))]
mod analysed {
    use super::*;
    use amends::{Analysis, Analyzer, Boilerplate, Interaction, Turn};

    const TALE: &str = "I waited five months for a chair of mine at Dorn Brothers. They never wrote to me, and nobody ever \
        picked up the phone. When it came at last, one leg was broken, and they refused to take it back.";

    fn comment(number: usize, author: &str, words: &str) -> String {
        format!(
            "<li class='comment even' id=comment-{number}><article class=comment-body><footer class=comment-meta>\
             <div class='comment-author vcard'><b class=fn>{author}</b> <span class=says>says:</span></div>\
             <div class=comment-metadata><a href=#c{number}><time>May 4, 2019 at 9:1{number} am</time></a></div></footer>\
             <div class=comment-content><p>{words}</p></div><div class=reply><a href=#>Reply</a></div></article></li>"
        )
    }

    fn page(comments: &str) -> String {
        format!(
            "<html><head><title>A sofa from 1974 | Stitch by Stitch</title></head><body>\
             <nav><ul><li><a href=/>Home</a><li><a href=/about>About us</a></ul></nav>\
             <article><h1>A sofa from 1974</h1><p>We took the sofa to Quillon Upholstery in spring. The seat had torn, and two \
             other shops had sent us away without a look at it.</p><p>The man at Quillon Upholstery found a cloth from 1974 that \
             matched, and he rang us every week to say how far he was. It was back on the very day that he had named.</p>\
             <p>The work is beautiful, it cost less than he had said, and we shall certainly go there again.</p></article>\
             <div id=comments class=comments-area><h2>Thoughts on “A sofa from 1974”</h2><ol class=comment-list>{comments}</ol>\
             <div id=respond class=comment-respond><h3>Leave a Reply</h3><form><p>Your email address will not be published.</p>\
             </form></div></div></body></html>"
        )
    }

    fn analysed(page: &str) -> (ReadText, Analysis) {
        let read = read(Format::Html, page);
        let analysis = Analyzer::embedded().unwrap().analyze(&read).unwrap();
        (read, analysis)
    }

    /// The number of the one interaction that is told in this turn, and in no other.
    fn interaction_of(analysis: &Analysis, turns: &[Turn], at: usize) -> usize {
        let told = |interaction: &Interaction, turn: &Turn| {
            let spans = interaction.sentences().iter().map(|&id| analysis.sentence(id).unwrap().span());
            spans.filter(|&span| turn.span().contains(span)).count()
        };
        let interactions = analysis.interactions();
        let found: Vec<usize> =
            (0..interactions.len()).filter(|&number| told(&interactions[number], &turns[at]) > 0).collect();
        assert_eq!(found.len(), 1, "turn {at} is told in {found:?}");
        for (other, turn) in turns.iter().enumerate().filter(|(other, _)| *other != at) {
            assert_eq!(
                told(&interactions[found[0]], turn),
                0,
                "a sentence of turn {other} in that of turn {at}"
            );
        }
        found[0]
    }

    #[test]
    fn each_writer_has_an_interaction_and_a_repeated_comment_counts_once() {
        let once = comment(1, "Pete Hanley", TALE) + &comment(2, "zoe_m", "Lovely read, thank you!");
        let twice = once.clone() + &comment(3, "Pete Hanley", TALE);
        let (read, analysis) = analysed(&page(&twice));
        let text = read.text();
        assert!(text.starts_with("A sofa from 1974\n\nWe took"), "{text}");
        let authors: Vec<_> = read.turns().iter().map(|turn| turn.author()).collect();
        assert_eq!(authors[1..], [Some("Pete Hanley"), Some("zoe_m"), Some("Pete Hanley")], "{text}");
        let says = |line: &str| {
            analysis
                .sentences()
                .iter()
                .filter(|sentence| &text[sentence.span().range()] == line)
                .map(|s| s.boilerplate())
                .collect::<Vec<_>>()
        };
        assert_eq!(says("Pete Hanley says:"), [Some(Boilerplate::Byline); 2], "{text}");
        assert_eq!(says("zoe_m says:"), [Some(Boilerplate::Byline)], "{text}");

        assert_eq!(analysis.interactions().len(), 2, "{text}");
        let (sofa, chair) =
            (interaction_of(&analysis, read.turns(), 0), interaction_of(&analysis, read.turns(), 1));
        let provider =
            |at: usize| analysis.interactions()[at].provider().map(|provider| provider.name(text).to_owned());
        assert_eq!(provider(sofa).as_deref(), Some("Quillon Upholstery"));
        assert_eq!(provider(chair).as_deref(), Some("Dorn Brothers"));
        let score = |analysis: &Analysis, at: usize| analysis.interactions()[at].score();
        assert!(score(&analysis, sofa).value() > 60.0, "{:?}", score(&analysis, sofa));
        assert!(score(&analysis, chair).value() < 40.0, "{:?}", score(&analysis, chair));

        // The second copy is marked, tells no event, and changes no score by a bit.
        let copy = read.turns()[3].span();
        for sentence in analysis.sentences().iter().filter(|sentence| sentence.span().start() >= copy.start())
        {
            assert_eq!(
                sentence.boilerplate(),
                Some(Boilerplate::Repeat),
                "{}",
                &text[sentence.span().range()]
            );
            assert_eq!(sentence.interaction(), None);
        }
        assert!(analysis.events().iter().any(|event| event.span().start() >= read.turns()[1].span().start()));
        assert!(analysis.events().iter().all(|event| event.span().end() <= copy.start()));
        let (_, alone) = analysed(&page(&once));
        assert_eq!(alone.interactions().len(), 2);
        for at in [sofa, chair] {
            assert_eq!(score(&analysis, at), score(&alone, at));
        }
    }
}

fn formats() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Plain), Just(Format::Markdown), Just(Format::Html), Just(Format::Email)]
}

fn malformed() -> impl Strategy<Value = Malformed> {
    prop_oneof![Just(Malformed::Error), Just(Malformed::Windows1252), Just(Malformed::Replace)]
}

/// Pieces of markup, mails and words in any order.
fn markup() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&str; 58] = [
        "<p>",
        "</p>",
        "<div class=comment>",
        "</div>",
        "<li class='comment'>",
        "<b class=fn>Ida</b>",
        "<h1>",
        "</h1>",
        "<table>",
        "<tr>",
        "<td>",
        "</table>",
        "<blockquote>",
        "</blockquote>",
        "<cite>",
        "<ul>",
        "</ul>",
        "<ol start=-9223372036854775808>",
        "<li>",
        "<pre>",
        "<script>",
        "</script>",
        "<!--",
        "-->",
        "<![CDATA[",
        "<svg>",
        "<template>",
        "</template>",
        "<br>",
        "&amp;",
        "&#0;",
        "&#x110000;",
        "<div class=post>",
        "<a class=author>Ben</a>",
        "<title>",
        "<select>",
        "<frameset>",
        "<form>",
        "They never called me back, and nobody apologised to me for any of it. ",
        "one, two, three, four, five. ",
        "\n\n",
        "\n",
        "> ",
        "On Mon, 4 Mar 2019 at 9:12, Ida wrote:\n",
        "From: Ida <i@k.example>\n",
        "Sent: Monday\n",
        "-- \n",
        "Subject: x\n",
        "# ",
        "- ",
        "1. ",
        "```\n",
        "[a](b)",
        "![",
        "| a |\n|---|\n",
        "\0",
        "\u{feff}",
        "é😠",
    ];
    prop_oneof![
        proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..60)
            .prop_map(|pieces| pieces.concat().into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..400),
        "\\PC{0,200}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// No bytes make a reader panic, and what it makes keeps its promises.
    #[test]
    fn any_bytes_have_a_text_or_an_error(
        bytes in markup(),
        format in formats(),
        malformed in malformed(),
        whole in any::<bool>(),
    ) {
        let options = ReadOptions::default().with_format(format).with_malformed(malformed).with_whole(whole);
        match read_bytes(&bytes, &options) {
            Ok(read) => {
                prop_assert!(!read.text().contains('\0'));
                let mut end = 0;
                for turn in read.turns() {
                    prop_assert!(turn.span().start() >= end);
                    prop_assert!(turn.span().get(read.text()).is_some());
                    end = turn.span().end();
                }
                prop_assert_eq!(read_bytes(&bytes, &options).unwrap(), read);
            }
            Err(error) => {
                prop_assert!(error.offset().is_none_or(|at| at <= bytes.len()));
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
