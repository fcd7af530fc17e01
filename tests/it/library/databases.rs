//! Databases: MariaDB and PostgreSQL, from an empty data directory, and the pool of connections to the latter; and the one
//! MySQL that can be had, 5.6, with the data directory that is packed with it.

use super::{Broken, Daemon, PATIENCE, Reload, put};
use crate::harness::{Finished, Machine, until, within};

pub(super) const MARIADB: Daemon = Daemon {
    file: "mariadb",
    unit: "mariadb",
    needs: &[("mariadbd", "mariadb-server"), ("mariadb", "mariadb-client")],
    config: ("/etc/mysql/mariadb.conf.d/99-word.cnf", "[mariadbd]\nreport_host = @WORD@\n"),
    files: &[],
    setup: &["mount -t tmpfs -o mode=0755 data /var/lib/mysql"],
    ask: |machine| sql(machine, "SELECT @@report_host"),
    reload: Reload::HasNone,
    broken: &[
        // Here its exit status is 0; only its words tell.
        Broken {
            text: "[mariadbd]\ninnodb_buffer_pool_size = abc\n",
            says: "Unknown suffix 'a' used for variable 'innodb-buffer-pool-size'",
            ended: "printed what matches '\\[ERROR\\]'",
        },
        Broken {
            text: "[mariadbd]\nno_such_variable = 1\n",
            says: "unknown variable 'no_such_variable=1'",
            ended: "code 7",
        },
    ],
};

/// The unit is of 8.0. What 5.6 lacks is said in a drop-in: `--validate-config`, `--initialize-insecure`, and a word when it
/// is ready. Its `--help --verbose` reads every option and does no more, and ends with 7 when one is wrong.
pub(super) const MYSQL: Daemon = Daemon {
    file: "mysql",
    unit: "mysql",
    needs: &[("mariadb", "mariadb-client"), ("mysql", "mariadb-client")],
    config: ("/etc/mysql/mysql.conf.d/99-word.cnf", "[mysqld]\nreport_host = @WORD@\n"),
    files: &[
        ("/etc/mysql/5.6.toml", MYSQL_5_6),
        (
            "/etc/mysql/5.6.cnf",
            "[mysqld]\nbasedir = /opt/mysql\nlc_messages_dir = /opt/mysql/share\ndatadir = /var/lib/mysql\n\
         socket = /run/mysqld/mysqld.sock\nskip-networking\n!includedir /etc/mysql/mysql.conf.d/\n",
        ),
    ],
    setup: &[
        concat!("mysql='", env!("CARGO_MANIFEST_DIR"), "/target/mysql'"),
        "[ -x \"$mysql/mysqld\" ] || { echo 'MySQL 5.6 is not there; get it with: scripts/test packages'; exit 1; }",
        "mount -t tmpfs -o mode=0755 opt /opt; mkdir /opt/mysql; mount --bind \"$mysql\" /opt/mysql",
        "mount -t tmpfs -o mode=0755 data /var/lib/mysql",
        "cp -r /opt/mysql/data/mysql/. /var/lib/mysql; chown -R mysql: /var/lib/mysql",
        "mkdir -p @DIR@/units/mysql.d; cp @DIR@/root/etc/mysql/5.6.toml @DIR@/units/mysql.d/",
    ],
    ask: |machine| sql(machine, "SELECT @@report_host"),
    reload: Reload::HasNone,
    broken: &[
        Broken {
            text: "[mysqld]\ninnodb_buffer_pool_size = abc\n",
            says: "Error while setting value 'abc' to 'innodb-buffer-pool-size'",
            ended: "code 7",
        },
        Broken {
            text: "[mysqld]\nno_such_variable = 1\n",
            says: "unknown variable 'no_such_variable=1'",
            ended: "code 7",
        },
    ],
};

/// What makes the unit one of 5.6.
const MYSQL_5_6: &str = r#"prepare = [{ exec = ["/usr/bin/install", "-d", "-o", "mysql", "-g", "mysql", "/run/mysqld"], as = "root" }]
[service]
exec = ["/opt/mysql/mysqld", "--defaults-file=/etc/mysql/5.6.cnf"]
[configtest]
exec = ["/opt/mysql/mysqld", "--defaults-file=/etc/mysql/5.6.cnf", "--help", "--verbose"]
fail-output = '\[ERROR\]'
[ready]
notify = false
unix = "/run/mysqld/mysqld.sock"
"#;

pub(super) fn sql(machine: &Machine, statement: &str) -> Finished {
    machine.run(&["mariadb", "--batch", "--skip-column-names", "-e", statement])
}

const POSTGRESQL: Daemon = Daemon {
    file: "postgresql@",
    unit: "postgresql@15-main",
    needs: &[("psql", "postgresql")],
    config: ("/etc/postgresql/15/main/conf.d/word.conf", "log_line_prefix = '@WORD@ '\n"),
    files: &[],
    setup: &["mount -t tmpfs -o mode=0755 data /var/lib/postgresql; chown postgres: /var/lib/postgresql"],
    ask: |machine| psql(machine, "SHOW log_line_prefix"),
    reload: Reload::Has,
    broken: &[Broken {
        text: "max_connections = many\n",
        says: "invalid value for parameter \"max_connections\": \"many\"",
        ended: "code 1",
    }],
};

fn psql(machine: &Machine, statement: &str) -> Finished {
    machine.run(&["runuser", "-u", "postgres", "--", "psql", "-X", "-A", "-t", "-c", statement])
}

const PGBOUNCER: Daemon = Daemon {
    file: "pgbouncer",
    unit: "pgbouncer",
    needs: &[("pgbouncer", "pgbouncer"), ("psql", "postgresql")],
    config: (
        "/etc/pgbouncer/pgbouncer.ini",
        "[databases]\n[pgbouncer]\npidfile = /run/postgresql/pgbouncer.pid\nlisten_addr = 127.0.0.1\n\
         unix_socket_dir = /run/postgresql\nstats_users = @WORD@\n",
    ),
    files: &[],
    setup: &[],
    ask: |machine| {
        let console = ["psql", "-X", "-p", "6432", "-U", "pgbouncer", "-c", "SHOW CONFIG", "pgbouncer"];
        machine.run(&["runuser", "-u", "postgres", "--"].into_iter().chain(console).collect::<Vec<_>>())
    },
    reload: Reload::Has,
    broken: &[
        Broken {
            text: "[pgbouncer]\nno_such = 1\n",
            says: "unknown parameter: pgbouncer/no_such",
            ended: "printed nothing that matches",
        },
        Broken {
            text: "[pgbouncer]\nlisten_port = abc\n",
            says: "invalid value \"abc\" for parameter listen_port",
            ended: "printed nothing that matches",
        },
    ],
};

#[test]
fn pgbouncer_takes_what_is_good() {
    PGBOUNCER.takes_what_is_good();
}

#[test]
fn pgbouncer_refuses_what_is_broken_and_serves_on() {
    PGBOUNCER.refuses_what_is_broken();
}

/// Nobody tested the file; it says READY=1 all the same.
#[test]
fn pgbouncer_says_itself_that_an_untested_reload_has_failed_and_serves_on() {
    let machine = PGBOUNCER.up();
    let pid = machine.ready_pid("pgbouncer");
    machine.sexton(&["reload", "--skip-configtest", "pgbouncer"]).expect(0);
    put(&machine, PGBOUNCER.config.0, "[pgbouncer]\nno_such = 1\n");
    // One that comes to its signal later than its `settle` has said nothing yet.
    within(PATIENCE, "a reload fails", || {
        let failed = machine.sexton(&["reload", "--skip-configtest", "pgbouncer"]);
        let why = ["unknown parameter: pgbouncer/no_such", "pgbouncer.ini:2"];
        (failed.code == 1 && why.iter().all(|part| failed.all().contains(part))).then_some(())
    });
    assert_eq!(machine.ready_pid("pgbouncer"), pid);
    (PGBOUNCER.ask)(&machine).expect(0);
}

#[test]
fn mariadb_takes_what_is_good() {
    MARIADB.takes_what_is_good();
}

#[test]
fn mariadb_refuses_what_is_broken_and_serves_on() {
    MARIADB.refuses_what_is_broken();
}

#[test]
fn mysql_takes_what_is_good() {
    MYSQL.takes_what_is_good();
}

#[test]
fn mysql_refuses_what_is_broken_and_serves_on() {
    MYSQL.refuses_what_is_broken();
}

#[test]
fn postgresql_takes_what_is_good() {
    POSTGRESQL.takes_what_is_good();
}

#[test]
fn postgresql_refuses_what_is_broken_and_serves_on() {
    POSTGRESQL.refuses_what_is_broken();
}

#[test]
fn mariadb_writes_its_dirty_pages_before_it_stops_and_finds_its_rows_again() {
    let machine = MARIADB.up();
    sql(
        &machine,
        "CREATE DATABASE shop; CREATE TABLE shop.t (word TEXT); INSERT INTO shop.t VALUES ('kept')",
    )
    .expect(0);
    let stopped = machine.sexton(&["stop", "mariadb"]).expect(0).all();
    assert!(stopped.contains("dirty pages"), "{stopped}");
    machine.sexton(&["start", "mariadb"]).expect(0);
    assert_eq!(sql(&machine, "SELECT word FROM shop.t").out, "kept\n");
    // What the hook raised is as it was.
    assert_eq!(sql(&machine, "SELECT @@innodb_io_capacity").out, "200\n");
    assert!(!machine.console().contains("crash recovery"), "{}", machine.console());
}

#[test]
fn postgresql_checkpoints_before_it_stops_and_finds_its_rows_again() {
    let machine = POSTGRESQL.up();
    psql(&machine, "CREATE TABLE t AS SELECT 'kept' AS word").expect(0);
    // TERM would wait for this client for ever.
    let mut idle =
        machine.start("idle", &["runuser", "-u", "postgres", "--", "psql", "-c", "SELECT pg_sleep(600)"]);
    until("the client is there", || {
        let count =
            psql(&machine, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)'").out;
        (count.trim() == "1").then_some(())
    });
    POSTGRESQL.stops(&machine);
    #[allow(clippy::disallowed_methods, reason = "the client is a child of the test")]
    let _ended = idle.wait(); // Its session was closed; how it ends is its own affair.
    POSTGRESQL.returns(&machine, "one");
    assert_eq!(psql(&machine, "SELECT word FROM t").out, "kept\n");
    let console = machine.console();
    assert!(!console.contains("was not properly shut down") && console.contains("checkpoint"), "{console}");
}
