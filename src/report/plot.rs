//! Intervals of improvements, drawn as SVG: a line for each metric, from the end of its interval to the other, with what must be exceeded.

use super::html::escaped;
use super::words;
use podium_core::comparison::{MetricComparison, MetricOutcome, Role};
use podium_core::metrics::Metric;
use podium_core::significant::four_digits;

/// Width of a drawing; it is scaled to the room that there is.
const WIDTH: f64 = 800.0;
/// Where names end.
const NAMES: f64 = 250.0;
/// Where the scale begins and ends.
const LEFT: f64 = 270.0;
const RIGHT: f64 = 590.0;
/// Where numbers begin.
const NUMBERS: f64 = 610.0;
/// Height of a metric, and of the scale below all of them.
const ROW: f64 = 30.0;
const SCALE: f64 = 26.0;
/// Numbers of the scale that lie nearer than this would stand on each other.
const APART: f64 = 60.0;
/// Characters of a name that are shown.
const NAME: usize = 38;

/// What a metric is counted in. Metrics of one unit share a drawing, and no other two can be drawn on one scale.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// From 0 to 1, or from -1 to 1.
    Share,
    LogLoss,
    Cost,
}

impl Unit {
    const ALL: [Self; 3] = [Self::Share, Self::LogLoss, Self::Cost];

    fn of(metric: Metric) -> Self {
        match metric {
            Metric::LogLoss => Self::LogLoss,
            Metric::Cost => Self::Cost,
            _ => Self::Share,
        }
    }
}

/// What is drawn of a metric, turned so that the challenger is the better the further to the right.
struct Line {
    name: String,
    low: f64,
    middle: f64,
    high: f64,
    bound: Option<f64>,
    outcome: MetricOutcome,
}

/// The drawings of all metrics that have an interval, one for each unit; nothing where there are none.
pub(super) fn draw(metrics: &[MetricComparison]) -> String {
    let of = |unit: Unit| {
        let of_unit = metrics
            .iter()
            .filter(|metric| Unit::of(metric.metric) == unit);
        let lines: Vec<Line> = of_unit.filter_map(Line::of).collect();
        drawing(&lines)
    };
    Unit::ALL.map(of).concat()
}

impl Line {
    fn of(metric: &MetricComparison) -> Option<Self> {
        let (low, high) = (metric.low?, metric.high?);
        let middle = metric.difference?;
        let is_gain = metric.metric.higher_is_better();
        // A zero below zero would be written as one.
        let turned = |number: f64| if is_gain { number + 0.0 } else { 0.0 - number };
        let (low, high) = if is_gain { (low, high) } else { (high, low) };
        let line = Self {
            name: words::metric(metric.metric, metric.slice.as_deref()),
            low: turned(low),
            middle: turned(middle),
            high: turned(high),
            bound: metric.margin.and_then(|margin| match metric.role {
                Role::Primary => Some(margin),
                Role::Guardrail => Some(-margin),
                Role::Observed | Role::Vote => None,
            }),
            outcome: metric.outcome,
        };
        let numbers = [
            Some(line.low),
            Some(line.middle),
            Some(line.high),
            line.bound,
        ];
        let is_finite = numbers.into_iter().flatten().all(f64::is_finite);
        is_finite.then_some(line)
    }

    /// What the line says, for those who read it instead.
    fn words(&self) -> String {
        let bound = match self.bound {
            Some(bound) => format!("; it must lie above {}", four_digits(bound)),
            None => String::new(),
        };
        format!(
            "{}: improvement {}, interval {}{bound}; {}",
            self.name,
            words::signed(self.middle),
            words::interval(self.low, self.high),
            words::outcome(self.outcome)
        )
    }

    fn class(&self) -> &'static str {
        match self.outcome {
            MetricOutcome::Better | MetricOutcome::NotWorse => "good",
            MetricOutcome::Worse => "bad",
            MetricOutcome::Inconclusive | MetricOutcome::Undefined => "open",
        }
    }

    fn svg(&self, scale: &Scale, y: f64) -> String {
        let [low, middle, high] = [self.low, self.middle, self.high].map(|at| scale.place(at));
        let cap = |x: f64| vertical("interval", x, y - 5.0, y + 5.0);
        let bound = self.bound.filter(|bound| *bound != 0.0);
        let bound = bound.map(|bound| vertical("bound", scale.place(bound), y - 11.0, y + 11.0));
        let baseline = y + 4.0;
        let numbers = format!(
            "{} ({})",
            words::signed(self.middle),
            words::interval(self.low, self.high)
        );
        [
            format!("<g class=\"{}\"><title>{}</title>\n", self.class(), escaped(&self.words())),
            text("end", NAMES, baseline, &shortened(&self.name)),
            bound.unwrap_or_default(),
            format!("<line class=\"interval\" x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n"),
            cap(low),
            cap(high),
            format!("<circle cx=\"{middle:.1}\" cy=\"{y:.1}\" r=\"4\"/>\n"),
            text("start", NUMBERS, baseline, &numbers),
            "</g>\n".to_string(),
        ]
        .concat()
    }
}

fn drawing(lines: &[Line]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let scale = Scale::of(lines);
    let bottom = ROW * lines.len() as f64;
    let height = bottom + SCALE;
    let middles = (0..lines.len()).map(|row| ROW * (row as f64 + 0.5));
    let drawn: String = lines
        .iter()
        .zip(middles)
        .map(|(line, y)| line.svg(&scale, y))
        .collect();
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Improvements with their intervals\">\n{}{drawn}{}</svg>\n",
        vertical("none", scale.place(0.0), 0.0, bottom),
        scale.numbers(bottom + 16.0)
    )
}

/// From the lowest number to the highest one, 0 included.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(lines: &[Line]) -> Self {
        let (mut low, mut high) = (0.0_f64, 0.0_f64);
        for line in lines {
            let bound = line.bound.unwrap_or(0.0);
            low = low.min(line.low).min(line.middle).min(bound);
            high = high.max(line.high).max(line.middle).max(bound);
        }
        if low < high {
            Self { low, high }
        } else {
            // Nothing differs, and nothing has to.
            Self {
                low: -1.0,
                high: 1.0,
            }
        }
    }

    fn place(&self, number: f64) -> f64 {
        // Halved, since the difference of two numbers may be no number any more.
        let share = (number / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        LEFT + share * (RIGHT - LEFT)
    }

    /// The numbers at both ends and at no difference.
    fn numbers(&self, y: f64) -> String {
        let zero = self.place(0.0);
        let mut numbers = text("middle", zero, y, "0");
        for (end, place) in [(self.low, LEFT), (self.high, RIGHT)] {
            if (place - zero).abs() >= APART {
                numbers.push_str(&text("middle", place, y, &words::signed(end)));
            }
        }
        numbers
    }
}

fn vertical(class: &str, x: f64, from: f64, to: f64) -> String {
    format!(
        "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from:.1}\" y2=\"{to:.1}\"/>\n"
    )
}

fn text(anchor: &str, x: f64, y: f64, text: &str) -> String {
    let text = escaped(text);
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>\n")
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_string();
    }
    let kept: String = name.chars().take(NAME - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_core::metrics::Value;

    fn metric(metric: Metric, role: Role, ends: [f64; 3]) -> MetricComparison {
        let [low, difference, high] = ends;
        MetricComparison {
            metric,
            slice: None,
            role,
            champion: Value::Defined(0.5),
            challenger: Value::Defined(0.5 + difference),
            difference: Some(difference),
            low: Some(low),
            high: Some(high),
            margin: None,
            p_value: None,
            standard_error: None,
            outcome: MetricOutcome::Inconclusive,
        }
    }

    fn guarded(slice: &str) -> MetricComparison {
        MetricComparison {
            slice: Some(slice.to_string()),
            margin: Some(0.02),
            outcome: MetricOutcome::NotWorse,
            ..metric(Metric::F1, Role::Guardrail, [-0.01, 0.0, 0.01])
        }
    }

    #[test]
    fn an_interval_is_drawn_with_what_must_be_exceeded() {
        let primary = MetricComparison {
            margin: Some(0.0),
            outcome: MetricOutcome::Better,
            ..metric(Metric::RocAuc, Role::Primary, [0.01, 0.02, 0.03])
        };
        assert_eq!(
            draw(&[primary, guarded("night")]),
            "<svg viewBox=\"0 0 800 86\" role=\"img\" aria-label=\"Improvements with their intervals\">
<line class=\"none\" x1=\"398.0\" x2=\"398.0\" y1=\"0.0\" y2=\"60.0\"/>
<g class=\"good\"><title>ROC AUC: improvement +0.02000, interval 0.01000 to 0.03000; it must lie above 0; better</title>
<text x=\"250.0\" y=\"19.0\" text-anchor=\"end\">ROC AUC</text>
<line class=\"interval\" x1=\"462.0\" x2=\"590.0\" y1=\"15.0\" y2=\"15.0\"/>
<line class=\"interval\" x1=\"462.0\" x2=\"462.0\" y1=\"10.0\" y2=\"20.0\"/>
<line class=\"interval\" x1=\"590.0\" x2=\"590.0\" y1=\"10.0\" y2=\"20.0\"/>
<circle cx=\"526.0\" cy=\"15.0\" r=\"4\"/>
<text x=\"610.0\" y=\"19.0\" text-anchor=\"start\">+0.02000 (0.01000 to 0.03000)</text>
</g>
<g class=\"good\"><title>F1 (night): improvement 0, interval -0.01000 to 0.01000; it must lie above -0.02000; not worse than allowed</title>
<text x=\"250.0\" y=\"49.0\" text-anchor=\"end\">F1 (night)</text>
<line class=\"bound\" x1=\"270.0\" x2=\"270.0\" y1=\"34.0\" y2=\"56.0\"/>
<line class=\"interval\" x1=\"334.0\" x2=\"462.0\" y1=\"45.0\" y2=\"45.0\"/>
<line class=\"interval\" x1=\"334.0\" x2=\"334.0\" y1=\"40.0\" y2=\"50.0\"/>
<line class=\"interval\" x1=\"462.0\" x2=\"462.0\" y1=\"40.0\" y2=\"50.0\"/>
<circle cx=\"398.0\" cy=\"45.0\" r=\"4\"/>
<text x=\"610.0\" y=\"49.0\" text-anchor=\"start\">0 (-0.01000 to 0.01000)</text>
</g>
<text x=\"398.0\" y=\"76.0\" text-anchor=\"middle\">0</text>
<text x=\"270.0\" y=\"76.0\" text-anchor=\"middle\">-0.02000</text>
<text x=\"590.0\" y=\"76.0\" text-anchor=\"middle\">+0.03000</text>
</svg>
"
        );
    }

    #[test]
    fn losses_are_turned_and_units_do_not_share_a_scale() {
        let metrics = [
            metric(Metric::Brier, Role::Observed, [-0.3, -0.2, -0.1]),
            metric(Metric::Cost, Role::Observed, [-1e18, 0.0, 1e18]),
            metric(Metric::LogLoss, Role::Observed, [0.0, 0.0, 0.0]),
        ];
        let drawn = draw(&metrics);
        assert_eq!(drawn.matches("<svg ").count(), 3);
        assert!(
            drawn.contains("Brier score: improvement +0.2000, interval 0.1000 to 0.3000"),
            "{drawn}"
        );
        assert!(
            drawn.contains("log loss: improvement 0, interval 0 to 0;"),
            "{drawn}"
        );
        for broken in ["NaN", "inf", "-0 "] {
            assert!(!drawn.contains(broken), "{drawn}");
        }
    }

    #[test]
    fn names_are_short_and_escaped_and_nothing_is_drawn_of_nothing() {
        let drawn = draw(&[guarded(&format!("<b>{}", "é".repeat(60)))]);
        assert!(!drawn.contains("<b>"), "{drawn}");
        assert!(drawn.contains(">F1 (&lt;b&gt;éééé"), "{drawn}");
        assert!(drawn.contains("é…</text>"), "{drawn}");
        let without = MetricComparison {
            low: None,
            ..guarded("night")
        };
        let endless = MetricComparison {
            high: Some(f64::INFINITY),
            ..guarded("night")
        };
        assert_eq!(draw(&[without, endless]), "");
        assert_eq!(draw(&[]), "");
    }
}
