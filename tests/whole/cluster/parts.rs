//! The processes of conf/cluster on this machine.

use super::*;

/// The key of agents and aggregators.
const KEY: &str = "a key of this test";

/// Two aggregators, each for one shard, and the address that is both.
pub(super) struct Aggregators {
    dirs: Vec<tempfile::TempDir>,
    ports: Vec<u16>,
    pub(super) processes: Vec<Logweir>,
    address: u16,
    _balancer: HaProxy,
}

impl Aggregators {
    /// One for each shard of `cluster`.
    pub(super) fn start(cluster: &ClickHouseCluster) -> Self {
        let dirs: Vec<_> = cluster.shards.iter().map(|_| tempfile::tempdir().unwrap()).collect();
        let ports: Vec<u16> = cluster.shards.iter().map(|_| free_port()).collect();
        let shards = cluster.shards.iter().zip(&dirs).zip(&ports).enumerate();
        let processes = shards.map(|(number, ((shard, dir), port))| {
            let hosts: Vec<String> =
                shard.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
            let config = replaced(
                &conf_text("aggregator.conf"),
                &[
                    ("port 24224", format!("port {port}\n  bind 127.0.0.1")),
                    (r##""#{ENV['LOGWEIR_NAME']}""##, format!("aggregator-{}", number + 1)),
                    (r##""#{ENV['LOGWEIR_SHARED_KEY']}""##, KEY.to_owned()),
                    (r##""#{ENV['LOGWEIR_CLICKHOUSE_HOSTS']}""##, hosts.join(",")),
                    ("/var/lib/logweir", dir.path().display().to_string()),
                    // More inserts, so that more of them meet an incident.
                    ("flush_interval 5s", "flush_interval 1s".to_owned()),
                    ("retry_max_interval 10s", "retry_max_interval 1s".to_owned()),
                ],
            );
            Logweir::start(dir.path(), &config)
        });
        let processes = processes.collect();
        let address = free_port();
        let balancer = replaced(
            &conf_text("haproxy.cfg"),
            &[
                ("bind :24224", format!("bind 127.0.0.1:{address}")),
                ("aggregator-1:24224", format!("127.0.0.1:{}", ports[0])),
                ("aggregator-2:24224", format!("127.0.0.1:{}", ports[1])),
                // What a test may open.
                ("maxconn 100000", "maxconn 1000".to_owned()),
            ],
        );
        Self { dirs, processes, _balancer: HaProxy::start(&balancer, address), ports, address }
    }

    /// The files in their buffers.
    pub(super) fn chunks(&self) -> usize {
        self.dirs.iter().map(|dir| chunks(&dir.path().join("clickhouse"))).sum()
    }
}

/// An agent that reads `app/*.log` in its directory.
pub(super) struct Agent {
    pub(super) name: String,
    pub(super) dir: tempfile::TempDir,
    pub(super) process: Logweir,
}

impl Agent {
    /// One that knows the aggregators' common address, or each of them.
    pub(super) fn start(name: &str, one_address: bool, aggregators: &Aggregators) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("app")).unwrap();
        fs::write(dir.path().join("app/app.log"), "").unwrap();
        let mut changes = vec![
            ("/var/log/app", dir.path().join("app").display().to_string()),
            ("/var/lib/logweir", dir.path().display().to_string()),
            (r##""#{Socket.gethostname}""##, name.to_owned()),
            (r##""#{ENV['LOGWEIR_SHARED_KEY']}""##, KEY.to_owned()),
            ("retry_max_interval 10s", "retry_max_interval 1s".to_owned()),
        ];
        let servers = |ports: &[u16]| -> Vec<String> {
            ports.iter().map(|port| format!("host 127.0.0.1\n    port {port}")).collect()
        };
        let file = if one_address {
            let address = servers(&[aggregators.address]).remove(0);
            changes.push(("host logweir\n    port 24224", address));
            "agent-one-address.conf"
        } else {
            let mut each = servers(&aggregators.ports).into_iter();
            changes.push(("host aggregator-1\n    port 24224", each.next().unwrap()));
            changes.push(("host aggregator-2\n    port 24224", each.next().unwrap()));
            "agent.conf"
        };
        let process = Logweir::start(dir.path(), &replaced(&conf_text(file), &changes));
        Self { name: name.to_owned(), dir, process }
    }

    /// The file that it reads.
    pub(super) fn file(&self) -> PathBuf {
        self.dir.path().join("app/app.log")
    }

    /// Whether everything that it has read has left it, and it has read everything.
    pub(super) fn is_done(&self) -> bool {
        let size = fs::metadata(self.file()).map_or(0, |meta| meta.len());
        let positions = fs::read_to_string(self.dir.path().join("app.pos")).unwrap_or_default();
        let position = positions.split('\t').nth(1).and_then(|offset| u64::from_str_radix(offset, 16).ok());
        position == Some(size) && chunks(&self.dir.path().join("forward")) == 0
    }
}

/// The chunk files in a buffer's directory: lock, marks and the spare file have names with a dot in front.
fn chunks(dir: &Path) -> usize {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("buffer.")).count()
}
