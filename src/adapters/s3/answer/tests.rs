//! Tests of what answers mean.

use super::*;

fn place() -> Place {
    Place {
        endpoint: "https://s3.example.com".to_string(),
        region: "us-east-1".to_string(),
    }
}

fn answered(status: u16, code: &str) -> Met {
    Met {
        status: Some(status),
        code: Some(code.to_string()).filter(|code| !code.is_empty()),
        ..Met::default()
    }
}

fn silent(words: &str) -> Met {
    Met {
        words: words.to_string(),
        ..Met::default()
    }
}

#[test]
fn each_answer_has_one_meaning() {
    use StoreErrorKind::*;
    for (status, code, kind, said) in [
        (404, "NoSuchKey", Missing, "does not exist"),
        (
            404,
            "NoSuchBucket",
            NoBucket,
            "no bucket `models` at https://s3.example.com",
        ),
        (404, "", NotS3, "not as an object store does"),
        (404, "NotFound", NotS3, "not as an object store does"),
        (200, "", NotS3, "status 200"),
        (400, "", NotS3, "http:// or https://"),
        (405, "", NotS3, "store.endpoint"),
        (403, "AccessDenied", Denied, "`s3:ListBucket`"),
        (403, "AccountProblem", Denied, "`s3:GetObject`"),
        (403, "InvalidAccessKeyId", Credentials, "AWS_ACCESS_KEY_ID"),
        (
            403,
            "SignatureDoesNotMatch",
            Credentials,
            "AWS_SECRET_ACCESS_KEY",
        ),
        (400, "ExpiredToken", Credentials, "have expired"),
        (403, "RequestTimeTooSkewed", Clock, "clock"),
        (301, "PermanentRedirect", OtherRegion, "AWS_REGION"),
        (412, "PreconditionFailed", Changed, "replaced"),
        (416, "InvalidRange", Changed, "replaced"),
        (503, "SlowDown", Unavailable, "`SlowDown`"),
        (500, "", Unavailable, "status 500"),
        (403, "InvalidObjectState", Refused, "archived"),
        (400, "EntityTooLarge", Refused, "`EntityTooLarge`"),
    ] {
        let met = answered(status, code);
        let (found, message) = met.meaning(Wanted::Content, "models", &place());
        assert_eq!(found, kind, "{status} {code}: {message}");
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn a_look_is_answered_without_words() {
    for (status, kind) in [
        (404, StoreErrorKind::Missing),
        (403, StoreErrorKind::Denied),
        (400, StoreErrorKind::NotS3),
    ] {
        let met = answered(status, "");
        assert!(met.is_wordless());
        assert_eq!(met.meaning(Wanted::Look, "b", &place()).0, kind, "{status}");
    }
}

#[test]
fn the_region_of_the_bucket_is_named() {
    let met = Met {
        region: Some("eu-central-1".to_string()),
        ..answered(400, "AuthorizationHeaderMalformed")
    };
    let (kind, message) = met.meaning(Wanted::Names, "models", &place());
    assert_eq!(kind, StoreErrorKind::OtherRegion);
    assert!(
        message.contains("`us-east-1` but in `eu-central-1`"),
        "{message}"
    );
    let said = "the region 'us-east-1' is wrong; expecting 'eu-central-1'";
    assert_eq!(region_in(said), Some("eu-central-1"));
    assert_eq!(region_in("expecting nothing"), None);
    assert!(!is_region("a secret") && !is_code("two words") && !is_code(""));
}

#[test]
fn the_lack_of_an_answer_has_a_meaning() {
    use StoreErrorKind::*;
    for (words, kind, said) in [
        ("no credentials in chain", Credentials, "AWS_ACCESS_KEY_ID"),
        (
            "invalid peer certificate: UnknownIssuer",
            Untrusted,
            "AWS_CA_BUNDLE",
        ),
        (
            "received corrupt message of type InvalidContentType",
            NotS3,
            "begins with http://",
        ),
        (
            "Connection refused (os error 111)",
            Unavailable,
            "out of reach",
        ),
    ] {
        let met = silent(words);
        let (found, message) = met.meaning(Wanted::Content, "b", &place());
        assert_eq!(found, kind, "{words}");
        assert!(message.contains(said), "{message}");
        assert!(message.contains("https://s3.example.com"), "{message}");
    }
    let late = Met {
        is_late: true,
        ..silent("request has timed out")
    };
    let (kind, message) = late.meaning(Wanted::Content, "b", &place());
    assert_eq!((kind, message.ends_with("in time")), (Unavailable, true));
}

#[test]
fn an_error_names_the_address_once() {
    let error = StoreError {
        kind: StoreErrorKind::Missing,
        wanted: Wanted::Content,
        address: "s3://b/k".to_string(),
        message: "it does not exist".to_string(),
    };
    let text = "cannot read s3://b/k: it does not exist";
    assert_eq!(error.to_string(), text);
    let of_table = TableError::from(error);
    assert_eq!(of_table.to_string(), text);
    assert!(of_table.is_missing());
}
