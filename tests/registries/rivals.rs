//! Operators that promote at the same time: two clusters that take an alias over from each other, and a leader whose requests outlive its
//! lease. Each dies again and again at its writes.

use super::ledger_of_model::{champion, make_model, outcomes, registers};
use super::mlflow_proxy::{self, Fate, Said};
use super::mlflow_registry::mlflow_registry;
use super::run;
use super::world::{NAME, Objects, cluster_with_policy, operator, pin, policy, ready, reason};
use futures::StreamExt;
use podium_operator::adapters::mlflow::registry::MlflowRegistry;
use podium_operator::adapters::write_lease::WriteLease;
use podium_testbed::mlflow::{MLFLOW, MlflowServer, Postgres};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

const MODELS: usize = 10;
/// Of a model; `make check-registry` tries more.
static EPOCHS: LazyLock<usize> = LazyLock::new(|| {
    let all = std::env::var("PODIUM_CHECK_REGISTRY").is_ok_and(|value| value == "true");
    if all { 20 } else { 3 }
});
/// Models that are contested at once.
const AT_ONCE: usize = 4;
const VERSIONS: usize = 4;
/// Of a hundred writes so many kill who sends them.
const DEADLY_PERCENT: u64 = 15;
const LOOKS: usize = 6_000;

/// Numbers that look random, the same for each run: splitmix64.
#[derive(Debug)]
struct Numbers(Mutex<u64>);

impl Numbers {
    fn from(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    fn below(&self, bound: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// An operator of one cluster that dies at some of its writes and is started again.
struct Mortal {
    cluster: &'static str,
    objects: Objects,
    url: String,
    dies: Arc<Notify>,
    deaths: Arc<AtomicUsize>,
    reconciles: AtomicUsize,
}

impl Mortal {
    async fn of(cluster: &'static str, server: &str, objects: Objects, seed: u64) -> Self {
        let (dies, deaths) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let numbers = Numbers::from(seed);
        let kill = {
            let (dies, deaths) = (Arc::clone(&dies), Arc::clone(&deaths));
            move || {
                deaths.fetch_add(1, Ordering::Relaxed);
                dies.notify_one();
            }
        };
        let url = mlflow_proxy::open(server, move |call| {
            if !call.is_write() || numbers.below(100) >= DEADLY_PERCENT {
                return Fate::Pass;
            }
            match numbers.below(3) {
                0 => {
                    kill();
                    Fate::Answer(Said::json(502, "{}"))
                }
                1 => Fate::BreakThen(Box::new(kill.clone())),
                _ => Fate::PassThen(Box::new(kill.clone())),
            }
        })
        .await;
        Self {
            cluster,
            objects,
            url,
            dies,
            deaths,
            reconciles: AtomicUsize::new(0),
        }
    }

    /// Reconciles until it is told to end. What an operator has in memory goes with it.
    async fn live(&self, end: &AtomicBool) {
        while !end.load(Ordering::Relaxed) {
            let engine = operator(
                self.cluster,
                &self.objects,
                &self.url,
                &WriteLease::always(),
            );
            let work = async {
                while !end.load(Ordering::Relaxed) {
                    let left = engine.reconcile_champion_policy(NAME).await;
                    self.reconciles.fetch_add(1, Ordering::Relaxed);
                    if !left.is_ok_and(|left| left.changed) {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            };
            tokio::select! {
                () = work => {}
                () = self.dies.notified() => {}
            }
        }
    }

    /// Whether it has nothing to do.
    fn rests(&self) -> bool {
        let policy = self.objects.policy();
        let moving = policy
            .status
            .as_ref()
            .is_some_and(|s| s.in_flight.is_some());
        !moving && ["Pinned", "AliasOwnedByOther"].contains(&reason(&policy).as_str())
    }

    fn wants(&self, model: &str, version: &str, take_over: u64) {
        self.objects.apply(&policy(model, |policy| {
            pin(policy, version);
            let epoch = take_over.to_string();
            policy["metadata"]["annotations"] = json!({"podium.dev/take-over": epoch});
        }));
    }
}

/// Waits until both have had nothing to do for a while.
async fn until_both_rest(sides: &[Mortal; 2]) {
    let mut since = None;
    for _ in 0..LOOKS {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let seen = sides
            .each_ref()
            .map(|s| s.reconciles.load(Ordering::Relaxed));
        if !sides.iter().all(Mortal::rests) {
            since = None;
            continue;
        }
        let began = *since.get_or_insert(seen);
        // Each has looked at the registry from its begin to its end since.
        if (0..2).all(|side| seen[side] >= began[side] + 3) {
            return;
        }
    }
    let said = sides.each_ref().map(|side| {
        let policy = side.objects.policy();
        let moving = policy
            .status
            .as_ref()
            .and_then(|status| status.in_flight.clone());
        let wanted = policy.spec.pin.clone().map(|pin| pin.version);
        (ready(&policy).cloned(), moving, wanted)
    });
    panic!("the rivals do not come to rest: {said:#?}");
}

/// The target of the last epoch that moved the alias, as the ledger has it.
async fn last_promoted(registry: &MlflowRegistry, model: &str) -> String {
    let claims = registers(registry, model, "claim").await;
    let outcomes = outcomes(registry, model).await;
    let mut ended = claims.iter().zip(&outcomes).rev();
    let (claim, _) = ended
        .find(|(_, outcome)| ["Promoted", "External"].iter().any(|o| outcome.contains(o)))
        .unwrap();
    let claim: Value = serde_json::from_str(claim).unwrap();
    claim["to"].as_str().unwrap_or_default().to_string()
}

async fn contested(server: &str, number: usize) -> usize {
    let registry = mlflow_registry(server);
    let model = format!("contested {number}");
    make_model(&registry, &model, VERSIONS, true).await;
    let seed = number as u64 * 2;
    let side = |cluster, seed| {
        let objects = cluster_with_policy(&model, |policy| pin(policy, "1"));
        Mortal::of(cluster, server, objects, seed)
    };
    let sides = [side("east", seed).await, side("west", seed + 1).await];
    let end = AtomicBool::new(false);
    let contest = async {
        until_both_rest(&sides).await;
        for round in 0..*EPOCHS {
            let before = champion(&registry, &model).await.unwrap();
            let mut others = (1..=VERSIONS)
                .map(|v| v.to_string())
                .filter(|v| *v != before);
            let last = registers(&registry, &model, "claim").await.len() as u64;
            for side in &sides {
                side.wants(&model, &others.next().unwrap(), last);
            }
            until_both_rest(&sides).await;
            let alias = champion(&registry, &model).await.unwrap();
            let winners: Vec<&str> = sides
                .iter()
                .filter(|side| reason(&side.objects.policy()) == "Pinned")
                .map(|side| side.cluster)
                .collect();
            assert_eq!(winners.len(), 1, "{model}, round {round}: {winners:?}");
            let winner = sides
                .iter()
                .find(|side| side.cluster == winners[0])
                .unwrap();
            let wanted = winner.objects.policy().spec.pin.unwrap().version;
            assert_eq!(
                alias, wanted,
                "{model}, round {round}: the winner's is champion"
            );
            assert_eq!(
                last_promoted(&registry, &model).await,
                alias,
                "{model}, round {round}"
            );
        }
        end.store(true, Ordering::Relaxed);
    };
    tokio::join!(contest, sides[0].live(&end), sides[1].live(&end));
    sides
        .iter()
        .map(|side| side.deaths.load(Ordering::Relaxed))
        .sum()
}

/// Runs a test for each model on an MLflow with PostgreSQL; the sum of what they counted.
fn on_postgresql(test: impl AsyncFn(&str, usize) -> usize) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let database = Postgres::start(&directory.path().join("postgres")).unwrap();
    let own = directory.path().join("mlflow");
    std::fs::create_dir(&own).unwrap();
    let server = MlflowServer::start(&own, MLFLOW, Some(&database.url())).unwrap();
    let url = server.url();
    let counts = futures::stream::iter(0..MODELS).map(|number| test(&url, number));
    run(counts
        .buffer_unordered(AT_ONCE)
        .fold(0, |sum, count| std::future::ready(sum + count)))
}

#[test]
fn of_two_clusters_one_wins_each_epoch() {
    let deaths = on_postgresql(contested);
    eprintln!("{} contests, {deaths} deaths", MODELS * *EPOCHS);
    assert!(deaths > MODELS * *EPOCHS / 4, "only {deaths} deaths");
}

/// A leader loses its lease while a request of it is on its way. Its successor has promoted, or is about to, when that arrives.
async fn led_stalely(server: &str, number: usize) -> usize {
    let registry = mlflow_registry(server);
    let model = format!("stale {number}");
    make_model(&registry, &model, VERSIONS, true).await;
    let objects = cluster_with_policy(&model, |policy| pin(policy, "1"));
    let numbers = Numbers::from(1_000 + number as u64);
    let mut late = 0;
    for round in 0..*EPOCHS {
        let before = champion(&registry, &model).await.unwrap();
        let wanted = (before.parse::<usize>().unwrap() % VERSIONS + 1).to_string();
        objects.apply(&policy(&model, |policy| pin(policy, &wanted)));
        // The write of the old leader that is on its way for long, and what lets it arrive.
        let stuck = usize::try_from(numbers.below(10)).unwrap();
        let (arrive, arrives) = tokio::sync::oneshot::channel::<()>();
        let arrives = Mutex::new(Some(arrives));
        let came = AtomicUsize::new(0);
        let is_stuck = Arc::new(Notify::new());
        let tell = Arc::clone(&is_stuck);
        let slow = mlflow_proxy::open(server, move |call| {
            if !call.is_write() || came.fetch_add(1, Ordering::Relaxed) != stuck {
                return Fate::Pass;
            }
            tell.notify_one();
            let arrives = arrives.lock().unwrap().take();
            Fate::LoseAndPassAfter(Box::pin(async move {
                if let Some(arrives) = arrives {
                    let _ = arrives.await;
                }
            }))
        })
        .await;
        let lease = WriteLease::none_yet();
        lease.extend(std::time::Instant::now() + Duration::from_secs(60));
        let old = operator("only", &objects, &slow, &lease);
        let new = operator("only", &objects, server, &WriteLease::always());
        let old_leads = async {
            for _ in 0..100 {
                let _ = old.reconcile_champion_policy(NAME).await;
                if is_at_rest(&objects, &wanted) {
                    break;
                }
            }
        };
        tokio::select! {
            () = old_leads => {}
            () = is_stuck.notified() => late += 1,
        }
        lease.end();
        // It arrives after so many steps of the successor.
        let steps = numbers.below(8);
        let mut arrive = Some(arrive);
        for step in 0..200 {
            if step == steps
                && let Some(arrive) = arrive.take()
            {
                let _ = arrive.send(());
            }
            let left = new.reconcile_champion_policy(NAME).await;
            let is_over = left.is_ok_and(|left| !left.changed) && arrive.is_none();
            if is_over && step > steps + 3 && is_at_rest(&objects, &wanted) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(
            is_at_rest(&objects, &wanted),
            "{model}, round {round}: {:#?}",
            objects.policy().status
        );
        assert_eq!(
            champion(&registry, &model).await.as_ref(),
            Some(&wanted),
            "{model}, round {round}"
        );
        assert_eq!(
            last_promoted(&registry, &model).await,
            wanted,
            "{model}, round {round}"
        );
    }
    late
}

fn is_at_rest(objects: &Objects, wanted: &str) -> bool {
    let policy = objects.policy();
    let is_pinned = reason(&policy) == "Pinned";
    let status = policy.status.unwrap_or_default();
    let champion = status.champion.map(|champion| champion.version);
    is_pinned && status.in_flight.is_none() && champion.as_deref() == Some(wanted)
}

#[test]
fn what_a_stale_leader_sent_changes_no_winner() {
    let late = on_postgresql(led_stalely);
    eprintln!(
        "{} epochs, {late} requests that arrived late",
        MODELS * *EPOCHS
    );
    assert!(late > MODELS * *EPOCHS / 2, "only {late} were late");
}
