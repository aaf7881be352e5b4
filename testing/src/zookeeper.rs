//! A ZooKeeper (Debian's package `zookeeper`), which the replicated tables of Debian's ClickHouse need.

use crate::process::Process;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long it may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Debian's library; the libraries that it needs are named in it.
const LIBRARY: &str = "/usr/share/java/zookeeper.jar";
const LOG_SETTINGS: &str = "log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %m%n
";

/// A running ZooKeeper, alone, on a free port of 127.0.0.1.
pub struct ZooKeeper {
    process: Process,
    port: u16,
}

impl ZooKeeper {
    /// Starts one and waits until it answers.
    pub fn start() -> Self {
        let process = Process::new("logweir-zookeeper-");
        let (dir, port) = (process.dir().to_owned(), crate::free_port());
        let settings = format!(
            "tickTime=500\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n\
             4lw.commands.whitelist=ruok\n",
            dir.join("data").display()
        );
        std::fs::create_dir(dir.join("data")).expect("a data directory");
        std::fs::write(dir.join("zoo.cfg"), settings).expect("zoo.cfg");
        std::fs::write(dir.join("log4j.properties"), LOG_SETTINGS).expect("log4j.properties");
        let mut keeper = Self { process, port };
        keeper.run();
        keeper
    }

    /// Where clients find it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it (SIGKILL) and keeps its data; [`ZooKeeper::start_again`] brings it back.
    pub fn kill(&mut self) {
        self.process.end("-KILL");
    }

    /// Starts a killed one again, on the same port, with the same data.
    pub fn start_again(&mut self) {
        self.run();
    }

    fn run(&mut self) {
        assert!(
            std::path::Path::new(LIBRARY).is_file(),
            "these tests need ZooKeeper: apt-get install zookeeper"
        );
        let dir = self.process.dir().display().to_string();
        // A small heap and no second compiler: it starts in a second and takes 60 MB.
        let program = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"];
        let mut program: Vec<String> = program.map(str::to_owned).to_vec();
        program.push(format!("{dir}:{LIBRARY}"));
        program.push("org.apache.zookeeper.server.quorum.QuorumPeerMain".to_owned());
        program.push(format!("{dir}/zoo.cfg"));
        self.process.start(&program);
        let started = Instant::now();
        while !self.is_well() {
            if self.process.has_ended() || started.elapsed() > START_TIMEOUT {
                let said = std::fs::read_to_string(self.process.dir().join("stdout")).unwrap_or_default();
                panic!("ZooKeeper did not start: {said}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_well(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"ruok")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer == "imok")
    }
}
