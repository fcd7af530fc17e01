//! Mail servers, known by their greetings.

use crate::case::{Case, Data, Reload};

pub const POSTFIX: Case = Case {
    file: "postfix",
    unit: "postfix",
    needs: &[("postfix", "postfix")],
    setup: &["rm -f /etc/aliases.db"],
    files: &[("/etc/aliases", "postmaster: root\n")],
    config: Some((
        "/etc/postfix/main.cf",
        "compatibility_level = 3.6\nmyhostname = word.test\nmydestination = word.test\ninet_interfaces = loopback-only\n\
         inet_protocols = ipv4\nmaillog_file = /dev/stdout\nsmtpd_banner = @WORD@\nalias_maps = hash:/etc/aliases\n\
         default_transport = hold:\ndefer_transports = local\n",
    )),
    ask: "exec 3<>/dev/tcp/127.0.0.1/25; printf 'QUIT\\r\\n' >&3; cat <&3",
    reload: Reload::TakesWord,
    broken: &[("message_size_limit = many\n", "the configuration test exited with code 1")],
    data: Some(Data {
        write: "printf 'Subject: kept\\n\\nword\\n' | sendmail root",
        read: "postqueue -p",
        holds: "root@word.test",
    }),
    ..Case::NONE
};

pub const DOVECOT: Case = Case {
    file: "dovecot",
    unit: "dovecot",
    needs: &[("dovecot", "dovecot-imapd")],
    config: Some((
        "/etc/dovecot/dovecot.conf",
        "protocols = imap\nssl = no\nlisten = 127.0.0.1\nlog_path = /dev/stderr\nlogin_greeting = @WORD@\n\
         passdb {\n driver = static\n args = nopassword=y\n}\n\
          userdb {\n driver = static\n args = uid=nobody gid=nogroup home=/tmp\n}\n",
    )),
    ask: "exec 3<>/dev/tcp/127.0.0.1/143; printf 'a LOGOUT\\r\\n' >&3; cat <&3",
    reload: Reload::TakesWord,
    broken: &[
        ("no_such = 1\n", "line 1: Unknown setting: no_such"),
        ("default_vsz_limit = abc\n", "Invalid size: abc"),
    ],
    ..Case::NONE
};
