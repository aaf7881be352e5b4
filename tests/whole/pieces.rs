//! Pieces of configurations that several tests are put together from.

use std::path::Path;

/// A source that reads `in.log` of this directory from its beginning, a JSON object a line.
pub(crate) fn tail_json(dir: &Path, tag: &str) -> String {
    tail(dir, tag, "json")
}

/// The same, with lines for that parser.
pub(crate) fn tail(dir: &Path, tag: &str, parser: &str) -> String {
    let dir = dir.display();
    format!(
        "<source>
  @type tail
  path {dir}/in.log
  pos_file {dir}/in.pos
  tag {tag}
  read_from_head true
  <parse>
    @type {parser}
  </parse>
</source>
"
    )
}

/// An output that writes all events to `out.log` of this directory as JSON, at once. `more` is added to its parameters.
pub(crate) fn json_out(dir: &Path, more: &str) -> String {
    let dir = dir.display();
    format!(
        "<match **>
  @type file
  path {dir}/out
  append true
  {more}
  <format>
    @type json
  </format>
  <buffer []>
    @type file
    path {dir}/buffer
    flush_mode immediate
  </buffer>
</match>
"
    )
}
