//! Questions that come to the same: without parameters, "who can reach a resource" and "who can do what with it" do.
//! The first is asked; the others get its rows, its counts and, as links, its files.

use datafusion::arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use kennel_engine::{CannedQuery, Engine};

use super::{baseline::Baselines, keys::Mark, run::Order, shaping::Shaping};

/// Of each question the earlier one that it comes to.
#[derive(Default)]
pub(super) struct Twins(Vec<Option<usize>>);

impl Twins {
    /// Finds them. Questions that cannot be planned have none: asking them tells why.
    pub(super) async fn among(
        order: &Order<'_>,
        engine: &Engine,
        baselines: &Baselines<'_>,
        shaping: &Shaping,
    ) -> Self {
        let mut twins: Vec<Option<usize>> = Vec::new();
        for (query, values) in order.queries.iter().zip(order.values) {
            let mut found = None;
            for (place, first) in order.queries[..twins.len()].iter().enumerate() {
                let is_first = twins[place].is_none();
                // Suppressions are for one of them, findings are of one of them.
                let may_be = is_first
                    && looks_like(query, first)
                    && !shaping.has_suppressions()
                    && baselines.treat_alike(query, first);
                let asked = (*first, &order.values[place]);
                if may_be
                    && Box::pin(engine.come_to_the_same((query, values), asked))
                        .await
                        .unwrap_or(false)
                {
                    found = Some(place);
                    break;
                }
            }
            twins.push(found);
        }
        Self(twins)
    }

    /// The question before this one that it comes to.
    pub(super) fn first_of(&self, place: usize) -> Option<usize> {
        self.0.get(place).copied().flatten()
    }

    /// Whether a later question comes to this one.
    pub(super) fn are_of(&self, place: usize) -> bool {
        self.0.contains(&Some(place))
    }
}

/// Whether the plans of two questions are worth comparing: all else that is known of them is the same.
fn looks_like(one: &CannedQuery, other: &CannedQuery) -> bool {
    let is_audit = one.is_audit() || other.is_audit();
    !is_audit
        && one.reads == other.reads
        && one.key == other.key
        && one.noise == other.noise
        && one.news == other.news
}

/// The rows of a question that a later one repeats, as far as the workbook shows them.
pub(super) struct Kept {
    pub(super) schema: SchemaRef,
    /// Whether rows were held against earlier ones.
    pub(super) has_marks: bool,
    pub(super) rows: Vec<(RecordBatch, Vec<Mark>)>,
    room: usize,
}

impl Kept {
    /// Room for so many rows.
    pub(super) fn with_room(schema: &SchemaRef, has_marks: bool, room: usize) -> Self {
        Self {
            schema: SchemaRef::clone(schema),
            has_marks,
            rows: Vec::new(),
            room,
        }
    }

    /// Keeps rows, as long as there is room.
    pub(super) fn keep(&mut self, batch: &RecordBatch, marks: &[Mark]) {
        let count = batch.num_rows().min(self.room);
        if count > 0 {
            self.room -= count;
            self.rows
                .push((batch.slice(0, count), marks[..count].to_vec()));
        }
    }

    /// How many are kept.
    pub(super) fn row_count(&self) -> u64 {
        let rows = self.rows.iter().map(|(batch, _)| batch.num_rows() as u64);
        rows.sum()
    }
}
