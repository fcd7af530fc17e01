//! HEALTHCHECK sees what `sexton health` says.

use std::time::Duration;

use crate::engine::{Container, engine};
use crate::harness::within;

/// The engine asks once a second, and this machine may do ten other things.
const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn becomes(container: &Container, health: &str) {
    within(PATIENCE, &format!("the container is {health}"), || {
        (container.field(".State.Health.Status") == health).then_some(())
    });
}

#[test]
fn the_engine_sees_a_container_become_healthy_and_unhealthy_and_healthy_again() {
    let engine = engine();
    let web = "[service]\nexec = [\"/testd\", \"until\", \"/out/go\", \"notify\", \"READY=1\", \"until\", \"/out/crash\", \"exit\", \"1\"]\n\
        [ready]\nnotify = true\ntimeout = \"10m\"\n[restart]\non = \"never\"\n";
    let container = engine.plan(&[("web", web)]).start();
    becomes(&container, "unhealthy");
    let log = container.field("range .State.Health.Log}}{{.Output}}{{end");
    assert!(log.contains("web is starting"), "{log}");
    container.write("go", "");
    becomes(&container, "healthy");
    container.write("crash", "");
    becomes(&container, "unhealthy");
    let log = container.field("range .State.Health.Log}}{{.Output}}{{end");
    assert!(log.contains("web is failed: exited with code 1"), "{log}");
    std::fs::remove_file(container.path("crash")).unwrap_or_else(|e| panic!("crash: {e}"));
    container.exec(&["/sexton", "start", "web"]).expect(0);
    becomes(&container, "healthy");
}
