//! Pieces of a page. Whatever is text is escaped here and nowhere else: what stands in a piece already is markup of this program.

/// Text as it may stand between tags and in attributes. Names come from users, and must change neither the page nor the order in which its
/// letters are read.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() || turns_the_order(c) => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// Characters that nobody sees and by which the letters after them are shown in another order.
fn turns_the_order(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// A paragraph of text.
pub(super) fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escaped(text))
}

/// A part of the page under a title; nothing where there is no content.
pub(super) fn section(title: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    let title = escaped(title);
    format!("<section>\n<h2>{title}</h2>\n{content}</section>\n")
}

/// A list of texts; nothing where there are none.
pub(super) fn list(texts: &[String]) -> String {
    if texts.is_empty() {
        return String::new();
    }
    let items = texts.iter();
    let items: String = items
        .map(|text| format!("<li>{}</li>\n", escaped(text)))
        .collect();
    format!("<ul>\n{items}</ul>\n")
}

/// A table of texts whose first column names the rows; nothing where there are no rows.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = head.iter();
    let head: String = head
        .map(|text| format!("<th scope=\"col\">{}</th>", escaped(text)))
        .collect();
    let body: String = rows.iter().map(|row| table_row(row)).collect();
    format!(
        "<div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
    )
}

fn table_row(cells: &[String]) -> String {
    let cell = |(place, text): (usize, &String)| match place {
        0 => format!("<th scope=\"row\">{}</th>", escaped(text)),
        _ => format!("<td>{}</td>", escaped(text)),
    };
    let cells: String = cells.iter().enumerate().map(cell).collect();
    format!("<tr>{cells}</tr>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        for (text, safe) in [
            (
                "</p><script>1 && 2</script>",
                "&lt;/p&gt;&lt;script&gt;1 &amp;&amp; 2&lt;/script&gt;",
            ),
            ("\" onload='x'", "&quot; onload=&#39;x&#39;"),
            ("a\u{0}b\nc\u{1b}", "a\u{fffd}b\u{fffd}c\u{fffd}"),
            ("v\u{202e}2", "v\u{fffd}2"),
            ("Größe ≥ 7 日本 ע", "Größe ≥ 7 日本 ע"),
        ] {
            assert_eq!(escaped(text), safe);
        }
    }

    #[test]
    fn pieces_escape_what_they_hold_and_are_absent_without_content() {
        let bad = "<b>".to_string();
        let pieces = [
            paragraph(&bad),
            section(&bad, "x"),
            list(std::slice::from_ref(&bad)),
            table(&[&bad], &[vec![bad.clone(), bad.clone()]]),
        ];
        for piece in &pieces {
            assert!(
                piece.contains("&lt;b&gt;") && !piece.contains("<b>"),
                "{piece}"
            );
        }
        let rows = pieces[3].matches("&lt;b&gt;").count();
        assert_eq!(rows, 3);
        for absent in [section("a", ""), list(&[]), table(&["a"], &[])] {
            assert_eq!(absent, "");
        }
    }
}
