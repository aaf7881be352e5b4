//! What kind of statement a query is, and where its data begins.
//!
//! | statement | how it is run |
//! |---|---|
//! | `INSERT INTO ... FORMAT X` + data, `... VALUES` + data | `FROM INFILE` of a descriptor with the data |
//! | SELECT, SHOW, DESCRIBE, EXPLAIN ... | `INTO OUTFILE` of a pipe |
//! | anything else | as it is |
//!
//! A client's own `INTO OUTFILE` and `FROM INFILE` would reach files of the store's user; ClickHouse's server refuses both, and
//! so does this.

use crate::error::Exception;
use crate::lexer::{Kind, Lexer, Token};

/// A query, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    /// An INSERT whose data follows.
    Insert(Insert),
    /// A statement with rows as output.
    Output {
        /// Where `INTO OUTFILE` belongs.
        at: usize,
        /// The format that it names.
        format: Option<String>,
    },
    /// Any other.
    Other,
}

/// See [`Statement::Insert`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Insert {
    /// `INSERT INTO t (a, b)`
    pub(crate) head: Vec<u8>,
    /// `SETTINGS a = 1`, or nothing.
    pub(crate) settings: Vec<u8>,
    /// The data's format.
    pub(crate) format: String,
    /// Where the data begins in the query's text.
    pub(crate) data_at: usize,
}

/// What can be said of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// It is this.
    Statement(Statement),
    /// More of the text is needed to say.
    More,
}

/// Takes `text` apart. `complete` says that there is no more of it.
pub(crate) fn parse(text: &[u8], complete: bool) -> Result<Parsed, Exception> {
    let mut lexer = Lexer::new(text);
    let insert = lexer.take_word("INSERT");
    if insert && let Some(insert) = parse_insert(text, lexer)? {
        // The format's name, or the white space behind it, may go on.
        if insert.data_at == text.len() && !text.ends_with(b"\n") && !complete {
            return Ok(Parsed::More);
        }
        return Ok(Parsed::Statement(Statement::Insert(insert)));
    }
    if !complete {
        return Ok(Parsed::More);
    }
    parse_whole(text, insert).map(Parsed::Statement)
}

/// The statements of a text, without the `;` between them; those of comments alone are left out. What follows an unfinished
/// string or comment belongs to the last one.
pub fn statements(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut is_empty) = (Vec::new(), 0, true);
    for token in Lexer::new(text.as_bytes()) {
        if token.kind != Kind::Symbol(b';') {
            is_empty = false;
            continue;
        }
        if !is_empty {
            found.push(text[start..token.start].trim());
        }
        (start, is_empty) = (token.end, true);
    }
    if !is_empty {
        found.push(text[start..].trim());
    }
    found
}

/// An INSERT with data, or `None` if it is another one, or not all of it is there.
fn parse_insert(text: &[u8], mut lexer: Lexer<'_>) -> Result<Option<Insert>, Exception> {
    if !lexer.take_word("INTO") {
        return Ok(None);
    }
    lexer.take_word("TABLE");
    if lexer.take_word("FUNCTION") {
        lexer.next();
        if !lexer.peek().is_some_and(|token| token.kind == Kind::Symbol(b'(')) || !lexer.take_parentheses() {
            return Ok(None);
        }
    } else {
        lexer.next();
        if lexer.take_symbol(b'.') {
            lexer.next();
        }
    }
    let mut columns = Lexer::new(&text[lexer.position()..]);
    if columns.take_symbol(b'(')
        && !columns.take_word("SELECT")
        && !columns.take_word("WITH")
        && !lexer.take_parentheses()
    {
        return Ok(None);
    }
    let (mut head_end, mut settings_at) = (None, None);
    while let Some(token) = lexer.next() {
        let is = |word| lexer.is_word(token, word);
        if is("SETTINGS") && settings_at.is_none() {
            head_end = head_end.or(Some(token.start));
            settings_at = Some(token.start);
        } else if is("FROM") && lexer.peek().is_some_and(|next| lexer.is_word(next, "INFILE")) {
            return Err(file_refused("FROM INFILE"));
        } else if is("SELECT") || is("WITH") || is("WATCH") || is("FROM") || token.kind == Kind::Unfinished {
            return Ok(None);
        } else if is("VALUES") || is("FORMAT") {
            let settings = settings_at.map(|start| text[start..token.start].to_vec()).unwrap_or_default();
            let head = text[..head_end.unwrap_or(token.start)].to_vec();
            if is("VALUES") {
                let data_at = token.end;
                return Ok(Some(Insert { head, settings, format: "Values".to_owned(), data_at }));
            }
            let Some(name) = lexer.next().filter(|name| matches!(name.kind, Kind::Word)) else {
                return Ok(None);
            };
            let format = String::from_utf8_lossy(lexer.bytes(name)).into_owned();
            let data_at = data_start(text, name.end)?;
            return Ok(Some(Insert { head, settings, format, data_at }));
        }
    }
    Ok(None)
}

/// Data begins after the first line end, or else after the white space.
fn data_start(text: &[u8], mut at: usize) -> Result<usize, Exception> {
    while text.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | 0x0c)) {
        at += 1;
    }
    if text.get(at) == Some(&b';') {
        return Err(Exception::syntax("You have excessive ';' symbol before data for INSERT"));
    }
    if text.get(at) == Some(&b'\r') {
        at += 1;
    }
    if text.get(at) == Some(&b'\n') {
        at += 1;
    }
    Ok(at)
}

fn parse_whole(text: &[u8], insert: bool) -> Result<Statement, Exception> {
    let tokens: Vec<Token> = Lexer::new(text).collect();
    let lexer = Lexer::new(text);
    let word = |at: usize, word: &str| tokens.get(at).is_some_and(|token| lexer.is_word(*token, word));
    let symbol =
        |at: usize, symbol: u8| tokens.get(at).is_some_and(|token| token.kind == Kind::Symbol(symbol));
    // A table may be called "infile", but then no text follows.
    let plain_name =
        |at: usize| !tokens.get(at).is_some_and(|next| matches!(next.kind, Kind::Text | Kind::Symbol(b'{')));
    let semicolon = tokens.iter().position(|token| token.kind == Kind::Symbol(b';')).unwrap_or(tokens.len());
    if let Some(next) = tokens[semicolon..].iter().find(|token| token.kind != Kind::Symbol(b';')) {
        return Err(Exception::syntax(format!(
            "Syntax error (Multi-statements are not allowed): failed at position {} (end of query)",
            next.start
        )));
    }
    if semicolon == 0 {
        return Err(Exception::syntax("Syntax error: failed at position 1 (end of query): Empty query"));
    }
    let end = tokens[semicolon - 1].end;
    let (mut depth, mut format) = (0usize, None);
    for at in 0..semicolon {
        match tokens[at].kind {
            Kind::Symbol(b'(' | b'[' | b'{') => depth += 1,
            Kind::Symbol(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            Kind::Word if word(at, "INTO") && word(at + 1, "OUTFILE") => {
                return Err(file_refused("INTO OUTFILE"));
            }
            Kind::Word if word(at, "FROM") && word(at + 1, "INFILE") && (insert || !plain_name(at + 2)) => {
                return Err(file_refused("FROM INFILE"));
            }
            Kind::Word if insert && word(at, "INPUT") && symbol(at + 1, b'(') => {
                return Err(Exception::not_implemented(
                    "the embedded store has no table function input(): insert into a table and let a materialized view, or \
                     INSERT ... SELECT, transform the rows",
                ));
            }
            Kind::Word if depth == 0 && at > 0 && word(at, "FORMAT") => {
                let named = tokens.get(at + 1).is_some_and(|token| token.kind == Kind::Word);
                if named && (at + 2 >= semicolon || word(at + 2, "SETTINGS")) {
                    format = Some(at);
                }
            }
            _ => {}
        }
    }
    const OUTPUT: [&str; 9] =
        ["SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK"];
    if !symbol(0, b'(') && !OUTPUT.iter().any(|keyword| word(0, keyword)) {
        return Ok(Statement::Other);
    }
    Ok(Statement::Output {
        at: format.map_or(end, |at| tokens[at].start),
        format: format.map(|at| String::from_utf8_lossy(lexer.bytes(tokens[at + 1])).into_owned()),
    })
}

fn file_refused(clause: &str) -> Exception {
    Exception::new(
        78,
        "UNKNOWN_TYPE_OF_QUERY",
        format!(
            "{clause} is for clients, which read and write files themselves; over HTTP, data goes in bodies"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn insert(text: &str) -> (String, String, String, &str) {
        match parse(text.as_bytes(), true).unwrap() {
            Parsed::Statement(Statement::Insert(insert)) => (
                String::from_utf8(insert.head).unwrap(),
                String::from_utf8(insert.settings).unwrap(),
                insert.format,
                &text[insert.data_at..],
            ),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn output(text: &str) -> (&str, Option<String>) {
        match parse(text.as_bytes(), true).unwrap() {
            Parsed::Statement(Statement::Output { at, format }) => (&text[..at], format),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn refused(text: &str) -> u32 {
        parse(text.as_bytes(), true).unwrap_err().code
    }

    #[test]
    fn where_data_begins() {
        let plain = |head: &str, format: &str, data: &'static str| {
            (head.to_owned(), String::new(), format.to_owned(), data)
        };
        assert_eq!(insert("INSERT INTO t FORMAT TSV\n1\t2\n"), plain("INSERT INTO t ", "TSV", "1\t2\n"));
        assert_eq!(insert("INSERT INTO t FORMAT TSV \r\n\n1"), plain("INSERT INTO t ", "TSV", "\n1"));
        assert_eq!(insert("insert into t values (1)"), plain("insert into t ", "Values", " (1)"));
        assert_eq!(
            insert("INSERT INTO TABLE d.`t;` (a, `FORMAT`) FORMAT JSONEachRow {}"),
            plain("INSERT INTO TABLE d.`t;` (a, `FORMAT`) ", "JSONEachRow", "{}")
        );
        assert_eq!(
            insert("INSERT INTO format FORMAT CSV\nFORMAT"),
            plain("INSERT INTO format ", "CSV", "FORMAT")
        );
        assert_eq!(
            insert("INSERT INTO t (a) SETTINGS x = 'FORMAT', y=1 FORMAT Native\n\u{0};"),
            ("INSERT INTO t (a) ".into(), "SETTINGS x = 'FORMAT', y=1 ".into(), "Native".into(), "\u{0};")
        );
        assert_eq!(
            insert("INSERT INTO FUNCTION remote('h', d.t) (a) VALUES (1)").0,
            "INSERT INTO FUNCTION remote('h', d.t) (a) "
        );
        assert_eq!(refused("INSERT INTO t FORMAT CSV; 1"), 62);
    }

    #[test]
    fn statements_of_a_file() {
        let text = "-- errors; of today\nSELECT ';' ;;\n/* ; */ ;SELECT 2 -- x";
        assert_eq!(statements(text), ["-- errors; of today\nSELECT ';'", "SELECT 2 -- x"]);
        assert_eq!(statements(" ; -- nothing"), Vec::<&str>::new());
        assert_eq!(statements("SELECT 'a; b"), ["SELECT 'a; b"]);
    }

    #[test]
    fn more_text_may_be_needed() {
        assert_eq!(parse(b"INSERT INTO t FOR", false), Ok(Parsed::More));
        assert_eq!(parse(b"INSERT INTO t FORMAT TSV", false), Ok(Parsed::More));
        assert!(matches!(parse(b"INSERT INTO t FORMAT TSV\n", false), Ok(Parsed::Statement(_))));
        assert!(matches!(
            parse(b"INSERT INTO t FORMAT TSV\n'", false),
            Ok(Parsed::Statement(Statement::Insert(_)))
        ));
        assert_eq!(parse(b"SELECT 1", false), Ok(Parsed::More));
    }

    #[test]
    fn where_output_goes() {
        assert_eq!(output("SELECT 1"), ("SELECT 1", None));
        assert_eq!(output("SELECT 1 ; -- x"), ("SELECT 1", None));
        assert_eq!(output("SELECT 1 FORMAT JSON;"), ("SELECT 1 ", Some("JSON".to_owned())));
        assert_eq!(
            output("SELECT format FROM t FORMAT CSV SETTINGS a=1"),
            ("SELECT format FROM t ", Some("CSV".into()))
        );
        assert_eq!(output("(SELECT 1 AS FORMAT)"), ("(SELECT 1 AS FORMAT)", None));
        assert_eq!(output("SHOW TABLES"), ("SHOW TABLES", None));
        for text in
            ["SET a=1", "CREATE TABLE t (a Int8) ENGINE = Memory", "INSERT INTO t SELECT 1", "INSERT INTO t"]
        {
            assert_eq!(parse(text.as_bytes(), true), Ok(Parsed::Statement(Statement::Other)), "{text}");
        }
    }

    #[test]
    fn what_a_server_refuses() {
        assert_eq!(refused("SELECT 1; SELECT 2"), 62);
        assert_eq!(refused("SELECT 1 INTO/**/OUTFILE 'x'"), 78);
        assert_eq!(refused("INSERT INTO t FROM INFILE 'x' FORMAT TSV"), 78);
        assert_eq!(refused("INSERT INTO t (a) FROM\nINFILE 'x'"), 78);
        assert_eq!(refused("INSERT INTO t SELECT * FROM input('a Int8') FORMAT TSV 1"), 48);
        assert_eq!(refused(" ; "), 62);
        assert_eq!(refused("-- nothing"), 62);
        assert_eq!(output("SELECT * FROM infile").0, "SELECT * FROM infile");
        assert_eq!(output("SELECT 'INTO OUTFILE'").1, None);
    }

    /// Pieces of SQL in any order, and bytes of no sense.
    fn texts() -> impl Strategy<Value = Vec<u8>> {
        let pieces = [
            "INSERT", " INTO ", "FUNCTION", "t", ".", "(a, b)", "(", ")", " FORMAT ", "TSV", "\n", " VALUES",
            "SETTINGS", "a=1", ";", "SELECT", " FROM ", "INFILE", "OUTFILE", "'", "''", "\\", "\"", "`",
            "--", "/*", "*/", "# ", "$", "$a$", "x'", "‘", "’", "“", "\u{a0}", "\u{feff}", "é", "[", "{",
            "}", "WITH", " ",
        ];
        let piece = prop_oneof![
            8 => proptest::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 0..4),
        ];
        proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_text_has_an_answer(text in texts()) {
            for complete in [false, true] {
                match parse(&text, complete) {
                    Ok(Parsed::Statement(Statement::Insert(insert))) => {
                        prop_assert!(insert.data_at <= text.len() && text.starts_with(&insert.head));
                    }
                    Ok(Parsed::Statement(Statement::Output { at, .. })) => prop_assert!(at <= text.len()),
                    Ok(Parsed::More) => prop_assert!(!complete),
                    Ok(Parsed::Statement(Statement::Other)) | Err(_) => {}
                }
            }
            let text = String::from_utf8_lossy(&text);
            for statement in statements(&text) {
                prop_assert!(!statement.is_empty());
            }
        }

        #[test]
        fn an_insert_is_the_same_however_much_of_its_data_is_seen(text in texts(), more in texts()) {
            // What is decided on the beginning of a text stands.
            if let Ok(Parsed::Statement(first)) = parse(&text, false) {
                prop_assert_eq!(parse(&[text, more].concat(), false), Ok(Parsed::Statement(first)));
            }
        }
    }
}
