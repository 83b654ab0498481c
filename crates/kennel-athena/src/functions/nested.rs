//! How a function of arrays, maps and rows is written here, and the tools that such functions share.
//!
//! The types that a function wants depend on each other (`array_union` takes two arrays of one type),
//! so one plain `fn` finds them all. The arguments are cast when the function runs and by this crate's
//! rules: DataFusion's casts match the fields of rows by name.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, UInt64Array, new_null_array,
        },
        buffer::{NullBuffer, OffsetBuffer},
        compute::take,
        datatypes::{DataType, Fields},
        row::{RowConverter, Rows, SortField},
    },
    common::{exec_err, internal_err, plan_err},
    error::Result,
    logical_expr::{
        ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

use super::{
    cast::convert,
    scalar::{Call, evaluate},
    spoken, type_name,
    unify::element_of,
};

/// The types that the arguments are cast to, and the type of the result.
pub(super) struct Typed {
    pub(super) args: Vec<DataType>,
    pub(super) returns: DataType,
}

impl Typed {
    pub(super) fn new(args: impl Into<Vec<DataType>>, returns: DataType) -> Result<Option<Self>> {
        Ok(Some(Self {
            args: args.into(),
            returns,
        }))
    }
}

/// What makes a function.
#[derive(Clone, Copy)]
pub(super) struct Nested {
    /// Trino's name.
    pub(super) name: &'static str,
    /// How it is called, for the message about a wrong call.
    usage: &'static str,
    /// Finds the types from those given; `None` where they do not fit.
    types: fn(&[DataType]) -> Result<Option<Typed>>,
    /// The result: one value per row.
    run: fn(&Call) -> Result<ArrayRef>,
    volatility: Volatility,
}

impl Nested {
    pub(super) const fn new(
        name: &'static str,
        usage: &'static str,
        types: fn(&[DataType]) -> Result<Option<Typed>>,
        run: fn(&Call) -> Result<ArrayRef>,
    ) -> Self {
        Self {
            name,
            usage,
            types,
            run,
            volatility: Volatility::Immutable,
        }
    }

    /// The same, with another result each time.
    pub(super) const fn volatile(mut self) -> Self {
        self.volatility = Volatility::Volatile;
        self
    }

    /// The function, for a session.
    pub(super) fn build(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Function {
            signature: Signature::user_defined(self.volatility),
            nested: self,
        }))
    }
}

impl Nested {
    /// This for arrays, and `other`, which has the same name, for anything else.
    pub(super) fn or(self, other: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Overloaded {
            arrays: self.build(),
            other,
        }))
    }
}

/// A name that means one thing for arrays and another one for text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Overloaded {
    arrays: Arc<ScalarUDF>,
    other: Arc<ScalarUDF>,
}

impl Overloaded {
    fn choose(&self, given: &[DataType]) -> &ScalarUDF {
        let has_array = given.iter().any(|given| element_of(given).is_some());
        if has_array { &self.arrays } else { &self.other }
    }
}

impl ScalarUDFImpl for Overloaded {
    fn name(&self) -> &str {
        self.arrays.name()
    }

    fn signature(&self) -> &Signature {
        self.arrays.signature()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.choose(given).coerce_types(given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.choose(given).return_type(given)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let given: Vec<_> = args.args.iter().map(ColumnarValue::data_type).collect();
        self.choose(&given).invoke_with_args(args)
    }
}

/// The message about a call whose arguments do not fit.
pub(super) fn unexpected<T>(name: &str, given: &[DataType], usage: &str) -> Result<T> {
    let given: Vec<_> = given.iter().map(type_name).collect();
    let name = spoken::name(name);
    plan_err!(
        "Unexpected parameters ({}) for function {name}. Expected: {usage}",
        given.join(", ")
    )
}

struct Function {
    nested: Nested,
    signature: Signature,
}

impl Function {
    fn typed(&self, given: &[DataType]) -> Result<Typed> {
        match (self.nested.types)(given)? {
            Some(typed) => Ok(typed),
            None => unexpected(self.nested.name, given, self.nested.usage),
        }
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.nested.name)
            .finish()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.nested.name == other.nested.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.nested.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.nested.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.typed(given)?;
        Ok(given.to_vec())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(self.typed(given)?.returns)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let given: Vec<_> = args.args.iter().map(ColumnarValue::data_type).collect();
        let typed = self.typed(&given)?;
        let is_volatile = self.nested.volatility == Volatility::Volatile;
        evaluate(
            self.nested.name,
            self.nested.run,
            is_volatile,
            args,
            Some(typed),
        )
    }
}

/// The array in a type that its own coerces to.
pub(super) fn coerced(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if array.data_type() == &DataType::Null && *to != DataType::Null {
        return Ok(new_null_array(to, array.len()));
    }
    convert(array, to, false)
}

/// Offsets from lengths; an error where they pass what Arrow can count.
pub(super) fn offsets(sizes: Vec<usize>) -> Result<OffsetBuffer<i32>> {
    let total = sizes
        .iter()
        .try_fold(0_usize, |sum, size| sum.checked_add(*size));
    if total.is_none_or(|total| i32::try_from(total).is_err()) {
        return exec_err!(
            "the arrays of one batch hold more than {} elements",
            i32::MAX
        );
    }
    Ok(OffsetBuffer::from_lengths(sizes))
}

/// Where the elements of a row's list lie among all its values.
pub(super) fn places(list: &ListArray, row: usize) -> std::ops::Range<usize> {
    if list.is_null(row) {
        return 0..0;
    }
    let offsets = list.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

/// Where the entries of a row's map lie.
pub(super) fn entries(map: &MapArray, row: usize) -> std::ops::Range<usize> {
    if map.is_null(row) {
        return 0..0;
    }
    let offsets = map.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

/// Lists under construction: their elements are taken from other arrays, by place.
#[derive(Default)]
pub(super) struct Lists {
    taken: Vec<Option<u64>>,
    sizes: Vec<usize>,
    valid: Vec<bool>,
}

impl Lists {
    /// A null.
    pub(super) fn null(&mut self) {
        self.sizes.push(0);
        self.valid.push(false);
    }

    /// A list of the elements in these places; `None` is a null element.
    pub(super) fn row(&mut self, places: impl IntoIterator<Item = Option<usize>>) {
        let before = self.taken.len();
        self.taken.extend(
            places
                .into_iter()
                .map(|place| place.map(|place| place as u64)),
        );
        self.sizes.push(self.taken.len() - before);
        self.valid.push(true);
    }

    /// A list of the elements in these places.
    pub(super) fn of(&mut self, places: impl IntoIterator<Item = usize>) {
        self.row(places.into_iter().map(Some));
    }

    /// The elements taken, from `values`.
    fn taken(&self, values: &ArrayRef) -> Result<ArrayRef> {
        Ok(take(
            values.as_ref(),
            &UInt64Array::from(self.taken.clone()),
            None,
        )?)
    }

    /// The lists, with elements from `values`.
    pub(super) fn finish(self, values: &ArrayRef) -> Result<ArrayRef> {
        let values = self.taken(values)?;
        list(values, self.sizes, Some(self.valid))
    }

    /// Maps, with keys and values from these.
    pub(super) fn finish_maps(self, keys: &ArrayRef, values: &ArrayRef) -> Result<ArrayRef> {
        let (keys, values) = (self.taken(keys)?, self.taken(values)?);
        map(keys, values, self.sizes, Some(self.valid))
    }
}

/// A column of lists.
pub(super) fn list(
    values: ArrayRef,
    sizes: Vec<usize>,
    valid: Option<Vec<bool>>,
) -> Result<ArrayRef> {
    let field =
        datafusion::arrow::datatypes::Field::new_list_field(values.data_type().clone(), true);
    Ok(Arc::new(ListArray::try_new(
        Arc::new(field),
        offsets(sizes)?,
        values,
        valid.map(NullBuffer::from),
    )?))
}

/// A column of maps.
pub(super) fn map(
    keys: ArrayRef,
    values: ArrayRef,
    sizes: Vec<usize>,
    valid: Option<Vec<bool>>,
) -> Result<ArrayRef> {
    if keys.logical_null_count() > 0 {
        return exec_err!("map key cannot be null");
    }
    let DataType::Map(entries, sorted) =
        crate::types::map_type(keys.data_type().clone(), values.data_type().clone())
    else {
        return internal_err!("a map has another type");
    };
    let DataType::Struct(entry) = entries.data_type() else {
        return internal_err!("a map without entries");
    };
    let columns = StructArray::try_new(entry.clone(), vec![keys, values], None)?;
    Ok(Arc::new(MapArray::try_new(
        Arc::clone(&entries),
        offsets(sizes)?,
        columns,
        valid.map(NullBuffer::from),
        sorted,
    )?))
}

/// A column of rows without nulls.
pub(super) fn rows(fields: &Fields, columns: Vec<ArrayRef>) -> Result<ArrayRef> {
    Ok(Arc::new(StructArray::try_new(
        fields.clone(),
        columns,
        None,
    )?))
}

/// Argument `index` as a column of lists.
pub(super) fn list_arg(call: &Call, index: usize) -> &ListArray {
    call.args[index].as_list::<i32>()
}

/// Values in a form that can be compared and hashed, whatever their type: equal values (null is equal
/// to null) have equal keys, and keys sort as values do.
pub(super) struct Keys {
    converter: RowConverter,
}

impl Keys {
    pub(super) fn new(data_type: &DataType) -> Result<Self> {
        let converter = RowConverter::new(vec![SortField::new(data_type.clone())])?;
        Ok(Self { converter })
    }

    /// The keys of all values of an array.
    pub(super) fn of(&self, values: &ArrayRef) -> Result<Rows> {
        Ok(self
            .converter
            .convert_columns(std::slice::from_ref(values))?)
    }
}

/// Is there a null? Arrow's arrays of the type `Null` say no.
pub(super) fn is_null(array: &ArrayRef, row: usize) -> bool {
    *array.data_type() == DataType::Null || array.is_null(row)
}

/// Does a value hold a null anywhere inside? Comparisons of such values are undecided in Trino.
pub(super) fn holds_null(array: &ArrayRef, row: usize) -> bool {
    if is_null(array, row) {
        return true;
    }
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            places(list, row).any(|place| holds_null(list.values(), place))
        }
        DataType::Map(..) => {
            let map = array.as_map();
            entries(map, row).any(|place| holds_null(map.values(), place))
        }
        DataType::Struct(_) => array
            .as_struct()
            .columns()
            .iter()
            .any(|column| holds_null(column, row)),
        _ => false,
    }
}
