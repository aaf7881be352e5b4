//! The program `logweir`.

fn main() {}
