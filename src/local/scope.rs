//! What a run takes care of: the objects whose manifests stand in its directory, with what belongs to them.

use kube::Resource;
use std::collections::BTreeSet;

/// Which stored objects a run leaves alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    left_alone: BTreeSet<String>,
}

impl Scope {
    /// Everything but the objects of these uids, and what belongs to them.
    #[must_use]
    pub fn without(uids: impl IntoIterator<Item = String>) -> Self {
        Self {
            left_alone: uids.into_iter().collect(),
        }
    }

    /// Whether the run takes care of the object with this uid, which belongs to no other.
    #[must_use]
    pub fn covers_uid(&self, uid: &str) -> bool {
        !self.left_alone.contains(uid)
    }

    /// Whether the run takes care of an object.
    #[must_use]
    pub fn covers(&self, object: &impl Resource) -> bool {
        let metadata = object.meta();
        let owners = metadata.owner_references.iter().flatten();
        let mut uids = metadata.uid.iter().chain(owners.map(|owner| &owner.uid));
        uids.all(|uid| !self.left_alone.contains(uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    #[test]
    fn what_belongs_to_an_object_that_is_left_alone_is_left_alone_too() {
        let scope = Scope::without(["a".to_string()]);
        let covers = |metadata| {
            let object: Pod = serde_json::from_value(json!({"metadata": metadata})).unwrap();
            scope.covers(&object)
        };
        let owned = |uid: &str| json!({"uid": "x", "ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": "a", "uid": uid}]});
        assert!(!covers(json!({"uid": "a"})));
        assert!(!covers(owned("a")));
        assert!(covers(json!({"uid": "b"})));
        assert!(covers(owned("b")));
    }
}
