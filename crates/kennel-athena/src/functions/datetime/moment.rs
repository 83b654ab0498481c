//! A column of dates or timestamps, of whatever unit, as points in the calendar.

use chrono::NaiveDateTime;
use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, Int64Array},
        compute::cast,
        datatypes::{DataType, Int64Type, TimeUnit},
    },
    common::exec_err,
    error::Result,
};

use super::{
    text_to_time::{array, units},
    time_to_text::instant,
};

/// Dates or timestamps.
pub(super) struct Moments {
    data_type: DataType,
    unit: TimeUnit,
    values: Int64Array,
}

impl Moments {
    pub(super) fn new(given: &ArrayRef) -> Result<Self> {
        let data_type = given.data_type().clone();
        let (unit, values) = match &data_type {
            DataType::Date32 => {
                let seconds = cast(given, &DataType::Timestamp(TimeUnit::Second, None))?;
                (TimeUnit::Second, cast(&seconds, &DataType::Int64)?)
            }
            DataType::Timestamp(unit, _) => (*unit, cast(given, &DataType::Int64)?),
            other => return exec_err!("{other} is neither date nor timestamp"),
        };
        let values = values.as_primitive::<Int64Type>().clone();
        Ok(Self {
            data_type,
            unit,
            values,
        })
    }

    pub(super) fn is_date(&self) -> bool {
        self.data_type == DataType::Date32
    }

    /// The moment in a row; `None` for null.
    pub(super) fn get(&self, row: usize) -> Option<NaiveDateTime> {
        self.values
            .is_valid(row)
            .then(|| instant(self.values.value(row), self.unit))
            .flatten()
    }

    /// An array of the same type.
    pub(super) fn of_same_type(&self, moments: Vec<Option<NaiveDateTime>>) -> Result<ArrayRef> {
        let values = moments
            .into_iter()
            .map(|moment| moment.and_then(|moment| units(moment, self.unit)))
            .collect();
        let zone = match &self.data_type {
            DataType::Timestamp(_, zone) => zone.as_ref(),
            _ => None,
        };
        let result = array(values, self.unit, zone);
        Ok(if self.is_date() {
            cast(&result, &DataType::Date32)?
        } else {
            result
        })
    }
}
