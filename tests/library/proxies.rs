//! What answers for other servers: a cache and a proxy.

use crate::case::{Case, Reload};

pub const VARNISH: Case = Case {
    file: "varnish",
    unit: "varnish",
    needs: &[("varnishd", "varnish"), ("gcc", "gcc"), ("curl", "curl")],
    config: Some((
        "/etc/varnish/default.vcl",
        "vcl 4.1;\nbackend default none;\nsub vcl_recv { return (synth(200, \"@WORD@\")); }\n",
    )),
    ask: "curl -sSi -m 10 http://127.0.0.1:6081/",
    reload: Reload::TakesWord,
    broken: &[("vcl 4.1;\nbackend default none;\nsub vcl_recv { retrun (pass); }\n", "'retrun'")],
    user: "vcache",
    init: "varnish",
    ..Case::NONE
};

pub const SQUID: Case = Case {
    file: "squid",
    unit: "squid",
    needs: &[("squid", "squid"), ("curl", "curl")],
    config: Some((
        "/etc/squid/squid.conf",
        "http_port 3128\nhttp_access allow all\nvisible_hostname @WORD@.test\nshutdown_lifetime 1 second\n\
         pinger_enable off\n",
    )),
    ask: "curl -sSI -m 10 http://127.0.0.1:3128/nothing",
    reload: Reload::TakesWord,
    broken: &[("http_port 3128\nno_such_directive on\n", "no_such_directive")],
    init: "squid",
    ..Case::NONE
};
