//! Whether the owner that a stored object names is there: a policy starts searches and comparisons, and a search makes trials.

use super::state::StateDirectory;
use crate::ports::{Object, PortError};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource, ResourceExt};
use podium_api::ChampionPolicy;
use serde_json::Value;
use std::collections::BTreeSet;

/// The objects of one kind that are there.
pub(super) struct Owners {
    uids: BTreeSet<String>,
    unreadable: BTreeSet<String>,
}

impl Owners {
    /// Those of the kind `K`.
    ///
    /// # Errors
    /// The directory of the kind cannot be read.
    pub(super) fn of<K: Object>(state: &StateDirectory) -> Result<Self, PortError> {
        let owners = state.shared_list::<K>()?;
        let unreadable = state.unreadable::<K>()?;
        Ok(Self {
            uids: owners.iter().filter_map(|owner| owner.uid()).collect(),
            unreadable: unreadable.into_iter().map(|(name, _)| name).collect(),
        })
    }

    /// Whether this is one of them. Of what cannot be read only the name is known.
    pub(super) fn have(&self, owner: &OwnerReference) -> bool {
        self.uids.contains(&owner.uid) || self.unreadable.contains(&owner.name)
    }
}

/// The name of the policy that a stored object belongs to, if that is there.
///
/// # Errors
/// As [`Owners::of`].
pub(super) fn policy_of(
    state: &StateDirectory,
    stored: &Value,
) -> Result<Option<String>, PortError> {
    let references = stored.pointer("/metadata/ownerReferences").cloned();
    let owners = references.and_then(|found| serde_json::from_value(found).ok());
    let mut owners: Vec<OwnerReference> = owners.unwrap_or_default();
    owners.retain(|owner| owner.kind == ChampionPolicy::kind(&()));
    if owners.is_empty() {
        return Ok(None);
    }
    let policies = Owners::of::<ChampionPolicy>(state)?;
    let owner = owners.into_iter().find(|owner| policies.have(owner));
    Ok(owner.map(|owner| owner.name))
}
