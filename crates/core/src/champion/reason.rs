//! The closed lists of phases and reasons of a policy.

use serde::{Deserialize, Serialize};

/// Where a policy is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Nothing is known yet.
    Pending,
    /// Nothing to decide.
    Watching,
    /// Evidence is being made or compared.
    Evaluating,
    /// A decision waits for consent.
    AwaitingApproval,
    /// The alias is being moved.
    Promoting,
    /// Something holds the champion.
    Held,
    /// `spec.suspend` is set.
    Suspended,
    /// Held until somebody changes something.
    Blocked,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident => $phase:ident,)+) => {
        /// Why a policy is where it is: one word of a closed list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* $name,)+
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// The phase that goes with it.
            #[must_use]
            pub fn phase(self) -> Phase {
                match self {
                    $(Self::$name => Phase::$phase,)+
                }
            }
        }
    };
}

reasons! {
    /// The registered model does not exist yet.
    ModelNotFound => Watching,
    /// Nobody wants to be champion.
    NoChallenger => Watching,
    /// The champion has no other challenger.
    UpToDate => Watching,
    /// The pinned version is champion.
    Pinned => Watching,
    /// The alias was moved by somebody else, and that is recorded.
    ChampionAdopted => Watching,
    /// A move of the alias was just recorded.
    Promoted => Watching,
    /// A move that was begun was not carried out.
    Void => Watching,
    /// The challenger is no longer one, or something else is pinned.
    Withdrawn => Watching,
    /// Another process leads, or the alias is not where it was read.
    NotInAuthority => Watching,
    /// Predictions are being made.
    Scoring => Evaluating,
    /// Versions are being compared.
    Comparing => Evaluating,
    /// Predictions are missing, and are waited for.
    AwaitingPredictions => Evaluating,
    /// Whether the files changed since they were judged is being looked at.
    ConfirmingEvidence => Evaluating,
    /// A decision waits for consent.
    ApprovalNeeded => AwaitingApproval,
    /// The alias is being moved.
    MovingAlias => Promoting,
    /// Ownership of the alias is being claimed.
    ClaimingOwnership => Promoting,
    /// The challenger was shown to be worse, or to hurt a guardrail.
    Inferior => Held,
    /// The challenger was not shown to be better.
    Inconclusive => Held,
    /// The holdout cannot answer.
    NotComparable => Held,
    /// Predictions cannot be had.
    EvidenceMissing => Held,
    /// The comparison failed.
    EvaluationFailed => Held,
    /// An object of the comparison's name asks something else.
    EvaluationNotOurs => Held,
    /// The files changed after they were judged.
    EvidenceChanged => Held,
    /// Whether the files changed since they were judged could not be found out.
    EvidenceUnconfirmed => Held,
    /// The holdout has been looked at as often as it may be.
    HoldoutUsedUp => Held,
    /// The verdict was not paid for by a look.
    LookNotPaid => Held,
    /// The policy is a dry run.
    DryRun => Held,
    /// The version was refused on this evidence.
    Refused => Held,
    /// An approver rejected it.
    Rejected => Held,
    /// The champion changed too recently.
    CoolingDown => Held,
    /// No window is open.
    OutsideWindow => Held,
    /// A move by somebody else holds promotions.
    ExternalChangeHeld => Held,
    /// A move by somebody else was undone less than an hour before.
    RevertedRecently => Held,
    /// `promotion.firstChampion` is `Never`.
    FirstChampionNever => Held,
    /// `spec.suspend` is set.
    SuspendedByUser => Suspended,
    /// The champion alias was removed by somebody else.
    ChampionRemoved => Blocked,
    /// A version that is named does not exist, or cannot be used.
    VersionNotFound => Blocked,
    /// Another policy owns the alias.
    AliasOwnedByOther => Blocked,
    /// The ledger knows less than the status.
    RegistrySetBack => Blocked,
    /// The ledger cannot be read.
    LedgerUnreadable => Blocked,
}
