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
    Expression::compile(source, None)
        .unwrap()
        .number(|name| values().get(name).cloned())
}

fn condition(source: &str) -> Result<bool, EvaluationError> {
    Expression::compile(source, None)
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
        "[50, 100].exists(tree, tree == num_trees)",
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
    let known = BTreeSet::from(["depth", "rate"]);
    let message = Expression::compile("dept * rate < 3", Some(&known)).unwrap_err();
    assert_eq!(
        message,
        "names `dept`, which does not exist; it may name `depth`, `rate`"
    );
    let message = Expression::compile("sqrt(rate) < 3", Some(&known)).unwrap_err();
    assert!(
        message.starts_with("calls `sqrt`, which is not a function here"),
        "{message}"
    );
    assert!(Expression::compile("[1, 2].exists(x, x == rate)", Some(&known)).is_ok());
    assert!(Expression::compile("[1, 2].exists(x, y == rate)", Some(&known)).is_err());
    assert!(
        Expression::compile("rate.min > 1", Some(&known))
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
        let message = Expression::compile(source, None).unwrap_err();
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
    let expression = Expression::compile("[1].all(x, x < b) && a * b < c", None).unwrap();
    assert_eq!(
        expression
            .variables()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
}

proptest! {
    #[test]
    fn any_text_compiles_or_is_refused(source in "[a-z0-9_ .,+*/%<>=!&|?:()\\[\\]'\"{}\\-é\n]{0,24}") {
        if let Ok(expression) = Expression::compile(&source, None) {
            let _ = expression.condition(|_| Some(ParameterValue::Integer(3)));
        }
    }

    #[test]
    fn comparison_agrees_with_arithmetic(left in -1000_i64..1000, right in -1000.0_f64..1000.0) {
        let lookup = |name: &str| Some(if name == "a" { ParameterValue::Integer(left) } else { ParameterValue::Real(right) });
        let holds = Expression::compile("a < b", None).unwrap().condition(lookup).unwrap();
        let difference = Expression::compile("a - b", None).unwrap().number(lookup).unwrap();
        prop_assert_eq!(holds, difference < 0.0);
    }
}
