//! Two clusters that want another champion each and take the alias over from each other. Both die again and again at their writes.

use super::ledger_of_model::make_model;
use super::mlflow_proxy::Fate;
use super::mlflow_registry::mlflow_registry;
use super::mortal::{
    EPOCHS, Mortal, Now, Tally, VERSIONS, epoch, on_postgresql, pinning, rests, says_that_it_won,
    wanted,
};
use super::world::{NAME, cluster_with_policy, pin, reason};
use podium_api::ChampionPolicy;
use podium_operator::adapters::mlflow::registry::MlflowRegistry;
use podium_operator::adapters::write_lease::WriteLease;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Of a model, where nothing is claimed.
const MOST_EPOCHS_OF_CONTROL: usize = 15;
/// How late the first move of the control group is.
const LATE: Duration = Duration::from_secs(3);
/// Times that whoever does not know what the ledger says looks again.
const TURNS: usize = 10;

/// The operators of two clusters, each with a policy that pins a version of one model.
struct Rivals {
    registry: MlflowRegistry,
    model: String,
    sides: [Mortal; 2],
}

impl Rivals {
    async fn of(server: &str, model: &str, seed: u64, champion: &str, exclusivity: &str) -> Self {
        let is_naive = exclusivity == "Guarded";
        let side = |cluster: &'static str, seed| {
            let objects = cluster_with_policy(model, |policy| pin(policy, champion));
            objects.apply(&pinning(model, champion, exclusivity));
            let always = WriteLease::always();
            // Those who claim nothing have both looked before the first of them moves the alias, and that one has looked back before the
            // other one does, however fast the server is.
            let late = if cluster == "east" { LATE } else { 2 * LATE };
            Mortal::new(cluster, objects, always, server, seed, move |call| {
                let is_late = is_naive && call.moves("champion");
                is_late.then(|| Fate::PassAfter(Box::pin(tokio::time::sleep(late))))
            })
        };
        Self {
            registry: mlflow_registry(server),
            model: model.to_string(),
            sides: [side("east", seed).await, side("west", seed + 1).await],
        }
    }

    /// Each wants another version than the champion, by a policy with this annotation.
    fn contend(&self, now: &Now, exclusivity: &str) {
        let epoch = now.ledger.last_epoch().to_string();
        for (side, version) in self.sides.iter().zip(now.others()) {
            let mut policy = pinning(&self.model, &version, exclusivity);
            policy["metadata"]["annotations"] = json!({"podium.dev/take-over": epoch});
            side.objects.apply(&policy);
        }
    }

    async fn both_live_until(&self, is_over: impl Fn(&ChampionPolicy, bool) -> bool + Copy) {
        let [east, west] = &self.sides;
        tokio::join!(east.live_until(is_over), west.live_until(is_over));
    }

    fn policies(&self) -> [ChampionPolicy; 2] {
        self.sides.each_ref().map(|side| side.objects.policy())
    }

    fn deaths(&self) -> usize {
        self.sides.iter().map(Mortal::deaths).sum()
    }

    /// Lets both live until each has nothing to do and neither is wrong about who owns the alias; what is then.
    async fn until_both_rest(&self) -> Now {
        let is_over = |policy: &ChampionPolicy, is_idle| {
            is_idle && rests(policy, &["Pinned", "AliasOwnedByOther"])
        };
        self.both_live_until(is_over).await;
        for _ in 0..TURNS {
            let now = Now::of(&self.registry, &self.model).await;
            let wrong = |side: &&Mortal| !knows(side, &now);
            let wrong: Vec<&Mortal> = self.sides.iter().filter(wrong).collect();
            if wrong.is_empty() {
                return now;
            }
            let look_again = wrong.into_iter().map(|side| side.live_until(is_over));
            futures::future::join_all(look_again).await;
        }
        panic!("the rivals do not come to rest: {:#?}", self.policies());
    }

    /// Who says that his version is champion, and of those who say that it was promoted in one epoch both.
    fn winners(&self, before: &Now, now: &Now) -> Vec<String> {
        let policies = self.policies();
        let epochs = before.ledger.last_epoch() + 1..=now.ledger.last_epoch();
        let mut epochs = epochs.map(|epoch| i64::try_from(epoch).unwrap());
        let is_doubted = epochs.any(|epoch| policies.iter().all(|p| says_that_it_won(p, epoch)));
        let pins = policies.iter().filter(|p| rests(p, &["Pinned"]));
        match is_doubted {
            true => policies.iter().map(wanted).collect(),
            false => pins.map(wanted).collect(),
        }
    }
}

/// Whether the status of a side is what follows from the ledger. Who is blocked may know less of the epochs, and does nothing.
fn knows(side: &Mortal, now: &Now) -> bool {
    let policy = side.objects.policy();
    let name = format!("{}/team/{NAME}", side.cluster);
    let is_owner = now.ledger.owner_of("champion").map(|owner| &owner.policy) == Some(&name);
    if now.ledger.open_epoch().is_some() {
        return false;
    }
    match reason(&policy).as_str() {
        "Pinned" => {
            let is_current = u64::try_from(epoch(&policy)) == Ok(now.ledger.last_epoch());
            is_owner && is_current && now.champion == wanted(&policy)
        }
        _ => !is_owner,
    }
}

/// Rivals who claim what they do in the ledger.
async fn contended(server: &str, model: &str, seed: u64) -> Tally {
    let rivals = Rivals::of(server, model, seed, "1", "Ledger").await;
    let mut tally = Tally::default();
    let mut before = rivals.until_both_rest().await;
    for round in 0..*EPOCHS {
        rivals.contend(&before, "Ledger");
        let now = rivals.until_both_rest().await;
        tally.count(&rivals.winners(&before, &now), &now.champion);
        assert!(now.agrees(), "{model}, round {round}: {:#?}", now.ledger);
        before = now;
    }
    tally.deaths = rivals.deaths();
    tally
}

/// The same rivals on the same ways, who look right before and right after, and claim nothing. Without a ledger nothing brings them to
/// rest, so they stop when each knows how the epoch ended. All models have epochs until one of them had two winners.
async fn contended_by_naive(server: &str, model: &str, seed: u64, found: &AtomicBool) -> Tally {
    let registry = mlflow_registry(server);
    let mut tally = Tally::default();
    let mut before = Now::of(&registry, model).await;
    for round in 0..MOST_EPOCHS_OF_CONTROL {
        if found.load(Ordering::Relaxed) {
            break;
        }
        let seed = seed + 2 * round as u64;
        let rivals = Rivals::of(server, model, seed, &before.champion, "Guarded").await;
        rivals
            .both_live_until(|policy, is_idle| is_idle && rests(policy, &["Pinned"]))
            .await;
        let contested = rivals.policies().map(|policy| epoch(&policy) + 1);
        rivals.contend(&before, "Guarded");
        let last = contested[0].max(contested[1]);
        rivals
            .both_live_until(|policy, _| epoch(policy) >= last)
            .await;
        let now = Now::of(&registry, model).await;
        let policies = rivals.policies();
        let won = policies.iter().filter(|p| says_that_it_won(p, last));
        let winners: Vec<String> = won.map(wanted).collect();
        tally.count(&winners, &now.champion);
        tally.deaths += rivals.deaths();
        found.fetch_or(tally.two_winners > 0, Ordering::Relaxed);
        before = now;
    }
    tally
}

#[test]
fn of_two_clusters_one_wins_each_epoch() {
    let found = AtomicBool::new(false);
    let [ledger, naive] = on_postgresql(async |server, number| {
        let (model, seed) = (format!("contested {number}"), 100 * number as u64);
        make_model(&mlflow_registry(server), &model, VERSIONS, true).await;
        [
            contended(server, &model, seed).await,
            contended_by_naive(server, &model, seed, &found).await,
        ]
    });
    ledger.tell("rival owners");
    naive.tell("rivals without the ledger");
    assert!(ledger.has_one_winner_each(), "{ledger:?}");
    assert!(ledger.deaths > ledger.epochs / 4, "{ledger:?}");
    assert!(naive.two_winners > 0, "it would not be found: {naive:?}");
}
