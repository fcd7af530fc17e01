//! What runs containers.

use crate::case::{Case, Data, Reload};

pub const CONTAINERD: Case = Case {
    file: "containerd",
    unit: "containerd",
    needs: &[("containerd", "containerd"), ("ctr", "containerd")],
    setup: &["mkdir -p /var/lib/containerd && mount -t tmpfs data /var/lib/containerd"],
    config: Some((
        "/etc/containerd/config.toml",
        "version = 2\n[grpc]\n  address = \"/run/containerd/@WORD@.sock\"\n",
    )),
    ask: "for word in one two three; do ctr -a /run/containerd/$word.sock --connect-timeout 2s version \
     >/dev/null 2>&1 && echo $word; done",
    broken: &[("no such thing\n", "failed to load TOML")],
    data: Some(Data {
        write: "ctr -a /run/containerd/one.sock namespaces create kept",
        read: "ctr -a /run/containerd/three.sock namespaces list -q",
        holds: "kept",
    }),
    unbounded: "its containers may do what it may",
    ..Case::NONE
};

pub const DOCKERD: Case = Case {
    file: "dockerd",
    unit: "dockerd",
    needs: &[("dockerd", "docker.io"), ("docker", "docker.io")],
    setup: &["mkdir -p /var/lib/docker && mount -t tmpfs data /var/lib/docker"],
    config: Some((
        "/etc/docker/daemon.json",
        "{ \"bridge\": \"none\", \"iptables\": false, \"storage-driver\": \"vfs\", \"labels\": [\"word=@WORD@\"] }\n",
    )),
    ask: "docker info --format '{{.Labels}}'",
    reload: Reload::TakesWord,
    broken: &[
        ("{ \"no-such\": 1 }\n", "don't match any configuration option: no-such"),
        ("{ \"labels\": [\"word\"] }\n", "word"),
    ],
    data: Some(Data { write: "docker volume create kept", read: "docker volume ls -q", holds: "kept" }),
    unbounded: "its containers may do what it may",
    ..Case::NONE
};
