//! The names of searches. They follow from the policy and the occasion, so that creating one twice creates it once.

use super::input::Occasion;
use crate::champion::cause::digest;

/// A search's name is a part of the names of its trials, Jobs and pods, which have at most 63 characters.
const LONGEST_NAME: usize = 52;
/// Characters of the value of a label.
const LONGEST_LABEL: usize = 63;
/// Characters of a digest in a name.
const DIGEST: usize = 10;
const MILLISECONDS_PER_MINUTE: i64 = 60_000;

/// The name of the search that a policy starts for an occasion: for a time of the schedule with the minutes since 1970, as a CronJob
/// names its Jobs.
#[must_use]
pub fn search_name(policy: &str, occasion: &Occasion) -> String {
    let suffix = match occasion {
        Occasion::Schedule(time) => time.0.div_euclid(MILLISECONDS_PER_MINUTE).to_string(),
        Occasion::RunNow(value) => format!("now-{}", short_digest(value)),
    };
    let room = LONGEST_NAME.saturating_sub(suffix.len() + 1);
    format!("{}-{suffix}", shortened(policy, room))
}

/// The value of the label by which the searches of a policy are found.
#[must_use]
pub fn label_of(policy: &str) -> String {
    shortened(policy, LONGEST_LABEL)
}

fn short_digest(text: &str) -> String {
    digest(&[text]).chars().take(DIGEST).collect()
}

/// The name, or a part of it that ends with a digest of the whole.
fn shortened(name: &str, most: usize) -> String {
    if name.len() <= most {
        return name.to_string();
    }
    let room = most.saturating_sub(DIGEST + 1);
    let kept: String = name.chars().take(room).collect();
    // A part of a name must end with a letter or a digit, also before a dot.
    let kept = kept.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    format!("{kept}-{}", short_digest(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_name_follows_from_the_policy_and_the_minute_or_the_value() {
        let three = Occasion::Schedule(Timestamp(1_764_298_800_000));
        assert_eq!(search_name("fraud", &three), "fraud-29404980");
        let asked = |value: &str| search_name("fraud", &Occasion::RunNow(value.to_string()));
        assert!(asked("a").starts_with("fraud-now-"));
        assert_eq!(asked("a"), asked("a"));
        assert_ne!(asked("a"), asked("b"));
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let is_alphanumeric = |c: char| c.is_ascii_alphanumeric();
        for length in [43, 44, 60, 253] {
            for policy in ["a".repeat(length), "a-b.".repeat(length / 4 + 1) + "z"] {
                for occasion in [
                    Occasion::Schedule(Timestamp(1_764_298_800_000)),
                    Occasion::RunNow(policy.clone()),
                ] {
                    let name = search_name(&policy, &occasion);
                    assert!(name.len() <= LONGEST_NAME, "{name}");
                    for part in name.split('.') {
                        assert!(part.starts_with(is_alphanumeric), "{name}");
                        assert!(part.ends_with(is_alphanumeric), "{name}");
                    }
                    assert_ne!(name, search_name(&(policy.clone() + "b"), &occasion));
                }
                assert!(label_of(&policy).len() <= LONGEST_LABEL);
            }
        }
        assert_eq!(label_of("fraud"), "fraud");
    }
}
