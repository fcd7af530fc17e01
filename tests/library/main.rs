//! The library of units against its daemons: a case a unit, each a story with the real daemon in a machine of its own.
//!
//! ```text
//!   config/units/NAME.toml ─▶ case ─▶ story (what a unit has to do) ─▶ green, or what failed
//!                               └───▶ init  (the same broken file under Debian's own init script)
//!                               └───▶ page  (docs/library.md says what was shown; `scripts/library` writes it)
//! ```
//!
//! `cargo test --test library nginx` tells one story. They need what `scripts/test` builds and installs, and say what is
//! missing.

#![allow(unreachable_pub, reason = "a test has no outside: `pub` says what its modules offer each other")]

#[path = "../it/harness/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness is the integration tests', and the library needs a part of it"
)]
mod harness;

mod applications;
mod case;
mod databases;
mod directories;
mod init;
mod login;
mod mail;
mod messages;
mod monitoring;
mod names;
mod networks;
mod page;
mod poolers;
mod proxies;
mod resolvers;
mod runtimes;
mod stores;
mod story;
mod tunnels;
mod watchers;
mod web;

use case::Case;

/// The test of each case has the name of its unit, and a unit without one fails
/// `every_unit_has_a_case_or_says_why_it_is_not_tested`.
macro_rules! cases {
    ($($name:ident => $case:path,)*) => {
        static CASES: &[&Case] = &[$(&$case),*];

        mod conforms {
            use super::*;
            $(#[test] fn $name() { story::tell(&$case); })*
        }
    };
}

/// The services whose init scripts are run with a broken file.
macro_rules! init_scripts {
    ($($name:ident => $case:path,)*) => {
        mod under_its_init_script {
            use super::*;
            $(#[test] fn $name() { init::compare(&$case); })*
        }
    };
}

init_scripts! {
    apache2 => web::APACHE2,
    bird => networks::BIRD,
    chrony => networks::CHRONY,
    cron => watchers::CRON,
    dnsmasq => resolvers::DNSMASQ,
    fail2ban => watchers::FAIL2BAN,
    freeradius => directories::FREERADIUS,
    haproxy => web::HAPROXY,
    knot => resolvers::KNOT,
    lighttpd => web::LIGHTTPD,
    mariadb => databases::MARIADB,
    monit => watchers::MONIT,
    mosquitto => messages::MOSQUITTO,
    named => names::NAMED,
    nginx => web::NGINX,
    openssh_server => login::OPENSSH,
    openvpn => tunnels::OPENVPN,
    pgbouncer => poolers::PGBOUNCER,
    php_fpm => web::PHP_FPM,
    postfix => mail::POSTFIX,
    postgresql => databases::POSTGRESQL,
    prometheus => monitoring::PROMETHEUS,
    redis => stores::REDIS,
    slapd => directories::SLAPD,
    squid => proxies::SQUID,
    tor => tunnels::TOR,
    unbound => names::UNBOUND,
    valkey => stores::VALKEY,
    varnish => proxies::VARNISH,
}

cases! {
    apache2 => web::APACHE2,
    app => applications::APP_AT,
    bird => networks::BIRD,
    caddy => web::CADDY,
    chrony => networks::CHRONY,
    containerd => runtimes::CONTAINERD,
    cron => watchers::CRON,
    dnsmasq => resolvers::DNSMASQ,
    dockerd => runtimes::DOCKERD,
    dovecot => mail::DOVECOT,
    epmd => messages::EPMD,
    etcd => stores::ETCD,
    exim4 => mail::EXIM,
    fail2ban => watchers::FAIL2BAN,
    freeradius => directories::FREERADIUS,
    gunicorn => applications::GUNICORN,
    haproxy => web::HAPROXY,
    java => applications::JAVA,
    keepalived => networks::KEEPALIVED,
    knot => resolvers::KNOT,
    lighttpd => web::LIGHTTPD,
    mariadb => databases::MARIADB,
    mariadb_at => databases::MARIADB_AT,
    memcached => stores::MEMCACHED,
    monit => watchers::MONIT,
    mosquitto => messages::MOSQUITTO,
    named => names::NAMED,
    nats_server => messages::NATS,
    nginx => web::NGINX,
    node => applications::NODE,
    nsd => resolvers::NSD,
    openssh_server => login::OPENSSH,
    openvpn => tunnels::OPENVPN,
    pgbouncer => poolers::PGBOUNCER,
    php_fpm => web::PHP_FPM,
    postfix => mail::POSTFIX,
    postgresql => databases::POSTGRESQL,
    prometheus => monitoring::PROMETHEUS,
    prometheus_alertmanager => monitoring::ALERTMANAGER,
    prometheus_node_exporter => monitoring::NODE_EXPORTER,
    puma => applications::PUMA,
    rabbitmq => messages::RABBITMQ,
    redis => stores::REDIS,
    rsyslog => watchers::RSYSLOG,
    slapd => directories::SLAPD,
    squid => proxies::SQUID,
    syslog_ng => watchers::SYSLOG_NG,
    tomcat => applications::TOMCAT,
    tor => tunnels::TOR,
    unbound => names::UNBOUND,
    uvicorn => applications::UVICORN,
    valkey => stores::VALKEY,
    varnish => proxies::VARNISH,
}
