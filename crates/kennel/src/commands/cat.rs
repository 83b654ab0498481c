//! `kennel cat`: the bytes of a mirrored object.

use std::{fs::File, io};

use kennel_cache::{CacheError, SourceName};

use crate::{context::Context, error::CliError, exit::Exit, text::nearest};

/// Write the bytes of a mirrored object to standard output
///
/// The newest version is written, byte for byte as it was fetched and verified.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  kennel cat k9 hive/parquet/pas/customer_id=C123456/csp=aws/account_id=111122223333/principal-access-summaries.latest.parquet > pas.parquet
  kennel sql -c \"SELECT source, key FROM kennel.objects\"    the keys")]
pub(crate) struct Args {
    /// Name of the source in kennel.toml
    source: SourceName,
    /// Key of the object
    key: String,
}

pub(crate) fn run(args: &Args, cx: &Context) -> Result<Exit, CliError> {
    let cache = cx.cache()?.ok_or_else(|| {
        CliError::from(CacheError::NotFound {
            home: cx.home().to_owned(),
        })
    })?;
    let known = || cache.sources().unwrap_or_default();
    let object = match cache.object(&args.source, &args.key) {
        Ok(object) => object,
        Err(error @ CacheError::UnknownSource { .. }) => {
            let told = CliError::from(error);
            let sources = known();
            return Err(
                match nearest(
                    args.source.as_str(),
                    sources.iter().map(|source| source.name.as_str()),
                ) {
                    Some(name) => told.hint(format!("did you mean `{name}`?")),
                    None => told,
                },
            );
        }
        Err(error) => return Err(error.into()),
    };
    let Some(object) = object else {
        if let Some(bytes) = cache.trail_object_bytes(&args.source, &args.key)? {
            let mut out = cx.printer.stdout();
            io::Write::write_all(&mut out, &bytes)?;
            io::Write::flush(&mut out)?;
            return Ok(Exit::Done);
        }
        if cache.trail_object(&args.source, &args.key)?.is_some() {
            return Err(CliError::new(format!("the bytes of `{}` were not kept", args.key)).hint(
                "`keep_raw = false` keeps only what the tables hold; with `keep_raw = true` later objects are kept",
            ));
        }
        return Err(CliError::new(format!(
            "source `{}` has no object `{}`",
            args.source, args.key
        ))
        .hint(format!(
            "`kennel sql -c \"SELECT key FROM kennel.objects WHERE source = '{}'\"` lists the keys",
            args.source
        )));
    };
    let path = cache.object_path(&object.sha256);
    let mut file = File::open(&path).map_err(|e| {
        CliError::new(format!("cannot read the object `{}`", args.key))
            .cause(&e)
            .hint("`kennel sync --full` fetches it again")
    })?;
    let mut out = cx.printer.stdout();
    io::copy(&mut file, &mut out)?;
    io::Write::flush(&mut out)?;
    Ok(Exit::Done)
}
