//! `ALTER TABLE` as Athena has it for tables of Hive, and the partitions it names.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::{
    Column, Statement, StatementError,
    cursor::Cursor,
    hive::{columns, properties},
    router::{unsupported, words_from},
};

/// What `ALTER TABLE` changes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableChange {
    /// `ADD [IF NOT EXISTS] PARTITION (…) [LOCATION '…'] …`.
    AddPartitions {
        /// Whether one that is there already is no error.
        if_not_exists: bool,
        /// The partitions.
        partitions: Vec<NewPartition>,
    },
    /// `DROP [IF EXISTS] PARTITION (…), …`.
    DropPartitions {
        /// Whether one that is not there is no error.
        if_exists: bool,
        /// Conditions, all of which a dropped partition fulfils.
        partitions: Vec<Vec<PartitionTerm>>,
    },
    /// `PARTITION (…) RENAME TO PARTITION (…)`.
    RenamePartition {
        /// Its values.
        from: Vec<PartitionTerm>,
        /// Its new values.
        to: Vec<PartitionTerm>,
    },
    /// `[PARTITION (…)] SET LOCATION '…'`.
    SetLocation {
        /// The partition, or the table.
        partition: Option<Vec<PartitionTerm>>,
        /// Where it lies now.
        location: String,
    },
    /// `ADD COLUMNS (…)`.
    AddColumns(Vec<Column>),
    /// `REPLACE COLUMNS (…)`.
    ReplaceColumns(Vec<Column>),
    /// `CHANGE [COLUMN] old new type`.
    ChangeColumn {
        /// Its name.
        from: String,
        /// Its new name and type.
        to: Column,
        /// The column after which it stands; empty for the first place, `None` for where it is.
        after: Option<String>,
    },
    /// `SET TBLPROPERTIES (…)`.
    SetProperties(std::collections::BTreeMap<String, String>),
}

/// A partition that is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartition {
    /// Its values.
    pub values: Vec<PartitionTerm>,
    /// Where it lies, if not where Hive would put it.
    pub location: Option<String>,
}

/// `column = 'value'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionTerm {
    /// The column, in lower case.
    pub column: String,
    /// `=`, or another comparison where partitions are dropped.
    pub operator: &'static str,
    /// The value, without quotes.
    pub value: String,
}

const OPERATORS: [(Token, &str); 6] = [
    (Token::Eq, "="),
    (Token::Neq, "<>"),
    (Token::Lt, "<"),
    (Token::LtEq, "<="),
    (Token::Gt, ">"),
    (Token::GtEq, ">="),
];

pub(super) fn alter(cursor: &mut Cursor<'_>) -> Result<Statement, StatementError> {
    let what = words_from(cursor, "", 2);
    cursor.skip();
    if !cursor.accept(&["TABLE"]) {
        return Ok(unsupported(what, "drop it and create it anew"));
    }
    let table = cursor.table_name()?;
    let what = words_from(cursor, &what, 2);
    Ok(match change(cursor)? {
        Some(change) => Statement::AlterTable { table, change },
        None => unsupported(what, "drop the table and create it anew"),
    })
}

fn change(cursor: &mut Cursor<'_>) -> Result<Option<TableChange>, StatementError> {
    let if_not_exists = cursor.at(&["ADD", "IF", "NOT", "EXISTS", "PARTITION"]);
    if cursor.accept(&["ADD", "IF", "NOT", "EXISTS", "PARTITION"])
        || cursor.accept(&["ADD", "PARTITION"])
    {
        return add_partitions(cursor, if_not_exists).map(Some);
    }
    let if_exists = cursor.at(&["DROP", "IF", "EXISTS", "PARTITION"]);
    if cursor.accept(&["DROP", "IF", "EXISTS", "PARTITION"])
        || cursor.accept(&["DROP", "PARTITION"])
    {
        let mut partitions = vec![terms(cursor, true)?];
        while cursor.accept_sign(&Token::Comma) {
            cursor.expect(&["PARTITION"])?;
            partitions.push(terms(cursor, true)?);
        }
        cursor.accept(&["PURGE"]);
        return Ok(Some(TableChange::DropPartitions {
            if_exists,
            partitions,
        }));
    }
    if cursor.accept(&["ADD", "COLUMNS"]) {
        return columns(cursor, &mut Default::default())
            .map(TableChange::AddColumns)
            .map(Some);
    }
    if cursor.accept(&["REPLACE", "COLUMNS"]) {
        return columns(cursor, &mut Default::default())
            .map(TableChange::ReplaceColumns)
            .map(Some);
    }
    if cursor.accept(&["CHANGE"]) {
        return change_column(cursor).map(Some);
    }
    if cursor.accept(&["SET", "TBLPROPERTIES"]) {
        return properties(cursor).map(TableChange::SetProperties).map(Some);
    }
    let partition = match cursor.accept(&["PARTITION"]) {
        true => Some(terms(cursor, false)?),
        false => None,
    };
    if cursor.accept(&["SET", "LOCATION"]) {
        let location = cursor.text("a location in quotes")?;
        return Ok(Some(TableChange::SetLocation {
            partition,
            location,
        }));
    }
    match partition {
        Some(from) if cursor.accept(&["RENAME", "TO", "PARTITION"]) => {
            let to = terms(cursor, false)?;
            Ok(Some(TableChange::RenamePartition { from, to }))
        }
        _ => Ok(None),
    }
}

fn add_partitions(
    cursor: &mut Cursor<'_>,
    if_not_exists: bool,
) -> Result<TableChange, StatementError> {
    let mut partitions = Vec::new();
    loop {
        let values = terms(cursor, false)?;
        let location = match cursor.accept(&["LOCATION"]) {
            true => Some(cursor.text("a location in quotes")?),
            false => None,
        };
        partitions.push(NewPartition { values, location });
        if !cursor.accept(&["PARTITION"]) {
            return Ok(TableChange::AddPartitions {
                if_not_exists,
                partitions,
            });
        }
    }
}

fn change_column(cursor: &mut Cursor<'_>) -> Result<TableChange, StatementError> {
    cursor.accept(&["COLUMN"]);
    let from = cursor.name("the name of a column")?;
    let to = super::hive::column(cursor)?;
    let after = if cursor.accept(&["FIRST"]) {
        Some(String::new())
    } else if cursor.accept(&["AFTER"]) {
        Some(cursor.name("the name of a column")?)
    } else {
        None
    };
    Ok(TableChange::ChangeColumn { from, to, after })
}

/// Reads `(name = value, …)`: Hive compares here too, when it drops.
pub(super) fn terms(
    cursor: &mut Cursor<'_>,
    compares: bool,
) -> Result<Vec<PartitionTerm>, StatementError> {
    cursor.list(|cursor| {
        let column = cursor.name("the name of a partition column")?;
        let signs = if compares {
            &OPERATORS[..]
        } else {
            &OPERATORS[..1]
        };
        let Some((_, operator)) = signs.iter().find(|(sign, _)| cursor.accept_sign(sign)) else {
            return Err(cursor.unexpected("`=`"));
        };
        // `date '2024-01-31'`
        if cursor.at(&["DATE"])
            && matches!(
                cursor.peek(1),
                Some(Token::SingleQuotedString(_) | Token::DoubleQuotedString(_))
            )
        {
            cursor.skip();
        }
        let value = match cursor.peek(0) {
            Some(Token::SingleQuotedString(text) | Token::DoubleQuotedString(text)) => text.clone(),
            Some(Token::Number(digits, _)) => digits.clone(),
            Some(Token::Word(word)) => word.value.clone(),
            _ => return Err(cursor.unexpected("a value")),
        };
        cursor.skip();
        Ok(PartitionTerm {
            column,
            operator,
            value,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::{TableName, split};

    fn change_of(sql: &str) -> TableChange {
        match Statement::parse(&split(sql).unwrap()[0]) {
            Ok(Statement::AlterTable { table, change }) => {
                assert_eq!(table, TableName::new(Some("k9"), "t"), "{sql}");
                change
            }
            other => panic!("{sql}: {other:?}"),
        }
    }

    fn term(column: &str, operator: &'static str, value: &str) -> PartitionTerm {
        PartitionTerm {
            column: column.into(),
            operator,
            value: value.into(),
        }
    }

    #[test]
    fn partitions_come_with_their_values_and_places() {
        let change = change_of(
            "ALTER TABLE k9.t ADD IF NOT EXISTS PARTITION (`dt`=date '2024-01-31', m = 1) LOCATION 's3://b/1/' \
             PARTITION (dt=x, m=\"02\")",
        );
        let added = |values, location: Option<&str>| NewPartition {
            values,
            location: location.map(str::to_owned),
        };
        assert_eq!(
            change,
            TableChange::AddPartitions {
                if_not_exists: true,
                partitions: vec![
                    added(
                        vec![term("dt", "=", "2024-01-31"), term("m", "=", "1")],
                        Some("s3://b/1/")
                    ),
                    added(vec![term("dt", "=", "x"), term("m", "=", "02")], None),
                ],
            }
        );
        assert_eq!(
            change_of(
                "ALTER TABLE k9.t DROP IF EXISTS PARTITION (y='1'), PARTITION (y>='2', m!='3') PURGE"
            ),
            TableChange::DropPartitions {
                if_exists: true,
                partitions: vec![
                    vec![term("y", "=", "1")],
                    vec![term("y", ">=", "2"), term("m", "<>", "3")]
                ],
            }
        );
        assert_eq!(
            change_of("ALTER TABLE k9.t PARTITION (a='b') RENAME TO PARTITION (a='c')"),
            TableChange::RenamePartition {
                from: vec![term("a", "=", "b")],
                to: vec![term("a", "=", "c")]
            }
        );
        for (sql, partition) in [
            ("ALTER TABLE k9.t SET LOCATION 's3://c/'", None),
            (
                "ALTER TABLE k9.t PARTITION (a='b') SET LOCATION 's3://c/'",
                Some(vec![term("a", "=", "b")]),
            ),
        ] {
            let location = "s3://c/".into();
            assert_eq!(
                change_of(sql),
                TableChange::SetLocation {
                    partition,
                    location
                }
            );
        }
    }

    #[test]
    fn columns_and_properties_change() {
        let TableChange::AddColumns(added) =
            change_of("ALTER TABLE k9.t ADD COLUMNS (a int, `B` map<string,string> COMMENT 'x')")
        else {
            panic!("no columns");
        };
        assert_eq!((added[0].name.as_str(), added[1].name.as_str()), ("a", "b"));
        assert!(matches!(
            change_of("ALTER TABLE k9.t REPLACE COLUMNS (a string)"),
            TableChange::ReplaceColumns(_)
        ));
        assert!(matches!(
            change_of("ALTER TABLE k9.t CHANGE COLUMN a b bigint COMMENT 'c' AFTER d"),
            TableChange::ChangeColumn { from, after: Some(after), .. } if from == "a" && after == "d"
        ));
        assert!(
            matches!(change_of("ALTER TABLE k9.t CHANGE a a string FIRST"), TableChange::ChangeColumn { after: Some(after), .. } if after.is_empty())
        );
        let TableChange::SetProperties(set) =
            change_of("ALTER TABLE k9.t SET TBLPROPERTIES ('a'='b', \"c\"='d')")
        else {
            panic!("no properties");
        };
        assert_eq!((set["a"].as_str(), set["c"].as_str()), ("b", "d"));
    }
}
