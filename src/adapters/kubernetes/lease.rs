//! The lease that decides which of several operators acts.

use crate::adapters::write_lease::WriteLease;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use k8s_openapi::jiff;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use podium_core::leadership::{SeenLease, Step, Watch, step};
use std::time::{Duration, Instant};

/// Name of the lease unless another one is given.
pub const LEASE_NAME: &str = "podium-operator";
/// Others may take over this long after the last renewal.
const DURATION: Duration = Duration::from_secs(30);
/// Writes are allowed this long after the last renewal, and given up then. What is left of [`DURATION`] is for an API server that goes on
/// for a moment with what nobody waits for any more.
const WRITES_ALLOWED: Duration = Duration::from_secs(20);
/// Time between two renewals; somebody else's lease is looked at twice as often.
const RENEWAL: Duration = Duration::from_secs(5);
/// An attempt that gets no answer in this time is given up.
const ATTEMPT: Duration = Duration::from_secs(5);
/// Time before a renewal that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

// One renewal that fails, however slowly, is not yet the end.
const _: () =
    assert!(RENEWAL.as_secs() + 2 * ATTEMPT.as_secs() + RETRY.as_secs() < WRITES_ALLOWED.as_secs());
const _: () = assert!(WRITES_ALLOWED.as_secs() < DURATION.as_secs());

/// A candidate for leadership.
pub struct Candidate {
    client: Client,
    namespace: String,
    leases: Api<Lease>,
    lease: String,
    name: String,
    /// Known once it was asked for; what there is without an account has none.
    owner: Option<Option<OwnerReference>>,
    permission: WriteLease,
    began: Instant,
    watch: Watch,
}

impl Candidate {
    /// Named `name`, for the lease called `lease` in `namespace`. `client` must be one whose writes need no permission.
    #[must_use]
    pub fn new(
        client: Client,
        namespace: &str,
        lease: &str,
        name: String,
        permission: WriteLease,
    ) -> Self {
        Self {
            leases: Api::namespaced(client.clone(), namespace),
            lease: lease.to_string(),
            namespace: namespace.to_string(),
            client,
            name,
            owner: None,
            permission,
            began: Instant::now(),
            watch: Watch::default(),
        }
    }

    /// Returns once this candidate leads. `looked` is told of every look until then: that another one leads, or why that is not known.
    pub async fn acquire(&mut self, looked: impl Fn(Result<(), &str>)) {
        loop {
            match self.try_for(ATTEMPT).await {
                Ok(true) => return,
                Ok(false) => {
                    looked(Ok(()));
                    tokio::time::sleep(RENEWAL / 2).await;
                }
                Err(error) => {
                    looked(Err(&error));
                    tracing::warn!(error, "the lease cannot be read or written");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Keeps leading; returns when it does not any more.
    pub async fn keep(&mut self) {
        let mut pause = RENEWAL;
        loop {
            tokio::time::sleep(pause).await;
            // Whoever gets no answer must not wait for it longer than he leads.
            let Some(left) = self.permission.left() else {
                return;
            };
            pause = match self.try_for(left.min(ATTEMPT)).await {
                Ok(true) => RENEWAL,
                Ok(false) => {
                    self.permission.end();
                    return;
                }
                Err(error) => {
                    tracing::warn!(error, "the lease could not be renewed");
                    RETRY
                }
            };
        }
    }

    /// As [`Self::try_once`], for so long at most.
    async fn try_for(&mut self, limit: Duration) -> Result<bool, String> {
        match tokio::time::timeout(limit, self.try_once()).await {
            Ok(tried) => tried,
            Err(_) => Err("the API server did not answer in time".to_string()),
        }
    }

    /// Gives the lease back, so that the next one need not wait.
    pub async fn release(&self) {
        self.permission.end();
        let given_back = async {
            let Some(mut lease) = self.leases.get_opt(&self.lease).await? else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() != Some(&self.name) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            spec.renew_time = Some(MicroTime(jiff::Timestamp::now()));
            self.leases
                .replace(&self.lease, &PostParams::default(), &lease)
                .await
                .map(drop)
        };
        match tokio::time::timeout(ATTEMPT, given_back).await {
            Ok(Ok(())) => tracing::info!("the lease was given back"),
            Ok(Err::<(), kube::Error>(error)) => {
                tracing::warn!(%error, "the lease could not be given back");
            }
            Err(_) => tracing::warn!("the lease could not be given back in time"),
        }
    }

    /// Whether this candidate leads after one look and, where it is its turn, one write.
    async fn try_once(&mut self) -> Result<bool, String> {
        let owner = self.owner().await?;
        let found = self.leases.get_opt(&self.lease).await;
        let found = found.map_err(|error| error.to_string())?;
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let seen = found.as_ref().map(seen_lease);
        // Writes are counted from before the renewal was sent, others count from when they see it.
        let asked = Instant::now();
        let written = match step(&mut self.watch, seen.as_ref(), &self.name, now) {
            Step::Wait => return Ok(false),
            // An uninstall takes the lease first, and another one may have come and gone: a new one is only for who does not lead.
            Step::Create if self.permission.left().is_some() => {
                return Err("somebody deleted it".to_string());
            }
            Step::Create => {
                let lease = Lease {
                    metadata: ObjectMeta {
                        name: Some(self.lease.clone()),
                        owner_references: owner,
                        ..ObjectMeta::default()
                    },
                    spec: Some(self.own(None)),
                };
                self.leases.create(&PostParams::default(), &lease).await
            }
            Step::Take => {
                let mut lease = found.unwrap_or_default();
                lease.spec = Some(self.own(lease.spec.take()));
                lease.metadata.owner_references = owner;
                // The version that was read goes with it: of two that take at once, one gets a conflict.
                self.leases
                    .replace(&self.lease, &PostParams::default(), &lease)
                    .await
            }
        };
        match written {
            Ok(_) => {
                self.permission.extend(asked + WRITES_ALLOWED);
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                Ok(self.permission.left().is_some())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The operator's account, with which its lease goes: an uninstall then leaves none. With its pod it must not go, since a pod that is
    /// removed by force may write for a while.
    async fn owner(&mut self) -> Result<Option<Vec<OwnerReference>>, String> {
        if self.owner.is_none() {
            let who = Api::<SelfSubjectReview>::all(self.client.clone())
                .create(&PostParams::default(), &SelfSubjectReview::default())
                .await;
            self.owner = match who {
                Ok(who) => Some(account(&who, &self.namespace)),
                // Not everybody may ask.
                Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403 | 404) => {
                    Some(None)
                }
                Err(error) => return Err(error.to_string()),
            };
        }
        Ok(self.owner.clone().flatten().map(|owner| vec![owner]))
    }

    fn own(&self, before: Option<LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(jiff::Timestamp::now());
        let before = before.unwrap_or_default();
        let same = before.holder_identity.as_deref() == Some(&self.name);
        let transitions = before.lease_transitions.unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.name.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: before
                .acquire_time
                .filter(|_| same)
                .or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if same { transitions } else { transitions + 1 }),
            ..before
        }
    }
}

/// The account that asked, if it is one of this namespace.
fn account(who: &SelfSubjectReview, namespace: &str) -> Option<OwnerReference> {
    let user = who.status.as_ref()?.user_info.as_ref()?;
    let account = user.username.as_deref()?;
    let account = account.strip_prefix("system:serviceaccount:")?;
    let (of, name) = account.split_once(':')?;
    // Who is impersonated has none, and an owner without one is refused.
    let uid = user.uid.clone().filter(|uid| !uid.is_empty())?;
    (of == namespace).then(|| OwnerReference {
        api_version: "v1".to_string(),
        kind: "ServiceAccount".to_string(),
        name: name.to_string(),
        uid,
        ..OwnerReference::default()
    })
}

fn seen_lease(lease: &Lease) -> SeenLease {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.unwrap_or(0);
    SeenLease {
        holder: spec.holder_identity.unwrap_or_default(),
        duration: u64::try_from(seconds).unwrap_or(0) * 1000,
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_lease_goes_with_the_account_of_its_namespace() {
        let who = |username: &str, uid: &str| -> SelfSubjectReview {
            let user = json!({"username": username, "uid": uid});
            serde_json::from_value(json!({"metadata": {}, "status": {"userInfo": user}})).unwrap()
        };
        let own = account(&who("system:serviceaccount:team:podium", "1-2"), "team").unwrap();
        assert_eq!(
            (own.kind.as_str(), own.name.as_str(), own.uid.as_str()),
            ("ServiceAccount", "podium", "1-2")
        );
        for other in ["system:serviceaccount:elsewhere:podium", "kubernetes-admin"] {
            assert_eq!(account(&who(other, "1-2"), "team"), None);
        }
        let impersonated = who("system:serviceaccount:team:podium", "");
        assert_eq!(account(&impersonated, "team"), None);
    }
}
