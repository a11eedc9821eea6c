//! The run of a trial's container, as seen in the world.

use super::Reason;
use crate::report::Reported;
use crate::time::Timestamp;

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It ran longer than allowed and was ended.
    DeadlineExceeded,
    /// It ran longer than another limit allows than that of its trial, and was ended; which.
    LimitExceeded(String),
    /// It used more memory than allowed and was ended.
    OutOfMemory,
    /// It could not be started; why.
    CannotStart(String),
    /// The machine, not the container, was the cause; how.
    Infrastructure(String),
    /// It waited until its time was over, and nothing of it ran; for what.
    NeverStarted(String),
    /// It ended, and what it left cannot be read; why.
    ResultUnreadable(String),
}

/// The run of a container as seen in the world; `M` is what it left.
#[derive(Clone, Debug, PartialEq)]
pub enum Run<M = Reported> {
    /// There is none for the current attempt.
    Absent,
    /// It was started and waits for something; nothing of it runs.
    Queued {
        /// Since when.
        since: Timestamp,
        /// For what, from the closed list.
        reason: Reason,
        /// The same in the world's own words.
        why: String,
    },
    /// It goes on.
    Running {
        /// Since when.
        since: Timestamp,
        /// The pod that runs it, where there are pods.
        pod: Option<String>,
        /// When it will be found not to have ended although it was told to.
        overdue: Option<Overdue>,
    },
    /// It ended.
    Ended(EndedRun<M>),
}

impl<M> Run<M> {
    /// The same run, with what `read` makes of what it left.
    pub fn map_message<N>(self, read: impl FnOnce(M) -> N) -> Run<N> {
        match self {
            Self::Absent => Run::Absent,
            Self::Queued { since, reason, why } => Run::Queued { since, reason, why },
            Self::Running {
                since,
                pod,
                overdue,
            } => Run::Running {
                since,
                pod,
                overdue,
            },
            Self::Ended(ended) => Run::Ended(EndedRun {
                exit: ended.exit,
                started: ended.started,
                ended: ended.ended,
                message: read(ended.message),
                log_tail: ended.log_tail,
                pod: ended.pod,
            }),
        }
    }
}

/// What is to be said of a run that should have ended and has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// From when on.
    pub at: Timestamp,
    /// What.
    pub why: String,
}

/// A run that ended; `M` is what it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedRun<M = Reported> {
    /// How.
    pub exit: Exit,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What the container left as its termination message.
    pub message: M,
    /// The last lines of its log, for the message of a failure.
    pub log_tail: String,
    /// The pod that ran it, where there are pods.
    pub pod: Option<String>,
}

impl<M> EndedRun<M> {
    /// When it began, if anything of it ran.
    #[must_use]
    pub fn began(&self) -> Option<Timestamp> {
        let began = !matches!(self.exit, Exit::NeverStarted(_) | Exit::CannotStart(_));
        began.then_some(self.started)
    }
}

impl<M: Default> EndedRun<M> {
    /// A run that left nothing but its end: no message, no log, no pod.
    #[must_use]
    pub fn without_a_trace(exit: Exit, started: Timestamp, ended: Timestamp) -> Self {
        Self {
            exit,
            started,
            ended,
            message: M::default(),
            log_tail: String::new(),
            pod: None,
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "the container exited with code {code}"),
            Self::Signal(signal) => write!(formatter, "signal {signal} ended the container"),
            Self::DeadlineExceeded => {
                formatter.write_str("it ran longer than it may and was ended")
            }
            Self::OutOfMemory => formatter.write_str("it used more memory than it may"),
            Self::CannotStart(why)
            | Self::LimitExceeded(why)
            | Self::Infrastructure(why)
            | Self::NeverStarted(why)
            | Self::ResultUnreadable(why) => formatter.write_str(why),
        }
    }
}
