//! Real daemons from Debian packages: a small shop of redis, memcached, an application and nginx.
//!
//! ```text
//!   redis@6379 redis@6380 (a file each) ──┬─▶ migrate (once) ─┐
//!   memcached@1 @2 @3 (by count) ─────────┴───────────────────┴─▶ app ──▶ nginx
//! ```
//!
//! Every unit marks a file before its start and after its stop, so that the order is what happened, not what was said.

use nix::sys::signal::Signal;

use crate::harness::{Machine, Plan, needs, until};

const APP: &str = r#"
import http.server, socket
def ask(port, words, end):
    with socket.create_connection(("127.0.0.1", port), 5) as peer:
        peer.sendall(words)
        answer = b""
        while not answer.endswith(end):
            answer += peer.recv(4096)
        return answer
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        migrated = ask(6379, b"GET migrated\r\n", b"\r\n").split(b"\r\n")[1]
        redis = sum(ask(port, b"PING\r\n", b"\r\n") == b"+PONG\r\n" for port in (6379, 6380))
        caches = sum(ask(port, b"version\r\n", b"\r\n")[:7] == b"VERSION" for port in (11211, 11212, 11213))
        body = f"migrated={migrated.decode()} redis={redis} memcached={caches}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", 8000), App).serve_forever()
"#;

const NGINX: &str = "
pid @DIR@/nginx.pid;
error_log stderr;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path @DIR@/nginx-body;
  proxy_temp_path @DIR@/nginx-proxy;
  fastcgi_temp_path @DIR@/nginx-fastcgi;
  uwsgi_temp_path @DIR@/nginx-uwsgi;
  scgi_temp_path @DIR@/nginx-scgi;
  server { listen 127.0.0.1:8080; location / { proxy_pass http://127.0.0.1:8000; } }
}
";

/// Marks around a unit, to be put behind its own lines.
fn marked(name: &str) -> String {
    format!(
        "\n[[pre-start]]\nexec = [\"@TESTD@\", \"mark\", \"@DIR@/order/all\", \"start-{name}\"]\n\
         [[post-stop]]\nexec = [\"@TESTD@\", \"mark\", \"@DIR@/order/all\", \"stop-{name}\"]\n"
    )
}

fn redis_file(port: u16) -> String {
    format!("port {port}\nbind 127.0.0.1\ndir @DIR@/data\ndbfilename {port}.rdb\nsave 3600 1\n")
}

fn shop() -> Plan {
    let (redis, client) = (needs("redis-server", "redis-server"), needs("redis-cli", "redis-tools"));
    let memcached = needs("memcached", "memcached");
    let (nginx, python) = (needs("nginx", "nginx-light"), needs("python3", "python3"));
    Plan::new()
        .file("conf/redis_6379.conf", &redis_file(6379))
        .file("conf/redis_6380.conf", &redis_file(6380))
        .file("app.py", APP)
        .file("nginx.conf", NGINX)
        .file("data/.keep", "")
        .setup("mkdir @DIR@/order; chmod 777 @DIR@/order; : > @DIR@/order/all; chmod 666 @DIR@/order/all; chown redis: @DIR@/data")
        .unit(
            "redis@",
            &format!(
                "[instances]\nfiles = \"@DIR@/conf/redis_*.conf\"\n[service]\n\
                 exec = [\"{redis}\", \"%f\", \"--daemonize\", \"no\", \"--supervised\", \"systemd\"]\n\
                 [process]\nuser = \"redis\"\ndirectory = \"@DIR@/data\"\n[ready]\nnotify = true\n\
                 [restart]\ndelay = \"0ms\"\n{}",
                marked("redis@%i")
            ),
        )
        .unit(
            "memcached@",
            &format!(
                "[instances]\ncount = 3\n[service]\nexec = [\"{memcached}\", \"-l\", \"127.0.0.1\", \"-p\", \"1121%i\"]\n\
                 [process]\nuser = \"memcache\"\n[ready]\ntcp = \"127.0.0.1:1121%i\"\n[restart]\ndelay = \"0ms\"\n{}",
                marked("memcached@%i")
            ),
        )
        .unit(
            "migrate",
            &format!(
                "needs = [\"redis@*\"]\n[task]\nexec = [\"{client}\", \"-p\", \"6379\", \"SET\", \"migrated\", \"yes\"]\n{}",
                marked("migrate")
            ),
        )
        .unit(
            "app",
            &format!(
                "needs = [\"redis@*\", \"memcached@*\", \"migrate\"]\n[service]\nexec = [\"{python}\", \"@DIR@/app.py\"]\n\
                 [ready]\nhttp = \"http://127.0.0.1:8000/\"\n[restart]\ndelay = \"0ms\"\n{}",
                marked("app")
            ),
        )
        .unit(
            "nginx",
            &format!(
                "needs = [\"app\"]\n[service]\nexec = [\"{nginx}\", \"-c\", \"@DIR@/nginx.conf\", \"-g\", \"daemon off;\"]\n\
                 [ready]\ntcp = \"127.0.0.1:8080\"\n[restart]\ndelay = \"0ms\"\n\
                 [stop]\nsteps = [{{ signal = \"QUIT\", wait = \"5s\" }}, {{ signal = \"TERM\", wait = \"5s\" }}]\n{}",
                marked("nginx")
            ),
        )
}

/// The place of a word in the file of marks.
#[track_caller]
fn place(marks: &str, word: &str) -> usize {
    let found = marks.lines().position(|line| line.split(' ').next() == Some(word));
    found.unwrap_or_else(|| panic!("{word} was never marked:\n{marks}"))
}

fn redis(machine: &Machine, port: u16, words: &[&str]) -> String {
    let port = port.to_string();
    let all: Vec<&str> = ["redis-cli", "-p", &port].into_iter().chain(words.iter().copied()).collect();
    machine.run(&all).out.trim().to_owned()
}

fn page(machine: &Machine) -> String {
    machine.run(&["curl", "-s", "-m", "5", "http://127.0.0.1:8080/"]).out
}

const WHOLE: &str = "migrated=yes redis=2 memcached=3\n";

#[test]
fn a_shop_of_real_daemons_comes_up_in_order_and_serves() {
    let machine = shop().up();
    machine.await_state("nginx", "ready");
    assert_eq!(page(&machine), WHOLE);
    for port in [6379, 6380] {
        assert_eq!(redis(&machine, port, &["CONFIG", "GET", "port"]), format!("port\n{port}"));
    }
    for port in 11211..=11213 {
        let answer = memcached(&machine, port);
        assert!(answer.out.contains(&format!("STAT tcpport {port}")), "{}", answer.all());
    }
    let marks = machine.read("order/all");
    for before in ["redis@6379", "redis@6380"] {
        assert!(place(&marks, &format!("start-{before}")) < place(&marks, "start-migrate"), "{marks}");
    }
    for before in ["migrate", "memcached@1", "memcached@2", "memcached@3"] {
        assert!(place(&marks, &format!("start-{before}")) < place(&marks, "start-app"), "{marks}");
    }
    assert!(place(&marks, "start-app") < place(&marks, "start-nginx"), "{marks}");
    assert_eq!(machine.state("migrate"), "done");
}

/// Memcached's own settings, over its raw protocol.
fn memcached(machine: &Machine, port: u16) -> crate::harness::Finished {
    let script =
        format!("exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'stats settings\\r\\nquit\\r\\n' >&3; cat <&3");
    machine.run(&["/bin/bash", "-c", &script])
}

#[test]
fn a_third_configuration_file_becomes_a_third_redis_and_touches_nobody() {
    let machine = shop().up();
    machine.await_state("nginx", "ready");
    let before: Vec<i32> = ["redis@6379", "redis@6380", "app"].iter().map(|u| machine.main_pid(u)).collect();
    machine.write("conf/redis_6381.conf", &redis_file(6381));
    machine.sexton(&["start", "redis@6381"]).expect(0);
    assert_eq!(redis(&machine, 6381, &["PING"]), "PONG");
    let after: Vec<i32> = ["redis@6379", "redis@6380", "app"].iter().map(|u| machine.main_pid(u)).collect();
    assert_eq!(before, after);
    let unknown = machine.sexton(&["start", "redis@6382"]).all();
    assert!(unknown.contains("redis@6382"), "{unknown}");
}

#[test]
fn every_daemon_that_is_killed_returns() {
    let machine = shop().up();
    machine.await_state("nginx", "ready");
    for unit in ["redis@6379", "redis@6380", "memcached@1", "memcached@2", "memcached@3", "app", "nginx"] {
        let old = machine.kill(unit, Signal::SIGKILL);
        let new = machine.await_replacement(unit, old);
        assert!(machine.lives(new), "{unit}");
        assert_eq!(machine.unit(unit).restarts, 1, "{unit}");
    }
    until("the shop serves again", || {
        redis(&machine, 6379, &["SET", "migrated", "yes"]);
        (page(&machine) == WHOLE).then_some(())
    });
}

#[test]
fn a_daemon_that_cannot_start_is_explained_to_the_last_dependent() {
    let machine = shop().file("conf/redis_6380.conf", "port 6380\nno-such-directive yes\n").up();
    machine.await_state("redis@6380", "failed");
    let why = machine.sexton(&["why", "redis@6380"]).all();
    assert!(why.contains("exited with code 1") && why.contains("no-such-directive"), "{why}");
    for unit in ["migrate", "app", "nginx"] {
        let why = machine.sexton(&["why", unit]).all();
        assert!(why.contains("redis@6380"), "{unit}: {why}");
        assert_eq!(machine.sexton(&["start", unit]).code, 1, "{unit}");
    }
    assert_eq!(machine.state("redis@6379"), "ready");
    assert_eq!(machine.state("memcached@3"), "ready");
}

#[test]
fn the_shop_stops_in_reverse_keeps_its_data_and_leaves_nothing() {
    let mut machine = shop().up();
    machine.await_state("nginx", "ready");
    assert_eq!(redis(&machine, 6380, &["SET", "kept", "it is"]), "OK");
    let processes: Vec<i32> = machine.processes().into_iter().map(|(pid, _)| pid).collect();
    assert!(processes.len() >= 8, "{processes:?}");
    assert_eq!(machine.shut_down(Signal::SIGTERM), 0);
    let marks = machine.read("order/all");
    let stopped = |unit: &str| place(&marks, &format!("stop-{unit}"));
    assert!(stopped("nginx") < stopped("app"), "{marks}");
    for needed in ["redis@6379", "redis@6380", "memcached@1", "memcached@2", "memcached@3"] {
        assert!(stopped("app") < stopped(needed), "{needed}: {marks}");
    }
    for pid in processes {
        let gone = std::fs::read_link(format!("/proc/{pid}/exe"))
            .map_or(true, |exe| !exe.to_string_lossy().contains("redis"));
        assert!(gone, "process {pid} outlived its PID 1");
    }
    let again = shop();
    let data = |name: &str| (machine.path(name), again.scratch().join(name));
    let (from, to) = data("data/6380.rdb");
    std::fs::copy(&from, &to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    let again = again.setup("chown redis: @DIR@/data/*").up();
    again.await_state("redis@6380", "ready");
    assert_eq!(redis(&again, 6380, &["GET", "kept"]), "it is");
}
