//! What PID 1 tells the logger, carried out.

use std::io;
use std::os::fd::OwnedFd;

use super::{Feed, Logger, OWN_NAME, OWN_SLOT, Outlet, PIPES, Shelf, Source, Wish};
use crate::logger::Slot;
use crate::logger::memory::{Left, Mark};
use crate::logger::protocol::{Answer, Attachment, Beginning, MAX_MESSAGE, Order, Stream};
use crate::logger::route::{Goal, Route};
use crate::sys::clock;
use crate::sys::handover;
use crate::sys::poll::{Interest, Readiness, Token};

impl Logger<'_> {
    /// Takes what PID 1 says, message by message.
    pub(super) fn obey(&mut self, readiness: &Readiness) -> Wish {
        self.send_answers();
        if !readiness.readable {
            return Wish::GoOn;
        }
        let mut message = vec![0; MAX_MESSAGE];
        loop {
            match handover::receive_with_fds(self.control, &mut message) {
                Ok((0, fds)) if fds.is_empty() => return Wish::Finish,
                Ok((len, fds)) => match Order::decode(message.get(..len).unwrap_or_default()) {
                    Some(Order::Finish) => return Wish::Finish,
                    Some(Order::Retire) => return Wish::Retire,
                    order => self.carry_out(order, fds),
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Wish::GoOn,
                Err(_) => return Wish::Finish,
            }
        }
    }

    fn carry_out(&mut self, order: Option<Order<'_>>, fds: Vec<OwnedFd>) {
        match order {
            Some(Order::Begin(beginning)) => self.begin(&beginning),
            Some(Order::Attach(entries)) => {
                entries.iter().zip(fds).for_each(|(entry, fd)| self.attach(entry, fd));
            }
            Some(Order::Runs(slot, pid)) => {
                let own = self.sources.iter_mut().flatten().filter(|source| source.slot() == slot);
                own.for_each(|source| source.pid = Some(pid));
            }
            Some(Order::Unwatch(slot)) => {
                let own = self.sources.iter_mut().flatten().filter(|source| source.slot() == slot);
                own.for_each(|source| source.pattern = None);
            }
            Some(Order::Ended(mut slots)) => {
                slots.sort_unstable();
                self.drain_ready();
                self.each_of(&slots, Logger::end_line_of_unit);
            }
            Some(Order::Flush(slot)) => {
                self.each_of(&[slot], Logger::drain_unit);
                self.answer(Answer::Flushed(slot));
            }
            Some(Order::FilterEnded(slot)) => self.end_filtered(slot),
            Some(Order::Bypass(slot)) => self.bypass(slot, fds.into_iter().next()),
            Some(Order::Filter(slot)) => self.filter_again(slot),
            Some(Order::Say(text)) => text.lines().for_each(|line| self.say(line)),
            // What cannot be read comes from no sexton; the other two were seen to already.
            Some(Order::Finish | Order::Retire) | None => {}
        }
    }

    fn begin(&mut self, beginning: &Beginning<'_>) {
        self.own_format = beginning.own.format;
        self.desk.console.begin(beginning.width, beginning.own.format);
        self.shelf = Shelf { directory: beginning.directory.into(), group: beginning.group };
        let has_files = matches!(beginning.own.goal, Goal::File { .. });
        self.own = has_files.then(|| Outlet::new(OWN_SLOT, OWN_NAME, beginning.own, &self.shelf));
    }

    /// Takes a pipe over. An earlier pipe of the unit is read on until nobody writes to it any more; that a line of
    /// it says nothing about this run shows in its serial.
    fn attach(&mut self, entry: &Attachment<'_>, fd: OwnedFd) {
        if entry.spot.stream == Stream::Feed {
            self.coming_feed = Feed::new(fd).ok();
            return;
        }
        let outlet = self.outlet_of(entry.spot.slot, entry.name, entry.route);
        let Ok(mut source) = Source::new(entry, fd, outlet) else { return };
        match entry.spot.stream {
            Stream::Unfiltered => source.feed = self.coming_feed.take(),
            Stream::Output | Stream::Error | Stream::Feed => {
                source.is_filtered = self.has_filter(entry.spot.slot)
            }
        }
        self.succeed(entry, &mut source);
        self.n_feeds += usize::from(source.feed.is_some());
        let place = self.holes.last().copied().unwrap_or(self.sources.len());
        let token = Token::new(PIPES, u32::try_from(place).unwrap_or(u32::MAX));
        if self.poller.add(source.fd(), token, Interest::Read).is_err() {
            return;
        }
        if let Some(outlet) = self.outlets.get_mut(outlet) {
            outlet.users += 1;
        }
        match self.sources.get_mut(place) {
            Some(hole) => {
                *hole = Some(source);
                self.holes.pop();
            }
            None => self.sources.push(Some(source)),
        }
        self.tend_feed(place);
    }

    /// Is there a pipe that leads to a filter of this unit?
    fn has_filter(&self, slot: Slot) -> bool {
        self.n_feeds > 0
            && self.sources.iter().flatten().any(|source| source.slot() == slot && source.feed.is_some())
    }

    /// A filter is somebody else than the unit, and goes on within its line. One that is slow leaves some of what the unit
    /// wrote in its pipe: the line ends there, and not where the reader is.
    pub(super) fn end_line_of_unit(&mut self, place: usize) {
        let Some(source) = self.sources.get_mut(place).and_then(Option::as_mut) else { return };
        let is_behind = source.feed.as_ref().is_some_and(|feed| !feed.waiting().is_empty());
        if !source.is_filtered && (!is_behind || source.ends_with_what_is_there()) {
            self.end_line(place);
        }
    }

    /// Finds out where in a line the pipe stands: at the start of one, unless a logger before this one read from it.
    fn succeed(&mut self, entry: &Attachment<'_>, source: &mut Source) {
        let Some(memory) = &mut self.memory else { return };
        memory.make_room(entry.spot.slot);
        let mut is_known = false;
        for older in self.sources.iter_mut().flatten() {
            if older.spot == entry.spot {
                older.is_superseded();
                is_known = true;
            }
        }
        if is_known {
            return memory.mark(entry.spot, Mark::Clean);
        }
        let at = |left: &Left| left.spot == entry.spot;
        let left = self.estate.iter().position(at).map(|index| self.estate.swap_remove(index));
        let mark = memory.mark_of(entry.spot);
        source.follow(mark, left, entry.route.max_line, clock::now());
    }

    /// The place of the outlet of this unit, which is made where there is none.
    fn outlet_of(&mut self, slot: Slot, name: &str, route: Route) -> usize {
        if let Some(place) = self.outlets.iter().position(|outlet| outlet.slot == slot && outlet.name == name)
        {
            if let Some(outlet) = self.outlets.get_mut(place).filter(|outlet| outlet.route != route) {
                outlet.reroute(route, &self.shelf);
            }
            return place;
        }
        let new = Outlet::new(slot, name, route, &self.shelf);
        // What it dropped and did not say is said by nobody then: it was a unit that is gone.
        let unused = self.outlets.iter().position(|outlet| outlet.users == 0 && outlet.say_at().is_none());
        match unused.and_then(|place| Some((place, self.outlets.get_mut(place)?))) {
            Some((place, outlet)) => {
                *outlet = new;
                place
            }
            None => {
                self.outlets.push(new);
                self.outlets.len() - 1
            }
        }
    }
}
