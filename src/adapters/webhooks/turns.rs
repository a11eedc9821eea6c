//! How many messages are on their way at once: to one server of one namespace few, so that one that does not answer holds up no
//! other; of one namespace a part, so that many such servers hold up no other namespace; and in all as many as an operator can afford.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const AT_ONCE: usize = 64;
const AT_ONCE_OF_A_NAMESPACE: usize = 16;
const AT_ONCE_TO_A_SERVER: usize = 4;
/// A message that has no turn in this time is not sent, and tried again later.
const PATIENCE: Duration = Duration::from_secs(30);

/// A namespace, and of its turns those of one server by host and port.
type Part = (String, Option<String>);

/// The turns of all messages.
#[derive(Debug)]
pub struct Turns {
    all: Arc<Semaphore>,
    parts: Mutex<HashMap<Part, Arc<Semaphore>>>,
}

/// A message may be on its way until this is dropped.
#[derive(Debug)]
pub struct Turn {
    _of_server: OwnedSemaphorePermit,
    _of_namespace: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(AT_ONCE)),
            parts: Mutex::default(),
        }
    }
}

impl Turns {
    /// A turn for a message of this namespace to this server, a host with its port.
    ///
    /// # Errors
    /// There was none in time.
    pub async fn take(&self, namespace: &str, server: &str) -> Result<Turn, String> {
        self.take_within(PATIENCE, namespace, server).await
    }

    async fn take_within(
        &self,
        patience: Duration,
        namespace: &str,
        server: &str,
    ) -> Result<Turn, String> {
        let of_server = self.part(namespace, Some(server));
        let of_namespace = self.part(namespace, None);
        let all = Arc::clone(&self.all);
        let turn = async {
            // In this order, so that what waits for a slow server, or for its namespace, takes nothing from others.
            let of_server = of_server.acquire_owned().await.ok()?;
            let of_namespace = of_namespace.acquire_owned().await.ok()?;
            let of_all = all.acquire_owned().await.ok()?;
            Some(Turn {
                _of_server: of_server,
                _of_namespace: of_namespace,
                _of_all: of_all,
            })
        };
        // Nothing closes the semaphores.
        let turn = tokio::time::timeout(patience, turn).await.ok().flatten();
        turn.ok_or_else(|| {
            format!("was not sent: so many messages wait that it had no turn in {patience:?}")
        })
    }

    /// The turns of a server, or of all servers of the namespace.
    fn part(&self, namespace: &str, server: Option<&str>) -> Arc<Semaphore> {
        let most = match server {
            Some(_) => AT_ONCE_TO_A_SERVER,
            None => AT_ONCE_OF_A_NAMESPACE,
        };
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that somebody waits for, or has a turn of, are held by them.
        parts.retain(|_, turns| Arc::strong_count(turns) > 1);
        let key = (namespace.to_string(), server.map(str::to_string));
        let turns = parts.entry(key);
        Arc::clone(turns.or_insert_with(|| Arc::new(Semaphore::new(most))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(work)
    }

    #[test]
    fn a_server_that_does_not_answer_holds_up_no_other() {
        run(async {
            let turns = Turns::default();
            let take = async |namespace: &str, server: &str| {
                turns.take_within(Duration::ZERO, namespace, server).await
            };
            let mut taken = Vec::new();
            for _ in 0..AT_ONCE_TO_A_SERVER {
                taken.push(take("team-a", "slow").await.unwrap());
            }
            let error = take("team-a", "slow").await.unwrap_err();
            assert!(error.contains("was not sent"), "{error}");
            assert!(take("team-a", "other").await.is_ok());
            assert!(take("team-b", "slow").await.is_ok());
            taken.pop();
            assert!(take("team-a", "slow").await.is_ok());
            taken.clear();
            drop(take("team-a", "other").await);
            assert_eq!(
                turns.parts.lock().unwrap().len(),
                2,
                "the others are forgotten"
            );
        });
    }

    #[test]
    fn a_namespace_of_many_servers_that_do_not_answer_holds_up_no_other() {
        run(async {
            let turns = Turns::default();
            let take = async |namespace: &str, port: usize| {
                let server = format!("slow:{port}");
                turns.take_within(Duration::ZERO, namespace, &server).await
            };
            let mut taken = Vec::new();
            for port in 0..AT_ONCE_OF_A_NAMESPACE {
                taken.push(take("team-a", port).await.unwrap());
            }
            assert!(take("team-a", AT_ONCE_OF_A_NAMESPACE).await.is_err());
            assert!(take("team-b", 0).await.is_ok());
            taken.pop();
            assert!(take("team-a", AT_ONCE_OF_A_NAMESPACE).await.is_ok());
        });
    }
}
