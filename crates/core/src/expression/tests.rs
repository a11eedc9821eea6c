use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn values() -> BTreeMap<&'static str, ParameterValue> {
    BTreeMap::from([
        ("num_trees", ParameterValue::Integer(100)),
        ("rate", ParameterValue::Real(0.25)),
        ("auc", ParameterValue::Real(0.9)),
        ("depth", ParameterValue::from("10")),
        ("other_depth", ParameterValue::from("9")),
        ("impurity", ParameterValue::from("gini")),
    ])
}

fn number(source: &str) -> Result<f64, EvaluationError> {
    Expression::compile(source, Names::Metrics)
        .unwrap()
        .number(|name| values().get(name).cloned())
}

fn condition(source: &str) -> Result<bool, EvaluationError> {
    Expression::compile(source, Names::Metrics)
        .unwrap()
        .condition(|name| values().get(name).cloned())
}

#[test]
fn whole_and_real_numbers_mix() {
    for (source, expected) in [
        ("0.5 * num_trees", 50.0),
        ("2 * auc", 1.8),
        ("num_trees / 8", 12.5),
        ("num_trees / 10", 10.0),
        ("1 / 3 * 3", 1.0),
        ("num_trees % 30", 10.0),
        ("-num_trees + rate", -99.75),
        ("max(num_trees, 100.5, rate)", 100.5),
        ("min([3, 2.5, 9])", 2.5),
        ("9223372036854775807 + 1", 9_223_372_036_854_775_808.0),
        ("auc > 0.8 ? 0.7 * auc + 1 : 0", 1.63),
        ("num_trees > 1000 ? 1 : 0.5", 0.5),
    ] {
        let value = number(source).unwrap();
        assert!(
            (value - expected).abs() < 1e-12,
            "{source} is {value}, expected {expected}"
        );
    }
}

#[test]
fn text_that_reads_as_a_number_is_one_beside_numbers() {
    for source in [
        "depth * num_trees < 2000",
        "depth > 9.5",
        "depth == 10",
        "depth == '10'",
        "depth != '9'",
        "depth > other_depth",
        "depth in [5, 10]",
        "depth in ['5', '10']",
        "depth + other_depth == 19",
        "impurity == 'gini' && impurity != 5",
        "impurity + '_x' == 'gini_x'",
        "impurity.startsWith('gi') && size(impurity) == 4",
        "!(num_trees in [1, 2])",
    ] {
        assert_eq!(condition(source), Ok(true), "{source}");
    }
}

#[test]
fn an_absent_name_is_told_apart_from_a_mistake() {
    assert_eq!(
        condition("missing > 3"),
        Err(EvaluationError::Absent("missing".into()))
    );
    assert_eq!(condition("impurity == 'gini' || missing > 3"), Ok(true));
    assert_eq!(condition("missing > 3 || impurity == 'gini'"), Ok(true));
    assert_eq!(condition("impurity == 'entropy' && missing > 3"), Ok(false));
    let message = condition("impurity < 3").unwrap_err().to_string();
    assert_eq!(
        message,
        "`<` needs two numbers or two texts, not the text 'gini' and 3"
    );
    assert_eq!(
        condition("num_trees").unwrap_err().to_string(),
        "must evaluate to true or false, not to 100"
    );
    assert_eq!(
        number("auc > 0.5").unwrap_err().to_string(),
        "must evaluate to a number, not to true"
    );
}

#[test]
fn unknown_names_and_functions_do_not_compile() {
    let known = BTreeMap::from([("depth", None), ("rate", None)]);
    let known = Names::Known(&known);
    let message = Expression::compile("dept * rate < 3", known).unwrap_err();
    assert_eq!(
        message,
        "names `dept`, which does not exist; it may name `depth`, `rate`"
    );
    let message = Expression::compile("sqrt(rate) < 3", known).unwrap_err();
    assert!(
        message.starts_with("calls `sqrt`, which is not a function here"),
        "{message}"
    );
    assert!(
        Expression::compile("rate.min > 1", known)
            .unwrap_err()
            .contains("must not select the field `min`")
    );
}

#[test]
fn syntax_errors_say_where() {
    for source in [
        "",
        "  ",
        "rate >",
        "rate > > 3",
        "(rate",
        "rate = 3",
        "'open",
        "1 +* 2",
    ] {
        let message = Expression::compile(source, Names::Metrics).unwrap_err();
        assert!(
            message.starts_with("must be a CEL expression"),
            "{source}: {message}"
        );
        assert!(
            source.trim().is_empty() || message.contains("line 1, column"),
            "{source}: {message}"
        );
    }
}

#[test]
fn names_used_are_listed() {
    let expression = Expression::compile("1 < b && a * b < c", Names::Metrics).unwrap();
    assert_eq!(
        expression
            .variables()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
}

#[test]
fn what_goes_through_a_list_is_refused_by_name() {
    for (source, name) in [
        ("[1, 2].map(x, x * a)[0] > 1", "map"),
        ("max([a, b].map(x, x > 0, x * 2))", "map"),
        ("size([a, b].filter(x, x > 0)) > 1", "filter"),
        ("[1, 2].exists(x, x == a)", "exists"),
        ("[1, 2].all(x, x == a)", "all"),
        ("[1, 2].exists_one(x, x == a)", "exists_one"),
        ("a > 1 ? [1].exists(x, x == a) : true", "exists"),
    ] {
        let message = Expression::compile(source, Names::Metrics).unwrap_err();
        let expected = format!("must not use `{name}`, which goes through a list; write ");
        assert!(message.starts_with(&expected), "{source}: {message}");
    }
}

#[test]
fn a_metric_whose_name_is_no_word_stands_in_quotes() {
    let value = |source: &str| {
        Expression::compile(source, Names::Metrics)
            .unwrap()
            .number(|name| match name {
                "val/auc" => Some(0.5.into()),
                "val-auc" | "acc" | "in" => Some(0.25.into()),
                _ => None,
            })
    };
    assert_eq!(
        value(r#"metrics["val/auc"] + 2 * metrics['val-auc']"#),
        Ok(1.0)
    );
    assert_eq!(value("metrics.acc + acc + metrics[\"in\"]"), Ok(0.75));
    assert_eq!(
        value("metrics[\"val auc\"]"),
        Err(EvaluationError::Absent("val auc".into()))
    );
    assert_eq!(
        value("metrics"),
        Err(EvaluationError::Absent("metrics".into()))
    );
    let named = Expression::compile("metrics['b c'] < d", Names::Metrics).unwrap();
    assert_eq!(named.variables().iter().collect::<Vec<_>>(), ["b c", "d"]);
    for source in ["metrics[0]", "metrics[name]", "metrics[\"\"]"] {
        let message = Expression::compile(source, Names::Metrics).unwrap_err();
        assert!(
            message.contains("in the brackets of `metrics`"),
            "{message}"
        );
    }
}

#[test]
fn only_the_branch_that_is_taken_needs_values() {
    assert_eq!(number("auc > 0.5 ? rate : missing"), Ok(0.25));
    assert_eq!(number("auc < 0.5 ? missing : rate"), Ok(0.25));
    assert_eq!(
        number("auc < 0.5 ? rate : missing"),
        Err(EvaluationError::Absent("missing".into()))
    );
    assert_eq!(
        number("missing > 0.5 ? rate : auc"),
        Err(EvaluationError::Absent("missing".into()))
    );
}

fn sized(source: &str) -> Result<bool, String> {
    let texts = |values: &[&str]| -> Vec<String> { values.iter().map(|&v| v.to_owned()).collect() };
    let sizes = texts(&["small", "medium", "large"]);
    let more = texts(&["tiny", "small", "medium", "large"]);
    let depths = texts(&["5", "10", "15"]);
    let falling = texts(&["15", "10", "5"]);
    let fruit = texts(&["apple", "pear"]);
    let known: BTreeMap<&str, Option<&[String]>> = BTreeMap::from([
        ("size", Some(sizes.as_slice())),
        ("other", Some(sizes.as_slice())),
        ("wide", Some(more.as_slice())),
        ("depth", Some(depths.as_slice())),
        ("falling", Some(falling.as_slice())),
        ("fruit", Some(fruit.as_slice())),
        ("kind", None),
        ("trees", None),
        ("absent", Some(sizes.as_slice())),
    ]);
    let lookup = |name: &str| {
        Some(match name {
            "size" => "medium".into(),
            "other" | "kind" => "large".into(),
            "wide" => "tiny".into(),
            "depth" => "10".into(),
            "falling" => "15".into(),
            "fruit" => "pear".into(),
            "trees" => ParameterValue::Integer(7),
            _ => return None,
        })
    };
    let compiled = Expression::compile(source, Names::Known(&known))?;
    compiled
        .condition(lookup)
        .map_err(|error| error.to_string())
}

#[test]
fn ordinal_values_compare_by_their_places() {
    for source in [
        "size > 'small' && size < 'large' && size >= 'medium' && size <= 'medium'",
        "'small' < size && !('large' <= size)",
        "size < other && other > size && wide < size && size > wide",
        "size == 'medium' && size != other && size in ['small', 'medium'] && !(size in ['large'])",
        "max(size, other) == 'large' && min(size, 'small') == 'small' && max([wide, size]) == size",
        "max(size, 'small') < other && max(max(size, 'small'), wide) > 'small'",
        "(trees > 5 ? size : other) < 'large' && (trees > 5 ? 'small' : 'large') < size",
        "[size, other][1] > 'medium' && {'a': size}['a'] < 'large'",
        "size < kind",
        "depth > 7 && depth > '7' && depth > '5' && depth < '15' && depth * 2 == 20 && max(depth, 12.5) == 12.5",
        "falling < '10' && falling < '5' && falling > 14 && min(falling, '5') == '15'",
        "size + 'x' == 'mediumx' && size.startsWith('med') && size(size) == 6 && string(size) > 'apple'",
    ] {
        assert_eq!(sized(source), Ok(true), "{source}");
    }
    assert_eq!(
        sized("absent > 'small'"),
        Err("`absent` has no value".to_owned())
    );
}

#[test]
fn what_has_no_place_in_an_order_is_named() {
    for (source, told) in [
        (
            "size > 'huge'",
            "compares `size` with 'huge', which is none of its `values`; from low to high they are small, medium, large",
        ),
        (
            "max(size, 'huge') == 'large'",
            "compares `size` with 'huge'",
        ),
        (
            "size < (trees > 5 ? 'huge' : 'small')",
            "compares `size` with 'huge'",
        ),
        (
            "falling > '7'",
            "compares `falling` with '7', which is none of its `values`",
        ),
        (
            "size < fruit",
            "compares `size` with `fruit`, whose `values` have no common order: small, medium, large, and apple, pear",
        ),
        (
            "fruit < kind",
            "`<` needs one of apple, pear, not the text 'large'",
        ),
        (
            "size > 3",
            "`>` needs two numbers or two texts, not the text 'medium' and 3",
        ),
    ] {
        let message = sized(source).unwrap_err();
        assert!(message.starts_with(told), "{source}: {message}");
    }
}

proptest! {
    #[test]
    fn any_text_compiles_or_is_refused(source in "[a-z0-9_ .,+*/%<>=!&|?:()\\[\\]'\"{}\\-é\n]{0,24}") {
        if let Ok(expression) = Expression::compile(&source, Names::Metrics) {
            let _ = expression.condition(|_| Some(ParameterValue::Integer(3)));
        }
    }

    #[test]
    fn comparison_agrees_with_arithmetic(left in -1000_i64..1000, right in -1000.0_f64..1000.0) {
        let lookup = |name: &str| Some(if name == "a" { ParameterValue::Integer(left) } else { ParameterValue::Real(right) });
        let holds = Expression::compile("a < b", Names::Metrics).unwrap().condition(lookup).unwrap();
        let difference = Expression::compile("a - b", Names::Metrics).unwrap().number(lookup).unwrap();
        prop_assert_eq!(holds, difference < 0.0);
    }
}
