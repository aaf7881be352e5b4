//! Digest::MD5, Digest::SHA1, Digest::SHA256, Zlib.crc32.

use super::random::hex;
use super::{ClassId, Method, method};
use crate::expr::run::{Args, Eval, Vm};
use crate::expr::value::{Str, Value};
use sha2::Digest as _;

/// The digest classes.
pub(super) const CLASS: &[Method] = &[
    method("hexdigest", 1, 1, |vm, receiver, args| {
        let bytes = digest(vm, receiver, args)?;
        vm.new_string(hex(&bytes).as_bytes())
    }),
    method("digest", 1, 1, |vm, receiver, args| {
        let bytes = digest(vm, receiver, args)?;
        let bytes = vm.copy(&bytes)?;
        Ok(Value::Str(vm.arena().alloc(Str::binary(bytes))))
    }),
    method("base64digest", 1, 1, |vm, receiver, args| {
        let bytes = digest(vm, receiver, args)?;
        vm.new_string(super::base64::encoded(&bytes, false).as_bytes())
    }),
];

/// Zlib.
pub(super) const ZLIB: &[Method] = &[method("crc32", 1, 2, |vm, _, args| {
    let text = vm.text(args.at(0))?;
    vm.step(text.len() / 64)?;
    let start = args.int_or(vm, 1, 0)?;
    let mut hasher = crc32fast::Hasher::new_with_initial(start as u32);
    hasher.update(text);
    Ok(Value::Int(i64::from(hasher.finalize())))
})];

fn digest<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a, Vec<u8>> {
    let text = vm.text(args.at(0))?;
    vm.step(text.len() / 16)?;
    Ok(match receiver {
        Value::Class(ClassId::Md5) => md5::Md5::digest(text).to_vec(),
        Value::Class(ClassId::Sha1) => sha1::Sha1::digest(text).to_vec(),
        _ => sha2::Sha256::digest(text).to_vec(),
    })
}
