//! Looks at 32 bytes of text at once. Bit n of a mask is about byte n.

/// The block that begins at `at`, unless the text ends within it.
#[inline(always)]
pub(super) fn block_at(text: &[u8], at: usize) -> Option<&[u8; 32]> {
    text.get(at..)?.first_chunk()
}

/// Which bytes are quotes or backslashes.
#[inline(always)]
pub(super) fn quotes_and_backslashes(block: &[u8; 32]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the function needs SSE2, which every x86-64 processor has: it is part of the architecture.
    unsafe {
        sse2::quotes_and_backslashes(block)
    }
    #[cfg(not(target_arch = "x86_64"))]
    bytewise::quotes_and_backslashes(block)
}

/// Which bytes are the same in both.
#[inline(always)]
pub(super) fn equal(block: &[u8; 32], other: &[u8; 32]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the function needs SSE2, which every x86-64 processor has: it is part of the architecture.
    unsafe {
        sse2::equal(block, other)
    }
    #[cfg(not(target_arch = "x86_64"))]
    bytewise::equal(block, other)
}

/// Which bytes must be escaped in JSON: quotes, backslashes, control characters.
#[inline(always)]
pub(super) fn must_escape(block: &[u8; 32]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the function needs SSE2, which every x86-64 processor has: it is part of the architecture.
    unsafe {
        sse2::must_escape(block)
    }
    #[cfg(not(target_arch = "x86_64"))]
    bytewise::must_escape(block)
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set1_epi8,
    };

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn quotes_and_backslashes(block: &[u8; 32]) -> u32 {
        let mask = |half: __m128i| {
            let quotes = _mm_cmpeq_epi8(half, _mm_set1_epi8(b'"' as i8));
            let backslashes = _mm_cmpeq_epi8(half, _mm_set1_epi8(b'\\' as i8));
            _mm_movemask_epi8(_mm_or_si128(quotes, backslashes)) as u32
        };
        mask(half::<1>(block)) << 16 | mask(half::<0>(block))
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn equal(block: &[u8; 32], other: &[u8; 32]) -> u32 {
        let low = _mm_movemask_epi8(_mm_cmpeq_epi8(half::<0>(block), half::<0>(other)));
        let high = _mm_movemask_epi8(_mm_cmpeq_epi8(half::<1>(block), half::<1>(other)));
        (high as u32) << 16 | low as u32
    }

    #[target_feature(enable = "sse2")]
    #[inline]
    pub(super) fn must_escape(block: &[u8; 32]) -> u32 {
        let mask = |half: __m128i| {
            let quotes = _mm_cmpeq_epi8(half, _mm_set1_epi8(b'"' as i8));
            let backslashes = _mm_cmpeq_epi8(half, _mm_set1_epi8(b'\\' as i8));
            // The smaller of a byte and 0x1f is the byte itself.
            let controls = _mm_cmpeq_epi8(_mm_min_epu8(half, _mm_set1_epi8(0x1f)), half);
            _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), controls)) as u32
        };
        mask(half::<1>(block)) << 16 | mask(half::<0>(block))
    }

    /// One half of a block.
    #[target_feature(enable = "sse2")]
    #[inline]
    fn half<const N: usize>(block: &[u8; 32]) -> __m128i {
        let (halves, _) = block.as_chunks::<16>();
        // SAFETY: the pointer is to 16 bytes that are borrowed; the load needs no alignment.
        unsafe { _mm_loadu_si128(halves[N].as_ptr().cast()) }
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod bytewise {
    pub(super) fn quotes_and_backslashes(block: &[u8; 32]) -> u32 {
        (0..32).fold(0, |mask, at| mask | u32::from(matches!(block[at], b'"' | b'\\')) << at)
    }

    pub(super) fn must_escape(block: &[u8; 32]) -> u32 {
        (0..32).fold(0, |mask, at| mask | u32::from(matches!(block[at], 0..0x20 | b'"' | b'\\')) << at)
    }

    pub(super) fn equal(block: &[u8; 32], other: &[u8; 32]) -> u32 {
        (0..32).fold(0, |mask, at| mask | u32::from(block[at] == other[at]) << at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_agree() {
        let block = |seed: u32| -> [u8; 32] {
            std::array::from_fn(|at| {
                let noise = seed.wrapping_add(at as u32).wrapping_mul(2_654_435_761) >> 16;
                b"\"\\a\xff\x80\xa2\xdc!#[\x1f\x20\0\n"[(noise % 14) as usize]
            })
        };
        for seed in 0..4096 {
            let (block, other) = (block(seed), block(seed * 7 + 1));
            assert_eq!(quotes_and_backslashes(&block), bytewise::quotes_and_backslashes(&block));
            assert_eq!(must_escape(&block), bytewise::must_escape(&block));
            assert_eq!(equal(&block, &other), bytewise::equal(&block, &other));
            assert_eq!(equal(&block, &block), u32::MAX);
        }
    }
}
