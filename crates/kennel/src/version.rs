//! `kennel --version`, and with `-v` how this kennel was built.

use datafusion::{
    DATAFUSION_VERSION, arrow::ARROW_VERSION, parquet::file::properties::DEFAULT_CREATED_BY,
};

/// One line.
pub(crate) const VERSION: &str = concat!("kennel ", env!("CARGO_PKG_VERSION"));

/// The facts of the build, one a line.
pub(crate) fn build_facts() -> String {
    let commit = match env!("KENNEL_COMMIT") {
        "" => "not recorded",
        commit => commit,
    };
    let parquet = DEFAULT_CREATED_BY.rsplit(' ').next().unwrap_or_default();
    [
        VERSION.to_owned(),
        format!("commit:     {commit}"),
        format!("profile:    {}", env!("KENNEL_PROFILE")),
        format!("target:     {}", env!("KENNEL_TARGET")),
        format!("compiler:   {}", env!("KENNEL_RUSTC")),
        format!("datafusion: {DATAFUSION_VERSION}"),
        format!("arrow:      {ARROW_VERSION}"),
        format!("parquet:    {parquet}"),
    ]
    .join("\n")
}

/// Whether words that ask for the version also ask for more of it.
pub(crate) fn is_verbose<'a>(mut words: impl Iterator<Item = &'a str>) -> bool {
    words.any(|word| {
        let is_cluster = word.starts_with('-') && !word.starts_with("--");
        word == "--verbose" || (is_cluster && word.contains('v'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v_may_stand_before_behind_or_beside_the_version() {
        let asks = |text: &str| is_verbose(text.split(' '));
        for text in [
            "--version -v",
            "-v --version",
            "-V -v",
            "-Vv",
            "--verbose -V",
        ] {
            assert!(asks(text), "{text}");
        }
        for text in ["--version", "-V", "-V -q"] {
            assert!(!asks(text), "{text}");
        }
    }

    #[test]
    fn the_build_knows_its_target_and_its_engine() {
        let facts = build_facts();
        assert!(facts.contains(DATAFUSION_VERSION), "{facts}");
        assert!(!facts.contains("target:     \n"), "{facts}");
    }
}
