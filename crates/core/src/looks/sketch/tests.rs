//! Sketches of holdouts that overlap in known ways.

use super::*;
use proptest::prelude::*;

fn fresh(rows: std::ops::Range<u64>) -> Sketch {
    Sketch::of(rows)
}

#[test]
fn a_holdout_with_one_changed_row_is_the_same_one() {
    let earlier = fresh(0..20_000);
    let changed = Sketch::of((0..20_000).map(|id| if id == 777 { 1 << 40 } else { id }));
    assert!(changed.shared_with(&earlier) > 0.98);
    assert!(changed.shares_most_rows_with(&earlier));
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let turned = Sketch::of((0..20_000).rev());
    assert_eq!(turned, fresh(0..20_000));
    assert_eq!(turned.rows(), 20_000);
}

#[test]
fn disjoint_holdouts_share_nothing() {
    let (first, second) = (fresh(0..20_000), fresh(20_000..40_000));
    assert_eq!(first.shared_with(&second), 0.0);
    assert!(!first.shares_most_rows_with(&second));
}

#[test]
fn a_part_of_an_earlier_holdout_is_no_fresh_one() {
    let earlier = fresh(0..20_000);
    for part in [0..10_000, 5_000..7_000, 3..303] {
        let part = fresh(part);
        assert_eq!(part.shared_with(&earlier), 1.0);
        assert!(part.shares_most_rows_with(&earlier));
    }
    assert!(earlier.shared_with(&fresh(0..2_000)) < 0.2);
}

#[test]
fn twice_as_many_new_rows_make_a_holdout_fresh() {
    let earlier = fresh(0..20_000);
    assert!(!fresh(0..60_000).shares_most_rows_with(&earlier));
    assert!(fresh(0..30_000).shares_most_rows_with(&earlier));
}

#[test]
fn small_holdouts_are_known_exactly() {
    let earlier = fresh(0..200);
    assert_eq!(fresh(100..350).shared_with(&earlier), 0.4);
    assert_eq!(fresh(100..300).shared_with(&earlier), 0.5);
    assert!(!fresh(100..300).shares_most_rows_with(&earlier));
    assert!(fresh(99..299).shares_most_rows_with(&earlier));
    assert!(!fresh(0..0).shares_most_rows_with(&earlier));
    assert!(!earlier.shares_most_rows_with(&fresh(0..0)));
}

#[test]
fn repeated_ids_count_once_but_as_rows() {
    let repeated = Sketch::of((0..40_000).map(|row| row / 2));
    assert_eq!(repeated.rows(), 40_000);
    assert_eq!(repeated.hashes, fresh(0..20_000).hashes);
}

#[test]
fn the_text_fits_registers_in_parts() {
    let sketch = fresh(0..1_000_000);
    let (text, parts) = (sketch.to_text(), sketch.parts());
    assert_eq!(text.len(), 2_066);
    assert!(parts.iter().all(|part| part.len() < 250));
    assert_eq!(parts.concat(), text);
    assert_eq!(Sketch::from_parts(&parts), Ok(sketch.clone()));
    assert_eq!(Sketch::parse(&text), Ok(sketch.clone()));

    assert_eq!(Sketch::from_parts(&parts[1..]), Err(SketchError::Damaged));
    assert_eq!(
        Sketch::from_parts(&parts[..parts.len() - 1]),
        Err(SketchError::Damaged)
    );
    let mut turned = parts;
    turned.swap(2, 3);
    assert_eq!(Sketch::from_parts(&turned), Err(SketchError::Damaged));
    assert_eq!(Sketch::from_parts::<&str>(&[]), Err(SketchError::Damaged));

    let json = serde_json::to_string(&sketch).unwrap();
    assert_eq!(json, format!("\"{text}\""));
    assert_eq!(serde_json::from_str::<Sketch>(&json).unwrap(), sketch);
    assert!(serde_json::from_str::<Sketch>("\"AQ\"").is_err());
}

#[test]
fn the_text_form_is_stable() {
    // Ledgers hold this text for years.
    assert_eq!(fresh(0..2).to_text(), "AQAAAAAAAAACO4aYREASjpAS2SIE9mSYpw");
}

proptest! {
    #[test]
    fn no_text_is_read_as_another_sketch(text in ".{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assert!(Sketch::parse(&text).is_err());
        let encoded = URL_SAFE_NO_PAD.encode(bytes);
        prop_assert!(Sketch::parse(&encoded).is_err());
        prop_assert!(Sketch::from_parts(&[&text, &encoded]).is_err());
    }

    #[test]
    fn a_changed_character_is_refused(rows in 0_u64..600, place in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
        let text = fresh(0..rows).to_text();
        let place = place.index(text.len());
        let mut changed = text.clone();
        changed.replace_range(place..=place, &to);
        prop_assert_eq!(Sketch::parse(&changed).is_ok(), changed == text);
        prop_assert_eq!(Sketch::parse(&text), Ok(fresh(0..rows)));
    }

    #[test]
    fn shares_of_30_and_of_70_percent_are_told_apart(
        first in any::<u32>(),
        rows in 2_000_u64..30_000,
        earlier_rows in 2_000_u64..30_000,
        is_most in any::<bool>(),
    ) {
        let first = u64::from(first) << 20;
        let shared = (rows as f64 * if is_most { 0.7 } else { 0.3 }) as u64;
        // An earlier holdout that is smaller than the shared part holds that part only.
        let earlier = fresh(first..first + earlier_rows.max(shared));
        let start = first + earlier_rows.max(shared) - shared;
        let later = fresh(start..start + rows);
        // The fewer of the later holdout's hashes lie below the limit, the rougher is the estimate.
        let counted = 256.0 * (rows as f64 / earlier_rows.max(rows) as f64);
        let tolerance = 4.5 * (0.21 / counted).sqrt();
        let estimate = later.shared_with(&earlier);
        prop_assert!((estimate - shared as f64 / rows as f64).abs() < tolerance, "{}", estimate);
        if counted > 100.0 {
            prop_assert_eq!(later.shares_most_rows_with(&earlier), is_most);
        }
    }
}
