//! What watches other daemons.

use crate::case::{Case, Data, Reload};

pub const PROMETHEUS: Case = Case {
    file: "prometheus",
    unit: "prometheus",
    needs: &[("prometheus", "prometheus"), ("curl", "curl")],
    setup: &["mount -t tmpfs -o mode=0755 data /var/lib/prometheus"],
    // It watches itself, under the word of the day.
    config: Some((
        "/etc/prometheus/prometheus.yml",
        "global:\n  external_labels:\n    word: '@WORD@'\nscrape_configs:\n  - job_name: '@WORD@'\n    scrape_interval: 1s\n\
         \x20   static_configs:\n      - targets: ['127.0.0.1:9090']\n",
    )),
    ask: "curl -sS -m 10 http://127.0.0.1:9090/api/v1/status/config",
    reload: Reload::TakesWord,
    broken: &[("no_such_key: 1\n", "field no_such_key not found")],
    user: "prometheus",
    data: Some(Data {
        write: "for i in {1..300}; do curl -sS -m 10 'http://127.0.0.1:9090/api/v1/query?query=up' | grep -q '\"job\":\"one\"' \
                && exit; sleep 0.1; done; exit 1",
        read: "curl -sS -m 10 -g 'http://127.0.0.1:9090/api/v1/query?query=count_over_time(up[1h])'",
        holds: "\"job\":\"one\"",
    }),
    init: "prometheus",
    init_setup: &["chown prometheus: /var/lib/prometheus"],
    ..Case::NONE
};

pub const ALERTMANAGER: Case = Case {
    file: "prometheus-alertmanager",
    unit: "prometheus-alertmanager",
    needs: &[("prometheus-alertmanager", "prometheus-alertmanager"), ("curl", "curl")],
    setup: &["mount -t tmpfs -o mode=0755 data /var/lib/prometheus"],
    config: Some((
        "/etc/prometheus/alertmanager.yml",
        "route:\n  receiver: '@WORD@'\nreceivers:\n  - name: '@WORD@'\n",
    )),
    ask: "curl -sS -m 10 http://127.0.0.1:9093/api/v2/status",
    reload: Reload::TakesWord,
    broken: &[("no_such_key: 1\n", "field no_such_key not found")],
    user: "prometheus",
    data: Some(Data {
        write: "amtool --alertmanager.url=http://127.0.0.1:9093 silence add alertname=kept -a test -c kept -d 1h",
        read: "amtool --alertmanager.url=http://127.0.0.1:9093 silence query",
        holds: "alertname=\"kept\"",
    }),
    ..Case::NONE
};

pub const NODE_EXPORTER: Case = Case {
    file: "prometheus-node-exporter",
    unit: "prometheus-node-exporter",
    needs: &[("prometheus-node-exporter", "prometheus-node-exporter"), ("curl", "curl")],
    ask: "curl -sS -m 30 http://127.0.0.1:9100/metrics",
    answer: "node_exporter_build_info",
    user: "prometheus",
    ..Case::NONE
};
