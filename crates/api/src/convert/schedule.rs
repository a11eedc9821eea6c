//! Cron schedules with a time zone: windows in which the champion may change, and retraining.

use crate::champion_policy::WindowSpec;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;
use jiff::tz::TimeZone;
use podium_core::champion::WindowView;
use podium_core::time::Timestamp;

/// A cron schedule in a time zone, as in a CronJob: five fields, or a nickname such as `@daily`.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

/// What is wrong with a schedule: of its pattern, or of its time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadSchedule {
    /// The pattern.
    Pattern(String),
    /// The time zone.
    TimeZone(String),
}

impl Schedule {
    /// The schedule of a pattern in a time zone of the IANA database; UTC without one.
    ///
    /// # Errors
    /// What must hold of the pattern or the time zone.
    pub fn parse(pattern: &str, zone: Option<&str>) -> Result<Self, BadSchedule> {
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser
            .parse(pattern)
            .map_err(|error| bad_pattern(pattern, &error.to_string()))?;
        let zone = zone.unwrap_or("UTC");
        let zone = TimeZone::get(zone).map_err(|_| {
            BadSchedule::TimeZone(format!(
                "must be a time zone of the IANA database, such as `Europe/Berlin`, not `{zone}`"
            ))
        })?;
        let schedule = Self { cron, zone };
        // A leap day is due within eight years; what is not due by then never is.
        let start = schedule.zoned(Timestamp(0));
        let next = start.and_then(|start| schedule.cron.find_next_occurrence(&start, false).ok());
        match next {
            Some(_) => Ok(schedule),
            None => Err(bad_pattern(pattern, "it is never due")),
        }
    }

    fn zoned(&self, time: Timestamp) -> Option<Zoned> {
        let instant = jiff::Timestamp::from_millisecond(time.0).ok()?;
        Some(instant.to_zoned(self.zone.clone()))
    }

    /// The last time at or before `now` at which it was due.
    #[must_use]
    pub fn last_due(&self, now: Timestamp) -> Option<Timestamp> {
        let due = self
            .cron
            .find_previous_occurrence(&self.zoned(now)?, true)
            .ok()?;
        Some(Timestamp(due.timestamp().as_millisecond()))
    }

    /// The first time after `now` at which it is due.
    #[must_use]
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let due = self
            .cron
            .find_next_occurrence(&self.zoned(now)?, false)
            .ok()?;
        Some(Timestamp(due.timestamp().as_millisecond()))
    }
}

fn bad_pattern(pattern: &str, why: &str) -> BadSchedule {
    BadSchedule::Pattern(format!(
        "must be a cron schedule of five fields, such as `0 9 * * 1-4`, not `{pattern}`: {why}"
    ))
}

/// A time in which the champion may change.
#[derive(Clone, Debug)]
pub struct Window {
    begins: Schedule,
    seconds: u64,
}

impl Window {
    /// The window that a specification describes.
    ///
    /// # Errors
    /// See [`Schedule::parse`].
    pub fn parse(spec: &WindowSpec) -> Result<Self, BadSchedule> {
        let WindowSpec {
            schedule,
            duration_seconds,
            time_zone,
        } = spec;
        Ok(Self {
            begins: Schedule::parse(schedule, time_zone.as_deref())?,
            seconds: super::seconds(*duration_seconds),
        })
    }

    /// When it closes, if it is open.
    fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        let end = self.begins.last_due(now)?.plus_seconds(self.seconds);
        (now < end).then_some(end)
    }
}

/// Whether one of the windows is open at `now`, and when that may change. Without windows the champion may always change.
#[must_use]
pub fn window_at(windows: &[Window], now: Timestamp) -> WindowView {
    if windows.is_empty() {
        return WindowView::ALWAYS;
    }
    let closes = windows
        .iter()
        .filter_map(|window| window.open_until(now))
        .max();
    WindowView {
        open: closes.is_some(),
        changes_at: closes.or_else(|| windows.iter().filter_map(|w| w.begins.next_due(now)).min()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn window(schedule: &str, seconds: i64, zone: &str) -> Window {
        Window::parse(&WindowSpec {
            schedule: schedule.into(),
            duration_seconds: seconds,
            time_zone: Some(zone.into()),
        })
        .unwrap()
    }

    #[test]
    fn a_window_is_open_from_its_schedule_for_its_duration() {
        // Mondays to Thursdays from 9 to 17 in Paris, which is an hour ahead of UTC in winter and two in summer.
        let windows = [window("0 9 * * 1-4", 8 * 3600, "Europe/Paris")];
        for (time, open, changes) in [
            ("2026-11-26T07:59:59Z", false, "2026-11-26T08:00:00Z"), // a Thursday
            ("2026-11-26T08:00:00Z", true, "2026-11-26T16:00:00Z"),
            ("2026-11-26T15:59:59Z", true, "2026-11-26T16:00:00Z"),
            ("2026-11-26T16:00:00Z", false, "2026-11-30T08:00:00Z"), // the next Monday
            ("2026-07-02T07:00:00Z", true, "2026-07-02T15:00:00Z"),
        ] {
            let expected = WindowView {
                open,
                changes_at: Some(at(changes)),
            };
            assert_eq!(window_at(&windows, at(time)), expected, "{time}");
        }
        assert_eq!(
            window_at(&[], at("2026-11-26T07:59:59Z")),
            WindowView::ALWAYS
        );
    }

    #[test]
    fn a_schedule_follows_the_clock_of_its_zone() {
        let berlin = |pattern| Schedule::parse(pattern, Some("Europe/Berlin")).unwrap();
        for (pattern, due) in [
            ("0 3 * * *", "2026-07-02T01:00:00Z"),
            ("0 3 * * *", "2026-11-27T02:00:00Z"),
            // That day has no half past two, and the first moment after the gap is taken for it.
            ("30 2 * * *", "2026-03-29T01:00:00Z"),
        ] {
            let due = at(due);
            let (before, after) = (Timestamp(due.0 - 1), Timestamp(due.0 + 5_500));
            assert_eq!(berlin(pattern).next_due(before), Some(due), "{pattern}");
            assert_eq!(berlin(pattern).last_due(due), Some(due), "{pattern}");
            assert_eq!(berlin(pattern).last_due(after), Some(due), "{pattern}");
            assert!(berlin(pattern).next_due(due) > Some(due), "{pattern}");
        }
    }

    #[test]
    fn a_schedule_of_several_times_is_due_twice_in_an_hour_that_comes_twice_and_never_in_a_gap() {
        let (twice, gap) = ("2026-10-24T22:00:00Z", "2026-03-28T23:00:00Z");
        let doubled = [
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
        ];
        for (pattern, midnight, due) in [
            ("30 2 * * *", twice, &doubled[1..2]),
            ("0,30 2 * * *", twice, &doubled[..]),
            ("0,30 2 * * *", gap, &doubled[..0]),
        ] {
            let schedule = Schedule::parse(pattern, Some("Europe/Berlin")).unwrap();
            let from = at(midnight);
            let all = std::iter::successors(schedule.next_due(from), |due| schedule.next_due(*due));
            let on_that_day = all.take_while(|due| *due < from.plus_seconds(23 * 3600));
            let due: Vec<Timestamp> = due.iter().map(|due| at(due)).collect();
            assert_eq!(on_that_day.collect::<Vec<_>>(), due, "{pattern} {midnight}");
        }
    }

    #[test]
    fn several_windows_are_open_together() {
        let windows = [
            window("0 9 * * *", 3600, "UTC"),
            window("30 9 * * *", 7200, "UTC"),
        ];
        let view = window_at(&windows, at("2026-11-26T09:45:00Z"));
        assert_eq!(
            (view.open, view.changes_at),
            (true, Some(at("2026-11-26T11:30:00Z")))
        );
    }

    #[test]
    fn nonsense_is_refused_by_what_is_wrong() {
        for pattern in [
            "",
            "soon",
            "0 25 * * *",
            "0 0 31 2 *",
            "0 0 9 * * *",
            "* * * *",
            "61 * * * *",
        ] {
            let refusal = Schedule::parse(pattern, None).unwrap_err();
            assert!(matches!(refusal, BadSchedule::Pattern(_)), "{pattern}");
        }
        let refusal = Schedule::parse("@daily", Some("Europe/Atlantis")).unwrap_err();
        assert!(matches!(refusal, BadSchedule::TimeZone(_)));
        assert!(Schedule::parse("0 0 29 2 *", Some("America/New_York")).is_ok());
    }
}
