use super::*;

const FRAUD: &str = "recall > 0.8 ? 0.7 * auc + 0.3 * precision : 0.7 * auc";

fn metrics(values: &[(&str, f64)]) -> BTreeMap<String, f64> {
    values
        .iter()
        .map(|&(name, value)| (name.to_owned(), value))
        .collect()
}

fn objective(source: ObjectiveSource, constraints: &[&str]) -> Objective {
    let constraints = constraints
        .iter()
        .map(|&constraint| constraint.to_owned())
        .collect();
    Objective::new(Direction::Maximize, source, Some(0.9), constraints).unwrap()
}

fn value(judgement: Judgement) -> f64 {
    match judgement {
        Judgement::Feasible { value } => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_metric_or_a_formula_is_the_objective() {
    let measured = metrics(&[("recall", 0.9), ("auc", 0.8), ("precision", 0.5)]);
    assert_eq!(
        value(objective(ObjectiveSource::Metric("auc".into()), &[]).judge(&measured)),
        0.8
    );
    let formula = objective(ObjectiveSource::Expression(FRAUD.into()), &[]);
    assert!((value(formula.judge(&measured)) - 0.71).abs() < 1e-12);
    let measured = metrics(&[("recall", 0.0), ("auc", 1.0), ("precision", 1.0)]);
    assert!((value(formula.judge(&measured)) - 0.7).abs() < 1e-12);
    assert_eq!(
        formula.metrics(),
        BTreeSet::from(["auc", "precision", "recall"])
    );
}

#[test]
fn a_violated_constraint_is_told_with_its_metrics() {
    let judge = objective(
        ObjectiveSource::Metric("auc".into()),
        &["auc > 0", "gap <= 0.05"],
    );
    let judgement = judge.judge(&metrics(&[("auc", 0.9), ("gap", 0.08)]));
    assert_eq!(
        judgement,
        Judgement::Infeasible {
            violated: "`gap <= 0.05` must hold; `gap` is 0.08".into()
        }
    );
    assert_eq!(
        value(judge.judge(&metrics(&[("auc", 0.9), ("gap", 0.05)]))),
        0.9
    );
}

#[test]
fn missing_and_infinite_numbers_are_failures_with_a_reason() {
    let reason =
        |objective: &Objective, values: &[(&str, f64)]| match objective.judge(&metrics(values)) {
            Judgement::Failed { reason } => reason,
            other => panic!("{other:?}"),
        };
    let metric = objective(ObjectiveSource::Metric("auc".into()), &["gap < 1"]);
    assert_eq!(
        reason(&metric, &[("acc", 0.9), ("gap", 0.0)]),
        "the trial must report the metric `auc`; it reported `acc`, `gap`"
    );
    assert_eq!(
        reason(&metric, &[("auc", 0.9)]),
        "the trial must report the metric `gap`; it reported `auc`"
    );
    assert_eq!(
        reason(&metric, &[]),
        "the trial must report the metric `auc`; it reported nothing"
    );
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let told = reason(&metric, &[("auc", wrong), ("gap", 0.0)]);
        assert_eq!(
            told,
            format!("the metric `auc` must be a finite number, not {wrong}")
        );
    }
    let ratio = objective(ObjectiveSource::Expression("auc / cost".into()), &[]);
    assert_eq!(
        reason(&ratio, &[("auc", 0.5), ("cost", 0.0)]),
        "the objective must be a finite number, not inf, with `auc` is 0.5, `cost` is 0"
    );
}

#[test]
fn only_metrics_that_the_value_depends_on_are_needed() {
    let branches = objective(
        ObjectiveSource::Expression("fast > 0.5 ? auc : 0.5 * recall".into()),
        &["fast > 0.5 || gap < 0.1"],
    );
    assert_eq!(
        value(branches.judge(&metrics(&[("fast", 1.0), ("auc", 0.8)]))),
        0.8
    );
    let slow = metrics(&[("fast", 0.0), ("recall", 0.8), ("gap", 0.05)]);
    assert_eq!(value(branches.judge(&slow)), 0.4);
    let nan = metrics(&[("fast", 1.0), ("auc", 0.8), ("recall", f64::NAN)]);
    assert_eq!(value(branches.judge(&nan)), 0.8);
    for (given, told) in [
        (
            metrics(&[("fast", 0.0), ("auc", 0.8)]),
            "the trial must report the metric `recall`; it reported `auc`, `fast`",
        ),
        (
            metrics(&[("fast", 0.0), ("recall", 0.8)]),
            "the trial must report the metric `gap`; it reported `fast`, `recall`",
        ),
        (
            metrics(&[("fast", f64::NAN), ("auc", 0.8)]),
            "the metric `fast` must be a finite number, not NaN",
        ),
    ] {
        let reason = told.to_owned();
        assert_eq!(branches.judge(&given), Judgement::Failed { reason });
    }
}

#[test]
fn a_name_that_is_no_word_is_a_metric_too() {
    let measured = metrics(&[("val-auc", 0.75), ("val/acc", 0.5)]);
    let plain = objective(ObjectiveSource::Metric("val-auc".into()), &[]);
    assert_eq!(value(plain.judge(&measured)), 0.75);
    let quoted = ObjectiveSource::Expression("metrics['val-auc'] - metrics['val/acc']".into());
    assert_eq!(value(objective(quoted, &[]).judge(&measured)), 0.25);
    let subtraction = objective(ObjectiveSource::Expression("val-auc".into()), &[]);
    let reason = "the trial must report the metric `val`; it reported `val-auc`, `val/acc`; \
                  in an expression that name is written `metrics[\"val-auc\"]`"
        .to_owned();
    assert_eq!(subtraction.judge(&measured), Judgement::Failed { reason });
}

#[test]
fn targets_and_order_follow_the_direction() {
    let maximize = objective(ObjectiveSource::Metric("auc".into()), &[]);
    assert!(
        maximize.reaches_target(0.9)
            && maximize.reaches_target(0.95)
            && !maximize.reaches_target(0.89)
    );
    assert!(maximize.is_better(0.2, 0.1) && !maximize.is_better(0.1, 0.1));
    assert!(
        maximize.is_better(0.1, f64::NAN)
            && !maximize.is_better(f64::NAN, 0.1)
            && !maximize.reaches_target(f64::NAN)
    );
    let minimize = Objective::new(
        Direction::Minimize,
        ObjectiveSource::Metric("loss".into()),
        None,
        vec![],
    )
    .unwrap();
    assert!(minimize.is_better(0.1, 0.2) && !minimize.reaches_target(0.0));
}

#[test]
fn every_problem_is_found_before_the_first_trial() {
    let source = ObjectiveSource::Expression("auc > 0.5".into());
    let constraints = vec!["auc >".to_owned(), "auc".to_owned(), "true".to_owned()];
    let problems =
        Objective::new(Direction::Maximize, source, Some(f64::NAN), constraints).unwrap_err();
    let written: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        written[0],
        "objective.expression: `expression` in `auc > 0.5`: must evaluate to a number, not to false"
    );
    assert_eq!(
        written[1],
        "objective.target: `target` must be a finite number, not NaN"
    );
    assert!(
        written[2].starts_with("objective.constraints[0]: `constraints` must be a CEL expression")
    );
    assert_eq!(
        written[3],
        "objective.constraints[1]: `constraints` in `auc`: must evaluate to true or false, not to 0.5"
    );
    assert_eq!(
        written[4],
        "objective.constraints[2]: `constraints` must name at least one metric"
    );
    let problems = Objective::new(
        Direction::Maximize,
        ObjectiveSource::Metric(" ".into()),
        None,
        vec![],
    )
    .unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "objective.metric: `metric` must name a metric"
    );
}
