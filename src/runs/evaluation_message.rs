//! What a pod says of a comparison in its termination message, and what is believed of one that anybody may have written.
//!
//! Kubernetes keeps 4,096 bytes. A message is a word that tells its form, and in base64: the beginning of the digest of what was asked, what
//! is said, compressed, and the beginning of the digest of all that, by which a message that was cut is told from one that is whole. A
//! comparison that does not fit leaves parts of its statistics out, of which none changes the verdict, and at last why its report was not
//! written.

mod bytes;
mod statistics;
#[cfg(test)]
mod tests;

pub use statistics::without_parts;

use crate::ports::{EvaluationResult, ReportState};
use crate::report::Mark;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::{Reader, Writer};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use podium_api::convert::comparison_settings;
use podium_api::evaluation::{EvaluationSpec, EvidenceStatus, FileStatus};
use podium_core::evaluation::EvidenceFile;
use podium_core::looks::Sketch;
use podium_core::report::KEPT_BYTES;
use podium_workload::table::hex;
use sha2::{Digest, Sha256};
use statistics::{Cut, PARTS};
use std::io::{Read, Write};

/// The first word of a message.
const FORM: &str = "podium/1:";
/// Bytes of the digest of what was asked.
const QUESTION: usize = 8;
/// Bytes of the digest at the end.
const TRAILER: usize = 4;
/// Bytes that a message may have once it is no longer compressed; a longer one is none of ours.
const LARGEST: u64 = 16 * 1024;
/// Bytes of a reason, and of one for which a report was not written.
const WORDS: usize = 2000;
const REPORT_WORDS: usize = 300;
/// Bytes of what an object store calls a content; a longer name is not passed on.
const ETAG: usize = 80;
/// Bytes of a digest.
const SHA256: usize = 32;

/// What a pod says.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The comparison was made.
    Compared(Box<EvaluationResult>),
    /// These files are not there.
    Missing(Vec<EvidenceFile>),
    /// Files cannot be read for now; why.
    Unreadable(String),
    /// What was asked cannot be done; why.
    Refused(String),
    /// The files are what was read before.
    Unchanged,
    /// This file is gone, or is not what was read before.
    Changed(EvidenceFile),
}

/// Why a message says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// There is none.
    #[error("it left no message")]
    Absent,
    /// It is not whole, or was changed.
    #[error(
        "its message is cut or changed: Kubernetes keeps {KEPT_BYTES} bytes of a container's message, and fewer of a pod that others add containers to"
    )]
    Cut,
    /// It was not made by this program.
    #[error("its message cannot be read")]
    Unreadable,
    /// It answers another question.
    #[error("its message answers another question than that of this comparison")]
    OtherQuestion,
}

/// The message that says this of what was asked; `question` is the text that the pod was given.
#[must_use]
pub fn encode(question: &str, outcome: &Outcome) -> String {
    let most = match outcome {
        Outcome::Compared(_) => PARTS.len(),
        _ => 0,
    };
    let has_room = |message: &String| message.len() < KEPT_BYTES;
    let mut shorter = (0..=most).map(|parts| framed(question, outcome, Cut(parts)));
    let fits = shorter.find(has_room).or_else(|| {
        let shortest = framed(question, &without_words(outcome)?, Cut(most));
        Some(shortest).filter(has_room)
    });
    fits.unwrap_or_else(|| {
        let why = "the statistics have no room in a termination message; let the policy name fewer guardrails";
        framed(question, &Outcome::Refused(why.to_string()), Cut(0))
    })
}

/// The same comparison without the words of what became of its report; `None` where there are none.
fn without_words(outcome: &Outcome) -> Option<Outcome> {
    let Outcome::Compared(result) = outcome else {
        return None;
    };
    matches!(result.report, Some(ReportState::NotWritten(_))).then(|| {
        let mut silent = result.clone();
        silent.report = Some(ReportState::NotWritten(String::new()));
        Outcome::Compared(silent)
    })
}

/// What a message says of `spec`, which `question` asks. Its addresses are those of `spec`, whatever stands in the message.
///
/// # Errors
/// It says nothing that can be believed.
pub fn decode(
    question: &str,
    spec: &EvaluationSpec,
    message: Option<&str>,
) -> Result<Outcome, MessageError> {
    let message = message.map(str::trim).unwrap_or_default();
    if message.is_empty() {
        return Err(MessageError::Absent);
    }
    let coded = message.strip_prefix(FORM).ok_or(MessageError::Unreadable)?;
    let whole = STANDARD_NO_PAD.decode(coded);
    // A part of four characters that was cut is no base64 any more.
    let whole = whole.map_err(|_| MessageError::Cut)?;
    let split = whole.split_last_chunk::<TRAILER>();
    let (content, trailer) = split.ok_or(MessageError::Cut)?;
    if sha256(content)[..TRAILER] != trailer[..] {
        return Err(MessageError::Cut);
    }
    let (asked, packed) = content
        .split_at_checked(QUESTION)
        .ok_or(MessageError::Unreadable)?;
    if asked != &sha256(question.as_bytes())[..QUESTION] {
        return Err(MessageError::OtherQuestion);
    }
    let unpacked = inflated(packed).ok_or(MessageError::Unreadable)?;
    let mut reader = Reader(&unpacked);
    let outcome = read(&mut reader, spec).filter(|_| reader.is_at_its_end());
    outcome.ok_or(MessageError::Unreadable)
}

fn framed(question: &str, outcome: &Outcome, cut: Cut) -> String {
    let mut writer = Writer::default();
    write(&mut writer, outcome, cut);
    sealed(question, &deflated(&writer.0))
}

fn sealed(question: &str, packed: &[u8]) -> String {
    let mut content = sha256(question.as_bytes())[..QUESTION].to_vec();
    content.extend(packed);
    let trailer = sha256(&content);
    content.extend(&trailer[..TRAILER]);
    format!("{FORM}{}", STANDARD_NO_PAD.encode(content))
}

fn sha256(bytes: &[u8]) -> [u8; SHA256] {
    Sha256::digest(bytes).into()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    // Nothing can go wrong where bytes are written into memory.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// A few bytes can be compressed from very many.
fn inflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    let mut bounded = DeflateDecoder::new(bytes).take(LARGEST + 1);
    bounded.read_to_end(&mut unpacked).ok()?;
    (unpacked.len() as u64 <= LARGEST).then_some(unpacked)
}

fn write(writer: &mut Writer, outcome: &Outcome, cut: Cut) {
    match outcome {
        Outcome::Compared(result) => {
            writer.byte(0);
            write_result(writer, result, cut);
        }
        Outcome::Missing(files) => {
            writer.bytes(&[1, u8::try_from(files.len()).unwrap_or(0)]);
            for file in files {
                writer.byte(place_of(*file));
            }
        }
        Outcome::Refused(why) => {
            writer.byte(2);
            writer.text(&bounded(why, WORDS));
        }
        Outcome::Unchanged => writer.byte(3),
        Outcome::Changed(file) => writer.bytes(&[4, place_of(*file)]),
        Outcome::Unreadable(why) => {
            writer.byte(5);
            writer.text(&bounded(why, WORDS));
        }
    }
}

fn read(reader: &mut Reader<'_>, spec: &EvaluationSpec) -> Option<Outcome> {
    Some(match reader.byte()? {
        0 => Outcome::Compared(Box::new(read_result(reader, spec)?)),
        1 => {
            let count = reader.byte()?;
            let files: Option<Vec<_>> = (0..count).map(|_| read_file(reader, spec)).collect();
            Outcome::Missing(files.filter(|files| !files.is_empty())?)
        }
        2 => Outcome::Refused(printable(reader.text()?)),
        3 => Outcome::Unchanged,
        4 => Outcome::Changed(read_file(reader, spec)?),
        5 => Outcome::Unreadable(printable(reader.text()?)),
        _ => return None,
    })
}

fn place_of(file: EvidenceFile) -> u8 {
    match file {
        EvidenceFile::Champion => 0,
        EvidenceFile::Challenger => 1,
        EvidenceFile::Holdout => 2,
    }
}

/// A file that the comparison has.
fn read_file(reader: &mut Reader<'_>, spec: &EvaluationSpec) -> Option<EvidenceFile> {
    let place = reader.byte()?;
    let mut files = EvidenceFile::ALL.into_iter();
    let file = files.find(|file| place_of(*file) == place);
    file.filter(|file| *file != EvidenceFile::Holdout || spec.holdout.is_some())
}

fn write_result(writer: &mut Writer, result: &EvaluationResult, cut: Cut) {
    let EvidenceStatus {
        read_time: _, // whoever reads the message knows it better
        champion,
        challenger,
        holdout,
        fingerprint,
        sketch,
    } = &result.evidence;
    writer.byte(u8::try_from(cut.0).unwrap_or(0));
    write_file_status(writer, champion);
    write_file_status(writer, challenger);
    writer.option(holdout.as_ref(), |writer, holdout| {
        write_file_status(writer, holdout);
    });
    writer.bytes(&unhex(fingerprint).unwrap_or_default());
    // Half of what there is to say: as the bytes that its text stands for.
    let sketch = URL_SAFE_NO_PAD.decode(sketch).unwrap_or_default();
    writer.count(sketch.len() as u64);
    writer.bytes(&sketch);
    statistics::write(writer, &result.statistics, cut);
    // Nothing where no report was asked for.
    match &result.report {
        None => {}
        Some(ReportState::Written(mark)) => {
            writer.byte(0);
            writer.bytes(mark);
        }
        Some(ReportState::NotWritten(why)) => {
            writer.byte(1);
            writer.text(&bounded(why, REPORT_WORDS));
        }
    }
}

fn read_report(reader: &mut Reader<'_>) -> Option<Option<ReportState>> {
    if reader.is_at_its_end() {
        return Some(None);
    }
    Some(Some(match reader.byte()? {
        0 => {
            let mark = reader.bytes(size_of::<Mark>())?;
            ReportState::Written(mark.try_into().ok()?)
        }
        1 => ReportState::NotWritten(printable(reader.text()?)),
        _ => return None,
    }))
}

fn read_result(reader: &mut Reader<'_>, spec: &EvaluationSpec) -> Option<EvaluationResult> {
    let left_out = usize::from(reader.byte()?);
    let cut = Some(Cut(left_out)).filter(|_| left_out <= PARTS.len())?;
    let champion = read_file_status(reader, &spec.champion.predictions)?;
    let challenger = read_file_status(reader, &spec.challenger.predictions)?;
    let has_holdout = reader.option(|_| Some(()))?.is_some();
    let holdout = match (&spec.holdout, has_holdout) {
        (Some(asked), true) => Some(read_file_status(reader, &asked.uri)?),
        (None, false) => None,
        _ => return None,
    };
    let fingerprint = hex(reader.bytes(SHA256)?);
    let length = usize::try_from(reader.count()?).ok()?;
    let sketch = URL_SAFE_NO_PAD.encode(reader.bytes(length)?);
    // Nothing else has a place in the ledger.
    Sketch::parse(&sketch).ok()?;
    let settings = comparison_settings(&spec.test);
    Some(EvaluationResult {
        evidence: EvidenceStatus {
            read_time: None,
            champion,
            challenger,
            holdout,
            fingerprint,
            sketch,
        },
        statistics: statistics::read(reader, settings, cut)?,
        left_out: cut.names(),
        report: read_report(reader)?,
    })
}

fn write_file_status(writer: &mut Writer, file: &FileStatus) {
    let FileStatus {
        uri: _, // that of the question
        sha256,
        etag,
        size,
        rows,
    } = file;
    writer.bytes(&unhex(sha256).unwrap_or_default());
    writer.count(u64::try_from(*size).unwrap_or(0));
    writer.count(u64::try_from(*rows).unwrap_or(0));
    let short = etag.as_ref().filter(|etag| etag.len() <= ETAG);
    writer.option(short, |writer, etag| writer.text(etag));
}

fn read_file_status(reader: &mut Reader<'_>, uri: &str) -> Option<FileStatus> {
    let sha256 = hex(reader.bytes(SHA256)?);
    let (size, rows) = (reader.count()?, reader.count()?);
    let etag = reader.option(Reader::text)?;
    let is_tag = |etag: &str| etag.len() <= ETAG && etag.chars().all(|c| c.is_ascii_graphic());
    if etag.is_some_and(|etag| !is_tag(etag)) {
        return None;
    }
    Some(FileStatus {
        uri: uri.to_string(),
        sha256,
        etag: etag.map(str::to_string),
        size: i64::try_from(size).ok()?,
        rows: i64::try_from(rows).ok()?,
    })
}

/// The bytes that 64 hexadecimal digits stand for.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let is_whole = text.len() == 2 * SHA256 && text.is_ascii();
    let pairs = (0..SHA256).map(|place| text.get(2 * place..2 * place + 2));
    let bytes = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok());
    bytes.collect::<Option<Vec<u8>>>().filter(|_| is_whole)
}

/// As much of a reason as has room.
fn bounded(why: &str, most: usize) -> String {
    let mut end = most.min(why.len());
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    why.get(..end).unwrap_or_default().to_string()
}

/// Whoever reads a reason in a terminal must not be written over.
fn printable(why: &str) -> String {
    let safe = |c: char| if c.is_control() { ' ' } else { c };
    bounded(why, WORDS).chars().map(safe).collect()
}
