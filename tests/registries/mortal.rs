//! Operators that die at some of their writes to MLflow and are started again, on a way to it that is slow at times; what becomes of the
//! epochs for which they contend.

use super::mlflow_proxy::{self, Call, Fate, Said};
use super::promotion::until_settled;
use super::run;
use super::world::{NAME, Objects, operator, policy, ready, reason};
use podium_api::ChampionPolicy;
use podium_core::champion::{Aliases, Freshness, Ledger};
use podium_operator::adapters::mlflow::registry::MlflowRegistry;
use podium_operator::adapters::write_lease::WriteLease;
use podium_operator::ports::ModelRegistry;
use podium_testbed::mlflow::{MLFLOW, MlflowServer, Postgres};
use serde_json::json;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// Each of them has epochs of its own, and all have them at once: most of the time somebody waits. A ledger that is short is read fast.
pub const MODELS: usize = 20;
/// Of a model; `make check-registry` tries more.
pub static EPOCHS: LazyLock<usize> = LazyLock::new(|| {
    let all = std::env::var("PODIUM_CHECK_REGISTRY").is_ok_and(|value| value == "true");
    if all { 30 } else { 10 }
});
/// Version 1 is champion at first; the others are wanted by turns.
pub const VERSIONS: usize = 3;
/// Of a hundred writes so many kill who sends them.
const DEADLY_PERCENT: u64 = 15;
/// Of a hundred moves of the champion alias so many are on their way for long, at most for so long.
const SLOW_PERCENT: u64 = 50;
const SLOW_MILLIS: u64 = 150;
/// More than any epoch takes.
const MOST_RECONCILES: usize = 2_000;
/// Before whoever waits for somebody else looks again.
const PAUSE: Duration = Duration::from_millis(20);

/// Numbers that look random, the same for each run: splitmix64.
#[derive(Debug)]
pub struct Numbers(Mutex<u64>);

impl Numbers {
    pub fn from(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    pub fn below(&self, bound: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// An operator that dies at some of its writes and is started again.
pub struct Mortal {
    pub cluster: &'static str,
    pub objects: Objects,
    deaths: Arc<AtomicUsize>,
    permission: WriteLease,
    url: String,
    dies: Arc<Notify>,
}

impl Mortal {
    /// On a way to `server` on which `decide` sees each request first.
    pub async fn new(
        cluster: &'static str,
        objects: Objects,
        permission: WriteLease,
        server: &str,
        seed: u64,
        decide: impl Fn(&Call) -> Option<Fate> + Send + Sync + 'static,
    ) -> Self {
        let (dies, deaths) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let kill = {
            let (dies, deaths) = (Arc::clone(&dies), Arc::clone(&deaths));
            move || {
                deaths.fetch_add(1, Ordering::Relaxed);
                dies.notify_one();
            }
        };
        let numbers = Numbers::from(seed);
        let url = mlflow_proxy::open(server, move |call| {
            decide(call).unwrap_or_else(|| hazard(&numbers, call, &kill))
        })
        .await;
        Self {
            cluster,
            objects,
            deaths,
            permission,
            url,
            dies,
        }
    }

    /// Reconciles until `is_over`, which is told whether the last reconcile left nothing to do at once. What an operator has in memory
    /// goes with it when it dies.
    pub async fn live_until(&self, is_over: impl Fn(&ChampionPolicy, bool) -> bool) {
        let mut reconciles = 0;
        while reconciles < MOST_RECONCILES {
            let engine = operator(self.cluster, &self.objects, &self.url, &self.permission);
            let lives = async {
                while reconciles < MOST_RECONCILES {
                    reconciles += 1;
                    let left = engine.reconcile_champion_policy(NAME).await;
                    let is_idle = !left.is_ok_and(|left| left.changed);
                    if is_over(&self.objects.policy(), is_idle) {
                        return true;
                    }
                    if is_idle {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                false
            };
            tokio::select! {
                is_over = lives => if is_over { return },
                () = self.dies.notified() => {}
            }
        }
        let policy = self.objects.policy();
        panic!(
            "{} of {}: it does not come to an end: {:?}, {:#?}",
            self.cluster,
            policy.spec.model,
            ready(&policy),
            policy.status
        );
    }

    pub fn deaths(&self) -> usize {
        self.deaths.load(Ordering::Relaxed)
    }
}

fn hazard(numbers: &Numbers, call: &Call, kill: &(impl Fn() + Clone + Send + 'static)) -> Fate {
    if !call.is_write() {
        return Fate::Pass;
    }
    if numbers.below(100) < DEADLY_PERCENT {
        return match numbers.below(3) {
            0 => {
                kill();
                Fate::Answer(Said::json(502, "{}"))
            }
            1 => Fate::BreakThen(Box::new(kill.clone())),
            _ => Fate::PassThen(Box::new(kill.clone())),
        };
    }
    if call.moves("champion") && numbers.below(100) < SLOW_PERCENT {
        let slow = Duration::from_millis(numbers.below(SLOW_MILLIS));
        return Fate::PassAfter(Box::pin(tokio::time::sleep(slow)));
    }
    Fate::Pass
}

/// A policy that pins a version, with claims or without.
pub fn pinning(model: &str, version: &str, exclusivity: &str) -> serde_json::Value {
    policy(model, |policy| {
        policy["spec"]["pin"] = json!({"version": version, "reason": "by a test"});
        policy["spec"]["promotion"] = json!({"exclusivity": exclusivity});
    })
}

/// Whether a policy has nothing under way, and says one of these words about the specification that it has now.
pub fn rests(policy: &ChampionPolicy, words: &[&str]) -> bool {
    let status = policy.status.clone().unwrap_or_default();
    let is_about_it = status.observed_generation == policy.metadata.generation;
    is_about_it && status.in_flight.is_none() && words.contains(&reason(policy).as_str())
}

/// The version that a policy pins.
pub fn wanted(policy: &ChampionPolicy) -> String {
    let pin = policy.spec.pin.as_ref();
    pin.map(|pin| pin.version.clone()).unwrap()
}

/// The last epoch that a policy knows.
pub fn epoch(policy: &ChampionPolicy) -> i64 {
    let status = policy.status.as_ref();
    status.and_then(|status| status.epoch).unwrap_or(0)
}

/// Whether a policy says that in this epoch the version which it pins was promoted.
pub fn says_that_it_won(policy: &ChampionPolicy, epoch: i64) -> bool {
    let wanted = wanted(policy);
    let history = policy.status.iter().flat_map(|status| &status.history);
    let mut of_epoch = history.filter(|entry| entry.epoch == epoch);
    of_epoch.any(|entry| entry.outcome == "Promoted" && entry.to.as_ref() == Some(&wanted))
}

/// What a registry says of a model now: the champion, and the ledger.
pub struct Now {
    pub champion: String,
    pub ledger: Ledger,
}

impl Now {
    pub async fn of(registry: &MlflowRegistry, model: &str) -> Self {
        let aliases = Aliases {
            champion: "champion".to_string(),
            challenger: "challenger".to_string(),
            previous: "previous-champion".to_string(),
        };
        let look = registry.look(model, Freshness::Now).await.unwrap();
        let champion = look.view.unwrap().aliases[&aliases.champion].clone();
        let ledger = Ledger::read(&look.registers, &aliases).unwrap();
        Self { champion, ledger }
    }

    /// Versions that are not champion.
    pub fn others(&self) -> impl Iterator<Item = String> {
        let champion = self.champion.clone();
        let all = (1..=VERSIONS).map(|version| version.to_string());
        all.filter(move |version| *version != champion)
    }

    /// Whether this is what the epoch says that moved the champion last.
    pub fn agrees(&self) -> bool {
        let ended = self.ledger.epochs.values().rev();
        let mut moved = ended.filter(|epoch| {
            let outcome = epoch.outcome.as_ref();
            outcome.is_some_and(|entry| entry.outcome.moved())
        });
        let last = moved.next();
        last.is_some_and(|epoch| epoch.claim.to.as_ref() == Some(&self.champion))
    }
}

/// What became of epochs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub epochs: usize,
    /// Two say that they won.
    pub two_winners: usize,
    /// Nobody says that he won.
    pub no_winner: usize,
    /// One says so, and another version is champion.
    pub not_champion: usize,
    pub deaths: usize,
    /// Leaders that were stopped at a write and lost the lease.
    pub stopped: usize,
    /// Their writes that began after another one led.
    pub unfenced: usize,
}

impl Tally {
    /// Counts an epoch.
    pub fn count(&mut self, winners: &[String], champion: &str) {
        self.epochs += 1;
        match winners {
            [] => self.no_winner += 1,
            [winner] => self.not_champion += usize::from(winner != champion),
            _ => self.two_winners += 1,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            epochs: self.epochs + other.epochs,
            two_winners: self.two_winners + other.two_winners,
            no_winner: self.no_winner + other.no_winner,
            not_champion: self.not_champion + other.not_champion,
            deaths: self.deaths + other.deaths,
            stopped: self.stopped + other.stopped,
            unfenced: self.unfenced + other.unfenced,
        }
    }

    /// Each epoch has one winner, whose version is champion.
    pub fn has_one_winner_each(&self) -> bool {
        self.two_winners + self.no_winner + self.not_champion == 0
    }

    /// Says the counts past the capture of tests, so that they are read also where nothing fails.
    pub fn tell(&self, who: &str) {
        let Self {
            epochs,
            two_winners,
            no_winner,
            not_champion,
            deaths,
            stopped,
            unfenced: _,
        } = self;
        let line = format!(
            "{who}: {epochs} epochs, {deaths} deaths, {stopped} stopped leaders: {two_winners} with two winners, \
             {no_winner} with none, {not_champion} where the sole winner is not the champion\n"
        );
        // Whether anybody reads it changes nothing.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Runs a test for each model on an MLflow with PostgreSQL; the sums of what they counted.
pub fn on_postgresql<const N: usize>(test: impl AsyncFn(&str, usize) -> [Tally; N]) -> [Tally; N] {
    let directory = tempfile::tempdir().unwrap();
    let database = Postgres::start(&directory.path().join("postgres")).unwrap();
    let own = directory.path().join("mlflow");
    std::fs::create_dir(&own).unwrap();
    let server = MlflowServer::start(&own, MLFLOW, Some(&database.url())).unwrap();
    let url = server.url();
    let all = (0..MODELS).map(|number| test(&url, number));
    let counts = run(futures::future::join_all(all));
    std::array::from_fn(|kind| {
        let of_kind = counts.iter().map(|counts| counts[kind]);
        of_kind.fold(Tally::default(), Tally::and)
    })
}

/// Starts an operator of this cluster that lives and has a good way, and waits until it has nothing left to do but keep its pin.
pub async fn until_pinned(cluster: &str, objects: &Objects, server: &str) {
    let engine = operator(cluster, objects, server, &WriteLease::always());
    until_settled(&engine, objects, &["Pinned"]).await;
}
