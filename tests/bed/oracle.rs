//! What must hold of every search, whatever happened to it.

use super::Bed;
use super::operator::Operator;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use kube::api::ListParams;
use podium_api::{Trial, TuningJob};
use std::collections::BTreeMap;

/// How often a trial and a Job of that name was created, by all lives of these operators, such as `jobs forest-1-1`.
pub fn created<'a>(operators: impl IntoIterator<Item = &'a Operator>) -> BTreeMap<String, usize> {
    let mut created = BTreeMap::new();
    for operator in operators {
        for request in operator.writes() {
            let made = ["trials", "jobs"].contains(&request.resource.as_str());
            if made && request.code == Some(201) {
                let name = format!("{} {}", request.resource, request.name);
                *created.entry(name).or_insert(0) += 1;
            }
        }
    }
    created
}

/// One trial for each index and one Job for each, each created once.
pub fn nothing_ran_twice<'a>(
    search: &str,
    trials: u32,
    operators: impl IntoIterator<Item = &'a Operator>,
) {
    let wanted = (1..=trials).flat_map(|index| {
        let trial = format!("{search}-{index}");
        [
            (format!("trials {trial}"), 1),
            (format!("jobs {trial}-1"), 1),
        ]
    });
    assert_eq!(created(operators), wanted.collect());
}

/// Every Job belongs to a trial that is there, and every trial to a search that is.
pub async fn no_orphans(bed: &Bed) {
    let all = ListParams::default();
    let searches = bed.api::<TuningJob>().list(&all).await.unwrap();
    let trials = bed.api::<Trial>().list(&all).await.unwrap();
    let jobs = bed.api::<Job>().list(&all).await.unwrap();
    let searches: Vec<String> = searches.iter().filter_map(ResourceExt::uid).collect();
    let trial_uids: Vec<String> = trials.iter().filter_map(ResourceExt::uid).collect();
    for trial in &trials {
        assert!(has_one_owner(trial, &searches), "{trial:#?}");
    }
    for job in &jobs {
        assert!(has_one_owner(job, &trial_uids), "{job:#?}");
    }
}

fn has_one_owner(object: &impl ResourceExt, among: &[String]) -> bool {
    match object.owner_references() {
        [owner] => among.contains(&owner.uid),
        _ => false,
    }
}
