//! Who may do what over the control socket.
//!
//! | peer | may |
//! | --- | --- |
//! | root, and sexton's own user | everything, and finds a place when all others are taken |
//! | a member of the configured group | everything |
//! | anybody else | read, where that was opened; else nothing but ask what this is |
//!
//! The kernel vouches for the peer (`SO_PEERCRED`); it is asked once, when the connection is accepted.

use crate::model::Pid;

/// What the configuration says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// A group whose members may change things.
    pub group: Option<u32>,
    /// Everybody who can reach the socket may read.
    pub readable_by_all: bool,
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The process that connected; `None` when it lives outside our pid namespace.
    pub pid: Option<Pid>,
    /// Its user.
    pub uid: u32,
    /// It belongs to the configured group.
    pub in_group: bool,
}

/// How much a peer may do; each level holds those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Ask what this is: `org.varlink.service`.
    Introduce,
    /// See units and events.
    Read,
    /// Start, stop, signal, shut down.
    Change,
    /// The same, and places are kept for it.
    Own,
}

impl Policy {
    /// What `peer` may do; `own_uid` is whose sexton this is.
    pub fn access(&self, peer: &Peer, own_uid: u32) -> Access {
        if peer.uid == 0 || peer.uid == own_uid {
            Access::Own
        } else if self.group.is_some() && peer.in_group {
            Access::Change
        } else if self.readable_by_all {
            Access::Read
        } else {
            Access::Introduce
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_sextons_own_user_and_the_group_may_change_things_and_others_read_only_where_it_is_open() {
        let closed = Policy { group: Some(50), readable_by_all: false };
        let open = Policy { readable_by_all: true, ..closed };
        let peer = |uid, in_group| Peer { pid: None, uid, in_group };
        assert_eq!(closed.access(&peer(0, false), 1000), Access::Own);
        assert_eq!(closed.access(&peer(1000, false), 1000), Access::Own);
        assert_eq!(closed.access(&peer(1001, true), 1000), Access::Change);
        assert_eq!(closed.access(&peer(1001, false), 1000), Access::Introduce);
        assert_eq!(open.access(&peer(1001, false), 1000), Access::Read);
        assert_eq!(Policy::default().access(&peer(1001, true), 0), Access::Introduce);
        assert!(
            Access::Introduce < Access::Read && Access::Read < Access::Change && Access::Change < Access::Own
        );
    }
}
