//! Reading one object to its end: what is cut goes on where it was cut, and what is replaced meanwhile is begun anew, so that the bytes are
//! those of one content.

use super::address::S3Address;
use super::answer::{StoreError, StoreErrorKind, Wanted};
use super::progress::{CUTS, Cuts, PACE, Pace};
use super::requests::Requests;
use crate::adapters::whole_chain;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use podium_workload::table::{ObjectBytes, hex};
use sha2::{Digest, Sha256};
use std::time::Instant;

/// How often an object is begun that is replaced while it is read.
pub(super) const BEGINNINGS: u32 = 3;

impl Requests {
    /// The object that is there now.
    pub(super) async fn object(&self, address: &S3Address) -> Result<ObjectBytes, StoreError> {
        for beginning in 1..=BEGINNINGS {
            match self.content(address, None).await {
                Err(error) if error.kind == StoreErrorKind::Changed => {
                    tokio::time::sleep(self.patience.pause_before(beginning)).await;
                }
                read => return read,
            }
        }
        Err(self.replaced(address))
    }

    /// Why nothing was read of what changes all the time.
    pub(super) fn replaced(&self, address: &S3Address) -> StoreError {
        let message = format!(
            "it was replaced or damaged on its way each of the {BEGINNINGS} times that it was read; wait until whoever writes it has finished"
        );
        self.error(StoreErrorKind::Changed, Wanted::Content, address, message)
    }

    /// The content of an object: that which the store calls `etag`, where it is given, and else the one that is there now.
    pub(super) async fn content(
        &self,
        address: &S3Address,
        etag: Option<&str>,
    ) -> Result<ObjectBytes, StoreError> {
        let mut content = Content::of(etag);
        let mut cuts = Cuts::default();
        loop {
            let Some(why) = self.go_on(address, &mut content).await? else {
                return Ok(content.finished());
            };
            let cuts = cuts.after(content.bytes.len());
            if cuts > CUTS {
                let message = format!(
                    "{} sent {} bytes of it and was cut {cuts} times in a row: {why}",
                    self.place.endpoint,
                    content.bytes.len()
                );
                let kind = StoreErrorKind::Unavailable;
                return Err(self.error(kind, Wanted::Content, address, message));
            }
            tokio::time::sleep(self.patience.pause_before(cuts)).await;
        }
    }

    /// Reads on from where `content` ends; why it was cut, unless it is whole now.
    async fn go_on(
        &self,
        address: &S3Address,
        content: &mut Content,
    ) -> Result<Option<String>, StoreError> {
        let request = self
            .client
            .get_object()
            .bucket(address.bucket())
            .key(address.key())
            .set_if_match(content.etag.clone());
        let request = match content.bytes.len() {
            // A checksum is that of the whole object.
            0 => request.checksum_mode(ChecksumMode::Enabled),
            read => request.range(format!("bytes={read}-")),
        };
        let answer = request.send().await.map_err(|error| {
            let error = self.failed(&error, Wanted::Content, address);
            // It was there a moment ago.
            let is_gone = error.kind == StoreErrorKind::Missing && content.etag.is_some();
            match is_gone {
                true => self.changed(address),
                false => error,
            }
        })?;
        match content.begin(&Beginning::of(&answer)) {
            Ok(()) => {}
            Err(Trouble::Changed) => return Err(self.changed(address)),
            Err(Trouble::NotS3) => return Err(self.not_s3(address)),
            Err(Trouble::TooLong(bytes)) => {
                let message = format!("there is no memory for its {bytes} bytes");
                let kind = StoreErrorKind::Refused;
                return Err(self.error(kind, Wanted::Content, address, message));
            }
        }
        if content.total.is_none() {
            content.total = self.length_of(address, content.etag.clone()).await?;
        }
        self.pour(address, answer.body, content).await
    }

    /// The length of a content whose answer does not say it: nothing else tells that its connection ended too early. `None` where the store
    /// does not say it here either.
    async fn length_of(
        &self,
        address: &S3Address,
        etag: Option<String>,
    ) -> Result<Option<usize>, StoreError> {
        let request = self.client.head_object();
        let request = request.bucket(address.bucket()).key(address.key());
        let answer = request.set_if_match(etag).send().await.map_err(|error| {
            let error = self.failed(&error, Wanted::Look, address);
            // It was there a moment ago.
            match error.kind {
                StoreErrorKind::Missing => self.changed(address),
                _ => error,
            }
        })?;
        let length = answer.content_length();
        Ok(length.and_then(|length| usize::try_from(length).ok()))
    }

    /// Takes the body of an answer to its end; why it was cut, unless all of it came.
    async fn pour(
        &self,
        address: &S3Address,
        mut body: ByteStream,
        content: &mut Content,
    ) -> Result<Option<String>, StoreError> {
        let mut pace = Pace::new(self.patience.window, Instant::now());
        loop {
            let piece = tokio::time::timeout(self.patience.silence, body.next()).await;
            match piece {
                Err(_) => {
                    return Ok(Some(format!(
                        "nothing came for {:?}",
                        self.patience.silence
                    )));
                }
                // Some stores do not say how much there is, not even where it is asked for.
                Ok(None) if content.has_all() != Some(false) => return Ok(None),
                Ok(None) => return Ok(Some("the answer ended too early".to_string())),
                // Everything came, but with another checksum.
                Ok(Some(Err(_))) if content.has_all() == Some(true) => {
                    return Err(self.changed(address));
                }
                Ok(Some(Err(error))) => return Ok(Some(whole_chain(&error))),
                Ok(Some(Ok(piece))) => {
                    if content.take(&piece).is_err() {
                        return Err(self.changed(address));
                    }
                    let holds = pace.holds(piece.len(), Instant::now());
                    if !holds && content.has_all() != Some(true) {
                        return Ok(Some(format!(
                            "less than {PACE} bytes came in {:?}",
                            self.patience.window
                        )));
                    }
                }
            }
        }
    }

    fn changed(&self, address: &S3Address) -> StoreError {
        let message = "it was replaced meanwhile".to_string();
        self.error(StoreErrorKind::Changed, Wanted::Content, address, message)
    }

    pub(super) fn not_s3(&self, address: &S3Address) -> StoreError {
        let message = format!(
            "{} answers without the ETag that each object has, so that it is no object store; name one that speaks S3 (`store.endpoint`, or AWS_ENDPOINT_URL_S3)",
            self.place.endpoint
        );
        self.error(StoreErrorKind::NotS3, Wanted::Content, address, message)
    }
}

/// What was read so far.
struct Content {
    bytes: Vec<u8>,
    hash: Sha256,
    /// What all of it must be called.
    etag: Option<String>,
    /// Its length, once it is known.
    total: Option<usize>,
}

/// What an answer says of what follows.
struct Beginning<'a> {
    etag: Option<&'a str>,
    /// Such as `bytes 100-199/200`.
    range: Option<&'a str>,
    length: Option<i64>,
}

impl<'a> Beginning<'a> {
    fn of(answer: &'a GetObjectOutput) -> Self {
        Self {
            etag: answer.e_tag(),
            range: answer.content_range(),
            length: answer.content_length(),
        }
    }
}

/// Why an answer is of no use.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// It is of another content.
    Changed,
    /// It is no answer of an object store.
    NotS3,
    /// So many bytes are more than there is memory for.
    TooLong(usize),
}

impl Content {
    fn of(etag: Option<&str>) -> Self {
        Self {
            bytes: Vec::new(),
            hash: Sha256::new(),
            etag: etag.map(str::to_string),
            total: None,
        }
    }

    /// Takes what an answer says of itself. Not every store knows conditions and ranges, so that it is compared with what was asked for.
    fn begin(&mut self, beginning: &Beginning<'_>) -> Result<(), Trouble> {
        let etag = beginning.etag.ok_or(Trouble::NotS3)?;
        let expected = self.etag.get_or_insert_with(|| etag.to_string());
        if plain(expected) != plain(etag) {
            return Err(Trouble::Changed);
        }
        match beginning.range.map(first_byte) {
            Some(Some(first)) if first == self.bytes.len() => {}
            Some(_) => return Err(Trouble::Changed),
            // The whole object: it is read again.
            None => {
                self.bytes.clear();
                self.hash = Sha256::new();
            }
        }
        let Some(length) = beginning.length else {
            return Ok(());
        };
        let length = usize::try_from(length).map_err(|_| Trouble::NotS3)?;
        let total = self.bytes.len().saturating_add(length);
        if self.total.is_some_and(|known| known != total) {
            return Err(Trouble::Changed);
        }
        self.total = Some(total);
        let reserved = self.bytes.try_reserve_exact(length);
        reserved.map_err(|_| Trouble::TooLong(total))
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Trouble> {
        let length = self.bytes.len() + piece.len();
        if self.total.is_some_and(|total| length > total) {
            return Err(Trouble::Changed);
        }
        self.hash.update(piece);
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Whether all bytes came, where it is known how many there are.
    fn has_all(&self) -> Option<bool> {
        self.total.map(|total| total == self.bytes.len())
    }

    fn finished(self) -> ObjectBytes {
        ObjectBytes {
            bytes: self.bytes,
            sha256: hex(&self.hash.finalize()),
            etag: self.etag.as_deref().map(plain).map(str::to_string),
        }
    }
}

/// An ETag without the quotation marks that it is sent in.
pub(super) fn plain(etag: &str) -> &str {
    etag.trim_matches('"')
}

/// Where the bytes of an answer begin in the object.
fn first_byte(range: &str) -> Option<usize> {
    let range = range.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::s3::{Access, Credentials, Patience, S3Store};
    use podium_workload::table::{FileSource, sha256_hex};
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::path::Path;
    use std::thread::JoinHandle;
    use std::time::Duration;

    fn beginning<'a>(etag: &'a str, range: Option<&'a str>, length: i64) -> Beginning<'a> {
        Beginning {
            etag: Some(etag),
            range,
            length: Some(length),
        }
    }

    /// Four bytes of six were read of the content that is called `a`.
    fn cut() -> Content {
        let mut content = Content::of(None);
        content.begin(&beginning("\"a\"", None, 6)).unwrap();
        content.take(b"abcd").unwrap();
        assert_eq!(content.has_all(), Some(false));
        content
    }

    /// Answers each connection once, the n-th one with the n-th text, whatever is asked; the methods come back.
    fn served(answers: [&'static str; 3]) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                asked.push(line.split(' ').next().unwrap_or_default().to_string());
                while line.trim_end() != "" {
                    line.clear();
                    stream.read_line(&mut line).unwrap();
                }
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        (url, server)
    }

    #[test]
    fn what_does_not_say_its_length_and_is_cut_is_not_taken_for_the_whole() {
        let (url, server) = served([
            "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nConnection: close\r\n\r\nabcd",
            "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 6\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nContent-Range: bytes 4-5/6\r\nConnection: close\r\n\r\nef",
        ]);
        let store = S3Store::open(&Access {
            endpoint: Some(url),
            region: Some("us-east-1".to_string()),
            path_style: true,
            credentials: Some(Credentials::new("key", "secret", None, None, "test")),
            patience: Patience {
                silence: Duration::from_secs(5),
                pause: Duration::from_millis(1),
                attempts: 1,
                ..Patience::default()
            },
            ..Access::default()
        });
        let read = store.unwrap().read(Path::new("s3://bucket/rows.csv"));
        assert_eq!(read.unwrap().sha256(), sha256_hex(b"abcdef"));
        assert_eq!(server.join().unwrap(), ["GET", "HEAD", "GET"]);
    }

    #[test]
    fn what_was_cut_goes_on_and_has_the_digest_of_the_whole() {
        let mut content = cut();
        content
            .begin(&beginning("\"a\"", Some("bytes 4-5/6"), 2))
            .unwrap();
        content.take(b"ef").unwrap();
        assert_eq!(content.has_all(), Some(true));
        let read = content.finished();
        assert_eq!(read.bytes, b"abcdef");
        assert_eq!(read.sha256, sha256_hex(b"abcdef"));
        assert_eq!(read.etag.as_deref(), Some("a"));
    }

    #[test]
    fn a_store_without_ranges_sends_all_again() {
        let mut content = cut();
        content.begin(&beginning("\"a\"", None, 6)).unwrap();
        content.take(b"abcdef").unwrap();
        assert_eq!(content.finished().sha256, sha256_hex(b"abcdef"));
    }

    #[test]
    fn nothing_is_mixed() {
        let refused = |beginning: &Beginning<'_>| cut().begin(beginning).unwrap_err();
        for beginning in [
            beginning("\"b\"", Some("bytes 4-5/6"), 2),
            beginning("\"a\"", Some("bytes 3-5/6"), 3),
            beginning("\"a\"", Some("bytes 4-6/7"), 3),
            beginning("\"a\"", Some("lines 4-5/6"), 2),
            beginning("\"b\"", None, 6),
        ] {
            assert_eq!(refused(&beginning), Trouble::Changed);
        }
        assert_eq!(cut().take(b"efg"), Err(Trouble::Changed));
        let mut listed = Content::of(Some("listed"));
        let other = listed.begin(&beginning("\"other\"", None, 6));
        assert_eq!(other, Err(Trouble::Changed));
        let mut listed = Content::of(Some("\"listed\""));
        listed.begin(&beginning("\"listed\"", None, 6)).unwrap();
    }

    #[test]
    fn what_cannot_be_an_object_is_refused() {
        let without = Beginning {
            etag: None,
            ..beginning("", None, 6)
        };
        let begin = |beginning: &Beginning<'_>| Content::of(None).begin(beginning).unwrap_err();
        assert_eq!(begin(&without), Trouble::NotS3);
        assert_eq!(begin(&beginning("a", None, -1)), Trouble::NotS3);
        let endless = begin(&beginning("a", None, i64::MAX));
        assert!(matches!(endless, Trouble::TooLong(_)), "{endless:?}");
    }
}
