//! Whether predictions were made by the model that they are taken for.

use super::EvaluateError;
use super::request::{Expected, Request};
use crate::model_file::file_of;
use crate::table::{FileBytes, FileRead, unreadable};

/// One file holds the scores of both models.
pub(super) fn check(predictions: &FileRead, request: &Request) -> Result<(), EvaluateError> {
    check_champion(predictions, request)?;
    check_challenger(predictions, request)
}

pub(super) fn check_champion(file: &FileRead, request: &Request) -> Result<(), EvaluateError> {
    must_be_made_by(&request.champion, file)
}

pub(super) fn check_challenger(file: &FileRead, request: &Request) -> Result<(), EvaluateError> {
    must_be_made_by(&request.challenger, file)
}

/// What the metadata of `file` say of its making must not contradict what is expected; what they leave open is taken.
fn must_be_made_by(expected: &Expected, file: &FileRead) -> Result<(), EvaluateError> {
    let Some(made_by) = &file.made_by else {
        return Ok(());
    };
    let other = |made_by: String, expected: String, again: String| EvaluateError::OtherModel {
        path: file.path.clone(),
        made_by,
        expected,
        again,
    };
    let again = match &expected.version {
        Some(version) => format!("score version {version} again"),
        None => "score the rows again".to_string(),
    };
    if let (Some(found), Some(version)) = (&made_by.version, &expected.version)
        && found != version
    {
        let found = format!("version {found}");
        return Err(other(found, format!("not {version}"), again));
    }
    let (Some(found), Some(directory)) = (&made_by.model_sha256, &expected.model) else {
        return Ok(());
    };
    let model = file_of(directory);
    match model.try_exists() {
        Ok(false) => return Ok(()),
        Ok(true) => {}
        // Whether there is such a file is not known, which must not pass for a no.
        Err(error) => return Err(unreadable(&model, &error).into()),
    }
    let model = FileBytes::read(&model)?;
    if model.sha256() == found {
        return Ok(());
    }
    let of = match &expected.version {
        Some(version) => format!("of version {version}"),
        None => format!("in {}", directory.display()),
    };
    Err(other(
        format!("a model whose SHA-256 is {found}"),
        format!("but the model {of} has {}", model.sha256()),
        again,
    ))
}
