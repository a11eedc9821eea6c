//! Files on a real object store: what is read there is what the same bytes are on this machine, and what cannot be read is said with what
//! mends it. Commands go by the variables of the environment, as in the pods of users.

use super::gates::write_predictions;
use podium_api::EvaluationSpec;
use podium_operator::adapters::s3::{Access, Credentials, Patience, PutMode, S3Store, Written};
use podium_operator::local::evaluator::{measure, request_of};
use podium_testbed::pki::Authority;
use podium_testbed::s3::{ACCESS_KEY, BUCKET, REGION, S3Server, SECRET_KEY};
use podium_workload::table::{FileBytes, FileSource, sha256_hex};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What nothing that is told may show.
const CANARY: &str = "a-canary-of-a-secret";

/// A store that tests need not wait long for.
pub fn access(url: &str) -> Access {
    Access {
        endpoint: Some(url.to_string()),
        region: Some(REGION.to_string()),
        path_style: true,
        ca_bundle: None,
        credentials: Some(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test")),
        patience: Patience {
            pause: Duration::from_millis(10),
            ..Patience::default()
        },
    }
}

pub fn store(url: &str) -> S3Store {
    S3Store::open(&access(url)).unwrap()
}

/// The address of an object in the bucket.
pub fn address(name: &str) -> PathBuf {
    PathBuf::from(format!("s3://{BUCKET}/{name}"))
}

pub fn put(store: &S3Store, name: &str, content: &str) {
    let bytes = content.as_bytes().to_vec();
    store.put(&address(name), bytes, PutMode::Replace).unwrap();
}

pub fn digest(store: &S3Store, name: &str) -> String {
    store.read(&address(name)).unwrap().sha256().to_string()
}

/// `podium` in an environment that names the store at this address.
pub fn podium(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podium"));
    command
        .env("AWS_ENDPOINT_URL_S3", url)
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        // Nothing of the machine that the tests run on.
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("AWS_CA_BUNDLE");
    command
}

/// What a command printed that succeeds.
pub fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// Everything that a command printed that fails.
pub fn fails(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let all = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&all).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

fn start(directory: &Path) -> S3Server {
    S3Server::start(&directory.join("s3")).unwrap()
}

/// Compares the predictions at these addresses.
fn evaluate<'a>(command: &'a mut Command, champion: &str, challenger: &str) -> &'a mut Command {
    command.args(["evaluate", "--champion", champion]);
    command.args(["--challenger", challenger]);
    command.args(["--id", "id", "--label", "label", "-o", "json"])
}

#[test]
fn objects_are_compared_as_the_same_files_are() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let store = store(&server.url());
    write_predictions(directory.path());
    let folder = "a folder/%41";
    for name in ["1.csv", "2.csv"] {
        let text = fs::read_to_string(directory.path().join(name)).unwrap();
        put(&store, &format!("{folder}/{name}"), &text);
    }
    let compared = |place: &str| -> Value {
        let [champion, challenger] = ["1.csv", "2.csv"].map(|name| format!("{place}/{name}"));
        let mut command = podium(&server.url());
        let printed = succeeds(evaluate(&mut command, &champion, &challenger));
        serde_json::from_str(&printed).unwrap()
    };
    let on_files = compared(directory.path().to_str().unwrap());
    let on_objects = compared(address(folder).to_str().unwrap());
    for field in ["verdict", "sentence", "comparison"] {
        assert_eq!(on_objects[field], on_files[field], "{field}");
    }
    let evidence = |report: &Value, field: &str| report["evidence"][field].clone();
    for field in ["seed", "fingerprint"] {
        assert_eq!(evidence(&on_objects, field), evidence(&on_files, field));
    }
    for side in ["champion", "challenger"] {
        let (object, file) = (evidence(&on_objects, side), evidence(&on_files, side));
        for field in ["sha256", "size", "rows"] {
            assert_eq!(object[field], file[field], "{side} {field}");
        }
        assert!(object["etag"].as_str().is_some_and(|etag| !etag.is_empty()));
        assert_eq!(file["etag"], Value::Null);
    }
}

/// Writes the same file into a directory and into the store.
fn write_part(store: &S3Store, directory: &Path, name: &str, content: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    put(store, name, content);
}

#[test]
fn parts_below_a_prefix_are_the_table_that_they_are_in_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let store = store(&server.url());
    let files = directory.path().join("files");
    for (name, content) in [
        ("t/day=2/part-0.csv", "id,y\n1,0\n2,1\n"),
        ("t/day=10/part-0.csv", "id,y\n3,1\n"),
        ("t/day=2/.part-0.csv.crc", "crc"),
        ("t/_SUCCESS", ""),
    ] {
        write_part(&store, &files, name, content);
    }
    let of_directory = FileBytes::read(&files.join("t")).unwrap();
    for name in ["t", "t/"] {
        assert_eq!(digest(&store, name), of_directory.sha256());
    }
    let head = || store.head(&address("t")).unwrap().unwrap();
    let before = head();
    assert_eq!(before.size, 22);
    let read = store.read(&address("t")).unwrap();
    assert_eq!(read.etag(), Some(before.etag.as_str()));
    put(&store, "t/_SUCCESS", "again");
    assert_eq!(head(), before, "a marker is no part");
    put(&store, "t/day=10/part-0.csv", "id,y\n3,0\n");
    assert_ne!(head(), before);

    put(&store, "t/_temporary/0/part-1.csv", "");
    let unfinished = store.read(&address("t")).unwrap_err();
    assert!(unfinished.is_missing(), "{unfinished}");
    let expected = format!("s3://{BUCKET}/t: the directory holds `_temporary`");
    assert!(
        unfinished.to_string().starts_with(&expected),
        "{unfinished}"
    );
    put(&store, "delta/_delta_log/0.json", "{}");
    let refused = store.read(&address("delta")).unwrap_err().to_string();
    assert!(refused.contains("Delta Lake"), "{refused}");
}

/// A store tells a thousand names at a time.
#[test]
fn a_table_may_have_more_parts_than_a_page_of_a_list() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let store = store(&server.url());
    let files = directory.path().join("files");
    let numbers: Vec<u32> = (0..1005).collect();
    std::thread::scope(|scope| {
        for numbers in numbers.chunks(126) {
            let (store, files) = (&store, &files);
            scope.spawn(move || {
                for number in numbers {
                    let content = format!("id,y\n{number},0\n");
                    write_part(store, files, &format!("many/p-{number}.csv"), &content);
                }
            });
        }
    });
    let of_directory = FileBytes::read(&files.join("many")).unwrap();
    assert_eq!(digest(&store, "many"), of_directory.sha256());
}

#[test]
fn what_is_not_there_is_told_from_what_cannot_be_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let url = server.url();
    let store = store(&url);
    let absent = store.read(&address("absent.csv")).unwrap_err();
    assert_eq!(absent.missing(), Some(address("absent.csv").as_path()));
    let text = format!("cannot read s3://{BUCKET}/absent.csv: it does not exist");
    assert_eq!(absent.to_string(), text);
    assert_eq!(store.head(&address("absent.csv")).unwrap(), None);
    assert!(
        store
            .read_model(&address("models/1"))
            .unwrap_err()
            .is_missing()
    );
    put(&store, "models/1/README.md", "no model");
    let no_model = store.read_model(&address("models/1")).unwrap_err();
    assert!(no_model.is_missing() && no_model.to_string().contains("`model.parquet`"));

    let elsewhere = Path::new("s3://nowhere/a.csv");
    for refused in [
        store.read(elsewhere).map(drop).unwrap_err(),
        store.head(elsewhere).map(drop).unwrap_err(),
    ] {
        let text = refused.to_string();
        assert!(
            text.contains("no bucket `nowhere`") && text.contains(&url),
            "{text}"
        );
        assert!(!refused.is_missing());
    }
    let unstored = store
        .put(elsewhere, Vec::new(), PutMode::Replace)
        .unwrap_err();
    let text = unstored.to_string();
    assert!(
        text.starts_with("cannot write s3://nowhere/a.csv: there is no bucket"),
        "{text}"
    );

    let once = |content: &[u8]| store.put(&address("once"), content.to_vec(), PutMode::CreateOnly);
    assert!(matches!(once(b"first").unwrap(), Written::New(Some(_))));
    assert_eq!(once(b"second").unwrap(), Written::Existed);
    assert_eq!(digest(&store, "once"), sha256_hex(b"first"));
}

#[test]
fn credentials_that_are_wrong_or_missing_are_told_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let [old, new] = ["1.csv", "2.csv"].map(|name| address(name).display().to_string());
    let said = |change: &dyn Fn(&mut Command)| {
        let mut command = podium(&server.url());
        change(evaluate(&mut command, &old, &new));
        let said = fails(&mut command);
        assert!(said.contains(&old), "{said}");
        assert!(
            !said.contains(CANARY) && !said.contains(SECRET_KEY),
            "{said}"
        );
        said
    };
    let wrong = "correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY";
    let with_another_secret = said(&|command: &mut Command| {
        command.env("AWS_SECRET_ACCESS_KEY", CANARY);
    });
    assert!(with_another_secret.contains(wrong), "{with_another_secret}");
    let of_a_stranger = said(&|command: &mut Command| {
        command.env("AWS_ACCESS_KEY_ID", "stranger");
    });
    assert!(of_a_stranger.contains(wrong), "{of_a_stranger}");
    let without = said(&|command: &mut Command| {
        command.env_remove("AWS_ACCESS_KEY_ID");
        command.env_remove("AWS_SECRET_ACCESS_KEY");
    });
    assert!(without.contains("no credentials were found"), "{without}");
}

#[test]
fn an_own_authority_is_trusted_where_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let certificates = directory.path().join("certificates");
    let authority = Authority::new(&certificates).unwrap();
    authority.server("server", &["127.0.0.1"]).unwrap();
    let data = directory.path().join("s3 behind TLS");
    let server = S3Server::start_with_certificate(&data, &certificates).unwrap();
    let trusting = |bundle: Option<PathBuf>| {
        let access = Access {
            ca_bundle: bundle,
            ..access(&server.url())
        };
        S3Store::open(&access).unwrap()
    };
    write_predictions(directory.path());
    let rows = fs::read_to_string(directory.path().join("1.csv")).unwrap();
    let bundle = certificates.join("ca.crt");
    put(&trusting(Some(bundle.clone())), "a.csv", &rows);
    let refused = trusting(None).read(&address("a.csv")).unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("is not trusted"), "{refused}");
    assert!(refused.contains("AWS_CA_BUNDLE"), "{refused}");

    let object = address("a.csv").display().to_string();
    let mut command = podium(&server.url());
    evaluate(&mut command, &object, &object).env("AWS_CA_BUNDLE", &bundle);
    succeeds(&mut command);

    // The wrong scheme, in both ways.
    let other = start(directory.path());
    for url in [
        server.url().replace("https://", "http://"),
        other.url().replace("http://", "https://"),
    ] {
        let refused = store(&url).read(&address("a.csv")).unwrap_err();
        assert!(refused.to_string().contains(&url), "{refused}");
        assert!(!refused.is_missing());
    }
}

#[test]
fn a_stored_comparison_is_recomputed_from_objects() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let store = store(&server.url());
    write_predictions(directory.path());
    for name in ["1.csv", "2.csv"] {
        let text = fs::read_to_string(directory.path().join(name)).unwrap();
        put(&store, name, &text);
    }
    let spec: EvaluationSpec = serde_json::from_value(json!({
        "policyRef": {"name": "fraud"}, "model": "fraud",
        "champion": {"version": "1", "predictions": address("1.csv")},
        "challenger": {"version": "2", "predictions": address("2.csv"), "source": "models:/m-1"},
        "store": {"endpoint": server.url(), "region": REGION, "pathStyle": true},
        "columns": {"id": "id", "label": "label", "score": "score"},
        "test": {"primary": {"metric": "rocAuc"}},
        "rowsNoun": "rows",
    }))
    .unwrap();
    let request = request_of(Path::new(""), &spec).unwrap();
    let measured = measure(&store, &request, &spec, &mut |_, _| {}).unwrap();
    let read = &measured.evidence.champion;
    let head = store.head(&address("1.csv")).unwrap().unwrap();
    assert_eq!(read.etag.as_deref(), Some(head.etag.as_str()));
    assert_eq!(u64::try_from(read.size).unwrap(), head.size);

    let file = directory.path().join("evaluation.yaml");
    let stored = json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "Evaluation", "metadata": {"name": "fraud-1-2"},
        "spec": spec,
        "status": {
            "phase": "Compared", "seed": measured.statistics.seed,
            "statistics": measured.statistics, "evidence": measured.evidence,
        },
    });
    fs::write(&file, stored.to_string()).unwrap();
    // Where the store is stands in the object; the environment brings the account.
    let recompute = || {
        let mut command = podium("http://127.0.0.1:1");
        command.args(["evaluate", "--from"]).arg(&file);
        command
    };
    let same = succeeds(&mut recompute());
    assert!(same.contains("the same, bit for bit"), "{same}");
    put(
        &store,
        "2.csv",
        &fs::read_to_string(directory.path().join("1.csv")).unwrap(),
    );
    let differs = fails(&mut recompute());
    assert!(
        differs.contains("status.evidence.challenger.sha256 differs"),
        "{differs}"
    );
}
