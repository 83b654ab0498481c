//! Makes the committed k9 test data again: `cargo run -p kennel-testkit --bin make-testdata`.
//!
//! Replaces `testdata/k9/guide` and `testdata/k9/guide-next-day` by what `kennel_testkit::fixtures` says now.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use kennel_testkit::fixtures::{BucketOptions, guide, guide_next_day, write_bucket};

fn main() -> io::Result<()> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/k9");
    for (name, world) in [("guide", guide()), ("guide-next-day", guide_next_day())] {
        let folder = testdata.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let written = write_bucket(&world, &folder, &BucketOptions::default())?;
        writeln!(
            io::stdout(),
            "testdata/k9/{name}: {} files, {} bytes, {} rows",
            written.files,
            written.bytes,
            written.rows
        )?;
    }
    Ok(())
}
