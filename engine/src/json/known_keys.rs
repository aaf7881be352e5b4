//! The keys of the text before, for the text that comes next.

use std::cell::RefCell;

use super::block::{block_at, equal};
use super::out::Out;

/// Keys by their place in the order of reading. The lines of one log have the same keys in the same order, so a key is first
/// compared with the one that was at its place the last time; if it is the same, nothing of it needs to be looked for, escaped
/// or hashed, and reading goes on behind it without waiting.
pub(super) struct KnownKeys {
    keys: Vec<KnownKey>,
    next: usize,
}

#[derive(Clone, Copy)]
struct KnownKey {
    /// From its quote to its colon, with the space behind it, and with the quote of its value.
    text: [u8; 32],
    /// A bit for each byte of `text`.
    mask: u32,
    text_size: u8,
    /// As MessagePack.
    encoded: [u8; 32],
    encoded_size: u8,
    opens_string: bool,
    hash: u32,
}

/// A key that was recognised.
pub(super) struct Known {
    /// Where the text goes on.
    pub(super) end: usize,
    /// Whether that is within a string.
    pub(super) opens_string: bool,
    pub(super) hash: u32,
}

/// Places that are remembered; keys of larger records share them.
const PLACES: usize = 64;

thread_local! {
    static KNOWN_KEYS: RefCell<KnownKeys> = const { RefCell::new(KnownKeys { keys: Vec::new(), next: 0 }) };
}

impl KnownKeys {
    /// Lets `read` use the keys of this thread.
    pub(super) fn with<T>(read: impl FnOnce(&mut Self) -> T) -> T {
        KNOWN_KEYS.with(|known| match known.try_borrow_mut() {
            Ok(mut known) => {
                if known.keys.is_empty() {
                    known.keys = vec![KnownKey::NONE; PLACES];
                }
                known.next = 0;
                read(&mut known)
            }
            // Cannot be: reading does not call back. Without memory, it is only slower.
            Err(_) => read(&mut Self { keys: vec![KnownKey::NONE; PLACES], next: 0 }),
        })
    }

    /// Appends the key that begins with the quote at `at` if it is the expected one. Moves on to the next place if so.
    #[inline(always)]
    pub(super) fn recognise(&mut self, text: &[u8], at: usize, out: &mut Out<'_>) -> Option<Known> {
        let expected = self.keys.get(self.next % PLACES)?;
        let recognised = match block_at(text, at) {
            Some(block) => equal(block, &expected.text) & expected.mask == expected.mask,
            None => expected.begins(text.get(at..).unwrap_or_default()),
        };
        if !recognised {
            return None;
        }
        *out.room::<32>()? = expected.encoded;
        out.at += usize::from(expected.encoded_size);
        self.next += 1;
        let end = at + usize::from(expected.text_size);
        Some(Known { end, opens_string: expected.opens_string, hash: expected.hash })
    }

    /// Remembers the key that was spelt `spelt`, its colon included and the quote of its value if it `opens_string`, at this place,
    /// and moves on. Long keys, and those with escapes, are not remembered.
    pub(super) fn remember(&mut self, spelt: &[u8], opens_string: bool, encoded: &[u8], hash: u32) {
        let place = self.next % PLACES;
        self.next += 1;
        let Some(known) = self.keys.get_mut(place) else { return };
        *known = KnownKey::NONE;
        let (Some(text), Some(room)) =
            (known.text.get_mut(..spelt.len()), known.encoded.get_mut(..encoded.len()))
        else {
            return;
        };
        if memchr::memchr(b'\\', spelt).is_some() {
            return;
        }
        text.copy_from_slice(spelt);
        room.copy_from_slice(encoded);
        known.mask = u32::MAX >> (32 - spelt.len());
        known.text_size = spelt.len() as u8;
        known.encoded_size = encoded.len() as u8;
        known.opens_string = opens_string;
        known.hash = hash;
    }
}

impl KnownKey {
    /// Whether the text begins with this key; for the last bytes of a text.
    fn begins(&self, text: &[u8]) -> bool {
        self.text_size > 0
            && text.starts_with(self.text.get(..usize::from(self.text_size)).unwrap_or_default())
    }

    /// Is equal to no text: the mask asks for a byte that no key begins with.
    const NONE: Self = Self {
        text: [0; 32],
        mask: 1,
        text_size: 0,
        encoded: [0; 32],
        encoded_size: 0,
        opens_string: false,
        hash: 0,
    };
}
