//! Private and anonymous networks.

use crate::case::{Case, Reload, Twin};

pub const OPENVPN: Case = Case {
    file: "openvpn@",
    unit: "openvpn@office",
    needs: &[("openvpn", "openvpn"), ("ip", "iproute2")],
    setup: &["openvpn --genkey secret /etc/openvpn/word.key"],
    files: &[(
        "/etc/openvpn/second.conf",
        "dev second\ndev-type tun\nport 1195\nifconfig 10.8.1.1 10.8.1.2\ncipher AES-256-CBC\nsecret word.key\n",
    )],
    config: Some((
        "/etc/openvpn/office.conf",
        "dev @WORD@\ndev-type tun\nport 1194\nifconfig 10.8.0.1 10.8.0.2\ncipher AES-256-CBC\nsecret word.key\n",
    )),
    // It says that it is ready before its device is there: both instances' are waited for.
    ask: "for i in {1..100}; do found=$(ip -br link show type tun); [ $(wc -l <<<\"$found\") = 2 ] && break; sleep 0.1; done; echo \"$found\"",
    reload: Reload::TakesWord,
    broken: &[
        ("dev one\nno-such-option 1\n", "no-such-option"),
        (
            "dev one\ndev-type tun\nifconfig 10.8.0.1 10.8.0.2\nsecret not-there.key\n",
            "--secret fails with 'not-there.key'",
        ),
        ("dev one\ndev-type tun\nserver 10.8.0.0 255.255.255.0\n", "Options error"),
    ],
    twin: Some(Twin { unit: "openvpn@second", ask: "ip -br link", answer: "second" }),
    init: "openvpn",
    ..Case::NONE
};

pub const TOR: Case = Case {
    file: "tor@",
    unit: "tor@word",
    needs: &[("tor", "tor")],
    setup: &[
        "tor-instance-create word >/dev/null && tor-instance-create other >/dev/null",
        "cp -r @DIR@/root/. /",
    ],
    files: &[(
        "/etc/tor/instances/other/torrc",
        "DisableNetwork 1\nSocksPort 0\nControlPort 9052\nCookieAuthentication 0\n",
    )],
    config: Some((
        "/etc/tor/instances/word/torrc",
        "DisableNetwork 1\nSocksPort 0\nControlPort 9051\nCookieAuthentication 0\nNickname @WORD@\n",
    )),
    ask: "exec 3<>/dev/tcp/127.0.0.1/9051; printf 'AUTHENTICATE\\r\\nGETCONF Nickname\\r\\nQUIT\\r\\n' >&3; cat <&3",
    reload: Reload::TakesWord,
    broken: &[("NoSuchOption 1\n", "Unknown option 'NoSuchOption'"), ("SocksPort many\n", "SocksPort")],
    user: "_tor-word",
    twin: Some(Twin {
        unit: "tor@other",
        ask: "exec 3<>/dev/tcp/127.0.0.1/9052; printf 'AUTHENTICATE\\r\\nQUIT\\r\\n' >&3; cat <&3",
        answer: "250 OK",
    }),
    init: "tor",
    init_setup: &["printf '%%include /etc/tor/instances/word/torrc\\n' > /etc/tor/torrc"],
    unseen: "its keys and what it knows of the network",
    ..Case::NONE
};
