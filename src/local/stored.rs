//! What a session asks of the objects that are stored.

use super::agenda::{Key, Kind};
use super::scope::Scope;
use super::state::StateDirectory;
use crate::ports::{Object, PortError};
use kube::ResourceExt;
use podium_api::Trial;

/// The objects of a kind that `scope` covers.
pub(super) fn keys_of<K: Object>(
    state: &StateDirectory,
    scope: &Scope,
    kind: Kind,
) -> Result<Vec<Key>, PortError> {
    let objects = state.shared_list::<K>()?;
    let keys = objects
        .iter()
        .filter(|object| scope.covers(object.as_ref()))
        .map(|object| Key::new(kind, &object.name_any()));
    Ok(keys.collect())
}

/// The objects of a kind that cannot be read.
pub(super) fn unreadable_of<K: Object>(
    state: &StateDirectory,
    kind: Kind,
) -> Result<Vec<Key>, PortError> {
    let unreadable = state.unreadable::<K>()?;
    Ok(unreadable
        .iter()
        .map(|(name, _)| Key::new(kind, name))
        .collect())
}

/// Whether nothing of a trial changes any more.
pub(super) fn has_ended(trial: &Trial) -> bool {
    trial
        .status
        .as_ref()
        .is_some_and(|status| status.completion_time.is_some())
}
