//! Objects: created once, statuses written alone, listed by name.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use podium_api::{Trial, TrialSpec, TrialStatus};
use podium_operator::ports::{Cluster, Created, PortErrorKind};
use std::collections::BTreeMap;

/// A cluster, and an object in it that owns all others.
pub struct Case<C> {
    pub cluster: C,
    pub owner: OwnerReference,
}

fn trial(owner: &OwnerReference, name: &str, seed: i64) -> Trial {
    let mut trial = Trial::new(
        name,
        TrialSpec {
            index: 1,
            parameters: BTreeMap::new(),
            seed,
            origin: "Random".to_string(),
        },
    );
    trial.metadata.owner_references = Some(vec![owner.clone()]);
    trial
}

pub async fn an_object_is_created_once_and_kept(case: &Case<impl Cluster>) {
    let Case { cluster, owner } = case;
    assert!(cluster.get::<Trial>("a").await.unwrap().is_none());
    assert_eq!(
        cluster.create(&trial(owner, "a", 1)).await.unwrap(),
        Created::New
    );
    assert_eq!(
        cluster.create(&trial(owner, "a", 2)).await.unwrap(),
        Created::Existed
    );
    let stored = cluster.get::<Trial>("a").await.unwrap().unwrap();
    assert_eq!(stored.spec.seed, 1);
    assert!(stored.uid().is_some() && stored.creation_timestamp().is_some());
    assert_eq!(stored.metadata.generation, Some(1));
}

pub async fn a_status_is_written_and_nothing_else(case: &Case<impl Cluster>) {
    let Case { cluster, owner } = case;
    cluster.create(&trial(owner, "a", 1)).await.unwrap();
    let mut changed = cluster.get::<Trial>("a").await.unwrap().unwrap();
    changed.spec.seed = 99;
    changed.status = Some(TrialStatus {
        phase: Some("Running".to_string()),
        objective: Some(0.1 + 0.2),
        ..TrialStatus::default()
    });
    cluster.write_status(&changed).await.unwrap();
    let stored = cluster.get::<Trial>("a").await.unwrap().unwrap();
    assert_eq!(stored.spec.seed, 1);
    assert_eq!(stored.status, changed.status, "a number lost a bit");
}

pub async fn a_status_without_a_change_is_not_written(case: &Case<impl Cluster>) {
    let Case { cluster, owner } = case;
    cluster.create(&trial(owner, "a", 1)).await.unwrap();
    let mut object = cluster.get::<Trial>("a").await.unwrap().unwrap();
    object.status = Some(TrialStatus::default());
    cluster.write_status(&object).await.unwrap();
    let first = cluster.get::<Trial>("a").await.unwrap().unwrap();
    cluster.write_status(&object).await.unwrap();
    let second = cluster.get::<Trial>("a").await.unwrap().unwrap();
    assert_ne!(object.resource_version(), first.resource_version());
    assert_eq!(first.resource_version(), second.resource_version());
}

pub async fn an_object_is_confirmed_only_as_it_was_read(case: &Case<impl Cluster>) {
    let Case { cluster, owner } = case;
    cluster.create(&trial(owner, "a", 1)).await.unwrap();
    let before = cluster.get::<Trial>("a").await.unwrap().unwrap();
    cluster.confirm(&before).await.unwrap();
    let mut after = before.clone();
    after.status = Some(TrialStatus::default());
    cluster.write_status(&after).await.unwrap();
    let error = cluster.confirm(&before).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Conflict, "{error}");
    let stored = cluster.get::<Trial>("a").await.unwrap().unwrap();
    cluster.confirm(&stored).await.unwrap();
    cluster.delete(&stored).await.unwrap();
    let error = cluster.confirm(&stored).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Conflict, "{error}");
}

pub async fn a_status_is_replaced_only_where_it_was_read(case: &Case<impl Cluster>) {
    let Case { cluster, owner } = case;
    let in_phase = |read: &Trial, phase: &str| {
        let mut changed = read.clone();
        changed.status = Some(TrialStatus {
            phase: Some(phase.to_string()),
            ..TrialStatus::default()
        });
        changed
    };
    cluster.create(&trial(owner, "a", 1)).await.unwrap();
    let read = cluster.get::<Trial>("a").await.unwrap().unwrap();
    cluster
        .replace_status(&in_phase(&read, "Queued"))
        .await
        .unwrap();
    let first = cluster.get::<Trial>("a").await.unwrap().unwrap();
    let late = cluster.replace_status(&in_phase(&read, "Failed")).await;
    assert_eq!(late.unwrap_err().kind, PortErrorKind::Conflict);
    let stored = cluster.get::<Trial>("a").await.unwrap().unwrap();
    assert_eq!(stored.status, first.status);
    cluster
        .replace_status(&in_phase(&stored, "Running"))
        .await
        .unwrap();
    let second = cluster.get::<Trial>("a").await.unwrap().unwrap();
    cluster.replace_status(&second).await.unwrap();
    let third = cluster.get::<Trial>("a").await.unwrap().unwrap();
    assert_eq!(
        second.resource_version(),
        third.resource_version(),
        "a status without a change is not written"
    );
}

pub async fn lists_are_complete_and_in_order(case: &Case<impl Cluster>) {
    let Case { cluster, owner } = case;
    for name in ["b", "a", "c-10", "c-9"] {
        cluster.create(&trial(owner, name, 1)).await.unwrap();
    }
    let names: Vec<String> = cluster
        .list::<Trial>()
        .await
        .unwrap()
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    assert_eq!(names, ["a", "b", "c-10", "c-9"]);
}

pub async fn a_name_that_is_no_name_is_refused(case: &Case<impl Cluster>) {
    let Case { cluster, owner } = case;
    for name in ["", "../a", "A", ".a"] {
        assert!(
            cluster.create(&trial(owner, name, 1)).await.is_err(),
            "{name}"
        );
    }
    let mut missing = trial(owner, "missing", 1);
    missing.status = Some(TrialStatus::default());
    let error = cluster
        .write_status(&missing)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("not found"), "{error}");
}
