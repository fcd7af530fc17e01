//! Programs of one's own, in what runs them. What belongs to them lies in /var here, which is the machine's own.

use crate::case::{Case, Reload, Twin};

pub const NODE: Case = Case {
    file: "node@",
    unit: "node@words",
    needs: &[("node", "nodejs"), ("curl", "curl")],
    drop_ins: &[(
        "node@.d/two.toml",
        "[instances]\nnames = [\"words\", \"more\"]\ndefaults = { directory = \"/var/www/words\" }\n\
         [instances.set.words]\nport = \"3001\"\n[instances.set.more]\nport = \"3002\"\n",
    )],
    config: Some((
        "/var/www/words/server.js",
        "require('http').createServer((_, answer) => answer.end('@WORD@ at ' + process.env.PORT))\n\
         .listen(process.env.PORT, process.env.HOST);\n",
    )),
    ask: "curl -sS -m 10 http://127.0.0.1:3001/",
    broken: &[("const = 1;\n", "SyntaxError: Unexpected token '='")],
    user: "www-data",
    twin: Some(Twin { unit: "node@more", ask: "curl -sS -m 10 http://127.0.0.1:3002/", answer: "at 3002" }),
    ..Case::NONE
};

/// A WSGI application that says its variable.
const WSGI: &str =
    "import os\ndef app(_, start):\n    start('200 OK', [])\n    return [os.environ['WORD'].encode()]\n";

pub const GUNICORN: Case = Case {
    file: "gunicorn@",
    unit: "gunicorn@words",
    needs: &[("gunicorn", "gunicorn"), ("curl", "curl")],
    files: &[
        ("/var/www/words/words.py", WSGI),
        (
            "/etc/gunicorn/more.conf.py",
            "wsgi_app = 'words:app'\nchdir = '/var/www/words'\nbind = 'unix:/run/gunicorn-more/socket'\n\
             raw_env = ['WORD=more']\n",
        ),
    ],
    config: Some((
        "/etc/gunicorn/words.conf.py",
        "wsgi_app = 'words:app'\nchdir = '/var/www/words'\nbind = '127.0.0.1:8001'\nraw_env = ['WORD=@WORD@']\n",
    )),
    ask: "curl -sS -m 10 http://127.0.0.1:8001/",
    reload: Reload::TakesWord,
    broken: &[
        ("wsgi_app = 'words:app'\nbind = \n", "SyntaxError"),
        ("wsgi_app = 'no_such:app'\nchdir = '/var/www/words'\n", "No module named 'no_such'"),
    ],
    user: "www-data",
    twin: Some(Twin {
        unit: "gunicorn@more",
        ask: "curl -sS -m 10 --unix-socket /run/gunicorn-more/socket http://more/",
        answer: "more",
    }),
    ..Case::NONE
};

pub const UVICORN: Case = Case {
    file: "uvicorn@",
    unit: "uvicorn@words",
    needs: &[("uvicorn", "uvicorn"), ("curl", "curl")],
    drop_ins: &[(
        "uvicorn@.d/two.toml",
        "[instances]\nnames = [\"words\", \"more\"]\ndefaults = { directory = \"/var/www/words\" }\n\
         [instances.set.words]\nport = \"8003\"\n[instances.set.more]\napp = \"more:app\"\nport = \"8004\"\n",
    )],
    files: &[("/var/www/words/more.py", ASGI)],
    config: Some(("/var/www/words/main.py", ASGI)),
    ask: "curl -sS -m 10 http://127.0.0.1:8003/",
    broken: &[
        ("def app(:\n", "SyntaxError"),
        ("application = None\n", "Attribute \"app\" not found in module \"main\""),
    ],
    user: "www-data",
    twin: Some(Twin { unit: "uvicorn@more", ask: "curl -sS -m 10 http://127.0.0.1:8004/", answer: "@WORD@" }),
    ..Case::NONE
};

/// An ASGI application that says a word.
const ASGI: &str = "async def app(scope, receive, send):
    assert scope['type'] == 'http'
    await send({'type': 'http.response.start', 'status': 200})
    await send({'type': 'http.response.body', 'body': b'@WORD@'})
";

pub const PUMA: Case = Case {
    file: "puma@",
    unit: "puma@words",
    needs: &[("puma", "puma"), ("curl", "curl")],
    files: &[("/etc/puma/more.rb", "bind 'unix:///run/puma-more/socket'\napp { |_| [200, {}, ['more']] }\n")],
    config: Some((
        "/etc/puma/words.rb",
        "directory '/var/www'\nbind 'tcp://127.0.0.1:8005'\napp { |_| [200, {}, ['@WORD@']] }\n",
    )),
    ask: "curl -sS -m 10 http://127.0.0.1:8005/",
    reload: Reload::TakesWord,
    broken: &[
        ("bind 'tcp://127.0.0.1:8005'\nno_such 1\n", "no_such"),
        ("bind 'tcp://127.0.0.1:8005'\nrackup 'no-such.ru'\n", "Missing rackup file 'no-such.ru'"),
    ],
    user: "www-data",
    twin: Some(Twin {
        unit: "puma@more",
        ask: "curl -sS -m 10 --unix-socket /run/puma-more/socket http://more/",
        answer: "more",
    }),
    ..Case::NONE
};

/// What `app@` asks of a program: it shares its port, says when it serves, and ends at TERM.
const APP: &str = "#!/usr/bin/python3
import os, socket, sys
word, port = os.environ['WORD'], int(os.environ['PORT'])
if word == 'broken':
    sys.exit('this release does not start')
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
listener.bind(('127.0.0.1', port))
listener.listen(64)
address = os.environ['NOTIFY_SOCKET']
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.sendto(b'READY=1', '\\0' + address[1:] if address[0] == '@' else address)
while True:
    client, _ = listener.accept()
    client.sendall(f'{word} of {os.environ[\"INSTANCE\"]}'.encode())
    client.close()
";

pub const APP_AT: Case = Case {
    file: "app@",
    unit: "app@1",
    needs: &[("python3", "python3")],
    setup: &["chmod 0755 /var/www/app"],
    files: &[("/var/www/app", APP)],
    // They could share one port; here it is to be seen who answers.
    drop_ins: &[(
        "app@.d/words.toml",
        "[instances]\ndefaults = { program = \"/var/www/app\" }\n[instances.set.2]\nport = \"8081\"\n",
    )],
    config: Some(("/etc/default/app", "WORD=@WORD@\n")),
    ask: "exec 3<>/dev/tcp/127.0.0.1/8080; cat <&3",
    broken: &[("WORD=broken\n", "exit")],
    user: "www-data",
    twin: Some(Twin { unit: "app@2", ask: "exec 3<>/dev/tcp/127.0.0.1/8081; cat <&3", answer: "of 2" }),
    ..Case::NONE
};

/// Lines of `setup`: Tomcat, which was only unpacked, and what its package makes at its installation.
const TOMCAT_SETUP: &[&str] = &[
    crate::case::UNPACKED,
    "echo 'tomcat:x:8005:8005::/var/lib/tomcat10:/usr/sbin/nologin' >> /etc/passwd; echo 'tomcat:x:8005:' >> /etc/group",
    concat!("cp -a ", env!("CARGO_MANIFEST_DIR"), "/target/unpacked/var/lib/tomcat10 /var/lib"),
    "cp -rn /usr/share/tomcat10/etc/. /etc/tomcat10/",
];

/// The page that it has for what is not there needs no application; its server's name is the word of the day.
const SERVER: &str = "<Server port=\"-1\"><Service name=\"Catalina\">
  <Connector address=\"127.0.0.1\" port=\"8080\" server=\"@WORD@\"/>
  <Engine name=\"Catalina\" defaultHost=\"localhost\"><Host name=\"localhost\" appBase=\"webapps\"/></Engine>
</Service></Server>
";

pub const TOMCAT: Case = Case {
    file: "tomcat",
    unit: "tomcat",
    needs: &[("java", "openjdk-17-jre-headless"), ("curl", "curl")],
    setup: TOMCAT_SETUP,
    config: Some(("/etc/tomcat10/server.xml", SERVER)),
    ask: "curl -sSi -m 30 http://127.0.0.1:8080/",
    broken: &[
        ("<Server port=\"-1\"><Serv\n", "SAXParseException"),
        (
            "<Server port=\"-1\"><Service name=\"c\"><Connector port=\"many\"/></Service></Server>\n",
            "[port] to [many]",
        ),
        ("<Server port=\"-1\"><NoSuch/></Server>\n", "No rules found matching [Server/NoSuch]"),
    ],
    user: "tomcat",
    ..Case::NONE
};

/// A jar that listens: Tomcat's own, without an application.
pub const JAVA: Case = Case {
    file: "java@",
    unit: "java@words",
    needs: &[("java", "openjdk-17-jre-headless"), ("curl", "curl")],
    setup: TOMCAT_SETUP,
    drop_ins: &[(
        "java@.d/two.toml",
        "[instances]\nnames = [\"words\", \"more\"]\n\
         defaults = { directory = \"/usr/share/tomcat10/bin\", jar = \"bootstrap.jar\" }\n\
         [instances.set.more]\nport = \"8081\"\n",
    )],
    files: &[
        (
            "/etc/default/java-words",
            "JDK_JAVA_OPTIONS=\"-Dcatalina.home=/usr/share/tomcat10 \
          -Dcatalina.base=/var/www/words -Xbootclasspath/a:/usr/share/tomcat10/bin/tomcat-juli.jar\"\n",
        ),
        (
            "/etc/default/java-more",
            "JDK_JAVA_OPTIONS=\"-Dcatalina.home=/usr/share/tomcat10 \
          -Dcatalina.base=/var/www/more -Xbootclasspath/a:/usr/share/tomcat10/bin/tomcat-juli.jar\"\n",
        ),
        (
            "/var/www/more/conf/server.xml",
            "<Server port=\"-1\"><Service name=\"Catalina\">\
          <Connector address=\"127.0.0.1\" port=\"8081\" server=\"more\"/><Engine name=\"Catalina\" defaultHost=\"localhost\">\
          <Host name=\"localhost\"/></Engine></Service></Server>\n",
        ),
    ],
    config: Some(("/var/www/words/conf/server.xml", SERVER)),
    ask: "curl -sSi -m 30 http://127.0.0.1:8080/",
    user: "www-data",
    twin: Some(Twin {
        unit: "java@more",
        ask: "curl -sSi -m 30 http://127.0.0.1:8081/",
        answer: "Server: more",
    }),
    ..Case::NONE
};
