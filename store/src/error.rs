//! Errors as ClickHouse tells them: a number, a text, an HTTP status.

use hyper::StatusCode;
use std::fmt;

/// An error as a client of ClickHouse gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exception {
    /// ClickHouse's number.
    pub(crate) code: u32,
    /// `UNKNOWN_TABLE`; empty if the engine gave none.
    pub(crate) name: String,
    /// What is wrong.
    pub(crate) message: String,
}

impl Exception {
    /// An error of the store's own.
    pub(crate) fn new(code: u32, name: &str, message: impl Into<String>) -> Self {
        Self { code, name: name.to_owned(), message: message.into() }
    }

    pub(crate) fn bad_arguments(message: impl Into<String>) -> Self {
        Self::new(36, "BAD_ARGUMENTS", message)
    }

    pub(crate) fn syntax(message: impl Into<String>) -> Self {
        Self::new(62, "SYNTAX_ERROR", message)
    }

    pub(crate) fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(48, "NOT_IMPLEMENTED", message)
    }

    pub(crate) fn readonly(message: impl Into<String>) -> Self {
        Self::new(164, "READONLY", message)
    }

    /// From the engine's text, which wraps an error once or more:
    /// `Code: 27. DB::Exception: Code: 27. DB::Exception: TEXT. (NAME) (version 26.5.1.1). (NAME)`. What it says of the
    /// descriptors that stand for the request's body and answer is taken out.
    pub(crate) fn from_engine(text: &str) -> Self {
        let (mut code, mut rest) = (None, text.trim());
        while let Some((number, inner)) = unwrap(rest) {
            code = code.or(Some(number));
            rest = inner;
        }
        let mut name = String::new();
        loop {
            rest = rest.trim_end_matches(['.', ' ', '\n']);
            let Some((before, last)) = rest.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (")) else {
                break;
            };
            if is_name(last) {
                name = last.to_owned();
            } else if !last.starts_with("version ") {
                break;
            }
            rest = before;
        }
        let message = without_descriptors(rest);
        Self { code: code.unwrap_or(1002), name, message }
    }

    /// The status that ClickHouse's HTTP interface gives to the number (its `exceptionCodeToHTTPStatus`).
    pub(crate) fn status(&self) -> StatusCode {
        match self.code {
            // REQUIRED_PASSWORD
            194 => StatusCode::UNAUTHORIZED,
            // UNKNOWN_USER, WRONG_PASSWORD, ACCESS_DENIED, SET_NON_GRANTED_ROLE, AUTHENTICATION_FAILED
            192 | 193 | 497 | 512 | 516 => StatusCode::FORBIDDEN,
            // CANNOT_PARSE_*, DUPLICATE_COLUMN, THERE_IS_NO_COLUMN, BAD_ARGUMENTS, ILLEGAL_COLUMN, UNKNOWN_ELEMENT_IN_AST,
            // TYPE_MISMATCH, SYNTAX_ERROR, INCORRECT_DATA, UNEXPECTED_AST_STRUCTURE, TOO_DEEP_AST, TOO_BIG_AST,
            // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE, CANNOT_COMPILE_REGEXP ...
            6 | 8 | 15 | 25 | 26 | 27 | 36 | 37 | 38 | 41 | 44 | 53 | 62 | 72 | 117 | 123 | 167 | 168
            | 223 | 321 | 376 | 427 | 441 | 675 | 676 => StatusCode::BAD_REQUEST,
            // UNKNOWN_FUNCTION, UNKNOWN_IDENTIFIER, UNKNOWN_TYPE, UNKNOWN_STORAGE, UNKNOWN_TABLE, UNKNOWN_AGGREGATE_FUNCTION,
            // UNKNOWN_FORMAT, UNKNOWN_TYPE_OF_QUERY, UNKNOWN_DATABASE, UNKNOWN_SETTING, UNKNOWN_DIRECTION_OF_SORTING,
            // UNKNOWN_DATABASE_ENGINE, UNKNOWN_ROLE
            46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | 115 | 152 | 336 | 511 => StatusCode::NOT_FOUND,
            // CANNOT_OPEN_FILE, SOCKET_TIMEOUT, CANNOT_SCHEDULE_TASK
            76 | 209 | 439 => StatusCode::SERVICE_UNAVAILABLE,
            // QUERY_IS_TOO_LARGE
            229 => StatusCode::PAYLOAD_TOO_LARGE,
            48 => StatusCode::NOT_IMPLEMENTED,
            // TIMEOUT_EXCEEDED
            159 => StatusCode::REQUEST_TIMEOUT,
            // HTTP_LENGTH_REQUIRED
            381 => StatusCode::LENGTH_REQUIRED,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The text of the answer's body.
    pub(crate) fn text(&self, version: &str) -> String {
        format!("{self} (version {version})\n")
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code: {}. DB::Exception: {}.", self.code, self.message)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, " ({})", self.name) }
    }
}

fn unwrap(text: &str) -> Option<(u32, &str)> {
    let (number, rest) = text.strip_prefix("Code: ")?.split_once(". DB::")?;
    // Exception, NetException, ErrnoException ...
    let (class, rest) = rest.split_once(": ")?;
    Some((number.parse().ok().filter(|_| class.ends_with("Exception"))?, rest))
}

fn is_name(text: &str) -> bool {
    text.len() > 2
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Takes out `(in file/uri /proc/self/fd/7): ` and ` : While executing File: data for INSERT was parsed from file`.
fn without_descriptors(text: &str) -> String {
    let mut text = text.replace(": While executing File: data for INSERT was parsed from file", "");
    while let Some(start) = text.find(": (in file/uri /proc/self/fd/") {
        let Some(end) = text[start..].find(')') else { break };
        text.replace_range(start..start + end + 1, "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_texts() {
        let plain = Exception::from_engine(
            "Code: 60. DB::Exception: Table default.t does not exist. (UNKNOWN_TABLE)",
        );
        assert_eq!(plain, Exception::new(60, "UNKNOWN_TABLE", "Table default.t does not exist"));
        assert_eq!(
            plain.text("26.5.1.1"),
            "Code: 60. DB::Exception: Table default.t does not exist. (UNKNOWN_TABLE) (version 26.5.1.1)\n"
        );
        let wrapped = "Code: 27. DB::Exception: Code: 27. DB::Exception: Cannot parse (see x): (at row 2)\n: (in file/uri \
                       /proc/self/fd/18): While executing ParallelParsingBlockInputFormat: While executing File: data for \
                       INSERT was parsed from file. (CANNOT_PARSE_INPUT_ASSERTION_FAILED) (version 26.5.1.1). \
                       (CANNOT_PARSE_INPUT_ASSERTION_FAILED)";
        let wrapped = Exception::from_engine(wrapped);
        assert_eq!((wrapped.code, wrapped.status()), (27, StatusCode::BAD_REQUEST));
        assert_eq!(
            wrapped.message,
            "Cannot parse (see x): (at row 2)\n: While executing ParallelParsingBlockInputFormat"
        );
        let errno = Exception::from_engine(
            "Code: 76. DB::ErrnoException: Cannot open file x: , errno: 13. (CANNOT_OPEN_FILE)",
        );
        assert_eq!((errno.code, errno.message.as_str()), (76, "Cannot open file x: , errno: 13"));
        let bare = Exception::from_engine("something else");
        assert_eq!((bare.code, bare.message.as_str()), (1002, "something else"));
    }
}
