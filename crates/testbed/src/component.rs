//! The processes of a cluster that can be ended and started again while it runs.

use crate::mlflow;
use std::fmt;
use std::str::FromStr;

/// A process of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// The store.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controllers of Jobs, nodes and so on.
    ControllerManager,
    /// What gives pods their node.
    Scheduler,
    /// What runs the pods of the node.
    Kubelet,
    /// The object store beside the cluster.
    S3,
    /// The model registry beside the cluster, where it was started.
    Mlflow,
}

impl Component {
    /// All of them, in the order in which they start.
    pub const ALL: [Self; 7] = [
        Self::Etcd,
        Self::ApiServer,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kubelet,
        Self::S3,
        Self::Mlflow,
    ];

    /// The name of its program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::S3 => "versitygw",
            Self::Mlflow => "mlflow",
        }
    }

    /// How long it may take after its start until it answers, on a busy machine.
    #[must_use]
    pub(crate) fn seconds_to_answer(self) -> u64 {
        match self {
            Self::Mlflow => mlflow::SECONDS_TO_ANSWER,
            _ => 90,
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Component {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|component| component.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                format!("a part must be one of {names}, and is {text}")
            })
    }
}
