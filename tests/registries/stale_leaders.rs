//! Leaders that stand still at one of their writes until their lease is over and another one leads, and then go on.
//!
//! A leader stands still as a stopped process does: none of its code runs any more, while what it has sent is on its way. Leases are
//! decided by the operator's own rule and its own permission to write; only their object stands in memory, and all times are shorter.

use super::ledger_of_model::make_model;
use super::mlflow_proxy::{Call, Fate};
use super::mlflow_registry::mlflow_registry;
use super::mortal::{
    EPOCHS, Mortal, Now, Numbers, Tally, VERSIONS, epoch, on_postgresql, pinning, rests,
    says_that_it_won, until_pinned, wanted,
};
use super::world::{Objects, cluster_with_policy, pin};
use podium_api::ChampionPolicy;
use podium_core::leadership::{SeenLease, Step, Watch, step};
use podium_operator::adapters::mlflow::registry::MlflowRegistry;
use podium_operator::adapters::write_lease::WriteLease;
use std::pin::pin as pinned;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Others may take over this long after the last renewal.
const LEASE: Duration = Duration::from_secs(2);
/// Writes are allowed this long after it: two thirds, as in a cluster.
const WRITES_ALLOWED: Duration = Duration::from_millis(1_333);
const RENEWAL: Duration = Duration::from_millis(300);
/// More writes than most promotions have.
const WRITES: u64 = 9;
/// So often a leader that goes on tries again.
const GOES_ON: usize = 3;
/// Times that whoever leads in the end looks again.
const TURNS: usize = 10;

/// The lease of a cluster, as its API server keeps it.
#[derive(Clone, Default)]
struct Lease(Arc<Mutex<Option<SeenLease>>>);

/// An operator that leads or would like to.
struct Candidate {
    name: String,
    lease: Lease,
    watch: Mutex<Watch>,
    began: Instant,
    permission: WriteLease,
}

impl Candidate {
    fn new(name: usize, lease: &Lease) -> Self {
        Self {
            name: name.to_string(),
            lease: lease.clone(),
            watch: Mutex::default(),
            began: Instant::now(),
            permission: WriteLease::none_yet(),
        }
    }

    /// Looks at the lease once, and takes or renews it where that is its turn; whether it leads.
    fn leads(&self) -> bool {
        let mut lease = self.lease.0.lock().unwrap();
        let mut watch = self.watch.lock().unwrap();
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap();
        let asked = Instant::now();
        if step(&mut watch, lease.as_ref(), &self.name, now) == Step::Wait {
            return false;
        }
        let version = lease.as_ref().map(|lease| lease.version.parse::<u64>());
        let renewals = version.map_or(0, Result::unwrap) + 1;
        *lease = Some(SeenLease {
            holder: self.name.clone(),
            duration: u64::try_from(LEASE.as_millis()).unwrap(),
            version: renewals.to_string(),
        });
        self.permission.extend(asked + WRITES_ALLOWED);
        true
    }

    async fn acquire(&self) {
        while !self.leads() {
            tokio::time::sleep(RENEWAL / 2).await;
        }
    }

    /// Renews the lease for as long as it has it.
    async fn keep(&self) {
        while self.leads() {
            tokio::time::sleep(RENEWAL).await;
        }
        self.permission.end();
    }
}

/// What keeps a leader back that was stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fence {
    /// All that there is: its lease is over, the status is compared, and the ledger knows.
    Whole,
    /// The ledger alone: it believes in its lease for ever, and its status is one of its own.
    Ledger,
    /// Nothing.
    None,
}

impl Fence {
    const ALL: [Self; 3] = [Self::Whole, Self::Ledger, Self::None];

    fn exclusivity(self) -> &'static str {
        match self {
            Self::Whole | Self::Ledger => "Ledger",
            Self::None => "Guarded",
        }
    }

    fn epochs(self) -> usize {
        match self {
            Self::Whole => *EPOCHS,
            Self::Ledger | Self::None => 1,
        }
    }

    fn permission(self, candidate: &Candidate) -> WriteLease {
        match self {
            Self::Whole => candidate.permission.clone(),
            Self::Ledger | Self::None => WriteLease::always(),
        }
    }
}

/// What happens to a leader, and when.
#[derive(Clone, Default)]
struct Signals {
    /// The leader stands still.
    stopped: Arc<Notify>,
    /// Its write on its way arrives.
    arrives: Arc<Notify>,
    /// It goes on.
    continues: Arc<Notify>,
    went_on: Arc<AtomicBool>,
    /// Another one leads.
    taken_over: Arc<AtomicBool>,
    unfenced: Arc<AtomicUsize>,
}

/// What becomes of the write at which a leader is stopped.
#[derive(Clone, Copy)]
enum OnItsWay {
    /// MLflow gets it at once, and its answer waits for the leader.
    AtOnce,
    /// MLflow gets it later.
    Late,
    /// The same, and the connection breaks: the leader never hears what became of it.
    LateAndUnheard,
}

/// Where a leader is stopped.
#[derive(Clone, Copy)]
struct Stop {
    /// At this write, or at the move of the champion alias.
    at: Option<usize>,
    on_its_way: OnItsWay,
}

impl Signals {
    /// What the way of the leader does first.
    fn way_of_leader(
        &self,
        stop: Stop,
    ) -> impl Fn(&Call) -> Option<Fate> + Send + Sync + 'static + use<> {
        let signals = self.clone();
        let writes = AtomicUsize::new(0);
        let stops = AtomicUsize::new(0);
        move |call: &Call| {
            if !call.is_write() {
                return None;
            }
            if signals.taken_over.load(Ordering::Relaxed) {
                signals.unfenced.fetch_add(1, Ordering::Relaxed);
            }
            let write = writes.fetch_add(1, Ordering::Relaxed);
            let is_met = stop.at.map_or(call.moves("champion"), |at| at == write);
            if !is_met || stops.fetch_add(1, Ordering::Relaxed) > 0 {
                return None;
            }
            signals.stopped.notify_one();
            let arrives = Arc::clone(&signals.arrives);
            let late = Box::pin(async move { arrives.notified().await });
            Some(match stop.on_its_way {
                OnItsWay::AtOnce => Fate::Pass,
                OnItsWay::Late => Fate::PassAfter(late),
                OnItsWay::LateAndUnheard => Fate::LoseAndPassAfter(late),
            })
        }
    }

    /// What that of its successor does: at these of its writes the leader's one arrives, and the leader goes on.
    fn way_of_successor(
        &self,
        arrives_at: usize,
        continues_at: usize,
    ) -> impl Fn(&Call) -> Option<Fate> + Send + Sync + 'static + use<> {
        let signals = self.clone();
        let writes = AtomicUsize::new(0);
        move |call: &Call| {
            if call.is_write() {
                let write = writes.fetch_add(1, Ordering::Relaxed);
                if write == arrives_at {
                    signals.arrives.notify_one();
                }
                if write == continues_at {
                    signals.go_on();
                }
            }
            None
        }
    }

    fn go_on(&self) {
        self.went_on.store(true, Ordering::Relaxed);
        self.continues.notify_one();
    }
}

fn is_pinned(policy: &ChampionPolicy, is_idle: bool) -> bool {
    is_idle && rests(policy, &["Pinned"])
}

/// An operator that leads, as long as what keeps it back does not hinder it.
struct Leader {
    candidate: Candidate,
    mortal: Mortal,
    fence: Fence,
}

impl Leader {
    /// Moves the alias until the policy says so, or it has tried in vain after it was continued.
    async fn leads(&self, signals: &Signals) {
        let tries = AtomicUsize::new(0);
        let is_over = |policy: &ChampionPolicy, is_idle: bool| {
            let is_stale = self.fence == Fence::Whole && signals.went_on.load(Ordering::Relaxed);
            let gives_up = is_stale && tries.fetch_add(1, Ordering::Relaxed) >= GOES_ON;
            gives_up || is_pinned(policy, is_idle)
        };
        let keeps = async {
            self.candidate.keep().await;
            // A process would end here. This one goes on.
            std::future::pending::<()>().await;
        };
        self.candidate.acquire().await;
        tokio::select! {
            () = self.mortal.live_until(is_over) => {}
            () = keeps => {}
        }
    }

    /// Takes over once the lease of the one before is over, and ends what there is to do.
    async fn succeeds(&self, signals: &Signals) {
        self.candidate.acquire().await;
        signals.taken_over.store(true, Ordering::Relaxed);
        tokio::select! {
            () = self.mortal.live_until(is_pinned) => {}
            () = self.candidate.keep() => {}
        }
        signals.arrives.notify_one();
        signals.go_on();
    }
}

/// The policy of a cluster whose leaders are stopped.
struct Story<'a> {
    server: &'a str,
    registry: MlflowRegistry,
    model: &'a str,
    fence: Fence,
    numbers: Numbers,
    objects: Objects,
    /// What the registry said last.
    now: Now,
    lease: Lease,
    /// Who leads.
    leader: usize,
    tally: Tally,
}

impl<'a> Story<'a> {
    async fn begin(server: &'a str, model: &'a str, seed: u64, fence: Fence) -> Self {
        let registry = mlflow_registry(server);
        let now = Now::of(&registry, model).await;
        let objects = cluster_with_policy(model, |policy| pin(policy, &now.champion));
        objects.apply(&pinning(model, &now.champion, fence.exclusivity()));
        until_pinned("only", &objects, server).await;
        Self {
            server,
            registry,
            model,
            fence,
            numbers: Numbers::from(seed),
            objects,
            now,
            lease: Lease::default(),
            leader: 0,
            tally: Tally::default(),
        }
    }

    fn below(&self, bound: u64) -> usize {
        usize::try_from(self.numbers.below(bound)).unwrap()
    }

    /// Where everything keeps a leader back it may be stopped anywhere; else where a guard alone is known to fail.
    fn stop(&self) -> Stop {
        match self.fence {
            Fence::Whole => Stop {
                at: Some(self.below(WRITES)),
                on_its_way: match self.below(3) {
                    0 => OnItsWay::AtOnce,
                    1 => OnItsWay::Late,
                    _ => OnItsWay::LateAndUnheard,
                },
            },
            Fence::Ledger | Fence::None => Stop {
                at: None,
                on_its_way: OnItsWay::Late,
            },
        }
    }

    async fn leader(
        &self,
        objects: &Objects,
        way: impl Fn(&Call) -> Option<Fate> + Send + Sync + 'static,
    ) -> Leader {
        let candidate = Candidate::new(self.leader, &self.lease);
        let permission = self.fence.permission(&candidate);
        let (objects, seed) = (objects.clone(), self.numbers.below(u64::MAX));
        let mortal = Mortal::new("only", objects, permission, self.server, seed, way).await;
        Leader {
            candidate,
            mortal,
            fence: self.fence,
        }
    }

    fn apply(&self, objects: &Objects, version: &str) {
        objects.apply(&pinning(self.model, version, self.fence.exclusivity()));
    }

    /// A leader begins to move the alias and is stopped; it goes on while another one leads, or after that.
    async fn epoch(&mut self) {
        let known = epoch(&self.objects.policy());
        let wanted: Vec<String> = self.now.others().collect();
        // Without a common status the successor knows nothing of what the leader began.
        let (begun, apart) = (self.objects.clone(), self.objects.snapshot());
        self.apply(&begun, &wanted[0]);
        let signals = Signals::default();
        let way = signals.way_of_leader(self.stop());
        let old = self.leader(&begun, way).await;
        let mut leads = pinned!(old.leads(&signals));
        let is_stopped = tokio::select! {
            () = &mut leads => false,
            () = signals.stopped.notified() => true,
        };
        if is_stopped {
            self.tally.stopped += 1;
            self.leader += 1;
            if self.fence != Fence::Whole {
                self.objects = apart;
            }
            // Somebody changes his mind meanwhile, or does not.
            if self.fence != Fence::Whole || self.below(2) == 0 {
                self.apply(&self.objects, &wanted[1]);
            }
            let (arrives, continues) = match self.fence {
                // At the end, however slow the server is.
                Fence::None => (usize::MAX, usize::MAX),
                Fence::Whole | Fence::Ledger => (self.below(12), self.below(12)),
            };
            let way = signals.way_of_successor(arrives, continues);
            let new = self.leader(&self.objects, way).await;
            let goes_on = async {
                signals.continues.notified().await;
                leads.await;
            };
            tokio::join!(new.succeeds(&signals), goes_on);
            self.tally.deaths += new.mortal.deaths();
        }
        self.tally.deaths += old.mortal.deaths();
        self.tally.unfenced += signals.unfenced.load(Ordering::Relaxed);
        self.count(&begun, known).await;
    }

    /// Counts an epoch that began with this number, as the status of the old leader and that of the new one say it.
    async fn count(&mut self, begun: &Objects, known: i64) {
        let both = [begun.policy(), self.objects.policy()];
        let is_won_by_both = |epoch| both.iter().all(|policy| says_that_it_won(policy, epoch));
        let is_one = wanted(&both[0]) == wanted(&both[1]);
        let is_doubted = !is_one && (known + 1..known + 9).any(is_won_by_both);
        self.now = self.until_all_is_seen().await;
        let last = self.objects.policy();
        let winners = match is_doubted {
            true => both.iter().map(wanted).collect(),
            false if rests(&last, &["Pinned"]) => vec![wanted(&last)],
            false => Vec::new(),
        };
        self.tally.count(&winners, &self.now.champion);
        if self.fence == Fence::Whole {
            assert!(self.now.agrees(), "{}: {:#?}", self.model, self.now.ledger);
        }
    }

    /// What happened last may not be seen yet, so whoever leads is started again and looks.
    async fn until_all_is_seen(&self) -> Now {
        for _ in 0..TURNS {
            until_pinned("only", &self.objects, self.server).await;
            let now = Now::of(&self.registry, self.model).await;
            let is_over = now.ledger.open_epoch().is_none() || self.fence == Fence::None;
            if is_over && now.champion == wanted(&self.objects.policy()) {
                return now;
            }
        }
        panic!("{}: {:#?}", self.model, self.objects.policy().status);
    }
}

#[test]
fn what_a_stale_leader_sent_changes_no_winner() {
    let [whole, ledger, naive] = on_postgresql(async |server, number| {
        let model = format!("stale {number}");
        make_model(&mlflow_registry(server), &model, VERSIONS, true).await;
        let mut tallies = [Tally::default(); 3];
        for (fence, tally) in Fence::ALL.into_iter().zip(&mut tallies) {
            let mut story = Story::begin(server, &model, 10_000 + number as u64, fence).await;
            for _ in 0..fence.epochs() {
                story.epoch().await;
            }
            *tally = story.tally;
        }
        tallies
    });
    whole.tell("stale leaders");
    ledger.tell("leaders that only the ledger keeps back");
    naive.tell("leaders that nothing keeps back");
    assert!(whole.has_one_winner_each(), "{whole:?}");
    assert_eq!(
        whole.unfenced, 0,
        "writes after somebody else led: {whole:?}"
    );
    assert!(whole.stopped > whole.epochs / 2, "{whole:?}");
    assert!(whole.deaths > whole.epochs / 4, "{whole:?}");
    assert!(ledger.has_one_winner_each(), "{ledger:?}");
    assert!(naive.two_winners > 0, "it would not be found: {naive:?}");
}
