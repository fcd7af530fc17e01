//! Name servers, asked with dig.

use crate::case::{Case, Reload};

pub const NAMED: Case = Case {
    file: "named",
    unit: "named",
    needs: &[("named", "bind9"), ("dig", "bind9-dnsutils")],
    config: Some((
        "/etc/bind/named.conf.options",
        "options { directory \"/var/cache/bind\"; dnssec-validation no; recursion no; version \"@WORD@\"; };\n",
    )),
    ask: "dig +short @127.0.0.1 version.bind CH TXT",
    reload: Reload::TakesWord,
    broken: &[
        ("options { no-such-option yes; };\n", "unknown option 'no-such-option'"),
        // Only a test that loads the zones finds this one.
        (
            "zone \"word.test\" { type master; file \"/etc/bind/not-there\"; };\n",
            "loading from master file /etc/bind/not-there failed: file not found",
        ),
    ],
    user: "bind",
    init: "named",
    unseen: "zones that it has from others",
    ..Case::NONE
};

pub const UNBOUND: Case = Case {
    file: "unbound",
    unit: "unbound",
    needs: &[("unbound", "unbound"), ("dig", "bind9-dnsutils")],
    config: Some((
        "/etc/unbound/unbound.conf.d/word.conf",
        "server:\n  local-zone: \"word.test.\" static\n  local-data: 'word.test. TXT \"@WORD@\"'\n",
    )),
    ask: "dig +short @127.0.0.1 word.test TXT",
    reload: Reload::TakesWord,
    broken: &[("server:\n  no-such-option: yes\n", "word.conf:2: error")],
    user: "unbound",
    unseen: "its trust anchor",
    init: "unbound",
    ..Case::NONE
};
