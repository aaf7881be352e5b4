//! Connections without end.

use super::*;

const SOURCE: &str = "@type forward\n  bind 127.0.0.1";

#[test]
fn one_peer_may_be_limited_and_another_is_served() {
    let mut target = Target::start(&format!("{SOURCE}\n  connection_limit 60\n  peer_connection_limit 40"));
    let flood: Vec<Peer> = (0..200).map(|_| Peer::connect_from([127, 0, 0, 2].into(), target.port)).collect();
    target.serve_honest_peer();
    let monitor = target.monitor;
    target
        .logweir
        .wait("160 refusals", |_| books(monitor)["connections_closed"]["in"]["connection_limit"] == 160);
    target.complains(&["connection refused"], 1);
    target.serve_honest_peer();
    drop(flood);
    target.finish(256);
}

#[test]
fn the_limit_of_open_files_is_never_reached() {
    let mut target = Target::start_with(SOURCE, Some(256));
    assert_eq!(target.lines("connection_limit is lowered"), 2, "for the input and the monitor");
    let flood: Vec<Peer> = (0..400).map(|_| Peer::connect_from([127, 0, 0, 2].into(), target.port)).collect();
    for _ in 0..3 {
        target.serve_honest_peer();
    }
    assert_eq!(target.lines("cannot accept"), 0, "{}", target.logweir.log());
    let monitor = target.monitor;
    target.logweir.wait("both counters", |_| {
        let closed = &books(monitor)["connections_closed"]["in"];
        closed["connection_limit"].as_u64() > Some(0) && closed["evicted"].as_u64() > Some(0)
    });
    drop(flood);
    target.finish(256);
}

#[test]
fn peers_that_come_and_go_leave_nothing_behind() {
    let mut target = Target::start(SOURCE);
    let descriptors = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    target.serve_honest_peer();
    let before = descriptors(target.logweir.pid());
    for round in 0..2000 {
        let mut peer = Peer::connect(target.port);
        if round % 2 == 0 {
            peer.try_send(b"\x93\xa1t");
        }
    }
    target.serve_honest_peer();
    target.logweir.wait("their sockets to go", |logweir| descriptors(logweir.pid()) <= before + 8);
    target.finish(256);
}
