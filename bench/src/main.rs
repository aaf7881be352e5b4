//! Load generator and benchmark scenarios.
fn main() {}
