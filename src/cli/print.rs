//! Printing that never panics: a reader who has gone away ends no run, and what others wrote reaches no terminal as commands to it.
//!
//! The macros of this module stand in for those of the standard library in all commands.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// The first failure to write to standard output; nothing is written after it.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line for people to standard output.
macro_rules! println {
    () => { $crate::cli::print::out(format_args!("\n")) };
    ($($argument:tt)*) => { $crate::cli::print::out(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Prints text for people to standard output.
macro_rules! print {
    ($($argument:tt)*) => { $crate::cli::print::out(format_args!($($argument)*)) };
}

/// Prints a line for people to standard error.
macro_rules! eprintln {
    () => { $crate::cli::print::err(format_args!("")) };
    ($($argument:tt)*) => { $crate::cli::print::err(format_args!($($argument)*)) };
}

/// Writes text for people to standard output.
pub(super) fn out(text: Arguments<'_>) {
    data(&harmless(&text.to_string()));
}

/// Writes text as it is to standard output: YAML or JSON, which escapes by its own rules.
pub(super) fn data(text: &str) {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    if failed.is_none() {
        let mut out = io::stdout().lock();
        *failed = out
            .write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .err();
    }
}

/// Writes a line for people to standard error. Where even that fails, nobody is left to be told.
pub(super) fn err(text: Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{}", harmless(&text.to_string()));
}

/// The exit code of a command whose output may have failed: a reader who has gone away has read enough.
pub(super) fn concluded(code: ExitCode) -> ExitCode {
    let failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    match failed.as_ref() {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            err(format_args!(
                "error: cannot write to standard output: {error}"
            ));
            ExitCode::from(super::FAILED)
        }
        _ => code,
    }
}

/// The text with control characters, but for line ends and tabs, written out: a terminal would obey them.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            // Marks that turn the direction of writing can make a text read as another one.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(character.escape_unicode())
            }
            character if character.is_control() => shown.extend(character.escape_default()),
            character => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_terminal_is_told_nothing_by_what_others_wrote() {
        assert_eq!(harmless("a\tb\nü 模 🙂"), "a\tb\nü 模 🙂");
        assert_eq!(harmless("\u{1b}[31mred\r\u{7}"), "\\u{1b}[31mred\\r\\u{7}");
        assert_eq!(harmless("\u{9b}2J \u{202e}abc"), "\\u{9b}2J \\u{202e}abc");
    }
}
