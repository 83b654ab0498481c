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

    /// What Java finds wrong with a specifier, in Java's order.
    fn check(&self) -> std::result::Result<(), String> {
        for flag in self.flags.chars() {
            if self.flags.matches(flag).count() > 1 {
                return Err(format!("DuplicateFormatFlags: Flags = '{flag}'"));
            }
        }
        let kind = self.conversion.to_ascii_lowercase();
        if !"%nbhscdoxefgat".contains(kind) || self.conversion == 'F' {
            let conversion = self.conversion;
            return Err(format!(
                "UnknownFormatConversion: Conversion = '{conversion}'"
            ));
        }
        if kind == 't' && !FIELDS.contains(self.field) {
            let field = self.field;
            return Err(format!("UnknownFormatConversion: Conversion = 't{field}'"));
        }
        if let Some(precision) = self.precision
            && "ct%n".contains(kind)
        {
            return Err(format!("IllegalFormatPrecision: {precision}"));
        }
        let flags_are_wrong = || Err(format!("IllegalFormatFlags: Flags = '{}'", self.flags));
        match (kind, self.width) {
            ('n', Some(width)) => return Err(format!("IllegalFormatWidth: {width}")),
            ('n', None) if !self.flags.is_empty() => return flags_are_wrong(),
            ('%', _) if !matches!(self.flags.as_str(), "" | "-") => return flags_are_wrong(),
            _ => {}
        }
        let is_number = "doxefga".contains(kind);
        let is_filled = self.has('-') || is_number && self.has('0');
        if is_filled && self.width.is_none() {
            return Err(format!("MissingFormatWidth: {}", self.written));
        }
        if is_number && (self.has('-') && self.has('0') || self.has('+') && self.has(' ')) {
            return flags_are_wrong();
        }
        if let Some(precision) = self.precision
            && "dox".contains(kind)
        {
            return Err(format!("IllegalFormatPrecision: {precision}"));
        }
        let allowed = match kind {
            'd' | 'g' => "-+ 0,(",
            'o' | 'x' => "-#0",
            'f' => "-#+ 0,(",
            'e' => "-#+ 0(",
            'a' => "-#+ 0",
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

/// The letters behind `%t`.
const FIELDS: &str = "HIklMSLNpQszZRTrcAaBbhCYyjmdeFD";

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
        specifier.check().map_err(wrong)?;
        match specifier.conversion {
            '%' => literal.push_str(&specifier.padded("%".into())),
            'n' => literal.push('\n'),
            _ => {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Specifier(specifier));
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
    }
    let is_flag = |c: &char| "-#+ 0,(<".contains(*c);
    let mut flags: String = rest.chars().take_while(is_flag).collect();
    rest = &rest[flags.len()..];
    if let Some(at) = flags.find('<') {
        argument = Argument::Last;
        flags.remove(at);
    }
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
            ("%F", "UnknownFormatConversion: Conversion = 'F'"),
            ("%tq", "UnknownFormatConversion: Conversion = 'tq'"),
            (
                "%#s",
                "FormatFlagsConversionMismatch: Conversion = s, Flags = #",
            ),
            (
                "%#g",
                "FormatFlagsConversionMismatch: Conversion = g, Flags = #",
            ),
            (
                "%,a",
                "FormatFlagsConversionMismatch: Conversion = a, Flags = ,",
            ),
            (
                "%05s",
                "FormatFlagsConversionMismatch: Conversion = s, Flags = 0",
            ),
            ("%-n", "IllegalFormatFlags: Flags = '-'"),
            ("%05%", "IllegalFormatFlags: Flags = '0'"),
            ("%-%", "MissingFormatWidth: %-%"),
            ("%.2c", "IllegalFormatPrecision: 2"),
        ];
        for (pattern, reason) in cases {
            let error = pieces(pattern).unwrap_err().to_string();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_breaks_the_reader(pattern in "[%0-9$<.,+#( sdftehané-]{0,12}") {
            let _ = pieces(&pattern);
        }
    }
}
