//! Column types as ClickHouse names them (`LowCardinality(Nullable(String))`), parsed into a tree.
//!
//! The names come from the server, so a broken one is not an attack, but it must not panic either: the parser is a
//! cursor over the text that bounds its depth. A column whose type is not known is left to the server's default.

/// Depth of nested types at which the parser gives up; ClickHouse's own parser stops earlier.
const DEPTH_MAX: usize = 64;

/// A column type, as far as its encoding differs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    /// `Int8` .. `Int256`, `UInt8` .. `UInt256`; width in bytes: 1, 2, 4, 8, 16 or 32.
    Int {
        width: usize,
        signed: bool,
    },
    /// `Interval...`: an Int64 count of the unit.
    Interval,
    Float32,
    Float64,
    BFloat16,
    Bool,
    /// Width in bytes (4, 8, 16, 32), decimal digits in total and behind the point.
    Decimal {
        width: usize,
        precision: u32,
        scale: u32,
    },
    String,
    FixedString(usize),
    Uuid,
    Ipv4,
    Ipv6,
    Date,
    Date32,
    DateTime {
        zone: Option<String>,
    },
    /// Ticks of 10^-precision seconds.
    DateTime64 {
        precision: u32,
        zone: Option<String>,
    },
    Time,
    Time64 {
        precision: u32,
    },
    /// Width in bytes (1 or 2), names and values in the server's order.
    Enum {
        width: usize,
        values: Vec<(String, i16)>,
    },
    Nullable(Box<Type>),
    LowCardinality(Box<Type>),
    Array(Box<Type>),
    Map(Box<Type>, Box<Type>),
    /// Elements, named or not.
    Tuple(Vec<(Option<String>, Type)>),
    /// Members, in the server's order.
    Variant(Vec<Type>),
    Dynamic,
    /// `JSON` and `JSON(...)`.
    Json,
}

impl Type {
    /// Reads a type name; `None` is a type that Logweir does not write.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut cursor = Cursor { text: name, at: 0 };
        cursor.type_at(0).filter(|_| cursor.rest().trim().is_empty())
    }

    /// The type without `Nullable` and `LowCardinality` around it.
    pub(crate) fn bare(&self) -> &Self {
        match self {
            Self::Nullable(inner) | Self::LowCardinality(inner) => inner.bare(),
            other => other,
        }
    }

    /// Whether a point in time fits in it.
    pub(crate) fn is_moment(&self) -> bool {
        matches!(self.bare(), Self::Date | Self::Date32 | Self::DateTime { .. } | Self::DateTime64 { .. })
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Takes `token` if it comes next.
    fn take(&mut self, token: &str) -> bool {
        self.spaces();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn word(&mut self) -> &'a str {
        self.spaces();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.spaces();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
        self.at += end;
        rest[..end].parse().ok()
    }

    /// A text in `quote`s, with backslash escapes and doubled quotes.
    fn quoted(&mut self, quote: char) -> Option<String> {
        if !self.take(quote.encode_utf8(&mut [0; 4])) {
            return None;
        }
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((offset, c)) = chars.next() {
            if c == '\\' {
                text.push(match chars.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    '0' => '\0',
                    other => other,
                });
            } else if c == quote {
                if !self.rest()[offset + c.len_utf8()..].starts_with(quote) {
                    self.at += offset + c.len_utf8();
                    return Some(text);
                }
                chars.next();
                text.push(quote);
            } else {
                text.push(c);
            }
        }
        None
    }

    fn type_at(&mut self, depth: usize) -> Option<Type> {
        if depth > DEPTH_MAX {
            return None;
        }
        let word = self.word();
        if let Some(plain) = plain(word) {
            return Some(plain);
        }
        match word {
            "DateTime" => {
                if !self.take("(") {
                    return Some(Type::DateTime { zone: None });
                }
                let zone = self.quoted('\'')?;
                self.close(Type::DateTime { zone: Some(zone) })
            }
            "JSON" => {
                if self.take("(") {
                    self.skip_arguments()?;
                }
                Some(Type::Json)
            }
            "Dynamic" => {
                if self.take("(") {
                    self.skip_arguments()?;
                }
                Some(Type::Dynamic)
            }
            _ => self.with_arguments(word, depth),
        }
    }

    fn with_arguments(&mut self, word: &str, depth: usize) -> Option<Type> {
        if !self.take("(") {
            return None;
        }
        let parsed = match word {
            "Nullable" => Type::Nullable(Box::new(self.type_at(depth + 1)?)),
            "LowCardinality" => Type::LowCardinality(Box::new(self.type_at(depth + 1)?)),
            "Array" => Type::Array(Box::new(self.type_at(depth + 1)?)),
            "Map" => {
                let key = self.type_at(depth + 1)?;
                self.take(",").then_some(())?;
                Type::Map(Box::new(key), Box::new(self.type_at(depth + 1)?))
            }
            "Tuple" => Type::Tuple(self.elements(depth)?),
            "Nested" => Type::Array(Box::new(Type::Tuple(self.elements(depth)?))),
            "Variant" => Type::Variant(self.members(depth)?),
            "FixedString" => Type::FixedString(self.number().filter(|n| *n > 0)?),
            "Decimal" => {
                let precision = self.number()?;
                let scale = if self.take(",") { self.number()? } else { 0 };
                decimal(precision, scale)?
            }
            "Decimal32" => decimal(9, self.number()?)?,
            "Decimal64" => decimal(18, self.number()?)?,
            "Decimal128" => decimal(38, self.number()?)?,
            "Decimal256" => decimal(76, self.number()?)?,
            "DateTime64" => {
                let precision = self.number().filter(|p| *p <= 9)?;
                let zone = if self.take(",") { Some(self.quoted('\'')?) } else { None };
                Type::DateTime64 { precision, zone }
            }
            "Time64" => Type::Time64 { precision: self.number().filter(|p| *p <= 9)? },
            "Enum8" | "Enum" => Type::Enum { width: 1, values: self.enum_values()? },
            "Enum16" => Type::Enum { width: 2, values: self.enum_values()? },
            "SimpleAggregateFunction" => {
                self.skip_until_comma()?;
                self.type_at(depth + 1)?
            }
            _ => return None,
        };
        self.close(parsed)
    }

    fn close(&mut self, parsed: Type) -> Option<Type> {
        self.take(")").then_some(parsed)
    }

    /// `a UInt8, b String` or `UInt8, String`.
    fn elements(&mut self, depth: usize) -> Option<Vec<(Option<String>, Type)>> {
        let mut elements = Vec::new();
        loop {
            let start = self.at;
            let element = match self.type_at(depth + 1) {
                Some(parsed) if self.at_separator() => (None, parsed),
                _ => {
                    self.at = start;
                    (Some(self.element_name()?), self.type_at(depth + 1)?)
                }
            };
            elements.push(element);
            if !self.take(",") {
                return Some(elements);
            }
        }
    }

    fn at_separator(&mut self) -> bool {
        self.spaces();
        self.rest().starts_with([',', ')'])
    }

    fn element_name(&mut self) -> Option<String> {
        self.spaces();
        match self.rest().chars().next()? {
            quote @ ('`' | '"') => self.quoted(quote),
            _ => Some(self.word().to_owned()).filter(|name| !name.is_empty()),
        }
    }

    fn members(&mut self, depth: usize) -> Option<Vec<Type>> {
        let mut members = Vec::new();
        loop {
            members.push(self.type_at(depth + 1)?);
            if !self.take(",") {
                return Some(members);
            }
        }
    }

    fn enum_values(&mut self) -> Option<Vec<(String, i16)>> {
        let mut values = Vec::new();
        loop {
            let name = self.quoted('\'')?;
            self.take("=").then_some(())?;
            values.push((name, self.number()?));
            if !self.take(",") {
                return Some(values);
            }
        }
    }

    /// The function name and its parameters in `SimpleAggregateFunction(f(x), T)`.
    fn skip_until_comma(&mut self) -> Option<()> {
        self.word();
        if self.take("(") {
            self.skip_arguments()?;
        }
        self.take(",").then_some(())
    }

    /// Up to and with the parenthesis that closes the one just taken.
    fn skip_arguments(&mut self) -> Option<()> {
        let mut open = 1usize;
        loop {
            match self.rest().chars().next()? {
                quote @ ('\'' | '`' | '"') => {
                    self.quoted(quote)?;
                    continue;
                }
                '(' => open += 1,
                ')' => open -= 1,
                _ => {}
            }
            self.at += self.rest().chars().next()?.len_utf8();
            if open == 0 {
                return Some(());
            }
        }
    }
}

fn plain(word: &str) -> Option<Type> {
    let int = |width, signed| Some(Type::Int { width, signed });
    match word {
        "UInt8" => int(1, false),
        "UInt16" => int(2, false),
        "UInt32" => int(4, false),
        "UInt64" => int(8, false),
        "UInt128" => int(16, false),
        "UInt256" => int(32, false),
        "Int8" => int(1, true),
        "Int16" => int(2, true),
        "Int32" => int(4, true),
        "Int64" => int(8, true),
        "Int128" => int(16, true),
        "Int256" => int(32, true),
        "Float32" => Some(Type::Float32),
        "Float64" => Some(Type::Float64),
        "BFloat16" => Some(Type::BFloat16),
        "Bool" => Some(Type::Bool),
        "String" => Some(Type::String),
        "UUID" => Some(Type::Uuid),
        "IPv4" => Some(Type::Ipv4),
        "IPv6" => Some(Type::Ipv6),
        "Date" => Some(Type::Date),
        "Date32" => Some(Type::Date32),
        "Time" => Some(Type::Time),
        "Point" => Some(point()),
        "Ring" | "LineString" => Some(array(point())),
        "Polygon" | "MultiLineString" => Some(array(array(point()))),
        "MultiPolygon" => Some(array(array(array(point())))),
        _ if word.starts_with("Interval") => Some(Type::Interval),
        _ => None,
    }
}

fn point() -> Type {
    Type::Tuple(vec![(None, Type::Float64), (None, Type::Float64)])
}

fn array(inner: Type) -> Type {
    Type::Array(Box::new(inner))
}

fn decimal(precision: u32, scale: u32) -> Option<Type> {
    let width = match precision {
        1..=9 => 4,
        10..=18 => 8,
        19..=38 => 16,
        39..=76 => 32,
        _ => return None,
    };
    (scale <= precision).then_some(Type::Decimal { width, precision, scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> Type {
        Type::parse(name).unwrap_or_else(|| panic!("{name}"))
    }

    #[test]
    fn plain_and_nested_names() {
        let int = |width, signed| Type::Int { width, signed };
        assert_eq!(parse("UInt64"), int(8, false));
        assert_eq!(parse("Int256"), int(32, true));
        assert_eq!(
            parse("LowCardinality(Nullable(String))"),
            Type::LowCardinality(Box::new(Type::Nullable(Box::new(Type::String))))
        );
        assert_eq!(
            parse("Map(LowCardinality(String), Array(UInt8))"),
            Type::Map(Box::new(Type::LowCardinality(Box::new(Type::String))), Box::new(array(int(1, false))))
        );
        assert_eq!(parse("Decimal(18, 4)"), Type::Decimal { width: 8, precision: 18, scale: 4 });
        assert_eq!(parse("IntervalSecond"), Type::Interval);
        assert_eq!(parse("SimpleAggregateFunction(sum, UInt64)"), int(8, false));
        assert_eq!(parse("SimpleAggregateFunction(groupArrayArray(3), Array(String))"), array(Type::String));
        assert_eq!(parse("Ring"), array(point()));
    }

    #[test]
    fn times_with_and_without_zones() {
        assert_eq!(parse("DateTime"), Type::DateTime { zone: None });
        assert_eq!(parse("DateTime('Asia/Tokyo')"), Type::DateTime { zone: Some("Asia/Tokyo".into()) });
        assert_eq!(
            parse("DateTime64(9, 'UTC')"),
            Type::DateTime64 { precision: 9, zone: Some("UTC".into()) }
        );
        assert_eq!(parse("Time64(3)"), Type::Time64 { precision: 3 });
    }

    #[test]
    fn names_inside_types_are_unescaped() {
        assert_eq!(
            parse(r"Enum8('a\'b' = -1, '(,' = 2, 'it''s' = 3)"),
            Type::Enum { width: 1, values: vec![("a'b".into(), -1), ("(,".into(), 2), ("it's".into(), 3)] }
        );
        assert_eq!(
            parse("Tuple(id UInt8, `a b` Tuple(String, String), Date Date)"),
            Type::Tuple(vec![
                (Some("id".into()), Type::Int { width: 1, signed: false }),
                (Some("a b".into()), Type::Tuple(vec![(None, Type::String), (None, Type::String)])),
                (Some("Date".into()), Type::Date),
            ])
        );
        assert_eq!(
            parse("Nested(k String, v String)"),
            array(Type::Tuple(vec![(Some("k".into()), Type::String), (Some("v".into()), Type::String)]))
        );
    }

    #[test]
    fn open_types() {
        assert_eq!(parse("JSON(max_dynamic_paths=8, a.b UInt32, SKIP REGEXP '\\\\)')"), Type::Json);
        assert_eq!(parse("Dynamic(max_types=3)"), Type::Dynamic);
        assert_eq!(
            parse("Variant(Array(UInt8), Nullable(String), UInt64)"),
            Type::Variant(vec![
                array(Type::Int { width: 1, signed: false }),
                Type::Nullable(Box::new(Type::String)),
                Type::Int { width: 8, signed: false },
            ])
        );
    }

    #[test]
    fn what_is_not_known_is_no_type() {
        for name in [
            "AggregateFunction(sum, UInt64)",
            "QBit(Float32, 8)",
            "",
            "Array(",
            "Array(é",
            "Array(Map(String, Array(Nothing)))",
            "UInt8)",
            "Tuple()",
        ] {
            assert_eq!(Type::parse(name), None, "{name}");
        }
        let deep = format!("{}UInt8{}", "Array(".repeat(500), ")".repeat(500));
        assert_eq!(Type::parse(&deep), None);
    }
}
