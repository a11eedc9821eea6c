//! How many objects of a namespace are reconciled at once. Reconciles of a namespace may all wait for something slow, such as an admission
//! webhook of its own; those of other namespaces must not wait for it too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The reconciles of one controller that are in progress, by namespace.
#[derive(Debug)]
pub(super) struct Shares {
    limit: usize,
    running: Mutex<HashMap<String, usize>>,
}

/// The share of one reconcile, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    shares: Arc<Shares>,
    namespace: String,
}

impl Shares {
    /// Of a controller that reconciles so many objects at once: no namespace has more than three quarters of them.
    pub(super) fn new(concurrency: u16) -> Arc<Self> {
        let concurrency = usize::from(concurrency);
        Arc::new(Self {
            limit: (concurrency * 3 / 4).max(1),
            running: Mutex::default(),
        })
    }

    /// A reconcile of a namespace may begin; `None` where it has to wait for another one of its namespace.
    pub(super) fn begin(self: &Arc<Self>, namespace: &str) -> Option<Share> {
        let mut running = self.running();
        let count = running.entry(namespace.to_string()).or_insert(0);
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Share {
            shares: Arc::clone(self),
            namespace: namespace.to_string(),
        })
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut running = self.shares.running();
        if let Some(count) = running.get_mut(&self.namespace) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.namespace);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespace_has_everything() {
        let shares = Shares::new(8);
        let slow: Vec<Share> = (0..20).filter_map(|_| shares.begin("slow")).collect();
        assert_eq!(slow.len(), 6);
        assert!(shares.begin("other").is_some());
        drop(slow);
        assert!(shares.begin("slow").is_some());
        assert!(shares.running().is_empty(), "every share was given back");
        let single = Shares::new(1);
        assert!(single.begin("a").is_some());
    }
}
