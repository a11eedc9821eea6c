//! How much of Kubernetes a test bed has.

use serde::{Deserialize, Serialize};

/// How much of Kubernetes a test bed has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Extent {
    /// A node too, so pods run; needs root.
    #[default]
    Full,
    /// etcd, the API server and, where there is its program, the controller manager: objects are kept and nothing runs.
    ApiServerOnly,
}
