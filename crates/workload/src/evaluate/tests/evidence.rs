//! What was read is recorded as it was read.

use super::*;
use crate::table::MadeBy;
use std::sync::atomic::{AtomicBool, Ordering};

/// Two files take turns at one name while it is read: whatever was read is what was recorded.
#[test]
fn a_file_that_is_replaced_while_it_is_read_is_judged_and_recorded_as_it_was() {
    let files = Files::new();
    let good = csv(&rows(), ALL);
    let mut worse = rows();
    worse.iter_mut().for_each(|row| row[4] = "0.5".into());
    let worse = csv(&worse, ALL);
    let sha256 = crate::table::sha256_hex(worse.as_bytes());
    let path = files.path("challenger.csv");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for text in [&good, &worse].into_iter().cycle() {
                let beside = files.write("beside.csv", text);
                std::fs::rename(beside, &path).unwrap();
                if ended.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let read = || read_evidence(&LocalFiles, &files.request()).unwrap();
        let all_read: Vec<_> = (0..100).map(|_| read()).collect();
        ended.store(true, Ordering::Relaxed);
        for (holdout, evidence) in all_read {
            let judged_worse = holdout.challenger.iter().all(|score| *score == 0.5);
            assert_eq!(judged_worse, evidence.challenger.sha256 == sha256);
        }
    });
}

#[test]
fn every_file_is_recorded() {
    let files = Files::new();
    let holdout = files.write("holdout.csv", csv(&rows(), DESCRIPTION));
    let evidence = files.evidence(&files.with_holdout(None));
    for (read, name) in [
        (&evidence.champion, "champion.csv"),
        (&evidence.challenger, "challenger.csv"),
        (evidence.holdout.as_ref().unwrap(), "holdout.csv"),
    ] {
        assert_eq!(read.path, files.path(name));
        assert_eq!(read.sha256, digest_of(&read.path));
        assert_eq!(read.size, std::fs::metadata(&read.path).unwrap().len());
        assert_eq!(read.rows, ROWS);
    }
    assert_eq!(evidence.ids.len(), ROWS);
    std::fs::remove_file(holdout).unwrap();
    assert_eq!(files.evidence(&files.request()).holdout, None);
}

/// The request whose fingerprint covers everything that one can cover.
fn whole(files: &Files) -> Request {
    Request {
        weight: Some("w".into()),
        slices: vec![Slice {
            name: "seventh".into(),
            column: "customer".into(),
            equals: "7".into(),
        }],
        ..files.request()
    }
}

fn fingerprint(change: impl Fn(&mut Vec<Row>)) -> String {
    let files = Files::new();
    let mut changed = rows();
    change(&mut changed);
    let text = csv(&changed, ALL);
    files.write("champion.csv", &text);
    files.write("challenger.csv", &text);
    let evidence = files.evidence(&whole(&files));
    assert_eq!(evidence.fingerprint.len(), 64);
    evidence.fingerprint
}

#[test]
fn the_fingerprint_is_of_the_rows_and_not_of_their_order_or_scores() {
    let usual = fingerprint(|_| {});
    assert_eq!(fingerprint(|rows| rows.reverse()), usual);
    assert_eq!(fingerprint(|rows| rows[0][4] = "0.9".into()), usual);
}

#[test]
fn any_change_of_a_row_changes_the_fingerprint() {
    let changes: [fn(&mut Vec<Row>); 7] = [
        |_| {},
        |rows| rows[0][1] = "0".into(),
        |rows| rows[9][3] = "1.5".into(),
        |rows| rows[9][2] = "49".into(),
        |rows| rows[9][2] = "7".into(),
        |rows| rows[9][0] = "9000".into(),
        |rows| drop(rows.pop()),
    ];
    let found: std::collections::BTreeSet<String> = changes.iter().map(fingerprint).collect();
    assert_eq!(found.len(), changes.len());
}

#[test]
fn the_fingerprint_covers_what_the_request_names() {
    let files = Files::new();
    let request = whole(&files);
    let renamed = |name: &str| Slice {
        name: name.into(),
        ..request.slices[0].clone()
    };
    let requests = [
        request.clone(),
        Request {
            weight: None,
            ..request.clone()
        },
        Request {
            cluster: None,
            ..request.clone()
        },
        Request {
            slices: vec![],
            ..request.clone()
        },
        Request {
            slices: vec![Slice {
                equals: "8".into(),
                ..renamed("seventh")
            }],
            ..request.clone()
        },
        Request {
            slices: vec![renamed("other")],
            ..request.clone()
        },
        Request {
            slices: vec![renamed("a"), renamed("b")],
            ..request.clone()
        },
    ];
    let found: std::collections::BTreeSet<String> = requests
        .iter()
        .map(|request| files.evidence(request).fingerprint)
        .collect();
    assert_eq!(found.len(), requests.len());
}

#[test]
fn the_same_rows_have_the_same_fingerprint_as_csv_and_as_parquet() {
    let files = Files::new();
    let names = |mut rows: Vec<Row>| {
        for row in &mut rows {
            row[0] = format!("row-{}", row[0]);
            row[2] = format!("customer {}", row[2]);
        }
        rows
    };
    for (rows, equals) in [(rows(), "7"), (names(rows()), "customer 7")] {
        let mut whole = whole(&files);
        whole.slices[0].equals = equals.into();
        let text = csv(&rows, ALL);
        files.write("champion.csv", &text);
        files.write("challenger.csv", &text);
        let of_csv = files.evidence(&whole);
        let mixed: Vec<Row> = (0..ROWS).map(|row| rows[row * 7 % ROWS].clone()).collect();
        let parquet = files.path("champion.parquet");
        let mixed = files.write("mixed.csv", csv(&mixed, ALL));
        as_predictions(&mixed, &parquet, &MadeBy::default());
        let request = Request {
            source: Source::TwoFiles {
                champion: parquet.clone(),
                challenger: parquet,
                score: "score".into(),
            },
            ..whole
        };
        let of_parquet = files.evidence(&request);
        assert_eq!(of_parquet.fingerprint, of_csv.fingerprint);
        assert_ne!(of_parquet.champion.sha256, of_csv.champion.sha256);
        let sorted = |mut ids: Vec<u64>| {
            ids.sort_unstable();
            ids
        };
        assert_eq!(sorted(of_parquet.ids), sorted(of_csv.ids));
    }
}

#[test]
fn hashes_of_ids_are_distinct_and_depend_on_their_text_only() {
    let files = Files::new();
    let numbers = files.evidence(&files.request()).ids;
    let distinct: std::collections::BTreeSet<_> = numbers.iter().collect();
    assert_eq!(distinct.len(), ROWS);
    // One row whose id is no number makes the whole column texts.
    let mut texts = rows();
    texts[0][0] = "none".into();
    files.write("champion.csv", csv(&texts, ALL));
    files.write("challenger.csv", csv(&texts, ALL));
    let texts = files.evidence(&files.request()).ids;
    assert_ne!(texts[0], numbers[0]);
    assert_eq!(texts[1..], numbers[1..]);
}

#[test]
fn the_seed_follows_from_the_files_unless_it_is_given() {
    let files = Files::new();
    files.write("holdout.csv", csv(&rows(), DESCRIPTION));
    let derived = |request: Request| {
        let request = Request {
            seed: None,
            ..request
        };
        files.evidence(&request).seed
    };
    let line = |name: &str| digest_of(&files.path(name)) + "\n";
    let lines = line("champion.csv") + &line("challenger.csv");
    // `sha256sum` of the digests, a line each; 12 hexadecimal digits are 48 bits.
    let first_48_bits = |text: &str| {
        let digest = crate::table::sha256_hex(text.as_bytes());
        u64::from_str_radix(&digest[..12], 16).unwrap()
    };
    assert_eq!(derived(files.request()), first_48_bits(&lines));
    let with_holdout = lines + &line("holdout.csv");
    assert_eq!(
        derived(files.with_holdout(None)),
        first_48_bits(&with_holdout)
    );

    assert_eq!(files.evidence(&files.request()).seed, 1);
    let request = Request {
        seed: None,
        ..files.request()
    };
    let compared = files.evaluate(&request);
    assert_eq!(compared.comparison.statistics.seed, compared.evidence.seed);
}

/// Ledgers keep fingerprints and sketches for years, so these must never change. Computed by another program, from the description of the
/// encoding.
#[test]
fn fingerprints_and_hashes_are_what_they_always_were() {
    let files = Files::new();
    let text = "id,y,customer,w,score\nb,1,7,0.5,0.1\na,0,-3,2,0.2\né,0,7,1,0.3\n";
    files.write("champion.csv", text);
    files.write("challenger.csv", text);
    let mut request = whole(&files);
    request.slices[0].name = "seven".into();
    let evidence = files.evidence(&request);
    assert_eq!(
        evidence.fingerprint,
        "267cf915a46c19c0cb0bc93198b2e020b80faba588045aa272c9cb4dcdf20bd8"
    );
    assert_eq!(
        evidence.ids,
        [
            0x3e23_e816_0039_594a,
            0xca97_8112_ca1b_bdca,
            0x4a99_557e_4033_c353
        ]
    );
}
