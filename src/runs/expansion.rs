//! `$(NAME)` as Kubernetes expands it in `command`, `args` and `env`.

use std::collections::BTreeMap;

/// Expands `$(NAME)` from `variables`. A name that is not there stays as it is; `$$(NAME)` becomes `$(NAME)`.
#[must_use]
pub fn expand(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from_dollar) = rest.split_at(at);
        expanded.push_str(before);
        let after = from_dollar.get(1..).unwrap_or_default();
        if let Some(escaped) = after.strip_prefix('$') {
            expanded.push('$');
            rest = escaped;
        } else if let Some((name, tail)) = after
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'))
        {
            match variables.get(name) {
                Some(value) => expanded.push_str(value),
                None => {
                    expanded.push_str("$(");
                    expanded.push_str(name);
                    expanded.push(')');
                }
            }
            rest = tail;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        let variables = BTreeMap::from([
            ("A".to_string(), "1".to_string()),
            ("B".to_string(), "$(A)".to_string()),
        ]);
        expand(text, &variables)
    }

    // The cases of Kubernetes' own table in third_party/forked/golang/expansion.
    #[test]
    fn expands_as_kubernetes_does() {
        for (text, want) in [
            ("--trees=$(A)", "--trees=1"),
            ("$(A)$(A)", "11"),
            ("$(MISSING)", "$(MISSING)"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$1"),
            ("$(B)", "$(A)"),
            ("$A", "$A"),
            ("$(A", "$(A"),
            ("cost: 5$", "cost: 5$"),
            ("$$", "$"),
            ("", ""),
        ] {
            assert_eq!(expanded(text), want, "{text}");
        }
    }
}
