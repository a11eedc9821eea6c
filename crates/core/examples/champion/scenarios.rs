//! Where the exploration begins.

use super::model::{Bounds, Scenario, fixed_point};
use super::people::Event;
use super::wishes::{Files, Wishes};
use super::world::{Lens, World};
use podium_core::champion::{Exclusivity, FirstChampion, Mode, OnExternalChange};
use std::sync::LazyLock;

fn with(change: fn(&mut Wishes), champion: Option<&str>) -> World {
    let mut wishes = Wishes::automatic();
    change(&mut wishes);
    World::new(wishes, &["1", "2", "3"], champion, Some("2"))
}

/// All scenarios, with one operator and with two, with files that are read in every look and with files that only Jobs read.
pub fn everywhere(bounds: Bounds) -> Vec<Scenario> {
    let mut scenarios = all(bounds);
    scenarios.extend(two_operators(bounds));
    scenarios.push(compared_by_jobs(bounds));
    scenarios.extend(judged_by_jobs(bounds));
    scenarios
}

/// A cluster, where only Jobs read files.
pub fn compared_by_jobs(bounds: Bounds) -> Scenario {
    Scenario {
        name: "compared by Jobs",
        world: with(|_| {}, Some("1")).in_cluster(),
        events: everything(),
        bounds,
        lens: Lens::CLEAR,
        rests: true,
    }
}

/// Clusters in which a challenger was judged better while no window was open.
static JUDGED: LazyLock<[World; 2]> = LazyLock::new(|| {
    [Mode::Automatic, Mode::Approval].map(|mode| {
        let wishes = Wishes {
            mode,
            ..Wishes::automatic()
        };
        let mut world = World::new(wishes, &["1", "2", "3"], Some("1"), Some("2")).in_cluster();
        world.window = false;
        let most = fixed_point(&world);
        let _ = world
            .settle(&Lens::CLEAR, most)
            .expect("plans come to rest");
        world
    })
});

/// The world of a cluster in which a challenger was judged better and may become champion.
pub fn judged(mode: Mode) -> World {
    let position = usize::from(mode == Mode::Approval);
    let mut world = JUDGED[position].clone();
    world.window = true;
    world
}

/// What may happen to evidence between its comparison and the move, with no fault seeded.
pub fn judged_by_jobs(bounds: Bounds) -> Vec<Scenario> {
    let scenario = |name, world, more: &[Event]| {
        let mut events = vec![
            Event::Time,
            Event::Replace(Files::OneRowChanged),
            Event::Replace(Files::First),
        ];
        events.extend(more.iter().cloned());
        Scenario {
            name,
            world,
            events,
            bounds,
            lens: Lens::CLEAR,
            rests: true,
        }
    };
    let mut outside = judged(Mode::Automatic);
    outside.window = false;
    vec![
        scenario(
            "judged by Jobs",
            judged(Mode::Automatic),
            &[Event::Pin(Some("3"))],
        ),
        scenario(
            "judged by Jobs, outside of windows",
            outside,
            &[Event::Window(true), Event::Window(false)],
        ),
        scenario(
            "judged by Jobs, approval",
            judged(Mode::Approval),
            &[Event::Approve("alice"), Event::Reject],
        ),
    ]
}

/// Two operators of one cluster, each of which may lead, with no fault seeded.
pub fn two_operators(bounds: Bounds) -> Vec<Scenario> {
    let scenario = |name, change, champion| Scenario {
        name,
        world: with(change, champion).with_standby(),
        events: vec![
            Event::MoveChampion(Some("3")),
            Event::MoveChallenger(Some("3")),
            Event::Reject,
            Event::Approve("alice"),
            Event::Pin(Some("3")),
            Event::Suspend(true),
        ],
        bounds,
        lens: Lens::CLEAR,
        rests: true,
    };
    vec![
        scenario("two operators", |_| {}, Some("1")),
        scenario(
            "two operators, approval",
            |w| w.mode = Mode::Approval,
            Some("1"),
        ),
        scenario("two operators, first", |_| {}, None),
        scenario(
            "two operators, revert",
            |w| w.external = OnExternalChange::Revert,
            Some("1"),
        ),
        scenario(
            "two operators, guarded",
            |w| w.exclusivity = Exclusivity::Guarded,
            Some("1"),
        ),
    ]
}

/// All scenarios of one operator, with no fault seeded.
pub fn all(bounds: Bounds) -> Vec<Scenario> {
    let scenario = |name, world, events| Scenario {
        name,
        world,
        events,
        bounds,
        lens: Lens::CLEAR,
        rests: true,
    };
    vec![
        scenario("automatic", with(|_| {}, Some("1")), everything()),
        scenario(
            "approval",
            with(|w| w.mode = Mode::Approval, Some("1")),
            consent(),
        ),
        scenario(
            "two approvers",
            with(
                |w| {
                    w.mode = Mode::Approval;
                    w.required = 2;
                },
                Some("1"),
            ),
            consent(),
        ),
        scenario(
            "first by consent",
            with(|w| w.first = FirstChampion::Approval, None),
            consent(),
        ),
        scenario("first", with(|_| {}, None), everything()),
        scenario(
            "hold",
            with(|w| w.external = OnExternalChange::Hold, Some("1")),
            acknowledging(),
        ),
        scenario(
            "revert",
            with(|w| w.external = OnExternalChange::Revert, Some("1")),
            acknowledging(),
        ),
        scenario(
            "cooldown",
            with(|w| w.cooldown = true, Some("1")),
            everything(),
        ),
        scenario(
            "guarded",
            with(|w| w.exclusivity = Exclusivity::Guarded, Some("1")),
            everything(),
        ),
        scenario(
            "dry run",
            with(|w| w.mode = Mode::DryRun, Some("1")),
            everything(),
        ),
    ]
}

fn everything() -> Vec<Event> {
    let mut events = vec![
        Event::MoveChampion(Some("1")),
        Event::MoveChampion(Some("3")),
        Event::MoveChampion(None),
        Event::MoveChallenger(Some("3")),
        Event::MoveChallenger(None),
        Event::Reject,
        Event::Pin(Some("1")),
        Event::Pin(Some("3")),
        Event::Pin(None),
        Event::Suspend(true),
        Event::Suspend(false),
        Event::Mode(Mode::DryRun),
        Event::Mode(Mode::Approval),
        Event::External(OnExternalChange::Adopt),
        Event::Exclusivity(Exclusivity::Ledger),
        Event::Exclusivity(Exclusivity::Guarded),
        Event::Reconsider("2"),
        Event::Delete("2"),
        Event::Replace(Files::OneRowChanged),
        Event::Replace(Files::NewHoldout),
        Event::ForgeVerdict,
        Event::Window(false),
        Event::Lead(false),
        Event::OlderPolicy,
    ];
    events.push(Event::Time);
    events
}

fn acknowledging() -> Vec<Event> {
    let mut events = vec![Event::Acknowledge];
    events.extend(everything());
    events
}

fn consent() -> Vec<Event> {
    let mut events = vec![
        Event::Approve("alice"),
        Event::Approve("Alice"),
        Event::Approve("bob"),
        Event::Mode(Mode::Automatic),
    ];
    events.extend(everything());
    events
}
