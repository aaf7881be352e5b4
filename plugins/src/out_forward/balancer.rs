//! Which node gets the next chunk: round robin over a shuffled list in which each node stands as often as its weight says.

use logweir_engine::telemetry::PluginLog;
use logweir_engine::{log_debug, log_warn};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the balancer looks at.
pub(super) trait Balanced {
    fn host(&self) -> &str;
    fn port(&self) -> u16;
    fn weight(&self) -> u32;
    fn is_standby(&self) -> bool;
    fn is_available(&self) -> bool;
}

/// The list, and where in it the next chunk's turn is. Holds indices of nodes.
#[derive(Debug)]
pub(super) struct Balancer {
    seed: u64,
    turns: Mutex<Turns>,
}

#[derive(Debug, Default)]
struct Turns {
    list: Vec<usize>,
    next: usize,
}

/// The list holds this many turns for each node at least, so that the turns of a crashed one are spread.
const TURNS_PER_NODE: usize = 6;

/// Weights are divided by a common divisor first; a list is still not longer than this.
const TURNS_MAX: usize = 100_000;

impl Balancer {
    /// Of no nodes. Equal seeds give equal lists; `first` is the turn that comes first.
    pub(super) fn new(seed: u64, first: u32) -> Self {
        Self { seed, turns: Mutex::new(Turns { list: Vec::new(), next: first as usize }) }
    }

    /// The nodes to try for one chunk, each once: from the next turn on, or from the one that `place` says. With equal
    /// seeds and nodes, equal places are equal nodes.
    pub(super) fn order(&self, place: Option<u64>) -> Vec<usize> {
        let mut turns = self.turns();
        if turns.list.is_empty() {
            return Vec::new();
        }
        let length = turns.list.len();
        let start = match place {
            Some(place) => (place % length as u64) as usize,
            None => {
                let start = turns.next % length;
                turns.next = start + 1;
                start
            }
        };
        let mut order = Vec::new();
        for node in turns.list[start..].iter().chain(&turns.list[..start]) {
            if !order.contains(node) {
                order.push(*node);
            }
        }
        order
    }

    /// Makes the list anew after nodes came or went.
    pub(super) fn rebuild<N: Balanced>(&self, nodes: &[N], log: &PluginLog) {
        let of = |standby: bool| {
            let chosen = move |(_, node): &(usize, &N)| node.weight() > 0 && node.is_standby() == standby;
            nodes.iter().enumerate().filter(chosen)
        };
        let mut chosen: Vec<(usize, &N)> = of(false).collect();
        let lost: u32 = chosen.iter().filter(|(_, node)| !node.is_available()).map(|(_, n)| n.weight()).sum();
        log_debug!(log, "rebuilding weight array", lost_weight = lost);
        let mut lost = i64::from(lost);
        for (index, node) in of(true) {
            if lost <= 0 {
                break;
            }
            if node.is_available() {
                log_warn!(
                    log,
                    format!("using standby node {}:{}", node.host(), node.port()),
                    weight = node.weight()
                );
                chosen.push((index, node));
                lost -= i64::from(node.weight());
            }
        }
        let mut turns = self.turns();
        if chosen.is_empty() {
            log_warn!(log, "No nodes are available");
        }
        turns.list = list(&chosen, self.seed);
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list<N: Balanced>(nodes: &[(usize, &N)], seed: u64) -> Vec<usize> {
    let divisor = nodes.iter().fold(0, |divisor, (_, node)| gcd(divisor, node.weight())).max(1);
    let mut list = Vec::new();
    for (index, node) in nodes {
        let turns = ((node.weight() / divisor) as usize).clamp(1, TURNS_MAX / nodes.len().max(1));
        list.extend(std::iter::repeat_n(*index, turns));
    }
    let copies = (nodes.len() * TURNS_PER_NODE).checked_div(list.len()).unwrap_or(1).max(1);
    let mut list = list.repeat(copies);
    shuffle(&mut list, seed);
    list
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Fisher and Yates, with xorshift: nobody guesses for profit whose turn is next.
fn shuffle(list: &mut [usize], seed: u64) {
    let mut state = seed | 1;
    for at in (1..list.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        list.swap(at, (state % (at as u64 + 1)) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Node {
        weight: u32,
        standby: bool,
        available: bool,
    }

    impl Balanced for Node {
        fn host(&self) -> &str {
            "host"
        }
        fn port(&self) -> u16 {
            1
        }
        fn weight(&self) -> u32 {
            self.weight
        }
        fn is_standby(&self) -> bool {
            self.standby
        }
        fn is_available(&self) -> bool {
            self.available
        }
    }

    fn node(weight: u32) -> Node {
        Node { weight, standby: false, available: true }
    }

    /// How often each node comes first in `count` rounds.
    fn firsts(balancer: &Balancer, nodes: usize, count: usize) -> Vec<usize> {
        let mut firsts = vec![0; nodes];
        for _ in 0..count {
            firsts[balancer.order(None)[0]] += 1;
        }
        firsts
    }

    #[test]
    fn turns_follow_the_weights() {
        let balancer = Balancer::new(7, 0);
        balancer.rebuild(&[node(60), node(30), node(10), node(0)], &PluginLog::program());
        assert_eq!(firsts(&balancer, 4, 1000), [600, 300, 100, 0]);
    }

    #[test]
    fn a_place_is_the_same_node_in_every_process() {
        let processes = [Balancer::new(7, 0), Balancer::new(7, 0)];
        for balancer in &processes {
            balancer.rebuild(&[node(60), node(60), node(60)], &PluginLog::program());
        }
        processes[0].order(None);
        let firsts: Vec<usize> = (0..100).map(|place| processes[0].order(Some(place))[0]).collect();
        assert!((0..3).all(|node| firsts.contains(&node)));
        assert_eq!(firsts, (0..100).map(|place| processes[1].order(Some(place))[0]).collect::<Vec<_>>());
    }

    #[test]
    fn every_node_is_tried_once_for_a_chunk() {
        let balancer = Balancer::new(7, 0);
        balancer.rebuild(&[node(60), node(60), node(60)], &PluginLog::program());
        for _ in 0..20 {
            let mut order = balancer.order(None);
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2]);
        }
    }

    #[test]
    fn standby_nodes_replace_the_weight_that_is_lost() {
        let balancer = Balancer::new(7, 0);
        let standby = || Node { standby: true, ..node(60) };
        let mut nodes = [node(60), node(60), standby(), standby()];
        balancer.rebuild(&nodes, &PluginLog::program());
        assert!(firsts(&balancer, 4, 100)[2..].iter().all(|count| *count == 0));
        nodes[0].available = false;
        balancer.rebuild(&nodes, &PluginLog::program());
        let firsts = firsts(&balancer, 4, 90);
        assert!(firsts[2] > 0 && firsts[3] == 0, "one takes the place of one: {firsts:?}");
    }

    #[test]
    fn without_nodes_there_is_no_order() {
        let balancer = Balancer::new(7, 0);
        assert!(balancer.order(None).is_empty());
        balancer.rebuild::<Node>(&[], &PluginLog::program());
        assert!(balancer.order(None).is_empty());
    }

    #[test]
    fn weights_of_any_size_make_a_list_of_bounded_length() {
        let balancer = Balancer::new(7, 0);
        balancer.rebuild(&[node(u32::MAX), node(1)], &PluginLog::program());
        assert!(balancer.turns().list.len() <= TURNS_MAX);
    }
}
