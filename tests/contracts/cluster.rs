//! The state directory keeps the laws of a cluster.

use crate::cluster_laws::*;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use podium_operator::local::state::StateDirectory;

fn directory() -> (Case<StateDirectory>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let case = Case {
        cluster: StateDirectory::new(directory.path().join("state")),
        owner: OwnerReference::default(),
    };
    (case, directory)
}

suite! {
    state_directory => super::directory();
    [
    an_object_is_created_once_and_kept,
    a_status_is_written_and_nothing_else,
    a_status_without_a_change_is_not_written,
    an_object_is_confirmed_only_as_it_was_read,
    a_status_is_replaced_only_where_it_was_read,
    lists_are_complete_and_in_order,
    a_name_that_is_no_name_is_refused,
    ]
}
