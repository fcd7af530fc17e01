//! Name servers beside BIND and Unbound.

use crate::case::{Case, Data, Reload};

pub const DNSMASQ: Case = Case {
    file: "dnsmasq",
    unit: "dnsmasq",
    needs: &[("dnsmasq", "dnsmasq"), ("dig", "bind9-dnsutils")],
    config: Some(("/etc/dnsmasq.d/word", "no-resolv\nbind-interfaces\ntxt-record=word.test,@WORD@\n")),
    ask: "dig +short @127.0.0.1 word.test TXT",
    reload: Reload::Partly,
    broken: &[("no-such-option\n", "bad option at line 1 of /etc/dnsmasq.d/word")],
    user: "dnsmasq",
    init: "dnsmasq",
    unseen: "its leases",
    ..Case::NONE
};

pub const KNOT: Case = Case {
    file: "knot",
    unit: "knot",
    needs: &[("knotd", "knot"), ("dig", "bind9-dnsutils")],
    setup: &[
        "mount -t tmpfs -o mode=0755 zones /var/lib/knot",
        "printf '@ 60 SOA ns mail 1 60 60 60 60\\n@ 60 NS ns\\nns 60 A 127.0.0.1\\n' > /var/lib/knot/word.test.zone",
        "chown -R knot:knot /var/lib/knot",
    ],
    config: Some((
        "/etc/knot/knot.conf",
        "server:\n  user: knot:knot\n  rundir: /run/knot\n  listen: 127.0.0.1@53\n  identity: @WORD@\ndatabase:\n  storage: /var/lib/knot\n\
         zone:\n  - domain: word.test\n    storage: /var/lib/knot\n",
    )),
    ask: "dig +short @127.0.0.1 id.server CH TXT",
    reload: Reload::TakesWord,
    broken: &[("server:\n  no-such: 1\n", "item 'no-such'")],
    user: "knot",
    data: Some(Data {
        write: "knotc -b zone-begin word.test && knotc zone-set word.test kept 60 TXT kept && knotc -b zone-commit word.test",
        read: "dig +short @127.0.0.1 kept.word.test TXT",
        holds: "kept",
    }),
    init: "knot",
    ..Case::NONE
};

pub const NSD: Case = Case {
    file: "nsd",
    unit: "nsd",
    needs: &[("nsd", "nsd"), ("dig", "bind9-dnsutils")],
    config: Some(("/etc/nsd/nsd.conf.d/word.conf", "server:\n  ip-address: 127.0.0.1\n  identity: @WORD@\n")),
    ask: "dig +short @127.0.0.1 id.server CH TXT",
    reload: Reload::Partly,
    broken: &[("server:\n  no-such: 1\n", "word.conf:2: at 'no-such:': error: syntax error")],
    user: "nsd",
    unseen: "zones that it has from others",
    ..Case::NONE
};
