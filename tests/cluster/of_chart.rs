//! Parts of the chart in the namespace of a test.

use crate::bed::{Bed, helm, kubectl};

/// What some of the chart's templates make, until this is dropped.
pub struct OfChart(String);

impl OfChart {
    /// Applies these templates, rendered with the values of `--set`. Objects of the cluster have the name of the namespace in theirs.
    pub fn installed(bed: &Bed, values: &str, templates: &[&str]) -> Self {
        let namespace = &bed.namespace;
        let (set, name) = (
            format!("--set={values}"),
            format!("--set=fullnameOverride={namespace}"),
        );
        let mut render = vec!["template", "podium", "charts/podium"];
        render.extend(["--namespace", namespace, &set, &name]);
        let only = templates
            .iter()
            .map(|of| format!("--show-only=templates/{of}.yaml"));
        let only: Vec<String> = only.collect();
        render.extend(only.iter().map(String::as_str));
        let rendered = helm(&render).unwrap();
        kubectl(&["apply", "-f", "-"], Some(&rendered)).unwrap();
        Self(rendered)
    }
}

impl Drop for OfChart {
    fn drop(&mut self) {
        let delete = ["delete", "--ignore-not-found", "-f", "-"];
        let _ = kubectl(&delete, Some(&self.0));
    }
}
