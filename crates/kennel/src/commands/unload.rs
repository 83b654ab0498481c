//! `UNLOAD (…) TO 'file:///…'`: a result as a file in a folder of its own.

use std::{fs, path::Path};

use kennel_engine::{Caveat, Unload, UnloadFormat};

use crate::{
    context::Context,
    error::CliError,
    output::{Format, Look, target::Target, text::TextWriter, write_stream, writer},
};

/// The one file of the folder, without its extension.
const FILE: &str = "part-00000";

/// Writes the file and says so; returns what the rows lack.
///
/// The folder must be empty or not be there, as in Athena: a result is never mixed with an older one.
pub(crate) async fn write(unload: Unload, cx: &Context) -> Result<Vec<Caveat>, CliError> {
    let Unload {
        answer,
        folder,
        format,
        notes,
    } = unload;
    let is_new = prepare(&folder)?;
    let done = write_file(&folder, format, answer, cx).await;
    if done.is_err() && is_new {
        // Empty again: what was unfinished is gone.
        let _left = fs::remove_dir(&folder);
    }
    let (path, row_count, caveats) = done?;
    cx.printer
        .info(&format!("wrote {row_count} rows to {}", path.display()));
    notes
        .iter()
        .for_each(|note| cx.printer.info(&format!("note: {note}")));
    Ok(caveats)
}

/// Makes the folder; says whether it was not there.
fn prepare(folder: &Path) -> Result<bool, CliError> {
    let name = folder.display();
    match fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(false),
            Some(_) => Err(CliError::new(format!("the folder `{name}` is not empty"))
                .hint("UNLOAD writes into an empty or a new folder")),
        },
        Err(_) if folder.exists() => Err(CliError::new(format!("`{name}` is no folder"))),
        Err(_) => match fs::create_dir_all(folder) {
            Ok(()) => Ok(true),
            Err(e) => Err(CliError::new(format!("cannot create the folder `{name}`")).cause(&e)),
        },
    }
}

async fn write_file(
    folder: &Path,
    format: UnloadFormat,
    answer: kennel_engine::Answer,
    cx: &Context,
) -> Result<(std::path::PathBuf, u64, Vec<Caveat>), CliError> {
    let (form, extension) = match format {
        UnloadFormat::Parquet => (Format::Parquet, "parquet"),
        UnloadFormat::Json => (Format::Jsonl, "json"),
        UnloadFormat::Text { .. } => (Format::Csv, "txt"),
    };
    let path = folder.join(format!("{FILE}.{extension}"));
    let mut target = Target::open(Some(&path), form, &[FILE.to_owned()])?;
    let mut writer = match format {
        UnloadFormat::Text { delimiter } => Box::new(TextWriter::new(delimiter)),
        _ => writer(form, &answer.schema, Look::default()),
    };
    let (mut out, _) = target.place(0, &cx.printer);
    let row_count = write_stream(answer.stream, writer.as_mut(), None, &mut out).await?;
    std::io::Write::flush(&mut out)?;
    drop(out);
    target.finish()?;
    Ok((path, row_count, answer.caveats))
}
