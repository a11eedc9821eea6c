//! What a template asks for is carried out or refused, and a version holds what a trial wrote.

use crate::objects::ready_message;
use crate::project::{Project, SQUARE, search};
use std::fs;

#[test]
fn a_template_is_carried_out_or_refused_by_its_paths() {
    let project = Project::new();
    let text = search(1, SQUARE);
    let asking = text
        .replace("containers: [{", "volumes: [{name: data}], initContainers: [{name: fetch}], containers: [{envFrom: [{configMapRef: {name: a}}], ")
        .replace("}}}\n", "}}, parallelism: 2, backofLimit: 2}\n");
    project.write("search.yaml", &asking);
    let finished = project.run();
    assert_eq!(finished.code, Some(1), "{}{}", finished.out, finished.err);
    assert_eq!(project.objects("trials").len(), 0);
    let message = ready_message(&project);
    for path in [
        "parallelism",
        "backofLimit",
        "template.spec.volumes",
        "template.spec.initContainers",
        "template.spec.containers[0].envFrom",
    ] {
        let said = format!("spec.trial.job.{path}: must be left out here: ");
        assert!(message.contains(&said), "{said}: {message}");
    }
}

#[test]
fn a_program_that_fails_is_started_again_as_often_as_its_job_allows() {
    let script = |failures: u32| {
        format!("echo x >> tries; [ $(wc -l < tries) -gt {failures} ] || exit 3; {SQUARE}")
    };
    for (limit, failures, phase) in [(2, 2, "Succeeded"), (2, 3, "Failed"), (0, 1, "Failed")] {
        let project = Project::new();
        let text = search(1, &script(failures)).replace(
            "job: {template:",
            &format!("job: {{backoffLimit: {limit}, template:"),
        );
        project.write("search.yaml", &text);
        project.run();
        let tries = fs::read_to_string(project.path().join("tries")).unwrap();
        assert_eq!(tries.lines().count(), 1 + limit, "{limit}");
        assert_eq!(project.only("trials")["status"]["phase"], phase);
    }
}

#[test]
fn a_variable_that_hides_a_parameter_is_refused() {
    let project = Project::new();
    let text = search(2, SQUARE).replace(
        "[{name: train,",
        "[{name: train, env: [{name: x, value: \"0.5\"}],",
    );
    project.write("search.yaml", &text);
    assert_eq!(project.run().code, Some(1));
    let message = ready_message(&project);
    assert!(
        message.contains("spec.trial.job.template.spec.containers[0].env[0].name: must not be `x`"),
        "{message}"
    );
    assert_eq!(project.objects("trials").len(), 0);
    let path = search(2, SQUARE).replace("name: x,", "name: PATH,");
    project.write("search.yaml", &path);
    let finished = project.run();
    assert!(finished.err.contains("spec.parameters[0].name: Invalid value: \"string\": `name` must not be that of a variable"), "{}", finished.err);
}

pub const REGISTRY: &str = "apiVersion: podium.dev/v1alpha1\nkind: ModelRegistry\nmetadata: {name: models}\nspec: {directory: {path: registry}}\n";

fn registering(script: &str, alias: &str) -> String {
    let register = format!(
        "  register: {{registryRef: {{name: models}}, model: m, alias: {alias}}}\n  trial:\n    outputURI: file://my%20out/$(PODIUM_TRIAL)\n"
    );
    search(1, &format!("{script}; {SQUARE}")).replace("  trial:\n", &register)
}

#[test]
fn a_version_holds_exactly_what_the_trial_wrote() {
    let project = Project::new();
    project.write("registry.yaml", REGISTRY);
    let script = "o=\"my out/$PODIUM_TRIAL\"; mkdir -p \"$o/.cache\" \"$o/empty\"; echo w > \"$o/.cache/.weights\"; ln -s .cache/.weights \"$o/latest\"; echo odd > \"$o/$(printf 'caf\\351')\"";
    project.write("search.yaml", &registering(script, "challenger"));
    let finished = project.run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    let files = project.path().join("registry/m/versions/1/files");
    assert_eq!(fs::read_to_string(files.join("latest")).unwrap(), "w\n");
    assert!(files.join("empty").is_dir());
    assert_eq!(fs::read_dir(files).unwrap().count(), 4);
}

#[test]
fn one_file_is_registered_too() {
    let project = Project::new();
    project.write("registry.yaml", REGISTRY);
    let script = "mkdir -p \"my out\"; echo model > \"my out/$PODIUM_TRIAL\"";
    project.write("search.yaml", &registering(script, "challenger"));
    let finished = project.run();
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    let file = project.path().join("registry/m/versions/1/files/toy-1");
    assert_eq!(fs::read_to_string(file).unwrap(), "model\n");
}

#[test]
fn a_search_crowns_nobody_and_its_registry_is_there_before_it_begins() {
    let project = Project::new();
    project.write("search.yaml", &registering("true", "champion"));
    assert_eq!(project.run().code, Some(1));
    let message = ready_message(&project);
    assert!(
        message.contains("spec.register.registryRef.name: must be the name of a ModelRegistry"),
        "{message}"
    );
    project.write("registry.yaml", REGISTRY);
    assert_eq!(project.run().code, Some(1));
    let message = ready_message(&project);
    assert!(
        message.contains("spec.register.alias: must not be `champion`"),
        "{message}"
    );
    let guarded = REGISTRY.replace("spec: {", "spec: {protectedAliases: [shadow], ");
    project.write("registry.yaml", &guarded);
    project.write("search.yaml", &registering("true", "shadow"));
    assert_eq!(project.run().code, Some(1));
    let message = ready_message(&project);
    assert!(
        message.contains("spec.register.alias: must not be `shadow`"),
        "{message}"
    );
    assert_eq!(project.objects("trials").len(), 0);
    let mlflow = REGISTRY.replace(
        "directory: {path: registry}",
        "mlflow: {url: \"https://a.example\"}",
    );
    project.write("registry.yaml", &mlflow);
    let finished = project.run();
    assert!(
        finished
            .err
            .contains("registry.yaml: ModelRegistry \"models\": spec.mlflow: must be left out"),
        "{}",
        finished.err
    );
}
