//! Files in directories that others can write to: in their place may stand anything, such as a directory, a pipe or a device, which would be
//! read for ever.

use rustix::fs::{Mode, OFlags};
use std::fs::{self, File, FileType};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Bytes of a text that people or Podium write: an alias, a manifest, an object.
const LONGEST_TEXT: u64 = 64 << 20;

/// The last `bytes` of the file, and whether it holds more than those; `None` when there is no file.
///
/// # Errors
/// It is something else than a file, or cannot be read; the message names the path.
pub(crate) fn read_end(path: &Path, bytes: u64) -> io::Result<Option<(Vec<u8>, bool)>> {
    let Some(mut file) = open(path)? else {
        return Ok(None);
    };
    let mut read = || -> io::Result<(Vec<u8>, bool)> {
        let length = file.metadata()?.len();
        let skipped = length.saturating_sub(bytes);
        file.seek(SeekFrom::Start(skipped))?;
        let mut text = Vec::new();
        (&mut file).take(bytes).read_to_end(&mut text)?;
        Ok((text, skipped > 0))
    };
    read().map(Some).map_err(|error| naming(path, &error))
}

/// The whole file; `None` when there is none.
///
/// # Errors
/// It is something else than a file, is longer than `most` bytes, or cannot be read; the message names the path.
pub(crate) fn read_whole(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    match read_end(path, most)? {
        Some((_, true)) => Err(refused(path, &format!("is longer than {most} bytes"))),
        Some((text, false)) => Ok(Some(text)),
        None => Ok(None),
    }
}

/// A text in UTF-8; `None` when there is no file.
///
/// # Errors
/// As [`read_whole`], or it is no UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<Option<String>> {
    let Some(bytes) = read_whole(path, LONGEST_TEXT)? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes);
    text.map(Some)
        .map_err(|_| refused(path, "must be text in UTF-8"))
}

/// Opens without waiting for whoever writes into a pipe; `None` when there is no file.
///
/// # Errors
/// It is something else than a file, or cannot be opened; the message names the path.
pub(crate) fn open(path: &Path) -> io::Result<Option<File>> {
    let kind = match fs::metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(naming(path, &error)),
    };
    require_file(path, kind)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map(File::from);
    let file = file.map_err(|error| naming(path, &error.into()))?;
    // It may have been replaced between the two looks.
    let kind = file.metadata().map_err(|error| naming(path, &error))?;
    require_file(path, kind.file_type())?;
    Ok(Some(file))
}

fn require_file(path: &Path, kind: FileType) -> io::Result<()> {
    let what = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(refused(path, &format!("is {what}, but must be a file")))
}

fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{} {why}", path.display()),
    )
}

fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot read {}: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn what_is_no_file_is_named_and_never_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("directory")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("device")).unwrap();
        std::os::unix::fs::symlink(at("loop"), at("loop")).unwrap();
        let cases = [
            ("directory", "is a directory, but must be a file"),
            ("pipe", "is a named pipe, but must be a file"),
            ("socket", "is a socket, but must be a file"),
            ("device", "is a device, but must be a file"),
            ("loop", "Too many levels of symbolic links"),
        ];
        for (name, expected) in cases {
            let error = read_end(&at(name), 10).unwrap_err().to_string();
            assert!(error.contains(expected), "{name}: {error}");
            assert!(error.contains(&at(name).display().to_string()), "{error}");
        }
    }

    #[test]
    fn the_end_of_a_long_file_is_read_and_a_missing_one_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        assert_eq!(read_end(&path, 3).unwrap(), None);
        fs::write(&path, "abcdef").unwrap();
        assert_eq!(read_end(&path, 3).unwrap(), Some((b"def".to_vec(), true)));
        assert_eq!(
            read_end(&path, 6).unwrap(),
            Some((b"abcdef".to_vec(), false))
        );
        let error = read_whole(&path, 3).unwrap_err().to_string();
        assert!(error.ends_with("log is longer than 3 bytes"), "{error}");
    }
}
