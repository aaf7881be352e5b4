//! Which column gets what: the table, and what the configuration says about it, compiled.

use super::column::{Column, ColumnContext, build};
use super::table::{ColumnDefault, Table};
use super::type_name::Type;
use std::collections::HashMap;

/// What the configuration says about columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnOptions {
    /// Only these columns, if set.
    pub(crate) columns: Option<Vec<String>>,
    /// The column that always gets the event's time.
    pub(crate) time_column: Option<String>,
    /// Seconds that are added to that time.
    pub(crate) time_offset_seconds: i64,
    /// The column that always gets the tag.
    pub(crate) tag_column: Option<String>,
    /// The column that gets the fields which have none.
    pub(crate) extra_column: Option<String>,
    /// The same, if the table has it.
    pub(crate) extra_column_if_there: Option<String>,
    /// Columns that are fed from elsewhere than the field of their name.
    pub(crate) sources: Vec<(String, Source)>,
}

/// Where a column's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A field, by the keys that lead to it.
    Field(Vec<String>),
    /// The event's time.
    Time,
    /// The event's tag.
    Tag,
    /// All fields that have no column.
    Extra,
}

/// What a column gets in a row whose record has no value for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The type's default.
    TypeDefault,
    /// What the server computes: the column is then left out of the insert. The number is its bit in the set of
    /// such columns that a row has.
    ServerDefault(u32),
    /// The event's time.
    Time,
    /// The tag.
    Tag,
    /// The fields without a column.
    Extra,
}

/// A column of the insert.
#[derive(Clone, Debug)]
pub(crate) struct LayoutColumn {
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) kind: Type,
    /// Its type's name.
    pub(crate) type_name: String,
    /// What it gets without a field.
    pub(crate) absent: Absent,
    /// The keys that lead to its field.
    pub(crate) path: Vec<String>,
}

impl LayoutColumn {
    /// Bytes of a value that is a point in time; `None` for other types.
    pub(crate) fn width(&self) -> Option<usize> {
        match self.kind {
            Type::Date => Some(2),
            Type::Date32 | Type::DateTime { .. } => Some(4),
            Type::DateTime64 { .. } => Some(8),
            _ => None,
        }
    }

    /// An empty builder for it.
    pub(crate) fn builder(&self, context: &ColumnContext) -> Box<dyn Column> {
        build(&self.kind, context)
    }
}

/// Fields by name, and what they lead to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    by_name: HashMap<Box<[u8]>, FieldTarget>,
}

/// What a field leads to: columns that take its value, and columns that take values inside it.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldTarget {
    /// Columns, by their index in the layout.
    pub(crate) columns: Vec<usize>,
    /// Fields in it that have columns.
    pub(crate) inside: Option<Box<Fields>>,
}

impl Fields {
    /// What a field leads to.
    #[cfg(test)]
    pub(crate) fn get(&self, name: &[u8]) -> Option<&FieldTarget> {
        self.by_name.get(name)
    }

    /// All fields.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &FieldTarget)> {
        self.by_name.iter().map(|(name, target)| (&**name, target))
    }

    /// Keeps the fields that lead to one column, which becomes column 0.
    fn keep_only(&mut self, column: usize) {
        self.by_name.retain(|_, target| {
            target.columns.retain(|found| *found == column);
            target.columns.fill(0);
            if let Some(inside) = &mut target.inside {
                inside.keep_only(column);
            }
            target.inside.take_if(|inside| inside.by_name.is_empty());
            !target.columns.is_empty() || target.inside.is_some()
        });
    }

    fn add(&mut self, path: &[impl AsRef<str>], column: usize) {
        let Some((first, rest)) = path.split_first() else { return };
        let target = self.by_name.entry(first.as_ref().as_bytes().into()).or_default();
        if rest.is_empty() {
            if !target.columns.contains(&column) {
                target.columns.push(column);
            }
        } else {
            target.inside.get_or_insert_default().add(rest, column);
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The columns that an insert may list.
    pub(crate) columns: Vec<LayoutColumn>,
    /// Fields of records.
    pub(crate) fields: Fields,
    /// Whether fields without a column are gathered.
    pub(crate) gathers_extra: bool,
    /// The name of the extra column: a field of that name holding a map is merged into it.
    pub(crate) extra_name: Option<String>,
    /// Whether a column needs the tag.
    pub(crate) needs_tag: bool,
    /// Seconds added to the event's time.
    pub(crate) time_offset_seconds: i64,
    /// What columns need to know.
    pub(crate) context: ColumnContext,
}

/// Names of a date-time column that get the event's time where the record has no field of that name.
const TIME_NAMES: [&str; 12] = [
    "timestamp",
    "_timestamp",
    "@timestamp",
    "time",
    "_time",
    "@time",
    "ts",
    "datetime",
    "date_time",
    "event_time",
    "eventtime",
    "log_time",
];
/// Names of a Date column that get the event's date.
const DATE_NAMES: [&str; 4] = ["date", "_date", "event_date", "eventdate"];
/// Names of a text column that get the tag.
const TAG_NAMES: [&str; 2] = ["tag", "_tag"];
/// Columns with a default expression are told apart in the bits of a u64; a table with more of them has the type's
/// default for the rest.
const SERVER_DEFAULTS_MAX: u32 = 64;

/// Why a table and a configuration do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LayoutError {
    /// A column that the configuration names is not there.
    #[error("the table has no column {0:?} that rows can give, but the configuration names it")]
    NoColumn(String),
    /// Nothing is left.
    #[error("the table has no column that rows can give")]
    NoColumns,
}

impl Layout {
    /// Compiles. Columns of types that are not known are left out, and reported to `skipped`.
    pub(crate) fn new(
        table: &Table,
        options: &ColumnOptions,
        zone: &jiff::tz::TimeZone,
        skipped: impl FnMut(&super::table::TableColumn),
    ) -> Result<Self, LayoutError> {
        let mut insertable = table.insertable(skipped);
        let named = |name: &str| insertable.iter().any(|(column, _)| column.name == name);
        for name in options.named().chain(options.columns.iter().flatten().map(String::as_str)) {
            if !named(name) {
                return Err(LayoutError::NoColumn(name.to_owned()));
            }
        }
        if let Some(wanted) = &options.columns {
            let special: Vec<&str> = options.named().collect();
            insertable
                .retain(|(column, _)| wanted.contains(&column.name) || special.contains(&&*column.name));
        }
        let mut layout = Self {
            columns: Vec::new(),
            fields: Fields::default(),
            gathers_extra: false,
            extra_name: options.extra_column.clone().or_else(|| options.extra_column_if_there.clone()),
            needs_tag: false,
            time_offset_seconds: options.time_offset_seconds,
            context: ColumnContext { zone: zone.clone() },
        };
        let mut server_defaults = 0;
        for (index, (column, kind)) in insertable.into_iter().enumerate() {
            let source = options.source(&column.name);
            let absent = match &source {
                Some(Source::Time) => Absent::Time,
                Some(Source::Tag) => Absent::Tag,
                Some(Source::Extra) => Absent::Extra,
                _ if column.default == ColumnDefault::Expression && server_defaults < SERVER_DEFAULTS_MAX => {
                    server_defaults += 1;
                    Absent::ServerDefault(server_defaults - 1)
                }
                _ => absent_by_name(&column.name, &kind),
            };
            layout.gathers_extra |= absent == Absent::Extra;
            layout.needs_tag |= absent == Absent::Tag;
            let path = match source {
                Some(Source::Field(path)) => path,
                Some(_) => Vec::new(),
                None => {
                    let path: Vec<String> = column.name.split('.').map(str::to_owned).collect();
                    if path.len() > 1 && path.iter().all(|part| !part.is_empty()) {
                        layout.fields.add(&path, index);
                    }
                    vec![column.name.clone()]
                }
            };
            layout.fields.add(&path, index);
            let (name, type_name) = (column.name.clone(), column.type_name.clone());
            layout.columns.push(LayoutColumn { name, kind, type_name, absent, path });
        }
        if layout.columns.is_empty() { Err(LayoutError::NoColumns) } else { Ok(layout) }
    }

    /// The same for one column alone; `None` if there is no such column.
    pub(crate) fn only(&self, column: usize) -> Option<Self> {
        let mut described = self.columns.get(column)?.clone();
        if let Absent::ServerDefault(_) = described.absent {
            described.absent = Absent::TypeDefault;
        }
        let mut layout = Self { columns: vec![described], gathers_extra: false, ..self.clone() };
        layout.fields.keep_only(column);
        Some(layout)
    }

    /// Whether rows may differ in the columns that they list.
    pub(crate) fn has_server_defaults(&self) -> bool {
        self.columns.iter().any(|column| matches!(column.absent, Absent::ServerDefault(_)))
    }
}

impl ColumnOptions {
    /// The columns that get something special, which must be there.
    fn named(&self) -> impl Iterator<Item = &str> {
        let sources = self.sources.iter().map(|(column, _)| column);
        let special = [&self.time_column, &self.tag_column, &self.extra_column].into_iter().flatten();
        special.chain(sources).map(String::as_str)
    }

    fn source(&self, column: &str) -> Option<Source> {
        let is = |name: &Option<String>| name.as_deref() == Some(column);
        if is(&self.time_column) {
            Some(Source::Time)
        } else if is(&self.tag_column) {
            Some(Source::Tag)
        } else if is(&self.extra_column) || is(&self.extra_column_if_there) {
            Some(Source::Extra)
        } else {
            self.sources.iter().find(|(name, _)| name == column).map(|(_, source)| source.clone())
        }
    }
}

fn absent_by_name(name: &str, kind: &Type) -> Absent {
    let name = name.to_ascii_lowercase();
    let date = matches!(kind.bare(), Type::Date | Type::Date32);
    let is_time = TIME_NAMES.contains(&name.as_str()) || (date && DATE_NAMES.contains(&name.as_str()));
    if kind.is_moment() && is_time {
        Absent::Time
    } else if matches!(kind.bare(), Type::String) && TAG_NAMES.contains(&name.as_str()) {
        Absent::Tag
    } else {
        Absent::TypeDefault
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::out_clickhouse::table::{Deduplication, TableColumn};
    use jiff::tz::TimeZone;

    /// A table of these columns: name, type, default kind.
    pub(crate) fn table(columns: &[(&str, &str, &str)]) -> Table {
        let columns = columns.iter().map(|(name, kind, default)| TableColumn {
            name: (*name).to_owned(),
            type_name: (*kind).to_owned(),
            default: ColumnDefault::parse(default),
        });
        Table {
            columns: columns.collect(),
            zone: TimeZone::UTC,
            partition_key: String::new(),
            deduplication: Deduplication::Unknown,
            memory: None,
            keeps_rows: false,
        }
    }

    fn layout(columns: &[(&str, &str, &str)], options: &ColumnOptions) -> Result<Layout, LayoutError> {
        Layout::new(&table(columns), options, &TimeZone::UTC, |_| {})
    }

    fn absents(layout: &Layout) -> Vec<(&str, Absent)> {
        layout.columns.iter().map(|column| (column.name.as_str(), column.absent)).collect()
    }

    #[test]
    fn columns_get_what_their_names_say() {
        let columns = [
            ("timestamp", "DateTime64(3)", ""),
            ("time", "String", ""),
            ("ts", "DateTime", "DEFAULT"),
            ("tag", "LowCardinality(String)", ""),
            ("date", "Date", "MATERIALIZED"),
            ("event_date", "Date", ""),
            ("state", "AggregateFunction(sum, UInt8)", ""),
            ("a", "Nullable(UInt8)", "EPHEMERAL"),
        ];
        let layout = layout(&columns, &ColumnOptions::default()).unwrap();
        assert_eq!(
            absents(&layout),
            [
                ("timestamp", Absent::Time),
                ("time", Absent::TypeDefault),
                ("ts", Absent::ServerDefault(0)),
                ("tag", Absent::Tag),
                ("event_date", Absent::Time),
                ("a", Absent::ServerDefault(1)),
            ]
        );
        assert!(layout.has_server_defaults() && layout.needs_tag);
    }

    #[test]
    fn the_configuration_decides() {
        let columns =
            [("a", "String", ""), ("b.c", "String", ""), ("t", "DateTime", "DEFAULT"), ("x", "String", "")];
        let options = ColumnOptions {
            columns: Some(vec!["a".into()]),
            time_column: Some("t".into()),
            extra_column: Some("x".into()),
            sources: vec![("b.c".into(), Source::Field(vec!["k".into(), "d".into()]))],
            ..ColumnOptions::default()
        };
        let found = layout(&columns, &options).unwrap();
        assert_eq!(
            absents(&found),
            [
                ("a", Absent::TypeDefault),
                ("b.c", Absent::TypeDefault),
                ("t", Absent::Time),
                ("x", Absent::Extra)
            ]
        );
        assert_eq!(found.fields.get(b"k").unwrap().inside.as_ref().unwrap().get(b"d").unwrap().columns, [1]);
        assert!(found.fields.get(b"b").is_none() && found.fields.get(b"x").is_none());
        let options = ColumnOptions { tag_column: Some("tag".into()), ..ColumnOptions::default() };
        assert_eq!(layout(&columns, &options).unwrap_err(), LayoutError::NoColumn("tag".into()));
        assert_eq!(
            layout(&[("m", "UInt8", "ALIAS")], &ColumnOptions::default()).unwrap_err(),
            LayoutError::NoColumns
        );
    }

    #[test]
    fn dotted_columns_are_found_by_name_and_by_path() {
        let found =
            layout(&[("k8s.pod", "String", ""), ("k8s", "String", "")], &ColumnOptions::default()).unwrap();
        assert_eq!(found.fields.get(b"k8s.pod").unwrap().columns, [0]);
        let outer = found.fields.get(b"k8s").unwrap();
        assert_eq!(
            (&outer.columns[..], &outer.inside.as_ref().unwrap().get(b"pod").unwrap().columns[..]),
            (&[1][..], &[0][..])
        );
    }
}
