//! The end of a log, for the message of a failure.

use regex::Regex;
use std::sync::LazyLock;

const LINES: usize = 3;

/// The last lines that are not blank, in one, without what only a terminal understands.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<String> = text
        .split('\n')
        .map(as_a_terminal_leaves_it)
        .filter(|line| !line.is_empty())
        .collect();
    let from = lines.len().saturating_sub(LINES);
    lines.get(from..).unwrap_or_default().join(" | ")
}

/// A line without colours, titles and other commands. Of a line that was written over again and again, such as a progress bar, the last
/// state stays.
fn as_a_terminal_leaves_it(line: &str) -> String {
    // Commands to a terminal: a string up to its end, a sequence with parameters, or two characters; ECMA-48.
    static COMMANDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let string = r"(?:\x1b[\]PX^_]|[\u{90}\u{98}\u{9d}-\u{9f}])[^\x07\x1b\u{9c}]*(?:\x07|\x1b\\|\u{9c})?";
        let sequence = r"(?:\x1b\[|\u{9b})[0-?]*[ -/]*[@-~]?";
        Regex::new(&format!(r"{string}|{sequence}|\x1b[ -/]*[0-~]?")).ok()
    });
    let plain = match COMMANDS.as_ref() {
        Some(commands) => commands.replace_all(line, ""),
        None => line.into(),
    };
    let mut states = plain.split('\r').map(|state| {
        let shown = state.chars().map(|c| if c == '\t' { ' ' } else { c });
        let shown: String = shown.filter(|c| !c.is_control()).collect();
        shown.trim().to_string()
    });
    states.rfind(|state| !state.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_last_lines_are_told_in_one() {
        assert_eq!(last_lines("a\n\nb \r\n c\n\td\n\n"), "b | c | d");
        assert_eq!(last_lines(""), "");
    }

    #[test]
    fn of_a_progress_bar_the_last_state_is_told_and_nothing_for_the_terminal() {
        let log = "  0%|\r 50%|##|\r100%|####|\u{1b}[31m\u{1b}]0;title\u{7} loss is nan\n";
        assert_eq!(last_lines(log), "100%|####| loss is nan");
        assert_eq!(last_lines("\u{9b}2Jdone\u{1b}(B\u{8}\r\r"), "done");
        assert_eq!(last_lines("\u{1b}[1;32"), "");
    }
}
