//! Web servers: nginx, Apache httpd, HAProxy, and PHP behind its socket.

use nix::sys::signal::Signal;

use super::{Broken, Daemon, Reload, page, put};
use crate::harness::{Finished, Machine};

const NGINX: Daemon = Daemon {
    file: "nginx",
    unit: "nginx",
    needs: &[("nginx", "nginx-light"), ("curl", "curl")],
    config: (
        "/etc/nginx/sites-enabled/default",
        "server { listen 127.0.0.1:80; location / { return 200 \"@WORD@\\n\"; } }\n",
    ),
    files: &[],
    setup: &[],
    ask: |machine| page(machine, "http://127.0.0.1/"),
    reload: Reload::Has,
    broken: &[Broken {
        text: "server { listn 80; }\n",
        says: "unknown directive \"listn\"",
        ended: "code 1",
    }],
};

const APACHE: Daemon = Daemon {
    file: "apache2",
    unit: "apache2",
    needs: &[("apache2", "apache2"), ("curl", "curl")],
    config: (
        "/etc/apache2/sites-enabled/000-default.conf",
        "ServerName localhost\n<VirtualHost *:80>\nErrorDocument 404 \"@WORD@\"\n</VirtualHost>\n",
    ),
    files: &[],
    setup: &[],
    ask: |machine| page(machine, "http://127.0.0.1/nothing-there"),
    reload: Reload::Has,
    broken: &[Broken { text: "Lisssten 80\n", says: "Invalid command 'Lisssten'", ended: "code 1" }],
};

const HAPROXY_CONFIG: &str = "
global
  chroot /var/lib/haproxy
  stats socket /run/haproxy/admin.sock mode 660 level admin
  user haproxy
  group haproxy
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend words
  bind 127.0.0.1:80
  http-request return status 200 content-type text/plain string \"@WORD@\"
";

const HAPROXY: Daemon = Daemon {
    file: "haproxy",
    unit: "haproxy",
    needs: &[("haproxy", "haproxy"), ("curl", "curl")],
    config: ("/etc/haproxy/haproxy.cfg", HAPROXY_CONFIG),
    files: &[],
    setup: &[],
    ask: |machine| page(machine, "http://127.0.0.1/"),
    reload: Reload::Has,
    broken: &[
        Broken {
            text: "frontend words\n  bnd 127.0.0.1:80\n",
            says: "unknown keyword 'bnd'",
            ended: "code 1",
        },
        // It exits with 2: nothing is wrong with this one, and it would not run.
        Broken { text: "global\n  user haproxy\n", says: "will not start (no listener)", ended: "code 2" },
    ],
};

const PHP: Daemon = Daemon {
    file: "php-fpm",
    unit: "php-fpm",
    needs: &[("php-fpm8.2", "php8.2-fpm"), ("cgi-fcgi", "libfcgi-bin")],
    config: (
        "/etc/php/8.2/fpm/pool.d/www.conf",
        "[www]\nuser = www-data\ngroup = www-data\nlisten = /run/php/php8.2-fpm.sock\npm = static\n\
         pm.max_children = 2\nenv[WORD] = @WORD@\n",
    ),
    files: &[("/var/www/word.php", "<?php echo getenv('WORD');\n")],
    setup: &[],
    ask: fast_cgi,
    reload: Reload::Has,
    broken: &[Broken {
        text: "[www]\nno_such_key = 1\n",
        says: "unknown entry 'no_such_key'",
        ended: "code 78",
    }],
};

fn fast_cgi(machine: &Machine) -> Finished {
    let variables = ["SCRIPT_FILENAME=/var/www/word.php", "REQUEST_METHOD=GET"];
    let client = ["cgi-fcgi", "-bind", "-connect", "/run/php/php8.2-fpm.sock"];
    let words: Vec<&str> = ["env"].into_iter().chain(variables).chain(client).collect();
    machine.run(&words)
}

#[test]
fn nginx_takes_what_is_good() {
    NGINX.takes_what_is_good();
}

#[test]
fn nginx_refuses_what_is_broken_and_serves_on() {
    NGINX.refuses_what_is_broken();
}

#[test]
fn apache_takes_what_is_good() {
    APACHE.takes_what_is_good();
}

#[test]
fn apache_refuses_what_is_broken_and_serves_on() {
    APACHE.refuses_what_is_broken();
}

#[test]
fn haproxy_takes_what_is_good() {
    HAPROXY.takes_what_is_good();
}

#[test]
fn haproxy_refuses_what_is_broken_and_serves_on() {
    HAPROXY.refuses_what_is_broken();
}

#[test]
fn php_takes_what_is_good() {
    PHP.takes_what_is_good();
}

#[test]
fn php_refuses_what_is_broken_and_serves_on() {
    PHP.refuses_what_is_broken();
}

/// It passes every test, and no worker can bind it.
const UNBINDABLE: &str = "frontend elsewhere\n  bind 203.0.113.1:80\n  default_backend none\nbackend none\n";

#[test]
fn haproxy_that_says_ready_after_a_reload_that_failed_is_not_believed() {
    let machine = HAPROXY.up();
    let old = machine.main_pid("haproxy");
    put(&machine, HAPROXY.config.0, &format!("{}{UNBINDABLE}", HAPROXY.worded("two")));
    let failed = machine.sexton(&["reload", "haproxy"]).expect(1).all();
    assert!(failed.contains("verif"), "{failed}");
    assert_eq!(machine.main_pid("haproxy"), old);
    HAPROXY.comes_to_say(&machine, "one");
    HAPROXY.reloads(&machine, "three");
}

#[test]
fn nginx_that_was_killed_is_not_ready_by_the_file_that_it_left() {
    let machine = NGINX.up();
    let old = machine.kill("nginx", Signal::SIGKILL);
    machine.await_replacement("nginx", old);
    NGINX.comes_to_say(&machine, "one");
}
