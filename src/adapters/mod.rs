//! Adapters: one outside system each, and what several of them need.

pub(crate) mod blocking;
pub mod clock;
pub mod directory;
pub mod evidence_files;
pub mod kubernetes;
pub mod mlflow;
pub mod model_files;
pub mod object_index;
pub mod s3;
pub mod webhooks;
pub mod write_lease;

/// An error with its causes, since libraries say little in the outermost one.
pub(crate) fn whole_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}
