//! A session that stays: manifests that people edit meanwhile are taken in, and so are their requests for a search at once.

use super::intake::{Asked, Intake, lock, take_in};
use super::manifests::{self, Manifests};
use super::ports::LocalPorts;
use super::requests::{Requests, waiting};
use super::session::{Session, SessionError};
use crate::ports::Ports;
use std::path::{Path, PathBuf};

/// What a session has taken in of its directory.
#[derive(Debug)]
pub(super) struct Watched {
    prune: bool,
    taken_in: Look,
    /// What was found when the directory was last looked at.
    last: Look,
}

/// What is found in a directory.
#[derive(Clone, Debug, PartialEq)]
struct Look {
    /// The manifests, or why there are none to take in.
    manifests: Result<Manifests, String>,
    requests: Requests,
}

impl Look {
    fn at(ports: &LocalPorts) -> Self {
        let directory = ports.directory();
        Self {
            manifests: manifests::read(directory).map_err(|error| error.to_string()),
            requests: waiting(directory, ports.cluster()),
        }
    }
}

impl Session {
    /// As [`Session::begin`], for a run that stays when nothing is left to do.
    ///
    /// # Errors
    /// See [`SessionError`]; nothing is stored when no manifest is admitted.
    pub async fn begin_watching(
        directory: &Path,
        podium: PathBuf,
        prune: bool,
    ) -> Result<(Self, Intake), SessionError> {
        let found = manifests::read(directory)?;
        let lock = lock(directory)?;
        let ports = LocalPorts::new(directory, podium).staying();
        let requests = waiting(directory, ports.cluster());
        let asked = Asked {
            found: &found,
            requests: &requests,
            prune,
            before: None,
        };
        let (intake, scope) = take_in(&ports, asked).await?;
        let mut session = Self::new(ports, scope, lock)?;
        let look = Look {
            manifests: Ok(found),
            requests,
        };
        session.watched = Some(Watched {
            prune,
            taken_in: look.clone(),
            last: look,
        });
        Ok((session, intake))
    }

    /// Looks at the directory of a session that watches it, and takes in what was edited. An edit counts when two looks in a row find the
    /// same: a file that is just being written must not be taken for one that lost its objects.
    ///
    /// # Errors
    /// Nothing can be stored any more.
    pub async fn take_in_edits(&mut self) -> Result<Option<Intake>, SessionError> {
        let Some(watched) = &mut self.watched else {
            return Ok(None);
        };
        let look = Look::at(self.engine.ports());
        let is_settled = look == watched.last;
        watched.last = look.clone();
        if look == watched.taken_in || !is_settled {
            return Ok(None);
        }
        watched.taken_in = look.clone();
        let prune = watched.prune;
        let found = match look.manifests {
            Ok(found) => found,
            Err(why) => return Ok(Some(refused(vec![why]))),
        };
        let asked = Asked {
            found: &found,
            requests: &look.requests,
            prune,
            before: Some(self.scope()),
        };
        let taken = take_in(self.engine.ports(), asked).await;
        match taken {
            Ok((intake, scope)) => {
                self.narrow_or_widen(scope).await?;
                Ok(Some(intake))
            }
            // What is stored goes on.
            Err(SessionError::Refused(why)) => Ok(Some(refused(why))),
            Err(error) => Err(error),
        }
    }
}

fn refused(why: Vec<String>) -> Intake {
    Intake {
        refused: why,
        ..Intake::default()
    }
}
