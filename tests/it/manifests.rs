//! The Pod and the job of config/container: what Kubernetes and Nomad read is what is meant, and fits sexton's own settings.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::sexton;

/// Kubernetes' own schema, in which no key is passed over that it does not know.
const POD: &str = "import json, sys, kubernetes_validate, yaml
pod = yaml.safe_load(open(sys.argv[1]))
kubernetes_validate.validate(pod, '1.37', strict=True)
print(json.dumps(pod))
";

/// Blocks are lists, their labels keys; quotes and the parser's own notes are taken away.
const JOB: &str = "import json, sys, hcl2
def plain(value):
    if isinstance(value, dict):
        return {plain(key): plain(inner) for key, inner in value.items() if not key.startswith('__')}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.strip('\"') if isinstance(value, str) else value
print(json.dumps(plain(hcl2.load(open(sys.argv[1])))))
";

/// What this Python makes of a file of config/container.
fn read(script: &str, file: &str) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(python.exists(), "{} is not there; run scripts/test packages", python.display());
    let mut command = Command::new(python);
    command.args(["-c", script]).arg(root.join("config/container").join(file));
    #[allow(clippy::disallowed_methods, reason = "the command is a child of the test")]
    let output = command.output().unwrap_or_else(|e| panic!("python: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{file}: {errors}\nno such module? run scripts/test packages");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Seconds of `27s`.
fn seconds(text: &Value) -> u64 {
    let text = text.as_str().and_then(|text| text.strip_suffix('s')).unwrap_or_default();
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// A probe asks with a command that this sexton has.
#[allow(clippy::disallowed_methods, reason = "the command is a child of the test")]
fn is_asked(probe: &Value) -> String {
    let words: Vec<&str> =
        probe["exec"]["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let [program, command] = words[..] else { panic!("{probe}") };
    assert_eq!(program, "/sbin/sexton", "where the Dockerfile puts it");
    let help = Command::new(sexton()).args([command, "--help"]).output();
    assert!(help.is_ok_and(|output| output.status.success()), "sexton knows no '{command}'");
    command.to_owned()
}

#[test]
fn the_pod_is_one_and_its_probes_its_grace_and_its_rights_are_what_is_meant() {
    let pod = read(POD, "kubernetes.yaml");
    let spec = &pod["spec"];
    let web = &spec["containers"][0];
    let environment = |name: &str| -> &Value {
        let mut all = web["env"].as_array().into_iter().flatten();
        all.find(|entry| entry["name"] == name).map_or(&Value::Null, |entry| &entry["value"])
    };
    let grace = spec["terminationGracePeriodSeconds"].as_u64().unwrap_or(0);
    let timeout = seconds(environment("SEXTON_SHUTDOWN_TIMEOUT"));
    assert!(timeout < grace && grace - timeout <= 5, "{timeout} s of {grace} s");
    let drain: u64 = environment("DRAIN").as_str().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
    assert!(drain < timeout / 2, "draining leaves time to stop");

    let (pods, own) = (&spec["securityContext"], &web["securityContext"]);
    assert_eq!((&pods["runAsNonRoot"], &pods["runAsUser"]), (&Value::Bool(true), &33.into()));
    assert_eq!(pods["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(own["allowPrivilegeEscalation"], false);
    assert_eq!(own["readOnlyRootFilesystem"], true);
    assert_eq!(own["capabilities"]["drop"], serde_json::json!(["ALL"]));
    assert!(own["capabilities"]["add"].is_null());

    assert_eq!(is_asked(&web["startupProbe"]), "health");
    assert_eq!(is_asked(&web["readinessProbe"]), "health");
    assert_eq!(is_asked(&web["livenessProbe"]), "list", "restarting services is sexton's work");
    let mounted = |place: &str| {
        let mut mounts = web["volumeMounts"].as_array().into_iter().flatten();
        let name = mounts.find(|mount| mount["mountPath"] == place).map(|mount| &mount["name"]);
        let mut volumes = spec["volumes"].as_array().into_iter().flatten();
        volumes.any(|volume| Some(&volume["name"]) == name)
    };
    assert!(mounted("/tmp") && mounted("/data"), "what the units write to can be written to");
}

#[test]
fn the_job_is_one_and_has_the_same_grace_and_the_same_rights() {
    let job = read(JOB, "nomad.hcl");
    let group = &job["job"][0]["web"]["group"][0]["web"];
    let task = &group["task"][0]["web"];
    let environment = &task["env"][0];
    let (grace, timeout) = (seconds(&task["kill_timeout"]), seconds(&environment["SEXTON_SHUTDOWN_TIMEOUT"]));
    assert!(timeout < grace && grace - timeout <= 5, "{timeout} s of {grace} s");
    assert!(Duration::from_secs(grace) <= Duration::from_secs(30), "Nomad's own client allows no more");
    assert_eq!(task["kill_signal"], "SIGTERM");
    assert_eq!(task["user"], "33:33");
    let config = &task["config"][0];
    assert_eq!((&config["init"], &config["readonly_rootfs"]), (&Value::Bool(false), &Value::Bool(true)));
    assert_eq!(config["cap_drop"], serde_json::json!(["all"]));
    assert_eq!(config["security_opt"], serde_json::json!(["no-new-privileges"]));
    let mut mounts = config["mount"].as_array().into_iter().flatten().map(|mount| &mount["target"]);
    assert!(mounts.clone().any(|target| target == "/tmp") && mounts.any(|target| target == "/data"));
    let port = &group["network"][0]["port"][0]["http"]["to"];
    assert_eq!(port, 8080, "where nginx listens");
    let check = &task["service"][0]["check"][0];
    assert_eq!((&check["type"], &check["path"]), (&"http".into(), &"/health".into()));
}
