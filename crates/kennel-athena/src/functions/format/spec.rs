//! Java's format strings, taken apart: `%[number$][flags][width][.precision]conversion`.

use datafusion::{common::exec_datafusion_err, error::Result};

/// Which argument a specifier shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    Next,
    Last,
    Number(usize),
}

/// One specifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spec {
    /// As it is written.
    pub(super) written: String,
    pub(super) argument: Argument,
    pub(super) flags: String,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    /// `s`, `d`, `t` and so on; a capital letter asks for capital letters.
    pub(super) conversion: char,
    /// The field behind `t`.
    pub(super) field: char,
}

/// Text as it is, or a specifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Specifier(Spec),
}

/// The widest value; wider ones would take all memory for one typing error.
const WIDEST: usize = 1 << 20;

impl Spec {
    pub(super) fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    /// Filled up with blanks, on the side that `-` says.
    pub(super) fn padded(&self, text: String) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        let blanks = " ".repeat(missing);
        if self.has('-') {
            text + &blanks
        } else {
            blanks + &text
        }
    }

    /// What Java finds wrong with a specifier.
    fn check(&self) -> std::result::Result<(), String> {
        let kind = self.conversion.to_ascii_lowercase();
        for flag in self.flags.chars() {
            if self.flags.matches(flag).count() > 1 {
                return Err(format!("DuplicateFormatFlags: Flags = '{flag}'"));
            }
        }
        if (self.has('-') || self.has('0')) && self.width.is_none() {
            return Err(format!("MissingFormatWidth: {}", self.written));
        }
        if self.has('-') && self.has('0') || self.has('+') && self.has(' ') {
            return Err(format!("IllegalFormatFlags: Flags = '{}'", self.flags));
        }
        if let Some(precision) = self.precision
            && "doxct".contains(kind)
        {
            return Err(format!("IllegalFormatPrecision: {precision}"));
        }
        let allowed = match kind {
            'd' => "-+ 0,(",
            'o' | 'x' => "-#0",
            'f' | 'g' => "-#+ 0,(",
            'e' => "-#+ 0(",
            's' => "-#",
            _ => "-",
        };
        match self.flags.chars().find(|flag| !allowed.contains(*flag)) {
            Some(flag) => Err(format!(
                "FormatFlagsConversionMismatch: Conversion = {kind}, Flags = {flag}"
            )),
            None => Ok(()),
        }
    }
}

/// Takes a format string apart.
///
/// # Errors
/// An execution error with Java's reason.
pub(super) fn pieces(pattern: &str) -> Result<Vec<Piece>> {
    let wrong = |what: String| exec_datafusion_err!("Invalid format string: {pattern} ({what})");
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        literal.push_str(&rest[..at]);
        let written = &rest[at..];
        let (specifier, length) = read(written)
            .ok_or_else(|| wrong("UnknownFormatConversion: Conversion = '%'".into()))?;
        rest = &written[length..];
        match specifier.conversion {
            '%' => literal.push_str(&specifier.padded("%".into())),
            'n' => {
                if let Some(width) = specifier.width {
                    return Err(wrong(format!("IllegalFormatWidth: {width}")));
                }
                literal.push('\n');
            }
            conversion if "bBsScCdoxXeEfgGtT".contains(conversion) => {
                specifier.check().map_err(wrong)?;
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Specifier(specifier));
            }
            other => {
                return Err(wrong(format!(
                    "UnknownFormatConversion: Conversion = '{other}'"
                )));
            }
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// The specifier at the beginning, and its length in bytes.
fn read(text: &str) -> Option<(Spec, usize)> {
    let mut rest = text.strip_prefix('%')?;
    let digits = |rest: &str| rest.bytes().take_while(u8::is_ascii_digit).count();
    let mut argument = Argument::Next;
    let length = digits(rest);
    if length > 0 && rest[length..].starts_with('$') {
        argument = Argument::Number(rest[..length].parse().ok()?);
        rest = &rest[length + 1..];
    } else if let Some(after) = rest.strip_prefix('<') {
        argument = Argument::Last;
        rest = after;
    }
    let flags: String = rest
        .chars()
        .take_while(|c| "-#+ 0,(".contains(*c))
        .collect();
    rest = &rest[flags.len()..];
    let mut width = None;
    let length = digits(rest);
    if length > 0 {
        width = Some(
            rest[..length]
                .parse()
                .ok()
                .filter(|width| *width <= WIDEST)?,
        );
        rest = &rest[length..];
    }
    let mut precision = None;
    if let Some(after) = rest.strip_prefix('.') {
        let length = digits(after);
        precision = Some(after.get(..length)?.parse().ok().filter(|p| *p <= WIDEST)?);
        rest = &after[length..];
    }
    let conversion = rest.chars().next()?;
    rest = &rest[conversion.len_utf8()..];
    let mut field = ' ';
    if conversion.eq_ignore_ascii_case(&'t') {
        field = rest.chars().next()?;
        rest = &rest[field.len_utf8()..];
    }
    let length = text.len() - rest.len();
    let spec = Spec {
        written: text[..length].to_owned(),
        argument,
        flags,
        width,
        precision,
        conversion,
        field,
    };
    Some((spec, length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_are_javas() {
        let cases = [
            ("%.4d", "IllegalFormatPrecision: 4"),
            ("%-02d", "IllegalFormatFlags: Flags = '-0'"),
            ("%--2d", "DuplicateFormatFlags: Flags = '-'"),
            (
                "%+s",
                "FormatFlagsConversionMismatch: Conversion = s, Flags = +",
            ),
            ("%-s", "MissingFormatWidth: %-s"),
            ("%5n", "IllegalFormatWidth: 5"),
            ("%q", "UnknownFormatConversion: Conversion = 'q'"),
            ("%", "UnknownFormatConversion: Conversion = '%'"),
        ];
        for (pattern, reason) in cases {
            let error = pieces(pattern).unwrap_err().to_string();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_breaks_the_reader(pattern in "[%0-9$<.,+#( sdfteé-]{0,12}") {
            let _ = pieces(&pattern);
        }
    }
}
