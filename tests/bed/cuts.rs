//! What may happen to a request on its way, and when.

use super::way::Witnessed;
use std::time::Duration;

/// When the operator dies, seen from one of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The API server never hears of the request.
    BeforeRequest,
    /// The API server carries it out, and the operator never hears of that.
    AfterRequest,
    /// The operator has its answer, and does nothing with it any more.
    AfterResponse,
}

impl Moment {
    pub const ALL: [Self; 3] = [Self::BeforeRequest, Self::AfterRequest, Self::AfterResponse];
}

/// What happens to a request instead of being passed on.
#[derive(Clone, Debug)]
pub enum Cut {
    /// The operator dies at the n-th request (from 1) of this method and resource.
    Kill {
        method: &'static str,
        resource: &'static str,
        nth: usize,
        moment: Moment,
    },
    /// The operator dies at the n-th request (from 1) of a life that `what` names; without a life, in every one.
    KillAt {
        life: Option<usize>,
        what: fn(&Witnessed) -> bool,
        nth: usize,
        moment: Moment,
    },
    /// Requests of this method and resource are answered with this status, so many times.
    Answer {
        method: &'static str,
        resource: &'static str,
        code: u16,
        times: usize,
    },
    /// The API server carries out requests that `what` names, and the operator is told that it did not, so many times.
    Lose {
        what: fn(&Witnessed) -> bool,
        times: usize,
    },
    /// Requests that `what` names are passed on after a pause, so many times.
    Hold {
        what: fn(&Witnessed) -> bool,
        pause: Duration,
        times: usize,
    },
    /// Nothing comes through any more.
    Everything,
}

/// What is to be done with one request.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    Pass,
    Die(Moment),
    Answer(u16),
    Lose,
    Hold(Duration),
    Drop,
}

impl Cut {
    /// What this cut makes of a request, after the earlier ones of all lives, of which this one has come to `this_life`.
    pub(super) fn fate(
        &mut self,
        request: &Witnessed,
        earlier: &[Witnessed],
        life: usize,
        this_life: &[Witnessed],
    ) -> Option<Fate> {
        let is = |method: &str, resource: &str, request: &Witnessed| {
            request.method == method && request.resource == resource
        };
        match self {
            Self::Kill {
                method,
                resource,
                nth,
                moment,
            } => {
                let same = earlier.iter().filter(|seen| is(method, resource, seen));
                let now = is(method, resource, request) && same.count() + 1 == *nth;
                now.then_some(Fate::Die(*moment))
            }
            Self::KillAt {
                life: wanted,
                what,
                nth,
                moment,
            } => {
                let same = this_life.iter().filter(|seen| what(seen));
                let now = wanted.is_none_or(|wanted| wanted == life)
                    && what(request)
                    && same.count() + 1 == *nth;
                now.then_some(Fate::Die(*moment))
            }
            Self::Answer {
                method,
                resource,
                code,
                times,
            } => {
                let now = is(method, resource, request) && take_one(times);
                now.then_some(Fate::Answer(*code))
            }
            Self::Lose { what, times } => {
                let now = what(request) && take_one(times);
                now.then_some(Fate::Lose)
            }
            Self::Hold { what, pause, times } => {
                let now = what(request) && take_one(times);
                now.then_some(Fate::Hold(*pause))
            }
            Self::Everything => Some(Fate::Drop),
        }
    }
}

fn take_one(times: &mut usize) -> bool {
    let some = *times > 0;
    *times = times.saturating_sub(1);
    some
}
