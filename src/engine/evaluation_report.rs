//! What a status says of the report of its comparison.

use crate::ports::ReportState;
use crate::report::mark_of;
use podium_api::evaluation::EvaluationStatus;

/// Characters of a message.
const MESSAGE: usize = 4096;

const ELSEWHERE: &str = "the report was written where `spec.reports` of the policy named when the run began, and it names no such place now";
const UNSAID: &str = "the report was not written; the log of the run says why";
const NOT_ASKED: &str =
    "no report was asked for, since the run began before `spec.reports` of the policy was set";

/// The status with what became of the report; `page` is where the policy wants it now.
pub(super) fn with_report(
    status: EvaluationStatus,
    page: Option<&str>,
    report: Option<&ReportState>,
) -> EvaluationStatus {
    let (report_uri, why) = match (page, report) {
        (None, None) => (None, None),
        (Some(_), None) => (None, Some(NOT_ASKED)),
        // Whoever compares says where it wrote by a mark alone: no address comes from there.
        (Some(page), Some(ReportState::Written(mark))) if *mark == mark_of(page) => {
            (Some(page.to_string()), None)
        }
        (_, Some(ReportState::Written(_))) => (None, Some(ELSEWHERE)),
        (_, Some(ReportState::NotWritten(why))) if why.is_empty() => (None, Some(UNSAID)),
        (_, Some(ReportState::NotWritten(why))) => (None, Some(why.as_str())),
    };
    EvaluationStatus {
        report_uri,
        report_message: why.map(|why| why.chars().take(MESSAGE).collect()),
        ..status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "s3://b/fraud/fraud-1-2.html";

    fn said(page: Option<&str>, report: Option<&ReportState>) -> (Option<String>, Option<String>) {
        let before = EvaluationStatus {
            report_uri: Some("s3://b/of-a-run-before.html".to_string()),
            report_message: Some("of a run before".to_string()),
            ..EvaluationStatus::default()
        };
        let status = with_report(before, page, report);
        (status.report_uri, status.report_message)
    }

    #[test]
    fn a_report_is_named_where_the_policy_wants_it_and_else_what_became_of_it() {
        let message = |why: &str| (None, Some(why.to_string()));
        let written = ReportState::of(PAGE, Ok(()));
        let elsewhere = ReportState::of("s3://b/before/fraud/fraud-1-2.html", Ok(()));
        let failed = |why: &str| ReportState::of(PAGE, Err(why.to_string()));
        assert_eq!(said(None, None), (None, None));
        assert_eq!(
            said(Some(PAGE), Some(&written)),
            (Some(PAGE.to_string()), None)
        );
        assert_eq!(said(Some(PAGE), Some(&elsewhere)), message(ELSEWHERE));
        assert_eq!(said(None, Some(&written)), message(ELSEWHERE));
        assert_eq!(said(Some(PAGE), Some(&failed("denied"))), message("denied"));
        assert_eq!(said(Some(PAGE), Some(&failed(""))), message(UNSAID));
        assert_eq!(said(Some(PAGE), None), message(NOT_ASKED));
        let (_, endless) = said(Some(PAGE), Some(&failed(&"é".repeat(10_000))));
        assert_eq!(endless.unwrap().chars().count(), MESSAGE);
    }
}
