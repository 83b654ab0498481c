//! `ALTER TABLE` of a user's own tables.

use std::collections::BTreeSet;

use kennel_athena::statement::{
    Column, HiveTable, NewPartition, PartitionTerm, TableChange, TableName,
};
use kennel_cache::UserPartition;

use super::{done, refused};
use crate::{
    Engine, EngineError, Outcome,
    catalog::{
        locate,
        user::{self, Definition, spec_of, terms_of},
    },
};

/// A user's table that is to be altered.
struct Altered {
    schema: String,
    name: String,
    table: HiveTable,
}

impl Engine {
    pub(super) async fn alter(
        &self,
        table: &TableName,
        change: TableChange,
    ) -> Result<Outcome, EngineError> {
        self.must_exist(table).await?;
        let (schema, name) = self.kept_name(table)?;
        let is_partitions = matches!(
            change,
            TableChange::AddPartitions { .. } | TableChange::DropPartitions { .. }
        );
        let declared = match self.definition(&schema, &name)? {
            Some(Definition::Mirror(declared)) => declared,
            Some(Definition::View(_)) => {
                return Err(refused(
                    format!("{schema}.{name} is a view"),
                    "CREATE OR REPLACE VIEW changes it",
                ));
            }
            Some(Definition::Rows(_)) => {
                return Err(refused(
                    format!("{schema}.{name} holds the rows of a query"),
                    "drop it and create it anew with CREATE TABLE … AS",
                ));
            }
            None if is_partitions => {
                return Ok(done(
                    format!("altered {table}"),
                    vec!["nothing is needed: tables follow the mirror".into()],
                ));
            }
            None => {
                return Err(refused(
                    format!("{table} is built in and stays as it is"),
                    "CREATE EXTERNAL TABLE … LOCATION makes one of your own",
                ));
            }
        };
        let altered = Altered {
            schema,
            name,
            table: declared,
        };
        match change {
            TableChange::AddPartitions {
                if_not_exists,
                partitions,
            } => self.add_partitions(&altered, if_not_exists, &partitions),
            TableChange::DropPartitions {
                if_exists,
                partitions,
            } => self.drop_partitions(&altered, if_exists, &partitions),
            TableChange::RenamePartition { from, to } => {
                self.rename_partition(&altered, &from, &to)
            }
            TableChange::SetLocation {
                partition: Some(partition),
                location,
            } => {
                let moved = NewPartition {
                    values: partition,
                    location: Some(location),
                };
                self.put_partitions(&altered, vec![altered.partition(&moved)?])
            }
            other => self.redefine(altered, other),
        }
    }

    fn add_partitions(
        &self,
        altered: &Altered,
        if_not_exists: bool,
        partitions: &[NewPartition],
    ) -> Result<Outcome, EngineError> {
        let known = self.known_partitions(altered)?;
        let mut added = Vec::new();
        for partition in partitions {
            let partition = altered.partition(partition)?;
            let existing = known.iter().find(|known| known.spec == partition.spec);
            match existing {
                Some(existing) if existing.location.is_some() && !if_not_exists => {
                    return Err(refused(
                        format!("partition {} exists already", shown(&partition.spec)),
                        "ADD IF NOT EXISTS PARTITION leaves it as it is",
                    ));
                }
                Some(existing) if existing.location.is_some() => {}
                _ => added.push(partition),
            }
        }
        let mut notes = Vec::new();
        for partition in &added {
            let location = partition.location.as_deref().unwrap_or_default();
            if locate(&self.shared, location).is_none() {
                notes.push(format!(
                    "no configured source mirrors `{location}`: the partition has no rows here"
                ));
            }
        }
        if notes.is_empty() {
            notes.push("nothing more is needed: tables follow the mirror".into());
        }
        self.catalog()?.put_partitions(&added)?;
        Ok(done(
            format!("altered {}.{}", altered.schema, altered.name),
            notes,
        ))
    }

    fn drop_partitions(
        &self,
        altered: &Altered,
        if_exists: bool,
        partitions: &[Vec<PartitionTerm>],
    ) -> Result<Outcome, EngineError> {
        let known = self.known_partitions(altered)?;
        let mut catalog = self.catalog()?;
        for terms in partitions {
            altered.check(terms, false)?;
            let spec = spec_of(&altered.in_order(terms));
            let is_dropped = known
                .iter()
                .any(|known| known.spec == spec && known.location.is_none());
            if is_dropped && !if_exists {
                return Err(refused(
                    format!("partition {} is dropped already", shown(&spec)),
                    "DROP IF EXISTS PARTITION is content with that",
                ));
            }
            catalog.put_partitions(&[UserPartition {
                schema: altered.schema.clone(),
                name: altered.name.clone(),
                spec,
                location: None,
            }])?;
        }
        Ok(done(
            format!("altered {}.{}", altered.schema, altered.name),
            vec![
                "MSCK REPAIR TABLE brings dropped partitions back; the mirrored objects stay"
                    .into(),
            ],
        ))
    }

    fn rename_partition(
        &self,
        altered: &Altered,
        from: &[PartitionTerm],
        to: &[PartitionTerm],
    ) -> Result<Outcome, EngineError> {
        altered.check(from, true)?;
        altered.check(to, true)?;
        let spec = spec_of(&altered.in_order(from));
        let known = self.known_partitions(altered)?;
        let Some(existing) = known
            .into_iter()
            .find(|known| known.spec == spec && known.location.is_some())
        else {
            return Err(refused(
                format!("no partition {} was added", shown(&spec)),
                "ALTER TABLE … ADD PARTITION (…) LOCATION '…' adds one",
            ));
        };
        let renamed = UserPartition {
            spec: spec_of(&altered.in_order(to)),
            ..existing.clone()
        };
        let mut catalog = self.catalog()?;
        catalog.put_partitions(&[renamed])?;
        catalog.forget_partitions(&[existing])?;
        Ok(done(
            format!("altered {}.{}", altered.schema, altered.name),
            vec![],
        ))
    }

    fn put_partitions(
        &self,
        altered: &Altered,
        partitions: Vec<UserPartition>,
    ) -> Result<Outcome, EngineError> {
        self.catalog()?.put_partitions(&partitions)?;
        Ok(done(
            format!("altered {}.{}", altered.schema, altered.name),
            vec![],
        ))
    }

    fn known_partitions(&self, altered: &Altered) -> Result<Vec<UserPartition>, EngineError> {
        match self.shared.cache() {
            Some(cache) => Ok(cache.user_partitions(&altered.schema, &altered.name)?),
            None => Ok(vec![]),
        }
    }

    fn redefine(&self, altered: Altered, change: TableChange) -> Result<Outcome, EngineError> {
        let Altered {
            schema,
            name,
            mut table,
        } = altered;
        match change {
            TableChange::AddColumns(columns) => table.columns.extend(columns),
            TableChange::ReplaceColumns(columns) => table.columns = columns,
            TableChange::ChangeColumn { from, to, after } => {
                change_column(&mut table.columns, &from, to, after)?;
            }
            TableChange::SetProperties(properties) => table.properties.extend(properties),
            TableChange::SetLocation { location, .. } => table.location = Some(location),
            _ => {}
        }
        let mut names = BTreeSet::new();
        for column in table.columns.iter().chain(&table.partition_columns) {
            if !names.insert(&column.name) {
                return Err(EngineError::Table {
                    message: format!("column `{}` is there already", column.name),
                    hint: None,
                });
            }
        }
        let location = table.location.as_deref().unwrap_or_default();
        let Some(located) = locate(&self.shared, location) else {
            return Err(refused(
                format!("no configured source mirrors `{location}`"),
                super::readable::NO_SOURCE,
            ));
        };
        user::partitioning(&self.shared, &table, &located, &schema, &name)
            .map_err(|error| self.told(error))?;
        self.catalog()?.redefine(&schema, &name, &table.to_ddl())?;
        Ok(done(format!("altered {schema}.{name}"), vec![]))
    }
}

fn change_column(
    columns: &mut Vec<Column>,
    from: &str,
    to: Column,
    after: Option<String>,
) -> Result<(), EngineError> {
    let missing = |name: &str, columns: &[Column]| {
        let names = columns
            .iter()
            .map(|column| column.name.clone())
            .collect::<Vec<_>>();
        EngineError::Table {
            message: format!("there is no column `{name}`"),
            hint: crate::error::nearest(name, &names).map(|name| format!("did you mean `{name}`?")),
        }
    };
    let Some(index) = columns.iter().position(|column| column.name == from) else {
        return Err(missing(from, columns));
    };
    let Some(after) = after else {
        columns[index] = to;
        return Ok(());
    };
    columns.remove(index);
    let place = match columns.iter().position(|column| column.name == after) {
        Some(place) => place + 1,
        None if after.is_empty() => 0,
        None => return Err(missing(&after, columns)),
    };
    columns.insert(place, to);
    Ok(())
}

impl Altered {
    /// Makes sure that terms name partition columns; `is_whole` when all of them, each once.
    fn check(&self, terms: &[PartitionTerm], is_whole: bool) -> Result<(), EngineError> {
        let columns = self
            .table
            .partition_columns
            .iter()
            .map(|column| column.name.clone());
        let columns = columns.collect::<Vec<_>>();
        if let Some(term) = terms.iter().find(|term| !columns.contains(&term.column)) {
            let name = format!("{}.{}", self.schema, self.name);
            return Err(EngineError::Table {
                message: format!("`{}` is no partition column of {name}", term.column),
                hint: Some(match columns.is_empty() {
                    true => format!("{name} is not partitioned"),
                    false => format!("its partition columns are {}", columns.join(", ")),
                }),
            });
        }
        if is_whole && (terms.len() != columns.len() || self.in_order(terms).len() != columns.len())
        {
            return Err(refused(
                "a partition has one value for each partition column".into(),
                &format!("they are {}", columns.join(", ")),
            ));
        }
        Ok(())
    }

    /// Terms in the order of the partition columns; several of one column keep theirs.
    fn in_order(&self, terms: &[PartitionTerm]) -> Vec<PartitionTerm> {
        let columns = self.table.partition_columns.iter();
        let of = |column: &Column| {
            let name = column.name.clone();
            terms
                .iter()
                .filter(move |term| term.column == name)
                .cloned()
        };
        columns.flat_map(of).collect()
    }

    /// A partition as it is kept: without a place it lies where Hive would put it.
    fn partition(&self, partition: &NewPartition) -> Result<UserPartition, EngineError> {
        self.check(&partition.values, true)?;
        let values = self.in_order(&partition.values);
        let location = partition.location.clone().unwrap_or_else(|| {
            let root = self
                .table
                .location
                .as_deref()
                .unwrap_or_default()
                .trim_end_matches('/');
            let folders = values
                .iter()
                .map(|term| format!("/{}={}", term.column, term.value));
            format!("{root}{}/", folders.collect::<String>())
        });
        Ok(UserPartition {
            schema: self.schema.clone(),
            name: self.name.clone(),
            spec: spec_of(&values),
            location: Some(location),
        })
    }
}

/// A partition as people write it.
fn shown(spec: &str) -> String {
    let terms = terms_of(spec).into_iter();
    let terms = terms.map(|term| format!("{}{}'{}'", term.column, term.operator, term.value));
    format!("({})", terms.collect::<Vec<_>>().join(", "))
}
