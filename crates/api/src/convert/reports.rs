//! Where a policy may have reports written.

use super::{Problems, World};
use crate::champion_policy::ReportsSpec;

/// What stands in the way of reports there. The address is not repeated: one that is not as it should be may hold what opens it.
pub(super) fn check(reports: &ReportsSpec, world: World, problems: &mut Problems) {
    let ReportsSpec { uri } = reports;
    match world {
        World::Local if !is_file(uri) => problems.add(
            "reports.uri",
            "must be a path or a `file:` URI here: `podium run` writes files of this machine, and to no object store",
        ),
        World::Cluster if !is_folder_of_objects(uri) => problems.add(
            "reports.uri",
            "must have the form s3://BUCKET or s3://BUCKET/FOLDER in a cluster, where the pod that compares writes it",
        ),
        World::Local | World::Cluster => {}
    }
}

fn is_file(uri: &str) -> bool {
    match uri.split_once("://") {
        Some((scheme, _)) => scheme.eq_ignore_ascii_case("file"),
        None => true,
    }
}

fn is_folder_of_objects(uri: &str) -> bool {
    let place = uri.strip_prefix("s3://");
    let bucket = place.map(|place| place.split_once('/').map_or(place, |(bucket, _)| bucket));
    let may_be = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    bucket.is_some_and(|bucket| !bucket.is_empty() && bucket.chars().all(may_be))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(uri: &str, world: World) -> Vec<String> {
        let mut problems = Problems::default();
        let uri = uri.to_string();
        check(&ReportsSpec { uri }, world, &mut problems);
        problems.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reports_lie_where_whoever_compares_can_write() {
        for (uri, local, cluster) in [
            ("reports", true, false),
            ("file://reports", true, false),
            ("FILE:///srv/reports/", true, false),
            ("s3://evaluation", false, true),
            ("s3://evaluation/", false, true),
            ("s3://evaluation/fraud/a folder//", false, true),
            ("s3://", false, false),
            ("s3:///fraud", false, false),
            ("s3a://evaluation/fraud", false, false),
            ("https://evaluation.example.com/fraud", false, false),
        ] {
            assert_eq!(problems(uri, World::Local).is_empty(), local, "{uri}");
            assert_eq!(problems(uri, World::Cluster).is_empty(), cluster, "{uri}");
        }
    }

    #[test]
    fn an_address_that_is_refused_is_named_by_its_path_and_not_repeated() {
        for (uri, world) in [
            ("s3://me:canary@evaluation/fraud", World::Cluster),
            (
                "https://evaluation/fraud?X-Amz-Signature=canary",
                World::Cluster,
            ),
            (
                "https://evaluation/fraud?X-Amz-Signature=canary",
                World::Local,
            ),
        ] {
            let found = problems(uri, world);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("reports.uri: must "), "{found:?}");
            assert!(!found[0].contains("canary"), "{found:?}");
        }
    }
}
