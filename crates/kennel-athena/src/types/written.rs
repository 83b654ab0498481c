//! What a query says of a type and Arrow's types do not: lengths of texts and digits of seconds, as the name of
//! a type with `?` for what is not said and `#n` for digits.

/// The types between the brackets of a name of this kind: `array`, `map` or `row`.
pub(crate) fn parts<'a>(name: &'a str, kind: &str) -> Option<Vec<&'a str>> {
    let inner = name.strip_prefix(kind)?.strip_prefix('(')?;
    let inner = inner.strip_suffix(')')?;
    let (mut depth, mut start) = (0_usize, 0);
    let mut parts = vec![];
    for (at, sign) in inner.char_indices() {
        match sign {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(inner[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(inner[start..].trim());
    Some(parts)
}

/// The name of a type with what a query says of it.
pub(crate) fn merged(name: &str, said: &str) -> String {
    if let Some(digits) = said.strip_prefix('#') {
        return with_digits(name, digits);
    }
    if name == "varchar" && said.contains("char(") {
        return said.to_owned();
    }
    for kind in ["array", "map", "row"] {
        if let (Some(parts_named), Some(parts_said)) = (parts(name, kind), parts(said, kind))
            && parts_named.len() == parts_said.len()
        {
            let pairs = parts_named.iter().zip(&parts_said);
            let all: Vec<_> = pairs.map(|(name, said)| merged(name, said)).collect();
            return format!("{kind}({})", all.join(", "));
        }
    }
    name.to_owned()
}

/// The name of a time or timestamp with other digits.
fn with_digits(name: &str, digits: &str) -> String {
    match name.split_once('(') {
        Some((kind @ ("time" | "timestamp"), rest)) => {
            let rest = rest.split_once(')').map_or("", |(_, rest)| rest);
            format!("{kind}({digits}){rest}")
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_their_own_commas() {
        let name = "map(decimal(3, 1), row(bigint, array(date)))";
        let expected = vec!["decimal(3, 1)", "row(bigint, array(date))"];
        assert_eq!(parts(name, "map"), Some(expected));
        assert_eq!(parts("array(date)", "map"), None);
        assert_eq!(parts("map", "map"), None);
        assert_eq!(parts("row(a), b)", "row"), None);
    }

    #[test]
    fn what_is_said_takes_the_place_of_what_is_not_known() {
        for (name, said, expected) in [
            ("varchar", "char(3)", "char(3)"),
            ("bigint", "varchar(3)", "bigint"),
            (
                "map(varchar, bigint)",
                "map(varchar(3), ?)",
                "map(varchar(3), bigint)",
            ),
            (
                "row(array(varchar), timestamp(6) with time zone)",
                "row(array(varchar(2)), #4)",
                "row(array(varchar(2)), timestamp(4) with time zone)",
            ),
            ("row(varchar)", "row(?, varchar(2))", "row(varchar)"),
            ("decimal(3,1)", "#4", "decimal(3,1)"),
        ] {
            assert_eq!(merged(name, said), expected);
        }
    }
}
