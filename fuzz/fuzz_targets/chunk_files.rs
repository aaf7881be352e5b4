#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| logweir_fuzz::chunk_files(data));
