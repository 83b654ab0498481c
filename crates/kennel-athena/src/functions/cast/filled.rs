//! Texts filled up with blanks, as values of `char(n)` are compared.

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

use crate::functions::scalar::{Kind, Spec, varchar};

/// `__filled(text, n)`: without the blanks at its end, then with as many as make it `n` long.
pub(super) fn function() -> Arc<ScalarUDF> {
    Spec::new("__filled", &[Kind::Text, Kind::Integer], varchar, |call| {
        let (texts, lengths) = (call.text(0), call.integers(1));
        call.to_texts(|row| {
            let text = texts.value(row).trim_end_matches(' ');
            let length = usize::try_from(lengths.value(row)).unwrap_or(0).min(65_536);
            Ok(Some(format!("{text:<length$}")))
        })
    })
    .build()
}
