//! Stores in memory, and what keeps them.

use crate::case::{Case, Data, Twin};

pub const REDIS: Case = Case {
    file: "redis@",
    unit: "redis@6380",
    needs: &[("redis-server", "redis-server"), ("redis-cli", "redis-tools")],
    files: &[(
        "/etc/redis/redis_6381.conf",
        "bind 127.0.0.1\nport 6381\ndir /var/lib/redis\ndbfilename 6381.rdb\n",
    )],
    config: Some((
        "/etc/redis/redis_6380.conf",
        "bind 127.0.0.1\nport 6380\ndir /var/lib/redis\ndbfilename 6380.rdb\nsave 3600 1\n\
         cluster-announce-hostname @WORD@\n",
    )),
    ask: "redis-cli -p 6380 CONFIG GET cluster-announce-hostname",
    broken: &[
        ("port 6380\nno-such-directive yes\n", ">>> 'no-such-directive yes'"),
        ("port 6380\ndir /not-there\n", ">>> 'dir /not-there'"),
    ],
    user: "redis",
    data: Some(Data {
        write: "redis-cli -p 6380 SET word kept",
        read: "redis-cli -p 6380 GET word",
        holds: "kept",
    }),
    twin: Some(Twin { unit: "redis@6381", ask: "redis-cli -p 6381 CONFIG GET port", answer: "6381" }),

    init: "redis-server",
    init_setup: &[
        "printf 'include /etc/redis/redis_6380.conf\\ndaemonize yes\\npidfile /run/redis/redis-server.pid\\n' > /etc/redis/redis.conf",
    ],
    ..Case::NONE
};

pub const VALKEY: Case = Case {
    file: "valkey@",
    unit: "valkey@6480",
    needs: &[("redis-server", "redis-server")],
    // Debian 12 has it in its backports: it was only unpacked, and its libraries are those of Redis.
    setup: &[
        crate::case::UNPACKED,
        "echo 'valkey:x:6480:6480::/var/lib/valkey:/usr/sbin/nologin' >> /etc/passwd; echo 'valkey:x:6480:' >> /etc/group",
        "install -d -o valkey -g valkey -m 0750 /var/lib/valkey",
    ],
    files: &[(
        "/etc/valkey/valkey_6481.conf",
        "bind 127.0.0.1\nport 6481\ndir /var/lib/valkey\ndbfilename 6481.rdb\n",
    )],
    config: Some((
        "/etc/valkey/valkey_6480.conf",
        "bind 127.0.0.1\nport 6480\ndir /var/lib/valkey\ndbfilename 6480.rdb\nsave 3600 1\n\
         cluster-announce-hostname @WORD@\n",
    )),
    ask: "valkey-cli -p 6480 CONFIG GET cluster-announce-hostname",
    broken: &[
        ("port 6480\nno-such-directive yes\n", ">>> 'no-such-directive yes'"),
        ("port 6480\ndir /not-there\n", ">>> 'dir /not-there'"),
    ],
    user: "valkey",
    data: Some(Data {
        write: "valkey-cli -p 6480 SET word kept",
        read: "valkey-cli -p 6480 GET word",
        holds: "kept",
    }),
    twin: Some(Twin { unit: "valkey@6481", ask: "valkey-cli -p 6481 CONFIG GET port", answer: "6481" }),
    init: "valkey-server",
    init_setup: &[
        concat!("cp ", env!("CARGO_MANIFEST_DIR"), "/target/unpacked/etc/init.d/valkey-server /etc/init.d"),
        "printf 'include /etc/valkey/valkey_6480.conf\\ndaemonize yes\\npidfile /run/valkey/valkey-server.pid\\n' > /etc/valkey/valkey.conf",
    ],
    ..Case::NONE
};

pub const MEMCACHED: Case = Case {
    file: "memcached@",
    unit: "memcached@11211",
    needs: &[("memcached", "memcached")],
    drop_ins: &[("memcached@.d/two.toml", "[instances]\nnames = [\"11211\", \"11212\"]\n")],
    ask: "exec 3<>/dev/tcp/127.0.0.1/11211; printf 'version\\r\\nquit\\r\\n' >&3; cat <&3",
    answer: "VERSION",
    user: "memcache",
    twin: Some(Twin {
        unit: "memcached@11212",
        ask: "exec 3<>/dev/tcp/127.0.0.1/11212; printf 'version\\r\\nquit\\r\\n' >&3; cat <&3",
        answer: "VERSION",
    }),
    ..Case::NONE
};

pub const ETCD: Case = Case {
    file: "etcd",
    unit: "etcd",
    needs: &[("etcd", "etcd-server"), ("etcdctl", "etcd-client")],
    setup: &["mount -t tmpfs -o mode=0755 data /var/lib/etcd"],
    config: Some(("/etc/default/etcd", "ETCD_NAME=@WORD@\n")),
    ask: "ETCDCTL_API=3 etcdctl member list",
    user: "etcd",
    data: Some(Data {
        write: "ETCDCTL_API=3 etcdctl put word kept",
        read: "ETCDCTL_API=3 etcdctl get word",
        holds: "kept",
    }),
    ..Case::NONE
};
