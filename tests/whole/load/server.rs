//! A ClickHouse of either kind, which is stopped and killed.

use super::{COLUMNS, ENGINE, Found};
use crate::store::Store;
use logweir_testing::{ClickHouse, http_request};

/// See the module.
pub(crate) enum Server {
    /// Debian's, which recognises no repeated insert.
    ClickHouse(Box<ClickHouse>),
    /// `logweir store`, which does.
    Store(Box<Store>),
}

impl Server {
    /// Debian's, with a table `default.t`.
    pub(crate) fn clickhouse() -> Self {
        Self::ClickHouse(Box::new(ClickHouse::start())).with_table()
    }

    /// The store, with such a table; `None` where libchdb is not.
    pub(crate) fn store() -> Option<Self> {
        Some(Self::Store(Box::new(Store::start()?)).with_table())
    }

    fn with_table(self) -> Self {
        let sql = format!("CREATE TABLE default.t {COLUMNS} {ENGINE}");
        let answer = http_request(self.port(), "POST", "/", &[], sql.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        self
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::ClickHouse(server) => server.port(),
            Self::Store(store) => store.port(),
        }
    }

    /// The records in the table.
    pub(crate) fn found(&self) -> Vec<Found> {
        let sql = b"SELECT source, n FROM default.t FORMAT TabSeparated";
        let answer = http_request(self.port(), "POST", "/", &[], sql).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        let row = |line: &str| {
            let (source, n) = line.split_once('\t').expect("two columns");
            (source.to_owned(), n.parse().expect("a number"))
        };
        text.lines().map(row).collect()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        let answer = http_request(self.port(), "POST", "/", &[], b"SELECT count() FROM default.t");
        answer.expect("an answer").text().trim().parse().expect("a number")
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        match self {
            Self::ClickHouse(server) => server.kill(),
            Self::Store(store) => store.kill(),
        }
    }

    /// SIGTERM.
    pub(crate) fn stop(&mut self) {
        match self {
            Self::ClickHouse(server) => server.stop(),
            Self::Store(store) => store.stop(),
        }
    }

    pub(crate) fn start_again(&mut self) {
        match self {
            Self::ClickHouse(server) => server.start_again(),
            Self::Store(store) => store.start_again(),
        }
    }
}
