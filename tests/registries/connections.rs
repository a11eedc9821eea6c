//! How the object of a registry says that MLflow is reached: what is trusted, who asks, by which address, and how long is waited. In front
//! of a real server stand what companies put there, and what nobody means to.

use super::faults::pinned;
use super::ledger_of_model::{champion, make_model};
use super::mlflow_proxy::{self, Fate, Said};
use super::mlflow_registry::{mlflow_registry, mlflow_registry_as};
use super::promotion::until_settled;
use super::run;
use super::tls::Tls;
use super::world::{
    NAME, Objects, Process, cluster_with_policy, model_registry, operator, operator_by_object, pin,
    ready,
};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podium_operator::adapters::mlflow::credentials::Credentials;
use podium_operator::adapters::write_lease::WriteLease;
use podium_operator::engine::Engine;
use podium_operator::ports::ModelRegistry;
use podium_testbed::mlflow::{MLFLOW, MlflowServer};
use podium_testbed::pki::Authority;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

const TOKEN: &str = "a-canary-of-a-token";

/// The objects of a cluster with nothing but a registry.
fn registry_at(mlflow: &Value) -> Objects {
    let objects = Objects::default();
    objects.apply(&model_registry(mlflow));
    objects
}

/// Gives the registry an account, or another one.
fn give_token(objects: &Objects, token: &str) {
    let token = ("token".to_string(), ByteString(token.into()));
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some("account".to_string()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([token])),
        ..Secret::default()
    };
    objects.apply(&serde_json::to_value(secret).unwrap());
}

/// What the object of a registry says after a look: `Usable`, or why not with the parts of what mends it.
async fn says(engine: &Engine<Process>, objects: &Objects, reason: &str, parts: &[&str]) {
    engine.reconcile_model_registry(NAME).await.unwrap();
    let status = objects.registry().status.unwrap();
    let condition = |kind: &str| {
        let mut conditions = status.conditions.iter();
        conditions.find(|condition| condition.type_ == kind)
    };
    let ready = condition("Ready").unwrap();
    assert_eq!(ready.reason, reason, "{ready:?}");
    for part in parts {
        assert!(ready.message.contains(part), "{part}: {ready:?}");
    }
    if reason == "Usable" {
        assert_eq!(ready.status, "True");
        assert_eq!(status.server_version.as_deref(), Some(MLFLOW));
        return;
    }
    assert_eq!(ready.status, "False");
    // Of what heals by itself nobody need be told.
    let abnormal = match reason {
        "Unreachable" => "Reconciling",
        _ => "Stalled",
    };
    assert!(condition(abnormal).is_some(), "{status:?}");
}

async fn an_own_authority_is_trusted_where_it_is_named(server: &str) {
    let (registry, model) = (mlflow_registry(server), "behind TLS");
    make_model(&registry, model, 2, true).await;
    let directory = tempfile::tempdir().unwrap();
    let folder = |authority: &str| directory.path().join(authority);
    let tls = Tls::listen(&folder("own")).await;
    Authority::new(&folder("strange")).unwrap();
    let url = format!("https://127.0.0.1:{}", tls.port());
    mlflow_proxy::serve(tls, server, |_| Fate::Pass);

    let objects = cluster_with_policy(model, |policy| pin(policy, "2"));
    for name in ["own", "strange"] {
        let certificate = std::fs::read_to_string(folder(name).join("ca.crt")).unwrap();
        objects.apply(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"ca.crt": certificate},
        }));
    }
    let engine = operator_by_object(&objects).await;
    let trusting = |bundle: &str| json!({"url": url, "caBundleConfigMapRef": {"name": bundle}});
    let mends = [&*url, "`caBundleConfigMapRef` must name", "`ca.crt`"];
    for mlflow in [json!({"url": url}), trusting("strange")] {
        objects.apply(&model_registry(&mlflow));
        says(&engine, &objects, "UntrustedCertificate", &mends).await;
    }
    objects.apply(&model_registry(&trusting("own")));
    says(&engine, &objects, "Usable", &[]).await;
    until_settled(&engine, &objects, &["Pinned"]).await;
    assert_eq!(champion(&registry, model).await.as_deref(), Some("2"));
}

/// In front of MLflow stands what lets nobody pass without a token.
async fn a_token_is_sent_and_a_wrong_one_is_told(server: &str) {
    let url = mlflow_proxy::open(server, |call| {
        if call.authorization == format!("Bearer {TOKEN}") {
            Fate::Pass
        } else {
            Fate::Answer(Said::html(401))
        }
    })
    .await;
    let objects = registry_at(&json!({"url": url}));
    let engine = operator_by_object(&objects).await;
    let mends = ["`credentialsSecretRef` must name a Secret", "`token`"];
    says(&engine, &objects, "WrongCredentials", &mends).await;

    give_token(&objects, "another-canary");
    let with_account = json!({"url": url, "credentialsSecretRef": {"name": "account"}});
    objects.apply(&model_registry(&with_account));
    says(&engine, &objects, "WrongCredentials", &mends).await;
    let told = format!("{:?}", objects.registry());
    assert!(!told.contains("another-canary"), "{told}");

    give_token(&objects, TOKEN);
    says(&engine, &objects, "Usable", &[]).await;
    assert!(!format!("{:?}", objects.registry()).contains(TOKEN));
}

/// Neither a read nor a write goes to the host that a redirect names, and so no token does.
async fn a_redirect_to_another_host_is_not_followed(server: &str) {
    let (registry, model) = (mlflow_registry(server), "redirected");
    make_model(&registry, model, 2, true).await;
    let elsewhere = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    let location = format!("http://localhost:{port}/login");

    let login = location.clone();
    let all = mlflow_proxy::open(server, move |_| Fate::Answer(Said::redirect(302, &login))).await;
    let with_account = json!({"url": all, "credentialsSecretRef": {"name": "account"}});
    let objects = registry_at(&with_account);
    give_token(&objects, TOKEN);
    let engine = operator_by_object(&objects).await;
    let mends = [&*location, "`mlflow.url` must be the last address"];
    says(&engine, &objects, "Redirected", &mends).await;

    // This one asks for the same method and body again, elsewhere.
    let login = location.clone();
    let writes = mlflow_proxy::open(server, move |call| match call.is_write() {
        true => Fate::Answer(Said::redirect(307, &login)),
        false => Fate::Pass,
    })
    .await;
    let token = Credentials::Token(TOKEN.to_string());
    let redirected = mlflow_registry_as(token, &writes, WriteLease::always());
    let moved = redirected.move_alias(model, "champion", Some("1"), Some("2"));
    let error = moved.await.unwrap_err();
    assert!(error.message.contains(&location), "{error:?}");
    assert!(!error.is_transient(), "{error:?}");
    assert_eq!(champion(&registry, model).await.as_deref(), Some("1"));

    let came = elsewhere.accept();
    let nobody = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
    assert!(came.as_ref().is_err_and(nobody), "{came:?}");
}

async fn an_answer_that_never_ends_is_cut_off(server: &str) {
    let url = mlflow_proxy::open(server, |_| Fate::Endless(1 << 20, Duration::ZERO)).await;
    let objects = registry_at(&json!({"url": url}));
    let engine = operator_by_object(&objects).await;
    says(&engine, &objects, "Refused", &["it answers more than"]).await;
}

/// The operator waits for the whole answer only so long, and meanwhile works for a policy on another server.
async fn an_answer_that_trickles_is_given_up_and_holds_up_nobody_else(server: &str) {
    let (registry, model) = (mlflow_registry(server), "trickling");
    make_model(&registry, model, 2, true).await;
    let beside = pinned("beside");
    make_model(&registry, "beside", 2, true).await;
    let a_byte = |_: &mlflow_proxy::Call| Fate::Endless(1, Duration::from_millis(100));
    let url = mlflow_proxy::open(server, a_byte).await;
    let objects = cluster_with_policy(model, |policy| pin(policy, "2"));
    objects.apply(&model_registry(&json!({"url": url})));
    let engine = operator_by_object(&objects).await;
    let mut trickling = Box::pin(async {
        let policy = engine.reconcile_champion_policy(NAME);
        let words = [url.as_str()];
        let registry = says(&engine, &objects, "Unreachable", &words);
        tokio::join!(policy, registry).0.unwrap();
    });
    let other = operator("a", &beside, server, &WriteLease::always());
    tokio::select! {
        () = &mut trickling => panic!("a policy on another server waited for an answer that trickled"),
        () = until_settled(&other, &beside, &["Pinned"]) => {}
    }
    trickling.await;

    let policy = objects.policy();
    let said = ready(&policy).unwrap();
    assert_eq!(
        (said.status.as_str(), said.reason.as_str()),
        ("False", "Unavailable"),
        "{said:?}"
    );
    let conditions = policy.status.as_ref().unwrap().conditions.iter();
    let heals = conditions.filter(|c| c.type_ == "Reconciling" && c.status == "True");
    assert_eq!(heals.count(), 1, "{policy:?}");
    assert_eq!(champion(&registry, model).await.as_deref(), Some("1"));
    assert_eq!(
        champion(&registry, "beside").await.as_deref(),
        Some("2"),
        "it went on"
    );
}

#[test]
fn what_stands_in_front_of_mlflow_is_passed_or_told_and_gains_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let server = MlflowServer::start(directory.path(), MLFLOW, None).unwrap();
    let url = server.url();
    run(async {
        tokio::join!(
            an_own_authority_is_trusted_where_it_is_named(&url),
            a_token_is_sent_and_a_wrong_one_is_told(&url),
            a_redirect_to_another_host_is_not_followed(&url),
            an_answer_that_never_ends_is_cut_off(&url),
            an_answer_that_trickles_is_given_up_and_holds_up_nobody_else(&url),
        );
    });
}

#[test]
fn an_address_names_the_prefix_and_a_host_that_mlflow_knows() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "--static-prefix",
        "/mlf",
        "--allowed-hosts",
        "localhost,localhost:*",
    ];
    let server = MlflowServer::start_with_arguments(directory.path(), MLFLOW, &arguments).unwrap();
    let by_number = server.url();
    let by_name = by_number.replace("127.0.0.1", "localhost");
    let cases: [(String, &str, &[&str]); 4] = [
        (format!("{by_name}/mlf"), "Usable", &[]),
        (by_name.clone(), "NotMLflow", &["`--static-prefix`", "HTML"]),
        (
            format!("{by_number}/mlf"),
            "HostRejected",
            &["`127.0.0.1:", "`--allowed-hosts`"],
        ),
        (format!("{by_name}/mlf/"), "Usable", &[]),
    ];
    run(async {
        let objects = Objects::default();
        let engine = operator_by_object(&objects).await;
        for (url, reason, parts) in &cases {
            objects.apply(&model_registry(&json!({"url": url})));
            says(&engine, &objects, reason, parts).await;
        }
    });
}
