//! The test bed's object store, seen by an ordinary client: curl, which signs its requests as S3 wants it.

use super::{Bed, run};
use serde_json::{Value, json};
use std::path::Path;

/// Name of the Secret and of the ConfigMap by which pods of a test reach it.
pub const NAME: &str = "object-store";

/// The part of the store that belongs to one test.
pub struct ObjectStore {
    /// Where this machine reaches it.
    url: String,
    /// Where pods reach it.
    pub in_pods: String,
    region: String,
    bucket: String,
    pub access_key: String,
    pub secret_key: String,
    /// What the names of all its objects begin with.
    prefix: String,
}

impl ObjectStore {
    /// The one that `scripts/on-testbed` started, with an account for it in the test's namespace.
    pub fn of_testbed(bed: &Bed) -> Self {
        let variable = |name: &str| {
            std::env::var(name)
                .unwrap_or_else(|_| panic!("{name} says how to reach the test bed's object store"))
        };
        let store = Self {
            url: variable("AWS_ENDPOINT_URL_S3"),
            in_pods: variable("S3_IN_PODS"),
            region: variable("AWS_REGION"),
            bucket: variable("S3_BUCKET"),
            access_key: variable("AWS_ACCESS_KEY_ID"),
            secret_key: variable("AWS_SECRET_ACCESS_KEY"),
            prefix: bed.namespace.clone(),
        };
        bed.apply(&account(NAME, &store.access_key, &store.secret_key));
        bed.apply(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME},
            "data": {"AWS_ENDPOINT_URL_S3": store.in_pods, "AWS_REGION": store.region},
        }));
        store
    }

    /// The same store, of which the part below this name is meant.
    pub fn at(mut self, prefix: &str) -> Self {
        self.prefix = prefix.to_string();
        self
    }

    /// The address of an object.
    pub fn uri(&self, path: &str) -> String {
        format!("s3://{}/{}/{path}", self.bucket, self.prefix)
    }

    /// How a policy says where the store is, with the account of this Secret.
    pub fn as_seen_by_policies(&self, secret: &str) -> Value {
        json!({
            "endpoint": self.in_pods, "region": self.region, "pathStyle": true,
            "credentialsSecretRef": {"name": secret},
        })
    }

    /// Stores a file.
    pub fn put(&self, path: &str, file: &Path) {
        let url = format!("{}/{}/{}/{path}", self.url, self.bucket, self.prefix);
        let content = format!("@{}", file.display());
        self.curl(&["--request", "PUT", "--data-binary", &content, &url])
            .unwrap();
    }

    /// Names of all objects of the test, without what they all begin with.
    pub fn names(&self) -> Vec<String> {
        let url = format!(
            "{}/{}?list-type=2&prefix={}",
            self.url, self.bucket, self.prefix
        );
        let listed = self.curl(&[&url]).unwrap();
        let keys = listed.split("<Key>").skip(1);
        let keys = keys.filter_map(|rest| rest.split("</Key>").next());
        let own = format!("{}/", self.prefix);
        keys.filter_map(|key| key.strip_prefix(&own))
            .map(str::to_string)
            .collect()
    }

    /// The content of an object, as far as it is text.
    pub fn text(&self, path: &str) -> String {
        let url = format!("{}/{}/{}/{path}", self.url, self.bucket, self.prefix);
        self.curl(&[&url]).unwrap()
    }

    fn curl(&self, arguments: &[&str]) -> Result<String, String> {
        let signature = format!("aws:amz:{}:s3", self.region);
        let user = format!("{}:{}", self.access_key, self.secret_key);
        let mut all = vec!["--fail-with-body", "--silent", "--show-error"];
        all.extend(["--aws-sigv4", &signature, "--user", &user]);
        all.extend(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
        all.extend(arguments);
        run("curl", &all, None)
    }
}

/// The Secret of an account of an object store.
pub fn account(name: &str, access_key: &str, secret_key: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "stringData": {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key},
    })
}
