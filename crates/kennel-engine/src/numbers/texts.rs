//! Texts as numbers: the same number for the same text, within one query.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, DictionaryArray, StringBuilder, UInt32Array},
        buffer::ScalarBuffer,
        compute::cast,
        datatypes::{DataType, Int32Type},
    },
    common::{HashMap, exec_err},
    error::{DataFusionError, Result as DataFusionResult},
};

/// Dictionaries whose numbers are remembered: a scan is at a few at a time, one for each of its columns and threads.
const MOST_DICTIONARIES: usize = 64;

/// A text of a dictionary that was not looked up yet; no text has this number.
const UNKNOWN: u32 = u32::MAX;

/// The texts that a query met, numbered from 0 in the order in which it met them.
#[derive(Default)]
pub(super) struct Texts {
    known: Mutex<Known>,
    dictionaries: Mutex<Vec<Dictionary>>,
}

#[derive(Default)]
struct Known {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Known {
    fn number(&mut self, text: &str) -> DataFusionResult<u32> {
        if let Some(number) = self.numbers.get(text) {
            return Ok(*number);
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(UNKNOWN);
        if number == UNKNOWN {
            return exec_err!("a query groups by more than {UNKNOWN} different texts");
        }
        let text: Arc<str> = text.into();
        self.numbers.insert(Arc::clone(&text), number);
        self.texts.push(text);
        Ok(number)
    }
}

/// The numbers of a dictionary's texts, as far as rows had them.
struct Dictionary {
    /// Kept, so that no other dictionary gets its place in memory.
    values: ArrayRef,
    numbers: Vec<u32>,
}

impl Dictionary {
    fn of(values: &ArrayRef) -> Self {
        Self {
            values: Arc::clone(values),
            numbers: vec![UNKNOWN; values.len()],
        }
    }

    fn is_of(&self, values: &ArrayRef) -> bool {
        let (own, other) = (self.values.as_string::<i32>(), values.as_string::<i32>());
        own.len() == other.len()
            && own.offsets().as_ptr() == other.offsets().as_ptr()
            && own.values().as_ptr() == other.values().as_ptr()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Texts {
    /// The number of a text.
    pub(super) fn number(&self, text: &str) -> DataFusionResult<u32> {
        locked(&self.known).number(text)
    }

    /// The numbers of texts, in a dictionary or not.
    pub(super) fn numbers(&self, array: &ArrayRef) -> DataFusionResult<UInt32Array> {
        if let Some(dictionary) = array.as_dictionary_opt::<Int32Type>()
            && *dictionary.values().data_type() == DataType::Utf8
            && dictionary.values().null_count() == 0
        {
            return self.numbers_of_keys(dictionary);
        }
        let array = cast(array, &DataType::Utf8)?;
        let mut known = locked(&self.known);
        let numbers = array.as_string::<i32>().iter();
        numbers
            .map(|text| text.map(|text| known.number(text)).transpose())
            .collect()
    }

    /// Looks each text of the dictionary up once, when the first row has it.
    fn numbers_of_keys(&self, array: &DictionaryArray<Int32Type>) -> DataFusionResult<UInt32Array> {
        let values = array.values();
        let mut dictionary = self.take(values);
        let texts = values.as_string::<i32>();
        let keys = array.keys();
        let mut numbers = Vec::with_capacity(keys.len());
        for (row, key) in keys.values().iter().enumerate() {
            // A null has any key, or none where the dictionary is empty.
            let place = usize::try_from(*key).unwrap_or(usize::MAX);
            let number = match dictionary.numbers.get(place) {
                Some(&UNKNOWN) if keys.is_valid(row) => {
                    let number = self.number(texts.value(place))?;
                    dictionary.numbers[place] = number;
                    number
                }
                Some(number) => *number,
                None => 0,
            };
            numbers.push(number);
        }
        self.put_back(dictionary);
        let numbers = ScalarBuffer::from(numbers);
        Ok(UInt32Array::new(numbers, keys.nulls().cloned()))
    }

    fn take(&self, values: &ArrayRef) -> Dictionary {
        let mut dictionaries = locked(&self.dictionaries);
        let place = dictionaries.iter().position(|known| known.is_of(values));
        match place {
            Some(place) => dictionaries.remove(place),
            None => Dictionary::of(values),
        }
    }

    fn put_back(&self, dictionary: Dictionary) {
        let mut dictionaries = locked(&self.dictionaries);
        if dictionaries.len() >= MOST_DICTIONARIES {
            dictionaries.remove(0);
        }
        dictionaries.push(dictionary);
    }

    /// The texts of numbers that came of [`Self::numbers`].
    pub(super) fn texts(&self, numbers: &UInt32Array) -> DataFusionResult<ArrayRef> {
        let known = locked(&self.known);
        let mut texts = StringBuilder::new();
        for number in numbers {
            let text = number.map(|number| {
                let text = known.texts.get(number as usize);
                text.ok_or_else(|| DataFusionError::Internal(format!("no text {number}")))
            });
            texts.append_option(text.transpose()?);
        }
        Ok(Arc::new(texts.finish()))
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::StringArray;

    use super::*;

    fn back(texts: &Texts, numbers: &UInt32Array) -> Vec<Option<String>> {
        let array = texts.texts(numbers).unwrap();
        let array = array.as_string::<i32>();
        array.iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn equal_texts_have_one_number_whatever_array_they_come_in() {
        let texts = Texts::default();
        let rows = [Some("b"), None, Some("a"), Some(""), Some("b")];
        let plain: ArrayRef = Arc::new(StringArray::from(rows.to_vec()));
        let encoded: ArrayRef = Arc::new(rows.into_iter().collect::<DictionaryArray<Int32Type>>());
        let other: ArrayRef = Arc::new(
            [Some("a"), Some("b"), None]
                .into_iter()
                .collect::<DictionaryArray<Int32Type>>(),
        );
        let numbers = texts.numbers(&encoded).unwrap();
        assert_eq!(texts.numbers(&plain).unwrap(), numbers);
        assert_eq!(
            texts.numbers(&encoded.slice(3, 2)).unwrap(),
            numbers.slice(3, 2)
        );
        let of_other = texts.numbers(&other).unwrap();
        assert_eq!(
            (of_other.value(0), of_other.value(1)),
            (numbers.value(2), numbers.value(0))
        );
        assert!(of_other.is_null(2));
        let expected = rows.map(|text| text.map(str::to_owned));
        assert_eq!(back(&texts, &numbers), expected);
        assert!(texts.texts(&UInt32Array::from(vec![99])).is_err());
    }

    #[test]
    fn rows_without_any_text_are_nulls() {
        let texts = Texts::default();
        let rows = [None::<&str>, None];
        let empty: ArrayRef = Arc::new(rows.into_iter().collect::<DictionaryArray<Int32Type>>());
        let numbers = texts.numbers(&empty).unwrap();
        assert_eq!((numbers.len(), numbers.null_count()), (2, 2));
        assert_eq!(back(&texts, &numbers), [None, None]);
    }

    #[test]
    fn more_dictionaries_than_are_remembered_are_looked_up_again() {
        let texts = Texts::default();
        for _ in 0..2 {
            for number in 0..2 * MOST_DICTIONARIES {
                let text = number.to_string();
                let rows = [Some(text.as_str())];
                let array: ArrayRef =
                    Arc::new(rows.into_iter().collect::<DictionaryArray<Int32Type>>());
                let found = texts.numbers(&array).unwrap();
                assert_eq!(found.value(0) as usize, number);
            }
        }
        assert!(locked(&texts.dictionaries).len() <= MOST_DICTIONARIES);
    }
}
