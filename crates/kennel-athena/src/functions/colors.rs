//! Colours for terminals: `color`, `rgb`, `render`, `bar`.
//!
//! A colour is a number: `0xRRGGBB`, or -1 to -8 for those that a terminal has names for.
//!
//! Source: Trino manual, "Color functions".

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{ArrayRef, AsArray},
        datatypes::{DataType, Int64Type},
    },
    common::exec_err,
    error::Result,
    logical_expr::ScalarUDF,
};

use super::{
    cast::double_text,
    nested::{Nested, Typed},
    opaque,
    scalar::Call,
};
use crate::types::{self, is_text};

pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    [
        Nested::new(
            "color",
            "color(varchar), color(double, color, color), color(double, double, double, color, color)",
            color_types,
            color,
        ),
        Nested::new(
            "rgb",
            "rgb(red, green, blue)",
            |given| match given {
                [_, _, _] if given.iter().all(is_integer) => {
                    Typed::new(vec![DataType::Int64; 3], color_type())
                }
                _ => Ok(None),
            },
            rgb,
        ),
        Nested::new(
            "render",
            "render(boolean), render(x, color)",
            render_types,
            render,
        ),
        Nested::new(
            "bar",
            "bar(double, bigint[, color, color])",
            |given| match given {
                [x, width] if is_number(x) && is_integer(width) => {
                    Typed::new([DataType::Float64, DataType::Int64], DataType::Utf8)
                }
                [x, width, low, high]
                    if is_number(x) && is_integer(width) && is_color(low) && is_color(high) =>
                {
                    let args = [DataType::Float64, DataType::Int64, color_type(), color_type()];
                    Typed::new(args, DataType::Utf8)
                }
                _ => Ok(None),
            },
            bar,
        ),
    ]
    .map(Nested::build)
    .into()
}

fn color_type() -> DataType {
    types::opaque("color", DataType::Int64)
}

fn is_color(given: &DataType) -> bool {
    *given == color_type() || *given == DataType::Null
}

fn is_number(given: &DataType) -> bool {
    given.is_numeric() || *given == DataType::Null
}

fn is_integer(given: &DataType) -> bool {
    given.is_integer() || *given == DataType::Null
}

fn color_types(given: &[DataType]) -> Result<Option<Typed>> {
    let (numbers, colors) = match given {
        [text] if is_text(text) || *text == DataType::Null => {
            return Typed::new([DataType::Utf8], color_type());
        }
        [_, _, _] => given.split_at(1),
        [_, _, _, _, _] => given.split_at(3),
        _ => return Ok(None),
    };
    if !numbers.iter().all(is_number) || !colors.iter().all(is_color) {
        return Ok(None);
    }
    let mut args = vec![DataType::Float64; numbers.len()];
    args.extend([color_type(), color_type()]);
    Typed::new(args, color_type())
}

const NAMES: [&str; 8] = [
    "black", "red", "green", "yellow", "blue", "magenta", "cyan", "white",
];

fn read(text: &str) -> Result<i64> {
    let digits: Option<Vec<i64>> = text
        .strip_prefix('#')
        .map(|digits| {
            digits
                .chars()
                .map(|digit| digit.to_digit(16).map(i64::from))
        })
        .and_then(Iterator::collect);
    if let Some([red, green, blue]) = digits.as_deref() {
        return Ok(red * 0x11_0000 + green * 0x1100 + blue * 0x11);
    }
    match NAMES
        .iter()
        .position(|name| text.eq_ignore_ascii_case(name))
    {
        Some(place) => Ok(-1 - place as i64),
        None => exec_err!("Invalid color: '{text}'"),
    }
}

fn color(call: &Call) -> Result<ArrayRef> {
    if call.args.len() == 1 {
        let texts = call.text(0);
        let colors = call.to_integers(|row| read(texts.value(row)).map(Some))?;
        return opaque::wrap(colors, &call.return_type);
    }
    let numbers = call.args.len() - 2;
    let colors = [numbers, numbers + 1].map(|index| opaque::held(&call.args[index]));
    let [low, high] = [0, 1].map(|index: usize| colors[index].as_primitive::<Int64Type>());
    let mixed = call.to_integers(|row| {
        let value = call.doubles(0).value(row);
        let fraction = match numbers {
            3 => {
                let (from, to) = (call.doubles(1).value(row), call.doubles(2).value(row));
                (value - from) / (to - from)
            }
            _ => value,
        };
        let (low, high) = (low.value(row), high.value(row));
        if low < 0 {
            return exec_err!("lowColor not a valid RGB color");
        }
        if high < 0 {
            return exec_err!("highColor not a valid RGB color");
        }
        Ok(Some(between(fraction.clamp(0.0, 1.0) as f32, low, high)))
    })?;
    opaque::wrap(mixed, &call.return_type)
}

fn rgb(call: &Call) -> Result<ArrayRef> {
    let colors = call.to_integers(|row| {
        let mut color = 0;
        for (index, name) in ["red", "green", "blue"].into_iter().enumerate() {
            let part = call.integers(index).value(row);
            if !(0..=255).contains(&part) {
                return exec_err!("{name} must be between 0 and 255");
            }
            color = color << 8 | part;
        }
        Ok(Some(color))
    })?;
    opaque::wrap(colors, &call.return_type)
}

fn parts(color: i64) -> [i64; 3] {
    [color >> 16 & 0xff, color >> 8 & 0xff, color & 0xff]
}

/// Hue, saturation and brightness, each from 0 to 1.
fn to_hsb(color: i64) -> [f32; 3] {
    let [red, green, blue] = parts(color);
    let greatest = red.max(green).max(blue);
    let width = (greatest - red.min(green).min(blue)) as f32;
    let brightness = greatest as f32 / 255.0;
    if greatest == 0 || width == 0.0 {
        return [0.0, 0.0, brightness];
    }
    let [r, g, b] = [red, green, blue].map(|part| (greatest - part) as f32 / width);
    let hue = if red == greatest {
        b - g
    } else if green == greatest {
        2.0 + r - b
    } else {
        4.0 + g - r
    } / 6.0;
    let hue = if hue < 0.0 { hue + 1.0 } else { hue };
    [hue, width / greatest as f32, brightness]
}

fn from_hsb([hue, saturation, brightness]: [f32; 3]) -> i64 {
    let part = |value: f32| (value * 255.0 + 0.5) as i64;
    let whole = part(brightness);
    if saturation == 0.0 {
        return whole << 16 | whole << 8 | whole;
    }
    let h = (hue - hue.floor()) * 6.0;
    let f = h - h.floor();
    let p = part(brightness * (1.0 - saturation));
    let q = part(brightness * (1.0 - saturation * f));
    let t = part(brightness * (1.0 - saturation * (1.0 - f)));
    let [red, green, blue] = match h as u8 {
        0 => [whole, t, p],
        1 => [q, whole, p],
        2 => [p, whole, t],
        3 => [p, q, whole],
        4 => [t, p, whole],
        _ => [whole, p, q],
    };
    red << 16 | green << 8 | blue
}

/// The colour that lies so far between two others, by hue, saturation and brightness.
fn between(fraction: f32, low: i64, high: i64) -> i64 {
    let (low, high) = (to_hsb(low), to_hsb(high));
    let at = |index: usize| fraction * (high[index] - low[index]) + low[index];
    from_hsb([at(0), at(1), at(2)])
}

const RESET: &str = "\u{1b}[0m";

/// What switches a terminal of 256 colours to one.
fn escape(color: i64) -> String {
    let index = if color < 0 {
        -color - 1
    } else {
        let [red, green, blue] = parts(color).map(|part| part * 6 / 256);
        16 + red * 36 + green * 6 + blue
    };
    format!("\u{1b}[38;5;{index}m")
}

fn render_types(given: &[DataType]) -> Result<Option<Typed>> {
    match given {
        [DataType::Boolean | DataType::Null] => Typed::new([DataType::Boolean], DataType::Utf8),
        [value, color] if is_color(color) => {
            let value = match value {
                value if value.is_integer() => DataType::Int64,
                value if value.is_numeric() => DataType::Float64,
                value if is_text(value) || *value == DataType::Null => DataType::Utf8,
                _ => return Ok(None),
            };
            Typed::new([value, color_type()], DataType::Utf8)
        }
        _ => Ok(None),
    }
}

fn render(call: &Call) -> Result<ArrayRef> {
    if call.args.len() == 1 {
        let values = call.args[0].as_boolean();
        return call.to_texts(|row| {
            let (color, sign) = if values.value(row) {
                (-3, '✓')
            } else {
                (-2, '✗')
            };
            Ok(Some(format!("{}{sign}{RESET}", escape(color))))
        });
    }
    let colors = opaque::held(&call.args[1]);
    let colors = colors.as_primitive::<Int64Type>();
    call.to_texts(|row| {
        let text = match call.args[0].data_type() {
            DataType::Int64 => call.integers(0).value(row).to_string(),
            DataType::Float64 => double_text(call.doubles(0).value(row)),
            _ => call.text(0).value(row).to_owned(),
        };
        Ok(Some(format!("{}{text}{RESET}", escape(colors.value(row)))))
    })
}

/// Widest bar that is drawn.
const WIDEST: i64 = 10_000;

fn bar(call: &Call) -> Result<ArrayRef> {
    let colors: Vec<_> = call.args[2..].iter().map(opaque::held).collect();
    let color = |index: usize, row: usize, other: i64| {
        let given = colors.get(index);
        given.map_or(other, |colors| {
            colors.as_primitive::<Int64Type>().value(row)
        })
    };
    call.to_texts(|row| {
        let width = call.integers(1).value(row);
        if width > WIDEST {
            return exec_err!("a bar is at most {WIDEST} characters wide");
        }
        let (low, high) = (color(0, row, 0xff_0000), color(1, row, 0x00_ff00));
        if low < 0 || high < 0 {
            return exec_err!("color is not a valid rgb value");
        }
        let filled = (call.doubles(0).value(row) * width as f64) as i64;
        let filled = filled.min(width).max(0);
        let mut bar = String::new();
        for place in 0..filled {
            // A bar of one character divides by zero, as Trino's does: it has the low colour.
            let fraction = place as f64 / (width - 1) as f64;
            let fraction = if fraction.is_finite() { fraction } else { 0.0 };
            bar.push_str(&escape(between(fraction as f32, low, high)));
            bar.push('█');
        }
        bar.push_str(RESET);
        bar.extend(std::iter::repeat_n(' ', (width - filled).max(0) as usize));
        Ok(Some(bar))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colors_are_read_and_mixed_as_trino_does() {
        assert_eq!(read("WHITE").unwrap(), -8);
        assert_eq!(read("#0f0").unwrap(), 0x00_ff00);
        assert!(read("#0f").is_err());
        assert!(read("#0fg").is_err());
        assert_eq!(between(0.5, 0, 0xff_ffff), 0x80_8080);
        assert_eq!(between(0.5, 0xff_0000, 0xff_ff00), 0xff_8000);
        assert_eq!(escape(0x00_00ff), "\u{1b}[38;5;21m");
    }

    proptest! {
        #[test]
        fn ends_of_a_range_are_its_colors(low in 0_i64..0x100_0000, high in 0_i64..0x100_0000) {
            for (fraction, expected) in [(0.0, low), (1.0, high)] {
                let found = parts(between(fraction, low, high));
                let off = found.iter().zip(parts(expected)).map(|(a, b)| (a - b).abs());
                prop_assert!(off.max() <= Some(1), "{found:?} for {expected:x}");
            }
        }
    }
}
