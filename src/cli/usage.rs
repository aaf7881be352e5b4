//! What `--help` and `--version` print.

/// The Fluentd version whose behaviour is kept; printed where tools look for it.
pub const FLUENTD_VERSION: &str = "1.16.5";

/// `logweir 0.1.0`, and the line that tools which expect `fluentd --version` read.
pub fn version_text(program: &str) -> String {
    let own = env!("CARGO_PKG_VERSION");
    if program == "fluentd" {
        return format!("fluentd {FLUENTD_VERSION} (logweir {own})");
    }
    format!("logweir {own}\nfluentd {FLUENTD_VERSION} (the version whose behaviour this one keeps)")
}

/// `--help`
pub const USAGE: &str = "\
Usage: logweir                              without a configuration: take logs into the embedded store, and say how
       logweir [run] [OPTIONS]              run a Fluentd configuration
       logweir check FILE [OPTIONS]         check one and print every problem with its place
       logweir check --migrate FILE         what of a Fluentd configuration runs as it is, differently, or not at all
       logweir config FILE [--json]         print its parse tree, secrets masked (--show-secrets: not)
       logweir buffer list [PATH...]        the chunks of file buffers
       logweir buffer cat PATH|CHUNK-ID...  the records in chunks
       logweir buffer export PATH --to DIR  chunks as files of Fluentd's, for a way back
       logweir doc KIND:PLUGIN [OPTIONS]    the parameters of a plugin, such as input:tail
       logweir doc --all DIR                reference pages of all plugins, with the examples in DIR/examples
       logweir query [SQL] [OPTIONS]        ask the embedded store or a ClickHouse server; without SQL: a prompt
       logweir store --path DIR [OPTIONS]   the embedded ClickHouse, with ClickHouse's HTTP interface
Fluentd's small commands; each has a --help, and is also what a link of that name to this program does:
       logweir cat TAG                      fluent-cat: standard input as events to a forward input
       logweir ctl COMMAND PID              fluent-ctl: signals by name
       logweir binlog-reader COMMAND        fluent-binlog-reader: the events in a chunk file
       logweir plugin-config-format TYPE NAME   fluent-plugin-config-format

Options of run and check (Fluentd's):
    -c, --config PATH                config file (default: $FLUENT_CONF, or /etc/fluent/fluent.conf)
        --dry-run                    check the configuration and exit
        --config-file-type TYPE      yaml, yml or guess (default: by the file's name)
        --use-v1-config              accepted; there is no other language (--use-v0-config is refused)
        --conf-encoding ENCODING     utf-8 or ascii
    -i, --inline-config TEXT         text appended to the configuration; - reads it from standard input
    -o, --log PATH                   log file
        --log-rotate-age AGE         rotated log files to keep, or daily, weekly, monthly
        --log-rotate-size BYTES      size at which the log file is rotated
        --log-event-verbose          log lines of a stop are events for <label @FLUENT_LOG> too
    -v, --verbose / -vv              debug / trace
    -q, --quiet / -qq                warnings / errors only
    -d, --daemon PIDFILE             go to the background and write the pid
        --no-supervisor              accepted with one worker; there is no supervisor
        --workers NUM                the workers that <worker N> may name; Logweir is one process that uses all cores
        --user NAME, --group NAME    change to them after the start
        --umask OCTAL                file creation mask
        --without-source             start no inputs
        --with-source-only           start inputs only, and keep what they take until SIGWINCH
        --strict-config-value        refuse values that do not have the form of their type
        --suppress-config-dump       do not print the configuration at the start
        --emit-error-log-interval S  at most one 'emit transaction failed' within S seconds
        --enable-input-metrics       monitor_agent counts what inputs emit (--disable-input-metrics: not)
        --enable-size-metrics        and how many bytes
        --show-plugin-config PLUGIN  same as doc
    -s, --setup [DIR]                write a sample configuration
        --version, -h, --help
Options of store:
        --path DIR                   where its data is
        --listen ADDRESS:PORT        default: 127.0.0.1:8123
        --user NAME                  a user; without any there is `default`, without a password
        --readonly-user NAME         a user who may only read
        --password-file FILE         the password of the user before it: the file's first line
        --memory SIZE                what the engine may use, such as 2g (default: half of the machine's)
        --libchdb FILE               the ClickHouse engine (default: $LOGWEIR_LIBCHDB, or the usual folders)
        --end-with-parent            stop when the process that started it ends
Options of query:
    -c, --config PATH                take the server from the first clickhouse output of this configuration
        --url URL                    the server (default: http://127.0.0.1:8123)
    -d, --database NAME, -u, --user NAME, --password-file FILE
    -f, --file FILE                  statements from a file
        --format FORMAT              default: PrettyCompact in a terminal, else TabSeparated
Options of buffer (PATH: a directory, a chunk file, or a `path` of a <buffer> with a star):
    -c, --config PATH                every file buffer of a configuration; also what is looked at without a PATH
        --json                       list: one document; cat: one object a line
        --msgpack                    cat: the entries as they are
        --to DIR                     export: an empty or new directory
        --format file|file_single    export: which of Fluentd's buffers (default: file)
        --compress text|gzip         export: as the <buffer> that will read it says (default: gzip if all chunks are)
  list and cat change nothing and may be used while Logweir runs. The exit status is 2 if something was damaged.
Options of doc:
    -f, --format FORMAT              markdown, txt or json, as fluent-plugin-config-format has them
    -c, --compact                    compact Markdown, or JSON on one line
    -t, --table                      parameters as a Markdown table
Accepted and ignored with a warning, since there is no Ruby and no worker process:
    -p, --plugin DIR, -I PATH, -r NAME, -g, --gemfile FILE, -G, --gem-path DIR,
    --suppress-repeated-stacktrace [BOOL], --disable-shared-socket, --under-supervisor
";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Words that begin with `-` and a letter, or `--`.
    fn options(text: &str) -> BTreeSet<&str> {
        let words = text.split(|c: char| c.is_whitespace() || "`,()[]|=/:;".contains(c));
        let is_option = |word: &&str| {
            let name =
                word.strip_prefix("--").or_else(|| word.strip_prefix('-').filter(|name| name.len() == 1));
            name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic()))
        };
        words.map(|word| word.trim_end_matches('.')).filter(is_option).collect()
    }

    #[test]
    fn the_page_of_the_command_line_has_every_option_that_help_has_and_no_other() {
        let page = include_str!("../../docs/command-line.md");
        let mut help = USAGE.to_owned();
        for tool in crate::tools::TOOLS {
            help.push_str(tool.usage());
            assert!(page.contains(tool.name()), "{}", tool.name());
        }
        let (in_help, in_page) = (options(&help), options(page));
        let missing: Vec<_> = in_help.difference(&in_page).collect();
        assert!(missing.is_empty(), "docs/command-line.md lacks {missing:?}");
        let unknown: Vec<_> = in_page.difference(&in_help).collect();
        assert!(unknown.is_empty(), "docs/command-line.md has {unknown:?}, which --help does not");
    }
}
