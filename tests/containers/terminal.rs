//! `docker run -it` with a person before it: ^C, ^Z and `fg` do in a container what they do outside of it.

use crate::debian;
use crate::engine::{Plan, engine};
use crate::harness::pty::{CTRL_C, CTRL_Z, Screen};
use crate::harness::sexton;

const SHELL: [&str; 6] = ["--", "bash", "--norc", "--noprofile", "--noediting", "-i"];

/// A shell below sexton, on a terminal of the test's.
fn talk(plan: Plan) {
    let program = format!("{}:/sbin/sexton:ro", sexton().display());
    let plan = plan
        .image(debian::IMAGE)
        .options(&["--volume", &program, "--entrypoint", "/sbin/sexton", "--env", "PS1=[$?] "])
        .command(&SHELL);
    let (mut screen, slave) = Screen::open();
    let (container, mut client) = plan.start_on(slave);
    screen.shows("[0] ");
    assert!(!screen.seen.contains("no job control"), "{}", screen.seen);
    screen.types("cat\none\n");
    screen.shows("one\r\none");
    screen.types(CTRL_Z);
    screen.shows("Stopped");
    // What is typed before the prompt would be shown before it too.
    screen.shows("[148] ");
    screen.types("fg\n");
    screen.shows("fg\r\ncat\r\n");
    screen.types("two\n");
    screen.shows("two\r\ntwo");
    screen.types(CTRL_C);
    screen.shows("[130] ");
    screen.types("cat &\n");
    // It reads from the background, and is stopped for that.
    screen.types("until [[ $(jobs) == *Stopped* ]]; do sleep 0.05; done\n");
    screen.types("echo at-$((1 + 1))\n");
    screen.shows("at-2");
    // A shell asks twice who has stopped jobs; sexton wakes the job to end it.
    screen.types("exit 9\n");
    screen.shows("There are stopped jobs");
    screen.types("exit 9\n");
    #[allow(clippy::disallowed_methods, reason = "the client is a child of the test")]
    let ended = client.wait().unwrap_or_else(|e| panic!("docker run: {e}"));
    assert_eq!(ended.code(), Some(9), "{}", screen.seen);
    drop(container);
}

#[test]
fn a_shell_below_the_wrapper_has_job_control_in_docker_run_it() {
    let engine = engine();
    debian::import(&engine);
    talk(engine.bare());
}

#[test]
fn a_shell_beside_units_has_job_control_in_docker_run_it() {
    let engine = engine();
    debian::import(&engine);
    talk(engine.plan(&[("store", "[service]\nexec = [\"/usr/bin/sleep\", \"1000\"]\n")]));
}
