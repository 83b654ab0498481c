//! Charts of a result: how many of its rows (or of what a row counts) fall on each account, service and snapshot.
//! Each is a table with bars, so that it reads the same without eyes for bars, and prints.

use std::{collections::HashMap, fmt::Write as _};

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{DataType, Int64Type, SchemaRef},
    record_batch::RecordBatch,
};

use super::escaped;
use crate::{output::cells::Cells, text::grouped};

/// Columns that are worth a picture, by name, with what they are called in its title.
const DIMENSIONS: [(&str, &str); 7] = [
    ("account_id", "account"),
    ("service_name", "service"),
    ("service", "service"),
    ("access_capability", "access capability"),
    ("severity", "severity"),
    ("snapshot_at", "snapshot"),
    ("day", "day"),
];
/// Columns that say how much a row stands for; without one a row counts as one.
const MEASURES: [&str; 5] = [
    "events",
    "calls",
    "denied_calls",
    "event_count",
    "call_count",
];
/// Different values that are counted; with more there is no picture.
const MOST_VALUES: usize = 5_000;
/// Values that are looked through before they are looked up.
const MOST_RECENT: usize = 8;
/// Bars of a chart; the last may stand for many.
const MOST_BARS: usize = 12;
/// Bars of a chart over time, which keeps its newest.
const MOST_MOMENTS: usize = 60;
/// Fewer rows need no picture.
const FEWEST_ROWS: u64 = 4;

/// What is counted while rows pass.
#[derive(Clone, Default)]
pub(super) struct Charts {
    charts: Vec<Chart>,
    measure: Option<(usize, String)>,
}

#[derive(Clone)]
struct Chart {
    column: usize,
    title: &'static str,
    /// Bars follow each other in time, not by size.
    is_time: bool,
    /// `None` as soon as there are too many values.
    counts: Option<HashMap<String, u64>>,
}

impl Charts {
    /// The charts that a result of these columns can have.
    pub(super) fn of(schema: &SchemaRef) -> Self {
        let index = |name: &str| {
            schema
                .fields()
                .iter()
                .position(|field| field.name() == name)
        };
        let charts = DIMENSIONS.iter().filter_map(|&(name, title)| {
            Some(Chart {
                column: index(name)?,
                title,
                is_time: matches!(title, "snapshot" | "day"),
                counts: Some(HashMap::new()),
            })
        });
        let measure = MEASURES.iter().find_map(|&name| {
            let index = index(name)?;
            let is_integer = schema.field(index).data_type().is_integer();
            is_integer.then(|| (index, name.replace('_', " ")))
        });
        Self {
            charts: charts.collect(),
            measure,
        }
    }

    /// Counts the rows of a batch.
    pub(super) fn count(&mut self, batch: &RecordBatch) {
        if self.charts.is_empty() {
            return;
        }
        let amounts = self
            .measure
            .as_ref()
            .and_then(|(column, _)| cast(batch.column(*column), &DataType::Int64).ok());
        for chart in &mut self.charts {
            chart.count(batch.column(chart.column), amounts.as_ref());
        }
    }

    /// The charts that say something, as HTML, behind one that is drawn already.
    pub(super) fn drawn(&self, first: &str, row_count: u64) -> String {
        let noun = self
            .measure
            .as_ref()
            .map_or("rows", |(_, name)| name.as_str());
        let charts = self.charts.iter();
        let charts = charts
            .filter_map(|chart| chart.drawn(noun, row_count))
            .collect::<String>();
        match charts.is_empty() && first.is_empty() {
            true => String::new(),
            false => format!("<div class=\"charts\">\n{first}{charts}</div>\n"),
        }
    }
}

fn add(counts: &mut HashMap<String, u64>, recent: &mut Vec<(String, u64)>) {
    for (value, amount) in recent.drain(..) {
        let count = counts.entry(value).or_default();
        *count = count.saturating_add(amount);
    }
}

impl Chart {
    fn count(&mut self, column: &ArrayRef, amounts: Option<&ArrayRef>) {
        let Some(counts) = &mut self.counts else {
            return;
        };
        let amounts = amounts.map(|amounts| amounts.as_primitive::<Int64Type>());
        let cells = Cells::of(column.as_ref());
        // Values follow each other in runs, or are few: most are among those met last.
        let mut recent: Vec<(String, u64)> = Vec::with_capacity(MOST_RECENT);
        let mut text = String::new();
        for row in 0..column.len() {
            text.clear();
            if !cells.get(row).write_text(&mut text) {
                text.push_str("null");
            }
            let amount = amounts.map_or(1, |amounts| match amounts.is_null(row) {
                true => 0,
                false => u64::try_from(amounts.value(row)).unwrap_or_default(),
            });
            match recent.iter_mut().find(|(value, _)| *value == text) {
                Some((_, count)) => *count = count.saturating_add(amount),
                None => {
                    if recent.len() == MOST_RECENT {
                        add(counts, &mut recent);
                    }
                    recent.push((text.clone(), amount));
                }
            }
        }
        add(counts, &mut recent);
        if counts.len() > MOST_VALUES {
            self.counts = None;
        }
    }

    /// A chart says something when there is more than one value, and when values have more than one row.
    fn drawn(&self, noun: &str, row_count: u64) -> Option<String> {
        let counts = self.counts.as_ref()?;
        let by_rows = noun == "rows" && counts.len() as u64 == row_count;
        if counts.len() < 2 || row_count < FEWEST_ROWS || by_rows {
            return None;
        }
        let bars = self.bars(counts);
        let newest = match self.is_time && counts.len() > MOST_MOMENTS {
            true => format!(
                " (newest {MOST_MOMENTS} of {})",
                grouped(counts.len() as u64)
            ),
            false => String::new(),
        };
        let largest = bars
            .iter()
            .map(|(_, count)| *count)
            .max()
            .unwrap_or(1)
            .max(1);
        let mut chart = format!(
            "<table class=\"chart\">\n<caption>{} by {}{newest}</caption>\n<thead class=\"unseen\">\n<tr><th scope=\"col\">{}</th><th scope=\"col\">{}</th><th scope=\"col\">bar</th></tr>\n</thead>\n<tbody>\n",
            capitalised(noun),
            self.title,
            self.title,
            escaped(noun),
        );
        for (label, count) in bars {
            // Tenths of a percent: enough for any screen, and the same on every machine.
            let tenths = u128::from(count) * 1000 / u128::from(largest);
            let _infallible = writeln!(
                chart,
                "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"bar\"><svg width=\"100%\" height=\"12\" aria-hidden=\"true\"><rect width=\"{}.{}%\" height=\"12\" rx=\"2\"/></svg></td></tr>",
                escaped(&label),
                grouped(count),
                tenths / 10,
                tenths % 10,
            );
        }
        chart.push_str("</tbody>\n</table>\n");
        Some(chart)
    }

    fn bars(&self, counts: &HashMap<String, u64>) -> Vec<(String, u64)> {
        let mut bars = counts
            .iter()
            .map(|(label, count)| (label.clone(), *count))
            .collect::<Vec<_>>();
        if self.is_time {
            bars.sort_unstable();
            let earlier = bars.len().saturating_sub(MOST_MOMENTS);
            return bars.split_off(earlier);
        }
        bars.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        if bars.len() > MOST_BARS {
            let others = bars.split_off(MOST_BARS - 1);
            let sum = others
                .iter()
                .fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
            bars.push((format!("{} others", grouped(others.len() as u64)), sum));
        }
        bars
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}
