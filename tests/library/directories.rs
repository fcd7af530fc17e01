//! Who may come in: LDAP and RADIUS.

use crate::case::{Case, Data, Reload};

pub const FREERADIUS: Case = Case {
    file: "freeradius",
    unit: "freeradius",
    needs: &[("freeradius", "freeradius"), ("radclient", "freeradius-utils")],
    files: &[
        ("/etc/freeradius/3.0/one", "bob Cleartext-Password := \"secret\"\n\tReply-Message := \"one\"\n"),
        ("/etc/freeradius/3.0/two", "bob Cleartext-Password := \"secret\"\n\tReply-Message := \"two\"\n"),
        ("/etc/freeradius/3.0/three", "bob Cleartext-Password := \"secret\"\n\tReply-Message := \"three\"\n"),
        ("/etc/freeradius/3.0/wrong", "bob Cleartext-Password := \"secret\"\n\tNo-Such := 1\n"),
    ],
    config: Some((
        "/etc/freeradius/3.0/mods-enabled/files",
        "files {\n  usersfile = ${raddbdir}/@WORD@\n}\n",
    )),
    ask: "echo 'User-Name = bob, User-Password = secret' | radclient -x -r 1 -t 10 127.0.0.1 auth testing123",
    reload: Reload::Partly,
    broken: &[
        ("files {\n  usersfile = ${raddbdir}/wrong\n}\n", "Unknown name \"No-Such\""),
        ("files {\n", "EOF reached without closing brace"),
    ],
    user: "freerad",
    init: "freeradius",
    ..Case::NONE
};

pub const SLAPD: Case = Case {
    file: "slapd",
    unit: "slapd",
    needs: &[("slapd", "slapd"), ("ldapsearch", "ldap-utils")],
    config: Some((
        "/etc/ldap/slapd.d/cn=config.ldif",
        "dn: cn=config\nobjectClass: olcGlobal\ncn: config\nolcPidFile: /var/run/slapd/slapd.pid\nolcReferral: ldap://@WORD@.test\n\
         structuralObjectClass: olcGlobal\n",
    )),
    ask: "ldapsearch -Q -LLL -Y EXTERNAL -H ldapi:/// -b cn=config -s base olcReferral",
    broken: &[
        (
            "dn: cn=config\nobjectClass: olcGlobal\ncn: config\nolcIdleTimeout: abc\n",
            "unable to parse \"abc\" as int",
        ),
        ("no ldif\n", "bad configuration directory"),
    ],
    user: "openldap",
    data: Some(Data {
        write: "printf 'dn: olcDatabase={1}mdb,cn=config\\nchangetype: modify\\nreplace: olcRootPW\\nolcRootPW: secret\\n' \
                | ldapmodify -Q -Y EXTERNAL -H ldapi:/// && printf 'dn: ou=kept,dc=nodomain\\nobjectClass: organizationalUnit\\n' \
                | ldapadd -x -D cn=admin,dc=nodomain -w secret",
        read: "ldapsearch -x -LLL -b ou=kept,dc=nodomain ou",
        holds: "ou: kept",
    }),
    init: "slapd",
    ..Case::NONE
};
