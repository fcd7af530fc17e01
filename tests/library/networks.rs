//! Time, routes and addresses.

use crate::case::{Case, Reload};

pub const CHRONY: Case = Case {
    file: "chrony",
    unit: "chrony",
    needs: &[("chronyd", "chrony")],
    // The clock is not the test's.
    drop_ins: &[(
        "chrony.d/clock.toml",
        "[service]\nexec = [\"/usr/sbin/chronyd\", \"-d\", \"-F\", \"1\", \"-x\"]\n",
    )],
    files: &[("/etc/chrony/chrony.conf", "confdir /etc/chrony/conf.d\ndriftfile /var/lib/chrony/drift\n")],
    config: Some(("/etc/chrony/conf.d/word.conf", "server @WORD@.test\n")),
    ask: "chronyc -N sources -a",
    reload: Reload::Partly,
    broken: &[("no-such 1\n", "Invalid directive at line 1 in file /etc/chrony/conf.d/word.conf")],
    user: "_chrony",
    init: "chrony",
    unseen: "what it learnt of the clock",
    ..Case::NONE
};

pub const BIRD: Case = Case {
    file: "bird",
    unit: "bird",
    needs: &[("bird", "bird2")],
    config: Some((
        "/etc/bird/bird.conf",
        "router id 10.0.0.1;\nprotocol device {}\nprotocol static @WORD@ { ipv4; route 10.1.0.0/16 blackhole; }\n",
    )),
    ask: "birdc show protocols",
    reload: Reload::TakesWord,
    broken: &[("no such;\n", "bird.conf:1:")],
    user: "bird",
    init: "bird",
    ..Case::NONE
};

pub const KEEPALIVED: Case = Case {
    file: "keepalived",
    unit: "keepalived",
    needs: &[("keepalived", "keepalived"), ("ip", "iproute2")],
    setup: &[
        "ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up && ip addr add 10.9.0.1/24 dev v0",
    ],
    config: Some((
        "/etc/keepalived/keepalived.conf",
        "vrrp_instance V {\n interface v0\n state MASTER\n priority 255\n virtual_router_id 7\n advert_int 1\n \
         virtual_ipaddress {\n  10.9.9.9/32 label v0:@WORD@\n }\n}\n",
    )),
    // It is ready before it has taken its address.
    ask: "timeout 20 bash -c 'until ip -o addr show | grep -o v0:[a-z]*; do read -t 0.1 < <(:); done'",
    reload: Reload::TakesWord,
    broken: &[
        ("no_such 1\n", "Unknown keyword 'no_such'"),
        ("vrrp_instance V {\n interface not-there\n virtual_router_id 7\n}\n", "not-there"),
    ],
    ..Case::NONE
};
