//! Web servers and what stands before or behind them.

use crate::case::{Case, Reload};

pub const NGINX: Case = Case {
    file: "nginx",
    unit: "nginx",
    needs: &[("nginx", "nginx-light"), ("curl", "curl")],
    config: Some((
        "/etc/nginx/sites-enabled/default",
        "server { listen 127.0.0.1:80; location / { return 200 \"@WORD@\\n\"; } }\n",
    )),
    ask: "curl -sS -m 10 http://127.0.0.1/",
    reload: Reload::TakesWord,
    broken: &[("server { listn 80; }\n", "unknown directive \"listn\"")],
    init: "nginx",
    ..Case::NONE
};

pub const APACHE2: Case = Case {
    file: "apache2",
    unit: "apache2",
    needs: &[("apache2", "apache2"), ("curl", "curl")],
    config: Some((
        "/etc/apache2/sites-enabled/000-default.conf",
        "ServerName localhost\n<VirtualHost *:80>\nErrorDocument 404 \"@WORD@\"\n</VirtualHost>\n",
    )),
    ask: "curl -sS -m 10 http://127.0.0.1/nothing-there",
    reload: Reload::TakesWord,
    broken: &[("Lisssten 80\n", "Invalid command 'Lisssten'")],
    init: "apache2",
    init_setup: &["mkdir -p /run/lock"],
    ..Case::NONE
};

pub const HAPROXY: Case = Case {
    file: "haproxy",
    unit: "haproxy",
    needs: &[("haproxy", "haproxy"), ("curl", "curl")],
    config: Some((
        "/etc/haproxy/haproxy.cfg",
        "global\n chroot /var/lib/haproxy\n user haproxy\n group haproxy\ndefaults\n mode http\n timeout connect 5s\n \
         timeout client 5s\n timeout server 5s\nfrontend words\n bind 127.0.0.1:80\n \
         http-request return status 200 content-type text/plain string \"@WORD@\"\n",
    )),
    ask: "curl -sS -m 10 http://127.0.0.1/",
    reload: Reload::TakesWord,
    broken: &[
        ("frontend words\n  bnd 127.0.0.1:80\n", "unknown keyword 'bnd'"),
        // It exits with 2: nothing is wrong with this one, and it would not run.
        ("global\n  user haproxy\n", "will not start (no listener)"),
    ],
    init: "haproxy",
    ..Case::NONE
};

pub const PHP_FPM: Case = Case {
    file: "php-fpm",
    unit: "php-fpm",
    needs: &[("php-fpm8.2", "php8.2-fpm"), ("cgi-fcgi", "libfcgi-bin")],
    config: Some((
        "/etc/php/8.2/fpm/pool.d/www.conf",
        "[www]\nuser = www-data\ngroup = www-data\nlisten = /run/php/php8.2-fpm.sock\npm = static\n\
         pm.max_children = 2\nenv[WORD] = @WORD@\n",
    )),
    files: &[("/var/www/word.php", "<?php echo getenv('WORD');\n")],
    ask: "SCRIPT_FILENAME=/var/www/word.php REQUEST_METHOD=GET cgi-fcgi -bind -connect /run/php/php8.2-fpm.sock",
    reload: Reload::TakesWord,
    broken: &[("[www]\nno_such_key = 1\n", "unknown entry 'no_such_key'")],
    init: "php8.2-fpm",
    ..Case::NONE
};

pub const LIGHTTPD: Case = Case {
    file: "lighttpd",
    unit: "lighttpd",
    needs: &[("lighttpd", "lighttpd"), ("curl", "curl")],
    config: Some(("/etc/lighttpd/conf-enabled/99-word.conf", "server.tag = \"@WORD@\"\n")),
    ask: "curl -sSI -m 10 http://127.0.0.1/",
    reload: Reload::TakesWord,
    broken: &[("server.tag = (\n", "99-word.conf")],
    user: "www-data",
    init: "lighttpd",
    ..Case::NONE
};

pub const CADDY: Case = Case {
    file: "caddy",
    unit: "caddy",
    needs: &[("caddy", "caddy"), ("curl", "curl")],
    config: Some(("/etc/caddy/Caddyfile", ":80 {\n\trespond \"@WORD@\"\n}\n")),
    ask: "curl -sS -m 10 http://127.0.0.1/",
    reload: Reload::TakesWord,
    broken: &[(":80 {\n\tno_such_directive\n}\n", "unrecognized directive: no_such_directive")],
    user: "caddy",
    unseen: "its certificates",
    ..Case::NONE
};
