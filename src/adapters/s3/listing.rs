//! Tables in parts: the objects whose keys lie below an address, read as one.

use super::address::S3Address;
use super::answer::{Met, StoreError, StoreErrorKind, Wanted};
use super::reading::{BEGINNINGS, plain};
use super::requests::Requests;
use futures::{StreamExt, TryStreamExt};
use podium_workload::model_file::model_among;
use podium_workload::table::{
    FileBytes, ObjectBytes, PartFile, TableError, parts_among, sha256_hex,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Objects below one address, above which it is taken for a mistake.
const MOST_OBJECTS: usize = 100_000;
/// Requests for their names. A store may give few at a time, but not for ever.
const MOST_PAGES: usize = 1000;
/// Parts that are read at once.
const AT_ONCE: usize = 8;

/// What is known of an object or a table before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What the store calls its content; of a table, a digest of what it calls those of all parts.
    pub etag: String,
    /// Number of its bytes.
    pub size: u64,
}

/// An object as a list shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Listed {
    /// As it is sent, with quotation marks.
    etag: Option<String>,
    size: u64,
}

/// Objects by their names below an address.
type Names = BTreeMap<String, Listed>;
/// Those that are parts of a table, in their order.
type Parts = Vec<(PartFile, Listed)>;

impl Requests {
    /// The object or the table in parts at an address.
    pub(super) async fn file(
        &self,
        path: &Path,
        address: &S3Address,
    ) -> Result<FileBytes, TableError> {
        if let Some(object) = self.object_if_any(address).await? {
            return Ok(FileBytes::of_object(path, object));
        }
        let table = self.table(path, address).await?;
        table.ok_or_else(|| missing(path, "it does not exist"))
    }

    /// The file of the model at an address, or in the folder of that name.
    pub(super) async fn model(
        &self,
        path: &Path,
        address: &S3Address,
    ) -> Result<FileBytes, TableError> {
        if let Some(object) = self.object_if_any(address).await? {
            return Ok(FileBytes::of_object(path, object));
        }
        let names = self.names(address, Some("/")).await?;
        if names.is_empty() {
            return Err(missing(path, "it does not exist"));
        }
        let name = model_among(names.keys().map(String::as_str));
        let file = address.below(name.map_err(|why| missing(path, &why))?);
        let object = self.object(&file).await?;
        Ok(FileBytes::of_object(
            &PathBuf::from(file.to_string()),
            object,
        ))
    }

    async fn object_if_any(&self, address: &S3Address) -> Result<Option<ObjectBytes>, StoreError> {
        if !address.may_be_an_object() {
            return Ok(None);
        }
        match self.object(address).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.kind == StoreErrorKind::Missing => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What an object or a table in parts is called now; `None` where there is neither.
    pub(super) async fn head(
        &self,
        path: &Path,
        address: &S3Address,
    ) -> Result<Option<Head>, TableError> {
        if let Some(head) = self.head_of_object(address).await? {
            return Ok(Some(head));
        }
        let parts = self.listed(path, address).await?;
        Ok(parts.as_deref().map(head_of))
    }

    async fn head_of_object(&self, address: &S3Address) -> Result<Option<Head>, StoreError> {
        if !address.may_be_an_object() {
            return Ok(None);
        }
        let request = self.client.head_object();
        let request = request.bucket(address.bucket()).key(address.key());
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let failed = self.failed(&error, Wanted::Look, address);
                return match failed.kind {
                    StoreErrorKind::Missing => Ok(None),
                    // A look is answered without words; a list says what is wrong.
                    _ if Met::of(&error).is_wordless() => {
                        self.names(address, None).await?;
                        Err(failed)
                    }
                    _ => Err(failed),
                };
            }
        };
        let size = answer
            .content_length()
            .and_then(|size| u64::try_from(size).ok());
        match (answer.e_tag(), size) {
            (Some(etag), Some(size)) => Ok(Some(Head {
                etag: plain(etag).to_string(),
                size,
            })),
            _ => Err(self.not_s3(address)),
        }
    }

    /// The table in parts at an address, as it was at one time: a table that changes while it is read is begun anew.
    async fn table(
        &self,
        path: &Path,
        address: &S3Address,
    ) -> Result<Option<FileBytes>, TableError> {
        for beginning in 1..=BEGINNINGS {
            let Some(parts) = self.listed(path, address).await? else {
                return Ok(None);
            };
            let before = head_of(&parts);
            match self.parts(address, parts).await {
                Ok(read) => {
                    let now = self.listed(path, address).await?;
                    if now.as_deref().map(head_of).as_ref() == Some(&before) {
                        return Ok(Some(FileBytes::of_parts(path, read, before.etag)));
                    }
                }
                Err(error) if error.kind == StoreErrorKind::Changed => {}
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(self.patience.pause_before(beginning)).await;
        }
        Err(self.replaced(address).into())
    }

    /// The parts of the table at an address; `None` where nothing lies below it.
    async fn listed(&self, path: &Path, address: &S3Address) -> Result<Option<Parts>, TableError> {
        let names = self.names(address, None).await?;
        if names.is_empty() {
            return Ok(None);
        }
        parts_of(path, &names).map(Some)
    }

    /// All parts as the list showed them.
    async fn parts(
        &self,
        address: &S3Address,
        parts: Parts,
    ) -> Result<Vec<(PartFile, ObjectBytes)>, StoreError> {
        let reads = parts.into_iter().map(|(part, listed)| async move {
            let address = address.below(part.name());
            let object = self.content(&address, listed.etag.as_deref()).await?;
            Ok::<_, StoreError>((part, object))
        });
        futures::stream::iter(reads)
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// The objects below an address; up to the next `delimiter` in their names, where it is given.
    async fn names(
        &self,
        address: &S3Address,
        delimiter: Option<&str>,
    ) -> Result<Names, StoreError> {
        let prefix = address.prefix();
        let mut names = Names::new();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let request = self
                .client
                .list_objects_v2()
                .bucket(address.bucket())
                .prefix(&prefix)
                .set_delimiter(delimiter.map(str::to_string))
                .set_continuation_token(next);
            let page = request.send().await;
            let page = page.map_err(|error| self.failed(&error, Wanted::Names, address))?;
            for object in page.contents() {
                let Some(name) = object.key().and_then(|key| key.strip_prefix(&prefix)) else {
                    continue;
                };
                let size = object.size().and_then(|size| u64::try_from(size).ok());
                let listed = Listed {
                    etag: object.e_tag().map(str::to_string),
                    size: size.unwrap_or_default(),
                };
                names.insert(name.to_string(), listed);
            }
            next = match rest_of(page.is_truncated(), page.next_continuation_token()) {
                Rest::Nothing => return Ok(names),
                Rest::From(token) => Some(token.to_string()),
                Rest::Unreachable => {
                    let message = "the store says that more objects lie below it and not how they are asked for; it must know ListObjectsV2";
                    let kind = StoreErrorKind::Refused;
                    return Err(self.error(kind, Wanted::Names, address, message.to_string()));
                }
            };
            if names.len() > MOST_OBJECTS {
                break;
            }
        }
        let message = format!(
            "more than {MOST_OBJECTS} objects lie below it, or their names do not end; name a table with fewer parts"
        );
        Err(self.error(StoreErrorKind::Refused, Wanted::Names, address, message))
    }
}

/// What follows a page of a list.
#[derive(Debug, PartialEq, Eq)]
enum Rest<'a> {
    /// It was the last one.
    Nothing,
    /// The page that is asked for so.
    From(&'a str),
    /// More, which nobody can ask for: a store that knows only the first version of lists says so.
    Unreachable,
}

fn rest_of(is_truncated: Option<bool>, token: Option<&str>) -> Rest<'_> {
    match (is_truncated, token.filter(|token| !token.is_empty())) {
        (Some(false), _) | (None, None) => Rest::Nothing,
        (_, Some(token)) => Rest::From(token),
        (Some(true), None) => Rest::Unreachable,
    }
}

fn missing(path: &Path, why: &str) -> TableError {
    TableError::Missing {
        path: path.to_path_buf(),
        message: why.to_string(),
    }
}

fn parts_of(path: &Path, names: &Names) -> Result<Parts, TableError> {
    let parts = parts_among(path, names.keys().map(String::as_str))?;
    let with_its_listed = |part: PartFile| {
        let listed = names.get(part.name()).cloned().unwrap_or_default();
        (part, listed)
    };
    Ok(parts.into_iter().map(with_its_listed).collect())
}

/// What a table is called, by what its parts are called.
fn head_of(parts: &[(PartFile, Listed)]) -> Head {
    let line = |(part, listed): &(PartFile, Listed)| {
        let etag = listed.etag.as_deref().map_or("", plain);
        format!("{etag}  {}  {}\n", listed.size, part.name())
    };
    let lines: String = parts.iter().map(line).collect();
    Head {
        etag: format!("parts-{}", sha256_hex(lines.as_bytes())),
        size: parts.iter().map(|(_, listed)| listed.size).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(listed: &[(&str, &str, u64)]) -> Head {
        let names: Names = listed
            .iter()
            .map(|(name, etag, size)| {
                let listed = Listed {
                    etag: Some((*etag).to_string()),
                    size: *size,
                };
                ((*name).to_string(), listed)
            })
            .collect();
        let path = Path::new("s3://bucket/t");
        head_of(&parts_of(path, &names).unwrap())
    }

    #[test]
    fn a_list_in_part_is_not_taken_for_a_whole_one() {
        for (is_truncated, token, rest) in [
            (Some(true), Some("t"), Rest::From("t")),
            (None, Some("t"), Rest::From("t")),
            (Some(true), None, Rest::Unreachable),
            (Some(true), Some(""), Rest::Unreachable),
            (Some(false), None, Rest::Nothing),
            (Some(false), Some("t"), Rest::Nothing),
            (None, None, Rest::Nothing),
        ] {
            assert_eq!(rest_of(is_truncated, token), rest);
        }
    }

    #[test]
    fn a_table_is_called_by_its_parts_and_by_nothing_else() {
        let table = head(&[("p-0", "\"a\"", 3), ("p-1", "\"b\"", 4)]);
        assert_eq!(table.size, 7);
        let with_marker = [("_SUCCESS", "\"c\"", 0), ("p-0", "a", 3), ("p-1", "b", 4)];
        assert_eq!(head(&with_marker), table);
        for other in [
            &[("p-0", "a", 3)][..],
            &[("p-0", "b", 3), ("p-1", "a", 4)],
            &[("p-0", "a", 3), ("p-2", "b", 4)],
            &[("p-0", "a", 4), ("p-1", "b", 3)],
        ] {
            assert_ne!(head(other), table, "{other:?}");
        }
    }
}
