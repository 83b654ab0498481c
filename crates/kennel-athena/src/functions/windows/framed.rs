//! Functions of the rows in a frame: aggregates, and the first, last or n-th value.

use std::{ops::Range, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, UInt64Array},
        compute::{SortOptions, filter, take},
        datatypes::{DataType, Field, FieldRef, Int64Type, Schema, TimeUnit},
    },
    common::{ScalarValue, exec_err, plan_err},
    error::Result,
    logical_expr::{
        Accumulator, AggregateUDF, Expr, PartitionEvaluator, Signature, Volatility, WindowFrame,
        WindowFunctionDefinition, WindowUDF, WindowUDFImpl,
        function::{AccumulatorArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs},
        lit,
        planner::RawWindowExpr,
        type_coercion::functions::fields_with_udf,
    },
    physical_expr::{PhysicalExpr, expressions::Column},
};

use super::{
    bounds::{self, Frame},
    shifted::{check_whole, given, nullable},
};
use crate::functions::type_name;

/// The function of a window over a frame of this module's.
pub(super) fn replace(window: &mut RawWindowExpr, frame: Frame, offsets: Vec<Expr>) {
    let inner = match (window.func_def.name(), &window.func_def) {
        ("first_value", _) => Inner::First,
        ("last_value", _) => Inner::Last,
        ("nth_value", _) => Inner::Nth,
        (_, WindowFunctionDefinition::AggregateUDF(aggregate)) => {
            Inner::Aggregate(Arc::clone(aggregate))
        }
        // Ranks know no frames.
        (_, WindowFunctionDefinition::WindowUDF(_)) => return,
    };
    if window.args.is_empty() || matches!(window.args.as_slice(), [arg] if is_wildcard(arg)) {
        window.args = vec![lit(1_i64)];
    }
    let name = format!("{} over {frame}", window.func_def.name());
    let options = window.order_by.iter().map(|key| SortOptions {
        descending: !key.asc,
        nulls_first: key.nulls_first,
    });
    let framed = Framed {
        name,
        inner,
        frame,
        options: options.collect(),
        width: window.args.len(),
        is_filtered: window.filter.is_some(),
        signature: Signature::user_defined(Volatility::Immutable),
    };
    let keys = window.order_by.iter().map(|key| key.expr.clone());
    window.args.extend(keys);
    window.args.extend(offsets);
    window
        .args
        .extend(window.filter.take().map(|filter| *filter));
    window.func_def = WindowFunctionDefinition::WindowUDF(Arc::new(WindowUDF::from(framed)));
    window.window_frame = WindowFrame::new(None);
}

fn is_wildcard(expr: &Expr) -> bool {
    #[expect(deprecated, reason = "the planner makes it of `count(*)` nevertheless")]
    let is_wildcard = matches!(expr, Expr::Wildcard { .. });
    is_wildcard
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Inner {
    Aggregate(Arc<AggregateUDF>),
    First,
    Last,
    Nth,
}

/// Takes the arguments of the function, the keys, the offsets, and the condition of `FILTER`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Framed {
    name: String,
    inner: Inner,
    frame: Frame,
    options: Vec<SortOptions>,
    /// The number of the function's own arguments.
    width: usize,
    is_filtered: bool,
    signature: Signature,
}

impl Framed {
    /// The types of all arguments.
    fn types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let (own, rest) = given.split_at(self.width.min(given.len()));
        let (keys, rest) = rest.split_at(self.options.len().min(rest.len()));
        let (offsets, condition) = match self.is_filtered {
            true => rest.split_at(rest.len().saturating_sub(1)),
            false => (rest, [].as_slice()),
        };
        let mut types = self.own_types(own)?;
        match keys {
            [key] if self.frame.measures_key() => types.extend(self.range_types(key, offsets)?),
            keys => {
                types.extend_from_slice(keys);
                for offset in offsets {
                    let is_whole =
                        offset.is_integer() || matches!(offset, DataType::Decimal128(_, 0));
                    if !is_whole {
                        return plan_err!(
                            "Window frame {} value type must be exact numeric type with scale 0 (actual {})",
                            self.frame.units.to_string().to_uppercase(),
                            type_name(offset)
                        );
                    }
                    types.push(DataType::Int64);
                }
            }
        }
        types.extend(condition.iter().map(|_| DataType::Boolean));
        Ok(types)
    }

    fn own_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match (&self.inner, given) {
            (Inner::Aggregate(aggregate), given) => {
                let fields = given.iter().map(|given| -> FieldRef {
                    Arc::new(Field::new("argument", given.clone(), true))
                });
                let fields = fields.collect::<Vec<_>>();
                let Ok(coerced) = fields_with_udf(&fields, aggregate.as_ref()) else {
                    let given = given.iter().map(type_name).collect::<Vec<_>>();
                    return plan_err!(
                        "unexpected parameters ({}) for function {}",
                        given.join(", "),
                        aggregate.name()
                    );
                };
                Ok(coerced
                    .iter()
                    .map(|field| field.data_type().clone())
                    .collect())
            }
            (Inner::First | Inner::Last, [value]) => Ok(vec![value.clone()]),
            (Inner::Nth, [value, place]) => {
                check_whole("nth_value", place)?;
                Ok(vec![value.clone(), DataType::Int64])
            }
            _ => plan_err!("{} has another number of arguments", self.name),
        }
    }

    /// The types of the key and of the offsets.
    fn range_types(&self, key: &DataType, offsets: &[DataType]) -> Result<Vec<DataType>> {
        let is_span = |given: &DataType| matches!(given, DataType::Interval(_));
        let common = match key {
            number if number.is_numeric() => number_of(key, offsets),
            DataType::Date32 => key.clone(),
            DataType::Timestamp(TimeUnit::Second, zone) => {
                DataType::Timestamp(TimeUnit::Millisecond, zone.clone())
            }
            DataType::Timestamp(..) => key.clone(),
            span if is_span(span) => key.clone(),
            _ => {
                return plan_err!(
                    "Window frame of type RANGE PRECEDING or FOLLOWING requires that sort item type be numeric, datetime or interval (actual: {})",
                    type_name(key)
                );
            }
        };
        let mut types = vec![common.clone()];
        for offset in offsets {
            let fits = match key {
                number if number.is_numeric() => offset.is_numeric(),
                span if is_span(span) => offset == span,
                _ => is_span(offset),
            };
            if !fits {
                return plan_err!(
                    "Window frame RANGE value type ({}) not compatible with sort item type ({})",
                    type_name(offset),
                    type_name(key)
                );
            }
            types.push(match key.is_numeric() {
                true => common.clone(),
                false => offset.clone(),
            });
        }
        Ok(types)
    }
}

/// A type in which the offsets can be added to the key.
fn number_of(key: &DataType, offsets: &[DataType]) -> DataType {
    let mut all = offsets.iter().chain([key]);
    if all.clone().any(DataType::is_floating) {
        return DataType::Float64;
    }
    let scales = all.by_ref().filter_map(|given| match given {
        DataType::Decimal128(_, scale) => Some(*scale),
        _ => None,
    });
    scales
        .max()
        .map_or(DataType::Int64, |scale| DataType::Decimal128(38, scale))
}

impl WindowUDFImpl for Framed {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What is wrong with them is said by [`field`](Self::field): an error of this would be another one's words.
    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(self.types(given).unwrap_or_else(|_| given.to_vec()))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        self.types(&given(&args))?;
        match &self.inner {
            Inner::Aggregate(aggregate) => {
                let own = args.input_fields().get(..self.width).unwrap_or_default();
                let field = aggregate.return_field(own)?;
                Ok(Arc::new(field.as_ref().clone().with_name(args.name())))
            }
            _ => nullable(&args),
        }
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        let own = args.input_fields().get(..self.width).unwrap_or_default();
        let function = match &self.inner {
            Inner::Aggregate(aggregate) => Function::Aggregate(Aggregate::new(aggregate, own)?),
            Inner::First => Function::First,
            Inner::Last => Function::Last,
            Inner::Nth => Function::Nth,
        };
        Ok(Box::new(Evaluator {
            function,
            frame: self.frame,
            options: self.options.clone(),
            width: self.width,
            ignores_nulls: args.ignore_nulls(),
            is_filtered: self.is_filtered,
        }))
    }
}

#[derive(Debug)]
enum Function {
    Aggregate(Aggregate),
    First,
    Last,
    Nth,
}

#[derive(Debug)]
struct Evaluator {
    function: Function,
    frame: Frame,
    options: Vec<SortOptions>,
    width: usize,
    ignores_nulls: bool,
    is_filtered: bool,
}

impl PartitionEvaluator for Evaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let (own, rest) = values.split_at(self.width.min(values.len()));
        let (keys, rest) = rest.split_at(self.options.len().min(rest.len()));
        let (offsets, condition) = match self.is_filtered {
            true => rest.split_at(rest.len().saturating_sub(1)),
            false => (rest, [].as_slice()),
        };
        let mut offsets = offsets.iter();
        let mut of = |bound: bounds::Bound| bound.has_offset().then(|| offsets.next()).flatten();
        let rows = bounds::Rows {
            count: num_rows,
            keys,
            options: &self.options,
            offsets: [of(self.frame.start), of(self.frame.end)],
        };
        let frames = bounds::frames(self.frame, &rows)?;
        match &self.function {
            Function::Aggregate(aggregate) => aggregate.evaluate(own, condition.first(), frames),
            function => self.chosen(function, own, &frames),
        }
    }
}

impl Evaluator {
    /// A value of each frame.
    fn chosen(
        &self,
        function: &Function,
        own: &[ArrayRef],
        frames: &[Range<usize>],
    ) -> Result<ArrayRef> {
        let Some(value) = own.first() else {
            return exec_err!("a window function lacks its argument");
        };
        // The rows that count, and for each row how many of them come before it.
        let counts = |row: &usize| !self.ignores_nulls || value.is_valid(*row);
        let places: Vec<usize> = (0..value.len()).filter(counts).collect();
        let mut chosen = Vec::with_capacity(frames.len());
        for (row, frame) in frames.iter().enumerate() {
            let within = |end: usize| places.partition_point(|place| *place < end);
            let rows = &places[within(frame.start)..within(frame.end)];
            let place = match function {
                Function::Last => rows.len().checked_sub(1),
                Function::Nth => nth(own, row)?,
                _ => Some(0),
            };
            let found = place.and_then(|place| rows.get(place));
            chosen.push(found.map(|found| *found as u64));
        }
        Ok(take(value, &UInt64Array::from(chosen), None)?)
    }
}

/// The place that is asked for in a row, counted from zero.
fn nth(own: &[ArrayRef], row: usize) -> Result<Option<usize>> {
    let Some(places) = own.get(1) else {
        return exec_err!("nth_value lacks its offset");
    };
    let places = places.as_primitive::<Int64Type>();
    if places.is_null(row) {
        return Ok(None);
    }
    match usize::try_from(places.value(row)) {
        Ok(place) if place > 0 => Ok(Some(place - 1)),
        _ => exec_err!("Offset must be at least 1"),
    }
}

/// An aggregate, and what its accumulators are made with.
#[derive(Debug)]
struct Aggregate {
    function: Arc<AggregateUDF>,
    fields: Vec<FieldRef>,
    schema: Schema,
    returns: FieldRef,
}

impl Aggregate {
    fn new(function: &Arc<AggregateUDF>, fields: &[FieldRef]) -> Result<Self> {
        Ok(Self {
            function: Arc::clone(function),
            fields: fields.to_vec(),
            schema: Schema::new(fields.to_vec()),
            returns: function.return_field(fields)?,
        })
    }

    fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        let columns = self.fields.iter().enumerate();
        let columns = columns.map(|(place, field)| -> Arc<dyn PhysicalExpr> {
            Arc::new(Column::new(field.name(), place))
        });
        let columns = columns.collect::<Vec<_>>();
        let args = || AccumulatorArgs {
            return_field: Arc::clone(&self.returns),
            schema: &self.schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: self.function.name(),
            is_distinct: false,
            exprs: &columns,
            expr_fields: &self.fields,
        };
        match self.function.create_sliding_accumulator(args()) {
            Ok(sliding) if sliding.supports_retract_batch() => Ok(sliding),
            _ => self.function.accumulator(args()),
        }
    }

    /// The aggregate of each frame. Where a frame goes on from the one before, rows enter and leave it.
    fn evaluate(
        &self,
        own: &[ArrayRef],
        condition: Option<&ArrayRef>,
        frames: Vec<Range<usize>>,
    ) -> Result<ArrayRef> {
        let rows = |range: Range<usize>| -> Result<Vec<ArrayRef>> {
            let length = range.len();
            let slices = own.iter().map(|array| array.slice(range.start, length));
            let Some(condition) = condition else {
                return Ok(slices.collect());
            };
            let condition = condition.slice(range.start, length);
            let kept = slices.map(|slice| Ok(filter(&slice, condition.as_boolean())?));
            kept.collect()
        };
        let mut accumulator = self.accumulator()?;
        let mut seen = 0..0;
        let mut results = Vec::with_capacity(frames.len());
        for frame in frames {
            let is_ahead = frame.start >= seen.start && frame.end >= seen.end;
            let leaves = seen.start..frame.start;
            let goes_on = is_ahead
                && frame.start <= seen.end
                && (leaves.is_empty() || accumulator.supports_retract_batch());
            if !goes_on {
                accumulator = self.accumulator()?;
                seen = frame.start..frame.start;
            } else if !leaves.is_empty() {
                accumulator.retract_batch(&rows(leaves)?)?;
            }
            if frame.end > seen.end {
                accumulator.update_batch(&rows(seen.end..frame.end)?)?;
            }
            seen = frame;
            results.push(accumulator.evaluate()?);
        }
        ScalarValue::iter_to_array(results)
    }
}
