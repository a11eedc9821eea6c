//! Looks: what is there has a digest that changes with it, and what is not is missing.

use podium_operator::adapters::directory::store::DirectoryStore;
use podium_operator::ports::{ObjectStore, Sight};

/// Stores bytes under a name and returns their URI.
type Put = Box<dyn Fn(&str, &[u8]) -> String>;

/// A store, and a way to put objects into it.
struct Case<S> {
    store: S,
    put: Put,
}

impl<S: ObjectStore> Case<S> {
    async fn digest(&self, uri: &str) -> String {
        match self.store.look(uri).await.unwrap() {
            Sight::Present(digest) => digest,
            other => panic!("{uri}: {other:?}"),
        }
    }
}

async fn a_digest_names_the_bytes(case: &Case<impl ObjectStore>) {
    let uri = (case.put)("a.parquet", b"");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(case.digest(&uri).await, empty);
    (case.put)("a.parquet", b"other");
    let changed = case.digest(&uri).await;
    assert_ne!(changed, empty);
    let twin = (case.put)("b.parquet", b"other");
    assert_eq!(case.digest(&twin).await, changed);
}

async fn what_is_not_there_is_missing(case: &Case<impl ObjectStore>) {
    let uri = (case.put)("a.parquet", b"1").replace("a.parquet", "missing.parquet");
    assert_eq!(case.store.look(&uri).await.unwrap(), Sight::Missing);
}

/// The digest that `docs/data.md` computes by hand.
async fn a_directory_of_parts_has_the_digest_of_its_list(case: &Case<impl ObjectStore>) {
    let part = (case.put)("t/part-1.csv", b"");
    (case.put)("t/_SUCCESS", b"");
    let uri = part.replace("/part-1.csv", "");
    let listed = (case.put)(
        "list",
        b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  part-1.csv\n",
    );
    let of_list = case.digest(&listed).await;
    assert_eq!(case.digest(&uri).await, of_list);
    (case.put)("t/part-0.csv", b"");
    assert_ne!(case.digest(&uri).await, of_list);
    (case.put)("t/_temporary/part-2.csv", b"");
    let unfinished = case.store.look(&uri).await.unwrap_err().to_string();
    assert!(unfinished.contains("has not finished"), "{unfinished}");
}

async fn a_scheme_of_another_world_is_refused(case: &Case<impl ObjectStore>) {
    let error = case
        .store
        .look("gopher://a/b")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("gopher"), "{error}");
}

fn directory() -> (Case<DirectoryStore>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().to_path_buf();
    let put: Put = Box::new(move |name: &str, bytes: &[u8]| {
        let path = base.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        format!("file://{name}")
    });
    let store = DirectoryStore::new(directory.path().to_path_buf());
    (Case { store, put }, directory)
}

suite! {
    directory_store => super::directory();
    [
    a_digest_names_the_bytes,
    a_directory_of_parts_has_the_digest_of_its_list,
    what_is_not_there_is_missing,
    a_scheme_of_another_world_is_refused,
    ]
}
