//! Brokers of messages.

use crate::case::{Case, Data, Reload};

pub const MOSQUITTO: Case = Case {
    file: "mosquitto",
    unit: "mosquitto",
    needs: &[("mosquitto", "mosquitto"), ("mosquitto_sub", "mosquitto-clients")],
    // A client that knows the password of the day is let in, and finds what was left for it.
    config: Some((
        "/etc/mosquitto/conf.d/word.conf",
        "listener 1883 127.0.0.1\nallow_anonymous true\nclientid_prefixes @WORD@\n",
    )),
    ask: "for word in one two three; do mosquitto_pub -i $word-client -t words -m $word -q 1 2>&1 && echo $word; done",
    reload: Reload::TakesWord,
    broken: &[("listener 1883\nno_such_option true\n", "Unknown configuration variable \"no_such_option\"")],
    user: "mosquitto",
    data: Some(Data {
        write: "mosquitto_pub -i one-writer -t kept -m 'it is kept' -q 1 -r",
        read: "mosquitto_sub -i three-reader -t kept -C 1 -W 20",
        holds: "it is kept",
    }),
    init: "mosquitto",
    init_setup: &["install -d -o mosquitto /run/mosquitto"],
    ..Case::NONE
};

pub const NATS: Case = Case {
    file: "nats-server",
    unit: "nats-server",
    needs: &[("nats-server", "nats-server")],
    config: Some((
        "/etc/nats-server.conf",
        "host: 127.0.0.1\nport: 4222\nauthorization { users = [ { user: @WORD@, password: x } ] }\n",
    )),
    // Whoever has the name of the day is let in.
    ask: "for word in one two three; do exec 3<>/dev/tcp/127.0.0.1/4222; \
          printf 'CONNECT {\"user\":\"%s\",\"pass\":\"x\",\"verbose\":false}\r\nPING\r\n' $word >&3; \
          timeout 5 head -n 2 <&3 | grep -q PONG && echo $word; exec 3>&-; done",
    reload: Reload::TakesWord,
    broken: &[("port: 4222\nno_such_key: 1\n", "unknown field \"no_such_key\"")],
    user: "nats",
    unseen: "its streams",
    ..Case::NONE
};

pub const EPMD: Case = Case {
    file: "epmd",
    unit: "epmd",
    needs: &[("epmd", "erlang-base")],
    ask: "epmd -names",
    answer: "up and running",
    user: "epmd",
    ..Case::NONE
};

pub const RABBITMQ: Case = Case {
    file: "rabbitmq",
    unit: "rabbitmq",
    beside: &["epmd"],
    needs: &[("rabbitmqctl", "rabbitmq-server")],
    setup: &["mount -t tmpfs -o mode=0755 data /var/lib/rabbitmq"],
    config: Some(("/etc/rabbitmq/rabbitmq.conf", "cluster_name = @WORD@\n")),
    ask: "rabbitmqctl cluster_status",
    user: "rabbitmq",
    data: Some(Data { write: "rabbitmqctl add_vhost kept", read: "rabbitmqctl list_vhosts", holds: "kept" }),
    ..Case::NONE
};
