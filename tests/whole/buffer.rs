//! `logweir buffer list|cat|export` on buffers of a real Logweir and of the real Fluentd.

mod many;
mod place;

use crate::logweir::{BINARY, Logweir, logweir, words};
use logweir_engine::msgpack::{Entries, Reader, ValueRef};
use place::{Place, append, case, cat, files, json_of, line_of, objects};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

#[test]
fn what_a_buffer_holds_is_shown_while_logweir_runs_and_goes_back_to_fluentds_format() {
    let place = Place::new();
    let mut process = place.start("@type file\npath DIR/buf\nflush_interval 1h\nretry_wait 1h", "tag,user");
    place.write_lines(&mut process, 0..6);
    process.signal(Signal::USR1);
    process.wait("a write that fails", |process| process.log().contains("failed to flush the buffer"));
    place.write_lines(&mut process, 6..9);
    let before = files(&place.path("buf"));

    let listed = json_of(&logweir(&["buffer", "list", "--json", &place.text("buf")]));
    let buffer = &listed["buffers"][0];
    assert!(buffer["in_use_by"].as_str().unwrap().contains("plugin out"), "{listed}");
    let chunks = buffer["chunks"].as_array().unwrap();
    let mut summary: Vec<_> = chunks
        .iter()
        .map(|chunk| format!("{} {} {}", chunk["state"], chunk["variables"]["user"], chunk["records"]))
        .collect();
    summary.sort();
    let expected = [r#""queued" "u0" 3"#, r#""queued" "u1" 3"#, r#""staged" "u0" 2"#, r#""staged" "u1" 1"#];
    assert_eq!(summary, expected);
    for chunk in chunks {
        assert_eq!(
            (&chunk["tag"], &chunk["written_by"], &chunk["damage"]),
            (&"app".into(), &"logweir".into(), &json!([]))
        );
    }
    assert_eq!(
        buffer["total"],
        json!({"chunks": 4, "staged": 2, "queued": 2, "records": 9, "bytes": buffer["total"]["bytes"], "damaged": 0})
    );
    let by_config = json_of(&logweir(&["buffer", "list", "--json", "-c", &place.text("fluent.conf")]));
    assert_eq!(by_config["buffers"][0]["plugin_id"], "out");
    assert_eq!(by_config["buffers"][0]["chunks"], buffer["chunks"]);
    let lines = words(&logweir(&["buffer", "list", &place.text("buf")]));
    for chunk in chunks {
        let id = chunk["id"].as_str().unwrap();
        let line = lines.lines().find(|line| line.starts_with(id)).unwrap();
        assert!(
            line.contains(chunk["state"].as_str().unwrap()) && line.contains("tag=app user=\"u"),
            "{line}"
        );
    }
    assert!(lines.contains("\ntotal: 4 chunks (2 staged, 2 queued), 9 records, "), "{lines}");

    let mut numbers: Vec<_> =
        cat(&[&place.text("buf")]).iter().map(|line| line["record"]["i"].clone()).collect();
    numbers.sort_by_key(Value::as_u64);
    assert_eq!(numbers, (0..9).map(Value::from).collect::<Vec<_>>());
    let first = chunks[0]["id"].as_str().unwrap();
    assert_eq!(cat(&[first, "-c", &place.text("fluent.conf")]).len() as u64, chunks[0]["records"]);
    let text = logweir(&["buffer", "cat", chunks[0]["path"].as_str().unwrap()]);
    for line in words(&text).lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [time, "app", record] = fields[..] else { panic!("{line}") };
        assert!(time.len() >= 20 && time.as_bytes()[10] == b'T', "{line}");
        assert!(record.starts_with("{\"i\":"), "{line}");
    }
    let raw = logweir(&["buffer", "cat", "--msgpack", &place.text("buf")]);
    assert_eq!(Entries::new(&raw.stdout).count(), 9);

    let refused = logweir(&["buffer", "export", &place.text("buf"), "--to", &place.text("out")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(words(&refused).contains("is in use by logweir, process"), "{}", words(&refused));
    assert!(!place.path("out").exists());
    assert_eq!(files(&place.path("buf")), before, "nothing was changed");

    assert_eq!(process.stop().code(), Some(0));
    let before = files(&place.path("buf"));
    let done = logweir(&["buffer", "export", &place.text("buf"), "--to", &place.text("out")]);
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    for says in ["exported 4 chunks (2 staged, 2 queued), 9 records", "<buffer tag,user>", "@type file\n"] {
        assert!(words(&done).contains(says), "{says} is not in {}", words(&done));
    }
    assert_eq!(files(&place.path("buf")), before, "the source is left alone");
    let again = logweir(&["buffer", "export", &place.text("buf"), "--to", &place.text("out")]);
    assert_eq!(again.status.code(), Some(1));
    assert!(words(&again).contains("is not empty"), "{}", words(&again));

    let exported = files(&place.path("out"));
    assert_eq!(exported.len(), 8);
    for chunk in chunks {
        let letter = if chunk["state"] == "staged" { 'b' } else { 'q' };
        let name = format!("buffer.{letter}{}.log", chunk["id"].as_str().unwrap());
        let data = &exported[&name];
        assert_eq!(Entries::new(data).count() as u64, chunk["records"]);
        check_meta(&exported[&format!("{name}.meta")], chunk);
    }
    assert_eq!(place.delivered("out", "@type file", "tag,user", 9), (0..9).collect::<Vec<_>>());
}

/// Field by field, and in the same order and the same kinds as in a file that the real Fluentd wrote.
fn check_meta(bytes: &[u8], chunk: &Value) {
    let theirs = case("resume_file_output_keys").join("buffer.b660ea0941f327447ef27f097310f427e.log.meta");
    let theirs = fs::read(theirs).unwrap();
    let (ours, theirs) = (pairs(bytes), pairs(&theirs));
    let names = |pairs: &[(String, Vec<u8>)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&ours), ["timekey", "tag", "variables", "seq", "id", "s", "c", "m"]);
    assert_eq!(names(&ours), names(&theirs));
    let raw: BTreeMap<&str, &[u8]> = ours.iter().map(|(name, raw)| (name.as_str(), &raw[..])).collect();
    assert_eq!((raw["timekey"], raw["tag"], raw["seq"]), (&b"\xc0"[..], &b"\xa3app"[..], &b"\x00"[..]));
    let user = chunk["variables"]["user"].as_str().unwrap();
    assert_eq!(raw["variables"], [b"\x81\xa4user\xa2", user.as_bytes()].concat());
    let id = u128::from_str_radix(chunk["id"].as_str().unwrap(), 16).unwrap();
    assert_eq!(raw["id"], [&b"\xc4\x10"[..], &id.to_be_bytes()].concat());
    assert_eq!(raw["s"], [u8::try_from(chunk["records"].as_u64().unwrap()).unwrap()]);
    for name in ["c", "m"] {
        let of = |pairs: &[(String, Vec<u8>)]| pairs.iter().find(|(key, _)| key == name).unwrap().1.clone();
        assert_eq!((of(&ours)[0], of(&ours).len()), (of(&theirs)[0], 5), "32 bits of seconds");
    }
    let seconds = |name: &str| match ValueRef::read(raw[name]) {
        Ok(ValueRef::Int(seconds)) => seconds,
        other => panic!("{other:?}"),
    };
    assert!(seconds("c") <= seconds("m") && seconds("c") > 1_700_000_000);
}

/// The map in a `.meta` file as names and raw values.
fn pairs(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    assert_eq!(bytes[..2], [0xc1, 0x00]);
    let length = u32::from_be_bytes(bytes[2..6].try_into().unwrap()) as usize;
    let mut reader = Reader::new(&bytes[6..6 + length]);
    let count = reader.read_map_len().unwrap();
    let mut pair = || {
        let name = String::from_utf8(reader.read_bytes().unwrap().to_vec()).unwrap();
        (name, reader.read_raw().unwrap().to_vec())
    };
    (0..count).map(|_| pair()).collect()
}

#[test]
fn compressed_chunks_go_into_file_single_and_back() {
    let place = Place::new();
    let mut process = place.start("@type file_single\npath DIR/buf\nflush_interval 1h\ncompress gzip", "tag");
    place.write_lines(&mut process, 0..5);
    process.kill();
    let to = ["--format", "file_single", "--to", &place.text("out")];
    let done = logweir(&[&["buffer", "export", &place.text("buf")][..], &to].concat());
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    assert!(words(&done).contains("compress gzip"), "{}", words(&done));
    let exported = files(&place.path("out"));
    let (name, data) = exported.iter().next().unwrap();
    assert_eq!(exported.len(), 1);
    assert!(
        name.starts_with("fsb.app.b") && name.ends_with(".buf") && data.starts_with(&[0x1f, 0x8b, 8]),
        "{name}"
    );
    let listed = json_of(&logweir(&["buffer", "list", "--json", &place.text("out")]));
    let chunk = &listed["buffers"][0]["chunks"][0];
    assert_eq!(
        (&chunk["tag"], &chunk["compress"], &chunk["records"]),
        (&"app".into(), &"gzip".into(), &5.into())
    );
    let own = logweir(&["buffer", "list", &place.text("buf")]);
    assert!(own.stderr.is_empty(), "Logweir's own chunks say what their key is: {}", words(&own));

    let text = ["--compress", "text", "--to", &place.text("text")];
    let done = logweir(&[&["buffer", "export", &place.text("buf")][..], &text].concat());
    assert_eq!(done.status.code(), Some(0), "{}", words(&done));
    let exported = files(&place.path("text"));
    assert!(exported.values().any(|data| Entries::new(data).count() == 5), "{exported:?}");
    let delivered = place.delivered("out", "@type file_single\ncompress gzip", "tag", 5);
    assert_eq!(delivered, (0..5).collect::<Vec<_>>());
}

/// Damage in one frame of three.
#[test]
fn damage_is_named_with_its_place_and_the_rest_is_shown_and_exported() {
    let place = Place::new();
    let mut process = place.start("@type file\npath DIR/buf\nflush_interval 1h", "tag");
    for i in 0..3 {
        place.write_lines(&mut process, i..i + 1);
    }
    process.kill();
    let (name, mut bytes) =
        files(&place.path("buf")).into_iter().find(|(name, _)| name.starts_with("buffer.b")).unwrap();
    let frames: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"\xf8LWF")).collect();
    assert_eq!(frames.len(), 3);
    bytes[frames[2] - 1] ^= 1;
    fs::write(place.path("buf").join(&name), &bytes).unwrap();
    let says = format!("{name}: bytes {}-{} are damaged", frames[1], frames[2]);

    let output = logweir(&["buffer", "cat", "--json", &place.text("buf")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&says), "{}", words(&output));
    let numbers: Vec<_> = objects(&output.stdout).iter().map(|line| line["record"]["i"].clone()).collect();
    assert_eq!(numbers, [0, 2]);
    let output = logweir(&["buffer", "list", &place.text("buf")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        words(&output).contains("DAMAGED: bytes") && words(&output).contains(" 2 records"),
        "{}",
        words(&output)
    );
    let output = logweir(&["buffer", "export", &place.text("buf"), "--to", &place.text("out")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(words(&output).contains(&says) && words(&output).contains("2 records"), "{}", words(&output));
    assert_eq!(place.delivered("out", "@type file", "tag", 2), [0, 2]);
}

#[test]
fn chunks_of_the_real_fluentd_are_read_and_exported_byte_for_byte() {
    for (name, records, formatted) in [
        ("resume_staged_plus_new", 2, false),
        ("resume_file_output_keys", 4, true),
        ("resume_http_output", 3, true),
    ] {
        let place = Place::new();
        let theirs = files(&case(name));
        fs::create_dir(place.path("buf")).unwrap();
        for (name, bytes) in &theirs {
            fs::write(place.path("buf").join(name), bytes).unwrap();
        }
        let listed = json_of(&logweir(&["buffer", "list", "--json", &place.text("buf")]));
        let total = &listed["total"];
        assert_eq!((&total["records"], &total["damaged"]), (&records.into(), &0.into()), "{name}: {listed}");
        let content = if formatted { "text" } else { "entries" };
        assert_eq!(listed["buffers"][0]["chunks"][0]["content"], content, "{name}");
        let output = logweir(&["buffer", "cat", &place.text("buf")]);
        assert_eq!(words(&output).lines().count(), records, "{name}: {}", words(&output));
        let done = logweir(&["buffer", "export", &place.text("buf"), "--to", &place.text("out")]);
        assert_eq!(done.status.code(), Some(0), "{name}: {}", words(&done));
        assert_eq!(files(&place.path("out")), theirs, "{name}");
    }
}

#[test]
fn a_chunk_of_fluentd_without_its_keys_is_not_exported() {
    let from = case("resume_chunk_empty_meta");
    let place = Place::new();
    let listed = logweir(&["buffer", "list", from.to_str().unwrap()]);
    assert_eq!(listed.status.code(), Some(2));
    assert!(words(&listed).contains("its .meta file cannot be read"), "{}", words(&listed));
    let done = logweir(&["buffer", "export", from.to_str().unwrap(), "--to", &place.text("out")]);
    assert_eq!(done.status.code(), Some(2));
    assert!(
        words(&done).contains("left out") && words(&done).contains("exported 0 chunks"),
        "{}",
        words(&done)
    );
    assert!(files(&place.path("out")).is_empty());
}

#[test]
fn every_file_buffer_of_a_configuration_is_found() {
    let place = Place::new();
    let config = "<match a>
  @type copy
  <store>
    @type file
    @id one
    path DIR/files/a
  </store>
  <store>
    @type http
    @id two
    endpoint http://127.0.0.1:1/
    <buffer user>
      @type file_single
      path DIR/two
    </buffer>
  </store>
</match>
<label @L>
  <match>
    @type null
  </match>
  <match b>
    @type forward
    <server>
      host 127.0.0.1
    </server>
    <buffer>
      @type file
      path DIR/three/x.*.buf
    </buffer>
  </match>
</label>
";
    place.write("fluent.conf", config);
    let listed = json_of(&logweir(&["buffer", "list", "--json", "-c", &place.text("fluent.conf")]));
    let mut found: Vec<_> = listed["buffers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|buffer| buffer["files"].as_str().unwrap().replace(&place.text(""), ""))
        .collect();
    found.sort();
    assert_eq!(found, ["files/a/buffer.*.log", "three/x.*.buf", "two/fsb.*.buf"], "{listed}");
    let many = logweir(&["buffer", "export", "-c", &place.text("fluent.conf"), "--to", &place.text("out")]);
    assert_eq!(many.status.code(), Some(1));
    assert!(words(&many).contains("export takes one buffer"), "{}", words(&many));

    place.write("fluent.conf", &config.replace("three/x.*.buf", "three/x.*.buf\ncompress tight"));
    let listed = logweir(&["buffer", "list", "-c", &place.text("fluent.conf")]);
    assert_eq!(listed.status.code(), Some(1));
    assert!(
        words(&listed).contains("tight") && words(&listed).contains("two/fsb.*.buf"),
        "{}",
        words(&listed)
    );
    place.write("fluent.conf", "<match>\n@type null\n</match>\n");
    let none = logweir(&["buffer", "list", "-c", &place.text("fluent.conf")]);
    assert_eq!(none.status.code(), Some(1));
    assert!(words(&none).contains("names no file buffer"), "{}", words(&none));
    let none = logweir(&["buffer", "cat", &place.text("no"), "-c", &place.text("fluent.conf")]);
    assert!(words(&none).contains("is no buffer of the configuration"), "{}", words(&none));
}

/// The shell sets a limit for the size of files, so that writing fails as on a disk that is full.
#[test]
fn an_export_that_fails_leaves_nothing_behind() {
    let place = Place::new();
    let mut process = place.start("@type file\npath DIR/buf\nflush_interval 1h", "tag");
    place.write_lines(&mut process, 0..100);
    process.kill();
    for there in [false, true] {
        if there {
            fs::create_dir(place.path("out")).unwrap();
        }
        let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" buffer export \"$1\" --to \"$2\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, BINARY, &place.text("buf"), &place.text("out")]);
        let output = shell.stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", words(&output));
        assert!(words(&output).contains("nothing was exported"), "{}", words(&output));
        assert_eq!(place.path("out").exists(), there);
    }
    assert!(files(&place.path("out")).is_empty());
}

#[test]
fn the_key_of_file_single_is_what_the_configuration_says() {
    let place = Place::new();
    fs::create_dir(place.path("buf")).unwrap();
    let name = "fsb.ann.q660ea087c069c0156a206a7dfc7d9983.buf";
    fs::write(place.path("buf").join(name), b"\x92\x05\x81\xa1i\x01").unwrap();
    let guessed = logweir(&["buffer", "list", &place.text("buf")]);
    assert!(
        words(&guessed).contains("tag=ann") && words(&guessed).contains("taken for the tag"),
        "{}",
        words(&guessed)
    );
    let config = "<match>\n@type http\nendpoint http://127.0.0.1:1/\n<buffer user>\n@type file_single\n\
                  path DIR/buf\n</buffer>\n</match>\n";
    place.write("fluent.conf", config);
    for path in [place.text("buf"), place.text(&format!("buf/{name}"))] {
        let known = logweir(&["buffer", "list", &path, "-c", &place.text("fluent.conf")]);
        assert_eq!(known.status.code(), Some(0));
        assert!(
            words(&known).contains("user=\"ann\"") && !words(&known).contains("note:"),
            "{}",
            words(&known)
        );
    }
}

#[test]
fn a_buffer_that_empties_and_fills_meanwhile_is_listed_all_the_time() {
    let place = Place::new();
    let config = "<source>
  @type sample_of_lines
</source>";
    let config = config.replace(
        "@type sample_of_lines",
        "@type tail\n  path DIR/in.log\n  pos_file DIR/in.pos\n  tag app\n  read_from_head true\n  <parse>\n    @type json\n  </parse>",
    );
    let config = format!(
        "{config}
<match app>
  @type file
  path DIR/delivered
  append true
  <buffer []>
    path DIR/buf
    flush_mode immediate
    chunk_limit_records 20
    flush_thread_interval 0.01
    flush_thread_burst_interval 0.01
  </buffer>
</match>
"
    );
    place.write("in.log", "");
    let mut process = Logweir::start(&place.path(""), &config.replace("DIR/", &place.text("")));
    let lines = |range: std::ops::Range<u64>| range.map(line_of).collect::<String>();
    let delivered =
        |place: &Place| fs::read_to_string(place.path("delivered.log")).unwrap_or_default().lines().count();
    let mut written = 0;
    while delivered(&place) < 1000 {
        if written < 1000 {
            append(&place.path("in.log"), &lines(written..written + 50));
            written += 50;
        }
        for action in ["list", "cat"] {
            let output = logweir(&["buffer", action, &place.text("buf")]);
            assert_eq!(output.status.code(), Some(0), "{}", words(&output));
            assert!(output.stderr.is_empty(), "{}", words(&output));
        }
        process.wait("it to run", |_| true);
    }
    assert_eq!(process.stop().code(), Some(0));
    assert_eq!(delivered(&place), 1000);
}

#[test]
fn what_cannot_be_read_is_an_error_and_a_reader_that_leaves_is_none() {
    let place = Place::new();
    place.write("other.log", "a line\n");
    for (path, says) in [("nothing", "No such file"), ("other.log", "no chunk file")] {
        let output = logweir(&["buffer", "list", &place.text(path)]);
        assert_eq!(output.status.code(), Some(1), "{}", words(&output));
        assert!(words(&output).contains(says), "{}", words(&output));
    }
    let id = "660ea087c069c0156a206a7dfc7d9983";
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(BINARY);
    command.args(["buffer", "cat"]).arg(case("resume_http_output")).stdin(Stdio::null()).stdout(writer);
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), words(&output)), (Some(0), String::new()));
    let absent = logweir(&["buffer", "cat", id, case("resume_http_output").to_str().unwrap()]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(words(&absent).contains(&format!("there is no chunk {id} in ")), "{}", words(&absent));
}
