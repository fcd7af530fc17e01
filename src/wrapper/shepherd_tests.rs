//! Claims about what the wrapper does next, with a clock that is told what time it is.

use super::super::voice::{Detail, Voice};
use super::*;

const TERM: Signal = Signal::TERM;
const TSTP: i32 = 20;

fn at(seconds: u64) -> Moment {
    Moment::from_nanos(seconds * 1_000_000_000)
}

fn shepherd(change: impl FnOnce(&mut Settings)) -> Shepherd {
    let mut settings = Settings::new(Voice::Own(Detail::Errors));
    change(&mut settings);
    Shepherd::new(&settings)
}

fn orders(orders: Orders) -> Vec<Order> {
    orders.into_iter().flatten().collect()
}

fn to_child(signal: Signal) -> Vec<Order> {
    vec![Order::Send(Target::Child, signal)]
}

#[test]
fn every_signal_is_passed_on_as_it_is_and_nothing_is_ever_due() {
    let mut shepherd = shepherd(|_| {});
    for signal in (1..=64).filter_map(Signal::from_number) {
        assert_eq!(orders(shepherd.signalled(at(1), signal)), to_child(signal));
        assert_eq!(shepherd.deadline(), None);
    }
    assert_eq!(orders(shepherd.tick(at(9))), []);
}

#[test]
fn a_signal_is_rewritten_or_dropped_and_goes_to_the_group_where_that_was_asked_for() {
    let mut shepherd = shepherd(|settings| {
        settings.target = Target::Group;
        settings.rewrites.set(TERM, Some(Signal::QUIT));
        settings.rewrites.set(Signal::HUP, None);
    });
    assert_eq!(orders(shepherd.signalled(at(1), TERM)), [Order::Send(Target::Group, Signal::QUIT)]);
    assert_eq!(orders(shepherd.signalled(at(1), Signal::HUP)), [Order::Drop(Signal::HUP)]);
}

#[test]
fn the_first_term_waits_for_the_drain_and_no_other_signal_does() {
    let mut shepherd = shepherd(|settings| settings.drain = Duration::from_secs(5));
    assert_eq!(orders(shepherd.signalled(at(1), TERM)), [Order::Hold]);
    assert_eq!(orders(shepherd.signalled(at(2), Signal::HUP)), to_child(Signal::HUP));
    assert_eq!((shepherd.deadline(), orders(shepherd.tick(at(5)))), (Some(at(6)), vec![]));
    assert_eq!(orders(shepherd.tick(at(6))), to_child(TERM));
    assert_eq!((shepherd.deadline(), orders(shepherd.signalled(at(7), TERM))), (None, to_child(TERM)));
}

#[test]
fn a_second_term_or_int_ends_the_drain() {
    let mut first = shepherd(|settings| settings.drain = Duration::from_secs(5));
    first.signalled(at(1), TERM);
    assert_eq!(orders(first.signalled(at(2), TERM)), to_child(TERM));
    assert_eq!(first.deadline(), None);
    let mut second = shepherd(|settings| settings.drain = Duration::from_secs(5));
    second.signalled(at(1), TERM);
    let both = [to_child(TERM), to_child(Signal::INT)].concat();
    assert_eq!(orders(second.signalled(at(2), Signal::INT)), both);
}

#[test]
fn the_status_is_the_childs_unless_it_was_remapped() {
    let mut plain = shepherd(|_| {});
    let killed = ExitStatus::killed(TERM);
    assert_eq!(orders(plain.child_ended(at(1), killed, Left::Somebody)), [Order::Leave(143)]);
    let mut remapped = shepherd(|settings| settings.remaps.set(143, 0));
    assert_eq!(orders(remapped.child_ended(at(1), killed, Left::Nobody)), [Order::Leave(0)]);
}

#[test]
fn whoever_is_left_is_asked_then_killed_and_the_last_to_go_ends_it() {
    let grace = |settings: &mut Settings| settings.grace = Duration::from_secs(5);
    let ended =
        |shepherd: &mut Shepherd, left| orders(shepherd.child_ended(at(1), ExitStatus::exited(3), left));
    let (ask, kill) = (Order::SendAll(TERM), Order::SendAll(Signal::KILL));

    assert_eq!(ended(&mut shepherd(grace), Left::Nobody), [Order::Leave(3)]);

    let mut patient = shepherd(grace);
    assert_eq!(ended(&mut patient, Left::Somebody), [ask]);
    assert_eq!(patient.deadline(), Some(at(6)));
    assert_eq!(orders(patient.reaped(Left::Somebody)), []);
    assert_eq!(orders(patient.reaped(Left::Nobody)), [Order::Leave(3)]);

    let mut strict = shepherd(grace);
    ended(&mut strict, Left::Somebody);
    assert_eq!(orders(strict.tick(at(6))), [kill]);
    assert_eq!(orders(strict.reaped(Left::Somebody)), [kill], "somebody may have begun another");
    assert_eq!(orders(strict.tick(at(7))), [Order::Leave(3)], "who hangs in the kernel is left there");
}

#[test]
fn a_term_while_others_part_means_hurry_and_another_signal_nothing() {
    let mut shepherd = shepherd(|settings| settings.grace = Duration::from_secs(5));
    shepherd.child_ended(at(1), ExitStatus::exited(0), Left::Somebody);
    assert_eq!(orders(shepherd.signalled(at(2), Signal::HUP)), [Order::Drop(Signal::HUP)]);
    assert_eq!(orders(shepherd.signalled(at(2), TERM)), [Order::SendAll(Signal::KILL)]);
    assert_eq!(orders(shepherd.signalled(at(2), TERM)), [Order::Drop(TERM)]);
}

#[test]
fn it_stops_as_its_child_did_and_the_next_cont_wakes_both() {
    let mut shepherd = shepherd(|_| {});
    assert_eq!(orders(shepherd.signalled(at(1), Signal::CONT)), to_child(Signal::CONT));
    assert_eq!(orders(shepherd.child_stopped()), [Order::Suspend]);
    assert_eq!(orders(shepherd.signalled(at(2), Signal::CONT)), [Order::Resume]);
    assert_eq!(orders(shepherd.signalled(at(3), Signal::CONT)), to_child(Signal::CONT));
}

#[test]
fn in_a_session_of_its_own_the_keys_signals_stop_child_and_wrapper_alike() {
    let mut shepherd = shepherd(|settings| {
        settings.stand = Stand::Session;
        settings.target = Target::Group;
        settings.rewrites.set_default(Signal::from_number(TSTP).unwrap(), Signal::STOP);
    });
    let stop = Signal::from_number(TSTP).unwrap();
    let group = |signal| Order::Send(Target::Group, signal);
    assert_eq!(orders(shepherd.signalled(at(1), stop)), [group(Signal::STOP), Order::Suspend]);
    assert_eq!(orders(shepherd.child_stopped()), []);
    assert_eq!(orders(shepherd.signalled(at(2), Signal::CONT)), [group(Signal::CONT)]);
    assert_eq!(shepherd.farewell(), Some(group(TERM)));
}
