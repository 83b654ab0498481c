//! The functions of one query by which it groups: of texts and their numbers ([`texts`](super::texts)), of several
//! numbers, and of days.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, UInt32Array},
        buffer::{BooleanBuffer, NullBuffer},
        datatypes::{DataType, Date32Type, Field, FieldRef, TimestampMicrosecondType, UInt32Type},
    },
    common::{ScalarValue, exec_err, internal_err},
    error::Result as DataFusionResult,
    logical_expr::{
        ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
        Signature, Volatility,
    },
};

use super::texts::Texts;

const MICROS_A_DAY: i64 = 86_400_000_000;

/// The functions of one query.
#[derive(Debug, Clone)]
pub(super) struct Functions {
    pub(super) texts: Arc<Texts>,
    number_of: Arc<ScalarUDF>,
    text_of: Arc<ScalarUDF>,
    first_of: Arc<ScalarUDF>,
    day_of: Arc<ScalarUDF>,
}

impl Functions {
    pub(super) fn new() -> Self {
        let texts = Arc::new(Texts::default());
        let any = |count| Signature::any(count, Volatility::Immutable);
        let number_of = NumberOf {
            signature: any(1),
            texts: Arc::clone(&texts),
        };
        let text_of = TextOf {
            signature: any(1),
            texts: Arc::clone(&texts),
        };
        let first_of = FirstOf {
            signature: Signature::variadic_any(Volatility::Immutable),
        };
        let day_of = DayOf { signature: any(1) };
        Self {
            texts,
            number_of: Arc::new(number_of.into()),
            text_of: Arc::new(text_of.into()),
            first_of: Arc::new(first_of.into()),
            day_of: Arc::new(day_of.into()),
        }
    }

    /// `UInt32`: the number of a text.
    pub(super) fn number_of(&self, text: Expr) -> Expr {
        self.number_of.call(vec![text])
    }

    /// `Utf8`: the text of a number.
    pub(super) fn text_of(&self, number: Expr) -> Expr {
        self.text_of.call(vec![number])
    }

    /// `UInt32`: the first of these numbers that is not null.
    pub(super) fn first_of(&self, numbers: Vec<Expr>) -> Expr {
        self.first_of.call(numbers)
    }

    /// `Date32`: the day of a `Timestamp(µs, UTC)`.
    pub(super) fn day_of(&self, time: Expr) -> Expr {
        self.day_of.call(vec![time])
    }
}

/// The number of a text; null of null.
#[derive(Debug)]
pub(crate) struct NumberOf {
    signature: Signature,
    texts: Arc<Texts>,
}

/// The text of a number; null of null.
#[derive(Debug)]
struct TextOf {
    signature: Signature,
    texts: Arc<Texts>,
}

/// The first number that is not null.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FirstOf {
    signature: Signature,
}

/// The day of an instant, in UTC. A cast takes each instant apart into year, month and day, and is ten times as slow.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DayOf {
    signature: Signature,
}

/// Functions of one query are the same, those of two are not.
macro_rules! same_texts {
    ($function:ty) => {
        impl PartialEq for $function {
            fn eq(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.texts, &other.texts)
            }
        }

        impl Eq for $function {}

        impl Hash for $function {
            fn hash<H: Hasher>(&self, state: &mut H) {
                Arc::as_ptr(&self.texts).hash(state);
            }
        }
    };
}

same_texts!(NumberOf);
same_texts!(TextOf);

/// A field that is null where all arguments can be (of one argument: where it can be).
fn named_field(name: &str, to: DataType, args: &ReturnFieldArgs<'_>) -> FieldRef {
    let is_nullable = args.arg_fields.iter().all(|field| field.is_nullable());
    Arc::new(Field::new(name, to, is_nullable))
}

fn only(args: ScalarFunctionArgs) -> DataFusionResult<(ArrayRef, bool)> {
    let [value] = args.args.as_slice() else {
        return internal_err!("one argument is wanted");
    };
    let is_scalar = matches!(value, ColumnarValue::Scalar(_));
    Ok((value.to_array(1)?, is_scalar))
}

fn shaped(array: ArrayRef, is_scalar: bool) -> DataFusionResult<ColumnarValue> {
    Ok(match is_scalar {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
        false => ColumnarValue::Array(array),
    })
}

impl ScalarUDFImpl for NumberOf {
    fn name(&self) -> &str {
        "kennel_number_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::UInt32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        Ok(named_field(self.name(), DataType::UInt32, &args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let (array, is_scalar) = only(args)?;
        shaped(Arc::new(self.texts.numbers(&array)?), is_scalar)
    }
}

impl ScalarUDFImpl for TextOf {
    fn name(&self) -> &str {
        "kennel_text_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        Ok(named_field(self.name(), DataType::Utf8, &args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let (array, is_scalar) = only(args)?;
        let Some(numbers) = array.as_primitive_opt::<UInt32Type>() else {
            return exec_err!("texts have numbers of 32 bits");
        };
        shaped(self.texts.texts(numbers)?, is_scalar)
    }
}

impl ScalarUDFImpl for FirstOf {
    fn name(&self) -> &str {
        "kennel_first_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::UInt32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        Ok(named_field(self.name(), DataType::UInt32, &args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let mut is_scalar = true;
        let mut first: Option<UInt32Array> = None;
        for value in &args.args {
            is_scalar &= matches!(value, ColumnarValue::Scalar(_));
            if first.as_ref().is_some_and(|first| first.null_count() == 0) {
                continue;
            }
            let array = value.to_array(args.number_rows)?;
            let Some(next) = array.as_primitive_opt::<UInt32Type>() else {
                return exec_err!("texts have numbers of 32 bits");
            };
            first = Some(match first {
                None => next.clone(),
                Some(first) => or(&first, next),
            });
        }
        match first {
            Some(first) => shaped(Arc::new(first), is_scalar),
            None => internal_err!("an argument is wanted"),
        }
    }
}

/// The first numbers, and where they are null the next.
fn or(first: &UInt32Array, next: &UInt32Array) -> UInt32Array {
    let Some(nulls) = first.nulls() else {
        return first.clone();
    };
    let mut numbers = first.values().to_vec();
    let missing = !nulls.inner();
    for row in missing.set_indices() {
        numbers[row] = next.value(row);
    }
    let is_there = match next.nulls() {
        Some(other) => nulls.inner() | other.inner(),
        None => BooleanBuffer::new_set(numbers.len()),
    };
    UInt32Array::new(numbers.into(), Some(NullBuffer::new(is_there)))
}

impl ScalarUDFImpl for DayOf {
    fn name(&self) -> &str {
        "kennel_day_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Date32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        Ok(named_field(self.name(), DataType::Date32, &args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let (array, is_scalar) = only(args)?;
        let Some(times) = array.as_primitive_opt::<TimestampMicrosecondType>() else {
            return exec_err!("a day is that of an instant in microseconds");
        };
        // 2^63 microseconds are some 107 million days.
        let days = times.unary::<_, Date32Type>(|time| time.div_euclid(MICROS_A_DAY) as i32);
        shaped(Arc::new(days), is_scalar)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{array::TimestampMicrosecondArray, compute::cast};

    use super::*;

    fn called(function: &dyn ScalarUDFImpl, args: Vec<ColumnarValue>) -> ArrayRef {
        let rows = args.iter().find_map(|value| match value {
            ColumnarValue::Array(array) => Some(array.len()),
            ColumnarValue::Scalar(_) => None,
        });
        let arg_fields = args
            .iter()
            .map(|value| Arc::new(Field::new("a", value.data_type(), true)));
        let arg_fields = arg_fields.collect::<Vec<_>>();
        let return_type = function.return_type(&[]).unwrap();
        let number_rows = rows.unwrap_or(1);
        let args = ScalarFunctionArgs {
            args,
            arg_fields,
            number_rows,
            return_field: Arc::new(Field::new("r", return_type, true)),
            config_options: Default::default(),
        };
        let found = function.invoke_with_args(args).unwrap();
        found.into_array(number_rows).unwrap()
    }

    #[test]
    fn the_first_number_that_is_there_is_taken() {
        let functions = Functions::new();
        let column = |numbers: [Option<u32>; 4]| {
            ColumnarValue::Array(Arc::new(UInt32Array::from(numbers.to_vec())))
        };
        let scalar = |number| ColumnarValue::Scalar(ScalarValue::UInt32(number));
        let first = column([Some(1), None, None, Some(0)]);
        let second = column([Some(7), Some(8), None, None]);
        let of = |args| called(functions.first_of.inner().as_ref(), args);
        let expected = UInt32Array::from(vec![Some(1), Some(8), None, Some(0)]);
        assert_eq!(
            of(vec![first.clone(), second.clone()]).as_primitive(),
            &expected
        );
        let expected = UInt32Array::from(vec![1, 8, 9, 0]);
        let found = of(vec![
            first,
            scalar(None),
            second,
            scalar(Some(9)),
            scalar(Some(5)),
        ]);
        assert_eq!(
            found.as_primitive::<UInt32Type>().values(),
            expected.values()
        );
        assert_eq!(found.null_count(), 0);
        let found = of(vec![scalar(None), scalar(Some(3))]);
        assert_eq!(found.as_primitive::<UInt32Type>().value(0), 3);
    }

    #[test]
    fn days_are_those_of_a_cast() {
        let functions = Functions::new();
        let mut micros = vec![
            None,
            Some(0),
            Some(-1),
            Some(-MICROS_A_DAY),
            Some(MICROS_A_DAY - 1),
        ];
        // As far as a cast reaches.
        micros.extend((-50..50).map(|n| Some(n * 51_234_567_890_123)));
        let times: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"));
        let expected = cast(&times, &DataType::Date32).unwrap();
        let found = called(
            functions.day_of.inner().as_ref(),
            vec![ColumnarValue::Array(times)],
        );
        assert_eq!(&found, &expected);
    }
}
