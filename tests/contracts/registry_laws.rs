//! Models: versions registered once per key, aliases moved by comparing and setting, registers written once.

use podium_core::champion::ledger::Register;
use podium_operator::ports::{AliasUpdate, ModelRegistry, NewVersion, RegisterWrite};
use std::collections::BTreeMap;

/// Calls a macro with what stands behind its name, and with the names of all laws after that.
macro_rules! with_every_law {
    ($macro:ident! $($arguments:tt)*) => {
        $macro! { $($arguments)* [
            versions_count_up_and_a_key_registers_once,
            an_alias_moves_from_where_it_was_expected,
            an_alias_that_others_moved_is_left_alone,
            an_alias_does_not_move_to_a_version_that_is_not_there,
            an_alias_is_removed_from_where_it_was_expected,
            a_register_is_written_once,
            a_register_holds_a_short_line,
            of_many_writers_of_a_register_one_wins,
            tags_are_added_and_replaced,
            registering_again_keeps_the_first_tags,
        ] }
    };
}

pub(crate) use with_every_law;

/// A registry, the name of a model that it does not have yet, and the URI of a directory with a model in it.
pub struct Case<R> {
    pub registry: R,
    pub model: String,
    pub source: String,
}

impl<R: ModelRegistry> Case<R> {
    pub async fn register(&self, key: &str) -> String {
        let new = NewVersion {
            model: &self.model,
            key,
            source: &self.source,
            run: None,
            tags: BTreeMap::from([("trial".to_string(), key.to_string())]),
        };
        self.registry.register(new).await.unwrap()
    }

    pub async fn alias(&self, alias: &str) -> Option<String> {
        self.registry
            .view(&self.model)
            .await
            .unwrap()
            .unwrap()
            .aliases
            .get(alias)
            .cloned()
    }

    pub async fn move_champion(&self, from: Option<&str>, to: &str) -> AliasUpdate {
        self.registry
            .move_alias(&self.model, "champion", from, Some(to))
            .await
            .unwrap()
    }
}

pub async fn versions_count_up_and_a_key_registers_once(case: &Case<impl ModelRegistry>) {
    assert!(case.registry.view(&case.model).await.unwrap().is_none());
    let first = case.register("search-1").await;
    let second = case.register("search-2").await;
    assert_eq!((first.as_str(), second.as_str()), ("1", "2"));
    assert_eq!(case.register("search-1").await, "1");
    let view = case.registry.view(&case.model).await.unwrap().unwrap();
    assert_eq!(view.versions.keys().collect::<Vec<_>>(), ["1", "2"]);
    assert!(view.aliases.is_empty());
}

pub async fn an_alias_moves_from_where_it_was_expected(case: &Case<impl ModelRegistry>) {
    case.register("a").await;
    case.register("b").await;
    assert_eq!(case.move_champion(None, "1").await, AliasUpdate::Done);
    assert_eq!(case.alias("champion").await.as_deref(), Some("1"));
    assert_eq!(case.move_champion(Some("1"), "2").await, AliasUpdate::Done);
    assert_eq!(case.alias("champion").await.as_deref(), Some("2"));
    assert_eq!(
        case.move_champion(Some("1"), "2").await,
        AliasUpdate::Done,
        "moving again is no move"
    );
}

pub async fn an_alias_that_others_moved_is_left_alone(case: &Case<impl ModelRegistry>) {
    case.register("a").await;
    case.register("b").await;
    case.register("c").await;
    case.move_champion(None, "3").await;
    let found = Some("3".to_string());
    assert_eq!(
        case.move_champion(Some("1"), "2").await,
        AliasUpdate::Contended {
            found: found.clone()
        }
    );
    assert_eq!(
        case.move_champion(None, "2").await,
        AliasUpdate::Contended { found }
    );
    assert_eq!(case.alias("champion").await.as_deref(), Some("3"));
}

pub async fn an_alias_does_not_move_to_a_version_that_is_not_there(
    case: &Case<impl ModelRegistry>,
) {
    case.register("a").await;
    assert!(
        case.registry
            .move_alias(&case.model, "champion", None, Some("9"))
            .await
            .is_err()
    );
    assert_eq!(case.alias("champion").await, None);
}

pub async fn an_alias_is_removed_from_where_it_was_expected(case: &Case<impl ModelRegistry>) {
    case.register("a").await;
    case.move_champion(None, "1").await;
    let remove = |from: Option<&'static str>| {
        case.registry
            .move_alias(&case.model, "champion", from, None)
    };
    let found = Some("1".to_string());
    assert_eq!(
        remove(Some("2")).await.unwrap(),
        AliasUpdate::Contended { found }
    );
    assert_eq!(remove(Some("1")).await.unwrap(), AliasUpdate::Done);
    assert_eq!(case.alias("champion").await, None);
    assert_eq!(
        remove(Some("1")).await.unwrap(),
        AliasUpdate::Done,
        "removing again is no move"
    );
}

fn register(key: &str, text: &str) -> Register {
    Register {
        key: key.to_string(),
        text: text.to_string(),
    }
}

pub async fn a_register_is_written_once(case: &Case<impl ModelRegistry>) {
    let write = async |key: &str, text: &str| {
        let register = register(key, text);
        case.registry
            .write_register(&case.model, &register)
            .await
            .unwrap()
    };
    assert!(
        case.registry
            .registers(&case.model)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        write("claim/champion/00000001", "ours").await,
        RegisterWrite::Holds
    );
    assert_eq!(
        write("claim/champion/00000001", "ours").await,
        RegisterWrite::Holds,
        "the same text"
    );
    assert_eq!(
        write("claim/champion/00000001", "theirs").await,
        RegisterWrite::Taken
    );
    assert_eq!(write("look/00000001", "a look").await, RegisterWrite::Holds);
    let registers = case.registry.registers(&case.model).await.unwrap();
    let expected = [
        ("claim/champion/00000001", "ours"),
        ("look/00000001", "a look"),
    ];
    let found: Vec<_> = registers
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(found, expected);
    assert!(
        case.registry
            .registers(&format!("{}-other", case.model))
            .await
            .unwrap()
            .is_empty()
    );
}

pub async fn a_register_holds_a_short_line(case: &Case<impl ModelRegistry>) {
    let long = register("look/00000001", &"x".repeat(250));
    assert!(
        case.registry
            .write_register(&case.model, &long)
            .await
            .is_err()
    );
    assert!(
        case.registry
            .registers(&case.model)
            .await
            .unwrap()
            .is_empty()
    );
}

pub async fn of_many_writers_of_a_register_one_wins(case: &Case<impl ModelRegistry>) {
    let texts: Vec<Register> = (0..16)
        .map(|n| register("owner/champion/00000001", &n.to_string()))
        .collect();
    let writes = texts
        .iter()
        .map(|text| case.registry.write_register(&case.model, text));
    let written = futures::future::join_all(writes).await;
    let holds = written
        .into_iter()
        .filter(|w| matches!(w, Ok(RegisterWrite::Holds)))
        .count();
    assert_eq!(holds, 1);
}

pub async fn tags_are_added_and_replaced(case: &Case<impl ModelRegistry>) {
    case.register("a").await;
    for value in ["one", "two"] {
        let tags = BTreeMap::from([("verdict".to_string(), value.to_string())]);
        case.registry.tag(&case.model, "1", tags).await.unwrap();
    }
    assert!(
        case.registry
            .tag(&case.model, "9", BTreeMap::new())
            .await
            .is_err()
    );
}

/// What a version says of its making, such as where an alias stood then, outlives a second registration and later tags.
pub async fn registering_again_keeps_the_first_tags(case: &Case<impl ModelRegistry>) {
    let registered = async |stood: &str| {
        let new = NewVersion {
            model: &case.model,
            key: "a",
            source: &case.source,
            run: None,
            tags: BTreeMap::from([("stood".to_string(), stood.to_string())]),
        };
        case.registry.register(new).await.unwrap()
    };
    assert_eq!(registered("nowhere").await, "1");
    let given = BTreeMap::from([("given".to_string(), "yes".to_string())]);
    case.registry.tag(&case.model, "1", given).await.unwrap();
    assert_eq!(registered("elsewhere").await, "1");
    let view = case.registry.view(&case.model).await.unwrap().unwrap();
    let expected = [("given", "yes"), ("stood", "nowhere")];
    let tags: Vec<_> = view.versions["1"]
        .tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(tags, expected);
}
