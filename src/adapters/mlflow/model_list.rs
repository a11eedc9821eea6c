//! The aliases of all models of a server, read once for the many policies that ask for some of them.
//!
//! One of them reads the list and the others wait for it, though not for long. What came of it serves for a while, whatever it is:
//!
//! | what came of it | what whoever asks for a model gets | for |
//! |---|---|---|
//! | the list | the aliases of the model | [`LIST_SERVES`] |
//! | no list, but a model by itself | what a request of its own brings | [`LIST_RESTS`] |
//! | neither | the same error, without a request | [`FAILURE_SERVES`] |

use super::answer::RequestError;
use super::looks::{Aliases, Read};
use super::registry::{Alias, MlflowRegistry, VERSIONS_PER_PAGE, by_alias};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// How long a list serves, and so how old the aliases of a model may be for a policy that only looks whether something changed.
const LIST_SERVES: Duration = Duration::from_secs(5);
/// How long nobody tries again to get a list that cannot be had.
const LIST_RESTS: Duration = Duration::from_secs(60);
/// How long the failure of a server is told to others that would find the same.
const FAILURE_SERVES: Duration = Duration::from_secs(5);
/// How long a list may take, and how long others wait for whoever reads it.
const LIST_TAKES: Duration = Duration::from_secs(10);
/// A page of the list costs the server about as much as the aliases of so many models.
const MODELS_A_PAGE_IS_WORTH: usize = 20;
/// How long it is believed how many pages the list has.
const PAGES_ARE_KNOWN: Duration = Duration::from_secs(3600);

/// The list as it was last read, or was tried to.
#[derive(Debug, Default)]
pub(super) struct ModelList {
    last: Mutex<Option<Attempt>>,
    /// Held by whoever reads the list.
    turn: tokio::sync::Mutex<()>,
}

/// The last attempt to read the list.
#[derive(Debug)]
struct Attempt {
    /// When it ended: whoever waited for it takes what it brought, however long it took.
    ended: Instant,
    outcome: Outcome,
    /// How many pages the list has, at least.
    pages: usize,
}

#[derive(Debug)]
enum Outcome {
    /// The aliases of each model that somebody asks for.
    Listed(Read<HashMap<String, Aliases>>),
    /// The list cannot be had, or is longer than it is worth.
    NoList,
    /// Neither the list nor a model by itself can be had, for this reason.
    Failed(RequestError),
}

/// Where the aliases of a model come from.
#[derive(Debug)]
enum Source {
    /// They were read already.
    Known(Read<Option<Aliases>>),
    /// They cannot be read now.
    Failed(RequestError),
    /// A request for this model alone.
    OwnRequest,
    /// The list, which somebody must read first.
    List,
}

/// What came of reading the pages.
enum Pages {
    Whole {
        models: Read<HashMap<String, Aliases>>,
        pages: usize,
    },
    TooMany,
}

#[derive(Deserialize)]
struct ModelsAnswer {
    #[serde(default)]
    registered_models: Vec<ListedModel>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
struct ListedModel {
    name: String,
    #[serde(default)]
    aliases: Vec<Alias>,
}

impl Attempt {
    fn serves(&self, now: Instant) -> bool {
        let serves = match self.outcome {
            Outcome::Listed(_) => LIST_SERVES,
            Outcome::NoList => LIST_RESTS,
            Outcome::Failed(_) => FAILURE_SERVES,
        };
        now.duration_since(self.ended) < serves
    }
}

/// Where the aliases of `model` come from, by what was last read of all models and of it alone, when somebody asks for `models` of them.
fn source(
    last: Option<&Attempt>,
    own: Option<Read<Option<Aliases>>>,
    (model, models): (&str, usize),
    now: Instant,
) -> Source {
    let serving = last.filter(|last| last.serves(now));
    let serving = serving.map(|last| &last.outcome);
    if let Some(Outcome::Listed(list)) = serving
        && own.as_ref().is_none_or(|own| own.at <= list.at)
        && let Some(aliases) = list.what.get(model)
    {
        return Source::Known(Read {
            at: list.at,
            what: Some(aliases.clone()),
        });
    }
    let own = own.filter(|own| now.duration_since(own.at) < LIST_SERVES);
    if let Some(own) = own {
        return Source::Known(own);
    }
    match serving {
        Some(Outcome::Failed(error)) => Source::Failed(error.clone()),
        // It is not in the list, or was read by itself since.
        Some(Outcome::Listed(_) | Outcome::NoList) => Source::OwnRequest,
        None if models >= pages(last, now) * MODELS_A_PAGE_IS_WORTH => Source::List,
        None => Source::OwnRequest,
    }
}

/// How many pages the list has, as far as is known.
fn pages(last: Option<&Attempt>, now: Instant) -> usize {
    let known = last.filter(|last| now.duration_since(last.ended) < PAGES_ARE_KNOWN);
    known.map_or(1, |last| last.pages)
}

impl ModelList {
    fn last(&self) -> MutexGuard<'_, Option<Attempt>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MlflowRegistry {
    /// The aliases of a model, as old as a list serves.
    pub(super) async fn known_aliases(
        &self,
        model: &str,
    ) -> Result<Read<Option<Aliases>>, RequestError> {
        let source = match self.source_of_aliases(model) {
            Source::List => self.source_after_list(model).await,
            source => source,
        };
        match source {
            Source::Known(aliases) => Ok(aliases),
            Source::Failed(error) => Err(error),
            Source::OwnRequest | Source::List => self.read_aliases(model).await,
        }
    }

    fn source_of_aliases(&self, model: &str) -> Source {
        let (own, models) = (self.looks.aliases(model), self.looks.count());
        let last = self.looks.list.last();
        source(last.as_ref(), own, (model, models), Instant::now())
    }

    /// The same once the list was read, by whoever came first. Nobody waits for long where a request of its own would do.
    async fn source_after_list(&self, model: &str) -> Source {
        let Ok(_turn) = timeout(LIST_TAKES, self.looks.list.turn.lock()).await else {
            return Source::OwnRequest;
        };
        match self.source_of_aliases(model) {
            Source::List => {}
            // Whoever had the turn before read it.
            source => return source,
        }
        let attempt = self.attempt_list(model).await;
        *self.looks.list.last() = Some(attempt);
        self.source_of_aliases(model)
    }

    async fn attempt_list(&self, model: &str) -> Attempt {
        let pages_before = pages(self.looks.list.last().as_ref(), Instant::now());
        let most_pages = self.looks.count() / MODELS_A_PAGE_IS_WORTH;
        let listed = match timeout(LIST_TAKES, self.read_list(most_pages)).await {
            Ok(listed) => listed.map_err(|error| error.message),
            Err(_) => Err(format!("it takes longer than {LIST_TAKES:?}")),
        };
        let (outcome, pages) = match listed {
            Ok(Pages::Whole { models, pages }) => (Outcome::Listed(models), pages),
            Ok(Pages::TooMany) => (Outcome::NoList, most_pages + 1),
            Err(error) => {
                let server = self.server().address();
                tracing::warn!(server, error, "the list of models cannot be read");
                (self.outcome_without_list(model).await, pages_before)
            }
        };
        Attempt {
            ended: Instant::now(),
            outcome,
            pages,
        }
    }

    /// Reading one model by itself tells whether the list cannot be had or the server.
    async fn outcome_without_list(&self, model: &str) -> Outcome {
        match self.read_aliases(model).await {
            Err(error) if error.is_of_the_server() => Outcome::Failed(error),
            _ => Outcome::NoList,
        }
    }

    /// The aliases of all models that somebody asks for, unless there are more pages than that.
    async fn read_list(&self, most_pages: usize) -> Result<Pages, RequestError> {
        let (at, mut what) = (Instant::now(), HashMap::new());
        let mut token = String::new();
        for pages in 1..=most_pages {
            let mut query = vec![("max_results", VERSIONS_PER_PAGE)];
            if !token.is_empty() {
                query.push(("page_token", &token));
            }
            let page: ModelsAnswer = self
                .server()
                .get("registered-models/search", &query)
                .await?;
            let listed = page.registered_models.into_iter();
            let asked_for = listed.filter(|listed| self.looks.knows(&listed.name));
            what.extend(asked_for.map(|listed| (listed.name, by_alias(listed.aliases))));
            if page.next_page_token.is_empty() || page.next_page_token == token {
                let models = Read { at, what };
                return Ok(Pages::Whole { models, pages });
            }
            token = page.next_page_token;
        }
        Ok(Pages::TooMany)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::mlflow::answer::RequestErrorKind;

    const MODEL: &str = "fraud";
    const SECOND: Duration = Duration::from_secs(1);
    /// So many that a page is worth it.
    const MANY: usize = MODELS_A_PAGE_IS_WORTH;

    fn aliases(version: &str) -> Aliases {
        Aliases::from([("champion".to_string(), version.to_string())])
    }

    fn attempt(ended: Instant, outcome: Outcome) -> Attempt {
        Attempt {
            ended,
            outcome,
            pages: 1,
        }
    }

    fn listed(at: Instant) -> Outcome {
        let what = HashMap::from([(MODEL.to_string(), aliases("listed"))]);
        Outcome::Listed(Read { at, what })
    }

    fn own(at: Instant) -> Option<Read<Option<Aliases>>> {
        let what = Some(aliases("own"));
        Some(Read { at, what })
    }

    fn said(source: Source) -> String {
        match source {
            Source::Known(read) => read.what.unwrap()["champion"].clone(),
            Source::Failed(error) => error.message,
            Source::OwnRequest => "own request".to_string(),
            Source::List => "list".to_string(),
        }
    }

    #[test]
    fn whatever_is_newer_is_taken_as_long_as_it_serves() {
        let start = Instant::now();
        let list = attempt(start + SECOND, listed(start + SECOND));
        let found = |own, now| said(source(Some(&list), own, (MODEL, MANY), now));
        assert_eq!(found(own(start), start + 2 * SECOND), "listed");
        assert_eq!(found(own(start + 2 * SECOND), start + 3 * SECOND), "own");
        assert_eq!(found(None, start + LIST_SERVES), "listed");
        assert_eq!(found(own(start), start + SECOND + LIST_SERVES), "list");
        let few = source(None, None, (MODEL, MANY - 1), start);
        assert_eq!(said(few), "own request");
        let unlisted = source(Some(&list), None, ("new", MANY), start + SECOND);
        assert_eq!(said(unlisted), "own request");
    }

    #[test]
    fn a_list_that_took_long_serves_those_who_waited_for_it() {
        let start = Instant::now();
        let slow = attempt(start + 2 * LIST_SERVES, listed(start));
        let found = |own| {
            let now = start + 2 * LIST_SERVES;
            said(source(Some(&slow), own, (MODEL, MANY), now))
        };
        assert_eq!(found(None), "listed");
        // Who read it by itself since then knows better.
        assert_eq!(found(own(start + SECOND)), "own request");
    }

    #[test]
    fn nobody_repeats_at_once_what_failed() {
        let start = Instant::now();
        let error = RequestError::new(RequestErrorKind::Unavailable, "out of reach");
        let failed = attempt(start, Outcome::Failed(error));
        let found = |now| said(source(Some(&failed), None, (MODEL, MANY), now));
        assert_eq!(found(start + SECOND), "out of reach");
        assert_eq!(found(start + FAILURE_SERVES), "list");
        // What was read by itself meanwhile is better than an error.
        let read = source(
            Some(&failed),
            own(start + SECOND),
            (MODEL, MANY),
            start + SECOND,
        );
        assert_eq!(said(read), "own");

        let unlisted = attempt(start, Outcome::NoList);
        let found = |now| said(source(Some(&unlisted), None, (MODEL, MANY), now));
        assert_eq!(found(start + 2 * FAILURE_SERVES), "own request");
        assert_eq!(found(start + LIST_RESTS), "list");
    }

    #[test]
    fn a_list_of_many_pages_must_be_worth_them() {
        let start = Instant::now();
        let long = Attempt {
            pages: 3,
            ..attempt(start, Outcome::NoList)
        };
        let found = |models, now| said(source(Some(&long), None, (MODEL, models), now));
        assert_eq!(found(3 * MANY - 1, start + LIST_RESTS), "own request");
        assert_eq!(found(3 * MANY, start + LIST_RESTS), "list");
        assert_eq!(found(MANY, start + PAGES_ARE_KNOWN), "list");
    }
}
