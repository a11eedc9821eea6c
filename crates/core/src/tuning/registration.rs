//! Whether the alias of `spec.register` is given to a version of the search.
//!
//! It is given to a version once. What the registry remembers of it stands on the version itself, as an [`AliasClaim`], so that
//! a search that is started again, in whatever state it or its state directory is, never takes the alias back from
//! somebody who moved it since. No clock is asked. What cannot be told from an alias that was never moved is one that
//! others put back to where it stood, when the process died between the move and its note.
//!
//! | the alias stands | claim `From` there | claim `From` elsewhere | claim `Given` or `Withheld` | no claim |
//! |---|---|---|---|---|
//! | at the version | note it | note it | note it | note it |
//! | nowhere | move | leave | leave | move |
//! | at another version of this search | move | leave | leave | move |
//! | at a version of somebody else | move | leave | leave | leave |

/// What is remembered, on a version, of an alias that it was to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasClaim {
    /// It is to get it; the alias stood there when the version was registered.
    From(Option<String>),
    /// It had it.
    Given,
    /// It is not to get it: an earlier life of the search had the alias, and somebody else has it since.
    Withheld,
}

/// What is to be done with an alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AliasStep {
    /// Move it to the version, from there.
    Move {
        /// Where it stands.
        from: Option<String>,
    },
    /// It stands at the version; note that it was given.
    Note,
    /// Leave it alone: others have moved it.
    Leave,
}

/// Where an alias stands, seen from one search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasPlace<'a> {
    /// The version that it names.
    pub version: Option<&'a str>,
    /// Whether that is a version of this search.
    pub is_ours: bool,
}

impl AliasClaim {
    /// The claim of a version that is about to be registered. `had_it` says whether an earlier life of the search, under
    /// another uid, was given the alias.
    #[must_use]
    pub fn of_new_version(place: AliasPlace<'_>, had_it: bool) -> Self {
        if had_it && place.version.is_some() && !place.is_ours {
            Self::Withheld
        } else {
            Self::From(place.version.map(ToString::to_string))
        }
    }

    /// The text that stands in a tag.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::From(None) => "from".to_string(),
            Self::From(Some(version)) => format!("from {version}"),
            Self::Given => "given".to_string(),
            Self::Withheld => "withheld".to_string(),
        }
    }

    /// Reads what [`AliasClaim::to_text`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            Some(("from", version)) => Some(Self::From(Some(version.to_string()))),
            None if text == "from" => Some(Self::From(None)),
            None if text == "given" => Some(Self::Given),
            None if text == "withheld" => Some(Self::Withheld),
            _ => None,
        }
    }
}

/// What is to be done with the alias for `version`, which is registered.
#[must_use]
pub fn alias_step(version: &str, place: AliasPlace<'_>, claim: Option<&AliasClaim>) -> AliasStep {
    if place.version == Some(version) {
        return AliasStep::Note;
    }
    let may_move = match claim {
        Some(AliasClaim::From(from)) => from.as_deref() == place.version,
        Some(AliasClaim::Given | AliasClaim::Withheld) => false,
        None => place.version.is_none() || place.is_ours,
    };
    match may_move {
        true => AliasStep::Move {
            from: place.version.map(ToString::to_string),
        },
        false => AliasStep::Leave,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AliasClaim::{From, Given, Withheld};

    const THIRD: &str = "3";

    fn place(version: Option<&str>, is_ours: bool) -> AliasPlace<'_> {
        AliasPlace { version, is_ours }
    }

    #[test]
    fn the_table_is_carried_out() {
        let from = |version: &str| Some(From(Some(version.to_string())));
        let claims = [
            Some(From(None)),
            from("1"),
            from("2"),
            Some(Given),
            Some(Withheld),
            None,
        ];
        // Where the alias stands, and for which of the claims it is moved.
        let rows = [
            (place(None, false), [true, false, false, false, false, true]),
            (
                place(Some("1"), true),
                [false, true, false, false, false, true],
            ),
            (
                place(Some("2"), false),
                [false, false, true, false, false, false],
            ),
        ];
        for (place, moves) in rows {
            for (claim, moves) in claims.iter().zip(moves) {
                let expected = match moves {
                    true => AliasStep::Move {
                        from: place.version.map(ToString::to_string),
                    },
                    false => AliasStep::Leave,
                };
                assert_eq!(
                    alias_step(THIRD, place, claim.as_ref()),
                    expected,
                    "{place:?} {claim:?}"
                );
            }
        }
        for claim in &claims {
            assert_eq!(
                alias_step(THIRD, place(Some(THIRD), true), claim.as_ref()),
                AliasStep::Note
            );
        }
    }

    #[test]
    fn a_claim_says_where_the_alias_stood_unless_it_was_lost_before() {
        for had_it in [false, true] {
            assert_eq!(
                AliasClaim::of_new_version(place(None, false), had_it),
                From(None)
            );
            let ours = AliasClaim::of_new_version(place(Some("1"), true), had_it);
            assert_eq!(ours, From(Some("1".to_string())));
        }
        let theirs = place(Some("2"), false);
        assert_eq!(
            AliasClaim::of_new_version(theirs, false),
            From(Some("2".to_string()))
        );
        assert_eq!(AliasClaim::of_new_version(theirs, true), Withheld);
    }

    #[test]
    fn a_claim_is_read_as_it_was_written() {
        for claim in [From(None), From(Some("12".to_string())), Given, Withheld] {
            assert_eq!(AliasClaim::parse(&claim.to_text()), Some(claim));
        }
        assert_eq!(AliasClaim::parse("yes"), None);
    }

    /// Every history of a few steps: the search is registered, moved on and noted with crashes in between, others move the
    /// alias. Once others have moved it away from the version, it never comes back by itself.
    #[test]
    fn what_others_moved_away_stays_away() {
        #[derive(Clone)]
        struct World {
            alias: Option<&'static str>,
            claim: AliasClaim,
            taken_away: bool,
        }
        fn walk(world: &World, depth: usize, visited: &mut usize) {
            *visited += 1;
            if depth == 0 {
                return;
            }
            let here = place(world.alias, world.alias == Some("1"));
            match alias_step(THIRD, here, Some(&world.claim)) {
                AliasStep::Move { .. } => {
                    assert!(!world.taken_away, "it was taken back");
                    // The crash between the move and its note is the next step that others take.
                    walk(
                        &World {
                            alias: Some(THIRD),
                            ..world.clone()
                        },
                        depth - 1,
                        visited,
                    );
                }
                AliasStep::Note => {
                    walk(
                        &World {
                            claim: Given,
                            ..world.clone()
                        },
                        depth - 1,
                        visited,
                    );
                }
                AliasStep::Leave => {}
            }
            for others in [None, Some("1"), Some("2"), Some(THIRD)] {
                let was_noted = world.claim == Given;
                let taken_away = match (world.alias, others) {
                    (Some(THIRD), other) => other != Some(THIRD) && was_noted || world.taken_away,
                    _ => world.taken_away,
                };
                walk(
                    &World {
                        alias: others,
                        taken_away,
                        ..world.clone()
                    },
                    depth - 1,
                    visited,
                );
            }
        }
        let mut visited = 0;
        for alias in [None, Some("1"), Some("2")] {
            let claim = AliasClaim::of_new_version(place(alias, alias == Some("1")), false);
            walk(
                &World {
                    alias,
                    claim,
                    taken_away: false,
                },
                6,
                &mut visited,
            );
        }
        assert!(visited > 10_000, "{visited}");
    }
}
