//! kennel: the front door.
fn main() {}
