//! A sweep of a file buffer that fills up because its destination is down: what an append costs, what a start costs.

use super::points::Points;
use super::stand::{FORWARD, Place, STEP_TIMEOUT, Stand};
use crate::arguments::Options;
use crate::load::Load;
use crate::messages::Shape;
use std::time::Instant;

const BUFFER: &str = "<match servio.**>\n  @type forward\n  heartbeat_type none\n  <server>\n    host 127.0.0.1\n    \
     port @OUT_PORT@\n  </server>\n  <buffer>\n    @type file\n    path @DIR@/buffer\n    total_limit_size 100g\n    \
     flush_mode interval\n    flush_interval 1s\n    retry_forever true\n    retry_max_interval 5s\n  </buffer>\n</match>\n";

/// Of the step's figures.
const START: &str = "start: s until it listens";
const START_CPU: &str = "start: CPU s";
const START_MEMORY: &str = "start: peak MB";

/// Bytes in the buffer at which it is looked at.
const STEPS_GB: [f64; 5] = [0.0, 1.0, 2.0, 5.0, 10.0];
/// What must stay free on the disk.
const FREE_GB: f64 = 20.0;

pub(super) fn buffered(options: &Options, command: &[String], points: &mut Points) -> Result<(), String> {
    let config = format!("{FORWARD}{BUFFER}");
    let probe = Load::of(&Shape { records: options.records, ..Shape::default() });
    let mut place = Place::new()?;
    let mut held = 0.0;
    for step in STEPS_GB {
        if free_gb(place.dir()) < FREE_GB + (step - held) {
            println!("{step:>12} GB: not enough room on the disk");
            break;
        }
        let stand = place.start(command, &config)?;
        held += fill_up(&stand, step - held)?;
        let stand = stand.stop();
        let begin = Instant::now();
        let mut stand = stand.start(command, &config)?;
        let listens = begin.elapsed().as_secs_f64();
        stand.program.wait_until_quiet(STEP_TIMEOUT)?;
        let started = stand.program.usage();
        let figures = stand.send(&probe)?;
        let start = [(START, listens), (START_CPU, started.cpu), (START_MEMORY, started.memory as f64 / 1e6)];
        points.add_figures("-> file buffer", held, &figures, &start);
        held += probe.bytes as f64 / 1e9;
        place = stand.stop();
    }
    Ok(())
}

/// Sends so many GB; answers how many it were.
fn fill_up(stand: &Stand, gigabytes: f64) -> Result<f64, String> {
    if gigabytes <= 0.0 {
        return Ok(0.0);
    }
    let load = Load::of(&Shape { records: (gigabytes * 1e9 / 300.0) as usize, ..Shape::default() });
    load.send(stand.port)?;
    Ok(load.bytes as f64 / 1e9)
}

fn free_gb(dir: &std::path::Path) -> f64 {
    rustix::fs::statvfs(dir).map_or(0.0, |stat| (stat.f_bavail * stat.f_frsize) as f64 / 1e9)
}
