//! Jobs that the API server was asked to create. An admission webhook may take half a minute for each, and who waits for it holds up others.

use super::observed::ObservedJob;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// An answer that takes longer is not waited for; it comes all the same.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// As [`PATIENCE`], while another request has waited for that long: what makes one slow makes the next one slow too.
const PATIENCE_BESIDE_A_SLOW_ONE: Duration = Duration::from_millis(100);
/// What nobody has asked for after this time is forgotten: its trial is gone, or goes on since its Job was seen.
const KEPT: Duration = Duration::from_secs(180);
/// What is said of a request without an answer, unless there is better.
const UNANSWERED: &str = "the API server was asked to create its Job and has not answered yet; an admission webhook that is slow may be the reason";

type Answer = Result<ObservedJob, kube::Error>;

/// What the API server said to a request.
pub(super) struct Answered {
    pub(super) answer: Answer,
    /// Whether it was said some time ago, so that the Job may have changed or gone since.
    pub(super) is_late: bool,
}

/// Name of a Job, and uid of its owner.
pub(super) type Key = (String, String);

/// Requests to create Jobs that are on their way, or that failed.
#[derive(Default)]
pub(super) struct Starts {
    asked: Mutex<HashMap<Key, Asked>>,
}

struct Asked {
    at: Instant,
    /// `None` once it was seen.
    answer: Option<JoinHandle<Answer>>,
    /// Why the Job is not there: how the request before failed.
    why: String,
}

impl Asked {
    fn is_on_its_way(&self) -> bool {
        let answer = self.answer.as_ref();
        answer.is_some_and(|answer| !answer.is_finished())
    }

    fn is_of_use(&self) -> bool {
        self.is_on_its_way() || self.at.elapsed() < KEPT
    }
}

impl Starts {
    /// The answer to the request for this Job: to the one that is on its way, or else to `request`, which is sent now and waited for so
    /// long.
    ///
    /// # Errors
    /// There is no answer yet, and why not as far as that is known. Whoever asks again later gets it.
    pub(super) async fn answer(
        &self,
        key: &Key,
        request: impl Future<Output = Answer> + Send + 'static,
        patience: Duration,
    ) -> Result<Answered, String> {
        let (before, is_slow) = {
            let mut all = self.lock();
            let before = all.remove(key);
            (before, all.values().any(Asked::is_on_its_way))
        };
        let (before, why) = before.map_or((None, UNANSWERED.to_string()), |asked| {
            (asked.answer.map(|answer| (asked.at, answer)), asked.why)
        });
        // One that was waited for before is only looked at.
        let is_late = before.is_some();
        let patience = match is_slow {
            _ if is_late => Duration::ZERO,
            true => patience.min(PATIENCE_BESIDE_A_SLOW_ONE),
            false => patience,
        };
        let (at, mut answer) = before.unwrap_or_else(|| (Instant::now(), tokio::spawn(request)));
        match tokio::time::timeout(patience, &mut answer).await {
            Ok(answer) => {
                let defect = |defect| Err(kube::Error::Service(Box::new(defect)));
                let answer = answer.unwrap_or_else(defect);
                Ok(Answered { answer, is_late })
            }
            Err(_) => {
                let asked = Asked {
                    at,
                    answer: Some(answer),
                    why: why.clone(),
                };
                self.keep(key, asked);
                Err(why)
            }
        }
    }

    /// A request failed, which is the reason as long as the next one has no answer.
    pub(super) fn failed(&self, key: &Key, why: String) {
        let asked = Asked {
            at: Instant::now(),
            answer: None,
            why,
        };
        self.keep(key, asked);
    }

    fn keep(&self, key: &Key, asked: Asked) {
        let mut all = self.lock();
        all.retain(|_, asked| asked.is_of_use());
        all.insert(key.clone(), asked);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::oneshot;

    const SHORT: Duration = Duration::from_millis(20);

    fn key(name: &str) -> Key {
        (name.to_string(), "1-2".to_string())
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work)
    }

    async fn at_once() -> Answer {
        Ok(ObservedJob::default())
    }

    #[test]
    fn what_is_on_its_way_is_not_asked_for_again_and_answers_whoever_asks_later() {
        run(async {
            let (starts, sent) = (Starts::default(), Arc::new(AtomicUsize::new(0)));
            let (answers, answered) = oneshot::channel::<()>();
            let count = Arc::clone(&sent);
            let slow = async move {
                count.fetch_add(1, Ordering::Relaxed);
                answered.await.unwrap();
                Ok(ObservedJob::default())
            };
            let again = || {
                let count = Arc::clone(&sent);
                async move {
                    count.fetch_add(1, Ordering::Relaxed);
                    Ok(ObservedJob::default())
                }
            };
            let (a, b, c) = (key("a-1"), key("b-1"), key("c-1"));
            let unanswered = starts.answer(&a, slow, SHORT).await;
            assert_eq!(unanswered.err().as_deref(), Some(UNANSWERED));
            // Another one that is slow is not waited for that long, one that is not gets its answer, and the first is not asked for again.
            let silent = std::future::pending();
            let minute = Duration::from_secs(60);
            let slow_too = starts.answer(&c, silent, minute);
            let slow_too = tokio::time::timeout(minute / 4, slow_too).await;
            assert!(slow_too.is_ok_and(|it| it.is_err()));
            assert!(starts.answer(&b, at_once(), SHORT).await.is_ok());
            assert!(starts.answer(&a, again(), SHORT).await.is_err());
            answers.send(()).unwrap();
            tokio::task::yield_now().await;
            let answer = starts.answer(&a, again(), SHORT).await;
            assert!(answer.is_ok_and(|it| it.answer.is_ok() && it.is_late));
            assert_eq!(sent.load(Ordering::Relaxed), 1);
            // It was seen, so the next one is a new request.
            let answer = starts.answer(&a, again(), SHORT).await;
            assert!(answer.is_ok_and(|it| !it.is_late));
            assert_eq!(sent.load(Ordering::Relaxed), 2);
        });
    }

    #[test]
    fn why_the_last_request_failed_is_known_while_the_next_one_has_no_answer() {
        run(async {
            let (starts, key) = (Starts::default(), key("a-1"));
            starts.failed(&key, "failed calling webhook".to_string());
            let silent = || std::future::pending::<Answer>();
            for _ in 0..2 {
                let unanswered = starts.answer(&key, silent(), SHORT).await;
                assert_eq!(unanswered.err().as_deref(), Some("failed calling webhook"));
            }
        });
    }
}
