//! What pools connections to a database.

use crate::case::{Case, Reload};

pub const PGBOUNCER: Case = Case {
    file: "pgbouncer",
    unit: "pgbouncer",
    needs: &[("pgbouncer", "pgbouncer"), ("psql", "postgresql")],
    config: Some((
        "/etc/pgbouncer/pgbouncer.ini",
        "[databases]\n[pgbouncer]\npidfile = /run/postgresql/pgbouncer.pid\nlisten_addr = 127.0.0.1\n\
         unix_socket_dir = /run/postgresql\nstats_users = @WORD@\n",
    )),
    ask: "runuser -u postgres -- psql -X -p 6432 -U pgbouncer -c 'SHOW CONFIG' pgbouncer",
    reload: Reload::TakesWord,
    broken: &[
        ("[pgbouncer]\nno_such = 1\n", "unknown parameter: pgbouncer/no_such"),
        ("[pgbouncer]\nlisten_port = abc\n", "invalid value \"abc\" for parameter listen_port"),
    ],
    user: "postgres",
    init: "pgbouncer",
    ..Case::NONE
};
