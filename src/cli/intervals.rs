//! Intervals of differences, drawn as text on one scale.

use podium_core::comparison::{Comparison, MetricComparison, Role};

/// Columns of the drawing.
const WIDTH: usize = 50;

/// One line per metric: its name, the difference, and the interval with the difference as `o`; `|` marks no difference and `:` what
/// must be exceeded. Empty when there is no interval.
pub(super) fn draw(comparison: &Comparison) -> String {
    let drawn: Vec<&MetricComparison> = comparison
        .metrics
        .iter()
        .filter(|metric| metric.low.is_some() && metric.high.is_some())
        .collect();
    let Some(scale) = Scale::of(&drawn) else {
        return String::new();
    };
    let names: Vec<String> = drawn.iter().map(|metric| name(metric)).collect();
    let widest = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (metric, name) in drawn.into_iter().zip(names) {
        let difference = metric.difference.unwrap_or(f64::NAN);
        let line: String = scale.line(metric).into_iter().collect();
        text.push_str(&format!(
            "  {name:widest$}  {difference:>+8.4}  {}\n",
            line.trim_end()
        ));
    }
    let left = widest + 12;
    text.push_str(&format!("{:left$}  {}\n", "", scale.axis()));
    text
}

fn name(metric: &MetricComparison) -> String {
    match &metric.slice {
        Some(slice) => format!("{} ({slice})", metric.metric.title()),
        None => metric.metric.title().to_string(),
    }
}

struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// A scale that holds every interval, every bound and 0.
    fn of(metrics: &[&MetricComparison]) -> Option<Self> {
        let ends = metrics
            .iter()
            .flat_map(|metric| [metric.low, metric.high, bound(metric)]);
        let (mut low, mut high) = (0.0_f64, 0.0_f64);
        for end in ends.flatten() {
            if !end.is_finite() {
                return None;
            }
            low = low.min(end);
            high = high.max(end);
        }
        (low < high).then_some(Self { low, high })
    }

    fn column(&self, value: f64) -> usize {
        let share = (value - self.low) / (self.high - self.low);
        ((share * (WIDTH - 1) as f64).round() as usize).min(WIDTH - 1)
    }

    fn line(&self, metric: &MetricComparison) -> Vec<char> {
        let mut line = vec![' '; WIDTH];
        line[self.column(0.0)] = '|';
        if let Some(bound) = bound(metric).filter(|bound| *bound != 0.0) {
            line[self.column(bound)] = ':';
        }
        if let (Some(low), Some(high), Some(middle)) = (metric.low, metric.high, metric.difference)
        {
            let (low, high) = (self.column(low), self.column(high));
            for place in &mut line[low..=high] {
                *place = '-';
            }
            line[low] = '[';
            line[high] = ']';
            line[self.column(middle)] = 'o';
        }
        line
    }

    /// The numbers at both ends and at no difference.
    fn axis(&self) -> String {
        let (low, high) = (format!("{:.4}", self.low), format!("{:.4}", self.high));
        let zero = self.column(0.0);
        let mut axis: Vec<char> = vec![' '; WIDTH];
        let mut put = |start: usize, text: &str| {
            let free =
                (start..start + text.len()).all(|place| axis.get(place).is_some_and(|c| *c == ' '));
            if free {
                for (offset, c) in text.chars().enumerate() {
                    axis[start + offset] = c;
                }
            }
        };
        put(zero, "0");
        if self.low < 0.0 {
            put(0, &low);
        }
        if self.high > 0.0 {
            put(WIDTH.saturating_sub(high.len()), &high);
        }
        axis.into_iter().collect::<String>().trim_end().to_string()
    }
}

/// What the difference must exceed, or must not fall below; for losses the other way round.
fn bound(metric: &MetricComparison) -> Option<f64> {
    let margin = metric.margin?;
    let bound = match metric.role {
        Role::Primary => margin,
        Role::Guardrail => -margin,
        Role::Observed | Role::Vote => return None,
    };
    Some(if metric.metric.higher_is_better() {
        bound
    } else {
        -bound
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_core::comparison::{Guardrail, Holdout, Settings, compare};
    use podium_core::metrics::Metric;

    fn comparison() -> Comparison {
        let rows = 600;
        let score = |row: usize, spread: usize| ((row * 7919) % spread) as f64 / spread as f64;
        let holdout = Holdout {
            labels: (0..rows).map(|row| u8::from(row % 3 == 0)).collect(),
            champion: (0..rows).map(|row| score(row, 101)).collect(),
            challenger: (0..rows).map(|row| score(row, 89)).collect(),
            ..Holdout::default()
        };
        let settings = Settings {
            guardrails: vec![Guardrail {
                metric: Metric::LogLoss,
                slice: None,
                max_regression: 0.05,
            }],
            ..Settings::default()
        };
        compare(&holdout, &settings, 1).unwrap()
    }

    #[test]
    fn each_metric_is_drawn_on_one_scale_with_its_bound() {
        let mut comparison = comparison();
        let set = |metric: &mut MetricComparison, low: f64, middle: f64, high: f64| {
            metric.low = Some(low);
            metric.difference = Some(middle);
            metric.high = Some(high);
        };
        set(&mut comparison.metrics[0], 0.01, 0.02, 0.03);
        set(&mut comparison.metrics[1], -0.02, 0.0, 0.02);
        assert_eq!(
            draw(&comparison),
            "  ROC AUC    +0.0200                |      [------o------]\n\
             \x20 log loss   +0.0000  [-------------o-------------]                    :\n\
             \x20                     -0.0200       0                             0.0500\n"
        );
    }

    #[test]
    fn nothing_is_drawn_without_intervals() {
        let mut comparison = comparison();
        comparison
            .metrics
            .iter_mut()
            .for_each(|metric| metric.low = None);
        assert_eq!(draw(&comparison), "");
    }
}
