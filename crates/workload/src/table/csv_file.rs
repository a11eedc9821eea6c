//! Columns of a CSV file.

use super::error::{TableError, unreadable};
use super::file_read::FileBytes;
use super::{Parsed, Values, check_present, is_wanted};

pub(super) fn parse(file: &FileBytes, wanted: Option<&[&str]>) -> Result<Parsed, TableError> {
    let path = file.path.as_path();
    let mut reader = csv::Reader::from_reader(file.bytes.as_ref());
    let present: Vec<String> = reader
        .headers()
        .map_err(|e| unreadable(path, &e))?
        .iter()
        .map(str::to_string)
        .collect();
    check_present(path, &present, wanted)?;
    let chosen: Vec<usize> = (0..present.len())
        .filter(|i| present.get(*i).is_some_and(|n| is_wanted(n, wanted)))
        .collect();
    let mut texts: Vec<Vec<String>> = vec![Vec::new(); chosen.len()];
    let mut rows = 0;
    for record in reader.records() {
        let record = record.map_err(|e| unreadable(path, &e))?;
        for (column, position) in texts.iter_mut().zip(&chosen) {
            column.push(record.get(*position).unwrap_or_default().to_string());
        }
        rows += 1;
    }
    let names = chosen
        .iter()
        .filter_map(|position| present.get(*position).cloned());
    let columns = names.zip(texts.into_iter().map(typed)).collect();
    Ok(Parsed {
        rows,
        columns,
        made_by: None,
    })
}

/// Whole numbers, else numbers (empty is missing), else texts.
fn typed(texts: Vec<String>) -> Values {
    if let Ok(integers) = texts.iter().map(|t| t.trim().parse()).collect() {
        return Values::Integers(integers);
    }
    let number = |text: &String| match text.trim() {
        "" => Ok(f64::NAN),
        text => text.parse(),
    };
    match texts.iter().map(number).collect() {
        Ok(numbers) => Values::Numbers(numbers),
        Err(_) => Values::Texts(texts),
    }
}
