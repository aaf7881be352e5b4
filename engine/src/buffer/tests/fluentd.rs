//! Directories that Fluentd left behind.

use super::*;

const HEX: &str = "660ea087c069c0156a206a7dfc7d9983";
/// `[time, {"i": 1, "s": "é"}], [time, {"i": 2, "n": nil}]` as Fluentd 1.16.5 wrote them.
const DATA: &[u8] = b"\x92\xd7\x00\x65\x93\x7d\x25\x00\x00\x00\x00\x82\xa1i\x01\xa1s\xa2\xc3\xa9\
    \x92\xd7\x00\x65\x93\x7d\x26\x00\x00\x00\x01\x82\xa1i\x02\xa1n\xc0";
/// tag left.over, two records, created and modified at 0x6b03c10d.
const META: &[u8] = b"\xc1\x00\x00\x00\x00\x4e\x88\xa7timekey\xc0\xa3tag\xa9left.over\xa9variables\xc0\xa3seq\x00\
    \xa2id\xc4\x10\x66\x0e\xa0\x87\xc0\x69\xc0\x15\x6a\x20\x6a\x7d\xfc\x7d\x99\x83\xa1s\x02\xa1c\xce\x6b\x03\xc1\x0d\
    \xa1m\xce\x6b\x03\xc1\x0d";

fn leave(place: &Place, name: &str, bytes: &[u8]) {
    std::fs::create_dir_all(place.buffer_dir()).unwrap();
    std::fs::write(place.buffer_dir().join(name), bytes).unwrap();
}

fn log(state: char) -> String {
    format!("buffer.{state}{HEX}.log")
}

fn meta(state: char) -> String {
    format!("buffer.{state}{HEX}.log.meta")
}

#[test]
fn a_staged_chunk_is_staged_delivered_and_removed() {
    let place = Place::new();
    leave(&place, &log('b'), DATA);
    leave(&place, &meta('b'), META);
    let buffer = place.open();
    assert_eq!((buffer.stats().staged_chunks, buffer.stats().staged_bytes), (1, DATA.len() as u64));
    append(&buffer, vec![part("left.over", 3..4)]).unwrap();
    assert_eq!(buffer.stats().staged_chunks, 2, "nothing is appended to Fluentd's files");
    buffer.enqueue_where(|chunk| chunk.created().secs() == 0x6b03_c10d);
    let chunk = buffer.take().unwrap();
    assert_eq!((chunk.id().hex().as_str(), chunk.records()), (HEX, 2));
    assert_eq!(chunk.metadata().tag, Some(Tag::new("left.over")));
    assert_eq!(chunk.read().unwrap(), DATA);
    assert_eq!((chunk.deliveries(), chunk.begin_delivery().unwrap()), (1, 2), "Fluentd may have sent it");
    assert_eq!(place.names().len(), 3, "untouched until it is delivered");
    buffer.purge(chunk.id());
    buffer.settle();
    assert_eq!(place.names().len(), 1);
    assert_eq!(drain(&buffer), [all("left.over", &[3])]);
}

#[test]
fn a_queued_chunk_is_queued_and_keeps_its_place_by_its_time() {
    let place = Place::new();
    leave(&place, &log('q'), DATA);
    leave(&place, &meta('q'), META);
    let later = META.to_vec();
    let later = [&later[..later.len() - 1], &[0xff]].concat();
    let other = HEX.replace("66", "11");
    leave(&place, &format!("buffer.q{other}.log"), DATA);
    let id_at = later.windows(2).position(|w| w == b"\x66\x0e").unwrap();
    let mut later = later;
    later[id_at] = 0x11;
    leave(&place, &format!("buffer.q{other}.log.meta"), &later);
    let buffer = place.open();
    let ids: Vec<_> = std::iter::from_fn(|| buffer.take()).map(|chunk| chunk.id().hex()).collect();
    assert_eq!(ids, [HEX.to_owned(), HEX.replacen("66", "11", 1)]);
}

#[test]
fn a_chunk_without_meta_is_queued_without_metadata() {
    let place = Place::new();
    leave(&place, &log('b'), DATA);
    let buffer = place.open();
    let chunk = buffer.take().unwrap();
    assert!(chunk.metadata().is_empty());
    assert_eq!((chunk.id().hex().as_str(), chunk.records()), (HEX, 2));
}

#[test]
fn an_empty_meta_file_makes_a_broken_chunk() {
    for rubbish in [&b""[..], &META[..20], b"\xc1\x00\x00\x00\x00\x02\x01\x02"] {
        let place = Place::new();
        leave(&place, &log('b'), DATA);
        leave(&place, &meta('b'), rubbish);
        let buffer = place.open();
        assert_eq!(place.names(), Vec::<String>::new());
        assert_eq!(place.backups(), [format!("{HEX}.log")]);
        assert_eq!(std::fs::read(place.dir.path().join("backup").join(format!("{HEX}.log"))).unwrap(), DATA);
        append(&buffer, vec![part("new", 9..10)]).unwrap();
        assert_eq!(drain(&buffer), [all("new", &[9])]);
    }
}

/// A chunk of ours gets the name of a queued one, and what had it would be gone.
#[test]
fn a_file_with_the_name_of_a_chunk_of_ours_is_set_aside() {
    let place = Place::new();
    let buffer = place.open();
    append(&buffer, vec![part("a", 0..3)]).unwrap();
    kill(buffer);
    let path = place.chunk_file();
    let queued = path.to_str().unwrap().replace("buffer.b", "buffer.q");
    std::fs::write(&queued, "not ours").unwrap();
    assert_eq!(drain(&place.open()), [all("a", &[0, 1, 2])]);
    let backups = place.backups();
    assert_eq!(backups.len(), 1, "{backups:?}");
    assert_eq!(std::fs::read(place.dir.path().join("backup").join(&backups[0])).unwrap(), b"not ours");
}

#[test]
fn an_empty_chunk_is_broken() {
    let place = Place::new();
    leave(&place, &log('q'), b"");
    leave(&place, &meta('q'), META);
    let buffer = place.open();
    assert!(place.names().is_empty() && buffer.take().is_none());
}

#[test]
fn a_compressed_chunk_is_inflated() {
    let place = Place::new();
    let member = |bytes: &'static [u8]| {
        compress::squeeze(&bytes::Bytes::from_static(bytes), Compression::Gzip).unwrap()
    };
    let data = [member(&DATA[..20]), member(&DATA[20..])].concat();
    leave(&place, &log('q'), &data);
    leave(&place, &meta('q'), META);
    let buffer = place.open();
    let chunk = buffer.take().unwrap();
    assert_eq!(chunk.read().unwrap(), DATA);
    assert_eq!(chunk.raw_bodies().unwrap()[0].bytes, data);
}

#[test]
fn an_entry_cut_off_at_the_end_is_left_out() {
    let place = Place::new();
    leave(&place, &log('q'), &DATA[..DATA.len() - 2]);
    leave(&place, &meta('q'), META);
    let buffer = place.open();
    assert_eq!(buffer.take().unwrap().read().unwrap(), &DATA[..20]);
}

#[test]
fn formatted_text_is_delivered_as_it_is() {
    let place = Place::new();
    leave(&place, &log('b'), b"{\"i\":1}\n{\"i\":2}\n");
    let buffer = place.open_with(Settings { formatted: true, ..place.settings() });
    let chunk = buffer.take().unwrap();
    assert!(chunk.is_formatted());
    assert_eq!((chunk.read().unwrap().len(), chunk.records()), (16, 2));
}

#[test]
fn what_workers_left_behind_is_found() {
    let place = Place::new();
    let worker = place.buffer_dir().join("worker1");
    std::fs::create_dir_all(&worker).unwrap();
    std::fs::write(worker.join(log('b')), DATA).unwrap();
    std::fs::write(worker.join(meta('b')), META).unwrap();
    let mut settings = place.settings();
    let Store::File(files) = &mut settings.store else { unreachable!() };
    files.files.also = vec![worker.clone(), place.buffer_dir().join("worker2")];
    let buffer = place.open_with(settings);
    buffer.enqueue_all();
    buffer.purge(buffer.take().unwrap().id());
    buffer.settle();
    assert_eq!(names(&worker), Vec::<String>::new());
}

#[test]
fn file_single_has_its_key_in_the_name() {
    let place = Place::new();
    leave(&place, &format!("fsb.a.b%2Fc.b{HEX}.buf"), DATA);
    let mut settings = place.settings();
    let Store::File(files) = &mut settings.store else { unreachable!() };
    (files.files.prefix, files.files.suffix) = ("fsb".to_owned(), ".buf".to_owned());
    files.files.single = Some(SingleKey::Tag);
    let buffer = place.open_with(settings.clone());
    append(&buffer, vec![part("a.b/c", 3..4)]).unwrap();
    assert!(place.names().iter().all(|name| name.starts_with("fsb.a.b%2Fc.b") && name.ends_with(".buf")));
    buffer.enqueue_all();
    buffer.settle();
    let chunks: Vec<_> = std::iter::from_fn(|| buffer.take()).collect();
    assert_eq!(chunks.iter().map(|chunk| chunk.records()).collect::<Vec<_>>(), [2, 1]);
    assert!(chunks.iter().all(|chunk| chunk.metadata().tag == Some(Tag::new("a.b/c"))));
    kill(buffer);

    let Store::File(files) = &mut settings.store else { unreachable!() };
    files.files.single = Some(SingleKey::Field("user".into()));
    let buffer = place.open_with(settings);
    buffer.enqueue_all();
    let users: Vec<_> = std::iter::from_fn(|| buffer.take())
        .filter_map(|chunk| chunk.metadata().variable("user").map(<[u8]>::to_vec))
        .collect();
    assert_eq!(users, [b"\xa5a.b/c"]);
}

#[test]
fn a_meta_file_that_is_left_over_is_removed() {
    let place = Place::new();
    leave(&place, &meta('q'), META);
    leave(&place, "other.meta", b"not ours");
    place.open();
    assert_eq!(place.names(), ["other.meta"]);
}
