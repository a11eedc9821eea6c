//! What is watched, shared by everything that reads.

use super::seen::Seen;
use crate::ports::Object;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use podium_api::{Trial, TuningJob};
use std::any::Any;

/// The stores of one scope: a namespace, or all of them.
#[derive(Debug)]
pub struct Stores {
    /// Searches.
    pub tuning_jobs: Seen<TuningJob>,
    /// Their trials.
    pub trials: Seen<Trial>,
    /// Jobs of trials.
    pub jobs: Seen<Job>,
    /// Pods of these Jobs.
    pub pods: Seen<Pod>,
    /// Why Jobs got no pods.
    pub refusals: Seen<Event>,
}

impl Stores {
    /// The store of a kind of Podium's that is watched.
    pub(super) fn of<K: Object>(&self) -> Option<&Seen<K>> {
        let stores: [&dyn Any; 2] = [&self.tuning_jobs, &self.trials];
        stores.into_iter().find_map(|store| store.downcast_ref())
    }
}
