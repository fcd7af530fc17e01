//! Logs, tables of commands, and what watches others.

use crate::case::{Case, Reload};

pub const RSYSLOG: Case = Case {
    file: "rsyslog",
    unit: "rsyslog",
    needs: &[("rsyslogd", "rsyslog"), ("logger", "bsdutils")],
    // The machine's own /dev/log and kernel messages are everybody's.
    config: Some((
        "/etc/rsyslog.conf",
        "module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"/run/word.sock\")\n\
         template(name=\"word\" type=\"string\" string=\"@WORD@%msg%\\n\")\n\
         *.* action(type=\"omfile\" file=\"/var/log/word.log\" template=\"word\")\n",
    )),
    // What is logged arrives a moment later.
    ask: "id=id$$; logger -u /run/word.sock $id; timeout 20 tail -s 0.1 -n +1 -F /var/log/word.log 2>&1 | grep -m1 $id",
    reload: Reload::Partly,
    broken: &[("*.* action(type=\"omnosuch\")\n", "module name 'omnosuch' is unknown")],
    unseen: "its queues on the disk",
    ..Case::NONE
};

pub const SYSLOG_NG: Case = Case {
    file: "syslog-ng",
    unit: "syslog-ng",
    needs: &[("dpkg", "dpkg"), ("logger", "bsdutils")],
    // Debian has room for one system log: this one was only unpacked.
    setup: &[crate::case::UNPACKED],
    config: Some((
        "/etc/syslog-ng/syslog-ng.conf",
        "@version: 3.38\nsource s { unix-dgram(\"/run/word.sock\"); };\n\
         destination d { file(\"/var/log/word.log\" template(\"@WORD@ $MSG\\n\")); };\nlog { source(s); destination(d); };\n",
    )),
    ask: "id=id$$; logger -u /run/word.sock $id; timeout 20 tail -s 0.1 -n +1 -F /var/log/word.log 2>&1 | grep -m1 $id",
    reload: Reload::TakesWord,
    broken: &[("@version: 3.38\nno such;\n", "syntax error")],
    unseen: "its queues on the disk",
    ..Case::NONE
};

pub const CRON: Case = Case {
    file: "cron",
    unit: "cron",
    needs: &[("cron", "cron"), ("crontab", "cron")],
    // What is said for a reboot runs at each start, so that nobody waits for a minute to pass.
    drop_ins: &[(
        "cron.d/reboot.toml",
        "[[pre-start]]\nexec = [\"/usr/bin/rm\", \"-f\", \"/run/crond.reboot\", \"/run/word\"]\n",
    )],
    config: Some(("/etc/crontab", "@reboot root echo @WORD@ > /run/word\n")),
    ask: "timeout 20 tail -s 0.1 -n +1 -F /run/word 2>&1 | grep -m1 -E '^(one|two|three)$'",
    broken: &[("99 * * * * root true\n", "bad minute")],
    unbounded: "its commands may do whatever their users may",
    init: "cron",
    ..Case::NONE
};

pub const FAIL2BAN: Case = Case {
    file: "fail2ban",
    unit: "fail2ban",
    needs: &[("fail2ban-server", "fail2ban")],
    files: &[("/etc/fail2ban/jail.d/defaults-debian.conf", ""), ("/var/log/word.log", "")],
    config: Some((
        "/etc/fail2ban/jail.d/word.conf",
        "[@WORD@]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /var/log/word.log\nbanaction = dummy\n",
    )),
    ask: "fail2ban-client status",
    reload: Reload::TakesWord,
    broken: &[
        ("[one]\nenabled = true\nfilter = no-such\n", "Unable to read the filter 'no-such'"),
        (
            "[one]\nenabled = true\nfilter = sshd\nlogpath = /not-there\n",
            "Have not found any log file for one jail",
        ),
    ],
    init: "fail2ban",
    unseen: "its bans",
    ..Case::NONE
};

pub const MONIT: Case = Case {
    file: "monit",
    unit: "monit",
    needs: &[("monit", "monit"), ("curl", "curl")],
    config: Some((
        "/etc/monit/conf.d/word",
        "set httpd port 2812 and use address 127.0.0.1 allow localhost\ncheck file @WORD@ with path /etc/hosts\n",
    )),
    ask: "curl -sS -m 10 'http://127.0.0.1:2812/_status?format=text'",
    reload: Reload::TakesWord,
    broken: &[("set no-such\n", "/etc/monit/conf.d/word:1: syntax error 'no-such'")],
    unbounded: "it starts and stops whatever it watches",
    init: "monit",
    unseen: "what it noted of what it watches",
    ..Case::NONE
};
