//! How a scalar function is written here: its parameters' kinds, its type, one plain `fn`.
//!
//! Arguments are checked and normalised while planning (text becomes `Utf8`, any integer `Int64`,
//! arrays `List`), so that a function meets one Arrow type per kind. A call whose arguments are all
//! constants is evaluated over one row, which lets DataFusion fold it.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StringArray},
        compute::cast,
        datatypes::{DataType, Field, TimeUnit},
    },
    common::{ScalarValue, internal_err, plan_err},
    error::Result,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
    prelude::Expr,
};

use super::{
    nested::{Typed, coerced},
    spoken, type_name,
};
use crate::types::{self, fine::Fine};

/// What an argument may be, and the Arrow type in which the function meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text: `Utf8`.
    Text,
    /// JSON (`LargeUtf8`), or text that holds JSON (`Utf8`).
    Json,
    /// The same, or bytes that hold JSON (`Binary`).
    Read,
    /// Bytes that hold JSON in an encoding (`Binary`).
    Encoded,
    /// JSON: `LargeUtf8`.
    OnlyJson,
    /// Any integer: `Int64`.
    Integer,
    /// An integer of at most 32 bits: `Int32`.
    SmallInteger,
    /// Any integer, as it is.
    WholeNumber,
    /// Any number: `Float64`.
    Double,
    /// Any number, as it is.
    Number,
    /// A date or a timestamp, as it is.
    Moment,
    /// A date, a timestamp or a time of day, as it is.
    MomentOrTime,
    /// Bytes: `Binary`.
    Binary,
    /// Text (`Utf8`) or bytes (`Binary`).
    TextOrBinary,
    /// An IP address, see [`types::ADDRESS`].
    Address,
    /// An array: `List`.
    Array,
    /// A map, as it is.
    Map,
    /// Anything, as it is.
    Any,
}

impl Kind {
    fn accept(self, given: &DataType) -> Option<DataType> {
        let is_number = given.is_numeric();
        Some(match self {
            Self::Any => given.clone(),
            Self::Text if types::is_text(given) || *given == DataType::Null => DataType::Utf8,
            Self::Json | Self::OnlyJson if *given == types::JSON => types::JSON,
            Self::OnlyJson if *given == DataType::Null => types::JSON,
            Self::Json if types::is_text(given) || *given == DataType::Null => DataType::Utf8,
            Self::Read if types::is_binary(given) => DataType::Binary,
            Self::Read => return Self::Json.accept(given),
            Self::Integer if given.is_integer() || *given == DataType::Null => DataType::Int64,
            Self::SmallInteger
                if matches!(given, DataType::Int8 | DataType::Int16 | DataType::Int32)
                    || *given == DataType::Null =>
            {
                DataType::Int32
            }
            Self::WholeNumber if given.is_integer() => given.clone(),
            Self::WholeNumber if *given == DataType::Null => DataType::Int64,
            Self::Double if is_number || *given == DataType::Null => DataType::Float64,
            Self::Number => match given {
                DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                    DataType::Decimal128(*precision, *scale)
                }
                DataType::Null => DataType::Int64,
                given if is_number => given.clone(),
                _ => return None,
            },
            Self::Moment => match given {
                DataType::Date32 | DataType::Timestamp(..) => given.clone(),
                fine if Fine::of(fine).is_some_and(|fine| !fine.is_time()) => given.clone(),
                DataType::Date64 => DataType::Date32,
                DataType::Null => DataType::Timestamp(TimeUnit::Millisecond, None),
                _ => return None,
            },
            Self::MomentOrTime => match given {
                DataType::Time32(_) | DataType::Time64(_) => given.clone(),
                fine if Fine::of(fine).is_some() => given.clone(),
                _ => return Self::Moment.accept(given),
            },
            Self::Binary | Self::Encoded | Self::TextOrBinary if types::is_binary(given) => {
                DataType::Binary
            }
            Self::Binary | Self::Encoded if *given == DataType::Null => DataType::Binary,
            Self::TextOrBinary => return Self::Text.accept(given),
            Self::Address if *given == types::ADDRESS || *given == DataType::Null => types::ADDRESS,
            Self::Array => match given {
                DataType::List(_) => given.clone(),
                DataType::LargeList(element)
                | DataType::ListView(element)
                | DataType::LargeListView(element)
                | DataType::FixedSizeList(element, _) => DataType::List(Arc::clone(element)),
                DataType::Null => DataType::new_list(DataType::Null, true),
                _ => return None,
            },
            Self::Map if matches!(given, DataType::Map(..)) => given.clone(),
            Self::Map if *given == DataType::Null => {
                types::map_type(DataType::Null, DataType::Null)
            }
            _ => return None,
        })
    }

    fn word(self) -> &'static str {
        match self {
            Self::Text => "varchar",
            Self::Json => "json or varchar",
            Self::Read => "varchar, varbinary or json",
            Self::Encoded => "varbinary",
            Self::OnlyJson => "json",
            Self::Integer => "bigint",
            Self::SmallInteger => "integer",
            Self::WholeNumber => "an integer",
            Self::Double | Self::Number => "a number",
            Self::Moment => "date or timestamp",
            Self::MomentOrTime => "date, timestamp or time",
            Self::Binary => "varbinary",
            Self::TextOrBinary => "varchar or varbinary",
            Self::Address => "ipaddress",
            Self::Array => "array",
            Self::Map => "map",
            Self::Any => "anything",
        }
    }
}

/// What is said of an input of the JSON functions that have clauses, whose other arguments nobody wrote.
fn refusal(kind: Kind, given: &DataType) -> Option<String> {
    let how = match kind {
        Kind::Read => "JSON",
        Kind::Encoded => "JSON ENCODING",
        _ => return None,
    };
    let given = type_name(given);
    Some(format!(
        "Cannot read input of type {given} as JSON using formatting {how}"
    ))
}

/// The arguments of one call over one batch.
pub(super) struct Call {
    /// The arguments; each has `rows` values.
    pub(super) args: Vec<ArrayRef>,
    /// Which arguments are constants.
    pub(super) constants: Vec<Option<ScalarValue>>,
    /// Number of rows.
    pub(super) rows: usize,
    /// The type to return.
    pub(super) return_type: DataType,
}

impl Call {
    /// Argument `index` as text; its kind must be [`Kind::Text`].
    pub(super) fn text(&self, index: usize) -> &StringArray {
        self.args[index].as_string::<i32>()
    }

    /// The text of JSON or text.
    pub(super) fn json(&self, index: usize) -> Json<'_> {
        let array = &self.args[index];
        if *array.data_type() == types::JSON {
            Json::Large(array.as_string::<i64>())
        } else {
            Json::Small(array.as_string::<i32>())
        }
    }

    /// The constant text of argument `index`: outer `None` when it is no constant.
    pub(super) fn constant_text(&self, index: usize) -> Option<Option<&str>> {
        self.constants[index]
            .as_ref()
            .map(|value| value.try_as_str().flatten())
    }

    /// Is argument `index` there, and not null in `row`?
    pub(super) fn is_valid(&self, index: usize, row: usize) -> bool {
        self.args
            .get(index)
            .is_some_and(|array| array.is_valid(row))
    }
}

/// A column of JSON texts, typed or not.
#[derive(Clone, Copy)]
pub(super) enum Json<'a> {
    Small(&'a StringArray),
    Large(&'a datafusion::arrow::array::LargeStringArray),
}

impl<'a> Json<'a> {
    /// The text in `row`, unless it is null.
    pub(super) fn get(self, row: usize) -> Option<&'a str> {
        match self {
            Self::Small(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Large(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// Finds the expression of [`Spec::simplify`], or gives the arguments back.
pub(super) type Simplify = fn(Vec<Expr>, &SimplifyContext) -> Result<ExprSimplifyResult>;

/// What makes a function.
#[derive(Clone)]
pub(super) struct Spec {
    /// Trino's name.
    pub(super) name: &'static str,
    /// Other names of the same.
    pub(super) aliases: &'static [&'static str],
    /// Kinds of the parameters; the last one repeats where `variadic`.
    pub(super) params: &'static [Kind],
    /// How many must be given.
    pub(super) least: usize,
    /// Whether more may be given.
    pub(super) variadic: bool,
    /// Whether each call gives another result.
    pub(super) volatile: bool,
    /// The type of the result.
    pub(super) returns: fn(&[DataType]) -> Result<DataType>,
    /// The result: one value per row.
    pub(super) run: fn(&Call) -> Result<ArrayRef>,
    /// An expression that means the same and that DataFusion knows better.
    pub(super) simplify: Option<Simplify>,
}

impl Spec {
    /// A function that takes exactly `params`.
    pub(super) const fn new(
        name: &'static str,
        params: &'static [Kind],
        returns: fn(&[DataType]) -> Result<DataType>,
        run: fn(&Call) -> Result<ArrayRef>,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            params,
            least: params.len(),
            variadic: false,
            volatile: false,
            returns,
            run,
            simplify: None,
        }
    }

    /// The same with fewer arguments allowed.
    pub(super) const fn at_least(mut self, least: usize) -> Self {
        self.least = least;
        self
    }

    /// The same, its last parameter repeated as often as wanted.
    pub(super) const fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }

    /// The same, evaluated anew for each row.
    pub(super) const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// The same under further names.
    pub(super) const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The function, for a session.
    pub(super) fn build(self) -> Arc<ScalarUDF> {
        let aliases = self.aliases.iter().map(|&alias| alias.to_owned()).collect();
        let volatility = if self.volatile {
            Volatility::Volatile
        } else {
            Volatility::Immutable
        };
        Arc::new(ScalarUDF::new_from_impl(Function {
            aliases,
            signature: Signature::user_defined(volatility),
            spec: self,
        }))
    }
}

struct Function {
    spec: Spec,
    aliases: Vec<String>,
    signature: Signature,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.spec.name)
            .finish()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.spec.name == other.spec.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spec.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.spec.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let spec = &self.spec;
        let fits = given.len() >= spec.least && (spec.variadic || given.len() <= spec.params.len());
        let kinds = (0..given.len()).map(|i| spec.params.get(i).or(spec.params.last()));
        let accepted: Option<Vec<_>> = given
            .iter()
            .zip(kinds)
            .map(|(given, kind)| kind.and_then(|kind| kind.accept(given)))
            .collect();
        if let (true, Some(types)) = (fits, accepted) {
            return Ok(types);
        }
        if let (Some(kind), Some(first)) = (spec.params.first(), given.first())
            && let Some(refusal) = refusal(*kind, first)
        {
            return plan_err!("{refusal}");
        }
        let given: Vec<_> = given.iter().map(type_name).collect();
        let wanted: Vec<_> = spec.params.iter().map(|kind| kind.word()).collect();
        let name = spoken::name(spec.name);
        plan_err!(
            "Unexpected parameters ({}) for function {name}. Expected: {name}({}{})",
            given.join(", "),
            wanted.join(", "),
            if spec.variadic { ", …" } else { "" }
        )
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        (self.spec.returns)(given)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluate(
            self.spec.name,
            self.spec.run,
            self.spec.volatile,
            args,
            None,
        )
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match self.spec.simplify {
            Some(simplify) => simplify(args, context),
            None => Ok(ExprSimplifyResult::Original(args)),
        }
    }
}

/// Calls `run` over a batch, or over one row where all arguments are constants; with `wanted`, the
/// arguments are cast to its types first, and the result to the plan's type, by this crate's rules.
pub(super) fn evaluate(
    name: &str,
    run: fn(&Call) -> Result<ArrayRef>,
    is_volatile: bool,
    args: ScalarFunctionArgs,
    wanted: Option<Typed>,
) -> Result<ColumnarValue> {
    let is_scalar = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
    let is_constant = !is_volatile && args.args.iter().all(is_scalar);
    let rows = if is_constant { 1 } else { args.number_rows };
    let constants = args
        .args
        .iter()
        .map(|arg| match arg {
            ColumnarValue::Scalar(value) => Some(value.clone()),
            ColumnarValue::Array(_) => None,
        })
        .collect();
    let planned = args.return_field.data_type();
    let (types, return_type) = match wanted {
        Some(typed) => (Some(typed.args), typed.returns),
        None => (None, planned.clone()),
    };
    let arrays = args.args.into_iter().enumerate().map(|(index, arg)| {
        let array = arg.into_array(rows)?;
        match types.as_ref().and_then(|types| types.get(index)) {
            Some(wanted) => coerced(&array, wanted),
            None => Ok(array),
        }
    });
    let call = Call {
        args: arrays.collect::<Result<_>>()?,
        constants,
        rows,
        return_type,
    };
    let result = run(&call)?;
    if result.len() != rows {
        return internal_err!("{name} returned {} rows for {rows}", result.len());
    }
    // Kinds of nested types differ in the names of fields only; the plan's names win.
    let result = match types {
        _ if result.data_type() == planned => result,
        Some(_) => coerced(&result, planned)?,
        None => cast(&result, planned)?,
    };
    if is_constant {
        let value = ScalarValue::try_from_array(&result, 0)?;
        return Ok(ColumnarValue::Scalar(value));
    }
    Ok(ColumnarValue::Array(result))
}

pub(super) fn boolean(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::Boolean)
}

pub(super) fn bigint(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::Int64)
}

pub(super) fn double(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::Float64)
}

pub(super) fn varchar(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::Utf8)
}

pub(super) fn varbinary(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::Binary)
}

pub(super) fn integer(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::Int32)
}

pub(super) fn json(_: &[DataType]) -> Result<DataType> {
    Ok(types::JSON)
}

/// The type of the first argument.
pub(super) fn same(given: &[DataType]) -> Result<DataType> {
    match given.first() {
        Some(first) => Ok(first.clone()),
        None => internal_err!("a function of one argument was called with none"),
    }
}

/// The type of the elements of the first argument.
pub(super) fn element(given: &[DataType]) -> Result<DataType> {
    match given.first() {
        Some(DataType::List(element)) => Ok(element.data_type().clone()),
        other => internal_err!("expected an array, got {other:?}"),
    }
}

pub(super) fn varchar_array(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::List(Arc::new(Field::new_list_field(
        DataType::Utf8,
        true,
    ))))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Refused {
    message: String,
    signature: Signature,
}

/// See [`super::refused`].
pub(super) fn refused(message: &str) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Refused {
        message: message.to_owned(),
        signature: Signature::nullary(Volatility::Immutable),
    }))
}

impl ScalarUDFImpl for Refused {
    fn name(&self) -> &str {
        "__refused"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        plan_err!("{}", self.message)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        plan_err!("{}", self.message)
    }
}
