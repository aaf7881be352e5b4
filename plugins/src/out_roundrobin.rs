//! `@type roundrobin`: gives each stream to one of several outputs, in turn. A forward chunk that its sender repeats, because its
//! ack was lost, goes to the store that has it, whose turn it is or not: only that one recognises it.

use logweir_engine::config::{Diagnostic, Params};
use logweir_engine::delivery::{Origin, Receipt};
use logweir_engine::event::EventStream;
use logweir_engine::plugin::{
    Build, BuildContext, Descriptor, EmitFuture, Kind, Output, OutputPlugin, Param, ParamKind, SectionSpec,
};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// `@type roundrobin`
pub static PLUGIN: Descriptor = Descriptor {
    sections: &[SectionSpec {
        required: true,
        repeated: true,
        plugin: Some(Kind::Output),
        params: &[Param::new("weight", ParamKind::Integer, "Its share of the streams").default("1")],
        ..SectionSpec::new("store", "An output")
    }],
    ..Descriptor::new(Kind::Output, "roundrobin", "Gives events to outputs in turn", Build::Output(build))
};

/// A turn of more streams than this is a slip of the pen.
const TURN_MAX: i64 = 1_000_000;

struct RoundRobin {
    stores: Vec<Arc<dyn Output>>,
    /// One turn: each store as often as its weight says.
    turn: Vec<Arc<dyn Output>>,
    next: AtomicUsize,
}

fn build(params: &Params, context: &mut BuildContext<'_>) -> Result<OutputPlugin, Diagnostic> {
    let mut stores = Vec::new();
    for store in context.stores(params)? {
        stores.push((store.output, weight(&store.params)?));
    }
    let divisor = stores.iter().fold(0, |divisor, (_, weight)| gcd(divisor, *weight));
    if divisor == 0 {
        return Err(params.error_here("no <store> has a weight greater than 0"));
    }
    if stores.iter().map(|(_, weight)| weight / divisor).sum::<i64>() > TURN_MAX {
        return Err(params.error_here(format!("the weights of all <store>s add up to more than {TURN_MAX}")));
    }
    let mut turn: Vec<Arc<dyn Output>> = Vec::new();
    for (output, weight) in &stores {
        turn.extend((0..weight / divisor).map(|_| Arc::clone(output)));
    }
    if stores.iter().any(|(_, weight)| *weight > 1) {
        shuffle(&mut turn);
    }
    let stores = stores.into_iter().map(|(output, _)| output).collect();
    Ok(OutputPlugin::Direct(Box::new(RoundRobin { stores, turn, next: AtomicUsize::new(0) })))
}

impl Output for RoundRobin {
    fn emit<'a>(&'a self, stream: EventStream, receipt: &'a mut Receipt) -> EmitFuture<'a> {
        if matches!(receipt.origin(), Origin::Forward { .. })
            && let Some(store) = self.stores.iter().find(|store| store.has(receipt))
        {
            return store.emit(stream, receipt);
        }
        let at = self.next.fetch_add(1, Relaxed) % self.turn.len();
        self.turn[at].emit(stream, receipt)
    }

    fn has(&self, receipt: &Receipt) -> bool {
        self.stores.iter().any(|store| store.has(receipt))
    }

    fn hands_on(&self) -> bool {
        true
    }
}

fn weight(section: &Params) -> Result<i64, Diagnostic> {
    match section.int("weight").unwrap_or(1) {
        weight if (0..=TURN_MAX).contains(&weight) => Ok(weight),
        weight => {
            Err(section.error("weight", format!("weight must be an integer from 0 to {TURN_MAX}: {weight}")))
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Spreads the turns of heavy stores, so that they do not get their whole share in a row.
fn shuffle<T>(items: &mut [T]) {
    let random = RandomState::new();
    for last in (1..items.len()).rev() {
        let chosen = random.hash_one(last) % (last as u64 + 1);
        items.swap(last, chosen as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::out_null;
    use logweir_engine::plugin::Driver;

    /// How many of `streams` each store is given.
    async fn spread(weights: &[&str], streams: usize) -> Vec<u64> {
        let mut text = "<match **>\n@type roundrobin\n".to_owned();
        for weight in weights {
            text.push_str(&format!("<store>\n@type null\n{weight}\n</store>\n"));
        }
        let mut driver = Driver::new(&[&PLUGIN, &out_null::PLUGIN]);
        let output = driver.output(&format!("{text}</match>")).unwrap();
        for _ in 0..streams {
            let stream = EventStream::new("t".into(), (&b"\x92\x01\x80"[..]).into(), 1);
            output.emit(stream, &mut Receipt::unwatched()).await.unwrap();
        }
        let count = |index: usize| {
            driver.shared.outputs[index].output.status().unwrap().counters.emit_count.load(Relaxed)
        };
        (0..weights.len()).map(count).collect()
    }

    #[tokio::test]
    async fn each_store_in_turn() {
        assert_eq!(spread(&["", "", ""], 7).await, [3, 2, 2]);
    }

    #[tokio::test]
    async fn a_forward_chunk_that_comes_again_goes_to_the_store_that_has_it() {
        let store = "<store>\n@type stdout\n<buffer>\n@type memory\nflush_mode lazy\n</buffer>\n</store>\n";
        let mut driver = Driver::new(crate::PLUGINS);
        let text = format!("<match **>\n@type roundrobin\n{store}{store}{store}</match>");
        let output = driver.output(&text).unwrap();
        let stores: Vec<_> = driver.shared.outputs.iter().map(|shown| Arc::clone(&shown.output)).collect();
        for store in &stores {
            store.start().await.unwrap();
        }
        // The second is sent three times in a row, the first once more at the end.
        for chunk in ["a", "b", "b", "b", "c", "a"] {
            let origin = Origin::Forward {
                chunk: chunk.as_bytes().into(),
                peer: "peer".into(),
                arrival: chunk.len() as u64,
            };
            let stream = EventStream::new("t".into(), (&b"\x92\x01\x80"[..]).into(), 1);
            output.emit(stream, &mut Receipt::durable(origin)).await.unwrap();
        }
        let held = |output: &Arc<dyn Output>| {
            output.status().unwrap().buffer.map(|buffer| (buffer.records, buffer.replays))
        };
        let held: Vec<_> = stores.iter().filter_map(held).collect();
        assert_eq!(held, [(1, 1), (1, 2), (1, 0)]);
        for store in &stores {
            store.shutdown().await;
        }
    }

    #[tokio::test]
    async fn weights_are_shares() {
        assert_eq!(spread(&["weight 4", "weight 2", "weight 0"], 30).await, [20, 10, 0]);
    }
}
