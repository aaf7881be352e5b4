//! No record of a forward message costs an allocation: ten thousand in a message cost as many as ten.

use crate::counting::on_this_thread;
use logweir_engine::event::EventTime;
use logweir_engine::json::{ReadOptions, to_msgpack};
use logweir_engine::msgpack::{Time, write_array_len, write_bin, write_entry, write_map_len, write_str};
use logweir_plugins::in_forward::count_entries;

const FEW: usize = 10;
const MANY: usize = 10_000;

#[test]
fn a_message_costs_as_many_allocations_whatever_is_in_it() {
    let cost = |count: usize| {
        let bytes = message(&entries(count));
        let before = on_this_thread();
        assert_eq!(count_entries(&bytes), Some(count));
        on_this_thread() - before
    };
    cost(MANY);
    assert_eq!(cost(MANY), cost(FEW));
}

/// `count` entries of Servio's shape.
fn entries(count: usize) -> Vec<u8> {
    let mut entries = Vec::new();
    for number in 0..count {
        let text = format!(
            r#"{{"timestamp":"2024-01-15T10:30:45.123Z","level":"info","service":"app","venueId":"venue_{}","message":"User logged in","context":{{"ip":"192.168.1.1","userAgent":"Mozilla/5.0"}},"metadata":{{"requestId":"req_{number:08x}","traceId":"trace_{number:08x}"}}}}"#,
            number % 97
        );
        let mut record = Vec::new();
        to_msgpack(text.as_bytes(), &mut record, ReadOptions::default()).unwrap();
        write_entry(&mut entries, Time::Event(EventTime { sec: 1_700_000_000, nsec: 0 }), None, &record);
    }
    entries
}

/// A PackedForward message of these.
fn message(entries: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_array_len(&mut bytes, 3);
    write_str(&mut bytes, b"servio.app");
    write_bin(&mut bytes, entries);
    write_map_len(&mut bytes, 1);
    write_str(&mut bytes, b"chunk");
    write_str(&mut bytes, b"p8n9gmxTQVC8/nh2wlKKeQ==");
    bytes
}
