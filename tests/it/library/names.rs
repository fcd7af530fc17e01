//! Name servers: BIND and Unbound, asked with dig.

use super::{Broken, Daemon, Reload};

const NAMED: Daemon = Daemon {
    file: "named",
    unit: "named",
    needs: &[("named", "bind9"), ("dig", "bind9-dnsutils")],
    config: (
        "/etc/bind/named.conf.options",
        "options { directory \"/var/cache/bind\"; dnssec-validation no; recursion no; version \"@WORD@\"; };\n",
    ),
    files: &[],
    setup: &[],
    ask: |machine| machine.run(&["dig", "+short", "@127.0.0.1", "version.bind", "CH", "TXT"]),
    reload: Reload::Has,
    broken: &[
        Broken {
            text: "options { no-such-option yes; };\n",
            says: "unknown option 'no-such-option'",
            ended: "code 1",
        },
        // Only a test that loads the zones finds this one.
        Broken {
            text: "zone \"word.test\" { type master; file \"/etc/bind/not-there\"; };\n",
            says: "zone word.test/IN: loading from master file /etc/bind/not-there failed: file not found",
            ended: "code 1",
        },
    ],
};

const UNBOUND: Daemon = Daemon {
    file: "unbound",
    unit: "unbound",
    needs: &[("unbound", "unbound"), ("dig", "bind9-dnsutils")],
    config: (
        "/etc/unbound/unbound.conf.d/word.conf",
        "server:\n  local-zone: \"word.test.\" static\n  local-data: 'word.test. TXT \"@WORD@\"'\n",
    ),
    files: &[],
    setup: &[],
    ask: |machine| machine.run(&["dig", "+short", "@127.0.0.1", "word.test", "TXT"]),
    reload: Reload::Has,
    broken: &[Broken {
        text: "server:\n  no-such-option: yes\n",
        says: "word.conf:2: error",
        ended: "code 1",
    }],
};

#[test]
fn named_takes_what_is_good() {
    NAMED.takes_what_is_good();
}

#[test]
fn named_refuses_what_is_broken_and_serves_on() {
    NAMED.refuses_what_is_broken();
}

#[test]
fn unbound_takes_what_is_good() {
    UNBOUND.takes_what_is_good();
}

#[test]
fn unbound_refuses_what_is_broken_and_serves_on() {
    UNBOUND.refuses_what_is_broken();
}
