//! Pages of what plugins share: sections, and kinds of buffers, storage and service discovery.

use super::{GENERATED, table};
use logweir_engine::config::SYSTEM;
use logweir_engine::net::TRANSPORT;
use logweir_engine::output::BUFFER_SECTION;
use logweir_engine::plugin::{EXTRACT, INJECT, SectionSpec};
use std::fmt::Write;

/// A page that several plugins lead to.
pub(super) struct Shared {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    spec: SectionSpec,
    /// What the tables cannot say.
    more: &'static str,
}

pub(super) static SHARED: &[Shared] = &[
    Shared {
        file: "section_buffer",
        title: "<buffer>",
        about: "How events wait in chunks, and when the chunks are written",
        spec: BUFFER_SECTION,
        more: "\
The argument lists chunk keys: `tag`, `time` (which needs `timekey`), names of fields, and record accessors such as `$.kubernetes.pod`.
Events with equal keys share a chunk, and the keys may be placeholders in parameters of the output: `${tag}`, `${tag[1]}`, `%Y%m%d`,
`${field}`, `${$.a.b}`, `${chunk_id}`.

```
<buffer tag,time>
  @type file
  path /var/log/logweir/buffer
  timekey 1h
  timekey_wait 5m
</buffer>
```

| `@type` | where chunks are |
|---|---|
| `memory` | in memory: a kill loses them |
| `file` | files below `path`; on the device before a sender has its ack (`durability synced`). Chunks that Fluentd left there are taken over |
| `file_single` | the same, with the one chunk key in the file's name; takes over Fluentd's buffers of that type |
",
    },
    Shared {
        file: "section_inject",
        title: "<inject>",
        about: INJECT.about,
        spec: INJECT,
        more: "```\n<inject>\n  hostname_key host\n  tag_key tag\n  time_key time\n  time_type string\n  time_format %iso8601\n</inject>\n```\n",
    },
    Shared {
        file: "section_extract",
        title: "<extract>",
        about: EXTRACT.about,
        spec: EXTRACT,
        more: "```\n<extract>\n  tag_key tag\n  time_key time\n  time_type unixtime\n</extract>\n```\n",
    },
    Shared {
        file: "section_transport",
        title: "<transport>",
        about: TRANSPORT.about,
        spec: TRANSPORT,
        more: "```\n<transport tls>\n  cert_path /etc/logweir/server.pem\n  private_key_path /etc/logweir/server.key\n  client_cert_auth true\n  ca_path /etc/logweir/clients.pem\n</transport>\n```\n",
    },
    Shared {
        file: "section_system",
        title: "<system>",
        about: SYSTEM.about,
        spec: SYSTEM,
        more: "\
Each is also an environment variable (`LOGWEIR_LOG_LEVEL`; `LOGWEIR_LOG_FORMAT` for those of `<log>`), which wins over the section, and
some are options of the command line, which win over both.

```
<system>
  root_dir /var/lib/logweir
  log_level info
  <log>
    format json
  </log>
</system>
```
",
    },
];

/// The page of a section that plugins share.
pub(super) fn shared(section: &SectionSpec) -> Option<&'static str> {
    let is_it = |shared: &&Shared| {
        let names = |spec: &SectionSpec| spec.params.iter().map(|param| param.name).collect::<Vec<_>>();
        shared.spec.name == section.name && names(&shared.spec) == names(section)
    };
    SHARED.iter().find(is_it).map(|shared| shared.file)
}

impl Shared {
    pub(super) fn page(&self) -> String {
        let mut out = format!("{GENERATED}# `{}`\n\n{}.\n\n{}\n", self.title, self.about, self.more);
        out.push_str("## Parameters\n\n");
        table::params(&mut out, &self.spec.params.iter().collect::<Vec<_>>(), &[]);
        for section in self.spec.sections {
            let _ = write!(out, "### `<{}>`\n\n{}\n\n", section.name, table::section_words(section));
            table::params(&mut out, &section.params.iter().collect::<Vec<_>>(), section.defaults);
        }
        out.trim_end().to_owned() + "\n"
    }
}
