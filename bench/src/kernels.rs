//! What is done for each record, alone: the functions of the program on a fixed input, again and again, for
//! [`counts`](crate::counts).

use crate::messages::{Mode, Shape, entries, make_at};
use crate::record::json;
use futures_util::FutureExt;
use logweir_engine::buffer::{
    Buffer, ChunkFiles, Compression, Durability, Environment, FileSettings, Limits, Metadata, Part, Settings,
    Store,
};
use logweir_engine::delivery::Receipt;
use logweir_engine::event::{EventStream, EventTime, Tag};
use logweir_engine::msgpack;
use logweir_engine::plugin::{Build, Driver, Kind, ParseOutput};
use logweir_engine::route::{Collector, Router, TagPatterns};
use logweir_engine::telemetry::PluginLog;
use logweir_plugins::{in_forward, out_clickhouse, registry};
use std::sync::Arc;

/// Records in the input of one round.
pub(crate) const RECORDS: usize = 1000;

/// One of them.
pub(crate) struct Kernel {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    prepare: fn() -> Result<Round, String>,
}

/// Does the work for [`RECORDS`] records once; answers for how many it was done.
type Round = Box<dyn FnMut() -> Option<usize>>;

pub(crate) const KERNELS: &[Kernel] = &[
    Kernel { name: "scan", about: "MessagePack entries, validated and counted", prepare: scan },
    Kernel {
        name: "forward",
        about: "a PackedForward message, decoded and scanned",
        prepare: || forward(Mode::Packed),
    },
    Kernel { name: "forward-list", about: "a Forward message, decoded", prepare: || forward(Mode::Forward) },
    Kernel {
        name: "gunzip",
        about: "a CompressedPackedForward message, inflated and scanned",
        prepare: || forward(Mode::Compressed),
    },
    Kernel {
        name: "splice",
        about: "record_transformer with two constant fields",
        prepare: || filter(SPLICE),
    },
    Kernel { name: "grep", about: "grep with one pattern", prepare: || filter(GREP) },
    Kernel {
        name: "ruby",
        about: "record_transformer with a slice of a field (enable_ruby)",
        prepare: || filter(RUBY),
    },
    Kernel {
        name: "json",
        about: "a line of JSON to MessagePack",
        prepare: || parser("@type json", |n| json(n, TIMESTAMP)),
    },
    Kernel {
        name: "nginx",
        about: "parser nginx",
        prepare: || parser("@type nginx", |n| crate::logs::access(n) + " \"-\""),
    },
    Kernel {
        name: "apache2",
        about: "parser apache2",
        prepare: || parser("@type apache2", crate::logs::access),
    },
    Kernel {
        name: "cri",
        about: "parser cri",
        prepare: || parser("@type cri", |n| format!("{TIMESTAMP} stdout F {}", crate::logs::access(n))),
    },
    Kernel { name: "append", about: "a frame of 1,000 records to a chunk file", prepare: append },
    Kernel { name: "encode", about: "entries to a Native block, LZ4", prepare: encode },
];

const TIMESTAMP: &str = "2024-01-15T10:30:45.123Z";
const TIME: EventTime = EventTime { sec: 1_705_314_645, nsec: 123_000_000 };

const SPLICE: &str =
    "@type record_transformer\n<record>\nhostname aggregator-1\nenvironment production\n</record>";
const GREP: &str = "@type grep\n<regexp>\nkey level\npattern /^(info|error)$/\n</regexp>";
const RUBY: &str =
    "@type record_transformer\nenable_ruby true\n<record>\nvenue ${record['venueId'][6..-1]}\n</record>";

/// Servio's table.
const COLUMNS: &[(&str, &str)] = &[
    ("timestamp", "DateTime"),
    ("level", "String"),
    ("service", "String"),
    ("environment", "String"),
    ("venueId", "String"),
    ("userId", "String"),
    ("message", "String"),
    ("context", "String"),
    ("metadata", "String"),
    ("hostname", "String"),
];

/// Runs one so many times. Answers how many records that were.
pub(crate) fn run(name: &str, rounds: usize) -> Result<usize, String> {
    let kernel =
        KERNELS.iter().find(|kernel| kernel.name == name).ok_or(format!("no kernel is called {name}"))?;
    let mut round = (kernel.prepare)()?;
    let mut count = 0;
    for _ in 0..rounds {
        count += round().filter(|done| *done == RECORDS).ok_or(format!("{name} did not do its work"))?;
    }
    Ok(count)
}

fn packed() -> Vec<u8> {
    entries(0, RECORDS, &Shape::default(), TIMESTAMP, TIME).concat()
}

fn scan() -> Result<Round, String> {
    let entries = packed();
    Ok(Box::new(move || {
        let scan = msgpack::scan_entries(&entries, msgpack::Limits::default()).ok()?;
        (scan.end == entries.len()).then_some(scan.count)
    }))
}

fn forward(mode: Mode) -> Result<Round, String> {
    let shape = Shape { mode, records: RECORDS, batch: RECORDS, connections: 1, ..Shape::default() };
    let (connections, _) = make_at(&shape, TIMESTAMP, TIME);
    let message = connections.first().and_then(|messages| messages.first()).ok_or("no message")?.bytes();
    Ok(Box::new(move || in_forward::count_entries(&message)))
}

fn filter(body: &str) -> Result<Round, String> {
    let registry = registry();
    let plugins: Vec<_> = registry.iter().collect();
    let mut driver = Driver::new(&plugins);
    let build = || {
        let params = driver.params(Kind::Filter, &format!("<filter **>\n{body}\n</filter>"))?;
        let Some(Build::Filter(build)) =
            registry.find(Kind::Filter, params.plugin_type()).map(|found| found.build)
        else {
            return Err(params.error_here("not a filter"));
        };
        let filter = build(&params, &mut driver.context())?;
        Ok((filter, driver.output("<match **>\n@type null\n</match>")?))
    };
    let (filter, output) = { build }().map_err(|e| e.message().to_owned())?;
    let all = || TagPatterns::parse("**").map_err(|e| e.to_string());
    let rules = vec![(all()?, Collector::Filter(filter.into())), (all()?, Collector::Output(output))];
    let router = Router::new(rules, driver.errors.clone(), PluginLog::program(), true);
    let (tag, entries) = (Tag::new("servio.app"), bytes::Bytes::from(packed()));
    Ok(Box::new(move || {
        let stream = EventStream::new(tag.clone(), entries.clone(), RECORDS);
        let mut receipt = Receipt::unwatched();
        router.emit(stream, &mut receipt).now_or_never()?.ok()?;
        Some(RECORDS)
    }))
}

fn parser(body: &str, line: impl Fn(u64) -> String) -> Result<Round, String> {
    let registry = registry();
    let plugins: Vec<_> = registry.iter().collect();
    let mut driver = Driver::new(&plugins);
    let params = driver.params(Kind::Parser, &format!("<parse>\n{body}\n</parse>"));
    let params = params.map_err(|e| e.message().to_owned())?;
    let Some(Build::Parser(build)) =
        registry.find(Kind::Parser, params.plugin_type()).map(|found| found.build)
    else {
        return Err(format!("{body}: not a parser"));
    };
    let parser = build(&params, &mut driver.context()).map_err(|e| e.message().to_owned())?;
    let lines: Vec<String> = (0..RECORDS as u64).map(line).collect();
    let mut out = ParseOutput::new();
    Ok(Box::new(move || {
        out.clear();
        for line in &lines {
            parser.parse(line.as_bytes(), &mut out).ok()?;
        }
        Some(out.entries().len())
    }))
}

fn append() -> Result<Round, String> {
    let dir = tempfile::Builder::new().prefix("logweir-bench-").tempdir().map_err(|e| e.to_string())?;
    let store = Store::File(FileSettings {
        files: ChunkFiles {
            dir: dir.path().to_owned(),
            prefix: "buffer".to_owned(),
            suffix: ".log".to_owned(),
            also: Vec::new(),
            single: None,
        },
        file_mode: 0o600,
        dir_mode: 0o700,
        durability: Durability::PageCache,
        flush_at_shutdown: false,
        count_records: true,
        found_text: None,
    });
    let settings =
        Settings { store, limits: Limits::FILE, compress: Compression::None, formatted: false, backup: None };
    let buffer = Buffer::open(settings, Environment::real(PluginLog::program(), "bench"));
    let buffer = buffer.map_err(|e| e.to_string())?;
    let metadata = Arc::new(Metadata::default());
    let entries = bytes::Bytes::from(packed());
    Ok(Box::new(move || {
        let _directory_lives = &dir;
        let mut receipt = Receipt::unwatched();
        let part = Part::entries((*metadata).clone(), entries.clone(), RECORDS);
        let batch = buffer.batch(vec![part], &mut receipt);
        buffer.append(&batch, &mut receipt, false).ok()?;
        Some(RECORDS)
    }))
}

fn encode() -> Result<Round, String> {
    let entries = packed();
    Ok(Box::new(move || out_clickhouse::block_of(COLUMNS, &entries).map(|(rows, _)| rows)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_does_its_work_for_all_records() {
        for kernel in KERNELS {
            assert_eq!(run(kernel.name, 2), Ok(2 * RECORDS), "{}", kernel.name);
        }
    }
}
