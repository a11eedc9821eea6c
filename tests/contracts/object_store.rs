//! Digests: of what is there, changing with it, absent with it.

use podium_operator::adapters::directory::store::DirectoryStore;
use podium_operator::ports::ObjectStore;

/// Stores bytes under a name and returns their URI.
type Put = Box<dyn Fn(&str, &[u8]) -> String>;

/// A store, and a way to put objects into it.
struct Case<S> {
    store: S,
    put: Put,
}

async fn a_digest_names_the_bytes(case: &Case<impl ObjectStore>) {
    let uri = (case.put)("a.parquet", b"");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(
        case.store.digest(&uri).await.unwrap().as_deref(),
        Some(empty)
    );
    (case.put)("a.parquet", b"other");
    let changed = case.store.digest(&uri).await.unwrap().unwrap();
    assert_ne!(changed, empty);
    let twin = (case.put)("b.parquet", b"other");
    assert_eq!(case.store.digest(&twin).await.unwrap(), Some(changed));
}

async fn what_is_not_there_has_none(case: &Case<impl ObjectStore>) {
    let uri = (case.put)("a.parquet", b"1").replace("a.parquet", "missing.parquet");
    assert_eq!(case.store.digest(&uri).await.unwrap(), None);
}

async fn a_scheme_of_another_world_is_refused(case: &Case<impl ObjectStore>) {
    let error = case
        .store
        .digest("gopher://a/b")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("gopher"), "{error}");
}

fn directory() -> (Case<DirectoryStore>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().to_path_buf();
    let put: Put = Box::new(move |name: &str, bytes: &[u8]| {
        std::fs::write(base.join(name), bytes).unwrap();
        format!("file://{name}")
    });
    let store = DirectoryStore::new(directory.path().to_path_buf());
    (Case { store, put }, directory)
}

suite! {
    directory_store => super::directory();
    [
    a_digest_names_the_bytes,
    what_is_not_there_has_none,
    a_scheme_of_another_world_is_refused,
    ]
}
