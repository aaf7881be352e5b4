//! Configurations of a Logweir that takes in the load.

use std::path::Path;

/// A forward input on `port`, and the services' files in `dir/log`. What is given up goes to `dir/root`.
pub(crate) fn inputs(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    format!(
        "<system>
  root_dir {dir}/root
</system>
<source>
  @type forward
  bind 127.0.0.1
  port {port}
</source>
<source>
  @type tail
  path {dir}/log/*.log
  pos_file {dir}/pos
  tag app.file
  read_from_head true
  refresh_interval 1s
  rotate_wait 0.2
  <parse>
    @type json
  </parse>
</source>
"
    )
}

/// An output with a buffer in `dir/buffer`, whose chunks are small and go out soon. `buffer` are more lines of that section.
pub(crate) fn matched(dir: &Path, output: &str, buffer: &str) -> String {
    let dir = dir.display();
    format!(
        "<match app.**>
  @id out
  {output}
  <buffer tag>
    @type file
    path {dir}/buffer
    flush_interval 0.1
    flush_thread_interval 0.05
    flush_thread_burst_interval 0.01
    chunk_limit_records 40
    retry_wait 0.1
    retry_max_interval 0.5
    {buffer}
  </buffer>
</match>
"
    )
}

/// The lines of an output into the table `database.t` of a server on this machine. Chunks are divided.
pub(crate) fn clickhouse(port: u16, database: &str) -> String {
    format!(
        "@type clickhouse
  host 127.0.0.1
  port {port}
  database {database}
  table t
  max_insert_rows 25"
    )
}
