//! Databases, each from an empty data directory.

use crate::case::{Case, Data, Reload, Twin};
use crate::harness::within;
use crate::story::{PATIENCE, asked, plan};

pub const MARIADB: Case = Case {
    file: "mariadb",
    unit: "mariadb",
    needs: &[("mariadbd", "mariadb-server"), ("mariadb", "mariadb-client")],
    setup: &["mount -t tmpfs -o mode=0755 data /var/lib/mysql"],
    // It calls its temporary tables after its pid, which in another machine another one has: they may not share /tmp.
    files: &[("/etc/mysql/mariadb.conf.d/60-apart.cnf", "[mysqld]\ntmpdir = /tmp/sexton-library\n")],
    config: Some(("/etc/mysql/mariadb.conf.d/99-word.cnf", "[mariadbd]\nreport_host = @WORD@\n")),
    ask: "mariadb -BNe 'SELECT @@report_host'",
    broken: &[
        // Here its exit status is 0; only its words tell.
        ("[mariadbd]\ninnodb_buffer_pool_size = abc\n", "Unknown suffix 'a' used for variable"),
        ("[mariadbd]\nno_such_variable = 1\n", "unknown variable 'no_such_variable=1'"),
    ],
    user: "mysql",
    data: Some(Data {
        write: "mariadb -e 'CREATE DATABASE shop; CREATE TABLE shop.t SELECT \"kept\" AS word'",
        read: "mariadb -BNe 'SELECT word FROM shop.t'",
        holds: "kept",
    }),
    init: "mariadb",
    init_setup: &["mariadb-install-db --user=mysql --auth-root-authentication-method=socket"],
    ..Case::NONE
};

pub const POSTGRESQL: Case = Case {
    file: "postgresql@",
    unit: "postgresql@15-main",
    needs: &[("psql", "postgresql")],
    setup: &[
        "mount -t tmpfs -o mode=0755 data /var/lib/postgresql; chown postgres: /var/lib/postgresql",
        "cp -a /etc/postgresql/15/main /etc/postgresql/15/second",
        "sed -i 's,15/main,15/second,; s,15-main,15-second,; s,^port = .*,port = 5433,' \
         /etc/postgresql/15/second/postgresql.conf",
    ],
    drop_ins: &[(
        "postgresql@.d/two.toml",
        "[instances]\nnames = [\"15-main\", \"15-second\"]\n\
         [instances.set.15-second]\ncluster = \"second\"\nport = \"5433\"\n",
    )],
    config: Some(("/etc/postgresql/15/main/conf.d/word.conf", "log_line_prefix = '@WORD@ '\n")),
    ask: "runuser -u postgres -- psql -XAtc 'SHOW log_line_prefix'",
    reload: Reload::TakesWord,
    broken: &[("max_connections = many\n", "invalid value for parameter \"max_connections\": \"many\"")],
    user: "postgres",
    data: Some(Data {
        write: "runuser -u postgres -- psql -Xc \"CREATE TABLE t AS SELECT 'kept' AS word\"",
        read: "runuser -u postgres -- psql -XAtc 'SELECT word FROM t'",
        holds: "kept",
    }),
    twin: Some(Twin {
        unit: "postgresql@15-second",
        ask: "runuser -u postgres -- psql -p 5433 -XAtc 'SHOW port'",
        answer: "5433",
    }),
    init: "postgresql",
    init_setup: &[
        "rm -r /etc/postgresql/15/second && install -d -o postgres /var/lib/postgresql/15 && runuser -u postgres -- /usr/lib/postgresql/15/bin/initdb -D /var/lib/postgresql/15/main",
    ],
    ..Case::NONE
};

pub const MARIADB_AT: Case = Case {
    file: "mariadb@",
    unit: "mariadb@shop",
    needs: &[("mariadbd", "mariadb-server"), ("mariadb", "mariadb-client")],
    drop_ins: &[(
        "mariadb@.d/two.toml",
        "[instances]\nnames = [\"shop\", \"blog\"]\n[instances.set.blog]\nport = \"3307\"\n",
    )],
    config: Some(("/etc/mysql/mariadb.conf.d/99-word.cnf", "[mariadbd.shop]\nreport_host = @WORD@\n")),
    ask: "mariadb --socket=/run/mysqld-shop/mysqld.sock -BNe 'SELECT @@report_host'",
    broken: &[("[mariadbd.shop]\nno_such_variable = 1\n", "unknown variable 'no_such_variable=1'")],
    user: "mysql",
    data: Some(Data {
        write: "mariadb --socket=/run/mysqld-shop/mysqld.sock -e 'CREATE DATABASE kept'",
        read: "mariadb --socket=/run/mysqld-shop/mysqld.sock -BNe 'SHOW DATABASES'",
        holds: "kept",
    }),
    twin: Some(Twin {
        unit: "mariadb@blog",
        ask: "mariadb --socket=/run/mysqld-blog/mysqld.sock -BNe 'SELECT @@port'",
        answer: "3307",
    }),
    ..Case::NONE
};

/// What makes it takes what is half made for done, and says so with 0.
#[test]
fn a_database_whose_making_failed_half_way_is_not_started_until_it_is_taken_away() {
    // It makes the database mysql first and sys last, which cannot be made here.
    let machine = plan(&MARIADB)
        .setup("touch /var/lib/mysql/sys && chown -R mysql /var/lib/mysql")
        .unit("mariadb", &MARIADB.text())
        .boot();
    within(PATIENCE, "mariadb is not made", || {
        machine.console().contains("prepare command 1 has left '/var/lib/mysql/mysql'").then_some(())
    });
    let refused = machine.sexton(&["start", "mariadb"]).expect(1).all();
    assert!(refused.contains("'/var/lib/mysql/mysql' is only half made"), "{refused}");
    let why = machine.sexton(&["why", "mariadb"]).all();
    assert!(why.contains("if it is whole, remove '/var/lib/sexton/unfinished/var-lib-mysql-mysql'"), "{why}");
    asked(&machine, "rm -r /var/lib/mysql/*").expect(0);
    machine.sexton(&["start", "mariadb"]).expect(0);
    let said = asked(&machine, "mariadb -BNe 'SELECT sys.version_major()'; ls /var/lib/sexton/unfinished")
        .expect(0)
        .all();
    assert_eq!(said.trim(), "10", "{}", machine.console());
}
