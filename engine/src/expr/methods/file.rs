//! File and Dir: paths, and reading files. Nothing is written.

use super::{ANY, ClassId, Method, method};
use crate::expr::run::{Args, Eval, Limits, Unwind, Vm};
use crate::expr::value::{OpenFile, Value, to_s};
use std::cell::Cell;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// File.
pub(super) const CLASS: &[Method] = &[
    method("join", 0, ANY, join),
    method("read", 1, 4, read).impure(),
    method("exist?", 1, 1, |vm, _, args| test(vm, args, Path::exists)).impure(),
    method("exists?", 1, 1, |vm, _, args| test(vm, args, Path::exists)).impure(),
    method("file?", 1, 1, |vm, _, args| test(vm, args, Path::is_file)).impure(),
    method("directory?", 1, 1, |vm, _, args| test(vm, args, Path::is_dir)).impure(),
    method("readable?", 1, 1, |vm, _, args| test(vm, args, |path| std::fs::File::open(path).is_ok()))
        .impure(),
    method("size", 1, 1, |vm, _, args| {
        let path = vm.text(args.at(0))?;
        match std::fs::metadata(OsStr::from_bytes(path)) {
            Ok(metadata) => Ok(Value::Int(metadata.len() as i64)),
            Err(error) => Err(io_error(vm, &error, path)),
        }
    })
    .impure(),
    method("zero?", 1, 1, |vm, _, args| test(vm, args, |path| path.metadata().is_ok_and(|m| m.len() == 0)))
        .impure(),
    method("expand_path", 1, 2, expand_path),
    method("absolute_path", 1, 2, expand_path),
    method("realpath", 1, 1, |vm, _, args| {
        let path = vm.text(args.at(0))?;
        match std::fs::canonicalize(OsStr::from_bytes(path)) {
            Ok(full) => vm.new_string(full.as_os_str().as_bytes()),
            Err(error) => Err(io_error(vm, &error, path)),
        }
    })
    .impure(),
    method("basename", 1, 2, basename),
    method("dirname", 1, 1, |vm, _, args| {
        let path = vm.text(args.at(0))?;
        Ok(vm.string(dirname(path)))
    }),
    method("extname", 1, 1, |vm, _, args| {
        let path = vm.text(args.at(0))?;
        Ok(vm.string(extname(last_name(path))))
    }),
    method("split", 1, 1, |vm, _, args| {
        let path = vm.text(args.at(0))?;
        let (dir, name) = (vm.string(dirname(path)), vm.string(last_name(path)));
        vm.array(&[dir, name])
    }),
    method("open", 1, 4, |vm, _, args| open(vm, args)).impure(),
    method("new", 1, 4, |vm, _, args| open(vm, args)).impure(),
    method("readlines", 1, 3, readlines).impure(),
    method("foreach", 1, 3, |vm, receiver, args| {
        let lines = readlines(vm, receiver, args)?;
        match (args.block, super::row("each")) {
            (Some(_), Some(row)) => vm.call(lines, row, Args { list: &[], block: args.block }),
            _ => Ok(lines),
        }
    })
    .impure(),
];

/// IO.
pub(super) const IO: &[Method] =
    &[method("read", 1, 4, read).impure(), method("readlines", 1, 3, readlines).impure()];

/// Dir.
pub(super) const DIR: &[Method] = &[
    method("pwd", 0, 0, pwd).impure(),
    method("getwd", 0, 0, pwd).impure(),
    method("exist?", 1, 1, |vm, _, args| test(vm, args, Path::is_dir)).impure(),
    method("home", 0, 0, |vm, _, _| {
        let home = vm.host().variable(b"HOME").unwrap_or_else(|| b"/".to_vec());
        vm.new_string(&home)
    }),
];

/// An open file.
pub(super) const OPEN: &[Method] = &[
    method("read", 0, 1, |vm, receiver, args| {
        let file = this(vm, receiver)?;
        let rest = &file.content[file.at.get()..];
        let part = match args.given(0) {
            Some(count) => &rest[..vm.count(count, "negative length")?.min(rest.len())],
            None => rest,
        };
        file.at.set(file.at.get() + part.len());
        Ok(vm.string(part))
    }),
    method("gets", 0, 1, |vm, receiver, _| {
        let file = this(vm, receiver)?;
        Ok(next_line(file).map_or(Value::Nil, |line| vm.string(line)))
    }),
    method("readline", 0, 1, |vm, receiver, _| {
        let file = this(vm, receiver)?;
        match next_line(file) {
            Some(line) => Ok(vm.string(line)),
            None => Err(vm.raise(ClassId::IoError, "end of file reached")),
        }
    }),
    method("readlines", 0, 2, |vm, receiver, args| {
        let file = this(vm, receiver)?;
        let rest = vm.string(&file.content[file.at.get()..]);
        file.at.set(file.content.len());
        match super::row("lines") {
            Some(row) => vm.call(rest, row, args),
            None => Ok(rest),
        }
    }),
    method("each_line", 0, 1, |vm, receiver, args| {
        let Some(block) = args.block else { return vm.enumerator(receiver, "each_line", args) };
        let file = this(vm, receiver)?;
        while let Some(line) = next_line(file) {
            let line = vm.string(line);
            vm.yield_one(block, line)?;
        }
        Ok(receiver)
    }),
    method("path", 0, 0, |vm, receiver, _| {
        let path = this(vm, receiver)?.path;
        Ok(vm.string(path))
    }),
    method("size", 0, 0, |vm, receiver, _| Ok(Value::Int(this(vm, receiver)?.content.len() as i64))),
    method("eof?", 0, 0, |vm, receiver, _| {
        let file = this(vm, receiver)?;
        Ok(Value::Bool(file.at.get() >= file.content.len()))
    }),
    method("close", 0, 0, |_, _, _| Ok(Value::Nil)),
];

fn this<'a>(vm: &Vm<'_, 'a>, value: Value<'a>) -> Eval<'a, &'a OpenFile<'a>> {
    match value {
        Value::File(file) => Ok(file),
        other => Err(vm.no_conversion(other, "File")),
    }
}

fn next_line<'a>(file: &'a OpenFile<'a>) -> Option<&'a [u8]> {
    let rest = &file.content[file.at.get()..];
    let line = rest.split_inclusive(|byte| *byte == b'\n').next()?;
    file.at.set(file.at.get() + line.len());
    Some(line)
}

/// `open(path)`, with or without a block. The whole file is read, within the limits of an evaluation.
pub(super) fn open<'p, 'a>(vm: &mut Vm<'p, 'a>, args: Args<'_, 'p, 'a>) -> Eval<'a> {
    let path = vm.text(args.at(0))?;
    let mode = match args.get(1) {
        Some(Value::Str(mode)) => mode.bytes(),
        _ => b"r",
    };
    // Configurations in the wild pass a default text as the mode by mistake, which Ruby refuses too.
    if !matches!(mode, b"r" | b"rb" | b"rt" | b"r:UTF-8" | b"r:utf-8") {
        let shown = String::from_utf8_lossy(mode).into_owned();
        return Err(vm.argument_error(format!("files are only opened for reading (mode {shown})")));
    }
    let content = content(vm, path)?;
    let file = Value::File(vm.arena().alloc(OpenFile { path, content, at: Cell::new(0) }));
    match args.block {
        Some(block) => vm.yield_one(block, file),
        None => Ok(file),
    }
}

fn read<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let path = vm.text(args.at(0))?;
    let content = content(vm, path)?;
    let part = match args.get(1) {
        Some(Value::Int(count)) => &content[..usize::try_from(count).unwrap_or(0).min(content.len())],
        _ => content,
    };
    Ok(vm.string(part))
}

fn readlines<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let path = vm.text(args.at(0))?;
    let content = content(vm, path)?;
    let text = vm.string(content);
    match super::row("lines") {
        Some(row) => vm.call(text, row, Args::of(&args.list[1..])),
        None => Ok(text),
    }
}

fn content<'a>(vm: &mut Vm<'_, 'a>, path: &[u8]) -> Eval<'a, &'a [u8]> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(OsStr::from_bytes(path))
        .and_then(|file| file.take(Limits::BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => vm.copy(&bytes),
        Err(error) => Err(io_error(vm, &error, path)),
    }
}

/// Ruby's words for a failed system call.
fn io_error<'a>(vm: &Vm<'_, 'a>, error: &std::io::Error, path: &[u8]) -> Unwind<'a> {
    let path = String::from_utf8_lossy(path);
    let (class, words) = match error.kind() {
        std::io::ErrorKind::NotFound => (ClassId::NoEntry, "No such file or directory"),
        std::io::ErrorKind::PermissionDenied => (ClassId::NoAccess, "Permission denied"),
        std::io::ErrorKind::IsADirectory => (ClassId::IsDirectory, "Is a directory"),
        std::io::ErrorKind::NotADirectory => (ClassId::NotDirectory, "Not a directory"),
        _ => return vm.raise(ClassId::IoError, format!("{error} @ rb_sysopen - {path}")),
    };
    vm.raise(class, format!("{words} @ rb_sysopen - {path}"))
}

fn test<'a>(vm: &mut Vm<'_, 'a>, args: Args<'_, '_, 'a>, ask: impl Fn(&Path) -> bool) -> Eval<'a> {
    let path = vm.text(args.at(0))?;
    Ok(Value::Bool(ask(Path::new(OsStr::from_bytes(path)))))
}

fn pwd<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, _: Args<'_, '_, 'a>) -> Eval<'a> {
    match std::env::current_dir() {
        Ok(path) => vm.new_string(path.as_os_str().as_bytes()),
        Err(error) => Err(io_error(vm, &error, b".")),
    }
}

/// Parts with single slashes between them.
fn join<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let mut out: Vec<u8> = Vec::new();
    let list = vm.array(args.list)?;
    let parts = match super::row("flatten") {
        Some(row) => vm.call(list, row, Args::of(&[]))?,
        None => list,
    };
    for (at, part) in super::to_list(vm, parts)?.into_iter().enumerate() {
        let part = match part {
            Value::Str(_) => vm.text(part)?,
            other => return Err(vm.no_conversion(other, "String")),
        };
        if at == 0 {
            out.extend_from_slice(part);
            continue;
        }
        match (out.ends_with(b"/"), part.starts_with(b"/")) {
            (true, true) => {
                let kept = out.len() - out.iter().rev().take_while(|byte| **byte == b'/').count();
                out.truncate(kept);
            }
            (false, false) => out.push(b'/'),
            _ => {}
        }
        out.extend_from_slice(part);
    }
    vm.new_string(&out)
}

fn expand_path<'a>(vm: &mut Vm<'_, 'a>, receiver: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let path = vm.text(args.at(0))?;
    let home = vm.host().variable(b"HOME").unwrap_or_else(|| b"/".to_vec());
    let full = match path {
        b"~" => PathBuf::from(OsStr::from_bytes(&home)),
        [b'~', b'/', rest @ ..] => Path::new(OsStr::from_bytes(&home)).join(OsStr::from_bytes(rest)),
        [b'~', ..] => return Err(vm.argument_error("other users' home directories are not supported")),
        _ => {
            let base = match args.given(1) {
                Some(base) => expand_path(vm, receiver, Args::of(&[base]))?,
                None => pwd(vm, receiver, Args::of(&[]))?,
            };
            Path::new(OsStr::from_bytes(to_s(vm, base)?)).join(OsStr::from_bytes(path))
        }
    };
    let mut clean = PathBuf::from("/");
    for part in full.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    vm.new_string(clean.as_os_str().as_bytes())
}

/// What stands behind the last slash, slashes at the end aside.
fn last_name(path: &[u8]) -> &[u8] {
    let trimmed = &path[..path.len() - path.iter().rev().take_while(|byte| **byte == b'/').count()];
    if trimmed.is_empty() && !path.is_empty() {
        return b"/";
    }
    trimmed.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

fn dirname(path: &[u8]) -> &[u8] {
    let trimmed = &path[..path.len() - path.iter().rev().take_while(|byte| **byte == b'/').count()];
    match trimmed.iter().rposition(|byte| *byte == b'/') {
        None if trimmed.is_empty() && !path.is_empty() => b"/",
        None => b".",
        Some(slash) => {
            let dir = &trimmed[..slash];
            let dir = &dir[..dir.len() - dir.iter().rev().take_while(|byte| **byte == b'/').count()];
            if dir.is_empty() { b"/" } else { dir }
        }
    }
}

/// From the last dot of a name on; a dot at either end is none.
fn extname(name: &[u8]) -> &[u8] {
    let start = name.iter().take_while(|byte| **byte == b'.').count();
    match name[start..].iter().rposition(|byte| *byte == b'.') {
        Some(dot) if start + dot > 0 => &name[start + dot..],
        _ => b"",
    }
}

fn basename<'a>(vm: &mut Vm<'_, 'a>, _: Value<'a>, args: Args<'_, '_, 'a>) -> Eval<'a> {
    let path = vm.text(args.at(0))?;
    let name = last_name(path);
    let suffix: &[u8] = match args.get(1) {
        Some(suffix) => vm.text(suffix)?,
        None => b"",
    };
    let suffix = if suffix == b".*" { extname(name) } else { suffix };
    let stripped = name.strip_suffix(suffix).filter(|rest| !rest.is_empty()).unwrap_or(name);
    Ok(vm.string(stripped))
}
