//! The check must be able to fail: on a file system that breaks its contract, seeds fail.

use super::*;

/// How many of 60 seeds fail, and how.
fn caught(lie: Lie) -> Vec<String> {
    let seeds: Vec<u64> = (0..60).collect();
    let caught = Mutex::new(Vec::new());
    let unexpected = run(&seeds, |seed| {
        if let Err(what) = lives(seed, Some(lie)) {
            caught.lock().unwrap().push(what);
        }
        Ok(())
    });
    assert!(unexpected.is_empty(), "{unexpected:?}");
    caught.into_inner().unwrap()
}

#[test]
fn a_device_that_only_says_that_it_has_synced_is_found_out() {
    for lie in [Lie::SyncData, Lie::SyncDir, Lie::HideFailures] {
        let caught = caught(lie);
        assert!(caught.iter().any(|what| what.starts_with("lost")), "{lie:?}: {caught:?}");
    }
}
