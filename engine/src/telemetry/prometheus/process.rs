//! The process: processor time, memory, open files, under the names that all Prometheus clients use.

use super::exposition::Exposition;
use super::own;
use std::fs;
use std::path::Path;

/// Writes the process down. What `/proc` does not say is left out.
pub fn show_process(exposition: &mut Exposition) {
    let mut show = |name: &str, value: Option<f64>| {
        if let (Some(metric), Some(value)) = (own::find(name), value) {
            exposition.own(metric).add("", [], value);
        }
    };
    let proc = Path::new("/proc");
    let stat = fs::read_to_string(proc.join("self/stat")).ok().and_then(|text| Stat::parse(&text));
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let page = rustix::param::page_size() as f64;
    let boot = fs::read_to_string(proc.join("stat")).ok().and_then(|text| boot_time(&text));
    show("process_cpu_seconds_total", stat.map(|stat| stat.cpu_ticks as f64 / ticks));
    show("process_virtual_memory_bytes", stat.map(|stat| stat.virtual_bytes as f64));
    show("process_resident_memory_bytes", stat.map(|stat| stat.resident_pages as f64 * page));
    let start = stat.zip(boot).map(|(stat, boot)| boot as f64 + stat.start_ticks as f64 / ticks);
    show("process_start_time_seconds", start);
    let open = fs::read_dir(proc.join("self/fd")).ok().map(|list| list.count().saturating_sub(1));
    show("process_open_fds", open.map(|count| count as f64)); // without the one that lists them
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    show("process_max_fds", limit.map(|limit| limit as f64));
}

/// Of `/proc/self/stat` (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name in parentheses may contain anything. Field 3 is the first behind it.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// `btime` of `/proc/stat`: when the machine was started, seconds since the epoch.
fn boot_time(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_may_have_parentheses_and_spaces() {
        let text = "12 (a) b) S 1 12 12 0 -1 4194560 100 0 0 0 70 30 0 0 20 0 9 0 4242 1000000 250 184 1 1";
        let stat = Stat { cpu_ticks: 100, start_ticks: 4242, virtual_bytes: 1_000_000, resident_pages: 250 };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(Stat::parse("12 (a"), None);
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000));
    }

    #[test]
    fn this_process_is_there() {
        let mut exposition = Exposition::default();
        show_process(&mut exposition);
        let text = exposition.into_text();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("{name} in {text}")).parse::<f64>().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!((3.0..value("process_max_fds")).contains(&value("process_open_fds")));
        assert!(value("process_cpu_seconds_total") >= 0.0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        // The boot time is in whole seconds.
        assert!((now - 86_400.0 * 30.0..now + 2.0).contains(&value("process_start_time_seconds")));
    }
}
