//! What is asked of the API server so that a ConfigMap comes and goes.

use super::*;
use crate::adapters::kubernetes::clock::ServerClock;
use crate::adapters::kubernetes::scripted_api::ScriptedApi;
use crate::adapters::mlflow::hosts::AllowedHosts;
use crate::adapters::write_lease::WriteLease;
use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::future::Future;

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

fn owner() -> OwnerReference {
    let owner = json!({
        "apiVersion": "podium.dev/v1alpha1", "kind": "ChampionPolicy", "name": "fraud", "uid": "policy",
        "controller": true,
    });
    serde_json::from_value(owner).unwrap()
}

/// A ConfigMap `champion` of the policy, whose uid is its namespace.
fn stored(namespace: &str) -> ConfigMap {
    serde_json::from_value(json!({
        "metadata": {
            "name": "champion", "namespace": namespace, "uid": namespace, "resourceVersion": "7",
            "ownerReferences": [owner()],
        },
        "data": {"version": "1"},
    }))
    .unwrap()
}

fn announcer(api: &ScriptedApi, cache: Cache<ConfigMap>) -> KubernetesAnnouncer {
    let mut caches = Caches::default();
    caches.insert(Arc::new(cache));
    let clock = ServerClock::default();
    let lease = WriteLease::always();
    let messages = Messages::new(api.client(), AllowedHosts::default(), lease, clock);
    KubernetesAnnouncer::new(
        api.client(),
        ["eu-1", "team-a"],
        Arc::new(caches),
        Arc::new(messages),
        Arc::new(|_: &str| {}),
    )
}

fn succeeds(_: &Method) -> (u16, Value) {
    (200, json!({"kind": "Status", "status": "Success"}))
}

#[test]
fn a_config_map_is_deleted_as_it_was_seen_whatever_stands_in_other_namespaces() {
    run(async {
        let cache = Cache::default();
        cache.apply_event(&Event::Apply(stored("team-a")));
        // One of its name that claims to belong to the policy too came and went.
        cache.apply_event(&Event::Apply(stored("team-b")));
        cache.apply_event(&Event::Delete(stored("team-b")));
        let api = ScriptedApi::new(succeeds);
        let announcer = announcer(&api, cache);
        announcer
            .withdraw("policy", Some("champion"))
            .await
            .unwrap();
        assert!(api.asked().is_empty());
        announcer.withdraw("policy", None).await.unwrap();
        let [(method, sent)] = api.asked().try_into().unwrap();
        assert_eq!(method, Method::DELETE);
        assert_eq!(
            sent["preconditions"],
            json!({"uid": "team-a", "resourceVersion": "7"})
        );
    });
}

/// What is deleted stays, since a finalizer keeps it.
fn keeps(method: &Method) -> (u16, Value) {
    match *method {
        Method::POST => {
            let exists = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "reason": "AlreadyExists", "message": "configmaps \"champion\" already exists", "code": 409,
            });
            (409, exists)
        }
        _ => succeeds(method),
    }
}

#[test]
fn a_config_map_that_cannot_be_replaced_does_not_hold_the_champion() {
    run(async {
        let cache = Cache::default();
        let mut frozen = stored("team-a");
        frozen.immutable = Some(true);
        cache.apply_event(&Event::Apply(frozen));
        let api = ScriptedApi::new(keeps);
        let announcer = announcer(&api, cache);
        let publication = Publication {
            name: "champion".to_string(),
            owner: owner(),
            data: BTreeMap::from([("version".to_string(), "2".to_string())]),
        };
        let error = announcer.publish(&publication).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Unavailable);
        assert!(error.message.contains("`champion`"), "{error:?}");
        let asked = api.asked().into_iter();
        let methods: Vec<Method> = asked.map(|(method, _)| method).collect();
        assert_eq!(methods, [Method::DELETE, Method::POST]);
    });
}
