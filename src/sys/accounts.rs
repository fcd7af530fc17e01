//! Users and groups, read from `/etc/passwd` and `/etc/group` themselves.
//!
//! A static program has no NSS: `getpwnam` would load shared objects that are not there. Both files may be
//! missing; then numbers still work. Lines that are no entries are passed over, as the C library does.
//!
//! See [passwd(5)](https://man7.org/linux/man-pages/man5/passwd.5.html) and
//! [group(5)](https://man7.org/linux/man-pages/man5/group.5.html).

use std::io;
use std::path::{Path, PathBuf};

use super::files;
use crate::model::Account;

/// Larger than any file that is kept by hand or by a package manager; a directory of a hundred thousand
/// users is NSS's business.
const MAX_FILE: u64 = 1 << 20;

/// The number that stands for "nobody in particular" in the kernel's calls, and so is nobody's.
const NO_ID: u32 = u32::MAX;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name; `None` for a number without an entry.
    pub name: Option<String>,
    /// Number.
    pub uid: u32,
    /// Primary group; for a number without an entry, the same number.
    pub gid: u32,
    /// Home directory, `/` where none is given.
    pub home: String,
    /// Shell, `/bin/sh` where none is given, as passwd(5) has it.
    pub shell: String,
}

/// Where users and groups are looked up.
#[derive(Clone, Debug)]
pub struct Accounts {
    passwd: PathBuf,
    group: PathBuf,
}

impl Default for Accounts {
    /// Those of the machine.
    fn default() -> Accounts {
        Accounts { passwd: "/etc/passwd".into(), group: "/etc/group".into() }
    }
}

impl Accounts {
    /// A user by name or number. `None`: no such user. A number needs no entry.
    #[doc(alias = "getpwnam")]
    pub fn user(&self, account: &Account) -> io::Result<Option<User>> {
        let wanted = |user: &User| match account {
            Account::Name(name) => user.name.as_deref() == Some(name),
            Account::Id(uid) => user.uid == *uid,
        };
        let text = read(&self.passwd)?;
        let found = text.lines().filter_map(parse_user).find(wanted);
        Ok(match account {
            Account::Id(uid) if *uid != NO_ID => Some(found.unwrap_or_else(|| nameless(*uid))),
            _ => found,
        })
    }

    /// The number of a group. `None`: no such group. A number needs no entry.
    #[doc(alias = "getgrnam")]
    pub fn group(&self, account: &Account) -> io::Result<Option<u32>> {
        match account {
            Account::Id(gid) => Ok(Some(*gid).filter(|gid| *gid != NO_ID)),
            Account::Name(name) => {
                let text = read(&self.group)?;
                Ok(text.lines().filter_map(parse_group).find(|group| group.name == name).map(|g| g.gid))
            }
        }
    }

    /// The groups that `/etc/group` says a user is in, and the primary one `gid`.
    #[doc(alias = "initgroups")]
    pub fn supplementary_groups(&self, user: &User, gid: u32) -> io::Result<Vec<u32>> {
        let mut groups = vec![gid];
        if let Some(name) = &user.name {
            let text = read(&self.group)?;
            let member = |group: &Group<'_>| group.members.split(',').any(|member| member.trim() == name);
            groups.extend(text.lines().filter_map(parse_group).filter(member).map(|group| group.gid));
        }
        groups.sort_unstable();
        groups.dedup();
        Ok(groups)
    }
}

fn nameless(uid: u32) -> User {
    User { name: None, uid, gid: uid, home: "/".into(), shell: "/bin/sh".into() }
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

/// `name:password:uid:gid:comment:home:shell`
fn parse_user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| is_name(name))?;
    let (uid, gid) = (parse_id(fields.nth(1)?)?, parse_id(fields.next()?)?);
    let or = |field: Option<&str>, default: &str| match field {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => default.to_owned(),
    };
    let home = or(fields.nth(1), "/");
    Some(User { name: Some(name.to_owned()), uid, gid, home, shell: or(fields.next(), "/bin/sh") })
}

/// `name:password:gid:member,member`
fn parse_group(line: &str) -> Option<Group<'_>> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| is_name(name))?;
    let gid = parse_id(fields.nth(1)?)?;
    Some(Group { name, gid, members: fields.next().unwrap_or_default() })
}

/// Comments, and the `+` and `-` lines of NIS, are no names.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(['#', '+', '-'])
}

fn parse_id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != NO_ID)
}

/// The text of a file; nothing where there is none. What is not UTF-8 can only be in a comment field.
fn read(path: &Path) -> io::Result<String> {
    match files::read_bounded(path, MAX_FILE) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(name: &str) -> Accounts {
        let dir = std::env::temp_dir().join(format!("sexton-accounts-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let accounts = Accounts { passwd: dir.join("passwd"), group: dir.join("group") };
        let passwd = "# users\nroot:x:0:0:root:/root:/bin/bash\n+::::::\nbroken\nweb:x:33:33::/srv:\n\
                      bare:x:7:8\nminus:x:-1:0::/:/bin/sh\nall:x:4294967295:0::/:/bin/sh\n";
        std::fs::write(&accounts.passwd, passwd).unwrap();
        let group = "root:x:0:\nweb:x:33:\nssl:x:110:db,web\nadm:x:4:webmaster\nlog:x:5:web, db\n";
        std::fs::write(&accounts.group, group).unwrap();
        accounts
    }

    fn name(text: &str) -> Account {
        Account::Name(text.to_owned())
    }

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let accounts = accounts("users");
        let web = accounts.user(&name("web")).unwrap().unwrap();
        assert_eq!((web.uid, web.gid, web.home.as_str(), web.shell.as_str()), (33, 33, "/srv", "/bin/sh"));
        assert_eq!(accounts.user(&Account::Id(33)).unwrap().unwrap(), web);
        let bare = accounts.user(&name("bare")).unwrap().unwrap();
        assert_eq!((bare.uid, bare.gid, bare.home.as_str()), (7, 8, "/"));
        for nobody in ["none", "", "+", "broken", "minus", "all", "# users"] {
            assert_eq!(accounts.user(&name(nobody)).unwrap(), None, "{nobody}");
        }
    }

    #[test]
    fn a_number_needs_no_entry_and_no_file() {
        let accounts = Accounts { passwd: "/none/passwd".into(), group: "/none/group".into() };
        let user = accounts.user(&Account::Id(1234)).unwrap().unwrap();
        assert_eq!((user.name.as_deref(), user.gid, user.home.as_str()), (None, 1234, "/"));
        assert_eq!(accounts.group(&Account::Id(9)).unwrap(), Some(9));
        assert_eq!(accounts.supplementary_groups(&user, 9).unwrap(), [9]);
        assert_eq!(accounts.user(&Account::Id(u32::MAX)).unwrap(), None);
        assert_eq!(accounts.group(&Account::Id(u32::MAX)).unwrap(), None);
        assert_eq!(accounts.user(&name("root")).unwrap(), None);
    }

    #[test]
    fn groups_are_found_by_name_and_by_member() {
        let accounts = accounts("groups");
        assert_eq!(accounts.group(&name("ssl")).unwrap(), Some(110));
        assert_eq!(accounts.group(&name("none")).unwrap(), None);
        let web = accounts.user(&name("web")).unwrap().unwrap();
        assert_eq!(accounts.supplementary_groups(&web, 33).unwrap(), [5, 33, 110]);
    }

    #[test]
    fn a_file_that_is_none_is_an_error_and_not_an_empty_list() {
        let accounts = Accounts { passwd: "/etc".into(), group: "/dev/zero".into() };
        assert!(accounts.user(&name("root")).is_err());
        assert!(accounts.group(&name("root")).is_err());
    }
}
